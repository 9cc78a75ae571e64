"""What the settlement price will be, as far as it is not fixed yet: a mean and a deviation.

One formula serves both rules: the settlement price is the mean of a run of spot seconds (a run of one for the
spot rule), of which those up to the newest received second are known. Source: docs/model.md, "Fair value";
settlement-and-strategy, section 2.
"""

import math
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple

from engine.contract import SettlementRule
from engine.core.adding import added_up
from engine.core.prices import PriceTrack
from engine.core.settlement import fill_holes, sampled_seconds

LONGEST_STEP_S: Final = 5
"""A last move over more seconds than this says nothing of the next second."""

LONGEST_BRIDGE_S: Final = 120
"""A hole is bridged from neighbours this far outside the averaged seconds; its doubt grows with its cube."""


SAMPLING_USD: Final = 0.05
"""What a published average differs from ours by where both are of the same seconds, dollars."""

OTHER_SECONDS: Final = 0.6
"""Share of the difference that averaging one second later makes: the publisher does so now and then (about
a quarter of quiet boundaries; settlement-and-strategy, section 1). At this share 99, 95 and 80 of 100
reports of the recordings lie where they are said to, from half a second to fifteen seconds before them."""


class Fair(NamedTuple):
    """The settlement price as a distribution.

    ``mean_usd`` and ``deviation_usd`` in dollars; ``locked_share`` is the part of the average already fixed,
    ``locked_mean_usd`` the mean of that part (None while nothing is), ``averaged`` how many seconds the
    average is of. ``coverage`` is the share of the fixed part's seconds that arrived.
    """

    mean_usd: float
    deviation_usd: float
    locked_share: float
    locked_mean_usd: float | None
    averaged: int
    coverage: float

    def average_to_end_at(self, strike: float) -> float | None:
        """Return what the seconds still unknown must average, in dollars, for the price to end at a strike.

        None once every second is known.
        """
        unknown = round(self.averaged * (1.0 - self.locked_share))
        if unknown == 0:
            return None
        fixed = 0.0 if self.locked_mean_usd is None else self.locked_mean_usd * (self.averaged - unknown)
        return (strike * self.averaged - fixed) / unknown


class Unknown(NamedTuple):
    """What the seconds still unknown do to their own sum.

    ``drift`` multiplies the last move (dollars a second), ``variance`` the square of the deviation.
    """

    drift: float
    variance: float


def expect_settlement(
    rule: SettlementRule, end_s: int, chainlink: PriceTrack, sigma_usd: float, memory: float = 0.0
) -> Fair | None:
    """Say what is known now of the settlement price at ``end_s``.

    Args:
        rule: The market's rule.
        end_s: Unix second at which the window ends.
        chainlink: Raw Chainlink seconds.
        sigma_usd: Dollars per root second.
        memory: Share of a second's move that the next second repeats, 0 to below 1.
    Returns:
        The distribution; None before the first value, or where nothing near is known. Holes in the part
        already fixed are bridged, and what the bridges may have missed is in the deviation; so is, for an
        average, which seconds the publisher takes: it is never quite certain before it is published.
    """
    newest_s = chainlink.newest_s
    if newest_s is None:
        return None
    spot = chainlink.dollars(newest_s)
    assert spot is not None
    first, last = sampled_seconds(rule, end_s)
    total = last - first + 1
    unknown = min(total, max(0, last - newest_s))
    part = unknown_part(unknown, max(0, first - 1 - newest_s), memory)
    ahead = unknown * spot + part.drift * (chainlink.last_step(LONGEST_STEP_S) if memory else 0.0)
    if unknown == total:
        return Fair(ahead / total, sigma_usd * math.sqrt(part.variance) / total, 0.0, None, total, 1.0)
    fixed_to = min(last, newest_s)
    filled = fill_holes(chainlink, first, fixed_to, LONGEST_BRIDGE_S)
    if filled is None:
        return None
    fixed = added_up(filled.values)
    # Over the seconds of a hole a walk with memory spreads as one without and 1 / (1 - memory) the step.
    variance = part.variance + filled.doubt_s3 / (1.0 - memory) ** 2
    known = len(filled.values)
    deviation = sigma_usd * math.sqrt(variance) / total
    if total > 1:
        after = chainlink.dollars(last + 1)
        shift = OTHER_SECONDS * ((spot if after is None else after) - filled.values[0]) / total
        deviation = math.sqrt(deviation * deviation + SAMPLING_USD * SAMPLING_USD + shift * shift)
    return Fair(
        (fixed + ahead) / total,
        deviation,
        known / total,
        fixed / known,
        total,
        filled.coverage,
    )


@lru_cache(maxsize=4096)
def unknown_part(unknown: int, gap: int, memory: float) -> Unknown:
    """Sum up a walk whose steps repeat a share of the step before: step(t+1) = memory * step(t) + news(t+1).

    Args:
        unknown: Seconds of the average that are not known.
        gap: Seconds between the newest known one and the first of them.
        memory: 0 to below 1; at 0 the variance is ``gap n^2 + n (n + 1) (2 n + 1) / 6``.
    Returns:
        The drift and the variance of the sum of the unknown seconds, each less ``unknown`` times the newest
        value.
    """
    # reach[h]: what a second's news has moved the price h seconds on; sums[h]: the sum of reach below h.
    reach = [(1.0 - memory**ahead) / (1.0 - memory) for ahead in range(unknown + gap + 1)]
    sums = list(accumulate(reach, initial=0.0))
    drift = memory * (sums[gap + unknown + 1] - sums[gap + 1])
    variance = 0.0
    # News of the gap moves every unknown second; the earliest first, as it moves them most.
    to_ends, to_begins = sums[gap + unknown + 1 : unknown + 1 : -1], sums[gap + 1 : 1 : -1]
    for to_end, to_begin in zip(to_ends, to_begins, strict=True):
        moved = to_end - to_begin
        variance += moved * moved
    # News of an unknown second moves those from its own on.
    for to_end in sums[unknown + 1 : 1 : -1]:
        moved = to_end - sums[1]
        variance += moved * moved
    return Unknown(drift, variance)
