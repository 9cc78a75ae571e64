"""Floats added up one by one.

``sum`` adds floats with a compensation from Python 3.12 on, and without one before: a session that one
version recorded would not be decided again to the same bits by the other.
"""

from collections.abc import Iterable


def added_up(values: Iterable[float]) -> float:
    """Return the sum, added in their order; every supported Python gives the same bits."""
    total = 0.0
    for value in values:
        total += value
    return total
