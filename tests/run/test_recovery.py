"""A session that crashed is asked once: from a damaged journal nothing is taken for never having been."""

import asyncio
import logging
import shutil
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import events as e
from engine.core.trading import OrderIntent
from engine.errors import JournalError
from engine.journal import Journal
from engine.run.ledger.file import LedgerFile
from engine.run.verify.log import FRAME_HEADER, HEADER, LogEnd, look_at
from tests.journal_edits import run_sql

NOW_MS = 1_789_999_800_000
GROUPS = 6
PARTS = ("", "-wal")


def dead(path: Path, *, moved_after: int | None = None) -> bytes:
    """Leave what a killed session leaves: a file, and a log with its last commits, each with an order.

    Args:
        path: The session's file.
        moved_after: After which commit SQLite moves the log into the file and begins the log anew.
    Returns:
        The log.
    """
    source = path.with_name(f"source-{path.name}")
    journal = Journal(source, {"session": path.stem})
    for group in range(1, GROUPS + 1):
        for seq in range(group * 20 - 19, group * 20 + 1):
            told = e.FrameRefused(ts_recv_ms=NOW_MS, feed="clob", reason=f"not {seq**9:x}", excerpt="{")
            journal.record(e.Record(seq, told))
        intent = OrderIntent(f"a#{group}", "a", "UP", "1", 9_000, 20_000_000, NOW_MS, 1, 300, 0.95)
        journal.record_output(group * 20, 0, intent)
        asyncio.run(journal.wait_durable())
        if group == moved_after:
            with closing(sqlite3.connect(source)) as database:
                assert database.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0
    for part in PARTS:
        shutil.copy(f"{source}{part}", f"{path}{part}")
    journal.close()
    source.unlink()
    return Path(f"{path}-wal").read_bytes()


def told_of(path: Path) -> tuple[str, ...]:
    """Return which orders the next start is told of, from an empty ledger."""
    ledger = path.parent.parent / "ledger.sqlite"
    for part in (*PARTS, "-shm"):
        ledger.with_name(ledger.name + part).unlink(missing_ok=True)
    file = LedgerFile(ledger, "next")
    try:
        return tuple(sorted(order.order_id for order in file.restore(path.parent, NOW_MS + 1_000).orders))
    finally:
        file.close()


ALL = tuple(f"a#{group}" for group in range(1, GROUPS + 1))


@pytest.fixture
def session(tmp_path: Path) -> Path:
    (tmp_path / "sessions").mkdir()
    dead(tmp_path / "sessions" / "s1.sqlite")
    return tmp_path / "sessions" / "s1.sqlite"


def test_what_a_killed_session_leaves_is_whole(session: Path) -> None:
    """Or every start would stop."""
    assert told_of(session) == ALL


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            "UPDATE block SET kinds = replace(kinds, 'Intent', 'Inteot') WHERE number = 3",
            "not the one that was",
        ),
        ("UPDATE block SET kinds = '' WHERE number = 6", "not the one that was"),
        ("UPDATE block SET outputs = 0 WHERE number = 3", "not the one that was"),
        ("DELETE FROM block WHERE number = 3", "records 41 to 60 are missing"),
        ("DELETE FROM block WHERE number = 1", "records 1 to 20 are missing"),
        ("UPDATE block SET number = 9 WHERE number = 6", "block 6 is missing"),
        ("UPDATE block SET body = zeroblob(9) WHERE number = 2", "record 21 was altered"),
        ("UPDATE meta SET value = 'other' WHERE key = 'session'", "not the one that was"),
    ],
)
def test_f45_damage_that_hides_an_order_stops_the_start(session: Path, spoil: str, said: str) -> None:
    """Each of these made the journal tell of fewer orders, or of none, and nobody asked it again."""
    run_sql(session, spoil)
    for _ in range(2):  # it is not noted as asked
        with pytest.raises(JournalError, match=rf"s1\.sqlite is damaged: .*{said}.*put a copy back"):
            told_of(session)


def test_f45_an_end_that_is_cut_off_after_it_was_noted_stops_the_start(session: Path) -> None:
    """A session that noted its end and is not marked as ended: its last row is still missed."""
    chain = "SELECT 'chain', lower(hex(chain)) FROM block WHERE number = 6"
    run_sql(session, f"INSERT INTO meta {chain} UNION SELECT 'last_seq', '120'")
    assert told_of(session) == ALL
    run_sql(session, "DELETE FROM block WHERE number = 6")
    with pytest.raises(JournalError, match="ends at record 100; the session says 120"):
        told_of(session)


def test_f45_a_row_that_its_page_forgot_is_missed_by_its_index(session: Path) -> None:
    """The last row of all leaves no hole in the chain, and a crashed session noted no end."""
    with closing(sqlite3.connect(session)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        (root,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'block'").fetchone()
    data = bytearray(session.read_bytes())
    at = (root - 1) * 4096
    assert (data[at], struct.unpack_from(">H", data, at + 3)) == (13, (GROUPS,))  # a leaf, with all rows
    struct.pack_into(">H", data, at + 3, GROUPS - 1)
    session.write_bytes(data)
    with pytest.raises(JournalError, match="is damaged"):
        told_of(session)


# --- the log that a death leaves ---


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1))
def test_a_log_that_breaks_off_anywhere_is_recovered_up_to_its_last_whole_commit(
    session: Path, cut: float
) -> None:
    """The power went while the disk wrote: no damage, or no engine would start after a cut."""
    log = session.with_name("s1.sqlite-wal")
    whole = log.read_bytes()
    try:
        log.write_bytes(whole[: int(len(whole) * cut)])
        told = told_of(session)
    finally:
        session.with_name("s1.sqlite-shm").unlink(missing_ok=True)
        log.write_bytes(whole)
    assert told == ALL[: len(told)]


def test_a_log_that_breaks_off_is_reported(session: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was under way is gone; whoever reads the log of the engine learns it."""
    log = session.with_name("s1.sqlite-wal")
    log.write_bytes(log.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING, "engine.journal"):
        assert told_of(session) == ALL[:-1]
    assert "breaks off" in caplog.text


def test_a_last_page_that_was_written_in_part_is_an_end_that_breaks_off(session: Path) -> None:
    """A whole frame long, and not of one turned bit: the disk had not written all of it."""
    log = session.with_name("s1.sqlite-wal")
    whole = log.read_bytes()
    log.write_bytes(whole[:-512] + bytes(512) if any(whole[-512:]) else whole[:-4096] + bytes(4096))
    assert look_at(log.read_bytes()) == LogEnd(is_torn=True)
    assert told_of(session) == ALL[:-1]


def frames(log: bytes) -> int:
    return (len(log) - HEADER) // (FRAME_HEADER + 4096)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """A log from its beginning, and one that was begun anew over an older, longer one."""
    folder = tmp_path_factory.mktemp("logs")
    return dead(folder / "a.sqlite"), dead(folder / "b.sqlite", moved_after=GROUPS - 2)


def used(log: bytes) -> int:
    """Return how many bytes of a log are of its newest round."""
    size = FRAME_HEADER + 4096
    starts = range(HEADER, len(log), size)
    return HEADER + size * sum(log[at + 8 : at + 16] == log[16:24] for at in starts)


@given(st.booleans(), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_f45_no_bit_of_a_log_turns_unseen(
    logs: tuple[bytes, bytes], is_second: bool, part: float, bit: int
) -> None:
    """SQLite would read up to it and say nothing; the last commit is the one that an order waited for."""
    log = logs[is_second]
    assert look_at(log) == LogEnd()
    place = int(used(log) * part)
    turned = log[:place] + bytes([log[place] ^ 1 << bit]) + log[place + 1 :]
    assert "altered" in look_at(turned).fault


def test_what_an_earlier_round_of_a_log_left_is_no_damage(logs: tuple[bytes, bytes]) -> None:
    """SQLite writes over it and cuts nothing off; nothing reads it either."""
    log = logs[1]
    assert used(log) < len(log)
    assert look_at(log[:-1] + bytes([log[-1] ^ 1])) == LogEnd()


@pytest.mark.parametrize("spoil", [lambda page: bytes(len(page)), lambda page: page[:100] + b"x" * 3_996])
def test_f45_a_page_that_rots_in_the_middle_of_a_log_is_no_end(
    logs: tuple[bytes, bytes], spoil: Callable[[bytes], bytes]
) -> None:
    """What follows goes on from what was written."""
    log, at = logs[0], HEADER + 2 * (FRAME_HEADER + 4096) + FRAME_HEADER
    assert frames(log) > 4
    assert look_at(log[:at] + spoil(log[at : at + 4096]) + log[at + 4096 :]).fault == (
        "frame 3 of its log was altered"
    )


@pytest.mark.parametrize("log", [b"", b"x", bytes(32), bytes(9_000)])
def test_a_log_in_which_nothing_was_written_is_no_damage(log: bytes) -> None:
    """Made, made longer, and the power went."""
    assert look_at(log).fault == ""
