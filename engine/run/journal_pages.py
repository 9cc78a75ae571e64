"""Read a session's journal beside its writer: a bounded number of rows at a time, never a change.

The file is in WAL mode, so a reader never holds the writer up. Every function opens it read-only, waits at
most ``PATIENCE_S`` and says why where there is nothing to read. What it does not know: formats for people.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from engine.core.decide import Decision
from engine.core.trading import OrderIntent
from engine.errors import JournalError
from engine.events import AnyEvent, Record
from engine.units import Milliseconds

PATIENCE_S: Final = 0.2
"""As for the ledger (``engine.run.ledger_read``): a writer commits within milliseconds."""

EVENTS_SCANNED: Final = 200_000
"""Most events one look goes back over: about 0.1 s of SQLite's time, during which Python's lock is free."""

DECISIONS_SCANNED: Final = 20_000
"""Most decisions that one look decodes and compares: about 40 ms (measured)."""

INTENTS_MOST: Final = 500
"""Most orders that one look returns: at four an hour, five days."""

CHUNK: Final = 500
"""Events read and decoded at once: about 5 ms."""

_event: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)
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


def last_seq(path: Path) -> int:
    """Return the number of the newest event; 0 before the first.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    with opened(path) as database:
        return _last(database)


def seq_at(path: Path, at_ms: Milliseconds) -> int:
    """Return the number of the last event that arrived at or before a time; 0 where none did.

    Found by halving: numbers are the file's key, times are not. A clock that was set back makes it one of the
    events near that time.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    with opened(path) as database:
        low, high = 0, _last(database)
        while low < high:
            middle = (low + high + 1) // 2
            row = database.execute(
                "SELECT seq, ts_recv_ms FROM event WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (middle,)
            ).fetchone()
            if row is None or row[1] <= at_ms:
                low = middle
            else:
                high = min(middle, row[0]) - 1
        return low


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
    marks = ", ".join("?" * len(kinds))
    with opened(path) as database:
        first = max(after_seq + 1, _last(database) - EVENTS_SCANNED + 1, 1)
        rows = database.execute(
            f"SELECT seq, body FROM event WHERE seq >= ? AND kind IN ({marks}) ORDER BY seq",  # noqa: S608 (marks only)
            (first, *kinds),
        )
        records = tuple(Record(seq, _event.decode(body)) for seq, body in rows)
    return Stretch(records, first)


def records_to(path: Path, seq: int) -> Iterator[Record]:
    """Yield the events from the first to a number, ``CHUNK`` at a time.

    Between two chunks nothing is held open: a long read would keep the writer's log from being cut.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    done = 0
    while done < seq:
        with opened(path) as database:
            rows = database.execute(
                "SELECT seq, body FROM event WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                (done, seq, CHUNK),
            ).fetchall()
            records = [Record(number, _event.decode(body)) for number, body in rows]
        if not records:
            return
        yield from records
        done = records[-1].seq


def decisions_before(path: Path, before_seq: int | None, after_seq: int = 0) -> list[Placed]:
    """Return at most ``DECISIONS_SCANNED`` decisions, newest first.

    Args:
        path: The session's file.
        before_seq: Only those of earlier records; None from the newest on.
        after_seq: Only those of later records.
    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    top = before_seq if before_seq is not None else 2**62
    with opened(path) as database:
        rows = database.execute(
            "SELECT seq, place, body FROM output WHERE seq < ? AND seq > ? AND kind = 'Decision' "
            "ORDER BY seq DESC, place DESC LIMIT ?",
            (top, after_seq, DECISIONS_SCANNED),
        )
        return [Placed(seq, place, _decision.decode(body)) for seq, place, body in rows]


def decisions_of_orders(path: Path, before_seq: int | None, after_seq: int = 0) -> list[Placed]:
    """Return the decisions that an order followed, newest first; bounds as for ``decisions_before``.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    found = []
    with opened(path) as database:
        for seq, place, intent in _intents(database, before_seq, after_seq):
            rows = database.execute(
                "SELECT place, body FROM output WHERE seq = ? AND place < ? AND kind = 'Decision' "
                "ORDER BY place DESC",
                (seq, place),
            )
            same = ((at, _decision.decode(body)) for at, body in rows)
            placed = next(
                (Placed(seq, at, one) for at, one in same if one.slug == intent.slug and one.action), None
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
        row = database.execute(
            "SELECT body FROM output WHERE seq = ? AND place = ? AND kind = 'Decision'", (seq, place)
        ).fetchone()
        return None if row is None else _decision.decode(row[0])


def _intents(
    database: sqlite3.Connection, before_seq: int | None, after_seq: int
) -> list[tuple[int, int, OrderIntent]]:
    top = before_seq if before_seq is not None else 2**62
    rows = database.execute(
        "SELECT seq, place, body FROM output WHERE seq < ? AND seq > ? AND kind = 'OrderIntent' "
        "ORDER BY seq DESC, place DESC LIMIT ?",
        (top, max(after_seq, _last(database) - EVENTS_SCANNED * 5), INTENTS_MOST),
    )
    return [(seq, place, _intent.decode(body)) for seq, place, body in rows]


def _last(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0])


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a session read-only; whatever goes wrong is one sentence.

    Raises:
        JournalError: No such session, or it cannot be read now.
    """
    try:
        if not path.is_file():
            raise JournalError(f"no journal of this session: {path.name} is not there")
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE_S)
    except (sqlite3.Error, OSError, ValueError) as error:
        raise JournalError(f"{path.name} cannot be read now: {error}") from error
    try:
        yield database
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        raise JournalError(f"{path.name} cannot be read now: {error}") from error
    finally:
        database.close()
