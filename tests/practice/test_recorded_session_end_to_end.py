"""A real recording over real sockets: what the engine must be able to see of it."""

import asyncio
import json
from collections import Counter
from decimal import Decimal

import websockets

from engine.practice.recorded import open_recorded
from engine.wire import clob_market, rtds
from engine.wire import gamma as gamma_wire
from tests.practice.hand_made import get, served
from tests.shared_data import needs_recordings, recording

SLUG = "btc-updown-5m-1787236800"
START_S, END_S = 1_787_236_800, 1_787_237_100
STRIKE, FINAL = Decimal("71485.23965784832"), Decimal("71481.16729031486")

pytestmark = needs_recordings


async def hear_prices(urls, until_ms):
    """Return every average by its second, exact text and number, until the clock passes a moment."""
    exact, shown = {}, {}
    async with websockets.connect(urls["RTDS_WS_URL"]) as socket:
        await socket.send(rtds.subscribe(rtds.TWAP_60, "btc/usd"))
        while True:
            try:
                text = await asyncio.wait_for(socket.recv(), 2)
            except TimeoutError:
                return exact, shown
            for event in rtds.parse(text, 0):
                if type(event).__name__ == "PricePrinted":
                    exact[event.ts_venue_ms] = event.value
                    shown[event.ts_venue_ms] = json.loads(text)["payload"]["value"]
                    if event.ts_venue_ms >= until_ms:
                        return exact, shown


async def hear_market(urls, tokens):
    """Return how often each event came, the last touches, and the winner, until the market resolves."""
    kinds, levels, disagree = Counter(), {}, 0
    async with websockets.connect(f"{urls['CLOB_WS_URL']}/ws/market") as socket:
        await socket.send(clob_market.subscribe(tokens))
        async with asyncio.timeout(30):
            while True:
                for event in clob_market.parse(await socket.recv(), 0):
                    kinds[type(event).__name__] += 1
                    match type(event).__name__:
                        case "BookReplaced":
                            levels[event.token] = {"BUY": dict(event.bids), "SELL": dict(event.asks)}
                        case "LevelsChanged":
                            for change in event.changes:
                                side = levels[change.token][change.side]
                                side[change.price_e4] = change.size_e6
                                if not change.size_e6:
                                    del side[change.price_e4]
                                book = levels[change.token]
                                disagree += change.best_bid_e4 != max(book["BUY"], default=None)
                                disagree += change.best_ask_e4 != min(book["SELL"], default=None)
                        case "MarketResolved":
                            return kinds, levels, disagree, event.winning_token


async def test_strike_final_books_and_outcome_arrive_as_they_really_happened():
    """At 200 times its speed: both averages to the last digit, every touch change, the real outcome."""
    tape = open_recorded(recording(f"sessions/{SLUG}.json.gz"))
    contract = tape.contract(SLUG)
    assert contract is not None
    tokens = [contract.token_up, contract.token_down]
    async with served(tape, speed=200) as urls:
        (exact, shown), (kinds, levels, disagree, winner) = await asyncio.gather(
            hear_prices(urls, (END_S + 60) * 1000), hear_market(urls, tokens)
        )
        missing = await get(f"{urls['GAMMA_API_URL']}/markets/slug/btc-updown-15m-{START_S}")
        async with asyncio.timeout(10):
            while True:
                event = (await get(f"{urls['GAMMA_API_URL']}/events/slug/{SLUG}")).content
                outcome = gamma_wire.parse_market(event, 0)
                if getattr(outcome, "final", None) is not None:
                    break
                await asyncio.sleep(0.05)
    assert exact[START_S * 1000] == STRIKE
    assert exact[END_S * 1000] == FINAL
    assert (shown[START_S * 1000], shown[END_S * 1000]) == (71485.23965784832, 71481.16729031486)
    assert (START_S + 1) * 1000 not in exact  # it never arrived in August 2026 either
    assert kinds["TradePrinted"] == 3588
    assert 900 < kinds["LevelsChanged"] < 1100  # 1,068 touch changes of either token, most in one frame
    assert disagree == 0
    assert max(levels[contract.token_down]["BUY"]) == 9900
    assert levels[contract.token_down]["SELL"] == {}
    assert winner == contract.token_down
    assert missing.status_code == 404
    assert (outcome.strike, outcome.final, outcome.outcome) == (STRIKE, FINAL, "DOWN")
