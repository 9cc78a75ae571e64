"""Which sessions the ledgers still need: their journals may be all that knows of an order.

What it does not know: what a ledger makes of them (``engine.run.ledger.file``).
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from engine.errors import JournalError
from engine.journal import read_meta
from engine.journal_read import session_files
from engine.run.ledger.file import FILE_NAMES
from engine.run.sessions.kept import folder_of

LEDGERS: Final = tuple(name for world, name in FILE_NAMES.items() if world != "practice")
"""Practice has a new ledger each time, and none of its sessions is asked for anything later."""

CRASHED: Final = "it did not end in order, and no later start has taken over what it knew of its orders"
OPEN: Final = "the end of an order of it is not known"
UNSETTLED: Final = "a window it bought in has not settled in the ledger"
UNREAD: Final = "the ledger cannot be read: {error}"


def needed_sessions(data_dir: Path) -> dict[str, str]:
    """Return the sessions that must not be deleted, each with why.

    A ledger that cannot be read keeps every session outside practice.
    """
    others = {
        path.stem: meta for path in session_files(folder_of(data_dir)) if (meta := _outside(path)) is not None
    }
    needed: dict[str, str] = {}
    recovered: set[str] = set()
    for name in LEDGERS:
        if not (data_dir / name).is_file():
            continue
        try:
            found, known = _told(data_dir / name)
        except (sqlite3.Error, OSError) as error:
            return dict.fromkeys(others, UNREAD.format(error=error))
        needed |= found
        recovered |= known
    for session, status in others.items():
        if status != "ended" and session not in recovered:
            needed.setdefault(session, CRASHED)
    return needed


def _outside(path: Path) -> str | None:
    """Return the status of a session outside practice; None for one that no ledger asks."""
    try:
        meta = read_meta(path)
    except JournalError:
        return "unknown"
    if meta.get("venue") == "practice" or meta.get("mode") == "record":
        return None
    return meta.get("status", "unknown")


def _told(ledger: Path) -> tuple[dict[str, str], set[str]]:
    with closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as database:
        unsettled = database.execute(
            "SELECT DISTINCT session FROM fill f WHERE status <> 'FAILED' "
            "AND NOT EXISTS (SELECT 1 FROM settlement s WHERE s.slug = f.slug)"
        ).fetchall()
        unknown = database.execute(
            "SELECT session FROM orders WHERE ended_ms IS NULL UNION SELECT session FROM unresolved"
        ).fetchall()
        recovered = database.execute("SELECT session FROM recovered").fetchall()
    needed = dict.fromkeys((session for (session,) in unsettled), UNSETTLED)
    needed |= dict.fromkeys((session for (session,) in unknown), OPEN)
    return needed, {session for (session,) in recovered}
