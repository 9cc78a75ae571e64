"""How far BTC moves in a second, from the seconds that arrived.

A missing second is a longer step, not a smaller move: squared steps are divided by the time they took.
Formula and origin: docs/model.md, "Volatility".
"""

from collections.abc import Sequence
from typing import Final

from engine.core.prices import PriceTrack
from engine.params import Params

SHORT_S: Final = 60
LONG_S: Final = 300
LEAST_POINTS: Final = 20
"""Fewer steps than this say too little: their deviation is unknown, not small."""


def realised_vol(points: Sequence[tuple[int, float]]) -> float:
    """Estimate the deviation per root second from unequally spaced prices.

    Args:
        points: (second, dollars), oldest first, shape (n,), n >= 2.
    Returns:
        Dollars per root second; 0.0 for a flat line.
    Raises:
        ValueError: Fewer than two points.
    """
    if len(points) < 2:
        raise ValueError("two prices make the first step")
    squares = 0.0
    before = points[0][1]
    for _, value in points[1:]:
        step = value - before
        squares += step * step
        before = value
    seconds: int = points[-1][0] - points[0][0]
    return float((squares / seconds) ** 0.5)


def sigma_usd(track: PriceTrack, params: Params) -> float | None:
    """Return the deviation the engine uses: the larger of 60 s and 300 s, multiplied, with a floor.

    Args:
        track: Raw Chainlink seconds.
        params: ``sigma_multiplier`` and ``sigma_floor``.
    Returns:
        Dollars per root second, or None while there are too few seconds.
    Source: settlement-and-strategy, section 2.
    """
    newest = track.newest_s
    if newest is None:
        return None
    long = track.between(newest - LONG_S, newest)
    short = [point for point in long if point[0] >= newest - SHORT_S]
    if len(short) < LEAST_POINTS:
        return None
    larger = max(realised_vol(short), realised_vol(long))
    return max(larger * params.sigma_multiplier, params.sigma_floor * long[-1][1])
