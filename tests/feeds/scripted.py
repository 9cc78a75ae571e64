"""A feed under test against real servers on loopback that do what a script says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from websockets.asyncio.server import ServerConnection, serve

from engine.clock import Clock, ManualClock
from engine.events import AnyEvent, FeedClosed, FeedOpened
from engine.feeds.listening import NOTHING, REFUSED, Heard
from engine.feeds.socket import Habits, SocketFeed

OnClient = Callable[[ServerConnection], Awaitable[None]]

NOON_MS = 1_790_000_000_000


class Told:
    """What a feed told, in its order, and a way to wait for more of it."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.frames: list[str | bytes] = []
        self.order: list[AnyEvent | str | bytes] = []
        self._changed = asyncio.Event()

    def accept(self, event: AnyEvent) -> None:
        self.events.append(event)
        self.order.append(event)
        self._changed.set()

    def read(self, frame: str | bytes) -> None:
        self.frames.append(frame)
        self.order.append(frame)
        self._changed.set()

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not what():
                self._changed.clear()
                await self._changed.wait()

    def count(self, kind: type[AnyEvent]) -> int:
        return sum(isinstance(event, kind) for event in self.events)

    @property
    def reasons(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, FeedClosed)]

    @property
    def epochs(self) -> list[int]:
        return [event.epoch for event in self.events if isinstance(event, FeedOpened)]


class Reader(Told):
    """A socket that takes a frame's first word for its topic; ``?`` is a frame not understood."""

    def __init__(self, port: int, habits: Habits, clock: Clock | None = None) -> None:
        super().__init__()
        self.clock = clock or ManualClock(NOON_MS)
        self.feed = SocketFeed("rtds", f"ws://127.0.0.1:{port}", habits, self.clock, self.accept)
        self.feed.on_frame = self._hear
        self.feed.greetings = lambda: ["hello"]

    def _hear(self, frame: str | bytes) -> Heard:
        self.read(frame)
        word = str(frame)[:40].split()[0] if frame else ""
        if word == "?":
            return REFUSED
        return NOTHING if word in ("", "PONG") else Heard(frozenset((word,)))


class Pauses:
    """Stands in for the wall clock: a pause is noted, and over at once."""

    def __init__(self, feed: SocketFeed) -> None:
        self.taken: list[float] = []
        self.now_s = 1_000.0
        feed.sleep = self.sleep
        feed.wall = lambda: self.now_s

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def running(*parts: Awaitable[None]) -> AsyncIterator[None]:
    """Run something beside the test, and see that it did not end by itself."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
                raise AssertionError("ended by itself")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def served(on_client: OnClient, **options: object) -> AsyncIterator[int]:
    """Serve on a free port."""
    async with serve(on_client, "127.0.0.1", 0, close_timeout=0.2, **options) as server:  # type: ignore[arg-type]
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def reading(on_client: OnClient, habits: Habits, **options: object) -> AsyncIterator[Reader]:
    """Run a reader against a server."""
    async with served(on_client, **options) as port:
        reader = Reader(port, habits)
        async with running(reader.feed.run()):
            yield reader


class BlackHole:
    """A proxy on the way that can begin to swallow everything in both directions and close nothing."""

    def __init__(self, port: int) -> None:
        self.swallows = False
        self._port = port
        self._pumps: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def between(self) -> AsyncIterator[int]:
        """Listen on a free port, which it yields."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        venue_reader, venue_writer = await asyncio.open_connection("127.0.0.1", self._port)
        swallow = self.swallows
        for source, sink in ((reader, venue_writer), (venue_reader, writer)):
            self._pumps.add(asyncio.create_task(self._pump(source, sink, swallow)))

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, was_swallowing: bool
    ) -> None:
        """Pass on; a connection made before the hole opened is lost for good, one made after it is not."""
        try:
            while data := await source.read(2**16):
                if self.swallows and not was_swallowing:
                    continue
                sink.write(data)
                await sink.drain()
        except OSError:
            return
        finally:
            sink.close()
