"""Faults of HTTP answers, over real HTTP."""

import json
import time

import pytest

from engine.wire import clob_rest
from engine.wire.gamma import parse_contract
from tests.practice.faulty import did, lively
from tests.practice.hand_made import (
    DOWN,
    SLUG,
    UP,
    HandMadeTape,
    books,
    contract,
    end_faults,
    get,
    served,
    start_fault,
)

OTHER = "btc-updown-15m-1790127000"


async def event(urls, slug=SLUG):
    return await get(f"{urls['GAMMA_API_URL']}/events/slug/{slug}")


async def market(urls, slug=SLUG):
    return await get(f"{urls['GAMMA_API_URL']}/markets/slug/{slug}")


async def test_gamma_answers_late_and_the_others_do_not():
    """Wall milliseconds, because time-outs are the wall's."""
    async with served(HandMadeTape([]), faults=["slow-gamma:ms=400"]) as urls:
        began = time.monotonic()
        await get(f"{urls['CLOB_HOST']}/time")
        quick = time.monotonic() - began
        answer = await event(urls)
        assert answer.json()["slug"] == SLUG
        assert time.monotonic() - began > 0.4 > quick


@pytest.mark.parametrize(("name", "code"), [("gamma-404", 404), ("gamma-500", 500)])
async def test_gamma_fails_for_the_markets_that_were_named(name, code):
    """Others are found; after the fault all are."""
    async with served(HandMadeTape([], others=(OTHER,)), faults=[f"{name}:slug=updown-5m"]) as urls:
        assert (await event(urls)).status_code == (await market(urls)).status_code == code
        assert (await event(urls, OTHER)).status_code == 200
        assert (await get(f"{urls['CLOB_HOST']}/time")).status_code == 200
        assert await did(urls, name) == {"answers refused": 2}
        await end_faults(urls, name=name)
        assert (await event(urls)).status_code == 200


@pytest.mark.parametrize("ask", [event, market])
async def test_down_is_listed_first_and_every_word_stays_true(ask):
    """The engine reads the same contract by its labels."""
    async with served(HandMadeTape(books(-1, 6000, 6200)), faults=["swapped-outcomes"]) as urls:
        answer = await ask(urls)
    document = answer.json()
    inner = document["markets"][0] if "markets" in document else document
    assert json.loads(inner["outcomes"]) == ["Down", "Up"]
    assert json.loads(inner["clobTokenIds"]) == [DOWN, UP]
    assert json.loads(inner["outcomePrices"]) == ["0.39", "0.61"]
    read_back = parse_contract(answer.content)
    assert (read_back.token_up, read_back.token_down) == (UP, DOWN)


@pytest.mark.parametrize(
    ("to", "rule"),
    [("twap-30", "TWAP over 30 s"), ("twap-90", "TWAP over 90 s"), ("spot", "spot"), ("unknown", "None")],
)
async def test_another_rule_is_described(to, rule):
    """In all its words, so that the engine reads that rule, or none."""
    async with served(HandMadeTape([]), faults=[f"changed-rule:{to}"]) as urls:
        changed = parse_contract((await event(urls)).content)
        await end_faults(urls)
        true = parse_contract((await event(urls)).content)
    assert str(changed.rule) == rule
    assert changed.rule_text != true.rule_text
    assert true.rule == contract().rule


async def test_a_market_is_closed_and_accepts_orders():
    """Gamma and the CLOB say the same contradiction."""
    async with served(HandMadeTape([]), faults=["closed-accepting"]) as urls:
        document = (await event(urls)).json()["markets"][0]
        path = f"{urls['CLOB_HOST']}/markets/{document['conditionId']}"
        clob = (await get(path)).json()
        await start_fault(urls, "closed-accepting", slug="15m")
        await end_faults(urls, id=1)
        assert (await market(urls)).json()["closed"] is False
        assert (await get(path)).json()["closed"] is False
    assert (document["closed"], document["acceptingOrders"]) == (True, True)
    assert (clob["closed"], clob["accepting_orders"]) == (True, True)


async def test_get_book_answers_with_an_old_shell():
    """Of 0.01 and 0.99, with a hash that fits, and readable; the book itself has not changed."""
    async with served(HandMadeTape(books(-1, 6000, 6100)), faults=["rest-stale"]) as urls:
        answer = await get(f"{urls['CLOB_HOST']}/book?token_id={UP}")
        await end_faults(urls)
        true = (await get(f"{urls['CLOB_HOST']}/book?token_id={UP}")).json()
    shell = answer.json()
    assert [level["price"] for level in shell["bids"] + shell["asks"]] == ["0.01", "0.99"]
    assert int(true["timestamp"]) - int(shell["timestamp"]) == 600_000
    assert list(shell) == list(true)
    assert (true["bids"][-1]["price"], true["asks"][-1]["price"]) == ("0.6", "0.61")
    read = clob_rest.parse_book(answer.content, 0)
    assert (max(read.bids)[0], min(read.asks)[0]) == (100, 9_900)


@pytest.mark.parametrize(("of", "shift"), [("all", 5), ("time", 5), ("stamps", 0)])
async def test_the_time_of_day_is_off(of, shift):
    """/clock is not, which a scaled engine lives by."""
    async with served(lively(), speed=1, faults=[f"clock-skew:of={of}"]) as urls:
        told = (await get(f"{urls['CLOB_HOST']}/time")).json()
        now_s = (await get(urls["CLOCK_URL"])).json()["now_ms"] / 1000
    assert shift - 1.5 < told - now_s < shift + 0.5
