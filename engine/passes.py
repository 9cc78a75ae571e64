"""Passes: what a browser brings to show who signed in, or that a share link was opened.

A pass is a small text signed with a key that lies in the data folder (``access-key``, readable by its owner
only): every process on that folder can check it, nobody else can make one. It ends at its time, when it is
signed out, when the password that it was given for is another, or with its key. What it does not know: HTTP.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path
from typing import Final

import msgspec

from engine import kill_token
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.private_files import private

KEY_FILE: Final = "access-key"
ENDED_FILE: Final = "access-ended"
"""Passes that were signed out before their time: a line each, id and end."""
NAME_MOST: Final = 40
PASS_MOST: Final = 1_000
"""Characters of a pass; a longer text is none."""
ENDED_MOST: Final = 2_000
"""Lines of passes signed out that are kept; the oldest give way."""


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

    Raises:
        OSError: It could not be written.
    """
    now = time.time()
    lines = [line for line in _lines(folder) if float(line.partition(" ")[2] or 0) > now]
    lines = [*lines[-ENDED_MOST:], f"{held.id} {held.until_s}"]
    draft = folder / f"{ENDED_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
    with open(draft, "x", encoding="ascii", opener=private) as file:
        file.write("\n".join(lines) + "\n")
    draft.replace(folder / ENDED_FILE)


def end_all(folder: Path) -> None:
    """End every pass there is, share links too, by throwing the key away.

    Raises:
        OSError: The key could not be removed.
    """
    (folder / KEY_FILE).unlink(missing_ok=True)


def _seal(key: str, body: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key.encode(), body.encode(), hashlib.sha256)).decode()[:43]


def _ended(folder: Path) -> set[str]:
    return {line.partition(" ")[0] for line in _lines(folder)}


def _lines(folder: Path) -> list[str]:
    try:
        text = (folder / ENDED_FILE).read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.partition(" ")[2].isdecimal()]
