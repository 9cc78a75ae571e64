"""What the console is shown: the core's own numbers, unknown as None, every phase by its name."""

import time
from decimal import Decimal

import pytest

from engine import events as e
from engine.clock import ManualClock, Walls
from engine.core import decide as d
from engine.core.card import curves_now, point_at
from engine.core.project import Outside, project
from engine.snapshot import ContractView, Snapshot
from tests.core.builders import END_S, START_S, Core, contract
from tests.core.test_step import quote, story


def shown(core: Core, at_s: float) -> Snapshot:
    outside = Outside(1, round(at_s * 1000), 0, 1.0, 1.0, 5, 3.0, "banner", None, [])
    return project(core.state, outside)


def card(core: Core, at_s: float) -> ContractView:
    (view,) = shown(core, at_s).contracts
    return view


def test_what_is_not_known_is_none() -> None:
    """Before any price: no strike, no expectation, no probability, no 0 and no 0.5."""
    core = Core()
    core.describe()
    view = card(core, START_S + 1)
    assert (view.strike, view.expected, view.z, view.p_up, view.ev_up, view.sigma_usd) == (None,) * 6
    assert (view.up.bid, view.up.ask, view.up.state) == (None, None, "awaiting snapshot")
    assert view.decision is None


def test_a_card_goes_through_its_phases() -> None:
    """upcoming, idle, watch, hammer, settling, settled."""
    core = Core()
    core.describe()
    assert card(core, START_S - 5).phase == "upcoming"
    core = Core()
    story(core, START_S + 50)
    assert card(core, START_S + 52).phase == "idle"
    core = Core()
    story(core, END_S - 15)
    assert card(core, END_S - 16).phase == "watch"
    quote(core, END_S - 12)
    assert card(core, END_S - 12).phase == "hammer"
    assert card(core, END_S + 1).phase == "settling"
    core.price(END_S, "70400", "twap")
    assert card(core, END_S + 3).phase == "settled"


def test_the_card_shows_what_the_decision_was_made_of() -> None:
    """The numbers beside the decision are the decision's own, to the last bit."""
    core = Core()
    story(core, END_S - 15)
    quote(core, END_S - 12)
    market = core.state.markets[contract().slug]
    decision = next(effect for effect in core.effects if isinstance(effect, d.Decision) and effect.action)
    assert market.view is not None
    view = card(core, END_S - 12)
    assert (view.p_up, view.ev_up, view.z) == (decision.p_up, decision.ev_up, decision.z)
    assert view.distance_usd == market.view.numbers.expected - market.view.numbers.strike
    assert view.fee_up == pytest.approx(0.07 * 0.9 * 0.1)
    assert view.locked_share is not None
    assert 0.7 < view.locked_share < 0.9


@pytest.mark.parametrize(("fresh", "is_refused"), [("twap", True), ("chainlink", False)])
def test_a_stale_price_names_the_topic_that_its_gate_looks_at(fresh: e.Source, *, is_refused: bool) -> None:
    """A window may settle on another topic, which is fresh beside it; that one's silence is none of this."""
    core = Core()
    story(core, END_S - 20)
    for second in range(END_S - 20, END_S - 8):
        core.price(second, 70_400, fresh)
        core.second(second + 2)
    quote(core, END_S - 6)
    decision = card(core, END_S - 6).decision
    assert decision is not None
    assert {gate.name: gate.passed for gate in decision.gates}["stale price"] is not is_refused
    sentence = "The price reports of chainlink are stale."
    assert (decision.reason == "stale price", decision.sentence == sentence) == (is_refused, is_refused)


def test_every_refusal_has_a_sentence() -> None:
    """Why no trade always has an answer."""
    core = Core()
    story(core, END_S - 15)
    quote(core, END_S - 12)
    market = core.state.markets[contract().slug]
    for bit, name in d.GATE_NAMES.items():
        market.decision = d.Decision(contract().slug, 1, 2, 0, bit, 0.0, 0.0, 0.0, 0.0)
        view = card(core, END_S - 12).decision
        assert view is not None
        assert view.reason == name
        assert len(view.sentence) > 10


def test_the_mode_says_what_stops_the_engine() -> None:
    """A latched switch shows as KILLED, with who, why and its own time; a halt as HALTED; both as KILLED."""
    core = Core()
    assert shown(core, START_S).mode.mode == "PRACTICE"
    core.feed(
        e.KillSwitchChanged(ts_recv_ms=START_S * 1000, latched=True, who="me", why="test", since_ms=5_000)
    )
    mode = shown(core, START_S).mode
    assert (mode.mode, mode.kill_who, mode.kill_why, mode.kill_since_ms) == ("KILLED", "me", "test", 5_000)
    core.feed(e.EngineHalted(ts_recv_ms=START_S * 1000, why="disk"))
    mode = shown(core, START_S).mode
    assert (mode.mode, mode.kill_latched, mode.halted_why) == ("KILLED", True, "disk")
    core.feed(e.KillSwitchChanged(ts_recv_ms=START_S * 1000, latched=False, who="", why=""))
    mode = shown(core, START_S).mode
    assert (mode.mode, mode.kill_since_ms, mode.halted_why) == ("HALTED", None, "disk")


def test_stops_and_pauses_are_told_by_the_wall() -> None:
    """Operators act by the wall; practice's clock, five times as fast, is hours ahead of it after a while."""
    core = Core()
    core.feed(e.TradingPaused(ts_recv_ms=START_S * 1000, paused=True, who="ann", why="lunch"))
    core.feed(e.ArmChanged(ts_recv_ms=START_S * 1000, armed=False, who="ann", why="lunch"))
    core.feed(e.EngineHalted(ts_recv_ms=(START_S + 10) * 1000, why="disk"))
    clock = ManualClock((START_S + 20) * 1000)
    clock.rate = 5.0
    outside = Outside(1, clock.now_ms(), 0, 1.0, 5.0, 5, 3.0, "banner", None, [], wall_at=Walls(clock).at)
    before_ms = time.time_ns() // 1_000_000
    told = project(core.state, outside)
    after_ms = time.time_ns() // 1_000_000
    assert told.account.paused_since_ms is not None
    assert told.mode.halted_since_ms is not None
    assert before_ms - 4_000 <= told.account.paused_since_ms <= after_ms - 4_000
    assert before_ms - 2_000 <= told.mode.halted_since_ms <= after_ms - 2_000
    assert told.account.armed_since_ms == told.account.paused_since_ms
    clock.advance(500.0)
    assert project(core.state, outside).account.paused_since_ms == told.account.paused_since_ms
    core.feed(e.TradingPaused(ts_recv_ms=START_S * 1000, paused=True, who="ann", why="lunch", since_ms=7_000))
    assert project(core.state, outside).account.paused_since_ms == 7_000


def test_a_silent_feed_is_stale_and_ages() -> None:
    """Age is measured now, not when something last came."""
    core = Core()
    core.feed(e.FeedOpened(ts_recv_ms=START_S * 1000, feed="rtds", epoch=1))
    core.price(START_S, 70_000)
    fresh = shown(core, START_S + 2).feeds[0]
    assert (fresh.name, fresh.connected, fresh.stale) == ("rtds", True, False)
    old = shown(core, START_S + 60).feeds[0]
    assert old.stale
    assert old.age_s == pytest.approx(60 - 1.65)


def test_divergence_is_spot_less_canonical() -> None:
    """In dollars and basis points."""
    core = Core()
    core.price(START_S, 70_000)
    core.price(START_S, 70_007, "spot", lag_ms=100)
    snapshot = shown(core, START_S + 2)
    assert snapshot.divergence_usd == 7.0
    assert snapshot.divergence_bp == pytest.approx(1.0)


def test_a_point_has_only_what_was_of_that_second() -> None:
    """A hole stays a hole: nothing is carried forward."""
    core = Core()
    story(core, START_S + 50)
    core.price(START_S + 52, 70_001)
    curves = curves_now(core.state)
    assert point_at(core.state, START_S + 51, curves).chainlink is None
    point = point_at(core.state, START_S + 52, curves)
    assert point.chainlink == 70_001.0
    assert point.contracts[contract().slug]["strike"] == 70_000.0


def test_orders_and_settlements_are_listed_newest_first() -> None:
    """With what they cost and what they paid."""
    core = Core()
    story(core, END_S - 15)
    quote(core, END_S - 12)
    order_id = next(iter(core.state.trading.orders))
    fill = e.OrderFilled(
        ts_recv_ms=(END_S - 11) * 1000, order_id=order_id, fills=((9_000, 10_000_000),), fee_e6=63_000
    )
    core.feed(fill)
    core.price(END_S, Decimal(70_400), "twap")  # type: ignore[arg-type]
    snapshot = shown(core, END_S + 2)
    assert [(order.state, order.average_price, order.fee) for order in snapshot.orders] == [
        ("partial", 0.9, 0.063)
    ]
    (settled,) = snapshot.settlements
    assert (settled.outcome, settled.traded, settled.pnl) == ("UP", True, pytest.approx(1.0 - 0.063))
    assert snapshot.money.realised == pytest.approx(0.937)
    assert snapshot.money.fees == pytest.approx(0.063)


def test_the_chart_shows_the_average_of_sixty_seconds_and_no_other() -> None:
    """From PolyBolt where that speaks, else from RTDS: what contracts settle on, not another average."""
    core = Core()
    story(core, START_S + 50)
    second = START_S + 52

    def tell(source: e.Source, dollars: str, lookback_s: int) -> None:
        core.feed(
            e.PricePrinted(
                ts_recv_ms=second * 1000 + 1_650,
                source=source,
                value=Decimal(dollars),
                ts_venue_ms=second * 1000,
                ts_sent_ms=None,
                lookback_s=lookback_s,
            )
        )

    def shown() -> float | None:
        return point_at(core.state, second, curves_now(core.state)).twap

    tell("twap", "69990", 30)
    assert shown() is None
    tell("twap", "70001", 60)
    assert shown() == 70_001.0
    tell("polybolt", "70002", 60)
    assert shown() == 70_002.0
