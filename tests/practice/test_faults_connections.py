"""Faults of whole connections, on real sockets: what a client meets, and that it ends when it should."""

import asyncio
import itertools
import json
import time

import httpx
import pytest
import websockets

from engine.practice.fault_connections import CODES
from tests.practice.faulty import BTC, closed, did, is_tick, lively, status, ticks
from tests.practice.hand_made import (
    AVERAGE,
    CRYPTO,
    HandMadeTape,
    clob,
    end_faults,
    frames_until,
    polybolt,
    rtds,
    served,
    silence,
    start_fault,
    user,
)
from tests.practice.official import until

TOPIC = "crypto_prices_chainlink"


async def test_a_stalled_feed_answers_ping_and_says_nothing_else():
    """The defect of the real sockets: open, alive by every sign but data."""
    async with served(lively(), speed=20) as urls, rtds(urls, TOPIC) as one, clob(urls) as other:
        await ticks(one, 2)
        await start_fault(urls, "stall", feed="rtds")
        await one.send("PING")
        await frames_until(one, lambda frame: frame == "")
        assert await silence(one, 0.3)
        await one.send("PING")
        assert await one.recv() == ""
        await frames_until(other, lambda f: isinstance(f, dict))
        assert (await did(urls, "stall"))["frames withheld"] >= 4
        assert await end_faults(urls) == 1
        await ticks(one, 2)


@pytest.mark.parametrize("topic", ["twap", "price.crypto.twap"])
async def test_one_topic_stalls_and_the_other_flows(topic):
    """By its own name or by what it carries; a new subscription to it brings no snapshot either."""
    async with (
        served(lively(), speed=20, faults=[f"stall:feed=polybolt,topic={topic}"]) as urls,
        polybolt(urls, CRYPTO, AVERAGE) as socket,
    ):
        frames = await frames_until(socket, lambda f: is_tick(f) and f["seq"] > 6)
    assert {frame["channel"] for frame in frames if "payload" in frame} == {"price.crypto"}
    assert sum(frame.get("op") == "subscribed" for frame in frames) == 2


async def test_the_snapshot_of_a_stalled_topic_is_known_by_its_symbol():
    """Chainlink's comes under the name of Binance's topic."""
    async with served(lively(), speed=5, faults=[f"stall:topic={TOPIC}"]) as urls:
        async with rtds(urls, TOPIC, BTC) as socket:
            assert await silence(socket)
        async with rtds(urls, "crypto_prices", '{"symbol":"btcusdt"}') as socket:
            assert json.loads(await socket.recv())["type"] == "subscribe"


async def test_a_half_open_connection_answers_nothing_not_even_a_ping_of_the_protocol():
    """No FIN, no byte; a new connection is served, and the old one is reset when the fault ends."""
    async with served(lively(), speed=20) as urls, rtds(urls, TOPIC) as dead:
        await ticks(dead, 1)
        await start_fault(urls, "half-open", feed="rtds")
        await asyncio.sleep(0.05)
        while not await silence(dead, 0.1):
            pass
        await dead.send("PING")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(await dead.ping(), 0.4)
        assert await silence(dead, 0.1)
        async with rtds(urls, TOPIC) as alive:
            await ticks(alive, 2)
        assert await did(urls, "half-open") == {"connections left half open": 1}
        await end_faults(urls)
        assert await closed(dead) == (1006, "")


async def test_new_connections_are_half_open_too_where_the_fault_says_so():
    """They are accepted and then dead."""
    async with (
        served(lively(), speed=20, faults=["half-open:again=yes"]) as urls,
        websockets.connect(urls["RTDS_WS_URL"], close_timeout=0.1) as socket,
    ):
        assert await silence(socket)


@pytest.mark.parametrize("code", CODES)
async def test_connections_are_closed_with_the_code_that_was_asked_for(code):
    """1006 is no close frame at all. Afterwards the feed is served again."""
    async with served(HandMadeTape([])) as urls, polybolt(urls) as socket, clob(urls) as other:
        await start_fault(urls, "close", code=int(code), feed="polybolt")
        got, _ = await closed(socket)
        assert str(got) == code
        await other.send("PING")
        await frames_until(other, lambda frame: frame == "PONG")
        async with polybolt(urls) as again:
            await again.send('{"op":"ping"}')
            assert json.loads(await again.recv()) == {"op": "pong"}


@pytest.mark.parametrize("status_code", [429, 503])
async def test_whoever_connects_is_refused_with_retry_after(status_code, caplog):
    """Open connections are broken off first, so that their clients come back; then all is well again."""
    async with served(HandMadeTape([]), speed=1) as urls, rtds(urls, TOPIC) as socket:
        await start_fault(urls, "refuse-connect", for_s=1.0, status=status_code, retry_after_s=7, feed="rtds")
        assert (await closed(socket))[0] == 1006
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(urls["RTDS_WS_URL"])
        assert refused.value.response.status_code == status_code
        assert refused.value.response.headers["Retry-After"] == "7"
        async with polybolt(urls):
            pass
        while (await status(urls))["faults"]:
            pass  # asking is the pause
        async with rtds(urls, TOPIC):
            pass
        assert await did(urls, "refuse-connect") == {"connections dropped": 1, "connections refused": 1}
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_refusal_can_leave_open_connections_alone():
    """Where only newcomers are to be refused."""
    async with served(lively(), speed=20) as urls, rtds(urls, TOPIC) as socket:
        await start_fault(urls, "refuse-connect", drop="no")
        await ticks(socket, 2)
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(urls["CLOB_USER_WS_URL"] + "/ws/user")


async def test_in_a_storm_every_connection_is_closed_after_a_while():
    """The open one, and each that comes after it."""
    async with served(lively(), speed=20) as urls, user(urls) as first:
        await start_fault(urls, "reconnect-storm", ms=200, code=1011)
        assert (await closed(first))[0] == 1011
        for _ in range(2):
            async with rtds(urls, TOPIC) as socket:
                began = time.monotonic()
                assert (await closed(socket))[0] == 1011
                assert 0.1 < time.monotonic() - began < 2
        assert await did(urls, "reconnect-storm") == {"connections closed": 3}


async def test_a_fault_ends_by_the_venues_clock():
    """Ten venue seconds are half a second at speed 20."""
    async with served(lively(), speed=20) as urls, rtds(urls, TOPIC) as socket:
        started = await start_fault(urls, "stall", for_s=10)
        assert started["ends_ms"] - started["began_ms"] == 10_000
        async with asyncio.timeout(10):
            while (await ticks(socket, 1))[0]["timestamp"] + 1_600 <= started["ends_ms"] - 1_000:
                pass  # of before the fault, and waiting in our socket

        async def has_ended() -> bool:
            """It lets frames through by the clock, and is put away a moment later."""
            return (await status(urls))["faults"] == []

        await until(has_ended)
        told = await status(urls)
    assert [fault["name"] for fault in told["faults_ended"]] == ["stall"]
    assert 6 <= told["faults_ended"][0]["did"]["frames withheld"] <= 16


async def test_a_fault_of_the_command_line_may_wait():
    """``after_s`` and ``for_s`` are known to every fault."""
    async with (
        served(lively(), speed=20, faults=["stall:feed=rtds,after_s=8,for_s=10"]) as urls,
        rtds(urls, TOPIC) as socket,
    ):
        seen = stamps_of(await ticks(socket, 8))
    gaps = [later - earlier for earlier, later in itertools.pairwise(seen)]
    assert max(gaps) >= 8_000
    assert sorted(gaps)[-2] == 1_000


def stamps_of(payloads):
    return [payload["timestamp"] for payload in payloads]


async def test_half_open_connections_do_not_hold_up_the_end_of_the_venue():
    """It ends within its time, and leaves nothing running."""
    before = len(asyncio.all_tasks())
    async with served(lively(), faults=["half-open:again=yes"]) as urls:
        socket = await websockets.connect(urls["RTDS_WS_URL"], close_timeout=0.1)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert (await closed(socket))[0] == 1006
    await asyncio.sleep(0.1)
    assert len(asyncio.all_tasks()) <= before + 1


async def test_clock_and_control_are_never_at_fault():
    """What drives the venue stays in hand, whatever was started."""
    async with served(
        HandMadeTape([]), faults=["gamma-500", "clock-skew:ms=9000", "stall", "rest-stale"]
    ) as urls:
        async with httpx.AsyncClient() as client:
            skewed = (await client.get(f"{urls['CLOB_HOST']}/time")).json()
            now = (await client.get(urls["CLOCK_URL"])).json()["now_ms"]
        assert skewed * 1000 - now > 7_000
        assert len((await status(urls))["faults"]) == 4
