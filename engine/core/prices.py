"""Recent values of one price source, by the second each is of.

What it does not know: what a value is for. Missing seconds stay missing; nothing is invented here.
"""

from decimal import Decimal
from typing import Final

from engine.units import Milliseconds

KEPT_S: Final = 480
"""Seconds kept: 300 for the volatility, 60 for an average, and room for late reports (79 s was seen)."""


class PriceTrack:
    """One source: values by venue second, and what arrived last.

    ``newest_s`` is the latest second for which a value is known, ``arrived_ms`` when it arrived: a repeated
    or late report is no sign of life.
    """

    __slots__ = ("_by_second", "_floats", "arrived_ms", "lag_ms", "newest_s")

    def __init__(self) -> None:
        self._by_second: dict[int, Decimal] = {}
        self._floats: dict[int, float] = {}
        self.newest_s: int | None = None
        self.arrived_ms: Milliseconds | None = None
        self.lag_ms: Milliseconds = 0

    def add(self, stamp_ms: Milliseconds, value: Decimal, arrived_ms: Milliseconds) -> bool:
        """Take a report in.

        Args:
            stamp_ms: Venue time the value is of; the second it lies in counts.
            value: Dollars.
            arrived_ms: Receive time.
        Returns:
            Whether it told anything new: False for a second already known, or one too old to keep.
        """
        second = stamp_ms // 1000
        if second in self._by_second or (self.newest_s is not None and second <= self.newest_s - KEPT_S):
            return False
        self._by_second[second] = value
        self._floats[second] = float(value)
        if self.newest_s is None or second > self.newest_s:
            self.newest_s = second
            self.arrived_ms = arrived_ms
            self.lag_ms = arrived_ms - stamp_ms
            self._forget()
        return True

    def overwrite(self, stamp_ms: Milliseconds, value: Decimal, arrived_ms: Milliseconds) -> None:
        """Take in a report of a source that prints many times a second: the last print of a second counts."""
        second = stamp_ms // 1000
        if second == self.newest_s:
            self._by_second[second] = value
            self._floats[second] = float(value)
            self.arrived_ms = arrived_ms
        else:
            self.add(stamp_ms, value, arrived_ms)

    def at(self, second: int) -> Decimal | None:
        """Return the value of exactly that second, or None."""
        return self._by_second.get(second)

    def newest(self) -> Decimal | None:
        """Return the value of the latest second known."""
        return None if self.newest_s is None else self._by_second[self.newest_s]

    def dollars(self, second: int) -> float | None:
        """Return the value of exactly that second as a float, for the mathematics."""
        return self._floats.get(second)

    def at_or_before(self, second: int, tolerance_s: int) -> float | None:
        """Return the value of that second, or of the nearest one before it within the tolerance."""
        for candidate in range(second, second - tolerance_s - 1, -1):
            value = self._floats.get(candidate)
            if value is not None:
                return value
        return None

    def between(self, first: int, last: int) -> list[tuple[int, float]]:
        """Return (second, dollars) for every known second from ``first`` to ``last``, both included."""
        floats = self._floats
        return [(second, floats[second]) for second in range(first, last + 1) if second in floats]

    def _forget(self) -> None:
        assert self.newest_s is not None
        oldest = self.newest_s - KEPT_S
        while len(self._by_second) > KEPT_S:
            # Reports come nearly in order, so the first key is nearly always the oldest.
            second = next(iter(self._by_second))
            if second > oldest:
                second = min(self._by_second)
            del self._by_second[second], self._floats[second]
