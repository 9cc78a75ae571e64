"""The last gate before the socket: may this order still leave, at this very moment?

Asked in the order thread, once before an order is signed and once more when nothing but the write of its
first byte is left. It reads files and clocks, so it holds although the engine's loop is stuck.
What it does not know: whether the order is a good one.
"""

import time
from collections.abc import Callable

from engine.clock import Clock
from engine.core.trading import OrderIntent
from engine.kill import KillSwitch

DEADLINE: str = "deadline passed before it could leave"
KILL_SWITCH: str = "kill switch"


def no_arming() -> str | None:
    """Return None: paper needs no arming."""
    return None


class LastGate:
    """Deadline, kill switch, arming, in this order."""

    def __init__(
        self, clock: Clock, kill: KillSwitch, not_armed: Callable[[], str | None] = no_arming
    ) -> None:
        """Put the gate together.

        Args:
            clock: The engine's clock, on which deadlines are.
            kill: The latch, asked of the file system each time.
            not_armed: Returns why live orders may not leave, or None.
        """
        self._clock = clock
        self._kill = kill
        self._not_armed = not_armed

    def refusal(self, intent: OrderIntent, latest: float) -> str | None:
        """Return why an order must not leave now, or None.

        Args:
            intent: The order.
            latest: Its deadline by the steady clock (``perf_counter``): the other may be set back.

        A SELL gets the account out of something: neither the kill switch nor a missing arming holds it back.
        """
        if self._clock.now_ms() > intent.deadline_ms or time.perf_counter() > latest:
            return DEADLINE
        if intent.side == "SELL":
            return None
        if self._kill.is_tripped():
            return KILL_SWITCH
        return self._not_armed()
