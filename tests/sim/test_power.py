"""A power cut takes from files what was not synced, and nothing else."""

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import events as e
from engine.sim.memory_journal import MemoryJournal
from engine.sim.power import LedgerDisk, commit_ends
from engine.sim.script import script_of


class Luck(random.Random):
    """Draws as told: whether the worst happens, then which of the rest."""

    def __init__(self, draw: float, place: int = 0) -> None:
        super().__init__(0)
        self._draw, self._place = draw, place

    def random(self) -> float:
        return self._draw

    def choice(self, seq):  # type: ignore[no-untyped-def]
        return seq[self._place]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[LedgerDisk, sqlite3.Connection]]:
    path = tmp_path / "ledger.sqlite"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE t (n INTEGER, what TEXT)")
    made = LedgerDisk()
    made.opened(path, database)
    made.committed(is_synced=True)
    yield made, database
    database.close()


def put(disk: LedgerDisk, database: sqlite3.Connection, *numbers: int, is_synced: bool) -> None:
    for number in numbers:
        database.execute("INSERT INTO t VALUES (?, ?)", (number, "x" * 3_000))
        disk.committed(is_synced=is_synced)


def left(disk: LedgerDisk) -> list[int]:
    assert disk.path is not None
    with sqlite3.connect(disk.path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [number for (number,) in database.execute("SELECT n FROM t ORDER BY n")]


def test_commits_since_the_last_synced_one_are_gone(disk: tuple[LedgerDisk, sqlite3.Connection]) -> None:
    """That one and all before it are there: the log is one file."""
    made, database = disk
    put(made, database, 1, is_synced=False)
    put(made, database, 2, is_synced=True)
    put(made, database, 3, 4, is_synced=False)
    assert made.cut(Luck(0.0)) == 2
    assert left(made) == [1, 2]


def test_some_of_them_may_be_there(disk: tuple[LedgerDisk, sqlite3.Connection]) -> None:
    """The system writes when it likes; in order."""
    made, database = disk
    put(made, database, 1, is_synced=True)
    put(made, database, 2, 3, is_synced=False)
    assert made.cut(Luck(0.9, place=1)) == 1
    assert left(made) == [1, 2]


def test_what_a_checkpoint_moved_into_the_file_stays(disk: tuple[LedgerDisk, sqlite3.Connection]) -> None:
    """SQLite syncs the log before it moves anything."""
    made, database = disk
    put(made, database, 1, 2, is_synced=False)
    database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    put(made, database, 3, is_synced=False)
    made.cut(Luck(0.0))
    assert left(made) == [1, 2]


def test_a_second_cut_takes_nothing_that_the_first_one_left(
    disk: tuple[LedgerDisk, sqlite3.Connection],
) -> None:
    """What came back from the disk is on it."""
    made, database = disk
    put(made, database, 1, is_synced=True)
    put(made, database, 2, 3, is_synced=False)
    made.cut(Luck(0.9, place=1))
    assert made.path is not None
    again = sqlite3.connect(made.path, isolation_level=None)
    made.opened(made.path, again)
    assert again.execute("SELECT count(*) FROM t").fetchone() == (2,)
    put(made, again, 4, is_synced=False)
    made.cut(Luck(0.0))
    assert left(made) == [1, 2]


def test_a_cut_before_anybody_opened_the_file_again_takes_nothing(
    disk: tuple[LedgerDisk, sqlite3.Connection],
) -> None:
    """The index went with the power and nobody made a new one: it says nothing of the log (seed 11362)."""
    made, database = disk
    put(made, database, 1, 2, is_synced=True)
    for _ in range(2):
        assert made.cut(Luck(0.0)) == 0
    assert left(made) == [1, 2]


def test_a_log_that_nothing_is_in_has_one_end() -> None:
    """A cut before the first commit."""
    assert commit_ends(b"", 0, 0) == [0]


def test_a_journal_keeps_what_it_called_durable_and_perhaps_more(tmp_path: Path) -> None:
    """A kill alone never loses what is written; a power cut does, down to what is synced."""

    async def lived() -> MemoryJournal:
        journal = MemoryJournal(tmp_path / "s.sqlite", {})
        for number in range(1, 41):
            journal.record(e.Record(number, e.SecondPassed(ts_recv_ms=number)))
            if number == 10:
                await journal.wait_durable()
        journal.written = 30
        return journal

    journal = asyncio.run(lived())
    journal.rng = random.Random(1)
    cut = [journal.die(has_power=False) for _ in range(200)]
    killed = [journal.die() for _ in range(200)]
    assert journal.synced == 10
    assert (min(cut), max(cut)) == (10, 30)
    assert (min(killed), max(killed)) == (30, 40)


def test_some_crashes_are_power_cuts() -> None:
    """Else none of this is played."""
    crashes = [
        action.args["power"]
        for seed in range(60)
        for action in script_of(seed, 1.0).actions
        if action.what == "crash"
    ]
    assert 0.2 < sum(crashes) / len(crashes) < 0.5
