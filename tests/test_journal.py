"""The flight recorder: everything in, in order, durable when asked, and loud when it cannot."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import events as e
from engine import journal as journal_module
from engine.core.decide import Decision
from engine.errors import JournalError
from engine.journal import Journal, encode_output, read_events, read_meta, read_outputs
from engine.journal_read import session_files
from tests.core.builders import contract


def price(second: int) -> e.PricePrinted:
    return e.PricePrinted(
        ts_recv_ms=second * 1000 + 7,
        source="twap",
        value=Decimal("71485.239657848320000001"),
        ts_venue_ms=second * 1000,
        ts_sent_ms=None,
        lookback_s=60,
    )


SAMPLES: list[e.AnyEvent] = [
    price(1),
    e.MarketDescribed(ts_recv_ms=2, contract=contract()),
    e.LevelsChanged(ts_recv_ms=3, market="m", changes=(e.LevelChange("t", "SELL", 9_700, 0, True, None, 1),),
    ts_venue_ms=3), e.PriceHistoryServed(ts_recv_ms=4, source="chainlink", points=((1, Decimal("1.5")),)),
    e.OrderFilled(ts_recv_ms=5, order_id="x#1", fills=((9_000, 1),), fee_e6=2),
    e.FrameRefused(ts_recv_ms=6, feed="clob", reason="not JSON", excerpt="{"),
]  # fmt: skip


def test_what_is_recorded_is_read_back_the_same(tmp_path: Path) -> None:
    """Every field, exact decimals too: replay needs nothing else."""
    journal = Journal(tmp_path / "s.sqlite", {"session": "s"})
    for seq, event in enumerate(SAMPLES, start=1):
        journal.record(e.Record(seq, event))
    decision = Decision("slug", 3, 4, 1, 0, 1.5, 0.9, 0.01, -0.2)
    journal.record_output(3, 0, decision)
    journal.close()
    assert [record.event for record in read_events(tmp_path / "s.sqlite")] == SAMPLES
    assert list(read_outputs(tmp_path / "s.sqlite")) == [(3, 0, "Decision", encode_output(decision))]
    meta = read_meta(tmp_path / "s.sqlite")
    assert (meta["session"], meta["status"], meta["schema"]) == ("s", "ended", "2")


def test_every_kind_of_event_can_be_written_and_read() -> None:
    """A new event that msgspec cannot carry would be lost at its first occurrence."""
    decoder = msgspec.msgpack.Decoder(e.AnyEvent)
    for event in SAMPLES:
        assert decoder.decode(msgspec.msgpack.encode(event)) == event


async def test_after_waiting_everything_is_there_for_another_process(tmp_path: Path) -> None:
    """Durable means: what a crash of this process at this moment would leave behind."""
    path = tmp_path / "s.sqlite"
    journal = Journal(path, {})
    for seq in range(1, 101):
        journal.record(e.Record(seq, price(seq)))
    await journal.wait_durable()
    counted = (
        sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute("SELECT sum(events) FROM block").fetchone()
    )
    assert counted == (100,)
    assert journal.durable_seq == 100
    journal.close()


def test_a_killed_process_leaves_a_readable_journal(tmp_path: Path) -> None:
    """SIGKILL right after the barrier: nothing before it is missing, and the status says it did not end."""
    path = tmp_path / "s.sqlite"
    script = textwrap.dedent(
        f"""
        import asyncio, os, signal
        from pathlib import Path
        from engine import events as e
        from engine.journal import Journal
        journal = Journal(Path({str(path)!r}), {{}})
        async def main():
            for seq in range(1, 501):
                journal.record(e.Record(seq, e.SecondPassed(ts_recv_ms=seq)))
            await journal.wait_durable()
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(main())
        """
    )
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert [record.seq for record in read_events(path)] == list(range(1, 501))
    assert read_meta(path)["status"] == "running"


async def test_a_disk_that_fills_up_stops_the_recorder_and_says_so(tmp_path: Path) -> None:
    """No record, no trade: whoever waits is told, and so is whoever records next."""
    journal = Journal(tmp_path / "s.sqlite", {})
    journal._database.execute("PRAGMA max_page_count = 12")  # the smallest disk SQLite can be given
    with pytest.raises(JournalError, match=r"full.*DATA_DIR"):  # noqa: PT012 (either call may be the one that is told)
        for seq in range(1, 5_000):
            journal.record(e.Record(seq, price(seq)))
        await journal.wait_durable()
    with pytest.raises(JournalError):
        journal.record(e.Record(9_999, price(9_999)))
    with pytest.raises(JournalError):
        await journal.wait_durable()
    journal.close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """One line: which file, why, what to do."""
    (tmp_path / "sessions").write_text("a file, not a folder")
    with pytest.raises(JournalError, match=r"sessions.*DATA_DIR"):
        Journal(tmp_path / "sessions" / "s.sqlite", {})


def test_a_file_that_is_no_session_is_named(tmp_path: Path) -> None:
    """Both a missing file and something else under its name."""
    with pytest.raises(JournalError, match="no session at"):
        list(read_events(tmp_path / "none.sqlite"))
    (tmp_path / "text.sqlite").write_text("hello " * 500)
    with pytest.raises(JournalError, match=r"text\.sqlite is not a session"):
        list(read_events(tmp_path / "text.sqlite"))


async def test_a_wait_that_was_given_up_does_not_stop_the_recorder(tmp_path: Path) -> None:
    """An order task may be cancelled while it waits; everybody else goes on."""
    journal = Journal(tmp_path / "s.sqlite", {})
    for seq in range(1, 20):
        waiting = asyncio.create_task(journal.wait_durable())
        await asyncio.sleep(0)
        waiting.cancel()
        journal.record(e.Record(seq, price(seq)))
    await asyncio.wait_for(journal.wait_durable(), 10)
    assert journal.error is None
    journal.close()
    assert len(list(read_events(tmp_path / "s.sqlite"))) == 19


def test_a_group_of_any_size_is_one_statement(tmp_path: Path) -> None:
    """Row by row the writer loses Python's lock after each: 600 rows a second beside a busy console."""
    journal = Journal(tmp_path / "s.sqlite", {})
    statements: list[str] = []
    journal._database.set_trace_callback(statements.append)
    for seq in range(1, 4_001):
        journal.record(e.Record(seq, price(seq)))
        if seq % 4 == 0:
            journal.record_output(seq, 0, Decision("slug", 3, 4, 1, 0, 1.5, 0.9, 0.01, -0.2))
    while journal.lag_ms:
        time.sleep(0.001)
    assert {statement.split()[0] for statement in statements} <= {"INSERT", "PRAGMA"}
    # 5,000 records in groups of 2,000, and what the thread caught while they came
    assert 3 <= len(statements) <= 10
    journal.close()
    assert [record.seq for record in read_events(tmp_path / "s.sqlite")] == list(range(1, 4_001))
    assert len(list(read_outputs(tmp_path / "s.sqlite"))) == 1_000


def test_a_disk_that_stands_still_shows_as_lag_and_in_the_end_as_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, and nothing is left out silently: who records is told, what waited is written."""
    monkeypatch.setattr(journal_module, "QUEUE_LIMIT", 300)
    path = tmp_path / "s.sqlite"
    journal = Journal(path, {})
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")  # SQLite waits for it up to 5 s
    journal.record(e.Record(1, price(1)))
    while journal.waiting:
        time.sleep(0.001)
    time.sleep(0.06)  # the disk stands still for so long
    assert journal.lag_ms >= 60
    with pytest.raises(JournalError, match=r"s\.sqlite: 300 records wait"):  # noqa: PT012 (the last is told)
        for seq in range(2, 1_000):
            journal.record(e.Record(seq, price(seq)))
    with pytest.raises(JournalError):
        journal.record(e.Record(1_000, price(1_000)))
    assert journal.waiting == 300
    blocker.execute("ROLLBACK")
    blocker.close()
    journal.close()
    assert [record.seq for record in read_events(path)] == list(range(1, 302))


def test_a_session_that_can_be_found_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies while it makes the file leaves none under a session's name."""
    path = tmp_path / "sessions" / "one.sqlite"
    put, there = journal_module._put_meta, list[list[Path]]()

    def look(database: sqlite3.Connection, told: dict[str, str]) -> None:
        there.append(session_files(path.parent))
        put(database, told)

    monkeypatch.setattr(journal_module, "_put_meta", look)
    begun = Journal(path, {"session": "one"})
    assert there == [[]]
    assert read_meta(path)["status"] == "running"
    assert [one.name for one in path.parent.iterdir() if "new" in one.name] == []
    begun.close()


def test_a_session_has_one_writer(tmp_path: Path) -> None:
    """A second one would mix two stories under one chain; nor is an ended session gone on with."""
    path = tmp_path / "s.sqlite"
    journal = Journal(path, {})
    with pytest.raises(JournalError, match="written once, by one engine"):
        Journal(path, {})
    journal.record(e.Record(1, price(1)))
    journal.close()
    with pytest.raises(JournalError, match="written once"):
        Journal(path, {})
    assert len(list(read_events(path))) == 1


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1))
def test_a_log_torn_anywhere_opens_up_to_its_last_whole_commit(torn: tuple[Path, int], cut: float) -> None:
    """Power gone while the disk wrote: what is left is a beginning of the story, without a hole."""
    source, count = torn
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(source, folder))
        log = source.with_name("s.sqlite-wal").read_bytes()
        path.with_name("s.sqlite-wal").write_bytes(log[: int(len(log) * cut)])
        try:
            seqs = [record.seq for record in read_events(path)]
        except JournalError:
            seqs = []  # not even its tables had been written
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) <= count
        if cut == 1:
            assert len(seqs) == count


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A session that is being written, in twenty commits that are still in its log."""
    path = tmp_path_factory.mktemp("torn") / "s.sqlite"
    journal = Journal(path, {"session": "s"})
    for seq in range(1, 401):
        journal.record(e.Record(seq, price(seq)))
        while seq % 20 == 0 and journal.written_seq < seq:
            time.sleep(0.001)
    yield path, 400
    journal.close()


def test_an_ended_session_is_one_file_that_nothing_beside_it_is_needed_for(tmp_path: Path) -> None:
    """Copied by itself, and read where nothing may be written: a WAL file would be asked for otherwise."""
    path = tmp_path / "s.sqlite"
    journal = Journal(path, {})
    journal.record(e.Record(1, price(1)))
    journal.close()
    assert len(list(read_events(path))) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_at_the_end_does_not_keep_the_session_from_ending(tmp_path: Path) -> None:
    """A page may be looking; then the file stays as it was written, and whole."""
    path = tmp_path / "s.sqlite"
    journal = Journal(path, {})
    journal.record(e.Record(1, price(1)))
    while journal.written_seq < 1:
        time.sleep(0.001)
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    cursor = reader.execute("SELECT * FROM block")
    assert cursor.fetchone() is not None
    journal.close()
    reader.close()
    assert journal.error is None
    assert read_meta(path)["status"] == "ended"
    assert len(list(read_events(path))) == 1
