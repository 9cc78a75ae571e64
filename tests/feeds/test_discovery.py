"""Finding contracts by slug and fetching their outcomes, over HTTP from a practice venue."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise

import httpx
import pytest

from engine.clock import ManualClock
from engine.events import (
    AnyEvent,
    FeedClosed,
    FeedOpened,
    FrameRefused,
    MarketDescribed,
    MarketUnavailable,
    OutcomeServed,
)
from engine.feeds.discovery import Discovery
from engine.feeds.venue_clock import open_clock
from tests.practice.hand_made import FINAL, SLUG, START_S, STRIKE, HandMadeTape, served
from tests.wire import samples

NEXT = f"btc-updown-5m-{START_S + 300}"


class Seeker:
    """Discovery under test, and a way to wait for what it finds."""

    def __init__(self, client: httpx.AsyncClient, url: str, clock: object) -> None:
        self.events: list[AnyEvent] = []
        self._found = asyncio.Event()
        self.refresh_s = 300.0
        self.discovery = Discovery(client, url, clock, self._accept, lambda: self.refresh_s)  # type: ignore[arg-type]

    async def until(self, what: Callable[[AnyEvent], bool]) -> AnyEvent:
        async with asyncio.timeout(20):
            while True:
                for event in self.events:
                    if what(event):
                        return event
                self._found.clear()
                await self._found.wait()

    def _accept(self, event: AnyEvent) -> None:
        self.events.append(event)
        self._found.set()


@asynccontextmanager
async def seeking(start_ms: int, speed: float, others: tuple[str, ...] = ()) -> AsyncIterator[Seeker]:
    tape = HandMadeTape([], start_ms=start_ms, others=others)
    async with served(tape, speed=speed) as urls, httpx.AsyncClient() as client:
        clock = await open_clock(client, urls["CLOCK_URL"])
        seeker = Seeker(client, urls["GAMMA_API_URL"], clock)
        task = asyncio.create_task(seeker.discovery.run())
        try:
            yield seeker
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_the_current_window_is_found_by_its_slug_and_a_missing_one_is_said() -> None:
    """The 5m window is there; the 15m window of this tape is a 404, an event like any other."""
    async with seeking((START_S + 10) * 1000, 1.0) as seeker:
        found = await seeker.until(lambda event: isinstance(event, MarketDescribed))
        missing = await seeker.until(lambda event: isinstance(event, MarketUnavailable))
    assert isinstance(found, MarketDescribed)
    assert (found.contract.slug, found.contract.start_s, found.contract.end_s) == (
        SLUG,
        START_S,
        START_S + 300,
    )
    assert isinstance(missing, MarketUnavailable)
    assert (missing.slug, missing.reason) == (f"btc-updown-15m-{START_S}", "HTTP 404")
    assert isinstance(seeker.events[0], FeedOpened)


async def test_the_next_window_is_looked_up_a_minute_ahead() -> None:
    """Its book has to be subscribed to, and its strike awaited, before it starts."""
    async with seeking((START_S + 239) * 1000, 20.0, others=(NEXT,)) as seeker:
        described = lambda slug: lambda e: isinstance(e, MarketDescribed) and e.contract.slug == slug  # noqa: E731
        await seeker.until(described(NEXT))
        slugs = [event.contract.slug for event in seeker.events if isinstance(event, MarketDescribed)]
    assert slugs == [SLUG, NEXT], "each asked for once, the current one first"


async def test_a_window_is_described_once_more_before_its_last_seconds() -> None:
    """It may have been closed or paused since; what was known five minutes ago is not asked for a trade."""
    async with seeking((START_S + 252) * 1000, 10.0, others=(NEXT,)) as seeker:
        described = lambda e: isinstance(e, MarketDescribed) and e.contract.slug == SLUG  # noqa: E731
        first = await seeker.until(described)
        seen = len(seeker.events)
        await seeker.until(lambda e: described(e) and e.ts_recv_ms > first.ts_recv_ms)
        again = [event for event in seeker.events[seen:] if described(event)]
    assert [event.ts_recv_ms // 1000 >= START_S + 255 for event in again] == [True]


async def test_the_outcome_is_fetched_until_both_prices_are_served() -> None:
    """Resolved a minute after the end; strike and final come as the venue settled them."""
    async with seeking((START_S + 290) * 1000, 60.0) as seeker:
        served_outcome = await seeker.until(
            lambda event: isinstance(event, OutcomeServed) and event.final is not None
        )
    assert isinstance(served_outcome, OutcomeServed)
    assert (served_outcome.slug, served_outcome.outcome) == (SLUG, "DOWN")
    assert (served_outcome.strike, served_outcome.final) == (STRIKE, FINAL)


async def test_a_gamma_that_does_not_answer_is_a_closed_feed_and_is_asked_again() -> None:
    """Nothing listens there: one event that says so; the windows stay unavailable, answer by answer."""
    clock = ManualClock((START_S + 10) * 1000)
    async with httpx.AsyncClient() as client:
        seeker = Seeker(client, "http://127.0.0.1:1", clock)
        seeker.discovery.wall = lambda: clock.now_ms() / 1000
        task = asyncio.create_task(seeker.discovery.run())
        missing = lambda event: isinstance(event, MarketUnavailable) and "15m" in event.slug  # noqa: E731
        first = await seeker.until(missing)
        clock.advance(3.0)
        await seeker.until(lambda event: missing(event) and event.ts_recv_ms > first.ts_recv_ms)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [type(event) for event in seeker.events].count(FeedClosed) == 1


async def test_an_answer_that_is_not_understood_is_kept() -> None:
    """A changed format is an event with the answer's beginning, not a crash."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="<html>maintenance</html>")

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        seeker = Seeker(client, "http://gamma.example", ManualClock(START_S * 1000 + 1))
        task = asyncio.create_task(seeker.discovery.run())
        refused = await seeker.until(lambda event: type(event).__name__ == "FrameRefused")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert "maintenance" in refused.excerpt  # type: ignore[union-attr]


async def test_a_time_out_does_not_lose_a_settlement() -> None:
    """Only a market that is not there is given up; anything else is asked again."""
    asked = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += "/events/" in request.url.path
        raise httpx.ReadTimeout("slow")

    clock = ManualClock((START_S + 10) * 1000)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        seeker = Seeker(client, "http://gamma.example", clock)
        seeker.discovery._windows_wanted()
        for seconds in (340.0, 60.0, 60.0):
            clock.advance(seconds)
            for slug in seeker.discovery._outcomes_wanted():
                await seeker.discovery._fetch_outcome(slug)
    assert asked >= 3


class Gamma:
    """Answers by slug; what it has no answer for is not there."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response] = []
        self.asked: list[float] = []
        self.now_s = 0.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(self.now_s)
        if self.answers and SLUG in request.url.path:
            return self.answers.pop(0)
        return httpx.Response(404)


def described(slug: str = SLUG) -> httpx.Response:
    start_s = int(slug.rpartition("-")[2])
    start, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in (start_s, start_s + 300))
    market = samples.gamma_market(slug=slug, eventStartTime=start, endDate=end)
    return httpx.Response(200, content=samples.body(market))


async def ask_for(gamma: Gamma, seconds: float, refresh_s: dict[float, float] | None = None) -> Seeker:
    """Let discovery ask for so many seconds, the wall's and the venue's; ``refresh_s`` changes at seconds."""
    clock = ManualClock((START_S + 10) * 1000)
    async with httpx.AsyncClient(transport=httpx.MockTransport(gamma)) as client:
        seeker = Seeker(client, "http://gamma.example", clock)
        seeker.discovery.wall = lambda: gamma.now_s
        while gamma.now_s < seconds:
            seeker.refresh_s = (refresh_s or {}).get(gamma.now_s, seeker.refresh_s)
            await seeker.discovery.ask_due()
            gamma.now_s += 0.5
            clock.advance(0.5)
    return seeker


async def test_f14_a_market_that_is_listed_late_is_found_when_it_is():
    """Each 404 is said, none is a crash, and none slows the asking down."""
    gamma = Gamma()
    gamma.answers = [httpx.Response(404)] * 5 + [described()]
    seeker = await ask_for(gamma, 20.0)
    told = [event for event in seeker.events if getattr(event, "slug", SLUG) == SLUG]
    assert [type(event) for event in told] == [FeedOpened] + [MarketUnavailable] * 5 + [MarketDescribed]


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_f14_a_gamma_in_trouble_is_asked_less_and_less(status):
    """Pauses of 2, 4, 8 and 8 s, the failures of one round counted once; then it is back, and so are we."""
    gamma = Gamma()
    gamma.answers = [httpx.Response(status)] * 4 + [described()]
    seeker = await ask_for(gamma, 40.0)
    rounds = sorted(set(gamma.asked))
    assert rounds[:5] == [0.0, 2.0, 6.0, 14.0, 22.0]
    assert any(isinstance(event, MarketDescribed) for event in seeker.events)


async def test_how_long_a_description_is_good_can_be_changed_at_any_time():
    """FEE_RATE_TTL_SECONDS is a parameter that changes while the engine runs; a gate goes by it at once."""
    gamma = Gamma()
    gamma.answers = [described() for _ in range(9)]
    seeker = await ask_for(gamma, 90.0, {20.0: 30.0, 65.0: 300.0})
    told = [event.ts_recv_ms / 1000 for event in seeker.events if isinstance(event, MarketDescribed)]
    assert [at - START_S - 10 for at in told] == [0.0, 30.0, 60.0]


async def test_a_gamma_that_asks_for_time_gets_it():
    """``Retry-After`` beats the own pause."""
    gamma = Gamma()
    gamma.answers = [httpx.Response(429, headers={"Retry-After": "17"}), described()]
    await ask_for(gamma, 30.0)
    assert sorted(set(gamma.asked))[:2] == [0.0, 17.0]


async def test_an_answer_about_another_market_is_refused():
    """A stale cache or a confused edge: what was not asked for must not become our window."""
    gamma = Gamma()
    gamma.answers = [described(NEXT)]
    seeker = await ask_for(gamma, 1.0)
    refused = [event for event in seeker.events if isinstance(event, FrameRefused)]
    assert [event.reason for event in refused] == [f"the answer is about {NEXT}"]
    assert not any(isinstance(event, MarketDescribed) for event in seeker.events)


# --- holdings ---------------------------------------------------------------------------------------------


def closed(**changes: object) -> httpx.Response:
    market = samples.gamma_market(slug=SLUG, closed=True, acceptingOrders=False, **changes)
    start, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in (START_S, START_S + 300))
    market |= {"eventStartTime": start, "endDate": end}
    metadata = '{"priceToBeat": 70000.5, "finalPrice": 70001.5}' if changes.get("outcomePrices") else "{}"
    return httpx.Response(200, content=samples.gamma_event(market, metadata))


async def asked_about(answer: httpx.Response, since_end_s: float, steps: int, step_s: float) -> list[float]:
    """Hold something in a window for so long; return the seconds at which its outcome was asked for."""
    clock, began_s = ManualClock(round((START_S + 300 + since_end_s) * 1000)), START_S + 300 + since_end_s
    asked: list[float] = []

    def gamma(request: httpx.Request) -> httpx.Response:
        if "/events/" not in request.url.path or SLUG not in request.url.path:
            return httpx.Response(404)
        asked.append(clock.now_ms() / 1000 - began_s)
        return httpx.Response(answer.status_code, content=answer.content)

    async with httpx.AsyncClient(transport=httpx.MockTransport(gamma)) as client:
        seeker = Seeker(client, "http://gamma.example", clock)
        seeker.discovery.wall = lambda: clock.now_ms() / 1000
        for _ in range(steps):
            seeker.discovery.adopt({SLUG: START_S + 300})
            await seeker.discovery.ask_due()
            clock.advance(step_s)
        before = len(asked)
        seeker.discovery.adopt({})
        for _ in range(20):
            clock.advance(600.0)
            await seeker.discovery.ask_due()
    assert len(asked) <= before + 1, "what is not held any more is let go"
    return asked[:before]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        closed(),
        closed(outcomePrices='["0.5", "0.5"]'),
        httpx.Response(200, content=b"<html>"),
    ],
    ids=["not there", "no outcome", "prices and no outcome", "not understood"],
)
async def test_a_holding_is_asked_about_however_old_its_window_is_and_ever_less_often(
    answer: httpx.Response,
) -> None:
    """Stopped on Friday in the minute before Gamma serves it, started on Monday: the first question is at
    once, and the pauses widen to an hour and no further."""
    asked = await asked_about(answer, 3 * 86_400.0, steps=72, step_s=300.0)
    assert asked[0] == 0.0
    pauses = [later - sooner for sooner, later in pairwise(asked)]
    assert pauses == sorted(pauses)
    assert pauses[-2:] == [3_600.0, 3_600.0]


async def test_a_holding_of_a_window_that_just_ended_is_asked_about_every_ten_seconds() -> None:
    """Gamma serves it after a minute or two; only what is late is asked about less often."""
    asked = await asked_about(closed(), 60.0, steps=84, step_s=10.0)
    assert asked == [10.0 * step for step in range(84)]


async def test_a_gamma_that_was_away_for_hours_is_asked_about_a_holding_as_soon_as_it_is_back() -> None:
    """Only its answers make the pauses wider."""
    asked = await asked_about(httpx.Response(503), 86_400.0, steps=60, step_s=10.0)
    assert asked[-1] >= 580.0
    assert max(later - sooner for sooner, later in pairwise(asked)) <= 20.0


async def test_an_outcome_that_is_not_there_is_asked_for_again_soon_and_then_ever_less_often() -> None:
    """Gamma says 404 for a minute just when a window resolved: what is held has to be settled soon after."""
    asked = await asked_about(httpx.Response(404), 31.0, steps=840, step_s=1.0)
    pauses = [later - sooner for sooner, later in pairwise(asked)]
    assert pauses[:6] == [10.0, 20.0, 40.0, 80.0, 160.0, 320.0]
