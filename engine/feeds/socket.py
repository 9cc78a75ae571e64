"""Keep one WebSocket alive: connect, subscribe, ping, watch for silence, back off, begin again.

Pings, time-outs and back-off run on the wall clock; silence of a topic is measured on the injected clock.
Nothing of a connection is told after its ``FeedClosed``. What it does not know: what a frame means.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from engine.clock import Clock
from engine.events import AnyEvent, FeedClosed, FeedOpened
from engine.feeds.address import is_loopback
from engine.feeds.backoff import FIRST_PAUSE_S, LONGEST_PAUSE_S, NO_CODES, Backoff, Ending
from engine.feeds.listening import NOTHING, Heard, OnFrame
from engine.feeds.pulse import Pulse
from engine.feeds.retry_after import retry_after_s
from engine.feeds.unread import unread_bytes
from engine.feeds.watchdog import Watchdog

CONNECT_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0
WATCH_EVERY_S: Final = 0.25
LOOP_STOOD_S: Final = 1.0
"""A look that comes so much late says that our own loop stood still: what waits unread was not silent."""
LIFE_PING_S: Final = 5.0
"""Every socket is also asked for a sign of life by the protocol's own ping (fault catalogue, F2: 5-10 s)."""
DEAD_AFTER_S: Final = 12.0
"""Without pong and without data for two such pings and a little, the other end is gone (F2)."""
LARGEST_FRAME: Final = 4 * 2**20
MOST_REFUSED: Final = 20
REFUSED_WITHIN_S: Final = 60.0
"""More frames in a minute that are not understood: begin again with a clean connection (F26)."""
REASON_CHARACTERS: Final = 200

log = logging.getLogger("engine.feeds")

# The library writes every frame it sends to its debug log, our keys among them: it gets no debug log.
_library_log: Final = logging.getLogger("engine.feeds.websockets")
_library_log.setLevel(logging.INFO)


class Habits(NamedTuple):
    """What a venue expects of a client. Times in wall seconds, but ``silence_s`` on the injected clock.

    ``silence_s`` holds the topics that are watched, each with its limit. ``spacing_s`` lies between two
    frames of ours. ``final_codes`` are close codes after which the operator has to act, with what to do;
    ``drain_codes`` those after which the venue wants one attempt within ten seconds, ``slow_codes`` those
    after which pauses may grow long. ``pauses_s`` are the first and the longest pause between two attempts.
    """

    ping: str | None
    ping_s: float
    silence_s: Mapping[str, float]
    spacing_s: float = 0.0
    final_codes: Mapping[int, str] = NO_CODES
    drain_codes: frozenset[int] = frozenset()
    slow_codes: frozenset[int] = frozenset()
    pauses_s: tuple[float, float] = (FIRST_PAUSE_S, LONGEST_PAUSE_S)


NO_TOPICS: Final[Mapping[str, float]] = MappingProxyType({})


class SocketFeed:
    """One feed.

    ``on_frame`` takes a frame and says what it meant; ``greetings`` gives the frames to send first; ``hide``
    takes secrets out of the venue's own words. ``sleep`` and ``wall`` are the wall clock's.
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
        self.on_frame: OnFrame = lambda _: NOTHING
        self.hide: Callable[[str], str] = lambda text: text
        self.wanted = asyncio.Event()
        self.wanted.set()
        self.sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
        self.wall: Callable[[], float] = time.monotonic
        self.pulse = Pulse()
        self._url = url
        self._habits = habits
        self._clock = clock
        self._accept = accept
        self._watchdog = Watchdog(habits.silence_s)
        self._backoff = Backoff(habits.drain_codes, habits.slow_codes, pauses_s=habits.pauses_s)
        self._connection: ClientConnection | None = None
        self._group: asyncio.TaskGroup | None = None
        self._replying: set[asyncio.Task[None]] = set()
        self._refused: deque[float] = deque(maxlen=MOST_REFUSED + 1)
        self._alive_s = 0.0
        self._ended_by_us = ""
        self._final = ""

    async def send(self, frame: str) -> None:
        """Send a frame on the open connection; without one it is not needed: the greetings will say it."""
        if self._connection is not None:
            await self._say(self._connection, (frame,))

    def begin_again(self, reason: str) -> None:
        """Give the present connection up, if there is one, and connect anew."""
        if self._connection is not None:
            self._end(self._connection, reason)

    def unread_bytes(self) -> int:
        """Return how much of the open connection has arrived and waits to be read."""
        if self._connection is None:
            return 0
        return unread_bytes(self._connection.transport.get_extra_info("socket"))

    async def run(self) -> None:
        """Run until cancelled; after a final end there is nothing more to do than wait for that."""
        while True:
            await self.wanted.wait()
            self.epoch += 1
            ending = await self._one_connection()
            reason = self.hide(ending.reason)[:REASON_CHARACTERS]
            if ending.final:
                reason = f"stopped: {ending.final} ({reason})"
            now_ms = self._clock.now_ms()
            self._accept(FeedClosed(ts_recv_ms=now_ms, feed=self.name, epoch=self.epoch, reason=reason))
            log.warning("feed closed", extra={"feed": self.name, "epoch": self.epoch, "reason": reason})
            if ending.final:
                log.error("feed stopped", extra={"feed": self.name, "reason": reason})
                await asyncio.Event().wait()
            await self.sleep(self._backoff.pause_s(ending, self.wall()))

    async def _one_connection(self) -> Ending:
        """Live through one connection; return how it ended."""
        self._ended_by_us = self._final = ""
        self._watchdog.open(self._clock.now_ms(), self.wall())
        try:
            async with websockets.connect(
                self._url,
                open_timeout=CONNECT_TIMEOUT_S,
                ping_interval=None,  # our own, which also counts data as a sign of life
                close_timeout=CLOSE_TIMEOUT_S,
                max_size=LARGEST_FRAME,
                compression=None,
                logger=_library_log,
                proxy=None if is_loopback(self._url) else True,
            ) as connection:
                return await self._live(connection)
        except websockets.InvalidStatus as error:
            status, headers = error.response.status_code, error.response.headers
            wait_s = retry_after_s(httpx.Headers(list(headers.raw_items())))
            return Ending(f"refused with HTTP {status}", status=status, retry_after_s=wait_s)
        except websockets.InvalidURI:
            # the error would repeat it, keys included
            return Ending("the address is not one of a WebSocket")
        except (OSError, TimeoutError, websockets.WebSocketException) as error:
            return Ending(f"{type(error).__name__}: {error}", self._watchdog.had_data)
        finally:
            self._connection = None

    async def _live(self, connection: ClientConnection) -> Ending:
        now_ms, now_s = self._clock.now_ms(), self.wall()
        self._watchdog.open(now_ms, now_s)
        self._alive_s = now_s
        self._refused.clear()
        self.pulse.open()
        self._connection = connection
        self._accept(FeedOpened(ts_recv_ms=now_ms, feed=self.name, epoch=self.epoch))
        log.info("feed opened", extra={"feed": self.name, "epoch": self.epoch})
        async with asyncio.TaskGroup() as group:
            self._group = group
            parts = (
                self._greet(connection),
                self._ping(connection),
                self._ask_for_life(connection),
                self._watch(connection),
            )
            beside = [group.create_task(part) for part in parts]
            try:
                return await self._read(connection)
            finally:
                self._connection = None
                for task in (*beside, *self._replying):
                    task.cancel()

    async def _read(self, connection: ClientConnection) -> Ending:
        try:
            async for frame in connection:
                if self._ended_by_us:
                    break
                self._alive_s = self.wall()
                self.pulse.hear(frame, self._alive_s)
                self._take(connection, self.on_frame(frame))
        except websockets.ConnectionClosedError as error:
            return self._ending(connection, f"closed: {error}")
        by_venue = f"closed by the venue: {connection.close_code} {connection.close_reason or ''}"
        return self._ending(connection, by_venue.rstrip())

    def _ending(self, connection: ClientConnection, reason: str) -> Ending:
        told = connection.protocol.close_rcvd
        code = None if told is None else told.code
        final = self._final or ("" if code is None else self._habits.final_codes.get(code, ""))
        return Ending(self._ended_by_us or reason, self._watchdog.had_data, close_code=code, final=final)

    def _take(self, connection: ClientConnection, heard: Heard) -> None:
        """Do what a frame asks of the connection."""
        if heard.topics:
            self._watchdog.hear(heard.topics, self._clock.now_ms(), self._alive_s)
        elif heard.refused:
            self._refused.append(self._alive_s)
            if len(self._refused) > MOST_REFUSED and self._alive_s - self._refused[0] < REFUSED_WITHIN_S:
                self._end(connection, f"more than {MOST_REFUSED} frames in a minute were not understood")
        if heard.replies:
            assert self._group is not None
            task = self._group.create_task(self._say(connection, heard.replies))
            self._replying.add(task)
            task.add_done_callback(self._replying.discard)
        if heard.final:
            self._final = heard.final
            self._end(connection, "refused by the venue")

    def _end(self, connection: ClientConnection, reason: str) -> None:
        """Drop the connection at once: a graceful close waits for an answer that may never come."""
        self._ended_by_us = self._ended_by_us or reason
        connection.transport.abort()

    async def _greet(self, connection: ClientConnection) -> None:
        await self._say(connection, self.greetings())

    async def _say(self, connection: ClientConnection, frames: Iterable[str]) -> None:
        try:
            for frame in frames:
                await connection.send(frame)
                if self._habits.spacing_s:
                    await asyncio.sleep(self._habits.spacing_s)
        except websockets.ConnectionClosed:
            log.debug("frame not sent: connection closed", extra={"feed": self.name})

    async def _ping(self, connection: ClientConnection) -> None:
        """Send the venue's own keep-alive."""
        while self._habits.ping is not None:
            await asyncio.sleep(self._habits.ping_s)
            self.pulse.ask()
            await self._say(connection, (self._habits.ping,))

    async def _ask_for_life(self, connection: ClientConnection) -> None:
        """Send pings of the protocol, whose pongs any server answers by itself."""

        def answered(pong: "asyncio.Future[float]") -> None:
            if not pong.cancelled() and pong.exception() is None:
                self._alive_s = self.wall()
                self.pulse.pong(self._alive_s, pong.result())

        try:
            while True:
                await asyncio.sleep(LIFE_PING_S)
                pong: Any = await connection.ping()
                pong.add_done_callback(answered)
        except websockets.ConnectionClosed:
            return

    async def _watch(self, connection: ClientConnection) -> None:
        """Drop a connection that is dead, or alive and saying nothing: these sockets stall silently."""
        while not self._ended_by_us:
            before = self.wall()
            await asyncio.sleep(WATCH_EVERY_S)
            now_s = self.wall()
            if now_s - before > WATCH_EVERY_S + LOOP_STOOD_S:
                continue
            if now_s - self._alive_s > DEAD_AFTER_S:
                self._end(connection, f"half-open: neither pong nor data for {now_s - self._alive_s:.0f} s")
            elif (why := self._watchdog.silent(self._clock.now_ms(), now_s)) is not None:
                self._end(connection, why)
