"""What compares us with the venue over HTTP: its books, its clock. Neither is a source."""

import asyncio
import itertools
import logging
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clock import ManualClock
from engine.events import AnyEvent, BookQueried, ClockMeasured
from engine.feeds.book_check import EACH_EVERY_S, BookCheck
from engine.feeds.clock_check import ASKS, Narrowing, time_check, venue_clock_check
from tests.feeds.scripted import NOON_MS
from tests.wire import samples

Answer = Callable[[httpx.Request], httpx.Response]


def client_of(answer: Answer) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


# --- books ------------------------------------------------------------------------------------------------


class Rest:
    """The venue's REST side: books of every token, or what it is told to answer instead."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.answers: list[httpx.Response] = []
        self.now_s = 0.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        token = request.url.params["token_id"]
        self.asked.append((self.now_s, token))
        if self.answers:
            return self.answers.pop(0)
        return httpx.Response(200, text=samples.REST_BOOK.replace(samples.UP, token))


async def check(rest: Rest, tokens: list[str], seconds: float) -> list[AnyEvent]:
    """Let a check run for so many seconds of a wall that the test moves by hand."""
    events: list[AnyEvent] = []
    async with client_of(rest) as client:
        checking = BookCheck(
            client, "https://clob.example/", ManualClock(NOON_MS), events.append, lambda: tokens
        )
        checking.wall = lambda: rest.now_s
        while rest.now_s < seconds:
            await checking.ask_due()
            rest.now_s += 0.5
    return events


async def test_the_touch_of_the_venues_own_book_is_told():
    """Best by price: REST lists the worst level first."""
    told, *_ = await check(Rest(), [samples.UP], 1.0)
    assert told == BookQueried(
        ts_recv_ms=NOON_MS,
        market=samples.MARKET,
        token=samples.UP,
        best_bid_e4=4_800,
        best_ask_e4=5_200,
        ts_venue_ms=1_790_000_100_000,
    )


@pytest.mark.parametrize("tokens", [1, 2, 4])
async def test_each_token_is_asked_for_every_ten_seconds_and_they_are_spread_out(tokens):
    """No two at once, whatever their number; nothing is faster near the end."""
    rest, names = Rest(), [str(number) for number in range(tokens)]
    await check(rest, names, 100.0)
    for name in names:
        times = [at for at, asked in rest.asked if asked == name]
        assert 9 <= len(times) <= 10
        assert all(later - sooner >= EACH_EVERY_S for sooner, later in itertools.pairwise(times))
    times = [at for at, _ in rest.asked]
    assert all(later - sooner >= EACH_EVERY_S / tokens for sooner, later in itertools.pairwise(times))


@pytest.mark.parametrize(
    ("answer", "quiet_s"),
    [
        (httpx.Response(500), 2.0),
        (httpx.Response(429, headers={"Retry-After": "40"}), 40.0),
        (httpx.Response(200, text="<html>"), 2.0),
        (httpx.Response(200, text=samples.REST_BOOK.replace(samples.UP, samples.DOWN)), 2.0),
    ],
)
async def test_a_failure_is_a_line_in_the_log_and_a_pause_and_never_an_event(answer, quiet_s, caplog):
    """Also the book of another token: compared with ours it would be a difference that is none."""
    caplog.set_level(logging.WARNING)
    rest = Rest()
    rest.answers = [answer]
    events = await check(rest, [samples.UP, "2", "3", "4"], 60.0)
    assert len(events) == len(rest.asked) - 1
    assert rest.asked[1][0] - rest.asked[0][0] >= quiet_s
    assert "no answer" in caplog.text


async def test_failures_in_a_row_double_the_pause_and_say_so_once(caplog):
    """The venue is down: it is not helped by being asked."""
    caplog.set_level(logging.WARNING)
    rest = Rest()
    rest.answers = [httpx.Response(503)] * 8
    await check(rest, ["1", "2", "3", "4"], 300.0)
    gaps = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(rest.asked[:9])]
    assert all(gap >= pause for gap, pause in zip(gaps[:5], (2, 4, 8, 16, 32), strict=True))
    assert gaps[5:] == [60.0] * 3, "a minute, and no more"
    assert caplog.text.count("no answer") == 1


async def test_a_book_that_is_not_there_is_no_failure():
    """Not listed yet, or closed: the others are asked for at their pace."""
    rest = Rest()
    rest.answers = [httpx.Response(404, json={"error": "No orderbook exists"})]
    events = await check(rest, ["1", "2"], 6.0)
    assert [token for _, token in rest.asked] == ["1", "2"]
    assert len(events) == 1


async def test_without_open_windows_nothing_is_asked():
    """There is nothing to compare."""
    rest = Rest()
    assert await check(rest, [], 20.0) == []
    assert rest.asked == []


# --- the clock --------------------------------------------------------------------------------------------


@given(
    skew_ms=st.integers(-10_000, 10_000),
    start_ms=st.integers(0, 5_000),
    trips=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=ASKS, max_size=ASKS),
)
def test_the_true_skew_is_never_outside_of_what_is_said_and_three_asks_narrow_it_down(
    skew_ms, start_ms, trips
):
    """Whatever the network does: the answer is honest about what whole seconds can tell."""
    left = Narrowing(1000.0)
    now_ms = float(NOON_MS + start_ms)
    for there, back in trips:
        sent = now_ms
        told = (now_ms + there - skew_ms) // 1000 * 1000
        now_ms += there + back
        left.note(sent, now_ms, told)
        now_ms += left.pause_ms(now_ms)
    assert left.holds
    assert abs(left.skew_ms - skew_ms) <= left.error_ms
    assert left.error_ms <= 125 + max(there + back for there, back in trips)


class Wall:
    """A venue's clock that is off by so much, asked over a network that takes its time."""

    def __init__(self, skew_ms: int, trip_ms: int, whole: bool) -> None:
        self.clock = ManualClock(NOON_MS + 417)
        self._skew_ms = skew_ms
        self._trip_ms = trip_ms
        self._whole = whole

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.clock.advance(self._trip_ms / 2000)
        theirs = self.clock.now_ms() - self._skew_ms
        self.clock.advance(self._trip_ms / 2000)
        if self._whole:
            assert request.url.path == "/time"
            return httpx.Response(200, text=str(theirs // 1000))
        return httpx.Response(200, json={"now_ms": theirs, "rate": 1.0})

    async def pass_time(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.clock.advance(0.01)


async def measured(wall: Wall, whole: bool) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    make, url = (
        (time_check, "https://clob.example") if whole else (venue_clock_check, "https://clock.example/")
    )
    async with client_of(wall) as client:
        passing = asyncio.create_task(wall.pass_time())
        await make(client, url, wall.clock, events.append).measure()
        passing.cancel()
    return events


@pytest.mark.parametrize("skew_ms", [0, 640, -2_730])
async def test_whole_seconds_tell_the_skew_to_an_eighth_of_a_second(skew_ms):
    """Asked where the edge of a second would halve what is open; the error is stated."""
    (told,) = await measured(Wall(skew_ms, 20, whole=True), whole=True)
    assert isinstance(told, ClockMeasured)
    assert told.source == "time"
    assert abs(told.skew_ms - skew_ms) <= told.error_ms <= 160


async def test_a_scaled_venues_clock_tells_it_to_the_millisecond():
    """Half the round trip is all that stays open."""
    (told,) = await measured(Wall(85, 20, whole=False), whole=False)
    assert isinstance(told, ClockMeasured)
    assert told.source == "clock"
    assert abs(told.skew_ms - 85) <= told.error_ms <= 11


@pytest.mark.parametrize(
    "answer", [httpx.Response(503), httpx.Response(200, text="soon"), httpx.Response(200, text="12")]
)
async def test_a_clock_that_does_not_answer_tells_nothing(answer):
    """No event: the age of the last measurement says it."""
    events: list[AnyEvent] = []
    async with client_of(lambda _: answer) as client:
        checking = time_check(client, "https://clob.example", ManualClock(NOON_MS), events.append)
        await checking.measure()
    assert events == []
