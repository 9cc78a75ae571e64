"""A journal whose end is torn off: it opens up to the tear, in every command."""

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from engine import events as e
from engine.__main__ import app
from engine.errors import JournalError
from engine.journal import Journal, read_events
from engine.run import journal_pages
from engine.run.journal_pages import Span
from engine.run.replay.index import build
from engine.run.replay.player import Player
from tests.books import keep_journal, traded

EVERY = 120
"""Cuts of a file: at each so-many-th part of it, most not at a page's edge."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session that traded, in many small blocks."""
    path = tmp_path_factory.mktemp("whole") / "s.sqlite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.journal.GROUP_LIMIT", 23)
        keep_journal(path, [record.event for record in traded().records])
    return path


def torn_at(whole: Path, folder: Path, size: int) -> Path:
    path = folder / f"t{size}.sqlite"
    path.write_bytes(whole.read_bytes()[:size])
    return path


def test_wherever_it_is_torn_it_opens_up_to_there(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last row cannot be read, nor can parts of the index: the walk forward gives what is before."""
    monkeypatch.setattr(journal_pages, "CHUNK", 60)
    every, reached, opens = list(read_events(whole)), 0, 0
    for part in range(1, EVERY):
        path = torn_at(whole, tmp_path, whole.stat().st_size * part // EVERY)
        try:
            told = journal_pages.span(path)
        except JournalError:
            assert not opens, "what is longer opens too"
            continue
        opens += 1
        assert told.last_seq >= reached, "what is longer goes further"
        reached = told.last_seq
        assert journal_pages.last_seq(path) == told.last_seq
        assert list(journal_pages.records_to(path, told.last_seq)) == every[: told.last_seq]
        assert list(journal_pages.records(path, 100, 150)) == every[100 : min(150, told.last_seq)]
        last = every[told.last_seq - 1]
        assert (told.first_ms, told.last_ms) == (every[0].event.ts_recv_ms, last.event.ts_recv_ms)
        assert journal_pages.seq_at(path, told.last_ms + 1) == told.last_seq
        found = journal_pages.decisions_before(path, None)
        assert len(found) <= told.outputs
        for one in found[:2]:
            assert journal_pages.decision_at(path, one.seq, one.place) == one.decision
        assert journal_pages.decisions_of_orders(path, None) == [
            one for one in journal_pages.decisions_of_orders(whole, None) if one.seq <= told.last_seq
        ]
        chain = journal_pages.chain_at(path, told.last_seq)
        assert chain is not None
        assert chain == journal_pages.chain_at(whole, chain[0])
        assert chain[0] == told.last_seq
    assert opens > EVERY // 2
    assert reached > len(every) * 0.9


def test_a_whole_journal_is_not_walked_through(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last row says where it ends."""
    monkeypatch.setattr(journal_pages, "read_blocks", None)
    assert journal_pages.span(whole).last_seq == len(list(read_events(whole)))


def test_a_torn_one_is_walked_through_once_and_the_log_says_so(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Lists ask every few seconds."""
    path = torn_at(whole, tmp_path, whole.stat().st_size // 2)
    told = journal_pages.span(path)
    monkeypatch.setattr(journal_pages, "read_blocks", None)
    assert journal_pages.span(path) == told
    assert [(one.message, one.readable_to) for one in caplog.records] == [("journal is torn", told.last_seq)]  # type: ignore[attr-defined]


def test_a_tear_in_the_last_page_of_the_last_block_leaves_that_block_out(tmp_path: Path) -> None:
    """SQLite gives noughts for it, and no error: the row reads, its decisions do not."""
    path = tmp_path / "s.sqlite"
    journal = Journal(path, {"session": "s"})
    for seq in range(1, 3):
        journal.record(e.Record(seq, e.SecondPassed(ts_recv_ms=seq)))
        for place in range(4_000):  # some pages of them
            journal.record_output(seq, place, e.SecondPassed(ts_recv_ms=place * 7_919 % 10_007))
        while journal.written_seq < seq or journal.lag_ms:
            pass
    journal.close()
    whole = path.read_bytes()
    with sqlite3.connect(path) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
        (blocks,) = database.execute("SELECT count(*) FROM block").fetchone()
    assert blocks > 1
    spans = set()
    for pages in range(1, 4):
        torn = tmp_path / f"{pages}.sqlite"
        torn.write_bytes(whole[: len(whole) - pages * size])
        told = journal_pages.span(torn)
        assert list(journal_pages.records_to(torn, told.last_seq)) == list(read_events(path))[: told.last_seq]
        assert len(journal_pages.decisions_before(torn, None)) == 0, "they are of another kind, and read"
        spans.add(told)
    assert all(told < Span(1, 2, 2, 8_000) for told in spans)


def test_a_file_that_is_only_busy_is_not_taken_for_torn(whole: Path, tmp_path: Path) -> None:
    """Nothing is said of it, and nothing is remembered."""
    path = torn_at(whole, tmp_path, whole.stat().st_size)
    with sqlite3.connect(path, isolation_level=None) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(JournalError, match="cannot be read now"):
            journal_pages.span(path)
        writer.execute("ROLLBACK")
    assert journal_pages.span(path) == journal_pages.span(whole)


@pytest.fixture
def torn(whole: Path, tmp_path: Path) -> Path:
    """A session of a data folder, torn in its second half."""
    folder = tmp_path / "data" / "sessions"
    folder.mkdir(parents=True)
    path = folder / "20260921T130000Z-a1b2c3.sqlite"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    return path


def ran(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"DATA_DIR": str(data)})


def test_export_writes_what_is_before_the_tear(torn: Path, tmp_path: Path) -> None:
    """It ended with "database disk image is malformed" and wrote nothing."""
    target = tmp_path / "out.csv"
    told = ran(tmp_path / "data", "export", torn.stem, "--csv", "--output", str(target), "--json")
    assert told.exit_code == 0, told.output
    rows = json.loads(told.stdout)["rows"]
    assert rows > 0
    assert len(target.read_text().splitlines()) == rows + 1


def test_replay_shows_the_last_moment_before_the_tear(torn: Path, tmp_path: Path) -> None:
    """With an index and without one."""
    last_seq = journal_pages.last_seq(torn)
    for command in (("replay", torn.stem, "--json"), ("replay", torn.stem, "--index", "--json")):
        told = ran(tmp_path / "data", *command)
        assert told.exit_code == 0, told.output
    built = build(torn)
    assert built is not None
    assert (built.seq, built.is_whole) == (last_seq, True)
    player = Player(torn)
    assert player.seek(player.span.last_ms).snapshot.seq == last_seq
    assert player.overview().built_seq == last_seq


def test_a_torn_session_is_listed_with_what_can_be_read(torn: Path, tmp_path: Path) -> None:
    """As far as it goes, without a problem: it can be opened."""
    told = ran(tmp_path / "data", "sessions", "list", "--json")
    (row,) = json.loads(told.stdout)["sessions"]
    assert (row["events"], row["problem"]) == (journal_pages.last_seq(torn), "")


def test_verify_proves_a_torn_session_up_to_the_tear(torn: Path, tmp_path: Path) -> None:
    """The verdict says up to where; it does not hold."""
    told = ran(tmp_path / "data", "verify", torn.stem, "--json")
    assert told.exit_code == 1, told.output
    verdict = json.loads(told.stdout)
    verdict = verdict.get("sessions", [verdict])[0]
    assert verdict["chain"].startswith("readable up to record")
    assert verdict["holds"] is False
