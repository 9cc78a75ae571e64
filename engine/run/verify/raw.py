"""Read a session's raw frames again, by the parsers of today, and compare what they say with its journal.

A frame names the record of its first event. The frames of a deleted segment are gone, and so are those that
the raw recorder lost; what is there has to agree. What it does not know: decisions.
"""

from pathlib import Path
from typing import Final

from engine.errors import WireError
from engine.events import AnyEvent, EngineHalted, FrameRefused, OrderDenied, Record
from engine.journal import read_events
from engine.journal_read import tag_of
from engine.raw import RawFrame, raw_segments, read_raw
from engine.run.session import EXCERPT_CHARACTERS
from engine.wire import clob_market, clob_user, polybolt, rtds, spot
from engine.wire.credentials import HIDDEN

NO_FRAMES: Final = "no raw frames"
AGREES: Final = "agrees"

_OURS: Final = (EngineHalted, OrderDenied)
"""What the engine itself may say while it takes a frame in."""

_PARSERS: Final = {"clob": clob_market.parse, "rtds": rtds.parse, "spot": spot.parse}


def raw_verdict(path: Path) -> str:
    """Say whether raw frames and journal agree.

    Args:
        path: The session's journal.
    Returns:
        ``agrees N/N``, ``differs at record S: …``, or ``no raw frames``. Frames are counted; those past the
        journal's end are left out.
    Raises:
        JournalError: The journal or the frames cannot be read.
    """
    segments = raw_segments(path)
    if not segments:
        return NO_FRAMES
    reading = _Reading(is_whole=segments[0].name.endswith(".raw-0001.sqlite"))
    records = read_events(path)
    told = next(records, None)
    agreed = 0
    for frame in read_raw(path):
        while told is not None and told.seq < frame.seq:
            told = next(records, None)
        for wanted in reading.events_of(frame):
            while told is not None and isinstance(told.event, _OURS) and told.event != wanted:
                told = next(records, None)
            if told is None:
                return f"{AGREES} {agreed:,}/{agreed:,}"
            if told.event != wanted:
                return _difference(told, wanted, frame)
            told = next(records, None)
        agreed += 1
    return f"{AGREES} {agreed:,}/{agreed:,}"


class _Reading:
    """The parsers as the feeds use them: PolyBolt's counts each connection's frames."""

    def __init__(self, *, is_whole: bool) -> None:
        self._is_whole = is_whole
        self._epoch: int | None = None
        self._reader: polybolt.Reader | None = None

    def events_of(self, frame: RawFrame) -> list[AnyEvent]:
        """Return what a frame led to; nothing where that hangs on frames that are gone."""
        try:
            return self._parsed(frame)
        except WireError as error:
            text = frame.text if isinstance(frame.text, str) else frame.text.decode("utf-8", "replace")
            return [
                FrameRefused(
                    ts_recv_ms=frame.ts_recv_ms,
                    feed=frame.feed,
                    reason=error.reason,
                    excerpt=text[:EXCERPT_CHARACTERS],
                )
            ]

    def _parsed(self, frame: RawFrame) -> list[AnyEvent]:
        if frame.feed == clob_user.FEED:
            return clob_user.parse(frame.text, frame.ts_recv_ms, HIDDEN)
        if frame.feed != polybolt.FEED:
            return _PARSERS[frame.feed](frame.text, frame.ts_recv_ms)
        if frame.epoch != self._epoch:
            is_first = self._epoch is None
            self._epoch = frame.epoch
            self._reader = None if is_first and not self._is_whole else polybolt.Reader()
        return [] if self._reader is None else self._reader.parse(frame.text, frame.ts_recv_ms)


def _difference(told: Record, wanted: AnyEvent, frame: RawFrame) -> str:
    recorded, said = tag_of(told.event), tag_of(wanted)
    other = "another one" if recorded == said else said
    return f"differs at record {told.seq:,}: {recorded} is recorded, the frame of {frame.feed} says {other}"
