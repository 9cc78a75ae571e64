"""Exact numbers at the venue's own grid.

Contract prices, sizes and money are integers; the suffix of a name tells the scale. Reference prices (BTC in
dollars) are ``Decimal``, because Chainlink reports them with eighteen decimals. Floats live inside the
volatility and fair-value mathematics only.

=========  ==========================================  ====================================================
suffix     one unit is                                 why this grid
=========  ==========================================  ====================================================
``_e4``    0.0001 dollar a share (a contract price)    the finest tick the venue allows
``_e6``    0.000001 share, or 0.000001 dollar          the token's and the collateral's own six decimals
``_ms``    one millisecond, Unix time or a duration
``_s``     one second, Unix time or a duration
=========  ==========================================  ====================================================
"""

from decimal import Decimal
from typing import Final, TypeAlias

PriceE4: TypeAlias = int
SizeE6: TypeAlias = int
UsdE6: TypeAlias = int
Milliseconds: TypeAlias = int

ONE_E4: Final = 10_000
ONE_E6: Final = 1_000_000
E18: Final = 10**18


def price_e4(dollars: float) -> PriceE4:
    """Put a contract price on the finest grid.

    Args:
        dollars: A price per share as the venue writes it, 0 to 1.
    Returns:
        Ten-thousandths of a dollar.
    Raises:
        ValueError: Not a number, outside 0 to 1, or between two steps of the grid.
    """
    scaled = dollars * ONE_E4
    if not 0.0 <= scaled <= ONE_E4:
        raise ValueError(f"price {dollars!r} is outside 0 to 1")
    nearest = round(scaled)
    if abs(scaled - nearest) > 1e-6:
        raise ValueError(f"price {dollars!r} is finer than 0.0001")
    return nearest


def size_e6(shares: float) -> SizeE6:
    """Put a number of shares on the token's grid.

    Args:
        shares: A size as the venue writes it, at most six decimals. Doubles hold these exactly enough up to
            nine thousand million shares.
    Returns:
        Millionths of a share.
    Raises:
        ValueError: Not a number, negative, or too large for a double to hold exactly.
    """
    scaled = shares * ONE_E6
    if not 0.0 <= scaled <= 9e15:
        raise ValueError(f"size {shares!r} is negative or too large")
    return round(scaled)


def usd_e6(dollars: Decimal | int) -> UsdE6:
    """Turn dollars into millionths.

    Raises:
        ValueError: More than six decimals.
    """
    scaled = Decimal(dollars) * ONE_E6
    whole = int(scaled)
    if whole != scaled:
        raise ValueError(f"{dollars} dollars has more than six decimals")
    return whole
