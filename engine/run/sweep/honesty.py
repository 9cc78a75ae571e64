"""What may be believed of a sweep: splits in time, deflated scores, intervals, plateaus, a verdict in words.

The best of many is the luckiest of many. So configurations are chosen on earlier windows and reported on
later ones, and the number of those tried is part of the answer. Formulas: docs/sweep.md, "Honesty".
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np

from engine.run.sweep.grid import Grid, Values
from engine.run.sweep.trace import Floats

HELD_OUT: Final = 0.3
"""Share of the windows, the last ones, that nothing is chosen on."""

FOLDS: Final = 4
"""Stretches of a walk forward: each after the first is traded with what the ones before it chose."""

TOP_SHARE: Final = 0.2
"""Share of the configurations that "robust" is made of (seed: top 20 %)."""

RESAMPLES: Final = 2_000
LEAST_TRADES: Final = 20
"""Fewer trades than this, out of sample, say nothing."""

SURE: Final = 0.95
PLATEAU: Final = 0.5
"""Neighbours that keep half of the best one's profit make a plateau."""

EULER: Final = 0.5772156649015329
NO_DIFFERENCE: Final = "not distinguishable from not trading"


class Split(NamedTuple):
    """Places of windows: what is chosen on, what is reported on, and the stretches of a walk forward."""

    chosen_on: range
    held_out: range
    folds: tuple[range, ...]


def split(count: int) -> Split:
    """Split windows in order of their end."""
    cut = count - round(count * HELD_OUT)
    edges = [round(count * number / FOLDS) for number in range(FOLDS + 1)]
    return Split(range(cut), range(cut, count), tuple(range(a, b) for a, b in itertools.pairwise(edges)))


def best(profits: Sequence[float | None]) -> int | None:
    """Return the place of the highest profit, the first of equal ones; None where nothing traded."""
    known = [(profit, -place) for place, profit in enumerate(profits) if profit is not None]
    return -max(known)[1] if known else None


def top(profits: Sequence[float | None]) -> list[int]:
    """Return the places of the best ``TOP_SHARE``, at least one, of the configurations that traded."""
    known = sorted((-profit, place) for place, profit in enumerate(profits) if profit is not None)
    return sorted(place for _, place in known[: max(1, math.ceil(len(known) * TOP_SHARE))])


def ranges(grid: Grid, kept: Sequence[Values]) -> dict[str, Any]:
    """Return the range of each name over configurations; "undefined" without any."""
    if not kept:
        return dict.fromkeys(grid.names, "undefined")
    return {
        name: [min(one[place] for one in kept), max(one[place] for one in kept)]
        for place, name in enumerate(grid.names)
    }


def walk_forward(by_fold: Sequence[Sequence[float]], traded: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """Trade each stretch with what the stretches before it would have chosen.

    Args:
        by_fold: Profit of each configuration in each stretch, shape (configurations, folds).
        traded: Trades, same shape.
    Returns:
        For each stretch after the first, which configuration was chosen and what it came to.
    """
    told = []
    for fold in range(1, FOLDS):
        before = [
            sum(profits[:fold]) if sum(trades[:fold]) else None
            for profits, trades in zip(by_fold, traded, strict=True)
        ]
        chosen = best(before)
        told.append(
            {
                "fold": fold + 1,
                "run": chosen,
                "trades": None if chosen is None else traded[chosen][fold],
                "total_pnl": None if chosen is None or not traded[chosen][fold] else by_fold[chosen][fold],
            }
        )
    return told


def deflated(sharpes: Sequence[float | None], profit: Floats, tried: int) -> dict[str, float | None]:
    """Return the probability that a chosen configuration's Sharpe ratio is above what luck alone would show.

    Args:
        sharpes: Of every configuration tried, per window.
        profit: The chosen one's, by window.
        tried: How many were tried.
    Returns:
        ``sharpe``, ``expected_of_luck`` (of the best of so many without any edge) and ``probability``; None
        where there is too little to say.
    Source: Bailey and Lopez de Prado, "The Deflated Sharpe Ratio", Journal of Portfolio Management 40 (5),
        2014, equations 1 and 2.
    """
    known = [value for value in sharpes if value is not None]
    unknown: dict[str, float | None] = dict.fromkeys(("sharpe", "expected_of_luck", "probability"))
    deviation = float(profit.std()) if len(profit) > 2 else 0.0
    if deviation == 0.0 or not known:
        return unknown
    own = float(profit.mean()) / float(profit.std(ddof=1))
    luck = expected_of_luck(float(np.var(known, ddof=1)) if len(known) > 1 else 0.0, tried)
    scaled = (profit - profit.mean()) / deviation
    skew, kurtosis = float((scaled**3).mean()), float((scaled**4).mean())
    spread = 1.0 - skew * own + (kurtosis - 1.0) / 4.0 * own * own
    if spread <= 0.0:
        return unknown | {"sharpe": own, "expected_of_luck": luck}
    score = (own - luck) * math.sqrt(len(profit) - 1) / math.sqrt(spread)
    return {"sharpe": own, "expected_of_luck": luck, "probability": NormalDist().cdf(score)}


def expected_of_luck(variance: float, tried: int) -> float:
    """Return the Sharpe ratio that the best of so many configurations shows when none has an edge."""
    if tried < 2:
        return 0.0
    law = NormalDist()
    first, second = law.inv_cdf(1.0 - 1.0 / tried), law.inv_cdf(1.0 - 1.0 / (tried * math.e))
    return math.sqrt(variance) * ((1.0 - EULER) * first + EULER * second)


def interval(profit: Floats, seed: int) -> tuple[float, float] | None:
    """Return a bootstrap interval (95 %) of the mean profit of a window, windows drawn whole."""
    if len(profit) < 2:
        return None
    rng = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        means[number] = profit[rng.integers(0, len(profit), len(profit))].mean()
    low, high = np.quantile(means, ((1.0 - SURE) / 2.0, (1.0 + SURE) / 2.0))
    return float(low), float(high)


def plateau(grid: Grid, one: Values, profits: Mapping[Values, float | None]) -> dict[str, Any]:
    """Compare the best configuration with those a step away from it."""
    around = [profits.get(other) for other in grid.neighbours(one)]
    known = [0.0 if profit is None else profit for profit in around]
    own = profits.get(one)
    if own is None or not known:
        return {"best": own, "neighbours": len(known), "neighbours_mean": None, "shape": "undefined"}
    mean = sum(known) / len(known)
    flat = own > 0.0 and mean >= PLATEAU * own
    return {
        "best": own,
        "neighbours": len(known),
        "neighbours_mean": mean,
        "shape": "plateau" if flat else "peak",
    }


def verdict(trades: int, held: tuple[float, float] | None, luck: float | None) -> str:
    """Say in words what the held-out windows show of the chosen configuration.

    Args:
        trades: Its trades there.
        held: The interval of its mean profit a window there.
        luck: Probability that it is more than the luck of so many tries, on the windows it was chosen on.
    """
    if not trades:
        return f"no trade out of sample: {NO_DIFFERENCE}"
    if trades < LEAST_TRADES or held is None:
        return f"too few to say: {trades} trades out of sample, {LEAST_TRADES} are asked for"
    if held[1] < 0.0:
        return "worse than not trading, out of sample"
    if held[0] > 0.0 and luck is not None and luck >= SURE:
        return "better than not trading, out of sample"
    if held[0] > 0.0:
        return f"{NO_DIFFERENCE}: the profit out of sample is no more than the luck of so many tries"
    return NO_DIFFERENCE
