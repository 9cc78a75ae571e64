"""The replay's socket: a browser tab says where it wants to be, and gets the frame of that moment.

Each tab has a player in a process of its own (``engine.run.replay.host``), which lives as long as the socket:
whatever a replay costs, the engine's process only passes the picture on. Asks that wait while one is answered
are thinned by the tab itself: it has one under way. What it does not know: how a session is played.
"""

import logging
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine import desk
from engine.desk import Desk
from engine.run.replay.host import Ask, PlayerProcess
from engine.run.replay.listing import source_of
from pages.component import replay_message
from pages.server_socket import turned_away, words

TABS_MOST: Final = 6
"""Players at once: each is a process of about 60 MB."""

log = logging.getLogger("engine.console")

_ask: Final = msgspec.json.Decoder(Ask)


class Replays:
    """The replay sockets of one server."""

    def __init__(self) -> None:
        self.open = 0

    async def serve(self, socket: WebSocket) -> None:
        """Play for one tab until it goes; another site's page, and who may see nothing, are turned away."""
        counter = desk.current()
        if await turned_away(socket):
            return
        if counter is None:
            await socket.close(1011, "no engine runs in this process")
            return
        if self.open >= TABS_MOST:
            await socket.accept()
            full = f"{TABS_MOST} replays are open already; close one."
            await socket.send_bytes(replay_message.problem(full))
            await socket.close(1013, "too many replays")
            return
        await socket.accept()
        self.open += 1
        folder = counter.settings.data_dir
        source = source_of(folder, socket.query_params.get("session", ""))
        process: PlayerProcess | None = None
        try:
            process = await run_in_threadpool(PlayerProcess, source, folder)
            await _answer_all(socket, process, counter)
        except OSError as error:
            await socket.send_bytes(replay_message.problem(f"The player does not start: {error}"))
        finally:
            self.open -= 1
            if process is not None:
                await run_in_threadpool(process.close)


async def _answer_all(socket: WebSocket, process: PlayerProcess, counter: Desk) -> None:
    talk = replay_message.Talk(counter.settings)
    async for ask in words(socket, _ask):
        try:
            frame = await run_in_threadpool(lambda ask=ask: talk.frame(process.ask(ask)))
            await socket.send_bytes(frame)
        except (WebSocketDisconnect, RuntimeError):
            return
