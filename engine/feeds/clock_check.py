"""Compare our clock with the venue's, honestly: an answer in whole seconds tells no more than it does.

An answer ``k`` to a question sent at ``s`` and answered at ``r`` (our clock) says that the venue's time lay
in ``[k, k + 1)`` at some moment between, so our clock is ahead by more than ``s - k - 1``, at most ``r - k``.
Asked again when the middle of what is left would fall on the edge of a second, the answer halves it: three
asks leave 125 ms to either side, and half a round trip. Source of the wish: fault catalogue, F8.
"""

import asyncio
import logging
import statistics
import time
from collections.abc import Callable
from typing import Final, Literal, Protocol

import httpx

from engine.clock import Clock
from engine.decoded import from_json
from engine.errors import DecodingError, WireError
from engine.events import AnyEvent, ClockMeasured
from engine.feeds.polite import Politeness, ask
from engine.feeds.venue_clock import ClockReading
from engine.wire.clob_rest import TIME_PATH, parse_time

CHECK_EVERY_S: Final = 15.0
ASKS: Final = 3
TIMEOUT_S: Final = 5.0


log = logging.getLogger("engine.feeds")


class Face(Protocol):
    """A clock of the venue: where it is read, and what a reading says."""

    source: Literal["time", "clock"]
    step_ms: float

    def read_ms(self, body: bytes) -> float:
        """Return the venue's time, in its milliseconds, or raise ``WireError``."""
        ...


class WholeSeconds:
    """The CLOB's ``GET /time``."""

    source: Literal["time", "clock"] = "time"
    step_ms = 1000.0

    def read_ms(self, body: bytes) -> float:
        return parse_time(body) * 1000.0


class ExactClock:
    """A scaled venue's own clock, to the millisecond."""

    source: Literal["time", "clock"] = "clock"
    step_ms = 1.0

    def read_ms(self, body: bytes) -> float:
        try:
            return float(from_json(body, ClockReading).now_ms)
        except DecodingError as error:
            raise WireError(f"not a clock: {error}") from error


class Narrowing:
    """What the answers so far leave open about the skew, milliseconds: ours less the venue's."""

    def __init__(self, step_ms: float) -> None:
        self.low_ms = float("-inf")
        self.high_ms = float("inf")
        self._step_ms = step_ms

    def note(self, sent_ms: float, received_ms: float, told_ms: float) -> None:
        """Take in one answer: when it was asked for and came, by our clock, and what it said."""
        self.low_ms = max(self.low_ms, sent_ms - told_ms - self._step_ms)
        self.high_ms = min(self.high_ms, received_ms - told_ms)

    @property
    def holds(self) -> bool:
        """Whether the answers agree; they do not where a clock was set between them."""
        return self.low_ms <= self.high_ms

    @property
    def skew_ms(self) -> float:
        return (self.low_ms + self.high_ms) / 2.0

    @property
    def error_ms(self) -> float:
        return (self.high_ms - self.low_ms) / 2.0

    def pause_ms(self, now_ms: float) -> float:
        """Return how long to wait for the moment that halves what is open: the edge of a step."""
        return (self.skew_ms - now_ms) % self._step_ms


class ClockCheck:
    """Asks a few times in a row, every ``CHECK_EVERY_S`` seconds of the wall."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        face: Face,
        clock: Clock,
        accept: Callable[[AnyEvent], None],
    ) -> None:
        self.wall: Callable[[], float] = time.monotonic
        self._client = client
        self._url = url
        self._face = face
        self._clock = clock
        self._accept = accept
        self._politeness = Politeness("clock")

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            if self._politeness.may_ask(self.wall()):
                await self.measure()
            await asyncio.sleep(CHECK_EVERY_S)

    async def measure(self) -> None:
        """Ask, and tell what was learnt; a failure tells nothing."""
        left = Narrowing(self._face.step_ms)
        trips_s = []
        for number in range(ASKS):
            if number:
                await self._clock.sleep(left.pause_ms(self._clock.now_ms()) / 1000.0)
            sent_ms, sent_s = self._clock.now_ms(), self.wall()
            answer = await ask(self._client, self._url, TIMEOUT_S)
            received_ms, received_s = self._clock.now_ms(), self.wall()
            body = self._politeness.body_of(answer, received_s)
            if body is None:
                return
            try:
                left.note(sent_ms, received_ms, self._face.read_ms(body))
            except WireError as error:
                self._politeness.failed(error.reason, received_s)
                return
            trips_s.append(received_s - sent_s)
        self._politeness.succeeded()
        if not left.holds:
            log.info("clock moved while it was compared")
            return
        self._accept(
            ClockMeasured(
                ts_recv_ms=self._clock.now_ms(),
                skew_ms=left.skew_ms,
                round_trip_ms=statistics.median(trips_s) * 1000.0,
                source=self._face.source,
                error_ms=left.error_ms,
            )
        )


def time_check(
    client: httpx.AsyncClient, clob_host: str, clock: Clock, accept: Callable[[AnyEvent], None]
) -> ClockCheck:
    """Return the check against the CLOB's whole seconds."""
    return ClockCheck(client, f"{clob_host.rstrip('/')}{TIME_PATH}", WholeSeconds(), clock, accept)


def venue_clock_check(
    client: httpx.AsyncClient, clock_url: str, clock: Clock, accept: Callable[[AnyEvent], None]
) -> ClockCheck:
    """Return the check against a scaled venue's own clock."""
    return ClockCheck(client, clock_url, ExactClock(), clock, accept)
