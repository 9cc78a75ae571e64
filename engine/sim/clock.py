"""Virtual time: an event loop that never waits, and the readings of every clock that follow it.

The loop jumps to its next timer when nothing is ready. Work belongs to an owner (a context variable that
tasks and timers inherit), so that all of an engine's work can be dropped at once, as a SIGKILL does.
What it does not know: engines, venues, networks.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final

OWNER: Final[ContextVar[str]] = ContextVar("owner", default="")
"""Whose work is running: an engine's life, or "" for the venue and the run itself."""

BEGIN_MONO_S: Final = 1_000.0
"""The steady clock's reading at the beginning: small, so that a float of it resolves a tenth of a
picosecond."""

RESOLUTION_S: Final = 1e-9
"""Timers this close are due together; without it a timer may lie between two floats and never come."""

HUNG_AFTER: Final = 2_000_000
"""Turns without any time passing after which the run is given up as hung: a busy second takes 1,000."""


class HungError(Exception):
    """Nothing is left to do, or what is done takes no time and never ends."""


class QuickHandle(asyncio.TimerHandle):
    """A callback of the virtual loop, without what the loop's own spends on debugging: there are many."""

    __slots__ = ()

    def __init__(
        self, when: float, callback: Any, args: Any, loop: "VirtualLoop", context: Context | None
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = False
        self._scheduled = False
        self._repr = None

    def cancel(self) -> None:
        """Let it pass when it is due."""
        self._cancelled = True
        self._callback = self._args = None  # type: ignore[assignment]  # as the loop's own does


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is a number.

    ``now_s`` is its steady clock. Work of an owner in ``dropped`` is not run any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_s = BEGIN_MONO_S
        self.dropped: set[str] = set()
        self._idle_turns = 0
        self._asked = 0
        self._waiting: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._due: Any = self._ready  # type: ignore[attr-defined]

    def time(self) -> float:
        """Return virtual seconds."""
        return self.now_s

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Do what ``call_soon`` does: there are no threads here."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Do it at once: what a thread would do beside takes no virtual time."""
        del executor
        done: Future[Any] = Future()
        try:
            done.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001 (handed to whoever awaits it)
            done.set_exception(error)
        return asyncio.wrap_future(done, loop=self)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Do what the loop's own does; of those due together the one that was asked for first comes first."""
        handle = QuickHandle(when, callback, args, self, context)
        self._asked += 1
        heapq.heappush(self._waiting, (when, self._asked, handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Do what the loop's own does."""
        when = self.now_s + delay
        handle = QuickHandle(when, callback, args, self, context)
        self._asked += 1
        heapq.heappush(self._waiting, (when, self._asked, handle))
        return handle

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Do what the loop's own does, without its checks."""
        handle = QuickHandle(0.0, callback, args, self, context)
        self._due.append(handle)
        return handle

    def _run_once(self) -> None:
        """Run what is ready, turn by turn, until the loop is told to stop; between turns without anything
        ready go to the next timer."""
        waiting, due, dropped = self._waiting, self._due, self.dropped
        popleft, append, heappop = due.popleft, due.append, heapq.heappop
        while True:
            if due:
                self._idle_turns += 1
                if self._idle_turns > HUNG_AFTER:
                    raise HungError(f"{HUNG_AFTER} turns at {self.now_s} s")
            else:
                self._pass_time()
            until = self.now_s + RESOLUTION_S
            while waiting and waiting[0][0] <= until:
                append(heappop(waiting)[2])
            for _ in range(len(due)):
                handle = popleft()
                if handle._cancelled or (dropped and handle._context.get(OWNER, "") in dropped):
                    continue
                try:
                    handle._context.run(handle._callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 (as ``Handle._run`` does, which costs a call)
                    self.call_exception_handler({"message": "callback failed", "exception": error})
            if self._stopping:  # type: ignore[attr-defined]
                return

    def _pass_time(self) -> None:
        """Go to the next timer."""
        waiting = self._waiting
        while waiting and waiting[0][2]._cancelled:
            heapq.heappop(waiting)
        if waiting:
            self._idle_turns = 0
            self.now_s = max(self.now_s, waiting[0][0])
        elif not self._stopping:  # type: ignore[attr-defined]
            raise HungError("nothing is left to do")


REAL: Final[dict[str, Callable[..., Any]]] = {
    name: getattr(time, name)
    for name in (
        "time",
        "time_ns",
        "monotonic",
        "monotonic_ns",
        "perf_counter",
        "perf_counter_ns",
        "clock_gettime_ns",
    )
}
"""The machine's own clocks, for whoever measures how long a run took."""


@contextmanager
def virtual_time(loop: VirtualLoop, begin_ms: int) -> Iterator[None]:
    """Let every clock of the process follow a loop.

    Args:
        loop: The one.
        begin_ms: Unix time in milliseconds at the loop's beginning.
    """
    offset_s = begin_ms / 1000 - BEGIN_MONO_S

    def mono_ns() -> int:
        return round(loop.now_s * 1e9)

    def wall_ns() -> int:
        return begin_ms * 1_000_000 + round((loop.now_s - BEGIN_MONO_S) * 1e9)

    virtual: dict[str, Callable[..., Any]] = {
        "time": lambda: loop.now_s + offset_s,
        "time_ns": wall_ns,
        "monotonic": loop.time,
        "monotonic_ns": mono_ns,
        "perf_counter": loop.time,
        "perf_counter_ns": mono_ns,
        "clock_gettime_ns": lambda _: mono_ns(),
    }
    for name, read in virtual.items():
        setattr(time, name, read)
    try:
        yield
    finally:
        for name, read in REAL.items():
            setattr(time, name, read)
