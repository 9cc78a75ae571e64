"""The recorder alone, and the raw frames of a session: what was recorded is what happened."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import events as e
from engine.clock import ManualClock
from engine.core.state import State
from engine.core.step import step
from engine.errors import JournalError, WireError
from engine.journal import Journal, read_events, read_meta, read_outputs
from engine.raw import RawFrame, RawRecorder, read_raw
from engine.run.session import EXCERPT_CHARACTERS, Session
from engine.wire import clob_market, clob_user, polybolt, rtds, spot
from tests.whole.processes import environment, last_json, run_command
from tests.wire import samples

Parse = Callable[[str | bytes, int], list[e.AnyEvent]]


class Parsers:
    """The feeds' own parsers; PolyBolt's remembers numbers, so each of its connections has a new one."""

    def __init__(self) -> None:
        self._readers: dict[int, polybolt.Reader] = {}

    def of(self, frame: RawFrame) -> Parse:
        if frame.feed == "polybolt":
            return self._readers.setdefault(frame.epoch, polybolt.Reader()).parse
        known: dict[str, Parse] = {
            "rtds": rtds.parse,
            "clob": clob_market.parse,
            "spot": spot.parse,
            "user": clob_user.parse,
        }
        return known[frame.feed]


def parsed_again(path: Path) -> dict[int, e.AnyEvent]:
    """Return what a session's raw frames give, by the number that each event must have had."""
    events: dict[int, e.AnyEvent] = {}
    parsers = Parsers()
    for frame in read_raw(path):
        try:
            found = parsers.of(frame)(frame.text, frame.ts_recv_ms)
        except WireError as error:
            text = frame.text if isinstance(frame.text, str) else frame.text.decode("utf-8", "replace")
            excerpt = text[:EXCERPT_CHARACTERS]
            found = [
                e.FrameRefused(
                    ts_recv_ms=frame.ts_recv_ms, feed=frame.feed, reason=error.reason, excerpt=excerpt
                )
            ]
        for place, event in enumerate(found):
            assert frame.seq + place not in events
            events[frame.seq + place] = event
    return events


OF_SOCKETS = (
    e.PricePrinted,
    e.PriceHistoryServed,
    e.BookReplaced,
    e.LevelsChanged,
    e.TouchQuoted,
    e.TickSizeChanged,
    e.TradePrinted,
    e.MarketListed,
    e.MarketResolved,
    e.FrameIgnored,
    e.AccountOrderTold,
    e.AccountTradeTold,
)
"""What only a frame of a socket can have led to."""


@pytest.mark.whole
def test_a_recorded_practice_session_is_parsed_again_to_the_same_events(tmp_path: Path) -> None:
    """Every event of a socket has its frame and every frame its event, equal in every field.

    It ends by Ctrl-C, as operators end it: the last line comes, the files are closed.
    """
    told = record_until(tmp_path, 301, {"clob", "rtds", "spot"}, PRACTICE_SPEED="10", RECORD_RAW="false")
    assert not list(tmp_path.glob("data/sessions/*-wal"))
    assert set(told) == {
        *("frames", "raw_frames", "bytes", "segments", "seconds", "session", "halted"),
    }
    session = tmp_path / told["session"]
    recorded = {record.seq: record.event for record in read_events(session)}
    again = parsed_again(session)
    assert {seq: recorded[seq] for seq in again} == again
    for seq, event in recorded.items():
        assert seq in again or not isinstance(event, OF_SOCKETS)
    frames = list(read_raw(session))
    assert told["raw_frames"] == len(frames) == sum(told["frames"].values()) > 300
    assert told["segments"] == 1
    assert 0 < told["bytes"] < sum(len(frame.text) for frame in frames)
    assert 0 < told["seconds"] < 120
    assert told["halted"] is None
    _times_are_right(frames, recorded)
    _only_observed(session, recorded)


def _times_are_right(frames: list[RawFrame], recorded: dict[int, e.AnyEvent]) -> None:
    """Both clocks run together; the engine's is the one that events bear; epochs are those opened."""
    started = frames[0]
    for frame in frames:
        assert abs((frame.wall_ns - started.wall_ns) - (frame.mono_ns - started.mono_ns)) < 1_000_000_000
        assert recorded[frame.seq].ts_recv_ms == frame.ts_recv_ms
    assert [frame.mono_ns for frame in frames] == sorted(frame.mono_ns for frame in frames)
    opened = {(event.feed, event.epoch) for event in recorded.values() if isinstance(event, e.FeedOpened)}
    assert {(frame.feed, frame.epoch) for frame in frames} <= opened


def _only_observed(session: Path, recorded: dict[int, e.AnyEvent]) -> None:
    """No decision, no intent, no order; and a replay of the journal buys nothing either."""
    assert list(read_outputs(session)) == []
    assert read_meta(session)["mode"] == "record"
    state = State()
    for seq, event in recorded.items():
        step(state, e.Record(seq, event))
    assert state.trading.intents == 0
    assert state.halted_why == "this session only records"
    assert "trade" not in state.decisions


def record_until(folder: Path, least: int, feeds: set[str], **settings: str) -> dict[str, Any]:
    """Record until so many frames, and some of each feed, are on the disk; return what the recorder told."""
    with subprocess.Popen(
        [sys.executable, "-m", "engine", "record", "--json"],
        cwd=folder,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as recorder:
        until = time.monotonic() + 120
        while True:
            frames = _frames_on_disk(folder / "data" / "sessions")
            if len(frames) >= least and feeds <= set(frames):
                break
            assert time.monotonic() < until, f"recorded in two minutes: {Counter(frames)}"
            time.sleep(0.2)
        os.kill(recorder.pid, signal.SIGINT)
        output, _ = recorder.communicate(timeout=60)
    assert recorder.returncode == 0
    return last_json(output)


def _frames_on_disk(sessions: Path) -> list[str]:
    """Return the feed of each frame committed so far, beside the recorder that writes them."""
    journals = [path for path in sessions.glob("*.sqlite") if ".raw-" not in path.name]
    if not journals or not list(sessions.glob("*.raw-0001.sqlite")):
        return []
    try:
        return [frame.feed for frame in read_raw(journals[0])]
    except JournalError:
        return []  # the file is there, its tables are not yet


@pytest.mark.whole
def test_the_recorder_ends_by_itself_when_its_time_is_over(tmp_path: Path) -> None:
    """Whatever came in it; on a busy machine that is nothing."""
    answer = run_command("record", "--seconds", "2", "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    told = last_json(answer.stdout)
    assert 2 <= told["seconds"] < 60
    assert told["raw_frames"] == len(list(read_raw(tmp_path / told["session"])))


@pytest.mark.whole
def test_where_nothing_may_be_recorded_raw_there_is_no_segment(tmp_path: Path) -> None:
    """RECORD_RAW=false is for an engine that is to trade and not to fill a disk."""
    answer = run_command("run", "--seconds", "2", cwd=tmp_path, RECORD_RAW="false")
    assert answer.returncode == 0, answer.stderr
    assert len(list(tmp_path.glob("data/sessions/*.sqlite"))) == 1


def test_a_frame_is_recorded_whatever_its_parser_makes_of_it(tmp_path: Path) -> None:
    """Understood, of no use, refused, bytes, or one that broke the parser: the frame is on record first."""
    clock = ManualClock(1_790_000_000_000)
    journal = Journal(tmp_path / "s.sqlite", {})
    recorder = RawRecorder(tmp_path / "s.sqlite", 2_000)
    session = Session(clock, journal, lambda _: None, recorder)
    session.accept(e.FeedOpened(ts_recv_ms=1, feed="clob", epoch=1))
    session.accept_frame("clob", samples.BOOK, clob_market.parse)
    session.accept(e.FeedClosed(ts_recv_ms=2, feed="clob", epoch=1, reason=""))
    session.accept(e.FeedOpened(ts_recv_ms=3, feed="clob", epoch=2))
    clock.advance(1)
    session.accept_frame("clob", f"[{samples.BOOK},{samples.TRADE}]", clob_market.parse)
    session.accept_frame("clob", "{", clob_market.parse)
    session.accept_frame("clob", b"\xff\xfe", clob_market.parse)

    def broken(frame: str | bytes, ts_recv_ms: int) -> list[e.AnyEvent]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session.accept_frame("clob", "the worst", broken)
    session.accept_frame("rtds", "", rtds.parse)
    recorder.close()
    journal.close()
    frames = list(read_raw(tmp_path / "s.sqlite"))
    assert [(frame.feed, frame.epoch, frame.seq) for frame in frames] == [
        *(("clob", 1, 2), ("clob", 2, 5), ("clob", 2, 7), ("clob", 2, 8), ("clob", 2, 9), ("rtds", 0, 9)),
    ]
    texts = [samples.BOOK, f"[{samples.BOOK},{samples.TRADE}]", "{", b"\xff\xfe", "the worst", ""]
    assert [frame.text for frame in frames] == texts
    assert frames[1].ts_recv_ms == frames[0].ts_recv_ms + 1_000
    recorded = {record.seq: record.event for record in read_events(tmp_path / "s.sqlite")}
    assert [type(recorded[frame.seq]).__name__ for frame in frames] == [
        *("BookReplaced", "BookReplaced", "FrameRefused", "FrameRefused", "FrameIgnored", "FrameIgnored"),
    ]


def test_wrong_use_is_told(tmp_path: Path) -> None:
    """A folder that cannot be written: one line, status 1. A time that is none: status 2."""
    (tmp_path / "data").write_text("a file")
    answer = run_command("record", "--seconds", "1", cwd=tmp_path)
    assert answer.returncode == 1
    assert "DATA_DIR" in answer.stderr.splitlines()[-1]
    assert run_command("record", "--seconds", "0", cwd=tmp_path).returncode == 2
    assert answer.stdout == ""
