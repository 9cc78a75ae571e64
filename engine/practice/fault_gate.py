"""The one place where faults take hold: the gate through which every socket and every answer passes.

It is an ASGI application round the venue's own. Sockets and REST calls behind it know nothing of faults;
while none is at work a frame costs one look at a list.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.practice.fault_board import FaultBoard
from engine.practice.fault_frames import read_frame
from engine.practice.fault_terms import Answer, Asked

FEED_OF: Final = {
    "/rtds": "rtds",
    "/polybolt/ws": "polybolt",
    "/spot": "spot",
    "/ws/market": "clob",
    "/ws/user": "user",
}

BROKEN_OFF: Final = 1006

REFUSED_S: Final = 1.0
"""How long a refused client may take to read its answer: a few bytes."""

SPARED: Final = ("/clock", "/control/", "/status")
"""What drives the practice venue itself is never at fault."""

Headers = list[tuple[bytes, bytes]]

Transports = Callable[[object], asyncio.Transport | None]
"""Gives the transport of a client's address."""


class FaultGate:
    """The application round the venue's."""

    def __init__(self, app: ASGIApp, board: FaultBoard) -> None:
        self.transports: Transports = lambda _: None
        self._app = app
        self._board = board

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        feed = FEED_OF.get(scope.get("path", "")) if scope["type"] == "websocket" else None
        if feed is not None:
            await self._socket(feed, scope, receive, send)
        elif scope["type"] == "http" and self._board.spoils_calls() and not scope["path"].startswith(SPARED):
            await self._call(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _socket(self, feed: str, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._board.refusal(feed)
        if refusal is not None:
            headers = [(b"retry-after", f"{refusal.retry_after_s:g}".encode())]
            await send(
                {"type": "websocket.http.response.start", "status": refusal.status, "headers": headers}
            )
            await send({"type": "websocket.http.response.body", "body": b""})
            await self._gone(scope)
            return
        connection = Connection(feed, self._board, receive, send)
        connection.transport = self.transports(scope.get("client"))
        try:
            await self._app(scope, connection.receive, connection.send)
            await connection.over()
        finally:
            self._board.connections.discard(connection)
            connection.leave()

    async def _gone(self, scope: Scope) -> None:
        """Wait until a refused client's transport is closed: uvicorn logs an earlier return as an error."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REFUSED_S):
                while self.transports(scope.get("client")) is not None:  # noqa: ASYNC110 (uvicorn has no event)
                    await asyncio.sleep(0.001)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let faults see a request before the venue does, and its answer before the client does."""
        body = await _whole_body(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        asked = self._board.asked(Asked(scope["method"], scope["path"], headers, body))
        if isinstance(asked, Asked):
            if asked.delay_s:
                await asyncio.sleep(asked.delay_s)
            answer, headers_then = await self._answered(scope, receive, body)
        else:
            answer, headers_then = asked, [(b"content-type", b"application/json")]
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        if answer.dropped:
            transport = self.transports(scope.get("client"))
            if transport is not None:
                transport.abort()
            await self._gone(scope)
            return
        kept = [entry for entry in headers_then if entry[0].lower() != b"content-length"]
        kept += [(name.encode(), value.encode()) for name, value in answer.headers]
        kept.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": kept})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answered(self, scope: Scope, receive: Receive, body: bytes) -> tuple[Answer, Headers]:
        """Hold the venue's answer until it is whole, and return what faults make of it."""
        started: list[Message] = []
        answered = bytearray()
        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def read() -> Message:
            return unread.pop() if unread else await receive()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
            else:
                answered.extend(message.get("body", b""))

        await self._app(scope, read, collect)
        start = started[0]
        answer = Answer(scope["path"], start["status"], bytes(answered), method=scope["method"])
        return self._board.answer(answer), start["headers"]


async def _whole_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body.extend(message.get("body", b""))
        if not message.get("more_body"):
            return bytes(body)


class Connection:
    """One client's socket, between the venue and the web server."""

    def __init__(self, feed: str, board: FaultBoard, receive: Receive, send: Send) -> None:
        self.feed = feed
        self.transport: asyncio.Transport | None = None
        self._board = board
        self._receive = receive
        self._send = send
        self._deaf = False
        self._closed = asyncio.Event()
        self._jobs: set[asyncio.Task[None]] = set()

    async def receive(self) -> Message:
        """Pass on what the client says; nothing once the connection is half open."""
        message = await self._receive()
        if self._deaf and message["type"] == "websocket.receive":
            # The server read on when this was taken from it.
            self._pause_reading()
            await self._closed.wait()
            return {"type": "websocket.disconnect", "code": BROKEN_OFF}
        return message

    async def send(self, message: Message) -> None:
        """Pass on what the venue says, as faults leave it."""
        if self._deaf or self._closed.is_set():
            return
        if message["type"] == "websocket.accept":
            await self._send(message)
            self._board.joined(self)
        elif message["type"] == "websocket.send" and self._board.spoils_frames():
            for frame in self._board.frames(self, read_frame(self.feed, message["text"])):
                if frame.delay_s:
                    wall_s = frame.delay_s / self._board.clock.rate
                    self.after(wall_s, partial(self.write_soon, frame.text))
                else:
                    await self._send({"type": "websocket.send", "text": frame.text})
        else:
            await self._send(message)

    def close(self, code: int, reason: str = "") -> None:
        """Close it; 1006 breaks it off without a close frame."""
        if self._closed.is_set():
            return
        self._closed.set()
        if code == BROKEN_OFF:
            if self.transport is not None:
                self.transport.abort()
        else:
            self._run(self._send({"type": "websocket.close", "code": code, "reason": reason}))

    def deafen(self) -> None:
        """Neither read nor write any more; not even the answers to pings that the server gives by itself."""
        self._deaf = True
        self._pause_reading()

    def after(self, wall_s: float, act: Callable[[], None]) -> None:
        """Do something in a while, if it is still open then."""

        async def wait() -> None:
            await asyncio.sleep(wall_s)
            act()

        self._run(wait())

    def write_soon(self, text: str) -> None:
        """Send a text past every fault."""
        if not (self._deaf or self._closed.is_set()):
            self._run(self._send({"type": "websocket.send", "text": text}))

    async def over(self) -> None:
        """Wait, if it is half open, until somebody breaks it off: returning would send a FIN."""
        if self._deaf:
            await self._closed.wait()

    def leave(self) -> None:
        """Let go of what was still to be done."""
        self._closed.set()
        for job in self._jobs:
            job.cancel()

    def _pause_reading(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def _run(self, job: Awaitable[None]) -> None:
        task = asyncio.create_task(_quietly(job))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)


async def _quietly(job: Awaitable[None]) -> None:
    """Await something on a connection that may be gone already."""
    with contextlib.suppress(OSError, RuntimeError):
        await job
