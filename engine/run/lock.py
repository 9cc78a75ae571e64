"""One engine for each data folder: an operating-system lock that dies with its holder."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final

from engine.errors import StartError

FILE_NAME: Final = "engine.lock"


class FolderLock:
    """Hold the data folder.

    Raises:
        StartError: Another engine holds it, or it cannot be written; one line says which.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def __enter__(self) -> "FolderLock":
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o640)
        except OSError as error:
            why = f"DATA_DIR {self._path.parent} cannot be written: {error.strerror}"
            raise StartError(f"{why}; let this user write there, or set another DATA_DIR") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise StartError(
                f"another engine (process {holder or 'unknown'}) uses DATA_DIR {self._path.parent}: "
                "stop it, or set another DATA_DIR"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def holder_of(folder: Path) -> str | None:
    """Return the process that holds a data folder, as its lock says; None where nobody does."""
    try:
        descriptor = os.open(folder / FILE_NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None
