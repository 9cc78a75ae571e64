"""What-ifs and "why no trade" for pages: each in a process of its own, so that the engine does not feel it.

A job can be cancelled. What it does not know: how either is reckoned (``engine.run.what_if.command``).
"""

import atexit
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from engine.config import Settings
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.run import worker
from engine.run.what_if.answer import WhatIfError, changeable
from engine.run.what_if.command import Wish
from engine.run.what_if.sources import read_progress, sessions_since
from engine.settings_environment import child_environment
from engine.units import Milliseconds

LOOK_S: Final = 0.2
NICE: Final = 10
"""Behind the engine, the server and a replay's player (5), before an index that nobody waits for (15)."""
DAY_MS: Final = 86_400_000
WHAT_IF: Final = "what-if"
WHY: Final = "why-no-trade"
EFFECT: Final = "effect of a change"
CANCELLED: Final = "cancelled"

FRESH_MS: Final = 600_000
"""How long an effect stands: in ten minutes two windows of five minutes end, and the last day is another."""
AGAIN_MS: Final = 60_000
"""How long a failure is shown before it is tried again: pages look once a second."""
UNSEEN_S: Final = 5.0
"""An effect that no page looked at for so long is of no use to anybody: five looks."""

_running: Final[dict[str, subprocess.Popen[bytes]]] = {}
_cancelled: Final[set[str]] = set()
_looked_s: Final[dict[str, float]] = {}
"""When a page last asked for an effect, on the monotonic clock, by the job's name."""


def begin(settings: Settings, wish: Wish) -> worker.Job:
    """Start a what-if; the job's result is the report."""
    return worker.begin(WHAT_IF, lambda job: _decide(settings, wish, job))


def begin_why(settings: Settings, session: str) -> worker.Job:
    """Start saying why a session was not traded; the job's result is the report."""
    words = ["why-no-trade", session, "--json"]
    return worker.begin(WHY, lambda job: _run(settings, words, job))


def effect(settings: Settings, current: Mapping[str, float], wish: Mapping[str, float]) -> worker.Job:
    """Return the job that says what a change would have done over the last day's sessions.

    It is begun where it was not yet, was cancelled, or is too old; another wish is another job. Pages ask
    again and again while they show it: one that nobody asks for any more is cancelled.
    """
    name = f"{EFFECT}: {_words(current)} {_words(wish)}"
    _looked_s[name] = time.monotonic()
    _cancel_unseen(name)
    known = worker.last(name)
    if known is not None and _stands(known):
        return known
    now_ms = time.time_ns() // 1_000_000
    sessions = tuple(sessions_since(settings, now_ms - DAY_MS))
    asked = Wish(sessions, _only_changeable(wish), _only_changeable(current))
    return worker.begin(name, lambda job: _decide(settings, asked, job))


@atexit.register
def _end_all() -> None:
    """Leave no process behind when the console ends."""
    for process in list(_running.values()):
        process.terminate()


def cancel(name: str) -> None:
    """End a job's process; the job then says that it was cancelled."""
    process = _running.get(name)
    if process is not None:
        _cancelled.add(name)
        process.terminate()


def day_sessions(settings: Settings) -> list[str]:
    """Return the sessions of the last day, oldest first."""
    return sessions_since(settings, time.time_ns() // 1_000_000 - DAY_MS)


def bundled(folder: Path) -> list[str]:
    """Return the paths of the CSVs to play back, by name."""
    return [str(path) for path in sorted(folder.glob("*.csv"))]


def _cancel_unseen(name: str) -> None:
    """Cancel the effects, but one, that no page looked at for a while; those of two open pages both go on."""
    now_s = time.monotonic()
    for other in [one for one in list(_running) if one.startswith(EFFECT) and one != name]:
        if now_s - _looked_s.get(other, 0.0) >= UNSEEN_S:
            cancel(other)


def _stands(job: worker.Job) -> bool:
    """Say whether a job's answer is still to be shown, or it is still at work."""
    if job.runs:
        return True
    if job.error == CANCELLED or job.ended_ms is None:
        return False
    return time.time_ns() // 1_000_000 - job.ended_ms < (AGAIN_MS if job.error else FRESH_MS)


def _only_changeable(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if name in changeable()}


def _words(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value!r}" for name, value in sorted(values.items()))


def _decide(settings: Settings, wish: Wish, job: worker.Job) -> dict[str, Any]:
    if not wish.sources:
        raise WhatIfError("there is no session to decide on again")
    words = ["what-if", *wish.sources, "--json"]
    for name, value in wish.values.items():
        words += ["--set", f"{name}={value!r}"]
    if wish.current is not None:
        words += ["--base", "current"]
        for name, value in wish.current.items():
            words += ["--in-force", f"{name}={value!r}"]
    if wish.from_ms is not None:
        words += ["--from-ms", str(wish.from_ms)]
    return _run(settings, words, job)


def _run(settings: Settings, words: Sequence[str], job: worker.Job) -> dict[str, Any]:
    """Run a command; its progress becomes the job's steps, its answer the result.

    Raises:
        WhatIfError: It failed, or was cancelled; the text is its own last line.
    """
    _cancelled.discard(job.name)  # said of an earlier one as it ended
    with tempfile.TemporaryDirectory(prefix="what-if-") as place:
        progress, out, err = (Path(place) / name for name in ("progress", "out", "err"))
        with out.open("wb") as to_out, err.open("wb") as to_err:
            process = subprocess.Popen(  # noqa: S603 (our own command, its words checked by it)
                [sys.executable, "-m", "engine", *words, "--progress", str(progress)],
                stdin=subprocess.DEVNULL,
                stdout=to_out,
                stderr=to_err,
                env=child_environment() | {"DATA_DIR": str(settings.data_dir.absolute())},
            )
            _running[job.name] = process
            _stand_back(process)
            try:
                _follow(process, progress, job)
            finally:
                _running.pop(job.name, None)
                _end(process)
        return _answer(process, out, err, job)


def _stand_back(process: subprocess.Popen[bytes]) -> None:
    """Let the engine, the server and a replay's player go first on a busy machine."""
    with suppress(OSError):  # it has ended already
        os.setpriority(os.PRIO_PROCESS, process.pid, NICE)


def _follow(process: subprocess.Popen[bytes], progress: Path, job: worker.Job) -> None:
    told = ""
    while process.poll() is None:
        what, done, total = read_progress(progress)
        step = f"{what}, {done:,} of {total:,}" if total else what
        if step != told:
            job.say(step)
            told = step
        time.sleep(LOOK_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave no process behind."""
    if process.poll() is None:
        process.kill()
        process.wait()


def _answer(process: subprocess.Popen[bytes], out: Path, err: Path, job: worker.Job) -> dict[str, Any]:
    if job.name in _cancelled:
        _cancelled.discard(job.name)
        raise WhatIfError(CANCELLED)
    if process.returncode:
        lines = err.read_text("utf-8", "replace").strip().splitlines() or [
            f"it ended with {process.returncode}"
        ]
        raise WhatIfError(lines[-1][:400])
    try:
        return from_json(out.read_bytes(), dict[str, Any])
    except (OSError, DecodingError) as error:
        raise WhatIfError(f"its answer cannot be read: {error}") from error


def since_words(at_ms: Milliseconds) -> str:
    """Say how long a job runs, in whole seconds."""
    return f"{max(0, time.time_ns() // 1_000_000 - at_ms) // 1000} s"
