"""Market rows as the events that the core takes in: the same core then plays them as it plays a session.

What rows do not tell is not made up: the core's own gates say so. What has to be said all the same is said
here: time passes, windows are described by the markets table, a book is stamped by its row's arrival.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import chain, islice
from typing import Final, TypeAlias

from engine.contract import LEAST_SHARES_E6, Contract, Outcome
from engine.events import (
    AnyEvent,
    BookReplaced,
    FeedOpened,
    Level,
    MarketDescribed,
    OutcomeServed,
    PricePrinted,
    Record,
    SecondPassed,
    SessionOpened,
    Source,
)
from engine.params import Limits, Params
from engine.run.market_rows import MarketRow, MarketRowError, WindowTerms
from engine.run.markets_table import window_times
from engine.units import ONE_E6, Milliseconds, PriceE4

FEEDS: Final = ("gamma", "rtds", "spot", "clob")
TOLD_AFTER_S: Final = 60
"""When a window's outcome is served: a median 54 s after the end (settlement-and-strategy, section 1)."""

DESCRIBED_EVERY_MS: Final = 240_000
"""The engine asks Gamma again after FEE_RATE_TTL_SECONDS, 300 s: a window's terms never grow old here."""

BOOK_AGAIN_MS: Final = 1_000
"""A row restates the books, so a book that did not change for so long is told again: it is not stale."""

ROWS_LOOKED_AT: Final = 5_000
"""First rows of a file that are looked at for averages, before its first window needs a strike."""

TWAP_DELAY_MS: Final = 2_000
"""How late a report arrives (1.6-2.4 s, settlement-and-strategy, section 2), for a strike of the table."""

COVERS_START_MS: Final = 10_000
HOLE_MS: Final = 1_000_000
"""Over a longer hole between two rows time passes in one step: what the core knew is old by then."""

LOOKBACK_S: Final = 60
"""The averaging time of the TWAP stream that there is today, for windows whose own rule names none."""

COARSE_E4, FINE_E4 = 100, 10
"""The grid is a cent until a price lies between two cents: the venue switches near 0 and 1."""


def opening(session: str, at_ms: Milliseconds, params: Params, limits: Limits) -> SessionOpened:
    """Open a session of rows: on paper, with what paper begins with by default."""
    return SessionOpened(
        ts_recv_ms=at_ms,
        session=session,
        venue="practice",
        dry_run=True,
        profile="rows",
        params=params._asdict(),
        limits=limits._asdict(),
        killed=False,
        cash_e6=1_000 * ONE_E6,
    )


def contract_of(terms: WindowTerms) -> Contract:
    """Describe a window; ids that no row holds are made of its slug."""
    return Contract(
        slug=terms.slug,
        condition_id=terms.slug,
        start_s=terms.start_s,
        end_s=terms.end_s,
        token_up=token_of(terms.slug, "UP"),
        token_down=token_of(terms.slug, "DOWN"),
        rule=terms.rule,
        rule_text="unknown" if terms.rule is None else str(terms.rule),
        fee=terms.fee,
        tick_e4=COARSE_E4,
        min_size_e6=LEAST_SHARES_E6,
        accepting=True,
        version="rows",
    )


def token_of(slug: str, outcome: Outcome) -> str:
    """Name a token of a window."""
    return f"{slug}-{outcome.lower()}"


def lookback_of(terms: WindowTerms) -> int:
    """Return the averaging time of a window's TWAP column, seconds."""
    rule = terms.rule
    return rule.lookback_s if rule is not None and rule.basis == "twap" else LOOKBACK_S


def known_terms(slug: str, markets: Mapping[str, WindowTerms]) -> WindowTerms:
    """Return what is known of a window: at least what its name says.

    Raises:
        MarketRowError: Not the slug of a window.
    """
    if slug in markets:
        return markets[slug]
    times = window_times(slug)
    if times is None:
        raise MarketRowError(f"{slug[:80]!r} is not the slug of a BTC 5m or 15m window")
    return WindowTerms(slug, *times)


class Prints:
    """Prices that rows tell, each once: rows repeat what the row before said."""

    def __init__(self) -> None:
        self._told: dict[tuple[Source, int], dict[Milliseconds, Decimal]] = {}
        self._spot: Decimal | None = None
        self._canonical: Decimal | None = None

    def of(self, row: MarketRow, lookback_s: int) -> Iterator[PricePrinted]:
        """Yield what a row tells anew."""
        stamp, value = row.canonical_ts_ms, row.canonical_price
        if value is not None:
            if stamp is None and value != self._canonical:
                stamp = row.ts_venue_ms // 1000 * 1000
            self._canonical = value
            if stamp is not None:
                yield from self._once("chainlink", 0, stamp, value, row)
        if row.twap_price is not None and row.twap_ts_ms is not None:
            yield from self._once("twap", lookback_s, row.twap_ts_ms, row.twap_price, row)
        if row.spot_price is not None and row.spot_price != self._spot:
            self._spot = row.spot_price
            yield printed(row.ts_recv_ms, "spot", row.ts_recv_ms, row.spot_price)

    def has(self, source: Source, lookback_s: int, stamp_ms: Milliseconds) -> bool:
        """Say whether a report was told."""
        return stamp_ms in self._told.get((source, lookback_s), {})

    def note(self, event: PricePrinted) -> None:
        """Count a report as told."""
        told = self._told.setdefault((event.source, event.lookback_s), {})
        told[event.ts_venue_ms] = event.value
        while len(told) > 2_000:
            del told[next(iter(told))]

    def _once(
        self, source: Source, lookback_s: int, stamp: Milliseconds, value: Decimal, row: MarketRow
    ) -> Iterator[PricePrinted]:
        if self._told.get((source, lookback_s), {}).get(stamp) != value:
            event = printed(row.ts_recv_ms, source, stamp, value, lookback_s)
            self.note(event)
            yield event


def printed(
    at_ms: Milliseconds, source: Source, stamp_ms: Milliseconds, value: Decimal, lookback_s: int = 0
) -> PricePrinted:
    """Print a price."""
    return PricePrinted(
        ts_recv_ms=at_ms,
        source=source,
        value=value,
        ts_venue_ms=stamp_ms,
        ts_sent_ms=None,
        lookback_s=lookback_s,
    )


def table_strike(terms: WindowTerms, first_ms: Milliseconds, has_twap: bool) -> PricePrinted | None:
    """Return the table's strike as the report that the rows have no column for; None where they have.

    Rows that begin in the middle of a window know its strike no better than the engine did.
    """
    rule = terms.rule
    if has_twap or terms.strike is None or rule is None or rule.basis != "twap":
        return None
    start_ms = terms.start_s * 1000
    if first_ms > start_ms + COVERS_START_MS:
        return None
    at_ms = max(first_ms, start_ms + TWAP_DELAY_MS)
    return printed(at_ms, "twap", start_ms, terms.strike, rule.lookback_s)


def served(terms: WindowTerms, now_ms: Milliseconds = 0) -> OutcomeServed | None:
    """Return the outcome as it is served after a window; None where the table has none."""
    if terms.outcome is None:
        return None
    at_ms = max(now_ms, (terms.end_s + TOLD_AFTER_S) * 1000)
    return OutcomeServed(
        ts_recv_ms=at_ms, slug=terms.slug, outcome=terms.outcome, strike=terms.strike, final=terms.final
    )


Shown: TypeAlias = tuple[tuple[Level, ...], tuple[Level, ...]]
"""A book as a row shows it: bids and asks, best first."""


class Books:
    """What was last told of one window's two books."""

    def __init__(self, slug: str) -> None:
        self._slug = slug
        self._tokens: dict[Outcome, str] = {"UP": token_of(slug, "UP"), "DOWN": token_of(slug, "DOWN")}
        self._tick: PriceE4 = COARSE_E4
        self._told: dict[Outcome, tuple[object, Milliseconds]] = {}

    def of(self, row: MarketRow) -> Iterator[BookReplaced]:
        """Yield the books of a row that changed, or were not told for a second."""
        return self.at(row.ts_recv_ms, (row.up_bids, row.up_asks), (row.down_bids, row.down_asks))

    def at(self, at_ms: Milliseconds, up: Shown, down: Shown) -> Iterator[BookReplaced]:
        """Yield the books at a time, likewise; each is its bids and its asks, best first."""
        sides: tuple[tuple[Outcome, Shown], ...] = (("UP", up), ("DOWN", down))
        for outcome, now in sides:
            before, told_ms = self._told.get(outcome, (None, 0))
            if now == before and at_ms - told_ms < BOOK_AGAIN_MS:
                continue
            bids, asks = now
            if before is None and not bids and not asks:
                continue
            self._told[outcome] = (now, at_ms)
            if self._tick != FINE_E4 and any(price % self._tick for price, _ in (*bids, *asks)):
                self._tick = FINE_E4
            yield BookReplaced(
                ts_recv_ms=at_ms,
                market=self._slug,
                token=self._tokens[outcome],
                bids=bids,
                asks=asks,
                ts_venue_ms=at_ms,
                tick_e4=self._tick,
            )


class _Window:
    """A window whose rows are being played."""

    def __init__(self, terms: WindowTerms, first_ms: Milliseconds) -> None:
        self.terms = terms
        self.books = Books(terms.slug)
        self.described_ms: Milliseconds = 0
        self.first_ms = first_ms
        self.asked_strike = False


def records_of_rows(
    rows: Iterable[MarketRow],
    markets: Mapping[str, WindowTerms],
    *,
    session: str = "rows",
    params: Params | None = None,
    limits: Limits | None = None,
) -> Iterator[Record]:
    """Yield rows as numbered events, in order of their arrival.

    Args:
        rows: In order of ``ts_recv_ms``; windows may run at once.
        markets: What is known of the windows.
        session: What the session is called.
        params: How to trade; the defaults where nobody says.
        limits: Same.
    Raises:
        MarketRowError: A row's slug is none.
    """
    coming = iter(rows)
    head = list(islice(coming, ROWS_LOOKED_AT))
    playing = _Playing(markets, has_twap=any(row.twap_ts_ms is not None for row in head))
    seq = 0
    for row in chain(head, coming):
        if seq == 0:
            begun = opening(session, row.ts_recv_ms, params or Params(), limits or Limits())
            feeds: list[AnyEvent] = [
                FeedOpened(ts_recv_ms=row.ts_recv_ms, feed=feed, epoch=1) for feed in FEEDS
            ]
            for first in (begun, *feeds):
                seq += 1
                yield Record(seq, first)
        for event in playing.of(row):
            seq += 1
            yield Record(seq, event)
    for event in playing.rest():
        seq += 1
        yield Record(seq, event)


class _Playing:
    """Rows become events; the time between them passes."""

    def __init__(self, markets: Mapping[str, WindowTerms], *, has_twap: bool) -> None:
        self._markets = markets
        # Rows without averages are of a recorder that had none; in all others a missing one is an outage, and
        # the table's strike would be the future's word.
        self._has_twap = has_twap
        self._windows: dict[str, _Window] = {}
        self._prints = Prints()
        self._now_ms: Milliseconds = 0

    def of(self, row: MarketRow) -> Iterator[AnyEvent]:
        """Yield what happened up to a row, and what the row says."""
        yield from self._until(row.ts_recv_ms)
        window = self._windows.get(row.slug)
        if window is None:
            terms = known_terms(row.slug, self._markets)
            window = self._windows[row.slug] = _Window(terms, row.ts_recv_ms)
        if row.ts_recv_ms - window.described_ms >= DESCRIBED_EVERY_MS:
            window.described_ms = row.ts_recv_ms
            yield MarketDescribed(ts_recv_ms=row.ts_recv_ms, contract=contract_of(window.terms))
        self._has_twap = self._has_twap or row.twap_ts_ms is not None
        yield from self._prints.of(row, lookback_of(window.terms))
        if row.ts_recv_ms < window.terms.end_s * 1000:
            yield from window.books.of(row)

    def rest(self) -> Iterator[AnyEvent]:
        """Yield the outcomes that come after the last row."""
        for window in sorted(self._windows.values(), key=lambda one: one.terms.end_s):
            event = served(window.terms, self._now_ms)
            if event is not None:
                yield from self._seconds(event.ts_recv_ms, longest_ms=0)
                yield event

    def _until(self, at_ms: Milliseconds) -> Iterator[AnyEvent]:
        """Yield seconds, strikes of the table and outcomes, up to a moment."""
        due: list[AnyEvent] = []
        for slug, window in list(self._windows.items()):
            strike = table_strike(window.terms, window.first_ms, self._has_twap)
            if strike is not None and not window.asked_strike and strike.ts_recv_ms <= at_ms:
                window.asked_strike = True
                if not self._prints.has("twap", strike.lookback_s, strike.ts_venue_ms):
                    self._prints.note(strike)
                    due.append(strike)
            if (window.terms.end_s + TOLD_AFTER_S) * 1000 <= at_ms:
                del self._windows[slug]
                told = served(window.terms)
                if told is not None:
                    due.append(told)
        for event in sorted(due, key=lambda one: one.ts_recv_ms):
            yield from self._seconds(event.ts_recv_ms)
            yield event
        yield from self._seconds(at_ms)

    def _seconds(self, at_ms: Milliseconds, longest_ms: Milliseconds = HOLE_MS) -> Iterator[SecondPassed]:
        if self._now_ms and at_ms - self._now_ms <= longest_ms:
            for second in range(self._now_ms // 1000 + 1, at_ms // 1000 + 1):
                yield SecondPassed(ts_recv_ms=second * 1000)
        elif self._now_ms and at_ms > self._now_ms:
            yield SecondPassed(ts_recv_ms=at_ms)
        self._now_ms = max(self._now_ms, at_ms)
