"""The live core with paper orders, driven event by event: what the sweep's arrays have to agree with."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine import events as e
from engine.core.decide import Decision
from engine.core.state import State
from engine.core.step import step
from engine.core.trading import OrderIntent
from engine.events import Record
from engine.run.sweep.play import Configuration
from engine.run.sweep.trace import opened
from engine.venue.paper import LEVELS, SPREAD
from engine.venue.paper_fills import conservative, fee_e6, taken, touch


class Told(NamedTuple):
    """A decision of the live core: which record, which window, what."""

    seq: int
    decision: Decision


class _Order(NamedTuple):
    at_ms: int
    intent: OrderIntent
    missed: bool


class LivePaper:
    """Plays market data through the live core; orders take their time and meet the book of that moment."""

    def __init__(self, tried: Configuration, assumption: str, draws: dict[str, Sequence[float]]) -> None:
        self._tried = tried
        self._assumption = assumption
        self._draws = draws
        self._state = State()
        self._waiting: list[_Order] = []
        self._seq = 0
        self.decisions: list[Told] = []
        self.fills: dict[str, e.OrderFilled] = {}
        self.orders: dict[str, int] = {}

    def play(self, records: Iterable[Record]) -> None:
        """Play everything."""
        for record in records:
            if not self._seq:
                self._step(opened(self._tried.params, record.event.ts_recv_ms))
            if isinstance(record.event, e.SessionOpened):
                continue
            self._until(record.event.ts_recv_ms)
            seq, slugs = record.seq, {}
            for effect in self._step(record.event):
                if isinstance(effect, Decision):
                    slugs[effect.slug] = effect
                else:
                    self._send(effect)
            self.decisions += [Told(seq, decision) for decision in slugs.values()]

    def _step(self, event: e.AnyEvent):
        self._seq += 1
        return step(self._state, Record(self._seq, event))

    def _send(self, intent: OrderIntent) -> None:
        slug, attempt = intent.order_id.split("#")
        self.orders[slug] = self.orders.get(slug, 0) + 1
        normal, luck = self._draws[slug][2 * int(attempt) - 2 : 2 * int(attempt)]
        took = math.ceil(self._tried.latency_ms * math.exp(SPREAD * normal) + self._tried.hold_ms)
        self._waiting.append(_Order(self._state.now_ms + took, intent, luck < self._tried.miss_probability))

    def _until(self, now_ms: int) -> None:
        for order in sorted(self._waiting):
            if order.at_ms < now_ms:
                self._waiting.remove(order)
                self._match(order)

    def _match(self, order: _Order) -> None:
        intent = order.intent
        market = self._state.markets.get(intent.slug)
        fills = None
        if self._assumption == "touch":
            fills = touch(intent)
        elif market is not None and order.at_ms < intent.end_s * 1000:
            book = market.book_of(intent.outcome)
            levels = book.depth("SELL", LEVELS) if book.state == "live" else ()
            fills = taken(intent, levels) if self._assumption == "arrival" else conservative(intent, levels)
        if fills is None or order.missed:
            self._step(
                e.OrderKilled(ts_recv_ms=order.at_ms, order_id=intent.order_id, reason="", took_ms=0.0)
            )
            return
        fee = fee_e6(fills, intent.fee, self._tried.params.fallback_fee_rate)
        event = e.OrderFilled(
            ts_recv_ms=order.at_ms, order_id=intent.order_id, fills=fills, fee_e6=fee, took_ms=0.0
        )
        self.fills[intent.slug] = event
        self._step(event)
