"""The flight recorder: every event, decision and intent of a session, in one order.

One SQLite file in WAL mode for each session, written by a thread of its own: the engine's loop hands over
immutable records and goes on; a group is committed at most ``GROUP_S`` later. Before an order may leave, its
intent and all before it are durable: ``wait_durable``. What it does not know: what any record means.

A group goes to SQLite as one row in one statement: after every statement the writer has to win Python's lock
again, up to 5 ms each beside a busy thread (measured there: 1,650 microseconds a record one by one, 65 in
groups of 200). What a row holds is ``engine.journal_blocks``'s; readers are ``engine.journal_read``'s, and
passed on here.
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.errors import JournalError
from engine.events import Record
from engine.handover import Handover
from engine.journal_blocks import Packer
from engine.journal_read import (
    SCHEMA_VERSION,
    OrderEnd,
    RecordedOrder,
    TradeTold,
    read_events,
    read_meta,
    read_opening,
    read_orders,
    read_outputs,
    read_trades_told,
)
from engine.private_files import make_folder

__all__ = [
    "Journal",
    "OrderEnd",
    "RecordedOrder",
    "TradeTold",
    "encode_output",
    "read_events",
    "read_meta",
    "read_opening",
    "read_orders",
    "read_outputs",
    "read_trades_told",
]

GROUP_S: Final = 0.05
"""Longest time a record waits for its commit (design: group commit at most 50 ms)."""

GROUP_LIMIT: Final = 2_000
"""Most records of one block: whoever looks for one record unpacks 2 ms worth of others."""

QUEUE_LIMIT: Final = 200_000
"""Records that may wait, 20 s of 10,000 a second: beyond, the recorder has failed and nothing is traded."""

_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE block (number INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
                    first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, events INTEGER NOT NULL,
                    outputs INTEGER NOT NULL, outputs_so_far INTEGER NOT NULL, out_from INTEGER NOT NULL,
                    out_to INTEGER NOT NULL, kinds TEXT NOT NULL, checks BLOB NOT NULL, chain BLOB NOT NULL,
                    body BLOB NOT NULL, made BLOB NOT NULL);
CREATE INDEX block_by_seq ON block (first_seq);
CREATE INDEX block_of_rare ON block (number) WHERE kinds <> '';
"""
_INSERT: Final = f"INSERT INTO block VALUES ({', '.join('?' * 15)})"  # noqa: S608 (question marks only)

_encoder = msgspec.msgpack.Encoder()


class _Barrier:
    """A request to make everything before it durable."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done: Future[None] = Future()


class Journal:
    """Record one session. ``record`` and ``record_output`` are for the engine's thread only.

    Raises from every call once writing failed: no record, no trade.
    """

    def __init__(self, path: Path, meta: dict[str, str]) -> None:
        """Create the file.

        Args:
            path: A file that does not exist yet.
            meta: What the session is (id, mode, code version, ...), without secrets.
        Raises:
            JournalError: The file cannot be written; one line says which and why.
        """
        self.path = path
        self.error: str | None = None
        self.durable_seq = 0
        self.written_seq = 0
        self._flushing: bool | None = None
        self._queue: Handover[Any] = Handover()
        if path.exists():
            raise JournalError(f"{path} is there already: a session is written once, by one engine")
        try:
            make_folder(path.parent)
            told = {**meta, "schema": str(SCHEMA_VERSION)}
            self._packer = Packer(told)
            _begin(path, {**told, "status": "running"})
            # Few statements are kept: groups differ in size, and the largest weigh a megabyte each.
            self._database = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None, cached_statements=4
            )
            self._database.execute("PRAGMA synchronous = NORMAL")
        except (OSError, sqlite3.Error) as error:
            raise JournalError(
                f"cannot record in {path}: {error}; free space or set DATA_DIR elsewhere"
            ) from error
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def record(self, record: Record) -> None:
        """Take an event over, before the core sees it."""
        self._check()
        self._queue.put(record)

    def record_output(self, seq: int, place: int, output: msgspec.Struct) -> None:
        """Take over a decision or an intent: the ``place``-th of what record ``seq`` led to."""
        self._check()
        self._queue.put((seq, place, output))

    async def wait_durable(self) -> None:
        """Return once everything recorded so far is on the disk.

        Raises:
            JournalError: It could not be written.
        """
        self._check()
        barrier = _Barrier()
        self._queue.put_now(barrier)
        await asyncio.wrap_future(barrier.done)

    @property
    def lag_ms(self) -> float:
        """How long the oldest record not yet committed has waited, at most."""
        return self._queue.age_s * 1000

    @property
    def waiting(self) -> int:
        """How many records the writer has not taken yet."""
        return len(self._queue)

    def close(self, status: str = "ended") -> None:
        """Commit what is left, mark the session as ended, close the file."""
        self._queue.put_now(status)
        self._thread.join()

    def _check(self) -> None:
        if self.error is None and len(self._queue) >= QUEUE_LIMIT:
            self.error = f"cannot record in {self.path}: {QUEUE_LIMIT} records wait; the disk is too slow"
        if self.error is not None:
            raise JournalError(self.error)

    def _write(self) -> None:
        barriers: list[_Barrier] = []
        status: str | None = None
        try:
            while True:
                group, barriers, status = self._next_group()
                if group or barriers or status is not None:
                    self._commit(group, flush=bool(barriers) or status is not None)
                self._queue.done()
                for barrier in barriers:
                    if barrier.done.set_running_or_notify_cancel():
                        barrier.done.set_result(None)
                barriers = []
                if status is not None:
                    self._end(status)
                    return
        except Exception as error:  # noqa: BLE001 (a recorder that is gone must say so, whatever it was)
            self.error = f"cannot record in {self.path}: {error}; free space or set DATA_DIR elsewhere"
            for barrier in barriers:
                _refuse(barrier, self.error)
            self._refuse_the_rest(is_ending=status is not None)
            self._database.close()

    def _next_group(self) -> tuple[list[Any], list[_Barrier], str | None]:
        """Take what waits, at once if somebody waits for it; what came with the word to end is taken too."""
        group: list[Any] = []
        barriers: list[_Barrier] = []
        status: str | None = None
        for item in self._queue.take(GROUP_LIMIT, GROUP_S):
            if isinstance(item, str):
                status = item
            elif isinstance(item, _Barrier):
                barriers.append(item)
            else:
                group.append(item)
        return group, barriers, status

    def _commit(self, group: list[Any], *, flush: bool) -> None:
        blocks = self._packer.pack(group)
        database = self._database
        if flush is not self._flushing:
            # FULL syncs the log at the commit, NORMAL leaves it to the checkpoint: the difference is what
            # "durable" costs.
            database.execute(f"PRAGMA synchronous = {'FULL' if flush else 'NORMAL'}")
            self._flushing = flush
        # Outside a transaction of ours each statement is one.
        for block in blocks:
            database.execute(_INSERT, block)
        if flush and not blocks:
            # An empty transaction syncs nothing; earlier groups were committed without a sync.
            self._keep_meta({"flushed_ns": str(time.time_ns())})
        self.written_seq = self._packer.last_seq
        if flush:
            self.durable_seq = self.written_seq

    def _end(self, status: str) -> None:
        """Note how the session ended and where its chain does: an end that is cut off shows."""
        ended = {"status": status, "ended_ms": str(time.time_ns() // 1_000_000)}
        self._keep_meta({**ended, "last_seq": str(self._packer.last_seq), "chain": self._packer.chain.hex()})
        with contextlib.suppress(sqlite3.OperationalError):  # somebody reads it just now: it stays as it is
            # One file, to be copied by itself and read where nothing may be written.
            self._database.execute("PRAGMA busy_timeout = 0").fetchall()
            self._database.execute("PRAGMA journal_mode = DELETE").fetchall()
        self._database.close()

    def _keep_meta(self, told: dict[str, str]) -> None:
        _put_meta(self._database, told)

    def _refuse_the_rest(self, *, is_ending: bool) -> None:
        """Answer whoever still waits until ``close`` asks for the end; there is no writer any more.

        Args:
            is_ending: It asked already, and will not ask again: what waits by now is the rest.
        """
        while True:
            taken = self._queue.take(GROUP_LIMIT, 0.0 if is_ending else GROUP_S)
            for item in taken:
                if isinstance(item, _Barrier):
                    _refuse(item, self.error or "the recorder stopped")
                is_ending = is_ending or isinstance(item, str)
            self._queue.done()
            if is_ending and not taken:
                return


def _begin(path: Path, meta: dict[str, str]) -> None:
    """Make a session's file elsewhere and put it in its place: who finds it finds what it says of itself.

    An engine that died between the two left a file without a word, which the next start could not judge.
    """
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as database:
        draft.chmod(0o600)  # what it holds of orders is its owner's; the log beside it follows
        database.executescript(_SCHEMA)
        _put_meta(database, meta)
    draft.replace(path)


def _put_meta(database: sqlite3.Connection, told: dict[str, str]) -> None:
    rows = ", ".join(["(?, ?)"] * len(told))
    values = [text for row in told.items() for text in row]
    database.execute(f"INSERT OR REPLACE INTO meta VALUES {rows}", values)  # noqa: S608 (marks only)


def _refuse(barrier: _Barrier, why: str) -> None:
    """Tell whoever waits, if he still does."""
    if barrier.done.set_running_or_notify_cancel():
        barrier.done.set_exception(JournalError(why))


def encode_output(output: msgspec.Struct) -> bytes:
    """Encode a decision or an intent as the journal does, to compare them byte by byte."""
    return _encoder.encode(output)
