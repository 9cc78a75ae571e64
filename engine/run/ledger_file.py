"""The ledger's file: what limits and breakers have to know of earlier sessions, in one SQLite file.

Every change is one transaction with the session and the journal's number that led to it, synced before the
engine goes on. Start-up and recovery after a crash are the same path: read the file, add what the journals of
sessions that did not end tell beyond it, go on. Practice keeps none: each practice venue is a new world.
What it does not know: what limits follow from it (``engine.core.risk``).
"""

import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from engine.core.ledger import Change, cost_of
from engine.core.state import OrderIntent
from engine.errors import JournalError
from engine.events import LedgerRestored, OrderFilled, PastFill, PastSettlement
from engine.journal import read_meta, read_orders
from engine.kill import CLEAR_PHRASE
from engine.run.lock import FolderLock
from engine.trail import Trail
from engine.units import Milliseconds

REMEMBERED_MS: Final = 31 * 86_400_000
"""Fills and settlements older than this are kept in the file and not told to the core any more."""

_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS fill (
  session TEXT NOT NULL, order_id TEXT NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL,
  body BLOB NOT NULL, PRIMARY KEY (session, order_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settlement (
  id INTEGER PRIMARY KEY, session TEXT NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL,
  body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS breaker (
  name TEXT PRIMARY KEY, why TEXT NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recovered (session TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unresolved (
  session TEXT, order_id TEXT, slug TEXT, PRIMARY KEY (session, order_id)) WITHOUT ROWID;
"""

log = logging.getLogger("engine.ledger")

_encode = msgspec.msgpack.Encoder().encode
_fills: msgspec.msgpack.Decoder[PastFill] = msgspec.msgpack.Decoder(PastFill)
_settlements: msgspec.msgpack.Decoder[PastSettlement] = msgspec.msgpack.Decoder(PastSettlement)


FILE_NAME: Final = "ledger-paper.sqlite"


def clear_tripped(folder: Path, phrase: str, who: str, why: str) -> tuple[list[str], str | None]:
    """Clear every breaker of a data folder that no engine uses, if the operator means it.

    Args:
        folder: The data folder.
        phrase: Has to be ``CLEAR_PHRASE``, letter by letter.
        who: Whose decision it is.
        why: The operator's reason; it has to say something.
    Returns:
        The names of those that were tripped, and None; or nothing, and what was wrong.
    Raises:
        StartError: An engine runs: it would go on with what it knows.
        JournalError: The ledger cannot be read.
        OSError: The trail could not be written: what nobody can look up is not cleared.
    """
    if phrase != CLEAR_PHRASE:
        return [], f"type {CLEAR_PHRASE} in capitals"
    if not why.strip():
        return [], "give a reason"
    if not (folder / FILE_NAME).is_file():
        return [], None
    with FolderLock(folder):
        ledger = LedgerFile(folder / FILE_NAME, "")
        try:
            names = ledger.tripped()
            if names:
                Trail(folder).add("cleared", who, f"breakers {', '.join(names)}: {why}")
                ledger.clear_breakers()
            return names, None
        finally:
            ledger.close()


class LedgerFile:
    """The file, open for one engine at a time (the folder's lock sees to that)."""

    def __init__(self, path: Path, session: str) -> None:
        """Open it, making it where there is none.

        Raises:
            JournalError: It cannot be read or written.
        """
        self.path = path
        self._session = session
        self._breakers: dict[str, str] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise self._failed(error) from error

    def restore(self, sessions: Path, now_ms: Milliseconds) -> LedgerRestored:
        """Return what earlier sessions left, with what a crash kept out of the file.

        Args:
            sessions: The folder of session files.
            now_ms: Time.
        Raises:
            JournalError: The file, or a crashed session, cannot be read.
        """
        try:
            for path in sorted(sessions.glob("*.sqlite")):
                if ".raw-" not in path.name and path.stem != self._session:
                    self._recover(path)
            since = now_ms - REMEMBERED_MS
            fills = self._database.execute("SELECT body FROM fill WHERE at_ms >= ? ORDER BY at_ms", (since,))
            paid = self._database.execute(
                "SELECT body FROM settlement WHERE at_ms >= ? ORDER BY id", (since,)
            )
            self._breakers = dict(self._database.execute("SELECT name, why FROM breaker ORDER BY at_ms"))
            unresolved = self._database.execute("SELECT DISTINCT slug FROM unresolved ORDER BY slug")
            return LedgerRestored(
                ts_recv_ms=now_ms,
                fills=tuple(_fills.decode(body) for (body,) in fills),
                settlements=tuple(_settlements.decode(body) for (body,) in paid),
                breakers=tuple(self._breakers.items()),
                unresolved=tuple(slug for (slug,) in unresolved),
            )
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise self._failed(error) from error

    def write(
        self, seq: int, changes: Iterable[Change], breakers: dict[str, str], now_ms: Milliseconds
    ) -> None:
        """Write changes in one transaction.

        Args:
            seq: The journal's number that led to them.
            changes: Fills and settlements, in order.
            breakers: All that are tripped now.
            now_ms: Time, for those that are new.
        Raises:
            JournalError: They could not be written.
        """
        new = {name: why for name, why in breakers.items() if name not in self._breakers}
        rows = list(changes)
        if not rows and not new:
            return
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for change in rows:
                self._write_change(self._session, seq, change)
            for name, why in new.items():
                self._database.execute("INSERT OR REPLACE INTO breaker VALUES (?, ?, ?)", (name, why, now_ms))
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self._breakers |= new

    def tripped(self) -> list[str]:
        """Return the names of the breakers that are tripped."""
        return [name for (name,) in self._database.execute("SELECT name FROM breaker ORDER BY name")]

    def clear_breakers(self) -> None:
        """Forget every tripped breaker."""
        self._database.execute("DELETE FROM breaker")
        self._breakers.clear()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _write_change(self, session: str, seq: int, change: Change) -> None:
        if isinstance(change, PastFill):
            self._database.execute(
                "INSERT OR IGNORE INTO fill VALUES (?, ?, ?, ?, ?)",
                (session, change.order_id, seq, change.at_ms, _encode(change)),
            )
        else:
            self._database.execute(
                "INSERT INTO settlement (session, seq, at_ms, body) VALUES (?, ?, ?, ?)",
                (session, seq, change.at_ms, _encode(change)),
            )

    def _recover(self, path: Path) -> None:
        """Add what the journal of a session that crashed tells beyond this file."""
        known = self._database.execute("SELECT 1 FROM recovered WHERE session = ?", (path.stem,)).fetchone()
        if known is not None or read_meta(path).get("status") == "ended":
            return
        intents, ends = read_orders(path)
        self._database.execute("BEGIN IMMEDIATE")
        for intent in intents.values():
            told = ends.get(intent.order_id)
            if told is None:
                log.warning("order of a crashed session has no known end", extra={"order": intent.order_id})
                row = (path.stem, intent.order_id, intent.slug)
                self._database.execute("INSERT OR IGNORE INTO unresolved VALUES (?, ?, ?)", row)
            elif isinstance(told[1], OrderFilled):
                self._write_change(path.stem, told[0], _fill_of(intent, told[1]))
        self._database.execute("INSERT INTO recovered VALUES (?)", (path.stem,))
        self._database.execute("COMMIT")

    def _failed(self, error: Exception) -> JournalError:
        return JournalError(f"cannot keep the ledger in {self.path}: {error}")


def _fill_of(intent: OrderIntent, event: OrderFilled) -> PastFill:
    return PastFill(
        order_id=intent.order_id,
        slug=intent.slug,
        end_s=intent.end_s,
        outcome=intent.outcome,
        shares_e6=sum(size for _, size in event.fills),
        cost_e6=cost_of(event.fills),
        fee_e6=event.fee_e6,
        at_ms=event.ts_recv_ms,
        probability=intent.probability,
    )
