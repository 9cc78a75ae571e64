"""Work that takes seconds, asked for by a page: done in a thread of its own, looked at by every page.

A job has a name, and of each name one runs at a time: who asks meanwhile is shown the one that runs. So two
operators see the same check-up, and a page that was left finds its answer when it is opened again.
What it does not know: what is done.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from engine.config import Settings
from engine.errors import EngineError
from engine.run.arm_command import Wish, try_to_arm
from engine.run.doctor.checkup import examine_with
from engine.run.drill import Drill, DrillError, PracticeControl, control_of, hold
from engine.snapshot import Snapshot

log = logging.getLogger("engine.worker")


class Job:
    """One piece of work: whether it runs, what came of it, or why nothing did.

    ``began_ms`` and ``ended_ms`` are wall time; ``ended_ms`` is None until it is over.
    """

    def __init__(self, name: str, act: Callable[["Job"], Any]) -> None:
        self.name = name
        self.began_ms = time.time_ns() // 1_000_000
        self.ended_ms: int | None = None
        self.result: Any = None
        self.error = ""
        self.steps: list[str] = []
        self._act = act
        self._thread = threading.Thread(target=self._run, name=f"{name} job", daemon=True)
        self._thread.start()

    @property
    def runs(self) -> bool:
        """Whether it is still at work."""
        return self._thread.is_alive()

    def wait(self, timeout_s: float) -> bool:
        """Wait at most so long; return whether it is done."""
        self._thread.join(timeout_s)
        return not self.runs

    def say(self, step: str) -> None:
        """Note how far it is, for whoever looks."""
        self.steps.append(step)

    def _run(self) -> None:
        try:
            self.result = self._act(self)
        except (EngineError, OSError, ValueError) as error:
            self.error = str(error) or type(error).__name__
            log.warning("job failed", extra={"job": self.name, "why": self.error})
        finally:
            self.ended_ms = time.time_ns() // 1_000_000


KEPT: Final = 20
"""Finished jobs that are still told of."""

_jobs: Final[dict[str, Job]] = {}
_done: Final[deque[Job]] = deque(maxlen=KEPT)
_lock: Final = threading.Lock()


def last(name: str) -> Job | None:
    """Return the newest job of a name."""
    return _jobs.get(name)


def begin(name: str, act: Callable[[Job], Any]) -> Job:
    """Start a job, unless one of its name runs: then that one is returned."""
    with _lock:
        running = _jobs.get(name)
        if running is not None and running.runs:
            return running
        if running is not None:
            _done.append(running)
        _jobs[name] = job = Job(name, act)
        return job


def earlier(name: str) -> list[Job]:
    """Return the finished jobs of a name before the newest, newest first."""
    with _lock:
        return [job for job in reversed(_done) if job.name == name]


def forget() -> None:
    """Drop every finished job's answer: another engine stands behind the desk."""
    with _lock:
        _done.clear()
        for name in [name for name, job in _jobs.items() if not job.runs]:
            del _jobs[name]


def examine(settings: Settings) -> Job:
    """Let the doctor look; its result is the list of lines."""
    return begin("doctor", lambda _: asyncio.run(examine_with(settings)))


def arm(settings: Settings, wish: Wish) -> Job:
    """Try to arm; its result is the armament, with every check."""
    return begin("arm", lambda _: asyncio.run(try_to_arm(settings, wish)))


def drill(settings: Settings, latest: Callable[[], Snapshot | None], wish: Drill) -> Job:
    """Hold a drill; its result is the score, its steps what was seen so far."""

    def held(job: Job) -> Any:
        snapshot = latest()
        if snapshot is None:
            raise DrillError("the engine has published no snapshot")
        control = PracticeControl(control_of(settings.data_dir, snapshot.session))
        try:
            return hold(wish, control, latest, job.say)
        finally:
            control.close()

    return begin("drill", held)
