"""The one place where frames leave: a bounded queue for each client, so that none can hold the venue.

A client that reads too slowly is closed, as the real venue does ("slow consumer"); nobody else notices.
"""

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Callable
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

log = logging.getLogger(__name__)

QUEUE_FRAMES: Final = 10_000
"""Two seconds of the 5,000 frames a second that the fault catalogue (A4) names as a burst."""

BATCH: Final = 50
"""Frames sent before others get their turn: about a millisecond."""

CLOSE_WAIT_S: Final = 0.2
"""How long a close frame may wait for room in the client's socket; one that is stuck will not read it."""

POLICY_VIOLATION: Final = 1008


class Outbox:
    """Frames on their way to one client."""

    def __init__(self, client: str, limit: int = QUEUE_FRAMES) -> None:
        self.client = client
        self.overflowed = asyncio.Event()
        self.ending: tuple[int, str] | None = None
        """Close code and reason with which the connection ends once everything queued has left."""
        self._limit = limit
        self._frames: deque[str] = deque()
        self._filled = asyncio.Event()

    def send(self, frame: str) -> None:
        """Queue a frame. Never waits; a full queue ends the client."""
        if self.overflowed.is_set() or self.ending is not None:
            return
        if len(self._frames) >= self._limit:
            self._frames.clear()
            self.overflowed.set()
            return
        self._frames.append(frame)
        self._filled.set()

    @property
    def is_ending(self) -> bool:
        """Whether nothing more is taken, because the connection is being closed."""
        return self.ending is not None

    def end(self, code: int, reason: str) -> None:
        """Close the connection once what is queued has been sent."""
        if self.ending is None:
            self.ending = (code, reason)
            self._filled.set()

    async def deliver(self, websocket: WebSocket) -> None:
        """Send queued frames for as long as the client is there, or until the end was asked for."""
        while True:
            await self._filled.wait()
            for _ in range(min(BATCH, len(self._frames))):
                await websocket.send_text(self._frames.popleft())
            if not self._frames:
                if self.ending is not None:
                    return
                self._filled.clear()
            # A send that finds room does not wait, so a long queue would keep everyone else waiting.
            await asyncio.sleep(0)


async def converse(
    websocket: WebSocket,
    outbox: Outbox,
    on_text: Callable[[str], None],
    silent_s: float = math.inf,
) -> None:
    """Serve one client until it leaves, or until it is too slow or says nothing for too long.

    Args:
        websocket: Accepted already.
        outbox: Its queue.
        on_text: Called with every text frame it sends.
        silent_s: Wall seconds without any of them after which it is closed.
    """
    said = _Said(on_text)
    log.info("= client joined", extra={"client": outbox.client})
    jobs = [
        asyncio.create_task(outbox.deliver(websocket)),
        asyncio.create_task(_listen(websocket, said)),
        asyncio.create_task(outbox.overflowed.wait()),
    ]
    if silent_s < math.inf:
        jobs.append(asyncio.create_task(said.until_silent(outbox, silent_s)))
    try:
        await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
    if outbox.overflowed.is_set():
        log.warning("x slow consumer", extra={"client": outbox.client})
        await _close(websocket, POLICY_VIOLATION, "slow consumer")
    elif outbox.ending is not None:
        log.info("x client closed", extra={"client": outbox.client, "code": outbox.ending[0]})
        await _close(websocket, *outbox.ending)
    else:
        log.info("x client left", extra={"client": outbox.client})


class _Said:
    """What a client says, and whether it says anything."""

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self._spoke = asyncio.Event()

    def __call__(self, text: str) -> None:
        """Take a text frame."""
        self._spoke.set()
        self._on_text(text)

    async def until_silent(self, outbox: Outbox, silent_s: float) -> None:
        """Return once nothing was said for so long, with the connection's end asked for."""
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(silent_s):
                    await self._spoke.wait()
                self._spoke.clear()
        outbox.end(POLICY_VIOLATION, "no keep-alive")


async def _listen(websocket: WebSocket, on_text: Callable[[str], None]) -> None:
    """Read until the client leaves; binary frames say nothing in this protocol."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is not None:
            on_text(text)


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    try:
        async with asyncio.timeout(CLOSE_WAIT_S):
            await websocket.close(code, reason)
    except (TimeoutError, RuntimeError, WebSocketDisconnect):
        # Its socket has no room for the frame, or it has gone: the connection is dropped when we return.
        return
