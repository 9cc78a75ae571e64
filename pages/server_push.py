"""The push: frames for every open tab over the server's own WebSocket route, encoded once for all.

A frame is a difference to what a tab said it has. Those who keep up share the oldest of their versions, and
so one encoding; one that lags gets the newest whole picture when it speaks again, never what it missed. For a
tab there is one slot for a frame not yet sent, and no more than a few frames under way. A lost frame is no
harm: the next covers it. What it does not know: what any number means, Streamlit's sessions.
"""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Final

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine import desk
from engine.desk import Desk, Health
from pages.component import message
from pages.server_socket import turned_away, words

PUSH_EVERY_S: Final = 0.1
"""Event to pixels p95 125 ms at this pace (reference measurement)."""
EARLY_S: Final = 0.012
"""Ready so long before the next snapshot is due, that a pace of 50 ms gives every second one."""
BEAT_S: Final = 0.25
"""Without news a tab hears so often that the server lives, and how the engine is."""
CALM_EVERY_S: Final = 0.5
"""A hidden tab, or one without live panels, gets a frame so often. In time and not in frames: without news
every fifth beat came after 1.7 s, when the browser had given the socket up and missed what mattered."""
RECENT_VERSIONS: Final = 60
"""Six seconds at ten snapshots a second: who is further behind lags."""
UNDER_WAY: Final = 12
"""Frames sent and not acknowledged from which on a tab is left alone; a tab that is well has two."""
WHOLE_AGAIN_S: Final = 5.0
TAB_LIMIT: Final = 256

log = logging.getLogger("engine.console")


class Word(msgspec.Struct):
    """What a tab says: what it has, whether it wants fewer frames, whose it is."""

    have: int
    session: str
    calm: bool = False
    tab: str = ""


_word: Final = msgspec.json.Decoder(Word)


class Tab:
    """What is known of one socket: bounded, whatever it does."""

    def __init__(self) -> None:
        self.word: Word | None = None
        self.under_way = 0
        self.dropped = 0
        self.whole_at: float | None = None
        self._slot: bytes | None = None
        self._filled = asyncio.Event()

    def hear(self, word: Word) -> None:
        """Take what the tab says it has."""
        self.word = word
        self.under_way = 0
        self.whole_at = None

    def offer(self, frame: bytes) -> None:
        """Put a frame in the slot; one that still lies there is dropped and counted."""
        if self.under_way >= UNDER_WAY:
            self.dropped += 1
            return
        if self._slot is not None:
            self.dropped += 1
        self._slot = frame
        self.under_way += 1
        self._filled.set()

    async def next_frame(self) -> bytes:
        """Wait for a frame and take it."""
        await self._filled.wait()
        self._filled.clear()
        frame, self._slot = self._slot, None
        assert frame is not None
        return frame


class Pusher:
    """All tabs of one server, and the one task that serves them while there are any."""

    def __init__(self, kill_url: str) -> None:
        self.tabs: set[Tab] = set()
        self.frames = 0
        self.wholes = 0
        self._kill_url = kill_url
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._calm_at = float("-inf")
        self._said: tuple[object, ...] = ()

    async def serve(self, socket: WebSocket) -> None:
        """Feed one tab until it goes; another site's page, and who may see nothing, are turned away."""
        if await turned_away(socket):
            return
        if len(self.tabs) >= TAB_LIMIT:
            await socket.close(1013, "too many tabs")
            return
        await socket.accept()
        tab = Tab()
        self.tabs.add(tab)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="push")
        sending = asyncio.create_task(_send(socket, tab), name="push to a tab")
        try:
            await self._listen(socket, tab)
        finally:
            self.tabs.discard(tab)
            _touch(tab, pushed=False)
            sending.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await sending

    async def _listen(self, socket: WebSocket, tab: Tab) -> None:
        async for word in words(socket, _word):
            first = tab.word is None
            tab.hear(word)
            _touch(tab, pushed=True)
            if first:
                self._news.set()

    async def _run(self) -> None:
        """Send with the news, ten times a second at most; the beat goes on without."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            if not self._news.is_set():
                with suppress(RuntimeError):  # the loop ended meanwhile
                    loop.call_soon_threadsafe(self._news.set)

        counter: Desk | None = None
        try:
            while self.tabs:
                counter = desk.current()
                if counter is not None:
                    counter.on_news = tell
                with suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S):
                        await self._news.wait()
                self._news.clear()
                if counter is not None and counter is desk.current():
                    self.push(counter)
                await asyncio.sleep(PUSH_EVERY_S - EARLY_S)
        finally:
            if counter is not None:
                counter.on_news = None

    def push(self, counter: Desk) -> None:
        """Offer every tab whose turn it is a frame: encoded once, and the whole once more where some lag."""
        health = counter.health()
        now = time.monotonic()
        said = (health.desk, health.state, health.killed, health.error, health.sessions)
        everybody = said != self._said or now - self._calm_at >= CALM_EVERY_S
        self._said, self._calm_at = said, now if everybody else self._calm_at
        keeping_up: list[Tab] = []
        lagging: list[Tab] = []
        for tab in self.tabs:
            if tab.word is None or (tab.word.calm and tab.word.have and not everybody):
                continue
            behind = health.version - tab.word.have
            recent = tab.word.session == health.session and 0 <= behind < RECENT_VERSIONS
            (keeping_up if recent and tab.word.have > 0 else lagging).append(tab)
        if keeping_up:
            oldest = min(tab.word.have for tab in keeping_up if tab.word is not None)
            frame = self._encode(counter, oldest, health)
            for tab in keeping_up:
                tab.offer(frame)
        waiting = [tab for tab in lagging if tab.whole_at is None or now - tab.whole_at > WHOLE_AGAIN_S]
        if waiting:
            frame = self._encode(counter, 0, health)
            self.wholes += 1
            for tab in waiting:
                tab.whole_at = now if health.version else None
                tab.offer(frame)

    def _encode(self, counter: Desk, since: int, health: Health) -> bytes:
        self.frames += 1
        return message.frame(counter.history.since(since), health, counter.settings, self._kill_url)


def _touch(tab: Tab, pushed: bool) -> None:
    counter = desk.current()
    if counter is not None and tab.word is not None:
        counter.hub.touch(tab.word.tab, pushed)


async def _send(socket: WebSocket, tab: Tab) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.send_bytes(await tab.next_frame())
