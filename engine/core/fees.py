"""The taker's fee, by the market's own schedule. Source: protocol sheet, section 6.1 to 6.3."""

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from engine.contract import FeeSchedule
from engine.units import ONE_E4, ONE_E6, PriceE4, SizeE6, UsdE6

_FIVE_PLACES: Final = Decimal("0.00001")
"""Fees are rounded to five decimals; the venue does not say which way, so the difference is at most 1e-5."""


def fee_per_share(price: float, rate: float, exponent: float) -> float:
    """Return dollars of fee per share at a price, for the decision.

    Args:
        price: Dollars a share, 0 to 1.
        rate: The schedule's rate, 0.07 for crypto.
        exponent: The schedule's exponent, 1 for crypto.
    """
    return float(rate * (price * (1.0 - price)) ** exponent)


def fee_at(price: float, rate: float, exponent: float, of_price: float) -> float:
    """Return dollars of fee per share: by a market's schedule, or ``of_price`` of it where there is none."""
    return fee_per_share(price, rate, exponent) + of_price * price


def taker_fee_e6(schedule: FeeSchedule, fills: Iterable[tuple[PriceE4, SizeE6]]) -> UsdE6:
    """Return the fee of an order's fills, exactly, rounded as the venue does.

    Args:
        schedule: The market's schedule.
        fills: (price, size) for each level taken.
    Returns:
        Millionths of a dollar, charged on top of a BUY.
    """
    total = Decimal(0)
    for price_e4, size in fills:
        price = Decimal(price_e4) / ONE_E4
        total += Decimal(size) / ONE_E6 * schedule.rate * (price * (1 - price)) ** schedule.exponent
    return int(total.quantize(_FIVE_PLACES, ROUND_HALF_EVEN) * ONE_E6)
