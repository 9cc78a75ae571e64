"""The exchange ticker over a real socket, in Coinbase's format."""

import gzip
import json
from decimal import Decimal

import pytest
import websockets

from engine.wire import spot as wire
from tests.practice.hand_made import HandMadeTape, at, frames_until, price, served, silence
from tests.shared_data import needs_recordings, recording

SUBSCRIBE = {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["ticker"]}
TAPE = [price(-10, "spot", Decimal("71480.10")), price(0, "spot", Decimal("71500.25"))]


async def test_a_subscription_is_acknowledged_and_followed_by_tickers():
    """The newest price at once, then every new one."""
    async with served(HandMadeTape(TAPE)) as urls, websockets.connect(urls["SPOT_URL"]) as socket:
        await socket.send(json.dumps(SUBSCRIBE))
        frames = await frames_until(socket, lambda frame: frame.get("price") == "71500.25")
    assert [frame["type"] for frame in frames] == ["subscriptions", "ticker", "ticker"]
    assert frames[1]["price"] == "71480.10"
    assert frames[2]["time"] == "2026-09-23T01:30:00.000000Z"


async def test_nothing_comes_before_the_subscription_or_after_its_end():
    """And a price of another source is not the exchange's."""
    values = {"spot": Decimal("71480.10"), "chainlink": Decimal("71500.25")}
    tape = HandMadeTape([price(second, *one) for second in range(40) for one in values.items()])
    async with served(tape, speed=20) as urls, websockets.connect(urls["SPOT_URL"]) as socket:
        assert await silence(socket)
        await socket.send(json.dumps(SUBSCRIBE))
        seen = await frames_until(socket, lambda frame: frame["type"] == "ticker" and frame["sequence"] > 2)
        assert {frame["type"] for frame in seen} == {"subscriptions", "ticker"}
        assert {frame["price"] for frame in seen if frame["type"] == "ticker"} == {"71480.10"}
        await socket.send(json.dumps({**SUBSCRIBE, "type": "unsubscribe"}))
        await frames_until(socket, lambda frame: frame == {"type": "subscriptions", "channels": []})
        assert await silence(socket)


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({**SUBSCRIBE, "product_ids": ["ETH-USD"]})])
async def test_what_is_not_served_is_refused_in_words(text):
    """As the exchange does it."""
    async with served(HandMadeTape([])) as urls, websockets.connect(urls["SPOT_URL"]) as socket:
        await socket.send(text)
        assert json.loads(await socket.recv())["type"] == "error"


async def test_the_engine_reads_the_ticker():
    """Its own subscription, its own parser."""
    async with served(HandMadeTape(TAPE)) as urls, websockets.connect(urls["SPOT_URL"]) as socket:
        await socket.send(wire.subscribe())
        events = [wire.parse(await socket.recv(), 0)[0] for _ in range(3)]
    assert (events[2].value, events[2].ts_venue_ms, events[2].source) == (Decimal("71500.25"), at(0), "spot")


@needs_recordings
async def test_frames_have_the_keys_of_the_captured_ones():
    """Acknowledgement and ticker, in the captures' order."""
    real = {}
    with gzip.open(recording("frames/rtds-clob-rtds-natural-20260428d.jsonl.gz"), "rt") as lines:
        for line in lines:
            record = json.loads(line) if line.strip() else {}
            if record.get("source") == "coinbase":
                frame = json.loads(record["payload"])
                real[frame["type"]] = frame
    assert set(real) == {"subscriptions", "ticker"}
    async with served(HandMadeTape(TAPE)) as urls, websockets.connect(urls["SPOT_URL"]) as socket:
        await socket.send(json.dumps(SUBSCRIBE))
        ours = {frame["type"]: frame for frame in await frames_until(socket, lambda f: f["type"] == "ticker")}
    assert {kind: list(frame) for kind, frame in ours.items()} == {kind: list(f) for kind, f in real.items()}
