"""The proof: it holds for what the engine recorded, and for nothing else; and it says where it stopped."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import events as e
from engine.core import assess
from engine.core.decide import Decision
from engine.errors import JournalError
from engine.journal import Journal, read_events
from engine.run.sessions.kept import last_verdict
from engine.run.verify.command import prove, render
from engine.run.verify.proof import Verdict, verify
from tests.books import decisions, keep_journal, traded
from tests.journal_edits import block_of, chain_again, edit_event, run_sql


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session that bought something, in several blocks."""
    path = tmp_path_factory.mktemp("kept") / "s.sqlite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.journal.GROUP_LIMIT", 150)
        keep_journal(path, [record.event for record in traded().records])
    return path


@pytest.fixture
def session(kept: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoiled."""
    return Path(shutil.copy(kept, tmp_path / "s.sqlite"))


def later(fields: dict[str, Any]) -> None:
    fields["ts_recv_ms"] += 1


def test_what_the_engine_recorded_is_proved(session: Path) -> None:
    """Every decision again, byte for byte, under an unbroken chain, and the digest is the same each time."""
    verdict = verify(session)
    assert verdict.holds
    assert verdict.decisions == verdict.same > 100
    assert verdict.events == len(list(read_events(session)))
    assert verdict.first_divergence is None
    assert verdict.raw == "no raw frames"
    assert verify(session).digest == verdict.digest
    assert f"identical {verdict.same:,}/{verdict.decisions:,}" in render(verdict)


def test_chance_in_the_core_is_found(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very thing a proof is for: a core that is not a function of its events."""
    import random

    true = assess.decide_on

    def moody(state: Any, market: Any) -> Decision:
        decision = true(state, market)
        return decision if random.random() < 0.5 else type(decision)(*[*_fields(decision)[:-1], 0.5])

    monkeypatch.setattr(assess, "decide_on", moody)
    verdict = verify(session)
    assert not verdict.identical
    assert 0 < verdict.same < verdict.decisions
    assert verdict.first_divergence is not None


def _fields(decision: Decision) -> list[Any]:
    return [getattr(decision, name) for name in decision.__struct_fields__]


def test_another_decision_is_shown_beside_the_recorded_one(tmp_path: Path) -> None:
    """Both sides, and the gates that today's core sees at that record."""
    events = [record.event for record in traded().records]
    seq, place, true = decisions(keep_journal(tmp_path / "true.sqlite", events))[40]
    odd = Decision(true.slug, true.seq, true.at_ms, 0, 1 << 29, 9.75, None, None, None)
    path = tmp_path / "s.sqlite"
    keep_journal(path, events, {(seq, place): odd})
    verdict = verify(path)
    assert not verdict.identical
    assert verdict.chain == "whole", "nothing was altered: the core decides otherwise"
    assert verdict.same == verdict.decisions - 1
    first = verdict.first_divergence
    assert first is not None
    assert (first.seq, first.place) == (seq, place)
    assert first.recorded is not None
    assert first.replayed is not None
    assert (first.recorded.fields["z"], first.replayed.fields["z"]) == (9.75, true.z)
    assert first.replayed.gates
    words = render(verdict)
    assert "9.75" in words
    assert "gate kill switch" in words


def test_a_decision_that_was_never_recorded_is_a_difference(tmp_path: Path) -> None:
    """An engine that forgot to record one must not pass for want of something to compare."""
    events = [record.event for record in traded().records]
    path = tmp_path / "s.sqlite"
    outputs = keep_journal(path, events, left_out=7)
    verdict = verify(path)
    assert (verdict.same, verdict.identical) == (len(outputs) - 1, False)
    assert verdict.first_divergence is not None
    assert (verdict.first_divergence.seq, verdict.first_divergence.recorded) == (outputs[7][0], None)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True))
def test_the_record_that_was_edited_is_named(kept: Path, tmp_path: Path, place: float) -> None:
    """Whichever it is: first, last or in the middle of a block."""
    path = Path(shutil.copy(kept, tmp_path / "s.sqlite"))
    seq = 1 + int(place * len(list(read_events(path))))
    edit_event(path, seq, later)
    verdict = verify(path)
    assert verdict.chain == f"record {seq:,} was altered"
    assert not verdict.holds


def test_rotten_bytes_are_named_as_far_as_they_can_be_read(session: Path) -> None:
    """A disk flips a bit in the middle of what zlib wrote."""
    block = block_of(session, 400)
    body = bytearray(block.body)
    body[len(body) // 2] ^= 0xFF
    run_sql(session, "UPDATE block SET body = ? WHERE number = ?", bytes(body), block.number)
    words = verify(session).chain
    assert words.startswith("record ")
    named = int(words.split()[1].replace(",", ""))
    assert block.first_seq <= named <= block.last_seq


def test_a_forger_who_computes_the_chain_again_is_found_by_the_decisions(session: Path) -> None:
    """The chain is no signature; that the events give the recorded decisions is the stronger proof."""
    events = list(read_events(session))
    printed = [one.seq for one in events if isinstance(one.event, e.PricePrinted)][-5]
    edit_event(session, printed, lambda fields: fields.update(value="1.5"))
    chain_again(session)
    verdict = verify(session)
    assert verdict.chain == "whole"
    assert not verdict.identical


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("DELETE FROM block WHERE number = 3", "are missing"),
        ("DELETE FROM block WHERE number = (SELECT max(number) FROM block)", "the session says"),
        ("UPDATE block SET kinds = '' WHERE number = 1", "not the one that was written"),
        ("UPDATE block SET last_ms = last_ms + 1 WHERE number = 2", "not the one that was written"),
        ("UPDATE meta SET value = 'other' WHERE key = 'session'", "not the one that was written"),
    ],
)
def test_what_else_was_changed_is_said(session: Path, spoil: str, said: str) -> None:
    """Rows that are gone, and columns that only an index reads."""
    run_sql(session, spoil)
    verdict = verify(session)
    assert said in verdict.chain
    assert not verdict.holds


def test_two_blocks_that_changed_places_are_found(session: Path) -> None:
    """Each is what was written; the order is not."""
    with sqlite3.connect(session) as database:
        for number, other in ((2, -1), (3, 2), (-1, 3)):
            database.execute("UPDATE block SET number = ? WHERE number = ?", (other, number))
    assert not verify(session).holds


def test_a_torn_file_is_proved_up_to_the_tear(session: Path) -> None:
    """A copy that broke off: what is there opens, and nobody takes it for the whole."""
    whole, size = verify(session), session.stat().st_size
    with session.open("r+b") as file:
        file.truncate(size * 3 // 4)
    verdict = verify(session)
    assert "record" in verdict.chain, "it says up to where"
    assert 0 < verdict.events < whole.events
    assert verdict.same == verdict.decisions > 0
    assert not verdict.holds


def test_a_session_without_its_last_group_is_proved_up_to_there(tmp_path: Path) -> None:
    """SIGKILL between a record's commit and its decision's: the tail is no difference, a hole would be."""
    events = [record.event for record in traded().records]
    true = tmp_path / "true.sqlite"
    outputs = keep_journal(true, events)
    last_seq = outputs[-1][0]
    journal = Journal(tmp_path / "s.sqlite", {"session": "s"})
    for record in read_events(true):
        if record.seq <= last_seq:
            journal.record(record)
    for seq, place, output in outputs:
        if seq < last_seq:
            journal.record_output(seq, place, output)
    journal.close("running")
    run_sql(journal.path, "DELETE FROM meta WHERE key IN ('chain', 'last_seq')")
    verdict = verify(journal.path)
    assert verdict.holds, verdict
    run_sql(journal.path, "UPDATE meta SET value = 'ended' WHERE key = 'status'")
    assert not verify(journal.path).identical, "a session that ended lost nothing"


def test_a_session_of_another_format_names_the_version(tmp_path: Path) -> None:
    """One sentence, for every reader: this one is of the first release."""
    path = tmp_path / "s.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT); INSERT INTO meta VALUES ('schema', '1');"
            "CREATE TABLE event (seq INTEGER PRIMARY KEY, ts_recv_ms INTEGER, kind TEXT, body BLOB)"
        )
    with pytest.raises(JournalError, match=r"s\.sqlite was recorded in format 1; version 0\.1\.0 reads it"):
        verify(path)
    run_sql(path, "UPDATE meta SET value = '7' WHERE key = 'schema'")
    run_sql(path, "INSERT INTO meta VALUES ('version', '3.2.1')")
    with pytest.raises(JournalError, match=r"format 7; version 3\.2\.1 reads it"):
        list(read_events(path))


def test_the_core_may_fail_on_events_that_no_engine_recorded(tmp_path: Path) -> None:
    """A forged session ends in a sentence, not in a traceback."""
    journal = Journal(tmp_path / "s.sqlite", {"session": "s"})
    journal.record(
        e.Record(
            1,
            e.SessionOpened(
                ts_recv_ms=1,
                session="s",
                venue="practice",
                dry_run=True,
                profile="paper",
                params={"nonsense": 1.0},
                limits={},
                killed=False,
            ),
        )
    )
    journal.close()
    verdict = verify(journal.path)
    assert not verdict.identical
    assert verdict.first_divergence is not None
    assert "cannot take record 1 in" in verdict.first_divergence.note


def test_the_verdict_is_kept_beside_the_session(tmp_path: Path) -> None:
    """The console's badge reads it; the journal itself may be being written."""
    path = tmp_path / "sessions" / "s.sqlite"
    keep_journal(path, [record.event for record in traded().records])
    before = path.read_bytes()
    assert last_verdict(tmp_path) is None
    verdict = prove(tmp_path, path)
    assert last_verdict(tmp_path) == verdict
    assert isinstance(verdict, Verdict)
    assert path.read_bytes() == before
