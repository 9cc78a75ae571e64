"""Passwords: kept as scrypt hashes, in the form that the settings take.

``scrypt:15:8:1:SALT:HASH``: log2 of the cost, block size, parallelism, then salt and hash in URL-safe base64.
No sign in it means anything to a shell, to Docker or to an ``.env``. What it does not know: who signs in.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final, NamedTuple

COST: Final = 15
BLOCK: Final = 8
PARALLEL: Final = 1
"""32 MB and about 0.1 s a try (measured on one core); RFC 7914 calls 2^14 interactive."""
COST_MOST: Final = 20
MEMORY_MOST: Final = 512 * 1024 * 1024
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
LEAST_CHARACTERS: Final = 12
PASSWORD_MOST: Final = 256
"""Characters of a password that are looked at; a longer text is no password."""


class _Parts(NamedTuple):
    cost: int
    block: int
    parallel: int
    salt: bytes
    wanted: bytes


def hash_password(password: str) -> str:
    """Return the hash of a password, with a new salt.

    Raises:
        ValueError: It is too short or too long.
    """
    if not LEAST_CHARACTERS <= len(password) <= PASSWORD_MOST:
        raise ValueError(f"a password has {LEAST_CHARACTERS} to {PASSWORD_MOST} characters")
    salt = secrets.token_bytes(SALT_BYTES)
    parts = _Parts(COST, BLOCK, PARALLEL, salt, b"\0" * HASH_BYTES)
    words = (base64.urlsafe_b64encode(one).decode().rstrip("=") for one in (salt, _derive(password, parts)))
    return f"scrypt:{COST}:{BLOCK}:{PARALLEL}:{':'.join(words)}"


def matches(password: str, hashed: str) -> bool:
    """Say whether a password is the one of a hash; takes as long when it is not."""
    parts = _parts(hashed)
    if parts is None or len(password) > PASSWORD_MOST:
        return False
    return hmac.compare_digest(_derive(password, parts), parts.wanted)


def is_hash(text: str) -> bool:
    """Say whether a text is a hash as ``hash_password`` writes it."""
    return _parts(text) is not None


def mark_of(hashed: str) -> str:
    """Return a short name of a hash: a pass that was given for another password is none any more."""
    return hashlib.sha256(hashed.encode()).hexdigest()[:12]


def _derive(password: str, parts: _Parts) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=parts.salt,
        n=1 << parts.cost,
        r=parts.block,
        p=parts.parallel,
        maxmem=MEMORY_MOST,
        dklen=len(parts.wanted),
    )


def _parts(text: str) -> _Parts | None:
    words = text.strip().split(":")
    if len(words) != 6 or words[0] != "scrypt":
        return None
    try:
        cost, block, parallel = (int(word) for word in words[1:4])
        salt, wanted = (base64.urlsafe_b64decode(f"{word}{'=' * (-len(word) % 4)}") for word in words[4:])
    except (ValueError, binascii.Error):
        return None
    if not (10 <= cost <= COST_MOST and 1 <= block <= 32 and 1 <= parallel <= 4):
        return None
    if 128 * block * (1 << cost) * parallel > MEMORY_MOST // 2:
        return None
    return _Parts(cost, block, parallel, salt, wanted) if len(salt) >= 8 and len(wanted) >= 16 else None
