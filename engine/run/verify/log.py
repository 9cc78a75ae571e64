"""SQLite's write-ahead log: whether it breaks off, as a death leaves it, or is damaged on the way.

SQLite reads a log up to the first frame that has not its checksum, and says nothing (its "WAL-format"): a bit
that turned in the middle takes every later commit with it, as if they had never been. Each frame's checksum
goes on from the one before. So where the next frame follows on from the damaged one, or one turned bit
explains a frame, the frame had been written as a whole; else the end was being written when the power went.
What it does not know: what is on a page.
"""

import struct
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple, TypeAlias

HEADER: Final = 32
FRAME_HEADER: Final = 24
ORDERS: Final = {0x377F0682: "<", 0x377F0683: ">"}
"""A log's first word says in which order of bytes its checksums are made."""

_MASK: Final = 0xFFFF_FFFF
_BITS: Final = frozenset(1 << bit for bit in range(32))

Sums: TypeAlias = tuple[int, int]
"""A checksum: two words of 32 bits."""


class LogEnd(NamedTuple):
    """What a log's end looks like: ``fault`` where something was altered, ``is_torn`` where it breaks off."""

    fault: str = ""
    is_torn: bool = False


def look_at(log: bytes) -> LogEnd:
    """Say how a log ends."""
    if not any(log[HEADER:]):
        return LogEnd(is_torn=len(log) > HEADER)  # no commit is in it
    order, size = ORDERS.get(_word(log, 0), ""), _word(log, 8)
    told = struct.unpack_from(">2I", log, 24)
    if not order or _added((0, 0), struct.unpack_from(f"{order}6I", log)) != told:
        return LogEnd("the head of its log was altered")  # SQLite syncs it before anything follows
    return _Frames(log, order, size).end(told)


class _Frames:
    """The frames of a log whose head is right."""

    def __init__(self, log: bytes, order: str, page_bytes: int) -> None:
        self._log = log
        self._size = FRAME_HEADER + page_bytes
        self._count = (len(log) - HEADER) // self._size
        self._words = struct.Struct(f"{order}2I8x8x{page_bytes // 4}I")  # all but salts and checksum

    def end(self, sums: Sums) -> LogEnd:
        """Follow the checksums from the head's up to the first frame that has not its own."""
        for place in range(self._count):
            told, found = self._told(place), self._found(place, sums)
            if not self._is_ours(place) or told != found:
                return self._break(place, told, found)
            sums = told
        return LogEnd(is_torn=HEADER + self._count * self._size < len(self._log))

    def _break(self, place: int, told: Sums, found: Sums) -> LogEnd:
        """Judge the frame at which SQLite stops."""
        # Of this log but for its salts; or the next one goes on from it; or one bit made it what it is.
        if told == found or self._goes_on(place + 1, told, found) or self._is_one_bit(place, told, found):
            return LogEnd(f"frame {place + 1:,} of its log was altered")
        return LogEnd(is_torn=self._is_ours(place))  # otherwise it is of an earlier round of the log

    def _goes_on(self, place: int, told: Sums, found: Sums) -> bool:
        """Say whether a frame follows on from one whose checksum was altered, or all but its checksum."""
        if place >= self._count or not self._is_ours(place):
            return False
        return self._told(place) in (self._found(place, told), self._found(place, found))

    def _is_one_bit(self, place: int, told: Sums, found: Sums) -> bool:
        return self._is_ours(place) and _is_one_bit(told, found, self._words.size // 4 - 4)

    def _is_ours(self, place: int) -> bool:
        """Say whether a frame has the salts of the head: those of an earlier round have others."""
        at = HEADER + place * self._size + 8
        return self._log[at : at + 8] == self._log[16:24]

    def _told(self, place: int) -> Sums:
        first, second = struct.unpack_from(">2I", self._log, HEADER + place * self._size + 16)
        return first, second

    def _found(self, place: int, before: Sums) -> Sums:
        return _added(before, self._words.unpack_from(self._log, HEADER + place * self._size))


def _word(log: bytes, at: int) -> int:
    (word,) = struct.unpack_from(">I", log, at)
    return int(word)


def _added(before: Sums, words: Sequence[int]) -> Sums:
    """Return the checksum of words that follow a checksum."""
    first, second = before
    pairs = iter(words)
    for x, y in zip(pairs, pairs, strict=True):
        first = (first + x + second) & _MASK
        second = (second + y + first) & _MASK
    return first, second


@cache
def _weights(count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return how much each of so many words counts in the first and in the second word of a checksum.

    All its steps are sums. Backwards: a word counts as much as the sum that it is added to counts in what
    comes after.
    """
    weights = []
    for of_first, of_second in ((1, 0), (0, 1)):
        backwards: list[int] = []
        for _ in range(count // 2):
            backwards.append(of_second)
            of_first = (of_first + of_second) & _MASK  # noqa: PLW2901 (a step back)
            backwards.append(of_first)
            of_second = (of_second + of_first) & _MASK  # noqa: PLW2901
        weights.append(tuple(reversed(backwards)))
    return weights[0], weights[1]


def _is_one_bit(told: Sums, found: Sums, count: int) -> bool:
    """Say whether one turned bit, in a checksum or in one of the words before it, explains the difference."""
    turned = [one ^ other for one, other in zip(told, found, strict=True)]
    if min(turned) == 0 and max(turned) in _BITS:
        return True
    gap = [(one - other) & _MASK for one, other in zip(told, found, strict=True)]
    back = [-one & _MASK for one in gap]
    return any(
        [(bit * first) & _MASK, (bit * second) & _MASK] in (gap, back)
        for first, second in zip(*_weights(count), strict=True)
        for bit in _BITS
    )
