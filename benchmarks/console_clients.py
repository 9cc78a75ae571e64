"""Protocol clients of the console: sessions that speak as a browser tab does, and draw nothing.

Each opens Streamlit's socket, runs the page, keeps the timers it is told to keep, and takes the push, which
it acknowledges twice a second. Prints a line when all are up; ends with standard input.
"""

import asyncio
import json
import sys
import time

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ACK_S = 0.5


async def session(url: str, up: asyncio.Semaphore) -> None:
    """Be one tab."""
    timers: dict[str, asyncio.Task[None]] = {}
    async with websockets.connect(
        f"{url}/_stcore/stream",
        origin=url.replace("ws", "http", 1),
        subprotocols=["streamlit"],
        max_size=2**26,
    ) as socket:
        first = BackMsg()
        first.rerun_script.query_string = ""
        await socket.send(first.SerializeToString())
        pushed = asyncio.create_task(push(url, up))
        try:
            async for data in socket:
                told = ForwardMsg.FromString(data)
                if told.WhichOneof("type") == "auto_rerun" and told.auto_rerun.fragment_id not in timers:
                    name, every = told.auto_rerun.fragment_id, told.auto_rerun.interval
                    timers[name] = asyncio.create_task(rerun(socket, name, every))
        finally:
            for task in (*timers.values(), pushed):
                task.cancel()


async def rerun(socket: websockets.ClientConnection, fragment: str, every: float) -> None:
    """Rerun a fragment by its timer."""
    while True:
        await asyncio.sleep(every)
        again = BackMsg()
        again.rerun_script.fragment_id = fragment
        again.rerun_script.is_auto_rerun = True
        await socket.send(again.SerializeToString())


async def push(url: str, up: asyncio.Semaphore) -> None:
    """Take the push as ``assets/stream.js`` does."""
    said_at, first = -1.0, True
    async with websockets.connect(
        f"{url}/push", origin=url.replace("ws", "http", 1), max_size=2**26
    ) as socket:
        await socket.send(json.dumps({"have": 0, "session": ""}))
        async for data in socket:
            if not first and time.monotonic() - said_at < ACK_S:
                continue
            head = json.loads(data).get("head") or {}
            said_at = time.monotonic()
            await socket.send(
                json.dumps({"have": head.get("version", 0), "session": head.get("session", "")})
            )
            if first:
                first = False
                up.release()


async def main() -> None:
    """Be as many tabs as the second argument says, of the server in the first."""
    url, count = sys.argv[1].replace("http", "ws", 1), int(sys.argv[2])
    up = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(session(url, up)) for _ in range(count)]
    for _ in range(count):
        await asyncio.wait_for(up.acquire(), 60)
    print("up", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
