"""Files that are there whole or not at all, whoever else writes them."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from engine.run.market_rows import MarketRow, WindowTerms
from engine.run.markets_table import read_markets, write_markets
from engine.run.sweep.run import Kept
from engine.run.what_if.sources import read_progress, write_progress
from engine.run.whole_file import LEFT_S, write_whole
from engine.run.wide_csv import read_rows, write_rows
from engine.run.window_files import write_window

SLUG, AT_MS = "btc-updown-5m-1789999800", 1_789_999_800_000
TERMS = WindowTerms(SLUG, AT_MS // 1000, AT_MS // 1000 + 300)
ROWS = [MarketRow(AT_MS + number, AT_MS + number, SLUG) for number in range(40)]


def _window(folder: Path) -> None:
    write_window(folder, TERMS, ROWS)
    assert pq.read_metadata(folder / f"{SLUG}.parquet").num_rows == len(ROWS)


def _csv(folder: Path) -> None:
    write_rows(folder / "rows.csv", ROWS)
    assert len(list(read_rows(folder / "rows.csv"))) == len(ROWS)


def _markets(folder: Path) -> None:
    write_markets(folder / "markets.json", [TERMS])
    assert list(read_markets(folder / "markets.json")) == [SLUG]


def _progress(folder: Path) -> None:
    write_progress(folder / "progress", "reading")(1, 2)
    assert read_progress(folder / "progress") == ("reading", 1, 2)


def _chunk(folder: Path) -> None:
    Kept(folder, "f").keep(1, [])
    assert msgspec.json.decode((folder / "chunk-000001.json").read_bytes())["fingerprint"] == "f"


@pytest.mark.parametrize("write", [_window, _csv, _markets, _progress, _chunk])
def test_two_writers_at_once_do_not_break_each_other(tmp_path: Path, write: Callable[[Path], None]) -> None:
    """Two pages ask for the same session's windows; with one draft for both, either's was taken away."""
    errors: list[Exception] = []
    begin = threading.Barrier(2)

    def many() -> None:
        begin.wait()
        try:
            for _ in range(20):
                write(tmp_path)
        except (OSError, ValueError, AssertionError) as error:
            errors.append(error)

    writers = [threading.Thread(target=many) for _ in range(2)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert errors == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_writer_that_fails_leaves_what_was_there_and_no_draft(tmp_path: Path) -> None:
    """Half a file would be read as a whole one."""
    write_whole(tmp_path / "x", b"before")

    def rows() -> Iterator[MarketRow]:
        yield ROWS[0]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_rows(tmp_path / "x", rows())
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"before"


def test_what_dead_writers_left_is_swept_and_what_the_living_write_is_not(tmp_path: Path) -> None:
    """A process that was killed in the midst; and one, here or in another container, that is at work."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, young = tmp_path / f".x.{dead.pid}.0a.part", tmp_path / f".x.{dead.pid}.0b.part"
    alive, other = tmp_path / f".x.{os.getpid()}.0c.part", tmp_path / f".xy.{dead.pid}.0d.part"
    huge, odd = tmp_path / f".x.{10**30}.0e.part", tmp_path / ".x.y.0f.part"
    old_s = time.time() - LEFT_S - 5
    for path in (left, young, alive, other, huge, odd):
        path.write_bytes(b"half")
        if path is not young:
            os.utime(path, (old_s, old_s))
    write_whole(tmp_path / "x", b"whole")
    assert {path for path in (left, young, alive, other, huge, odd) if path.exists()} == {
        young,
        alive,
        other,
        odd,
    }


def test_a_folder_that_is_not_there_is_told_by_the_writer(tmp_path: Path) -> None:
    """The sweep before it must not hide that, nor fail in words of its own."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_whole(tmp_path / "nowhere" / "x", b"")
