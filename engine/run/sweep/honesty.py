"""What may be believed of a sweep: splits in time, deflated scores, intervals, plateaus, a verdict in words.

The best of many is the luckiest of many. So configurations are chosen on earlier windows and reported on
later ones, and the number of those tried is part of the answer. A favourite seldom loses, so profits alone
do not tell an edge from losses that have not come yet: wins are held against prices too. Formulas:
docs/sweep.md, "Honesty". What it does not know: how configurations were played; files.
"""

import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np

from engine.run.intervals import chance_of_so_many
from engine.run.sweep.grid import Grid, Values
from engine.run.sweep.metrics import column
from engine.run.sweep.trace import Floats, Window

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
"""Of an interval, of a deflated score, and of the test that so many wins are no luck."""

PLATEAU: Final = 0.5
"""Neighbours that keep half of the best one's profit make a plateau."""

EULER: Final = 0.5772156649015329
NO_DIFFERENCE: Final = "not distinguishable from not trading"


class Split(NamedTuple):
    """Places of windows: what is chosen on, what is reported on, and the stretches of a walk forward.

    ``dropped`` are in neither of the first two: they began before the last one to choose on had ended.
    """

    chosen_on: Sequence[int]
    held_out: Sequence[int]
    folds: tuple[Sequence[int], ...]
    dropped: Sequence[int] = ()


def split_in_time(windows: Sequence[Window]) -> Split:
    """Split windows in order of their end so that nothing held out shares prices with what is chosen on.

    Those that end together settle by one price, so that no cut goes between them; and one that had begun
    before the last one to choose on ended saw some of the same prices, so that it is dropped.
    """
    ends = [window.end_s for window in windows]
    cut = between_ends(ends, len(ends) - round(len(ends) * HELD_OUT))
    known_s = ends[cut - 1] if cut else 0
    later = range(cut, len(ends))
    edges = [between_ends(ends, round(len(ends) * number / FOLDS)) for number in range(FOLDS + 1)]
    return Split(
        range(cut),
        [place for place in later if windows[place].start_s >= known_s],
        tuple(range(a, b) for a, b in itertools.pairwise(edges)),
        [place for place in later if windows[place].start_s < known_s],
    )


def between_ends(ends: Sequence[int], cut: int) -> int:
    """Move a cut to the nearest earlier place between two end times; to the first one where none is earlier.

    Args:
        ends: Seconds, in order.
        cut: How many come before it.
    Returns:
        All of them where all end together.
    """
    if not 0 < cut < len(ends):
        return cut
    return bisect_left(ends, ends[cut]) or bisect_right(ends, ends[0])


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


def interval(profit: Floats, ends: Sequence[int], seed: int) -> tuple[float, float] | None:
    """Return a bootstrap interval (95 %) of the mean profit of a window; those that end together drawn whole.

    Args:
        profit: Dollars of each window.
        ends: When each ends, seconds, in order.
        seed: Of the draws.
    Returns:
        None of fewer than two moments of settlement. A loss that has not come yet is not in it: see ``Wins``.
    """
    _, begins, counts = np.unique(np.asarray(ends, np.int64), return_index=True, return_counts=True)
    if len(begins) < 2:
        return None
    sums, rng = np.add.reduceat(profit, begins), np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        drawn = rng.integers(0, len(begins), len(begins))
        means[number] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.quantile(means, ((1.0 - SURE) / 2.0, (1.0 + SURE) / 2.0))
    return float(low), float(high)


class Wins(NamedTuple):
    """Bets, one a moment of settlement, against their prices.

    ``expected`` is how many win on average where none has an edge, ``chance`` that then so many win or more;
    None without a bet.
    """

    bets: int
    won: int
    expected: float
    chance: float | None

    @property
    def are_no_luck(self) -> bool:
        """Say whether so many would be a surprise without an edge."""
        return self.chance is not None and self.chance < 1.0 - SURE


def wins(out: Floats, windows: Sequence[Window]) -> Wins:
    """Hold a configuration's wins against what they cost, with an exact test.

    Args:
        out: ``kernel.OUT`` of each window.
        windows: The same windows, in order of their end. Of those that end together, and so share the final
            price, the first that traded counts.
    Source: The upper tail of a Poisson binomial law (``engine.run.intervals.chance_of_so_many``); a bet earns
        nothing where it wins as often as its dollars with fee a share.
    """
    bets: dict[int, tuple[bool, float]] = {}
    for place in np.flatnonzero(column(out, "filled") > 0).tolist():
        window = windows[place]
        usd, fee, shares, side = (column(out, name)[place] for name in ("usd", "fee", "shares", "side"))
        bets.setdefault(window.end_s, (bool((side == 1) == bool(window.up)), float((usd + fee) / shares)))
    won, break_evens = sum(one[0] for one in bets.values()), [one[1] for one in bets.values()]
    chance = chance_of_so_many(won, break_evens) if bets else None
    return Wins(len(bets), won, sum(break_evens), chance)


def plateau(grid: Grid, one: Values, profits: Mapping[Values, float | None]) -> dict[str, Any]:
    """Compare the best configuration with those a step away from it; ``loss`` where it earned nothing."""
    around = [profits.get(other) for other in grid.neighbours(one)]
    known = [0.0 if profit is None else profit for profit in around]
    own = profits.get(one)
    if own is not None and own <= 0.0:
        mean = sum(known) / len(known) if known else None
        return {"best": own, "neighbours": len(known), "neighbours_mean": mean, "shape": "loss"}
    if own is None or not known:
        return {"best": own, "neighbours": len(known), "neighbours_mean": None, "shape": "undefined"}
    mean = sum(known) / len(known)
    shape = "plateau" if mean >= PLATEAU * own else "peak"
    return {"best": own, "neighbours": len(known), "neighbours_mean": mean, "shape": shape}


def verdict(trades: int, held: tuple[float, float] | None, luck: float | None, won: Wins) -> str:
    """Say in words what the held-out windows show of the chosen configuration.

    Args:
        trades: Its trades there.
        held: The interval of its mean profit a window there.
        luck: Probability that it is more than the luck of so many tries, on the windows it was chosen on.
        won: Its bets there against their prices.
    """
    if not trades:
        return f"no trade out of sample: {NO_DIFFERENCE}"
    if trades < LEAST_TRADES or held is None:
        return f"too few to say: {trades} trades out of sample, {LEAST_TRADES} are asked for"
    if held[1] < 0.0:
        return "worse than not trading, out of sample"
    if held[0] <= 0.0:
        return NO_DIFFERENCE
    doubts = []
    if luck is None or luck < SURE:
        doubts.append("the profit out of sample is no more than the luck of so many tries")
    if not won.are_no_luck:
        doubts.append(f"so many wins are no surprise at these prices: chance {won.chance or 0.0:.2f}")
    if doubts:
        return f"{NO_DIFFERENCE}: {'; '.join(doubts)}"
    return "better than not trading, out of sample"
