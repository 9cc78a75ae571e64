"""The formula that most bots use, for comparison on the console, in calibration and in what-ifs.

It prices spot against the strike as if the market settled on the last second. No engine decides by it: a
what-if alone sets ``Params.seed_model``. Source: seed ("estimates p_hat using normal CDF", "realized sigma1
from 1-second returns over last 60s"); settlement-and-strategy, section 2.
"""

import math
from typing import NamedTuple

from engine.core.decide import normal_up
from engine.core.state import Market, State


class SeedOdds(NamedTuple):
    """``z`` in deviations, ``p_up`` the probability of Up by the spot formula."""

    z: float
    p_up: float


class SeedLaw(NamedTuple):
    """Where the formula expects a window to end: the newest second, and the deviation to the end, dollars."""

    spot: float
    deviation: float


def seed_formula(spot: float, strike: float, sigma_usd: float, seconds_left: float) -> SeedOdds | None:
    """Return z = (spot - strike) / (sigma sqrt(tau)) and the normal probability of it.

    Args:
        spot: Dollars, the newest second.
        strike: Dollars.
        sigma_usd: Dollars per root second.
        seconds_left: To the end of the window.
    Returns:
        None where the formula divides by zero.
    """
    deviation = sigma_usd * math.sqrt(max(0.0, seconds_left))
    return None if deviation <= 0.0 else _odds(SeedLaw(spot, deviation), strike)


def seed_law(state: State, market: Market) -> SeedLaw | None:
    """Return where the formula expects a market to end; None where it needs what is unknown."""
    spot, sigma = state.track("chainlink").newest(), state.sigma_seed_usd
    if spot is None or sigma is None:
        return None
    left = market.contract.end_s - state.now_ms / 1000
    deviation = sigma * math.sqrt(max(0.0, left))
    return SeedLaw(float(spot), deviation) if deviation > 0.0 else None


def seed_odds(state: State, market: Market) -> SeedOdds | None:
    """Apply the formula to a market as of the state's time; None where it needs what is unknown."""
    law, strike = seed_law(state, market), market.strike
    return None if law is None or strike is None else _odds(law, float(strike.value))


def _odds(law: SeedLaw, strike: float) -> SeedOdds:
    return SeedOdds((law.spot - strike) / law.deviation, normal_up(strike, law.spot, law.deviation))
