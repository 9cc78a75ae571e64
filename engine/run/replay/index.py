"""The replay's index of one session: checkpoints of the core, the chart's seconds, and where to jump to.

It lies beside the journal as ``<session>.replay.sqlite``, is built once by a process of its own, and can be
used up to where it is built. It holds pickles, so it is trusted only as our own file: owned by this user,
readable by nobody else (0600). Anything that does not fit (code, journal, format, a broken part) makes it
worthless, and it is built anew. What it does not know: pages, how a record is played.
"""

import fcntl
import hashlib
import os
import platform
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

import engine
from engine.decoded import UNDECODABLE
from engine.errors import JournalError
from engine.run import journal_pages
from engine.run.replay.scene import Gap, Jump, JumpKind, Noted, Scene
from engine.snapshot import Mark, Point
from engine.units import Milliseconds

FORMAT: Final = 2
"""Since 2 it knows the gaps that last."""
CHECKPOINT_EVERY: Final = 2_500
"""Work between two checkpoints, in events read and taken in: about 25 ms of it (benchmarks/replay.py)."""
PATIENCE_S: Final = 2.0
JUMPS_SHOWN: Final = 3_000
"""Marks of the slider; more cannot be told apart on it."""

_SCHEMA: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE checkpoint (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE TABLE point (seq INTEGER NOT NULL, t_s INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX point_at ON point (seq)",
    "CREATE TABLE mark (seq INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX mark_at ON mark (seq)",
    "CREATE TABLE jump (seq INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX jump_at ON jump (kind, seq)",
    "CREATE TABLE gap (seq INTEGER NOT NULL, body BLOB NOT NULL)",
)
_TABLES: Final = ("point", "mark", "jump", "gap")

_CODE: Final = (
    "core/*.py", "contract.py", "events.py", "params.py", "snapshot.py", "units.py", "run/chart_seconds.py",
    "run/replay/scene.py",
)  # fmt: skip

_encode = msgspec.msgpack.Encoder().encode
_point: msgspec.msgpack.Decoder[Point] = msgspec.msgpack.Decoder(Point)
_mark: msgspec.msgpack.Decoder[Mark] = msgspec.msgpack.Decoder(Mark)
_jump: msgspec.msgpack.Decoder[Jump] = msgspec.msgpack.Decoder(Jump)
_gap: msgspec.msgpack.Decoder[Gap] = msgspec.msgpack.Decoder(Gap)


class Built(NamedTuple):
    """How far an index goes: to which record, of how many, and whether that was all there was."""

    seq: int
    last_seq: int
    at_ms: Milliseconds

    @property
    def is_whole(self) -> bool:
        return self.seq >= self.last_seq > 0


def index_path(journal: Path) -> Path:
    """Return where a session's index lies."""
    return journal.with_name(f"{journal.stem}.replay.sqlite")


class Index:
    """Read an index; every answer is of the file as it is at that moment."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self.path = index_path(journal)

    def built(self) -> Built | None:
        """Say how far it is built; None where there is none that fits this journal and this code."""
        with self._opened() as database:
            if database is None:
                return None
            meta = dict(database.execute("SELECT key, value FROM meta"))
            if not _fits(meta, self._journal):
                return None
            return Built(int(meta["seq"]), int(meta["last_seq"]), int(meta["at_ms"]))

    def scene_before(self, seq: int) -> Scene | None:
        """Return the scene of the last checkpoint at or before a record, with points and marks; else None."""
        with self._opened() as database:
            if database is None:
                return None
            row = database.execute(
                "SELECT seq, body FROM checkpoint WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (seq,)
            ).fetchone()
            if row is None:
                return None
            try:
                scene = Scene.thaw(row[1])
            except ValueError:
                self.discard()
                return None
            most = scene.points.maxlen, scene.marks.maxlen
            points = database.execute(
                "SELECT body FROM point WHERE seq <= ? ORDER BY seq DESC, rowid DESC LIMIT ?",
                (row[0], most[0]),
            ).fetchall()
            marks = database.execute(
                "SELECT body FROM mark WHERE seq <= ? ORDER BY seq DESC, rowid DESC LIMIT ?",
                (row[0], most[1]),
            ).fetchall()
            scene.points.extend(_point.decode(body) for (body,) in reversed(points))
            scene.marks.extend(_mark.decode(body) for (body,) in reversed(marks))
            return scene

    def checkpoint_before(self, seq: int) -> int:
        """Return the number of the last checkpoint at or before a record; 0 without one."""
        with self._opened() as database:
            if database is None:
                return 0
            row = database.execute("SELECT max(seq) FROM checkpoint WHERE seq <= ?", (seq,)).fetchone()
            return int(row[0] or 0)

    def jump(self, kind: JumpKind, seq: int, *, back: bool) -> Jump | None:
        """Return the next jump of a kind after a record, or the last one before it; None where none is."""
        order = ("<", "DESC") if back else (">", "ASC")
        with self._opened() as database:
            if database is None:
                return None
            row = database.execute(
                f"SELECT body FROM jump WHERE kind = ? AND seq {order[0]} ? ORDER BY seq {order[1]} LIMIT 1",  # noqa: S608 (our own two words)
                (kind, seq),
            ).fetchone()
            return None if row is None else _jump.decode(row[0])

    def jumps(self) -> list[Jump]:
        """Return what the slider marks: everything but changes of decision, which are everywhere."""
        with self._opened() as database:
            if database is None:
                return []
            rows = database.execute(
                "SELECT body FROM jump WHERE kind != 'decision' ORDER BY seq LIMIT ?", (JUMPS_SHOWN,)
            )
            return [_jump.decode(body) for (body,) in rows]

    def gaps(self) -> list[Gap]:
        """Return the stretches in which a feed was away, in the order in which they ended."""
        with self._opened() as database:
            if database is None:
                return []
            return [_gap.decode(body) for (body,) in database.execute("SELECT body FROM gap ORDER BY rowid")]

    def open_gaps(self) -> list[Gap]:
        """Return the stretches that had not ended where the index is built to, the first to begin first."""
        with self._opened() as database:
            if database is None:
                return []
            row = database.execute("SELECT value FROM meta WHERE key = 'open_gaps'").fetchone()
            return [] if row is None else msgspec.json.decode(row[0], type=list[Gap])

    def discard(self) -> None:
        """Remove what cannot be used; the next builder begins anew."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection | None]:
        """Open the file if it is ours alone and has its tables, else nothing; a broken one is removed."""
        if not _is_ours(self.path):
            yield None
            return
        try:
            database = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE_S
            )
        except sqlite3.Error:
            yield None
            return
        try:
            yield database if _has_tables(database) else None
        except sqlite3.OperationalError as error:
            raise JournalError(f"{self.path.name} cannot be read now: {error}") from error
        except (sqlite3.DatabaseError, KeyError, *UNDECODABLE) as error:
            self.discard()
            raise JournalError(f"{self.path.name} is broken and was removed: {error}") from error
        finally:
            database.close()


def build(journal: Path, tell: Callable[[Built], None] = lambda _: None) -> Built | None:
    """Build a session's index, or go on with one that fits.

    Args:
        journal: The session's file; what was written to it by now is taken in.
        tell: Called after each checkpoint.
    Returns:
        How far it is built; None where another process builds it.
    Raises:
        JournalError: The session cannot be read, or the index cannot be written.
    """
    path = index_path(journal)
    last = journal_pages.span(journal).last_seq
    try:
        with _locked(path) as mine:
            if not mine:
                return None
            database = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None)
            try:
                scene = _begun(database, journal)
                return _play(database, journal, (scene, last), tell)
            finally:
                database.close()
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"{path.name} cannot be written: {error}") from error


def _begun(database: sqlite3.Connection, journal: Path) -> Scene:
    """Return the scene to go on from; everything after it is taken out of the file."""
    try:
        meta = dict(database.execute("SELECT key, value FROM meta"))
        if _fits(meta, journal):
            row = database.execute("SELECT seq, body FROM checkpoint ORDER BY seq DESC LIMIT 1").fetchone()
            if row is not None:
                scene = Scene.thaw(row[1])
                for table in _TABLES:
                    database.execute(f"DELETE FROM {table} WHERE seq > ?", (row[0],))  # noqa: S608 (our own tables)
                return scene
    except (sqlite3.DatabaseError, ValueError, KeyError):
        pass  # whatever it holds is of no use
    database.execute("BEGIN IMMEDIATE")  # who reads it meanwhile finds all tables or none
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        database.execute(f'DROP TABLE "{name}"')
    for statement in _SCHEMA:
        database.execute(statement)
    database.execute("COMMIT")
    return Scene()


def _play(
    database: sqlite3.Connection,
    journal: Path,
    todo: tuple[Scene, int],
    tell: Callable[[Built], None],
) -> Built:
    scene, last = todo
    rows: dict[str, list[tuple[object, ...]]] = {name: [] for name in _TABLES}
    kept = scene.work
    built = Built(scene.seq, last, scene.state.now_ms)
    for record in journal_pages.records(journal, scene.seq, last):
        noted = scene.take(record)
        if noted is not None:
            _note(rows, record.seq, noted)
        if scene.work - kept >= CHECKPOINT_EVERY or record.seq == last:
            kept = scene.work
            built = _keep(database, journal, scene, (rows, last))
            tell(built)
    if built.seq != scene.seq or built.seq == 0:
        built = _keep(database, journal, scene, (rows, scene.seq))  # the journal ends before what it said
    return built


def _note(rows: dict[str, list[tuple[object, ...]]], seq: int, noted: Noted) -> None:
    rows["point"] += [(seq, point.t_s, _encode(point)) for point in noted.points]
    rows["mark"] += [(seq, _encode(mark)) for mark in noted.marks]
    rows["jump"] += [(seq, jump.kind, _encode(jump)) for jump in noted.jumps]
    rows["gap"] += [(seq, _encode(gap)) for gap in noted.gaps]


def _keep(
    database: sqlite3.Connection,
    journal: Path,
    scene: Scene,
    new: tuple[dict[str, list[tuple[object, ...]]], int],
) -> Built:
    """Write a checkpoint and what was noted since the last one, as one change."""
    rows, last = new
    built = Built(scene.seq, last, scene.state.now_ms)
    lasting = [Gap(feed, from_ms, None) for feed, from_ms in scene.open_gaps.items()]
    meta = {**_identity(journal, scene.seq), "seq": scene.seq, "last_seq": last, "at_ms": built.at_ms}
    meta["open_gaps"] = msgspec.json.encode(lasting).decode()
    database.execute("BEGIN IMMEDIATE")
    for name, values in rows.items():
        if values:
            marks = ", ".join("?" * len(values[0]))
            database.executemany(f"INSERT INTO {name} VALUES ({marks})", values)  # noqa: S608 (our own tables)
            values.clear()
    database.execute(
        "INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?)", (scene.seq, built.at_ms, scene.freeze())
    )
    database.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, str(value)) for key, value in meta.items()]
    )
    database.execute("COMMIT")
    return built


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold the file for one builder; a file that is not ours alone is replaced by a new one."""
    if path.exists() and not _is_ours(path):
        path.unlink()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


def _is_ours(path: Path) -> bool:
    try:
        told = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(told.st_mode) and told.st_uid == os.getuid() and not told.st_mode & 0o077


def _has_tables(database: sqlite3.Connection) -> bool:
    """Say whether a builder got as far as to write the tables; until then the file is empty."""
    try:
        database.execute("SELECT 1 FROM meta LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return False
    return True


def _fits(meta: dict[str, str], journal: Path) -> bool:
    """Say whether an index was made by this code from this very journal, as far as it goes."""
    seq = int(meta.get("seq", "0"))
    return seq > 0 and all(meta.get(key) == value for key, value in _identity(journal, seq).items())


def _identity(journal: Path, seq: int) -> dict[str, str]:
    return {
        "format": str(FORMAT),
        "python": platform.python_version(),
        "code": code_digest(),
        "chain": _chain(journal, seq),
    }


def _chain(journal: Path, seq: int) -> str:
    """Return the journal's chain at the last block that ends at or before a record, and its number."""
    found = journal_pages.chain_at(journal, seq)
    return "" if found is None else f"{found[0]} {found[1].hex()}"


def code_digest() -> str:
    """Return a digest of all code that a checkpoint depends on: the core's, and the words it is made of."""
    return digest_of_code(_CODE)


@cache
def digest_of_code(parts: tuple[str, ...]) -> str:
    """Return a digest of some of the engine's files.

    Args:
        parts: Patterns of paths below the engine's folder, such as ``core/*.py``.
    """
    digest = hashlib.sha256()
    folder = Path(engine.__file__).parent
    for part in parts:
        for path in sorted(folder.glob(part)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
