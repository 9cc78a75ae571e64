"""One live engine for each wallet at a venue: a second one has another data folder, and limits of its own.

The lock is a file of this user in this machine's folder for temporary files and dies with its holder. What it
does not know: an engine of another user, of another machine, or in a container or a service with a folder of
its own (``PrivateTmp``). What those buy is found by the comparison of the account (docs/orders.md).
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.config import Settings
from engine.errors import StartError
from engine.run.lock import take


@contextmanager
def wallet_lock(settings: Settings, port: int | None) -> Iterator[None]:
    """Hold the wallet at its venue; hold nothing where no order of it can leave (paper, embedded practice).

    Args:
        settings: Whose wallet, and at which host orders are sent.
        port: Where the console of this process listens; None without one.

    Raises:
        StartError: Another engine trades for this wallet, or that cannot be made sure of.
    """
    if settings.dry_run or not settings.is_external:
        yield
        return
    folder = host_folder()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise StartError(f"{folder} is no folder of this user: remove it, or set TMPDIR")
        descriptor = os.open(folder / _name(settings), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        why = f"another engine may trade for this wallet: no lock can be had in {folder}: {error.strerror}"
        raise StartError(f"{why}; let this user write there, or set TMPDIR") from error
    try:
        holder = take(descriptor, port)
        if holder is not None:
            why = f"another engine ({holder.words}) trades for this wallet, with another DATA_DIR"
            raise StartError(f"{why}: stop it first; two of them would each have the whole of every limit")
        yield
    finally:
        os.close(descriptor)


def host_folder() -> Path:
    """Return where this user's locks lie on this machine."""
    return Path(tempfile.gettempdir()) / f"updown-console-{os.getuid()}"


def _name(settings: Settings) -> str:
    """Name a wallet at a venue; one on two venues (the real one, a practice one) is two."""
    host = str(settings.clob_host).rstrip("/")
    told = f"{settings.wallet_address} {host}".lower()
    return f"wallet-{hashlib.sha256(told.encode()).hexdigest()[:16]}.lock"
