"""Asking the site for prices: when, how often, and what a refusal does. The site is a scripted transport."""

import asyncio
from decimal import Decimal

import httpx
import msgspec
import pytest

from engine.clock import ManualClock
from engine.contract import Contract, SettlementRule
from engine.events import AnyEvent, FeedClosed, FeedOpened, FrameRefused, SitePriceServed
from engine.feeds.retry_after import retry_after_s
from engine.feeds.site_price import SitePrices, site_client
from engine.feeds.venue_clock import open_clock
from tests.practice.hand_made import FINAL, SLUG, START_S, STRIKE, HandMadeTape, contract, served

Answer = httpx.Response | Exception


def prices(opening: str, closing: str = "null", completed: str = "false") -> httpx.Response:
    text = f'{{"openPrice":{opening},"closePrice":{closing},"completed":{completed},"timestamp":1}}'
    return httpx.Response(200, text=text)


class ScriptedSite:
    """Answers what the script says, the last line for ever, and notes what was asked when (venue seconds)."""

    def __init__(self, clock: ManualClock, *script: Answer) -> None:
        self.clock = clock
        self.script = list(script)
        self.seconds: list[float] = []
        self.requests: list[httpx.Request] = []

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.seconds.append(self.clock.now_ms() / 1000 - START_S)
        line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(line, Exception):
            raise line
        return httpx.Response(line.status_code, headers=line.headers, content=line.content)


class Asker:
    """The poller under test, with clocks that stand still until told to move."""

    def __init__(self, *script: Answer, contracts: list[Contract] | None = None) -> None:
        self.clock = ManualClock((START_S - 5) * 1000)
        self.site = ScriptedSite(self.clock, *script)
        self.events: list[AnyEvent] = []
        self.contracts = [contract()] if contracts is None else contracts
        self.wall_s = 0.0
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.site.answer))
        self.poller = SitePrices(
            client, "https://site.example/", self.clock, self.events.append, lambda: self.contracts
        )
        self.poller.wall = lambda: self.wall_s

    async def pass_seconds(self, seconds: int, rate: float = 1.0) -> None:
        """Let both clocks run, ``rate`` venue seconds to one of the wall, looking twice a venue second."""
        for _ in range(2 * seconds):
            await self.poller.ask_due()
            self.clock.advance(0.5)
            self.wall_s += 0.5 / rate

    def of(self, kind: type) -> list[AnyEvent]:
        return [event for event in self.events if isinstance(event, kind)]


async def test_two_answers_in_a_row_that_agree_are_enough():
    """The first comes when the provisional second is over; then the site is left alone until the end."""
    asker = Asker(prices("71485.24"))
    await asker.pass_seconds(290)
    assert asker.site.seconds == [3.0, 8.0]
    assert [event.open_price for event in asker.of(SitePriceServed)] == [Decimal("71485.24")] * 2
    assert isinstance(asker.events[0], FeedOpened)


async def test_a_value_that_changes_is_asked_for_again():
    """A provisional value must not be the one that stays."""
    asker = Asker(prices("71480"), prices("71485.24"), prices("71485.24"))
    await asker.pass_seconds(100)
    assert asker.site.seconds == [3.0, 8.0, 13.0]


async def test_after_a_null_the_site_is_asked_only_when_its_cache_is_over():
    """And a null between two equal answers breaks the row."""
    asker = Asker(prices("1"), prices("null"), prices("1"), prices("1"))
    await asker.pass_seconds(100)
    assert asker.site.seconds == [3.0, 8.0, 19.0, 24.0]


async def test_the_closing_price_is_asked_for_once_after_the_end():
    """What is not completed is asked for again; what is, never."""
    asker = Asker(prices("1"), prices("1"), prices("1", "2", "false"), prices("1", "2", "true"))
    await asker.pass_seconds(600)
    assert asker.site.seconds == [3.0, 8.0, 303.0, 314.0]
    last = asker.events[-1]
    assert isinstance(last, SitePriceServed)
    assert (last.slug, last.close_price, last.completed) == (SLUG, Decimal(2), True)


async def test_a_window_that_never_completes_is_given_up():
    """Gamma tells the prices by then."""
    asker = Asker(prices("1"))
    await asker.pass_seconds(900)
    assert 400 < asker.site.seconds[-1] < 425


async def test_a_window_without_a_rule_is_not_asked_for():
    """Nobody knows which question to put; a rule that becomes known is asked for at once."""
    asker = Asker(prices("1"), contracts=[contract(rule=None)])
    await asker.pass_seconds(60)
    assert asker.site.seconds == []
    asker.contracts = [contract()]
    await asker.pass_seconds(5)
    assert asker.site.seconds == [55.0]


async def test_a_rule_that_changes_is_a_new_question():
    """With its own lookback; the agreement of before counts no more."""
    asker = Asker(prices("1"), contracts=[contract(rule=SettlementRule("twap", 30))])
    await asker.pass_seconds(60)
    asker.contracts = [contract(rule=SettlementRule("twap", 45))]
    await asker.pass_seconds(60)
    asked = [request.url.params["twapLookbackSeconds"] for request in asker.site.requests]
    assert asked == ["30", "30", "45", "45"]


async def test_a_market_described_again_is_no_new_question():
    """Discovery refreshes every market every few minutes."""
    asker = Asker(prices("1"))
    await asker.pass_seconds(60)
    asker.contracts = [msgspec.structs.replace(contract(), tick_e4=10)]
    await asker.pass_seconds(60)
    assert len(asker.site.seconds) == 2


async def test_a_window_that_has_ended_before_is_not_taken_up():
    """Not at a start after its end, and not again once it is answered, though the core still lists it."""
    asker = Asker(prices("1", "2", "true"))
    asker.clock.advance(305 + 5)
    await asker.pass_seconds(60)
    assert asker.site.seconds == []


async def test_both_windows_of_a_boundary_are_asked_for():
    """Each with its own times."""
    other = f"btc-updown-15m-{START_S}"
    asker = Asker(prices("1"), contracts=[contract(), contract(other)])
    await asker.pass_seconds(30)
    variants = [request.url.params["variant"] for request in asker.site.requests]
    assert sorted(variants) == ["fifteen", "fifteen", "fiveminute", "fiveminute"]
    assert {event.slug for event in asker.of(SitePriceServed)} == {SLUG, other}


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("reset"),
        httpx.TooManyRedirects("round and round"),
        httpx.InvalidURL("what"),
        httpx.Response(403, text="<html>Just a moment...</html>"),
        httpx.Response(500),
        httpx.Response(200, text="<html>Just a moment...</html>"),
        httpx.Response(200, text='{"error":"nope"}'),
        httpx.Response(204),
    ],
)
async def test_a_failure_backs_off_and_raises_nothing(failure):
    """Pauses double to a minute: 2, 4, 8, 16, 32, 60 seconds of the wall; one answer ends them."""
    asker = Asker(failure)
    await asker.pass_seconds(200)
    gaps = [b - a for a, b in zip(asker.site.seconds, asker.site.seconds[1:], strict=False)]
    # Never before the question itself is due again, which is after 5 s.
    assert gaps == [5.0, 5.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert asker.of(SitePriceServed) == []
    asker.site.script = [prices("1")]
    await asker.pass_seconds(100)
    assert len(asker.of(SitePriceServed)) == 2
    assert asker.site.seconds[-1] - asker.site.seconds[-2] == 5.0


async def test_an_answer_makes_the_next_pause_short_again():
    """The failures of this morning say nothing about the site of this evening."""
    refused, fine = httpx.Response(503), prices("1")
    asker = Asker(refused, refused, refused, refused, fine, refused, fine)
    await asker.pass_seconds(100)
    assert asker.site.seconds == [3.0, 8.0, 13.0, 21.0, 37.0, 42.0, 47.0]


async def test_a_refusal_is_said_once_and_so_is_the_return():
    """A closed feed with its reason, not an event a request."""
    asker = Asker(httpx.Response(403))
    await asker.pass_seconds(60)
    assert [event.reason for event in asker.of(FeedClosed)] == ["HTTP 403"]
    asker.site.script = [prices("1")]
    await asker.pass_seconds(100)
    assert [(type(event), event.epoch) for event in asker.of(FeedOpened)] == [(FeedOpened, 1)]


async def test_an_answer_that_is_not_understood_is_kept():
    """A changed format is an event with the answer's beginning."""
    asker = Asker(httpx.Response(200, content=b"<html>Just a moment...\xff</html>"))
    await asker.pass_seconds(9)
    refused = asker.of(FrameRefused)[0]
    assert refused.feed == "site"
    assert "Just a moment" in refused.excerpt


async def test_the_site_is_left_alone_for_as_long_as_it_asks():
    """429 with Retry-After, in wall seconds: venue time may run faster."""
    asker = Asker(httpx.Response(429, headers={"Retry-After": "40"}), prices("1"))
    await asker.pass_seconds(200, rate=4.0)
    assert asker.site.seconds == [3.0, 163.0, 168.0]


async def test_a_wait_for_ever_is_not_obeyed():
    """A quarter of an hour at the most: the next window wants its price too."""
    asker = Asker(
        httpx.Response(429, headers={"Retry-After": "999999"}),
        prices("1"),
        contracts=[contract(f"btc-updown-5m-{START_S + 300 * number}") for number in range(4)],
    )
    await asker.pass_seconds(1_000)
    assert asker.site.seconds[:2] == [3.0, 903.0]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 7 "}, 7.0),
        ({"Retry-After": "-7"}, 0.0),
        ({"Retry-After": "soon"}, 0.0),
        ({"Retry-After": "9" * 5_000}, 0.0),
        ({"Retry-After": "Mon, 21 Sep 2026 14:16:00 GMT"}, 0.0),
        (
            {"Retry-After": "Mon, 21 Sep 2026 14:16:00 GMT", "Date": "Mon, 21 Sep 2026 14:15:00 GMT"},
            60.0,
        ),
        (
            {"Retry-After": "Mon, 21 Sep 2026 14:14:00 GMT", "Date": "Mon, 21 Sep 2026 14:15:00 GMT"},
            0.0,
        ),
        ({"Retry-After": "Mon, 99 Sep 2026 14:16:00 GMT", "Date": "never"}, 0.0),
    ],
)
def test_retry_after_is_read_in_both_forms(headers, seconds):
    """A date counts from the server's own clock; nonsense counts as nothing."""
    assert retry_after_s(httpx.Headers(headers)) == seconds


async def test_an_answer_that_drips_is_cut_off(monkeypatch):
    """httpx limits each read; a body that never ends would hold the poller for ever."""
    monkeypatch.setattr("engine.feeds.site_price.TIMEOUT_S", 0.05)

    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    asker = Asker(prices("1"))
    async with httpx.AsyncClient(transport=httpx.MockTransport(never)) as client:
        asker.poller._client = client
        asker.clock.advance(10)
        async with asyncio.timeout(5):
            await asker.poller.ask_due()
    assert [event.reason for event in asker.of(FeedClosed)] == ["TimeoutError"]


async def test_the_client_speaks_http_2_and_looks_like_a_browser():
    """The guard in front of the site refuses others; the engine's own name stands at the end."""
    async with site_client("https://site.example") as client:
        assert client.headers["User-Agent"].startswith("Mozilla/5.0 ")
        assert "updown-console/" in client.headers["User-Agent"]
        assert "application/json" in client.headers["Accept"]
        assert client._transport._pool._http2


async def test_against_practice_the_strike_and_the_final_price_arrive():
    """The whole way, at twenty times the wall's pace, over HTTP/1.1 where no HTTP/2 is spoken."""
    events: list[AnyEvent] = []
    closed = asyncio.Event()

    def accept(event: AnyEvent) -> None:
        events.append(event)
        if isinstance(event, SitePriceServed) and event.completed:
            closed.set()

    tape = HandMadeTape([], start_ms=(START_S + 280) * 1000)
    async with served(tape, speed=20) as urls, site_client(urls["SITE_PRICE_URL"]) as client:
        clock = await open_clock(client, urls["CLOCK_URL"])
        poller = SitePrices(client, urls["SITE_PRICE_URL"], clock, accept, lambda: [contract()])
        task = asyncio.create_task(poller.run())
        async with asyncio.timeout(20):
            await closed.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    answers = [event for event in events if isinstance(event, SitePriceServed)]
    assert [(event.open_price, event.close_price) for event in answers] == [
        (STRIKE, None),
        (STRIKE, None),
        (STRIKE, FINAL),
    ]
