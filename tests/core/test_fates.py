"""What becomes of an order: every way out and every end, told once, twice, late, out of order or wrongly."""

import pytest

from engine import events as e
from engine.core import decide as gate
from engine.core import risk
from engine.core.fates import AFTER_ITS_END, ENDS_KEPT, NO_FILL, NO_FILL_ALARM, RETRY_AFTER_MS, UNKNOWN
from engine.core.ledger import OrderChange
from engine.core.orders import take_up
from engine.core.trading import Order, OrderIntent
from engine.params import Limits
from tests.core.builders import DOWN, END_S, MARKET, UP, Core
from tests.core.order_story import (
    NOW_MS,
    PARAMS,
    SLUG,
    bought,
    fill,
    kill,
    lose,
    quote,
    ready,
    sign,
    tell,
    trade,
)


def end(core: Core, order: Order, how: str) -> None:
    """End an order in one of the ways that cost nothing."""
    at_ms, name = NOW_MS + 300, order.intent.order_id
    core.feed(
        {
            "killed": e.OrderKilled(ts_recv_ms=at_ms, order_id=name, reason="no match"),
            "denied": e.OrderDenied(ts_recv_ms=at_ms, order_id=name, reason="kill switch"),
            "rejected": e.OrderRejected(ts_recv_ms=at_ms, order_id=name, reason="no money", code="balance"),
        }[how]
    )


def test_an_order_goes_from_intended_over_signed_and_sent_to_filled() -> None:
    """Each step keeps its own time."""
    core, order = bought()
    assert order.state == "intended"
    sign(core, order)
    assert (order.state, order.venue_order_id, order.sign_ms) == ("signed", "0xabc", 1.5)
    core.feed(e.OrderSubmitted(ts_recv_ms=NOW_MS + 8, order_id=order.intent.order_id, took_ms=3.0))
    assert (order.state, order.sent_at_ms, order.send_ms) == ("sent", NOW_MS + 8, 3.0)
    fill(core, order, trade("t1", 22_222_222, 20_000_000))
    assert (order.state, order.ended_at_ms, order.answer_ms) == ("filled", NOW_MS + 300, 150.0)
    assert core.state.trading.in_flight == {}


@pytest.mark.parametrize("how", ["killed", "denied", "rejected"])
@pytest.mark.parametrize("first", ["intended", "signed", "sent", "unknown"])
def test_an_order_under_way_may_end_from_every_state(first: str, how: str) -> None:
    """An answer may overtake the news that the order left; a lookup ends an unknown one."""
    core, order = bought()
    if first != "intended":
        sign(core, order)
    if first == "sent":
        core.feed(e.OrderSubmitted(ts_recv_ms=NOW_MS + 8, order_id=order.intent.order_id))
    if first == "unknown":
        lose(core, order)
    assert order.state == first
    end(core, order, how)
    assert order.state == how
    assert core.state.ledger.holdings == {}
    assert (
        order.reason == {"killed": "no match", "denied": "kill switch", "rejected": "balance: no money"}[how]
    )


@pytest.mark.parametrize("how", ["killed", "denied", "rejected"])
def test_no_step_back_after_an_end(how: str) -> None:
    """Signed, sent or unknown told after the end are old news."""
    core, order = bought()
    end(core, order, how)
    sign(core, order)
    core.feed(e.OrderSubmitted(ts_recv_ms=NOW_MS + 800, order_id=order.intent.order_id))
    lose(core, order)
    assert order.state == how
    assert core.state.trading.in_flight == {}
    assert UNKNOWN not in core.state.trading.alarms


def test_an_order_that_is_signed_after_it_was_sent_stays_sent() -> None:
    """Out of order: the later step has been taken."""
    core, order = bought()
    core.feed(e.OrderSubmitted(ts_recv_ms=NOW_MS + 8, order_id=order.intent.order_id))
    sign(core, order)
    assert order.state == "sent"


def test_a_part_that_filled_is_partial_and_under_a_cent_left_is_whole() -> None:
    """FAK: the rest was killed. Integer division leaves less than a cent of a whole one."""
    core, order = bought()
    fill(core, order, trade("t1", 22_222_220, order.intent.usd_e6 - 9_999))
    assert order.state == "filled"
    core, order = bought()
    fill(core, order, trade("t1", 22_000_000, order.intent.usd_e6 - 10_000))
    assert order.state == "partial"


def test_an_order_filled_twice_is_booked_once() -> None:
    """The second answer tells of other trades even: the first one holds."""
    core, order = bought()
    sign(core, order)
    fill(core, order, trade("t1"))
    fill(core, order, trade("t1"), trade("t2"))
    assert core.state.ledger.cash_e6 == -9_063_000
    assert core.state.ledger.holdings[SLUG].shares_e6["UP"] == 10_000_000
    assert core.state.ledger.trades == 1


@pytest.mark.parametrize("how", ["killed", "denied", "rejected"])
def test_no_end_undoes_a_fill(how: str) -> None:
    """Money that changed hands stays so, whatever is told afterwards."""
    core, order = bought()
    fill(core, order)
    end(core, order, how)
    lose(core, order)
    assert order.state == "partial"
    assert core.state.ledger.cash_e6 == -9_063_000


@pytest.mark.parametrize("how", ["killed", "denied", "rejected"])
def test_a_fill_told_after_another_end_is_booked(how: str) -> None:
    """The worse of two contradictory answers: shares that are there are not denied away."""
    core, order = bought()
    end(core, order, how)
    assert core.state.trading.alarms == {}
    fill(core, order)
    assert order.state == "partial"
    assert core.state.ledger.cash_e6 == -9_063_000
    assert core.state.trading.alarms == {
        f"{AFTER_ITS_END} {SLUG}#1": f"it was {how}, and is told to have filled"
    }


def test_an_unknown_order_that_turns_out_filled_is_booked_and_its_alarm_goes() -> None:
    """The lookup by hash found trades."""
    core, order = bought()
    sign(core, order)
    lose(core, order)
    assert UNKNOWN in core.state.trading.alarms
    fill(core, order, trade("t1"))
    assert UNKNOWN not in core.state.trading.alarms
    assert core.state.ledger.cash_e6 == -9_063_000


def test_an_order_found_again_books_only_the_trades_that_are_new() -> None:
    """Its answer told of one trade, the search of two: one is added, none is doubled, a ghost stays one."""
    core, order = bought()
    sign(core, order)
    fill(core, order, trade("t1"), trade("t2"))
    tell(core, "t2", "FAILED")
    tell(core, "t3", "MATCHED")
    assert order.state == "unknown"
    fill(core, order, trade("t1"), trade("t2"), trade("t3"), at_ms=NOW_MS + 2_000)
    assert core.state.ledger.cash_e6 == 2 * -9_063_000
    assert (order.shares_e6, order.cost_e6, order.fee_e6) == (20_000_000, 18_000_000, 126_000)
    assert order.trades == {"t1": "MATCHED", "t2": "FAILED", "t3": "MATCHED"}
    assert core.state.ledger.trades == 1


def test_dollars_are_whole_cents_and_never_more_than_the_book_shows() -> None:
    """8.33 shares at 90 cents are 7.497 dollars: an order for 7.50 could not be filled."""
    core = ready()
    core.book(DOWN, [(10, 500)], [(12, 500)], NOW_MS)
    core.feed(
        e.BookReplaced(
            ts_recv_ms=NOW_MS + 1,
            market=MARKET,
            token=UP,
            bids=((8_800, 500_000_000),),
            asks=((9_000, 8_330_000),),
            ts_venue_ms=NOW_MS + 1,
            tick_e4=100,
        )
    )
    (order,) = core.state.trading.orders.values()
    assert order.intent.usd_e6 == 7_490_000


def test_rounding_of_shares_takes_no_cent_off_a_whole_order() -> None:
    """20 dollars at 91 cents are 21.978021 shares, or $19.999999: it is still an order for 20."""
    (intent,) = quote(ready(), up_ask=91)
    assert intent.usd_e6 == 20_000_000


def test_an_unknown_order_blocks_its_market_and_counts_as_spent_and_is_never_sent_again() -> None:
    """However long it takes, and however good the price."""
    core = Core(PARAMS, Limits(max_exposure_usd=22.0))
    core, order = bought(core)
    lose(core, order)
    for at_ms in range(NOW_MS + 2_000, END_S * 1000 - 3_000, 1_000):
        core.price(at_ms // 1000 - 2, 70_020.0 + at_ms // 1000 % 7)
        assert quote(core, at_ms, 80) == []
    bits = risk.blocks(core.state, core.state.markets[SLUG])
    assert bits & gate.ONE_ORDER
    assert bits & gate.EXPOSURE, "its $20 are gone until somebody knows better"
    assert [type(one) for one in core.effects].count(OrderIntent) == 1


def test_the_alarm_of_unknown_orders_stays_while_one_of_them_is_left() -> None:
    """Two are lost, one is found."""
    core, order = bought()
    lose(core, order)
    other = orders(core, 1)[0]
    lose(core, other)
    kill(core, order)
    assert UNKNOWN in core.state.trading.alarms
    kill(core, other)
    assert UNKNOWN not in core.state.trading.alarms


def test_answers_to_orders_that_nobody_sent_change_nothing() -> None:
    """Another client of the account, or another session's id."""
    core = ready()
    stranger = Order(OrderIntent("x#1", SLUG, "UP", "1", 9_000, 20_000_000, NOW_MS, 1), NOW_MS)
    sign(core, stranger)
    fill(core, stranger)
    lose(core, stranger)
    for how in ("killed", "denied", "rejected"):
        end(core, stranger, how)
    assert core.state.ledger.cash_e6 == 0
    assert core.state.trading.orders == {}
    assert core.state.trading.alarms == {}


def test_a_market_rests_a_second_after_a_kill_and_may_be_bought_then() -> None:
    """The book that killed the order has to be seen again."""
    core, order = bought()
    kill(core, order)
    core.price(END_S - 13, 70_024.0)
    assert quote(core, NOW_MS + 300 + RETRY_AFTER_MS - 2) == []
    (intent,) = quote(core, NOW_MS + 300 + RETRY_AFTER_MS)
    assert intent.order_id == f"{SLUG}#2"


def orders(core: Core, count: int) -> list[Order]:
    """Take orders of other windows up, as an intent does."""
    found = []
    for number in range(count):
        name = f"w{len(core.state.trading.orders)}-{number}"
        intent = OrderIntent(f"{name}#1", name, "UP", "1", 9_000, 20_000_000, NOW_MS, 1, END_S, 0.9)
        found.append(Order(intent, core.state.now_ms))
        take_up(core.state, found[-1])
    return found


def test_fourteen_kills_of_fifteen_orders_raise_an_alarm_and_a_second_fill_takes_it_back() -> None:
    """Orders that silently never fill cost nothing and earn nothing: an operator should know."""
    core = ready()
    first, *rest = orders(core, ENDS_KEPT)
    fill(core, first)
    for order in rest[:-1]:
        kill(core, order)
    assert NO_FILL not in core.state.trading.alarms, "13 of 14"
    kill(core, rest[-1])
    assert core.state.trading.alarms[NO_FILL] == f"{NO_FILL_ALARM} of the last 15 orders were killed unfilled"
    (another,) = orders(core, 1)
    fill(core, another)
    assert NO_FILL in core.state.trading.alarms, "the first fill has left the fifteen: still 14 of 15"
    (another,) = orders(core, 1)
    fill(core, another)
    assert NO_FILL not in core.state.trading.alarms


def test_orders_that_we_denied_ourselves_say_nothing_of_the_venue() -> None:
    """Fourteen kills with denied ones between them are fourteen of fifteen that reached the venue."""
    core = ready(limits=Limits(max_order_errors=99.0))
    for order in orders(core, 1):
        fill(core, order)
    for order in orders(core, 14):
        kill(core, order)
    for order in orders(core, 5):
        end(core, order, "denied")
    assert NO_FILL in core.state.trading.alarms


@pytest.mark.parametrize("how", ["denied", "rejected"])
def test_the_breaker_of_order_errors_counts_what_was_refused(how: str) -> None:
    """Three of ten: it trips at the third, and killed orders are no errors."""
    core = ready(limits=Limits(max_order_errors=3.0))
    for order in orders(core, 5):
        kill(core, order)
    for order in orders(core, 2):
        end(core, order, how)
    assert "order errors" not in core.state.breakers
    end(core, orders(core, 1)[0], how)
    assert core.state.breakers["order errors"] == "3 of the last 8 orders denied, rejected, failed or lost"


@pytest.mark.parametrize("found", [None, "killed", "denied"])
def test_the_breaker_of_order_errors_counts_lost_orders_once_whatever_is_found(found: str | None) -> None:
    """A venue that answers 500 all day: each order is lost, found to be killed, and no refusal."""
    core = ready(limits=Limits(max_order_errors=3.0))
    for order in orders(core, 2):
        lose(core, order)
        if found is not None:
            end(core, order, found)
    assert "order errors" not in core.state.breakers
    lose(core, orders(core, 1)[0])
    assert core.state.breakers["order errors"] == "3 of the last 3 orders denied, rejected, failed or lost"


def test_errors_that_are_more_than_ten_orders_ago_are_forgotten() -> None:
    """A rate, not a count of a lifetime."""
    core = ready(limits=Limits(max_order_errors=3.0))
    for order in orders(core, 2):
        end(core, order, "rejected")
    for order in orders(core, 9):
        kill(core, order)
    end(core, orders(core, 1)[0], "rejected")
    assert core.state.breakers == {}


def test_the_hourly_limit_counts_an_order_once_however_many_trades_it_came_to() -> None:
    """Three trades of one order are one order; orders under way count as well."""
    core, order = bought(Core(PARAMS, Limits(max_trades_per_hour=2.0)))
    sign(core, order)
    fill(core, order, *(trade(f"t{number}", 3_000_000, 2_700_000, 9) for number in range(3)))
    market = core.state.markets[SLUG]
    assert core.state.ledger.trades_since(0) == 1
    assert not risk.blocks(core.state, market) & gate.HOURLY
    orders(core, 1)
    assert risk.blocks(core.state, market) & gate.HOURLY


def test_the_file_is_told_of_every_end_and_of_every_doubt() -> None:
    """One change each, the last one closed."""
    core, order = bought()
    sign(core, order)
    core.state.ledger.take_changes()
    lose(core, order)
    kill(core, order)
    first, last = [one for one in core.state.ledger.take_changes() if isinstance(one, OrderChange)]
    assert (first.state, first.ended_ms, first.venue_order_id) == ("unknown", None, "0xabc")
    assert (last.state, last.ended_ms) == ("killed", NOW_MS + 300)


def test_a_late_fill_is_paid_out_by_the_venue_s_last_word() -> None:
    """Corrected after the window was put away: its own first word must not come back with the fill."""
    core, order = bought()
    sign(core, order)
    fill(core, order, trade("t1"))
    end_ms = END_S * 1000
    core.feed(e.OutcomeServed(ts_recv_ms=end_ms + 60_000, slug=SLUG, outcome="UP", strike=None, final=None))
    tell(core, "t2", "MATCHED")
    market = core.state.markets.pop(SLUG)
    core.state.past.append(market)
    core.feed(e.OutcomeServed(ts_recv_ms=end_ms + 90_000, slug=SLUG, outcome="DOWN", strike=None, final=None))
    assert core.state.ledger.realised_e6 == -9_063_000
    fill(core, order, trade("t1"), trade("t2"), at_ms=end_ms + 95_000)
    assert core.state.ledger.realised_e6 == 2 * -9_063_000
