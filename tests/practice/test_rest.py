"""Gamma, the CLOB's reads and the clock, over real HTTP."""

import asyncio
import json
from decimal import Decimal

import httpx
import pytest

from engine.contract import SettlementRule
from engine.practice import gamma
from engine.practice.market import Market
from engine.practice.tape import Truth
from engine.wire import clob_rest as wire
from engine.wire.gamma import parse_contract, parse_market
from tests.practice.hand_made import (
    DOWN,
    FINAL,
    SLUG,
    START_S,
    STRIKE,
    UP,
    HandMadeTape,
    at,
    books,
    contract,
    get,
    now_ms,
    served,
    trade,
)
from tests.shared_data import needs_recordings, recording

OPEN = [*books(-2, 6000, 6100), trade(-1, 6100)]
CURRENT = "frames/current-2026-09"


async def read(urls, path):
    return await get(urls["CLOB_HOST"] + path)


async def test_a_market_that_the_tape_lacks_is_not_found():
    """A recorded session knows one window; asking for others is how an engine finds that out."""
    async with served(HandMadeTape(OPEN)) as urls:
        for kind in ("markets", "events"):
            answer = await get(f"{urls['GAMMA_API_URL']}/{kind}/slug/btc-updown-5m-{START_S + 300}")
            assert answer.status_code == 404


async def test_the_engine_reads_its_own_contract_out_of_gamma():
    """Rule, fee, tokens, tick: all that the tape knows arrives, by either path."""
    async with served(HandMadeTape(OPEN)) as urls:
        for kind in ("markets", "events"):
            answer = await get(f"{urls['GAMMA_API_URL']}/{kind}/slug/{SLUG}")
            read_back = parse_contract(answer.content)
            expected = contract()
            for field in expected.__struct_fields__:
                if field != "rule_text":
                    assert getattr(read_back, field) == getattr(expected, field), field


@pytest.mark.parametrize(
    "rule", [SettlementRule("spot"), SettlementRule("twap", 30), SettlementRule("twap", 60)]
)
def test_every_rule_is_described_so_that_it_is_understood(rule):
    """The three rules that 2026 has seen."""
    described = gamma.gamma_event(Market(contract(rule=rule)), None, at(0))
    assert parse_contract(json.dumps(described)).rule == rule


def test_an_unknown_rule_stays_unknown():
    """A manifest may not know it either; the engine then observes."""
    described = gamma.gamma_event(Market(contract(rule=None)), None, at(0))
    assert parse_contract(json.dumps(described)).rule is None


async def test_lists_are_json_inside_text_and_the_start_is_not_the_creation():
    """Two traps of the real Gamma."""
    async with served(HandMadeTape(OPEN)) as urls:
        market = (await get(f"{urls['GAMMA_API_URL']}/markets/slug/{SLUG}")).json()
    assert json.loads(market["outcomes"]) == ["Up", "Down"]
    assert json.loads(market["clobTokenIds"]) == [UP, DOWN]
    assert json.loads(market["outcomePrices"]) == ["0.605", "0.395"]
    assert market["eventStartTime"] == "2026-09-23T01:30:00Z"
    assert market["startDate"].startswith("2026-09-22T01:")
    assert (market["bestBid"], market["bestAsk"], market["lastTradePrice"]) == (0.6, 0.61, 0.61)


async def test_a_window_resolves_in_steps_after_its_end():
    """Open until 54 s after the end, then closed; the strike is told at 60 s, the final price at 120 s.

    Every answer is judged by the venue's clock read before and after it.
    """
    steps = {"closed": 54, "priceToBeat": 60, "finalPrice": 120}
    seen = set()
    async with served(HandMadeTape(OPEN, start_ms=at(330)), speed=25) as urls:
        while len(seen) < 6 and (before := await now_ms(urls)) < at(300 + 400):
            event = (await get(f"{urls['GAMMA_API_URL']}/events/slug/{SLUG}")).json()
            after = await now_ms(urls)
            told = {"closed": event["closed"], **event.get("eventMetadata", {})}
            for name, seconds in steps.items():
                due = at(300 + seconds)
                if after < due:
                    assert not told.get(name)
                    seen.add((name, False))
                if before >= due:
                    assert told.get(name)
                    seen.add((name, True))
            await asyncio.sleep(0.02)
    assert len(seen) == 6
    assert (told["priceToBeat"], told["finalPrice"]) == (float(STRIKE), float(FINAL))
    assert json.loads(event["markets"][0]["outcomePrices"]) == ["0", "1"]


def test_the_engine_reads_the_outcome_to_its_last_digit():
    """Gamma's numbers are floats; the engine compares them with what it captured itself."""
    truth = Truth(STRIKE, FINAL, "DOWN")
    served_outcome = parse_market(json.dumps(gamma.gamma_event(Market(contract()), truth, at(300 + 200))), 0)
    assert (served_outcome.strike, served_outcome.final, served_outcome.outcome) == (STRIKE, FINAL, "DOWN")


@needs_recordings
def test_an_open_market_has_the_keys_of_the_captured_one():
    """Of market, event and series alike."""
    real = json.loads(
        recording(f"{CURRENT}/gamma_market_open_btc-updown-5m-1789768200_2026-09-18.json").read_text()
    )
    ours = gamma.gamma_market(Market(contract()), None, at(0))
    assert set(ours) == set(real)
    assert set(ours["events"][0]) == set(real["events"][0])
    assert set(ours["events"][0]["series"][0]) == set(real["events"][0]["series"][0])
    for key, value in real.items():
        if isinstance(value, bool | str | dict | list):
            assert type(ours[key]) is type(value), key


@needs_recordings
@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("gamma_event_closed_btc-updown-5m-1790123400_2026-09-23.abridged.json", 200),
        ("gamma_event_closed_no_finalPrice_btc-updown-5m-1790126700_2026-09-23.abridged.json", 100),
    ],
)
def test_a_closed_event_has_the_keys_of_the_captured_one(name, seconds):
    """The captures are abridged: theirs are among ours, and the prices told are the same ones."""
    real = json.loads(recording(f"{CURRENT}/{name}").read_text())[0]
    ours = gamma.gamma_event(Market(contract()), Truth(STRIKE, FINAL, "UP"), at(300 + seconds))
    assert set(real) <= set(ours)
    assert set(real["markets"][0]) <= set(ours["markets"][0])
    assert set(real["eventMetadata"]) == set(ours["eventMetadata"])


@needs_recordings
async def test_books_and_market_info_have_the_keys_of_the_captured_ones():
    """In the captures' order."""
    real_book = json.loads(
        recording(f"{CURRENT}/clob_book_up_btc-updown-5m-1790127600_2026-09-23.json").read_text()
    )
    real_info = json.loads(
        recording(f"{CURRENT}/clob_clob-markets_btc-updown-5m-1790127600_2026-09-23.json").read_text()
    )
    async with served(HandMadeTape(OPEN)) as urls:
        book = (await read(urls, f"/book?token_id={UP}")).json()
        info = (await read(urls, f"/clob-markets/{contract().condition_id}")).json()
    assert list(book) == list(real_book)
    assert list(info) == list(real_info)
    assert info["fd"] == real_info["fd"]
    assert [token["o"] for token in info["t"]] == ["Up", "Down"]


async def test_the_engine_reads_the_book():
    """Best bid and ask of the tape, worst level first on the wire."""
    async with served(HandMadeTape(OPEN)) as urls:
        answer = await read(urls, f"/book?token_id={DOWN}")
    book = wire.parse_book(answer.content, 0)
    assert (max(book.bids)[0], min(book.asks)[0], book.token) == (3900, 4000, DOWN)


async def test_what_is_asked_about_one_token():
    """Each call's exact answer; ``base_fee`` is the legacy flag, not the fee."""
    expected = {
        "/midpoint": {"mid": "0.605"},
        "/spread": {"spread": "0.01"},
        "/tick-size": {"minimum_tick_size": 0.01},
        "/neg-risk": {"neg_risk": False},
        "/fee-rate": {"base_fee": 1000},
        "/last-trade-price": {"price": "0.61", "side": "BUY"},
    }
    async with served(HandMadeTape(OPEN)) as urls:
        for path, content in expected.items():
            assert (await read(urls, f"{path}?token_id={UP}")).json() == content
            assert (await read(urls, f"{path}?token_id=777")).status_code == 404
            assert (await read(urls, f"{path}?token_id=abc")).json() == {"error": "Invalid token id"}
            assert (await read(urls, path)).status_code == 400


async def test_a_resolved_market_has_no_book():
    """``GET /book`` after the close, as bots meet it."""
    async with served(HandMadeTape(OPEN, start_ms=at(355))) as urls:
        await get(f"{urls['GAMMA_API_URL']}/markets/slug/{SLUG}")
        answer = await read(urls, f"/book?token_id={UP}")
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": "No orderbook exists for the requested token id"},
    )


async def test_many_books_at_once():
    """Unknown tokens are left out without a word; 501 are too many; GET is not how to ask."""
    async with served(HandMadeTape(OPEN)) as urls, httpx.AsyncClient(base_url=urls["CLOB_HOST"]) as client:
        wanted = [{"token_id": token} for token in ("777", DOWN, UP)]
        found = (await client.post("/books", json=wanted)).json()
        assert {book["asset_id"] for book in found} == {UP, DOWN}
        assert len(found) == 2
        too_many = await client.post("/books", json=[{"token_id": "1"}] * 501)
        assert (too_many.status_code, too_many.json()) == (400, {"error": "Payload exceeds the limit"})
        assert (await client.get("/books", params={"token_ids": UP})).status_code == 400


async def test_markets_by_condition_and_by_token():
    """The CLOB's long form and the way from a token to its market."""
    condition_id = contract().condition_id
    async with served(HandMadeTape(OPEN)) as urls:
        market = (await read(urls, f"/markets/{condition_id}")).json()
        assert [token["outcome"] for token in market["tokens"]] == ["Up", "Down"]
        assert (market["closed"], market["accepting_orders"], market["market_slug"]) == (False, True, SLUG)
        assert (await read(urls, f"/markets-by-token/{DOWN}")).json()["condition_id"] == condition_id
        for path in ("/markets/0x00", "/clob-markets/0x00", "/markets-by-token/777"):
            assert (await read(urls, path)).status_code == 404


async def test_the_time_is_the_venues_own():
    """A bare integer of seconds for the CLOB; milliseconds and rate for clocks that follow."""
    async with served(HandMadeTape([]), speed=100) as urls:
        first = (await get(urls["CLOCK_URL"])).json()
        await asyncio.sleep(0.2)
        second = (await get(urls["CLOCK_URL"])).json()
        assert wire.parse_time((await read(urls, "/time")).content) >= START_S + 20
        assert (await read(urls, "/version")).json() == {"version": 2}
        assert (await read(urls, "/ok")).status_code == 200
    assert set(first) == {"now_ms", "rate"}
    assert first["rate"] == 100
    assert second["now_ms"] - first["now_ms"] >= 20_000


async def test_the_status_says_what_is_played_and_how_well():
    """For the operator's banner and for tests."""
    async with served(HandMadeTape(OPEN)) as urls:
        status = (await read(urls, "/status")).json()
    assert (status["kind"], status["note"], status["moments"]) == ("simulated", "hand made", 3)
    assert status["clients"] == dict.fromkeys(("rtds", "polybolt", "spot", "clob", "user"), 0)
    assert status["faults"] == status["faults_ended"] == []
    assert {"late_ms_max", "late_wall_ms_max", "late_moments"} <= set(status)


async def test_no_order_of_nobody_is_taken():
    """Whoever does not sign is refused before his order is read."""
    async with served(HandMadeTape([])) as urls, httpx.AsyncClient(base_url=urls["CLOB_HOST"]) as client:
        answer = await client.post("/order", json={})
    assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized/Invalid api key"})


def test_a_fee_is_written_as_the_venue_writes_numbers():
    """``1`` and not ``1.0``: whoever compares texts would stumble."""
    schedule = gamma.gamma_market(Market(contract()), None, at(0))["feeSchedule"]
    assert json.dumps(schedule) == '{"exponent": 1, "rate": 0.07, "takerOnly": true, "rebateRate": 0.2}'
    assert Decimal(str(schedule["rate"])) == Decimal("0.07")
