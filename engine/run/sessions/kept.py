"""What lies beside a session's journal, and the whole of it as files: names, notes, verdicts, sizes, removal.

A journal is never changed here, for it may be being written: an operator's words and the last verdict have
files of their own. What it does not know: what a session holds.
"""

import contextlib
import shutil
from pathlib import Path
from typing import Final

import msgspec

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.journal_read import session_files
from engine.raw import raw_segments
from engine.run.verify.proof import Verdict
from engine.run.whole_file import write_whole

FOLDER: Final = "sessions"
_MB: Final = 1_000_000


class Noted(msgspec.Struct, frozen=True):
    """What an operator said of a session."""

    name: str = ""
    note: str = ""


def folder_of(data_dir: Path) -> Path:
    """Return the folder of a data folder's sessions."""
    return data_dir / FOLDER


def remove(path: Path) -> float:
    """Remove the files of a session, the journal last: what is left of a broken attempt can be removed again.

    Returns:
        Megabytes that were freed.
    Raises:
        OSError: A file cannot be removed.
    """
    freed = size_mb(path)
    for part in parts(path):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
    return freed


def parts(path: Path) -> list[Path]:
    """Return everything that belongs to a session and is there, its journal last."""
    stem = path.stem
    beside = [*raw_segments(path), path.with_name(f"{stem}.replay.sqlite")]
    files = [one.with_name(one.name + end) for one in (*beside, path) for end in ("-wal", "-shm", "")]
    exported = [path.with_name(f"{stem}.csv"), _beside(path, "markets"), path.with_name(f"{stem}.windows")]
    others = [_beside(path, "note"), _beside(path, "verdict"), *exported]
    return [part for part in (*others, *files) if part.exists()]


def size_mb(path: Path) -> float:
    """Return what a session weighs with everything beside it, megabytes."""
    total = 0
    for part in parts(path):
        inside = part.rglob("*") if part.is_dir() else [part]
        for file in inside:
            with contextlib.suppress(OSError):  # it may go meanwhile
                total += file.stat().st_size
    return total / _MB


def raw_mb(path: Path) -> float:
    """Return what its raw frames weigh, megabytes."""
    total = 0
    for segment in raw_segments(path):
        with contextlib.suppress(OSError):
            total += segment.stat().st_size
    return total / _MB


def noted(path: Path) -> Noted:
    """Return what an operator said of a session; nothing where nothing can be read."""
    try:
        return from_json(_beside(path, "note").read_bytes(), Noted)
    except (OSError, DecodingError):
        return Noted()


def keep_verdict(path: Path, verdict: Verdict) -> None:
    """Keep a proof's outcome beside the session: the journal itself may be being written.

    Raises:
        OSError: It cannot be written.
    """
    write_whole(_beside(path, "verdict"), msgspec.json.encode(verdict))


def verdict_on(path: Path) -> Verdict | None:
    """Return what the last proof of a session came to; None where there was none."""
    try:
        return from_json(_beside(path, "verdict").read_bytes(), Verdict)
    except (OSError, DecodingError):
        return None


def last_verdict(data_dir: Path) -> Verdict | None:
    """Return the verdict on the newest session that was verified; None where none was."""
    for path in reversed(session_files(folder_of(data_dir))):
        verdict = verdict_on(path)
        if verdict is not None:
            return verdict
    return None


def keep_noted(path: Path, said: Noted) -> None:
    """Keep what an operator said of a session.

    Raises:
        OSError: It cannot be written.
    """
    write_whole(_beside(path, "note"), msgspec.json.encode(said))


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.stem}.{what}.json")
