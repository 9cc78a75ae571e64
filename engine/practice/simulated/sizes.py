"""How much rests at each level of a book, by the time left: recorded medians and their scatter.

Source: books of 28 September 2026 (12 markets of 15 minutes, both sides pooled) and raw book frames of
April 2026 (5 markets of 5 minutes); docs/practice.md says how they were taken.
"""

import math
from typing import Final, NamedTuple

from engine.units import ONE_E6, SizeE6

LEVELS: Final = 12
LEAST_SHARES: Final = 5.0
LARGEST_LUCK: Final = 2.5
"""Deviations of luck at which a size is cut: no recorded touch held a thousand medians."""


class Shelf(NamedTuple):
    """Median shares by rank from the touch, within ``until_s`` of the end.

    ``scatter`` is the deviation of the log of the touch's size, ``behind`` that of the levels behind it.
    """

    until_s: float
    medians: tuple[int, ...]
    scatter: float
    behind: float = 0.6


SHELVES: Final[dict[str, tuple[Shelf, ...]]] = {
    "5m": (
        Shelf(30, (179, 75, 76, 75, 78, 92, 110, 105), 2.0),
        Shelf(60, (250, 190, 203, 301, 336, 361, 358, 360), 1.3),
        Shelf(120, (287, 348, 383, 387, 408, 451, 398, 395), 0.83),
        Shelf(math.inf, (246, 298, 404, 418, 460, 495, 515, 505), 0.79),
    ),
    "15m": (
        Shelf(30, (18900, 153, 536, 311, 100, 54, 83, 53), 0.4, 3.0),
        Shelf(60, (1700, 113, 432, 292, 176, 78, 104, 84), 1.6, 2.2),
        Shelf(120, (119, 117, 205, 302, 185, 171, 140, 121), 1.8, 1.7),
        Shelf(300, (113, 198, 550, 802, 958, 700, 436, 222), 1.55),
        Shelf(600, (115, 272, 700, 1144, 1666, 1578, 890, 617), 1.19),
        Shelf(math.inf, (125, 227, 570, 998, 1593, 1798, 1379, 558), 1.07),
    ),
}


def shelf(name: str, left_s: float) -> Shelf:
    """Return the sizes of a window's length so many seconds before its end."""
    return next(shelf for shelf in SHELVES[name] if left_s <= shelf.until_s)


def shares_e6(shelf: Shelf, rank: int, luck: float) -> SizeE6:
    """Return the size at one rank, in hundredths of a share; ``luck`` is standard normal."""
    median = shelf.medians[min(rank, len(shelf.medians) - 1)]
    scatter = shelf.scatter if rank == 0 else shelf.behind
    luck = max(-LARGEST_LUCK, min(LARGEST_LUCK, luck))
    shares = max(LEAST_SHARES, median * math.exp(scatter * luck))
    return round(shares * 100) * (ONE_E6 // 100)
