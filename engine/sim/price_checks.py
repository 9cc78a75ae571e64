"""What prices an order may rest on: those that the venue tells of BTC, and none while spot is apart.

The true seconds of the tape are compared with the newest one that the engine believes, so that a report that
is worth nothing (ten times the true one, zero, no number) is seen wherever it was let in. Times at which
nobody could know better are ``MoneyChecks.was_lied_to``.
"""

from collections import deque
from typing import TYPE_CHECKING, Final

from engine.core.state import State
from engine.events import PricePrinted

if TYPE_CHECKING:
    from engine.sim.invariants import Witness

APART_BP: Final = (40.0, 400.0)
"""From where to where the exchange's ticker is apart: ``MAX_DIVERGENCE_BP`` is 25, and it moves by less than
15 in the seconds between the two; a report further off is no price and is not believed in the first place."""

TICKERS: Final = 3
"""Tickers in a row that have to be apart: whichever of them is near Chainlink's newest second, it is."""

TICKER_HEARD_MS: Final = 4_500
"""A newer ticker is fresh, and the engine compares it and no other source."""


class PriceChecks:
    """One session's."""

    def __init__(self, witness: "Witness") -> None:
        self._witness = witness
        self._world = witness.world
        self.begin_life()

    def begin_life(self) -> None:
        """Forget what only a session knows."""
        self._apart: deque[bool] = deque(maxlen=TICKERS)
        self._ticker_ms = 0

    def heard(self, event: PricePrinted) -> None:
        """Note how far a ticker is from the truth of its second."""
        true = self._world.tape.second(event.ts_venue_ms // 1000)
        if event.source != "spot" or true is None or not event.value.is_finite():
            return
        low, high = APART_BP
        self._apart.append(low < abs(float((event.value - true) / true)) * 10_000 < high)
        self._ticker_ms = event.ts_recv_ms
        self._witness.counts["tickers apart"] += self._apart[-1]

    def objection(self, state: State) -> str:
        """Say why nothing may be bought by the prices that the engine believes; empty where it may."""
        track = state.track("chainlink")
        second, value = track.newest_s, track.newest()
        true = None if second is None else self._world.tape.second(second)
        if second is None or true is None or self._witness.paid.was_lied_to(second):
            return ""
        if value != true:
            return f"{value} is believed of second {second}, which is {true}"
        if state.now_ms - self._ticker_ms < TICKER_HEARD_MS and sum(self._apart) == TICKERS:
            return f"spot is apart from {true}"
        return ""
