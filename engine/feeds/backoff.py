"""How long to wait before the next connection, and whether there is to be one.

Everything here is arithmetic on times that are handed in: no clock, no socket. Source: protocol sheet, 1.7
(429, reset on data only) and 2.1 (close codes); fault catalogue, F3 (storms).
"""

import random
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from engine.feeds.retry_after import LONGEST_WAIT_S

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
PENALTY_PAUSE_S: Final = 30.0
"""After HTTP 429 without Retry-After: the venue's per-address penalty box (protocol sheet, 1.7)."""
DRAIN_WAIT_S: Final = 10.0
"""A server that drains wants its clients back evenly spread over this time (sheet, 2.1: code 4003)."""

BURST: Final = 10
REFILL_S: Final = 2.0
"""Attempts: ten at once, then one in two seconds, so never more than ``PER_MINUTE``; and a venue that has
recovered is asked again within two seconds."""
PER_MINUTE: Final = BURST + round(60 / REFILL_S)

TOO_MANY_REQUESTS: Final = 429
UNAVAILABLE: Final = 503

NO_CODES: Final[Mapping[int, str]] = {}


class Ending(NamedTuple):
    """How a connection ended, or why there was none.

    ``status`` is that of a refused upgrade, ``close_code`` that of the venue's own close frame. ``final``
    says what the operator has to do before another connection makes sense; empty where nothing.
    """

    reason: str
    had_data: bool = False
    status: int | None = None
    retry_after_s: float = 0.0
    close_code: int | None = None
    final: str = ""


class Backoff:
    """One feed's patience."""

    def __init__(
        self,
        drain_codes: frozenset[int] = frozenset(),
        slow_codes: frozenset[int] = frozenset(),
        uniform: Callable[[float, float], float] = random.uniform,
        pauses_s: tuple[float, float] = (FIRST_PAUSE_S, LONGEST_PAUSE_S),
    ) -> None:
        """Begin fresh.

        Args:
            drain_codes: Close codes after which one attempt follows within ``DRAIN_WAIT_S``.
            slow_codes: Close codes after which the doubling goes on to ``PENALTY_PAUSE_S``.
            pauses_s: The first pause and the longest one.
            uniform: Draws the jitter.
        """
        self._drain_codes = drain_codes
        self._slow_codes = slow_codes
        self._uniform = uniform
        self._first_s, self._longest_s = pauses_s
        self._pause_s = self._first_s
        self._attempts = BURST - 1.0  # the first connection is one
        self._counted_s: float | None = None

    def pause_s(self, ending: Ending, wall_s: float) -> float:
        """Return the seconds until the next attempt.

        Args:
            ending: How the last one ended.
            wall_s: The wall clock, from anywhere.
        """
        wait_s = max(self._wished_s(ending), self._paced_s(wall_s))
        self._attempts -= 1.0
        return wait_s

    def _wished_s(self, ending: Ending) -> float:
        """Only data ends the doubling: a connection that is accepted and says nothing is no success."""
        if ending.had_data:
            self._pause_s = self._first_s
        if ending.close_code in self._drain_codes:
            return self._uniform(0.0, DRAIN_WAIT_S)
        if ending.status in (TOO_MANY_REQUESTS, UNAVAILABLE) and ending.retry_after_s > 0.0:
            return min(ending.retry_after_s, LONGEST_WAIT_S) + self._uniform(0.0, 1.0)
        if ending.status == TOO_MANY_REQUESTS:
            return PENALTY_PAUSE_S + self._uniform(0.0, 1.0)
        longest_s = PENALTY_PAUSE_S if ending.close_code in self._slow_codes else self._longest_s
        pause_s = min(self._pause_s, longest_s)
        self._pause_s = min(pause_s * 2.0, longest_s)
        return self._uniform(pause_s / 2.0, pause_s)

    def _paced_s(self, wall_s: float) -> float:
        """Return how long until the bucket holds an attempt again."""
        if self._counted_s is not None:
            self._attempts = min(float(BURST), self._attempts + (wall_s - self._counted_s) / REFILL_S)
        self._counted_s = wall_s
        return max(0.0, (1.0 - self._attempts) * REFILL_S)
