"""Clients that flood a console from a process of their own: tabs that speak, tabs that never read, sockets
beyond the push's bound. Prints what was opened as one JSON line; breaks everything off when standard input
ends, and ends.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from contextlib import suppress

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

PATIENCE_S = 90.0
ACK_S = 0.5
AGAIN_S = 10.0
"""A session that speaks runs its whole page again so often, as no browser does by itself."""
SILENT_SHARE = 3
"""One in so many reads nothing once it has asked: its answers fill the server's buffers."""


class Clients:
    """Every socket of this process, and what became of those that were refused."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.origin = websockets.Origin(url.replace("ws", "http", 1))
        self.count: Counter[str] = Counter()
        self.ran = self.timers = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.sockets: list[websockets.ClientConnection] = []

    async def open(self, path: str, number: int) -> None:
        """Open a socket of Streamlit's or of the push, and be a tab on it."""
        protocols = [websockets.Subprotocol("streamlit")] if path == "/_stcore/stream" else None
        try:
            socket = await websockets.connect(
                f"{self.url}{path}", origin=self.origin, subprotocols=protocols, max_size=2**26,
                open_timeout=PATIENCE_S, ping_interval=None,
            )  # fmt: skip
        except (OSError, TimeoutError, websockets.InvalidStatus, websockets.InvalidMessage) as error:
            status = error.response.status_code if isinstance(error, websockets.InvalidStatus) else 0
            self.count[f"{path} {status or type(error).__name__}"] += 1
            return
        self.count[f"{path} open"] += 1
        self.sockets.append(socket)
        be = self._session if path == "/_stcore/stream" else self._push
        task = asyncio.create_task(be(socket, number % SILENT_SHARE == 0))
        self.tasks.add(task)

    async def _session(self, socket: websockets.ClientConnection, is_silent: bool) -> None:
        """Run the page; one that is not silent keeps the timers that it is told to keep."""
        first = BackMsg()
        first.rerun_script.query_string = ""
        timers: dict[str, asyncio.Task[None]] = {}
        with suppress(websockets.ConnectionClosed):
            await socket.send(first.SerializeToString())
            if is_silent:
                socket.transport.pause_reading()
                return
            self.tasks.add(asyncio.create_task(_again(socket, first)))
            async for data in socket:
                told = ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())
                kind = told.WhichOneof("type")
                self.ran += kind == "script_finished"
                if kind == "auto_rerun" and told.auto_rerun.fragment_id not in timers:
                    name, every = told.auto_rerun.fragment_id, told.auto_rerun.interval
                    self.timers += 1
                    timers[name] = asyncio.create_task(_rerun(socket, name, every))
                    self.tasks.add(timers[name])

    async def _push(self, socket: websockets.ClientConnection, is_silent: bool) -> None:
        with suppress(websockets.ConnectionClosed):
            await socket.send(json.dumps({"have": 0, "session": ""}))
            if is_silent:
                return
            async for data in socket:
                head = json.loads(data).get("head") or {}
                have = {"have": head.get("version", 0), "session": head.get("session", "")}
                await asyncio.sleep(ACK_S)
                await socket.send(json.dumps(have))

    def break_off(self) -> None:
        """End every connection without a word, as a machine that is switched off does."""
        for task in self.tasks:
            task.cancel()
        for socket in self.sockets:
            socket.transport.abort()


async def _again(socket: websockets.ClientConnection, page: BackMsg) -> None:
    await asyncio.sleep(random.uniform(0, AGAIN_S))
    with suppress(websockets.ConnectionClosed):
        while True:
            await socket.send(page.SerializeToString())
            await asyncio.sleep(AGAIN_S)


async def _rerun(socket: websockets.ClientConnection, fragment: str, every: float) -> None:
    with suppress(websockets.ConnectionClosed):
        while True:
            await asyncio.sleep(every)
            again = BackMsg()
            again.rerun_script.fragment_id = fragment
            again.rerun_script.is_auto_rerun = True
            await socket.send(again.SerializeToString())


async def main() -> None:
    """Open so many sockets of each kind; say what came of it whenever asked by a line."""
    clients = Clients(sys.argv[1].replace("http", "ws", 1))
    streams, pushes = int(sys.argv[2]), int(sys.argv[3])
    doors = [("/_stcore/stream", number) for number in range(streams)]
    doors += [("/push", number) for number in range(pushes)]
    await asyncio.gather(*(clients.open(*door) for door in doors))
    loop = asyncio.get_running_loop()
    while True:
        print(
            json.dumps({"sockets": dict(clients.count), "ran": clients.ran, "timers": clients.timers}),
            flush=True,
        )
        if not await loop.run_in_executor(None, sys.stdin.readline):
            clients.break_off()
            return


if __name__ == "__main__":
    asyncio.run(main())
