"""When the venue takes no orders of ours: what is told of it, for how long it holds, what ends it.

``restarting``, ``post-only``, ``cancel-only``, ``disabled`` and ``rate-limited`` pass by themselves: the next
order may try once their time is over. ``closed-only``, ``unauthorised`` and ``heartbeat`` end when the venue
says so; ``region`` never: it trips the kill switch. Source: protocol sheet, section 9.
"""

from typing import Final

from engine.clock import Clock
from engine.events import RestrictionKind, VenueRestricted
from engine.kill import KillSwitch
from engine.venue.door import Door
from engine.venue.exchange import Restriction

FIRST_WAIT_S: Final = 2.0
LONGEST_WAIT_S: Final = 30.0
"""Pauses where the venue does not say how long, doubled each time (protocol sheet, section 9: to 30 s)."""

STICKY: Final = ("closed-only", "unauthorised", "heartbeat", "region")


class Restrictions:
    """What holds now. For the order thread only."""

    def __init__(self, clock: Clock, kill: KillSwitch, door: Door) -> None:
        self._clock = clock
        self._kill = kill
        self._door = door
        self._wait_s = FIRST_WAIT_S
        self.current: RestrictionKind = "none"

    def tell(self, restriction: Restriction) -> None:
        """Tell that the venue takes no orders; a refusal for our region trips the kill switch."""
        self.current = restriction.kind
        if restriction.kind == "region":
            self._kill.trip("venue", restriction.why)
        until_ms = None
        if restriction.kind not in STICKY:
            wait_s = self._wait_s if restriction.retry_s is None else restriction.retry_s
            if restriction.retry_s is None:
                self._wait_s = min(2.0 * self._wait_s, LONGEST_WAIT_S)
            # The venue waits in wall seconds, the gate in those of the engine's clock.
            until_ms = self._clock.now_ms() + int(wait_s * 1000 * self._clock.rate)
        self._tell(restriction.kind, restriction.why, until_ms)

    def lift(self, *kinds: RestrictionKind) -> None:
        """Tell that a restriction is over, if it is one of these."""
        if self.current in kinds:
            self.current = "none"
            self._tell("none", "", None)

    def passed(self) -> None:
        """Note that the venue took an order: pauses begin small again."""
        self._wait_s = FIRST_WAIT_S
        if self.current not in STICKY:
            self.current = "none"

    def _tell(self, kind: RestrictionKind, why: str, until_ms: int | None) -> None:
        now_ms = self._clock.now_ms()
        self._door.tell(VenueRestricted(ts_recv_ms=now_ms, restriction=kind, why=why, until_ms=until_ms))
