"""The raw recorder: every frame that a socket delivered, verbatim, with both times of its arrival.

Segment files ``<session>.raw-0001.sqlite`` beside the session's journal, written by a thread of their own. A
segment is one stream of deflate, cut into rows wherever it was committed (at most ``COMMIT_S`` after a frame
arrived): what was committed before a crash can be read, and small commits pack as well as large ones. All
segments of the data folder share a budget: the oldest are deleted, never the one that is being written.
What it does not know: what a frame means, and the frames that we send: those may hold keys.
"""

import logging
import re
import sqlite3
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from engine.errors import JournalError
from engine.handover import Handover
from engine.private_files import make_folder

COMMIT_S: Final = 0.25
"""How often frames are committed."""

BLOCK_FRAMES: Final = 8_000
"""Most frames of one row: 5 MB of the burst capture's."""

SEGMENT_MB: Final = 64.0
"""Size at which a segment is closed: an hour at 150 frames a second."""

QUEUE_MB: Final = 64.0
"""Most text that may wait for the writer, 10 s of 10,000 frames a second; beyond it frames are lost."""

LEVEL: Final = 1
"""zlib's fastest: 7 times smaller at 220 MB/s; level 6 makes it 8.8 times at a quarter of the speed."""

RAW_SCHEMA_VERSION: Final = 1
_MB: Final = 1_000_000

_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE block (number INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, first_wall_ns INTEGER NOT NULL,
                    frames INTEGER NOT NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL);
"""
_NAME: Final = re.compile(r"(?P<session>.+)\.raw-(?P<number>\d{4,})\.sqlite")

log = logging.getLogger("engine.raw")


class RawFrame(NamedTuple):
    """One frame as received.

    ``wall_ns`` (Unix) and ``mono_ns`` are the machine's clocks at its arrival, ``ts_recv_ms`` the engine's,
    which follows a scaled venue. ``epoch`` counts the feed's connections, ``seq`` is the number of the first
    event that the frame led to.
    """

    wall_ns: int
    mono_ns: int
    ts_recv_ms: int
    feed: str
    epoch: int
    seq: int
    text: str | bytes


_UNREADABLE: Final = (
    sqlite3.Error, zlib.error, msgspec.MsgspecError, UnicodeError, RecursionError, TypeError,
)  # fmt: skip
"""All that reading raises on a file that is none; TypeError where a column holds no bytes."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[tuple[int, int, int, str, int, int, Any]])  # text or bytes


class RawRecorder:
    """Record a session's frames. ``record`` is for the engine's thread only, and never waits or raises.

    What could not be recorded is counted by feed: ``take_losses``. A writer that failed says why in ``error``
    and stays failed; from then on every frame counts as lost.
    """

    def __init__(self, journal_path: Path, budget_mb: float, segment_mb: float = SEGMENT_MB) -> None:
        """Open the first segment.

        Args:
            journal_path: The session's journal; segments are named after it.
            budget_mb: Most megabytes of all segments in that folder.
            segment_mb: Size at which a segment is closed; at most a quarter of the budget.
        Raises:
            JournalError: The segment cannot be written; one line says which and why.
        """
        self.error: str | None = None
        self.frames: Counter[str] = Counter()
        self.bytes = 0
        self.segments = 0
        self._journal_path = journal_path
        self._budget_bytes = budget_mb * _MB
        self._segment_bytes = min(segment_mb, budget_mb / 4) * _MB
        self._queue: Handover[RawFrame | None] = Handover()
        self._taken_bytes = 0
        self._put_bytes = 0
        self._lost: Counter[str] = Counter()
        self._lock = threading.Lock()
        try:
            self._open_segment()
        except (OSError, sqlite3.Error) as error:
            raise JournalError(self._complaint(error)) from error
        self._thread = threading.Thread(target=self._write, name="raw recorder", daemon=True)
        self._thread.start()

    def record(self, frame: RawFrame) -> None:
        """Take a frame over, or count it as lost."""
        length = len(frame.text)
        if self.error is not None or self._put_bytes - self._taken_bytes + length > QUEUE_MB * _MB:
            with self._lock:
                self._lost[frame.feed] += 1
            return
        self._put_bytes += length
        self._queue.put(frame)

    def take_losses(self) -> dict[str, int]:
        """Return how many frames of each feed were lost since the last call."""
        if not self._lost:
            return {}
        with self._lock:
            losses = dict(self._lost)
            self._lost.clear()
        return losses

    @property
    def lag_ms(self) -> float:
        """How long the oldest frame not yet committed has waited, at most."""
        return self._queue.age_s * 1000

    @property
    def waiting_mb(self) -> float:
        """How much text waits for the writer, megabytes."""
        return (self._put_bytes - self._taken_bytes) / _MB

    def close(self) -> None:
        """Commit what is left and close the segment."""
        self._queue.put_now(None)
        self._thread.join()

    # --- the writer's thread --------------------------------------------------------------------------------

    def _write(self) -> None:
        frames: list[RawFrame] = []
        ended = False
        try:
            while not ended:
                frames, ended = self._next_block()
                if frames:
                    self._commit(frames)
                self._queue.done()
                frames = []
            self._close_segment("ended")
        except Exception as error:  # noqa: BLE001 (a recorder that is gone must say so, whatever it was)
            self.error = self._complaint(error)
            log.error("raw recorder failed", extra={"why": self.error})
            while not ended:
                self._lose(frames)
                frames, ended = self._next_block()
            self._lose(frames)
            self._database.close()

    def _next_block(self) -> tuple[list[RawFrame], bool]:
        """Return the frames that wait, and whether they were the last."""
        taken = self._queue.take(BLOCK_FRAMES, COMMIT_S)
        frames = [frame for frame in taken if frame is not None]
        self._taken_bytes += sum([len(frame.text) for frame in frames])
        return frames, len(frames) < len(taken)

    def _lose(self, frames: list[RawFrame]) -> None:
        self._queue.done()
        with self._lock:
            self._lost.update(frame.feed for frame in frames)

    def _commit(self, frames: list[RawFrame]) -> None:
        plain = _encoder.encode(frames)
        body = self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        first = frames[0]
        # Without BEGIN a statement is a transaction of its own.
        self._database.execute(
            "INSERT INTO block VALUES (NULL, ?, ?, ?, ?, ?)",
            (first.seq, first.wall_ns, len(frames), len(plain), body),
        )
        self.frames.update([frame.feed for frame in frames])
        self.bytes += len(body)
        self._written += len(body)
        if self._written >= self._segment_bytes:
            self._close_segment("continued")
            self._open_segment()

    def _open_segment(self) -> None:
        number = self.segments + 1
        path = self._journal_path.with_name(f"{self._journal_path.stem}.raw-{number:04}.sqlite")
        make_folder(path.parent)
        # Room for the whole new segment, so that the budget holds while it grows.
        keep_to_budget(path.parent, self._budget_bytes - self._segment_bytes)
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        path.chmod(0o600)  # frames of the account name its owner
        self._database.executescript(_SCHEMA)
        rows = {
            "session": self._journal_path.stem,
            "segment": str(number),
            "schema": str(RAW_SCHEMA_VERSION),
            "status": "running",
        }
        self._database.executemany("INSERT INTO meta VALUES (?, ?)", rows.items())
        self._deflate = zlib.compressobj(LEVEL)
        self._written = 0
        self.segments = number

    def _close_segment(self, status: str) -> None:
        self._database.execute("UPDATE meta SET value = ? WHERE key = 'status'", (status,))
        self._database.close()

    def _complaint(self, error: Exception) -> str:
        folder = self._journal_path.parent
        return f"cannot record raw frames in {folder}: {error}; free space, or set DATA_DIR elsewhere"


def keep_to_budget(folder: Path, budget_bytes: float) -> list[Path]:
    """Delete a folder's oldest raw segments until the rest fit; journals are never touched.

    Args:
        folder: Where the sessions are. No segment in it may be open for writing.
        budget_bytes: What the segments that stay may weigh together.
    Returns:
        What was deleted, oldest first. Each is logged, and so is each that cannot be looked at or deleted: it
        stays, and the next segment tries again.
    """
    found = [path for path in folder.glob("*.raw-*.sqlite") if _NAME.fullmatch(path.name)]
    # A session's name begins with the time of its start.
    found.sort(key=_age_order)
    sizes = {path: _bytes_of(path) for path in found}
    total = sum(sizes.values())
    deleted = []
    for path in found:
        if total <= budget_bytes:
            break
        try:
            for part in _parts(path):
                part.unlink(missing_ok=True)
        except OSError as error:
            log.warning("raw segment not deleted", extra={"segment": path.name, "why": str(error)})
            continue
        total -= sizes[path]
        deleted.append(path)
        log.warning("raw segment deleted", extra={"segment": path.name, "bytes": sizes[path]})
    return deleted


def _bytes_of(path: Path) -> int:
    """Return what a segment weighs; a file that went meanwhile weighs nothing."""
    total = 0
    for part in _parts(path):
        try:
            total += part.stat().st_size
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("raw segment not looked at", extra={"segment": path.name, "why": str(error)})
    return total


def raw_segments(path: Path) -> list[Path]:
    """Return the segments of a session that are still there, in order.

    Args:
        path: The session's journal, or one of its segments (which is then the only one).
    """
    if _NAME.fullmatch(path.name):
        return [path]
    found = [other for other in path.parent.glob("*.raw-*.sqlite") if _is_of(other, path.stem)]
    return sorted(found, key=_age_order)


def read_raw(path: Path) -> Iterator[RawFrame]:
    """Yield a session's raw frames in the order in which they arrived.

    After a crash these are the frames up to the last commit.

    Args:
        path: The session's journal, or one of its segments.
    Raises:
        JournalError: No such file, or not a segment of raw frames. What the budget took is no error.
    """
    segments = raw_segments(path)
    if not segments and not path.is_file():
        raise JournalError(f"no session at {path}")
    for segment in segments:
        yield from _read_segment(segment)


def _read_segment(path: Path) -> Iterator[RawFrame]:
    if not path.is_file():
        raise JournalError(f"no raw segment at {path}")
    # As a quoted address: a path may hold # and ?.
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    inflate = zlib.decompressobj()
    try:
        for (body,) in database.execute("SELECT body FROM block ORDER BY number"):
            for row in _decoder.decode(inflate.decompress(body)):
                yield RawFrame(*row)
    except _UNREADABLE as error:
        raise JournalError(f"{path} is not a raw segment this version can read: {error}") from error
    finally:
        database.close()


def _is_of(path: Path, session: str) -> bool:
    match = _NAME.fullmatch(path.name)
    return match is not None and match["session"] == session


def _age_order(path: Path) -> tuple[str, int]:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return match["session"], int(match["number"])


def _parts(path: Path) -> list[Path]:
    """Return the files that one database may consist of, whether they are there or not."""
    return [path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")]
