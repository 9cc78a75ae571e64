"""When a doubted book is asked for again, and when a connection that does not bring it is given up.

Times are handed in, in seconds of the wall. What it does not know: why a book is doubted.
"""

from typing import Final, NamedTuple

ANSWER_S: Final = 3.0
"""A book that was asked for again comes within this time, or another way is tried."""
LONGEST_S: Final = 60.0
"""Where the doubling of that time ends: a book that does not exist must not cost the others theirs."""
CONNECT_AGAIN_S: Final = 30.0
"""Wall seconds between two connections that were given up for this reason."""


class Plan(NamedTuple):
    """What to do now."""

    ask_again: frozenset[str]
    connect_again: bool


class _Asked(NamedTuple):
    at_s: float
    wait_s: float


class Resync:
    """The doubted tokens and when each was asked for."""

    def __init__(self) -> None:
        self._asked: dict[str, _Asked] = {}
        self._connected_s = float("-inf")

    def plan(self, doubted: frozenset[str], now_s: float) -> Plan:
        """Decide what the doubted tokens need.

        A new doubt is answered by a new subscription. One that outlives ``ANSWER_S`` gives the connection up,
        unless that was done lately: then the token is asked for again, at growing intervals.
        """
        self._asked = {token: asked for token, asked in self._asked.items() if token in doubted}
        new = {token for token in doubted if token not in self._asked}
        due = {token for token, asked in self._asked.items() if now_s - asked.at_s >= asked.wait_s}
        for token in new:
            self._asked[token] = _Asked(now_s, ANSWER_S)
        for token in due:
            self._asked[token] = _Asked(now_s, min(self._asked[token].wait_s * 2.0, LONGEST_S))
        if due and now_s - self._connected_s >= CONNECT_AGAIN_S:
            self._connected_s = now_s
            return Plan(frozenset(), True)
        return Plan(frozenset(new | due), False)
