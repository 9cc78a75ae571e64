"""Money: what was bought, what it cost, what it paid. Whole millionths of a dollar throughout.

What it does not know: why something was bought, or which prices decided an outcome.
"""

from collections import deque
from typing import Final

from engine.contract import Outcome
from engine.events import Level
from engine.units import ONE_E4, Milliseconds, SizeE6, UsdE6

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000


class Holding:
    """Everything one market's trades came to.

    ``realised_e6`` is None until the market settled; ``day`` is the UTC day number of its settlement.
    """

    __slots__ = ("cost_e6", "day", "fee_e6", "outcome", "realised_e6", "shares_e6")

    def __init__(self) -> None:
        self.shares_e6: dict[Outcome, SizeE6] = {"UP": 0, "DOWN": 0}
        self.cost_e6: UsdE6 = 0
        self.fee_e6: UsdE6 = 0
        self.outcome: Outcome | None = None
        self.realised_e6: UsdE6 | None = None
        self.day: int | None = None


class Ledger:
    """All holdings of a session, and what the limits need to know of them.

    Sums are kept, not taken: they are asked for at every decision, and a session may run for months.
    """

    __slots__ = ("_by_day", "_open_cost_e6", "_times_ms", "fees_e6", "holdings", "realised_e6", "trades")

    def __init__(self) -> None:
        self.holdings: dict[str, Holding] = {}
        self.trades = 0
        self.fees_e6: UsdE6 = 0
        self.realised_e6: UsdE6 = 0
        self._open_cost_e6: UsdE6 = 0
        self._by_day: dict[int, UsdE6] = {}
        self._times_ms: deque[Milliseconds] = deque()

    def book_fill(
        self, slug: str, outcome: Outcome, fills: tuple[Level, ...], fee_e6: UsdE6, at_ms: Milliseconds
    ) -> None:
        """Add a filled BUY: shares in, dollars and fee out.

        A fill that is told after its market settled (a late report) is settled at once.
        """
        holding = self.holdings.setdefault(slug, Holding())
        cost_e6 = cost_of(fills)
        holding.shares_e6[outcome] += sum(size for _, size in fills)
        holding.cost_e6 += cost_e6
        holding.fee_e6 += fee_e6
        self.fees_e6 += fee_e6
        self.trades += 1
        self._times_ms.append(at_ms)
        while self._times_ms[0] < at_ms - DAY_MS:
            self._times_ms.popleft()
        self._open_cost_e6 += cost_e6 + fee_e6
        if holding.outcome is not None:
            self._open_cost_e6 -= cost_e6 + fee_e6
            self._realise(holding, holding.outcome, at_ms)

    def settle(self, slug: str, outcome: Outcome, at_ms: Milliseconds) -> None:
        """Pay a market out: a dollar for each winning share.

        Settling again with another outcome replaces the first (the venue's word over our own).
        """
        holding = self.holdings.get(slug)
        if holding is None or holding.outcome == outcome:
            return
        if holding.outcome is None:
            self._open_cost_e6 -= holding.cost_e6 + holding.fee_e6
        self._realise(holding, outcome, at_ms)

    def realised_on(self, day: int) -> UsdE6:
        """Return the profit of the markets settled on one UTC day (days since the epoch)."""
        return self._by_day.get(day, 0)

    def open_cost_e6(self) -> UsdE6:
        """Return what is lost if every open holding pays nothing."""
        return self._open_cost_e6

    def trades_since(self, since_ms: Milliseconds) -> int:
        """Count trades at or after a moment, of those of the last day."""
        return sum(at_ms >= since_ms for at_ms in self._times_ms)

    def _realise(self, holding: Holding, outcome: Outcome, at_ms: Milliseconds) -> None:
        """Book a holding's profit for an outcome, in place of what was booked for it before."""
        if holding.realised_e6 is not None and holding.day is not None:
            self.realised_e6 -= holding.realised_e6
            self._by_day[holding.day] -= holding.realised_e6
        holding.outcome = outcome
        holding.realised_e6 = holding.shares_e6[outcome] - holding.cost_e6 - holding.fee_e6
        holding.day = at_ms // DAY_MS
        self.realised_e6 += holding.realised_e6
        self._by_day[holding.day] = self._by_day.get(holding.day, 0) + holding.realised_e6


def cost_of(fills: tuple[Level, ...]) -> UsdE6:
    """Return what fills cost, rounded half to even to a millionth of a dollar in total, not by level."""
    total = sum(price_e4 * size_e6 for price_e4, size_e6 in fills)
    whole, rest = divmod(total, ONE_E4)
    half = ONE_E4 // 2
    return whole + (1 if rest > half or (rest == half and whole % 2) else 0)
