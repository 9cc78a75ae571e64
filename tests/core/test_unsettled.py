"""A holding that does not pay out has an alarm of its own, an hour after its window's end, until it does."""

from engine import events as e
from engine.core.project import Outside, project
from engine.core.unsettled import LATE_MS, NOT_SETTLED
from engine.metric_samples import kind_of_alarm
from tests.core.builders import END_S, START_S, Core, past_fill

SLUG = f"btc-updown-5m-{START_S}"
NAME = f"{NOT_SETTLED} {SLUG}"
LATE_S = END_S + LATE_MS // 1000


def holding(*settlements: e.PastSettlement) -> Core:
    """Hold 25 shares that an earlier session bought."""
    core = Core()
    fill = past_fill(SLUG, "UP", ((8_000, 25_000_000),), 300_000, END_S * 1000 - 5_000, end_s=END_S)
    core.feed(
        e.LedgerRestored(
            ts_recv_ms=END_S * 1000,
            fills=(fill,),
            settlements=settlements,
            breakers=(),
            unresolved=(),
            orders=(),
        )
    )
    return core


def served(core: Core) -> None:
    core.feed(e.OutcomeServed(ts_recv_ms=core.state.now_ms, slug=SLUG, outcome="UP", strike=None, final=None))


def test_it_is_raised_an_hour_after_the_end_and_goes_when_the_window_settles() -> None:
    """Once on the tape; shown with what is at stake, and named by its window as the others are."""
    core = holding()
    core.second(LATE_S - 1)
    assert core.state.trading.alarms == {}
    core.second(LATE_S)
    core.second(LATE_S + 1)
    why = core.state.trading.alarms[NAME]
    assert "$20.30 at stake" in why
    assert [mark.text for mark in core.state.marks if mark.kind == "alarm"] == [f"{NAME}: {why}"]
    outside = Outside(1, core.state.now_ms, core.state.now_ms, 1.0, 1.0, 0, 0.0, "", None, [])
    assert NAME in project(core.state, outside).account.alarms
    assert kind_of_alarm(NAME) == NOT_SETTLED
    served(core)
    core.second(LATE_S + 2)
    assert core.state.trading.alarms == {}
    assert core.state.halted_why is None


def test_what_settles_in_time_raises_nothing() -> None:
    """Most windows do within two minutes."""
    core = holding()
    core.second(LATE_S - 1)
    served(core)
    core.second(LATE_S + 1)
    assert core.state.trading.alarms == {}


def test_a_fill_that_is_undone_takes_its_alarm_with_it_and_no_other() -> None:
    """Nothing is held any more: there is nothing to wait for."""
    core = holding()
    core.feed(e.AlarmRaised(ts_recv_ms=core.state.now_ms, name="heartbeat", why="lost"))
    core.second(LATE_S)
    status = e.PastFillStatus(f"{SLUG}#{END_S * 1000 - 5_000}", "", "FAILED", core.state.now_ms)
    assert core.state.ledger.undo(SLUG, status) is not None
    core.second(LATE_S + 1)
    assert core.state.trading.alarms == {"heartbeat": "lost"}


def test_what_our_own_prices_paid_out_has_one_too_until_the_venue_says_so() -> None:
    """A voided market, or an outcome that Gamma never serves: by our word alone it is no profit yet."""
    core = holding(e.PastSettlement(SLUG, "UP", END_S * 1000 + 3_000, "own"))
    assert core.state.ledger.unsettled() == {}
    core.second(LATE_S - 1)
    assert core.state.trading.alarms == {}
    core.second(LATE_S)
    core.second(LATE_S + 1)
    assert core.state.trading.alarms == {
        NAME: "paid out as UP by our own prices; the venue has not said so for an hour"
    }
    assert len([mark for mark in core.state.marks if mark.kind == "alarm"]) == 1
    served(core)
    core.second(LATE_S + 2)
    assert core.state.trading.alarms == {}
    assert core.state.halted_why is None
