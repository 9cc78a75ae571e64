"""One engine for each data folder: an operating-system lock that dies with its holder, and says who it is.

The file holds one line: process, port of its console, Unix seconds of its start, and behind them the session
that it records, as soon as there is one. What it does not know: what a session is.
"""

import fcntl
import logging
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

from engine.errors import StartError

FILE_NAME: Final = "engine.lock"
READ_BYTES: Final = 192
"""More than three numbers and a session's id take."""
LOOK_S: Final = 0.05
"""Far longer than ``holding`` has the lock to itself: who starts just then is not told of another engine."""
_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")

log = logging.getLogger("engine.lock")


class Holder(NamedTuple):
    """Who holds a data folder, as its lock says: process, port of its console, Unix seconds of its start.

    ``session`` is the id of the one that it records; empty where it does not say (it is only starting, it
    records none, or it is of an older version).
    """

    pid: str
    port: int | None = None
    since_s: int | None = None
    session: str = ""

    @property
    def words(self) -> str:
        """Say it to a person."""
        told = [f"process {self.pid}"]
        if self.port is not None:
            told.append(f"console at port {self.port}")
        if self.since_s is not None:
            told.append(f"since {datetime.fromtimestamp(self.since_s, UTC):%Y-%m-%d %H:%M:%S} UTC")
        return ", ".join(told)


class FolderLock:
    """Hold the data folder.

    Raises:
        StartError: Another engine holds it, or it cannot be written; one line says which.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """Take nothing yet.

        Args:
            folder: The data folder.
            port: Where the console of this process listens; None without one.
        """
        self._path = folder / FILE_NAME
        self._port = port

    def __enter__(self) -> "FolderLock":
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o640)
        except OSError as error:
            if isinstance(error, FileExistsError | NotADirectoryError):
                why = f"DATA_DIR {self._path.parent} is a file, or lies below one, and has to be a folder"
                raise StartError(f"{why}; set another DATA_DIR") from error
            why = f"DATA_DIR {self._path.parent} cannot be written: {error.strerror}"
            raise StartError(f"{why}; let this user write there, or set another DATA_DIR") from error
        holder = take(self._descriptor, self._port)
        if holder is not None:
            os.close(self._descriptor)
            raise StartError(refusal(holder, self._path.parent))
        return self

    def note_session(self, session: str) -> None:
        """Say which session is recorded here: names are of the clock, which may have been set back since.

        A line that cannot be written is left as it is: then whoever asks takes every journal that says it
        runs for the one.
        """
        try:
            told = os.pread(self._descriptor, READ_BYTES, 0).split()[:3]
            line = b" ".join([*told, session.encode()]) + b"\n"
            os.pwrite(self._descriptor, line, 0)
            os.ftruncate(self._descriptor, len(line))
        except OSError as error:
            log.warning("the lock does not say what is recorded", extra={"why": error.strerror})

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def take(descriptor: int, port: int | None) -> Holder | None:
    """Lock an open file and write into it who holds it from now on; return who does where it is taken."""
    if not (_locked(descriptor) or _locked(descriptor, after_s=LOOK_S)):
        return _read(descriptor)
    told = f"{os.getpid()} {port or '-'} {time.time_ns() // 1_000_000_000}\n"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, told.encode(), 0)
    return None


def _locked(descriptor: int, after_s: float = 0.0) -> bool:
    """Take the lock, perhaps after a while; say whether it was free."""
    time.sleep(after_s)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def refusal(holder: Holder, folder: Path) -> str:
    """Say why a second engine does not start, which one trades, and what may be done."""
    todo = "stop it, or set another DATA_DIR"
    if holder.port is not None:
        todo = f"use that console, {todo}"
    return f"another engine ({holder.words}) uses DATA_DIR {folder}, and KILL stops it from here too: {todo}"


def holding(folder: Path) -> Holder | None:
    """Return who holds a data folder; None where nobody does."""
    try:
        descriptor = os.open(folder / FILE_NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def holder_of(folder: Path) -> str | None:
    """Return the process that holds a data folder; None where nobody does."""
    holder = holding(folder)
    return None if holder is None else holder.pid


def _read(descriptor: int) -> Holder:
    """Read who holds the lock: what stands there is that process's word, and nothing while it is written."""
    line, end, _ = os.pread(descriptor, READ_BYTES, 0).decode("ascii", "replace").partition("\n")
    pid, port, since, session = [*line.split(), "", "", "", ""][:4]
    if not end or not _SESSION.fullmatch(session):
        session = ""  # half of an id would be another session's
    return Holder(pid or "unknown", int(port) if port.isdigit() else None, _second(since), session)


def _second(word: str) -> int | None:
    """Return a time that a date can be made of."""
    return int(word) if word.isdigit() and len(word) <= len(str(2**33)) else None
