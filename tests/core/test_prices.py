"""What a report says of the source that sent it: a value of an earlier second is no sign of life."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.core import decide as gate
from engine.core import risk
from engine.core.prices import PriceTrack
from tests.core.builders import Core
from tests.core.order_story import NOW_MS, NOW_S, PARAMS, SLUG, quote, ready

BEGIN_S = 1_790_000_000


def test_a_late_value_is_no_sign_of_life() -> None:
    """It fills its second, and says neither that the feed is up to date nor how late it is."""
    track = PriceTrack()
    assert track.add(5_000, Decimal(70_000), 6_650) == "new"
    assert track.add(3_000, Decimal(70_001), 9_900) == "late"
    assert (track.newest_s, track.arrived_ms, track.lag_ms) == (5, 6_650, 1_650)
    assert track.dollars(3) == 70_001.0
    assert track.arrival_of(3) == 9_900


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 4_000)), min_size=1, max_size=60))
def test_the_last_arrival_is_that_of_the_newest_second(told: list[tuple[int, int]]) -> None:
    """Whatever comes late, twice, restated or out of order in between."""
    track, now_ms, newest, arrived_ms = PriceTrack(), BEGIN_S * 1000, -1, None
    for second, later_ms in told:
        now_ms += later_ms
        track.add((BEGIN_S + second) * 1000, Decimal(70_000 + second % 7), now_ms)
        if second > newest:
            newest, arrived_ms = second, now_ms
        assert (track.newest_s, track.arrived_ms) == (BEGIN_S + newest, arrived_ms)


def test_late_values_keep_no_price_fresh() -> None:
    """A feed that sends only what is old, a value a second, is stale after five: nothing is bought by it."""
    core = ready(Core(PARAMS._replace(price_stale_s=5.0)))
    for later in range(1, 8):
        core.price(NOW_S - 100 - later, 70_020.0, lag_ms=(100 + 2 * later) * 1000)
    core.second(NOW_S + 7)
    assert risk.blocks(core.state, core.state.markets[SLUG]) & gate.PRICE
    assert quote(core, NOW_MS + 7_000) == []
