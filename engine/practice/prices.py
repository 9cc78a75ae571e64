"""What was printed lately: the memory from which snapshots are served."""

from collections import deque
from decimal import Decimal
from typing import Final

from engine.events import Source
from engine.practice.tape import PriceMoment
from engine.units import Milliseconds

KEPT_POINTS: Final = 600
"""A little more than any snapshot needs (120 s), also for values that come late and out of order."""


class PriceBoard:
    """The newest prices of every source."""

    def __init__(self) -> None:
        self._printed: dict[tuple[Source, int], deque[PriceMoment]] = {}

    def print(self, moment: PriceMoment) -> None:
        """Remember a price."""
        key = (moment.source, moment.lookback_s)
        kept = self._printed.get(key)
        if kept is None:
            kept = self._printed[key] = deque(maxlen=KEPT_POINTS)
        kept.append(moment)

    def newest(self, source: Source, lookback_s: int = 0) -> PriceMoment | None:
        """Return the price printed last, or None before the first."""
        kept = self._printed.get((source, lookback_s))
        return kept[-1] if kept else None

    def since(
        self, source: Source, lookback_s: int, from_ms: Milliseconds
    ) -> list[tuple[Milliseconds, Decimal]]:
        """Return the prices of the seconds after ``from_ms``.

        Args:
            source: Which feed.
            lookback_s: Which average, 0 for spot prices.
            from_ms: Venue time; prices stamped later are returned.
        Returns:
            Stamp and value, oldest stamp first.
        """
        kept = self._printed.get((source, lookback_s), ())
        return sorted((moment.stamp_ms, moment.value) for moment in kept if moment.stamp_ms > from_ms)
