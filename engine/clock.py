"""Clocks: the only places where the engine asks what time it is.

The injected clock is what staleness, holds and expiries run on; it may follow a venue whose time is scaled.
Pings, socket time-outs and back-off use the wall clock (``asyncio``'s own).
"""

import asyncio
import time
from typing import Final, Protocol


class Clock(Protocol):
    """What the engine needs of a clock."""

    @property
    def rate(self) -> float:
        """Injected seconds that pass in one second of the wall clock."""
        ...

    def now_ms(self) -> int:
        """Return Unix time in milliseconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep for so many seconds of this clock."""
        ...


class SystemClock:
    """The machine's own time."""

    rate = 1.0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class ScaledClock:
    """A clock that runs ``rate`` times as fast as the wall, from an anchor.

    Between anchors it follows the monotonic clock, so a step of the machine's time does not move it.
    """

    def __init__(self, now_ms: float, rate: float) -> None:
        self.rate = rate
        self._anchor_ms = now_ms
        self._anchor_mono = time.monotonic()

    def now_ms(self) -> int:
        return int(self._anchor_ms + (time.monotonic() - self._anchor_mono) * 1000.0 * self.rate)

    def anchor(self, now_ms: float, rate: float, at_mono: float) -> None:
        """Say what time it was at one reading of the monotonic clock.

        Args:
            now_ms: Unix time in milliseconds at that moment.
            rate: Scaled seconds in one second of the wall.
            at_mono: ``time.monotonic()`` of that moment.
        """
        self._anchor_ms, self._anchor_mono, self.rate = now_ms, at_mono, rate

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self.rate)


class Walls:
    """What the wall showed at moments of a clock, for people who look back.

    Each moment is told once and for good: asked for again, the answer would move by a millisecond.
    """

    KEPT: Final = 256
    """Moments of stops and pauses; the oldest are told anew when there were more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[int, int] = {}

    def at(self, at_ms: int) -> int:
        """Return the wall's Unix milliseconds at a moment of the clock."""
        if at_ms not in self._told:
            since_ms = (self._clock.now_ms() - at_ms) / self._clock.rate
            while len(self._told) >= self.KEPT:
                del self._told[next(iter(self._told))]
            self._told[at_ms] = time.time_ns() // 1_000_000 - round(since_ms)
        return self._told[at_ms]


class ManualClock:
    """A clock for tests: it stands still until told to move. Sleepers may be in any thread's loop."""

    rate = 1.0

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._sleepers: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []

    def now_ms(self) -> int:
        return self._now_ms

    @property
    def sleepers(self) -> int:
        """How many sleep on it."""
        return len(self._sleepers)

    def advance(self, seconds: float) -> None:
        """Move time on and wake every sleeper whose time has come."""
        self._now_ms += round(seconds * 1000)
        for sleeper in [one for one in self._sleepers if one[0] <= self._now_ms]:
            self._sleepers.remove(sleeper)
            sleeper[1].call_soon_threadsafe(sleeper[2].set)

    async def sleep(self, seconds: float) -> None:
        due, awake = self._now_ms + round(seconds * 1000), asyncio.Event()
        if due > self._now_ms:
            self._sleepers.append((due, asyncio.get_running_loop(), awake))
            await awake.wait()
