"""Orders and trades as the venue tells them otherwise than its documents do: read, or said to be odd."""

import json

import pytest

from engine.practice.keys import PRACTICE_ADDRESS
from engine.venue.exchange import CallFailed, Lost, Matched
from engine.venue.official_client import nothing_more
from tests.practice.hand_made import DOWN, UP
from tests.practice.official import intent
from tests.venue.test_official_wire import ORDER_ID, TOLD_ORDER, answer, http, scripted, told_trade

KILLED = "CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed."
OTHER_ID = "0x" + "ef" * 32


def order(**changed):
    return {**TOLD_ORDER, "size_matched": "0", "associate_trades": [], **changed}


def trade(**changed):
    return {**told_trade("16.393442", "0.39", DOWN), **changed}


def page(*rows, cursor="LTE="):
    return {"data": list(rows), "next_cursor": cursor}


async def asked(venue, live, told, *rows):
    """Ask for an order that is told so, beside these trades."""
    venue.answers[f"/data/order/{ORDER_ID}"] = told
    venue.answers["/data/trades"] = page(*rows)
    return await live.find(intent(), ORDER_ID), await live.is_open(ORDER_ID)


KILLS = {
    "no size": {"size_matched": ""},
    "no size at all": {"size_matched": None},
    "no time": {"created_at": ""},
    "no trades": {"associate_trades": None},
    "as a killed order was seen": {"size_matched": "", "created_at": "", "outcome": "", "price": ""},
    "numbers": {"size_matched": 0, "price": 0.61, "original_size": 16.393442},
}


@pytest.mark.parametrize("changed", KILLS.values(), ids=KILLS)
async def test_a_killed_order_is_read_whatever_of_it_is_empty(changed):
    """Refused by the client's model, it was asked for for ever, and its dollars stayed reserved."""
    async with scripted() as (venue, live):
        assert await asked(venue, live, order(status=KILLED, **changed)) == (None, False)


async def test_an_order_without_a_size_that_says_matched_has_filled():
    """An empty text is nought only where the order's own word does not say otherwise."""
    async with scripted() as (venue, live):
        for size in ("", None):
            told = order(status="ORDER_STATUS_MATCHED", size_matched=size, associate_trades=None)
            with pytest.raises(CallFailed, match="not listed yet"):
                await asked(venue, live, told)
            found, _ = await asked(venue, live, told, trade())
            assert found.fills == ((6100, 16_393_442),)


UNREADABLE = {
    "no status": {"status": None},
    "an empty status": {"status": ""},
    "no number": {"size_matched": "many"},
    "a number that is none": {"size_matched": "NaN"},
    "less than nothing": {"size_matched": "-1"},
    "trades that are no texts": {"associate_trades": [7]},
    "another order": {"id": OTHER_ID},
    "no id": {"id": None},
}


@pytest.mark.parametrize("changed", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_order_that_cannot_be_understood_is_no_order_that_is_gone(changed):
    """Nobody knows what it did: whoever looks for it asks again."""
    async with scripted() as (venue, live):
        venue.answers[f"/data/order/{ORDER_ID}"] = order(**changed)
        venue.answers["/data/trades"] = page()
        for call in (live.find(intent(), ORDER_ID), live.is_open(ORDER_ID)):
            with pytest.raises(CallFailed, match="order: "):
                await call


ODD = {
    "no fee": {"fee_rate_bps": ""},
    "a fee of null": {"fee_rate_bps": None},
    "numbers": {"price": 0.61, "size": 16.393442, "bucket_index": "0"},
    "no times": {"match_time": "", "last_update": None},
    "a status of tomorrow": {"status": "TRADE_STATUS_PONDERED"},
    "no owner": {"owner": None, "outcome": None, "market": None},
    "no side of ours": {"trader_side": None},
    "an id in capitals": {"taker_order_id": ORDER_ID.upper().replace("0X", "0x")},
}


@pytest.mark.parametrize("changed", ODD.values(), ids=ODD)
async def test_a_trade_of_ours_is_booked_whatever_else_of_it_is_odd(changed):
    """What is needed is there: one such row made a match an order of unknown fate."""
    async with scripted() as (venue, live):
        venue.answers["/order"] = answer()
        venue.answers["/data/trades"] = page(trade(**changed))
        told = await live.send(intent(), await live.sign(intent()), nothing_more)
        assert isinstance(told, Matched), told
        assert told.fills == ((6100, 16_393_442),)
        assert told.trades[0].cost_e6 == 10_000_000
        (status,) = await live.statuses(("t-1",))
        assert (status.trade_id, status.venue_order_id) == ("t-1", ORDER_ID)
        found, _ = await asked(venue, live, order(size_matched="16.393442"), trade(**changed))
        assert found.fills == told.fills


async def test_a_number_is_read_from_its_own_text():
    """As a float it would be another number after fifteen digits."""
    text = json.dumps(page(trade())).replace('"16.393442"', "16.3934420000000000001")
    async with scripted() as (venue, live):
        venue.answers["/data/trades"] = http(200, text)
        (row,) = await live._trades()
        assert (str(row.size), str(row.maker_orders[0].matched_amount)) == ("16.3934420000000000001",) * 2


BROKEN = {
    "no price": {"price": ""},
    "no size": {"size": None},
    "no status": {"status": ""},
    "no token": {"asset_id": None},
    "a maker without a price": {"maker_orders": [{"order_id": "0x1", "asset_id": UP, "matched_amount": "1"}]},
}


@pytest.mark.parametrize("changed", BROKEN.values(), ids=BROKEN)
async def test_a_trade_of_ours_that_cannot_be_understood_is_an_error_and_one_of_others_is_nothing(changed):
    """Passed over, a fill of ours would be money that nobody knows of."""
    async with scripted() as (venue, live):
        venue.answers["/order"] = answer()
        venue.answers["/data/trades"] = page(trade(**changed))
        told = await live.send(intent(), await live.sign(intent()), nothing_more)
        assert isinstance(told, Lost)
        with pytest.raises(CallFailed, match="trades: "):
            await asked(venue, live, http(200, "null"), trade(**changed))
        if "status" in changed:
            with pytest.raises(CallFailed, match="trades: "):
                await live.statuses(("t-1",))
        foreign = trade(id="t-9", taker_order_id=OTHER_ID, **changed)
        found, _ = await asked(venue, live, order(), foreign, trade(), foreign)
        assert found.fills == ((6100, 16_393_442),)
        told = await live.send(intent(), await live.sign(intent()), nothing_more)
        assert isinstance(told, Matched)
        assert await asked(venue, live, order(status=KILLED), foreign) == (None, False)


@pytest.mark.parametrize(
    "row",
    [trade(id=None, taker_order_id=None), trade(price="", maker_orders=[{}]), "t-1", None, {}],
    ids=["no ids", "a maker without an id", "a text", "null", "empty"],
)
async def test_a_row_that_does_not_say_whose_it_is_may_be_ours(row):
    """So nothing is said of the order."""
    async with scripted() as (venue, live):
        with pytest.raises(CallFailed, match="trades: "):
            await asked(venue, live, order(status=KILLED), row)
        if not isinstance(row, dict) or row.get("id") is None:
            with pytest.raises(CallFailed, match="trades: "):
                await live.statuses(("t-1",))


async def test_trades_are_read_page_by_page_to_the_end():
    """A page that is null has none; one that does not say whether it is the last may hide ours."""
    async with scripted() as (venue, live):
        for told in (
            {"data": [], "next_cursor": ""},
            {"next_cursor": "LTE="},
            {"data": [], "next_cursor": 7},
            {"data": {}, "next_cursor": "LTE="},
            page(trade(), cursor="MQ=="),
            [],
        ):
            venue.answers[f"/data/order/{ORDER_ID}"] = http(200, "null")
            venue.answers["/data/trades"] = told
            with pytest.raises(CallFailed, match="trades: "):
                await live.find(intent(), ORDER_ID)
        venue.answers["/data/trades"] = {"data": None, "next_cursor": "LTE="}
        assert await live.find(intent(), ORDER_ID) is None


async def test_a_maker_of_ours_is_found_by_wallet_and_every_id_is_in_small_letters():
    """The core knows orders by the hash that we computed; another spelling would lose an undo."""
    maker = {
        **told_trade("5", "0.39", UP)["maker_orders"][0],
        "order_id": "0x" + "CD" * 32,
        "maker_address": PRACTICE_ADDRESS.upper().replace("0X", "0x"),
    }
    async with scripted() as (venue, live):
        for side in ("MAKER", "maker", "", None):
            venue.answers["/data/trades"] = page(
                trade(trader_side=side, taker_order_id="0x" + "EF" * 32, maker_orders=[maker])
            )
            (told,) = await live.statuses(("t-1",))
            assert told.venue_order_id == ORDER_ID
        venue.answers["/data/trades"] = page(
            trade(taker_order_id="0x" + "EF" * 32, status="trade_status_failed")
        )
        (told,) = await live.statuses(("t-1",))
        assert (told.venue_order_id, told.status) == (OTHER_ID, "FAILED")


UNMATCHED = {
    "nothing filled": ({}, False),
    "without a size": ({"size_matched": ""}, False),
    "with the prefix": ({"status": "ORDER_STATUS_UNMATCHED", "order_type": "fak"}, False),
    "one that rests": ({"order_type": "GTC"}, True),
    "of no kind that is told": ({"order_type": None}, True),
    "partly filled": ({"size_matched": "1"}, True),
    "with a trade": ({"associate_trades": ["t-1"]}, True),
}


@pytest.mark.parametrize(("changed", "is_open"), UNMATCHED.values(), ids=UNMATCHED)
async def test_an_unmatched_order_that_never_rests_has_ended(changed, is_open):
    """Counted as open, every open order of the account was cancelled each second, and its end never came."""
    async with scripted() as (venue, live):
        venue.answers[f"/data/order/{ORDER_ID}"] = order(**{"status": "UNMATCHED", **changed})
        assert await live.is_open(ORDER_ID) is is_open


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "no status"])
async def test_a_trade_of_ours_that_failed_is_told_even_where_its_amounts_cannot_be_read(name):
    """How far it is needs no amount: a FAILED that is not heard stays booked."""
    async with scripted() as (venue, live):
        for row in (
            trade(status="TRADE_STATUS_FAILED", taker_order_id=ORDER_ID.upper(), **BROKEN[name]),
            trade(status="FAILED", trader_side=None, **BROKEN[name]),
        ):
            venue.answers["/data/trades"] = page(trade(id="t-9", price=""), row)
            (told,) = await live.statuses(("t-1",))
            assert told == ("t-1", ORDER_ID, "FAILED")


async def test_an_order_whose_only_trade_failed_is_found_to_have_done_nothing():
    """Whatever its amounts are: they were never paid. It was asked for for ever."""
    async with scripted() as (venue, live):
        told = order(status="MATCHED", size_matched="16.393442", associate_trades=["t-1"])
        failed = trade(status="FAILED", size="")
        assert await asked(venue, live, told, failed) == (None, False)
        found, _ = await asked(venue, live, told, failed, trade(id="t-2"))
        assert [one.trade_id for one in found.trades] == ["t-2"]
        venue.answers["/order"] = answer(tradeIDs=[])
        venue.answers["/data/trades"] = page(failed)
        assert isinstance(await live.send(intent(), await live.sign(intent()), nothing_more), Lost)
