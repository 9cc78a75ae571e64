"""What each feed is told, what it hears, and what it does about it; over real sockets on loopback."""

import asyncio
import contextlib
import json
import logging

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from engine.clock import ManualClock
from engine.errors import WireError
from engine.events import (
    AccountOrderTold,
    AnyEvent,
    BookReplaced,
    FeedClosed,
    FeedOpened,
    FrameRefused,
    FramesLost,
    PriceHistoryServed,
    PricePrinted,
)
from engine.feeds import watchdog
from engine.feeds.listening import BOOKS, Listener, Parse, clob_topic, polybolt_channel, rtds_topic
from engine.feeds.polybolt import PolyBoltFeed
from engine.feeds.sockets import RTDS_HABITS, RTDS_TOPICS, ClobFeed, rtds_feed, user_feed
from engine.wire import clob_market, polybolt, rtds
from engine.wire.credentials import Credentials
from tests.feeds.scripted import NOON_MS, Pauses, Told, running, served
from tests.wire import samples
from tests.wire.test_polybolt import numbered

SECRETS = (samples.OUR_KEY, "c2VjcmV0IG9mIG91cnM=", "our passphrase")
OURS = Credentials(*SECRETS)


class Door(Told):
    """A session's door: takes frames in, keeps what they became and what it was given to keep."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(NOON_MS)

    def accept_frame(self, feed: str, frame: str | bytes, parse: Parse) -> bool:
        self.read(frame)
        try:
            events = parse(frame, self.clock.now_ms())
        except WireError as error:
            events = [
                FrameRefused(
                    ts_recv_ms=self.clock.now_ms(), feed=feed, reason=error.reason, excerpt=str(frame)
                )
            ]
        for event in events:
            self.accept(event)
        return True

    def of(self, kind: type[AnyEvent]) -> list[AnyEvent]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture(autouse=True)
def _silence_counts_at_once(monkeypatch):
    monkeypatch.setattr(watchdog, "LEAST_SILENCE_S", -1.0)


# --- topics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "topics"),
    [
        (samples.TWAP, {rtds.TWAP_60}),
        (
            samples.TWAP.replace('"window_s":60', '"window_s":30').replace(rtds.TWAP_60, rtds.TWAP_30),
            {rtds.TWAP_30},
        ),
        (samples.TWAP.replace('"window_s":60', '"window_s":30'), set()),
        (samples.CHAINLINK, {rtds.CHAINLINK}),
        (samples.BINANCE, {rtds.BINANCE}),
        (samples.TWAP_HISTORY, set()),
        (samples.REFUSED, set()),
        ("", set()),
    ],
)
def test_a_live_value_speaks_for_its_topic_and_a_history_does_not(frame, topics):
    """With a space in the filter the history comes and the updates never do (sheet, 1.2)."""
    assert Listener("rtds", Door().accept_frame, rtds.parse, rtds_topic)(frame).topics == topics


def test_f19_the_listing_of_other_markets_is_no_sign_that_our_books_live():
    """It goes on while one's own books have frozen."""
    listener = Listener("clob", Door().accept_frame, clob_market.parse, clob_topic)
    assert listener(samples.NEW_MARKET).topics == frozenset()
    assert listener("PONG").topics == frozenset()
    assert listener(samples.PRICE_CHANGE).topics == {BOOKS}
    assert listener(f"[{samples.NEW_MARKET},{samples.BOOK}]").topics == {BOOKS}
    assert listener("{").refused


def test_polybolts_channels_are_told_apart():
    """Each has its own limit."""
    listener = Listener("polybolt", Door().accept_frame, polybolt.Reader().parse, polybolt_channel)
    assert listener(samples.POLYBOLT_TWAP).topics == {polybolt.TWAP}
    assert listener(samples.POLYBOLT_SPOT).topics == {polybolt.SPOT}


async def test_rtds_is_asked_for_one_topic_a_frame_the_short_average_among_them():
    """One bad topic can silence the others of its frame; the short average may never come: not waited for."""
    heard: list[str] = []

    async def on_client(client: ServerConnection) -> None:
        async for frame in client:
            heard.append(str(frame))
            await client.send(samples.TWAP)

    door = Door()
    async with served(on_client) as port:
        feed = rtds_feed(f"ws://127.0.0.1:{port}", door.clock, door.accept, door.accept_frame)
        async with running(feed.run()):
            await door.until(lambda: len(door.frames) == len(RTDS_TOPICS))
    entries = [json.loads(frame)["subscriptions"] for frame in heard]
    assert [[entry["topic"] for entry in one] for one in entries] == [[topic] for topic in RTDS_TOPICS]
    assert "crypto_prices_twap_thirty" in RTDS_TOPICS
    assert "crypto_prices_twap_thirty" not in RTDS_HABITS.silence_s


# --- books ------------------------------------------------------------------------------------------------


class Venue:
    """A market channel that notes who asks for what."""

    def __init__(self) -> None:
        self.asked: list[list[dict[str, object]]] = []
        self.left = 0
        self._changed = asyncio.Event()

    async def on_client(self, client: ServerConnection) -> None:
        mine: list[dict[str, object]] = []
        self.asked.append(mine)
        with contextlib.suppress(ConnectionClosed):
            async for frame in client:
                if frame != "PING":
                    mine.append(json.loads(frame))
                    await client.send(samples.BOOK)
                    self._changed.set()
        self.left += 1
        self._changed.set()

    async def until(self, what) -> None:
        async with asyncio.timeout(20):
            while not what():
                self._changed.clear()
                await self._changed.wait()


async def test_books_follow_the_tokens_that_are_wanted():
    """Nothing wanted: no connection. New ones are added, old ones taken off, the last one hangs up."""
    venue, door = Venue(), Door()
    async with served(venue.on_client) as port:
        clob = ClobFeed(f"ws://127.0.0.1:{port}", door.clock, door.accept, door.accept_frame)
        Pauses(clob.socket)
        async with running(clob.socket.run()):
            for others in (1, 2):  # each connects after it and is served: there was time to connect
                async with connect(f"ws://127.0.0.1:{port}") as other:
                    await (await other.ping())
                await venue.until(lambda others=others: venue.left == others)
                assert (len(venue.asked), door.events) == (others, [])
            venue.asked.clear()
            venue.left = 0
            await clob.want({"1", "2"})
            await venue.until(lambda: len(venue.asked) == 1 and len(venue.asked[0]) == 1)
            await door.until(lambda: door.count(BookReplaced) == 1)
            await clob.want({"2", "3"})
            await venue.until(lambda: len(venue.asked[0]) == 3)
            await clob.want(set())
            await door.until(lambda: door.count(FeedClosed) == 1)
            await venue.until(lambda: venue.left == 1)
            assert not clob.socket.wanted.is_set()
            await clob.want({"4"})
            await venue.until(lambda: len(venue.asked) == 2 and len(venue.asked[1]) == 1)
    first, added, removed = venue.asked[0]
    assert (first["assets_ids"], first["type"]) == (["1", "2"], "market")
    assert (added["operation"], added["assets_ids"]) == ("subscribe", ["3"])
    assert (removed["operation"], removed["assets_ids"]) == ("unsubscribe", ["1"])
    assert venue.asked[1][0]["assets_ids"] == ["4"], "nothing of the tokens of before"
    assert door.reasons[0] == "no token is wanted"


async def test_a_doubted_book_is_taken_off_and_asked_for_again():
    """A second subscription to the same token is passed over by the venue; what nobody wants stays out."""
    venue, door = Venue(), Door()
    async with served(venue.on_client) as port:
        clob = ClobFeed(f"ws://127.0.0.1:{port}", door.clock, door.accept, door.accept_frame)
        async with running(clob.socket.run()):
            await clob.want({"1", "2"})
            await door.until(lambda: door.count(BookReplaced) == 1)
            await clob.ask_again({"2", "9"})
            await venue.until(lambda: len(venue.asked[0]) == 3)
    assert [(frame["operation"], frame["assets_ids"]) for frame in venue.asked[0][1:]] == [
        ("unsubscribe", ["2"]),
        ("subscribe", ["2"]),
    ]


async def test_f19_books_that_freeze_while_pongs_and_listings_go_on_are_asked_for_anew():
    """A minute of the injected clock without a word of a book."""
    door = Door()

    async def on_client(client: ServerConnection) -> None:
        await client.send(samples.BOOK)
        while True:
            await client.send(samples.NEW_MARKET)
            await asyncio.sleep(0.02)

    async with served(on_client) as port:
        clob = ClobFeed(f"ws://127.0.0.1:{port}", door.clock, door.accept, door.accept_frame)
        async with running(clob.socket.run()):
            await clob.want({samples.UP})
            await door.until(lambda: door.count(BookReplaced) == 1)
            door.clock.advance(61.0)
            await door.until(lambda: door.count(BookReplaced) == 2)
    assert door.reasons == ["books silent for 61 s"]


# --- PolyBolt ---------------------------------------------------------------------------------------------


class PolyBolt:
    """The venue's side: wants keys first, then subscriptions; then says what the script wants."""

    def __init__(self, *connections: list[str], close: tuple[int, str] | None = None) -> None:
        self.heard: list[list[dict[str, object]]] = []
        self._connections = connections
        self._close = close

    async def on_client(self, client: ServerConnection) -> None:
        mine: list[dict[str, object]] = []
        self.heard.append(mine)
        mine.append(json.loads(await client.recv()))
        if self._close is not None:
            await client.close(*self._close)
            return
        await client.send('{"op":"authed","rid":"a1"}')
        for _ in range(2):
            frame = json.loads(await client.recv())
            mine.append(frame)
            channel = frame["subscriptions"][0]["channel"]
            await client.send(json.dumps({"op": "subscribed", "channel": channel, "rid": frame["rid"]}))
        for said in self._connections[min(len(self.heard), len(self._connections)) - 1]:
            await client.send(said)
        if len(self.heard) < len(self._connections):
            return
        await client.wait_closed()


def bolt(port: int, door: Door) -> PolyBoltFeed:
    return PolyBoltFeed(f"ws://127.0.0.1:{port}/ws", door.clock, door.accept, door.accept_frame, OURS)


async def test_polybolt_gets_the_keys_first_and_subscriptions_once_it_took_them():
    """Then snapshots and prices come by the one door, and a gap in the numbers is told."""
    venue = PolyBolt([samples.POLYBOLT_TWAP_HISTORY, samples.POLYBOLT_TWAP, numbered(1), numbered(4)])
    door = Door()
    async with served(venue.on_client) as port, running(bolt(port, door).socket.run()):
        await door.until(lambda: door.count(PricePrinted) == 3)
    auth, twap, spot = venue.heard[0]
    assert auth["auth"] == dict(zip(("apiKey", "secret", "passphrase"), SECRETS, strict=True))
    assert [frame["subscriptions"][0]["channel"] for frame in (twap, spot)] == [polybolt.TWAP, polybolt.SPOT]  # type: ignore[index]
    assert door.count(PriceHistoryServed) == 1
    lost = [(event.topic, event.count) for event in door.of(FramesLost)]  # type: ignore[union-attr]
    assert lost == [(polybolt.TWAP, 1), (polybolt.SPOT, 2)]


async def test_a_new_connection_to_polybolt_is_numbered_from_its_own_start():
    """The numbers begin again: taken as one row they would look late, and hide the first gap."""
    venue = PolyBolt([numbered(90)], [numbered(1), numbered(3)])
    door = Door()
    async with served(venue.on_client) as port:
        feed = bolt(port, door)
        Pauses(feed.socket)
        async with running(feed.socket.run()):
            await door.until(lambda: door.count(PricePrinted) == 3)
    assert door.epochs == [1, 2]
    assert [event.count for event in door.of(FramesLost)] == [1]  # type: ignore[union-attr]


@pytest.mark.parametrize("code", [4001, 4008])
async def test_polybolt_is_left_alone_when_it_says_so(code):
    """4001: the keys are wrong. 4008: we broke a rule. Both are the operator's to mend."""
    venue, door = PolyBolt(close=(code, "no")), Door()
    async with served(venue.on_client) as port, running(bolt(port, door).socket.run()):
        await door.until(lambda: door.count(FeedClosed) == 1)
        for _ in range(50):
            await asyncio.sleep(0)
    assert door.reasons[0].startswith("stopped: ")
    assert len(venue.heard) == 1


async def test_a_refusal_of_the_keys_stops_polybolt_even_without_its_close():
    """The error's code is enough."""
    door, clients = Door(), 0

    async def on_client(client: ServerConnection) -> None:
        nonlocal clients
        clients += 1
        await client.recv()
        await client.send('{"op":"error","code":"auth_invalid","rid":"a1"}')
        await client.wait_closed()

    async with served(on_client) as port, running(bolt(port, door).socket.run()):
        await door.until(lambda: door.count(FeedClosed) == 1)
    assert door.reasons[0].startswith("stopped: the venue refuses API_KEY")
    assert clients == 1


async def test_no_secret_leaves_the_frames_that_are_sent(caplog):
    """Not by what the venue repeats, understood or torn, nor by a close reason, a log or a repr."""
    caplog.set_level(logging.DEBUG)
    key, secret, passphrase = SECRETS
    door = Door()

    async def on_client(client: ServerConnection) -> None:
        told = str(await client.recv())
        await client.send(told)
        await client.send(told[:-4])
        await client.close(1011, f"bad {passphrase}")

    async with served(on_client, logger=logging.getLogger("a.server")) as port:
        logging.getLogger("a.server").setLevel(logging.INFO)
        url = f"ws://127.0.0.1:{port}"
        feed = bolt(port, door)
        user = user_feed(url, door.clock, door.accept, door.accept_frame, OURS)
        async with running(feed.socket.run(), user.run()):
            await door.until(lambda: door.count(FeedClosed) >= 2 and len(door.frames) >= 4)
    shown = caplog.text + repr(door.events) + repr(door.frames) + repr(vars(feed)) + repr(vars(user))
    for text in (key, secret, passphrase):
        assert text not in shown
    assert door.count(FrameRefused) >= 2, "the torn ones were seen"


# --- the account ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/ws/user"], ids=["its host", "its whole address"])
async def test_the_account_is_subscribed_to_at_once_and_our_own_orders_are_known(path):
    """The key marks them, and does not go further than that. Quiet for hours, it is no outage."""
    door, heard, paths, looks = Door(), [], [], []

    async def on_client(client: ServerConnection) -> None:
        paths.append(client.request.path if client.request else "")
        heard.append(json.loads(await client.recv()))
        await client.send(samples.ORDER_PLACED)
        await client.send(samples.TRADE_MADE)
        await client.wait_closed()

    async with served(on_client) as port:
        feed = user_feed(f"ws://127.0.0.1:{port}{path}", door.clock, door.accept, door.accept_frame, OURS)
        async with running(feed.run()):
            await door.until(lambda: len(door.frames) == 2)
            silent = feed._watchdog.silent

            def looked(now_ms, wall_s):
                looks.append(silent(now_ms, wall_s))
                door._changed.set()
                return looks[-1]

            feed._watchdog.silent = looked
            door.clock.advance(36_000.0)
            await door.until(lambda: len(looks) >= 2)
            assert (looks, door.count(FeedClosed)) == ([None] * len(looks), 0)
    assert paths == ["/ws/user"]
    assert (heard[0]["type"], heard[0]["auth"]["apiKey"]) == ("user", SECRETS[0])
    assert [type(event) for event in door.events][:2] == [FeedOpened, AccountOrderTold]
    made = door.events[2]
    assert getattr(made, "venue_order_id", None) == "0x91"
    assert SECRETS[0] not in repr(door.frames)
