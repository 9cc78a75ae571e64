"""Signs of life for the console: answers of the sockets' other ends, order heartbeats, lateness of the loop.

Nothing is decided by them, so they reach the snapshot from beside the core. What it does not know: what the
answers were to.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from engine.feeds.pulse import Pulse
from engine.snapshot import LifeView, PulseView

KEPT: Final = 1_200
"""Looks at the loop whose lateness is kept: a minute of twenty a second."""

SORTED_EVERY: Final = 20
"""Looks between two figures: a second. Sorting a minute's looks for each snapshot would be for nothing."""


class Beat(Protocol):
    """The order heartbeat, as its duty notes it."""

    accepted_at_s: float | None
    failed_why: str


class Raw(Protocol):
    """What is asked of the raw recorder."""

    @property
    def lag_ms(self) -> float: ...


class Lateness:
    """How late the loop's own timer came, over the last minute."""

    def __init__(self) -> None:
        self.p50_ms: float | None = None
        self.p99_ms: float | None = None
        self.worst_ms: float | None = None
        self._looks: deque[float] = deque(maxlen=KEPT)
        self._count = 0

    def note(self, late_ms: float) -> None:
        """Take one look's lateness, milliseconds; the figures follow once a second."""
        self._looks.append(max(0.0, late_ms))
        self._count += 1
        if self._count % SORTED_EVERY == 0:
            ordered = sorted(self._looks)
            self.p50_ms, self.p99_ms = quantile(ordered, 0.5), quantile(ordered, 0.99)
            self.worst_ms = ordered[-1]


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed.

    Args:
        ordered: Smallest first, at least one.
        share: Over 0, at most 1.
    """
    return ordered[math.ceil(share * len(ordered)) - 1]


class Life:
    """Where the parts of a session leave their signs of life."""

    def __init__(self, raw: Raw | None, now: Callable[[], float] = time.monotonic) -> None:
        self.loop = Lateness()
        self.order_beat: Beat | None = None
        self._raw = raw
        self._now = now
        self._pulses: dict[str, Pulse] = {}

    def follow(self, name: str, pulse: Pulse) -> None:
        """Show one socket's answers from now on."""
        self._pulses[name] = pulse

    def view(self) -> LifeView:
        """Return everything as of now."""
        now_s = self._now()
        loop, beat = self.loop, self.order_beat
        return LifeView(
            pulses=[
                PulseView(
                    name=name,
                    pong_age_s=_age(pulse.pong_at_s, now_s),
                    pong_ms=None if pulse.pong_s is None else pulse.pong_s * 1000,
                    word_age_s=_age(pulse.word_at_s, now_s),
                )
                for name, pulse in self._pulses.items()
            ],
            order_beat_age_s=None if beat is None else _age(beat.accepted_at_s, now_s),
            order_beat_why="" if beat is None else beat.failed_why,
            loop_p50_ms=loop.p50_ms,
            loop_p99_ms=loop.p99_ms,
            loop_worst_ms=loop.worst_ms,
            raw_lag_ms=None if self._raw is None else self._raw.lag_ms,
        )


def _age(at_s: float | None, now_s: float) -> float | None:
    return None if at_s is None else max(0.0, now_s - at_s)
