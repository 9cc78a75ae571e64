"""The venue's own site: the price to beat, and the traps around it."""

from decimal import Decimal

import pytest

from engine.contract import SettlementRule
from engine.practice.prices import PriceBoard
from engine.practice.recorded import open_recorded
from engine.practice.simulated.market import simulate
from engine.practice.simulated.opening import Opening, opening_start_ms
from engine.practice.site import Site
from engine.practice.tape import PriceMoment
from engine.wire.site_price import parse_site_price, price_path
from tests.practice import session_files
from tests.practice.hand_made import (
    FINAL,
    SLUG,
    START_S,
    STRIKE,
    TWAP_60,
    HandMadeTape,
    at,
    contract,
    get,
    price,
    served,
)
from tests.shared_data import needs_recordings, recording

SPOT_OPEN, SPOT_CLOSE = Decimal("71500.5"), Decimal("71490.25")
WINDOW = {
    "symbol": "BTC",
    "eventStartTime": "2026-09-23T01:30:00Z",
    "endDate": "2026-09-23T01:35:00Z",
    "variant": "fiveminute",
}
AVERAGE = {**WINDOW, "twapEnabled": "true", "twapLookbackSeconds": "60"}


def site(*printed: PriceMoment) -> Site:
    """Return the site of the hand-made window, with what has been printed on the price feed."""
    board = PriceBoard()
    for moment in printed:
        board.print(moment)
    return Site(HandMadeTape([price(0, value=SPOT_OPEN), price(300, value=SPOT_CLOSE)]), board)


def test_with_both_parameters_it_is_the_strike_and_later_the_final_price():
    """Which Gamma tells only after the end."""
    during = site().crypto_price(AVERAGE, at(10))
    assert (during["openPrice"], during["closePrice"], during["completed"]) == (float(STRIKE), None, False)
    after = site().crypto_price(AVERAGE, at(301))
    assert (after["openPrice"], after["closePrice"], after["completed"]) == (
        float(STRIKE),
        float(FINAL),
        True,
    )
    assert list(after) == ["openPrice", "closePrice", "timestamp", "completed", "incomplete", "cached"]


@pytest.mark.parametrize("missing", ["twapEnabled", "twapLookbackSeconds"])
def test_without_one_of_the_parameters_it_is_spot_without_a_word(missing):
    """The trap: a price to beat that looks right and is another one."""
    query = {name: value for name, value in AVERAGE.items() if name != missing}
    answer = site().crypto_price(query, at(301))
    assert (answer["openPrice"], answer["closePrice"]) == (float(SPOT_OPEN), float(SPOT_CLOSE))


@pytest.mark.parametrize(
    "wrong",
    [
        {"variant": "fivemin"},
        {"variant": "hourly"},
        {"variant": "fifteen"},
        {"symbol": "ETH"},
        {"eventStartTime": "2026-09-23T01:25:00Z", "endDate": "2026-09-23T01:30:00Z"},
    ],
)
def test_another_question_has_no_price(wrong):
    """An unknown variant is an hourly market of another exchange; the tape has this one window."""
    answer = site().crypto_price(AVERAGE | wrong, at(100))
    assert (answer["openPrice"], answer["completed"]) == (None, False)


def test_the_first_second_is_provisional():
    """What the feed said last, before the price of the start is there."""
    known = site(price(-2, "twap", Decimal(71000), 60), price(-2, "chainlink", Decimal(71002)))
    assert known.crypto_price(AVERAGE, at(0.5))["openPrice"] == 71000.0
    assert known.crypto_price(WINDOW, at(0.5))["openPrice"] == 71002.0
    assert known.crypto_price(AVERAGE, at(1.0))["openPrice"] == float(STRIKE)


def test_a_null_is_repeated_for_ten_seconds():
    """Who asks a second too early is not told for ten; who asks for something else is."""
    known = site()
    early = known.crypto_price(AVERAGE, at(-1))
    assert (early["openPrice"], early["cached"]) == (None, False)
    cached = known.crypto_price(AVERAGE, at(8.9))
    assert (cached["openPrice"], cached["cached"], cached["timestamp"]) == (None, True, at(-1))
    assert known.crypto_price(WINDOW, at(8.9))["openPrice"] == float(SPOT_OPEN)
    assert known.crypto_price(AVERAGE, at(9))["openPrice"] == float(STRIKE)


def test_nulls_are_not_kept_for_ever():
    """A client that asks on and on must not fill the venue's memory."""
    known = site()
    for number in range(100):
        known.crypto_price(AVERAGE | {"symbol": f"X{number}"}, at(20 * number))
    assert len(known._nulls) == 1


@pytest.mark.parametrize("field", ["eventStartTime", "endDate"])
@pytest.mark.parametrize("text", ["", "soon", "1790127000", "2026-09-23T01:30:00", "2026-09-23T01:30:00.5Z"])
async def test_a_time_that_is_none_is_a_bad_request(field, text):
    """With the field's name."""
    async with served(HandMadeTape([])) as urls:
        query = "&".join(f"{name}={value}" for name, value in (AVERAGE | {field: text}).items())
        answer = await get(f"{urls['SITE_PRICE_URL']}/api/crypto/crypto-price?{query}")
    assert (answer.status_code, answer.json()) == (400, {"error": f"Invalid {field}"})


async def test_the_engines_own_question_is_answered_over_http():
    """Path, query and answer fit together, to the last digit of the captured prices."""
    async with served(HandMadeTape([], start_ms=at(310))) as urls:
        answer = await get(urls["SITE_PRICE_URL"] + price_path(contract(), TWAP_60))
    told = parse_site_price(answer.content, SLUG, 0)
    assert (told.open_price, told.close_price, told.completed) == (STRIKE, FINAL, True)


def test_a_simulated_window_tells_the_strike_it_will_settle_on():
    """Known from its start on; also that of the 15m window that runs when the staged opening begins."""
    start_ms = opening_start_ms(1_790_127_000_000)
    tape = simulate(3, start_ms, Opening(0.005, 15.0, 5.0, 0.97))
    rule = SettlementRule("twap", 60)
    boundary_s = start_ms // 1000 + 10
    moments = tape.moments()
    for moment in moments:
        if moment.due_ms >= (boundary_s + 1) * 1000:
            break
    strike = tape.price_at(boundary_s, rule)
    spot = tape.price_at(boundary_s, SettlementRule("spot"))
    running_s = boundary_s - boundary_s % 900
    running = tape.price_at(running_s, rule)
    assert strike is not None
    assert running is not None
    assert spot not in (None, strike)
    assert tape.price_at(boundary_s, SettlementRule("twap", 30)) is None
    assert tape.price_at(boundary_s + 300, rule) is None
    for moment in moments:
        if moment.due_ms >= (boundary_s + 601) * 1000:
            break
    first = tape.truth(f"btc-updown-5m-{boundary_s}")
    assert first is not None
    assert (first.strike, first.final) == (strike, tape.price_at(boundary_s + 300, rule))
    quarter = tape.truth(f"btc-updown-15m-{running_s}")
    assert quarter is not None
    assert quarter.strike == running


def test_a_recorded_window_tells_what_was_recorded(tmp_path):
    """Strike and final of the label; spot where a second of it, or one just before, was recorded."""
    path = session_files.write(tmp_path / f"{session_files.SLUG}.json.gz", session_files.event_stream())
    tape = open_recorded(path)
    start_s, rule = session_files.START_S, SettlementRule("twap", 60)
    assert (tape.price_at(start_s, rule), tape.price_at(start_s + 300, rule)) == (STRIKE, FINAL)
    assert tape.price_at(start_s, SettlementRule("spot")) == Decimal("71485.5")
    assert tape.price_at(start_s + 300, SettlementRule("spot")) is None
    assert tape.price_at(start_s, SettlementRule("twap", 30)) is None


def test_a_recorded_window_whose_closing_report_never_came_tells_the_served_one(tmp_path):
    """The site knows what the feed did not deliver; so it was with the window of 1787258400."""
    heard = [row for row in session_files.EVENTS if row[1] != "t"]
    document = session_files.event_stream(events=heard)
    tape = open_recorded(session_files.write(tmp_path / f"{session_files.SLUG}.json.gz", document))
    assert tape.price_at(session_files.START_S + 300, SettlementRule("twap", 60)) == FINAL


@needs_recordings
def test_the_trap_springs_on_a_real_session():
    """Spot and average of one real second differ by dollars: a strike asked for wrongly is wrong."""
    name = "btc-updown-5m-1787236800.json.gz"
    tape = open_recorded(recording(f"sessions/{name}"))
    strike, spot = (tape.price_at(1_787_236_800, rule) for rule in (TWAP_60, SettlementRule("spot")))
    assert strike is not None
    assert spot is not None
    assert abs(strike - spot) > Decimal("0.01")


def test_the_window_of_these_queries_is_the_hand_made_one():
    """The texts above and the tape's numbers are the same second."""
    assert price_path(contract(), TWAP_60).count(WINDOW["eventStartTime"]) == 1
    assert contract().start_s == START_S
