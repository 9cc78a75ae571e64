"""One session of the engine: the only door into the core, and what the core's words lead to.

Everything that happens comes in by ``accept``: it gets its number, goes to the journal, then to the core; the
core's decisions are recorded and its intents go to the broker. Frames go to the raw recorder on the way.
What it does not know: sockets, threads, formats.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from engine.clock import Clock, Walls
from engine.core.book import Book
from engine.core.ledger import Change
from engine.core.project import Outside, project
from engine.core.state import State
from engine.core.step import Effect, step
from engine.core.trading import OrderIntent
from engine.errors import JournalError, WireError
from engine.events import (
    AnyEvent,
    BacklogChanged,
    EngineHalted,
    FeedClosed,
    FrameRefused,
    FramesLost,
    Record,
    SecondPassed,
)
from engine.journal import Journal
from engine.metrics import Meter
from engine.raw import RawFrame, RawRecorder
from engine.repeats import RepeatsByKind
from engine.run.backlog import BEAT_S, Backlog, BehindLine, BehindLog
from engine.run.chart_seconds import POINTS_WAITING, ChartSeconds
from engine.run.ledger.file import LedgerFile
from engine.run.life import Life
from engine.snapshot import Mark, Point, Snapshot
from engine.units import Milliseconds

EXCERPT_CHARACTERS: Final = 2_000

Parse = Callable[[str | bytes, Milliseconds], list[AnyEvent]]

LOGGED: Final = ("fallback", "frozen", "rule", "drift", "breaker")
"""Marks that are worth a warning in the log."""

log = logging.getLogger("engine.session")


class Broker(Protocol):
    """Takes an intent over and reports by events what becomes of it."""

    def submit(self, intent: OrderIntent) -> None:
        """Take over; return at once."""
        ...


class Session:
    """The core with its journal, its broker and its audience.

    ``hide`` removes what is secret from a frame of the user channel before it is recorded.
    ``on_halt`` is called once, with why, when the engine halts.
    ``carry_out`` takes what the core decided: the number of the record that led to it, its place among what
    that record led to, and the decision or intent.
    """

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        publish: Callable[[Snapshot], None],
        raw: RawRecorder | None = None,
    ) -> None:
        self.clock = clock
        self.carry_out: Callable[[int, int, Effect], None] = self._record_and_submit
        self.state = State()
        self.broker: Broker | None = None
        self.ledger_file: LedgerFile | None = None
        self._breakers_kept = 0
        self._unkept: list[Change] = []
        self.on_halt: Callable[[str], None] = lambda _: None
        self._halt_told = False
        self.venue_banner = ""
        self.hide: Callable[[str | bytes], str | bytes] = lambda frame: frame
        self.failed = asyncio.Event()
        self.is_whole = True
        """Whether ledger and journal have everything: else the session counts as crashed."""
        self._is_halting = False
        self._journal = journal
        self._raw = raw
        self.backlog = Backlog(journal, raw, time.monotonic())
        self._behind = BehindLog()
        self._refused = RepeatsByKind()
        self.life = Life(raw)
        self.meter = Meter()
        self._late_ns = 0
        self._publish = publish
        self._seq = 0
        self._version = 0
        self._opened_mono = time.monotonic()
        self._walls = Walls(self.clock)
        self._chart = ChartSeconds()
        self._points: deque[Point] = deque(maxlen=POINTS_WAITING)
        """Points that wait for a snapshot to carry them."""

    def accept(self, event: AnyEvent) -> None:
        """Number, record and take in an event; then do what the core says.

        A recorder that fails halts the engine: the core still sees events, so that the console stays
        truthful, but nothing is sent any more.
        """
        self._seq += 1
        record = Record(self._seq, event)
        try:
            self._journal.record(record)
        except JournalError as error:
            self.is_whole = False
            self._halt(str(error))
        began_ns = time.perf_counter_ns()
        effects = step(self.state, record)
        if effects:
            self.meter.decided(time.perf_counter_ns() - began_ns)
        if isinstance(event, FeedClosed):
            self.meter.closed(event.feed, event.reason)
        if self.state.halted_why is not None and not self._halt_told:
            self._halt_told = True
            self.on_halt(self.state.halted_why)
        if self.state.ledger.has_changes or len(self.state.breakers) != self._breakers_kept:
            self._keep_ledger(record.seq)
        for place, effect in enumerate(effects):
            self.carry_out(record.seq, place, effect)
        if isinstance(event, SecondPassed):
            self._points += self._chart.note(self.state)
            self.publish()

    def accept_frame(self, feed: str, frame: str | bytes, parse: Parse) -> bool:
        """Take in a frame as it came from a socket.

        Args:
            feed: Its feed's name.
            frame: The text or the bytes.
            parse: The feed's parser.
        Returns:
            Whether it held data: anything but a keep-alive, an ignored or a refused frame.
        """
        now_ms = self.clock.now_ms()
        mono_ns = time.monotonic_ns()
        if self._late_ns and mono_ns > self._late_ns:
            # The gate closes before the core sees what waited for us, not at the next beat.
            self._look(mono_ns)
        shown = self.hide(frame) if feed == "user" else frame
        if self._raw is not None:
            known = self.state.feeds.get(feed)
            epoch = 0 if known is None else known.epoch
            self._raw.record(RawFrame(time.time_ns(), mono_ns, now_ms, feed, epoch, self._seq + 1, shown))
        try:
            events = parse(shown, now_ms)
        except WireError as error:
            text = shown if isinstance(shown, str) else shown.decode("utf-8", "replace")
            excerpt = text[:EXCERPT_CHARACTERS]
            self._log_refused(feed, error.reason, mono_ns / 1e9)
            self.accept(FrameRefused(ts_recv_ms=now_ms, feed=feed, reason=error.reason, excerpt=excerpt))
            return False
        useful = False
        for event in events:
            self.accept(event)
            useful = useful or event.__struct_config__.tag != "frame_ignored"
        return useful

    def book(self, token: str) -> Book | None:
        """Return a token's book as it is now, for the paper broker."""
        known = self.state.tokens.get(token)
        return None if known is None else known[0].book_of(known[1])

    def has_ended_well(self) -> bool:
        """Say whether ledger and journal have everything, and how each order ended that was intended.

        Of an order of unknown fate they have just that: the next session takes it up by it.
        """
        in_flight = self.state.trading.in_flight.values()
        return self.is_whole and all(order.state == "unknown" for order in in_flight)

    def publish(self) -> None:
        """Hand a snapshot to the audience."""
        self._version += 1
        marks: list[Mark] = list(self.state.marks)
        self.state.marks.clear()
        self._log(marks)
        point = self._points.popleft() if self._points else None
        outside = Outside(
            version=self._version,
            now_ms=self.clock.now_ms(),
            wall_ms=time.time_ns() // 1_000_000,
            uptime_s=time.monotonic() - self._opened_mono,
            clock_rate=self.clock.rate,
            journal_seq=self._journal.written_seq,
            journal_lag_ms=self._journal.lag_ms,
            venue_banner=self.venue_banner,
            point=point,
            marks=marks,
            life=self.life.view(),
            wall_at=self._walls.at,
        )
        self._publish(project(self.state, outside))

    async def until_durable(self) -> None:
        """Return once everything accepted so far is on the disk.

        Raises:
            JournalError: It could not be written.
        """
        await self._journal.wait_durable()

    async def watch_backlog(self) -> None:
        """Tell the core when the engine falls behind and when it has caught up, and what was not recorded."""
        try:
            while True:
                await self._beat()
        finally:
            self._log_behind(self._behind.rest(time.monotonic()))

    async def _beat(self) -> None:
        mono_s = time.monotonic()
        why = self.backlog.beat(mono_s)
        self._tell_backlog(why)
        self._late_ns = int(self.backlog.late_from_s * 1e9)
        if self._raw is not None:
            for feed, count in self._raw.take_losses().items():
                log.error("raw frames lost", extra={"feed": feed, "count": count})
                now_ms = self.clock.now_ms()
                self.accept(FramesLost(ts_recv_ms=now_ms, feed=feed, topic="raw", count=count))
        slept_from_s = time.monotonic()
        await asyncio.sleep(BEAT_S)
        self.life.loop.note((time.monotonic() - slept_from_s - BEAT_S) * 1000)

    def _keep_ledger(self, seq: int) -> None:
        """Let the ledger's file follow before anything goes on; a file that cannot is no ledger: halt."""
        changes = self.state.ledger.take_changes()
        self._breakers_kept = len(self.state.breakers)
        if self.ledger_file is None:
            return
        self._unkept += changes
        try:
            self.ledger_file.write(seq, self._unkept, self.state.breakers, self.state.now_ms)
        except JournalError as error:
            self.is_whole = False  # the next start asks the journal
            self._halt(str(error))
        else:
            self._unkept = []

    def _log(self, marks: list[Mark]) -> None:
        """Write what an operator has to be able to find in the log: trust that was lost or came back."""
        for mark in marks:
            if mark.kind in LOGGED:
                reduced = self.state.fallback_since_ms is not None
                facts = {"text": mark.text, "slug": mark.slug, "reduced_trading_confidence": reduced}
                log.warning("feeds: %s", mark.kind, extra=facts)

    def _look(self, mono_ns: int) -> None:
        self._late_ns = 0
        self._tell_backlog(self.backlog.look(mono_ns / 1e9))

    def _tell_backlog(self, why: str | None) -> None:
        if why is not None:
            self._log_behind(self._behind.line(why, time.monotonic()))
            self.accept(BacklogChanged(ts_recv_ms=self.clock.now_ms(), why=why))

    def _log_refused(self, feed: str, reason: str, now_s: float) -> None:
        # A parser names the fault before the colon, and shows the text after it.
        told = self._refused.of(f"{feed}: {reason.partition(':')[0]}", now_s)
        if told is not None:
            extra = {"feed": feed, "reason": reason, "more": told.more, "in_s": told.in_s}
            log.warning("frame refused", extra=extra)

    @staticmethod
    def _log_behind(line: BehindLine | None) -> None:
        if line is None:
            return
        figures = {
            "why": line.why,
            "lasted_s": line.lasted_s,
            "more": line.more,
            "in_s": line.in_s,
            "longest_s": line.longest_s,
        }
        log.warning("engine behind" if line.why else "engine caught up", extra=figures)

    def _record_and_submit(self, seq: int, place: int, effect: Effect) -> None:
        try:
            self._journal.record_output(seq, place, effect)
        except JournalError as error:
            self._halt(str(error))
            return
        # The event that decided it may have been what the ledger's file, or an output before, failed at.
        if isinstance(effect, OrderIntent) and self.broker is not None and not self.failed.is_set():
            self.broker.submit(effect)

    def broke(self, why: str) -> None:
        """Halt because an event could not be taken in: what the core knows is not all that happened."""
        self.is_whole = False
        self._halt(why)

    def _halt(self, why: str) -> None:
        """Halt, whatever halted before: the engine ends, and so must whoever waits for it."""
        log.error("engine halted", extra={"why": why})
        self.failed.set()
        if self._is_halting or self.state.halted_why is not None:
            return
        self._is_halting = True
        # The journal has it too, where it still can: a replay halts at the same event.
        self.accept(EngineHalted(ts_recv_ms=self.clock.now_ms(), why=why))
