"""The user channel over a real socket; events come by the control call here, not by orders."""

import json

import httpx
import pytest
import websockets

from engine.wire import clob_user as wire
from engine.wire.credentials import Credentials
from tests.practice.hand_made import CREDENTIALS, HandMadeTape, now_ms, served, silence, user

MARKET = "0xabc"


async def tell(urls, **event):
    async with httpx.AsyncClient() as client:
        return await client.post(f"{urls['CLOB_HOST']}/control/user", json=event)


def connected(urls):
    return websockets.connect(f"{urls['CLOB_USER_WS_URL']}/ws/user")


async def test_an_order_event_has_the_documented_keys_and_its_owner():
    """Only what differs from the documented example must be told."""
    async with served(HandMadeTape([])) as urls, user(urls) as socket:
        told = await tell(urls, event_type="order", market=MARKET, id="0x1", status="MATCHED", price="0.97")
        assert told.json() == {"sent": 1}
        event = json.loads(await socket.recv())
        assert abs(int(event["timestamp"]) - await now_ms(urls)) < 10_000
    assert (
        list(event)
        == (
            "event_type id owner market asset_id side order_owner original_size size_matched price "
            "associate_trades outcome type created_at expiration order_type status maker_address timestamp"
        ).split()
    )
    assert (event["market"], event["id"], event["status"], event["price"]) == (
        MARKET,
        "0x1",
        "MATCHED",
        "0.97",
    )
    assert event["owner"] == event["order_owner"] == CREDENTIALS["apiKey"]


async def test_a_trade_event_has_the_documented_keys():
    """With the maker orders that were told."""
    makers = [{"order_id": "0x2", "owner": "key", "matched_amount": "10", "price": "0.52"}]
    async with served(HandMadeTape([])) as urls, user(urls) as socket:
        await tell(urls, event_type="trade", id="t1", status="CONFIRMED", maker_orders=makers)
        event = json.loads(await socket.recv())
    assert (
        list(event)
        == (
            "event_type type id taker_order_id market asset_id side size fee_rate_bps price status "
            "match_time last_update outcome owner trade_owner maker_address transaction_hash bucket_index "
            "maker_orders trader_side timestamp"
        ).split()
    )
    assert (event["id"], event["status"], event["maker_orders"]) == ("t1", "CONFIRMED", makers)


async def test_markets_are_chosen_added_and_removed_by_condition_id():
    """Without a list all of them are heard."""
    async with served(HandMadeTape([])) as urls, user(urls) as everything, user(urls, markets=["0x1"]) as one:
        for market in ("0x1", "0x2"):
            await tell(urls, event_type="order", market=market)
        assert [json.loads(await everything.recv())["market"] for _ in range(2)] == ["0x1", "0x2"]
        assert json.loads(await one.recv())["market"] == "0x1"
        await one.send(json.dumps({"operation": "subscribe", "markets": ["0x2"]}))
        await one.send(json.dumps({"operation": "unsubscribe", "markets": ["0x1"]}))
        await one.send("PING")
        assert await one.recv() == "PONG"
        for market in ("0x1", "0x2"):
            await tell(urls, event_type="order", market=market)
        assert json.loads(await one.recv())["market"] == "0x2"
        assert await silence(one)


async def test_events_of_another_owner_are_not_told():
    """An account hears of itself alone."""
    async with served(HandMadeTape([])) as urls, user(urls) as socket:
        assert (await tell(urls, event_type="order", owner="somebody")).json() == {"sent": 0}
        assert await silence(socket)


@pytest.mark.parametrize(
    "first",
    [
        {"type": "user"},
        {"type": "user", "auth": {**CREDENTIALS, "secret": "wrong"}},
        {"operation": "subscribe", "markets": []},
    ],
)
async def test_whoever_does_not_authenticate_first_is_closed(first):
    """With 1008, as decided here: the real server's ways are not documented."""
    async with served(HandMadeTape([])) as urls, connected(urls) as socket:
        await socket.send(json.dumps(first))
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_a_silent_client_is_closed(monkeypatch):
    """The subscription is due at once; PING is not one."""
    monkeypatch.setattr("engine.practice.clob_socket.SILENT_CLIENT_S", 0.1)
    async with served(HandMadeTape([])) as urls, connected(urls) as socket:
        await socket.send("PING")
        assert await socket.recv() == "PONG"
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()


@pytest.mark.parametrize(
    "event",
    [{"event_type": "gossip"}, {"event_type": "order", "mood": "good"}, {"event_type": "trade", "type_": 1}],
)
async def test_events_that_the_protocol_does_not_have_are_refused(event):
    """A drill with a misspelt field would prove nothing."""
    async with served(HandMadeTape([])) as urls:
        assert (await tell(urls, **event)).status_code == 400


async def test_the_engine_reads_every_event():
    """Its own subscription and parser: an order, a trade as taker, a trade as maker."""
    keys = Credentials("our-key", "secret", "words")
    makers = [
        {
            "order_id": "0x2",
            "owner": "our-key",
            "maker_address": "0x0",
            "matched_amount": "4",
            "price": "0.48",
            "fee_rate_bps": "0",
            "asset_id": "222",
            "outcome": "Down",
            "outcome_index": 1,
            "side": "BUY",
        }
    ]
    async with served(HandMadeTape([])) as urls, connected(urls) as socket:
        await socket.send(wire.subscribe(keys))
        await socket.send("PING")
        assert await socket.recv() == "PONG"
        common = {"market": MARKET, "asset_id": "111"}
        await tell(urls, event_type="order", id="0x1", type="CANCELLATION", **common)
        await tell(urls, event_type="trade", id="t1", taker_order_id="0x1", status="CONFIRMED", **common)
        await tell(
            urls,
            event_type="trade",
            id="t2",
            trader_side="MAKER",
            trade_owner="other",
            maker_orders=makers,
            **common,
        )
        events = [event for _ in range(3) for event in wire.parse(await socket.recv(), 0, "our-key")]
    order, taken, made = events
    assert (order.venue_order_id, order.change, order.token) == ("0x1", "CANCELLATION", "111")
    assert (taken.trade_id, taken.venue_order_id, taken.status) == ("t1", "0x1", "CONFIRMED")
    assert (made.trade_id, made.venue_order_id, made.token, made.price_e4) == ("t2", "0x2", "222", 4800)
