"""The ledger's file: orders, fills, settlements of all sessions in one SQLite file that a person can read.

Every change is one transaction with the session and the journal's number that led to it. Start-up and
recovery after a crash are the same path: read the file, add what the journals of sessions that did not end
tell beyond it, go on. Paper, live and practice have a file each; practice starts anew, as each practice venue
is a new world. What it does not know: what limits follow from it (``engine.core.risk``).
"""

import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from engine.config import Settings
from engine.core.ledger import Change, OrderChange
from engine.decoded import UNDECODABLE
from engine.errors import JournalError
from engine.events import LedgerRestored
from engine.journal import read_meta, read_opening
from engine.journal_read import session_files
from engine.kill import CLEAR_PHRASE
from engine.run.ledger import rows
from engine.run.ledger.recovery import NEVER_SIGNED, recover
from engine.run.ledger.schema import prepare
from engine.run.lock import FolderLock
from engine.trail import Trail
from engine.units import Milliseconds

TRADED_KEPT_MS: Final = 86_400_000
"""Windows last fifteen minutes; a day of them is more than can still be open."""

REMEMBERED_MS: Final = 31 * 86_400_000
"""Fills and settlements older than this are kept in the file and not told to the core any more, which learns
their sum, the best that it ever was, and the last results."""

World: TypeAlias = Literal["practice", "paper", "live"]
"""Whose money a ledger is about. A session belongs to one of them."""

FILE_NAMES: Final[dict[World, str]] = {
    "practice": "ledger-practice.sqlite",
    "paper": "ledger-paper.sqlite",
    "live": "ledger-live.sqlite",
}
FILE_NAME: Final = FILE_NAMES["paper"]

ODD: Final = (sqlite3.Error, *UNDECODABLE, ArithmeticError, TypeError)
"""All that reading raises where a cell is not what was written."""

log = logging.getLogger("engine.ledger")


def world_of(settings: Settings) -> World:
    """Say whose money a run with these settings is about."""
    if not settings.is_external:
        return "practice"
    return "paper" if settings.dry_run else "live"


def ledger_name(settings: Settings) -> str:
    """Return the name of the ledger's file in the data folder."""
    return FILE_NAMES[world_of(settings)]


def open_ledger(settings: Settings, session: str) -> "LedgerFile":
    """Open the ledger that belongs to these settings; practice's is a new one each time.

    Args:
        settings: Where the data folder is, and what the run is.
        session: The session's id.
    Raises:
        JournalError: It cannot be read or written.
    """
    world = world_of(settings)
    path = settings.data_dir / FILE_NAMES[world]
    if world == "practice":
        for ending in ("", "-wal", "-shm"):
            old = path.with_name(path.name + ending)
            try:
                old.unlink(missing_ok=True)
            except OSError as error:
                raise JournalError(f"cannot start a new ledger: {error}; remove {old} by hand") from error
    return LedgerFile(path, session, world)


def clear_tripped(folder: Path, phrase: str, who: str, why: str) -> tuple[list[str], str | None]:
    """Clear every breaker of a data folder that no engine uses, if the operator means it.

    Args:
        folder: The data folder.
        phrase: Has to be ``CLEAR_PHRASE``, letter by letter.
        who: Whose decision it is.
        why: The operator's reason; it has to say something.
    Returns:
        The names of those that were tripped, those of live trading and of practice marked so; and what was
        wrong, or None. A ledger that cannot be read, or has a crashed session that cannot, keeps its own.
    Raises:
        StartError: An engine runs: it would go on with what it knows.
        OSError: The trail could not be written: what nobody can look up is not cleared.
    """
    if phrase != CLEAR_PHRASE:
        return [], f"type {CLEAR_PHRASE} in capitals"
    if not why.strip():
        return [], "give a reason"
    if not folder.is_dir():
        return [], None
    # Practice's would end with its next start anyway, and whoever asks is not told that there was none.
    worlds: tuple[World, ...] = ("paper", "live", "practice")
    cleared: list[str] = []
    wrong: list[str] = []
    with FolderLock(folder):  # first: an engine that runs may have tripped one that is not in the file yet
        for world in worlds:
            try:
                if (folder / FILE_NAMES[world]).is_file() or _has_crashed(folder / "sessions", world):
                    cleared += _clear(folder, world, who, why)
            except JournalError as error:
                wrong.append(f"those of {world} are as they were: {error}")
    return cleared, "; ".join(wrong) or None


def _has_crashed(sessions: Path, world: World) -> bool:
    return any(_belongs(path, world) for path in session_files(sessions) if not _has_ended(path))


def _has_ended(path: Path) -> bool:
    return read_meta(path).get("status") == "ended"


def _belongs(path: Path, world: World) -> bool:
    """Say whether a session that did not end may be about a world's money."""
    if world == "practice":
        return False  # it was of another world, whose markets are gone
    opening = read_opening(path)
    if opening is None:
        return True
    return opening.venue == "external" and world == ("paper" if opening.dry_run else "live")


def _clear(folder: Path, world: World, who: str, why: str) -> list[str]:
    ledger = LedgerFile(folder / FILE_NAMES[world], "", world)
    try:
        # What a session that crashed had tripped would come back with the next start otherwise.
        ledger.ask_crashed(folder / "sessions")
        names = [name if world == "paper" else f"{name} ({world})" for name in ledger.tripped()]
        if names:
            Trail(folder).add("cleared", who, f"breakers {', '.join(names)}: {why}")
            ledger.clear_breakers()
        return names
    finally:
        ledger.close()


class LedgerFile:
    """The file, open for one engine at a time (the folder's lock sees to that)."""

    def __init__(self, path: Path, session: str, world: World = "paper") -> None:
        """Open it: made where there is none, converted where it is of the older format.

        Raises:
            JournalError: It cannot be read or written; one line says what to do.
        """
        self.path = path
        self._session = session
        self._world = world
        self._breakers: dict[str, str] = {}
        self._is_synced = True
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
        except (OSError, sqlite3.Error) as error:
            raise self._failed(error) from error
        try:
            prepare(self._database)
        except (sqlite3.Error, JournalError, *UNDECODABLE) as error:
            self._database.close()
            raise self._failed(error) from error

    def restore(self, sessions: Path, now_ms: Milliseconds) -> LedgerRestored:
        """Return what earlier sessions left, with what a crash kept out of the file.

        Args:
            sessions: The folder of session files.
            now_ms: Time.
        Raises:
            JournalError: The file, or a crashed session, cannot be read.
        """
        self.ask_crashed(sessions)
        try:
            if self._world == "live":
                self._close_unsigned()
            since, cleared_ms = now_ms - REMEMBERED_MS, self._cleared_ms()
            breakers = self._database.execute("SELECT name, why FROM breaker ORDER BY at_ms")
            self._breakers = dict(breakers.fetchall())
            orders = rows.past_orders(self._database, self._session)
            doubted = self._database.execute("SELECT DISTINCT slug FROM unresolved").fetchall()
            told = LedgerRestored(
                ts_recv_ms=now_ms,
                fills=rows.past_fills(self._database, since),
                settlements=rows.past_settlements(self._database, since),
                breakers=tuple(self._breakers.items()),
                unresolved=tuple(
                    sorted(
                        {slug for (slug,) in doubted}
                        | {order.slug for order in orders}
                        | set(rows.undone_slugs(self._database, now_ms - TRADED_KEPT_MS))
                    )
                ),
                orders=orders,
                cleared_ms=cleared_ms,
                **rows.before(self._database, since, cleared_ms)._asdict(),
                named=rows.highest_numbers(self._database, now_ms, now_ms - TRADED_KEPT_MS),
                rules=rows.trusted_rules(self._database),
            )
            # SQLite keeps anything in any column: what is told on has to be of the kind that it says it is.
            return msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=LedgerRestored)
        except ODD as error:
            raise self._failed(error) from error

    def ask_crashed(self, sessions: Path) -> None:
        """Take over what sessions that crashed left in their journals; each is asked once.

        Args:
            sessions: The folder of session files.
        Raises:
            JournalError: The file, or a crashed session, cannot be read.
        """
        try:
            for path in session_files(sessions):
                if path.stem != self._session and self._is_to_be_asked(path):
                    recover(self._database, path, is_live=self._world == "live")
        except ODD as error:
            raise self._failed(error) from error

    def write(
        self, seq: int, changes: Iterable[Change], breakers: dict[str, str], now_ms: Milliseconds
    ) -> None:
        """Write changes in one transaction.

        Money is on the disk when this returns. Orders alone are not waited for: the journal, which an order
        has to wait for anyway, holds the same, and recovery asks it.

        Args:
            seq: The journal's number that led to them.
            changes: What changed, in order.
            breakers: All that are tripped now.
            now_ms: Time, for those that are new.
        Raises:
            JournalError: They could not be written; none of them is in the file.
        """
        new = {name: why for name, why in breakers.items() if name not in self._breakers}
        batch = list(changes)
        if not batch and not new:
            return
        try:
            self._sync(bool(new) or any(type(change) is not OrderChange for change in batch))
            self._database.execute("BEGIN IMMEDIATE")
            # Orders first: a fill without an order of this session is of one that it took over.
            for change in sorted(batch, key=lambda change: type(change) is not OrderChange):
                rows.put(self._database, self._session, seq, change)
            for name, why in new.items():
                self._database.execute("INSERT OR REPLACE INTO breaker VALUES (?, ?, ?)", (name, why, now_ms))
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise self._failed(error) from error
        self._breakers |= new

    def tripped(self) -> list[str]:
        """Return the names of the breakers that are tripped.

        Raises:
            JournalError: The file cannot be read.
        """
        try:
            return [name for (name,) in self._database.execute("SELECT name FROM breaker ORDER BY name")]
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def clear_breakers(self) -> None:
        """Forget every tripped breaker, and note up to which settlement: nothing before is judged again.

        By the settlements' own time, which may be a scaled venue's.

        Raises:
            JournalError: It could not be written; they are as they were.
        """
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("DELETE FROM breaker")
            self._database.execute("INSERT INTO cleared SELECT coalesce(max(at_ms), 0) FROM settlement")
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise self._failed(error) from error
        self._breakers.clear()

    def _cleared_ms(self) -> Milliseconds:
        (at_ms,) = self._database.execute("SELECT max(at_ms) FROM cleared").fetchone()
        return int(at_ms or 0)

    def close(self) -> None:
        """Bring everything to the disk and close the file."""
        try:
            self._sync(True)
            self._database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            log.error("ledger closed without a checkpoint", extra={"why": str(error)})
        self._database.close()

    def _is_to_be_asked(self, path: Path) -> bool:
        """Say whether a session of this ledger's world ended without a word and was not asked yet."""
        known = self._database.execute("SELECT 1 FROM recovered WHERE session = ?", (path.stem,)).fetchone()
        return known is None and not _has_ended(path) and _belongs(path, self._world)

    def _close_unsigned(self) -> None:
        """Close what earlier sessions intended and never signed: it cannot have left."""
        self._database.execute(
            "UPDATE orders SET state = 'denied', reason = ?, ended_ms = at_ms "
            "WHERE session <> ? AND state = 'intended' AND ended_ms IS NULL",
            (NEVER_SIGNED, self._session),
        )

    def _sync(self, is_synced: bool) -> None:
        if is_synced is not self._is_synced:
            self._database.execute(f"PRAGMA synchronous = {'FULL' if is_synced else 'NORMAL'}")
            self._is_synced = is_synced

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    def _failed(self, error: Exception) -> JournalError:
        what = f"cannot keep the ledger in {self.path}: {error}"
        if isinstance(error, JournalError):
            return JournalError(what)
        if isinstance(error, ODD[1:]) or type(error) is sqlite3.DatabaseError:
            return JournalError(
                f"{what}; it is damaged: move it with its -wal and -shm aside and put a copy back "
                "(without one, losses and open orders of earlier sessions are not known)"
            )
        return JournalError(f"{what}; free space, mend its permissions or set DATA_DIR elsewhere")
