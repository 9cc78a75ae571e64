"""Market data as rows: what was shown of one contract, one row for each change. One format for CSV, Parquet,
replay, what-if and sweep.

A row holds the touch of both tokens, some depth of their asks, and the last price of each source.
None is what is not known, or a side that is empty; it is never 0. What it does not know: files, and what
was decided. The meaning of every column is in data/replay_sessions/README.md.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from engine.contract import Contract, FeeSchedule, Outcome, SettlementRule
from engine.errors import EngineError
from engine.events import Level
from engine.units import Milliseconds

ASK_DEPTH: Final = 5
"""Levels of the asks that the product's own rows hold: a $50 order goes no deeper in these markets."""

ROWS_MOST: Final = 2_000
"""Rows of one window in Parquet."""

WHOLE_MS: Final = 60_000
"""The last so many milliseconds of a window are thinned last: everything is decided in them."""

AFTER_END_S: Final = 10
"""Seconds after its end for which a window has rows: its final price arrives 1.6-2.4 s late."""

FAULTS_TOLD: Final = 20

LEAST_DOLLARS: Final = Decimal("1e-18")
"""The least that eighteen decimals can tell."""
MOST_DOLLARS: Final = Decimal(10**9)


class MarketRowError(EngineError):
    """Rows that cannot be used; the text names file, line and column."""


class MarketRow(NamedTuple):
    """One row. Levels are best first; the first is the touch. Prices of BTC are dollars, exactly as told."""

    ts_venue_ms: Milliseconds
    ts_recv_ms: Milliseconds
    slug: str
    canonical_price: Decimal | None = None
    spot_price: Decimal | None = None
    canonical_ts_ms: Milliseconds | None = None
    twap_price: Decimal | None = None
    twap_ts_ms: Milliseconds | None = None
    up_bids: tuple[Level, ...] = ()
    up_asks: tuple[Level, ...] = ()
    down_bids: tuple[Level, ...] = ()
    down_asks: tuple[Level, ...] = ()

    @property
    def touch(self) -> tuple[tuple[Level, ...], ...]:
        """Price and size of the four best levels."""
        return self.up_bids[:1], self.up_asks[:1], self.down_bids[:1], self.down_asks[:1]

    @property
    def prices(self) -> tuple[object, ...]:
        """What the row says of BTC."""
        return self[3:8]


class WindowTerms(NamedTuple):
    """A line of the markets table: what is known of a window beside its rows. None is unknown."""

    slug: str
    start_s: int
    end_s: int
    rule: SettlementRule | None = None
    strike: Decimal | None = None
    outcome: Outcome | None = None
    fee: FeeSchedule | None = None
    final: Decimal | None = None


class Faults:
    """What is wrong with rows, told one by one; so that what is intact can be used.

    Without one, a reader raises at the first fault.
    """

    def __init__(self) -> None:
        self.count = 0
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        """Count a fault; the first ones are kept in words."""
        self.count += 1
        if len(self.texts) < FAULTS_TOLD:
            self.texts.append(text)

    @property
    def told(self) -> list[str]:
        """The first faults, and how many more there are."""
        more = self.count - len(self.texts)
        return [*self.texts, f"and {more:,} more"] if more else list(self.texts)


def complain(faults: Faults | None, text: str) -> None:
    """Count a fault where somebody counts, else raise it.

    Raises:
        MarketRowError: Nobody counts.
    """
    if faults is None:
        raise MarketRowError(text)
    faults.add(text)


def can_be_btc(value: Decimal) -> bool:
    """Say whether a number can be a price of BTC in dollars: far below a fraction of a cent the core would
    divide by it, and 28 digits are all that exact sums have."""
    return value.is_finite() and LEAST_DOLLARS <= value < MOST_DOLLARS


def terms_of(contract: Contract) -> WindowTerms:
    """Write what a contract's description tells of its window."""
    return WindowTerms(contract.slug, contract.start_s, contract.end_s, rule=contract.rule, fee=contract.fee)


def changes(rows: Iterable[MarketRow]) -> list[MarketRow]:
    """Return the rows of one window whose touch or prices differ from the row before."""
    kept: list[MarketRow] = []
    before: tuple[object, ...] | None = None
    for row in rows:
        now = (row.touch, row.prices)
        if now != before:
            kept.append(row)
        before = now
    return kept


def thinned(rows: Sequence[MarketRow], end_s: int, most: int = ROWS_MOST) -> tuple[list[MarketRow], int]:
    """Leave rows of one window out until there are at most so many.

    No report of a settlement feed is lost: the last row that holds each stays. Then come the changes of
    the last minute, then the others, evenly; all may give way where even they are too many.

    Args:
        rows: In order of time.
        end_s: End of the window, Unix seconds.
        most: How many may stay.
    Returns:
        The rows that stay, and how many do not.
    """
    if len(rows) <= most:
        return list(rows), 0
    kept = _evenly(sorted(_last_of_each_report(rows)), most)
    last_minute = [
        place
        for place, row in enumerate(rows)
        if end_s * 1000 - WHOLE_MS <= row.ts_recv_ms < end_s * 1000 and place not in kept
    ]
    kept |= _evenly(last_minute, most - len(kept))
    others = [place for place in range(len(rows)) if place not in kept]
    kept |= _evenly(others, most - len(kept))
    return [rows[place] for place in sorted(kept)], len(rows) - len(kept)


def _last_of_each_report(rows: Sequence[MarketRow]) -> set[int]:
    """Return the fewest places that between them hold every canonical and every TWAP report."""
    kept: set[int] = set()
    seen: set[object] = set()
    last: dict[object, int] = {}
    for place, row in enumerate(rows):
        last["canonical", row.canonical_ts_ms, row.canonical_price] = place
        last["twap", row.twap_ts_ms, row.twap_price] = place
    for report, place in last.items():
        if report in seen:
            continue
        kept.add(place)
        row = rows[place]
        seen |= {
            ("canonical", row.canonical_ts_ms, row.canonical_price),
            ("twap", row.twap_ts_ms, row.twap_price),
        }
    return kept


def _evenly(places: Sequence[int], most: int) -> set[int]:
    """Choose at most so many, spread over all; the last one is among them."""
    if most <= 0:
        return set()
    if len(places) <= most:
        return set(places)
    return {places[(number + 1) * len(places) // most - 1] for number in range(most)}
