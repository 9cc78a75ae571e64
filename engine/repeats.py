"""Lines of a log that say the same again: the first is told, then one a minute, with count and worst.

What they are of is counted elsewhere (metrics, the journal): only the log is kept short. What it does not
know: what is said.
"""

from typing import Final, NamedTuple

TOLD_EVERY_S: Final = 60.0
"""Seconds between two lines that say the same."""
WORSE: Final = 4.0
"""So many times as bad as what was told is told at once: trouble that grows is news."""


class Told(NamedTuple):
    """What a line says besides itself.

    ``more`` lines were not told in the ``in_s`` seconds since the one before; ``worst`` is the greatest size
    since then, that of this line included.
    """

    more: int
    in_s: int
    worst: float


MOST_KINDS: Final = 64
"""So many kinds have a count of their own: what names them may come from the other side of a wire."""


class Repeats:
    """Decides which of many such lines is told. Not safe to use from several threads at once."""

    def __init__(self, every_s: float = TOLD_EVERY_S) -> None:
        self._every_s = every_s
        self._told_s: float | None = None
        self._more = 0
        self._worst = 0.0
        self._known = 0.0

    def of(self, size: float, now_s: float) -> Told | None:
        """Take one more; return what is to be told with it, None where it is not told now.

        Args:
            size: How bad it is, in whatever unit the caller tells it in.
            now_s: Monotonic seconds.
        """
        self._worst = max(self._worst, size)
        is_soon = self._told_s is not None and now_s - self._told_s < self._every_s
        if is_soon and (size == 0.0 or size < WORSE * self._known):
            self._more += 1
            return None
        return self._tell(now_s)

    def rest(self, now_s: float) -> Told | None:
        """Return, at the end, what nobody was told of; None where there is nothing."""
        return self._tell(now_s) if self._more else None

    def _tell(self, now_s: float) -> Told:
        since_s = now_s if self._told_s is None else self._told_s
        told = Told(self._more, round(now_s - since_s), self._worst)
        self._told_s, self._more, self._worst, self._known = now_s, 0, 0.0, self._worst
        return told


class RepeatsByKind:
    """The same for lines of several kinds, a minute for each; kinds beyond ``MOST_KINDS`` share one."""

    def __init__(self) -> None:
        self._by_kind: dict[str, Repeats] = {}
        self._others = Repeats()

    def of(self, kind: str, now_s: float) -> Told | None:
        """Take one more of a kind; return what is to be told with it, None where it is not told now."""
        repeats = self._by_kind.get(kind)
        if repeats is None:
            is_full = len(self._by_kind) >= MOST_KINDS
            repeats = self._others if is_full else self._by_kind.setdefault(kind, Repeats())
        return repeats.of(0.0, now_s)
