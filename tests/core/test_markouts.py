"""What a fill was worth afterwards, and what paper's three assumptions come to."""

import pytest

from engine import events as e
from engine.core import markouts
from engine.core.trading import Order, OrderIntent
from tests.core.builders import END_S, START_S, UP, Core
from tests.core.order_story import SLUG, ready

FILLED_MS = (START_S + 100) * 1000


def holding(side: e.Side = "BUY") -> tuple[Core, Order]:
    """Fill an order of 10 shares at 90 cents, in the middle of the window."""
    core = Core()
    core.describe()
    core.second(START_S + 99)
    intent = OrderIntent(f"{SLUG}#1", SLUG, "UP", UP, 9_000, 9_000_000, FILLED_MS, 1, END_S, 0.9, side)
    order = Order(intent, FILLED_MS)
    core.state.trading.orders[intent.order_id] = core.state.trading.in_flight[intent.order_id] = order
    core.feed(
        e.OrderFilled(
            ts_recv_ms=FILLED_MS, order_id=intent.order_id, fills=((9_000, 10_000_000),), fee_e6=63_000
        )
    )
    return core, order


def mid(core: Core, second: int, cents: int) -> None:
    """Show a book around a mid, then let the second pass."""
    core.book(UP, [(cents - 1, 50)], [(cents + 1, 50)], (START_S + 100 + second) * 1000 - 1)
    core.second(START_S + 100 + second)


def test_markouts_are_taken_one_five_and_thirty_seconds_after_the_fill() -> None:
    """At those seconds and at no other; dollars a share above the price paid."""
    core, order = holding()
    for second in range(1, 40):
        mid(core, second, 50 + second)
    assert order.markouts == pytest.approx({1: 0.51 - 0.9, 5: 0.55 - 0.9, 30: 0.80 - 0.9})


def test_a_second_that_was_missed_stays_a_hole() -> None:
    """A mid a second too late is another mid; one within the second counts."""
    core, order = holding()
    mid(core, 2, 91)
    core.book(UP, [(91, 50)], [(93, 50)], FILLED_MS + 5_100)
    core.feed(e.SecondPassed(ts_recv_ms=FILLED_MS + 5_999))
    assert order.markouts == pytest.approx({5: 0.02})


def test_a_one_sided_book_has_no_mid() -> None:
    """Nobody bids: the hole stays a hole."""
    core, order = holding()
    core.book(UP, [], [(91, 50)], FILLED_MS + 900)
    core.second(START_S + 101)
    assert order.markouts == {}


def test_a_sell_is_marked_the_other_way_round() -> None:
    """Sold at 90 cents before it fell to 80: ten cents well sold."""
    core, order = holding("SELL")
    mid(core, 1, 80)
    assert order.markouts == pytest.approx({1: 0.10})


def test_an_order_that_filled_nothing_has_no_markouts() -> None:
    """There is no price to compare with."""
    core, order = holding()
    order.shares_e6 = 0
    mid(core, 1, 80)
    assert order.markouts == {}


@pytest.mark.parametrize(("outcome", "value"), [("UP", 1.0), ("DOWN", 0.0)])
def test_the_last_markout_is_the_payout(outcome: str, value: float) -> None:
    """A dollar or nothing a share; the order is not looked at any more."""
    core, order = holding()
    markouts.settle(core.state, "another", "UP")
    assert order.settled_value is None
    markouts.settle(core.state, SLUG, outcome)  # type: ignore[arg-type]
    assert order.settled_value == value
    assert core.state.trading.honesty.open == {}


def answered(core: Core, name: str, told: tuple[e.Assumed, ...], *, is_filled: bool) -> None:
    """Answer a paper order that ``intent`` stands for, with what the assumptions come to."""
    intent = OrderIntent(name, SLUG, "UP", UP, 9_500, 20_000_000, 1, 1, END_S, 0.9)
    core.state.trading.orders[name] = core.state.trading.in_flight[name] = Order(intent, 1)
    if is_filled:
        arrival = told[1]
        price = arrival.cost_e6 * 10_000 // arrival.shares_e6
        core.feed(
            e.OrderFilled(
                ts_recv_ms=core.state.now_ms,
                order_id=name,
                fills=((price, arrival.shares_e6),),
                fee_e6=arrival.fee_e6,
                assumed=told,
            )
        )
    else:
        core.feed(e.OrderKilled(ts_recv_ms=core.state.now_ms, order_id=name, reason="no", assumed=told))


NOTHING = e.Assumed("conservative", 0, 0, 0)
WHOLE = (
    e.Assumed("touch", 25_000_000, 20_000_000, 280_000),  # at 80 cents
    e.Assumed("arrival", 22_000_000, 19_800_000, 138_600),  # at 90 cents
    NOTHING,
)
MISSED = (e.Assumed("touch", 25_000_000, 20_000_000, 280_000), e.Assumed("arrival", 0, 0, 0), NOTHING)


def test_honesty_sums_are_those_reckoned_by_hand() -> None:
    """Won: 25 - 20 - .28 = 4.72 at the touch, 22 - 19.8 - .1386 = 2.0614 as booked, nothing conservatively.

    The order that was killed on arrival would have filled at the touch: 4.72 more that were never there.
    """
    core = ready()
    answered(core, "a#1", WHOLE, is_filled=True)
    answered(core, "b#1", MISSED, is_filled=False)
    honesty = core.state.trading.honesty
    assert (honesty.orders, dict(honesty.profit_e6)) == (0, {}), "nothing before the window pays out"
    markouts.settle(core.state, SLUG, "UP")
    assert honesty.orders == 2
    assert honesty.profit_e6 == {"touch": 9_440_000, "arrival": 2_061_400, "conservative": 0}
    assert honesty.filled == {"touch": 2, "arrival": 1, "conservative": 0}


def test_a_loss_is_what_was_paid_with_its_fee() -> None:
    """Lost: -20.28 at the touch, -19.9386 as booked."""
    core = ready()
    answered(core, "a#1", WHOLE, is_filled=True)
    markouts.settle(core.state, SLUG, "DOWN")
    markouts.settle(core.state, SLUG, "DOWN")
    honesty = core.state.trading.honesty
    assert honesty.profit_e6 == {"touch": -20_280_000, "arrival": -19_938_600, "conservative": 0}
    assert honesty.orders == 1, "counted once"


def test_the_booked_assumption_is_what_the_ledger_earned() -> None:
    """The middle one, to the millionth."""
    core = ready()
    answered(core, "a#1", WHOLE, is_filled=True)
    core.state.ledger.settle(SLUG, "UP", core.state.now_ms)
    markouts.settle(core.state, SLUG, "UP")
    assert core.state.ledger.realised_e6 == core.state.trading.honesty.profit_e6["arrival"]


def test_the_venue_s_correction_corrects_the_honesty_totals() -> None:
    """Settled Up by us and Down by the venue: the ledger books the loss, and so have the totals to."""
    core = ready()
    answered(core, "a#1", WHOLE, is_filled=True)
    for outcome in ("UP", "DOWN"):
        core.feed(
            e.OutcomeServed(
                ts_recv_ms=(END_S + 60) * 1000, slug=SLUG, outcome=outcome, strike=None, final=None
            )
        )
    assert core.state.ledger.realised_e6 == -19_938_600
    assert core.state.trading.honesty.profit_e6["arrival"] == -19_938_600
    assert core.state.trading.honesty.orders == 1
    assert core.state.trading.honesty.filled == {"touch": 1, "arrival": 1, "conservative": 0}


def test_an_order_that_fills_after_its_window_paid_out_is_counted() -> None:
    """The answer came late; the money is booked at once, and so have the totals to be."""
    core = ready()
    core.feed(
        e.OutcomeServed(ts_recv_ms=(END_S + 60) * 1000, slug=SLUG, outcome="UP", strike=None, final=None)
    )
    answered(core, "a#1", WHOLE, is_filled=True)
    assert core.state.ledger.realised_e6 == 2_061_400
    honesty = core.state.trading.honesty
    assert (honesty.open, honesty.orders, honesty.profit_e6["arrival"]) == ({}, 1, 2_061_400)


def test_an_order_that_is_killed_after_its_window_paid_out_is_counted() -> None:
    """What it would have earned at the touch is the illusion all the same."""
    core = ready()
    core.feed(
        e.OutcomeServed(ts_recv_ms=(END_S + 60) * 1000, slug=SLUG, outcome="UP", strike=None, final=None)
    )
    answered(core, "a#1", MISSED, is_filled=False)
    honesty = core.state.trading.honesty
    assert (honesty.open, honesty.orders, honesty.profit_e6["touch"]) == ({}, 1, 4_720_000)


def test_a_killed_order_without_assumptions_is_no_paper_order() -> None:
    """Live, nobody knows what would have been."""
    core = ready()
    answered(core, "a#1", (), is_filled=False)
    markouts.settle(core.state, SLUG, "UP")
    assert core.state.trading.honesty.orders == 0
