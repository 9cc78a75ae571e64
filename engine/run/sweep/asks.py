"""Asks over arrays: price an order, size it, fill it; as the live core's books and the paper broker do.

Plain Python on numbers and flat sequences, compiled unchanged by numba (``engine.run.sweep.kernel``).
tests/run/test_sweep_parity.py holds it to the live core, order by order.
"""

from typing import Any, NamedTuple

from engine.core.orders import CENT_E6, ROUNDING_E6
from engine.units import ONE_E4, ONE_E6
from engine.venue.paper_fills import TAKEN_BY_OTHERS, UNSPENT_E6


def order_cost(prices: Any, sizes: Any, begin: int, end: int, want: tuple[int, int]) -> tuple[float, float]:
    """Price an order against asks, as ``engine.core.assess.order_cost`` does.

    Args:
        prices: Of all levels, ten-thousandths, 0 for none.
        sizes: Of all levels, millionths.
        begin: Where the moment's levels begin.
        end: Where they end.
        want: Millionths of a dollar to spend, and the highest price taken.
    Returns:
        The average price a share and the dollars filled.
    """
    usd_e6, cap_e4 = want
    if prices[begin] == 0:
        return 0.0, 0.0
    shares, spent = walk(prices, sizes, begin, end, (usd_e6, cap_e4))
    if shares == 0:
        return prices[begin] / ONE_E4, 0.0
    return min(spent / shares, cap_e4 / ONE_E4), (usd_e6 if usd_e6 - spent < CENT_E6 else spent) / ONE_E6


def walk(prices: Any, sizes: Any, begin: int, end: int, want: tuple[int, int]) -> tuple[int, int]:
    """Take asks as ``Book.walk`` does; return shares and what they cost, both in millionths."""
    usd_e6, limit_e4 = want
    left = usd_e6 * ONE_E4
    shares = 0
    for place in range(begin, end):
        price = prices[place]
        if price == 0 or price > limit_e4:
            break
        size = min(sizes[place], left // price)
        if size == 0:
            break
        shares += size
        left -= price * size
    return shares, rounded(usd_e6 * ONE_E4 - left)


def rounded(total: int) -> int:
    """Round to whole millionths, half to even, as ``engine.core.ledger.cost_of`` does."""
    whole = total // ONE_E4
    rest = total - whole * ONE_E4
    half = ONE_E4 // 2
    if rest > half or (rest == half and whole % 2 == 1):
        return whole + 1
    return whole


def order_usd(prices: Any, sizes: Any, begin: int, end: int, want: tuple[int, int]) -> int:
    """Size an order at its limit, in whole cents, as ``engine.core.orders.intend`` does."""
    usd_e6 = want[0]
    shown = walk(prices, sizes, begin, end, want)[1]
    return (usd_e6 if usd_e6 - shown < ROUNDING_E6 else shown) // CENT_E6 * CENT_E6


def touched(prices: Any, begin: int, usd_e6: int, exponent: float) -> tuple[int, int, float]:
    """Fill whole at the best price seen; return what ``met`` does."""
    price = prices[begin]
    size = usd_e6 * ONE_E4 // price
    share = price / ONE_E4
    return size, rounded(price * size), size / ONE_E6 * (share * (1.0 - share)) ** exponent


class Met(NamedTuple):
    """Levels of two moments: ``now`` of the arrival, ``seen`` of the decision."""

    now: int
    seen: int
    depth: int
    conservative: int


def met(
    prices: Any, sizes: Any, where: Met, want: tuple[int, int], exponent: float
) -> tuple[int, int, float]:
    """Fill or kill against the levels of the arrival, as ``engine.venue.paper_fills.taken`` does.

    Returns:
        Shares and cost in millionths (0, 0 where it is killed), and the sum over shares of
        (price (1 - price)) ** exponent, which the fee is made of.
    """
    usd_e6, limit_e4 = want
    left = usd_e6 * ONE_E4
    shares = 0
    fee = 0.0
    for rank in range(where.depth):
        price = prices[where.now + rank]
        if price == 0:
            break
        shown = sizes[where.now + rank]
        if where.conservative:
            before = 0
            for other in range(where.depth):
                if prices[where.seen + other] == price:
                    before = sizes[where.seen + other]
            shown = int(min(shown, before) * (1.0 - TAKEN_BY_OTHERS))
            if shown == 0:
                continue
        size = min(shown, left // price)
        if price > limit_e4 or size == 0:
            break
        share = price / ONE_E4
        fee += size / ONE_E6 * (share * (1.0 - share)) ** exponent
        shares += size
        left -= price * size
    if left >= UNSPENT_E6 * ONE_E4:
        return 0, 0, 0.0
    return shares, rounded(usd_e6 * ONE_E4 - left), fee
