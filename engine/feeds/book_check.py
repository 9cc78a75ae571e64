"""Ask the venue's REST API for the books we rebuilt: a cross-check, never a source.

Runs on the wall clock: one request at a time, evenly spread, no faster when it matters most. A failure is a
line in the log and a pause, never an event. Source: protocol sheet, 3.6 and 5.1; fault catalogue, F19.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from typing import Final

import httpx

from engine.clock import Clock
from engine.errors import WireError
from engine.events import AnyEvent, BookQueried, BookReplaced
from engine.feeds.polite import Politeness, ask
from engine.wire.clob_rest import book_path, parse_book

EACH_EVERY_S: Final = 10.0
LOOK_EVERY_S: Final = 0.5
TIMEOUT_S: Final = 5.0

log = logging.getLogger("engine.feeds")


class BookCheck:
    """Asks for one token after the other. ``wall`` is the clock of the pauses, in seconds from anywhere."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        clock: Clock,
        accept: Callable[[AnyEvent], None],
        tokens: Callable[[], Collection[str]],
    ) -> None:
        """Set up; nothing is asked before ``run``.

        Args:
            client: Any.
            base_url: The CLOB's REST address.
            clock: Stamps the events.
            accept: Takes every event.
            tokens: Gives the tokens whose windows are open now.
        """
        self.wall: Callable[[], float] = time.monotonic
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._accept = accept
        self._tokens = tokens
        self._politeness = Politeness("book")
        self._asked_s: dict[str, float] = {}
        self._last_s = float("-inf")

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self.ask_due()
            await asyncio.sleep(LOOK_EVERY_S)

    async def ask_due(self) -> None:
        """Ask for the token that waited longest, if its time has come and none was asked for just now."""
        tokens = set(self._tokens())
        self._asked_s = {token: at for token, at in self._asked_s.items() if token in tokens}
        if not tokens or not self._politeness.may_ask(self.wall()):
            return
        token = min(tokens, key=lambda name: (self._asked_s.get(name, float("-inf")), name))
        now_s = self.wall()
        if now_s - self._asked_s.get(token, float("-inf")) < EACH_EVERY_S:
            return
        if now_s - self._last_s < EACH_EVERY_S / len(tokens):
            return
        self._asked_s[token] = self._last_s = now_s
        await self._ask(token)

    async def _ask(self, token: str) -> None:
        answer = await ask(self._client, f"{self._base_url}{book_path(token)}", TIMEOUT_S)
        if isinstance(answer, httpx.Response) and answer.status_code == httpx.codes.NOT_FOUND:
            log.debug("no book by REST", extra={"token": token})  # not listed yet, or closed: no failure
            return
        body = self._politeness.body_of(answer, self.wall())
        if body is None:
            return
        try:
            book = parse_book(body, self._clock.now_ms())
        except WireError as error:
            self._politeness.failed(error.reason, self.wall())
            return
        if book.token != token:
            self._politeness.failed("the book of another token", self.wall())
            return
        self._politeness.succeeded()
        self._accept(_touch_of(book))


def _touch_of(book: BookReplaced) -> BookQueried:
    """Take the touch: best by price, because the venue lists the worst level first."""
    return BookQueried(
        ts_recv_ms=book.ts_recv_ms,
        market=book.market,
        token=book.token,
        best_bid_e4=max((price for price, size in book.bids if size), default=None),
        best_ask_e4=min((price for price, size in book.asks if size), default=None),
        ts_venue_ms=book.ts_venue_ms,
    )
