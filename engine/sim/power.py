"""A power cut's work on the ledger's file: commits that were not synced yet may be gone.

The product syncs the commits that money is in, and no others (``LedgerFile.write``). In SQLite's write-ahead
log a commit is the frames up to a marked one, and a cut keeps the first frames and loses the rest. Where the
log stands is read from SQLite's own index beside it (its "WAL-index format"), on this machine's byte order.
What it does not know: what any commit means.
"""

import random
import sqlite3
import struct
from pathlib import Path
from typing import Final, NamedTuple

INDEX_BYTES: Final = 100
LOG_HEADER: Final = 32
FRAME_HEADER: Final = 24


class Place(NamedTuple):
    """A place in a log: which one, by its salts, and after how many frames."""

    salts: bytes
    frames: int


class LedgerDisk:
    """What is on the disk for certain of one ledger's file, over all the lives of a run."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self._synced = Place(b"", 0)
        self._last = Place(b"", 0)
        self._connections: list[sqlite3.Connection] = []

    def opened(self, path: Path, connection: sqlite3.Connection) -> None:
        """Note a connection: those of the dead stay open, as there is one process."""
        self.path = path
        self._connections.append(connection)

    def committed(self, *, is_synced: bool) -> None:
        """Note what was committed since the last call; a commit without frames syncs nothing."""
        place, _ = self._index()
        if is_synced and place != self._last:
            self._synced = place
        self._last = place

    def cut(self, rng: random.Random) -> int:
        """Lose some of the commits that were not synced, and every connection.

        Returns:
            How many commits are gone.
        """
        if self.path is None or not self._log.is_file():
            return 0
        place, moved = self._index()
        if not place.salts:
            return 0  # nobody read it since the last cut: nothing was added, and no index says what is in it
        data, log = self.path.read_bytes(), self._log.read_bytes()
        certain = self._synced.frames if self._synced.salts == place.salts else 0
        # Frames that a checkpoint moved into the file were synced by it before.
        ends = commit_ends(log, max(certain, moved), place.frames)
        kept = ends[0] if rng.random() < 0.5 else rng.choice(ends)
        for connection in self._connections:
            connection.close()  # the last one takes the log in: so the files are put back after it
        self._connections.clear()
        self.path.write_bytes(data)
        size = LOG_HEADER + kept * (FRAME_HEADER + page_bytes(log))
        self._log.write_bytes(log[:size])
        self._beside("-shm").unlink(missing_ok=True)
        self._synced = self._last = Place(place.salts, kept)
        return len(ends) - 1 - ends.index(kept)

    @property
    def _log(self) -> Path:
        return self._beside("-wal")

    def _beside(self, ending: str) -> Path:
        assert self.path is not None
        return self.path.with_name(self.path.name + ending)

    def _index(self) -> tuple[Place, int]:
        """Return the end of the last commit, and how many frames a checkpoint has moved into the file."""
        try:
            with self._beside("-shm").open("rb") as file:
                head = file.read(INDEX_BYTES)
        except FileNotFoundError:
            head = b""
        if len(head) < INDEX_BYTES:
            return Place(b"", 0), 0
        frames, moved = struct.unpack_from("=I", head, 16)[0], struct.unpack_from("=I", head, 96)[0]
        return Place(head[32:40], frames), moved


def page_bytes(log: bytes) -> int:
    """Return the size of a page, from a log's header."""
    return int(struct.unpack_from(">I", log, 8)[0]) if len(log) >= LOG_HEADER else 0


def commit_ends(log: bytes, first: int, last: int) -> list[int]:
    """Return after how many frames a cut may leave a log: ``first``, or a commit's end up to ``last``."""
    size = FRAME_HEADER + page_bytes(log)
    marks = (struct.unpack_from(">I", log, LOG_HEADER + frame * size + 4)[0] for frame in range(first, last))
    return [first, *(frame + 1 for frame, mark in enumerate(marks, first) if mark)]
