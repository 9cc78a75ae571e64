"""Read a session's journal beside its writer: never a change, and nothing held open between two chunks.

A long read would keep the writer's log from being cut, so blocks are read ``CHUNK_BLOCKS`` at a time. What is
intact of a damaged file is given before the damage is told. What it does not know: formats for people.
"""

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from engine.core.trading import OrderIntent
from engine.decoded import UNDECODABLE
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
from engine.journal_blocks import FREQUENT, LATE_MOST, Block, Output, block_of, events_in, outputs_in
from engine.units import Milliseconds

SCHEMA_VERSION: Final = 2
UNREAD: Final = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises of a damaged file: where the names of columns are no UTF-8, Python's own error."""
FIRST_READER: Final = "0.1.0"
"""The version whose sessions do not say by which they were written."""

PATIENCE_S: Final = 5.0
"""A writer commits within milliseconds; only a checkpoint on a slow disk may take longer."""

CHUNK_BLOCKS: Final = 64
"""Blocks of one look: at most 128,000 records, at 20 blocks a second three seconds' worth."""

ARRIVAL: Final = (
    "SELECT number FROM block WHERE first_seq <= ? AND events > 0 ORDER BY first_seq DESC LIMIT 1"
)
"""Which block holds a record, if any does: found by the index on ``first_seq``."""

_intent: msgspec.msgpack.Decoder[OrderIntent] = msgspec.msgpack.Decoder(OrderIntent)

OrderEnd: TypeAlias = OrderFilled | OrderKilled | OrderDenied | OrderRejected


@contextmanager
def opened(path: Path, patience_s: float = PATIENCE_S) -> Iterator[sqlite3.Connection]:
    """Open a session read-only; whatever goes wrong is one sentence that names the file.

    Args:
        path: The session's file.
        patience_s: How long a writer is waited for.
    Raises:
        JournalError: No such session, of another format, or it cannot be read now.
    """
    try:
        database = _connected(path, patience_s)
    except (sqlite3.Error, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    try:
        _check_format(path, _meta(database))
        yield database
    except UNREAD as error:
        raise _unreadable(path, error) from error
    finally:
        database.close()


def session_files(folder: Path) -> list[Path]:
    """Return the journals in a folder, oldest first: their names begin with the time they began at.

    What lies beside a session is named after it with a further dot, such as its raw frames.
    """
    return sorted(path for path in folder.glob("*.sqlite") if "." not in path.stem)


def journal_parts(path: Path) -> list[Path]:
    """Return the files that a journal itself may consist of, whether they are there or not."""
    return [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]


def read_meta(path: Path) -> dict[str, str]:
    """Return what a session says of itself, whatever its format.

    Raises:
        JournalError: No such session, or not a session file.
    """
    try:
        database = _connected(path, PATIENCE_S)
        try:
            return _meta(database)
        finally:
            database.close()
    except (sqlite3.Error, OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def read_blocks(path: Path, where: str = "", values: tuple[Any, ...] = ()) -> Iterator[Block]:
    """Yield the blocks of a session that are there now, in order; those that come meanwhile are left out.

    Args:
        path: The session's file.
        where: A condition on the columns of ``Block`` in SQL, such as ``last_seq >= ?``.
        values: What its question marks stand for.
    Raises:
        JournalError: No such session, or it cannot be read further; what is before the damage was yielded.
    """
    done, end = 0, None
    condition = f"AND ({where})" if where else ""
    while end is None or done < end:
        rows: list[Any] = []
        damage: Exception | None = None
        with opened(path) as database:
            try:
                if end is None and not is_torn(database):
                    (end,) = database.execute("SELECT coalesce(max(number), 0) FROM block").fetchone()
            except UNREAD:
                pass
            if end is None:
                end = 2**62  # the end is what is torn off
            try:
                for row in database.execute(
                    f"SELECT * FROM block WHERE number > ? AND number <= ? {condition} "  # noqa: S608 (our callers')
                    "ORDER BY number LIMIT ?",
                    (done, end, *values, CHUNK_BLOCKS),
                ):
                    # Pages past the end of a torn file may read as noughts.
                    if None in row or row[0] <= (rows[-1][0] if rows else done):
                        raise sqlite3.DatabaseError("its end is torn off")
                    rows.append(row)
            except UNREAD as error:
                damage = error
        for row in rows:
            yield _block_of(path, row)
        if damage is not None:
            raise _unreadable(path, damage) from damage
        if len(rows) < CHUNK_BLOCKS:
            return
        done = rows[-1][0]


def records_in(path: Path, block: Block) -> list[Record]:
    """Return a block's records.

    Raises:
        JournalError: The block is damaged; it names the file and the records.
    """
    try:
        return [Record(seq, event) for seq, event in enumerate(events_in(block), block.first_seq)]
    except JournalError as error:
        raise JournalError(f"{path.name}: {error}") from error


def read_events(path: Path) -> Iterator[Record]:
    """Yield every recorded event of a session, in order.

    Raises:
        JournalError: No such session, or not a session file.
    """
    for block in read_blocks(path, "events > 0"):
        yield from records_in(path, block)


def read_outputs(path: Path) -> Iterator[tuple[int, int, str, bytes]]:
    """Yield (seq, place, kind, encoded output) of every decision and intent, in order.

    Raises:
        JournalError: No such session, or not a session file.
    """
    held: list[Output] = []
    passed: deque[tuple[int, int]] = deque()
    final_seq = 0
    for block in read_blocks(path, "outputs > 0"):
        passed.append((block.number, block.last_seq))
        while passed[0][0] <= block.number - LATE_MOST:
            final_seq = passed.popleft()[1]
        while held and held[0].seq <= final_seq:
            yield heappop(held)
        for output in _outputs_in(path, block):
            heappush(held, output)
    yield from sorted(held)


def read_kinds(path: Path, kinds: tuple[str, ...], after_seq: int = 0) -> Iterator[Record]:
    """Yield the events of some kinds with higher numbers, in order, unpacking only the blocks that hold some.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    where, values = holding(kinds)
    wanted = frozenset(kinds)
    for block in read_blocks(path, f"last_seq > ? AND ({where})", (after_seq, *values)):
        for record in records_in(path, block):
            if record.seq > after_seq and tag_of(record.event) in wanted:
                yield record


def holding(kinds: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return a condition for blocks that may hold one of these kinds, and its values."""
    if not FREQUENT.isdisjoint(kinds):
        return "events > 0", ()  # those are in nearly every block
    some = " OR ".join(["kinds LIKE ?"] * len(kinds))
    # kinds <> '' is what the index is for.
    return f"kinds <> '' AND ({some})", tuple(f"% {kind} %" for kind in kinds)


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
    for output in sorted(
        output
        for block in read_blocks(path, *holding(("OrderIntent",)))
        for output in _outputs_in(path, block)
        if output.kind == "OrderIntent"
    ):
        try:
            intent = _intent.decode(output.body)
        except UNDECODABLE as error:
            raise JournalError(f"{path.name}: the order at record {output.seq:,} cannot be read") from error
        at_ms = _arrival_of(path, output.seq)
        orders[intent.order_id] = RecordedOrder(output.seq, at_ms, intent, None, False, ())
    kinds = tuple(f"order_{end}" for end in ("signed", "submitted", "filled", "killed", "denied", "rejected"))
    for seq, event in ((record.seq, record.event) for record in read_kinds(path, kinds)):
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
    return [
        TradeTold(record.seq, event.venue_order_id, event.trade_id, event.status, event.ts_recv_ms)
        for record in read_kinds(path, ("account_trade_told", "trade_status_told"))
        if isinstance(event := record.event, AccountTradeTold | TradeStatusTold)
    ]


def read_opening(path: Path) -> SessionOpened | None:
    """Return how a session opened (its first event); None where it ended before that was recorded.

    Raises:
        JournalError: No such session, or not a session file.
    """
    for block in read_blocks(path, "first_seq = 1 AND events > 0"):
        event = records_in(path, block)[0].event
        return event if isinstance(event, SessionOpened) else None
    return None


def tag_of(event: AnyEvent) -> str:
    """Return an event's kind."""
    return str(event.__struct_config__.tag)


def _arrival_of(path: Path, seq: int) -> Milliseconds:
    """Return when a record arrived; 0 where it is not there (its commit was lost, not its output's)."""
    with opened(path) as database:
        number = database.execute(ARRIVAL, (seq,)).fetchone()
    for block in () if number is None else read_blocks(path, "number = ?", number):
        if seq <= block.last_seq:
            return records_in(path, block)[seq - block.first_seq].event.ts_recv_ms
    return 0


def _connected(path: Path, patience_s: float) -> sqlite3.Connection:
    if not path.is_file():
        raise JournalError(f"no session at {path}")
    # As a quoted address: a path may hold # and ?.
    address = f"{path.absolute().as_uri()}?mode=ro"
    database = sqlite3.connect(address, uri=True, timeout=patience_s)
    try:
        database.execute("SELECT 1 FROM meta").fetchone()
        (page_bytes,) = database.execute("PRAGMA page_size").fetchone()
        is_cut = path.stat().st_size % page_bytes != 0  # half a page counts as one, with noughts behind it
    except sqlite3.DatabaseError as error:
        if "malformed" not in str(error):
            database.close()
            raise
        is_cut = True
    if is_cut:
        # A file whose end is torn off is refused as a whole; this makes SQLite give what is there.
        database.execute("PRAGMA writable_schema = ON")
    return database


def is_torn(database: sqlite3.Connection) -> bool:
    """Say whether the end of an opened session's file is torn off: it is shorter than it says."""
    (is_made_to_give,) = database.execute("PRAGMA writable_schema").fetchone()
    return bool(is_made_to_give)


def _outputs_in(path: Path, block: Block) -> list[Output]:
    try:
        return outputs_in(block)
    except JournalError as error:
        raise JournalError(f"{path.name}: {error}") from error


def _block_of(path: Path, row: Any) -> Block:
    try:
        return block_of(row)
    except JournalError as error:
        raise JournalError(f"{path.name}: {error}") from error


def _meta(database: sqlite3.Connection) -> dict[str, str]:
    return {str(key): str(value) for key, value in database.execute("SELECT key, value FROM meta")}


def _check_format(path: Path, meta: dict[str, str]) -> None:
    told = meta.get("schema", "1")
    if told != str(SCHEMA_VERSION):
        version = meta.get("version", FIRST_READER)
        raise JournalError(f"{path.name} was recorded in format {told}; version {version} reads it")


def _unreadable(path: Path, error: Exception) -> JournalError:
    if isinstance(error, JournalError):
        return error
    if isinstance(error, sqlite3.OperationalError) and "no such table" not in str(error):
        return JournalError(f"{path.name} cannot be read now: {error}")
    return JournalError(f"{path.name} is not a session this version can read: {error}")
