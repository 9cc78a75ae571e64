"""Credentials that practice accepts: any that are there, so that nobody needs real ones."""

from typing import Any, Final

REFUSED: Final = "wrong"
"""The text with which a test or a drill is refused."""

FIELDS: Final = ("apiKey", "secret", "passphrase")


def are_valid(given: Any) -> bool:
    """Say whether key, secret and passphrase are all there and none is the refused text."""
    if not isinstance(given, dict):
        return False
    texts = [given.get(field) for field in FIELDS]
    return all(isinstance(text, str) and text not in ("", REFUSED) for text in texts)
