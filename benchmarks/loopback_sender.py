"""The other end of the loopback benchmark: send frames at a steady rate, note when each was handed over."""

import asyncio
import json
import sys
import time
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve


async def send(folder: Path, rate: int, count: int) -> None:
    """Serve one client, then write the monotonic times (ns) at which its frames were sent."""
    frames = json.loads((folder / "frames.json").read_text())
    finished = asyncio.Event()

    async def on_client(client: ServerConnection) -> None:
        sent = []
        started = time.monotonic()
        for number in range(count):
            wait = started + number / rate - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            sent.append(time.monotonic_ns())
            await client.send(frames[number % len(frames)])
        (folder / "sent.json").write_text(json.dumps(sent))
        finished.set()
        await client.wait_closed()

    async with serve(on_client, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await finished.wait()
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    asyncio.run(send(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
