"""The watch trigger: has BTC moved enough to look closely at this window?"""

from typing import Final

from engine.core.prices import PriceTrack
from engine.params import Params

TOLERANCE_S: Final = 10
"""How much older than ``watch_window_s`` the reference second may be when that second never arrived."""


def watch_return(track: PriceTrack, params: Params) -> float | None:
    """Return the signed return over the last ``watch_window_s`` seconds by time, holes tolerated.

    Returns:
        A share (0.005 is half a percent), or None while no value is old enough.
    Source: seed ("1-minute watch trigger when abs(60s return) >= 0.005").
    """
    newest = track.newest_s
    if newest is None:
        return None
    before = track.at_or_before(newest - int(params.watch_window_s), TOLERANCE_S)
    now = track.dollars(newest)
    if before is None or now is None:
        return None
    # Not now / before - 1: that is a hair under the threshold when the move is exactly it.
    return (now - before) / before


def watch_fires(signed_return: float | None, params: Params) -> bool:
    """Say whether the absolute return reaches the threshold (``>=``, as in the seed)."""
    return signed_return is not None and abs(signed_return) >= params.watch_return_threshold
