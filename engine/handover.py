"""Hand records from the engine's loop to the thread that writes them: no wait, no wake-up for each.

The writer takes what is there in groups. A queue that wakes its reader for every record would make both
threads fight for Python's lock ten thousand times a second (docs/adr/0012).
What it does not know: what is handed over.
"""

import threading
import time
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Handover(Generic[Item]):
    """A queue from one thread to another: ``put`` is for the first, ``take`` and ``done`` for the second."""

    def __init__(self) -> None:
        self._waiting: deque[Item] = deque()
        self._wake = threading.Event()
        self._emptied_at = time.monotonic()
        self._taken_since: float | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: Item) -> None:
        """Add an item; the writer finds it when it looks next."""
        self._waiting.append(item)

    def put_now(self, item: Item) -> None:
        """Add an item and wake the writer: somebody waits for it."""
        self._waiting.append(item)
        self._wake.set()

    def take(self, limit: int, timeout_s: float) -> list[Item]:
        """Wait until the time is over or somebody wakes the writer, then take what there is.

        Args:
            limit: Most items to take; what is left is taken by the next call, which then does not wait.
            timeout_s: Longest wait, seconds.
        Returns:
            Items, oldest first; none if none came. They count as waiting until ``done``.
        """
        self._wake.wait(timeout_s)
        self._wake.clear()
        looked_at = time.monotonic()
        taken: list[Item] = []
        waiting = self._waiting
        if waiting:
            self._taken_since = self._emptied_at  # before it leaves the queue: it is never in neither
        while waiting and len(taken) < limit:
            taken.append(waiting.popleft())
        if len(taken) < limit:
            self._emptied_at = looked_at
        else:
            self._wake.set()
        return taken

    def done(self) -> None:
        """Say that what was taken last is written."""
        self._taken_since = None

    @property
    def age_s(self) -> float:
        """For how long the oldest item that is not written may have waited (at most; 0.0 with none)."""
        since = self._taken_since
        if since is None and self._waiting:
            since = self._emptied_at
        return 0.0 if since is None else time.monotonic() - since
