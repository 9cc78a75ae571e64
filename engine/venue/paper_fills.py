"""What a paper order fills, under three assumptions. Formulas: docs/model.md, "Paper fills".

``touch``: at once, whole, at the best price of the decision; no latency, no depth. ``arrival``: by the book
as it is when the order is matched, after latency and hold, level by level; this one is booked.
``conservative``: as ``arrival``, but liquidity that came meanwhile goes to others, and so does
``TAKEN_BY_OTHERS`` of the rest.
"""

from collections.abc import Sequence
from typing import Final

from engine.contract import FeeSchedule
from engine.core.fees import taker_fee_e6
from engine.core.ledger import cost_of
from engine.core.trading import OrderIntent
from engine.events import Assumed, Level
from engine.units import ONE_E4, ONE_E6, UsdE6

UNSPENT_E6: Final = ONE_E6 // 100
"""Dollars, or shares of a SELL, that a whole fill may leave: under a cent, under a hundredth."""

TAKEN_BY_OTHERS: Final = 0.5
"""Share of what is shown that others take before us, in the conservative assumption. Ours: a public live
ledger had 339 fills in 1,439 posts (settlement-and-strategy, section 4); half is kinder than that."""


def taken(intent: OrderIntent, levels: Sequence[Level]) -> tuple[Level, ...] | None:
    """Take levels, best first, as the exchange does.

    Args:
        intent: A BUY spends its dollars, a SELL gives its shares; FOK all or nothing, FAK what there is.
        levels: (price, size): asks for a BUY, bids for a SELL, best first.
    Returns:
        What was taken of each level; None where nothing is (or a FOK would not be whole).
    """
    if intent.side == "BUY":
        return _bought(intent, levels)
    left = intent.shares_e6
    fills: list[Level] = []
    for price, size in levels:
        if price < intent.limit_e4 or not left:
            break
        fills.append((price, min(size, left)))
        left -= fills[-1][1]
    whole = left < UNSPENT_E6
    return tuple(fills) if fills and (whole or intent.kind == "FAK") else None


def _bought(intent: OrderIntent, levels: Sequence[Level]) -> tuple[Level, ...] | None:
    left = intent.usd_e6 * ONE_E4  # ten-thousandths of a millionth of a dollar: price_e4 x size_e6, exactly
    fills: list[Level] = []
    for price, shown in levels:
        size = min(shown, left // price)
        if price > intent.limit_e4 or size == 0:
            break
        fills.append((price, size))
        left -= price * size
    whole = left < UNSPENT_E6 * ONE_E4
    return tuple(fills) if fills and (whole or intent.kind == "FAK") else None


def touch(intent: OrderIntent) -> tuple[Level, ...] | None:
    """Fill whole and at once at the best price that the decision saw."""
    if not intent.seen:
        return None
    price = intent.seen[0][0]
    size = intent.shares_e6 if intent.side == "SELL" else intent.usd_e6 * ONE_E4 // price
    return ((price, size),) if size else None


def conservative(intent: OrderIntent, levels: Sequence[Level]) -> tuple[Level, ...] | None:
    """Fill from what was there at the decision and still is, less what others take first."""
    before = dict(intent.seen)
    left = [(price, int(min(size, before.get(price, 0)) * (1.0 - TAKEN_BY_OTHERS))) for price, size in levels]
    return taken(intent, [level for level in left if level[1]])


def assumed(
    name: str, fills: tuple[Level, ...] | None, fee: FeeSchedule | None, fallback_rate: float
) -> Assumed:
    """Price an assumption's fills."""
    if not fills:
        return Assumed(name, 0, 0, 0)
    cost = cost_of(fills)
    return Assumed(name, sum(size for _, size in fills), cost, fee_e6(fills, fee, fallback_rate))


def fee_e6(fills: tuple[Level, ...], fee: FeeSchedule | None, fallback_rate: float) -> UsdE6:
    """Return the taker's fee: by the market's schedule, or a share of the dollars where it publishes none."""
    return round(cost_of(fills) * fallback_rate) if fee is None else taker_fee_e6(fee, fills)
