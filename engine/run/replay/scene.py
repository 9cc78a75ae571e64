"""A session played again: the core and what a live session keeps round it, moved on by one record at a time.

What happens here is a function of the records alone: the same records give the same scene, whoever plays
them and wherever he began. What it does not know: files, seeking, people.
"""

import pickle
import zlib
from collections import deque
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

import msgspec

from engine import events as e
from engine.core import health
from engine.core.decide import BUY_DOWN, BUY_UP, HAMMER, Decision, first_gate, judge
from engine.core.project import Outside, project
from engine.core.state import State
from engine.core.step import Effect, step
from engine.core.trading import OrderIntent
from engine.run.chart_seconds import ChartSeconds
from engine.snapshot import Mark, Point, Snapshot
from engine.units import ONE_E4, Milliseconds

POINTS_KEPT: Final = 900
MARKS_KEPT: Final = 200
"""What a live tab has of charts (``engine.desk.POINT_LIMIT`` and ``MARK_LIMIT``)."""

MORE_WORK: Final = 5
"""What a decision, a price or a second costs, in other events: 40 to 150 microseconds to 10 (measured)."""

JumpKind: TypeAlias = Literal["decision", "trade", "near miss", "gap", "fault"]
JUMP_KINDS: Final[tuple[JumpKind, ...]] = get_args(JumpKind)

_QUIET: Final = frozenset(
    (
        e.LevelsChanged,
        e.BookReplaced,
        e.TouchQuoted,
        e.TradePrinted,
        e.PricePrinted,
        e.PriceHistoryServed,
        e.FrameIgnored,
        e.MarketListed,
        e.BookQueried,
    )
)
"""Events that are worth nothing but the decisions and the marks they lead to."""

_ACTIONS: Final = {BUY_UP: "buy Up", BUY_DOWN: "buy Down"}
SETTLEMENT: Final = "settlement feed"


class Jump(msgspec.Struct, frozen=True, array_like=True):
    """A record worth going to."""

    seq: int
    at_ms: Milliseconds
    kind: JumpKind
    slug: str
    text: str


class Gap(msgspec.Struct, frozen=True, array_like=True):
    """A stretch in which a feed was closed or the settlement price stale; ``to_ms`` None while it lasts."""

    feed: str
    from_ms: Milliseconds
    to_ms: Milliseconds | None


class Noted(NamedTuple):
    """What one record added to what people look for."""

    points: list[Point]
    marks: list[Mark]
    jumps: list[Jump]
    gaps: list[Gap]


class Scene:
    """The state, and what a live session and its tabs keep beside it."""

    def __init__(self) -> None:
        self.state = State()
        self.points: deque[Point] = deque(maxlen=POINTS_KEPT)
        self.marks: deque[Mark] = deque(maxlen=MARKS_KEPT)
        self.open_gaps: dict[str, Milliseconds] = {}
        self.work = 0
        """What playing so far has cost: an event 1, and for a decision, a price or a second ``MORE_WORK``."""
        self._chart = ChartSeconds()
        self._said: dict[str, tuple[int, str]] = {}
        self._near: dict[str, int] = {}
        self._refused_s: dict[str, int] = {}
        self._stops: tuple[bool, bool, int] = (False, False, 0)

    @property
    def seq(self) -> int:
        """The number of the last record taken in; 0 before the first."""
        return self.state.seq

    def take(self, record: e.Record) -> Noted | None:
        """Move on by one record.

        Args:
            record: The next one.
        Returns:
            What it added; None where it added nothing.
        """
        state = self.state
        effects = step(state, record)
        kind = type(record.event)
        self.work += 1 + MORE_WORK * (len(effects) + (kind is e.PricePrinted or kind is e.SecondPassed))
        if not effects and kind in _QUIET and not state.marks:
            return None
        noted = Noted([], list(state.marks), [], [])
        state.marks.clear()
        if kind is e.SecondPassed:
            noted.points.extend(self._chart.note(state))
            self._note_freshness(noted)
        elif kind not in _QUIET:
            self._note_event(record.event, noted)
        self._note_effects(effects, noted)
        self._note_marks(noted)
        self._note_stops(noted)
        self.points += noted.points
        self.marks += noted.marks
        return noted

    def picture(self, now_ms: Milliseconds) -> Snapshot:
        """Show the scene as the console shows a live engine.

        Args:
            now_ms: The moment, at or after the last record taken in.
        Returns:
            The snapshot; what only a running process has (wall time, the journal's lag) is of that moment.
        """
        state = self.state
        return project(
            state,
            Outside(
                version=state.seq,
                now_ms=now_ms,
                wall_ms=now_ms,
                uptime_s=max(0.0, (now_ms - state.opened_ms) / 1000 / state.clock_rate),
                clock_rate=state.clock_rate,
                journal_seq=state.seq,
                journal_lag_ms=0.0,
                venue_banner="",
                point=None,
                marks=[],
            ),
        )

    def freeze(self) -> bytes:
        """Return everything but the chart's points and marks, to go on from here later (``thaw``)."""
        kept = {name: value for name, value in vars(self).items() if name not in ("points", "marks")}
        return zlib.compress(pickle.dumps(kept, pickle.HIGHEST_PROTOCOL), 1)

    @classmethod
    def thaw(cls, body: bytes) -> "Scene":
        """Return the scene that ``freeze`` gave, without points and marks.

        The bytes have to be our own: unpickling runs what it is told (docs/replay.md, "The index file").

        Raises:
            ValueError: They are no such scene.
        """
        scene = cls()
        try:
            scene.__dict__.update(pickle.loads(zlib.decompress(body)))  # noqa: S301 (our file, 0600)
        except Exception as error:
            raise ValueError(f"a checkpoint cannot be read: {error}") from error
        return scene

    def _note_freshness(self, noted: Noted) -> None:
        state = self.state
        if state.track("chainlink").newest_s is None:
            return
        fresh = health.price_is_fresh(state)
        if fresh and SETTLEMENT in self.open_gaps:
            noted.gaps.append(Gap(SETTLEMENT, self.open_gaps.pop(SETTLEMENT), state.now_ms))
        elif not fresh and SETTLEMENT not in self.open_gaps:
            self.open_gaps[SETTLEMENT] = state.now_ms
            self._jump(noted, "gap", "", "the settlement feed is stale")

    def _note_event(self, event: e.AnyEvent, noted: Noted) -> None:
        if isinstance(event, e.FeedClosed):
            self.open_gaps.setdefault(event.feed, self.state.now_ms)
            self._jump(noted, "gap", "", f"{event.feed} closed: {event.reason}")
        elif isinstance(event, e.FeedOpened):
            if event.feed in self.open_gaps:
                noted.gaps.append(Gap(event.feed, self.open_gaps.pop(event.feed), self.state.now_ms))
        elif isinstance(event, e.FrameRefused):
            second = self.state.now_ms // 1000
            if self._refused_s.get(event.feed) != second:  # one a second says it
                self._refused_s[event.feed] = second
                self._jump(noted, "fault", "", f"{event.feed} frame refused: {event.reason}")
        elif isinstance(event, e.OrderFilled):
            shares = sum(size for _, size in event.fills) or sum(one.shares_e6 for one in event.trades)
            order = self.state.trading.orders.get(event.order_id)
            slug = "" if order is None else order.intent.slug
            noun = "share" if shares == 1_000_000 else "shares"
            self._jump(noted, "trade", slug, f"{event.order_id} filled: {shares / 1e6:g} {noun}")
        elif isinstance(event, e.VenueRestricted) and not event.lifted:
            self._jump(noted, "fault", "", f"venue {event.restriction}: {event.why}")
        elif isinstance(event, e.AlarmRaised) and event.why:
            self._jump(noted, "fault", "", f"alarm {event.name}: {event.why}")
        elif isinstance(event, e.OrderRejected | e.OrderUnknown):
            self._jump(noted, "fault", "", f"{event.order_id}: {event.reason}")

    def _note_effects(self, effects: Sequence[Effect], noted: Noted) -> None:
        for effect in effects:
            if isinstance(effect, OrderIntent):
                said = f"{effect.side} {effect.outcome} at {effect.limit_e4 / ONE_E4:g} or better"
                self._jump(noted, "trade", effect.slug, f"{effect.order_id} sent: {said}")
            elif isinstance(effect, Decision):
                self._note_decision(effect, noted)

    def _note_decision(self, decision: Decision, noted: Noted) -> None:
        slug, said = decision.slug, (decision.action, first_gate(decision.gates))
        if self._said.get(slug) != said:
            self._said[slug] = said
            self._jump(noted, "decision", slug, _ACTIONS.get(decision.action) or f"no trade: {said[1]}")
        lone = _nearly(self.state, decision)
        if lone != self._near.get(slug, 0):
            self._near[slug] = lone
            if lone:
                self._jump(noted, "near miss", slug, _near_text(decision, lone))

    def _note_marks(self, noted: Noted) -> None:
        for mark in noted.marks:
            if mark.kind in ("gap", "frozen", "fallback"):
                self._jump(noted, "gap", mark.slug, mark.text)

    def _note_stops(self, noted: Noted) -> None:
        state = self.state
        stops = (state.killed, state.halted_why is not None, len(state.breakers))
        before, self._stops = self._stops, stops
        if stops == before:
            return
        if stops[0] and not before[0]:
            self._jump(noted, "fault", "", f"killed by {state.kill_who}: {state.kill_why}")
        if stops[1] and not before[1]:
            self._jump(noted, "fault", "", f"halted: {state.halted_why}")
        if stops[2] > before[2]:
            name, why = list(state.breakers.items())[-1]
            self._jump(noted, "fault", "", f"breaker {name}: {why}")

    def _jump(self, noted: Noted, kind: JumpKind, slug: str, text: str) -> None:
        noted.jumps.append(Jump(self.state.seq, self.state.now_ms, kind, slug, text))


def _nearly(state: State, decision: Decision) -> int:
    """Return the gate, or gates, that alone kept a worthwhile trade from being made in hammer time; else 0.

    All but one gate hold; or the EV of a side is positive, whatever refused.
    """
    gates = decision.gates
    if decision.action or not gates or gates & HAMMER:
        return 0
    market = state.markets.get(decision.slug)
    if market is None or market.view is None:
        return 0
    numbers, params = market.view.numbers, state.params
    if not numbers.blocks:
        evs = [ev for ev in (decision.ev_up, decision.ev_down) if ev is not None]
        alone = not gates & (gates - 1)
        return gates if alone or max(evs, default=-1.0) > 0.0 else 0
    if numbers.blocks & (numbers.blocks - 1):
        return 0
    # The one gate of the state refused before the price was looked at: look at it now.
    return gates if judge(numbers._replace(blocks=0), params).action else 0


def _near_text(decision: Decision, gates: int) -> str:
    evs = [ev for ev in (decision.ev_up, decision.ev_down) if ev is not None]
    worth = f"EV {max(evs):+.4f}, " if evs else ""
    return f"{worth}refused by {first_gate(gates)}"
