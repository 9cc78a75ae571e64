"""Market data as arrays: what the live core sees of each window at every moment it decides.

The live core itself plays the events, with hammer time shut and no limits, so that it decides and never buys;
what every decision was made of is written down. All that the swept parameters do not change is in here; the
rest is ``engine.run.sweep.kernel``. What it does not know: files, orders, parameters to compare.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine import events as e
from engine.contract import Outcome
from engine.core import decide as gate
from engine.core import health
from engine.core.assess import fee_terms
from engine.core.book import Book
from engine.core.orders import LEVELS_KEPT
from engine.core.state import Market, State
from engine.core.step import step
from engine.params import Limits, Params
from engine.units import ONE_E6

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NO_LIMITS: Final = Limits(
    max_usd_per_trade=1e9,
    max_daily_loss_usd=1e9,
    max_trades_per_hour=1e9,
    max_exposure_usd=1e9,
    max_correlated_usd=1e9,
    max_loss_streak=1e9,
    max_drawdown_usd=1e9,
    edge_trades=1e9,
    least_roi=-1e9,
    max_surprise=1e9,
    max_order_errors=1e9,
)
"""A sweep compares rules, one window at a time; what an account may lose is no part of that."""

CASH_E6: Final = 10**9 * ONE_E6

DECIDED_AGAIN: Final = gate.WATCH | gate.ONE_ORDER
"""Gates that the swept parameters, or the orders they led to, set; ``judge`` sets hammer time itself."""

PACKED_AT: Final = 1_024
"""Moments of a window that are kept as Python's numbers before they become arrays."""

ONCE: Final = 10
"""Columns that hold one number for each moment; the rest but the last hold one for each level."""

_NEVER: Final = -1.0
_PRICES: Final = (e.PricePrinted, e.PriceHistoryServed)
_BOOKS: Final = (e.BookReplaced, e.LevelsChanged, e.TickSizeChanged)
_OURS: Final = (
    e.SessionOpened, e.OrderSigned, e.OrderSubmitted, e.OrderFilled, e.OrderKilled, e.OrderDenied,
    e.OrderRejected, e.OrderUnknown, e.OrdersCancelled, e.TradeStatusTold, e.AccountTradeTold,
    e.AccountOrderTold, e.VenueRestricted, e.BalanceTold, e.SharesTold, e.ArmChanged, e.AlarmRaised,
    e.TradingPaused, e.LimitsTightened, e.ParamsChanged, e.ExitAsked, e.LedgerRestored, e.KillSwitchChanged,
    e.EngineHalted, e.BacklogChanged,
)  # fmt: skip
"""What a recorded session says of itself, not of the market: a sweep is what others would have done."""


class Columns(NamedTuple):
    """Every moment of every window, window after window; shape (n,), or (n * depth,) for levels.

    ``ts_ms`` is by our clock and never falls; ``seconds_left`` by the venue's, as it was measured then.
    ``peak`` is the largest absolute return of the watch rule in this window so far (-1 before the first).
    ``decides`` is 0 where only depth changed and the core does not decide. A level's price is 0 where there
    is none; prices are ten-thousandths, sizes millionths. ``depth`` is how many levels of asks a side has.
    """

    ts_ms: Ints
    seconds_left: Floats
    strike: Floats
    expected: Floats
    deviation: Floats
    blocks: Ints
    peak: Floats
    decides: Ints
    tick_up: Ints
    tick_down: Ints
    price_up: Ints
    size_up: Ints
    price_down: Ints
    size_down: Ints
    depth: int


class Window(NamedTuple):
    """What is known of a window beside its moments. ``up`` is None where nobody told the outcome."""

    slug: str
    start_s: int
    end_s: int
    first: int
    last: int
    fee_rate: float
    fee_exponent: float
    fee_of_price: float
    up: bool | None
    fee_known: bool


class Trace(NamedTuple):
    """Windows in order of their end, and their moments."""

    columns: Columns
    windows: tuple[Window, ...]

    @property
    def steps(self) -> int:
        """How many moments there are."""
        return len(self.columns.ts_ms)


class _Rows:
    """The moments of one window, as they come; packed into arrays ever so often, a sixth of the memory."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.numbers: list[tuple[Any, ...]] = []
        self.asks: tuple[list[tuple[e.Level, ...]], list[tuple[e.Level, ...]]] = ([], [])
        self.peak = _NEVER
        self._packed: list[Columns] = []

    def __len__(self) -> int:
        return sum(len(part.ts_ms) for part in self._packed) + len(self.numbers)

    def columns(self) -> list[Columns]:
        """Return every moment, in parts that may differ in depth."""
        self._pack()
        return self._packed

    def _pack(self) -> None:
        if self.numbers:
            depth = max(1, *(len(levels) for side in self.asks for levels in side))
            self._packed.append(_columns(self.numbers, [_levels(side, depth) for side in self.asks], depth))
            for filled in (self.numbers, *self.asks):
                filled.clear()

    def add(self, market: Market, *, decides: bool, depth: int) -> None:
        """Write down what a market shows now."""
        last = self.numbers[-1] if self.numbers else None
        if len(self.numbers) >= PACKED_AT:
            self._pack()
        if decides:
            assert market.view is not None
            numbers, at_ms = market.view.numbers, market.view.at_ms
            told = (
                at_ms, numbers.seconds_left, numbers.strike, numbers.expected, numbers.deviation,
                numbers.blocks & ~DECIDED_AGAIN, self.peak, 1,
            )  # fmt: skip
        elif last is None:
            return
        else:
            told = (*last[:7], 0)
        ticks = tuple(book.tick_e4 or market.contract.tick_e4 for book in (market.up, market.down))
        self.numbers.append((*told, *ticks))
        for kept, book in zip(self.asks, (market.up, market.down), strict=True):
            kept.append(_shown(book, depth))


def _shown(book: Book, depth: int) -> tuple[e.Level, ...]:
    if book.ask is None or book.state != "live":
        return ()
    return book.depth("SELL", depth)


class Tracer:
    """Plays events through the live core and writes down what each decision is made of."""

    def __init__(self, params: Params, depth: int = LEVELS_KEPT) -> None:
        self._state = State()
        self._params = params._replace(hammer_s=_NEVER, watch_return_threshold=0.0)
        self._depth = depth
        self._rows: dict[str, _Rows] = {}
        self._begun = False
        self.outcomes: dict[str, Outcome] = {}

    def take(self, record: e.Record) -> None:
        """Take the next event in."""
        event = record.event
        if not self._begun:
            self._begun = True
            step(self._state, e.Record(record.seq, opened(self._params, event.ts_recv_ms)))
        if isinstance(event, _OURS):
            return
        if isinstance(event, e.OutcomeServed) and event.outcome is not None:
            self.outcomes[event.slug] = event.outcome
        decided = {effect.slug for effect in step(self._state, record)}
        is_return = isinstance(event, _PRICES) and event.source == "chainlink"
        told = self._state.watch_return
        for slug in decided:
            market = self._state.markets[slug]
            rows = self._rows.setdefault(slug, _Rows(market))
            if is_return and told is not None:
                rows.peak = max(rows.peak, abs(told))
            rows.add(market, decides=True, depth=self._depth)
        if isinstance(event, _BOOKS):
            self._depth_changed(event, decided)

    def _depth_changed(self, event: e.AnyEvent, decided: set[str]) -> None:
        """Write down a book that changed without a decision: an order on its way meets it."""
        tokens = [c.token for c in event.changes] if isinstance(event, e.LevelsChanged) else [event.token]  # type: ignore[union-attr]
        for slug in {
            self._state.tokens[token][0].contract.slug for token in tokens if token in self._state.tokens
        }:
            market, rows = self._state.markets[slug], self._rows.get(slug)
            if slug not in decided and rows is not None and self._state.now_ms < market.contract.end_s * 1000:
                rows.add(market, decides=False, depth=self._depth)
                # By the venue's time, as the decisions' rows: by ours the column would run to and fro.
                left_s = market.contract.end_s - health.venue_ms(self._state) / 1000
                rows.numbers[-1] = (self._state.now_ms, left_s, *rows.numbers[-1][2:])

    def finished(self) -> Trace:
        """Return everything as arrays."""
        kept = sorted(
            self._rows.values(), key=lambda rows: (rows.market.contract.end_s, rows.market.contract.slug)
        )
        windows, first = [], 0
        for rows in kept:
            windows.append(self._window(rows, first))
            first += len(rows)
        return Trace(_behind_each_other([part for rows in kept for part in rows.columns()]), tuple(windows))

    def _window(self, rows: _Rows, first: int) -> Window:
        market, contract = rows.market, rows.market.contract
        # Our own prices decide nothing here: what the venue served does.
        served = market.outcome if market.outcome_source == "served" else None
        told: Outcome | None = self.outcomes.get(contract.slug) or served
        return Window(
            contract.slug,
            contract.start_s,
            contract.end_s,
            first,
            first + len(rows),
            *fee_terms(contract.fee, self._params.fallback_fee_rate),
            up=None if told is None else told == "UP",
            fee_known=contract.fee is not None,
        )


def opened(params: Params, at_ms: int) -> e.SessionOpened:
    """Open a session of which only the rule matters: no limits, more cash than anybody can spend."""
    return e.SessionOpened(
        ts_recv_ms=at_ms,
        session="sweep",
        venue="practice",
        dry_run=True,
        profile="sweep",
        params=params._asdict(),
        limits=NO_LIMITS._asdict(),
        killed=False,
        cash_e6=CASH_E6,
    )


def trace_of(records: Iterable[e.Record], params: Params, tell: Callable[[int], None] | None = None) -> Trace:
    """Play events and return what was seen.

    Args:
        records: Market data of one session, in order; what a session says of itself is passed over.
        params: Of them the model's count: volatility, memory, staleness.
        tell: Told how many events were played, once in a while.
    """
    tracer = Tracer(params)
    for number, record in enumerate(records):
        tracer.take(record)
        if tell is not None and number % 20_000 == 0:
            tell(number)
    return tracer.finished()


def counted(traces: Sequence[Trace]) -> dict[str, tuple[int, Window]]:
    """Return each window, with the place of the trace that it counts in.

    Of a repeated window the first counts whose outcome is known: a session that was cut off in it has its
    beginning alone.
    """
    found: dict[str, tuple[int, Window]] = {}
    for place, trace in enumerate(traces):
        for window in trace.windows:
            known = found.get(window.slug)
            if known is None or (known[1].up is None and window.up is not None):
                found[window.slug] = place, window
    return found


def joined(traces: Sequence[Trace]) -> Trace:
    """Put traces behind each other, windows in order of their end, each as it counts.

    Returns:
        One trace, as deep as the deepest.
    """
    chosen = sorted(counted(traces).values(), key=lambda part: (part[1].end_s, part[1].slug))
    windows, first = [], 0
    for _, window in chosen:
        length = window.last - window.first
        windows.append(window._replace(first=first, last=first + length))
        first += length
    columns = [_cut(traces[place], window) for place, window in chosen]
    return Trace(_behind_each_other(columns), tuple(windows))


def chosen(trace: Trace, places: Sequence[int]) -> Trace:
    """Return some of a trace's windows."""
    return joined([Trace(trace.columns, tuple(trace.windows[place] for place in places))])


def _cut(trace: Trace, window: Window) -> Columns:
    columns, of = trace.columns, trace.columns.depth
    alone = [column[window.first : window.last] for column in columns[:ONCE]]
    levels = [column[window.first * of : window.last * of] for column in columns[ONCE:-1]]
    return Columns._make((*alone, *levels, of))


def _behind_each_other(parts: Sequence[Columns]) -> Columns:
    """Put columns behind each other, as deep as the deepest of them."""
    depth = max((part.depth for part in parts), default=1)
    if not parts:
        return _columns([], [_levels([], depth)] * 2, depth)
    made: list[Any] = [np.concatenate([part[place] for part in parts]) for place in range(ONCE)]
    for place in range(ONCE, len(Columns._fields) - 1):
        made.append(np.concatenate([_deep(part[place], part.depth, depth) for part in parts]))
    return Columns._make((*made, depth))


def _deep(levels: Any, of: int, depth: int) -> Any:
    """Give every moment room for so many levels."""
    return levels if of == depth else np.pad(levels.reshape(-1, of), ((0, 0), (0, depth - of))).reshape(-1)


def _columns(numbers: list[tuple[Any, ...]], sides: Sequence[tuple[Ints, Ints]], depth: int) -> Columns:
    columns = list(zip(*numbers, strict=True)) or [()] * 10
    kinds = (*"iffffifiii",)
    made = [
        np.array(column, dtype=np.int64 if kind == "i" else np.float64)
        for kind, column in zip(kinds, columns, strict=True)
    ]
    return Columns._make((*made, *sides[0], *sides[1], depth))


def _levels(asks: list[tuple[e.Level, ...]], depth: int) -> tuple[Ints, Ints]:
    prices, sizes = np.zeros((len(asks), depth), np.int64), np.zeros((len(asks), depth), np.int64)
    for place, levels in enumerate(asks):
        for rank, (price, size) in enumerate(levels[:depth]):
            prices[place, rank], sizes[place, rank] = price, size
    return prices.reshape(-1), sizes.reshape(-1)
