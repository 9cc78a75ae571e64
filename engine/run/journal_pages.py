"""Look something up in a session's journal beside its writer: a bounded part at a time, never a change.

The file is in WAL mode, so a reader never holds the writer up. Every function opens it read-only, waits at
most ``PATIENCE_S`` and says why where there is nothing to read. A file whose end is torn off ends with the
last block before the tear. What it does not know: formats for people.
"""

import itertools
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from engine import journal_read
from engine.core.decide import Decision
from engine.core.trading import OrderIntent
from engine.decoded import UNDECODABLE
from engine.errors import JournalError
from engine.events import Record
from engine.journal_blocks import LATE_MOST, Block, Chain, Output, block_of, outputs_in
from engine.journal_read import UNREAD, holding, is_torn, read_blocks, read_kinds, read_meta, records_in
from engine.units import Milliseconds

PATIENCE_S: Final = 0.2
"""As for the ledger (``engine.run.ledger.read``): a writer commits within milliseconds."""

EVENTS_SCANNED: Final = 5_000_000
"""Most events one look goes back over: 0.1 s where a tenth of the blocks hold what is asked for."""

DECISIONS_SCANNED: Final = 20_000
"""Most decisions that one look decodes and compares: about 40 ms (measured)."""

INTENTS_MOST: Final = 500
"""Most orders that one look returns: at four an hour, five days."""

CHUNK: Final = 500
"""Events given at once by ``records``, at least: about 1 ms of unpacking."""

TORN_KNOWN: Final = 64
"""Torn files whose end is remembered: it is found by reading all that is left."""

log = logging.getLogger("engine.journal_pages")

_decision: msgspec.msgpack.Decoder[Decision] = msgspec.msgpack.Decoder(Decision)
_intent: msgspec.msgpack.Decoder[OrderIntent] = msgspec.msgpack.Decoder(OrderIntent)


class Placed(NamedTuple):
    """A decision with its place among what its record led to."""

    seq: int
    place: int
    decision: Decision


class Stretch(NamedTuple):
    """Events of some kinds. ``first_seq`` is the earliest number looked at: 1 where nothing was left out."""

    records: tuple[Record, ...]
    first_seq: int


class Span(NamedTuple):
    """From when to when a session's events arrived, the last one's number, and how many decisions and intents
    were recorded; 0 before the first."""

    first_ms: Milliseconds
    last_ms: Milliseconds
    last_seq: int
    outputs: int


class _End(NamedTuple):
    """The newest block that can be read: its number, its columns that tell of the end; 0 before the first."""

    number: int = 0
    last_ms: Milliseconds = 0
    last_seq: int = 0
    outputs: int = 0
    is_torn: bool = False


def last_seq(path: Path) -> int:
    """Return the number of the newest event; 0 before the first.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    with opened(path) as database:
        return _end(database, path).last_seq


def span(path: Path) -> Span:
    """Return from when to when a session goes, as far as it is written.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    with opened(path) as database:
        end = _end(database, path)
        if not end.number:
            return Span(0, 0, 0, 0)
        (first_ms,) = database.execute("SELECT first_ms FROM block ORDER BY number LIMIT 1").fetchone()
        return Span(_whole(first_ms), end.last_ms, end.last_seq, end.outputs)


def chain_at(path: Path, seq: int) -> tuple[int, bytes] | None:
    """Return the last record of the last block that ends at or before a record, and the chain there.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    with opened(path) as database:
        for block in _blocks_backwards(database, path, "last_seq <= ?", (seq,)):
            return block.last_seq, block.chain
    return None


def seq_at(path: Path, at_ms: Milliseconds) -> int:
    """Return the number of the last event that arrived at or before a time; 0 where none did.

    Found by halving: blocks are in the order of their numbers, not of times. A clock that was set back makes
    it one of the events near that time.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    with opened(path) as database:
        low = _halved(database, "first_ms", at_ms, _end(database, path).number)
        row = database.execute("SELECT * FROM block WHERE number = ?", (low,)).fetchone()
        if row is None:
            return 0
        block = block_of(row)
    early = [record.seq for record in records_in(path, block) if record.event.ts_recv_ms <= at_ms]
    return early[-1] if early else block.last_seq


def events_of(path: Path, kinds: tuple[str, ...], after_seq: int = 0) -> Stretch:
    """Return the newest events of some kinds, oldest first.

    Args:
        path: The session's file.
        kinds: Tags of events, such as ``order_rejected``.
        after_seq: Leave out everything up to this number.
    Returns:
        Of the last ``EVENTS_SCANNED`` events those of these kinds.
    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    first = max(after_seq + 1, last_seq(path) - EVENTS_SCANNED + 1, 1)
    return Stretch(tuple(read_kinds(path, kinds, first - 1)), first)


def records(path: Path, after_seq: int, to_seq: int) -> Iterator[Record]:
    """Yield the events after a number up to another, in order, some ``CHUNK`` at a time.

    Between two chunks nothing is held open: a long read would keep the writer's log from being cut.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    done = after_seq
    while done < to_seq:
        with opened(path) as database:
            blocks = _some_blocks(database, path, done, to_seq)
        if not blocks:
            return
        for block in blocks:
            yield from (one for one in records_in(path, block) if after_seq < one.seq <= to_seq)
        done = blocks[-1].last_seq


def records_to(path: Path, seq: int) -> Iterator[Record]:
    """Yield the events from the first to a number, as ``records`` does.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    return records(path, 0, seq)


def decisions_before(path: Path, before_seq: int | None, after_seq: int = 0) -> list[Placed]:
    """Return about ``DECISIONS_SCANNED`` decisions at most, newest first; a record's stay together.

    Args:
        path: The session's file.
        before_seq: Only those of earlier records; None from the newest on.
        after_seq: Only those of later records.
    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    top = _top(before_seq)
    found: list[Output] = []
    with opened(path) as database:
        for block in _blocks_backwards(database, path, "out_from < ? AND out_to > ?", (top, after_seq)):
            if len(found) >= DECISIONS_SCANNED and block.out_to < found[-1].seq:
                break
            found += [
                output
                for output in outputs_in(block)
                if output.kind == "Decision" and after_seq < output.seq < top
            ]
            found.sort(reverse=True)
        if len(found) > DECISIONS_SCANNED:
            last = found[DECISIONS_SCANNED - 1].seq
            found = list(takewhile(lambda output: output.seq >= last, found))
        return [Placed(one.seq, one.place, _decision.decode(one.body)) for one in found]


def decisions_of_orders(path: Path, before_seq: int | None, after_seq: int = 0) -> list[Placed]:
    """Return the decisions that an order followed, newest first; bounds as for ``decisions_before``.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    found = []
    with opened(path) as database:
        for seq, place, intent in _intents(database, path, before_seq, after_seq):
            same = (
                Placed(seq, output.place, _decision.decode(output.body))
                for output in sorted(_outputs_at(database, path, seq), reverse=True)
                if output.place < place and output.kind == "Decision"
            )
            placed = next(
                (one for one in same if one.decision.slug == intent.slug and one.decision.action), None
            )
            if placed is not None:
                found.append(placed)
    return found


def intents(path: Path) -> list[OrderIntent]:
    """Return the newest orders that the core wanted, newest first, at most ``INTENTS_MOST``.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    with opened(path) as database:
        return [intent for _, _, intent in _intents(database, path, None, 0)]


def decision_at(path: Path, seq: int, place: int) -> Decision | None:
    """Return one decision; None where that place holds none.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    with opened(path) as database:
        for output in _outputs_at(database, path, seq):
            if output.place == place and output.kind == "Decision":
                return _decision.decode(output.body)
    return None


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a session as a page may: for a moment, and without a long wait.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    if not path.is_file():
        raise JournalError(f"no journal of this session: {path.name} is not there")
    try:
        with journal_read.opened(path, PATIENCE_S) as database:
            yield database
    except UNDECODABLE as error:
        raise JournalError(f"{path.name} cannot be read now: {error}") from error
    except JournalError as error:
        if path.name in str(error):
            raise
        raise JournalError(f"{path.name}: {error}") from error


def _some_blocks(database: sqlite3.Connection, path: Path, after_seq: int, to_seq: int) -> list[Block]:
    """Return the next blocks with events, until they have ``CHUNK`` of them."""
    end = _end(database, path)
    first = _number_of(database, after_seq + 1, end)
    last = _number_of(database, to_seq, end) if end.is_torn else 2**62
    where = "last_seq > ? AND first_seq <= ? AND events > 0"
    blocks: list[Block] = []
    count = 0
    for row in _rows(database, end, (first, last), (where, after_seq, to_seq)):
        blocks.append(block_of(row))
        count += blocks[-1].events
        if count >= CHUNK:
            break
    return blocks


def _number_of(database: sqlite3.Connection, seq: int, end: _End) -> int:
    """Return the first block that may hold a record; of a torn file the last one."""
    if end.is_torn:  # parts of the index are gone too
        return _halved(database, "first_seq", seq, end.number)
    row = database.execute(
        "SELECT number FROM block WHERE first_seq <= ? ORDER BY first_seq DESC, number LIMIT 1", (seq,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def _halved(database: sqlite3.Connection, column: str, most: int, to_number: int) -> int:
    """Return the last block whose column is at most a value, where it grows with the blocks' numbers."""
    low, high = 0, to_number
    while low < high:
        middle = (low + high + 1) // 2
        row = database.execute(f"SELECT {column} FROM block WHERE number = ?", (middle,)).fetchone()  # noqa: S608 (our own columns)
        if row is None:
            raise JournalError(f"block {middle:,} is missing")
        low, high = (middle, high) if _whole(row[0]) <= most else (low, middle - 1)
    return low


def _rows(
    database: sqlite3.Connection, end: _End, numbers: tuple[int, int], wanted: tuple[str, int, int]
) -> Iterable[Any]:
    """Return blocks between two numbers, in order; ``wanted`` is a condition and what its marks stand for."""
    where, *values = wanted
    if not end.is_torn:
        return database.execute(
            f"SELECT * FROM block WHERE number BETWEEN ? AND ? AND {where} ORDER BY number",  # noqa: S608 (our own conditions)
            (*numbers, *values),
        )
    # One by one: SQLite looks a row ahead, and past the tear there is none.
    one = f"SELECT * FROM block WHERE number = ? AND {where}"  # noqa: S608 (same)
    every = range(numbers[0], min(numbers[1], end.number) + 1)
    return itertools.chain.from_iterable(database.execute(one, (number, *values)) for number in every)


def _blocks_backwards(
    database: sqlite3.Connection, path: Path, where: str, values: tuple[int | str, ...]
) -> Iterator[Block]:
    end, source = _end(database, path), "block"
    if end.is_torn:  # parts of the indexes are gone too
        source, where, values = "block NOT INDEXED", f"({where}) AND number <= ?", (*values, end.number)
    for row in database.execute(f"SELECT * FROM {source} WHERE {where} ORDER BY number DESC", values):  # noqa: S608 (our own conditions)
        yield block_of(row)


def _outputs_at(database: sqlite3.Connection, path: Path, seq: int) -> list[Output]:
    """Return what a record led to; it may lie a few blocks after the record."""
    end = _end(database, path)
    first = _number_of(database, seq, end)
    wanted = ("out_from <= ? AND out_to >= ?", seq, seq)
    rows = _rows(database, end, (first, first + LATE_MOST), wanted)
    return [output for row in rows for output in outputs_in(block_of(row)) if output.seq == seq]


def _intents(
    database: sqlite3.Connection, path: Path, before_seq: int | None, after_seq: int
) -> list[tuple[int, int, OrderIntent]]:
    where, values = holding(("OrderIntent",))
    found: list[Output] = []
    bounds = (_top(before_seq), max(after_seq, _end(database, path).last_seq - EVENTS_SCANNED))
    where = f"{where} AND out_from < ? AND out_to > ?"
    for block in _blocks_backwards(database, path, where, (*values, *bounds)):
        found += [
            output
            for output in outputs_in(block)
            if output.kind == "OrderIntent" and bounds[1] < output.seq < bounds[0]
        ]
        if len(found) >= INTENTS_MOST:
            break
    found.sort(reverse=True)
    return [(one.seq, one.place, _intent.decode(one.body)) for one in found[:INTENTS_MOST]]


def _end(database: sqlite3.Connection, path: Path) -> _End:
    """Return where a session ends: with its last row, or before a tear with the last that can be read."""
    if not is_torn(database):
        try:
            row = database.execute(
                "SELECT number, last_ms, last_seq, outputs_so_far FROM block ORDER BY number DESC LIMIT 1"
            ).fetchone()
        except sqlite3.OperationalError:
            raise  # a writer is in the way; nothing is said of the file
        except UNREAD:
            row = (None,)
        if row is None:
            return _End()
        if None not in row:  # pages past a tear may read as noughts
            number, last_ms, last, outputs = (_whole(value) for value in row)
            return _End(number, last_ms, last, outputs)
    told = path.stat()
    return _end_before_tear(path, told.st_size, told.st_mtime_ns)


@lru_cache(maxsize=TORN_KNOWN)
def _end_before_tear(path: Path, size: int, changed_ns: int) -> _End:
    """Walk to the last block that is whole. ``size`` and ``changed_ns`` tell states of a file apart.

    Raises:
        JournalError: Not even the first is whole, or the file cannot be read now.
    """
    del size, changed_ns
    end, chain = _End(is_torn=True), Chain(read_meta(path))
    try:
        for block in read_blocks(path):
            # Pages that are gone may read as noughts: a row is there, and what it holds is not.
            if chain.fault_in(block):
                break
            end = _End(block.number, block.last_ms, block.last_seq, block.outputs_so_far, is_torn=True)
    except JournalError as error:
        if isinstance(error.__cause__, sqlite3.OperationalError):
            raise
    if not end.number:
        raise JournalError("its end is torn off, and no block before that is whole")
    log.warning("journal is torn", extra={"session": path.stem, "readable_to": end.last_seq})
    return end


def _whole(value: object) -> int:
    """Return what a column holds, if it is a whole number as it was written."""
    if type(value) is not int:
        raise JournalError("the journal is damaged: a column is of another kind")
    return value


def _top(before_seq: int | None) -> int:
    return 2**62 if before_seq is None else before_seq
