"""What a what-if plays: the prices of many windows in one stream, and when it is worth deciding at all.

Nearly all of a window cannot lead to an order: it is not watched, or not yet in its last seconds. There
prices are handed to the core in lumps (``PriceHistoryServed``), which leaves the same tracks behind. What it
does not know: what is decided.
"""

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.core import reports
from engine.core.prices import PriceTrack
from engine.core.signal import watch_fires, watch_return
from engine.events import Level, PriceHistoryServed, PricePrinted, Source
from engine.params import Params
from engine.run.row_records import Shown, lookback_of, printed, table_strike
from engine.run.wide_csv import SIDES
from engine.run.window_files import NONE, WindowRows
from engine.units import Milliseconds

LEAD_MS: Final = 8_000
"""Seconds before the hammer that are played whole: a mirror may be off for five of them
(``engine.core.books``), and every delivery of prices is noticed within four."""

LOUD_LEAST: Final = 2
"""Prints before a loud moment that are handed over one by one: by them it is seen that a value stands."""

NEWEST_KEPT: Final = 60
"""Reports of spot and of averages that go with a lump: the core looks ten seconds back, and at what froze."""


class Watch(NamedTuple):
    """The return at one print of the settlement feed."""

    at_ms: Milliseconds
    signed_return: float


class Feed(NamedTuple):
    """Windows in order of their start, their prices in order of arrival, the watch signal at each.

    ``longest_hammer_s`` is the longest hammer time of those that are compared: all are played from there on.
    """

    windows: tuple[WindowRows, ...]
    prints: tuple[PricePrinted, ...]
    watch: tuple[Watch, ...]
    longest_hammer_s: float
    tables: dict[int, "Table"]
    """The books of windows that were played, for the next who plays them."""

    @property
    def rows(self) -> int:
        """How many rows all windows have."""
        return sum(map(len, self.windows))


class Table:
    """A window's books from a row on, as plain numbers: a cell of an array takes longer to read than a row of
    these."""

    def __init__(self, window: WindowRows, first: int) -> None:
        self.first = first
        self._at_ms: list[Milliseconds] = window.times["ts_recv_ms"][first:].tolist()
        up_bids, up_asks, down_bids, down_asks = (_levels(window.sides[side], first) for side in SIDES)
        self._up = list(zip(up_bids, up_asks, strict=True))
        self._down = list(zip(down_bids, down_asks, strict=True))

    def at_ms(self, row: int) -> Milliseconds:
        """Return when a row arrived."""
        return self._at_ms[row - self.first]

    def up(self, row: int) -> Shown:
        """Return the book of the Up token in a row."""
        return self._up[row - self.first]

    def down(self, row: int) -> Shown:
        """Return the book of the Down token."""
        return self._down[row - self.first]


def table_of(feed: Feed, number: int, first: int) -> Table:
    """Return a window's books from a row on, or from an earlier one."""
    known = feed.tables.get(number)
    if known is None or known.first > first:
        known = feed.tables[number] = Table(feed.windows[number], first)
    return known


def _levels(
    columns: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]], first: int
) -> list[tuple[Level, ...]]:
    """Return one side's levels row by row, without empty cells."""
    ranks = [
        list(zip(prices[first:].tolist(), sizes[first:].tolist(), strict=True)) for prices, sizes in columns
    ]
    rows = list(zip(*ranks, strict=True))
    if any((prices[first:] == NONE).any() for prices, _ in columns):
        return [tuple(level for level in row if level[0] != NONE) for row in rows]
    return rows


class Zone(NamedTuple):
    """The stretch of a window in which it may be traded, and the print that made it watched."""

    window: int
    watched_ms: Milliseconds
    begin_ms: Milliseconds
    end_ms: Milliseconds


def feed_of(windows: Sequence[WindowRows], longest_hammer_s: float) -> Feed:
    """Put windows together.

    Args:
        windows: Any order; each slug once.
        longest_hammer_s: Spot outside of so many last seconds is kept once a second, as the core does.
    """
    ordered = tuple(sorted(windows, key=lambda one: (one.terms.start_s, one.terms.slug)))
    # A recorder that has averages has them for every window: where one has none, they were silent.
    has_twap = any(bool((window.btc["twap_price"] >= 0).any()) for window in ordered)
    found: list[PricePrinted] = []
    for window in ordered:
        found += _canonical(window) + _twap(window, has_twap) + _spot(window, longest_hammer_s)
    found.sort(key=lambda event: event.ts_recv_ms)
    prints = tuple(_once(found))
    return Feed(ordered, prints, _watch(prints), longest_hammer_s, {})


def zones(feed: Feed, params: Params) -> list[Zone]:
    """Return where each watched window may be traded under some parameters, in order of their begin."""
    fired = [one.at_ms for one in feed.watch if watch_fires(one.signed_return, params)]
    found = []
    for number, window in enumerate(feed.windows):
        watched = watched_at(window, fired)
        end_ms = window.terms.end_s * 1000
        if watched is not None:
            hammer_s = max(params.hammer_s, feed.longest_hammer_s)
            begin = max(end_ms - round(hammer_s * 1000) - LEAD_MS, watched)
            found.append(Zone(number, watched, begin, end_ms))
    return sorted(found, key=lambda zone: zone.begin_ms)


def watched_at(window: WindowRows, fired: Sequence[Milliseconds]) -> Milliseconds | None:
    """Return when a window is first watched; None where it never is."""
    begin = max(window.terms.start_s * 1000, int(window.times["ts_recv_ms"][0]))
    place = bisect_left(fired, begin)
    if place < len(fired) and fired[place] < window.terms.end_s * 1000:
        return fired[place]
    return None


class Quiet:
    """Prices that nothing is decided on, waiting to be handed over in a lump."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[Source, int], list[PricePrinted]] = {}

    def add(self, event: PricePrinted) -> None:
        """Keep a print."""
        self._waiting.setdefault((event.source, event.lookback_s), []).append(event)

    def take(self) -> list[PriceHistoryServed | PricePrinted]:
        """Return what waits: of each source a lump, and the last prints one by one."""
        lumps: list[PriceHistoryServed | PricePrinted] = []
        single: list[PricePrinted] = []
        for (source, lookback_s), events in self._waiting.items():
            alone = _standing(events)
            if alone < len(events):
                points = tuple((one.ts_venue_ms, one.value) for one in _needed(source, events[:-alone]))
                at_ms = events[-alone - 1].ts_recv_ms
                lumps.append(
                    PriceHistoryServed(ts_recv_ms=at_ms, source=source, points=points, lookback_s=lookback_s)
                )
            single += events[-alone:]
        self._waiting.clear()
        single.sort(key=lambda event: event.ts_recv_ms)
        return [*sorted(lumps, key=lambda event: event.ts_recv_ms), *single]


def _needed(source: Source, events: Sequence[PricePrinted]) -> list[PricePrinted]:
    """Leave out what the core never asks for again.

    Volatility is of every canonical second. An average counts at boundaries, which are whole minutes; spot
    near the newest second. One a minute stays of both, so that no slow move looks like a jump.
    """
    if source == "chainlink":
        return list(events)
    last = len(events) - NEWEST_KEPT
    return [one for place, one in enumerate(events) if place >= last or one.ts_venue_ms // 1000 % 60 == 0]


def _standing(events: Sequence[PricePrinted]) -> int:
    """Return how many of the last prints go one by one: the run of equal ones, and the one before it."""
    last = events[-1].value
    count = 1
    while count < len(events) and events[-count - 1].value == last:
        count += 1
    return min(len(events), max(LOUD_LEAST, count + 1))


# --- prices of a window -------------------------------------------------------------------------------------


def _canonical(window: WindowRows) -> list[PricePrinted]:
    stamps, places = window.times["canonical_ts_ms"], window.btc["canonical_price"]
    if (stamps == NONE).all():
        # A new print is another value; it is of the second of the venue's stamp.
        stamps = window.times["ts_venue_ms"] // 1000 * 1000
        new = _differs(places)
    else:
        new = _differs(places) | _differs(stamps)
    return _prints(window, "chainlink", 0, stamps, np.flatnonzero(new & (places >= 0)))


def _twap(window: WindowRows, has_twap: bool) -> list[PricePrinted]:
    stamps, places = window.times["twap_ts_ms"], window.btc["twap_price"]
    new = (_differs(places) | _differs(stamps)) & (places >= 0)
    lookback_s = lookback_of(window.terms)
    made = _prints(window, "twap", lookback_s, stamps, np.flatnonzero(new))
    strike = table_strike(window.terms, int(window.times["ts_recv_ms"][0]), has_twap)
    return made if strike is None else [*made, strike]


def _spot(window: WindowRows, longest_hammer_s: float) -> list[PricePrinted]:
    arrived, places = window.times["ts_recv_ms"], window.btc["spot_price"]
    new = np.flatnonzero(_differs(places) & (places >= 0))
    if not len(new):
        return []
    seconds = arrived[new] // 1000
    is_last = np.append(seconds[1:] != seconds[:-1], True)
    loud_from = window.terms.end_s * 1000 - round(longest_hammer_s * 1000) - LEAD_MS
    chosen = new[is_last | (arrived[new] >= loud_from)]
    return _prints(window, "spot", 0, arrived, chosen)


def _prints(
    window: WindowRows,
    source: Source,
    lookback_s: int,
    stamps: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
) -> list[PricePrinted]:
    name = {"chainlink": "canonical_price", "twap": "twap_price"}.get(source, "spot_price")
    values = window.values[name]
    return [
        printed(at_ms, source, stamp_ms, values[value], lookback_s)
        for at_ms, stamp_ms, value in zip(
            window.times["ts_recv_ms"][places].tolist(),
            stamps[places].tolist(),
            window.btc[name][places].tolist(),
            strict=True,
        )
    ]


def _differs(values: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return np.concatenate(([True], values[1:] != values[:-1]))


def _once(events: Sequence[PricePrinted]) -> list[PricePrinted]:
    """Leave out what another window's rows told before."""
    told: dict[tuple[Source, int, Milliseconds], Decimal] = {}
    kept = []
    for event in events:
        key = (event.source, event.lookback_s, event.ts_venue_ms)
        if told.get(key) != event.value:
            told[key] = event.value
            kept.append(event)
    return kept


def _watch(prints: Sequence[PricePrinted]) -> tuple[Watch, ...]:
    """Return the watch signal at each print that the core believes; by the core's own functions."""
    track, params = PriceTrack(), Params()
    found = []
    for event in prints:
        if event.source != "chainlink":
            continue
        if reports.take(track, event.ts_venue_ms, event.value, event) in ("new", "late"):
            signed = watch_return(track, params)
            if signed is not None:
                found.append(Watch(event.ts_recv_ms, signed))
    return tuple(found)
