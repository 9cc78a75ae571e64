"""One WebSocket kept alive, against real servers on loopback that misbehave (fault catalogue, F1-F4, F26)."""

import asyncio
import contextlib
import itertools
import logging

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from engine.clock import ManualClock
from engine.events import FeedClosed, FeedOpened
from engine.feeds import backoff, socket, watchdog
from engine.feeds.backoff import PER_MINUTE
from engine.feeds.socket import LARGEST_FRAME, MOST_REFUSED, NO_TOPICS, Habits
from tests.feeds.scripted import BlackHole, Pauses, Reader, reading, running, served

PATIENT = Habits("PING", 0.05, NO_TOPICS)
WATCHED = Habits("PING", 0.05, {"prices": 15.0, "average": 15.0})


@pytest.fixture(autouse=True)
def _silence_counts_at_once(monkeypatch):
    """Silence is the injected clock's here, which the tests move by hand."""
    monkeypatch.setattr(watchdog, "LEAST_SILENCE_S", -1.0)


async def answer_pings(client: ServerConnection) -> None:
    async for frame in client:
        if frame == "PING":
            await client.send("PONG")


# --- connecting -------------------------------------------------------------------------------------------


async def test_it_greets_and_pings_in_text():
    """The subscription first, then text frames at the venue's interval."""
    heard: list[str | bytes] = []

    async def on_client(client: ServerConnection) -> None:
        async for frame in client:
            heard.append(frame)
            await client.send("PONG")

    async with reading(on_client, PATIENT) as reader:
        await reader.until(lambda: len(reader.frames) >= 3)
    assert heard[:3] == ["hello", "PING", "PING"]


async def test_every_connection_is_an_epoch_of_its_own_and_subscribes_anew():
    """The venue remembers nothing of the one before."""
    greetings = 0

    async def on_client(client: ServerConnection) -> None:
        nonlocal greetings
        assert await client.recv() == "hello"
        greetings += 1
        await client.send("prices 1")

    async with reading(on_client, PATIENT) as reader:
        await reader.until(lambda: len(reader.epochs) >= 3)
    assert greetings >= 2
    assert reader.epochs == list(range(1, len(reader.epochs) + 1))
    assert all("closed by the venue" in reason for reason in reader.reasons)


async def test_it_does_not_connect_before_there_is_something_to_ask_for():
    """The venue closes connections that subscribe to nothing."""
    clients = 0

    async def on_client(client: ServerConnection) -> None:
        nonlocal clients
        clients += 1
        await client.wait_closed()

    async with served(on_client) as port:
        reader = Reader(port, PATIENT)
        reader.feed.wanted.clear()
        async with running(reader.feed.run()):
            for others in (1, 2):  # each connects after it and is served: there was time to connect
                async with connect(f"ws://127.0.0.1:{port}") as other:
                    await (await other.ping())
                assert (clients, reader.events) == (others, [])
            reader.feed.wanted.set()
            await reader.until(lambda: reader.count(FeedOpened) == 1)
    assert clients == 3


async def test_nothing_of_a_connection_is_told_after_its_end():
    """A flood is cut off in the middle, by us and by the venue: each frame lies within its own epoch."""
    numbers = itertools.count(1)

    async def on_client(client: ServerConnection) -> None:
        number = next(numbers)
        for _ in range(300):
            await client.send(f"prices {number}")
        if number % 2:
            await client.wait_closed()

    async with reading(on_client, PATIENT) as reader:
        Pauses(reader.feed)
        for epoch in (1, 3, 5):
            await reader.until(lambda epoch=epoch: f"prices {epoch}" in reader.frames)  # type: ignore[misc]
            reader.feed.begin_again("for the test")
        await reader.until(lambda: 7 in reader.epochs)
    epoch = 0
    for told in reader.order:
        if isinstance(told, FeedOpened):
            epoch = told.epoch
        elif isinstance(told, FeedClosed):
            epoch = 0
        elif isinstance(told, str):
            assert told == f"prices {epoch}"
    assert "for the test" in reader.reasons


# --- silence ----------------------------------------------------------------------------------------------


async def test_f1_a_connection_that_only_answers_pings_is_given_up():
    """Open, PONG fine, no data any more: 15 s of the injected clock, and both topics are named."""

    async def on_client(client: ServerConnection) -> None:
        await client.send("prices 1")
        await client.send("average 1")
        await answer_pings(client)

    async with reading(on_client, WATCHED) as reader:
        await reader.until(lambda: "average 1" in reader.frames and "PONG" in reader.frames)
        assert isinstance(reader.clock, ManualClock)
        reader.clock.advance(16.0)
        await reader.until(lambda: reader.count(FeedClosed) == 1)
        await reader.until(lambda: len(reader.epochs) == 2)
    assert reader.reasons[0] == "prices, average silent for 16 s"


async def test_f4_one_dead_topic_forces_a_reconnect_that_names_it():
    """The other topic flows all the while."""
    flows = asyncio.Event()

    async def on_client(client: ServerConnection) -> None:
        await client.send("average 1")
        while True:
            await client.send("prices 1")
            flows.set()
            await asyncio.sleep(0.01)

    async with reading(on_client, WATCHED) as reader:
        assert isinstance(reader.clock, ManualClock)
        await reader.until(lambda: {"prices 1", "average 1"} <= set(reader.frames))
        for _ in range(2):
            reader.clock.advance(8.0)
            heard = len(reader.frames)
            await reader.until(lambda heard=heard: len(reader.frames) > heard + 2)  # type: ignore[misc]
        await reader.until(lambda: reader.count(FeedClosed) == 1)
    assert reader.reasons == ["average silent for 16 s"]


async def test_a_subscription_that_is_refused_in_silence_is_tried_again():
    """Connected, pongs, and never a word: twice the limit."""
    async with reading(answer_pings, WATCHED) as reader:
        assert isinstance(reader.clock, ManualClock)
        await reader.until(lambda: "PONG" in reader.frames)
        reader.clock.advance(31.0)
        await reader.until(lambda: reader.count(FeedClosed) == 1)
    assert reader.reasons == ["subscribed and heard nothing for 31 s (prices, average)"]


async def test_f2_a_half_open_connection_is_dropped_at_once(monkeypatch):
    """Everything is swallowed both ways and nothing is closed: a graceful close would wait for ever."""
    monkeypatch.setattr(socket, "LIFE_PING_S", 0.05)
    monkeypatch.setattr(socket, "DEAD_AFTER_S", 0.5)
    monkeypatch.setattr(socket, "CLOSE_TIMEOUT_S", 3600.0)

    async def on_client(client: ServerConnection) -> None:
        await client.send("prices 1")
        await answer_pings(client)

    async with served(on_client, ping_interval=None) as port:
        hole = BlackHole(port)
        async with hole.between() as proxy:
            reader = Reader(proxy, PATIENT)
            async with running(reader.feed.run()):
                await reader.until(lambda: "PONG" in reader.frames)
                hole.swallows = True
                await reader.until(lambda: reader.count(FeedClosed) == 1)
                await reader.until(lambda: reader.frames.count("prices 1") == 2)
    assert reader.reasons[0].startswith("half-open: neither pong nor data")
    assert len(reader.reasons) == 1


async def test_pongs_of_the_protocol_are_signs_of_life(monkeypatch):
    """A venue that has nothing to say and knows no text PING is alive as long as its server answers."""
    monkeypatch.setattr(socket, "LIFE_PING_S", 0.05)
    monkeypatch.setattr(socket, "DEAD_AFTER_S", 0.5)

    async def on_client(client: ServerConnection) -> None:
        await client.wait_closed()

    async with reading(on_client, Habits(None, 0.0, NO_TOPICS)) as reader:
        await reader.until(lambda: reader.count(FeedOpened) == 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):  # three times as long as a dead one would last
                await reader.until(lambda: reader.count(FeedClosed) > 0)


# --- refusals, storms, close codes --------------------------------------------------------------------------


async def test_a_refused_connection_is_tried_again():
    """HTTP 503 on connect: an event that says so, then another try."""
    tries = 0

    def refuse_once(connection: ServerConnection, _: Request) -> Response | None:
        nonlocal tries
        tries += 1
        return connection.respond(503, "restarting\n") if tries == 1 else None

    async with reading(answer_pings, PATIENT, process_request=refuse_once) as reader:
        await reader.until(lambda: reader.count(FeedOpened) == 1)
    assert reader.reasons == ["refused with HTTP 503"]


@pytest.mark.parametrize(
    ("status", "retry_after", "least", "most"),
    [
        (429, None, 30.0, 31.0),
        (429, "7", 7.0, 8.0),
        (503, "12", 12.0, 13.0),
        (503, None, 0.0, 2.0),
        (429, "999999", 900.0, 901.0),
    ],
)
async def test_f3_refusals_are_answered_with_the_pause_they_ask_for(status, retry_after, least, most):
    """429 is the penalty box; Retry-After is honoured within reason."""

    def refuse(connection: ServerConnection, _: Request) -> Response:
        response = connection.respond(status, "slow down\n")
        if retry_after is not None:
            response.headers["Retry-After"] = retry_after
        return response

    async with served(answer_pings, process_request=refuse) as port:
        reader = Reader(port, PATIENT)
        pauses = Pauses(reader.feed)
        async with running(reader.feed.run()):
            await reader.until(lambda: reader.count(FeedClosed) >= 2)
    assert least <= pauses.taken[0] <= most


def most_within(attempts: list[float], seconds: float) -> int:
    """The most attempts in any span of so many seconds."""
    return max(sum(start <= at < start + seconds for at in attempts) for start in attempts)


async def test_f3_a_storm_of_refusals_is_bounded_and_recovery_is_quick():
    """Fifty refusals, then the venue is back: attempts a minute are bounded, and the way back is short."""
    attempts: list[float] = []

    def refuse(connection: ServerConnection, _: Request) -> Response | None:
        attempts.append(pauses.now_s)
        return connection.respond(503, "restarting\n") if len(attempts) <= 50 else None

    async with served(answer_pings, process_request=refuse) as port:
        reader = Reader(port, PATIENT)
        pauses = Pauses(reader.feed)
        async with running(reader.feed.run()):
            await reader.until(lambda: reader.count(FeedOpened) == 1)
    assert len(attempts) == 51
    assert most_within(attempts, 60.0) <= PER_MINUTE
    assert pauses.taken[-1] <= 2.0


async def test_f3_a_storm_of_connections_that_give_data_and_close_is_bounded_too():
    """Data resets the back-off; without another bound this would be a thousand connections a minute."""
    attempts: list[float] = []

    async def on_client(client: ServerConnection) -> None:
        attempts.append(pauses.now_s)
        await client.send("prices 1")

    async with served(on_client) as port:
        reader = Reader(port, PATIENT)
        pauses = Pauses(reader.feed)
        async with running(reader.feed.run()):
            await reader.until(lambda: reader.count(FeedClosed) >= 90)
    assert most_within(attempts, 60.0) <= PER_MINUTE
    assert max(pauses.taken) <= 2.0


async def test_only_data_ends_the_doubling_of_the_pause():
    """A connection that is accepted and answers pings is no success."""
    clients = 0

    async def on_client(client: ServerConnection) -> None:
        nonlocal clients
        clients += 1
        await client.recv()
        await client.send("PONG" if clients <= 6 else "prices 1")

    async with served(on_client) as port:
        reader = Reader(port, PATIENT)
        pauses = Pauses(reader.feed)
        async with running(reader.feed.run()):
            await reader.until(lambda: reader.count(FeedClosed) >= 8)
    for pause, longest in zip(pauses.taken[:6], (0.1, 0.2, 0.4, 0.8, 1.6, 2.0), strict=True):
        assert longest / 2 <= pause <= longest
    assert pauses.taken[5] >= 1.0, "after six connections without data"
    assert pauses.taken[6] <= 0.1, "after one with data"


CODES = Habits(
    None, 0.0, NO_TOPICS, final_codes={4001: "mend the keys", 4008: "mend us"}, drain_codes=frozenset((4003,))
)


@pytest.mark.parametrize(("code", "what"), [(4001, "mend the keys"), (4008, "mend us")])
async def test_a_close_code_that_says_stop_is_obeyed_and_said(code, what):
    """Wrong keys, or rules broken: another connection would only make it worse."""
    clients = 0

    async def on_client(client: ServerConnection) -> None:
        nonlocal clients
        clients += 1
        await client.close(code, "because")

    async with served(on_client) as port:
        reader = Reader(port, CODES)
        pauses = Pauses(reader.feed)
        async with running(reader.feed.run()):
            await reader.until(lambda: reader.count(FeedClosed) == 1)
            for _ in range(20):
                await asyncio.sleep(0)
    assert (clients, pauses.taken) == (1, [])
    assert reader.reasons[0].startswith(f"stopped: {what}")


async def test_a_draining_server_gets_one_attempt_within_ten_seconds():
    """Spread evenly, so that its clients do not all come back at once (sheet, 2.1: 4003)."""
    clients = 0

    async def on_client(client: ServerConnection) -> None:
        nonlocal clients
        clients += 1
        if clients <= 8:
            await client.close(4003, "draining")
        await client.wait_closed()

    async with served(on_client) as port:
        reader = Reader(port, CODES)
        pauses = Pauses(reader.feed)
        async with running(reader.feed.run()):
            await reader.until(lambda: len(reader.epochs) == 9)
    assert len(pauses.taken) == 8
    assert all(0.0 <= pause <= backoff.DRAIN_WAIT_S for pause in pauses.taken)
    assert max(pauses.taken) > 2.0, "not the ordinary back-off"


# --- frames that cannot be ----------------------------------------------------------------------------------


async def test_f26_a_flood_of_frames_not_understood_begins_again():
    """Twenty a minute are borne, one more is not."""
    more = asyncio.Event()

    async def on_client(client: ServerConnection) -> None:
        for _ in range(MOST_REFUSED):
            await client.send("? what")
        await client.send("prices 1")
        await more.wait()
        with contextlib.suppress(ConnectionClosed):
            for _ in range(12):
                await client.send("? what")
        await client.wait_closed()

    async with reading(on_client, PATIENT) as reader:
        await reader.until(lambda: "prices 1" in reader.frames)
        assert reader.count(FeedClosed) == 0
        more.set()
        await reader.until(lambda: reader.count(FeedClosed) == 1)
        assert reader.frames.count("? what") == MOST_REFUSED + 1, "what was under way is not read any more"
    assert reader.reasons == [f"more than {MOST_REFUSED} frames in a minute were not understood"]


async def test_f26_a_frame_beyond_four_megabytes_begins_again():
    """The largest that is taken is taken, one byte more closes the connection."""
    sizes = iter((LARGEST_FRAME, LARGEST_FRAME + 1))

    async def on_client(client: ServerConnection) -> None:
        for size in sizes:
            await client.send("prices ".ljust(size, "x"))
        await client.wait_closed()

    async with reading(on_client, PATIENT) as reader:
        await reader.until(lambda: len(reader.epochs) == 2)
    assert [len(frame) for frame in reader.frames] == [LARGEST_FRAME]
    assert "1009" in reader.reasons[0]


# --- what must not be told ----------------------------------------------------------------------------------


async def test_no_log_holds_what_was_sent(caplog):
    """The library logs every frame at debug level, keys among them; here it does not."""
    caplog.set_level(logging.DEBUG)

    async def on_client(client: ServerConnection) -> None:
        await client.recv()
        await client.send("prices 1")
        await client.wait_closed()

    async with served(on_client, logger=logging.getLogger("a.server")) as port:
        logging.getLogger("a.server").setLevel(logging.INFO)
        reader = Reader(port, PATIENT)
        reader.feed.greetings = lambda: ["hunter2"]
        async with running(reader.feed.run()):
            await reader.until(lambda: "prices 1" in reader.frames)
    assert "hunter2" not in caplog.text
    assert "feed opened" in caplog.text


async def test_a_reason_in_which_the_venue_repeats_a_secret_is_told_without_it():
    """Close reasons go to the journal and to the console."""

    async def on_client(client: ServerConnection) -> None:
        await client.close(1008, "bad key hunter2")

    async with served(on_client) as port:
        reader = Reader(port, PATIENT)
        reader.feed.hide = lambda text: text.replace("hunter2", "(hidden)")
        async with running(reader.feed.run()):
            await reader.until(lambda: reader.count(FeedClosed) == 1)
    assert "bad key (hidden)" in reader.reasons[0]
    assert "hunter2" not in repr(reader.events)


async def test_an_address_that_is_none_is_said_without_repeating_it():
    """It may hold a key."""
    reader = Reader(1, PATIENT)
    reader.feed._url = "http://user:hunter2@127.0.0.1:1"
    pauses = Pauses(reader.feed)
    async with running(reader.feed.run()):
        await reader.until(lambda: reader.count(FeedClosed) >= 1)
    assert "hunter2" not in repr(reader.events)
    assert pauses.taken
