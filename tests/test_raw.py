"""The raw recorder: verbatim, within its budget, readable after a crash, loud when it cannot."""

import logging
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import raw as raw_module
from engine.errors import JournalError
from engine.raw import RawFrame, RawRecorder, keep_to_budget, raw_segments, read_raw


def frame(number: int, text: str | bytes = "{}", feed: str = "clob") -> RawFrame:
    return RawFrame(1_790_000_000_000_000_000 + number, number, 1_790_000_000_000, feed, 1, number, text)


def incompressible(number: int, size: int = 20_000) -> RawFrame:
    return frame(number, os.urandom(size))


@pytest.fixture(autouse=True)
def commits_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of a second for each of a hundred commits would be a long test."""
    monkeypatch.setattr(raw_module, "COMMIT_S", 0.002)


def committed(recorder: RawRecorder) -> None:
    """Return once all is written: each frame a row of its own, where one row would do for all."""
    while recorder.lag_ms:
        time.sleep(0.0005)


def recorded(path: Path, frames: list[RawFrame], segment_mb: float = 64.0) -> RawRecorder:
    recorder = RawRecorder(path, budget_mb=2_000, segment_mb=segment_mb)
    for one in frames:
        recorder.record(one)
    recorder.close()
    return recorder


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # it sets one constant, for all examples
@given(st.lists(st.one_of(st.text(max_size=40), st.binary(max_size=40)), max_size=20))
def test_frames_are_read_back_as_they_came(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str | bytes]
):
    """Text and bytes, empty and not, whatever they hold: a frame that broke a parser must not be changed."""
    path = tmp_path_factory.mktemp("raw") / "s.sqlite"
    frames = [frame(number, text) for number, text in enumerate(texts)]
    recorder = recorded(path, frames)
    assert list(read_raw(path.with_name("s.raw-0001.sqlite"))) == frames
    assert recorder.frames.total() == len(frames)
    assert recorder.take_losses() == {}


def test_a_segment_that_is_full_is_followed_by_another(tmp_path: Path):
    """Reading goes over all of them, in order; each can also be read alone, and says how it ended."""
    path = tmp_path / "s.sqlite"
    recorder = RawRecorder(path, budget_mb=2_000, segment_mb=0.1)
    frames = []
    for number in range(30):
        frames.append(incompressible(number))
        recorder.record(frames[-1])
        committed(recorder)  # each is committed by itself, or all would be one row
    recorder.close()
    segments = raw_segments(path)
    assert len(segments) == recorder.segments >= 5
    assert [segment.name for segment in segments[:2]] == ["s.raw-0001.sqlite", "s.raw-0002.sqlite"]
    assert list(read_raw(path)) == frames
    assert next(read_raw(segments[1])) in frames[5:8]
    statuses = [
        sqlite3.connect(segment).execute("SELECT value FROM meta WHERE key = 'status'").fetchone()[0]
        for segment in segments
    ]
    assert statuses == ["continued"] * (len(segments) - 1) + ["ended"]


def test_the_budget_takes_the_oldest_segments_and_no_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """Oldest session first, within it the lowest number; each deletion is logged; journals stay for ever."""
    for session in ("20260101T000000Z-b", "20260102T000000Z-a"):
        (tmp_path / f"{session}.sqlite").write_bytes(b"x" * 5_000)
        for number in (1, 2, 10):
            (tmp_path / f"{session}.raw-{number:04}.sqlite").write_bytes(b"x" * 1_000)
    (tmp_path / "20260101T000000Z-b.raw-0001.sqlite-wal").write_bytes(b"x" * 500)
    (tmp_path / "mine.raw-notes.sqlite").write_bytes(b"x" * 9_000)
    with caplog.at_level(logging.WARNING, "engine.raw"):
        deleted = keep_to_budget(tmp_path, 2_000)
    assert [path.name for path in deleted] == [
        "20260101T000000Z-b.raw-0001.sqlite",
        "20260101T000000Z-b.raw-0002.sqlite",
        "20260101T000000Z-b.raw-0010.sqlite",
        "20260102T000000Z-a.raw-0001.sqlite",
    ]
    assert sum("raw segment deleted" in message for message in caplog.messages) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "20260101T000000Z-b.sqlite",
        "20260102T000000Z-a.raw-0002.sqlite",
        "20260102T000000Z-a.raw-0010.sqlite",
        "20260102T000000Z-a.sqlite",
        "mine.raw-notes.sqlite",
    ]
    assert keep_to_budget(tmp_path, 2_000) == []


def test_a_running_session_gives_its_own_oldest_but_never_its_newest(tmp_path: Path):
    """A session larger than the whole budget keeps its end, and what is left can be read."""
    path = tmp_path / "s.sqlite"
    path.write_bytes(b"the journal")
    recorder = RawRecorder(path, budget_mb=0.8, segment_mb=64)
    last = frame(0)
    for number in range(1, 101):
        last = incompressible(number)
        recorder.record(last)
        committed(recorder)
        sizes = [part.stat().st_size for part in tmp_path.glob("s.raw-*.sqlite")]
        assert sum(sizes) < 900_000
    recorder.close()
    assert recorder.error is None
    assert recorder.segments > 5
    segments = raw_segments(path)
    assert segments[-1].name == f"s.raw-{recorder.segments:04}.sqlite"
    assert segments[0].name != "s.raw-0001.sqlite"
    kept = list(read_raw(path))
    assert kept[-1] == last
    assert [one.seq for one in kept] == list(range(kept[0].seq, 101))
    assert path.read_bytes() == b"the journal"


CRASH = """
    import os, random, signal, time
    from pathlib import Path
    from engine import raw
    raw.COMMIT_S = 0.002
    recorder = raw.RawRecorder(Path({path!r}), 2_000)
    source = random.Random(1)
    for number in range(400):
        recorder.record(raw.RawFrame(1, number, 3, "clob", 1, number, source.randbytes(100)))
        while number in {commits} and recorder.lag_ms:
            time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def crashed(path: Path, commits: set[int]) -> None:
    """Record 400 frames in another process, waiting for the commit after some, and kill it."""
    script = textwrap.dedent(CRASH.format(path=str(path), commits=commits))
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)


def test_after_a_crash_everything_up_to_the_last_commit_is_there(tmp_path: Path):
    """SIGKILL with frames under way: those before the commit are whole, nothing else is made up."""
    path = tmp_path / "s.sqlite"
    crashed(path, {299})
    numbers = [one.seq for one in read_raw(path)]
    assert numbers[:300] == list(range(300))
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("lost_bytes", [1, 100, 5_000])
def test_a_torn_last_commit_costs_only_itself(tmp_path: Path, lost_bytes: int):
    """Power fails while the log is written: SQLite drops the torn commit, the stream before it opens."""
    path = tmp_path / "s.sqlite"
    crashed(path, {99, 199, 299, 399})
    assert len(list(read_raw(path))) == 400
    (tmp_path / "s.raw-0001.sqlite-shm").unlink(missing_ok=True)
    log = tmp_path / "s.raw-0001.sqlite-wal"
    os.truncate(log, log.stat().st_size - lost_bytes)
    numbers = [one.seq for one in read_raw(path)]
    assert numbers == list(range(len(numbers)))
    assert 300 <= len(numbers) < 400


def test_a_disk_that_fills_up_is_told_and_every_frame_from_then_on_is_counted(tmp_path: Path):
    """The engine goes on: record neither waits nor raises, and the losses are all that is not on the disk."""
    path = tmp_path / "s.sqlite"
    recorder = RawRecorder(path, budget_mb=2_000)
    recorder._database.execute("PRAGMA max_page_count = 40")  # the smallest disk SQLite can be given
    for number in range(40):
        recorder.record(incompressible(number))
        committed(recorder)
    for number in range(40, 45):
        recorder.record(frame(number, feed="rtds"))
    assert recorder.error is not None
    assert "full" in recorder.error
    assert "DATA_DIR" in recorder.error
    recorder.close()
    losses = recorder.take_losses()
    assert losses["rtds"] == 5
    kept = list(read_raw(path))
    assert len(kept) + losses["clob"] == 40
    assert 0 < len(kept) < 40
    assert recorder.take_losses() == {}


def test_frames_beyond_the_queues_bound_are_counted_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Memory stays bounded beside a disk that stands still; what was taken over before is still written."""
    monkeypatch.setattr(raw_module, "QUEUE_MB", 1.0)
    path = tmp_path / "s.sqlite"
    recorder = RawRecorder(path, budget_mb=2_000)
    blocker = sqlite3.connect(path.with_name("s.raw-0001.sqlite"), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")  # the disk that stands still: SQLite waits for it up to 5 s
    for number in range(200):
        recorder.record(frame(number, "x" * 50_000))
        if number == 0:
            while recorder._queue._waiting:
                time.sleep(0.001)
    assert recorder.waiting_mb <= 1.0
    blocker.execute("ROLLBACK")
    recorder.close()
    assert recorder.error is None
    lost = recorder.take_losses()["clob"]
    assert lost > 100
    assert len(list(read_raw(path))) == 200 - lost


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    """One line: where, why, what to do."""
    (tmp_path / "sessions").write_text("a file, not a folder")
    with pytest.raises(JournalError, match=r"raw frames.*sessions.*DATA_DIR"):
        RawRecorder(tmp_path / "sessions" / "s.sqlite", 2_000)


def test_what_is_no_recording_is_named(tmp_path: Path):
    """A missing session, a missing segment, something else under its name, a damaged row."""
    with pytest.raises(JournalError, match="no session at"):
        list(read_raw(tmp_path / "s.sqlite"))
    with pytest.raises(JournalError, match="no raw segment at"):
        list(read_raw(tmp_path / "s.raw-0001.sqlite"))
    (tmp_path / "s.raw-0001.sqlite").write_text("hello " * 500)
    with pytest.raises(JournalError, match=r"s\.raw-0001\.sqlite is not a raw segment"):
        list(read_raw(tmp_path / "s.sqlite"))
    path = tmp_path / "d.sqlite"
    recorded(path, [frame(1)])
    database = sqlite3.connect(path.with_name("d.raw-0001.sqlite"), isolation_level=None)
    database.execute("UPDATE block SET body = x'00ff00ff'")
    database.close()
    with pytest.raises(JournalError, match="is not a raw segment"):
        list(read_raw(path))


def test_a_session_without_raw_frames_has_none(tmp_path: Path):
    """RECORD_RAW=false, or the budget took them: no error."""
    (tmp_path / "s.sqlite").write_bytes(b"a journal")
    recorded(tmp_path / "other.sqlite", [frame(1)])
    assert list(read_raw(tmp_path / "s.sqlite")) == []


def test_only_its_owner_may_read_a_segment(tmp_path: Path):
    """Frames of the account channel name the account."""
    recorded(tmp_path / "s.sqlite", [frame(1)])
    assert (tmp_path / "s.raw-0001.sqlite").stat().st_mode & 0o077 == 0
