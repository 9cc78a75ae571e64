"""Find our contracts by slug, keep their description fresh, and fetch their outcome after the end.

Runs on venue time for what to ask, on the wall clock for how often. What it does not know: what the answers
mean; they go through the same door as every other event.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

import httpx

from engine.clock import Clock
from engine.contract import DURATIONS_S, slug_of, window_start
from engine.errors import WireError
from engine.events import (
    AnyEvent,
    FeedClosed,
    FeedOpened,
    FrameRefused,
    MarketDescribed,
    MarketUnavailable,
    OutcomeServed,
)
from engine.feeds.polite import Politeness, ask
from engine.wire import gamma

AHEAD_S: Final = 60
"""The next window is looked up so long before it starts (fault catalogue, F14: from t0 - 60 s)."""
ASK_EVERY_S: Final = 0.5
LEAST_RETRY_S: Final = 2.0
"""After a 404, in venue seconds: the listing may appear at any moment. Other failures pause everything."""
LONGEST_PAUSE_S: Final = 8.0
"""Where the pause after 5xx, 429 and time-outs ends, in wall seconds: within ``AHEAD_S`` there is time for
several tries."""
OUTCOME_AFTER_S: Final = 30
"""Markets resolve a median 54 s after the end (p90 87 s); earlier answers are rare but cost nothing."""
OUTCOME_RETRY_S: Final = 10.0
GIVEN_UP_AFTER_S: Final = 900
"""After the end a window is let go, unless it is adopted: what it holds has to pay out some day, and what it
paid out by our own word alone has to be the venue's."""
LONGEST_RETRY_S: Final = 3_600.0
"""What is adopted is asked about ever less often once others are let go, and never less than hourly."""
LAST_LOOK_S: Final = 45
"""A window is described once more so long before its end, whatever was known: it may have been closed or
paused since (fault catalogue, F17: re-check the flags before the hammer)."""
TIMEOUT_S: Final = 5.0
NOT_THERE: Final = "HTTP 404"

log = logging.getLogger("engine.feeds")


class Discovery:
    """Ask Gamma by slug. One request at a time: what is asked for is small and rare.

    ``wall`` is the clock of the pauses, in seconds from anywhere.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        clock: Clock,
        accept: Callable[[AnyEvent], None],
        refresh_s: Callable[[], float],
    ) -> None:
        """Set up; nothing is asked before ``run``.

        Args:
            client: Any.
            base_url: Gamma's address; paths are put behind it.
            clock: Venue time.
            accept: Takes every event.
            refresh_s: How long a description is good now, in venue seconds; it may change at any time.
        """
        self.wall: Callable[[], float] = time.monotonic
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._accept = accept
        self._refresh_s = refresh_s
        self._ask_at_ms: dict[str, float] = {}
        self._ends: dict[str, int] = {}
        self._settled: set[str] = set()
        self._adopted: dict[str, float] = {}
        """What has to be told, with the pause after its next question (seconds)."""
        self._missing_s: dict[str, float] = {}
        """Of windows whose outcome Gamma answered with a 404, the pause after the last one (seconds)."""
        self._asked_ms: dict[str, float] = {}
        self._connected: bool | None = None
        self._epoch = 0
        self._politeness = Politeness("gamma", LONGEST_PAUSE_S)

    def adopt(self, windows: Mapping[str, int]) -> None:
        """Ask for the outcomes of these windows until they are adopted no more.

        Args:
            windows: All that hold something now, or that the venue has not spoken of, of this session and of
                earlier ones, by slug with their ends in Unix seconds.
        """
        self._ends |= windows
        self._adopted = {slug: self._adopted.get(slug, OUTCOME_RETRY_S) for slug in windows}

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self.ask_due()
            await asyncio.sleep(ASK_EVERY_S / max(1.0, min(self._clock.rate, 10.0)))

    async def ask_due(self) -> None:
        """Ask once for everything that is due, unless Gamma is to be left alone."""
        if not self._politeness.may_ask(self.wall()):
            return
        for slug in self._windows_wanted():
            await self._describe(slug)
        for slug in self._outcomes_wanted():
            await self._fetch_outcome(slug)

    def _windows_wanted(self) -> list[str]:
        now_ms = self._clock.now_ms()
        wanted = []
        for name, length in DURATIONS_S.items():
            current = window_start(name, now_ms // 1000)
            starts = [current]
            if current + length - now_ms / 1000 <= AHEAD_S:
                starts.append(current + length)
            for start in starts:
                slug = slug_of(name, start)
                self._ends.setdefault(slug, start + length)
                last_look_ms = (start + length - LAST_LOOK_S) * 1000
                asked_ms = self._asked_ms.get(slug, 0)
                due_ms = self._ask_at_ms.get(slug, asked_ms + self._pause_ms(self._refresh_s()))
                if asked_ms < last_look_ms:
                    due_ms = min(due_ms, last_look_ms)
                if now_ms >= due_ms:
                    wanted.append(slug)
        return wanted

    def _outcomes_wanted(self) -> list[str]:
        now_s = self._clock.now_ms() / 1000
        wanted = []
        for slug, end_s in list(self._ends.items()):
            is_let_go = now_s > end_s + GIVEN_UP_AFTER_S and slug not in self._adopted
            if is_let_go or slug in self._settled:
                self._ends.pop(slug)
                self._settled.discard(slug)
                self._ask_at_ms.pop(slug, None)
                self._asked_ms.pop(slug, None)
                self._missing_s.pop(slug, None)
                self._ask_at_ms.pop(f"outcome {slug}", None)
            elif now_s >= end_s + OUTCOME_AFTER_S and now_s * 1000 >= self._ask_at_ms.get(
                f"outcome {slug}", 0
            ):
                wanted.append(slug)
        return wanted

    async def _describe(self, slug: str) -> None:
        self._asked_ms[slug] = self._clock.now_ms()
        events = await self._ask(slug, gamma.market_path(slug))
        if any(isinstance(event, MarketDescribed) for event in events):
            self._ask_at_ms.pop(slug, None)  # due once it is no longer good, however long that is by then
        else:
            self._later(slug, LEAST_RETRY_S)

    async def _fetch_outcome(self, slug: str) -> None:
        self._later(f"outcome {slug}", OUTCOME_RETRY_S)
        for event in await self._ask(slug, gamma.event_path(slug)):
            if isinstance(event, OutcomeServed) and self._says_all(event):
                self._settled.add(slug)
            if not isinstance(event, MarketUnavailable):
                self._missing_s.pop(slug, None)
                self._later(f"outcome {slug}", self._answered_pause_s(slug))
            elif event.reason == NOT_THERE:  # no answer at all says nothing of the window
                self._later(f"outcome {slug}", max(self._missing_pause_s(slug), self._answered_pause_s(slug)))

    def _says_all(self, served: OutcomeServed) -> bool:
        """Say whether nothing more is to be learnt; what is adopted needs its outcome."""
        return served.final is not None and (served.outcome is not None or served.slug not in self._adopted)

    def _answered_pause_s(self, slug: str) -> float:
        """Return how long to wait after an answer: doubled each time where what is adopted is late."""
        pause_s = self._adopted.get(slug, OUTCOME_RETRY_S)
        if slug in self._adopted and self._clock.now_ms() / 1000 > self._ends[slug] + GIVEN_UP_AFTER_S:
            self._adopted[slug] = min(2.0 * pause_s, LONGEST_RETRY_S)
        return pause_s

    def _missing_pause_s(self, slug: str) -> float:
        """Return how long to wait after a 404, doubled each time: it may be Gamma's own trouble of a minute,
        and a window that is not listed at all must not be asked about every ten seconds."""
        pause_s = self._missing_s.get(slug, OUTCOME_RETRY_S / 2)
        self._missing_s[slug] = min(2.0 * pause_s, GIVEN_UP_AFTER_S)
        return self._missing_s[slug]

    def _later(self, key: str, seconds: float) -> None:
        """Ask again in so many venue seconds, and not within half a wall second."""
        self._ask_at_ms[key] = self._clock.now_ms() + self._pause_ms(seconds)

    def _pause_ms(self, seconds: float) -> float:
        return max(seconds, ASK_EVERY_S * self._clock.rate) * 1000

    async def _ask(self, slug: str, path: str) -> list[AnyEvent]:
        """Ask once; every answer becomes an event, a failure too."""
        answer = await ask(self._client, f"{self._base_url}{path}", TIMEOUT_S)
        if isinstance(answer, str):
            self._pause(answer)
            self._lost(answer)
            return self._unavailable(slug, "no answer")
        self._reached()
        if answer.status_code != httpx.codes.OK:
            if answer.status_code != httpx.codes.NOT_FOUND:
                self._pause(answer)
            return self._unavailable(slug, f"HTTP {answer.status_code}")
        self._politeness.succeeded()
        event = self._read(slug, answer)
        self._accept(event)
        return [event]

    def _read(self, slug: str, answer: httpx.Response) -> AnyEvent:
        """Read an answer; one about another market than was asked for is not understood."""
        now_ms = self._clock.now_ms()
        try:
            event = gamma.parse_market(answer.content, now_ms)
            told = event.contract.slug if isinstance(event, MarketDescribed) else event.slug
            if told != slug:
                raise WireError(f"the answer is about {told}")
        except WireError as error:
            log.warning("market not understood", extra={"slug": slug, "reason": error.reason})
            excerpt = answer.text[:2_000]
            return FrameRefused(ts_recv_ms=now_ms, feed="gamma", reason=error.reason, excerpt=excerpt)
        return event

    def _pause(self, answer: httpx.Response | str) -> None:
        """Leave Gamma alone for a while; the failures of one round count once."""
        if self._politeness.may_ask(self.wall()):
            self._politeness.body_of(answer, self.wall())

    def _unavailable(self, slug: str, reason: str) -> list[AnyEvent]:
        event = MarketUnavailable(ts_recv_ms=self._clock.now_ms(), slug=slug, reason=reason)
        self._accept(event)
        return [event]

    def _reached(self) -> None:
        if self._connected is not True:
            self._connected = True
            self._epoch += 1
            self._accept(FeedOpened(ts_recv_ms=self._clock.now_ms(), feed="gamma", epoch=self._epoch))

    def _lost(self, reason: str) -> None:
        if self._connected is not False:
            self._connected = False
            self._accept(
                FeedClosed(ts_recv_ms=self._clock.now_ms(), feed="gamma", epoch=self._epoch, reason=reason)
            )
