"""Faults of what is said over sockets: junk, prices, books. On real sockets."""

import itertools
import json
from decimal import Decimal

import pytest

from tests.practice.faulty import (
    BTC,
    books_of,
    did,
    is_tick,
    lively,
    raw,
    stamps,
    ticks,
    touch,
)
from tests.practice.hand_made import (
    AVERAGE,
    CRYPTO,
    DOWN,
    STRIKE,
    UP,
    HandMadeTape,
    at,
    books,
    clob,
    end_faults,
    frames_until,
    get,
    of_kind,
    polybolt,
    price,
    rtds,
    served,
    silence,
    start_fault,
    trade,
    user,
)

TOPIC = "crypto_prices_chainlink"


def true_value(payload):
    """Return what the tape printed for the second of a payload."""
    return STRIKE + (payload["timestamp"] - at(0)) // 1000


def exact(payload):
    value = Decimal(payload["full_accuracy_value"])
    return value / 10**18 if value > 10**18 else value


def is_json(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


async def test_empty_frames_come_beside_the_data():
    """As RTDS greets: whoever parses every frame breaks."""
    async with served(lively(), speed=20, faults=["empty-frames"]) as urls, clob(urls) as socket:
        texts = await raw(socket, 6)
    assert [text == "" for text in texts] == [False, True, False, True, False, True]


async def test_a_page_of_html_comes_beside_the_data_or_in_its_place():
    """A proxy's error page."""
    async with served(lively(), speed=20, faults=["non-json:feed=rtds,every=2"]) as urls:
        async with rtds(urls, TOPIC) as socket:
            texts = await raw(socket, 6)
        assert [is_json(text) for text in texts] == [True, True, False, True, True, False]
        await end_faults(urls)
        await start_fault(urls, "non-json", instead=True)
        async with rtds(urls, TOPIC) as socket:
            assert not any(is_json(text) for text in await raw(socket, 3))


async def test_frames_are_cut_in_the_middle():
    """One in three; the others are whole."""
    async with served(lively(), speed=20, faults=["truncated-json:every=3"]) as urls:
        async with polybolt(urls, CRYPTO) as socket:
            await socket.recv()
            texts = await raw(socket, 6)
        assert [is_json(text) for text in texts] == [True, True, False, True, True, False]
        assert (await did(urls, "truncated-json"))["frames cut"] == 2


async def test_a_large_frame_is_one_of_64_kilobytes():
    """Of an unknown kind, beside the data."""
    async with served(lively(), speed=20, faults=["large-frame:rtds"]) as urls, rtds(urls, TOPIC) as socket:
        _, large, _ = await raw(socket, 3)
    assert 64 * 1024 < len(large) < 66 * 1024
    assert json.loads(large)["topic"] == "padding"


async def test_prices_of_another_coin_come_in_place_of_ours():
    """On each price socket, in its own words; nobody could take them for BTC's."""
    async with (
        served(lively(), speed=20, faults=["wrong-symbol"]) as urls,
        rtds(urls, TOPIC, BTC) as one,
        polybolt(urls, AVERAGE) as other,
    ):
        seen = [*await ticks(one, 2), *await ticks(other, 2)]
    assert {payload["symbol"] for payload in seen} == {"eth/usd", "ethusd"}
    assert all(exact(payload) < 3_000 > payload["value"] for payload in seen)


async def test_prices_of_another_coin_may_come_beside_ours():
    """Then nothing of ours is missing."""
    async with (
        served(lively(), speed=20, faults=["wrong-symbol:instead=no"]) as urls,
        rtds(urls, TOPIC) as socket,
    ):
        seen = await ticks(socket, 4)
    assert [payload["symbol"] for payload in seen] == ["btc/usd", "eth/usd"] * 2


async def test_ticks_come_twice():
    """Word for word."""
    async with served(lively(), speed=20, faults=["duplicate-ticks"]) as urls, rtds(urls, TOPIC) as socket:
        texts = await raw(socket, 6)
    assert texts[0::2] == texts[1::2]
    assert len(set(texts)) == 3


async def test_ticks_change_places_in_pairs():
    """And nothing is missing."""
    async with served(lively(), speed=20) as urls, rtds(urls, TOPIC) as socket:
        await start_fault(urls, "reorder-ticks", feed="rtds")
        seen = stamps(await ticks(socket, 6))
        await end_faults(urls)
        seen += stamps(await ticks(socket, 4))
    assert seen != sorted(seen)
    assert set(range(min(seen), max(seen), 1000)) <= set(seen)


async def test_a_tick_that_is_held_when_the_fault_ends_comes_then():
    """An odd one has no other to change places with, and the next is a minute away."""
    later = [price(13, "binance"), price(60)]
    tape = HandMadeTape([*(price(second) for second in (10, 11, 12)), *later])
    fault = "reorder-ticks:feed=rtds,topic=chainlink"
    async with served(tape, faults=[fault]) as urls, rtds(urls, TOPIC) as socket:
        entry = {"topic": "crypto_prices", "type": "update"}
        await socket.send(json.dumps({"action": "subscribe", "subscriptions": [entry]}))
        seen = stamps(await ticks(socket, 3))
        assert seen == [at(11), at(10), at(13)], "the other topic's came after the one that is held"
        await end_faults(urls)
        assert stamps(await ticks(socket, 1)) == [at(12)]


async def test_every_third_tick_comes_seconds_late():
    """Its stamp is its own; nothing is lost."""
    async with served(lively(), speed=20, faults=["late-ticks:s=4"]) as urls, rtds(urls, TOPIC) as socket:
        seen = stamps(await ticks(socket, 16))
    places = {stamp: place for place, stamp in enumerate(seen)}
    ordered = sorted(seen)
    late = [
        stamp for stamp in ordered if any(places[later] < places[stamp] for later in ordered if later > stamp)
    ]
    assert len(late) >= 2
    assert all(later - earlier == 3_000 for earlier, later in itertools.pairwise(late))


@pytest.mark.parametrize("subscription", [CRYPTO, AVERAGE])
async def test_boundaries_are_missing_in_ticks_and_snapshots(subscription):
    """A reconnect must not bring what was withheld; ten seconds here, 300 by default."""
    fault = "missing-boundary:topic=all,seconds=10"
    history = [*lively().moments()]
    tape = HandMadeTape(history, start_ms=at(35))
    async with served(tape, speed=20, faults=[fault]) as urls, polybolt(urls, subscription) as socket:
        frames = await frames_until(socket, lambda f: is_tick(f) and f["payload"]["timestamp"] > at(52))
    snapshot = next(frame for frame in frames if frame.get("snapshot"))
    seen = stamps(snapshot["payload"]["data"]) + stamps([f["payload"] for f in frames if is_tick(f)])
    assert len(seen) > 40
    assert set(range(min(seen), max(seen), 1000)) - set(seen) == {at(10), at(20), at(30), at(40), at(50)}


async def test_the_default_leaves_out_what_windows_start_and_end_on():
    """The average stamped with the start, and nothing of Chainlink's spot."""
    tape = HandMadeTape([price(0, "twap", STRIKE, 60), price(0), price(1, "twap", STRIKE, 60), price(2)])
    async with served(tape, faults=["missing-boundary"]) as urls, polybolt(urls, CRYPTO, AVERAGE) as socket:
        frames = [(await frames_until(socket, is_tick))[-1] for _ in range(3)]
    assert [(frame["channel"], frame["payload"]["timestamp"]) for frame in frames] == [
        ("price.crypto", at(0)), ("price.crypto.twap", at(1)), ("price.crypto", at(2))
    ]  # fmt: skip


async def test_a_value_stands_still_while_stamps_go_on():
    """Alive by every sign but the value; the other source moves. A snapshot holds the same value."""
    async with served(lively(), speed=20) as urls, polybolt(urls, CRYPTO, AVERAGE) as socket:
        await ticks(socket, 2)
        await start_fault(urls, "frozen-value", topic="twap")
        frames = await frames_until(socket, lambda f: is_tick(f) and f["seq"] > 12)
        of_twap = [f["payload"] for f in frames if is_tick(f) and f["channel"] == "price.crypto.twap"]
        of_spot = [f["payload"] for f in frames if is_tick(f) and f["channel"] == "price.crypto"]
        async with polybolt(urls, AVERAGE) as late:
            snapshot = (await frames_until(late, lambda f: "snapshot" in f))[-1]["payload"]["data"]
            after = (await ticks(late, 1))[0]
    frozen = of_twap[2:]
    assert len(frozen) > 3
    assert len({payload["full_accuracy_value"] for payload in frozen}) == 1
    assert stamps(frozen) == sorted(set(stamps(frozen)))
    assert all(exact(payload) == true_value(payload) for payload in of_spot)
    assert after["value"] == snapshot[-1]["value"] == frozen[0]["value"]
    assert snapshot[0]["value"] == float(true_value(snapshot[0]))


async def test_a_value_is_carried_forward_and_says_so():
    """On PolyBolt alone, which has the word for it."""
    async with (
        served(lively(), speed=20, faults=["carried-forward:every=3"]) as urls,
        polybolt(urls, AVERAGE) as socket,
        rtds(urls, "crypto_prices_twap_sixty") as other,
    ):
        seen = await ticks(socket, 8)
        assert all(exact(payload) == true_value(payload) for payload in await ticks(other, 3))
    carried = [payload for payload in seen if payload.get("is_carried_forward")]
    assert len(carried) == 2
    for payload in seen:
        expected = true_value(payload) - (1 if payload in carried else 0)
        assert exact(payload) == expected


@pytest.mark.parametrize("told", ["no", "yes"])
async def test_numbers_of_polybolt_are_missing(told):
    """One frame in four never comes; the next says so, if it does."""
    async with (
        served(lively(), speed=20, faults=[f"seq-gap:every=4,told={told}"]) as urls,
        polybolt(urls, AVERAGE) as socket,
    ):
        frames = (await frames_until(socket, lambda f: f.get("seq") == 10))[1:]
    assert [frame["seq"] for frame in frames] == [1, 2, 3, 5, 6, 7, 9, 10]
    assert [frame.get("dropped") for frame in frames if frame["seq"] in (5, 9)] == [
        1 if told == "yes" else None
    ] * 2


async def test_the_servers_stamps_are_off_and_those_of_prices_are_not():
    """On RTDS, PolyBolt and the CLOB; a price keeps the second it is of."""
    async with served(lively(), speed=20, faults=["clock-skew:ms=-60000,of=stamps"]) as urls:
        async with rtds(urls, TOPIC) as one, polybolt(urls, CRYPTO) as two, clob(urls) as three:
            rtds_tick = (await frames_until(one, is_tick))[-1]
            polybolt_tick = (await frames_until(two, is_tick))[-1]
            change = (await frames_until(three, lambda f: isinstance(f, dict)))[-1]
        time_s = (await get(f"{urls['CLOB_HOST']}/time")).json()
        now = (await get(urls["CLOCK_URL"])).json()["now_ms"]
    assert rtds_tick["timestamp"] - rtds_tick["payload"]["timestamp"] == 1_600 - 60_000
    assert polybolt_tick["ts"] - polybolt_tick["payload"]["timestamp"] == 1_600 - 60_000
    assert exact(rtds_tick["payload"]) == true_value(rtds_tick["payload"])
    assert int(change["timestamp"]) < at(-20)
    assert abs(time_s * 1000 - now) < 5_000


async def test_tokens_that_nobody_asked_for_come_beside_the_known_ones():
    """The known ones are all there."""
    async with served(lively(), speed=20, faults=["unknown-asset"]) as urls, clob(urls) as socket:
        first, known, other = await raw(socket, 3)
    assert {book["asset_id"] for book in json.loads(first)} == {UP, DOWN}
    tokens = [{c["asset_id"] for c in json.loads(text)["price_changes"]} for text in (known, other)]
    assert tokens[0] == {UP, DOWN}
    assert tokens[1].isdisjoint({UP, DOWN})
    assert json.loads(other)["market"] != json.loads(known)["market"]


async def test_books_are_crossed_and_agree_with_the_touch_they_state():
    """In the first books, after every change, in the stated touch; GET /book stays right."""
    extra = {"custom_feature_enabled": True}
    async with served(lively(), speed=20, faults=["crossed-book"]) as urls, clob(urls, **extra) as socket:
        frames: list = []
        while len(of_kind(frames, "best_bid_ask")) < 4:
            frames.append(json.loads(await socket.recv()))
            built = books_of(frames)
            if not isinstance(frames[-1], dict) or frames[-1]["event_type"] == "price_change":
                for sides in built.values():
                    bid, ask = touch(sides)
                    assert bid >= ask
            if isinstance(frames[-1], dict) and "price_changes" in frames[-1]:
                for change in {c["asset_id"]: c for c in frames[-1]["price_changes"]}.values():
                    stated = (float(change["best_bid"]), float(change["best_ask"]))
                    assert stated == touch(built[change["asset_id"]])
        rest = (await get(f"{urls['CLOB_HOST']}/book?token_id={UP}")).json()
    assert all(quote["best_bid"] == "0.99" for quote in of_kind(frames, "best_bid_ask"))
    assert max(float(level["price"]) for level in rest["bids"]) < 0.9


@pytest.mark.parametrize("follow", ["follow", "missing"])
async def test_the_grid_of_open_markets_changes_for_good(follow):
    """Announced for both tokens; whole books follow, or do not; REST tells the new grid."""
    async with served(lively(), speed=20) as urls, clob(urls) as socket:
        await frames_until(socket, lambda f: isinstance(f, dict))
        await start_fault(urls, "tick-change", books=follow)
        frames = await frames_until(socket, lambda f: f["event_type"] == "tick_size_change")
        frames += await frames_until(socket, lambda f: f["event_type"] == "price_change")
        tick = (await get(f"{urls['CLOB_HOST']}/tick-size?token_id={UP}")).json()
        assert await did(urls, "tick-change") == (
            {"markets changed": 1} if follow == "follow" else {"markets changed": 1, "books withheld": 2}
        )
        async with clob(urls) as again:
            assert json.loads(await again.recv())[0]["tick_size"] == "0.001"
    changes = of_kind(frames, "tick_size_change")
    assert [(c["asset_id"], c["old_tick_size"], c["new_tick_size"]) for c in changes] == [
        (UP, "0.01", "0.001"),
        (DOWN, "0.01", "0.001"),
    ]
    assert len(of_kind(frames, "book")) == (2 if follow == "follow" else 0)
    assert tick == {"minimum_tick_size": 0.001}


async def test_a_lost_change_makes_the_clients_book_another_than_the_venues():
    """Nothing says so at that moment, not even to those with custom features; the venue's book is right."""
    tape = HandMadeTape([*books(-1, 6000, 6100), *books(1, 6100, 6200), *books(2, 6200, 6300), trade(30)])
    async with (
        served(tape, faults=["lost-delta"]) as urls,
        clob(urls, custom_feature_enabled=True) as socket,
    ):
        frames = [json.loads(await socket.recv())]
        frames += await frames_until(
            socket, lambda f: f["event_type"] == "best_bid_ask" and f["asset_id"] == DOWN
        )
        assert await silence(socket, 0.3)
        rest = (await get(f"{urls['CLOB_HOST']}/book?token_id={UP}")).json()
        assert await did(urls, "lost-delta") == {"changes lost": 1}
    ours = touch(books_of(frames)[UP])
    theirs = max(float(x["price"]) for x in rest["bids"]), min(float(x["price"]) for x in rest["asks"])
    assert (ours, theirs) == ((0.61, 0.62), (0.62, 0.63))


async def test_depth_may_be_lost_too():
    """No stated touch will ever tell of that: only GET /book or the next whole book."""
    deeper = books(1, 6000, 6100, size=70_000_000)
    tape = HandMadeTape([*books(-1, 6000, 6100), *deeper, *books(2, 6000, 6100, size=80_000_000)])
    async with served(tape, faults=["lost-delta:of=any"]) as urls, clob(urls) as socket:
        await socket.recv()
        change = json.loads(await socket.recv())
        assert change["timestamp"] == str(at(2))


async def test_the_user_channel_can_stall_as_well():
    """Its PONG goes on."""
    async with served(HandMadeTape([]), faults=["stall:feed=user"]) as urls, user(urls) as socket:
        import httpx

        async with httpx.AsyncClient() as client:
            await client.post(f"{urls['CLOB_HOST']}/control/user", json={"event_type": "order"})
        await socket.send("PING")
        assert await socket.recv() == "PONG"
        assert await silence(socket, 0.2)
        assert await did(urls, "stall") == {"frames withheld": 1}
