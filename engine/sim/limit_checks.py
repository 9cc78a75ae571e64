"""What must hold of limits at each intent, worked out anew from fills, orders under way and the venue's bank;
and how often each limit refused, so that a drill in which one was never near says so.

None of the gates' code is used. What it does not know: when orders leave (``engine.sim.order_checks``).
"""

from typing import TYPE_CHECKING, Final

from engine.core import decide
from engine.core.decide import Decision
from engine.core.state import State
from engine.core.trading import OrderIntent
from engine.events import LedgerRestored, OrderSigned
from engine.sim import sums, truth

if TYPE_CHECKING:
    from engine.sim.invariants import Witness

NAMES: Final = {
    decide.HOURLY: "hour",
    decide.DAILY_LOSS: "day",
    decide.EXPOSURE: "exposure",
    decide.CORRELATED: "correlated",
    decide.BALANCE: "cash",
}
"""The limits' gates, and what they are called where their refusals are counted."""

GATES: Final = sum(NAMES)


class LimitChecks:
    """The limits of one session. ``under_way`` is shared with whoever else follows its orders."""

    def __init__(self, witness: "Witness", under_way: dict[str, OrderIntent]) -> None:
        self._witness = witness
        self._world = witness.world
        self._under_way = under_way
        self._venue_ids: dict[str, str] = {}

    def heard(self, event: OrderSigned | LedgerRestored) -> None:
        """Note under which id the venue knows an order; take up those of earlier sessions."""
        if isinstance(event, OrderSigned):
            self._venue_ids[event.order_id] = event.venue_order_id
            return
        for past in event.orders:
            if past.venue_order_id:
                self._venue_ids[past.order_id] = past.venue_order_id
                self._under_way[past.order_id] = OrderIntent(
                    order_id=past.order_id,
                    slug=past.slug,
                    outcome=past.outcome,
                    token=past.token,
                    limit_e4=past.limit_e4,
                    usd_e6=past.usd_e6,
                    deadline_ms=past.at_ms,
                    decided_seq=0,
                    end_s=past.end_s,
                    side=past.side,
                )

    def check(self, state: State, intent: OrderIntent) -> None:
        """Look at a BUY that is intended."""
        bounds = sums.Bounds.of(state, self._cash_e6(state))
        broken = sums.beyond(state.ledger, list(self._under_way.values()), intent, bounds)
        if broken:
            self._witness.broke("no order beyond a limit", f"{intent.order_id}: {broken}")

    def refused(self, decision: Decision) -> None:
        """Count what a limit refused: alone, where nothing else did, or beside other gates."""
        for bit, name in NAMES.items():
            if decision.gates & bit:
                self._witness.counts[f"refused {name}"] += 1
                self._witness.counts[f"refused {name} alone"] += decision.gates == bit

    def _cash_e6(self, state: State) -> float:
        """Return what there is with the orders under way: on paper by all fills, live by the venue's bank.

        The bank takes what an order spends when it matches: of such an order nothing more is under way, so
        what ``sums.beyond`` takes for it is added. What the engine knows is older and never more, as nothing
        but payouts and exits brings money in.
        """
        if state.dry_run:
            return self._world.money_e6 + sums.cash_of(state.ledger)
        venue = self._world.venue
        return truth.cash_e6(venue) + sum(
            sums.worst_e6(intent)
            for name, intent in self._under_way.items()
            if intent.side == "BUY" and truth.has_matched(venue, self._venue_ids.get(name, ""))
        )
