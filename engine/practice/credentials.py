"""Credentials that practice's sockets accept: any that are there, so that nobody needs real ones.

Of a key that practice itself issued, secret and passphrase have to be its own: two that were exchanged pass
nowhere.
"""

from typing import Any, Final

from engine.practice.keys import Keys

REFUSED: Final = "wrong"
"""The text with which a test or a drill is refused."""

FIELDS: Final = ("apiKey", "secret", "passphrase")


def are_valid(given: Any, keys: Keys) -> bool:
    """Say whether key, secret and passphrase are all there, none is the refused text, and they fit."""
    if not isinstance(given, dict):
        return False
    texts = [given.get(field) for field in FIELDS]
    if not all(isinstance(text, str) and text not in ("", REFUSED) for text in texts):
        return False
    issued = keys.issued(str(texts[0]))
    return issued is None or list(issued) == texts
