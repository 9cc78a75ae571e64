"""Texts for webhooks: in one line, harmless to what reads them, and no longer than it takes.

An alarm may hold words of strangers: whoever may trip the kill switch writes its reason, a venue that of an
order. What it does not know: what an alarm is about.
"""

import re
from collections.abc import Callable
from typing import Final

MOST_JSON: Final = 4_000
MOST_SLACK: Final = 3_000
"""A text object of Slack's blocks takes so many (its reference, "Text object"); a plain message more."""

MOST_TELEGRAM: Final = 4_096
"""Telegram's Bot API, ``sendMessage``: 1-4096 characters."""

MOST_NAME: Final = 200
"""Of a contract or an order; ours have under 100."""

CUT: Final = "…"
SLACK: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
"""Slack's "Formatting text": written so, ``<!channel>`` and ``<address|words>`` are plain words."""

CALL: Final = re.compile(r"(?<!\w)@(?=\w)")
"""The beginning of a mention; not the sign in an address of mail."""


def one_line(text: str) -> str:
    """Return a text that can be sent and shows in one line: nobody writes a second message into it.

    What UTF-8 has no bytes for becomes "?": half of a surrogate pair comes of broken bytes in a file's name.
    Signs that do not print, such as those that turn the direction of writing, become blanks.
    """
    sent = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join("".join(sign if sign.isprintable() else " " for sign in sent).split())


def for_json(text: str) -> str:
    """Return a text of at most ``MOST_JSON`` characters, else as it is."""
    return _within(text, MOST_JSON)


def for_slack(text: str) -> str:
    """Return a text that Slack, and what takes Slack's shape, shows as it is and calls nobody with."""
    return _within(_calling_nobody(text), MOST_SLACK, lambda sign: SLACK.get(sign, sign))


def for_telegram(text: str) -> str:
    """Return a text that Telegram takes; without a parse mode, as it is sent, it reads no marks in it."""
    return _within(_calling_nobody(text), MOST_TELEGRAM)


def short_name(text: str) -> str:
    """Return the name of a contract or an order."""
    return _within(one_line(text), MOST_NAME)


def _calling_nobody(text: str) -> str:
    """Put a sign without width into each mention: Mattermost, Rocket.Chat, Telegram call by plain words."""
    return CALL.sub("@\u200b", text)


def _within(text: str, most: int, write: Callable[[str], str] = str) -> str:
    """Write each sign, and leave off what would go beyond so many UTF-16 units, as the narrowest count."""
    written: list[str] = []
    units = 0
    for sign in text:
        one = write(sign)
        units += len(one.encode("utf-16-le")) // 2
        if units > most:
            return _cut(written, most)
        written.append(one)
    return "".join(written)


def _cut(written: list[str], most: int) -> str:
    """Take signs off until the mark of a cut has room."""
    units = [len(one.encode("utf-16-le")) // 2 for one in written]
    total = sum(units) + len(CUT)
    while total > most:
        written.pop()
        total -= units.pop()
    return "".join(written) + CUT
