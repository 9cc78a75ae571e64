"""What so few results can say: intervals and tests of bets that win or lose all, and of other means.

A favourite bought at 0.97 loses so seldom that a sample without a loss is no surprise; resampling it knows
no loss and calls a fair price an edge (docs/sweep.md, "Honesty"). So shares of wins have exact intervals
here, and profits follow from them. What it does not know: trades, windows, words.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.special import betaincinv, stdtrit

SURE: Final = 0.95
"""Of every interval, and of a test against luck."""

Z95: Final = 1.959963984540054


class Interval(NamedTuple):
    """A mean and its 95 % interval; the bounds are None where there is too little to have one."""

    mean: float
    low: float | None
    high: float | None


def wilson(came: int, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, for drawing: near it is right, on average over shares.

    Raises:
        ZeroDivisionError: Of nothing.
    Source: Wilson, JASA 22 (1927), 209-212.
    """
    share, square = came / count, Z95 * Z95
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = Z95 / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def exact_share(came: float, count: int) -> tuple[float, float]:
    """Return Clopper and Pearson's 95 % interval of a share: it holds the truth at least so often.

    Args:
        came: How many of ``count``; the sum of shares where one of them is a mean of several, whose
            variance is smaller than a single one's, so that the interval is rather too wide then.
        count: How many there are, at least one.
    Source: Clopper and Pearson, Biometrika 26 (1934), 404-413. With chances that differ it is of their mean,
        and too wide: Hoeffding, Annals of Mathematical Statistics 27 (1956), 713-721.
    """
    off = (1.0 - SURE) / 2.0
    low = 0.0 if came <= 0.0 else float(betaincinv(came, count - came + 1.0, off))
    high = 1.0 if came >= count else float(betaincinv(came + 1.0, count - came, 1.0 - off))
    return low, high


def of_bets(bets: Sequence[tuple[float, float]]) -> Interval:
    """Return the mean profit of a share, in dollars, of bets that pay a dollar or nothing.

    Args:
        bets: For each independent one (a window, not an order) which share of it won, 0 to 1, and what a
            share cost with fee.
    Returns:
        NaN and no bounds of no bets.
    """
    if not bets:
        return Interval(math.nan, None, None)
    won, cost = sum(one[0] for one in bets), sum(one[1] for one in bets) / len(bets)
    low, high = exact_share(won, len(bets))
    return Interval(won / len(bets) - cost, low - cost, high - cost)


def chance_of_so_many(won: int, break_evens: Sequence[float]) -> float:
    """Return the chance that at least so many bets win where none has an edge.

    Args:
        won: How many won.
        break_evens: The chance of each at which it earns nothing: its cost with fee, dollars a share.
    Returns:
        The upper tail of a Poisson binomial law, exact.
    """
    law = np.zeros(len(break_evens) + 1)
    law[0] = 1.0
    for number, chance in enumerate(break_evens, start=1):
        p = min(max(chance, 0.0), 1.0)
        law[1 : number + 1] = law[1 : number + 1] * (1.0 - p) + law[:number] * p
        law[0] *= 1.0 - p
    return float(min(1.0, law[max(0, won) :].sum()))


def of_values(values: Sequence[float]) -> Interval:
    """Return a mean and Student's interval: for values of which none is rare and decides all.

    Returns:
        NaN of none; no bounds of fewer than two, nor of values that are all equal.
    """
    told = np.array(values, dtype=float)
    if len(told) == 0:
        return Interval(math.nan, None, None)
    mean = float(told.mean())
    deviation = float(told.std(ddof=1)) if len(told) > 1 else 0.0
    if deviation == 0.0:
        return Interval(mean, None, None)
    half = float(stdtrit(len(told) - 1, (1.0 + SURE) / 2.0)) * deviation / math.sqrt(len(told))
    return Interval(mean, mean - half, mean + half)
