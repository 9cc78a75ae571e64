"""Ask over HTTP without becoming a nuisance: a limit for the whole answer, growing pauses after failures.

What it does not know: what is asked for.
"""

import asyncio
import logging
from typing import Final

import httpx

from engine.feeds.retry_after import LONGEST_WAIT_S, retry_after_s

FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0

FAILURES: Final = (httpx.HTTPError, httpx.InvalidURL, OSError)
"""What asking may end in. Time-outs are an ``OSError``, and so is ``ssl.SSLError``: a broken record while an
answer is read comes through httpx as it is (httpcore 1.0 names it anew at the handshake alone)."""

log = logging.getLogger("engine.feeds")


async def ask(client: httpx.AsyncClient, url: str, timeout_s: float) -> httpx.Response | str:
    """Ask once.

    Args:
        client: Any.
        url: Where.
        timeout_s: For the whole answer; httpx's own limit is for each read, and a body that drips would hold
            for ever.
    Returns:
        The answer, whatever its status; or why there is none.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await client.get(url, timeout=timeout_s)
    except FAILURES as error:
        return f"{type(error).__name__}: {error}".rstrip(": ")


class Politeness:
    """Failures in a row, and until when the venue is to be left alone (seconds of the wall)."""

    def __init__(self, name: str, longest_pause_s: float = LONGEST_PAUSE_S) -> None:
        self._name = name
        self._longest_pause_s = longest_pause_s
        self._failures = 0
        self._quiet_until_s = float("-inf")

    def may_ask(self, now_s: float) -> bool:
        """Say whether the last pause is over."""
        return now_s >= self._quiet_until_s

    def body_of(self, answer: httpx.Response | str, now_s: float) -> bytes | None:
        """Return the body of an answer that is one; else note the failure."""
        if isinstance(answer, str):
            self.failed(answer, now_s)
            return None
        if answer.status_code != httpx.codes.OK:
            self.failed(f"HTTP {answer.status_code}", now_s, retry_after_s(answer.headers))
            return None
        return answer.content

    def succeeded(self) -> None:
        """Note an answer that was understood: the next failure is the first of a row again."""
        self._failures = 0

    def failed(self, reason: str, now_s: float, wait_s: float = 0.0) -> None:
        """Double the pause, and wait at least as long as the venue asks for; log the first of a row."""
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(self._failures, 10), self._longest_pause_s)
        level = logging.DEBUG if self._failures else logging.WARNING
        log.log(level, "no answer", extra={"feed": self._name, "reason": reason})
        self._failures += 1
        self._quiet_until_s = now_s + max(pause_s, min(wait_s, LONGEST_WAIT_S))
