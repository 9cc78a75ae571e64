"""Raw frames read again: today's parsers have to give all that is recorded of a frame, and nothing else."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from engine import events as e
from engine.clock import ManualClock
from engine.journal import Journal, read_events
from engine.raw import RawRecorder, read_raw
from engine.run.session import Session
from engine.run.verify import raw
from engine.run.verify.raw import raw_verdict
from engine.wire import clob_market, polybolt, rtds
from tests.wire import samples

Parse = Callable[[str | bytes, int], list[e.AnyEvent]]
TWO = f"[{samples.BOOK},{samples.TRADE}]"
PRICE = (
    '{"channel":"price.crypto","seq":%d,"payload":{"symbol":"btcusd","source":"chainlink",'
    '"timestamp":1790000000000,"value":100000.5}}'
)


class Recording:
    """A session that takes frames in, each at a second of its own but where ``clock`` is left as it is."""

    def __init__(self, path: Path) -> None:
        self.path = path / "s.sqlite"
        self.clock = ManualClock(1_790_000_000_000)
        self._journal = Journal(self.path, {})
        self.raw = RawRecorder(self.path, 2_000)
        self.session = Session(self.clock, self._journal, lambda _: None, self.raw)
        self.reader = polybolt.Reader()
        self._parsers: dict[str, Parse] = {
            "clob": clob_market.parse,
            "rtds": rtds.parse,
            "polybolt": self.reader.parse,
        }

    def hear(self, feed: str, text: str, after_s: float = 1.0) -> None:
        self.clock.advance(after_s)
        self.session.accept_frame(feed, text, self._parsers[feed])

    def second(self) -> None:
        self.session.accept(e.SecondPassed(ts_recv_ms=self.clock.now_ms()))

    def end(self, status: str = "ended") -> Path:
        self.raw.close()
        self._journal.close(status)
        return self.path


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return Recording(tmp_path)


def mixed(recording: Recording) -> Path:
    """Two feeds, two events of a frame, a refusal; seconds and an order's denial at a frame's own time."""
    recording.hear("rtds", "")
    for _ in range(3):
        recording.hear("clob", TWO)
        recording.second()
        now_ms = recording.clock.now_ms()
        recording.session.accept(e.OrderDenied(ts_recv_ms=now_ms, order_id="o", reason="too late"))
        recording.hear("rtds", "", after_s=0.0)
    recording.hear("clob", "{")
    recording.hear("clob", TWO)
    return recording.end()


def read_by(monkeypatch: pytest.MonkeyPatch, feed: str, parse: Parse) -> None:
    monkeypatch.setitem(raw._PARSERS, feed, parse)


def test_the_parser_that_recorded_them_agrees(recording: Recording) -> None:
    """Every frame is compared, whatever else was recorded between two of them."""
    assert raw_verdict(mixed(recording)) == "agrees 9/9"


def test_a_parser_that_loses_the_second_of_two_events_differs(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it gives is right, and half of what happened is gone."""
    path = mixed(recording)
    read_by(monkeypatch, "clob", lambda text, ms: clob_market.parse(text, ms)[:1])
    assert raw_verdict(path) == (
        "differs at record 3: trade_printed is recorded, the frame of clob gives no such event today"
    )


@pytest.mark.parametrize("feed", ["clob", "rtds"])
def test_a_parser_that_reads_nothing_differs(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, feed: str
) -> None:
    """An empty answer has nothing in it that could be wrong."""
    path = mixed(recording)
    read_by(monkeypatch, feed, lambda *_: [])
    assert raw_verdict(path).startswith("differs at record ")


def test_the_last_frame_is_looked_at_too(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no next frame that would end what came of it."""
    recording.hear("clob", TWO)
    path = recording.end()
    read_by(monkeypatch, "clob", lambda text, ms: clob_market.parse(text, ms)[:1])
    assert raw_verdict(path).startswith("differs at record 2: ")


def test_what_a_crash_kept_from_the_disk_is_no_difference(recording: Recording, tmp_path: Path) -> None:
    """The journal is committed more often than frames are: its last events may have none."""
    recording.hear("rtds", "")
    kept, recording.session._raw = recording.session._raw, None
    recording.hear("rtds", "", after_s=0.0)
    recording.session._raw = kept
    assert raw_verdict(recording.end("crashed")) == "agrees 1/1"


@pytest.mark.parametrize(("lost", "verdict"), [(True, "agrees 2/2"), (False, "differs at record 2")])
def test_a_frame_that_the_raw_recorder_lost_is_none_of_the_one_before(
    recording: Recording, lost: bool, verdict: str
) -> None:
    """Frames come several to the millisecond; that some were lost is on record, soon after."""
    recording.hear("rtds", "")
    kept, recording.session._raw = recording.session._raw, None
    recording.hear("rtds", "", after_s=0.0)
    recording.session._raw = kept
    recording.hear("rtds", "")
    if lost:
        now_ms = recording.clock.now_ms()
        recording.session.accept(e.FramesLost(ts_recv_ms=now_ms, feed="rtds", topic="raw", count=1))
    assert raw_verdict(recording.end()).startswith(verdict)


def test_frames_that_cannot_be_parsed_apart_are_not_counted(recording: Recording) -> None:
    """PolyBolt's numbers went on from frames of a segment that is gone."""
    recording.hear("polybolt", PRICE % 7)
    recording.hear("rtds", "")
    recording.hear("polybolt", PRICE % 9)
    path = recording.end()
    assert raw_verdict(path) == "agrees 3/3"
    first = path.with_name("s.raw-0001.sqlite")
    first.rename(path.with_name("s.raw-0002.sqlite"))
    assert raw_verdict(path) == "agrees 1/1"


def test_events_of_one_frame_follow_each_other(recording: Recording) -> None:
    """What the comparison stands on: what is recorded of a socket lies at its frame's number, and on."""
    path = mixed(recording)
    recorded = {record.seq: record.event for record in read_events(path)}
    for frame, following in pairwise(read_raw(path)):
        of_it = [seq for seq in range(frame.seq, following.seq) if raw._is_of(recorded[seq], frame.feed)]
        assert of_it == list(range(frame.seq, frame.seq + len(of_it)))
        assert of_it
