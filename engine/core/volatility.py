"""How far BTC moves in a second, from the seconds that arrived.

A missing second is a longer step, not a smaller move: squared steps are divided by the time they took.
Formula, origin of every number and the candidates measured: docs/model.md, "Volatility".
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from engine.core.adding import added_up
from engine.core.prices import PriceTrack
from engine.params import Params

LEAST_POINTS: Final = 20
"""Fewer seconds than this say too little: their deviation is unknown, not small."""

WARM_S: Final = 300
"""Until so many seconds are known the short span counts whole: a young long span has seen too little."""


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
    return deviation([value for _, value in points], points[-1][0] - points[0][0])


def deviation(values: Sequence[float], seconds: int) -> float:
    """Estimate the deviation per root second of at least two prices, oldest first, over so many seconds."""
    return deviation_of([(step := value - before) * step for before, value in pairwise(values)], seconds)


def deviation_of(squared_steps: Sequence[float], seconds: int) -> float:
    """Estimate the same from the squared steps, oldest first."""
    return float((added_up(squared_steps) / seconds) ** 0.5)


def sigma_usd(track: PriceTrack, params: Params) -> float | None:
    """Return the deviation the engine uses: of a long span, or a share of a short one's where that is larger.

    Args:
        track: Raw Chainlink seconds; those that came late are left out.
        params: ``sigma_long_s``, ``sigma_short_s``, ``sigma_short_weight``, ``sigma_multiplier`` and
            ``sigma_floor``.
    Returns:
        Dollars per root second, or None while there are too few seconds.
    Source: docs/model.md, "Volatility" (chosen among the candidates measured there).
    """
    newest, now = track.newest_s, track.newest_dollars()
    if newest is None or now is None:
        return None
    steps, seconds = track.steps_in_order(newest - int(params.sigma_long_s), newest)
    if len(steps) < LEAST_POINTS - 1:
        return None
    larger = deviation_of(steps, seconds)
    short, short_s = track.steps_in_order(newest - int(params.sigma_short_s), newest)
    if len(short) >= LEAST_POINTS - 1:
        is_warm = seconds >= min(WARM_S, params.sigma_long_s)
        # The weight is of variances, as it was measured.
        weight = params.sigma_short_weight**0.5 if is_warm else 1.0
        larger = max(larger, weight * deviation_of(short, short_s))
    return max(larger * params.sigma_multiplier, params.sigma_floor * now)
