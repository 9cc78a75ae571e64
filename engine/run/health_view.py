"""What the machine says of the engine's process: memory, threads, files, sizes on the disk.

What it does not know: what the engine itself says (the snapshot).
"""

import os
import shutil
import threading
from pathlib import Path
from typing import Final

import msgspec

from engine.journal_read import journal_parts
from engine.raw import raw_segments
from engine.run.sessions.kept import folder_of

MB: Final = 1_000_000


class Measures(msgspec.Struct, frozen=True):
    """Figures of this moment, megabytes as 10^6 bytes; None where the system does not tell."""

    memory_mb: float | None
    threads: list[str]
    open_files: int | None
    load: float | None
    journal_mb: float | None
    raw_mb: float
    raw_segments: int
    data_mb: float
    free_mb: float | None


def measure(folder: Path, session: str) -> Measures:
    """Measure this process and its data folder.

    Args:
        folder: The data folder.
        session: The session that is being recorded; empty before there is one.
    """
    sizes = _sizes(folder)
    file = folder_of(folder) / f"{session}.sqlite"
    raw = [part for segment in raw_segments(file) for part in journal_parts(segment) if part in sizes]
    journal = [sizes[part] for part in journal_parts(file) if part in sizes]
    return Measures(
        memory_mb=_memory_mb(),
        threads=sorted(thread.name for thread in threading.enumerate()),
        open_files=_count(Path("/proc/self/fd")),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        journal_mb=sum(journal) / MB if journal else None,
        raw_mb=sum(sizes[part] for part in raw) / MB,
        raw_segments=sum(part.suffix == ".sqlite" for part in raw),
        data_mb=sum(sizes.values()) / MB,
        free_mb=_free_mb(folder),
    )


def _sizes(folder: Path) -> dict[Path, int]:
    """Return every file's size; what vanishes meanwhile is left out."""
    sizes = {}
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                sizes[path] = path.stat().st_size
        except OSError:
            continue
    return sizes


def _memory_mb() -> float | None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


def _free_mb(folder: Path) -> float | None:
    try:
        return shutil.disk_usage(folder).free / MB
    except OSError:
        return None


def _count(folder: Path) -> int | None:
    try:
        return len(os.listdir(folder))
    except OSError:
        return None
