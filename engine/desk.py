"""The counter between the engine's thread and the console: snapshots out by queue, commands in.

Every browser session has its own bounded queue, so that no slow tab can hold the engine or another tab; what
a queue dropped, or a tab missed, is filled again from the history by version. The desk starts and stops the
engine and is held in ``sys.modules`` under a name that is no file, where neither hot reload nor "clear cache"
can reach it (measured: a module global left three engines running, ``st.cache_resource`` two).

What it does not know: Streamlit, HTTP, what any number means.
"""

import logging
import os
import sys
import threading
import time
import types
import uuid
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, cast

import msgspec

from engine import kill
from engine.config import Settings
from engine.kill import KillSwitch, Latch
from engine.run.commands import Command, Reply
from engine.run.lock import holding
from engine.run.tell import NO_ENGINE, tell_engine
from engine.snapshot import Mark, Point, Snapshot

QUEUE_LIMIT: Final = 64
"""Snapshots a session may leave undrained: 6.4 s at ten a second, longer than any pause of a visible tab."""
IDLE_LIMIT_S: Final = 180.0
"""A queue not drained for so long has no reader: the end-of-session hook is not guaranteed."""
POINT_LIMIT: Final = 900
"""Seconds of chart history: one whole 15-minute window."""
MARK_LIMIT: Final = 200
STALE_S: Final = 1.5
"""Age of the newest snapshot from which on the engine counts as unwell: every page says so within 2 s."""
HOLDER_LOOK_S: Final = 2.0
"""How often an engine that does not run looks whether another process trades on its data folder."""
CLEAR_PHRASE: Final = kill.CLEAR_PHRASE
SLOW_SECTIONS: Final = ("mode", "account", "orders", "settlements", "money", "decisions", "bad_prices")
"""Parts of a snapshot that rarely change, and are sent only when they did."""

_ANCHOR: Final = "_updown_console_anchor"
_log = logging.getLogger(__name__)

Publish = Callable[[Snapshot], None]


class Host(Protocol):
    """What the desk needs of the engine's thread; ``engine.run.host.EngineHost`` is one."""

    kill: KillSwitch

    @property
    def error(self) -> str | None:
        """Why the engine stopped or did not start; None while it is well."""
        ...

    @property
    def alive(self) -> bool:
        """Whether the engine's thread runs."""
        ...

    def start(self) -> None:
        """Start the thread and return at once."""
        ...

    def stop(self, timeout_s: float) -> None:
        """Stop the thread, waiting at most so long."""
        ...


class Tick(msgspec.Struct, frozen=True):
    """One second of chart history, and the version that brought it."""

    version: int
    point: Point


class Delta(msgspec.Struct, frozen=True):
    """What a reader who has seen version ``since`` lacks. ``since`` 0 is the whole picture."""

    since: int
    snapshot: Snapshot
    changed: frozenset[str]
    ticks: list[Tick]
    marks: list[Mark]


class Health(msgspec.Struct, frozen=True):
    """How the engine is, seen from outside its loop.

    ``state`` is starting, running, silent, stopped, failed, or ``elsewhere``: another process trades on this
    data folder, and ``error`` names it.
    ``desk`` names this desk (another name: the server was started anew), ``asked_ms`` is when it was asked on
    the machine's steady clock.
    """

    desk: str
    asked_ms: int
    state: str
    alive: bool
    error: str | None
    snapshot_age_s: float | None
    version: int
    seq: int
    session: str
    killed: bool
    sessions: int
    guard_port: int | None = None
    """Where the guard process takes a kill on loopback; None without one."""

    @property
    def well(self) -> bool:
        """Whether snapshots flow."""
        return self.state == "running"


class SessionQueue:
    """The snapshots one browser session has not drained yet: bounded, the oldest is dropped and counted."""

    def __init__(
        self, session_id: str, limit: int = QUEUE_LIMIT, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.session_id = session_id
        self.dropped = 0
        self._pushed = False
        self._held: deque[Snapshot] = deque(maxlen=limit)
        self._now = now
        self._lock = threading.Lock()
        self.drained_at = now()

    def __len__(self) -> int:
        return len(self._held)

    def put(self, snapshot: Snapshot) -> None:
        """Add a snapshot; never waits for the reader."""
        with self._lock:
            if self._pushed:
                self._held.clear()
            elif len(self._held) == self._held.maxlen:
                self.dropped += 1
            self._held.append(snapshot)

    def touch(self, pushed: bool) -> None:
        """Note that the tab lives. While it is fed by push the queue holds the newest snapshot only."""
        with self._lock:
            self._pushed = pushed
            self.drained_at = self._now()

    def drain(self) -> list[Snapshot]:
        """Take everything, oldest first."""
        with self._lock:
            taken = list(self._held)
            self._held.clear()
            self.drained_at = self._now()
        return taken


class Hub:
    """The queues of all sessions."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._queues: dict[str, SessionQueue] = {}
        self._lock = threading.Lock()
        self._reaped_at = now()

    def __len__(self) -> int:
        return len(self._queues)

    def __contains__(self, queue: SessionQueue) -> bool:
        """Whether this queue is still fed: not replaced, not reaped, not of an earlier desk."""
        return self._queues.get(queue.session_id) is queue

    def subscribe(self, session_id: str) -> SessionQueue:
        """Give a session a new, empty queue in place of any it had."""
        queue = SessionQueue(session_id, now=self._now)
        with self._lock:
            self._queues[session_id] = queue
        return queue

    def unsubscribe(self, queue: SessionQueue) -> None:
        """Forget a queue. One that was replaced meanwhile takes nothing from its successor."""
        with self._lock:
            if self._queues.get(queue.session_id) is queue:
                del self._queues[queue.session_id]

    def touch(self, session_id: str, pushed: bool) -> None:
        """Note that a session's tab lives, and whether it is fed by push; a stranger's name is nobody's."""
        queue = self._queues.get(session_id)
        if queue is not None:
            queue.touch(pushed)

    def publish(self, snapshot: Snapshot) -> None:
        """Hand a snapshot to every session and, once a second, drop the queues nobody drains."""
        with self._lock:
            queues = list(self._queues.values())
        for queue in queues:
            queue.put(snapshot)
        if self._now() - self._reaped_at >= 1.0:
            self.reap()

    def reap(self) -> int:
        """Drop the queues not drained for ``IDLE_LIMIT_S``; return how many."""
        self._reaped_at = now = self._now()
        with self._lock:
            idle = [queue for queue in self._queues.values() if now - queue.drained_at >= IDLE_LIMIT_S]
        for queue in idle:
            self.unsubscribe(queue)
        return len(idle)


class History:
    """What a tab needs that comes late: the last seconds and marks, each with the version that brought it."""

    def __init__(self) -> None:
        self.latest: Snapshot | None = None
        self._ticks: dict[int, Tick] = {}
        self._marks: dict[Mark, int] = {}
        self._changed: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, snapshot: Snapshot) -> None:
        """Keep a snapshot's second, its new marks, and which slow sections it changed."""
        with self._lock:
            if self.latest is not None and self.latest.session != snapshot.session:
                self.latest = None
                self._ticks.clear()
                self._marks.clear()
            if snapshot.point is not None:
                tick = Tick(snapshot.version, snapshot.point)
                self._ticks[snapshot.point.t_s] = tick
                while len(self._ticks) > POINT_LIMIT:
                    del self._ticks[next(iter(self._ticks))]
            for mark in snapshot.marks[-MARK_LIMIT:]:
                self._marks.setdefault(mark, snapshot.version)
            while len(self._marks) > MARK_LIMIT:
                del self._marks[next(iter(self._marks))]
            for name in SLOW_SECTIONS:
                if self.latest is None or getattr(self.latest, name) != getattr(snapshot, name):
                    self._changed[name] = snapshot.version
            self.latest = snapshot

    def since(self, version: int) -> Delta | None:
        """Return what came after a version.

        Args:
            version: The newest version the reader has; 0, or one from before a restart, for everything.
        Returns:
            The difference, or None before the first snapshot.
        """
        with self._lock:
            if self.latest is None:
                return None
            version = version if 0 < version <= self.latest.version else 0
            return Delta(
                since=version,
                snapshot=self.latest,
                changed=frozenset(name for name, at in self._changed.items() if at > version),
                ticks=[tick for tick in self._ticks.values() if tick.version > version],
                marks=[mark for mark, at in self._marks.items() if at > version],
            )


class Desk:
    """The counter itself: one for the process."""

    def __init__(
        self,
        settings: Settings,
        make_host: Callable[[Settings, Publish], Host],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.name = uuid.uuid4().hex[:12]
        self._elsewhere: tuple[float, str] = (-HOLDER_LOOK_S, "")
        self.hub = Hub(now)
        self.history = History()
        self._now = now
        self._published_at: float | None = None
        self.guard_port: int | None = None
        self.on_news: Callable[[], None] | None = None
        """Called from any thread with each snapshot and each kill, as long as somebody looks."""
        self.host = make_host(settings, self.publish)

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot."""
        return self.history.latest

    def publish(self, snapshot: Snapshot) -> None:
        """Take a snapshot from the engine's thread."""
        self._published_at = self._now()
        self.history.add(snapshot)
        self.hub.publish(snapshot)
        self._tell_news()

    def _tell_news(self) -> None:
        on_news = self.on_news
        if on_news is not None:
            on_news()

    def health(self) -> Health:
        """Say how the engine is: its thread, and the age of what it last said."""
        snapshot, at = self.latest, self._published_at
        age_s = None if at is None else self._now() - at
        alive, error = self.host.alive, self.host.error
        if not alive:
            told = self._trades_elsewhere()
            state = "elsewhere" if told else "failed" if error else "stopped"
            error = told or error
        elif age_s is None:
            state = "starting"
        else:
            state = "running" if age_s <= STALE_S else "silent"
        return Health(
            desk=self.name,
            asked_ms=int(self._now() * 1000),
            state=state,
            alive=alive,
            error=error,
            snapshot_age_s=None if age_s is None else round(age_s, 3),
            version=snapshot.version if snapshot else 0,
            seq=snapshot.seq if snapshot else 0,
            session=snapshot.session if snapshot else "",
            killed=self.host.kill.is_tripped(),
            sessions=len(self.hub),
            guard_port=self.guard_port,
        )

    def _trades_elsewhere(self) -> str:
        """Name the other process that trades on this data folder; empty where none does."""
        looked_at, told = self._elsewhere
        now = self._now()
        if now - looked_at >= HOLDER_LOOK_S:
            holder = holding(self.settings.data_dir)
            other = holder is not None and holder.pid != str(os.getpid())
            told = f"trades elsewhere: {holder.words}" if holder is not None and other else ""
            self._elsewhere = (now, told)
        return told

    def trip(self, who: str, why: str) -> Latch:
        """Trip the kill switch: one act, no questions, whatever state the engine is in."""
        latch = self.host.kill.trip(who, why)
        self._tell_news()
        _log.warning("= kill tripped", extra={"who": latch.who, "why": latch.why})
        return latch

    def clear(self, phrase: str, who: str, why: str, seen: Latch) -> str | None:
        """Clear the kill switch, if the operator means it, and means the kill that is in force.

        Args:
            phrase: Has to be ``CLEAR_PHRASE``, letter by letter.
            who: Whose decision it is.
            why: The operator's reason; it has to say something.
            seen: The latch that he looked at; another one stays, for nobody has judged it yet.
        Returns:
            None when the switch is clear now, else what was wrong.
        """
        try:
            problem = self.host.kill.clear(phrase, who, why, seen)
        except OSError as error:
            return f"The kill switch could not be cleared: {error}"
        if problem is None:
            facts = {"who": who, "why": why.strip(), "tripped_by": seen.who}
            _log.warning("= kill cleared", extra=facts)
        return problem

    def command(self, command: Command, who: str, why: str) -> Reply:
        """Give the engine a command, by the same door as the command line; waits for the answer.

        Args:
            command: What to do.
            who: Whose decision it is.
            why: The operator's reason; it has to say something.
        Returns:
            What became of it; a running engine answers within about 0.1 s, and 4 s is the longest wait.
        """
        if not self.host.alive:
            return Reply("refused", NO_ENGINE)
        try:
            return tell_engine(self.settings.data_dir, command, who, why)
        except OSError as error:
            return Reply("refused", f"the command could not be written: {error.strerror}")


class _Anchor(types.ModuleType):
    """The holder of the process's desk. It has no file, so no watcher ever evicts it."""

    def __init__(self) -> None:
        super().__init__(_ANCHOR)
        self.desk: Desk | None = None
        self.lock = threading.RLock()


def current() -> Desk | None:
    """Return the process's desk, or None when no server has opened one."""
    return _anchor().desk


def open_desk(settings: Settings, make_host: Callable[[Settings, Publish], Host]) -> Desk:
    """Start the engine behind the process's one desk.

    Args:
        settings: Checked settings.
        make_host: Makes the engine's thread from the settings and the desk's ``publish``.
    Returns:
        The desk. One whose engine still runs is kept: a second engine would trade twice.
    """
    anchor = _anchor()
    with anchor.lock:
        if anchor.desk is not None and anchor.desk.host.alive:
            return anchor.desk
        anchor.desk = Desk(settings, make_host)
        anchor.desk.host.start()
        return anchor.desk


def close_desk(timeout_s: float = 5.0) -> None:
    """Stop the engine, then forget the desk."""
    anchor = _anchor()
    with anchor.lock:
        if anchor.desk is not None:
            anchor.desk.host.stop(timeout_s)
        anchor.desk = None


def _anchor() -> _Anchor:
    """Find the anchor by its name; after a hot reload it is an instance of the class as it was before."""
    holder = sys.modules.get(_ANCHOR)
    if holder is None:
        holder = sys.modules.setdefault(_ANCHOR, _Anchor())
    return cast("_Anchor", holder)
