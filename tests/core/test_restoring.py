"""A restart: money, breakers, orders without an end and provisional fills go on as if there had been none."""

from msgspec import structs

from engine import events as e
from engine.core.fates import UNKNOWN
from engine.core.ledger import OrderChange
from engine.core.trading import OrderIntent
from engine.params import Limits
from tests.core.builders import CRYPTO_FEE, START_S, Core
from tests.core.order_story import (
    NOW_MS,
    PARAMS,
    SLUG,
    fill,
    kill,
    past_order,
    past_trade,
    quote,
    ready,
    restored,
    tell,
    trade,
)
from tests.core.test_project import shown


def again(*fills: e.PastFill, orders: tuple[e.PastOrder, ...] = (), **changes: object) -> Core:
    """Start a core on what an earlier session left, and bring it to the window."""
    core = Core(PARAMS)
    core.feed(restored(*fills, orders=orders, **changes))
    return ready(core)


def test_money_goes_on_and_is_not_written_to_the_file_again() -> None:
    """Cash, cost and trades as before; the file has them already."""
    core = again(past_trade("", is_final=True))
    ledger = core.state.ledger
    assert (ledger.cash_e6, ledger.open_cost_e6(), ledger.trades) == (-9_063_000, 9_063_000, 1)
    new = [change for change in ledger.take_changes() if not isinstance(change, OrderChange | e.PastRule)]
    assert new == []


def test_what_the_session_shows_as_its_own_leaves_earlier_ones_out() -> None:
    """A month's profit under the word "session" would make any restart look like a good day."""
    day = START_S * 1000 // 86_400_000
    paid = (e.PastSettlement("old", "UP", (day - 1) * 86_400_000 + 5),)
    old = past_trade("", is_final=True, slug="old", order_id="old#1")
    core = again(old, past_trade("", is_final=True), settlements=paid, before_e6=412_000_000)
    ledger = core.state.ledger
    assert (ledger.realised_e6 > 412_000_000, ledger.fees_e6 > 0, ledger.trades) == (True, True, 2)
    assert ledger.of_session == (0, 0, 0)
    ledger.settle(SLUG, "UP", START_S * 1000)
    assert ledger.of_session.realised_e6 == ledger.holdings[SLUG].realised_e6
    assert shown(core, START_S + 20).money.realised == ledger.of_session.realised_e6 / 1e6


def test_an_order_that_is_looked_for_again_keeps_what_it_had_bought() -> None:
    """Its one trade is final, another was told and failed: found again, it has filled, and did not fail."""
    core = again(past_trade("a", is_final=True), orders=(past_order(),))
    order = core.state.trading.orders[f"{SLUG}#1"]
    assert (order.state, order.shares_e6, order.cost_e6) == ("unknown", 10_000_000, 9_000_000)
    fill(core, order, trade("a", 10_000_000, 9_000_000))
    assert (order.state, order.shares_e6) == ("partial", 10_000_000)
    assert core.state.ledger.holdings[SLUG].shares_e6["UP"] == 10_000_000
    assert core.state.ledger.trades == 1


def test_settlements_are_replayed_in_their_order() -> None:
    """The venue's correction came last, and it counts."""
    day = START_S * 1000 // 86_400_000
    paid = tuple(e.PastSettlement("old", outcome, (day - 1) * 86_400_000 + 5) for outcome in ("UP", "DOWN"))
    core = again(past_trade("", is_final=True, slug="old", order_id="old#1"), settlements=paid)
    assert core.state.ledger.realised_on(day - 1) == -9_063_000
    assert core.state.ledger.realised_e6 == -9_063_000


def test_breakers_stay_tripped_over_a_restart() -> None:
    """Only an operator clears them."""
    core = again(breakers=(("drawdown", "why"),))
    assert quote(core) == []
    assert core.state.breakers == {"drawdown": "why"}


def test_a_window_that_was_bought_in_is_left_alone() -> None:
    """One filled BUY a window, whichever session sent it."""
    assert quote(again(past_trade("", is_final=True))) == []


def test_an_order_of_unknown_fate_goes_on_as_unknown() -> None:
    """It blocks its window, counts as spent, is in the alarms, and is known by the venue's id."""
    core = again(orders=(past_order(),))
    trading = core.state.trading
    assert trading.in_flight[f"{SLUG}#1"].state == "unknown"
    assert trading.by_venue_id["0xabc"].intent.usd_e6 == 20_000_000
    assert UNKNOWN in trading.alarms
    assert quote(core) == []


def test_an_order_of_unknown_fate_ends_as_any_other() -> None:
    """Found filled: booked, and its trades followed to the end."""
    core = again(orders=(past_order(),))
    order = core.state.trading.in_flight[f"{SLUG}#1"]
    fill(core, order, trade("t1"))
    assert core.state.ledger.cash_e6 == -9_063_000
    assert UNKNOWN not in core.state.trading.alarms
    tell(core, "t1", "FAILED")
    assert core.state.ledger.cash_e6 == 0


def test_an_order_of_unknown_fate_that_never_was_is_closed() -> None:
    """No trace of it at the venue."""
    core = again(orders=(past_order(),))
    kill(core, core.state.trading.in_flight[f"{SLUG}#1"])
    assert core.state.trading.in_flight == {}
    (change,) = [one for one in core.state.ledger.take_changes() if isinstance(one, OrderChange)]
    assert (change.state, change.venue_order_id) == ("killed", "0xabc")


def test_a_paper_order_ends_with_its_session() -> None:
    """Nobody else knows of it: it bought nothing, and the file is told so; its window is left alone."""
    core = again(orders=(past_order(venue_id=""),))
    assert core.state.trading.in_flight == {}
    (change,) = [one for one in core.state.ledger.take_changes() if isinstance(one, OrderChange)]
    assert change.state == "killed"
    assert quote(core) == []


def test_provisional_fills_are_followed_on() -> None:
    """Matched in one session, failed in the next."""
    core = again(past_trade("t1"))
    tell(core, "t1", "FAILED")
    assert core.state.ledger.cash_e6 == 0
    assert core.state.trading.ghost_fills == 1
    assert core.state.trading.orders[f"{SLUG}#1"].state == "failed"


def test_confirmed_after_a_restart_is_confirmed_in_the_file() -> None:
    """The change goes out once."""
    core = again(past_trade("t1"))
    core.state.ledger.take_changes()
    tell(core, "t1", "CONFIRMED")
    assert core.state.ledger.take_changes() == [
        e.PastFillStatus(f"{SLUG}#1", "t1", "CONFIRMED", NOW_MS + 900)
    ]


def test_a_trade_that_fails_after_a_restart_leaves_the_confirmed_one_of_its_order() -> None:
    """Half of the order is money that is there: it is no failed order, in the file either."""
    core = again(past_trade("t1", is_final=True), past_trade("t2"))
    tell(core, "t2", "FAILED")
    order = core.state.trading.orders[f"{SLUG}#1"]
    assert core.state.ledger.cash_e6 == -9_063_000
    assert order.state == "filled"
    assert (order.shares_e6, order.trades) == (10_000_000, {"t1": "CONFIRMED", "t2": "FAILED"})


def test_a_failure_of_a_trade_that_an_earlier_session_saw_confirmed_halts() -> None:
    """Two last words that contradict each other, with a restart between them."""
    core = again(past_trade("t1", is_final=True))
    tell(core, "t1", "FAILED")
    assert core.state.halted_why is not None


def test_an_exit_after_a_restart_has_a_name_of_its_own() -> None:
    """Under the name of the BUY its fill would be taken for a repetition, and the dollars lost."""
    core = again(past_trade("", is_final=True))
    (exit_,) = core.feed(sell())
    assert isinstance(exit_, OrderIntent)
    assert exit_.order_id == f"{SLUG}#2"
    core.feed(
        e.OrderFilled(ts_recv_ms=NOW_MS, order_id=exit_.order_id, fills=((9_500, 10_000_000),), fee_e6=0)
    )
    assert core.state.ledger.cash_e6 == 9_500_000 - 9_063_000
    assert core.state.ledger.holdings[SLUG].shares_e6["UP"] == 0


def test_a_sell_of_an_earlier_session_that_is_lost_holds_up_an_exit_and_a_buy_does_not() -> None:
    """It may have sold the same shares; a BUY may only have bought more."""
    held = past_trade("t1", is_final=True, order_id=f"{SLUG}#0")
    lost = structs.replace(past_order(), side="SELL", usd_e6=0, shares_e6=10_000_000)
    core = again(held, orders=(lost,))
    assert core.feed(sell()) == []
    assert core.state.marks[-1].text == "no exit: an order of this window is under way"
    core = again(held, orders=(past_order(),))
    (exit_,) = core.feed(sell())
    assert isinstance(exit_, OrderIntent)
    assert exit_.shares_e6 == 10_000_000


def test_the_fee_of_an_order_goes_on_with_it() -> None:
    """What it filled is found a day later, and the market is forgotten by then."""
    core = again(orders=(structs.replace(past_order(), fee=CRYPTO_FEE),))
    order = core.state.trading.in_flight[f"{SLUG}#1"]
    assert order.intent.fee == CRYPTO_FEE
    kill(core, order)
    (change,) = [one for one in core.state.ledger.take_changes() if isinstance(one, OrderChange)]
    assert (change.fee_rate, change.fee_exponent) == ("0.07", "1")


def losses(count: int, since_ms: int = 0) -> tuple[tuple[e.PastFill, ...], tuple[e.PastSettlement, ...]]:
    """Lose windows one after the other, a second apart."""
    fills = tuple(
        past_trade("", is_final=True, slug=f"w{number}", order_id=f"w{number}#1") for number in range(count)
    )
    return fills, tuple(
        e.PastSettlement(f"w{number}", "DOWN", since_ms + 1_000 * (number + 1)) for number in range(count)
    )


def test_results_that_an_operator_has_looked_at_do_not_trip_again() -> None:
    """Six losses, cleared: the next start does not stop for them, one more loss is the first of a new row."""
    quiet = Limits(max_loss_streak=6, max_drawdown_usd=50.0, max_surprise=1e9, edge_trades=1e6)
    fills, settlements = losses(7)

    def breakers_of(cleared_ms: int) -> set[str]:
        core = Core(PARAMS, quiet)
        core.feed(restored(*fills, settlements=settlements, cleared_ms=cleared_ms))
        assert core.state.ledger.realised_e6 == 7 * -9_063_000
        return set(core.state.breakers)

    assert breakers_of(0) == {"loss streak", "drawdown"}
    assert breakers_of(999) == {"loss streak", "drawdown"}
    assert breakers_of(6_000) == set()
    assert breakers_of(1_000) == {"loss streak", "drawdown"}, "six after it are six"


def test_a_clock_that_was_set_back_costs_no_settlement() -> None:
    """Told in the order of the file: whatever time each bears, the last word on a window counts."""
    fills, (first, second) = losses(2)
    early = structs.replace(second, at_ms=first.at_ms - 1, slug=first.slug, outcome="UP")
    for cleared_ms in (0, 500, 1_000, 1_500, 2_000):
        core = Core(PARAMS)
        core.feed(restored(*fills, settlements=(first, second, early), cleared_ms=cleared_ms))
        assert core.state.ledger.realised_e6 == 937_000 - 9_063_000, cleared_ms


def test_what_is_found_of_a_window_that_paid_out_in_an_earlier_session_is_paid_out() -> None:
    """Its only match was undone before it settled; the file has the outcome, and the core has to as well."""
    at_ms = (START_S - 86_400) * 1000
    paid = e.PastSettlement(SLUG, "DOWN", at_ms)
    core = again(orders=(past_order(),), settlements=(paid,))
    assert core.state.ledger.realised_e6 == 0
    fill(core, core.state.trading.in_flight[f"{SLUG}#1"], trade("t2"))
    assert core.state.ledger.realised_on(at_ms // 86_400_000) == -9_063_000
    assert (core.state.ledger.open_cost_e6(), core.state.ledger.unsettled()) == (0, {})


def test_windows_that_are_too_old_to_be_told_count_in_the_money() -> None:
    """Paper's cash would jump by them at each start, a month after they were won."""
    core = again(before_e6=7_000_000)
    assert (core.state.ledger.realised_e6, core.state.ledger.cash_e6) == (7_000_000, 7_000_000)


def sell() -> e.ExitAsked:
    return e.ExitAsked(ts_recv_ms=NOW_MS, slug=SLUG, outcome="UP", least_e4=9_000, who="w", why="y")
