"""Volatility and fair value: what is known of the settlement price, and how sure that is."""

import math
import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract import SettlementRule
from engine.core.fair import expect_settlement
from engine.core.prices import PriceTrack
from engine.core.signal import watch_fires, watch_return
from engine.core.volatility import realised_vol, sigma_usd
from engine.params import Params

TWAP_60 = SettlementRule("twap", 60)
SPOT = SettlementRule("spot")
END = 10_000


def track_until(newest: int, value: float = 70_000.0) -> PriceTrack:
    track = PriceTrack()
    for second in range(newest - 400, newest + 1):
        track.add(second * 1000, Decimal(repr(value)), second * 1000)
    return track


def test_before_the_averaging_begins_the_formula_of_the_reference_holds() -> None:
    """Variance sigma^2 (tau - 2W/3) for tau > W, up to the discreteness of whole seconds."""
    fair = expect_settlement(TWAP_60, END, track_until(END - 200), 2.0)
    assert fair is not None
    continuous = 2.0 * math.sqrt(200 - 3 - 2 * 60 / 3)  # the last sampled second is three before the end
    assert fair.mean_usd == 70_000.0
    assert fair.locked_share == 0.0
    assert fair.deviation_usd == pytest.approx(continuous, rel=0.01)


def test_at_fifteen_seconds_the_average_is_nearly_seven_times_surer_than_spot() -> None:
    """The reference: 6.9 times smaller than sigma * sqrt(tau) at tau = 15 with 15 samples to come."""
    sampled_last = END - 3
    fair = expect_settlement(TWAP_60, END, track_until(sampled_last - 15), 1.0)
    assert fair is not None
    assert math.sqrt(15) / fair.deviation_usd == pytest.approx(6.9, rel=0.05)


@given(st.integers(1, 59), st.integers(0, 2**31))
def test_the_variance_is_that_of_the_walk(unknown: int, seed: int) -> None:
    """The closed form equals the variance of a mean of partial sums, written out term by term."""
    fair = expect_settlement(TWAP_60, END, track_until(END - 3 - unknown), 1.5)
    assert fair is not None
    weights = [unknown - step for step in range(unknown)]  # step k moves every sample from k on
    exact = 1.5**2 * sum(weight**2 for weight in weights) / 60**2
    assert fair.deviation_usd == pytest.approx(math.sqrt(exact))
    assert fair.locked_share == pytest.approx(1 - unknown / 60)


def test_the_known_part_is_locked() -> None:
    """A last price far away moves only the unknown share of the mean."""
    track = track_until(END - 13)  # ten of sixty seconds to come
    track.add((END - 13) * 1000 + 1000, Decimal("70060"), 0)
    fair = expect_settlement(TWAP_60, END, track, 1.0)
    assert fair is not None
    assert fair.mean_usd == pytest.approx(70_000 + 60 * 10 / 60)


def test_once_everything_is_sampled_nothing_is_left_to_happen() -> None:
    """Three seconds before the end the average is fixed."""
    fair = expect_settlement(TWAP_60, END, track_until(END), 5.0)
    assert fair is not None
    assert (fair.deviation_usd, fair.locked_share, fair.locked_mean_usd) == (0.0, 1.0, 70_000.0)


def test_a_spot_market_keeps_the_whole_uncertainty() -> None:
    """sigma * sqrt(tau), tau from the newest received second."""
    fair = expect_settlement(SPOT, END, track_until(END - 16), 2.0)
    assert fair is not None
    assert fair.deviation_usd == pytest.approx(2.0 * 4.0)


def test_without_prices_nothing_is_expected() -> None:
    """Unknown is None."""
    assert expect_settlement(TWAP_60, END, PriceTrack(), 1.0) is None


prices = st.lists(st.floats(1_000, 200_000), min_size=2, max_size=80)


@given(prices, st.floats(0.5, 2.0))
def test_volatility_scales_with_the_currency(dollars: list[float], rate: float) -> None:
    """Dollars per root second: another currency scales it and nothing else."""
    points = list(enumerate(dollars))
    scaled = [(second, value * rate) for second, value in points]
    assert realised_vol(scaled) == pytest.approx(realised_vol(points) * rate)


def test_missing_seconds_do_not_change_the_volatility_of_a_random_walk() -> None:
    """Dropping a tenth of the seconds loses precision, not size: that is why time divides the squares."""
    walk = random.Random(7)
    value, points = 70_000.0, []
    for second in range(20_000):
        value += walk.gauss(0.0, 3.0)
        points.append((second, value))
    kept = [point for point in points if walk.random() > 0.1]
    assert realised_vol(kept) == pytest.approx(realised_vol(points), rel=0.03)
    assert realised_vol(points) == pytest.approx(3.0, rel=0.03)


def test_the_larger_window_counts_times_the_multiplier_with_a_floor() -> None:
    """A calm minute after a wild one is not calm yet; a flat line is not certain."""
    params = Params()
    calm = track_until(1_000)
    assert sigma_usd(calm, params) == pytest.approx(70_000 * params.sigma_floor)
    wild = PriceTrack()
    for second in range(600, 1_001):
        value = 70_000.0 + (10.0 if second % 2 and second < 900 else 0.0)
        wild.add(second * 1000, Decimal(repr(value)), 0)
    long = realised_vol(wild.between(700, 1_000))
    assert sigma_usd(wild, params) == pytest.approx(long * 1.5)


def test_too_few_seconds_have_no_volatility() -> None:
    """Unknown, not small."""
    track = PriceTrack()
    for second in range(10):
        track.add(second * 1000, Decimal(70_000), 0)
    assert sigma_usd(track, Params()) is None


def test_the_watch_looks_back_by_time_and_tolerates_holes() -> None:
    """A missing second sixty seconds ago is replaced by the one before it; a long hole is unknown."""
    track = PriceTrack()
    for second in (*range(0, 38), *range(45, 101)):
        track.add(second * 1000, Decimal(70_000 if second < 90 else 70_350), 0)
    signed = watch_return(track, Params())
    assert signed == pytest.approx(0.005)
    assert watch_fires(signed, Params())
    assert not watch_fires(0.004999, Params())
    assert watch_fires(-0.005, Params())
    track = PriceTrack()
    for second in (0, 100):
        track.add(second * 1000, Decimal(70_000), 0)
    assert watch_return(track, Params()) is None
    assert not watch_fires(None, Params())
