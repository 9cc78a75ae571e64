"""The price a market settles on, at one instant: exact where it was reported, else an estimate that says so.

The rungs of the ladder, best first: the report of PolyBolt, the report of RTDS, the own mean of raw Chainlink
seconds. For a market that settles on spot the raw seconds are themselves the report.
What it does not know: books, money, the clock. Source of the sampling window: settlement-and-strategy,
section 1 (75 % of exactly matching ticks; 23 % match the window one second later).
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, Literal, NamedTuple, TypeAlias

from engine.contract import SettlementRule
from engine.core.adding import added_up
from engine.core.prices import PriceTrack
from engine.events import Source
from engine.units import Milliseconds

FEED_LAG_S: Final = 2
"""A TWAP stamped ``i`` over ``n`` seconds is the mean of the seconds ``i - n - 2`` to ``i - 3``."""

BASE_DOUBT_USD: Final = 0.05
"""What an estimated average may be off with every second known: 93 % lay within it (same source)."""

LEAST_COVERAGE: Final = 0.9
"""Share of the seconds that an estimate needs (54 of 60, as the calibration's own rule)."""

REACH_S: Final = 10
"""How far outside the averaged seconds a neighbour may lie that a hole at their edge is bridged from."""

FAR_OFF_USD: Final = 25.0
"""A report this far from the own mean, beyond that mean's own error, is not believed: the worst of the
recorded estimates was $4 off (settlement-and-strategy, section 1)."""

MOST_MOVE: Final = 0.005
"""Share of the price by which unknown seconds may lie apart from known ones of the same minute: on the
recorded day the largest move of a whole minute was 0.29 % (settlement-and-strategy, section 2)."""

TWAP_RUNGS: Final[tuple[tuple[Source, str], ...]] = (("polybolt", "PolyBolt TWAP"), ("twap", "RTDS TWAP"))
SPOT_RUNG: Final = "RTDS spot"
OWN_MEAN: Final = "own mean"
SERVED_RUNG: Final = "final of the window before"

Tracks: TypeAlias = Callable[[Source, int], PriceTrack]
"""Gives the recent values of a source and its averaging time (``State.track``)."""

Rungs: TypeAlias = tuple[tuple[str, PriceTrack], ...]
"""The feeds that report a settlement price, by name, best first."""

NOTHING: Final = Decimal(0)


class PriceAt(NamedTuple):
    """A settlement price at one instant.

    ``rung`` names the feed it is from, ``stamp_ms`` the venue time it is of, ``recv_ms`` when it was known.
    ``coverage`` is the share of the averaged seconds that were known, 1.0 for a report. ``error_usd`` is 0
    for ``exact`` and ``served``; for an estimate it is a typical error, no bound, of what is not known: which
    of the two sampling windows the publisher used, and what happened in the missing seconds. ``served`` is
    the venue's own word: the final price of the window before is the strike of the next (2,676 of 2,676
    windows).
    """

    value: Decimal
    source: Literal["exact", "served", "estimate"]
    error_usd: float
    rung: str
    stamp_ms: Milliseconds
    recv_ms: Milliseconds
    coverage: float = 1.0

    @property
    def is_proven(self) -> bool:
        """Whether a trade may rest on it."""
        return self.source != "estimate"


def sampled_seconds(rule: SettlementRule, at_s: int) -> tuple[int, int]:
    """Return the first and last second whose spot values make the settlement price at ``at_s``."""
    if rule.basis == "spot":
        return at_s, at_s
    return at_s - rule.lookback_s - FEED_LAG_S, at_s - FEED_LAG_S - 1


def rungs_of(rule: SettlementRule, tracks: Tracks) -> Rungs:
    """Return the feeds that report what a market settles on, best first."""
    if rule.basis == "spot":
        return ((SPOT_RUNG, tracks("chainlink", 0)),)
    return tuple((name, tracks(source, rule.lookback_s)) for source, name in TWAP_RUNGS)


def rung_of(rungs: Rungs, at_s: int) -> str | None:
    """Return the name of the best feed that reported the second ``at_s``, or None if none has."""
    for rung, track in rungs:
        if track.at(at_s) is not None:
            return rung
    return None


def reported(rungs: Rungs, at_s: int) -> PriceAt | None:
    """Return the best report stamped exactly ``at_s``, or None if none has arrived."""
    for rung, track in rungs:
        value, arrived = track.at(at_s), track.arrival_of(at_s)
        if value is not None and arrived is not None:
            return PriceAt(value, "exact", 0.0, rung, at_s * 1000, arrived)
    return None


def disagreement(rungs: Rungs, at_s: int) -> Decimal:
    """Return how far apart, in dollars, the reports of one second lie; 0 with fewer than two."""
    values = [value for _, track in rungs if (value := track.at(at_s)) is not None]
    return max(values) - min(values) if len(values) > 1 else NOTHING


def is_far_off(exact: PriceAt, own_mean: PriceAt | None) -> bool:
    """Say whether a report cannot be what the raw seconds say, however one averages them."""
    if own_mean is None:
        return False
    return abs(float(exact.value - own_mean.value)) > FAR_OFF_USD + own_mean.error_usd


def estimated(rule: SettlementRule, at_s: int, chainlink: PriceTrack) -> PriceAt | None:
    """Estimate the settlement price at ``at_s`` from raw Chainlink seconds.

    Args:
        rule: The market's rule.
        at_s: Unix second.
        chainlink: The raw seconds.
    Returns:
        The mean of the sampled seconds, holes interpolated; None where too few of them are known, a hole at
        their edge has no neighbour near, or the newest known second is not past the last sampled one.
    """
    first, last = sampled_seconds(rule, at_s)
    if chainlink.newest_s is None or chainlink.arrived_ms is None or chainlink.newest_s < last:
        return None
    filled = fill_holes(chainlink, first, last, REACH_S)
    count = last - first + 1
    if filled is None or filled.extended or (filled.coverage < LEAST_COVERAGE and count > 1):
        return None
    values = filled.values
    after = chainlink.dollars(last + 1)
    other_window = 0.0 if after is None else abs(after - values[0]) / count
    doubt = BASE_DOUBT_USD + other_window + filled.steps_usd / count
    value = Decimal(repr(added_up(values) / count))
    return PriceAt(value, "estimate", doubt, OWN_MEAN, at_s * 1000, chainlink.arrived_ms, filled.coverage)


def hinted(rule: SettlementRule, at_s: int, chainlink: PriceTrack) -> PriceAt | None:
    """Say what the raw seconds of an average allow where they are too few for an estimate.

    After a restart within the minute before a boundary most of them were never heard. What is known of them
    still denies a report that they would have had to move for as BTC does not.

    Returns:
        The mean of the sampled seconds, holes interpolated and edges continued flat; its error is no typical
        one but what the missing seconds may have moved. None where none of them is known.
    """
    first, last = sampled_seconds(rule, at_s)
    filled = fill_holes(chainlink, first, last, REACH_S)
    if filled is None or chainlink.arrived_ms is None or not filled.coverage:
        return None
    mean = added_up(filled.values) / len(filled.values)
    doubt = BASE_DOUBT_USD + (1.0 - filled.coverage) * MOST_MOVE * mean
    value = Decimal(repr(mean))
    return PriceAt(value, "estimate", doubt, OWN_MEAN, at_s * 1000, chainlink.arrived_ms, filled.coverage)


class Filled(NamedTuple):
    """A run of seconds without holes.

    ``values`` in dollars, oldest first. ``coverage`` is the share that is known. ``steps_usd`` is the sum
    over missing seconds of the step across their hole: a bound of what straight lines may have missed.
    ``doubt_s3`` is the variance of the sum of the filled-in values for a random walk of one dollar per root
    second, in cubic seconds. ``extended`` says that an edge was continued flat, for want of a neighbour.
    """

    values: list[float]
    coverage: float
    steps_usd: float
    doubt_s3: float
    extended: bool


def fill_holes(track: PriceTrack, first: int, last: int, reach_s: int) -> Filled | None:
    """List every second from ``first`` to ``last``, missing ones on a straight line between their neighbours.

    Between two known values ``m`` seconds apart a random walk is a bridge; the sum of its ``m - 1`` inner
    values has the variance ``m (m^2 - 1) / 12``. An edge without a neighbour within ``reach_s`` is continued
    flat: the sum of ``k`` such values has the variance ``k (k + 1) (2 k + 1) / 6``.

    Returns:
        The values, shape (last - first + 1,), and what is not known of them; None where nothing is known.
    """
    whole = track.without_holes(first, last)
    if whole is not None:
        return Filled(whole, 1.0, 0.0, 0.0, False)
    known = track.around(first, last, reach_s)
    if not known:
        return None
    count = last - first + 1
    values: list[float] = []
    steps_usd = doubt_s3 = 0.0
    left_s, left = known[0]
    inside = int(first <= left_s <= last)
    if left_s > first:
        missing = min(left_s - 1, last) - first + 1
        values += [left] * missing
        doubt_s3 += _walk(missing)
    for right_s, right in known[1:]:
        span = right_s - left_s
        inside += first <= right_s <= last
        if span == 1:
            values.append(left)
        else:
            begin, end = max(left_s, first), min(right_s - 1, last)
            values += [left + (right - left) * (second - left_s) / span for second in range(begin, end + 1)]
            hidden = end - max(left_s + 1, first) + 1
            if hidden > 0:
                steps_usd += abs(right - left) * hidden
                doubt_s3 += span * (span * span - 1) / 12
        left_s, left = right_s, right
    missing = last - max(left_s, first) + 1
    if missing > 0:
        values += [left] * missing
        doubt_s3 += _walk(missing - (left_s >= first))
    extended = known[0][0] > first or left_s < last
    return Filled(values, inside / count, steps_usd, doubt_s3, extended)


def _walk(count: int) -> float:
    return count * (count + 1) * (2 * count + 1) / 6
