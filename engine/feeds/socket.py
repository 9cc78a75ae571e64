"""Keep one WebSocket alive: connect, subscribe, ping, watch for silence, back off, begin again.

Pings, time-outs and back-off run on the wall clock; silence is measured on the injected clock, because the
data of a scaled venue comes at its pace. What it does not know: what a frame means.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import websockets
from websockets.asyncio.client import ClientConnection

from engine.clock import Clock
from engine.events import AnyEvent, FeedClosed, FeedOpened
from engine.feeds.address import is_loopback

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
PENALTY_PAUSE_S: Final = 30.0
"""After HTTP 429: the venue's per-address penalty box (protocol sheet, section 1.7)."""
TOO_MANY: Final = "refused with HTTP 429"
CONNECT_TIMEOUT_S: Final = 10.0
LEAST_SILENCE_S: Final = 5.0
"""Wall seconds before silence counts at all: a venue at 60x may pause for a tenth of a second."""

log = logging.getLogger("engine.feeds")


class Habits(NamedTuple):
    """What a venue expects of a client. Times in wall seconds, but ``silence_s`` on the injected clock."""

    ping: str | None
    ping_s: float
    silence_s: float


class SocketFeed:
    """One feed.

    ``on_frame`` returns whether a frame held data; ``greetings`` gives the frames to send first.
    """

    def __init__(
        self,
        name: str,
        url: str,
        habits: Habits,
        clock: Clock,
        accept: Callable[[AnyEvent], None],
    ) -> None:
        self.name = name
        self.epoch = 0
        self.greetings: Callable[[], Iterable[str]] = tuple
        self.on_frame: Callable[[str | bytes], bool] = lambda _: False
        self.wanted = asyncio.Event()
        self.wanted.set()
        self._url = url
        self._habits = habits
        self._clock = clock
        self._accept = accept
        self._connection: ClientConnection | None = None
        self._heard_ms = 0
        self._heard_mono = 0.0
        self._had_data = False
        self._ended_by_us = ""

    async def send(self, frame: str) -> None:
        """Send a frame on the open connection; without one it is not needed: the greetings will say it."""
        if self._connection is not None:
            try:
                await self._connection.send(frame)
            except websockets.ConnectionClosed:
                log.debug("frame not sent: connection closed", extra={"feed": self.name})

    async def run(self) -> None:
        """Run until cancelled."""
        pause = FIRST_PAUSE_S
        while True:
            await self.wanted.wait()
            self.epoch += 1
            self._had_data, self._ended_by_us = False, ""
            reason = await self._one_connection()
            self._accept(
                FeedClosed(ts_recv_ms=self._clock.now_ms(), feed=self.name, epoch=self.epoch, reason=reason)
            )
            log.warning("feed closed", extra={"feed": self.name, "epoch": self.epoch, "reason": reason})
            pause = FIRST_PAUSE_S if self._had_data else min(pause * 2, LONGEST_PAUSE_S)
            limited = reason.startswith(TOO_MANY)
            await asyncio.sleep(PENALTY_PAUSE_S if limited else random.uniform(pause / 2, pause))

    async def _one_connection(self) -> str:
        """Live through one connection; return why it ended."""
        try:
            async with websockets.connect(
                self._url,
                open_timeout=CONNECT_TIMEOUT_S,
                ping_interval=20,
                close_timeout=1,
                max_size=2**22,
                compression=None,
                proxy=None if is_loopback(self._url) else True,
            ) as connection:
                self._connection = connection
                self._opened()
                for frame in self.greetings():
                    await connection.send(frame)
                async with asyncio.TaskGroup() as group:
                    watcher = group.create_task(self._watch(connection))
                    pinger = group.create_task(self._ping(connection))
                    reason = await self._read(connection)
                    watcher.cancel()
                    pinger.cancel()
                return reason
        except websockets.InvalidStatus as error:
            return f"refused with HTTP {error.response.status_code}"
        except websockets.InvalidURI:
            return "the address is not one of a WebSocket"  # the error would repeat it, keys included
        except (OSError, TimeoutError, websockets.WebSocketException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self._connection = None

    def _opened(self) -> None:
        now_ms = self._clock.now_ms()
        self._heard_ms, self._heard_mono = now_ms, time.monotonic()
        self._accept(FeedOpened(ts_recv_ms=now_ms, feed=self.name, epoch=self.epoch))
        log.info("feed opened", extra={"feed": self.name, "epoch": self.epoch})

    async def _read(self, connection: ClientConnection) -> str:
        try:
            async for frame in connection:
                if self.on_frame(frame):
                    self._heard_ms, self._heard_mono = self._clock.now_ms(), time.monotonic()
                    self._had_data = True
        except websockets.ConnectionClosedError as error:
            return f"closed: {error}"
        by_venue = f"closed by the venue: {connection.close_code} {connection.close_reason or ''}"
        return self._ended_by_us or by_venue.rstrip()

    async def _ping(self, connection: ClientConnection) -> None:
        if self._habits.ping is None:
            return
        try:
            while True:
                await asyncio.sleep(self._habits.ping_s)
                await connection.send(self._habits.ping)
        except websockets.ConnectionClosed:
            return

    async def _watch(self, connection: ClientConnection) -> None:
        """Close a connection that is alive but says nothing: these sockets stall silently."""
        while True:
            await asyncio.sleep(0.5)
            silent_ms = self._clock.now_ms() - self._heard_ms
            silent_wall = time.monotonic() - self._heard_mono
            if silent_ms > self._habits.silence_s * 1000 and silent_wall > LEAST_SILENCE_S:
                self._ended_by_us = f"silent for {silent_ms / 1000:.0f} s"
                await connection.close(1000, "silent")
                return
