"""Looking something up in a journal: bounded, beside the writer, and the same as reading all of it."""

from pathlib import Path

import pytest

from engine import events as e
from engine.core.decide import Decision
from engine.journal import Journal, encode_output, read_events, read_outputs
from engine.run import journal_pages
from engine.run.journal_pages import Span
from tests.books import decisions, keep_journal, traded


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session in many small blocks."""
    path = tmp_path_factory.mktemp("kept") / "s.sqlite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.journal.GROUP_LIMIT", 23)
        keep_journal(path, [record.event for record in traded().records])
    return path


@pytest.mark.parametrize("chunk", [1, 50, 10_000])
def test_a_part_of_the_records_is_that_part_of_all(
    kept: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Whatever the chunks and wherever in a block the part begins and ends."""
    monkeypatch.setattr(journal_pages, "CHUNK", chunk)
    every = list(read_events(kept))
    for after, to in (
        (0, 5),
        (0, len(every)),
        (22, 23),
        (23, 24),
        (100, 350),
        (7, 10**9),
        (10**9, 10**9 + 5),
    ):
        assert list(journal_pages.records(kept, after, to)) == every[after:to]
    assert list(journal_pages.records_to(kept, 44)) == every[:44]


def test_the_span_of_a_session(kept: Path, tmp_path: Path) -> None:
    """From its first to its last event, and how much it is; nothing before the first."""
    every = list(read_events(kept))
    told = journal_pages.span(kept)
    assert told == Span(
        every[0].event.ts_recv_ms, every[-1].event.ts_recv_ms, len(every), len(list(read_outputs(kept)))
    )
    Journal(tmp_path / "empty.sqlite", {}).close()
    assert journal_pages.span(tmp_path / "empty.sqlite") == Span(0, 0, 0, 0)
    assert journal_pages.last_seq(tmp_path / "empty.sqlite") == 0
    assert journal_pages.seq_at(tmp_path / "empty.sqlite", 10**13) == 0


def test_every_decision_is_found_once_page_by_page(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Newest first, and no record's decisions are cut in two between two pages."""
    monkeypatch.setattr(journal_pages, "DECISIONS_SCANNED", 7)
    wanted = [(seq, place) for seq, place, kind, _ in read_outputs(kept) if kind == "Decision"]
    found: list[tuple[int, int]] = []
    before = None
    while True:
        page = journal_pages.decisions_before(kept, before)
        if not page:
            break
        found += [(one.seq, one.place) for one in page]
        before = page[-1].seq
    assert found == sorted(wanted, reverse=True)


def test_a_decision_is_found_where_it_was_written_late(tmp_path: Path) -> None:
    """In the block after its record's, as when the writer came between the two."""
    path = tmp_path / "s.sqlite"
    journal = Journal(path, {"session": "s"})
    late = Decision("slug", 1, 2, 0, 4, None, None, None, None)
    for seq in range(1, 4):
        journal.record(e.Record(seq, e.SecondPassed(ts_recv_ms=seq)))
        while journal.written_seq < seq or journal.lag_ms:
            pass
        for place in range(2):
            journal.record_output(seq, place, late)
    journal.close()
    assert [one[:2] for one in read_outputs(path)] == [(seq, place) for seq in (1, 2, 3) for place in (0, 1)]
    found = journal_pages.decision_at(path, 2, 1)
    assert found is not None
    assert encode_output(found) == encode_output(late)
    assert journal_pages.decision_at(path, 2, 2) is None
    assert journal_pages.decision_at(path, 9, 0) is None


def test_events_of_frequent_kinds_are_found_too(kept: Path) -> None:
    """They are in no index; whoever asks for them gets them all the same."""
    every = list(read_events(kept))
    for kinds in (("second_passed",), ("price_printed", "market_described"), ("kill_switch_changed",)):
        wanted = [one for one in every if one.event.__struct_config__.tag in kinds]
        assert wanted
        assert list(journal_pages.events_of(kept, kinds).records) == wanted
        middle = wanted[len(wanted) // 2].seq
        later = [one for one in wanted if one.seq > middle]
        assert list(journal_pages.events_of(kept, kinds, middle).records) == later


def test_a_writer_is_not_held_up_by_a_reader_that_stopped_in_the_middle(tmp_path: Path) -> None:
    """Between two chunks nothing is open: the log can be cut."""
    path = tmp_path / "s.sqlite"
    journal = Journal(path, {"session": "s"})
    for seq in range(1, 3_001):
        journal.record(e.Record(seq, e.SecondPassed(ts_recv_ms=seq)))
    while journal.written_seq < 3_000:
        pass
    reading = journal_pages.records(path, 0, 3_000)
    next(reading)
    busy = journal._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    assert busy == 0
    assert sum(1 for _ in reading) == 2_999
    journal.close()


def test_what_decided_is_what_the_core_said(kept: Path) -> None:
    """The decisions read back are the ones that were made."""
    outputs = decisions(
        keep_journal(kept.with_name("again.sqlite"), [one.event for one in read_events(kept)])
    )
    for seq, place, wanted in outputs[:: len(outputs) // 9]:
        assert journal_pages.decision_at(kept, seq, place) == wanted
