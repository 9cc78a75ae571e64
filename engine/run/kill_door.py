"""Who may trip the kill switch over HTTP: one rule for the server's route and for the guard process."""

import hmac
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from engine import kill_token

REASON_LIMIT: Final = 200
"""Characters of a reason that are kept."""
NO_TOKEN: Final = f"send the header Authorization: Bearer, with what DATA_DIR/{kill_token.FILE_NAME} holds"


class Headers(Protocol):
    """A request's headers; names in any case."""

    def get(self, name: str, default: str, /) -> str:
        """Return a header's value."""
        ...


class Refusal(NamedTuple):
    """Why a request is turned away, and with which status."""

    status: int
    why: str


def refusal(headers: Headers, folder: Path) -> Refusal | None:
    """Judge a request: whoever brings the folder's token may, and so may the console's own pages.

    Args:
        headers: ``authorization``, ``x-kill-token``, ``origin`` and ``host`` are read.
        folder: The data folder.
    Returns:
        None where it may trip the switch.
    """
    if has_token(headers, folder):
        return None
    if not headers.get("origin", ""):
        return Refusal(401, f"refused: {NO_TOKEN}")
    if not same_site(headers):
        return Refusal(403, "refused: the request comes from another site")
    return None


def who_of(headers: Headers, folder: Path, address: str) -> str:
    """Name who asked, for the latch and the audit trail."""
    place = "kill route" if has_token(headers, folder) else "console"
    return f"{place} at {address}" if address else place


def has_token(headers: Headers, folder: Path) -> bool:
    """Say whether the data folder's token came along; a new file counts at once."""
    token = kill_token.read_token(folder)
    if token is None:
        return False
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-kill-token", "")
    return hmac.compare_digest(given.encode(), token.encode())


def same_site(headers: Headers) -> bool:
    """Compare the host names only: a proxy may have dropped or changed the port."""
    host = urlsplit(headers.get("origin", "")).hostname
    return host is not None and host == urlsplit(f"//{headers.get('host', '')}").hostname
