"""A pause outlives the engine: "no new orders until somebody resumes" is a promise, whatever is restarted.

``DATA_DIR/PAUSED`` lies there from a pause to its end. A file that cannot be read is a pause as well.
What it does not know: commands, the core.
"""

import os
from pathlib import Path
from typing import Final

import msgspec

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.events import TradingPaused
from engine.units import Milliseconds

FILE_NAME: Final = "PAUSED"
SIZE_LIMIT: Final = 16_384
AGAIN: Final = " (before this engine was started)"


class Pause(msgspec.Struct, frozen=True):
    """Who paused, why, and since when, wall time."""

    who: str
    why: str
    since_ms: Milliseconds


class PauseFile:
    """The pause of one data folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    def keep(self, event: TradingPaused) -> None:
        """Write a pause down, or remove it where the event ends it.

        Raises:
            OSError: It could not be done: after a restart things would stand as before.
        """
        if not event.paused:
            self.path.unlink(missing_ok=True)
            return
        draft = self.path.with_name(f"{FILE_NAME}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            since_ms = event.ts_recv_ms if event.since_ms is None else event.since_ms
            os.write(descriptor, msgspec.json.encode(Pause(event.who, event.why, since_ms)))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(self.path)
        # Its name is on the disk with its folder alone: after a power cut it would be a pause that never was.
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def told_again(self, now_ms: Milliseconds) -> TradingPaused | None:
        """Return the pause that is in force as an event for a new session; None where there is none."""
        try:
            with self.path.open("rb") as file:
                kept = from_json(file.read(SIZE_LIMIT), Pause)
        except FileNotFoundError:
            return None
        except (OSError, DecodingError) as error:
            why = f"{FILE_NAME} cannot be read ({type(error).__name__})"
            return TradingPaused(ts_recv_ms=now_ms, paused=True, who="nobody knows", why=f"{why}{AGAIN}")
        return TradingPaused(
            ts_recv_ms=now_ms, paused=True, who=kept.who, why=f"{kept.why}{AGAIN}", since_ms=kept.since_ms
        )
