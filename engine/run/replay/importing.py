"""Market data in other formats (wide CSV, recordings of one window) as a journal that the replay plays.

The file is turned once into events by its own reader, played through the core, and kept under
``DATA_DIR/replay``; another file, or other code, makes another. It holds no order of ours: a paper order that
the core wants has no venue to go to. What it does not know: the formats.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from engine.core.state import State
from engine.core.step import step
from engine.errors import EngineError, JournalError
from engine.events import Record
from engine.journal import Journal
from engine.journal_read import SCHEMA_VERSION
from engine.private_files import make_folder
from engine.run.replay.index import code_digest, digest_of_code

SUFFIXES: Final = (".csv", ".json.gz", ".jsonl.gz")
SIZE_MOST: Final = 200_000_000
"""Bytes: about two million rows, minutes of work; larger files are for the sweep, which streams them."""
WAITING_MOST: Final = 50_000

_READERS: Final = (
    "run/recordings.py", "run/wide_csv.py", "run/row_records.py", "run/market_rows.py",
    "run/markets_table.py", "practice/recorded.py", "practice/recording*.py", "practice/tape.py",
    "practice/manifest.py", "practice/manifests/*",
)  # fmt: skip
"""What decides on the events that a file is turned into: one that was turned by other code is turned anew."""

Read = Callable[[Path], Iterator[Record]]


def is_import(path: Path) -> bool:
    """Say whether a file has to be turned into a journal first."""
    return path.name.endswith(SUFFIXES)


def journal_of_file(data_dir: Path, path: Path, read: Read) -> Path:
    """Return the journal of a file of market data, made now if it was not yet.

    Args:
        data_dir: The data folder.
        path: The file.
        read: Its reader.
    Raises:
        JournalError: The file is too large, cannot be read, or the journal cannot be written.
    """
    try:
        if path.stat().st_size > SIZE_MOST:
            raise JournalError(f"{path.name} is larger than {SIZE_MOST // 1_000_000} MB: use the sweep")
        folder = data_dir / "replay"
        kept = folder / f"{path.name.split('.')[0]}-{_digest(path)}.sqlite"
        if kept.is_file():
            return kept
        make_folder(folder)
        part = folder / f".{kept.stem}.{os.getpid()}.sqlite"
        try:
            _write(part, kept.stem, read(path))
            part.replace(kept)
        finally:
            for left in folder.glob(f"{part.name}*"):
                left.unlink()
        return kept
    except JournalError:
        raise
    except (EngineError, OSError) as error:
        raise JournalError(f"{path.name} cannot be replayed: {error}") from error


def _write(path: Path, session: str, records: Iterator[Record]) -> None:
    journal, state = Journal(path, {"session": session, "mode": "replay"}), State()
    try:
        for record in records:
            journal.record(record)
            for place, effect in enumerate(step(state, record)):
                journal.record_output(record.seq, place, effect)
            state.marks.clear()
            while journal.waiting > WAITING_MOST:
                time.sleep(0.005)
    finally:
        journal.close()
    if journal.error is not None:  # the last groups are written when nobody records any more
        raise JournalError(journal.error)


def _digest(path: Path) -> str:
    """Return a digest of the file, the table beside it, the code that reads and plays it, and the journal's
    format.
    """
    made_by = (code_digest(), digest_of_code(_READERS), str(SCHEMA_VERSION))
    digest = hashlib.sha256(" ".join(made_by).encode())
    for one in (path, path.with_name(f"{path.name.split('.')[0]}.markets.json")):
        if one.is_file():
            with one.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
