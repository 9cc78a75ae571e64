"""The last gate before the socket: may this order still leave, at this very moment?

Asked in the order thread, once before an order is signed and once more when nothing but the write of its
first byte is left. It reads files, clocks and the market's price grid, so it holds although the engine's
loop is stuck (a grid is then that of the last frame).
What it does not know: whether the order is a good one.
"""

import time
from collections.abc import Callable

from engine.clock import Clock
from engine.core.trading import OrderIntent
from engine.kill import KillSwitch
from engine.units import PriceE4

DEADLINE: str = "deadline passed before it could leave"
KILL_SWITCH: str = "kill switch"
OFF_GRID: str = "its price is not on the market's grid of now"


def no_arming() -> str | None:
    """Return None: paper needs no arming."""
    return None


def no_grid(_token: str) -> PriceE4 | None:
    """Return None: of a grid that is not known the venue is the judge."""
    return None


class LastGate:
    """Deadline, price grid, kill switch, arming, in this order."""

    def __init__(
        self,
        clock: Clock,
        kill: KillSwitch,
        not_armed: Callable[[], str | None] = no_arming,
        tick_e4_of: Callable[[str], PriceE4 | None] = no_grid,
    ) -> None:
        """Put the gate together.

        Args:
            clock: The engine's clock, on which deadlines are.
            kill: The latch, asked of the file system each time.
            not_armed: Returns why live orders may not leave, or None.
            tick_e4_of: Returns a token's price grid as the feed told it last; asked from the order thread.
        """
        self._clock = clock
        self._kill = kill
        self._not_armed = not_armed
        self._tick_e4_of = tick_e4_of

    def refusal(self, intent: OrderIntent, latest: float) -> str | None:
        """Return why an order must not leave now, or None.

        Args:
            intent: The order.
            latest: Its deadline by the steady clock (``perf_counter``): the other may be set back.

        A SELL gets the account out of something: neither the kill switch nor a missing arming holds it back.
        """
        if self._clock.now_ms() > intent.deadline_ms or time.perf_counter() > latest:
            return DEADLINE
        tick_e4 = self._tick_e4_of(intent.token)
        if tick_e4 and intent.limit_e4 % tick_e4:
            # The grid changed after the decision: the venue would refuse it, at the cost of a round trip and
            # of an answer that might get lost.
            return OFF_GRID
        if intent.side == "SELL":
            return None
        if self._kill.is_tripped():
            return KILL_SWITCH
        return self._not_armed()
