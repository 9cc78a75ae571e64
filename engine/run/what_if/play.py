"""Let the core decide again over market rows, with paper fills; one set of parameters at a time.

The same ``step`` as live. Left out is only what cannot lead to an order: see ``engine.run.what_if.feed``, and
``_Books.may_trade``. That nothing else is lost is tested against a playing of every row.
"""

from bisect import bisect_left
from collections.abc import Callable
from operator import itemgetter
from typing import Final, NamedTuple

from msgspec.structs import replace

from engine.core import book_events
from engine.core import decide as gate
from engine.core.decide import Decision, expected_value
from engine.core.state import Market, State
from engine.core.step import step
from engine.core.trading import Order, OrderIntent, OrderKind
from engine.events import (
    AnyEvent,
    BookReplaced,
    MarketDescribed,
    OrderFilled,
    OrderKilled,
    PricePrinted,
    Record,
    SecondPassed,
)
from engine.params import Limits, Params
from engine.run.row_records import Books, contract_of, opening, served
from engine.run.what_if.feed import LEAD_MS, Feed, Quiet, Table, Zone, table_of, zones
from engine.run.window_files import WindowRows
from engine.units import ONE_E4, ONE_E6, Milliseconds
from engine.venue.exchange import Matched, Nothing
from engine.venue.paper import latency_ms, matched

SETTLED_AFTER_MS: Final = 9_000
"""After its end a window's final price has arrived, or is taken for lost (``engine.core.windows``: 8 s)."""

OLD_TERMS_MS: Final = 10_000
"""A window described so much longer ago than FEE_RATE_TTL_SECONDS is described again before it is decided on:
so does the engine; its gate refuses at twice that age."""

UNMOVED_BY_A_BOOK: Final = gate.RULE | gate.STRIKE | gate.VOLATILITY | gate.WATCH | gate.DISTANCE
"""Gates that only a price or a description opens: while one refuses, no book leads to an order."""

SECOND, DESCRIBED, PRINT, BOOK, SERVED = range(5)
"""Kinds of moments, in the order in which those of one millisecond come."""


class Variant(NamedTuple):
    """How to trade, and what paper takes: milliseconds to the venue (median), its hold, dollars to begin."""

    params: Params
    limits: Limits
    latency_ms: float = 80.0
    hold_ms: float = 150.0
    cash_usd: float = 1_000.0
    order_kind: OrderKind = "FOK"


class Played(NamedTuple):
    """What came of it: every order in order, the core's last state, and the reasons that were asked for."""

    orders: tuple[Order, ...]
    state: State
    reasons: dict[str, str]


class Cancelled(Exception):
    """Somebody does not want the answer any more."""


class Moment(NamedTuple):
    """Something that is due. ``window`` and ``row`` are places; -1 where they say nothing."""

    at_ms: Milliseconds
    kind: int
    window: int = -1
    row: int = -1
    event: AnyEvent | None = None


Told = Callable[[int, int], bool]
"""(windows done, windows in all) -> whether to go on."""


def play(
    feed: Feed, variant: Variant, asked: dict[str, Milliseconds] | None = None, told: Told = lambda *_: True
) -> Played:
    """Decide again.

    Args:
        feed: Windows and prices.
        variant: How to trade.
        asked: Windows and times at which the reason of the decision is to be kept.
        told: Is told how far it is.
    Raises:
        Cancelled: ``told`` said so.
    """
    playing = _Playing(feed, variant, asked or {})
    every = max(1, len(feed.windows) // 100)
    done = 0
    for moment in _moments(feed, playing.zones, variant.params.fee_ttl_s):
        playing.take(moment)
        if moment.kind == SERVED:
            done += 1
            if done % every == 0 and not told(done, len(feed.windows)):
                raise Cancelled
    return playing.end()


def _moments(feed: Feed, found: list[Zone], fee_ttl_s: float) -> list[Moment]:
    """List everything that is due, in order."""
    due = [Moment(event.ts_recv_ms, PRINT, event=event) for event in feed.prints]
    for number, window in enumerate(feed.windows):
        terms, first = window.terms, int(window.times["ts_recv_ms"][0])
        due.append(Moment(first, DESCRIBED, number))
        due.append(Moment((terms.end_s + 60) * 1000, SERVED, number))
    for zone in found:
        window = feed.windows[zone.window]
        arrived = window.times["ts_recv_ms"]
        if zone.end_ms - int(arrived[0]) > fee_ttl_s * 1000 + OLD_TERMS_MS:
            due.append(Moment(zone.begin_ms, DESCRIBED, zone.window))
        due += [
            Moment(second * 1000, SECOND)
            for second in range(zone.begin_ms // 1000 + 1, (zone.end_ms - 1) // 1000 + 1)
        ]
        begin = first_row(window, zone.begin_ms)
        end = bisect_left(arrived, zone.end_ms)
        due += [
            Moment(max(at_ms, zone.begin_ms), BOOK, zone.window, begin + place)
            for place, at_ms in enumerate(arrived[begin:end].tolist())
        ]
        due.append(Moment(zone.end_ms + SETTLED_AFTER_MS, SECOND))
    due.sort(key=itemgetter(0, 1))
    return due


def first_row(window: WindowRows, begin_ms: Milliseconds) -> int:
    """Return the row that stands at a time."""
    return max(0, bisect_left(window.times["ts_recv_ms"], begin_ms) - 1)


class _Books:
    """The books of one window in its zone: the newest row, and what the core was told of it."""

    def __init__(self, window: WindowRows, table: Table) -> None:
        self.window = window
        self.books = Books(window.terms.slug)
        self.waiting: int | None = None
        self._table = table

    def events(self, row: int) -> list[BookReplaced]:
        """Return what a row tells of the books."""
        self.waiting = None
        table = self._table
        return list(self.books.at(table.at_ms(row), table.up(row), table.down(row)))

    def may_trade(self, row: int, state: State, market: Market) -> bool:
        """Say whether deciding on this row could lead to an order: if not, it can wait for the next event."""
        decision = market.decision
        if decision is None:
            return True
        if decision.gates & UNMOVED_BY_A_BOOK:
            return False
        if decision.p_up is None or market.view is None:
            return True
        numbers, params = market.view.numbers, state.params
        if params.seed_model > 0.0:
            return True  # its probability moves with the time left, whatever was told meanwhile
        _, up = self._table.up(row)
        _, down = self._table.down(row)
        # The order's average price is never under the best ask.
        if up and expected_value(decision.p_up, up[0][0] / ONE_E4, numbers) > params.min_ev:
            return True
        chance = 1.0 - decision.p_up
        return bool(down) and expected_value(chance, down[0][0] / ONE_E4, numbers) > params.min_ev


class _Due(NamedTuple):
    """An order on its way."""

    at_ms: Milliseconds
    intent: OrderIntent


class _Playing:
    """The core, what it has yet to be told, and its orders on their way."""

    def __init__(self, feed: Feed, variant: Variant, asked: dict[str, Milliseconds]) -> None:
        self.zones = zones(feed, variant.params)
        self.state = State()
        self._feed, self._variant, self._asked = feed, variant, asked
        self._reasons: dict[str, str] = {}
        self._quiet = Quiet()
        self._firing = {zone.watched_ms for zone in self.zones}
        self._books: dict[int, _Books] = {}
        self._orders: list[Order] = []
        self._due: list[_Due] = []
        self._seq = 0
        self._loud_until_ms = 0
        self._next_zone = 0
        begin = min((int(one.times["ts_recv_ms"][0]) for one in feed.windows), default=0)
        opened = opening("what-if", begin, variant.params, variant.limits)
        cash_e6 = round(variant.cash_usd * ONE_E6)
        self._give(replace(opened, cash_e6=cash_e6, order_kind=variant.order_kind))

    def take(self, moment: Moment) -> None:
        """Take one moment in."""
        while self._due and self._due[0].at_ms <= moment.at_ms:
            self._match(self._due.pop(0))
        self._enter(moment.at_ms)
        if moment.kind == PRINT:
            assert isinstance(moment.event, PricePrinted)
            self._print(moment.event)
        elif moment.kind == BOOK:
            self._book(moment.window, moment.row)
        elif moment.kind == SECOND:
            self._loud(SecondPassed(ts_recv_ms=moment.at_ms))
            self._leave(moment.at_ms)
        else:
            self._terms(moment)

    def end(self) -> Played:
        """Let the last orders arrive."""
        while self._due:
            self._match(self._due.pop(0))
        return Played(tuple(self._orders), self.state, self._reasons)

    # --- moments --------------------------------------------------------------------------------------------

    def _enter(self, at_ms: Milliseconds) -> None:
        while self._next_zone < len(self.zones) and self.zones[self._next_zone].begin_ms <= at_ms:
            zone = self.zones[self._next_zone]
            self._loud_until_ms = max(self._loud_until_ms, zone.end_ms)
            self._books[zone.window] = self._books_of(zone)
            self._next_zone += 1

    def _books_of(self, zone: Zone) -> _Books:
        window = self._feed.windows[zone.window]
        # From the earliest row that any of those who are compared may ask for.
        longest_ms = round(max(self._feed.longest_hammer_s, self._variant.params.hammer_s) * 1000) + LEAD_MS
        first = first_row(window, min(zone.begin_ms, zone.end_ms - longest_ms))
        return _Books(window, table_of(self._feed, zone.window, first))

    def _leave(self, at_ms: Milliseconds) -> None:
        """Forget the books of windows that are over."""
        over = [one for one, books in self._books.items() if books.window.terms.end_s * 1000 < at_ms]
        for number in over:
            del self._books[number]

    def _print(self, event: PricePrinted) -> None:
        fires = event.source == "chainlink" and event.ts_recv_ms in self._firing
        if event.ts_recv_ms >= self._loud_until_ms and not fires:
            self._quiet.add(event)
        elif event.source == "spot":
            self._give(event)  # nothing is decided on it
        else:
            self._loud(event)

    def _book(self, number: int, row: int) -> None:
        books = self._books[number]
        market = self.state.markets.get(books.window.terms.slug)
        if market is None:
            return
        books.waiting = row
        if books.may_trade(row, self.state, market):
            events = books.events(row)
            for event in events[:-1]:
                self._lay(event)
            for event in events[-1:]:
                self._loud(event)

    def _terms(self, moment: Moment) -> None:
        terms = self._feed.windows[moment.window].terms
        if moment.kind == DESCRIBED:
            self._give(MarketDescribed(ts_recv_ms=moment.at_ms, contract=contract_of(terms)))
            return
        event = served(terms)
        if event is not None:
            self._give(event)
        self._give(SecondPassed(ts_recv_ms=moment.at_ms))

    # --- the core -------------------------------------------------------------------------------------------

    def _loud(self, event: AnyEvent) -> None:
        """Tell the core what waits, then this."""
        for lump in self._quiet.take():
            self._give(lump)
        for books in self._books.values():
            if books.waiting is not None:
                self._catch_up(books)
        self._give(event)

    def _catch_up(self, books: _Books) -> None:
        """Let the newest row stand in the books; the next event decides on it."""
        assert books.waiting is not None
        for event in books.events(books.waiting):
            self._lay(event)

    def _lay(self, event: BookReplaced) -> None:
        """Take a book in as ``step`` does, without a decision."""
        self._seq += 1
        self.state.seq = self._seq
        self.state.now_ms = max(self.state.now_ms, event.ts_recv_ms)
        book_events.replaced(self.state, event)

    def _give(self, event: AnyEvent) -> None:
        self._seq += 1
        for effect in step(self.state, Record(self._seq, event)):
            if isinstance(effect, Decision):
                asked = self._asked.get(effect.slug)
                if asked is not None and effect.at_ms >= asked:
                    self._reasons.setdefault(effect.slug, effect.reason)
            else:
                self._send(effect)

    def _send(self, intent: OrderIntent) -> None:
        self._orders.append(self.state.trading.orders[intent.order_id])
        # Drawn of name and time, not of a number of ours: the same order takes the same way in every variant.
        drawn = replace(intent, decided_seq=self.state.now_ms)
        way_ms = latency_ms(drawn, self._variant.latency_ms) + self._variant.hold_ms
        self._due.append(_Due(self.state.now_ms + round(way_ms), intent))
        self._due.sort(key=lambda one: one.at_ms)

    def _match(self, due: _Due) -> None:
        for books in self._books.values():
            if books.waiting is not None:
                self._catch_up(books)
        known = self.state.tokens.get(due.intent.token)
        book = None if known is None else known[0].book_of(known[1])
        answer = matched(book, due.intent, self.state.params.fallback_fee_rate, due.at_ms)
        self._give(ended(due.at_ms, due.intent, answer))


def ended(at_ms: Milliseconds, intent: OrderIntent, answer: Matched | Nothing) -> OrderFilled | OrderKilled:
    """Write the end of a paper order as the core is told of it."""
    if isinstance(answer, Matched):
        return OrderFilled(
            ts_recv_ms=at_ms,
            order_id=intent.order_id,
            fills=answer.fills,
            fee_e6=answer.fee_e6,
            assumed=answer.assumed,
        )
    return OrderKilled(
        ts_recv_ms=at_ms, order_id=intent.order_id, reason=answer.reason, assumed=answer.assumed
    )
