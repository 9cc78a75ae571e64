"""One broken record on any HTTPS answer is a failure of that answer, not the end of the engine.

httpx lets ``ssl.SSLError`` through as it is where it comes while an answer is read or a question written
(httpcore 1.0 maps it at the handshake alone), and what no part of the engine expects halts it.
"""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from engine.clock import ManualClock, ScaledClock
from engine.config import Settings
from engine.errors import StartError
from engine.events import AnyEvent, FeedClosed
from engine.feeds import venue_clock
from engine.feeds.polite import ask
from engine.feeds.site_price import SitePrices
from engine.feeds.venue_clock import keep_clock, open_clock
from engine.run.alarm_post import Alarm, PostFailed, post
from engine.run.doctor import account as doctor_account
from tests.feeds.broken_tls import BAD_RECORD, PLAIN_TEXT, context, serving
from tests.practice.hand_made import START_S, contract


@pytest.fixture(params=[PLAIN_TEXT, BAD_RECORD], ids=["plain text", "bad record"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with serving(request.param) as address:
        yield address


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=context(), trust_env=False)


async def test_whoever_asks_politely_is_told_that_there_is_no_answer(url: str) -> None:
    """Gamma, the books and the clock are asked by this."""
    async with client() as asking:
        answer = await ask(asking, f"{url}/x", 5.0)
    assert isinstance(answer, str)
    assert answer.startswith("SSLError: ")


async def test_the_site_is_left_alone_for_a_while(url: str) -> None:
    """The price to beat is compared, never waited for."""
    events: list[AnyEvent] = []
    clock = ManualClock((START_S - 5) * 1000)
    async with client() as asking:
        site = SitePrices(asking, url, clock, events.append, lambda: [contract()])
        await site.ask_due()
        clock.advance(10.0)
        await site.ask_due()
    assert [type(event) for event in events] == [FeedClosed]


async def test_a_scaled_venues_clock_stops_the_start_and_nothing_later(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a time there is no start; once it is known the next look may fail."""
    monkeypatch.setattr(venue_clock, "AGAIN_S", 0.0)
    async with client() as asking:
        with pytest.raises(StartError, match="does not tell the time"):
            await open_clock(asking, url)
        keeping = asyncio.create_task(keep_clock(ScaledClock(0, 1.0), asking, url))
        async with asyncio.timeout(5.0):
            while "venue clock does not answer" not in caplog.text and not keeping.done():  # noqa: ASYNC110 (a log tells nobody)
                await asyncio.sleep(0.01)
        assert not keeping.done()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_the_doctor_says_it_in_a_line(url: str) -> None:
    """A check that fails is a finding, not a traceback."""
    async with client() as asking:
        assert await doctor_account._ask(asking, f"{url}/x", {}) == "SSLError"


def test_an_alarm_is_not_posted_and_may_be_tried_again(url: str) -> None:
    """The thread that posts must outlive it."""
    settings = Settings(_env_file=None, alarm_url=url)  # type: ignore[call-arg]  # pydantic-settings' own option
    with httpx.Client(verify=context(), trust_env=False) as posting, pytest.raises(PostFailed):
        post(posting, Alarm("test", "x", 0), settings)
