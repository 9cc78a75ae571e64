"""Limits at their edges, seen from the gates."""

from decimal import Decimal

import pytest

from engine import events as e
from engine.contract import FeeSchedule
from engine.core import decide as gate
from engine.core import risk
from engine.core.card import contract_view
from engine.core.ledger import HOUR_MS
from engine.params import Limits
from tests.core.builders import END_S, Core, contract
from tests.core.order_story import NOW_MS, PARAMS, SLUG, past_trade, quote, ready, restored


def traded_ago(*ages_ms: int) -> Core:
    """Bring a core that may trade twice an hour to a window, with trades of so long before ``NOW_MS``."""
    core = Core(PARAMS, Limits(max_trades_per_hour=2))
    fills = [
        past_trade("", is_final=True, slug=f"w{place}", order_id=f"w{place}#1", at_ms=NOW_MS - age_ms)
        for place, age_ms in enumerate(ages_ms)
    ]
    core.feed(restored(*fills))
    return ready(core)


def is_full(core: Core) -> bool:
    return bool(risk.blocks(core.state, core.state.markets[SLUG]) & gate.HOURLY)


@pytest.mark.parametrize("age_ms", [0, 61_000, HOUR_MS // 2, HOUR_MS - 1_000, HOUR_MS])
def test_a_trade_counts_for_an_hour(age_ms: int) -> None:
    """Not for a minute: two trades of an hour ago leave room for none."""
    core = traded_ago(age_ms, age_ms)
    assert core.state.now_ms == NOW_MS
    assert is_full(core)


@pytest.mark.parametrize("ages_ms", [(0, HOUR_MS + 1), (HOUR_MS + 1, HOUR_MS + 1), (HOUR_MS,)])
def test_a_trade_counts_no_longer(ages_ms: tuple[int, ...]) -> None:
    """At its last millisecond it still does, at the next it does not."""
    core = traded_ago(*ages_ms)
    assert not is_full(core)
    assert len(quote(core)) == 1


def test_a_full_hour_buys_nothing() -> None:
    """The gate is asked."""
    assert quote(traded_ago(61_000, 61_000)) == []


def test_an_order_under_way_counts_as_a_trade() -> None:
    """It may fill, and then it is too late to count it."""
    core = traded_ago(HOUR_MS // 2)
    assert not is_full(core)
    assert len(quote(core)) == 1
    assert is_full(core)


def test_the_reserve_is_of_the_dearest_schedule_there_is() -> None:
    """A market that takes a tenth of the dollars may not be counted with the usual seven hundredths."""
    core = ready(Core(PARAMS))
    assert risk.worst_fee_share(core.state) == 0.07
    fee = FeeSchedule(Decimal("0.10"), Decimal(1))
    core.feed(e.MarketDescribed(ts_recv_ms=core.state.now_ms, contract=contract(fee=fee)))
    assert risk.worst_fee_share(core.state) == pytest.approx(0.0999)
    assert risk.one_order_e6(core.state) == pytest.approx(core.state.params.quote_size_usd * 1_099_900)


@pytest.mark.parametrize("skew_ms", [-1_900.0, 0.0, 1_900.0])
def test_a_window_ends_by_the_venues_clock(skew_ms: float) -> None:
    """Within what may be, ours is corrected by what was measured: nothing leaves after the end."""
    core = ready(Core(PARAMS))
    core.feed(
        e.ClockMeasured(ts_recv_ms=core.state.now_ms, skew_ms=skew_ms, round_trip_ms=40.0, source="time")
    )
    (intent,) = quote(core)
    decided = core.state.markets[SLUG].view
    assert decided is not None
    assert decided.numbers.seconds_left == pytest.approx(END_S - (core.state.now_ms - skew_ms) / 1000)
    assert intent.deadline_ms <= END_S * 1000 + min(0.0, skew_ms)
    shown = contract_view(core.state, core.state.markets[SLUG], core.state.now_ms)
    assert shown.seconds_left == pytest.approx(decided.numbers.seconds_left), "the card counts as it decides"
    late = Core(PARAMS)
    ready(late)
    late.feed(e.ClockMeasured(ts_recv_ms=NOW_MS, skew_ms=skew_ms, round_trip_ms=40.0, source="time"))
    assert quote(late, at_ms=END_S * 1000 + round(skew_ms) + 100) == [], "a tenth after its end"
