"""Falling behind is told before anything is decided on late frames, and once; so is catching up."""

import asyncio
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import events as e
from engine import raw as raw_module
from engine.clock import SystemClock
from engine.feeds.unread import unread_bytes
from engine.journal import Journal, read_events
from engine.raw import RawRecorder
from engine.run.backlog import BEAT_S, Backlog, BehindLine, BehindLog
from engine.run.session import Session


class Queue:
    """A recorder whose state is said by the test."""

    def __init__(self) -> None:
        self.error: str | None = None
        self.lag_ms = 0.0
        self.waiting = 0
        self.waiting_mb = 0.0


class Watched:
    """A backlog with a clock that the test moves from beat to beat."""

    def __init__(self) -> None:
        self.journal, self.raw = Queue(), Queue()
        self.now_s = 100.0
        self.backlog = Backlog(self.journal, self.raw, self.now_s)

    def beats(self, seconds: float, late_s: float = 0.0) -> list[str]:
        """Beat for so long, each beat late by so much; return what was told."""
        told = []
        until = self.now_s + seconds
        while self.now_s < until:
            self.now_s += BEAT_S + late_s
            why = self.backlog.beat(self.now_s)
            if why is not None:
                told.append(why)
        return told


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_an_engine_that_keeps_up_says_nothing(watched: Watched) -> None:
    """Every recorder waits a little for its commit, and every loop is a little late."""
    watched.journal.lag_ms, watched.journal.waiting = 100.0, 1_000
    watched.raw.lag_ms, watched.raw.waiting_mb = 300.0, 3.0
    assert watched.beats(5, late_s=0.2) == []


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"journal.lag_ms": 1_001.0}, "the journal is 1001 ms behind"),
        ({"journal.waiting": 50_001}, "50,001 records wait"),
        ({"raw.lag_ms": 1_001.0}, "the raw recorder is 1001 ms behind"),
        ({"raw.waiting_mb": 16.1}, "16 MB wait"),
        ({"backlog.unread_bytes": lambda: 1_000_001}, "1.0 MB of books have arrived and are not read"),
    ],
)
def test_each_queue_that_is_too_long_or_too_old_is_told_once_and_its_end_once(watched, what, words) -> None:
    """And the end only after all has been well for two seconds: a gate must not flutter."""
    before = {}
    for name, value in what.items():
        owner, field = name.split(".")
        before[owner, field] = getattr(getattr(watched, owner), field)
        setattr(getattr(watched, owner), field, value)
    (told,) = watched.beats(3)
    assert words in told
    assert watched.backlog.why == told
    for (owner, field), value in before.items():
        setattr(getattr(watched, owner), field, value)
    assert watched.beats(1.9) == []
    assert watched.beats(0.3) == [""]
    assert watched.beats(3) == []


def test_a_loop_that_is_late_is_told(watched: Watched) -> None:
    """A quarter of a second; and a relapse begins the two seconds anew without being told again."""
    assert watched.beats(0.3, late_s=0.26) == ["the engine's loop is 260 ms late"]
    assert watched.beats(1.5) == []
    assert watched.beats(0.3, late_s=0.26) == []
    assert watched.beats(1.9) == []
    assert watched.beats(0.3) == [""]


def test_who_looks_between_two_beats_sees_it_first(watched: Watched) -> None:
    """The loop stood still: the first frame after that is not decided on before the gate is closed."""
    watched.beats(1)
    assert watched.backlog.look(watched.now_s + 0.29) is None
    late = watched.backlog.late_from_s + 0.001
    told = watched.backlog.look(late)
    assert told == "the engine's loop is 251 ms late"
    watched.now_s = late - BEAT_S
    assert watched.beats(0.01) == []


def test_a_raw_recorder_that_failed_is_told_over_everything_and_for_good(watched: Watched) -> None:
    """It comes after a smaller trouble and outlives it: trading stays stopped until a restart."""
    watched.raw.lag_ms = 1_500.0
    watched.beats(1)
    watched.raw.error = "cannot record raw frames in data: disk is full"
    assert watched.beats(1) == ["cannot record raw frames in data: disk is full"]
    watched.raw.lag_ms = 0.0
    assert watched.beats(60) == []


def test_without_a_raw_recorder_the_rest_is_watched() -> None:
    """RECORD_RAW=false."""
    journal = Queue()
    backlog = Backlog(journal, None, 0.0)
    assert backlog.beat(BEAT_S) is None
    journal.lag_ms = 2_000.0
    assert backlog.beat(2 * BEAT_S) is not None


def test_what_a_socket_holds_unread_is_counted() -> None:
    """The loop itself cannot feel it: it reads one piece after the other and is never late."""
    one, other = socket.socketpair()
    assert unread_bytes(other) == 0
    one.sendall(b"x" * 12_345)
    assert unread_bytes(other) == 12_345
    other.recv(345)
    assert unread_bytes(other) == 12_000
    one.close()
    other.close()
    assert unread_bytes(other) == 0


# --- in a session -------------------------------------------------------------------------------------------

Opened = tuple[Session, Journal, RawRecorder]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    monkeypatch.setattr(raw_module, "COMMIT_S", 0.002)
    journal = Journal(tmp_path / "s.sqlite", {})
    recorder = RawRecorder(tmp_path / "s.sqlite", 2_000)
    yield Session(SystemClock(), journal, lambda _: None, recorder), journal, recorder
    recorder.close()
    journal.close()


def ignored(frame: str | bytes, ts_recv_ms: int) -> list[e.AnyEvent]:
    """A parser to which every frame is of no use."""
    return [e.FrameIgnored(ts_recv_ms=ts_recv_ms, feed="clob", reason="keep-alive")]


def events_of(journal: Journal) -> list[e.AnyEvent]:
    journal.close()
    return [record.event for record in read_events(journal.path)]


async def until(condition) -> None:
    """Wait at most ten seconds for something to become true."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (the state of another thread sets no event)
            await asyncio.sleep(0.01)


async def test_the_gate_closes_before_the_frame_that_waited_is_seen(opened: Opened) -> None:
    """The loop stands still for half a second; the next frame's first event comes after the warning."""
    session, journal, _ = opened
    watching = asyncio.create_task(session.watch_backlog())
    await asyncio.sleep(0)
    time.sleep(0.5)  # noqa: ASYNC251 (the loop is to stand still)
    session.accept_frame("clob", "PONG", ignored)
    assert session.state.behind_why.startswith("the engine's loop is ")
    await until(lambda: session.state.behind_why == "")
    watching.cancel()
    kinds = [type(event) for event in events_of(journal)]
    assert kinds == [e.BacklogChanged, e.FrameIgnored, e.BacklogChanged]


async def test_a_full_disk_stops_trading_and_events_keep_flowing(opened: Opened) -> None:
    """The raw writer fails: one warning with the reason, and each frame it did not keep is counted."""
    session, journal, recorder = opened
    recorder._database.execute("PRAGMA max_page_count = 8")  # the smallest disk SQLite can be given
    watching = asyncio.create_task(session.watch_backlog())
    for number in range(20):
        text = "".join(str((number * 7919 + place * 104729) % 9973) for place in range(5_000))
        session.accept_frame("clob", text, ignored)
    await until(lambda: recorder.error is not None)
    session.accept_frame("rtds", "late", ignored)
    recorder.close()  # what was under way is counted now
    await until(lambda: "full" in session.state.behind_why and not recorder._lost)
    watching.cancel()
    events = events_of(journal)
    assert not session.failed.is_set()
    assert sum(isinstance(event, e.FrameIgnored) for event in events) == 21
    (told,) = [event.why for event in events if isinstance(event, e.BacklogChanged)]
    assert "raw frames" in told
    assert "full" in told
    lost = [event for event in events if isinstance(event, e.FramesLost)]
    assert {event.topic for event in lost} == {"raw"}
    assert sum(event.count for event in lost if event.feed == "rtds") == 1
    kept = sqlite3.connect(recorder._journal_path.with_name("s.raw-0001.sqlite"))
    (frames,) = kept.execute("SELECT coalesce(sum(frames), 0) FROM block").fetchone()
    kept.close()
    assert sum(event.count for event in lost if event.feed == "clob") == 20 - frames


def test_the_log_of_a_busy_machine_tells_one_illness_a_minute_with_its_end_and_counts_the_others() -> None:
    """Sixty lines a minute hide everything else; the journal and the metrics have each of them."""
    log = BehindLog()
    assert log.line("the loop is late", 10.0) == BehindLine("the loop is late", None, 0, 0, 0.0)
    assert log.line("", 13.0) == BehindLine("", 3.0, 0, 0, 0.0)
    assert [
        log.line(why, at_s) for why, at_s in (("late", 20.0), ("", 27.0), ("late", 30.0), ("", 32.0))
    ] == [None] * 4
    assert log.line("late again", 75.0) == BehindLine("late again", None, 2, 65, 7.0)
    assert log.line("no space left", 76.0) == BehindLine("no space left", None, 0, 0, 0.0), "for good: told"
    assert log.rest(80.0) is None


def test_what_was_only_counted_is_told_when_the_session_ends() -> None:
    """Nothing that happened is missing from the log of a session that ended."""
    log = BehindLog()
    for why, at_s in (("late", 0.0), ("", 2.0), ("late", 3.0), ("", 8.5)):
        log.line(why, at_s)
    told = log.rest(10.0)
    assert told is not None
    assert (told.more, told.longest_s) == (1, 5.5)
