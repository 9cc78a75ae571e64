"""The network in memory: sockets and HTTP between an engine and the venue's application, with seeded luck.

Frames of one connection stay in order, as TCP keeps them; connections are late, break and are refused.
Requests may be lost on the way in, answers on the way out. The venue's side runs as the venue's own work, so
that a client that dies takes nothing of it along.
What it does not know: what is said; time (the loop's).
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextvars import Context, copy_context
from types import SimpleNamespace, TracebackType
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import httpx
import websockets
from websockets.datastructures import Headers
from websockets.frames import Close
from websockets.http11 import Response

from engine.sim.clock import OWNER

Message: TypeAlias = MutableMapping[str, Any]
App: TypeAlias = Callable[..., Awaitable[None]]

NO_CLOSE_FRAME: Final = 1006


class Luck(NamedTuple):
    """How well the network does; delays are wall seconds, shares of 1."""

    least_delay_s: float = 0.001
    mean_delay_s: float = 0.004
    slow_share: float = 0.0
    """Share of frames and requests that take ``slow_s`` more."""
    slow_s: float = 0.3
    lost_asked: float = 0.0
    """Share of requests that never arrive."""
    lost_answer: float = 0.0
    """Share of answers that never arrive."""
    break_after_s: float = 0.0
    """Mean life of a connection, wall seconds; 0: it lives for ever."""


CALM: Final = Luck()


class Network:
    """Every connection there is, and what has been carried."""

    def __init__(self, app: App, seed: int, luck: Luck) -> None:
        self.app = app
        self.luck = luck
        self.rng = random.Random(seed)
        self.context: Context = copy_context()
        """The venue's: work started in it belongs to no engine."""
        self.pipes: dict[tuple[str, int], Pipe] = {}
        self.on_request: Callable[[httpx.Request, bytes], None] = lambda *_: None
        """Called at the moment the first byte of a request leaves, with its body."""
        self.on_answer: Callable[[str, int, bytes], None] = lambda *_: None
        """Called as an answer reaches the engine, with the request's path, the status and the body."""
        self.frames = 0
        self.requests = 0
        self.lost = 0
        self.broken = 0
        self._ports = 0

    def next_client(self) -> tuple[str, int]:
        """Return an address that no client had before."""
        self._ports += 1
        return ("127.0.0.1", 10_000 + self._ports)

    def delay_s(self) -> float:
        """Draw how long something is on its way."""
        luck, rng = self.luck, self.rng
        delay = luck.least_delay_s + rng.expovariate(1.0 / luck.mean_delay_s)
        if luck.slow_share and rng.random() < luck.slow_share:
            delay += rng.uniform(0.0, 2.0) * luck.slow_s
        return delay

    def happens(self, share: float) -> bool:
        """Draw whether something befalls this one."""
        return share > 0.0 and self.rng.random() < share

    def find(self, client: object) -> "Pipe | None":
        """Return a client's transport, for the gate of faults."""
        return self.pipes.get(client) if isinstance(client, tuple) else None

    def drop_owner(self, owner: str) -> None:
        """Break off every connection of an engine that died."""
        for pipe in [pipe for pipe in self.pipes.values() if pipe.owner == owner]:
            pipe.abort()

    def venue_task(self, work: Any) -> "asyncio.Task[Any]":
        """Run something as the venue's own work."""
        return asyncio.get_running_loop().create_task(work, context=self.context.copy())


class Pipe(asyncio.Transport):
    """One connection as the venue's server knows it: to be broken off, or not read any more."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.client = network.next_client()
        self.owner = OWNER.get()
        self.on_abort: list[Callable[[], None]] = []
        self.is_deaf = False
        self._gone = False
        network.pipes[self.client] = self

    def abort(self) -> None:
        """Break it off, both ways."""
        if not self._gone:
            self._gone = True
            self.network.pipes.pop(self.client, None)
            for act in self.on_abort:
                act()

    def is_closing(self) -> bool:
        """Say whether it is over."""
        return self._gone

    def pause_reading(self) -> None:
        """Be half open from now on: not even pings are answered."""
        self.is_deaf = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Name no socket: nothing of it ever waits in a system's buffer."""
        return SimpleNamespace(fileno=lambda: -1) if name == "socket" else default


# --- sockets ------------------------------------------------------------------------------------------------


class Socket:
    """A WebSocket as ``SocketFeed`` uses one: what ``websockets.connect`` would have given."""

    def __init__(self, network: Network, pipe: Pipe) -> None:
        self.transport = pipe
        self.protocol = SimpleNamespace(close_rcvd=None)
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._arrived: deque[tuple[str, Any]] = deque()
        self._filled = asyncio.Event()
        self._at_s = 0.0
        self._with_it: list[tuple[str, Any]] = []
        """What arrives at ``_at_s``, and has not yet."""
        self._to_venue: asyncio.Queue[Message] = asyncio.Queue()
        self._sent_until_s = 0.0
        self._server: asyncio.Task[Any] | None = None
        self.opened: asyncio.Future[Message | None] = self._loop.create_future()
        pipe.on_abort.append(self._broken)

    # --- the venue's side

    def serve(self, path: str) -> None:
        """Let the venue's application have the other end."""
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [],
            "subprotocols": [],
            "client": self.transport.client,
            "server": ("127.0.0.1", 1),
            "scheme": "ws",
            "root_path": "",
            "state": {},
        }
        self._to_venue.put_nowait({"type": "websocket.connect"})
        self._server = self._network.venue_task(self._served(scope))

    async def _served(self, scope: Message) -> None:
        try:
            await self._network.app(scope, self._to_venue.get, self._from_venue)
        finally:
            if not self.transport.is_closing():
                self._later("end", None)

    async def _from_venue(self, message: Message) -> None:
        kind = message["type"]
        if self.transport.is_closing():
            raise OSError("the client is gone")
        if kind == "websocket.send":
            text = message.get("text")
            self._later("frame", text if text is not None else message["bytes"])
        elif kind == "websocket.close":
            self._later("close", (message.get("code", 1000), message.get("reason") or ""))
        elif kind == "websocket.accept":
            self._later("open", None)
        elif kind == "websocket.http.response.start":
            self._later("open", message)

    def _later(self, kind: str, value: Any) -> None:
        """Let something arrive after what was sent before it."""
        at_s = self._loop.time() + self._network.delay_s()
        if at_s <= self._at_s and self._with_it:
            self._with_it.append((kind, value))  # it waits for what is before it
            return
        self._at_s = max(at_s, self._at_s)
        self._with_it = [(kind, value)]
        self._loop.call_at(self._at_s, self._arrive, self._with_it)

    def _arrive(self, together: list[tuple[str, Any]]) -> None:
        for kind, value in together:
            if kind != "open":
                self._network.frames += kind == "frame"
                self._arrived.append((kind, value))
                self._filled.set()
            elif not self.opened.done():
                self.opened.set_result(value)
        together.clear()

    # --- the client's side

    async def __aenter__(self) -> "Socket":
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.transport.abort()

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self._frames()

    async def _frames(self) -> AsyncIterator[str | bytes]:
        while True:
            while self._arrived:
                kind, value = self._arrived.popleft()
                if kind == "frame":
                    yield value
                    continue
                if kind == "close":
                    code, self.close_reason = value
                    self.close_code = code
                    self.protocol.close_rcvd = Close(code, self.close_reason or "")
                    self.transport.abort()
                    if code in (1000, 1001):
                        return
                    raise websockets.ConnectionClosedError(self.protocol.close_rcvd, None)
                self.close_code = NO_CLOSE_FRAME
                raise websockets.ConnectionClosedError(None, None)
            self._filled.clear()
            await self._filled.wait()

    async def send(self, text: str) -> None:
        """Send a frame to the venue."""
        if self.transport.is_closing():
            raise websockets.ConnectionClosedError(None, None)
        message = {"type": "websocket.receive", "text": text}
        self._sent_until_s = max(self._sent_until_s, self._loop.time() + self._network.delay_s())
        self._loop.call_at(self._sent_until_s, self._heard, message, context=self._network.context)

    def _heard(self, message: Message) -> None:
        if not self.transport.is_closing():
            self._to_venue.put_nowait(message)

    async def ping(self) -> "asyncio.Future[float]":
        """Send a ping of the protocol; a venue that is half open does not answer it."""
        if self.transport.is_closing():
            raise websockets.ConnectionClosedError(None, None)
        pong: asyncio.Future[float] = self._loop.create_future()
        trip_s = self._network.delay_s() + self._network.delay_s()

        def answered() -> None:
            if not (pong.done() or self.transport.is_closing() or self.transport.is_deaf):
                pong.set_result(trip_s)

        self._loop.call_later(trip_s, answered)
        return pong

    def _broken(self) -> None:
        self._network.broken += 1
        self._arrived.clear()
        self._arrived.append(("broken", None))
        self._filled.set()
        if not self.opened.done():
            self.opened.set_exception(OSError("connection reset"))
        self._to_venue.put_nowait({"type": "websocket.disconnect", "code": NO_CLOSE_FRAME})


class Connecting:
    """What ``websockets.connect(...)`` gives: a context in which the connection is open."""

    def __init__(self, network: Network, url: str, open_timeout_s: float) -> None:
        self._network = network
        self._url = url
        self._open_timeout_s = open_timeout_s
        self._socket: Socket | None = None

    async def __aenter__(self) -> Socket:
        network = self._network
        await asyncio.sleep(network.delay_s())
        if network.happens(network.luck.lost_asked):
            raise OSError("connection refused")
        pipe = Pipe(network)
        socket = self._socket = Socket(network, pipe)
        socket.serve(urlsplit(self._url).path)
        try:
            async with asyncio.timeout(self._open_timeout_s):
                refusal = await socket.opened
        except TimeoutError:
            pipe.abort()
            raise
        if refusal is not None:
            pipe.abort()
            headers = Headers([(name.decode(), value.decode()) for name, value in refusal["headers"]])
            raise websockets.InvalidStatus(Response(refusal["status"], "", headers))
        if network.luck.break_after_s:
            asyncio.get_running_loop().call_later(
                network.rng.expovariate(1.0 / network.luck.break_after_s), pipe.abort
            )
        return socket

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.transport.abort()
