"""Follow the clock of a scaled venue: ask what time it is, believe the quickest answer."""

import asyncio
import logging
import time
from typing import Annotated, Final

import httpx
import msgspec

from engine.clock import ScaledClock
from engine.decoded import from_json
from engine.errors import DecodingError, StartError
from engine.feeds.polite import FAILURES
from engine.wire.grammar import Stamp

ASKED: Final = 5
AGAIN_S: Final = 10.0
FASTEST: Final = 10_000.0
"""Seconds of a venue in one of the wall: above any PRACTICE_SPEED. A rate of 0 would stop our clock, and we
divide by it."""
STEP_MS: Final = 50.0
"""Wall milliseconds off at which the clock is set again; less is likelier an answer's own delay."""

log = logging.getLogger("engine.clock")


class ClockReading(msgspec.Struct, frozen=True):
    """The venue's answer: Unix time in milliseconds, and its seconds in one second of the wall."""

    now_ms: Stamp
    rate: Annotated[float, msgspec.Meta(gt=0, le=FASTEST)]


async def open_clock(client: httpx.AsyncClient, url: str) -> ScaledClock:
    """Return a clock that agrees with the venue's.

    Raises:
        StartError: The venue does not answer, or not with a time.
    """
    try:
        reading, at_mono = await _quickest(client, url)
    except (*FAILURES, DecodingError) as error:
        raise StartError(f"CLOCK_URL {url} does not tell the time: {error}") from error
    clock = ScaledClock(reading.now_ms, reading.rate)
    clock.anchor(reading.now_ms, reading.rate, at_mono)
    return clock


async def keep_clock(clock: ScaledClock, client: httpx.AsyncClient, url: str) -> None:
    """Compare with the venue's clock now and then; set ours again where it drifted. Runs until cancelled."""
    while True:
        await asyncio.sleep(AGAIN_S)
        try:
            reading, at_mono = await _quickest(client, url)
        except (*FAILURES, DecodingError) as error:
            log.warning("venue clock does not answer", extra={"reason": str(error)})
            continue
        ours = clock.now_ms() - (time.monotonic() - at_mono) * 1000 * clock.rate
        off_ms = (reading.now_ms - ours) / reading.rate
        if abs(off_ms) > STEP_MS or reading.rate != clock.rate:
            log.warning("clock set", extra={"off_wall_ms": round(off_ms, 1), "rate": reading.rate})
            clock.anchor(reading.now_ms, reading.rate, at_mono)


async def _quickest(client: httpx.AsyncClient, url: str) -> tuple[ClockReading, float]:
    """Ask a few times; return the answer with the shortest round trip and the moment in its middle."""
    best: tuple[float, ClockReading, float] | None = None
    for _ in range(ASKED):
        sent = time.monotonic()
        answer = await client.get(url)
        took = time.monotonic() - sent
        answer.raise_for_status()
        reading = from_json(answer.content, ClockReading)
        if best is None or took < best[0]:
            best = (took, reading, sent + took / 2)
    assert best is not None
    return best[1], best[2]
