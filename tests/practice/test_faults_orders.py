"""The private side's faults, as the official client meets them."""

import asyncio
import json
from functools import partial

import httpx
import pytest
import websockets
from polymarket.errors import RateLimitError, RequestRejectedError, TransportError

from engine.practice.chain import Timings
from engine.practice.keys import PRACTICE_ADDRESS, credentials_of
from engine.practice.order_errors import CATALOGUE
from tests.practice.faulty import did
from tests.practice.hand_made import (
    DOWN,
    UP,
    HandMadeTape,
    at,
    books,
    end_faults,
    now_ms,
    served,
    start_fault,
)
from tests.practice.official import bid, buy, cash, figures, official, settled, shares, trades, until

START = 10_000_000_000


def tape():
    return HandMadeTape(books(-1, 6000, 6100))


async def test_a_lost_answer_leaves_an_order_that_was_executed():
    """Its hash, which the client knows, and its trades tell what became of it."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        await start_fault(urls, "lost-answer", count=1)
        with pytest.raises(TransportError):
            await buy(client, "10", "0.61")
        (trade,) = await trades(client)
        assert (await client.get_order(order_id=trade.taker_order_id)).status == "MATCHED"
        assert await cash(client) == START - 10_273_000
        assert (await buy(client, "10", "0.61")).ok
        assert await did(urls, "lost-answer") == {"answers lost": 1}


async def test_a_call_that_was_never_heard_leaves_nothing():
    """To the client it looks the same."""
    async with served(tape(), speed=20, faults=["lost-answer:executed=no"]) as urls:
        async with official(urls) as client:
            with pytest.raises(TransportError):
                await buy(client, "10", "0.61")
            assert await cash(client) == START
        assert (await figures(urls))["orders"] == 0


@pytest.mark.parametrize(("what", "executed"), [("answer", 1), ("order", 0)])
async def test_a_slow_order_outlasts_the_clients_patience(what, executed):
    """Executed at once and answered late, or heard late: both time out, and both are done in the end."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        await start_fault(urls, "slow-order", ms=1500, what=what)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await buy(client, "10", "0.61")
        assert (await figures(urls))["orders"] == executed

        async def is_done():
            return (await figures(urls))["orders"] == 1 and await cash(client) == START - 10_273_000

        await until(is_done)


@pytest.mark.parametrize("name", ["execution", "balance", "duplicate", "order-manager", "old-client", "oom"])
async def test_any_text_of_the_catalogue_can_be_answered(name):
    """With its status; nothing was executed."""
    fault = f"order-error:error={name}"
    async with served(tape(), speed=20, faults=[fault]) as urls, official(urls) as client:
        with pytest.raises(RequestRejectedError) as refused:
            await buy(client, "10", "0.61")
        before, _, after = CATALOGUE[name].text.partition("{id}")
        assert refused.value.status == CATALOGUE[name].status
        assert str(refused.value).startswith(before)
        assert str(refused.value).endswith(after)
        assert "{" not in str(refused.value)
        assert await cash(client) == START


async def test_a_refusal_may_come_in_the_body_or_be_untrue():
    """Status 200 with errorMsg, or status 500 for an order that was executed."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        await start_fault(urls, "order-error", error="fok", form="body", count=1)
        refused = await buy(client, "10", "0.61")
        assert (refused.ok, refused.code) == (False, "fok_not_filled")
        await start_fault(urls, "order-error", error="execution", executed="yes")
        with pytest.raises(RequestRejectedError, match="could not run the execution"):
            await buy(client, "10", "0.61")
        assert len(await trades(client)) == 1


async def test_a_ghost_fill_is_matched_and_then_undone():
    """As often as was asked for; the next one confirms."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        await start_fault(urls, "ghost-fill", count=1)
        assert (await buy(client, "10", "0.61")).status == "matched"
        await settled(client, "FAILED")
        assert (await cash(client), await shares(client, UP)) == (START, 0)
        done = await buy(client, "10", "0.61")

        async def is_confirmed():
            return (await trades(client, id=done.trade_ids[0]))[0].status == "CONFIRMED"

        await until(is_confirmed)
        assert await did(urls, "ghost-fill") == {"orders undone": 1}


async def test_a_trade_is_retried_on_its_way():
    """And comes to the end it would have come to anyway: confirmed, or failed."""
    slow = Timings(mined_ms=20_000, failed_ms=20_000)
    async with served(tape(), speed=20, timings=slow) as urls, official(urls) as client:
        for fault, end in (((), "CONFIRMED"), (("ghost-fill",), "FAILED")):
            await start_fault(urls, "retrying-trade", count=1)
            for name in fault:
                await start_fault(urls, name, count=1)
            done = await buy(client, "10", "0.61")

            async def has_become(status, trade_id=done.trade_ids[0]):
                return (await trades(client, id=trade_id))[0].status == status

            await until(partial(has_become, "RETRYING"))
            await until(partial(has_become, end))
        assert await did(urls, "retrying-trade") == {"orders retried": 2}


async def test_trades_are_listed_late():
    """The answer names them, and so does the order; the list does not, until their time has come."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        await start_fault(urls, "late-trades", s=20)
        done = await buy(client, "10", "0.61")
        assert [await trades(client), await trades(client, id=done.trade_ids[0])] == [[], []]
        assert (await client.get_order(order_id=done.order_id)).associate_trades == done.trade_ids

        async def is_listed():
            return [trade.id for trade in await trades(client)] == list(done.trade_ids)

        await until(is_listed)
        assert (await did(urls, "late-trades"))["trades left out"] >= 2


async def test_a_stuck_payout_comes_when_the_fault_ends():
    """Once, and whole."""
    async with served(tape(), speed=200) as urls, official(urls) as client:
        await start_fault(urls, "stuck-redeem")
        await buy(client, "20", "0.40", token=DOWN)
        await settled(client)
        before, bought = await cash(client), await shares(client, DOWN)

        async def is_overdue():
            return await now_ms(urls) > at(300 + 150)

        await until(is_overdue)
        assert (await cash(client), await shares(client, DOWN)) == (before, bought)
        await end_faults(urls)
        assert (await cash(client), await shares(client, DOWN)) == (before + bought, 0)


async def test_an_allowance_that_is_too_small_refuses_orders_above_it():
    """In the exchange's words, which the client's own ``place`` calls would answer with a transaction."""
    async with served(tape(), speed=20, faults=["low-allowance:5"]) as urls, official(urls) as client:
        told = await client.get_balance_allowance(asset_type="COLLATERAL")
        assert set(told.allowances.values()) == {5_000_000}
        with pytest.raises(RequestRejectedError, match="allowance: 5000000, order amount: 10000000"):
            await buy(client, "10", "0.61")
        assert (await buy(client, "5", "0.61")).ok


async def test_events_come_twice_and_the_second_one_late():
    """A copy of MATCHED after CONFIRMED."""
    made = credentials_of(PRACTICE_ADDRESS, 0).described()
    async with served(tape(), speed=20, faults=["duplicate-event:s=9"]) as urls, official(urls) as client:
        address = f"{urls['CLOB_USER_WS_URL']}/ws/user"
        socket = await websockets.connect(address)
        await socket.send(json.dumps({"auth": made, "type": "user"}))
        await socket.send("PING")
        assert await socket.recv() == "PONG"
        await buy(client, "10", "0.61")
        told = [json.loads(await asyncio.wait_for(socket.recv(), 5)) for _ in range(8)]
        await socket.close()
    statuses = [event["status"] for event in told if event["event_type"] == "trade"]
    assert statuses == ["MATCHED", "MINED", "CONFIRMED", "MATCHED", "MINED", "CONFIRMED"]


MODES = {
    "425": (425, "service not ready", "restarting", True),
    "post-only": (503, "post-only mode: only post-only orders and cancels are allowed", "post_only", False),
    "cancel-only": (503, "Trading is currently cancel-only", "cancel_only", False),
    "trading-disabled": (503, "Trading is currently disabled", None, True),
    "geo-403": (403, "Trading restricted in your region", None, False),
    "closed-only": (400, f"'{PRACTICE_ADDRESS}' address in closed only mode", None, False),
    "401-clock": (401, "Unauthorized/Invalid api key", None, True),
    "clock-skew": (401, "Unauthorized/Invalid api key", None, True),
}


@pytest.mark.parametrize("name", MODES)
async def test_a_restriction_refuses_orders_and_some_refuse_cancels_too(name):
    """As the official client reads it; once it is over everything goes on."""
    status, text, restriction, stops_cancels = MODES[name]
    async with served(tape(), speed=20) as urls, official(urls) as client:
        order = await bid(client, "0.30")
        await start_fault(urls, name)
        with pytest.raises(RequestRejectedError) as refused:
            await buy(client, "10", "0.61")
        assert (refused.value.status, refused.value.restriction) == (status, restriction)
        assert str(refused.value).startswith(text)
        if stops_cancels:
            with pytest.raises(RequestRejectedError) as refused:
                await client.cancel_all()
            assert refused.value.status == status
        else:
            assert (await client.cancel_all()).canceled == (order.order_id,)
        await end_faults(urls)
        assert (await buy(client, "10", "0.61")).ok


async def test_post_only_mode_takes_post_only_orders_and_says_how_long():
    """Several orders at once are refused one by one, with status 200."""
    async with served(tape(), speed=20, faults=["post-only"]) as urls, official(urls) as client:
        assert (await bid(client, "0.30", post_only=True)).status == "live"
        with pytest.raises(RequestRejectedError) as refused:
            await bid(client, "0.30")
        assert (refused.value.code, refused.value.retry_after) == ("post_only_mode", 79)
        order = await client.create_limit_order(token_id=UP, side="BUY", price="0.30", size="10")
        (leg,) = await client.post_orders([order])
        assert (leg.ok, leg.code) == (False, "post_only_mode")


async def test_429_says_how_long_to_wait():
    """For orders, as often as was asked for."""
    fault = "429:retry_after_s=7,count=1"
    async with served(tape(), speed=20, faults=[fault]) as urls, official(urls) as client:
        with pytest.raises(RateLimitError) as limited:
            await buy(client, "10", "0.61")
        assert limited.value.retry_after == 7
        assert (await buy(client, "10", "0.61")).ok


async def test_region_and_closed_only_can_be_asked_for():
    """Before going live, not after the first refusal."""
    async with served(tape(), speed=20, faults=["geo-403", "closed-only"]) as urls, official(urls) as client:
        assert await client.get_closed_only_mode() is True
        async with httpx.AsyncClient() as http:
            told = (await http.get(f"{urls['SITE_PRICE_URL']}/api/geoblock")).json()
        assert (told["blocked"], told["country"]) == (True, "US")


async def test_exits_go_on_in_closed_only_mode():
    """Only what adds to a position is refused."""
    async with served(tape(), speed=20) as urls, official(urls) as client:
        await buy(client, "61", "0.61")
        await settled(client)
        await start_fault(urls, "closed-only")
        order = await client.create_market_order(
            token_id=UP, side="SELL", shares="50", min_price="0.60", order_type="FOK"
        )
        assert (await client.post_order(order)).ok
