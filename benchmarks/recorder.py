"""What recording costs: the threads of the journal and of the raw recorder at 2,000 frames a second."""

import asyncio
import gzip
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.recordings import burst_forms, burst_frames
from benchmarks.scene import opened_events
from benchmarks.threads import cpu_seconds, since
from engine.clock import SystemClock
from engine.core.trading import OrderIntent
from engine.journal import Journal
from engine.raw import RawRecorder
from engine.run.session import Session
from engine.wire import clob_market

RATE = 2_000
SECONDS = 20
TICK_S = 0.005


class _NoBroker:
    def submit(self, intent: OrderIntent) -> None:
        raise AssertionError(f"the scene allows no order, yet {intent.order_id} was wanted")


def measure() -> dict[str, Any]:
    """Return the share of one core that each thread took, and what was written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "session.sqlite"
        journal = Journal(path, {})
        raw = RawRecorder(path, budget_mb=2_000)
        spent, worst_ms = asyncio.run(_run(journal, raw))
        raw.close()
        journal.close()
        shares = {name: round(cpu_s / SECONDS, 4) for name, cpu_s in spent.items()}
        return {
            "frames_per_s": RATE,
            "seconds": SECONDS,
            "journal_share": shares["journal"],
            "raw_share": shares["raw recorder"],
            "recorder_share": round(shares["journal"] + shares["raw recorder"], 4),
            "engine_share": shares["MainThread"],
            "worst_commit_lag_ms": round(worst_ms),
            "journal_mb": round(path.stat().st_size / 1e6, 1),
            "raw_mb": round(raw.bytes / 1e6, 1),
            "raw_lost": sum(raw.take_losses().values()),
            "baseline_gzip_share": _gzip_share(Path(folder) / "frames.gz"),
        }


async def _run(journal: Journal, raw: RawRecorder) -> tuple[dict[str, float], float]:
    """Pass frames through a session at the rate; return CPU seconds by thread and the longest lag."""
    session = Session(SystemClock(), journal, lambda _: None, raw)
    session.broker = _NoBroker()
    for event in opened_events(burst_frames(), session.clock.now_ms(), seconds_left=SECONDS + 10):
        session.accept(event)
    forms = burst_forms()
    before, started = cpu_seconds(), time.monotonic()
    worst_ms = 0.0
    number = 0
    while number < RATE * SECONDS:
        due = min(RATE * SECONDS, int((time.monotonic() - started) * RATE) + 1)
        for at in range(number, due):
            frame = forms[at % len(forms)].stamped(session.clock.now_ms(), time.monotonic_ns())
            session.accept_frame("clob", frame.decode(), clob_market.parse)
        number = due
        worst_ms = max(worst_ms, journal.lag_ms, raw.lag_ms)
        await asyncio.sleep(TICK_S)
    return since(before), worst_ms


def _gzip_share(path: Path) -> float:
    """Return what the plainest recorder would take: each frame written to a gzip file at zlib's level 1."""
    forms = burst_forms()
    frames = [forms[at % len(forms)].stamped(at, at) for at in range(RATE)]
    before = time.thread_time()
    with gzip.open(path, "wb", compresslevel=1) as file:
        for frame in frames:
            file.write(frame + b"\n")
    return round(time.thread_time() - before, 4)
