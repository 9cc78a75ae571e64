"""Reports of prices that cannot be believed: named, counted, and without effect on strike and sigma."""

import random
from decimal import Decimal

import pytest

from engine import events as e
from engine.core import decide as gate
from engine.core import risk
from engine.core.state import State
from tests.core.builders import START_S, Core, contract
from tests.core.order_story import NOW_MS, SLUG, quote, ready

LAST = START_S + 30


def told() -> Core:
    """A core that has seen 400 seconds and the strike."""
    core = Core()
    core.describe()
    walk = random.Random(3)
    value = 70_000.0
    for second in range(START_S - 370, LAST + 1):
        value += walk.gauss(0.0, 0.2)
        if second != LAST - 10:
            core.price(second, round(value, 4))
        if second == START_S:
            core.price(second, "70000.25", "twap")
    return core


def report(core: Core, value: str, stamp_s: int, recv_s: int | None = None) -> None:
    core.feed(
        e.PricePrinted(
            ts_recv_ms=(LAST + 2 if recv_s is None else recv_s) * 1000,
            source="chainlink",
            value=Decimal(value),
            ts_venue_ms=stamp_s * 1000,
            ts_sent_ms=None,
        )
    )


def known(state: State) -> tuple[object, ...]:
    market = state.markets[contract().slug]
    track = state.track("chainlink")
    return market.strike, state.sigma_usd, state.watch_return, track.newest_s, track.newest()


@pytest.mark.parametrize(
    ("value", "stamp_s", "name"),
    [
        ("NaN", LAST + 1, "not a number"),
        ("Infinity", LAST + 1, "not a number"),
        ("0", LAST + 1, "zero"),
        ("-70000", LAST + 1, "negative"),
        ("77000", LAST + 1, "jump"),
        ("63000", LAST + 1, "jump"),
        ("70000", LAST + 600, "from the future"),
        ("70001", LAST, "restated"),
        ("70001", START_S, "restated"),
        ("70001", LAST - 10, "late"),
        ("70001", LAST - 79, "restated"),
        ("70001", LAST - 5_000, "too old"),
    ],
)
def test_a_bad_report_is_named_counted_and_without_effect(value: str, stamp_s: int, name: str) -> None:
    """Whatever the feed sends, the strike and the volatility stay what honest reports made them."""
    core = told()
    before = known(core.state)
    assert core.state.sigma_usd is not None
    report(core, value, stamp_s)
    assert core.state.bad_prices == {f"chainlink: {name}": 1}
    assert known(core.state) == before


def test_a_repeated_report_is_a_duplicate() -> None:
    """The same second with the same value, as after a reconnect."""
    core = told()
    before = known(core.state)
    newest = core.state.track("chainlink").newest()
    report(core, str(newest), LAST)
    assert core.state.bad_prices == {"chainlink: duplicate": 1}
    assert known(core.state) == before


def test_a_report_of_79_seconds_ago_counts_for_its_own_second_alone() -> None:
    """It was seen on the recorded day. The boundary's own report may come late and still be the strike."""
    core = told()
    core.price(LAST + 1, 70_000.0)
    before = known(core.state)
    core.state.track("chainlink")
    missing = LAST - 10
    report(core, "70003", missing, recv_s=missing + 79)
    assert core.state.bad_prices == {"chainlink: late": 1}
    assert core.state.track("chainlink").at(missing) == 70_003
    assert known(core.state)[1:3] == before[1:3]


@pytest.mark.parametrize("second", [START_S])
def test_a_wrong_value_under_the_boundary_stamp_does_not_replace_the_strike(second: int) -> None:
    """First told, first kept: a restated boundary is counted, the strike stands."""
    core = told()
    core.price(second, "70999", "twap")
    strike = core.state.markets[contract().slug].strike
    assert strike is not None
    assert strike.value == Decimal("70000.25")
    assert core.state.bad_prices == {"twap: restated": 1}


def test_other_symbols_and_unreadable_frames_are_counted_by_name() -> None:
    """The parser refuses them before they are prices; they are faults of the price feed all the same."""
    core = told()
    now_ms = (LAST + 2) * 1000
    core.feed(e.FrameIgnored(ts_recv_ms=now_ms, feed="rtds", reason="other symbol"))
    core.feed(e.FrameRefused(ts_recv_ms=now_ms, feed="rtds", reason="negative price: -5", excerpt=""))
    core.feed(e.FrameRefused(ts_recv_ms=now_ms, feed="clob", reason="unknown event", excerpt=""))
    assert core.state.bad_prices == {"rtds: other symbol": 1, "rtds: negative price": 1}


def test_a_frame_of_books_that_was_not_understood_voids_them() -> None:
    """It may have taken away a level that the next stated touch says nothing of."""
    core = ready()
    quote(core, NOW_MS, up_ask=90)
    market = core.state.markets[SLUG]
    assert (market.up.state, market.down.state) == ("live", "live")
    core.feed(e.FrameRefused(ts_recv_ms=NOW_MS, feed="clob", reason="'' is no size", excerpt=""))
    assert (market.up.state, market.down.state) == ("awaiting snapshot", "awaiting snapshot")
    assert risk.blocks(core.state, market) & gate.BOOK


def test_a_jump_that_three_reports_agree_on_is_believed_and_starts_over() -> None:
    """After a long outage BTC may really be elsewhere: believed at the third word, with nothing bridged."""
    core = told()
    for second in (LAST + 3_600, LAST + 3_601):
        report(core, "77000", second, recv_s=second + 2)
        assert core.state.track("chainlink").newest_s == LAST
    report(core, "77001", LAST + 3_602, recv_s=LAST + 3_604)
    track = core.state.track("chainlink")
    assert (track.newest_s, track.newest()) == (LAST + 3_602, 77_001)
    assert len(track.between(LAST - 1_000, LAST + 4_000)) == 1
    assert core.state.sigma_usd is None


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_delivery_gives_the_same_strike(seed: int) -> None:
    """Every value counts under its own stamp, so the order of arrival decides nothing about the strike."""
    reports = [(second, 70_000.0 + second % 7) for second in range(START_S - 100, START_S + 20)]
    order = list(reports)
    random.Random(seed).shuffle(order)
    values = []
    for run in (reports, order):
        core = Core()
        core.describe()
        for place, (second, value) in enumerate(run):
            core.feed(
                e.PricePrinted(
                    ts_recv_ms=(START_S + 20) * 1000 + place,
                    source="chainlink",
                    value=Decimal(str(value)),
                    ts_venue_ms=second * 1000,
                    ts_sent_ms=None,
                )
            )
        core.second(START_S + 40)
        strike = core.state.markets[contract().slug].strike
        assert strike is not None
        values.append((strike.value, strike.error_usd))
    assert values[0] == values[1]
