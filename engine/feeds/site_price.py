"""Ask the venue's own site for each window's price to beat, and after its end for the closing price.

Runs on venue time for what to ask, on the wall clock for how often. What comes back is compared, never
trusted, so nothing waits for it and no failure of it leaves this module. What it does not know: what the
answers mean; they go through the same door as every other event. Source: protocol sheet, section 4.4.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

import httpx

from engine import __version__
from engine.clock import Clock
from engine.contract import Contract, SettlementRule
from engine.errors import WireError
from engine.events import AnyEvent, FeedClosed, FeedOpened, FrameRefused, SitePriceServed
from engine.feeds.address import is_loopback
from engine.feeds.polite import FAILURES
from engine.feeds.retry_after import LONGEST_WAIT_S, retry_after_s
from engine.units import Milliseconds
from engine.wire.site_price import parse_site_price, price_path

FIRST_AFTER_MS: Final = 3_000
"""After a boundary: the first value may be provisional for about a second, and a null asked for too early is
cached for about ten (sheet, 4.4). For the start and the end alike."""
CONFIRM_AFTER_MS: Final = 5_000
"""Between two answers that have to agree: well beyond the provisional second."""
NULL_AGAIN_MS: Final = 11_000
"""After a null, or a window not completed: just longer than the site caches it."""
GIVEN_UP_AFTER_MS: Final = 120_000
"""After the end; by then Gamma, which decides, serves the closing price itself."""
ASK_EVERY_S: Final = 0.5
TIMEOUT_S: Final = 5.0
FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0
EXCERPT_BYTES: Final = 2_000

HEADERS: Final = {
    "User-Agent": (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/142.0.0.0 Safari/537.36 updown-console/{__version__}"
    ),
    "Accept": "application/json, text/plain, */*",
    "Accept-Language": "en-US,en;q=0.9",
}
"""Like a browser's, because the site's guard refuses others (sheet, 4.4); we name ourselves at the end."""

log = logging.getLogger("engine.feeds")


def site_client(base_url: str) -> httpx.AsyncClient:
    """Return a client as the site wants it: HTTP/2 where the server speaks it, and a browser's headers."""
    return httpx.AsyncClient(
        http2=True, headers=HEADERS, follow_redirects=True, trust_env=not is_loopback(base_url)
    )


class Question:
    """What is still to be learnt about one window, and when to ask next (venue time)."""

    def __init__(self, contract: Contract, rule: SettlementRule) -> None:
        self.contract = contract
        self.rule = rule
        self.due_ms: Milliseconds = contract.start_s * 1000 + FIRST_AFTER_MS
        self.answered = False
        self._open: Decimal | None = None

    @property
    def end_ms(self) -> Milliseconds:
        return self.contract.end_s * 1000

    def note(self, served: SitePriceServed, now_ms: Milliseconds) -> None:
        """Take in an answer and decide when to ask again."""
        if now_ms >= self.end_ms:
            self.answered = served.completed and served.close_price is not None
            self.later(now_ms, NULL_AGAIN_MS)
            return
        before, self._open = self._open, served.open_price
        if self._open is None:
            self.later(now_ms, NULL_AGAIN_MS)
        elif self._open == before:
            self.later(now_ms, self.end_ms - now_ms)
        else:
            self.later(now_ms, CONFIRM_AFTER_MS)

    def later(self, now_ms: Milliseconds, pause_ms: float) -> None:
        """Ask again after a pause; what falls past the end is asked once the closing price can be there."""
        self.due_ms = round(now_ms + pause_ms)
        if now_ms < self.end_ms <= self.due_ms:
            self.due_ms = max(self.due_ms, self.end_ms + FIRST_AFTER_MS)


class SitePrices:
    """Ask for one window at a time, and leave the site alone for a while when it wants that.

    ``wall`` is the clock of the pauses, in seconds from anywhere.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        clock: Clock,
        accept: Callable[[AnyEvent], None],
        contracts: Callable[[], Iterable[Contract]],
    ) -> None:
        """Set up; nothing is asked before ``run``.

        Args:
            client: As ``site_client`` makes it.
            base_url: The site's address; the path is put behind it.
            clock: Venue time.
            accept: Takes every event.
            contracts: Gives the windows that are known now; those without a rule are not asked for.
        """
        self.wall: Callable[[], float] = time.monotonic
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._accept = accept
        self._contracts = contracts
        self._questions: dict[str, Question] = {}
        self._quiet_until = float("-inf")
        self._failures = 0
        self._connected: bool | None = None
        self._epoch = 0

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self.ask_due()
            await asyncio.sleep(ASK_EVERY_S / max(1.0, min(self._clock.rate, 10.0)))

    async def ask_due(self) -> None:
        """Ask once for every window that is due, unless the site is to be left alone."""
        self._learn()
        for question in list(self._questions.values()):
            if self.wall() < self._quiet_until:
                return
            if self._clock.now_ms() >= question.due_ms:
                await self._ask(question)

    def _learn(self) -> None:
        """Take up windows that are new or of another rule than before; drop what is answered or over."""
        now_ms = self._clock.now_ms()
        for contract in self._contracts():
            known = self._questions.get(contract.slug)
            if contract.rule is None:
                self._questions.pop(contract.slug, None)
            elif now_ms < contract.end_s * 1000 and (known is None or known.rule != contract.rule):
                self._questions[contract.slug] = Question(contract, contract.rule)
        over = [
            slug
            for slug, question in self._questions.items()
            if question.answered or now_ms >= question.end_ms + GIVEN_UP_AFTER_MS
        ]
        for slug in over:
            del self._questions[slug]

    async def _ask(self, question: Question) -> None:
        """Ask once; every answer becomes an event, a failure to answer too."""
        question.later(self._clock.now_ms(), CONFIRM_AFTER_MS)
        slug, url = question.contract.slug, self._base_url + price_path(question.contract, question.rule)
        try:
            # httpx's own limit is for each read: a body that drips would hold for ever.
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._client.get(url, timeout=TIMEOUT_S)
        except FAILURES as error:
            self._lost(f"{type(error).__name__}: {error}".rstrip(": "))
            return
        if answer.status_code != httpx.codes.OK:
            self._lost(f"HTTP {answer.status_code}", retry_after_s(answer.headers))
            return
        self._reached()
        now_ms = self._clock.now_ms()
        try:
            served = parse_site_price(answer.content, slug, now_ms)
        except WireError as error:
            log.warning("site price not understood", extra={"slug": slug, "reason": error.reason})
            excerpt = answer.content[:EXCERPT_BYTES].decode("utf-8", "replace")
            self._accept(FrameRefused(ts_recv_ms=now_ms, feed="site", reason=error.reason, excerpt=excerpt))
            self._back_off()
            return
        self._failures = 0
        question.note(served, now_ms)
        # Time may run many times as fast as the wall, and the site is asked by the wall's.
        question.due_ms = max(question.due_ms, round(now_ms + ASK_EVERY_S * self._clock.rate * 1000))
        self._accept(served)

    def _reached(self) -> None:
        if self._connected is not True:
            self._connected = True
            self._epoch += 1
            self._accept(FeedOpened(ts_recv_ms=self._clock.now_ms(), feed="site", epoch=self._epoch))

    def _lost(self, reason: str, wait_s: float = 0.0) -> None:
        """Leave the site alone, and say so once."""
        self._back_off(wait_s)
        if self._connected is not False:
            self._connected = False
            log.warning("feed closed", extra={"feed": "site", "epoch": self._epoch, "reason": reason})
            self._accept(
                FeedClosed(ts_recv_ms=self._clock.now_ms(), feed="site", epoch=self._epoch, reason=reason)
            )

    def _back_off(self, wait_s: float = 0.0) -> None:
        """Double the pause with every failure in a row; wait as long as the site itself asks for."""
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(self._failures, 10), LONGEST_PAUSE_S)
        self._failures += 1
        self._quiet_until = self.wall() + max(pause_s, min(wait_s, LONGEST_WAIT_S))
