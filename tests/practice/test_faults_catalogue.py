"""The practice venue's faults that rows of the catalogue need and no random plan plays. On real sockets."""

import json
from decimal import Decimal

import pytest

from engine.errors import WireError
from engine.venue.exchange import CallFailed
from engine.wire.gamma import parse_contract
from engine.wire.rtds import parse
from tests.practice.faulty import did, is_tick, lively, ticks
from tests.practice.hand_made import (
    DOWN,
    SLUG,
    STRIKE,
    UP,
    HandMadeTape,
    at,
    books,
    clob,
    contract,
    end_faults,
    frames_until,
    get,
    rtds,
    served,
    start_fault,
)
from tests.practice.official import exchange

TOPIC = "crypto_prices_chainlink"


async def rtds_frame(urls, kind):
    """Return the first live price under a fault, as it came."""
    async with rtds(urls, TOPIC) as socket:
        return json.dumps((await frames_until(socket, is_tick))[-1])


@pytest.mark.parametrize("kind", ["zero", "negative", "nan", "infinite"])
async def test_a_value_that_is_no_price_comes_in_its_place(kind):
    """What reads the real venue refuses each of them."""
    async with served(lively(), speed=20, faults=[f"bad-value:as={kind}"]) as urls:
        text = await rtds_frame(urls, kind)
    with pytest.raises(WireError):
        parse(text, at(0))


async def test_a_price_of_ten_times_the_true_one_is_well_written():
    """Both ways in which it is written agree, so that only what came before speaks against it."""
    async with served(lively(), speed=20, faults=["bad-value"]) as urls:
        (event,) = parse(await rtds_frame(urls, "tenfold"), at(0))
    assert event.value == 10 * (STRIKE + (event.ts_venue_ms - at(0)) // 1000)


async def test_one_source_is_off_and_the_others_are_right():
    """By so many basis points, above or below."""
    async with served(lively(), speed=20, faults=["price-apart:feed=rtds,topic=chainlink,bp=-50"]) as urls:
        async with rtds(urls, TOPIC) as socket:
            (off,) = await ticks(socket, 1)
        async with rtds(urls, "crypto_prices_twap_sixty") as socket:
            (right,) = await ticks(socket, 1)
    true = STRIKE + (off["timestamp"] - at(0)) // 1000
    assert Decimal(off["full_accuracy_value"]) / 10**18 == true * Decimal("0.995")
    assert off["value"] == pytest.approx(float(true) * 0.995)
    assert right["value"] == float(STRIKE + (right["timestamp"] - at(0)) // 1000)


async def test_levels_come_in_no_order_and_are_the_same_ones():
    """The best price is neither the first nor the last."""
    told = []
    for faults in ([], ["shuffled-levels"]):
        async with served(HandMadeTape(books(-1, 6000, 6100)), faults=faults) as urls, clob(urls) as socket:
            told.append({book["asset_id"]: book["bids"] for book in json.loads(await socket.recv())})
    true, shuffled = told
    for token in (UP, DOWN):
        best = max(float(level["price"]) for level in true[token])
        assert len(true[token]) == 3
        assert best not in (float(shuffled[token][0]["price"]), float(shuffled[token][-1]["price"]))
        assert sorted(shuffled[token], key=str) == sorted(true[token], key=str)


async def test_the_last_frame_of_a_market_that_fell_silent_comes_again_beside_the_others():
    """After half a minute in which the others went on; those that were there before are let through."""
    other = "btc-updown-15m-1790127000"
    later = [m for second in (20, 55, 56) for m in books(second, 5000 + 20 * second, 5100 + 20 * second)]
    tape = HandMadeTape(
        [*books(-1, 6000, 6100), *books(20, 6100, 6200), *(m._replace(slug=other) for m in later)],
        others=(other,),
    )
    async with served(tape, speed=20, faults=["old-frames"]) as urls:
        tokens = [
            token for slug in (SLUG, other) for token in (contract(slug).token_up, contract(slug).token_down)
        ]
        async with clob(urls, assets_ids=tokens) as socket:
            frames = await frames_until(
                socket, lambda f: isinstance(f, dict) and f["timestamp"] == str(at(56))
            )
        struck = await did(urls, "old-frames")
    old = [f for f in frames if isinstance(f, dict) and f["timestamp"] == str(at(20))]
    assert struck["frames of the past"] >= 2, "beside both of the later frames"
    assert old[-1]["market"] == contract(SLUG).condition_id
    assert old[-1] in old[:-1], "word for word"


@pytest.mark.parametrize(
    ("name", "words"), [("other-window", "starts at"), ("fee-unknown", "publishes no schedule")]
)
async def test_gamma_answers_what_has_to_be_refused(name, words):
    """Another window than its times say; fees that nobody states. Afterwards all is well."""
    async with served(HandMadeTape([])) as urls:
        await start_fault(urls, name, slug="updown-5m")
        told = (await get(f"{urls['GAMMA_API_URL']}/markets/slug/{SLUG}")).content
        with pytest.raises(WireError, match=words):
            parse_contract(told)
        await end_faults(urls, name=name)
        assert (
            parse_contract((await get(f"{urls['GAMMA_API_URL']}/markets/slug/{SLUG}")).content).slug == SLUG
        )


async def test_no_heartbeat_is_taken_whichever_id_it_has():
    """Following the id that is said to be expected does not help; afterwards it does."""
    async with served(HandMadeTape(books(-1, 6000, 6100)), speed=20) as urls, exchange(urls) as live:
        await live.beat()
        await start_fault(urls, "heartbeat-refused")
        with pytest.raises(CallFailed, match="Heartbeat"):
            await live.beat()
        assert await did(urls, "heartbeat-refused") == {"heartbeats refused": 2}
        await end_faults(urls, name="heartbeat-refused")
        await live.beat()
