"""Money: what was bought, what it cost, what it paid. Whole millionths of a dollar throughout.

What it does not know: why something was bought, or which prices decided an outcome. Every change is also kept
as a record until somebody takes it (``take_changes``), so that a file can follow.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import structs

from engine.contract import Outcome
from engine.events import Level, PastFill, PastFillStatus, PastResult, PastRule, PastSettlement, Side
from engine.params import RESULTS_KEPT
from engine.units import ONE_E4, Milliseconds, PriceE4, SizeE6, UsdE6

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
RECENT_KEPT: Final = 500
"""Fills that a balance told late is corrected by: more than an answer's age could hold."""

Source: TypeAlias = Literal["own", "served"]
"""Whose word an outcome is: what our own prices say, or the venue."""


class OrderChange(msgspec.Struct, frozen=True):
    """An order as it is now: what was asked for, and how far it came.

    ``state`` is an ``OrderState``'s text; ``ended_ms`` is None while its end is not known. ``usd_e6`` is what
    a BUY may spend, ``shares_e6`` what a SELL may give.
    """

    order_id: str
    slug: str
    end_s: int
    outcome: Outcome
    token: str
    side: Side
    kind: str
    limit_e4: PriceE4
    usd_e6: UsdE6
    shares_e6: SizeE6
    probability: float
    state: str
    reason: str
    venue_order_id: str
    at_ms: Milliseconds
    ended_ms: Milliseconds | None
    fee_rate: str | None = None
    fee_exponent: str | None = None


Change: TypeAlias = PastFill | PastFillStatus | PastSettlement | PastRule | OrderChange


class Result(NamedTuple):
    """One settled window of ours: what it cost with fees, what it earned, and what was claimed of it.

    ``claimed`` is the probability of the side bought, averaged over its shares; ``won`` whether it came.
    """

    slug: str
    cost_e6: UsdE6
    realised_e6: UsdE6
    shares_e6: SizeE6
    claimed: float
    won: bool
    at_ms: Milliseconds = 0


class Holding:
    """Everything one market's trades came to: the sums of ``fills``.

    ``cost_e6`` is what BUYs cost less what SELLs brought, before fees. ``realised_e6`` is None until the
    market settled; ``day`` is the UTC day number of its settlement; ``outcome_source`` says whose word
    ``outcome`` is, and None as long as there is none; ``claimed`` sums bought shares times the probability of
    the side at which they were bought, ``bought_e6`` the shares.
    """

    __slots__ = (
        "bought_e6",
        "claimed",
        "cost_e6",
        "day",
        "end_s",
        "fee_e6",
        "fills",
        "outcome",
        "outcome_source",
        "paid_e6",
        "realised_e6",
        "settled_ms",
        "shares_e6",
        "spent_e6",
    )

    def __init__(self) -> None:
        self.fills: dict[tuple[str, str], PastFill] = {}
        self.shares_e6: dict[Outcome, SizeE6] = {"UP": 0, "DOWN": 0}
        self.cost_e6: UsdE6 = 0
        self.fee_e6: UsdE6 = 0
        self.spent_e6: UsdE6 = 0
        """What BUYs cost with their fees, whatever SELLs brought."""
        self.bought_e6: SizeE6 = 0
        self.end_s = 0
        self.claimed = 0.0
        self.outcome: Outcome | None = None
        self.outcome_source: Source | None = None
        self.paid_e6: UsdE6 = 0
        self.realised_e6: UsdE6 | None = None
        self.day: int | None = None
        self.settled_ms: Milliseconds = 0

    @property
    def at_stake_e6(self) -> UsdE6:
        """What is lost if nothing pays; never less than nothing, whatever SELLs brought.

        Shares that were sold and then turned out never to have been bought are owed.
        """
        return max(0, self.cost_e6 + self.fee_e6 - min(0, *self.shares_e6.values()))

    def add_up(self) -> None:
        """Sum the fills again, after one came or was undone."""
        self.shares_e6 = {"UP": 0, "DOWN": 0}
        self.cost_e6 = self.fee_e6 = self.spent_e6 = self.bought_e6 = 0
        self.claimed = 0.0
        for fill in self.fills.values():
            sign = 1 if fill.side == "BUY" else -1
            self.shares_e6[fill.outcome] += sign * fill.shares_e6
            self.cost_e6 += sign * fill.cost_e6
            self.fee_e6 += fill.fee_e6
            self.end_s = fill.end_s
            if fill.side == "BUY":
                self.spent_e6 += fill.cost_e6 + fill.fee_e6
                self.bought_e6 += fill.shares_e6
                self.claimed += fill.probability * fill.shares_e6


class Sums(NamedTuple):
    """Realised profit after fees, fees paid, trades."""

    realised_e6: UsdE6
    fees_e6: UsdE6
    trades: int


class Ledger:
    """All holdings, and what the limits need to know of them.

    Sums are kept, not taken: they are asked for at every decision, and a session may run for months.
    ``peak_e6`` is the best that ``realised_e6`` ever was; ``results`` the last settled windows, in the order
    in which each settled first, whatever was learnt of it afterwards; ``cash_e6`` what all fills and payouts
    came to (it begins at 0 and is spent below it).
    """

    __slots__ = (
        "_at_start",
        "_before_e6",
        "_by_day",
        "_changes",
        "_least_peak_e6",
        "_older",
        "_open_cost_e6",
        "_orders_seen",
        "_realised_by",
        "_recent",
        "_times_ms",
        "_unsettled",
        "_unverified",
        "cash_e6",
        "fees_e6",
        "holdings",
        "peak_e6",
        "realised_e6",
        "results",
        "trades",
    )

    def __init__(self) -> None:
        self.holdings: dict[str, Holding] = {}
        self.trades = 0
        self.fees_e6: UsdE6 = 0
        self.cash_e6: UsdE6 = 0
        self.realised_e6: UsdE6 = 0
        self.peak_e6: UsdE6 = 0
        self.results: deque[Result] = deque(maxlen=RESULTS_KEPT)
        self._open_cost_e6: UsdE6 = 0
        self._by_day: dict[int, UsdE6] = {}
        self._times_ms: deque[Milliseconds] = deque()
        self._orders_seen: set[tuple[str, str]] = set()
        self._realised_by: dict[str, UsdE6] = {}
        """What windows changed that settled since ``judge_anew``, in the order in which each did first."""
        self._older: tuple[Result, ...] = ()
        """Results before theirs, of windows that are too old to be told one by one."""
        self._recent: deque[PastFill] = deque(maxlen=RECENT_KEPT)
        self._before_e6: UsdE6 = 0
        self._least_peak_e6: UsdE6 = 0
        self._changes: list[Change] = []
        self._unsettled: dict[str, Holding] = {}
        self._unverified: dict[str, Holding] = {}
        self._at_start = Sums(0, 0, 0)

    @property
    def of_session(self) -> "Sums":
        """What came since ``begin_session``: the sums above go back as far as the file does."""
        start = self._at_start
        return Sums(
            self.realised_e6 - start.realised_e6, self.fees_e6 - start.fees_e6, self.trades - start.trades
        )

    def begin_session(self) -> None:
        """Count what is told from here on as the session's own."""
        self._at_start = Sums(self.realised_e6, self.fees_e6, self.trades)

    def book(self, fill: PastFill) -> bool:
        """Add a fill once, however often it is told: shares in and dollars out for a BUY, and the other way
        round for a SELL; the fee is paid either way.

        A fill that is told after its market settled (a late report) is settled at once.

        Returns:
            Whether it was new.
        """
        holding = self.holdings.setdefault(fill.slug, Holding())
        key = (fill.order_id, fill.trade_id)
        if key in holding.fills:
            return False
        if holding.outcome is None:
            self._unsettled[fill.slug] = holding
        self._count(fill)
        holding.fills[key] = fill
        self._recent.append(fill)
        self._changes.append(fill)
        self._take_in(fill.slug, holding)
        return True

    def confirm(self, slug: str, status: PastFillStatus) -> None:
        """Make a provisional fill final."""
        holding = self.holdings.get(slug)
        key = (status.order_id, status.trade_id)
        if holding is None or key not in holding.fills or holding.fills[key].is_final:
            return
        holding.fills[key] = structs.replace(holding.fills[key], is_final=True)
        self._changes.append(status)

    def undo(self, slug: str, status: PastFillStatus) -> PastFill | None:
        """Take a fill back that failed after its match, as if it had never been.

        Returns:
            The fill; None where there is none of this name.
        """
        holding = self.holdings.get(slug)
        fill = None if holding is None else holding.fills.pop((status.order_id, status.trade_id), None)
        if fill is None or holding is None:
            return None
        self._changes.append(status)
        self._take_in(slug, holding)
        return fill

    def settle(self, slug: str, outcome: Outcome, at_ms: Milliseconds, source: Source = "served") -> None:
        """Pay a market out: a dollar for each winning share.

        Settling again with another outcome replaces the first (the venue's word over our own); with the same
        one it moves no money, and the venue's word confirms our own. One that settled before ``judge_anew``
        and comes out otherwise is judged with what is told now.
        """
        holding = self.holdings.get(slug)
        if holding is None or holding.outcome == outcome:
            if holding is not None and holding.outcome_source == "own" and source == "served":
                self._unverified.pop(slug, None)
                holding.outcome_source = source
                self._changes.append(PastSettlement(slug, outcome, holding.settled_ms, source))
            return
        if holding.outcome is None:
            self._open_cost_e6 -= holding.at_stake_e6
            self._unsettled.pop(slug, None)
        self._unverified.pop(slug, None)
        if source == "own":
            self._unverified[slug] = holding
        self._changes.append(PastSettlement(slug, outcome, at_ms, source))
        holding.outcome, holding.outcome_source, holding.settled_ms = outcome, source, at_ms
        is_first = slug not in self._realised_by
        self._realised_by.setdefault(slug, 0)
        self._realise(slug, holding, at_ms // DAY_MS)
        if is_first:
            self._judge_next(slug, holding)
        else:
            self._look_again()

    def go_on_from(self, before_e6: UsdE6, best_e6: UsdE6 = 0, results: Iterable[PastResult] = ()) -> None:
        """Go on with what windows came to that are too old to be told one by one.

        Args:
            before_e6: All of them together.
            best_e6: How far above its beginning their running sum ever was.
            results: The last of them that are to be judged, oldest first.
        """
        self._least_peak_e6 = max(self._least_peak_e6, self.realised_e6 + best_e6)
        self._before_e6 += before_e6
        self.realised_e6 += before_e6
        self.cash_e6 += before_e6
        self._older += tuple(
            Result(
                slug=past.slug,
                cost_e6=past.cost_e6,
                realised_e6=past.realised_e6,
                shares_e6=past.shares_e6,
                claimed=past.claimed,
                won=past.realised_e6 > 0,
                at_ms=past.at_ms,
            )
            for past in results
        )
        self._look_again()

    def judge_anew(self) -> None:
        """Forget the results so far, and count a drawdown from here: an operator has cleared the breakers."""
        self.results.clear()
        self._older = ()
        self.peak_e6 = self._least_peak_e6 = self._before_e6 = self.realised_e6
        self._realised_by.clear()

    def note(self, change: OrderChange | PastRule) -> None:
        """Let the file know how an order is, or which rule is trusted."""
        self._changes.append(change)

    @property
    def has_changes(self) -> bool:
        """Whether something changed since the changes were last taken."""
        return bool(self._changes)

    def take_changes(self) -> list[Change]:
        """Return what changed since the last call, in order."""
        changes, self._changes = self._changes, []
        return changes

    def realised_on(self, day: int) -> UsdE6:
        """Return the profit of the markets settled on one UTC day (days since the epoch)."""
        return self._by_day.get(day, 0)

    def open_cost_e6(self, end_s: int | None = None) -> UsdE6:
        """Return what is lost if every open holding pays nothing; only of windows that end then, if told."""
        if end_s is None:
            return self._open_cost_e6
        if not self._unsettled:
            return 0
        return sum(holding.at_stake_e6 for holding in self._unsettled.values() if holding.end_s == end_s)

    def trades_since(self, since_ms: Milliseconds) -> int:
        """Count orders that filled at or after a moment, of those of the last day."""
        return sum(at_ms >= since_ms for at_ms in self._times_ms) if self._times_ms else 0

    def spent_since_e6(self, since_ms: Milliseconds) -> UsdE6:
        """Return what fills took out of the cash at or after a moment (what they brought counts against it).

        For a balance that was asked for before they were known.
        """
        return sum(
            (fill.cost_e6 if fill.side == "BUY" else -fill.cost_e6) + fill.fee_e6
            for fill in self._recent_now()
            if fill.at_ms >= since_ms
        )

    def provisional_e6(self, before_ms: Milliseconds) -> UsdE6:
        """Return what matches of before a moment take that are not final: the venue may take it later."""
        return sum(
            fill.cost_e6 + fill.fee_e6
            for fill in self._recent_now()
            if fill.side == "BUY" and not fill.is_final and fill.at_ms < before_ms
        )

    def _recent_now(self) -> Iterator[PastFill]:
        """Yield the last fills as they are now, without those that were undone."""
        for fill in self._recent:
            now = self.holdings[fill.slug].fills.get((fill.order_id, fill.trade_id))
            if now is not None:
                yield now

    def unsettled(self) -> dict[str, int]:
        """Return the windows that hold something and have not paid out, with their ends."""
        return {slug: holding.end_s for slug, holding in self._unsettled.items() if holding.fills}

    def unverified(self, since_s: int) -> dict[str, int]:
        """Return the windows that paid out by our own word alone, with their ends; not those of long ago.

        Args:
            since_s: Windows that ended before are left out.
        """
        return {
            slug: holding.end_s
            for slug, holding in self._unverified.items()
            if holding.fills and holding.end_s >= since_s
        }

    def _count(self, fill: PastFill) -> None:
        """Count an order once, however many trades it came to; what is undone later has been one all the
        same."""
        key = (fill.slug, fill.order_id)
        if key in self._orders_seen:
            return
        self._orders_seen.add(key)
        self.trades += 1
        self._times_ms.append(fill.at_ms)
        while self._times_ms[0] < fill.at_ms - DAY_MS:
            self._times_ms.popleft()

    def _take_in(self, slug: str, holding: Holding) -> None:
        """Let a holding's sums, and the ledger's, follow its fills; a profit keeps its settlement's day."""
        fee, stake, cash = holding.fee_e6, holding.at_stake_e6, holding.cost_e6 + holding.fee_e6
        holding.add_up()
        self.fees_e6 += holding.fee_e6 - fee
        self.cash_e6 -= holding.cost_e6 + holding.fee_e6 - cash
        if holding.outcome is None:
            self._open_cost_e6 += holding.at_stake_e6 - stake
        elif holding.day is not None:
            self._realise(slug, holding, holding.day)
            self._look_again()

    def _realise(self, slug: str, holding: Holding, day: int) -> None:
        """Book a holding's profit for its outcome on a UTC day, in place of what was booked before."""
        assert holding.outcome is not None
        was_e6 = holding.realised_e6 or 0
        if holding.day is not None:
            self._by_day[holding.day] -= was_e6
        paid = holding.shares_e6[holding.outcome]
        self.cash_e6 += paid - holding.paid_e6
        holding.paid_e6 = paid
        holding.realised_e6 = paid - holding.cost_e6 - holding.fee_e6
        holding.day = day
        self._by_day[day] = self._by_day.get(day, 0) + holding.realised_e6
        self.realised_e6 += holding.realised_e6 - was_e6
        if slug in self._realised_by:
            self._realised_by[slug] += holding.realised_e6 - was_e6
        else:  # of before ``judge_anew``: an operator has looked at it, and it is no new result
            self._before_e6 += holding.realised_e6 - was_e6

    def _judge_next(self, slug: str, holding: Holding) -> None:
        """Let a window that settles for the first time count in peak and results, after all others."""
        self.peak_e6 = max(self.peak_e6, self.realised_e6)
        result = _result_of(slug, holding)
        if result is not None:
            self.results.append(result)

    def _look_again(self) -> None:
        """Walk the windows again: one came to something else than was booked, and that never was a best."""
        total = self._before_e6
        self.peak_e6 = max(total, self._least_peak_e6)
        for realised_e6 in self._realised_by.values():
            total += realised_e6
            self.peak_e6 = max(self.peak_e6, total)
        self.results = deque(self._last_results(), maxlen=RESULTS_KEPT)

    def _last_results(self) -> list[Result]:
        """Return the results of the windows that settled last, oldest first."""
        found: list[Result] = []
        for slug in reversed(self._realised_by):
            result = _result_of(slug, self.holdings[slug])
            found += [] if result is None else [result]
            if len(found) == RESULTS_KEPT:
                break
        return [*self._older, *reversed(found)]


def _result_of(slug: str, holding: Holding) -> Result | None:
    """Return what a settled holding is judged by; None where all that was bought was undone."""
    if not holding.bought_e6 or holding.realised_e6 is None:
        return None
    return Result(
        slug=slug,
        cost_e6=holding.spent_e6,
        realised_e6=holding.realised_e6,
        shares_e6=holding.bought_e6,
        claimed=holding.claimed / holding.bought_e6,
        won=holding.realised_e6 > 0,
        at_ms=holding.settled_ms,
    )


def cost_of(fills: tuple[Level, ...]) -> UsdE6:
    """Return what fills cost, rounded half to even to a millionth of a dollar in total, not by level."""
    total = 0
    for price_e4, size_e6 in fills:
        total += price_e4 * size_e6
    whole, rest = divmod(total, ONE_E4)
    half = ONE_E4 // 2
    return whole + (1 if rest > half or (rest == half and whole % 2) else 0)
