"""Money: what was bought, what it cost, what it paid. Whole millionths of a dollar throughout.

What it does not know: why something was bought, or which prices decided an outcome. Every change is also kept
as a record until somebody takes it (``take_changes``), so that a file can follow.
"""

from collections import deque
from typing import Final, NamedTuple, TypeAlias

from engine.contract import Outcome
from engine.events import Level, PastFill, PastSettlement
from engine.units import ONE_E4, Milliseconds, SizeE6, UsdE6

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
RESULTS_KEPT: Final = 200

Change: TypeAlias = PastFill | PastSettlement


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


class Holding:
    """Everything one market's trades came to.

    ``realised_e6`` is None until the market settled; ``day`` is the UTC day number of its settlement;
    ``claimed`` sums shares times the probability of the side at which they were bought.
    """

    __slots__ = ("claimed", "cost_e6", "day", "end_s", "fee_e6", "outcome", "realised_e6", "shares_e6")

    def __init__(self) -> None:
        self.shares_e6: dict[Outcome, SizeE6] = {"UP": 0, "DOWN": 0}
        self.cost_e6: UsdE6 = 0
        self.fee_e6: UsdE6 = 0
        self.end_s = 0
        self.claimed = 0.0
        self.outcome: Outcome | None = None
        self.realised_e6: UsdE6 | None = None
        self.day: int | None = None


class Ledger:
    """All holdings of a session, and what the limits need to know of them.

    Sums are kept, not taken: they are asked for at every decision, and a session may run for months.
    ``peak_e6`` is the best that ``realised_e6`` ever was; ``results`` the last settled windows, oldest first.
    """

    __slots__ = (
        "_by_day",
        "_changes",
        "_open_cost_e6",
        "_times_ms",
        "_unsettled",
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
        self.realised_e6: UsdE6 = 0
        self.peak_e6: UsdE6 = 0
        self.results: deque[Result] = deque(maxlen=RESULTS_KEPT)
        self._open_cost_e6: UsdE6 = 0
        self._by_day: dict[int, UsdE6] = {}
        self._times_ms: deque[Milliseconds] = deque()
        self._changes: list[Change] = []
        self._unsettled: dict[str, Holding] = {}

    def book(self, fill: PastFill) -> None:
        """Add a filled BUY: shares in, dollars and fee out.

        A fill that is told after its market settled (a late report) is settled at once.
        """
        holding = self.holdings.setdefault(fill.slug, Holding())
        if holding.outcome is None:
            self._unsettled[fill.slug] = holding
        holding.shares_e6[fill.outcome] += fill.shares_e6
        holding.cost_e6 += fill.cost_e6
        holding.fee_e6 += fill.fee_e6
        holding.end_s = fill.end_s
        holding.claimed += fill.probability * fill.shares_e6
        self.fees_e6 += fill.fee_e6
        self.trades += 1
        self._times_ms.append(fill.at_ms)
        while self._times_ms[0] < fill.at_ms - DAY_MS:
            self._times_ms.popleft()
        self._open_cost_e6 += fill.cost_e6 + fill.fee_e6
        self._changes.append(fill)
        if holding.outcome is not None:
            self._open_cost_e6 -= fill.cost_e6 + fill.fee_e6
            self._realise(fill.slug, holding, holding.outcome, fill.at_ms)

    def settle(self, slug: str, outcome: Outcome, at_ms: Milliseconds) -> None:
        """Pay a market out: a dollar for each winning share.

        Settling again with another outcome replaces the first (the venue's word over our own).
        """
        holding = self.holdings.get(slug)
        if holding is None or holding.outcome == outcome:
            return
        if holding.outcome is None:
            self._open_cost_e6 -= holding.cost_e6 + holding.fee_e6
            del self._unsettled[slug]
        self._changes.append(PastSettlement(slug, outcome, at_ms))
        self._realise(slug, holding, outcome, at_ms)

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
        return sum(
            holding.cost_e6 + holding.fee_e6 for holding in self._unsettled.values() if holding.end_s == end_s
        )

    def trades_since(self, since_ms: Milliseconds) -> int:
        """Count trades at or after a moment, of those of the last day."""
        return sum(at_ms >= since_ms for at_ms in self._times_ms)

    def unsettled(self) -> dict[str, int]:
        """Return the windows that hold something and have not paid out, with their ends."""
        return {slug: holding.end_s for slug, holding in self._unsettled.items()}

    def _realise(self, slug: str, holding: Holding, outcome: Outcome, at_ms: Milliseconds) -> None:
        """Book a holding's profit for an outcome, in place of what was booked for it before."""
        if holding.realised_e6 is not None and holding.day is not None:
            self.realised_e6 -= holding.realised_e6
            self._by_day[holding.day] -= holding.realised_e6
            before = [result for result in self.results if result.slug != slug]
            self.results = deque(before, maxlen=RESULTS_KEPT)
        holding.outcome = outcome
        holding.realised_e6 = holding.shares_e6[outcome] - holding.cost_e6 - holding.fee_e6
        holding.day = at_ms // DAY_MS
        self.realised_e6 += holding.realised_e6
        self.peak_e6 = max(self.peak_e6, self.realised_e6)
        self._by_day[holding.day] = self._by_day.get(holding.day, 0) + holding.realised_e6
        shares = sum(holding.shares_e6.values())
        self.results.append(
            Result(
                slug,
                holding.cost_e6 + holding.fee_e6,
                holding.realised_e6,
                shares,
                holding.claimed / shares if shares else 0.0,
                holding.realised_e6 > 0,
            )
        )


def cost_of(fills: tuple[Level, ...]) -> UsdE6:
    """Return what fills cost, rounded half to even to a millionth of a dollar in total, not by level."""
    total = sum(price_e4 * size_e6 for price_e4, size_e6 in fills)
    whole, rest = divmod(total, ONE_E4)
    half = ONE_E4 // 2
    return whole + (1 if rest > half or (rest == half and whole % 2) else 0)
