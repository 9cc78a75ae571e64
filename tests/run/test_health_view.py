"""What the page says of the machine: sizes are those of the files that a figure is named after."""

from pathlib import Path

import pytest

from engine.run.health_view import measure


def test_the_journal_is_its_file_and_its_log_and_nothing_that_is_named_alike(tmp_path: Path) -> None:
    """An index, an export or another session of a longer name would read as a journal that grows."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    for name, size in SIZES.items():
        (folder / name).write_bytes(b"x" * size)
    now = measure(tmp_path, "a")
    assert now.journal_mb == pytest.approx(0.000_111)
    assert (now.raw_mb, now.raw_segments) == (pytest.approx(0.003), 1)
    assert now.data_mb == pytest.approx(sum(SIZES.values()) / 1e6)
    assert measure(tmp_path, "").journal_mb is None
    assert measure(tmp_path, "none").journal_mb is None


SIZES = {
    "a.sqlite": 1, "a.sqlite-wal": 10, "a.sqlite-shm": 100,
    "a.raw-0001.sqlite": 1_000, "a.raw-0001.sqlite-wal": 2_000,
    "a.replay.sqlite": 10_000, "a.csv": 20_000, "a.markets.json": 30_000, "a.note.json": 40_000,
    "ab.sqlite": 50_000, "ab.raw-0001.sqlite": 60_000,
}  # fmt: skip
"""Bytes by file, so that a sum tells what was added up."""
