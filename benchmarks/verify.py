"""What a proof by replay costs, and what an hour of journal weighs, on the burst capture plus prices at 1 Hz.

The session is recorded as the engine does it: at 2,000 events a second with a commit each 50 ms, written as
fast as the disk takes it. Figures are of processor time, so that a busy machine changes them less.
"""

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.recordings import burst_forms, burst_frames
from benchmarks.scene import opened_events
from engine import events as e
from engine import journal as journal_module
from engine.core.state import State
from engine.core.step import step
from engine.journal import Journal, read_events
from engine.journal_read import read_blocks
from engine.run.verify.proof import verify
from engine.wire import clob_market

RATE = 2_000
SECONDS = 100
BEGINS_MS = 1_790_000_000_000
ROUNDS = 3


def measure() -> dict[str, Any]:
    """Return events a second of reading, of unpacking and of the whole proof, and megabytes an hour."""
    events = list(_mix())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "session.sqlite"
        write_s = _record(path, events)
        read_s = _best(lambda: sum(len(block.body) for block in read_blocks(path)))
        unpack_s = _best(lambda: sum(1 for _ in read_events(path)))
        step_s = _best(lambda: _play(events))
        verify_s = _best(lambda: _proved(path))
        size = path.stat().st_size
        packed = sum(len(block.body) + len(block.made) for block in read_blocks(path))
        decisions = verify(path).decisions
    return {
        "events": len(events),
        "decisions": decisions,
        "verify_per_s": round(len(events) / verify_s),
        "journal_mb_per_hour": round(size / SECONDS * 3_600 / 1e6, 1),
        "bytes_per_event": round(size / len(events), 1),
        "packed_bytes_per_event": round(packed / len(events), 1),
        "written_per_s": round(len(events) / write_s),
        "baseline_read_per_s": round(len(events) / read_s),
        "baseline_unpack_per_s": round(len(events) / unpack_s),
        "baseline_core_alone_per_s": round(len(events) / step_s),
    }


def _mix() -> Iterator[e.AnyEvent]:
    """Yield a story's beginning, then the burst's frames at the rate, and the prices of each second."""
    yield from opened_events(burst_frames(), BEGINS_MS, seconds_left=SECONDS + 10)
    forms = burst_forms()
    made = at = 0
    while made < RATE * SECONDS:
        now_ms = BEGINS_MS + made * 1_000 // RATE
        if made % RATE < 2:
            yield from _prices(now_ms)
        for event in clob_market.parse(forms[at % len(forms)].stamped(now_ms, 0).decode(), now_ms):
            yield event
            made += 1
        at += 1


def _prices(now_ms: int) -> Iterator[e.AnyEvent]:
    second = now_ms // 1_000
    yield e.SecondPassed(ts_recv_ms=now_ms)
    for source, lookback_s in (("chainlink", 0), ("twap", 60), ("binance", 0)):
        yield e.PricePrinted(
            ts_recv_ms=now_ms,
            source=source,  # type: ignore[arg-type]
            value=Decimal(70_000 + second % 7) + Decimal("0.125"),
            ts_venue_ms=second * 1_000,
            ts_sent_ms=None,
            lookback_s=lookback_s,
        )


def _record(path: Path, events: list[e.AnyEvent]) -> float:
    """Record as the engine does; each commit has what 50 ms bring. Return seconds of the machine."""
    limit, journal_module.GROUP_LIMIT = journal_module.GROUP_LIMIT, RATE // 20
    began = time.process_time()
    try:
        journal, state = Journal(path, {"session": path.stem}), State()
        for seq, event in enumerate(events, start=1):
            record = e.Record(seq, event)
            journal.record(record)
            for place, effect in enumerate(step(state, record)):
                journal.record_output(seq, place, effect)
            while journal.waiting > journal_module.QUEUE_LIMIT // 2:
                time.sleep(0.01)
        journal.close()
    finally:
        journal_module.GROUP_LIMIT = limit
    return time.process_time() - began


def _play(events: list[e.AnyEvent]) -> None:
    state = State()
    for seq, event in enumerate(events, start=1):
        step(state, e.Record(seq, event))


def _proved(path: Path) -> None:
    verdict = verify(path)
    assert verdict.holds, verdict.words


def _best(act: Callable[[], Any]) -> float:
    """Return the processor seconds of the best of some rounds."""
    times = []
    for _ in range(ROUNDS):
        gc.collect()
        began = time.process_time()
        act()
        times.append(time.process_time() - began)
    return min(times)
