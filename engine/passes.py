"""Passes: what a browser brings to show who signed in, or that a share link was opened.

A pass is a small text signed with a key that lies in the data folder (``access-key``, readable by its owner
only): every process on that folder can check it, nobody else can make one. It ends at its time, when it is
signed out, when the password that it was given for is another, or with its key. What it does not know: HTTP.
"""

import base64
import binascii
import fcntl
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from engine import kill_token
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.private_files import FILE_MODE, private

KEY_FILE: Final = "access-key"
ENDED_FILE: Final = "access-ended"
"""Passes that were signed out before their time: a line each, id and end."""
NAME_MOST: Final = 40
PASS_MOST: Final = 1_000
"""Characters of a pass; a longer text is none."""


class Pass(msgspec.Struct, frozen=True):
    """Who holds it (``role`` by its number), until when, and for which password (``mark``)."""

    role: int
    name: str
    until_s: int
    mark: str
    id: str


def issue(folder: Path, role: int, name: str, mark: str, seconds: float) -> str:
    """Make a pass.

    Args:
        folder: The data folder.
        role: ``engine.run.access.Role``, by number.
        name: Who it is, for the audit trail.
        mark: What it was given for: a password's mark, or ``share``.
        seconds: How long it is good.
    Raises:
        OSError: The key can be neither read nor written.
    """
    key = kill_token.open_token(folder, KEY_FILE)
    until_s = int(time.time() + seconds)
    held = Pass(role, name[:NAME_MOST], until_s, mark, secrets.token_hex(8))
    body = base64.urlsafe_b64encode(msgspec.json.encode(held)).decode().rstrip("=")
    return f"{body}.{_seal(key, body)}"


def read(folder: Path, text: str) -> Pass | None:
    """Return what a pass says, or None where it is none, ended, or of another folder."""
    key = kill_token.read_token(folder, KEY_FILE)
    body, _, seal = text.partition(".")
    if key is None or not seal or len(text) > PASS_MOST or not text.isascii():
        return None
    if not hmac.compare_digest(seal, _seal(key, body)):
        return None
    try:
        held = from_json(base64.urlsafe_b64decode(f"{body}{'=' * (-len(body) % 4)}"), Pass)
    except (binascii.Error, DecodingError):
        return None
    return None if held.until_s <= time.time() or held.id in _ended(folder) else held


def end(folder: Path, held: Pass) -> None:
    """Let a pass end now, in every process and after every restart.

    Lines of passes whose time has come are left out afterwards; no other line ever is.

    Raises:
        OSError: It could not be written.
    """
    path = folder / ENDED_FILE
    line = f"{held.id} {held.until_s}\n".encode("ascii", "replace")
    with _locked(path) as descriptor:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line  # a write was cut off there
        while line:
            line = line[os.write(descriptor, line) :]
        os.fsync(descriptor)
        if any(map(_is_over, _lines(folder))):
            _shorten(path)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the list of ended passes for one writer at a time, among threads and processes.

    Who shortens it puts another file in its place: whoever waited for the old one then opens anew.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(path, descriptor):
                yield descriptor
                return
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile has a copy of it
            os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _shorten(path: Path) -> None:
    """Write the list anew without what is over; its lock has to be held."""
    draft = path.with_name(f"{ENDED_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(draft, "x", encoding="ascii", opener=private) as file:
            file.writelines(f"{line}\n" for line in _lines(path.parent) if not _is_over(line))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _is_over(line: str) -> bool:
    return float(line.partition(" ")[2] or 0) <= time.time()


def end_all(folder: Path) -> None:
    """End every pass there is, share links too, by throwing the key away.

    Raises:
        OSError: The key could not be removed.
    """
    (folder / KEY_FILE).unlink(missing_ok=True)


def _seal(key: str, body: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key.encode(), body.encode(), hashlib.sha256)).decode()[:43]


_read: Final[dict[Path, tuple[tuple[int, int, int], frozenset[str]]]] = {}
"""The list as it was read last, by its path: each request asks, and it may be long."""


def _ended(folder: Path) -> frozenset[str]:
    path = folder / ENDED_FILE
    try:
        told = os.stat(path)
    except OSError:
        return frozenset()
    now = told.st_ino, told.st_size, told.st_mtime_ns
    before = _read.get(path)
    if before is not None and before[0] == now:
        return before[1]
    ended = frozenset(line.partition(" ")[0] for line in _lines(folder))
    _read[path] = now, ended
    return ended


def _lines(folder: Path) -> list[str]:
    try:
        text = (folder / ENDED_FILE).read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.partition(" ")[2].isdecimal()]
