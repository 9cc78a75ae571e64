"""The formula that most bots use, for comparison on the console and in calibration. Nothing is decided by it.

It prices spot against the strike as if the market settled on the last second. Source: seed ("estimates p_hat
using normal CDF", "realized sigma1 from 1-second returns over last 60s"); settlement-and-strategy, section 2.
"""

import math
from typing import NamedTuple

from engine.core.state import Market, State


class SeedOdds(NamedTuple):
    """``z`` in deviations, ``p_up`` the probability of Up by the spot formula."""

    z: float
    p_up: float


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
    if deviation <= 0.0:
        return None
    z = (spot - strike) / deviation
    return SeedOdds(z, 0.5 * (1.0 + math.erf(z * math.sqrt(0.5))))


def seed_odds(state: State, market: Market) -> SeedOdds | None:
    """Apply the formula to a market as of the state's time; None where it needs what is unknown."""
    spot, strike, sigma = state.track("chainlink").newest(), market.strike, state.sigma_seed_usd
    if spot is None or strike is None or sigma is None:
        return None
    left = market.contract.end_s - state.now_ms / 1000
    return seed_formula(float(spot), float(strike.value), sigma, left)
