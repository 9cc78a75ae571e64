"""The one decision: what it buys, what refuses, and that nothing makes it raise."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as students_t

from engine.core import decide as d
from engine.params import Params

PARAMS = Params()

GOOD = d.Numbers(
    blocks=0,
    seconds_left=10.0,
    strike=70_000.0,
    expected=70_020.0,
    deviation=10.0,
    cost_up=0.90,
    cost_down=0.12,
    depth_up=20.0,
    depth_down=20.0,
    fee_rate=0.07,
    fee_exponent=1.0,
    fee_of_price=0.0,
)


def test_a_cheap_favourite_is_bought() -> None:
    """z = 2, so by Student's t of unit variance p(Up) = .97976; the ask and its fee come off that."""
    verdict = d.judge(GOOD, PARAMS)
    assert verdict.action == d.BUY_UP
    assert verdict.gates == 0
    p_up = 0.5 + (2 / 5 + math.atan(2)) / math.pi
    assert math.isclose(verdict.p_up, p_up)
    assert math.isclose(verdict.ev_up, p_up - 0.90 - 0.07 * 0.90 * 0.10)


def test_the_underdog_is_bought_when_it_is_the_cheap_side() -> None:
    """The seed takes the candidate with the highest EV, whichever side it is on."""
    verdict = d.judge(GOOD._replace(cost_up=0.97, cost_down=0.001), PARAMS)
    assert verdict.action == d.BUY_DOWN
    assert verdict.ev_down > verdict.ev_up


def test_of_two_passing_sides_the_higher_ev_wins() -> None:
    """Both sides can only pass on books that do not mirror; then the better one is taken."""
    cheap_both = GOOD._replace(cost_up=0.5, cost_down=0.01)
    verdict = d.judge(cheap_both, PARAMS)
    assert verdict.ev_up > verdict.ev_down > 0
    assert verdict.action == d.BUY_UP
    assert (
        d.judge(cheap_both._replace(expected=69_980.0, cost_up=0.01, cost_down=0.5), PARAMS).action
        == d.BUY_DOWN
    )


def test_each_refusal_names_its_gate() -> None:
    """Why not must always have an answer, and the right one."""
    cases = {
        "hammer time": GOOD._replace(seconds_left=15.01),
        "distance": GOOD._replace(expected=70_004.99),
        "price cap": GOOD._replace(cost_up=0.0, cost_down=0.0),
        "depth": GOOD._replace(depth_up=0.99),
        "EV": GOOD._replace(cost_up=0.97, deviation=12.0),
        "kill switch": GOOD._replace(blocks=d.KILLED | d.WATCH),
        "strike": GOOD._replace(blocks=d.STRIKE),
    }
    named = {name: d.first_gate(d.judge(numbers, PARAMS).gates) for name, numbers in cases.items()}
    assert named == {name: name for name in cases}


def test_thresholds_are_inclusive_where_the_seed_says_so() -> None:
    """Exactly at D_MIN, HAMMER_SECS and MAX_ENTRY_PRICE a trade is allowed."""
    edge = GOOD._replace(expected=70_005.0, deviation=1.0, seconds_left=15.0, cost_up=0.97)
    assert d.judge(edge, PARAMS).action == d.BUY_UP


def test_after_expiry_nothing_is_bought() -> None:
    """Zero seconds left is over."""
    assert d.judge(GOOD._replace(seconds_left=0.0), PARAMS).action == d.NO_TRADE


def test_a_settled_average_is_certain_and_a_tie_is_up() -> None:
    """With nothing left to happen the deviation is 0."""
    assert d.probability_up(70_000.0, 70_000.0, 0.0) == 1.0
    assert d.probability_up(70_000.01, 70_000.0, 0.0) == 0.0


dollars = st.floats(1_000.0, 1e6)


@pytest.mark.parametrize("z", [-224_244.0, -1.3e6, -7e7, -9.9e8])
def test_no_probability_is_below_nought(z: float) -> None:
    """Far out the two parts of the tail cancel to a little less than nothing."""
    assert 0.0 <= d.probability_up(0.0, z, 1.0) < 1e-15


@given(dollars, st.floats(-500, 500), st.floats(0.001, 500))
def test_up_and_down_are_symmetric(strike: float, distance: float, deviation: float) -> None:
    """Mirroring the distance swaps the probabilities."""
    p = d.probability_up(strike, strike + distance, deviation)
    mirrored = d.probability_up(strike, strike - distance, deviation)
    assert math.isclose(p + mirrored, 1.0, abs_tol=1e-6)


@given(dollars, st.floats(-500, 500), st.floats(0.001, 500), st.floats(0, 100))
def test_probability_never_falls_when_the_price_rises(
    strike: float, distance: float, deviation: float, more: float
) -> None:
    """Monotone in the expected price, to the last bit of a float's rounding."""
    low = d.probability_up(strike, strike + distance, deviation)
    assert d.probability_up(strike, strike + distance + more, deviation) >= low - 1e-15


@given(st.floats(0.001, 0.999))
def test_the_fee_is_symmetric_in_p(price: float) -> None:
    """rate * p * (1 - p) is the same for both sides of a market."""
    fee = 0.5 - price - d.expected_value(0.5, price, GOOD)
    other = 0.5 - (1 - price) - d.expected_value(0.5, 1 - price, GOOD)
    assert math.isclose(fee, other, abs_tol=1e-12)


anything = st.floats(allow_nan=True, allow_infinity=True)
odd_numbers = st.builds(
    GOOD._replace,
    seconds_left=st.sampled_from([10.0, math.nan, math.inf, -1.0]),
    strike=anything,
    expected=anything,
    deviation=anything,
    depth_up=anything,
    depth_down=anything,
)


@given(odd_numbers)
def test_it_is_total(numbers: d.Numbers) -> None:
    """NaN and infinities never raise, and what is not a number never buys."""
    verdict = d.judge(numbers, PARAMS)
    if math.isnan(numbers.expected - numbers.strike) or not numbers.seconds_left > 0:
        assert verdict.action == d.NO_TRADE


def test_a_nan_anywhere_refuses() -> None:
    """Each number alone: no comparison may pass because it cannot be made."""
    for name in ("seconds_left", "strike", "expected", "deviation"):
        assert d.judge(GOOD._replace(**{name: math.nan}), PARAMS).action == d.NO_TRADE, name
    blind = GOOD._replace(cost_up=math.nan, cost_down=math.nan)
    assert d.judge(blind, PARAMS).action == d.NO_TRADE


def test_the_limit_is_the_highest_price_with_an_edge() -> None:
    """One tick above the limit the EV is gone; one is never asked to pay more than that."""
    limit = d.best_limit_e4(0.95, GOOD, PARAMS, 100)
    assert d.expected_value(0.95, limit / 10_000, GOOD) > 0.0
    assert d.expected_value(0.95, (limit + 100) / 10_000, GOOD) <= 0.0


def test_no_limit_when_nothing_is_worth_it() -> None:
    """A side that cannot win has no price."""
    assert d.best_limit_e4(0.0, GOOD, PARAMS, 100) == 0


@given(st.floats(-40.0, 40.0))
def test_the_probability_is_students_with_three_degrees_of_unit_variance(z: float) -> None:
    """The closed form equals the library's distribution: t scaled by sqrt(3), whose variance is 3."""
    closed = d.probability_up(0.0, z, 1.0)
    assert math.isclose(closed, float(students_t.cdf(z * math.sqrt(3.0), 3)), abs_tol=1e-12)


@given(st.floats(1e-300, 1e-3), st.sampled_from([-1.0, 1.0]))
def test_with_little_left_to_happen_the_probability_tends_to_certainty(deviation: float, side: float) -> None:
    """Away from the strike the answer is 0 or 1, however small the deviation; never half of a NaN."""
    p = d.probability_up(70_000.0, 70_000.0 + side * 5.0, deviation)
    assert math.isclose(p, 1.0 if side > 0 else 0.0, abs_tol=1e-6)


def test_an_early_exit_leaves_unknown_what_it_did_not_compute() -> None:
    """Unknown is None in what is journaled: a zero would be a claim."""
    refused = d.decide(d.View("slug", 1, 2, GOOD._replace(blocks=d.WATCH)), PARAMS)
    assert (refused.z, refused.p_up, refused.ev_up, refused.ev_down) == (None, None, None, None)
    assert d.decide(d.View("slug", 1, 2, GOOD), PARAMS).z == 2.0


def test_a_decided_window_is_infinitely_far_from_its_strike() -> None:
    """With nothing left to happen there is no number of deviations, and 0 would say the opposite."""
    assert d.judge(GOOD._replace(deviation=0.0), PARAMS).z == math.inf
    assert d.judge(GOOD._replace(deviation=0.0, expected=69_000.0), PARAMS).z == -math.inf


def test_every_gate_is_named_by_what_stands_in_the_way() -> None:
    """The names are read in lists of refusals: "keeping up 12" said the opposite of what it counted."""
    reads_well = {
        "keeping up", "armed", "venue takes orders", "price fresh", "no fallback", "price moves",
        "market open", "fee known",
    }  # fmt: skip
    assert not reads_well & set(d.GATE_NAMES.values())
    obstacles = {
        d.ARMED: "disarmed", d.VENUE: "venue restriction", d.BEHIND: "engine behind", d.PRICE: "stale price",
        d.FALLBACK: "fallback", d.FROZEN: "frozen price", d.ACCEPTING: "market closed",
        d.FEE: "old fee terms",
    }  # fmt: skip
    assert {bit: d.GATE_NAMES[bit] for bit in obstacles} == obstacles
