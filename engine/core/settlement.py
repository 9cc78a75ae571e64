"""The price a market settles on, at one instant: exact where it was reported, else an estimate that says so.

What it does not know: books, money, time of arrival. Source of the sampling window: settlement-and-strategy,
section 1 (75 % of exactly matching ticks; 23 % match the window one second later).
"""

from decimal import Decimal
from typing import Final, Literal, NamedTuple

from engine.contract import SettlementRule
from engine.core.prices import PriceTrack

FEED_LAG_S: Final = 2
"""A TWAP stamped ``i`` over ``n`` seconds is the mean of the seconds ``i - n - 2`` to ``i - 3``."""

BASE_DOUBT_USD: Final = 0.05
"""What an estimated average may be off with every second known: 93 % lay within it (same source)."""

LEAST_COVERAGE: Final = 0.9
"""Share of the seconds that an estimate needs (54 of 60, as the calibration's own rule)."""


class PriceAt(NamedTuple):
    """A settlement price at one instant.

    ``error_usd`` is 0 for ``exact``. For an estimate it is a bound from what is not known: which of the two
    sampling windows the publisher used, and what happened in the missing seconds.
    """

    value: Decimal
    source: Literal["exact", "estimate"]
    error_usd: float


def sampled_seconds(rule: SettlementRule, at_s: int) -> tuple[int, int]:
    """Return the first and last second whose spot values make the settlement price at ``at_s``."""
    if rule.basis == "spot":
        return at_s, at_s
    return at_s - rule.lookback_s - FEED_LAG_S, at_s - FEED_LAG_S - 1


def reported(rule: SettlementRule, at_s: int, twap: PriceTrack, chainlink: PriceTrack) -> PriceAt | None:
    """Return the report stamped exactly ``at_s``, or None if it has not arrived."""
    track = twap if rule.basis == "twap" else chainlink
    value = track.at(at_s)
    return None if value is None else PriceAt(value, "exact", 0.0)


def estimated(rule: SettlementRule, at_s: int, chainlink: PriceTrack) -> PriceAt | None:
    """Estimate the settlement price at ``at_s`` from raw Chainlink seconds.

    Args:
        rule: The market's rule.
        at_s: Unix second.
        chainlink: The raw seconds.
    Returns:
        The mean of the sampled seconds, holes interpolated; None where too few of them are known or the
        newest known second is not past the last sampled one.
    """
    first, last = sampled_seconds(rule, at_s)
    if chainlink.newest_s is None or chainlink.newest_s < last:
        return None
    filled, holes_usd = fill_holes(chainlink, first, last)
    if filled is None:
        return None
    mean = sum(filled) / len(filled)
    after = chainlink.dollars(last + 1)
    other_window = 0.0 if after is None else abs(after - filled[0]) / len(filled)
    doubt = BASE_DOUBT_USD + other_window + holes_usd / len(filled)
    return PriceAt(Decimal(repr(mean)), "estimate", doubt)


def fill_holes(track: PriceTrack, first: int, last: int) -> tuple[list[float] | None, float]:
    """List every second from ``first`` to ``last``, missing ones on a straight line between their neighbours.

    Returns:
        The values, shape (last - first + 1,), oldest first, or None where fewer than ``LEAST_COVERAGE`` of
        them are known; and the sum over missing seconds of the step across their hole, dollars: a measure of
        what the straight line may have missed.
    """
    reach = 10  # seconds outside the range that may serve as a neighbour; longer holes are not bridged
    known = track.between(first - reach, last + reach)
    count = last - first + 1
    if sum(first <= second <= last for second, _ in known) < LEAST_COVERAGE * count and count > 1:
        return None, 0.0
    values: list[float] = []
    doubt = 0.0
    position = 0
    for second in range(first, last + 1):
        while position + 1 < len(known) and known[position + 1][0] <= second:
            position += 1
        if not known or known[position][0] > second:
            return None, 0.0
        left_s, left = known[position]
        if left_s == second:
            values.append(left)
            continue
        if position + 1 == len(known):
            return None, 0.0
        right_s, right = known[position + 1]
        values.append(left + (right - left) * (second - left_s) / (right_s - left_s))
        doubt += abs(right - left)
    return values, doubt
