"""The token of the kill route: whoever can read the data folder may use it, whatever roles there are.

A file of its own, readable by its owner only; the key that signs passes (``engine.passes``) is another such
file. What it does not know: HTTP.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

FILE_NAME: Final = "kill-token"
LEAST_CHARACTERS: Final = 32
"""A file with less in it is no token: it was cut off, or somebody typed one."""


def open_token(folder: Path, file_name: str = FILE_NAME) -> str:
    """Return the token; make a new one where there is none, or where others could have read it.

    Args:
        folder: The data folder; it is made where it is missing.
        file_name: Which secret of the folder.
    Raises:
        OSError: It can be neither read nor written.
    """
    token = read_token(folder, file_name)
    if token is not None:
        return token
    token = secrets.token_urlsafe(32)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f"{file_name}.{os.getpid()}.{secrets.token_hex(4)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, f"{token}\n".encode())
    finally:
        os.close(descriptor)
    draft.replace(folder / file_name)
    return token


def read_token(folder: Path, file_name: str = FILE_NAME) -> str | None:
    """Return the token, or None where there is none that is secret."""
    try:
        descriptor = os.open(folder / file_name, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            return None
        text = os.read(descriptor, 1_000).decode("ascii", "replace").strip()
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return text if len(text) >= LEAST_CHARACTERS else None
