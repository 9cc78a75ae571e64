"""RTDS over a real socket: formats as captured, and the habits that break clients."""

import json
from decimal import Decimal

import pytest
import websockets

from engine.wire import rtds as wire
from tests.practice.hand_made import (
    FINAL,
    STRIKE,
    HandMadeTape,
    at,
    frames_until,
    price,
    rtds,
    served,
    silence,
)
from tests.shared_data import needs_recordings, recording

BTC = '{"symbol":"btc/usd"}'

HISTORY = [
    price(-90.0),
    price(-20.0),
    price(-20.0, "twap", FINAL, 60),
    price(-19.0, "binance", Decimal("71500.5")),
    price(-18.0),
]
TAPE = [*HISTORY, price(0, "twap", STRIKE, 60), price(0.2), price(0.3, "binance", Decimal("71510.25"))]


def is_update(frame: object) -> bool:
    return isinstance(frame, dict) and frame["type"] == "update"


async def test_an_empty_text_greets_and_answers_ping():
    """Clients that parse every frame as JSON break on the real server's first frame; they must break here."""
    async with served(HandMadeTape([])) as urls, websockets.connect(urls["RTDS_WS_URL"]) as socket:
        assert await socket.recv() == ""
        await socket.send("PING")
        assert await socket.recv() == ""


async def test_the_average_is_exact_to_its_last_digit():
    """A strike is read off one frame: E18 and the number must both give the very value of the tape."""
    async with served(HandMadeTape(TAPE)) as urls, rtds(urls, "crypto_prices_twap_sixty", BTC) as socket:
        update = (await frames_until(socket, is_update))[-1]
    payload = update["payload"]
    assert payload["full_accuracy_value"] == "71485239657848320000000"
    assert Decimal(repr(payload["value"])) == STRIKE
    assert (payload["timestamp"], payload["window_s"], payload["symbol"]) == (at(0), 60, "btc/usd")
    assert update["timestamp"] == at(1.6)
    assert update["topic"] == "crypto_prices_twap_sixty"


async def test_the_snapshot_of_chainlink_spot_comes_under_the_name_of_binance():
    """Only the symbol tells which feed it is of; a client that routes by topic poisons its buffers."""
    async with served(HandMadeTape(TAPE)) as urls, rtds(urls, "crypto_prices_chainlink", BTC) as socket:
        snapshot = json.loads(await socket.recv())
    assert (snapshot["topic"], snapshot["type"]) == ("crypto_prices", "subscribe")
    assert snapshot["payload"]["symbol"] == "btc/usd"
    assert snapshot["payload"]["data"] == [
        {"timestamp": at(-20), "value": float(STRIKE)},
        {"timestamp": at(-18), "value": float(STRIKE)},
    ]


async def test_the_snapshot_of_an_average_names_its_window():
    """Without ``window_s`` nobody could tell it from spot."""
    async with served(HandMadeTape(TAPE)) as urls, rtds(urls, "crypto_prices_twap_sixty", BTC) as socket:
        snapshot = json.loads(await socket.recv())
    assert snapshot["topic"] == "crypto_prices_twap_sixty"
    assert snapshot["payload"]["window_s"] == 60
    assert snapshot["payload"]["data"] == [
        {"full_accuracy_value": "71481167290314860000000", "timestamp": at(-20), "value": float(FINAL)}
    ]


async def test_without_a_filter_there_is_no_snapshot():
    """The real server back-fills only filtered subscriptions."""
    async with served(HandMadeTape(TAPE)) as urls, rtds(urls, "crypto_prices_chainlink") as socket:
        assert is_update(json.loads(await socket.recv()))


async def test_binance_carries_plain_decimals():
    """Whoever divides them by 10^18 gets zero."""
    async with (
        served(HandMadeTape(TAPE)) as urls,
        rtds(urls, "crypto_prices", '{"symbol":"btcusdt"}') as socket,
    ):
        update = (await frames_until(socket, is_update))[-1]
    assert update["payload"]["full_accuracy_value"] == "71510.25000000"
    assert update["payload"]["symbol"] == "btcusdt"


async def test_a_space_in_the_filter_brings_the_snapshot_and_then_silence():
    """``json.dumps`` puts that space there; the real server never says why nothing comes."""
    spaced = json.dumps({"symbol": "btc/usd"})
    tape = HandMadeTape(TAPE)
    async with served(tape, speed=20) as urls, rtds(urls, "crypto_prices_chainlink", spaced) as socket:
        assert json.loads(await socket.recv())["type"] == "subscribe"
        assert await silence(socket)


@pytest.mark.parametrize("filters", ['["btc/usd"]', '{"symbol":"eth/usd"}', '{"symbol":"BTC/USD"}'])
async def test_other_filters_are_taken_and_bring_nothing(filters):
    """Accepted and silent, as observed; nothing in the connection tells."""
    tape = HandMadeTape(TAPE)
    async with served(tape, speed=20) as urls, rtds(urls, "crypto_prices_chainlink", filters) as socket:
        assert await silence(socket)


@pytest.mark.parametrize("filters", ["btcusdt,ethusdt", {"symbol": "btc/usd"}, 7])
async def test_a_filter_that_is_no_json_text_is_refused(filters):
    """The documentation's comma list among them."""
    async with served(HandMadeTape(TAPE)) as urls, rtds(urls, "crypto_prices", filters) as socket:
        assert json.loads(await socket.recv())["statusCode"] == 400


@needs_recordings
async def test_an_unknown_topic_is_refused_in_the_captured_words():
    """The text, misspelling and all, is what a client sees."""
    captured = recording("frames/current-2026-09/rtds_frames_2026-09-05.jsonl").read_text().splitlines()
    refusal = next(json.loads(line) for line in captured if "statusCode" in line)
    async with served(HandMadeTape([])) as urls, rtds(urls, "definitely_not_a_topic") as socket:
        assert json.loads(await socket.recv()) == refusal


async def test_one_wrong_topic_silences_its_whole_array():
    """Which is why clients send one topic a frame."""
    entries = [{"topic": "crypto_prices_chainlink", "type": "*"}, {"topic": "nonsense", "type": "*"}]
    async with (
        served(HandMadeTape(TAPE), speed=20) as urls,
        websockets.connect(urls["RTDS_WS_URL"]) as socket,
    ):
        assert await socket.recv() == ""
        await socket.send(json.dumps({"action": "subscribe", "subscriptions": entries}))
        assert json.loads(await socket.recv())["statusCode"] == 401
        assert await silence(socket)


async def test_unsubscribing_ends_the_updates_of_that_topic_alone():
    """Topics are added and removed on one connection."""
    later = [
        price(second / 2, source, STRIKE, 0) for second in range(40) for source in ("chainlink", "binance")
    ]
    async with served(HandMadeTape(later), speed=5) as urls, rtds(urls, "crypto_prices_chainlink") as socket:
        more = {"action": "subscribe", "subscriptions": [{"topic": "crypto_prices", "type": "*"}]}
        await socket.send(json.dumps(more))
        await frames_until(socket, lambda frame: frame["topic"] == "crypto_prices")
        less = {"action": "unsubscribe", "subscriptions": [{"topic": "crypto_prices_chainlink"}]}
        await socket.send(json.dumps(less))
        await socket.send("PING")
        await frames_until(socket, lambda frame: frame == "")
        rest = [json.loads(await socket.recv()) for _ in range(5)]
    assert {frame["topic"] for frame in rest} == {"crypto_prices"}


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "[" * 5000, '{"action":"subscribe"}', '{"subscriptions":[7]}']
)
async def test_nonsense_is_passed_over(text):
    """A client's mistake must not end the venue, nor its own connection."""
    async with served(HandMadeTape([])) as urls, websockets.connect(urls["RTDS_WS_URL"]) as socket:
        assert await socket.recv() == ""
        await socket.send(text)
        await socket.send("PING")
        assert await socket.recv() == ""


@needs_recordings
@pytest.mark.parametrize(
    ("topic", "filters", "captured_topic", "kind"),
    [
        ("crypto_prices_twap_sixty", BTC, "crypto_prices_twap_sixty", "update"),
        ("crypto_prices_twap_sixty", BTC, "crypto_prices_twap_thirty", "subscribe"),
        ("crypto_prices_chainlink", BTC, "crypto_prices_chainlink", "update"),
        ("crypto_prices", '{"symbol":"btcusdt"}', "crypto_prices", "update"),
        ("crypto_prices", '{"symbol":"btcusdt"}', "crypto_prices", "subscribe"),
    ],
)
async def test_frames_have_the_keys_of_the_captured_ones(topic, filters, captured_topic, kind):
    """In the captures' order, down to the points of a snapshot."""
    captured = recording("frames/current-2026-09/rtds_frames_2026-09-05.jsonl").read_text().splitlines()
    real = next(
        frame
        for frame in (json.loads(line) for line in captured if line.strip())
        if frame.get("topic") == captured_topic and frame["type"] == kind
    )
    async with served(HandMadeTape(TAPE)) as urls, rtds(urls, topic, filters) as socket:
        ours = (await frames_until(socket, lambda frame: frame["type"] == kind))[-1]
    assert list(ours) == list(real)
    assert list(ours["payload"]) == list(real["payload"])
    if kind == "subscribe":
        assert list(ours["payload"]["data"][0]) == list(real["payload"]["data"][0])


async def test_the_engine_reads_every_frame():
    """The engine's own subscription and parser, against the venue's own words."""
    async with served(HandMadeTape(TAPE)) as urls, websockets.connect(urls["RTDS_WS_URL"]) as socket:
        for topic, symbol in (
            (wire.CHAINLINK, "btc/usd"),
            (wire.TWAP_60, "btc/usd"),
            (wire.BINANCE, "btcusdt"),
        ):
            await socket.send(wire.subscribe(topic, symbol))
        events = []
        while sum(type(event).__name__ == "PricePrinted" for event in events) < 3:
            events += wire.parse(await socket.recv(), 0)
    printed = {event.source: event.value for event in events if type(event).__name__ == "PricePrinted"}
    served_back = {event.source for event in events if type(event).__name__ == "PriceHistoryServed"}
    assert printed == {"twap": STRIKE, "chainlink": STRIKE, "binance": Decimal("71510.25")}
    assert served_back == {"twap", "chainlink", "binance"}
