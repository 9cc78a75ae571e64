"""When moments are released, and that one client cannot hold the others."""

import asyncio
import itertools
import json
import logging
import socket as sockets

import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import StartError
from engine.practice.serve import serving
from engine.practice.tape import BookMoment, PriceMoment
from engine.practice.venue import Lateness, without_repeats
from tests.practice.hand_made import (
    SLUG,
    START_S,
    STRIKE,
    HandMadeTape,
    at,
    books,
    clob,
    contract,
    frames_until,
    get,
    now_ms,
    of_kind,
    price,
    rtds,
    served,
)

some_books = st.lists(st.tuples(st.sampled_from(["UP", "DOWN"]), st.integers(1, 2)), max_size=20)


@given(some_books)
def test_touch_changes_are_what_remains_without_repeats(script):
    """Exactly the books that differ from the one before of the same token, and everything that is no book."""
    moments = []
    for number, (outcome, size) in enumerate(script):
        moments.append(BookMoment(number, SLUG, outcome, ((5000, size),), ()))
        moments.append(PriceMoment(number, "spot", number, STRIKE))
    kept = list(without_repeats(moments))
    assert [m for m in kept if isinstance(m, PriceMoment)] == [
        m for m in moments if isinstance(m, PriceMoment)
    ]
    for outcome in ("UP", "DOWN"):
        all_sizes = [size for o, size in script if o == outcome]
        changes = [size for i, size in enumerate(all_sizes) if i == 0 or size != all_sizes[i - 1]]
        assert [m.bids[0][1] for m in kept if isinstance(m, BookMoment) and m.outcome == outcome] == changes


async def test_nothing_is_released_before_it_is_due():
    """A frame says of when it is; the venue's clock, read after it arrived, is never behind that."""
    tape = HandMadeTape([price(second / 4) for second in range(40)])
    async with served(tape, speed=5) as urls, rtds(urls, "crypto_prices_chainlink") as socket:
        for _ in range(20):
            frame = json.loads(await socket.recv())
            assert frame["timestamp"] <= await now_ms(urls)


async def test_what_was_before_the_start_is_there_at_once():
    """A simulation's first snapshot holds the minute before it; the clock starts at the start."""
    tape = HandMadeTape([*books(-50, 6000, 6100), *(price(second - 50) for second in range(40))])
    async with served(tape, speed=1) as urls:
        async with rtds(urls, "crypto_prices_chainlink", '{"symbol":"btc/usd"}') as socket:
            snapshot = json.loads(await socket.recv())
        assert at(0) <= await now_ms(urls) < at(30)
    assert len(snapshot["payload"]["data"]) == 40


def test_lateness_is_counted_by_the_venues_clock(caplog):
    """At speed 30, 4 ms of the wall are 120 ms of the venue: that is late, and it is said."""
    lateness = Lateness(speed=30)
    with caplog.at_level(logging.WARNING, logger="engine.practice.venue"):
        for late_ms in (0, 100, 120, 400):
            lateness.note(late_ms)
    assert lateness.figures() == {"late_ms_max": 400, "late_wall_ms_max": 13.3, "late_moments": 2}
    # The second of them follows within the second: it is counted and waits for the next line.
    assert [record.late_ms for record in caplog.records] == [120]


async def test_a_venue_that_was_held_says_so(caplog):
    """Whatever held the process: the lag is on the record, and nothing is lost by it."""
    import time

    tape = HandMadeTape([price(second / 10 - 1.6) for second in range(60)])
    async with served(tape, speed=10) as urls, rtds(urls, "crypto_prices_chainlink") as socket:
        with caplog.at_level(logging.WARNING, logger="engine.practice.venue"):
            time.sleep(0.1)  # noqa: ASYNC251 (holding the loop is the point)
            stamps = [json.loads(await socket.recv())["payload"]["timestamp"] for _ in range(40)]
        status = (await get(urls["CLOB_HOST"] + "/status")).json()
    assert status["late_ms_max"] > 300
    assert status["late_moments"] >= 1
    assert any(getattr(record, "late_ms", 0) > 300 for record in caplog.records)
    assert stamps == sorted(stamps)
    assert all(later - earlier == 100 for earlier, later in itertools.pairwise(stamps))


async def read_to_the_end(socket):
    while True:
        await socket.recv()


async def test_a_slow_client_is_closed_and_the_others_go_on(caplog):
    """A client that stops reading fills its own queue, is dropped, and costs nobody a frame."""
    flood = 60_000
    # Forty a venue millisecond, from one second on, so that both clients are connected before.
    tape = HandMadeTape(
        [PriceMoment(at(1) + number // 40, "chainlink", at(0) + number, STRIKE) for number in range(flood)]
    )
    slow_socket = sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM)
    slow_socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    async with served(tape, speed=1) as urls:
        port = int(urls["CLOB_HOST"].rsplit(":", 1)[1])
        slow_socket.connect(("127.0.0.1", port))
        slow = await websockets.connect(urls["RTDS_WS_URL"], sock=slow_socket, max_queue=1, close_timeout=0.1)
        everything = {"topic": "crypto_prices_chainlink", "type": "*"}
        await slow.send(json.dumps({"action": "subscribe", "subscriptions": [everything]}))
        async with rtds(urls, "crypto_prices_chainlink") as quick:
            async with asyncio.timeout(60):
                received = [json.loads(await quick.recv())["payload"]["timestamp"] for _ in range(flood)]
        assert received == [at(0) + number for number in range(flood)]
        assert [record.client for record in caplog.records if record.msg == "x slow consumer"] == ["rtds 1"]
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(read_to_the_end(slow), 10)
        status = (await get(urls["CLOB_HOST"] + "/status")).json()
        assert status["clients"]["rtds"] == 0
        await slow.close()


async def test_a_port_in_use_is_one_clear_line():
    """Address and reason, and what to do."""
    async with served(HandMadeTape([])) as urls:
        port = int(urls["CLOB_HOST"].rsplit(":", 1)[1])
        with pytest.raises(
            StartError, match=f"127.0.0.1:{port}: .*in use; choose another with --port"
        ) as caught:
            async with serving(HandMadeTape([]), port=port, speed=1, all_updates=False):
                pass
    assert "\n" not in str(caught.value)


async def test_both_windows_of_a_boundary_play_on_one_connection():
    """5m and 15m start together; each has its own tokens, its own books and its own resolution."""
    other = f"btc-updown-15m-{START_S}"
    told = [*books(200, 6000, 6100), *books(350, 5000, 5100)]
    moments = [moment._replace(slug=slug) for moment in told for slug in (SLUG, other)]
    tape = HandMadeTape(moments, start_ms=at(240), others=(other,))
    five, fifteen = contract(), contract(other)
    tokens = [token for one in (five, fifteen) for token in (one.token_up, one.token_down)]
    wanted = {"tokens": tuple(tokens), "custom_feature_enabled": True}
    async with served(tape, speed=100) as urls, clob(urls, **wanted) as socket:
        ended = lambda f: isinstance(f, dict) and f["event_type"] == "market_resolved"  # noqa: E731
        first, *rest = [*await frames_until(socket, ended), *await frames_until(socket, ended)]
    assert [book["asset_id"] for book in first] == tokens
    assert all(book["bids"] and book["asks"] for book in first)
    changed = {change["asset_id"] for f in of_kind(rest, "price_change") for change in f["price_changes"]}
    assert changed == set(tokens)
    assert [f["market"] for f in of_kind(rest, "market_resolved")] == [
        five.condition_id, fifteen.condition_id
    ]  # fmt: skip


async def test_a_tape_that_plays_what_it_does_not_describe_is_an_error():
    """It ends the venue instead of leaving a market out in silence."""
    stray = BookMoment(at(0), "btc-updown-5m-1790000100", "UP", (), ())
    async with serving(HandMadeTape([stray]), port=0, speed=1, all_updates=False) as (_, playing):
        with pytest.raises(LookupError, match="btc-updown-5m-1790000100"):
            await asyncio.wait_for(playing, 5)
