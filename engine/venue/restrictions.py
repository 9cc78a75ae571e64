"""When the venue takes no orders of ours: what is told of it, for how long it holds, what ends it.

``restarting``, ``post-only``, ``cancel-only``, ``disabled`` and ``rate-limited`` pass by themselves: the next
order may try once their time is over. ``closed-only``, ``unauthorised`` and ``heartbeat`` end when the venue
says so; ``banned`` with a restart; ``region`` never: it trips the kill switch. Several may hold at once.
Source: protocol sheet, section 9.
"""

import logging
from typing import Final

from engine.clock import Clock
from engine.events import RestrictionKind, VenueRestricted
from engine.kill import KillSwitch
from engine.units import Milliseconds
from engine.venue.door import Door
from engine.venue.exchange import Restriction

FIRST_WAIT_S: Final = 2.0
LONGEST_WAIT_S: Final = 30.0
"""Pauses where the venue does not say how long, doubled each time (protocol sheet, section 9: to 30 s)."""

STICKY: Final = ("closed-only", "unauthorised", "banned", "heartbeat", "region")


log = logging.getLogger("engine.orders")


class Restrictions:
    """What holds now, by kind; several may. For the order thread only."""

    def __init__(self, clock: Clock, kill: KillSwitch, door: Door) -> None:
        self._clock = clock
        self._kill = kill
        self._door = door
        self._wait_s = FIRST_WAIT_S
        self._sticky: set[RestrictionKind] = set()

    def holds(self, kind: RestrictionKind) -> bool:
        """Say whether one that does not pass by itself holds."""
        return kind in self._sticky

    def tell(self, restriction: Restriction) -> None:
        """Tell that the venue takes no orders; a refusal for our region trips the kill switch.

        Where the switch cannot be written the venue's word is told all the same: it ends as little.
        """
        why, until_ms = restriction.why, None
        if restriction.kind == "region":
            why += self._tripped(why)
        if restriction.kind in STICKY:
            self._sticky.add(restriction.kind)
        else:
            wait_s = self._wait_s if restriction.retry_s is None else restriction.retry_s
            if restriction.retry_s is None:
                self._wait_s = min(2.0 * self._wait_s, LONGEST_WAIT_S)
            # The venue waits in wall seconds, the gate in those of the engine's clock.
            until_ms = self._clock.now_ms() + int(wait_s * 1000 * self._clock.rate)
        self._tell(restriction.kind, why, until_ms)

    def lift(self, kind: RestrictionKind) -> None:
        """Tell that a restriction is over, if it holds."""
        if kind in self._sticky:
            self._sticky.discard(kind)
            self._tell(kind, "", None, lifted=True)

    def passed(self) -> None:
        """Note that the venue took an order: pauses begin small again."""
        self._wait_s = FIRST_WAIT_S

    def _tripped(self, why: str) -> str:
        """Trip the kill switch; return what to add to the reason where that failed."""
        try:
            self._kill.trip("venue", why)
        except OSError as error:
            log.error("kill switch not written", extra={"reason": f"{why}: {error}"})
            return f"; the kill switch could not be written ({error.strerror}): trip it by hand"
        return ""

    def _tell(
        self, kind: RestrictionKind, why: str, until_ms: Milliseconds | None, *, lifted: bool = False
    ) -> None:
        self._door.tell(
            VenueRestricted(
                ts_recv_ms=self._clock.now_ms(), restriction=kind, why=why, until_ms=until_ms, lifted=lifted
            )
        )
