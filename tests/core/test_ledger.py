"""Money: kept sums equal taken ones, nothing appears and nothing is lost, the venue's word replaces ours."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.ledger import DAY_MS, HOUR_MS, RECENT_KEPT, Holding, Ledger, cost_of
from engine.events import PastFill, PastFillStatus, PastSettlement
from engine.params import RESULTS_KEPT
from tests.core.builders import past_fill

SLUGS = st.sampled_from(["a", "b", "c"])
OUTCOMES = st.sampled_from(["UP", "DOWN"])
FILLS = st.lists(st.tuples(st.integers(1, 9_999), st.integers(1, 10**9)), min_size=1, max_size=4).map(tuple)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), SLUGS, OUTCOMES, FILLS, st.integers(0, 10**6)),
        st.tuples(st.just("settle"), SLUGS, OUTCOMES),
    ),
    max_size=40,
)


@given(ACTS)
def test_the_kept_sums_are_the_taken_ones(acts: list[tuple]) -> None:
    """Whatever the order of fills, settlements and corrections."""
    ledger = Ledger()
    for number, act in enumerate(acts):
        at_ms = number * HOUR_MS
        if act[0] == "fill":
            ledger.book(past_fill(*act[1:], at_ms))
        else:
            ledger.settle(*act[1:], at_ms)
    holdings = ledger.holdings.values()
    settled = [h for h in holdings if h.realised_e6 is not None]
    assert ledger.realised_e6 == sum(h.realised_e6 for h in settled)
    assert ledger.open_cost_e6() == sum(h.cost_e6 + h.fee_e6 for h in holdings if h.realised_e6 is None)
    assert ledger.fees_e6 == sum(h.fee_e6 for h in holdings)
    assert sum(ledger.realised_on(day) for day in range(3)) == ledger.realised_e6
    for holding in settled:
        assert holding.outcome is not None
        assert holding.realised_e6 == holding.shares_e6[holding.outcome] - holding.cost_e6 - holding.fee_e6


def test_a_day_is_the_utc_day_of_the_settlement() -> None:
    """A window that ends at midnight belongs to the day on which it settled."""
    ledger = Ledger()
    ledger.book(past_fill("a", "UP", ((5_000, 2_000_000),), 0, DAY_MS - 1))
    ledger.settle("a", "UP", DAY_MS)
    assert (ledger.realised_on(0), ledger.realised_on(1)) == (0, 1_000_000)


def test_a_correction_moves_the_profit_and_does_not_add_to_it() -> None:
    """Settled Up by us and Down by the venue: one loss, no gain."""
    ledger = Ledger()
    ledger.book(past_fill("a", "UP", ((9_000, 10_000_000),), 100_000, 0))
    ledger.settle("a", "UP", 1)
    ledger.settle("a", "DOWN", 2)
    assert ledger.realised_e6 == -9_100_000
    assert ledger.open_cost_e6() == 0


def test_the_hourly_count_forgets_what_is_older() -> None:
    """Trades of the last hour, at its edges."""
    ledger = Ledger()
    for at_ms in (0, 1_000, HOUR_MS):
        ledger.book(past_fill("a", "UP", ((1, 1),), 0, at_ms))
    assert ledger.trades_since(0) == 3
    assert ledger.trades_since(1_000) == 2
    assert ledger.trades_since(1_001) == 1
    assert ledger.trades == 3


@given(FILLS)
def test_cost_is_rounded_once_half_to_even(fills: tuple[tuple[int, int], ...]) -> None:
    """Never off by more than half a millionth of a dollar in total."""
    exact = sum(price * size for price, size in fills)
    assert abs(cost_of(fills) * 10_000 - exact) <= 5_000
    assert cost_of(((5_000, 1),)) == 0
    assert cost_of(((5_000, 3),)) == 2


def trade(name: str, order_id: str = "a#1", at_ms: int = 5, **changes: object) -> PastFill:
    """Make a provisional trade of an order: 10 shares of Up at 90 cents, 7 cents of fee."""
    facts = {"order_id": order_id, "trade_id": name, "is_final": False} | changes
    return past_fill("a", "UP", ((9_000, 10_000_000),), 70_000, at_ms, **facts)


def failed(name: str, order_id: str = "a#1", at_ms: int = 9) -> PastFillStatus:
    return PastFillStatus(order_id, name, "FAILED", at_ms)


def test_an_undone_fill_leaves_no_millionth_behind() -> None:
    """Cash, fees, shares, open cost and the window's share in the worst case are as if it had never been."""
    ledger = Ledger()
    ledger.book(trade("t1"))
    undone = ledger.undo("a", failed("t1"))
    assert undone is not None
    assert undone.cost_e6 == 9_000_000
    assert (ledger.cash_e6, ledger.fees_e6, ledger.open_cost_e6(), ledger.open_cost_e6(300)) == (0, 0, 0, 0)
    assert ledger.holdings["a"].shares_e6 == {"UP": 0, "DOWN": 0}
    assert ledger.unsettled() == {}


def test_what_is_not_there_cannot_be_undone() -> None:
    """Another trade, another order, another window, or twice."""
    ledger = Ledger()
    ledger.book(trade("t1"))
    ledger.take_changes()
    assert ledger.undo("a", failed("t2")) is None
    assert ledger.undo("a", failed("t1", "a#2")) is None
    assert ledger.undo("b", failed("t1")) is None
    assert ledger.undo("a", failed("t1")) is not None
    assert ledger.undo("a", failed("t1")) is None
    assert ledger.take_changes() == [failed("t1")]


def test_a_fill_is_booked_once_by_its_order_and_its_trade() -> None:
    """The same trade id of another order is another fill."""
    ledger = Ledger()
    assert ledger.book(trade("t1"))
    assert not ledger.book(trade("t1"))
    assert ledger.book(trade("t1", "a#2"))
    assert ledger.cash_e6 == 2 * -9_070_000


def test_an_order_counts_once_whatever_becomes_of_its_trades() -> None:
    """Three trades, one of them undone: one order in the hourly count."""
    ledger = Ledger()
    for name in ("t1", "t2", "t3"):
        ledger.book(trade(name))
    ledger.undo("a", failed("t2"))
    assert (ledger.trades, ledger.trades_since(0)) == (1, 1)


def test_a_confirmation_makes_a_fill_final_and_is_told_once() -> None:
    """One change for the file, no change in the money."""
    ledger = Ledger()
    ledger.book(trade("t1"))
    ledger.take_changes()
    status = PastFillStatus("a#1", "t1", "CONFIRMED", 9)
    for _ in range(2):
        ledger.confirm("a", status)
    ledger.confirm("b", status)
    assert ledger.take_changes() == [status]
    assert [fill.is_final for fill in ledger.holdings["a"].fills.values()] == [True]
    assert ledger.cash_e6 == -9_070_000


def test_a_failure_after_midnight_leaves_the_profit_on_the_day_of_the_settlement() -> None:
    """A restart would book it there, and the daily loss of a day must not depend on restarts."""
    ledger = Ledger()
    ledger.book(trade("t1"))
    ledger.book(trade("t2"))
    ledger.settle("a", "DOWN", DAY_MS - 1)
    assert ledger.realised_on(0) == -18_140_000
    ledger.undo("a", failed("t1", at_ms=DAY_MS + 5))
    assert (ledger.realised_on(0), ledger.realised_on(1)) == (-9_070_000, 0)


def test_a_fill_told_after_its_window_paid_out_is_paid_out_at_once() -> None:
    """On the day of the settlement, however late it is told."""
    ledger = Ledger()
    ledger.book(trade("t1"))
    ledger.settle("a", "UP", DAY_MS - 1)
    ledger.book(trade("t2", at_ms=DAY_MS + 5))
    assert ledger.realised_on(0) == 2 * 930_000 == ledger.realised_e6 == ledger.cash_e6
    assert ledger.open_cost_e6() == 0


def test_what_was_spent_since_a_moment_counts_settled_windows_too() -> None:
    """BUYs with their fees, less what SELLs brought, from that very millisecond on."""
    ledger = Ledger()
    ledger.book(trade("t1", at_ms=10))
    ledger.book(trade("t2", "a#2", at_ms=20, side="SELL"))
    assert ledger.spent_since_e6(0) == 9_070_000 - 9_000_000 + 70_000
    assert ledger.spent_since_e6(11) == -9_000_000 + 70_000
    assert ledger.spent_since_e6(21) == 0
    ledger.settle("a", "UP", 30)
    assert ledger.spent_since_e6(0) == 140_000
    ledger.undo("a", failed("t2", "a#2"))
    assert ledger.spent_since_e6(0) == 9_070_000, "what was undone never was"


def test_what_was_spent_looks_at_the_last_fills_only() -> None:
    """A session may run for months; an answer's age cannot hold so many."""
    ledger = Ledger()
    for number in range(RECENT_KEPT + 1):
        ledger.book(trade(f"t{number}", at_ms=10))
    assert ledger.spent_since_e6(10) == RECENT_KEPT * 9_070_000


def won(ledger: Ledger, slug: str, dollars: int, at_ms: int) -> None:
    """Settle a window that wins, or loses, whole dollars."""
    cost = 10_000_000 - max(0, dollars) * 1_000_000 if dollars > 0 else -dollars * 1_000_000
    ledger.book(past_fill(slug, "UP", ((cost // 1_000, 10_000_000),), 0, at_ms))
    ledger.settle(slug, "UP" if dollars > 0 else "DOWN", at_ms)


def test_a_profit_that_never_was_is_no_peak() -> None:
    """Up by our own word, Down by the venue's: a drawdown from it would be from nothing."""
    ledger = Ledger()
    won(ledger, "a", 1, 1)
    won(ledger, "b", 4, 2)
    assert ledger.peak_e6 == 5_000_000
    ledger.settle("b", "DOWN", 3)
    assert (ledger.peak_e6, ledger.realised_e6) == (1_000_000, -5_000_000)


def test_judged_anew_a_drawdown_begins_where_we_are() -> None:
    """No result of before is left, and the best is what there is; the money is as it was."""
    ledger = Ledger()
    won(ledger, "a", 4, 1)
    won(ledger, "b", -9, 2)
    ledger.judge_anew()
    assert (list(ledger.results), ledger.peak_e6, ledger.realised_e6) == ([], -5_000_000, -5_000_000)
    won(ledger, "c", 1, 3)
    assert ([one.slug for one in ledger.results], ledger.peak_e6) == (["c"], -4_000_000)
    assert [one.at_ms for one in ledger.results] == [3]


def winner_and_losers() -> Ledger:
    """A winner, half of it provisional, and five losers after it."""
    ledger = Ledger()
    ledger.book(trade("t1", is_final=True))
    ledger.book(trade("t2"))
    ledger.settle("a", "UP", 100)
    for number in range(5):
        won(ledger, f"l{number}", -1, 200 + number)
    return ledger


def told_again(ledger: Ledger) -> Ledger:
    """Tell a fresh ledger what a restart tells: the fills that are left, then the outcomes in their order."""
    fresh = Ledger()
    for holding in ledger.holdings.values():
        for fill in holding.fills.values():
            fresh.book(fill)
    for change in ledger.take_changes():
        if isinstance(change, PastSettlement):
            fresh.holdings.setdefault(change.slug, Holding())
            fresh.settle(change.slug, change.outcome, change.at_ms, change.source)
    return fresh


LATE: dict[str, Callable[[Ledger], object]] = {
    "failed": lambda ledger: ledger.undo("a", failed("t2", at_ms=900)),
    "found": lambda ledger: ledger.book(trade("t3", at_ms=900)),
    "corrected": lambda ledger: ledger.settle("a", "DOWN", 900),
    "corrected twice": lambda ledger: [ledger.settle("a", way, 900) for way in ("DOWN", "UP")],  # type: ignore[arg-type]
    "all undone": lambda ledger: [ledger.undo("a", failed(name, at_ms=900)) for name in ("t1", "t2")],
    "undone and found": lambda ledger: [
        *(ledger.undo("a", failed(name, at_ms=900)) for name in ("t1", "t2")),
        ledger.book(trade("t3", at_ms=950)),
    ],
}


@pytest.mark.parametrize("late", LATE)
def test_a_late_change_leaves_a_window_in_its_place(late: str) -> None:
    """As the newest result an old winner would end a row of losses; a restart has the same order."""
    ledger = winner_and_losers()
    LATE[late](ledger)
    slugs = [result.slug for result in ledger.results]
    assert slugs == ([] if late == "all undone" else ["a"]) + [f"l{number}" for number in range(5)]
    again = told_again(ledger)
    assert list(again.results) == list(ledger.results)
    assert (again.peak_e6, again.realised_e6) == (ledger.peak_e6, ledger.realised_e6)


def test_a_change_of_a_window_that_is_no_longer_kept_makes_it_no_new_result() -> None:
    """It stood before the last two hundred, and does so still."""
    ledger = winner_and_losers()
    for number in range(RESULTS_KEPT):
        won(ledger, f"m{number}", -1, 1_000 + number)
    before = list(ledger.results)
    ledger.undo("a", failed("t2", at_ms=5_000))
    assert (len(before), list(ledger.results)) == (RESULTS_KEPT, before)


def test_a_failed_trade_of_a_window_that_was_judged_before_is_no_new_result() -> None:
    """An operator has looked at it: what is left of it ends no row of losses after that."""
    ledger = winner_and_losers()
    ledger.judge_anew()
    won(ledger, "b", -1, 1_000)
    peak_e6 = ledger.peak_e6
    ledger.undo("a", failed("t2", at_ms=2_000))
    assert [result.slug for result in ledger.results] == ["b"]
    assert ledger.peak_e6 == peak_e6, "what is missing since then is a drawdown"


def test_a_correction_of_what_was_judged_before_moves_the_walk_by_its_difference_only() -> None:
    """Won 4 before, lost 6 by the venue after: 10 less, and not 6 less."""
    ledger = Ledger()
    won(ledger, "a", 4, 1)
    ledger.judge_anew()
    ledger.settle("a", "DOWN", 2)
    for at_ms, slug in enumerate("bcde", 3):
        won(ledger, slug, 9, at_ms)
    ledger.settle("b", "DOWN", 9)
    assert ledger.realised_e6 == (-6 - 1 + 3 * 9) * 1_000_000
    assert ledger.peak_e6 == ledger.realised_e6


def test_what_is_too_old_to_be_told_counts_in_money_and_peak() -> None:
    """A month ago it won 7: losing 2 now is a drawdown of 2 from 7."""
    ledger = Ledger()
    ledger.go_on_from(7_000_000)
    assert (ledger.realised_e6, ledger.cash_e6, ledger.peak_e6) == (7_000_000,) * 3
    won(ledger, "a", -2, 1)
    assert (ledger.realised_e6, ledger.peak_e6) == (5_000_000, 7_000_000)


def test_shares_sold_short_are_at_stake_and_a_long_side_is_not_owed() -> None:
    """Ten owed at a dollar each, less what they brought."""
    ledger = Ledger()
    ledger.book(past_fill("a", "UP", ((9_000, 10_000_000),), 0, 5, side="SELL"))
    assert ledger.open_cost_e6() == 10_000_000 - 9_000_000
    ledger.book(past_fill("a", "DOWN", ((2_000, 1_000_000),), 0, 6))
    assert ledger.open_cost_e6() == 1_200_000


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["book", "fail", "up", "down"])), max_size=30))
def test_the_changes_tell_a_fresh_ledger_everything(acts: list[tuple[int, str]]) -> None:
    """What the file is told is what there is to know."""
    ledger, fresh = Ledger(), Ledger()
    for at_ms, (number, act) in enumerate(acts):
        if act == "book":
            ledger.book(trade(f"t{number}", at_ms=at_ms))
        elif act == "fail":
            ledger.undo("a", failed(f"t{number}", at_ms=at_ms))
        else:
            ledger.settle("a", "UP" if act == "up" else "DOWN", at_ms)
    for change in ledger.take_changes():
        if isinstance(change, PastFill):
            fresh.book(change)
        elif isinstance(change, PastFillStatus):
            fresh.undo("a", change)
        else:
            fresh.settle(change.slug, change.outcome, change.at_ms)  # type: ignore[union-attr]
    for name in ("cash_e6", "fees_e6", "realised_e6", "peak_e6", "trades", "results"):
        assert getattr(ledger, name) == getattr(fresh, name), name
    assert ledger.open_cost_e6() == fresh.open_cost_e6()
