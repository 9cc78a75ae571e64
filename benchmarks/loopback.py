"""From a frame's send in another process to its decision, recorder running, at a steady rate."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.recordings import burst_frames
from benchmarks.scene import opened_events
from engine.clock import SystemClock
from engine.core.trading import OrderIntent
from engine.events import AnyEvent
from engine.feeds.listening import NOTHING, Heard
from engine.feeds.socket import Habits, SocketFeed
from engine.journal import Journal
from engine.run.session import Session
from engine.wire import clob_market

RATE = 1_000
SECONDS = 20
SENDER = Path(__file__).with_name("loopback_sender.py")


class _NoBroker:
    def submit(self, intent: OrderIntent) -> None:
        raise AssertionError(f"the scene allows no order, yet {intent.order_id} was wanted")


def measure(seconds: int = SECONDS) -> dict[str, Any]:
    """Return quantiles in milliseconds over so many seconds at 1,000 frames/s."""
    with tempfile.TemporaryDirectory() as folder:
        return _measure(Path(folder), seconds)


def _measure(folder: Path, seconds: int) -> dict[str, Any]:
    frames = burst_frames()
    (folder / "frames.json").write_text(json.dumps(frames))
    command = [sys.executable, str(SENDER), str(folder), str(RATE), str(RATE * seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None
        port = int(sender.stdout.readline())
        journal = Journal(folder / "session.sqlite", {})
        received, decisions, cpu_s = asyncio.run(_receive(frames, port, journal, RATE * seconds))
        journal.close()
        sender.wait(30)
    sent = json.loads((folder / "sent.json").read_text())
    spans = sorted((after - before) / 1e6 for before, after in zip(sent, received, strict=True))
    return {
        "frames": len(spans),
        "frames_per_s": RATE,
        "decisions": decisions,
        "p50_ms": round(spans[len(spans) // 2], 3),
        "p99_ms": round(spans[len(spans) * 99 // 100], 3),
        "max_ms": round(spans[-1], 3),
        "engine_cpu_share": round(cpu_s / seconds, 3),
    }


async def _receive(
    frames: list[str], port: int, journal: Journal, count: int
) -> tuple[list[int], int, float]:
    """Feed the sender's frames to a session; note the monotonic time at which each was decided on."""
    session = Session(SystemClock(), journal, lambda _: None)
    session.broker = _NoBroker()
    for event in opened_events(frames, session.clock.now_ms()):
        session.accept(event)
    received: list[int] = []
    done = asyncio.Event()

    def on_frame(frame: str | bytes) -> Heard:
        session.accept_frame("clob", frame, clob_market.parse)
        received.append(time.monotonic_ns())
        if len(received) == count:
            done.set()
        return NOTHING

    def accept(event: AnyEvent) -> None:
        """Connection events are not part of what is measured; and they would void the scene's books."""

    feed = SocketFeed("clob", f"ws://127.0.0.1:{port}", Habits(None, 0.0, {}), session.clock, accept)
    feed.on_frame = on_frame
    task = asyncio.create_task(feed.run())
    before = time.process_time()
    await asyncio.wait_for(done.wait(), 3 * count / RATE)
    cpu_s = time.process_time() - before
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return received, sum(session.state.decisions.values()), cpu_s
