"""Recent values of one price source, by the second each is of.

A value is kept under its own stamp whenever it comes. One that comes after a newer one is *late*: it counts
for the average it belongs to and for the report of its very second, and says nothing of how BTC moves now.
What it does not know: what a value is for. Missing seconds stay missing; nothing is invented here.
"""

from bisect import bisect_left, bisect_right
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from engine.units import Milliseconds

KEPT_S: Final = 1_080
"""Seconds kept: 900 for the volatility, 60 for an average, and room for late reports (79 s was seen)."""

JUMP_SHARE: Final = 0.05
"""A report so far off the last one is not believed. On the recorded day the largest move of a whole minute
was 0.29 % (settlement-and-strategy, section 2)."""

JUMP_CONFIRMED: Final = 3
"""Reports of seconds that follow each other that have to agree before a jump is believed, as after a long
outage."""

Told: TypeAlias = Literal["new", "late", "duplicate", "restated", "too old", "jump"]
"""What a report told: something new; of an earlier second than the newest; the same again; another value for
a second already known (the first is kept); of a second no longer kept; too far off to be believed."""


class PriceTrack:
    """One source: values by venue second, and what arrived last.

    ``newest_s`` is the latest second for which a value is known, ``arrived_ms`` when it arrived: a repeated
    or late report is no sign of life.
    """

    __slots__ = (
        "_arrived",
        "_by_second",
        "_doubted",
        "_doubted_s",
        "_doubts",
        "_floats",
        "_late",
        "_on_time",
        "_rough",
        "_squares",
        "_values",
        "arrived_ms",
        "lag_ms",
        "newest_s",
    )

    def __init__(self) -> None:
        self._by_second: dict[int, Decimal] = {}
        self._floats: dict[int, float] = {}
        # What did not come late, in order: seconds, their dollars, and the squared step to each (0.0 to the
        # first). Volatility adds up hundreds of steps at each report, and of them only one is new.
        self._on_time: list[int] = []
        self._values: list[float] = []
        self._squares: list[float] = []
        self._arrived: dict[int, Milliseconds] = {}
        self._late: set[int] = set()
        self._rough: set[int] = set()
        self._doubted_s = 0
        self._doubted: float | None = None
        self._doubts = 0
        self.newest_s: int | None = None
        self.arrived_ms: Milliseconds | None = None
        self.lag_ms: Milliseconds = 0

    def add(self, stamp_ms: Milliseconds, value: Decimal, arrived_ms: Milliseconds) -> Told:
        """Take a report in.

        Args:
            stamp_ms: Venue time the value is of; the second it lies in counts.
            value: Dollars, finite and positive.
            arrived_ms: Receive time.
        Returns:
            What it told; only ``new`` and ``late`` changed anything.
        """
        second = stamp_ms // 1000
        known = self._by_second.get(second)
        if known is not None and (second not in self._rough or stamp_ms % 1000):
            return "duplicate" if known == value else "restated"
        newest = self.newest_s
        if newest is not None and second <= newest - KEPT_S:
            return "too old"
        if newest is not None and not self._believes(second, float(value), self._floats[newest]):
            return "jump"
        newest = self.newest_s
        self._put(second, value, arrived_ms)
        if stamp_ms % 1000:
            self._rough.add(second)
        else:
            self._rough.discard(second)
        if newest is not None and second < newest:
            self._late.add(second)
            self._take_out(second)  # it is there where it was known roughly, and this report is exact
            return "late"
        self._put_in_order(second)
        self.newest_s = second
        self.arrived_ms = arrived_ms
        self.lag_ms = arrived_ms - stamp_ms
        self._forget()
        return "new"

    def overwrite(self, stamp_ms: Milliseconds, value: Decimal, arrived_ms: Milliseconds) -> Told:
        """Take in a report of a source that prints many times a second: the last print of a second counts."""
        second = stamp_ms // 1000
        if second != self.newest_s:
            return self.add(stamp_ms, value, arrived_ms)
        if not self._believes(second, float(value), self._floats[second]):
            return "jump"
        self._put(second, value, arrived_ms)
        self._put_in_order(second)
        self.newest_s, self.arrived_ms = second, arrived_ms
        return "new"

    def at(self, second: int) -> Decimal | None:
        """Return the value stamped with exactly that second; a stamp within it is of another moment."""
        return None if second in self._rough else self._by_second.get(second)

    def arrival_of(self, second: int) -> Milliseconds | None:
        """Return when the value of exactly that second arrived, or None."""
        return self._arrived.get(second)

    def newest(self) -> Decimal | None:
        """Return the value of the latest second known."""
        return None if self.newest_s is None else self._by_second[self.newest_s]

    def newest_dollars(self) -> float | None:
        """Return the same as a float."""
        return self._values[-1] if self._values else None

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
        if not self._late:
            return self.in_order(first, last)
        floats = self._floats
        return [(second, floats[second]) for second in range(first, last + 1) if second in floats]

    def around(self, first: int, last: int, reach_s: int) -> list[tuple[int, float]]:
        """Return what is known from the nearest second at or before ``first`` to the nearest at or after
        ``last``; neither is further outside than ``reach_s``."""
        floats = self._floats
        begin = next((second for second in range(first, first - reach_s - 1, -1) if second in floats), first)
        end = next((second for second in range(last, last + reach_s + 1) if second in floats), last)
        return [(second, floats[second]) for second in range(begin, end + 1) if second in floats]

    def steps_in_order(self, first: int, last: int) -> tuple[list[float], int]:
        """Return the squared steps between the values that ``in_order`` gives, and the seconds that they took
        together."""
        begin, end = bisect_left(self._on_time, first), bisect_right(self._on_time, last)
        if end - begin < 2:
            return [], 0
        return self._squares[begin + 1 : end], self._on_time[end - 1] - self._on_time[begin]

    def without_holes(self, first: int, last: int) -> list[float] | None:
        """Return the dollars of every second from ``first`` to ``last``; None where one is missing."""
        floats = self._floats
        try:
            return list(map(floats.__getitem__, range(first, last + 1)))
        except KeyError:
            return None

    def in_order(self, first: int, last: int) -> list[tuple[int, float]]:
        """Return (second, dollars) as ``between`` does, without the values that came late."""
        begin, end = bisect_left(self._on_time, first), bisect_right(self._on_time, last)
        return list(zip(self._on_time[begin:end], self._values[begin:end], strict=True))

    def last_step(self, longest_s: int) -> float:
        """Return the last move, dollars a second; 0.0 where the value before is older than ``longest_s``."""
        if self.newest_s is None:
            return 0.0
        if len(self._on_time) < 2:
            return 0.0
        before_s, now_s = self._on_time[-2:]
        if before_s < self.newest_s - longest_s:
            return 0.0
        return (self._values[-1] - self._values[-2]) / (now_s - before_s)

    def __getstate__(self) -> dict[str, Any]:
        """Keep what cannot be made of the rest: a replay's checkpoints hold many tracks."""
        made = ("_on_time", "_values", "_squares")
        return {name: getattr(self, name) for name in self.__slots__ if name not in made}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        for name, value in kept.items():
            setattr(self, name, value)
        self._on_time, self._values, self._squares = [], [], []
        for second in self._floats:
            if second not in self._late:
                self._put_in_order(second)

    def _put_in_order(self, second: int) -> None:
        """Take a second that is not late, or its newer value, into what lies in order."""
        dollars, seconds, values = self._floats[second], self._on_time, self._values
        if seconds and seconds[-1] == second:
            values[-1] = dollars
        else:
            seconds.append(second)
            values.append(dollars)
            self._squares.append(0.0)
        if len(values) > 1:
            step = dollars - values[-2]
            self._squares[-1] = step * step

    def _take_out(self, second: int) -> None:
        """Take a second out of what lies in order, if it is there."""
        place = bisect_left(self._on_time, second)
        if place == len(self._on_time) or self._on_time[place] != second:
            return
        del self._on_time[place], self._values[place], self._squares[place]
        if place < len(self._values):
            step = self._values[place] - self._values[place - 1] if place else 0.0
            self._squares[place] = step * step

    def _put(self, second: int, value: Decimal, arrived_ms: Milliseconds) -> None:
        self._by_second[second] = value
        self._floats[second] = float(value)
        self._arrived[second] = arrived_ms

    def _believes(self, second: int, dollars: float, newest: float) -> bool:
        """Say whether a value may follow the newest one; forget everything once a jump is confirmed."""
        if abs(dollars - newest) < JUMP_SHARE * newest:
            self._doubted, self._doubts = None, 0
            return True
        if self._doubted is not None and second <= self._doubted_s:
            return False  # the same report again confirms nothing
        self._doubted_s = second
        agrees = self._doubted is not None and abs(dollars - self._doubted) < JUMP_SHARE * self._doubted
        self._doubts = self._doubts + 1 if agrees else 1
        self._doubted = dollars
        if self._doubts < JUMP_CONFIRMED:
            return False
        self._start_over()
        return True

    def _start_over(self) -> None:
        """Forget all values: no step across the jump may be taken for volatility, nor bridged."""
        for known in (self._by_second, self._floats, self._arrived):
            known.clear()
        for listed in (self._on_time, self._values, self._squares):
            listed.clear()
        self._late.clear()
        self._rough.clear()
        self._doubted, self._doubts = None, 0
        self.newest_s = self.arrived_ms = None

    def _forget(self) -> None:
        assert self.newest_s is not None
        oldest = self.newest_s - KEPT_S
        while len(self._by_second) > KEPT_S:
            # Reports come nearly in order, so the first key is nearly always the oldest.
            second = next(iter(self._by_second))
            if second > oldest:
                second = min(self._by_second)
            del self._by_second[second], self._floats[second], self._arrived[second]
            self._take_out(second)
            self._late.discard(second)
            self._rough.discard(second)
