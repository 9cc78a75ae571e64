"""Who may trip the kill switch over HTTP: one rule for the server's route and for the guard process.

Whoever brings the data folder's token may; a browser may, from the console's own page, when the role of who
sits before it may (``KILL_BY``), and only by a name of the console's.
What it does not know: how a role is decided (``engine.run.access``).
"""

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from engine import kill_token
from engine.run.access import Headers, Identity, Role, Rules, console_at, is_misnamed, may_kill, same_site

REASON_LIMIT: Final = 200
"""Characters of a reason that are kept."""
NO_TOKEN: Final = f"send the header Authorization: Bearer, with what DATA_DIR/{kill_token.FILE_NAME} holds"

WRONG_NAME: Final = (
    "refused: nobody asks this console by that name; open it as localhost, or name it (docs/access.md, Names)"
)
MISDIRECTED: Final = 421
"""The request was sent to a server that does not answer for its name (RFC 9110, 15.5.20)."""


class Refusal(NamedTuple):
    """Why a request is turned away, and with which status."""

    status: int
    why: str


def refusal(
    headers: Headers, found: Identity, rules: Rules, is_ours: Callable[[Headers], bool] = same_site
) -> Refusal | None:
    """Judge a request.

    Args:
        headers: ``authorization``, ``x-kill-token``, ``origin`` and ``host`` are read.
        found: Who asks.
        rules: The server's.
        is_ours: Whether a request is of the console's own page.
    Returns:
        None where it may trip the switch.
    """
    if has_token(headers, Path(rules.folder)):
        return None
    if is_misnamed(headers, rules):
        return Refusal(MISDIRECTED, WRONG_NAME)
    if not headers.get("origin", ""):
        return Refusal(401, f"refused: {NO_TOKEN}")
    if not is_ours(headers):
        return Refusal(403, "refused: the request comes from another site")
    if may_kill(found, rules):
        return None
    if found.role == Role.NOBODY:
        return Refusal(401, "refused: sign in first")
    return Refusal(403, f"refused: KILL_BY={rules.kill_by}, and you are a {found.role.name.lower()}")


def who_of(headers: Headers, found: Identity, folder: Path, address: str) -> str:
    """Name who asked, for the latch and the audit trail: a person by the name that all other acts have."""
    if has_token(headers, folder):
        return f"kill route at {address}" if address else "kill route"
    return found.named or console_at(address)


def has_token(headers: Headers, folder: Path) -> bool:
    """Say whether the data folder's token came along; a new file counts at once."""
    token = kill_token.read_token(folder)
    if token is None:
        return False
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-kill-token", "")
    return hmac.compare_digest(given.encode(), token.encode())
