"""What an order did, out of the venue's trades, or out of its answer alone: whole millionths.

Sources: protocol sheet, sections 5.3, 6 and 7.6. What it does not know: how to ask for them.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, NamedTuple

from polymarket.models.clob.order_response import AcceptedOrder

from engine.contract import FeeSchedule
from engine.core.fees import taker_fee_e6
from engine.core.trading import OrderIntent
from engine.events import Level, Trade
from engine.units import ONE_E4, ONE_E6, SizeE6, UsdE6
from engine.venue.exchange import Matched, Signed
from engine.venue.rows import TradeRow, Unreadable

__all__ = ["Fees", "Unreadable", "dollars_told", "is_all", "matched"]

SLACK_E6: Final = ONE_E6 // 100
"""How far what is told may be above what was signed before it is taken for another unit: a cent."""

LEAST_E6: Final = ONE_E6 // 100
"""Shares of the smallest trade, in millionths: the venue's sizes have two digits behind the point."""

DIGITS_MOST: Final = 30
"""No amount has more digits before its point: unlimited allowances, which are none, have 78."""


class Fees(NamedTuple):
    """How fees are known: by the order's own schedule, or as a share of the dollars where it has none.

    The share is asked for each time: an operator may change it while the engine runs.
    """

    fallback_rate: Callable[[], float]

    def of(self, schedule: FeeSchedule | None, levels: Sequence[Level]) -> UsdE6:
        """Return the fee of what was filled."""
        if schedule is None:
            dollars = sum(price * size for price, size in levels) / ONE_E4
            return round(dollars * self.fallback_rate())
        return taker_fee_e6(schedule, levels)


def is_all(done: Matched, told_e6: UsdE6) -> bool:
    """Say whether trades come to the dollars that the venue's answer told; 0 is not told."""
    if not told_e6:
        return True
    return abs(sum(trade.cost_e6 for trade in done.trades) - told_e6) <= len(done.fills)


def matched(
    trades: Iterable[TradeRow], venue_order_id: str, intent: OrderIntent, fees: Fees, told_e6: UsdE6 = 0
) -> Matched:
    """Book trades, the best price first: that is how an order walks, and their times are whole seconds.

    Args:
        trades: Those in which the order took part.
        venue_order_id: The order.
        intent: What was wanted.
        fees: How fees are known. The sum is rounded, as the venue does; each trade has its part of it.
        told_e6: Dollars by the venue's answer; rounding of levels is put right by it. 0: not told.
    Raises:
        Unreadable: Numbers that cannot be.
    """
    trades = list(trades)
    for trade in trades:
        _check(trade.price, trade.size)
        for maker in trade.makers:
            _check(maker.price, maker.matched_amount)
    booked: list[Trade] = []
    levels: list[Level] = []
    fee_told = 0
    sign = 1 if intent.side == "BUY" else -1
    for trade in sorted(trades, key=lambda trade: (sign * trade.price, trade.id)):
        fills = _levels(trade, venue_order_id, intent)
        levels += fills
        fee = fees.of(intent.fee, levels)
        cost = sum(_dollars(intent, price, size) for price, size in fills)
        booked.append(Trade(trade.id, sum(size for _, size in fills), cost, fee - fee_told, fills))
        fee_told = fee
    off = told_e6 - sum(trade.cost_e6 for trade in booked)
    if told_e6 and booked and 0 < abs(off) <= len(levels):
        last = booked[-1]
        booked[-1] = Trade(last.trade_id, last.shares_e6, last.cost_e6 + off, last.fee_e6, last.fills)
    return Matched(tuple(levels), fee_told, tuple(booked))


def dollars_told(accepted: AcceptedOrder, signed: Signed, intent: OrderIntent) -> UsdE6:
    """Return the dollars of an answer's amounts; 0 where there are none that make sense."""
    try:
        made, taken = _pair(accepted.making_amount, accepted.taking_amount, signed.maker_e6)
    except Unreadable:
        return 0
    return made if intent.side == "BUY" else taken


def _pair(made: Decimal, taken: Decimal, signed_e6: int) -> tuple[int, int]:
    """Put two amounts into millionths: the venue writes decimals, its documents say millionths."""
    _check(made, taken)
    for unit in _units([made, taken]):
        if 0 <= made * unit <= signed_e6 + SLACK_E6:
            return round(made * unit), round(taken * unit)
    raise Unreadable(f"{made} was given of {signed_e6} millionths")


def _units(amounts: Sequence[Decimal]) -> tuple[int, ...]:
    """Return what amounts may be multiplied with, likeliest first: decimals, or millionths.

    Millionths are whole, and the shares among them not fewer than any trade has. That decimals come to more
    than was signed makes none of them: an average price is rounded, and its last digit, 600 times, is cents.
    """
    whole = all(amount == amount.to_integral_value() for amount in amounts)
    return (ONE_E6, 1) if whole and max(amounts, default=0) >= LEAST_E6 else (ONE_E6,)


def _levels(trade: TradeRow, venue_order_id: str, intent: OrderIntent) -> tuple[Level, ...]:
    """Return price and size of an order's part of a trade, best known first."""
    ours = venue_order_id.lower()
    if trade.taker_order_id.lower() != ours:
        parts = [(m.price, m.matched_amount) for m in trade.makers if m.order_id.lower() == ours]
    else:
        # Somebody who buys the other token at 0.40 sells this one at 0.60.
        parts = [
            (maker.price if maker.asset_id == trade.asset_id else 1 - maker.price, maker.matched_amount)
            for maker in trade.makers
        ]
        if sum(size for _, size in parts) != trade.size:
            parts = [(trade.price, trade.size)]
    unit = _unit(parts, intent)
    sizes: dict[int, SizeE6] = {}
    for price, size in parts:
        price_e4 = round(price * ONE_E4)
        sizes[price_e4] = sizes.get(price_e4, 0) + round(size * unit)
    return tuple(sizes.items())


def _check(*numbers: Decimal) -> None:
    """Refuse numbers that no amount is: arithmetic on 1e999999 raises, or makes an int of a million digits.

    Raises:
        Unreadable: One of them is such a number.
    """
    for number in numbers:
        if not number.is_finite() or number.adjusted() > DIGITS_MOST:
            raise Unreadable(f"{str(number)[:40]} is no amount")


def _unit(parts: Sequence[tuple[Decimal, Decimal]], intent: OrderIntent) -> int:
    """Return what sizes are to be multiplied with: they are decimals, or millionths already."""
    if intent.side == "BUY":
        given, most = sum(price * size for price, size in parts), intent.usd_e6
    else:
        given, most = sum(size for _, size in parts), intent.shares_e6
    for unit in _units([size for _, size in parts]):
        if 0 < given * unit <= most + SLACK_E6:
            return unit
    raise Unreadable(f"a trade of {given} for an order of {most} millionths")


def _dollars(intent: OrderIntent, price_e4: int, size_e6: SizeE6) -> UsdE6:
    """Return what a level cost or brought, rounded against us."""
    rounding = ROUND_CEILING if intent.side == "BUY" else ROUND_FLOOR
    return int((Decimal(price_e4) * size_e6 / ONE_E4).to_integral_value(rounding))
