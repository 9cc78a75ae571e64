"""What is not the product's own in a simulated run, each with its reason. Nothing else is replaced.

=====================  =====================================================================================
clocks                 follow the loop (``engine.sim.clock``)
``websockets.connect``  the network in memory (``engine.sim.net``)
httpx's transport      the same
``os.urandom``         drawn from the seed: salts, ids
``Journal``            without its thread (``engine.sim.memory_journal``); files are the product's own
``OrderThread``        its coroutine as a task of the same loop; orders, gate, duties are the product's own
``Session``            snapshots, and chart points for them, are made every so often instead of ten times a
                       second; a witness looks on
``open_ledger``        the product's own file, whose disk may fail
``KillSwitch``         its file is the product's own; whether it is there is remembered, not asked each time
``LEVELS``             of the market maker's books: half as many
``KILL_LOOK_EVERY_S``  of the order thread five times as long
``_tell_seconds``      tells every third second, as a busy loop does
``FolderLock``         the product's own, noted, so that a death lets go of it as the system does
``wallet_lock``        nothing: runs beside each other have the same wallet, each at a venue of its own
``datetime.now``       follows the loop, where sessions are named
=====================  =====================================================================================
"""

import asyncio
import contextlib
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import httpx
import websockets

from engine.core.ledger import Change
from engine.core.state import State
from engine.core.step import Effect
from engine.errors import StartError
from engine.events import AnyEvent, LedgerRestored, PastRule, SecondPassed
from engine.kill import KillSwitch, Latch
from engine.practice.simulated import maker
from engine.run import engine as engine_module
from engine.run import order_desk
from engine.run.chart_seconds import ChartSeconds
from engine.run.ledger.file import FILE_NAMES, LedgerFile, World
from engine.run.lock import FolderLock
from engine.run.session import Session
from engine.sim.clock import REAL, VirtualLoop
from engine.sim.memory_journal import MemoryJournal
from engine.sim.net import Connecting, Network
from engine.sim.net_http import MemoryTransport
from engine.sim.power import LedgerDisk
from engine.snapshot import Point
from engine.units import Milliseconds
from engine.venue import order_thread
from engine.venue.order_thread import CLOSE_WAIT_S, OrderThread

TOLD_EVERY_S: Final = 3
"""Boundaries of windows are among these seconds."""

PUBLISH_EVERY_SECONDS: Final = 300
"""Venue seconds between two snapshots: one takes 1.4 ms, which ten a second would make most of a run."""

CHARTED_SECONDS: Final = 10
"""Venue seconds before a snapshot of which the chart's points are made, for the snapshot to carry."""

LEVELS: Final = 6
"""Levels of each side of a book: half of the simulation's own, and more than an order of $10 walks."""

KILL_LOOK_EVERY_S: Final = 0.05
"""Wall seconds between two looks of the order thread at the latch, for cancels; orders ask each time."""


class Died(BaseException):
    """The process was killed here: nothing after this point happens."""


class SimulatedSession(Session):
    """A session that is watched."""

    made: ClassVar[list["SimulatedSession"]] = []
    heard: ClassVar[Callable[[AnyEvent], None]] = staticmethod(lambda _: None)
    watch: ClassVar[Callable[["SimulatedSession", AnyEvent], None]] = staticmethod(lambda *_: None)
    effect: ClassVar[Callable[["SimulatedSession", int, Effect], None]] = staticmethod(lambda *_: None)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.made.append(self)
        self._carried_out = self.carry_out
        self.carry_out = self._noted
        self._next_publish = 0
        self._chart = self._sparse = SparseChart()
        self.life._now = lambda: time.monotonic()  # noqa: PLW0108 (the clock that is swapped, not today's)

    def accept(self, event: AnyEvent) -> None:
        """Let the witness hear of an event, take it in, let the witness look."""
        type(self).heard(event)
        super().accept(event)
        type(self).watch(self, event)

    def publish(self) -> None:
        """Make a snapshot now and then."""
        second = self.state.now_ms // 1000
        if second >= self._next_publish:
            self._next_publish = second + PUBLISH_EVERY_SECONDS
            self._sparse.from_second = self._next_publish - CHARTED_SECONDS
            super().publish()

    def _noted(self, seq: int, place: int, effect: Effect) -> None:
        type(self).effect(self, seq, effect)
        self._carried_out(seq, place, effect)


class SparseChart(ChartSeconds):
    """The charts' seconds, as far as a snapshot will soon want their points."""

    __slots__ = ("from_second",)

    def __init__(self) -> None:
        super().__init__()
        self.from_second = 0

    def note(self, state: State) -> list[Point]:
        """Note a second, or let it pass."""
        return super().note(state) if state.now_ms // 1000 >= self.from_second else []


class OrderTask(OrderThread):
    """The order thread as a task of the loop it is opened in."""

    async def open(self) -> None:
        """Start; return once its exchange is connected."""
        self._task = asyncio.get_running_loop().create_task(self._lived(), name="orders")
        await asyncio.wrap_future(self._opened)

    async def close(self) -> None:
        """Wait for the orders under way, then end."""
        self._is_ending = True
        if self._stop is None or self._task.done():
            return
        self._call(self._stop.set)
        await asyncio.wait((self._task,), timeout=CLOSE_WAIT_S + 5.0)

    async def _lived(self) -> None:
        """Do what ``OrderThread._run`` does in its thread."""
        try:
            await self._main()
        except Exception as error:  # noqa: BLE001 (as in the thread: it halts, whatever it was)
            if not self._opened.done():
                self._opened.set_exception(StartError(f"orders cannot be sent: {type(error).__name__}"))
            self._halt(f"the order thread failed: {type(error).__name__}")


class SimulatedLedger(LedgerFile):
    """The ledger's file on a disk that may fail, in a process that may die."""

    before: ClassVar[Callable[[str], None]] = staticmethod(lambda _: None)
    fails: ClassVar[bool] = False
    disk: ClassVar[LedgerDisk] = LedgerDisk()
    """What a power cut leaves of the file; a new one for each run."""
    unwritten: ClassVar[set[str]] = set()
    """Kinds of window whose trusted rule was to be written, and was not, as far as is known."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.unwritten.clear()
        self.disk.opened(self.path, self._database)
        self.disk.committed(is_synced=False)

    def restore(self, sessions: Path, now_ms: Milliseconds) -> LedgerRestored:
        """Read the file, with what it takes over from crashed sessions."""
        restored = super().restore(sessions, now_ms)
        self.disk.committed(is_synced=self._is_synced)
        return restored

    def write(self, seq: int, changes: Iterable[Change], breakers: dict[str, str], now_ms: int) -> None:
        """Write, or fail as a full disk does."""
        batch = list(changes)
        rules = {change.name for change in batch if isinstance(change, PastRule)}
        self.unwritten.update(rules)
        type(self).before("ledger")
        if self.fails:
            raise self._failed(sqlite3.OperationalError("database or disk is full"))
        super().write(seq, batch, breakers, now_ms)
        self.unwritten.difference_update(rules)
        self.disk.committed(is_synced=self._is_synced)
        type(self).before("ledgered")


class _Now(datetime):
    """``datetime.now`` by the virtual clock."""

    begin_ms: ClassVar[int] = 0
    loop: ClassVar[VirtualLoop]

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        del tz
        return datetime.fromtimestamp(cls.begin_ms / 1000 + cls.loop.now_s, UTC)


class Latches:
    """Which kill switches are tripped: each look at a file costs more than an event."""

    def __init__(self) -> None:
        self._tripped: set[Path] = set()
        self._trip, self._clear = KillSwitch.trip, KillSwitch.clear

    def is_tripped(self, switch: KillSwitch) -> bool:
        """Say whether a switch is tripped."""
        return switch.path in self._tripped

    def trip(self, switch: KillSwitch, who: str, why: str) -> Latch:
        """Trip it, file and all."""
        latch = self._trip(switch, who, why)
        self._tripped.add(switch.path)
        return latch

    def clear(self, switch: KillSwitch, phrase: str, who: str, why: str) -> str | None:
        """Clear it, file and all."""
        wrong = self._clear(switch, phrase, who, why)
        if wrong is None:
            self._tripped.discard(switch.path)
        return wrong


async def tell_seconds(session: Session) -> None:
    """Tell the core every third whole second: an engine whose loop is busy does so too."""
    step_ms = TOLD_EVERY_S * 1000
    while True:
        now_ms = session.clock.now_ms()
        await session.clock.sleep((step_ms - now_ms % step_ms) / 1000)
        session.accept(SecondPassed(ts_recv_ms=session.clock.now_ms()))


class NotedLock(FolderLock):
    """A folder's lock of which the run knows."""

    held: ClassVar[list["NotedLock"]] = []

    def __enter__(self) -> "NotedLock":
        super().__enter__()
        self.held.append(self)
        return self

    def __exit__(self, *ended: Any) -> None:
        if self in self.held:
            self.held.remove(self)
            super().__exit__(*ended)

    @classmethod
    def release_all(cls) -> None:
        """Let go of the locks of an engine that died."""
        while cls.held:
            os.close(cls.held.pop()._descriptor)


def _open_ledger(settings: Any, session: str) -> SimulatedLedger:
    world: World = "paper" if settings.dry_run else "live"
    return SimulatedLedger(settings.data_dir / FILE_NAMES[world], session, world)


class Ordered(dict[Any, None]):
    """A set that is walked in the order of joining, as sets by address are not from run to run."""

    def add(self, item: Any) -> None:
        """Take something in."""
        self[item] = None

    def discard(self, item: Any) -> None:
        """Let go of something."""
        self.pop(item, None)


@contextlib.contextmanager
def in_place(network: Network, loop: VirtualLoop, seed: int, begin_ms: int) -> Iterator[None]:
    """Put every stand-in in place, for a whole run of this process.

    Args:
        network: Where connections lead.
        loop: Whose time it is.
        seed: For salts and ids.
        begin_ms: Unix time at the beginning.
    """
    latches = Latches()
    urandom = random.Random(seed).randbytes
    _Now.begin_ms, _Now.loop = begin_ms, loop
    swaps: list[tuple[Any, str, Any]] = [
        (websockets, "connect", lambda url, **more: Connecting(network, url, more["open_timeout"])),
        (httpx._client, "AsyncHTTPTransport", lambda **_: MemoryTransport(network)),
        (os, "urandom", urandom),
        (random, "_urandom", urandom),
        (maker, "LEVELS", LEVELS),
        (engine_module, "Journal", MemoryJournal),
        (engine_module, "Session", SimulatedSession),
        (engine_module, "open_ledger", _open_ledger),
        (engine_module, "FolderLock", NotedLock),
        (engine_module, "wallet_lock", lambda *_: contextlib.nullcontext()),
        (engine_module, "_tell_seconds", tell_seconds),
        (engine_module, "datetime", _Now),
        (order_desk, "OrderThread", OrderTask),
        (order_thread, "KILL_LOOK_EVERY_S", KILL_LOOK_EVERY_S),
        (KillSwitch, "is_tripped", lambda switch: latches.is_tripped(switch)),  # noqa: PLW0108 (a method)
        (KillSwitch, "trip", lambda switch, who, why: latches.trip(switch, who, why)),  # noqa: PLW0108 (same)
        (KillSwitch, "clear", lambda switch, *told: latches.clear(switch, *told)),  # noqa: PLW0108 (same)
    ]
    before = [(where, name, getattr(where, name)) for where, name, _ in swaps]
    for where, name, value in swaps:
        setattr(where, name, value)
    try:
        yield
    finally:
        for where, name, value in before:
            setattr(where, name, value)


@contextlib.contextmanager
def real_time() -> Iterator[None]:
    """Let the machine's clocks run, for what has threads of its own."""
    virtual = {name: getattr(time, name) for name in REAL}
    for name, read in REAL.items():
        setattr(time, name, read)
    try:
        yield
    finally:
        for name, read in virtual.items():
            setattr(time, name, read)
