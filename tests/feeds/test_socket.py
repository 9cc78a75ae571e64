"""One WebSocket kept alive, against real servers on loopback that misbehave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from engine.clock import SystemClock
from engine.events import AnyEvent, FeedClosed, FeedOpened
from engine.feeds import socket as feed_module
from engine.feeds.socket import Habits, SocketFeed

OnClient = Callable[[ServerConnection], Awaitable[None]]


class Reader:
    """A feed under test: what it accepted, what it read, and a way to wait for either."""

    def __init__(self, port: int, habits: Habits) -> None:
        self.events: list[AnyEvent] = []
        self.frames: list[str | bytes] = []
        self._changed = asyncio.Condition()
        self.feed = SocketFeed("rtds", f"ws://127.0.0.1:{port}", habits, SystemClock(), self._accept)
        self.feed.on_frame = self._read
        self.feed.greetings = lambda: ["hello"]

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            async with self._changed:
                await self._changed.wait_for(what)

    def count(self, kind: type[AnyEvent]) -> int:
        return sum(isinstance(event, kind) for event in self.events)

    def _accept(self, event: AnyEvent) -> None:
        self.events.append(event)
        asyncio.get_running_loop().create_task(self._tell())

    def _read(self, frame: str | bytes) -> bool:
        self.frames.append(frame)
        asyncio.get_running_loop().create_task(self._tell())
        return frame != "PONG"

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def reading(on_client: OnClient, habits: Habits, **options: object) -> AsyncIterator[Reader]:
    async with serve(on_client, "127.0.0.1", 0, **options) as server:  # type: ignore[arg-type]
        reader = Reader(server.sockets[0].getsockname()[1], habits)
        task = asyncio.create_task(reader.feed.run())
        try:
            yield reader
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


PATIENT = Habits("PING", 0.05, 3600.0)


async def test_it_greets_and_pings_in_text() -> None:
    """The subscription first, then text frames at the venue's interval."""
    heard: list[str | bytes] = []

    async def on_client(client: ServerConnection) -> None:
        async for frame in client:
            heard.append(frame)
            await client.send("PONG")

    async with reading(on_client, PATIENT) as reader:
        await reader.until(lambda: len(reader.frames) >= 3)
    assert heard[:3] == ["hello", "PING", "PING"]


async def test_it_comes_back_and_greets_again_after_the_venue_hangs_up() -> None:
    """Every connection is an epoch of its own and subscribes anew."""
    greetings = 0

    async def on_client(client: ServerConnection) -> None:
        nonlocal greetings
        assert await client.recv() == "hello"
        greetings += 1
        await client.send('{"data": 1}')

    async with reading(on_client, PATIENT) as reader:
        await reader.until(lambda: reader.count(FeedOpened) >= 3)
    assert greetings >= 2
    opened = [event.epoch for event in reader.events if isinstance(event, FeedOpened)]
    assert opened == list(range(1, len(opened) + 1))
    assert all(
        "closed by the venue" in event.reason for event in reader.events if isinstance(event, FeedClosed)
    )


async def test_a_connection_that_only_answers_pings_is_given_up(monkeypatch: object) -> None:
    """The silent stall: open, PONG fine, no data (fault catalogue, F1)."""
    monkeypatch.setattr(feed_module, "LEAST_SILENCE_S", 0.2)  # type: ignore[attr-defined]

    async def on_client(client: ServerConnection) -> None:
        async for _ in client:
            await client.send("PONG")

    async with reading(on_client, Habits("PING", 0.05, 0.2)) as reader:
        await reader.until(lambda: reader.count(FeedClosed) >= 1)
    closed = next(event for event in reader.events if isinstance(event, FeedClosed))
    assert closed.reason.startswith("silent for")
    assert len(reader.frames) >= 2, "it did hear the venue all the while"


async def test_a_refused_connection_is_tried_again() -> None:
    """HTTP 503 on connect: an event that says so, then another try."""
    tries = 0

    def refuse_once(connection: ServerConnection, _: Request) -> Response | None:
        nonlocal tries
        tries += 1
        return connection.respond(503, "restarting\n") if tries == 1 else None

    async def on_client(client: ServerConnection) -> None:
        await client.wait_closed()

    async with reading(on_client, PATIENT, process_request=refuse_once) as reader:
        await reader.until(lambda: reader.count(FeedOpened) == 1)
    closed = reader.events[0]
    assert isinstance(closed, FeedClosed)
    assert "503" in closed.reason


async def test_too_many_requests_is_answered_with_a_long_pause(monkeypatch: object) -> None:
    """The penalty box: the pause after 429 is another one than after anything else."""
    monkeypatch.setattr(feed_module, "PENALTY_PAUSE_S", 3600.0)  # type: ignore[attr-defined]
    tries = 0

    def refuse(connection: ServerConnection, _: Request) -> Response:
        nonlocal tries
        tries += 1
        return connection.respond(429, "slow down\n")

    async def on_client(client: ServerConnection) -> None:
        await client.wait_closed()

    async with reading(on_client, PATIENT, process_request=refuse) as reader:
        await reader.until(lambda: reader.count(FeedClosed) == 1)
        # The longest ordinary pause would have passed by the time a second server had been tried twice.
        other = Reader(1, PATIENT)
        task = asyncio.create_task(other.feed.run())
        await other.until(lambda: other.count(FeedClosed) >= 3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert tries == 1


async def test_it_does_not_connect_before_there_is_something_to_ask_for() -> None:
    """The venue closes connections that subscribe to nothing."""
    clients = 0

    async def on_client(client: ServerConnection) -> None:
        nonlocal clients
        clients += 1
        await client.wait_closed()

    async with serve(on_client, "127.0.0.1", 0) as server:
        reader = Reader(server.sockets[0].getsockname()[1], PATIENT)
        reader.feed.wanted.clear()
        task = asyncio.create_task(reader.feed.run())
        await asyncio.sleep(0)
        assert (clients, reader.events) == (0, [])
        reader.feed.wanted.set()
        await reader.until(lambda: reader.count(FeedOpened) == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
