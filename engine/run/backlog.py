"""Does the engine keep up? Its sockets, loop, journal and raw recorder, looked at twenty times a second.

Falling behind closes the trading gate before anything is lost: what is decided on late frames is decided on
the past. What it does not know: what the gate does.
"""

import math
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from engine.nouns import counted
from engine.repeats import Repeats

BEAT_S: Final = 0.05
"""How often it is looked."""

LOOP_LATE_S: Final = 0.25
"""Delay of the engine's loop from which on it is behind."""

QUEUE_LATE_S: Final = 1.0
"""Age of the oldest record or frame that is not written, likewise."""

JOURNAL_WAITING: Final = 50_000
"""Records waiting for the journal, likewise: a quarter of what it may hold."""

RAW_WAITING_MB: Final = 16.0
"""Text waiting for the raw recorder, likewise: a quarter of what it may hold."""

UNREAD_BYTES: Final = 1_000_000
"""Bytes of books that have arrived and were not read, likewise: 150 ms of 10,000 frames a second. A loop that
takes one read after the other is never late itself (measured: frames half a second old, the loop 70 ms late).
"""

AT_THE_END: Final = "the session ends; these were counted only"

WELL_AFTER_S: Final = 2.0
"""How long all must be well before the engine counts as caught up."""


class Journal(Protocol):
    """What is asked of the journal."""

    @property
    def lag_ms(self) -> float: ...

    @property
    def waiting(self) -> int: ...


class Raw(Protocol):
    """What is asked of the raw recorder."""

    error: str | None

    @property
    def lag_ms(self) -> float: ...

    @property
    def waiting_mb(self) -> float: ...


class Backlog:
    """Says when the engine falls behind and when it has caught up, each once."""

    def __init__(self, journal: Journal, raw: Raw | None, now_s: float) -> None:
        """Begin well.

        Args:
            journal: The session's.
            raw: The session's, where frames are recorded.
            now_s: Monotonic seconds.
        """
        self.why = ""
        self.unread_bytes: Callable[[], int] = lambda: 0
        self._journal = journal
        self._raw = raw
        self._due_s = now_s + BEAT_S
        self._ill_until_s = -math.inf

    @property
    def late_from_s(self) -> float:
        """The monotonic second at which, without a beat until then, the loop is behind."""
        return self._due_s + LOOP_LATE_S

    def beat(self, now_s: float) -> str | None:
        """Look at everything; to be called each ``BEAT_S`` by a task of the loop.

        Returns:
            Why the engine is behind now, "" when it has caught up, None when neither is news.
        """
        news = self.look(now_s)
        self._due_s = now_s + BEAT_S
        return news

    def look(self, now_s: float) -> str | None:
        """Do the same between two beats, for whoever notices first that the loop is late."""
        why = self._why(now_s)
        if why:
            self._ill_until_s = now_s + WELL_AFTER_S
            # The figures in it change all the time: the first of an illness is told, and what is for good.
            if not self.why or (self._raw is not None and why == self._raw.error != self.why):
                self.why = why
                return why
        elif self.why and now_s >= self._ill_until_s:
            self.why = ""
            return ""
        return None

    def _why(self, now_s: float) -> str:
        journal, raw = self._journal, self._raw
        if raw is not None and raw.error is not None:
            return raw.error
        late_s = now_s - self._due_s
        if late_s > LOOP_LATE_S:
            return f"the engine's loop is {late_s * 1000:.0f} ms late"
        unread = self.unread_bytes()
        if unread > UNREAD_BYTES:
            return f"{unread / 1e6:.1f} MB of books have arrived and are not read"
        if journal.lag_ms > QUEUE_LATE_S * 1000 or journal.waiting > JOURNAL_WAITING:
            waiting = counted(journal.waiting, "record waits", "records wait")
            return f"the journal is {journal.lag_ms:.0f} ms behind, {waiting}"
        if raw is not None and (raw.lag_ms > QUEUE_LATE_S * 1000 or raw.waiting_mb > RAW_WAITING_MB):
            return f"the raw recorder is {raw.lag_ms:.0f} ms behind, {raw.waiting_mb:.0f} MB wait"
        return ""


class BehindLine(NamedTuple):
    """A line of the log: why the engine is behind, or "" and for how long it was.

    It was so ``more`` times without a line in the ``in_s`` seconds since the last, ``longest_s`` at most.
    """

    why: str
    lasted_s: float | None
    more: int
    in_s: int
    longest_s: float


class BehindLog:
    """Keeps the log of a busy machine short: one illness a minute is told, with its end; others are counted.

    Each is in the journal and in the metrics all the same.
    """

    def __init__(self) -> None:
        self._repeats = Repeats()
        self._since_s: float | None = None
        self._is_told = False
        self._longest_s = 0.0

    def line(self, why: str, now_s: float) -> BehindLine | None:
        """Return what is written of news of a ``Backlog``; None where it is only counted."""
        if not why:
            return self._ended(now_s)
        if self._since_s is not None:  # the raw recorder failed meanwhile, for good
            return BehindLine(why, None, 0, 0, 0.0)
        self._since_s = now_s
        told = self._repeats.of(0.0, now_s)
        self._is_told = told is not None
        if told is None:
            return None
        longest_s, self._longest_s = self._longest_s, 0.0
        return BehindLine(why, None, told.more, told.in_s, longest_s)

    def rest(self, now_s: float) -> BehindLine | None:
        """Return, at the end, what was only counted so far; None where there is nothing."""
        told = self._repeats.rest(now_s)
        return None if told is None else BehindLine(AT_THE_END, None, told.more, told.in_s, self._longest_s)

    def _ended(self, now_s: float) -> BehindLine | None:
        lasted_s = 0.0 if self._since_s is None else round(now_s - self._since_s, 1)
        self._since_s = None
        if self._is_told:
            return BehindLine("", lasted_s, 0, 0, 0.0)
        self._longest_s = max(self._longest_s, lasted_s)
        return None
