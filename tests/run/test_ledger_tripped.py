"""A breaker whose row did not get into the ledger's file is found in the journal of its session."""

import sqlite3
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest
from msgspec import structs

from engine import events as e
from engine.core.orders import ORDERS_KEPT
from engine.core.state import State
from engine.core.step import step
from engine.core.trading import OrderIntent
from engine.journal import Journal
from engine.kill import CLEAR_PHRASE
from engine.params import Limits
from engine.run.ledger import tripped
from engine.run.ledger.file import FILE_NAMES, LedgerFile, clear_tripped
from tests.core.builders import past_fill

NOW_MS = 1_789_999_800_000
LIMITS = Limits(max_order_errors=3, max_loss_streak=2)


def crashed(folder: Path, *told: e.AnyEvent, **others: float) -> None:
    """Leave a session of live trading that ended without a word; each order is wanted as it is told of.

    Args:
        folder: The data folder.
        told: What happened to its orders.
        others: Limits that this version does not know.
    """
    journal = Journal(folder / "sessions" / "s1.sqlite", {"session": "s1"})
    opening = e.SessionOpened(
        ts_recv_ms=NOW_MS,
        session="s1",
        venue="external",
        dry_run=False,
        profile="live",
        params=dict(others),
        limits=LIMITS._asdict() | others,
        killed=False,
    )
    wanted: set[str] = set()
    for seq, event in enumerate((opening, e.SecondPassed(ts_recv_ms=NOW_MS), *told), 1):
        name = getattr(event, "order_id", "")
        if name and name not in wanted:
            wanted.add(name)
            slug = name.partition("#")[0]
            intent = OrderIntent(name, slug, "UP", "1", 9_000, 20_000_000, NOW_MS, 1, 300, 0.95)
            journal.record_output(seq - 1, 0, intent)
        journal.record(e.Record(seq, event))
    journal.close("running")


def rejected(order_id: str) -> e.OrderRejected:
    return e.OrderRejected(ts_recv_ms=NOW_MS + 7, order_id=order_id, code="other", reason="no")


def denied(order_id: str) -> e.OrderDenied:
    return e.OrderDenied(ts_recv_ms=NOW_MS + 7, order_id=order_id, reason="too late")


def lost(order_id: str) -> e.OrderUnknown:
    return e.OrderUnknown(ts_recv_ms=NOW_MS + 8, order_id=order_id, reason="no answer")


def killed(order_id: str) -> e.OrderKilled:
    return e.OrderKilled(ts_recv_ms=NOW_MS + 9, order_id=order_id, reason="no match")


def filled(order_id: str) -> e.OrderFilled:
    return e.OrderFilled(
        ts_recv_ms=NOW_MS + 6, order_id=order_id, fills=((9_000, 1_000_000),), fee_e6=0, is_final=True
    )


SIGNED = e.OrderSigned(
    ts_recv_ms=NOW_MS + 5, order_id="b#1", venue_order_id="0xb", maker_e6=900_000, taker_e6=1_000_000
)


def trade_told(status: str) -> e.AccountTradeTold:
    return e.AccountTradeTold(
        ts_recv_ms=NOW_MS + 9,
        trade_id="t1",
        venue_order_id="0xb",
        market="0x1",
        token="1",
        side="BUY",
        price_e4=9_000,
        size_e6=1_000_000,
        status=status,
        ts_venue_ms=NOW_MS,
    )


def resolved(slug: str, outcome: str) -> e.OutcomeServed:
    return e.OutcomeServed(
        ts_recv_ms=NOW_MS + 10,
        slug=slug,
        outcome="UP" if outcome == "UP" else "DOWN",
        strike=None,
        final=None,
    )


def ledger(folder: Path) -> LedgerFile:
    return LedgerFile(folder / FILE_NAMES["live"], "s2", "live")


def told(folder: Path) -> dict[str, str]:
    """Return the breakers that the next start is told of."""
    file = ledger(folder)
    try:
        return dict(file.restore(folder / "sessions", NOW_MS + 60_000).breakers)
    finally:
        file.close()


def test_orders_that_were_refused_trip_it(tmp_path: Path) -> None:
    """The disk of the ledger was full from the second on; the third tripped the breaker."""
    crashed(tmp_path, rejected("a#1"), lost("b#1"), killed("b#1"), rejected("c#1"), filled("d#1"))
    why = "3 of the last 3 orders denied, rejected, failed or lost"
    assert told(tmp_path) == {"order errors": why}
    assert told(tmp_path) == {"order errors": why}, "it stays until it is cleared"


def test_orders_that_we_held_back_ourselves_count(tmp_path: Path) -> None:
    """The last gate refuses what the venue would."""
    crashed(tmp_path, denied("a#1"), denied("b#1"), denied("c#1"))
    assert list(told(tmp_path)) == ["order errors"]


def test_errors_that_lie_ten_orders_back_do_not_count(tmp_path: Path) -> None:
    """Nor does a second end of an order that has one."""
    fine = [killed(f"{slug}#1") for slug in "cdefghijk"]
    crashed(tmp_path, rejected("a#1"), rejected("b#1"), *fine, rejected("k#1"), rejected("l#1"))
    assert told(tmp_path) == {}


def test_each_end_counts_when_it_came(tmp_path: Path) -> None:
    """An order that was wanted after three errors in a row takes none of them back."""
    errors = [rejected(f"{slug}#1") for slug in "abc"]
    crashed(tmp_path, *errors, *(killed(f"{slug}#1") for slug in "defghijklmno"))
    assert list(told(tmp_path)) == ["order errors"]


def before(breakers: tuple[tuple[str, str], ...] = ()) -> e.LedgerRestored:
    """What an earlier session left: a window that was lost."""
    fill = past_fill("z", "UP", ((9_000, 1_000_000),), 0, NOW_MS - 900_000, order_id="z#1")
    return e.LedgerRestored(
        ts_recv_ms=NOW_MS,
        fills=(fill,),
        settlements=(e.PastSettlement("z", "DOWN", NOW_MS - 800_000),),
        breakers=breakers,
        unresolved=(),
    )


def test_a_streak_goes_on_from_the_session_before(tmp_path: Path) -> None:
    """One loss there and one here are two in a row; the win after them takes nothing back."""
    ends = (filled("a#1"), filled("b#1"), resolved("a", "DOWN"), resolved("b", "UP"))
    crashed(tmp_path, before(), *ends)
    assert told(tmp_path) == {"loss streak": "2 losing windows in a row"}


def test_what_a_session_was_told_is_not_its_own(tmp_path: Path) -> None:
    """It was cleared since, in a file that was put back."""
    crashed(tmp_path, before((("order errors", "long ago"),)), killed("a#1"))
    assert told(tmp_path) == {}


@pytest.mark.parametrize("heard", ["asked", "told"])
def test_an_order_of_a_match_that_failed_counts(tmp_path: Path, heard: str) -> None:
    """Its trade was undone in the end, so nothing filled."""
    trade = e.Trade("t1", 1_000_000, 900_000, 0)
    match = e.OrderFilled(
        ts_recv_ms=NOW_MS + 6, order_id="b#1", fills=(), fee_e6=0, trades=(trade,), is_final=False
    )
    failed: e.AnyEvent = e.TradeStatusTold(
        ts_recv_ms=NOW_MS + 9, venue_order_id="0xb", trade_id="t1", status="FAILED"
    )
    if heard == "told":
        failed = trade_told("FAILED")
    crashed(tmp_path, rejected("a#1"), SIGNED, match, rejected("c#1"), failed)
    assert list(told(tmp_path)) == ["order errors"]


def test_an_order_that_ended_and_is_told_to_have_matched_is_lost(tmp_path: Path) -> None:
    """What was told of its end was wrong; the breakers look when the next order ends."""
    matched = trade_told("MATCHED")
    crashed(tmp_path, rejected("a#1"), SIGNED, killed("b#1"), rejected("c#1"), matched, killed("d#1"))
    assert list(told(tmp_path)) == ["order errors"]


@pytest.mark.parametrize(
    "ends", [(rejected("a#1"), rejected("b#1")), (rejected("a#1"), lost("b#1"), lost("b#1"))]
)
def test_fewer_errors_trip_nothing(tmp_path: Path, ends: tuple[e.AnyEvent, ...]) -> None:
    """Two of three that are allowed, whatever is told twice."""
    crashed(tmp_path, *ends, killed("c#1"))
    assert told(tmp_path) == {}


def test_a_limit_that_was_tightened_counts(tmp_path: Path) -> None:
    """From there on, as in the session."""
    tightened = e.LimitsTightened(
        ts_recv_ms=NOW_MS + 5, limits={"max_order_errors": 2.0}, who="me", why="a bad day"
    )
    crashed(tmp_path, tightened, rejected("a#1"), rejected("b#1"))
    assert list(told(tmp_path)) == ["order errors"]


def test_a_session_of_another_version_stops_no_start(tmp_path: Path) -> None:
    """Its limits and parameters may have other names; those of its breakers still count."""
    crashed(tmp_path, rejected("a#1"), rejected("b#1"), rejected("c#1"), max_orders_a_fortnight=3.0)
    assert list(told(tmp_path)) == ["order errors"]


def test_losses_that_were_followed_by_a_win_trip_it(tmp_path: Path) -> None:
    """It tripped at the second loss; what was bought before then won, and clears nothing."""
    bought = [filled(f"{slug}#1") for slug in "abc"]
    crashed(tmp_path, *bought, resolved("a", "DOWN"), resolved("b", "DOWN"), resolved("c", "UP"))
    assert told(tmp_path) == {"loss streak": "2 losing windows in a row"}


def test_an_outcome_that_came_before_its_fill_counts(tmp_path: Path) -> None:
    """The venue may tell of a match when the window is over."""
    ends = (resolved("a", "DOWN"), filled("a#1"), filled("b#1"), resolved("b", "DOWN"), filled("c#1"))
    crashed(tmp_path, *ends, resolved("c", "UP"))
    assert told(tmp_path) == {"loss streak": "2 losing windows in a row"}


def test_what_an_operator_cleared_after_the_crash_does_not_come_back(tmp_path: Path) -> None:
    """Neither the breaker nor the losses: he decided on all that had happened."""
    ledger(tmp_path).close()
    bought = [filled(f"{slug}#1") for slug in "de"]
    losses = [resolved(slug, "DOWN") for slug in "de"]
    crashed(tmp_path, rejected("a#1"), rejected("b#1"), rejected("c#1"), *bought, *losses)
    names, problem = clear_tripped(tmp_path, CLEAR_PHRASE, "me", "looked at it")
    assert (names, problem) == (["loss streak (live)", "order errors (live)"], None)
    assert told(tmp_path) == {}
    file = ledger(tmp_path)
    restored = file.restore(tmp_path / "sessions", NOW_MS + 60_000)
    file.close()
    assert (len(restored.settlements), restored.cleared_ms) == (2, NOW_MS + 10)


def test_one_that_is_cleared_without_its_file_stays_cleared(tmp_path: Path) -> None:
    """It was moved aside, as our own words advise for a damaged one."""
    crashed(tmp_path, rejected("a#1"), rejected("b#1"), rejected("c#1"))
    cleared = clear_tripped(tmp_path, CLEAR_PHRASE, "me", "looked at it")
    assert cleared == (["order errors (live)"], None)
    assert told(tmp_path) == {}


def test_a_ledger_that_cannot_be_asked_keeps_no_other_s_breakers(tmp_path: Path) -> None:
    """A damaged session on paper is no reason to leave live trading stopped; and it is named."""
    ledger(tmp_path).close()
    crashed(tmp_path, rejected("a#1"), rejected("b#1"), rejected("c#1"))
    path = tmp_path / FILE_NAMES["paper"]
    path.write_bytes(b"no ledger at all" * 100)
    names, problem = clear_tripped(tmp_path, CLEAR_PHRASE, "me", "looked at it")
    assert names == ["order errors (live)"]
    assert problem is not None
    assert problem.startswith("those of paper are as they were: cannot keep the ledger in")
    assert "\n" not in problem


def test_a_disk_that_is_full_when_they_are_cleared_is_one_line(tmp_path: Path) -> None:
    """What was cleared before is told all the same, and this one's stay tripped."""
    path = tmp_path / FILE_NAMES["live"]
    for world in ("paper", "live"):
        file = LedgerFile(tmp_path / FILE_NAMES[world], "s1", world)  # type: ignore[index, arg-type]
        file.write(1, [], {"drawdown": "too much"}, NOW_MS)
        file.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TRIGGER no BEFORE INSERT ON cleared BEGIN SELECT RAISE(ABORT, 'full'); END")
        names, problem = clear_tripped(tmp_path, CLEAR_PHRASE, "me", "looked at it")
        assert names == ["drawdown"]
        assert problem is not None
        assert problem.startswith("those of live are as they were: cannot keep the ledger in")
        other.execute("DROP TRIGGER no")
    assert told(tmp_path) == {"drawdown": "too much"}


def test_the_orders_of_weeks_are_walked_in_step_with_their_number(tmp_path: Path) -> None:
    """Paper orders wait for their outcome to be compared with what was assumed: none of that is kept here."""
    assumed = (e.Assumed("front", 1_000_000, 900_000, 0),)
    orders = [structs.replace(killed(f"w{number}#1"), assumed=assumed) for number in range(600)]
    crashed(tmp_path, *orders)
    seen: list[int] = []

    def looked(state: State, record: e.Record) -> object:
        seen.append(len(state.trading.orders))
        return step(state, record)

    with patch.object(tripped, "step", looked):
        assert told(tmp_path) == {}
    assert len(seen) > 600
    assert seen[-1] <= ORDERS_KEPT


def test_what_the_file_knows_is_left_as_it_is(tmp_path: Path) -> None:
    """Its row says when it tripped."""
    file = ledger(tmp_path)
    file.write(
        1, [past_fill("z", "UP", ((9_000, 10_000_000),), 0, NOW_MS)], {"order errors": "as seen"}, NOW_MS
    )
    file.close()
    crashed(tmp_path, rejected("a#1"), rejected("b#1"), rejected("c#1"))
    assert told(tmp_path) == {"order errors": "as seen"}
