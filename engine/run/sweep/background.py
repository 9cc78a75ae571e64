"""Processes that a console leaves to themselves: one at a time in a folder, found again by whoever looks.

What it does not know: what they work on (``engine.run.sweep.job``).
"""

import atexit
import fcntl
import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engine.private_files import make_folder, private
from engine.run.whole_file import write_whole
from engine.settings_environment import child_environment

log = logging.getLogger("engine.sweep")

LOG_MOST: Final = 4_000
PID_FILE: Final = "pid"
"""Tells another console, and the next one, which process is at work, before that has said anything."""
LOCK_FILE: Final = ".lock"

_children: dict[str, subprocess.Popen[bytes]] = {}
"""Started by this process: asked after, so that none is left behind as a zombie."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let no other tab, nor another console on the same data, start something between a look and a start."""
    make_folder(folder)
    with open(folder / LOCK_FILE, "ab", opener=private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held by this handle: threads of one process wait too
        yield


def start(folder: Path, prefix: str, command: list[str]) -> None:
    """Start a command that outlives this process; what it says goes to the folder's log.

    Args:
        folder: Its own, and where it writes.
        prefix: What its files are called; with the folder it is one of the command's words.
        command: Program and arguments.
    Raises:
        OSError: It cannot be started.
    """
    (folder / PID_FILE).unlink(missing_ok=True)
    with open(folder / "log", "wb", opener=private) as said:
        child = subprocess.Popen(  # noqa: S603 (our own module, arguments in a list)
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=child_environment(),
            start_new_session=True,
        )
    _children[_known_as(folder, prefix)] = child
    write_whole(folder / PID_FILE, str(child.pid).encode())


def _known_as(folder: Path, prefix: str) -> str:
    return f"{folder.name}/{prefix}"


def child_of(folder: Path, prefix: str) -> subprocess.Popen[bytes] | None:
    """Return what this console started there last; None where it was another, or nobody."""
    return _children.get(_known_as(folder, prefix))


@atexit.register
def _say_what_goes_on() -> None:
    """Say which work the console leaves behind: it has a process group of its own, so nothing ends it."""
    for name, child in list(_children.items()):
        if child.poll() is None:
            log.warning("goes on without the console", extra={"work": name, "pid": child.pid})


def pid_of(folder: Path) -> int:
    """Return which process was started in a folder; 0 where nobody knows."""
    try:
        return int((folder / PID_FILE).read_bytes()[:20])
    except (OSError, ValueError):
        return 0


def is_ours(pid: int, folder: Path, prefix: str) -> bool:
    """Say whether a process is there and writes into this folder: numbers are given out again."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return False
    return any(word.endswith(os.fsencode(f"/{folder.name}/{prefix}")) for word in words)


def last_words(path: Path) -> str:
    """Return the last line of a log that says something."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - LOG_MOST))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return "no log"
    return next((line.strip() for line in reversed(lines) if line.strip()), "ended without a word")
