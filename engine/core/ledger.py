"""Money: what was bought, what it cost, what it paid. Whole millionths of a dollar throughout.

What it does not know: why something was bought, or which prices decided an outcome.
"""

from engine.contract import Outcome
from engine.events import Level
from engine.units import ONE_E4, Milliseconds, SizeE6, UsdE6

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


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
    """All holdings of a session, and what the limits need to know of them."""

    __slots__ = ("holdings", "trade_times_ms")

    def __init__(self) -> None:
        self.holdings: dict[str, Holding] = {}
        self.trade_times_ms: list[Milliseconds] = []

    def book_fill(
        self, slug: str, outcome: Outcome, fills: tuple[Level, ...], fee_e6: UsdE6, at_ms: Milliseconds
    ) -> None:
        """Add a filled BUY: shares in, dollars and fee out."""
        holding = self.holdings.setdefault(slug, Holding())
        holding.shares_e6[outcome] += sum(size for _, size in fills)
        holding.cost_e6 += cost_of(fills)
        holding.fee_e6 += fee_e6
        self.trade_times_ms.append(at_ms)

    def settle(self, slug: str, outcome: Outcome, at_ms: Milliseconds) -> None:
        """Pay a market out: a dollar for each winning share.

        Settling again with another outcome replaces the first (the venue's word over our own).
        """
        holding = self.holdings.get(slug)
        if holding is None or holding.outcome == outcome:
            return
        holding.outcome = outcome
        holding.realised_e6 = holding.shares_e6[outcome] - holding.cost_e6 - holding.fee_e6
        holding.day = at_ms // DAY_MS

    def realised_e6(self, day: int | None = None) -> UsdE6:
        """Return the profit of all settled markets, or of those settled on one UTC day."""
        return sum(
            holding.realised_e6
            for holding in self.holdings.values()
            if holding.realised_e6 is not None and (day is None or holding.day == day)
        )

    def open_cost_e6(self) -> UsdE6:
        """Return what is lost if every open holding pays nothing."""
        return sum(h.cost_e6 + h.fee_e6 for h in self.holdings.values() if h.realised_e6 is None)

    def fees_e6(self) -> UsdE6:
        """Return all fees paid."""
        return sum(holding.fee_e6 for holding in self.holdings.values())

    def trades_since(self, since_ms: Milliseconds) -> int:
        """Count trades at or after a moment."""
        return sum(at_ms >= since_ms for at_ms in self.trade_times_ms)


def cost_of(fills: tuple[Level, ...]) -> UsdE6:
    """Return what fills cost, rounded half to even to a millionth of a dollar in total, not by level."""
    total = sum(price_e4 * size_e6 for price_e4, size_e6 in fills)
    whole, rest = divmod(total, ONE_E4)
    half = ONE_E4 // 2
    return whole + (1 if rest > half or (rest == half and whole % 2) else 0)
