"""Volatility and fair value: what is known of the settlement price, and how sure that is."""

import math
import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract import SettlementRule
from engine.core.fair import OTHER_SECONDS, SAMPLING_USD, expect_settlement, unknown_part
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
    assert fair.deviation_usd == pytest.approx(math.sqrt(exact + SAMPLING_USD**2))
    assert fair.locked_share == pytest.approx(1 - unknown / 60)


def test_the_known_part_is_locked() -> None:
    """A last price far away moves only the unknown share of the mean."""
    track = track_until(END - 13)  # ten of sixty seconds to come
    track.add((END - 13) * 1000 + 1000, Decimal("70060"), 0)
    fair = expect_settlement(TWAP_60, END, track, 1.0)
    assert fair is not None
    assert fair.mean_usd == pytest.approx(70_000 + 60 * 10 / 60)


def test_once_everything_is_sampled_only_the_publishers_choice_is_left() -> None:
    """Three seconds before the end the average is fixed, but for a few cents: he decides of which seconds."""
    fair = expect_settlement(TWAP_60, END, track_until(END), 5.0)
    assert fair is not None
    assert (fair.deviation_usd, fair.locked_share, fair.locked_mean_usd) == (SAMPLING_USD, 1.0, 70_000.0)
    over = expect_settlement(SPOT, END, track_until(END), 5.0)
    assert over is not None
    assert over.deviation_usd == 0.0, "a spot market settles on one second, and it is known"


@pytest.mark.parametrize(("after", "newest"), [(70_120.0, END - 2), (70_120.0, END - 3)])
def test_a_second_more_or_less_is_doubted_by_what_it_would_change(after: float, newest: int) -> None:
    """One second later the first value leaves and the next comes: $2 of the mean, six tenths of which count.

    Where that next second is not there yet, the newest stands for it.
    """
    track = track_until(END - 4)
    for second in range(END - 3, newest + 1):
        track.add(second * 1000, Decimal(repr(after)), second * 1000)
    fair = expect_settlement(TWAP_60, END, track, 0.0)
    assert fair is not None
    shift = OTHER_SECONDS * 120.0 / 60
    assert fair.deviation_usd == pytest.approx(math.hypot(SAMPLING_USD, shift))


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


def test_the_larger_span_counts_times_the_multiplier_with_a_floor() -> None:
    """A calm minute after a wild quarter of an hour is not calm yet; a flat line is not certain."""
    params = Params()
    calm = track_until(1_000)
    assert sigma_usd(calm, params) == pytest.approx(70_000 * params.sigma_floor)
    wild = PriceTrack()
    for second in range(101, 1_001):
        value = 70_000.0 + (10.0 if second % 2 and second < 900 else 0.0)
        wild.add(second * 1000, Decimal(repr(value)), 0)
    long = realised_vol(wild.between(101, 1_000))
    assert sigma_usd(wild, params) == pytest.approx(long * params.sigma_multiplier)


def test_a_sudden_minute_counts_by_its_share() -> None:
    """A market that wakes up is not averaged away by the quarter of an hour before."""
    params = Params()
    track = PriceTrack()
    for second in range(101, 1_001):
        value = 70_000.0 + (10.0 if second % 2 and second > 940 else 0.0)
        track.add(second * 1000, Decimal(repr(value)), 0)
    short = realised_vol(track.between(940, 1_000)) * math.sqrt(params.sigma_short_weight)
    assert short > realised_vol(track.between(101, 1_000))
    assert sigma_usd(track, params) == pytest.approx(short * params.sigma_multiplier)


def test_late_seconds_say_nothing_of_how_btc_moves_now() -> None:
    """A value that came after newer ones fills its second of the average, and leaves sigma alone."""
    track = track_until(1_000)
    holed = PriceTrack()
    for second, value in track.between(600, 1_000):
        if second != 980:
            holed.add(second * 1000, Decimal(repr(value)), second * 1000)
    before = sigma_usd(holed, Params())
    assert holed.add(980_000, Decimal(70_900), 1_002_000) == "late"
    assert sigma_usd(holed, Params()) == before
    assert holed.dollars(980) == 70_900.0


@given(st.integers(0, 60), st.integers(0, 400), st.floats(0.0, 0.9))
def test_the_unknown_part_is_that_of_the_walk_with_memory(unknown: int, gap: int, memory: float) -> None:
    """Drift and variance of the sum, against the same walk written out move by move."""
    part = unknown_part(unknown, gap, memory)
    steps = [memory ** (second + 1) for second in range(gap + unknown)]
    levels = [sum(steps[: second + 1]) for second in range(gap + unknown)]
    assert part.drift == pytest.approx(sum(levels[gap:]), abs=1e-9)
    variance = 0.0
    for news_at in range(gap + unknown):
        moved, level, total = 1.0, 0.0, 0.0
        for second in range(news_at, gap + unknown):
            level += moved
            moved *= memory
            total += level if second >= gap else 0.0
        variance += total * total
    assert part.variance == pytest.approx(variance, rel=1e-9, abs=1e-9)
    plain = gap * unknown**2 + unknown * (unknown + 1) * (2 * unknown + 1) / 6
    assert unknown_part(unknown, gap, 0.0).variance == pytest.approx(plain)


def test_the_feed_carries_a_move_on() -> None:
    """With memory a rising last second lifts the expectation, a falling one lowers it, equally."""
    means = []
    for last in (70_010, 69_990):
        track = track_until(END - 20)
        track.add((END - 19) * 1000, Decimal(last), 0)
        fair = expect_settlement(TWAP_60, END, track, 1.0, memory=0.3)
        flat = expect_settlement(TWAP_60, END, track, 1.0)
        assert fair is not None
        assert flat is not None
        means.append(fair.mean_usd - flat.mean_usd)
    assert means[0] == pytest.approx(-means[1])
    assert 0.0 < means[0] < 10 * 0.3 / 0.7 * 16 / 60


def test_a_hole_in_the_fixed_part_is_bridged_and_doubted() -> None:
    """Ten missing seconds of the average refuse nothing: the bridge's own variance is in the deviation."""
    whole, holed = track_until(END - 3), PriceTrack()
    for second, value in whole.between(END - 400, END - 3):
        if not END - 40 < second < END - 29:
            holed.add(second * 1000, Decimal(repr(value)), second * 1000)
    fair = expect_settlement(TWAP_60, END, holed, 2.0)
    assert fair is not None
    assert fair.mean_usd == pytest.approx(70_000.0)
    assert fair.coverage == pytest.approx(50 / 60)
    bridged = 2.0 * math.sqrt(11 * (11 * 11 - 1) / 12) / 60
    assert fair.deviation_usd == pytest.approx(math.hypot(bridged, SAMPLING_USD))


def test_what_the_rest_must_average_to_flip_is_arithmetic() -> None:
    """Fifty seconds at 70,000 fixed and ten to come: to end at 70,006 those ten must average 36 more."""
    fair = expect_settlement(TWAP_60, END, track_until(END - 13), 1.0)
    assert fair is not None
    assert fair.average_to_end_at(70_006.0) == pytest.approx(70_036.0)
    over = expect_settlement(TWAP_60, END, track_until(END), 1.0)
    assert over is not None
    assert over.average_to_end_at(70_006.0) is None


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
