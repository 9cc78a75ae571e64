"""The replay's socket: a browser tab says where it wants to be, and gets the frame of that moment.

Each tab has a player in a process of its own (``engine.run.replay_host``), which lives as long as the socket:
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
from engine.run.access import Role, same_site
from engine.run.replay_host import Ask, PlayerProcess
from engine.run.replay_list import source_of
from pages import access
from pages.component import replay_message

TABS_MOST: Final = 6
"""Players at once: each is a process of about 60 MB."""
WORD_LIMIT: Final = 400

log = logging.getLogger("engine.console")


class Replays:
    """The replay sockets of one server."""

    def __init__(self) -> None:
        self.open = 0

    async def serve(self, socket: WebSocket) -> None:
        """Play for one tab until it goes; another site's page is turned away."""
        counter = desk.current()
        if counter is None or not same_site(socket.headers):
            await socket.close(1008, "the request comes from another site, or there is no engine")
            return
        if self.open >= TABS_MOST:
            await socket.accept()
            words = f"{TABS_MOST} replays are open already; close one."
            await socket.send_bytes(replay_message.problem(words))
            await socket.close(1013, "too many replays")
            return
        if access.of_request(socket).role < Role.VIEWER:
            await socket.close(1008, "sign in first")
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
    while True:
        try:
            text = await socket.receive_text()
            if len(text) > WORD_LIMIT:
                raise msgspec.ValidationError("too long")
            ask = msgspec.json.decode(text, type=Ask)
        except (WebSocketDisconnect, RuntimeError):
            return
        except (KeyError, msgspec.MsgspecError):
            await socket.close(1003, "this is not what a replay is asked")
            return
        try:
            frame = await run_in_threadpool(lambda ask=ask: talk.frame(process.ask(ask)))
            await socket.send_bytes(frame)
        except (WebSocketDisconnect, RuntimeError):
            return
