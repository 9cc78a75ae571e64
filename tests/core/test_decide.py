"""The one decision: what it buys, what refuses, and that nothing makes it raise."""

import math

from hypothesis import given
from hypothesis import strategies as st

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
    depth_up=1.0,
    depth_down=1.0,
    fee_rate=0.07,
    fee_exponent=1.0,
    fee_of_price=0.0,
)


def test_a_cheap_favourite_is_bought() -> None:
    """z = 2, so p(Up) = .97725; at .90 with .0063 fee that is worth 7.1 cents a share."""
    verdict = d.judge(GOOD, PARAMS)
    assert verdict.action == d.BUY_UP
    assert verdict.gates == 0
    assert math.isclose(verdict.p_up, 0.9772498680518208)
    assert math.isclose(verdict.ev_up, 0.9772498680518208 - 0.90 - 0.07 * 0.90 * 0.10)


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
    """Monotone in the expected price."""
    low = d.probability_up(strike, strike + distance, deviation)
    assert d.probability_up(strike, strike + distance + more, deviation) >= low


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


def test_the_explanation_agrees_with_the_verdict() -> None:
    """The rows people read and the bits the engine acts on say the same."""
    for numbers in (GOOD, GOOD._replace(expected=70_001.0), GOOD._replace(blocks=d.WATCH, depth_up=0.2)):
        verdict = d.judge(numbers, PARAMS)
        rows = d.explain(d.View("slug", 1, 2, numbers), PARAMS)
        assert [row.name for row in rows] == list(d.GATE_NAMES.values())
        assert (verdict.action != d.NO_TRADE) == all(row.passed for row in rows)
        refused = {row.name for row in rows if not row.passed}
        assert {name for bit, name in d.GATE_NAMES.items() if verdict.gates & bit} <= refused
