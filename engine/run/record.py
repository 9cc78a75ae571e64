"""The recorder alone: the same feeds and the same journal, without a broker and without decisions.

What it does not know: orders. Its session is halted from its first moment, and says so itself.
"""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any, Final

from engine.config import Settings
from engine.events import EngineHalted
from engine.run.endpoints import Endpoints
from engine.run.engine import Engine
from engine.run.session import Session

OBSERVES: Final = "this session only records"


class NoOrders:
    """Stands where the order thread would; there is none."""

    async def close(self) -> None:
        """Return at once."""


class Recorder(Engine):
    """An engine that only watches."""

    def __init__(self, settings: Settings) -> None:
        # What can trade nothing needs no DRY_RUN, and is for nothing if it does not record.
        super().__init__(
            settings.model_copy(update={"dry_run": True, "record_raw": True}), publish=lambda _: None
        )
        self.mode = "record"

    async def _open_orders(self, session: Session, endpoints: Endpoints) -> NoOrders:
        del endpoints
        session.carry_out = lambda *_: None
        return NoOrders()

    def _restore_ledger(self, session: Session, journal_path: Path) -> None:
        """Leave the ledger alone: a recording is nobody's money."""

    def _open(self, session: Session) -> None:
        super()._open(session)
        # For a replay: whoever computes the decisions anew finds that nothing may be bought.
        session.accept(EngineHalted(ts_recv_ms=session.clock.now_ms(), why=OBSERVES))


async def run_recorder(settings: Settings, seconds: float | None) -> dict[str, Any]:
    """Record for so many wall seconds, or until SIGINT or SIGTERM.

    Args:
        settings: As loaded. ``RECORD_RAW`` is not asked.
        seconds: Wall seconds; None records until a signal.
    Returns:
        ``frames{feed}`` and ``raw_frames``, frames recorded; ``bytes``, what they weigh packed; ``segments``,
        how many files were begun; ``seconds``, wall; ``session``, the journal's path; ``halted``, what went
        wrong, None if nothing did.
    Raises:
        StartError: It could not start.
        JournalError: It could not record.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    recorder = Recorder(settings)
    timer = None if seconds is None else loop.call_later(seconds, stop.set)
    started = time.monotonic()
    try:
        await recorder.run(stop)
    finally:
        if timer is not None:
            timer.cancel()
    return report(recorder, time.monotonic() - started)


def report(recorder: Recorder, seconds: float) -> dict[str, Any]:
    """Sum a recording up. The field names are an interface (docs/commands.md)."""
    raw, session = recorder.raw, recorder.session
    assert raw is not None
    assert session is not None
    halted = session.state.halted_why
    return {
        "frames": dict(sorted(raw.frames.items())),
        "raw_frames": raw.frames.total(),
        "bytes": raw.bytes,
        "segments": raw.segments,
        "seconds": round(seconds, 3),
        "session": str(recorder.journal_path),
        "halted": raw.error or (None if halted == OBSERVES else halted),
    }
