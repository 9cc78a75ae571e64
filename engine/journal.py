"""The flight recorder: every event, decision and intent of a session, in one order.

One SQLite file in WAL mode for each session, written by a thread of its own: the engine's loop hands over
immutable records and goes on; a group is committed at most ``GROUP_S`` later. Before an order may leave, its
intent and all before it are durable: ``wait_durable``. What it does not know: what any record means.

A group goes to SQLite in one statement for each table, not row by row: after every statement the writer has
to win Python's lock again, up to 5 ms each beside a busy thread (measured there: 1,650 microseconds a row one
by one, 65 in groups of 200).
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from engine.core.trading import OrderIntent
from engine.errors import JournalError
from engine.events import (
    AccountTradeTold,
    AnyEvent,
    OrderDenied,
    OrderFilled,
    OrderKilled,
    OrderRejected,
    OrderSigned,
    OrderSubmitted,
    Record,
    SessionOpened,
    TradeStatusTold,
)
from engine.handover import Handover
from engine.units import Milliseconds

GROUP_S: Final = 0.05
"""Longest time a record waits for its commit (design: group commit at most 50 ms)."""

GROUP_LIMIT: Final = 2_000
"""Most records of one commit: 8,000 variables of one statement, where SQLite allows 32,766."""

QUEUE_LIMIT: Final = 200_000
"""Records that may wait, 20 s of 10,000 a second: beyond, the recorder has failed and nothing is traded."""

SCHEMA_VERSION: Final = 1

_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE event (seq INTEGER PRIMARY KEY, ts_recv_ms INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT
NULL); CREATE TABLE output (seq INTEGER NOT NULL, place INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT
NULL,
                     PRIMARY KEY (seq, place)) WITHOUT ROWID;
"""

_encoder = msgspec.msgpack.Encoder()
_intent_decoder: msgspec.msgpack.Decoder[OrderIntent] = msgspec.msgpack.Decoder(OrderIntent)
_event_decoder: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)


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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Few statements are kept: groups differ in size, and the largest weigh a megabyte each.
            self._database = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None, cached_statements=4
            )
            self._database.executescript(_SCHEMA)
            rows = {**meta, "schema": str(SCHEMA_VERSION), "status": "running"}
            self._database.executemany("INSERT INTO meta VALUES (?, ?)", rows.items())
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
                    self._database.execute("UPDATE meta SET value = ? WHERE key = 'status'", (status,))
                    self._database.close()
                    return
        except Exception as error:  # noqa: BLE001 (a recorder that is gone must say so, whatever it was)
            self.error = f"cannot record in {self.path}: {error}; free space or set DATA_DIR elsewhere"
            for barrier in barriers:
                _refuse(barrier, self.error)
            self._refuse_the_rest()

    def _next_group(self) -> tuple[list[Any], list[_Barrier], str | None]:
        """Take what waits, at once if somebody waits for it."""
        group: list[Any] = []
        barriers: list[_Barrier] = []
        for item in self._queue.take(GROUP_LIMIT, GROUP_S):
            if isinstance(item, str):
                return group, barriers, item
            if isinstance(item, _Barrier):
                barriers.append(item)
            else:
                group.append(item)
        return group, barriers, None

    def _commit(self, group: list[Any], *, flush: bool) -> None:
        events: list[Any] = []
        outputs: list[Any] = []
        encode = _encoder.encode
        for item in group:
            if type(item) is Record:
                event = item.event
                events += (item.seq, event.ts_recv_ms, event.__struct_config__.tag, encode(event))
                last_seq = item.seq
            else:
                seq, place, output = item
                outputs += (seq, place, type(output).__name__, encode(output))
        database = self._database
        if flush is not self._flushing:
            # FULL syncs the log at the commit, NORMAL leaves it to the checkpoint: the difference is what
            # "durable" costs.
            database.execute(f"PRAGMA synchronous = {'FULL' if flush else 'NORMAL'}")
            self._flushing = flush
        database.execute("BEGIN")
        _insert(database, "event", events)
        _insert(database, "output", outputs)
        if flush and not group:
            # An empty transaction syncs nothing; earlier groups were committed without a sync.
            database.execute("INSERT OR REPLACE INTO meta VALUES ('flushed_ns', ?)", (str(time.time_ns()),))
        database.execute("COMMIT")
        if events:
            self.written_seq = last_seq
        if flush:
            self.durable_seq = self.written_seq

    def _refuse_the_rest(self) -> None:
        """Answer whoever still waits; there is no writer any more."""
        while True:
            for item in self._queue.take(GROUP_LIMIT, GROUP_S):
                if isinstance(item, _Barrier):
                    _refuse(item, self.error or "the recorder stopped")
                if isinstance(item, str):
                    self._database.close()
                    return
            self._queue.done()


def _insert(database: sqlite3.Connection, table: str, values: list[Any]) -> None:
    """Insert rows of four values, given one after another, in one statement."""
    if values:
        rows = ", ".join(["(?, ?, ?, ?)"] * (len(values) // 4))
        database.execute(f"INSERT INTO {table} VALUES {rows}", values)  # noqa: S608 (our own two tables' names)


def _refuse(barrier: _Barrier, why: str) -> None:
    """Tell whoever waits, if he still does."""
    if barrier.done.set_running_or_notify_cancel():
        barrier.done.set_exception(JournalError(why))


def read_events(path: Path) -> Iterator[Record]:
    """Yield every recorded event of a session, in order.

    Raises:
        JournalError: No such session, or not a session file.
    """
    with _opened(path) as database:
        for seq, body in database.execute("SELECT seq, body FROM event ORDER BY seq"):
            yield Record(seq, _event_decoder.decode(body))


def read_outputs(path: Path) -> Iterator[tuple[int, int, str, bytes]]:
    """Yield (seq, place, kind, encoded output) of every decision and intent, in order.

    Raises:
        JournalError: No such session, or not a session file.
    """
    with _opened(path) as database:
        yield from database.execute("SELECT seq, place, kind, body FROM output ORDER BY seq, place")


OrderEnd: TypeAlias = OrderFilled | OrderKilled | OrderDenied | OrderRejected


class RecordedOrder(NamedTuple):
    """What a session recorded of one order.

    ``seq`` and ``at_ms`` are of the record that led to its intent. ``intent`` is None for an order that an
    earlier session sent and this one took over. ``ends`` holds the ends it was told, with their numbers; more
    than one where the venue repeated or corrected itself. An order that is unknown has no end.
    """

    seq: int
    at_ms: Milliseconds
    intent: OrderIntent | None
    signed: OrderSigned | None
    was_submitted: bool
    ends: tuple[tuple[int, OrderEnd], ...]


def read_orders(path: Path) -> dict[str, RecordedOrder]:
    """Return what a session recorded of its orders, by order id, oldest first.

    Raises:
        JournalError: No such session, or not a session file.
    """
    orders: dict[str, RecordedOrder] = {}
    with _opened(path) as database:
        for seq, at_ms, body in database.execute(
            "SELECT o.seq, coalesce(e.ts_recv_ms, 0), o.body FROM output o "
            "LEFT JOIN event e ON e.seq = o.seq WHERE o.kind = 'OrderIntent' ORDER BY o.seq, o.place"
        ):
            intent = _intent_decoder.decode(body)
            orders[intent.order_id] = RecordedOrder(seq, at_ms, intent, None, False, ())
        for seq, body in database.execute(
            "SELECT seq, body FROM event WHERE kind IN ('order_signed', 'order_submitted', 'order_filled', "
            "'order_killed', 'order_denied', 'order_rejected') ORDER BY seq"
        ):
            event = _event_decoder.decode(body)
            if not isinstance(event, OrderSigned | OrderSubmitted | OrderEnd):
                continue
            known = orders.get(event.order_id)
            if known is None:
                known = RecordedOrder(seq, event.ts_recv_ms, None, None, False, ())
            if isinstance(event, OrderSigned):
                orders[event.order_id] = known._replace(signed=event)
            elif isinstance(event, OrderSubmitted):
                orders[event.order_id] = known._replace(was_submitted=True)
            else:
                orders[event.order_id] = known._replace(ends=(*known.ends, (seq, event)))
    return orders


class TradeTold(NamedTuple):
    """A word on a trade of an order of ours, with the record's number."""

    seq: int
    venue_order_id: str
    trade_id: str
    status: str
    at_ms: Milliseconds


def read_trades_told(path: Path) -> list[TradeTold]:
    """Return every word that a session was told of trades, in order.

    Raises:
        JournalError: No such session, or not a session file.
    """
    told: list[TradeTold] = []
    with _opened(path) as database:
        for seq, body in database.execute(
            "SELECT seq, body FROM event WHERE kind IN ('account_trade_told', 'trade_status_told') "
            "ORDER BY seq"
        ):
            event = _event_decoder.decode(body)
            if isinstance(event, AccountTradeTold | TradeStatusTold):
                told.append(
                    TradeTold(seq, event.venue_order_id, event.trade_id, event.status, event.ts_recv_ms)
                )
    return told


def read_opening(path: Path) -> SessionOpened | None:
    """Return how a session opened (its first event); None where it ended before that was recorded.

    Raises:
        JournalError: No such session, or not a session file.
    """
    with _opened(path) as database:
        row = database.execute("SELECT body FROM event WHERE seq = 1 AND kind = 'session_opened'").fetchone()
        event = None if row is None else _event_decoder.decode(row[0])
    return event if isinstance(event, SessionOpened) else None


def read_meta(path: Path) -> dict[str, str]:
    """Return what a session says of itself.

    Raises:
        JournalError: No such session, or not a session file.
    """
    with _opened(path) as database:
        return dict(database.execute("SELECT key, value FROM meta"))


def encode_output(output: msgspec.Struct) -> bytes:
    """Encode a decision or an intent as the journal does, to compare them byte by byte."""
    return _encoder.encode(output)


class _opened:
    """Open a session for reading; errors name the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        if not self._path.is_file():
            raise JournalError(f"no session at {self._path}")
        # As a quoted address: a path may hold # and ?.
        self._database = sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)
        return self._database

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._database.close()
        if isinstance(error, sqlite3.DatabaseError | msgspec.MsgspecError):
            raise JournalError(f"{self._path} is not a session this version can read: {error}") from error
