"""PolyBolt over a real socket: frames as the protocol sheet has them, numbers, refusals, limits."""

import itertools
import json
from decimal import Decimal

import pytest
import websockets

from engine.practice.simulated import simulate
from engine.practice.tape import PriceMoment
from engine.wire import polybolt as wire
from engine.wire.credentials import Credentials
from tests.practice.hand_made import (
    AVERAGE,
    CREDENTIALS,
    CRYPTO,
    FINAL,
    STRIKE,
    HandMadeTape,
    at,
    frames_until,
    polybolt,
    price,
    rtds,
    served,
    silence,
)

HISTORY = [price(-130.0), price(-100.0), price(-20.0, "twap", FINAL, 60)]
TAPE = [*HISTORY, price(0, "twap", STRIKE, 60), price(0.2), price(1, "twap", FINAL, 60)]


def is_live(frame):
    return isinstance(frame, dict) and "payload" in frame and "snapshot" not in frame


def connected(urls):
    return websockets.connect(urls["POLYBOLT_WS_URL"])


async def ask(socket, message):
    await socket.send(json.dumps(message))
    return json.loads(await socket.recv())


async def test_every_item_is_acknowledged_in_order_and_followed_by_its_snapshot():
    """The two minutes before, values exact and plain; the numbers count by channel."""
    async with served(HandMadeTape(TAPE)) as urls, polybolt(urls, CRYPTO, AVERAGE) as socket:
        acks_and_snapshots = [json.loads(await socket.recv()) for _ in range(4)]
    crypto, spot, average, mean = acks_and_snapshots
    assert crypto == {"op": "subscribed", "channel": "price.crypto", "rid": "s1"}
    assert average == {"op": "subscribed", "channel": "price.crypto.twap", "rid": "s1"}
    assert list(spot) == ["v", "channel", "seq", "ts", "snapshot", "payload"]
    assert (spot["v"], spot["channel"], spot["seq"], spot["snapshot"]) == (1, "price.crypto", 1, True)
    assert spot["payload"] == {
        "symbol": "btcusd",
        "source": "chainlink",
        "data": [
            {"timestamp": at(-100), "value": float(STRIKE), "full_accuracy_value": "71485.23965784832"},
        ],
    }
    assert (mean["seq"], mean["payload"]["window_seconds"]) == (1, 60)
    assert [point["full_accuracy_value"] for point in mean["payload"]["data"]] == ["71481.16729031486"]


async def test_live_frames_have_the_documented_keys_in_order():
    """As the sheet's examples; a value is written with eight decimals at least."""
    tape = HandMadeTape([price(0, value=Decimal("64126")), price(1, "twap", STRIKE, 60)])
    async with served(tape) as urls, polybolt(urls, CRYPTO, AVERAGE) as socket:
        frames = await frames_until(socket, lambda f: is_live(f) and f["channel"] == "price.crypto.twap")
    spot, mean = [frame for frame in frames if is_live(frame)]
    assert json.dumps(spot, separators=(",", ":")) == (
        f'{{"v":1,"channel":"price.crypto","seq":2,"ts":{at(1.6)},"payload":{{"symbol":"btcusd",'
        f'"value":64126.0,"full_accuracy_value":"64126.00000000","timestamp":{at(0)},"source":"chainlink"}}}}'
    )
    assert list(mean["payload"]) == [
        "symbol",
        "value",
        "full_accuracy_value",
        "timestamp",
        "window_seconds",
        "source",
    ]


async def test_values_are_those_of_rtds_for_the_same_second():
    """Two addresses of one stream: E18 there, a plain decimal here, equal to the last digit."""
    values = [STRIKE + Decimal(number).scaleb(-15) for number in range(6)]
    tape = HandMadeTape([price(number, "twap", value, 60) for number, value in enumerate(values)])
    async with (
        served(tape) as urls,
        rtds(urls, "crypto_prices_twap_sixty") as one,
        polybolt(urls, AVERAGE) as other,
    ):
        here = await frames_until(other, lambda f: is_live(f) and f["payload"]["timestamp"] == at(5))
        there = await frames_until(one, lambda f: f["payload"]["timestamp"] == at(5))
    exact = [Decimal(f["payload"]["full_accuracy_value"]) for f in here if is_live(f)]
    e18 = [Decimal(f["payload"]["full_accuracy_value"]).scaleb(-18) for f in there]
    assert exact == e18 == values


async def test_a_report_may_come_over_one_socket_alone():
    """What RTDS lost is on PolyBolt, also in its snapshot; and the other way round."""
    lost, kept = price(-5)._replace(over="polybolt"), price(-4)._replace(over="rtds")
    live = [price(1)._replace(over="rtds"), price(2)]
    async with (
        served(HandMadeTape([lost, kept, *live])) as urls,
        rtds(urls, "crypto_prices_chainlink", '{"symbol":"btc/usd"}') as one,
        polybolt(urls, CRYPTO) as other,
    ):
        snapshot, *here = (await frames_until(other, is_live))[1:]
        of_rtds, *there = await frames_until(one, lambda f: f["payload"].get("timestamp") == at(2))
    assert [point["timestamp"] for point in snapshot["payload"]["data"]] == [at(-5)]
    assert [point["timestamp"] for point in of_rtds["payload"]["data"]] == [at(-4)]
    assert [frame["payload"]["timestamp"] for frame in here] == [at(2)]
    assert [frame["payload"]["timestamp"] for frame in there] == [at(1), at(2)]


def test_each_socket_loses_seconds_of_its_own():
    """What one never gets, the other may; a value of a second is the same on both."""
    moments = itertools.takewhile(lambda m: m.due_ms < at(900), simulate(3, at(0), None).moments())
    seen = {"rtds": {}, "polybolt": {}}
    for moment in moments:
        if isinstance(moment, PriceMoment) and moment.source == "chainlink":
            seen[moment.over][moment.stamp_ms] = moment.value
    only_rtds, only_polybolt = (
        set(seen["rtds"]) - set(seen["polybolt"]),
        set(seen["polybolt"]) - set(seen["rtds"]),
    )
    assert len(only_rtds) > 20
    assert len(only_polybolt) > 20
    shared = set(seen["rtds"]) & set(seen["polybolt"])
    assert all(seen["rtds"][stamp] == seen["polybolt"][stamp] for stamp in shared)


async def test_a_repeated_subscription_brings_no_second_snapshot():
    """It is acknowledged; an end of it is too, and then nothing comes."""
    later = [price(second / 2) for second in range(60)]
    async with served(HandMadeTape(later), speed=5) as urls, polybolt(urls, CRYPTO) as socket:
        await frames_until(socket, is_live)
        await socket.send(json.dumps({"op": "subscribe", "rid": "again", "subscriptions": [CRYPTO]}))
        await socket.send(json.dumps({"op": "unsubscribe", "rid": "u1", "subscriptions": [CRYPTO]}))
        frames = await frames_until(socket, lambda f: f.get("op") == "unsubscribed")
        assert frames[-1] == {"op": "unsubscribed", "channel": "price.crypto", "rid": "u1"}
        assert {"op": "subscribed", "channel": "price.crypto", "rid": "again"} in frames
        assert not any("snapshot" in frame for frame in frames)
        assert await silence(socket)


async def test_numbers_begin_anew_with_a_connection():
    """A client that compares numbers across connections would see a gap where there is none."""
    later = [price(second / 2) for second in range(120)]
    async with served(HandMadeTape(later), speed=5) as urls:
        for _ in range(2):
            async with polybolt(urls, CRYPTO) as socket:
                frames = await frames_until(socket, lambda f: f.get("seq") == 5)
                assert [frame["seq"] for frame in frames[1:]] == [1, 2, 3, 4, 5]


async def test_ping_is_answered_before_authentication_too():
    """The text PING is none of its operations."""
    async with served(HandMadeTape([])) as urls, connected(urls) as socket:
        assert await ask(socket, {"op": "ping", "rid": "p1"}) == {"op": "pong", "rid": "p1"}
        await socket.send("PING")
        assert json.loads(await socket.recv()) == {"op": "error", "code": "bad_op"}


@pytest.mark.parametrize(
    "credentials",
    [
        None,
        {},
        {**CREDENTIALS, "secret": ""},
        {**CREDENTIALS, "passphrase": "wrong"},
        {**CREDENTIALS, "apiKey": 7},
    ],
)
async def test_wrong_credentials_end_the_connection_with_4001(credentials):
    """After that a client must not come back by itself."""
    async with served(HandMadeTape([])) as urls, connected(urls) as socket:
        refused = await ask(socket, {"op": "auth", "rid": "a1", "auth": credentials})
        assert refused == {"op": "error", "code": "auth_invalid", "rid": "a1"}
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4001


async def test_prices_need_credentials():
    """The refusal names the channel; the connection stays, so that a client can authenticate."""
    async with served(HandMadeTape([])) as urls, connected(urls) as socket:
        refused = await ask(socket, {"op": "subscribe", "rid": "s1", "subscriptions": [CRYPTO]})
        assert refused == {"op": "error", "code": "auth_required", "channel": "price.crypto", "rid": "s1"}
        assert (await ask(socket, {"op": "auth", "auth": CREDENTIALS})) == {"op": "authed"}


def subscribing(*items):
    return {"op": "subscribe", "rid": "r", "subscriptions": list(items)}


REFUSALS = (
    ({"op": "dance", "rid": "r"}, "bad_op"),
    ({"rid": "r"}, "bad_op"),
    ({"op": "subscribe", "rid": "r"}, "bad_op"),
    (subscribing(7), "bad_channel"),
    (subscribing({"channel": "price.cheese"}), "bad_channel"),
    (subscribing({**CRYPTO, "filter": None}), "bad_filter"),
    (subscribing({**CRYPTO, "filter": {"symbol": "btc/usd"}}), "bad_filter"),
    (subscribing({**CRYPTO, "filter": {"symbol": "btcusd", "provider": "pyth"}}), "bad_filter"),
    (subscribing({**AVERAGE, "filter": {"symbol": "btcusd", "window_seconds": 30}}), "bad_filter"),
)


async def test_what_is_not_understood_is_refused_by_code():
    """And the connection goes on."""
    async with served(HandMadeTape([])) as urls, polybolt(urls) as socket:
        for message, code in REFUSALS:
            refused = await ask(socket, message)
            assert (refused["op"], refused["code"], refused["rid"]) == ("error", code, "r"), message
        assert (await ask(socket, {"op": "ping"})) == {"op": "pong"}


async def closed_with(socket, last):
    frames = await frames_until(socket, lambda f: f.get("op") == "error")
    assert frames[-1]["code"] == last
    with pytest.raises(websockets.ConnectionClosed) as closed:
        await socket.recv()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def test_the_65th_subscription_ends_the_connection_with_4008():
    """64 are the most."""
    items = [{"channel": "price.equity", "filter": {"symbol": f"stock{n}"}} for n in range(65)]
    async with served(HandMadeTape([])) as urls, polybolt(urls, *items) as socket:
        assert await closed_with(socket, "sub_limit") == 4008


async def test_more_than_twenty_requests_in_a_second_end_it_too():
    """Counted by the wall, as the client sends."""
    async with served(HandMadeTape([])) as urls, polybolt(urls) as socket:
        for number in range(21):
            body = {"op": "subscribe", "rid": str(number), "subscriptions": [CRYPTO]}
            await socket.send(json.dumps(body))
        assert await closed_with(socket, "rate_limited") == 4008


async def test_the_ninth_authentication_ends_it_too():
    """Even where each of them is right."""
    async with served(HandMadeTape([])) as urls, polybolt(urls) as socket:
        for _ in range(8):
            await socket.send(json.dumps({"op": "auth", "auth": CREDENTIALS}))
        assert await closed_with(socket, "auth_attempts") == 4008


async def test_a_token_of_the_public_channel_is_acknowledged_and_cold():
    """It needs no credentials; practice serves touches on the CLOB's own channel."""
    item = {"channel": "price.polymarket", "filter": {"asset_id": "2174"}}
    async with served(HandMadeTape([])) as urls, connected(urls) as socket:
        assert (await ask(socket, {"op": "subscribe", "subscriptions": [item]}))["op"] == "subscribed"
        assert json.loads(await socket.recv())["payload"] == []


async def test_the_engine_reads_every_frame():
    """Its own words and its own parser, against the venue's."""
    keys, reader, events = Credentials("key", "secret", "words"), wire.Reader(), []
    async with served(HandMadeTape(TAPE)) as urls, connected(urls) as socket:
        for frame in (wire.auth(keys), wire.subscribe(wire.TWAP), wire.subscribe(wire.SPOT)):
            await socket.send(frame)
        while sum(type(event).__name__ == "PricePrinted" for event in events) < 3:
            events += reader.parse(await socket.recv(), 0)
    printed = [(e.source, e.value, e.ts_venue_ms) for e in events if type(e).__name__ == "PricePrinted"]
    assert printed == [
        ("polybolt", STRIKE, at(0)),
        ("chainlink", STRIKE, at(0.2)),
        ("polybolt", FINAL, at(1)),
    ]
    histories = {e.source: e.points for e in events if type(e).__name__ == "PriceHistoryServed"}
    assert histories == {"polybolt": ((at(-20), FINAL),), "chainlink": ((at(-100), STRIKE),)}
    assert not [event for event in events if type(event).__name__ in ("FrameRefused", "FramesLost")]


async def test_the_engine_counts_the_frames_that_a_gap_takes():
    """One in four: the number tells, whether the venue says so or not."""
    tape = HandMadeTape([price(second / 2) for second in range(60)])
    reader, lost = wire.Reader(), []
    async with served(tape, faults=["seq-gap:every=4"]) as urls, polybolt(urls, CRYPTO) as socket:
        while len(lost) < 2:
            events = reader.parse(await socket.recv(), 0)
            lost += [event for event in events if type(event).__name__ == "FramesLost"]
    assert [(event.topic, event.count) for event in lost] == [(wire.SPOT, 1)] * 2
