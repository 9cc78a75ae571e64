"""The flight recorder without its thread: records wait in memory, groups become durable in virtual time, the
disk may fail; what a crash leaves is poured through the product's own recorder into its own file.

So the file format, its reader and recovery are the product's. What it does not know: what any record means.
"""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from engine.errors import JournalError
from engine.events import Record
from engine.journal import GROUP_S, Journal

Item: TypeAlias = Record | tuple[int, int, msgspec.Struct]

SYNC_S: Final = 0.0005
"""Time of a synced commit (fault catalogue, A3.3: SQLite in WAL mode, synchronous FULL)."""

SLOW_SYNC_S: Final = 0.03
"""Of a slow one, drawn for one in twenty."""


class MemoryJournal:
    """See ``engine.journal.Journal``, whose interface this is."""

    made: "list[MemoryJournal]" = []  # noqa: RUF012 (the run's list of all recorders, emptied by each run)
    rng: random.Random = random.Random(0)
    before: Callable[[str], None] = staticmethod(lambda _: None)
    """Called with a point's name wherever a process may die."""

    def __init__(self, path: Path, meta: dict[str, str]) -> None:
        self.path = path
        self.meta = meta
        self.error: str | None = None
        self.items: list[Item] = []
        self.written = 0
        """Items that a group commit has written: a kill of the process does not lose them."""
        self.synced = 0
        self.ended: str | None = None
        self.fails_from: int | None = None
        """Number of items at which the disk fails."""
        self._grouping: asyncio.TimerHandle | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        self.made.append(self)

    @property
    def written_seq(self) -> int:
        """The highest number that is written."""
        return self._seq_at(self.written)

    @property
    def durable_seq(self) -> int:
        """The highest number that is on the disk for certain."""
        return self._seq_at(self.synced)

    @property
    def lag_ms(self) -> float:
        """How long the oldest record not yet committed has waited, at most."""
        return GROUP_S * 1000 if self.written < len(self.items) else 0.0

    @property
    def waiting(self) -> int:
        """How many records are not written yet."""
        return len(self.items) - self.written

    def record(self, record: Record) -> None:
        """Take an event over, before the core sees it."""
        self.before("record")
        self._add(record)
        self.before("recorded")

    def record_output(self, seq: int, place: int, output: msgspec.Struct) -> None:
        """Take over a decision or an intent."""
        self.before("output")
        self._add((seq, place, output))

    async def wait_durable(self) -> None:
        """Return once everything recorded so far is on the disk.

        Raises:
            JournalError: It could not be written.
        """
        self._check()
        count = len(self.items)
        slow = self.rng.random() < 0.05
        await asyncio.sleep(self.rng.uniform(0.5, 1.5) * (SLOW_SYNC_S if slow else SYNC_S))
        self.before("sync")
        self._fail_if_due(count)
        self._check()
        self.written = max(self.written, count)
        self.synced = max(self.synced, count)

    def close(self, status: str = "ended") -> None:
        """Write what is left; the product's own recorder makes the file."""
        if self.error is None:
            self.written = self.synced = len(self.items)
        self.pour(self.written, status)

    def pour(self, count: int, status: str) -> None:
        """Write the first items into the session's file, as the product's recorder does."""
        self.ended = status
        if self._grouping is not None:
            self._grouping.cancel()
        real = Journal(self.path, self.meta)
        for item in self.items[:count]:
            if isinstance(item, Record):
                real.record(item)
            else:
                real.record_output(*item)
        real.close(status)

    def die(self, *, has_power: bool = True) -> int:
        """Return how many items a death at this moment leaves.

        Args:
            has_power: A kill of the process leaves what is written, and perhaps a part of a group that is
                being written. Without power only what is synced is there for certain.
        """
        assert self.ended is None
        if not has_power:
            # A fill follows its order's sync at once: half of the cuts lose everything since.
            return self.synced if self.rng.random() < 0.5 else self.rng.randint(self.synced, self.written)
        return self.rng.randint(self.written, len(self.items)) if self.rng.random() < 0.5 else self.written

    def _add(self, item: Item) -> None:
        self._check()
        self.items.append(item)
        self._fail_if_due(len(self.items))
        if self._grouping is None:
            self._grouping = asyncio.get_running_loop().call_later(GROUP_S, self._commit_group)

    def _commit_group(self) -> None:
        self._grouping = None
        if self.error is None:
            self.written = len(self.items)

    def _fail_if_due(self, count: int) -> None:
        if self.fails_from is not None and count >= self.fails_from:
            self.error = f"cannot record in {self.path}: database or disk is full; free space or set DATA_DIR"

    def _check(self) -> None:
        if self.error is not None:
            raise JournalError(self.error)

    def _seq_at(self, count: int) -> int:
        for item in reversed(self.items[:count][-50:]):
            if isinstance(item, Record):
                return item.seq
        return 0


def outputs_of(items: list[Item]) -> list[tuple[int, int, Any]]:
    """Return the decisions and intents among items."""
    return [item for item in items if not isinstance(item, Record)]
