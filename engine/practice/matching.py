"""Match one order with the levels of a book: pure arithmetic in whole millionths.

A taker pays or gets the levels' own prices. Rounding is against him: what he pays is rounded up, what he gets
down, to the micro-dollar. Sources: protocol sheet, sections 6.1 and 7.1.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple

from engine.contract import FeeSchedule
from engine.events import Level, Side
from engine.practice.order_reading import Order
from engine.units import ONE_E4, ONE_E6, PriceE4, SizeE6, UsdE6

_FIVE_PLACES: Final = Decimal("0.00001")


class Fill(NamedTuple):
    """A part of an order at one price; ``fee_e6`` is paid on top of a BUY, and out of what a SELL brings."""

    price_e4: PriceE4
    size_e6: SizeE6
    usd_e6: UsdE6
    fee_e6: UsdE6 = 0


def accepts(order: Order, price_e4: PriceE4) -> bool:
    """Say whether a price is within an order's limit, which is the ratio of its two amounts."""
    if order.side == "BUY":
        return price_e4 * order.shares_e6 <= order.dollars_e6 * ONE_E4
    return price_e4 * order.shares_e6 >= order.dollars_e6 * ONE_E4


def walk(order: Order, levels: Sequence[Level]) -> tuple[Fill, ...]:
    """Take what an order may from a book's side.

    A FOK or FAK BUY spends its dollars, and gets more shares where they are cheaper; every other order is
    for its shares.

    Args:
        order: Whole, none of it filled yet.
        levels: Asks for a BUY, bids for a SELL, best first.
    """
    by_dollars = order.side == "BUY" and order.at_once
    left = order.dollars_e6 if by_dollars else order.shares_e6
    fills: list[Fill] = []
    for price, size in levels:
        if not left or not accepts(order, price):
            break
        taken = min(size, left * ONE_E4 // price if by_dollars else left)
        fill = Fill(price, taken, dollars(order.side, price, taken))
        fills.append(fill)
        left -= fill.usd_e6 if by_dollars else taken
    return tuple(fills)


def is_whole(order: Order, fills: Sequence[Fill]) -> bool:
    """Say whether fills are all of an order."""
    if order.side == "BUY" and order.at_once:
        return sum(fill.usd_e6 for fill in fills) == order.dollars_e6
    return sum(fill.size_e6 for fill in fills) == order.shares_e6


def dollars(side: Side, price_e4: PriceE4, size_e6: SizeE6) -> UsdE6:
    """Return what shares cost or bring, rounded against their owner."""
    exact = price_e4 * size_e6
    return -(-exact // ONE_E4) if side == "BUY" else exact // ONE_E4


def with_fees(schedule: FeeSchedule | None, fills: Sequence[Fill]) -> tuple[Fill, ...]:
    """Charge a taker. The sum is rounded to five decimals, half to even, and each fill has its part of it."""
    if schedule is None:
        return tuple(fills)
    charged: list[Fill] = []
    exact, told = Decimal(0), 0
    for fill in fills:
        price = Decimal(fill.price_e4) / ONE_E4
        exact += Decimal(fill.size_e6) / ONE_E6 * schedule.rate * (price * (1 - price)) ** schedule.exponent
        so_far = int(exact.quantize(_FIVE_PLACES, ROUND_HALF_EVEN) * ONE_E6)
        charged.append(fill._replace(fee_e6=so_far - told))
        told = so_far
    return tuple(charged)
