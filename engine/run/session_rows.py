"""Rows of a session: its events played through the core's own books and price tracks, sampled at each change.

Nothing is decided on the way, so this is ten times faster than a replay. A book that the core would not trade
on (awaiting its snapshot, in doubt, silent for too long) gives empty cells. What it does not know: files.
"""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

from engine import events as e
from engine.core import book_events, connections, reports, windows
from engine.core.book import Book
from engine.core.state import Market, State
from engine.params import Params
from engine.run.market_rows import AFTER_END_S, ASK_DEPTH, MarketRow, WindowTerms, terms_of
from engine.units import Milliseconds

SOURCES: Final = ("chainlink", "twap", "polybolt", "spot", "binance")
EARLY_MOST: Final = 2_000
"""Reports from before the first window that are kept for it: more than the core remembers."""


class Sampled(NamedTuple):
    """A row, and the window that it is of."""

    row: MarketRow
    market: Market


class _Report(NamedTuple):
    """A price as it was told."""

    stamp_ms: Milliseconds
    value: Decimal


class _Shown:
    """What was last told of one window."""

    def __init__(self) -> None:
        self.canonical: _Report | None = None
        self.twap: _Report | None = None
        self.spot: Decimal | None = None
        self.cells: tuple[object, ...] = (((), (), (), ()), (None,) * 5)


class SessionRows:
    """Takes events and yields rows; ``terms`` is the markets table as far as it is known."""

    def __init__(self) -> None:
        self.state = State()
        self.terms: dict[str, WindowTerms] = {}
        self.opened: e.SessionOpened | None = None
        self._shown: dict[str, _Shown] = {}
        self._early: list[e.PricePrinted] = []
        self._twap_told: dict[tuple[int, Milliseconds], Decimal] = {}

    def rows(self, records: Iterable[e.Record]) -> Iterator[Sampled]:
        """Yield the rows of a session, in order."""
        for record in records:
            yield from self.take(record)

    def take(self, record: e.Record) -> Iterator[Sampled]:
        """Take an event in; yield what changed for each window that runs."""
        event, state = record.event, self.state
        state.seq = record.seq
        state.now_ms = max(state.now_ms, event.ts_recv_ms)
        if isinstance(event, e.PricePrinted):
            yield from self._printed(event)
        elif isinstance(event, e.PriceHistoryServed):
            for stamp_ms, value in event.points:
                yield from self._printed(_as_print(event, stamp_ms, value))
        elif isinstance(event, e.MarketDescribed):
            yield from self._described(event)
        elif isinstance(event, e.OutcomeServed):
            self._outcome(event)
        elif isinstance(event, e.SecondPassed):
            yield from self._second()
        else:
            handler = _HANDLERS.get(type(event))
            if handler is not None:
                handler(state, event)
                yield from self._changed(getattr(event, "ts_venue_ms", event.ts_recv_ms))
            elif isinstance(event, e.SessionOpened):
                self.opened, state.params = event, Params(**event.params)

    # --- prices ---------------------------------------------------------------------------------------------

    def _printed(self, event: e.PricePrinted) -> Iterator[Sampled]:
        if event.source not in SOURCES or not self._believed(event) or self._is_told(event):
            return
        if not self._shown and len(self._early) < EARLY_MOST:
            self._early.append(event)
        for slug, shown in self._shown.items():
            if not self._runs(self.state.markets[slug]):
                continue
            if self._tell(self.state.markets[slug], shown, event):
                yield from self._row(slug, event.ts_venue_ms)

    def _believed(self, event: e.PricePrinted) -> bool:
        """Take a report as the core does; one that it does not believe leads to no row."""
        if event.source == "chainlink" and event.feed:
            if event.ts_recv_ms - self.state.rtds_raw_ms <= 3_000:
                return False
        elif event.source == "chainlink":
            self.state.rtds_raw_ms = event.ts_recv_ms
        track = self.state.track(event.source, event.lookback_s)
        return reports.take(track, event.ts_venue_ms, event.value, event) in ("new", "late")

    def _is_told(self, event: e.PricePrinted) -> bool:
        """Say whether the other socket told the same average before."""
        if event.source not in ("twap", "polybolt"):
            return False
        key = (event.lookback_s, event.ts_venue_ms)
        before = self._twap_told.get(key)
        self._twap_told[key] = event.value
        return before == event.value

    def _tell(self, market: Market, shown: _Shown, event: e.PricePrinted) -> bool:
        report = _Report(event.ts_venue_ms, event.value)
        if event.source == "chainlink":
            shown.canonical = report
        elif event.source in ("twap", "polybolt"):
            rule = market.contract.rule
            if rule is None or rule.basis != "twap" or rule.lookback_s != event.lookback_s:
                return False
            shown.twap = report
        elif event.source == "spot" or self.state.track("spot").newest_s is None:
            shown.spot = report.value
        else:
            return False
        return True

    # --- windows --------------------------------------------------------------------------------------------

    def _described(self, event: e.MarketDescribed) -> Iterator[Sampled]:
        contract = event.contract
        market = self.state.markets.get(contract.slug)
        known = self.terms.get(contract.slug)
        if known is None:
            self.terms[contract.slug] = terms_of(contract)
        elif (known.rule, known.fee) != (contract.rule, contract.fee):
            self.terms[contract.slug] = known._replace(rule=contract.rule, fee=contract.fee)
        if market is not None:
            market.contract = contract
            return
        if contract.end_s * 1000 <= self.state.now_ms:
            return
        windows.open_market(self.state, contract)
        self._shown[contract.slug] = _Shown()
        early, self._early = self._early, []
        market, shown = self.state.markets[contract.slug], self._shown[contract.slug]
        for told in early:
            # Older reports are rows of the first window: volatility needs them, and they arrived before it.
            if self._tell(market, shown, told):
                yield Sampled(self._made(market, shown, told.ts_venue_ms, told.ts_recv_ms), market)

    def _outcome(self, event: e.OutcomeServed) -> None:
        known = self.terms.get(event.slug)
        if known is not None:
            self.terms[event.slug] = known._replace(
                outcome=event.outcome or known.outcome,
                strike=event.strike or known.strike,
                final=event.final or known.final,
            )

    def _second(self) -> Iterator[Sampled]:
        """Notice which books fell silent, and put windows away that are over."""
        for slug, market in list(self.state.markets.items()):
            if self.state.now_ms > (market.contract.end_s + AFTER_END_S) * 1000:
                del self.state.markets[slug], self._shown[slug]
                for token in (market.contract.token_up, market.contract.token_down):
                    self.state.tokens.pop(token, None)
        if len(self._twap_told) > 8_000:
            self._twap_told.clear()
        yield from self._changed(self.state.now_ms)

    def _runs(self, market: Market) -> bool:
        now, contract = self.state.now_ms, market.contract
        return contract.start_s * 1000 <= now <= (contract.end_s + AFTER_END_S) * 1000

    # --- rows -----------------------------------------------------------------------------------------------

    def _changed(self, stamp_ms: Milliseconds) -> Iterator[Sampled]:
        for slug, market in self.state.markets.items():
            if self._runs(market):
                yield from self._row(slug, stamp_ms)

    def _row(self, slug: str, stamp_ms: Milliseconds) -> Iterator[Sampled]:
        market, shown = self.state.markets[slug], self._shown[slug]
        row = self._made(market, shown, stamp_ms, self.state.now_ms)
        cells = (row.touch, row.prices)
        if cells != shown.cells:
            shown.cells = cells
            yield Sampled(row, market)

    def _made(self, market: Market, shown: _Shown, stamp_ms: Milliseconds, at_ms: Milliseconds) -> MarketRow:
        canonical, twap = shown.canonical, shown.twap
        fresh = (
            market.book_arrived_ms is not None
            and at_ms - market.book_arrived_ms <= self.state.params.book_stale_s * 1000
            and at_ms < market.contract.end_s * 1000
        )
        return MarketRow(
            stamp_ms, at_ms, market.contract.slug,
            None if canonical is None else canonical.value,
            shown.spot,
            None if canonical is None else canonical.stamp_ms,
            None if twap is None else twap.value,
            None if twap is None else twap.stamp_ms,
            *(_levels(market.up, fresh)), *(_levels(market.down, fresh)),
        )  # fmt: skip


def _levels(book: Book, fresh: bool) -> tuple[tuple[e.Level, ...], tuple[e.Level, ...]]:
    if not fresh or book.state == "awaiting snapshot":
        return (), ()
    return book.depth("BUY", 1), book.depth("SELL", ASK_DEPTH)


def _as_print(event: e.PriceHistoryServed, stamp_ms: Milliseconds, value: Decimal) -> e.PricePrinted:
    return e.PricePrinted(
        ts_recv_ms=event.ts_recv_ms,
        source=event.source,
        value=value,
        ts_venue_ms=stamp_ms,
        ts_sent_ms=None,
        lookback_s=event.lookback_s,
        feed=event.feed,
    )


Handler = Callable[[State, Any], object]

_HANDLERS: Final[dict[type[e.Event], Handler]] = {
    e.BookReplaced: book_events.replaced,
    e.LevelsChanged: book_events.levels_changed,
    e.TouchQuoted: book_events.touch_quoted,
    e.TickSizeChanged: book_events.tick_size_changed,
    e.BookQueried: book_events.queried,
    e.FeedOpened: connections.feed_opened,
    e.FeedClosed: connections.feed_closed,
}
