"""The seed's spot formula: compared with by the engine, decided by in a what-if that asks for it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import load_settings
from engine.core.decide import VOLATILITY, Decision, believed_up, normal_up
from engine.core.seed import seed_formula, seed_odds
from engine.params import Params
from engine.run.params_of import PARAM_OF
from tests.core.builders import END_S, Core
from tests.core.test_step import quote, story

dollars = st.floats(1_000.0, 200_000.0)


@given(dollars, dollars, st.floats(0.01, 100.0), st.floats(0.001, 900.0))
def test_the_formula_is_the_text_books(spot: float, strike: float, sigma: float, left: float) -> None:
    """Phi of the distance in deviations, by another road: the error function's complement."""
    odds = seed_formula(spot, strike, sigma, left)
    assert odds is not None
    z = (spot - strike) / (sigma * math.sqrt(left))
    assert odds.p_up == pytest.approx(0.5 * math.erfc(-z / math.sqrt(2.0)), abs=1e-12)
    assert seed_formula(spot, strike, sigma, 0.0) is None


def test_a_tie_with_nothing_left_to_happen_is_up() -> None:
    """As the venue settles, whatever the model."""
    assert (normal_up(5.0, 5.0, 0.0), normal_up(5.01, 5.0, 0.0)) == (1.0, 0.0)


def test_asked_for_every_decision_is_by_the_seeds_odds_of_that_moment() -> None:
    """The same number that the console shows beside the engine's own."""
    core, seen = Core(Params(seed_model=1.0)), 0
    story(core, END_S - 15)
    for second in range(END_S - 14, END_S - 2):
        for effect in quote(core, second):
            if isinstance(effect, Decision) and effect.p_up is not None:
                odds = seed_odds(core.state, core.state.markets[effect.slug])
                assert odds is not None
                assert effect.p_up == odds.p_up
                (market,) = core.state.markets.values()
                assert market.view is not None
                assert effect.p_up != believed_up(market.view.numbers, Params())
                seen += 1
    assert seen


def test_what_the_formula_cannot_say_is_refused() -> None:
    """A flat minute makes it divide by zero: no number is made up."""
    core = Core(Params(seed_model=1.0))
    story(core, END_S - 15)
    core.state.sigma_seed_usd = 0.0
    quote(core, END_S - 12)
    (market,) = core.state.markets.values()
    assert market.decision is not None
    assert market.decision.gates & VOLATILITY
    assert market.decision.p_up is None


def test_no_setting_makes_an_engine_trade_by_it() -> None:
    """It scores worse than a coin near the end (docs/model.md): comparing is all that it is for."""
    assert "seed_model" not in PARAM_OF.values()
    assert load_settings().params().seed_model == 0.0
    old = {name: value for name, value in Params()._asdict().items() if name != "seed_model"}
    assert Params(**old) == Params()
