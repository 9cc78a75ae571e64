"""Amounts: what is signed can fill at its limit, and never above it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polymarket._internal.actions.orders.market import _compute_market_order_amounts

from engine.practice.eip712 import OrderStruct
from engine.practice.market import Market
from engine.practice.matching import accepts
from engine.practice.order_reading import Order
from engine.practice.order_rules import check_terms
from engine.venue.exchange import Unsendable
from engine.venue.signing import in_lots
from tests.practice.hand_made import UP, contract

TICKS_E4 = (100, 50, 25, 10, 1)
COARSE_E4 = 1000
"""The client keeps three decimals of shares there, and refuses itself what that makes of small orders."""


@st.composite
def limits(draw, ticks=TICKS_E4):
    """Return a grid and a price on it."""
    tick = draw(st.sampled_from(ticks))
    return tick, tick * draw(st.integers(1, 10_000 // tick - 1))


def order(side, maker, taker):
    struct = OrderStruct(1, "0x", "0x", int(UP), maker, taker, side == "SELL", 0, 0, "", "")
    return Order(
        id="0x",
        struct=struct,
        token=UP,
        side=side,
        kind="FOK",
        owner="",
        signature="",
        post_only=False,
        expiration_s=0,
    )


def market(tick):
    made = Market(contract())
    made.tick_e4 = tick
    return made


def clients_amounts(side, amount, tick, limit):
    """Return what the official client makes of an amount, before ours is done to it."""
    return _compute_market_order_amounts(
        amount=amount, price=Decimal(limit) / 10_000, side=side, tick_size=Decimal(tick) / 10_000
    )


@given(limits(), st.integers(100, 10_000_000))
def test_a_buy_of_a_dollar_or_more_is_taken_on_every_grid_and_fills_at_its_limit(grid, cents):
    """Four decimals of shares; an ask at the limit is taken, one a step of the finest grid above is not."""
    tick, limit = grid
    maker, taker = clients_amounts("BUY", Decimal(cents) / 100, tick, limit)
    assert maker == cents * 10_000
    shares = in_lots(maker, taker, limit)
    assert shares % 100 == 0
    posted = order("BUY", maker, shares)
    assert accepts(posted, limit)
    assert not accepts(posted, limit + 1)
    assert taker - shares < 100
    assert check_terms(posted, market(tick), True, 0) == limit


@given(limits((*TICKS_E4, COARSE_E4)), st.integers(1, 10_000_000))
def test_a_sell_is_taken_on_every_grid_and_never_below_its_limit(grid, hundredths):
    """The client's own amounts are right for these."""
    tick, limit = grid
    maker, taker = clients_amounts("SELL", Decimal(hundredths) / 100, tick, limit)
    assert maker == hundredths * 10_000
    posted = order("SELL", maker, taker)
    assert accepts(posted, limit)
    assert check_terms(posted, market(tick), True, 0) == limit
    assert taker * 10_000 == maker * limit


@given(
    st.one_of(
        st.tuples(limits(), st.integers(1, 99)), st.tuples(limits((COARSE_E4,)), st.integers(1, 10_000_000))
    )
)
def test_a_buy_that_rounding_is_large_beside_fills_at_its_limit_or_is_not_made(wanted):
    """Less than a dollar, or a grid of ten cents."""
    grid, cents = wanted
    tick, limit = grid
    maker, taker = clients_amounts("BUY", Decimal(cents) / 100, tick, limit)
    try:
        shares = in_lots(maker, taker, limit)
    except Unsendable:
        return
    assert accepts(order("BUY", maker, shares), limit)
    assert not accepts(order("BUY", maker, shares), limit + 1)


@pytest.mark.parametrize("limit", [9_790, 9_850, 9_930, 30])
def test_what_the_client_signs_on_a_fine_grid_would_be_refused(limit):
    """The reason for all this: five decimals, which the exchange does not take."""
    maker, taker = clients_amounts("BUY", Decimal(5), 10, limit)
    assert taker % 100 != 0
    assert in_lots(maker, taker, limit) == taker // 100 * 100
