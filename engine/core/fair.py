"""What the settlement price will be, as far as it is not fixed yet: a mean and a deviation.

One formula serves both rules: the settlement price is the mean of a run of spot seconds (a run of one for the
spot rule), of which those up to the newest received second are known. Source: docs/model.md, "Fair value";
settlement-and-strategy, section 2.
"""

import math
from typing import NamedTuple

from engine.contract import SettlementRule
from engine.core.prices import PriceTrack
from engine.core.settlement import fill_holes, sampled_seconds


class Fair(NamedTuple):
    """The settlement price as a normal distribution.

    ``mean_usd`` and ``deviation_usd`` in dollars; ``locked_share`` is the part of the average already fixed,
    ``locked_mean_usd`` the mean of that part (None while nothing is).
    """

    mean_usd: float
    deviation_usd: float
    locked_share: float
    locked_mean_usd: float | None


def expect_settlement(
    rule: SettlementRule, end_s: int, chainlink: PriceTrack, sigma_usd: float
) -> Fair | None:
    """Say what is known now of the settlement price at ``end_s``.

    With ``n`` seconds unknown, the first of them ``gap + 1`` seconds after the newest one received, the sum
    of the unknown part has variance sigma^2 * (gap * n^2 + n (n + 1) (2 n + 1) / 6): every unknown second
    shares the walk across the gap, then each step is shared by all seconds after it.

    Args:
        rule: The market's rule.
        end_s: Unix second at which the window ends.
        chainlink: Raw Chainlink seconds.
        sigma_usd: Dollars per root second.
    Returns:
        The distribution; None where the known part has holes too wide to fill.
    """
    newest_s = chainlink.newest_s
    if newest_s is None:
        return None
    spot = chainlink.dollars(newest_s)
    assert spot is not None
    first, last = sampled_seconds(rule, end_s)
    total = last - first + 1
    unknown = min(total, max(0, last - newest_s))
    gap = max(0, first - 1 - newest_s)
    variance = sigma_usd**2 * (gap * unknown**2 + unknown * (unknown + 1) * (2 * unknown + 1) / 6) / total**2
    if unknown == total:
        return Fair(spot, math.sqrt(variance), 0.0, None)
    known, _ = fill_holes(chainlink, first, min(last, newest_s))
    if known is None:
        return None
    mean = (sum(known) + unknown * spot) / total
    return Fair(mean, math.sqrt(variance), len(known) / total, sum(known) / len(known))
