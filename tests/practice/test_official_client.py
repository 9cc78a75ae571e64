"""The official client, unmodified, trades against the venue over real sockets."""

import asyncio
import contextlib
import dataclasses
import json
from decimal import Decimal

import httpx
import pytest
import websockets
from eth_account import Account as Wallet
from polymarket.errors import OrderHeartbeatMismatchError, RequestRejectedError

from engine.practice.chain import Timings
from engine.practice.keys import PRACTICE_ADDRESS, credentials_of
from tests.practice.hand_made import DOWN, UP, HandMadeTape, at, books, now_ms, served
from tests.practice.official import bid, buy, cash, figures, official, sell, settled, shares, trades, until
from tests.practice.signing import STRANGER_KEY

START = 10_000_000_000
FEE_OF_TEN_AT_61 = 273_000
"""10 dollars buy 16.393442 shares; of these 7 % of 0.61 times 0.39, to five decimals."""


def tape(*moments):
    return HandMadeTape(sorted([*books(-1, 6000, 6100), *moments], key=lambda moment: moment.due_ms))


async def test_a_fok_that_the_book_can_fill_is_filled_and_confirmed():
    """Dollars leave at the match, shares come when the trade is mined, the book is the poorer for it."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        assert await cash(client) == START
        done = await buy(client, "10", "0.61")
        assert (done.ok, done.status, done.making_amount) == (True, "matched", 10)
        assert done.taking_amount == Decimal("16.393442")
        assert done.transactions_hashes == ()
        assert await cash(client) == START - 10_000_000 - FEE_OF_TEN_AT_61
        await settled(client)
        assert await shares(client, UP) == 16_393_442
        (trade,) = await trades(client, id=done.trade_ids[0])
        assert (trade.taker_order_id, trade.price, trade.trader_side) == (
            done.order_id,
            Decimal("0.61"),
            "TAKER",
        )
        assert trade.transaction_hash
        order = await client.get_order(order_id=done.order_id)
        assert (order.status, order.size_matched) == ("MATCHED", Decimal("16.393442"))
        up, down = await client.get_order_books(token_ids=[UP, DOWN])
        assert min(up.asks, key=lambda level: level.price).size == Decimal("83.606558")
        assert max(down.bids, key=lambda level: level.price).size == Decimal("83.606558")


async def test_a_fok_walks_the_levels_and_pays_each_its_price():
    """100 shares at 0.61, the rest at 0.62: one trade of two makers, one fee for both rounded together."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        done = await buy(client, "80", "0.63")
        await settled(client)
        (trade,) = await trades(client)
        worth = {
            maker.price if maker.asset_id == trade.asset_id else 1 - maker.price: maker.matched_amount
            for maker in trade.maker_orders
        }
        assert worth == {Decimal("0.61"): 100, Decimal("0.62"): Decimal("30.645161")}
        assert (trade.size, trade.price) == (Decimal("130.645161"), Decimal("0.6123"))
        assert done.taking_amount == Decimal("130.645161")
        fee = 1_665_300 + round(30.645161 * 0.07 * 0.62 * 0.38 * 1e6)
        assert abs(START - 80_000_000 - await cash(client) - fee) <= 10


async def test_a_fok_that_the_book_cannot_fill_is_killed_and_costs_nothing():
    """With the text that tells a kill from every other refusal; its id tells the same afterwards."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        for dollars, limit in (("10", "0.60"), ("1000", "0.63")):
            with pytest.raises(RequestRejectedError, match="FOK orders are fully filled or killed") as killed:
                await buy(client, dollars, limit)
            assert killed.value.status == 400
        assert await cash(client) == START
        assert await trades(client) == []


async def test_the_book_after_the_hold_counts_and_not_the_one_before():
    """The ask goes in the middle of the hold, which is long here; nothing cancels the order meanwhile."""
    moved = books(3.0, 6400, 6500)
    async with (
        served(tape(*moved), speed=1, timings=Timings(hold_ms=2_000)) as urls,
        official(urls) as client,
    ):
        order = await client.create_market_order(
            token_id=UP, side="BUY", amount="10", max_price="0.61", order_type="FOK"
        )

        async def is_time():
            return await now_ms(urls) >= at(2)

        await until(is_time)
        posting = asyncio.create_task(client.post_order(order))

        async def is_held():
            held = await client.cancel_all()
            assert held.canceled == ()
            return any("pending/delayed" in why for why in held.not_canceled.values())

        await until(is_held)
        assert await now_ms(urls) < at(3), "the machine was too slow for this test to say anything"
        with pytest.raises(RequestRejectedError, match="fully filled or killed"):
            await posting
        assert await now_ms(urls) >= at(4)


async def test_a_fak_takes_what_is_there():
    """And is refused where nothing is."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        done = await buy(client, "1000", "0.61", "FAK")
        assert (done.making_amount, done.taking_amount) == (61, 100)
        with pytest.raises(RequestRejectedError, match="no orders found to match with FAK order"):
            await buy(client, "10", "0.61", "FAK")


async def test_shares_are_sold_again():
    """What is not mined yet cannot be sold; the fee comes out of what the shares bring."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        await buy(client, "61", "0.61")
        with pytest.raises(RequestRejectedError, match="balance: 0, order amount: 100000000"):
            await sell(client, "100", "0.60")
        await settled(client)
        before = await cash(client)
        done = await sell(client, "100", "0.60")
        assert (done.making_amount, done.taking_amount) == (100, 60)
        await settled(client)
        assert await shares(client, UP) == 0
        assert await cash(client) == before + 60_000_000 - 1_680_000


async def test_a_limit_order_rests_is_listed_and_cancelled():
    """By id, by market and all at once; what is gone is not cancelled twice."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        resting = [await bid(client, "0.30", token=token) for token in (UP, UP, DOWN)]
        assert {order.status for order in resting} == {"live"}
        first, second, third = (order.order_id for order in resting)
        listed = [order.id async for page in client.list_open_orders() for order in page.items]
        assert listed == [first, second, third]
        assert (await client.cancel_order(order_id=first)).canceled == (first,)
        assert (await client.cancel_order(order_id=first)).not_canceled == {first: "order already canceled"}
        assert (await client.cancel_order(order_id="0x1")).not_canceled == {"0x1": "order not found"}
        assert (await client.cancel_market_orders(token_id=UP)).canceled == (second,)
        assert (await client.cancel_all()).canceled == (third,)
        assert (await client.get_order(order_id=third)).status == "CANCELED"
        assert await cash(client) == START


async def test_a_resting_order_is_filled_when_the_book_comes_to_it():
    """As a maker: at its own price, without fee."""
    later = books(20, 5400, 5500, size=4_000_000)
    async with served(tape(*later), speed=20) as urls, official(urls) as client:
        assert (await bid(client, "0.55")).status == "live"
        await settled(client)
        (trade,) = await trades(client)
        assert (trade.trader_side, trade.size, trade.maker_orders[0].side) == ("MAKER", 4, "BUY")
        assert await cash(client) == START - 2_200_000
        assert [order.size_matched async for page in client.list_open_orders() for order in page.items] == [4]


async def test_orders_that_nobody_can_pay_are_refused_in_millionths():
    """Balance and amount as the exchange writes them; what rests counts."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        await bid(client, "0.50", "19999")
        with pytest.raises(RequestRejectedError, match="balance: 500000, order amount: 10000000"):
            await buy(client, "10", "0.61")


async def test_several_orders_at_once_are_answered_one_by_one():
    """A refused one is a success by name, with its error in words and no id."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        orders = [
            await client.create_market_order(
                token_id=UP, side="BUY", amount="10", max_price=limit, order_type="FOK"
            )
            for limit in ("0.61", "0.55")
        ]
        good, bad = await client.post_orders(orders)
        assert (good.ok, bad.ok, bad.code) == (True, False, "fok_not_filled")


async def test_another_key_is_somebody_else_without_money():
    """Keys are made on demand; a wrong one cannot sign for the practice account."""
    async with served(tape(), speed=20) as urls:
        address = Wallet.from_key(STRANGER_KEY).address
        async with official(urls, STRANGER_KEY, address) as stranger, official(urls) as client:
            assert await cash(stranger) == 0
            with pytest.raises(RequestRejectedError, match="not enough balance"):
                await buy(stranger, "10", "0.61")
            theirs = await stranger.create_market_order(
                token_id=UP, side="BUY", amount="10", max_price="0.61", order_type="FOK"
            )
            with pytest.raises(RequestRejectedError, match="the order signer address has to be"):
                await client.post_order(theirs)
            forged = dataclasses.replace(theirs, maker=PRACTICE_ADDRESS, signer=PRACTICE_ADDRESS)
            with pytest.raises(RequestRejectedError, match="invalid signature"):
                await client.post_order(forged)
            assert await cash(client) == START


async def test_positions_pay_a_while_after_the_market_resolved():
    """Down won: its shares are a dollar each, and what rested is cancelled."""
    async with served(tape(), speed=200) as urls, official(urls) as client:
        await buy(client, "20", "0.40", token=DOWN)
        await bid(client, "0.30")
        await settled(client)
        bought, before = await shares(client, DOWN), await cash(client)
        assert bought == 50_000_000

        async def is_paid():
            return await shares(client, DOWN) == 0

        await until(is_paid)
        assert await cash(client) == before + bought
        assert (await figures(urls))["open"] == 0
        with pytest.raises(RequestRejectedError, match="No orderbook exists") as closed:
            await buy(client, "10", "0.61")
        assert closed.value.status == 404


async def test_heartbeats_are_chained_and_silence_cancels(monkeypatch):
    """A wrong id names the right one; who armed the switch and dies loses what rests."""
    monkeypatch.setattr("engine.practice.heartbeats.CHECK_S", 0.1)
    monkeypatch.setattr("engine.practice.heartbeats.DEADLINE_S", 0.3)
    async with served(tape(), speed=1) as urls, official(urls) as client:
        first = await client.send_order_heartbeat()
        with pytest.raises(OrderHeartbeatMismatchError) as wrong:
            await client.send_order_heartbeat(heartbeat_id="")
        assert wrong.value.heartbeat_id == first.heartbeat_id
        await client.send_order_heartbeat(heartbeat_id=first.heartbeat_id)
        resting = await bid(client, "0.30")

        async def is_cancelled():
            return (await client.get_order(order_id=resting.order_id)).status == "CANCELED"

        await until(is_cancelled)


async def test_the_user_channel_tells_a_trade_from_match_to_confirmation():
    """And a kill in the exchange's odd form, to the key's owner alone."""
    made = credentials_of(PRACTICE_ADDRESS, 0)
    async with contextlib.AsyncExitStack() as stack:
        urls = await stack.enter_async_context(served(tape(), speed=20))
        client = await stack.enter_async_context(official(urls))
        address = f"{urls['CLOB_USER_WS_URL']}/ws/user"
        socket = await stack.enter_async_context(websockets.connect(address))
        await socket.send(json.dumps({"auth": made.described(), "type": "user"}))
        await socket.send("PING")
        assert await socket.recv() == "PONG"
        with pytest.raises(RequestRejectedError):
            await buy(client, "10", "0.60")
        killed = json.loads(await socket.recv())
        assert (killed["type"], killed["size_matched"]) == ("CANCELLATION", "")
        assert killed["status"].startswith("CANCELED_order couldn't be fully filled")
        done = await buy(client, "10", "0.61")
        told = [json.loads(await asyncio.wait_for(socket.recv(), 5)) for _ in range(4)]
    assert [event["status"] for event in told] == ["MATCHED", "MATCHED", "MINED", "CONFIRMED"]
    assert [event["event_type"] for event in told] == ["trade", "order", "trade", "trade"]
    assert {event["id"] for event in told if event["event_type"] == "trade"} == set(done.trade_ids)
    assert told[2]["transaction_hash"]


async def test_where_one_may_trade_and_what_the_account_may():
    """Open, until a fault says otherwise."""
    async with served(tape(), speed=20) as urls, official(urls) as client, httpx.AsyncClient() as http:
        assert await client.get_closed_only_mode() is False
        told = (await http.get(f"{urls['SITE_PRICE_URL']}/api/geoblock")).json()
        assert told == {"blocked": False, "ip": "127.0.0.1", "country": "XX", "region": ""}
