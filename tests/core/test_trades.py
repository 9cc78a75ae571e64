"""How far trades are: MATCHED is not final, and what is told twice, early, backwards or wrongly."""

import itertools

import pytest

from engine import events as e
from engine.core.fates import AFTER_ITS_END
from engine.core.orders import UNKNOWN
from engine.core.trades import GHOST, ORDER_ALARMS_KEPT, raise_of_order
from engine.core.trading import Order
from engine.metric_samples import kind_of_alarm
from engine.params import Limits
from tests.core.builders import Core
from tests.core.order_story import NOW_MS, PARAMS, SLUG, bought, fill, kill, lose, quote, sign, tell, trade


def matched(*names: str) -> Core:
    """Bring a core to an order that was matched in trades of 10 shares for 9 dollars and 6.3 cents of fee."""
    core, order = bought()
    sign(core, order)
    fill(core, order, *(trade(name) for name in names))
    return core


def order_of(core: Core) -> Order:
    return next(iter(core.state.trading.orders.values()))


def test_a_match_is_booked_as_provisional_and_confirmed_later() -> None:
    """The money is the same; only its certainty changes."""
    core = matched("t1")
    holding = core.state.ledger.holdings[SLUG]
    assert [one.is_final for one in holding.fills.values()] == [False]
    tell(core, "t1", "MINED")
    assert [one.is_final for one in holding.fills.values()] == [False]
    tell(core, "t1", "CONFIRMED")
    assert [one.is_final for one in holding.fills.values()] == [True]
    assert core.state.ledger.cash_e6 == -9_063_000
    assert core.state.trading.trades_to_follow == {}


def test_a_trade_that_fails_is_undone_to_the_last_millionth() -> None:
    """As if it had never been: cash, shares, fees, open cost; the order is failed, the ghost is counted."""
    core = matched("t1")
    tell(core, "t1", "FAILED")
    ledger, trading = core.state.ledger, core.state.trading
    assert (ledger.cash_e6, ledger.fees_e6, ledger.open_cost_e6()) == (0, 0, 0)
    assert ledger.holdings[SLUG].shares_e6 == {"UP": 0, "DOWN": 0}
    assert order_of(core).state == "failed"
    assert trading.ghost_fills == 1
    assert trading.alarms == {f"{GHOST} {SLUG}#1": "trade t1 failed after its match, 1 of this session"}
    assert [mark.text for mark in core.state.marks][-1] == "ghost fill: trade t1 failed after its match"


def test_each_ghost_has_an_alarm_of_its_own_and_the_newest_few_stand() -> None:
    """Alarms are posted once by name: one name for all would hide the second. None of them ends by itself."""
    core, names = Core(), []
    for number in range(ORDER_ALARMS_KEPT + 2):
        raise_of_order(core.state, GHOST, f"{SLUG}#{number}", "failed")
        names.append(f"{GHOST} {SLUG}#{number}")
        raise_of_order(core.state, AFTER_ITS_END, f"{SLUG}#{number}", "filled")
    raise_of_order(core.state, GHOST, f"{SLUG}#3", "failed again")
    names.append(names.pop(3))
    ghosts = {name: why for name, why in core.state.trading.alarms.items() if name.startswith(GHOST)}
    assert list(ghosts) == names[-ORDER_ALARMS_KEPT:]
    assert ghosts[names[-1]] == "failed again"
    assert len(core.state.trading.alarms) == 2 * ORDER_ALARMS_KEPT, "each kind is bounded for itself"
    assert {kind_of_alarm(name) for name in core.state.trading.alarms} == {GHOST, AFTER_ITS_END}


def test_of_two_trades_one_fails_and_the_other_stays() -> None:
    """Half of the order is left, and it is no failed order."""
    core = matched("t1", "t2")
    tell(core, "t1", "FAILED")
    tell(core, "t2", "CONFIRMED")
    order = order_of(core)
    assert core.state.ledger.cash_e6 == -9_063_000
    assert (order.shares_e6, order.cost_e6, order.fee_e6) == (10_000_000, 9_000_000, 63_000)
    assert order.state in ("partial", "filled")
    assert order.trades == {"t1": "FAILED", "t2": "CONFIRMED"}


@pytest.mark.parametrize("word", ["CONFIRMED", "FAILED"])
def test_a_last_word_that_comes_before_the_order_s_answer_is_remembered(word: str) -> None:
    """The user channel is faster than a slow POST."""
    core, order = bought()
    sign(core, order)
    tell(core, "t1", word)
    assert core.state.ledger.cash_e6 == 0
    fill(core, order, trade("t1"))
    assert core.state.ledger.cash_e6 == (-9_063_000 if word == "CONFIRMED" else 0)
    assert core.state.trading.trades_to_follow == {}
    assert core.state.trading.ghost_fills == (word == "FAILED")


@pytest.mark.parametrize("told", list(itertools.permutations(["MATCHED", "MINED", "RETRYING", "CONFIRMED"])))
def test_statuses_in_any_order_come_to_the_same(told: tuple[str, ...]) -> None:
    """What is less far than what is known says nothing new."""
    core = matched("t1")
    for status in (*told, *told):
        tell(core, "t1", status)
    assert order_of(core).trades == {"t1": "CONFIRMED"}
    assert core.state.ledger.cash_e6 == -9_063_000
    assert core.state.halted_why is None


def test_a_failure_told_three_times_is_undone_once() -> None:
    """By the user channel, by the poll, and again."""
    core = matched("t1", "t2")
    for _ in range(3):
        tell(core, "t1", "FAILED")
    assert core.state.ledger.cash_e6 == -9_063_000
    assert core.state.trading.ghost_fills == 1


@pytest.mark.parametrize("words", [("CONFIRMED", "FAILED"), ("FAILED", "CONFIRMED")])
def test_two_last_words_that_contradict_each_other_halt(words: tuple[str, str]) -> None:
    """Money is not where we think, and nobody knows where; the first word stays booked."""
    core = matched("t1")
    tell(core, "t1", words[0])
    booked = core.state.ledger.cash_e6
    tell(core, "t1", words[1])
    assert core.state.halted_why == f"trade t1 was told as {words[0]} and as {words[1]}"
    assert core.state.ledger.cash_e6 == booked


def test_trades_of_nobody_change_nothing() -> None:
    """A trade of another client, and a status that the venue does not have."""
    core = matched("t1")
    tell(core, "t9", "FAILED", "0xother")
    tell(core, "t9", "CONFIRMED", "0xother")
    tell(core, "t1", "LOUD")
    assert core.state.ledger.cash_e6 == -9_063_000
    assert order_of(core).trades == {"t1": "MATCHED"}
    assert core.state.trading.ghost_fills == 0


def test_the_user_channel_tells_the_same_as_the_poll() -> None:
    """One path for both."""
    core = matched("t1")
    core.feed(
        e.AccountTradeTold(
            ts_recv_ms=NOW_MS + 900,
            trade_id="t1",
            venue_order_id="0xabc",
            market="0xc0",
            token="1001",
            side="BUY",
            price_e4=9_000,
            size_e6=10_000_000,
            status="FAILED",
            ts_venue_ms=NOW_MS,
        )
    )
    assert core.state.ledger.cash_e6 == 0


def test_the_user_channel_s_word_on_an_order_books_nothing() -> None:
    """Matched sizes are told there too; what they are worth is in the trades."""
    core, order = bought()
    sign(core, order)
    core.feed(
        e.AccountOrderTold(
            ts_recv_ms=NOW_MS + 50,
            venue_order_id="0xabc",
            market="0xc0",
            token="1001",
            change="UPDATE",
            status="MATCHED",
            size_e6=10_000_000,
            matched_e6=10_000_000,
            ts_venue_ms=NOW_MS,
        )
    )
    assert order.state == "signed"
    assert core.state.ledger.cash_e6 == 0


def test_a_market_whose_trade_failed_is_left_alone() -> None:
    """What failed once at the chain may fail again: no second try in this window."""
    core = matched("t1")
    tell(core, "t1", "FAILED")
    core.price(NOW_MS // 1000 - 1, 70_025.0)
    assert quote(core, NOW_MS + 3_000) == []
    decision = core.state.markets[SLUG].decision
    assert decision is not None
    assert decision.reason == "one order a market"


def test_failed_orders_count_as_errors() -> None:
    """One ghost is enough where one error is."""
    core, order = bought(Core(PARAMS, Limits(max_order_errors=1.0)))
    sign(core, order)
    fill(core, order, trade("t1"))
    assert core.state.breakers == {}
    tell(core, "t1", "FAILED")
    assert core.state.breakers == {"order errors": "1 of the last 1 orders denied, rejected, failed or lost"}


def test_an_unknown_order_that_turns_out_filled_is_followed_too() -> None:
    """Found by hash, failed at the chain."""
    core, order = bought()
    sign(core, order)
    lose(core, order)
    fill(core, order, trade("t1"), at_ms=NOW_MS + 5_000)
    tell(core, "t1", "FAILED")
    assert core.state.ledger.cash_e6 == 0
    assert order.state == "failed"


def test_a_failure_after_the_window_paid_out_takes_the_payout_back_too() -> None:
    """Nothing was bought, so nothing was won; the profit leaves the day on which it was booked."""
    core = matched("t1", "t2")
    ledger = core.state.ledger
    ledger.settle(SLUG, "UP", NOW_MS + 20_000)
    assert ledger.realised_e6 == 2 * (10_000_000 - 9_063_000)
    tell(core, "t1", "FAILED")
    assert ledger.realised_e6 == 937_000
    assert ledger.realised_on((NOW_MS + 20_000) // 86_400_000) == 937_000
    assert ledger.cash_e6 == 937_000


@pytest.mark.parametrize("status", ["MATCHED", "MINED", "RETRYING", "CONFIRMED"])
def test_a_trade_of_an_order_that_ended_without_it_makes_the_order_unknown_again(status: str) -> None:
    """Killed by its answer, matched by the user channel: it counts as spent, and is looked for."""
    core, order = bought()
    sign(core, order)
    kill(core, order)
    core.state.ledger.take_changes()
    tell(core, "t1", status)
    assert (order.state, order.ended_at_ms) == ("unknown", None)
    assert core.state.trading.in_flight == {order.intent.order_id: order}
    assert core.state.trading.alarms[UNKNOWN].endswith("trade t1 is told of it, and was not booked")
    (change,) = core.state.ledger.take_changes()
    assert (change.state, change.ended_ms) == ("unknown", None)  # type: ignore[union-attr]
    assert quote(core, NOW_MS + 3_000) == []
    fill(core, order, trade("t1"), at_ms=NOW_MS + 4_000)
    assert core.state.ledger.cash_e6 == -9_063_000
    assert UNKNOWN not in core.state.trading.alarms
    assert order.trades == {"t1": status}


def test_a_failed_trade_of_an_order_that_ended_without_it_changes_nothing() -> None:
    """What never was was never missed."""
    core, order = bought()
    sign(core, order)
    kill(core, order)
    tell(core, "t1", "FAILED")
    assert order.state == "killed"
    assert core.state.trading.in_flight == {}


def test_a_word_on_a_trade_of_ours_under_another_order_s_id_is_not_acted_upon() -> None:
    """Undone by somebody else's failure, money would be gone that is there."""
    core = matched("t1")
    tell(core, "t1", "FAILED", "0xother")
    assert core.state.ledger.cash_e6 == -9_063_000
    assert order_of(core).trades == {"t1": "MATCHED"}


def test_an_order_that_is_looked_for_stays_looked_for_when_what_is_known_of_it_fails() -> None:
    """Failed, nobody would look for its other trade, and its dollars would be reserved for ever."""
    core = matched("t1")
    order = order_of(core)
    tell(core, "t2", "MATCHED")
    tell(core, "t1", "FAILED")
    assert order.state == "unknown"
    fill(core, order, trade("t2"), at_ms=NOW_MS + 2_000)
    assert (order.state, order.shares_e6) == ("partial", 10_000_000)
    assert core.state.trading.in_flight == {}
    assert core.state.ledger.cash_e6 == -9_063_000


def test_an_order_of_which_only_ghosts_are_found_is_failed() -> None:
    """Nothing of it is left, and it is an order error as any other of that kind."""
    core = matched("t1")
    order = order_of(core)
    tell(core, "t2", "MATCHED")
    tell(core, "t1", "FAILED")
    fill(core, order, trade("t1"), at_ms=NOW_MS + 2_000)
    assert (order.state, order.shares_e6) == ("failed", 0)
    assert core.state.trading.in_flight == {}
    assert core.state.ledger.cash_e6 == 0


@pytest.mark.parametrize(("first", "state"), [("MINED", "partial"), ("FAILED", "failed")])
def test_an_order_of_which_no_more_is_found_keeps_the_end_it_had(first: str, state: str) -> None:
    """Killed, its window would be free for a second BUY beside what the first one bought."""
    core = matched("t1")
    order = order_of(core)
    tell(core, "t2", "MATCHED")
    tell(core, "t1", first)
    kill(core, order, NOW_MS + 1_000)
    assert order.state == state
    assert core.state.trading.in_flight == {}
    core.price(NOW_MS // 1000 - 1, 70_025.0)
    assert quote(core, NOW_MS + 3_000) == []
    tell(core, "t1", "FAILED")
    assert order.state == "failed"


def test_a_last_word_under_another_order_s_id_does_not_drown_the_same_word_under_ours() -> None:
    """Remembered, it made the true one look as if it were told twice: a ghost stayed booked."""
    core = matched("t1")
    tell(core, "t1", "FAILED", "0xother")
    tell(core, "t1", "FAILED")
    assert core.state.ledger.cash_e6 == 0
    assert order_of(core).trades == {"t1": "FAILED"}
    core = matched("t1")
    tell(core, "t1", "CONFIRMED", "0xother")
    tell(core, "t1", "FAILED")
    assert core.state.halted_why is None
    assert core.state.ledger.cash_e6 == 0
