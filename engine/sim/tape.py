"""The practice venue's own simulated market, thinner: fewer quotes far from a window's end, fewer tickers.

What a settlement needs is as frequent as ever: Chainlink comes each second from 80 s before a boundary on,
the average of each boundary over both sockets. Figures by hour: docs/reliability.md.
"""

import random
from bisect import bisect_right
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Final
from unittest.mock import patch

import numpy as np

from engine.contract import Contract
from engine.practice.simulated import SimulatedTape
from engine.practice.simulated import market as simulated
from engine.practice.simulated.delivery import (
    LAG_AT,
    LAG_MS,
    RELAY_MS,
    TWAP_AFTER_MS,
    TWAP_MISSING,
    Deliveries,
    Delivery,
    Plan,
)
from engine.practice.simulated.maker import QUIET_STEPS, Maker, odds
from engine.practice.simulated.market import BASIS_USD, BOUNDARIES_S, CENT, E10, E18, SPOT_LATE_MS
from engine.practice.simulated.opening import feared
from engine.practice.simulated.path import LOOKBACK_S, STEPS
from engine.practice.tape import Moment, PriceMoment

NEAR_S: Final = 60
NEAR_EVERY_S: Final = 3
"""Seconds before a window's end from which on its books move so often."""

EACH_SECOND_S: Final = 80
"""Seconds before a boundary from which on Chainlink tells each second: an own mean needs 62."""

FAR_CHAINLINK_EVERY_S: Final = 3
"""Its pace before; a price is stale after 5 s."""

FAR_EVERY_S: Final = 12
"""Until then they move so often, a multiple of the other pace; books are stale after 15 s."""

RELAYED_EVERY_S: Final = 6
"""Pace of the exchange's ticker."""

REPORTED_EVERY_S: Final = 6
"""Pace of the averages and of PolyBolt, but for the seconds about a boundary; silence is 15 s."""

BINANCE_EVERY_S: Final = 24


class QuickDeliveries(Deliveries):
    """The same luck, drawn without arrays: a fifth of the time."""

    def __init__(self, rng: np.random.Generator, plan: Plan, has_holes: bool) -> None:
        super().__init__(rng, plan)
        self._plain = random.Random(int(rng.integers(2**62)))
        self._has_holes = has_holes

    def of(self, second: int) -> Delivery:
        """Draw the fate of a second."""
        draw = self._plain.random
        due = second * 1000 + _quantile(draw())
        relay = second * 1000 + RELAY_MS[0] + draw() * (RELAY_MS[1] - RELAY_MS[0])
        twap_due = due + TWAP_AFTER_MS[0] + draw() * (TWAP_AFTER_MS[1] - TWAP_AFTER_MS[0])
        if self._plan.spared(second) or not self._has_holes:
            return Delivery(round(due), round(twap_due), round(relay))
        if self._plan.lost(second):
            return Delivery(None, None, round(relay))
        chainlink = None if self._in_hole(second) else round(due)
        return Delivery(chainlink, None if draw() < TWAP_MISSING else round(twap_due), round(relay))


def _quantile(luck: float) -> float:
    """Return the lag that a share of reports does not exceed, between the recorded quantiles."""
    right = bisect_right(LAG_AT, luck)
    low, high = LAG_AT[right - 1], LAG_AT[min(right, len(LAG_AT) - 1)]
    part = (luck - low) / (high - low) if high > low else 0.0
    return LAG_MS[right - 1] + part * (LAG_MS[min(right, len(LAG_MS) - 1)] - LAG_MS[right - 1])


class ThinTape(SimulatedTape):
    """See the module."""

    has_holes = True
    """Whether reports are lost as often as recorded; to be set before ``moments``."""
    has_long_windows = True
    """Whether windows of 15 minutes are listed beside those of five."""

    def contract(self, slug: str) -> Contract | None:
        """Describe a window."""
        if not self.has_long_windows and "-15m-" in slug:
            return None
        return super().contract(slug)

    def second(self, second: int) -> Decimal | None:
        """Return Chainlink's true value of a second; None of one that is not played yet, or forgotten."""
        known = self._path.first_s <= second < self._path.end_s
        return Decimal(self._path.chainlink_e10(second)) / E10 if known else None

    def moments(self) -> Iterator[Moment]:
        """Yield the market, in order of time."""
        with patch.object(simulated, "Deliveries", partial(QuickDeliveries, has_holes=self.has_holes)):
            made = super().moments()
            first = next(made)
        yield first
        yield from made

    def _reports(self, second: int, deliveries: Deliveries) -> list[Moment]:
        path, fate, stamp = self._path, deliveries.of(second), second * 1000
        found: list[Moment] = []
        if fate.chainlink_ms is not None and _needs_chainlink(second):
            value = Decimal(path.chainlink_e10(second)) / E10
            found.append(PriceMoment(fate.chainlink_ms, "chainlink", stamp, value, over="rtds"))
        if fate.twap_ms is not None and _needs_report(second):
            average = Decimal(path.twap_e18(second)) / E18
            found.append(PriceMoment(fate.twap_ms, "twap", stamp, average, LOOKBACK_S, over="rtds"))
        if second % RELAYED_EVERY_S == 0:
            ticker = Decimal(repr(path.price(second * STEPS) + BASIS_USD)).quantize(CENT)
            found.append(PriceMoment(stamp + SPOT_LATE_MS, "spot", stamp, ticker))
            if second % BINANCE_EVERY_S == 0:
                found.append(PriceMoment(fate.relay_ms, "binance", stamp, ticker))
        return found

    def _polybolt(self, second: int, deliveries: Deliveries) -> list[Moment]:
        return super()._polybolt(second, deliveries) if _needs_report(second) else []

    def _quotes(self, second: int) -> list[Moment]:
        found: list[Moment] = []
        if second % NEAR_EVERY_S:
            return found  # no book moves now, near or far
        for slug in simulated._open_slugs(second):
            maker = self._makers.get(slug)
            if maker is None:
                contract = self.contract(slug)
                if contract is None:
                    continue
                rng = np.random.default_rng(list(simulated._made(self._seed, slug, "maker")[:16]))
                maker = self._makers[slug] = Maker(contract, rng)
            left_s = maker.contract.end_s - second
            if second % (FAR_EVERY_S if left_s > NEAR_S else NEAR_EVERY_S):
                continue
            p_up = odds(maker.contract, self._path, second * STEPS).p_up
            if self._scene is not None and self._scene.fears(slug, second):
                p_up = feared(p_up)
            maker._quiet = QUIET_STEPS  # nothing is shown more often than it is asked for
            found += maker.act(second * 1000, p_up, left_s)
        return found


def _needs_report(second: int) -> bool:
    return (second + 2) % BOUNDARIES_S <= 4 or second % REPORTED_EVERY_S == 0


def _needs_chainlink(second: int) -> bool:
    before_s = BOUNDARIES_S - second % BOUNDARIES_S
    return before_s <= EACH_SECOND_S or second % FAR_CHAINLINK_EVERY_S == 0 or before_s > BOUNDARIES_S - 3
