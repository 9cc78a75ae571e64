"""Which topic of a connection has been silent for too long?

Silence is measured on the injected clock, because the data of a scaled venue comes at its pace, and counts
only once it has also lasted a while on the wall. Nothing here reads a clock. Source: fault catalogue, F1, F4,
F19; protocol sheet, 1.7.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from engine.units import Milliseconds

LEAST_SILENCE_S: Final = 3.0
"""Wall seconds before silence counts at all: a venue at 60x may pause for a tenth of a second."""

FIRST_WORD_TIMES: Final = 2.0
"""A topic may take so many times its limit to speak first on a new connection: beyond, the subscription was
refused in silence (protocol sheet, 1.7)."""

MOST_PATIENCE: Final = 32
"""How far patience with a topic that never speaks may grow while others do (15 s: to 16 minutes). The venue
takes topics off without a word, and each reconnect costs the others a second."""


class _Heard(NamedTuple):
    clock_ms: Milliseconds
    wall_s: float


class Watchdog:
    """One feed's topics, each with its own limit in seconds of the injected clock."""

    def __init__(self, limits_s: Mapping[str, float]) -> None:
        """Watch these topics; what is heard of others counts as data and is not waited for."""
        self._limits_s = dict(limits_s)
        self._patience = dict.fromkeys(self._limits_s, 1)
        self._last: dict[str, _Heard] = {}
        self._spoke: set[str] = set()

    @property
    def had_data(self) -> bool:
        """Whether anything was heard on this connection."""
        return bool(self._spoke)

    def open(self, now_ms: Milliseconds, wall_s: float) -> None:
        """Begin a connection: nothing of the one before counts."""
        self._spoke.clear()
        self._last = dict.fromkeys(self._limits_s, _Heard(now_ms, wall_s))

    def hear(self, topics: Iterable[str], now_ms: Milliseconds, wall_s: float) -> None:
        """Note data of these topics."""
        heard = _Heard(now_ms, wall_s)
        for topic in topics:
            self._last[topic] = heard
            self._spoke.add(topic)
            if topic in self._patience:
                self._patience[topic] = 1

    def silent(self, now_ms: Milliseconds, wall_s: float) -> str | None:
        """Return why the connection is to be given up, naming the silent topics; None while all is well."""
        late = [topic for topic in self._limits_s if self._is_late(topic, now_ms, wall_s)]
        if not late:
            return None
        longest_s = max(now_ms - self._last[topic].clock_ms for topic in late) / 1000
        if not self._spoke:
            return f"subscribed and heard nothing for {longest_s:.0f} s ({', '.join(late)})"
        for topic in late:
            if topic not in self._spoke:
                self._patience[topic] = min(2 * self._patience[topic], MOST_PATIENCE)
        return f"{', '.join(late)} silent for {longest_s:.0f} s"

    def _is_late(self, topic: str, now_ms: Milliseconds, wall_s: float) -> bool:
        limit_s = self._limits_s[topic]
        if topic not in self._spoke:
            limit_s *= FIRST_WORD_TIMES * (self._patience[topic] if self._spoke else 1)
        last = self._last[topic]
        return now_ms - last.clock_ms > limit_s * 1000 and wall_s - last.wall_s > LEAST_SILENCE_S
