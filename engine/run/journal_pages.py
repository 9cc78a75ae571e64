"""Look something up in a session's journal beside its writer: a bounded part at a time, never a change.

The file is in WAL mode, so a reader never holds the writer up. Every function opens it read-only, waits at
most ``PATIENCE_S`` and says why where there is nothing to read. What it does not know: formats for people.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from engine import journal_read
from engine.core.decide import Decision
from engine.core.trading import OrderIntent
from engine.decoded import UNDECODABLE
from engine.errors import JournalError
from engine.events import Record
from engine.journal_blocks import LATE_MOST, Block, Output, block_of, outputs_in
from engine.journal_read import holding, read_kinds, records_in
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


def last_seq(path: Path) -> int:
    """Return the number of the newest event; 0 before the first.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    with opened(path) as database:
        return _last(database)


def span(path: Path) -> Span:
    """Return from when to when a session goes, as far as it is written.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    with opened(path) as database:
        first = database.execute("SELECT first_ms FROM block ORDER BY number LIMIT 1").fetchone()
        last = database.execute(
            "SELECT last_ms, last_seq, outputs_so_far FROM block ORDER BY number DESC LIMIT 1"
        ).fetchone()
        return Span(0, 0, 0, 0) if first is None else Span(*(_whole(value) for value in (*first, *last)))


def seq_at(path: Path, at_ms: Milliseconds) -> int:
    """Return the number of the last event that arrived at or before a time; 0 where none did.

    Found by halving: blocks are in the order of their numbers, not of times. A clock that was set back makes
    it one of the events near that time.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    with opened(path) as database:
        low, high = 0, int(database.execute("SELECT coalesce(max(number), 0) FROM block").fetchone()[0])
        while low < high:
            middle = (low + high + 1) // 2
            row = database.execute("SELECT first_ms FROM block WHERE number = ?", (middle,)).fetchone()
            if row is None:
                raise JournalError(f"block {middle:,} is missing")
            low, high = (middle, high) if _whole(row[0]) <= at_ms else (low, middle - 1)
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
            blocks = _some_blocks(database, done, to_seq)
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
        for block in _blocks_backwards(database, "out_from < ? AND out_to > ?", (top, after_seq)):
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
        for seq, place, intent in _intents(database, before_seq, after_seq):
            same = (
                Placed(seq, output.place, _decision.decode(output.body))
                for output in sorted(_outputs_at(database, seq), reverse=True)
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
        return [intent for _, _, intent in _intents(database, None, 0)]


def decision_at(path: Path, seq: int, place: int) -> Decision | None:
    """Return one decision; None where that place holds none.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    with opened(path) as database:
        for output in _outputs_at(database, seq):
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


def _some_blocks(database: sqlite3.Connection, after_seq: int, to_seq: int) -> list[Block]:
    """Return the next blocks with events, until they have ``CHUNK`` of them."""
    blocks: list[Block] = []
    count = 0
    for row in database.execute(
        "SELECT * FROM block WHERE number >= ? AND last_seq > ? AND first_seq <= ? AND events > 0 "
        "ORDER BY number",
        (_number_of(database, after_seq + 1), after_seq, to_seq),
    ):
        blocks.append(block_of(row))
        count += blocks[-1].events
        if count >= CHUNK:
            break
    return blocks


def _number_of(database: sqlite3.Connection, seq: int) -> int:
    """Return the first block that may hold a record."""
    row = database.execute(
        "SELECT number FROM block WHERE first_seq <= ? ORDER BY first_seq DESC, number LIMIT 1", (seq,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def _blocks_backwards(
    database: sqlite3.Connection, where: str, values: tuple[int | str, ...]
) -> Iterator[Block]:
    for row in database.execute(f"SELECT * FROM block WHERE {where} ORDER BY number DESC", values):  # noqa: S608 (our own conditions)
        yield block_of(row)


def _outputs_at(database: sqlite3.Connection, seq: int) -> list[Output]:
    """Return what a record led to; it may lie a few blocks after the record."""
    first = _number_of(database, seq)
    rows = database.execute(
        "SELECT * FROM block WHERE number BETWEEN ? AND ? AND out_from <= ? AND out_to >= ?",
        (first, first + LATE_MOST, seq, seq),
    )
    return [output for row in rows for output in outputs_in(block_of(row)) if output.seq == seq]


def _intents(
    database: sqlite3.Connection, before_seq: int | None, after_seq: int
) -> list[tuple[int, int, OrderIntent]]:
    where, values = holding(("OrderIntent",))
    found: list[Output] = []
    bounds = (_top(before_seq), max(after_seq, _last(database) - EVENTS_SCANNED))
    for block in _blocks_backwards(database, f"{where} AND out_from < ? AND out_to > ?", (*values, *bounds)):
        found += [
            output
            for output in outputs_in(block)
            if output.kind == "OrderIntent" and bounds[1] < output.seq < bounds[0]
        ]
        if len(found) >= INTENTS_MOST:
            break
    found.sort(reverse=True)
    return [(one.seq, one.place, _intent.decode(one.body)) for one in found[:INTENTS_MOST]]


def _whole(value: object) -> int:
    """Return what a column holds, if it is a whole number as it was written."""
    if type(value) is not int:
        raise JournalError("the journal is damaged: a column is of another kind")
    return value


def _top(before_seq: int | None) -> int:
    return 2**62 if before_seq is None else before_seq


def _last(database: sqlite3.Connection) -> int:
    row = database.execute("SELECT last_seq FROM block ORDER BY number DESC LIMIT 1").fetchone()
    return 0 if row is None else _whole(row[0])
