"""Read a session's raw frames again, by the parsers of today, and compare what they say with its journal.

A frame names the record of its first event, and its events follow each other. Both sides have to agree: an
event that today's parser gives and the journal has not, and one that the journal has and no frame gives. The
frames of a deleted segment are gone, and so are those that the raw recorder lost; what is there has to agree.
What it does not know: decisions.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias

from engine.errors import WireError
from engine.events import (
    AccountOrderTold,
    AccountTradeTold,
    AnyEvent,
    BookReplaced,
    EngineHalted,
    FrameIgnored,
    FrameRefused,
    FramesLost,
    LevelsChanged,
    MarketListed,
    MarketResolved,
    OrderDenied,
    PriceHistoryServed,
    PricePrinted,
    Record,
    TickSizeChanged,
    TouchQuoted,
    TradePrinted,
)
from engine.journal import read_events, read_meta
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

_PRICES: Final = (PricePrinted, PriceHistoryServed)
_OF_FEED: Final[dict[str, tuple[type, ...]]] = {
    "clob": (
        BookReplaced, LevelsChanged, TouchQuoted, TickSizeChanged, TradePrinted, MarketListed, MarketResolved,
    ),
    "rtds": _PRICES,
    "spot": _PRICES,
    polybolt.FEED: _PRICES,
    clob_user.FEED: (AccountOrderTold, AccountTradeTold),
}  # fmt: skip
"""What only a frame of that feed leads to; beside these, notes that name their feed."""
_NOTES: Final = (FrameIgnored, FrameRefused, FramesLost)

RAW_LOSS: Final = "raw"
"""The topic of ``FramesLost`` where the raw recorder lost them."""
LOSS_TOLD_MS: Final = 60_000
"""A frame that was lost is told of within a beat, 50 ms; a fast practice venue has a minute in as much."""

_Next: TypeAlias = RawFrame | None


def raw_verdict(path: Path) -> str:
    """Say whether raw frames and journal agree.

    Args:
        path: The session's journal.
    Returns:
        ``agrees N/N``, ``differs at record S: …``, or ``no raw frames``. The frames that were compared are
        counted: not those past the journal's end, nor those of a feed whose numbering began in a frame that
        is gone.
    Raises:
        JournalError: The journal or the frames cannot be read.
    """
    segments = raw_segments(path)
    if not segments:
        return NO_FRAMES
    comparison = _Comparison(path, _Reading(is_whole=segments[0].name.endswith(".raw-0001.sqlite")))
    for frame, following in pairwise(_with_an_end(read_raw(path))):
        assert frame is not None
        fault = comparison.fault_in(frame, following)
        if fault:
            return fault
        if comparison.is_over:
            break
    return f"{AGREES} {comparison.agreed:,}/{comparison.agreed:,}"


def _with_an_end(frames: Iterator[RawFrame]) -> Iterator[_Next]:
    yield from frames
    yield None


class _Comparison:
    """Walks a journal beside its frames. ``agreed`` counts the frames that gave what is recorded."""

    def __init__(self, path: Path, reading: "_Reading") -> None:
        self.agreed = 0
        self._path = path
        self._reading = reading
        self._records = read_events(path)
        self._told = next(self._records, None)
        self._losses: list[Record] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the journal has come to its end."""
        return self._told is None

    def fault_in(self, frame: RawFrame, following: _Next) -> str:
        """Compare a frame's events with what is recorded of it; empty where both agree.

        Args:
            frame: What was received.
            following: The next frame that is there, of any feed; None after the last.
        """
        while self._told is not None and self._told.seq < frame.seq:
            self._go_on()
        wanted = self._reading.events_of(frame)
        for event in wanted or ():
            self._pass_ours(event)
            if self._told is None:
                return ""
            if self._told.event != event:
                return _difference(self._told, event, frame)
            self._go_on()
        if wanted is None:
            return ""
        surplus = self._surplus(frame, following)
        if surplus is not None:
            return _unexplained(surplus, frame)
        # Without an event it was not compared with anything, where the journal ends before it.
        self.agreed += bool(wanted) or self._told is not None
        return ""

    def _go_on(self) -> None:
        self._told = next(self._records, None)

    def _pass_ours(self, wanted: AnyEvent | None = None) -> None:
        """Go on over what the engine said itself, but for an event that is wanted."""
        while self._told is not None and isinstance(self._told.event, _OURS) and self._told.event != wanted:
            self._go_on()

    def _surplus(self, frame: RawFrame, following: _Next) -> Record | None:
        """Return the next record where it came from the same frame, which today's parser does not give."""
        self._pass_ours()
        told = self._told
        if told is None or told.event.ts_recv_ms != frame.ts_recv_ms or not _is_of(told.event, frame.feed):
            return None
        if following is not None and told.seq >= following.seq:
            return None
        # Frames come several to the millisecond: it may be of another one, which is not there.
        return None if self._may_be_of_a_lost_frame(told, frame, following) else told

    def _may_be_of_a_lost_frame(self, told: Record, frame: RawFrame, following: _Next) -> bool:
        if following is None and read_meta(self._path).get("status") != "ended":
            return True  # what was received last is not always committed where a session did not end
        if self._losses is None:
            self._losses = [record for record in read_events(self._path) if _is_raw_loss(record.event)]
        return any(
            loss.seq > told.seq
            and (following is None or loss.event.ts_recv_ms - frame.ts_recv_ms <= LOSS_TOLD_MS)
            for loss in self._losses
        )


def _is_raw_loss(event: AnyEvent) -> bool:
    return isinstance(event, FramesLost) and event.topic == RAW_LOSS


def _is_of(event: AnyEvent, feed: str) -> bool:
    """Say whether only a frame of this feed can have led to an event."""
    if _is_raw_loss(event):
        return False
    return isinstance(event, _OF_FEED.get(feed, ())) or (isinstance(event, _NOTES) and event.feed == feed)


class _Reading:
    """The parsers as the feeds use them: PolyBolt's counts each connection's frames."""

    def __init__(self, *, is_whole: bool) -> None:
        self._is_whole = is_whole
        self._epoch: int | None = None
        self._reader: polybolt.Reader | None = None

    def events_of(self, frame: RawFrame) -> list[AnyEvent] | None:
        """Return what a frame led to; None where that hangs on frames that are gone."""
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

    def _parsed(self, frame: RawFrame) -> list[AnyEvent] | None:
        if frame.feed == clob_user.FEED:
            return clob_user.parse(frame.text, frame.ts_recv_ms, HIDDEN)
        if frame.feed != polybolt.FEED:
            return _PARSERS[frame.feed](frame.text, frame.ts_recv_ms)
        if frame.epoch != self._epoch:
            is_first = self._epoch is None
            self._epoch = frame.epoch
            self._reader = None if is_first and not self._is_whole else polybolt.Reader()
        return None if self._reader is None else self._reader.parse(frame.text, frame.ts_recv_ms)


def _difference(told: Record, wanted: AnyEvent, frame: RawFrame) -> str:
    recorded, said = tag_of(told.event), tag_of(wanted)
    other = "another one" if recorded == said else said
    return f"differs at record {told.seq:,}: {recorded} is recorded, the frame of {frame.feed} says {other}"


def _unexplained(told: Record, frame: RawFrame) -> str:
    said = f"the frame of {frame.feed} gives no such event today"
    return f"differs at record {told.seq:,}: {tag_of(told.event)} is recorded, {said}"
