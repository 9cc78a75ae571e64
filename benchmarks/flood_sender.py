"""The venue's side of the flood: the burst capture, stamped anew, at a steady rate to one client.

Prints its port, waits for a line of JSON that says what to send, sends, prints a line of JSON. A client that
reads too slowly is closed, as the real venue does.
"""

import asyncio
import json
import sys
import time
from typing import Any

import websockets
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

from benchmarks.recordings import Form, burst_forms

SLOW_BYTES = 1_000_000
SLOW_S = 5.0
TICK_S = 0.001


class Sender:
    """Floods whoever connected last."""

    def __init__(self) -> None:
        self.client: ServerConnection | None = None
        self.flooded: frozenset[str] = frozenset()
        self.connections = 0
        self.sent = 0
        self.slow_closes = 0
        self.largest_buffer = 0
        self._slow_since: float | None = None

    async def serve_client(self, client: ServerConnection) -> None:
        """Answer PINGs, and a subscription with a book for each token that is not flooded."""
        client.transport.set_write_buffer_limits(2**30)
        self.client = client
        self.connections += 1
        try:
            async for frame in client:
                if frame == "PING":
                    await client.send("PONG")
                    continue
                for token in json.loads(frame)["assets_ids"]:
                    if token not in self.flooded:
                        await client.send(_quiet_book(token))
        except websockets.ConnectionClosedError:
            pass  # counted by the connection that follows
        if self.client is client:
            self.client = None

    async def flood(self, forms: list[Form], wish: dict[str, Any]) -> None:
        """Send ``rate`` frames a second for ``seconds``; the venue's clock is ``ahead_ms`` of this one."""
        rate, total = wish["rate"], int(wish["rate"] * wish["seconds"])
        started = time.monotonic()
        number = 0
        while number < total:
            due = min(total, int((time.monotonic() - started) * rate) + 1)
            frames = []
            while number < due:
                venue_ms = time.time_ns() // 1_000_000 + wish["ahead_ms"]
                frames.append(_framed(forms[number % len(forms)].stamped(venue_ms, time.monotonic_ns())))
                number += 1
            if self.client is not None and not self.client.transport.is_closing() and frames:
                # Straight to the transport: the library's own bookkeeping would need a core of its own.
                self.client.transport.write(b"".join(frames))
                self.sent += len(frames)
                self._look(self.client)
            await asyncio.sleep(TICK_S)

    def _look(self, client: ServerConnection) -> None:
        waiting = client.transport.get_write_buffer_size()
        self.largest_buffer = max(self.largest_buffer, waiting)
        now = time.monotonic()
        if waiting <= SLOW_BYTES:
            self._slow_since = None
        elif self._slow_since is None:
            self._slow_since = now
        elif now - self._slow_since > SLOW_S:
            self.slow_closes += 1
            self._slow_since = self.client = None
            client.transport.abort()


def _quiet_book(token: str) -> str:
    bids, asks = [{"price": "0.49", "size": "100"}], [{"price": "0.51", "size": "100"}]
    stamp = str(time.time_ns() // 1_000_000)
    book = {"event_type": "book", "market": "0x0", "asset_id": token, "bids": bids, "asks": asks}
    return json.dumps({**book, "timestamp": stamp, "hash": ""})


def _framed(body: bytes) -> bytes:
    return Frame(Opcode.TEXT, body).serialize(mask=False)


async def main() -> None:
    """Serve, and flood whenever a line on standard input asks for it."""
    loop = asyncio.get_running_loop()
    sender = Sender()
    async with serve(sender.serve_client, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        wish = json.loads(line)
        sender.flooded = frozenset(wish["names"].values())
        forms = burst_forms(wish["names"])
        before = time.monotonic()
        await sender.flood(forms, wish)
        result = {
            "sent": sender.sent,
            "seconds": round(time.monotonic() - before, 2),
            "connections": sender.connections,
            "slow_consumer_closes": sender.slow_closes,
            "largest_buffer_bytes": sender.largest_buffer,
            "cpu_s": round(time.process_time(), 2),
        }
        print(json.dumps(result), flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main())
