"""Breakers, worked out anew from fills and settlements: what has to be tripped, whatever the engine thinks.

Windows that were settled in the same moment, or whose order in time is not that of their ends, are counted in
the order that trips least: what is tripped here is so by any order. What it does not know: the breaker of
order errors (it is only counted), and those on return and edge, which no run of the drill has.
"""

from typing import TYPE_CHECKING

from engine.core.state import State
from engine.sim import sums

if TYPE_CHECKING:
    from engine.sim.invariants import Witness


class BreakerChecks:
    """A whole run's: an operator clears them, and no restart does."""

    def __init__(self, witness: "Witness") -> None:
        self._witness = witness
        self._told: set[str] = set()
        self._cleared_ms = 0
        self.begin_life()

    def begin_life(self) -> None:
        """Forget what only a session knows: what it has to keep is compared at the next one's beginning."""
        self._tripped: dict[str, str] = {}

    def look(self, state: State) -> None:
        """Note what has tripped by our own sums, for as long as the session lives, and count what the engine
        says has."""
        new = state.breakers.keys() - self._told
        self._told |= new
        for name in new:
            self._witness.counts[f"tripped {name}"] += 1
        if state.halted_why is None:
            limits = state.limits
            found = sums.tripped(
                state.ledger, self._cleared_ms, limits.max_loss_streak, limits.max_drawdown_usd
            )
            self._tripped = found | self._tripped

    def objection(self, state: State) -> str:
        """Say what forbids to buy anything; empty where nothing does."""
        self.look(state)
        return ", ".join(f"{name}: {why}" for name, why in self._tripped.items())

    def cleared(self, state: State) -> None:
        """Note that an operator cleared them: what has settled by now is not judged again."""
        settled = [one.settled_ms for one in state.ledger.holdings.values() if one.outcome is not None]
        self._cleared_ms = max(settled, default=self._cleared_ms)
        self._told.clear()
        self._tripped.clear()
