"""One engine for each data folder: an operating-system lock that dies with its holder, and says who it is."""

import fcntl
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

from engine.errors import StartError

FILE_NAME: Final = "engine.lock"
READ_BYTES: Final = 96
"""More than three numbers take."""
LOOK_S: Final = 0.05
"""Far longer than ``holding`` has the lock to itself: who starts just then is not told of another engine."""


class Holder(NamedTuple):
    """Who holds a data folder, as its lock says: process, port of its console, Unix seconds of its start."""

    pid: str
    port: int | None = None
    since_s: int | None = None

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
    words = os.pread(descriptor, READ_BYTES, 0).decode("ascii", "replace").split()
    pid, port, since = [*words, "", "", ""][:3]
    return Holder(pid or "unknown", int(port) if port.isdigit() else None, _second(since))


def _second(word: str) -> int | None:
    """Return a time that a date can be made of."""
    return int(word) if word.isdigit() and len(word) <= len(str(2**33)) else None
