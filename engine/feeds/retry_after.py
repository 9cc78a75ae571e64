"""How long a server that refuses wants its client to stay away."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

LONGEST_WAIT_S: Final = 900.0
"""A ``Retry-After`` is obeyed up to the length of the longest window."""


def retry_after_s(headers: httpx.Headers) -> float:
    """Read how long a refused client is to wait.

    Args:
        headers: ``Retry-After`` as seconds, or as a date, which is measured from the answer's own ``Date``.
    Returns:
        Seconds; 0.0 where nothing of the kind is said.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    until, now = _moment(text), _moment(headers.get("Date", ""))
    return 0.0 if until is None or now is None else max(0.0, until.timestamp() - now.timestamp())


def _moment(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
