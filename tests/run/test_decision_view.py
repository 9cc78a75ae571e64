"""Decisions, searched in a journal and explained by replay: what was, not what would be."""

from pathlib import Path

import pytest

from engine.core import explain as explaining
from engine.core.decide import Decision
from engine.core.state import State
from engine.core.step import Effect, step
from engine.core.trading import OrderIntent
from engine.errors import JournalError
from engine.run import decision_view, journal_pages
from engine.run.decision_view import Asked, explain, search
from tests.books import decisions, keep_journal, traded

Outputs = list[tuple[int, int, Effect]]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outputs]:
    path = tmp_path_factory.mktemp("journal") / "odd name #1?.sqlite"
    return path, keep_journal(path, [record.event for record in traded().records])


def test_page_after_page_holds_every_decision_once(
    session: tuple[Path, Outputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No decision may fall between two pages, though one record may lead to several."""
    path, outputs = session
    monkeypatch.setattr(decision_view, "SHOWN_MOST", 7)
    seen: list[tuple[int, int]] = []
    before: int | None = None
    while True:
        found = search(path, Asked(before_seq=before))
        seen += [(row.seq, row.place) for row in found.rows]
        before = found.before_seq
        if before is None:
            break
    assert seen == [(seq, place) for seq, place, _ in reversed(decisions(outputs))]


@pytest.mark.parametrize("reason", ["book", "trade", "kill switch"])
def test_a_search_finds_what_it_asks_for_and_all_of_it(session: tuple[Path, Outputs], reason: str) -> None:
    """A search that leaves some out proves that nothing happened, wrongly."""
    path, outputs = session
    wanted = [(seq, one.at_ms) for seq, _, one in decisions(outputs) if one.reason == reason]
    assert wanted
    seen: list[tuple[int, int]] = []
    before: int | None = None
    while True:
        found = search(path, Asked(slug="5M", reason=reason, before_seq=before))
        seen += [(row.seq, row.at_ms) for row in found.rows]
        before = found.before_seq
        if before is None:
            break
    assert seen[::-1] == wanted
    one = wanted[len(wanted) // 2]
    near = search(path, Asked(reason=reason, from_ms=one[1], to_ms=one[1]))
    assert {row.at_ms for row in near.rows} == {one[1]}
    assert not search(path, Asked(slug="nothing-like-it")).rows


def test_only_trades_are_the_decisions_that_an_order_followed(session: tuple[Path, Outputs]) -> None:
    """Found by the order, however far back it is."""
    path, outputs = session
    (intent,) = [one for _, _, one in outputs if isinstance(one, OrderIntent)]
    (row,) = search(path, Asked(only_trades=True)).rows
    assert (row.slug, row.seq, row.reason) == (intent.slug, intent.decided_seq, "trade")
    assert row.action == f"buy {intent.outcome.title()}"


def test_the_gates_of_a_decision_are_those_of_its_moment(session: tuple[Path, Outputs]) -> None:
    """What the state says now is another question; each is compared with a core stopped at that record."""
    path, outputs = session
    all_of_them = decisions(outputs)
    for seq, place, decision in (all_of_them[10], all_of_them[len(all_of_them) // 2], all_of_them[-1]):
        state = State()
        for record in journal_pages.records_to(path, 10**9):
            step(state, record)
            if record.seq == seq:
                break
        told = explain(path, seq, place)
        assert told.decision is not None
        assert list(told.gates) == explaining.gate_rows(state, state.markets[decision.slug])
        assert {row.name for row in told.gates if not row.passed} >= set(told.decision.refused)


def test_a_journal_too_long_says_so_and_keeps_the_decision(
    session: tuple[Path, Outputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seconds of replay are bearable beside an engine, minutes are not."""
    path, outputs = session
    seq, place, decision = decisions(outputs)[-1]
    monkeypatch.setattr(decision_view, "REPLAY_MOST", seq - 1)
    told = explain(path, seq, place)
    assert told.gates == ()
    assert "too long" in told.note
    assert told.decision is not None
    assert told.decision.reason == decision.reason


def test_a_replay_that_comes_out_differently_shows_no_gates(tmp_path: Path) -> None:
    """Gates of another decision would be a lie with a table round it."""
    events = [record.event for record in traded().records]
    path = tmp_path / "s.sqlite"
    seq, place, decision = decisions(keep_journal(tmp_path / "true.sqlite", events))[-1]
    odd = Decision(decision.slug, decision.seq, decision.at_ms, 0, 1 << 29, None, None, None, None)
    keep_journal(path, events, {(seq, place): odd})
    told = explain(path, seq, place)
    assert told.gates == ()
    assert "verify" in told.note


@pytest.mark.parametrize("content", [None, b"", b"not a database at all, really" * 50])
def test_a_file_that_is_no_journal_is_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    """A page is no place for a traceback."""
    path = tmp_path / "s.sqlite"
    if content is not None:
        path.write_bytes(content)
    assert search(path, Asked()).problem
    assert explain(path, 1, 0).note
    with pytest.raises(JournalError):
        journal_pages.last_seq(path)


def test_a_place_without_a_decision_is_said_to_be_one(session: tuple[Path, Outputs]) -> None:
    """Deep links are typed by hand too."""
    assert explain(session[0], 10**14, 3).decision is None


def test_the_number_at_a_time_is_the_last_event_before_it(session: tuple[Path, Outputs]) -> None:
    """Halving must find what a scan finds."""
    path = session[0]
    # Events arrive out of order by some milliseconds in the builder's story; whole minutes are not.
    records = list(journal_pages.records_to(path, 10**9))
    first, last = records[0].event.ts_recv_ms, records[-1].event.ts_recv_ms
    assert journal_pages.seq_at(path, first - 1) == 0
    assert journal_pages.seq_at(path, last + 1) == records[-1].seq
    middle = (first + last) // 2
    found = journal_pages.seq_at(path, middle)
    assert abs(records[found - 1].event.ts_recv_ms - middle) < 5_000
