"""Settlement truth of the last day, from journals: the core's own verdicts, counted once a window."""

import shutil
from pathlib import Path

import pytest

from engine import events as e
from engine.contract import Outcome
from engine.core.state import State
from engine.core.step import step
from engine.core.truth import verdict_of
from engine.journal import Journal, read_events
from engine.run import truth_of_day
from engine.run.truth_of_day import CACHE_NAME, DAY_MS, judged_windows, sessions_of, truth_of_last_day
from tests.core.builders import END_S, Core
from tests.core.test_truth import serve, window
from tests.whole.processes import last_json, run_command

NOW_MS = (END_S + 600) * 1000
SITE = {"rtds": "wss://rtds.example"}


def keep(folder: Path, core: Core, name: str = "one", status: str = "ended", **meta: str) -> Path:
    """Write what a core was told into a session's journal, as a run does."""
    path = folder / "sessions" / f"{name}.sqlite"
    journal, state = Journal(path, SITE | meta), State()
    for record in core.records:
        journal.record(record)
        for place, effect in enumerate(step(state, record)):
            journal.record_output(record.seq, place, effect)
    journal.close(status)
    return path


def played(strike: str | None, final: str | None, served: tuple[Outcome, str, str] | None) -> Core:
    core = Core()
    window(core, strike, final)
    if served is not None:
        serve(core, *served)
    return core


AGREES = ("70000.25", "70000.75", ("UP", "70000.25", "70000.75"))
DRIFTS = ("70000.25", "70000.75", ("DOWN", "70000.25", "69999.75"))
WAITS = ("70000.25", "70000.75", None)
ESTIMATES = ("70000.25", None, ("UP", "70000.25", "70000.50"))


@pytest.mark.parametrize(
    ("told", "counted"), [(AGREES, (1, 1)), (DRIFTS, (0, 1)), (WAITS, (0, 0)), (ESTIMATES, (1, 1))]
)
def test_a_window_counts_once_both_sides_are_known(
    tmp_path: Path, told: tuple[str, str | None, tuple[Outcome, str, str] | None], counted: tuple[int, int]
) -> None:
    """What the venue has not told proves nothing; a drift counts against us."""
    keep(tmp_path, played(*told))
    assert truth_of_last_day(tmp_path, NOW_MS) == counted


def test_the_same_window_in_two_sessions_counts_once_and_a_difference_wins(tmp_path: Path) -> None:
    """Recorder and engine beside each other saw one window, not two."""
    keep(tmp_path, played(*AGREES), "one")
    keep(tmp_path, played(*AGREES), "two")
    assert truth_of_last_day(tmp_path, NOW_MS) == (1, 1)
    keep(tmp_path, played(*DRIFTS), "three")
    keep(tmp_path, played(*AGREES), "zfour")
    assert truth_of_last_day(tmp_path, NOW_MS) == (0, 1)


def test_what_is_older_than_a_day_counts_no_more(tmp_path: Path) -> None:
    """The rule may have changed since."""
    keep(tmp_path, played(*AGREES))
    assert truth_of_last_day(tmp_path, END_S * 1000 + DAY_MS - 1) == (1, 1)
    assert truth_of_last_day(tmp_path, END_S * 1000 + DAY_MS) == (0, 0)


def test_another_venues_truth_is_no_proof_of_this_ones(tmp_path: Path) -> None:
    """Practice settles by its own prices, of course it agrees."""
    keep(tmp_path, played(*AGREES))
    assert truth_of_last_day(tmp_path, NOW_MS, "wss://rtds.example") == (1, 1)
    assert truth_of_last_day(tmp_path, NOW_MS, "wss://other.example") == (0, 0)


def test_what_cannot_be_read_counts_for_nothing(tmp_path: Path) -> None:
    """A torn file, a file of something else, raw frames, no folder at all."""
    assert truth_of_last_day(tmp_path, NOW_MS) == (0, 0)
    path = keep(tmp_path, played(*AGREES))
    path.with_name("odd.sqlite").write_bytes(b"no database")
    path.with_name("one.raw-0001.sqlite").write_bytes(b"frames")
    path.with_name("empty.sqlite").touch()
    assert truth_of_last_day(tmp_path, NOW_MS) == (1, 1)
    assert [kept.name for kept in sessions_of(tmp_path)] == ["one.sqlite", "odd.sqlite", "empty.sqlite"]


def test_a_finished_session_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arming must not read gigabytes each time; one that still runs is read anew."""
    read: list[str] = []

    def counted(path: Path) -> dict[str, truth_of_day.Judged]:
        read.append(path.stem)
        return judged_windows(path)

    monkeypatch.setattr(truth_of_day, "judged_windows", counted)
    keep(tmp_path, played(*AGREES), "done")
    keep(tmp_path, played(*WAITS), "cut off", status="running")
    for _ in range(3):
        assert truth_of_last_day(tmp_path, NOW_MS) == (1, 1)
    assert sorted(read) == ["cut off", "cut off", "cut off", "done"]
    for spoiled in (b"", b"[]", b'{"done.sqlite": 1}', b"\xff"):
        (tmp_path / CACHE_NAME).write_bytes(spoiled)
        assert truth_of_last_day(tmp_path, NOW_MS) == (1, 1)
    shutil.rmtree(tmp_path / "sessions")
    assert truth_of_last_day(tmp_path, NOW_MS) == (0, 0), "what is gone is not remembered"


@pytest.mark.campaign
@pytest.mark.whole
def test_leaving_the_books_out_changes_no_verdict(tmp_path: Path) -> None:
    """A real run over sockets: the same verdicts with and without books, and as the run itself said."""
    ran = run_command("run", "--seconds", "18", cwd=tmp_path, PRACTICE_SPEED="40", LOG_LEVEL="error")
    assert ran.returncode == 0, ran.stderr
    result = last_json(ran.stdout)
    journal = tmp_path / result["session"]
    state, whole = State(), {}
    for record in read_events(journal):
        event = record.event
        market = state.markets.get(event.slug) if isinstance(event, e.OutcomeServed) else None
        step(state, record)
        if market is not None:
            whole[market.contract.slug] = verdict_of(market)
    judged = {slug: window.verdict for slug, window in judged_windows(journal).items()}
    assert judged == whole
    assert judged
    said = {window["slug"]: window["verdict"] for window in result["windows"]}
    assert judged == {slug: said[slug] for slug in judged}
