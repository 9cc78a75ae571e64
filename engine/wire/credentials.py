"""The keys of the CLOB's API: they stand in the frame that is sent, and nowhere else.

What it does not know: where they came from. Source: protocol sheet, sections 2.1 and 3.7.
"""

from typing import Any, Final

HIDDEN: Final = "(hidden)"
"""What stands in a frame of the venue where it repeated one of our secrets."""

LEAST_HIDDEN: Final = 8
"""Shorter texts are not looked for: a passphrase ``1`` would take every size of one share out of a frame."""


class Credentials:
    """Key, secret and passphrase; its repr, its str and its pickle tell none of them."""

    __slots__ = ("_key", "_passphrase", "_secret", "_spellings")

    def __init__(self, key: str, secret: str, passphrase: str) -> None:
        self._key = key
        self._secret = secret
        self._passphrase = passphrase
        # JSON may escape the slashes of base64.
        told = [text for text in (secret, passphrase, key) if len(text) >= LEAST_HIDDEN]
        self._spellings = tuple(dict.fromkeys([*told, *(text.replace("/", "\\/") for text in told)]))

    def __repr__(self) -> str:
        return f"Credentials{HIDDEN}"

    def __reduce__(self) -> Any:
        raise TypeError("credentials are not copied out of the process")

    @property
    def owner(self) -> str:
        """The key as it stands in a frame that ``hide`` went over: what marks an order as ours."""
        return HIDDEN if len(self._key) >= LEAST_HIDDEN else self._key

    def auth(self) -> dict[str, str]:
        """Return what the venue wants to see, for a frame that is sent at once and kept nowhere."""
        return {"apiKey": self._key, "secret": self._secret, "passphrase": self._passphrase}

    def hide(self, text: str) -> str:
        """Take our secrets out of what the venue said, before anything keeps it."""
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, HIDDEN)
        return text
