"""Market data turned into journals: whole or not at all, and anew by other code."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine
from engine import events as e
from engine.errors import JournalError
from engine.journal import Journal, read_events
from engine.run.replay import importing
from engine.run.replay import index as replay_index
from engine.run.replay.importing import journal_of_file


def seconds(path: Path) -> Iterator[e.Record]:
    for seq in range(1, int(path.read_text()) + 1):
        yield e.Record(seq, e.SecondPassed(ts_recv_ms=seq * 1_000))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "day.csv"
    path.write_text("300")
    return path


def kept(data: Path) -> list[str]:
    return [path.name for path in (data / "replay").glob("*")]


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("failing", ["_commit", "_end"])
def test_a_journal_whose_last_group_could_not_be_written_is_not_kept(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """The disk was full at its end: half a day was played from then on, as if it were the whole."""
    with monkeypatch.context() as patch:
        patch.setattr(Journal, failing, full)
        with pytest.raises(JournalError, match="No space left"):
            journal_of_file(tmp_path, source, seconds)
    assert kept(tmp_path) == []
    journal = journal_of_file(tmp_path, source, seconds)
    assert len(list(read_events(journal))) == 300
    assert kept(tmp_path) == [journal.name]
    assert journal_of_file(tmp_path, source, seconds) == journal


@pytest.fixture
def engine_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The engine's files where they can be changed."""
    folder = tmp_path / "copy" / "engine"
    shutil.copytree(Path(engine.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(engine, "__file__", str(folder / "__init__.py"))
    yield folder
    monkeypatch.undo()
    replay_index.digest_of_code.cache_clear()


@pytest.mark.parametrize(
    "changed",
    [
        "core/step.py",
        "run/recordings.py",
        "run/wide_csv.py",
        "run/row_records.py",
        "run/market_rows.py",
        "run/markets_table.py",
        "practice/recorded.py",
        "practice/recording.py",
        "practice/recording_events.py",
        "practice/recording_seconds.py",
        "practice/tape.py",
        "practice/manifest.py",
        "practice/manifests/twap-30-from-2026-08-07.json",
    ],
)
def test_a_file_is_turned_anew_by_another_reader(
    source: Path, tmp_path: Path, engine_copy: Path, changed: str
) -> None:
    """A reader that was mended left the old events in place."""
    replay_index.digest_of_code.cache_clear()
    before = journal_of_file(tmp_path, source, seconds)
    with (engine_copy / changed).open("a") as file:
        file.write("\n")
    replay_index.digest_of_code.cache_clear()
    assert journal_of_file(tmp_path, source, seconds) != before


def test_a_file_is_turned_anew_for_another_format_of_journals(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one could not be read any more."""
    before = journal_of_file(tmp_path, source, seconds)
    monkeypatch.setattr(importing, "SCHEMA_VERSION", importing.SCHEMA_VERSION + 1)
    assert journal_of_file(tmp_path, source, seconds) != before
