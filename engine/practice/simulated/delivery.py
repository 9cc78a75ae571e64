"""When price reports reach subscribers: late, some never, now and then none for minutes.

Measured on the recording ``prices/chainlink-btcusd-2026-07-24`` (docs/practice.md has the table). What it
does not know: what the values are, and markets.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from engine.units import Milliseconds

LAG_AT: Final = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0)
LAG_MS: Final = (980.0, 1055.0, 1174.0, 1414.0, 1636.0, 1864.0, 2226.0, 2501.0, 2949.0, 3600.0)
"""Quantiles of receive time less stamp."""

HOLE_STARTS: Final = 0.0526
"""Holes by delivered second: 2,450 holes after 46,587 seconds."""

HOLE_LENGTHS_S: Final = (1, 2, 3, 5, 6, 7)
HOLE_SHARES: Final = (0.9486, 0.0216, 0.0053, 0.0016, 0.0053, 0.0077)
"""How long holes last; the rest, 32 of 2,450, are outages: twice an hour, about a minute and a half each."""

OUTAGE_AT: Final = (0.0, 0.06, 0.3, 0.5, 0.8, 0.97, 1.0)
OUTAGE_S: Final = (40.0, 64.0, 67.0, 88.0, 116.0, 130.0, 386.0)
"""Quantiles of an outage's length."""

TWAP_AFTER_MS: Final = (40.0, 260.0)
TWAP_MISSING: Final = 0.06
"""Share of TWAP reports that never come (settlement-and-strategy, section 1: about 6 %)."""

RELAY_MS: Final = (500.0, 1_100.0)
"""Binance as RTDS relays it, 0.8 s behind at the median (protocol sheet, section 1.6)."""


class Delivery(NamedTuple):
    """When the reports of one second arrive; None for one that never does."""

    chainlink_ms: Milliseconds | None
    twap_ms: Milliseconds | None
    relay_ms: Milliseconds


class Plan(NamedTuple):
    """What is asked of luck: seconds that surely arrive, that never do, and that see no outage."""

    spared: Callable[[int], bool] = lambda _: False
    lost: Callable[[int], bool] = lambda _: False
    calm: Callable[[int], bool] = lambda _: False


class Deliveries:
    """The feed's own luck, second by second, within a plan."""

    def __init__(self, rng: np.random.Generator, plan: Plan) -> None:
        self._rng = rng
        self._plan = plan
        self._hole_left = 0

    def of(self, second: int) -> Delivery:
        """Draw the fate of the next second; call once for each, in order."""
        rng = self._rng
        due = second * 1000 + float(np.interp(rng.random(), LAG_AT, LAG_MS))
        twap_due = due + rng.uniform(*TWAP_AFTER_MS)
        relay = second * 1000 + rng.uniform(*RELAY_MS)
        in_hole = self._in_hole(second)
        twap_missing = rng.random() < TWAP_MISSING
        if self._plan.spared(second):
            return Delivery(round(due), round(twap_due), round(relay))
        if self._plan.lost(second):
            return Delivery(None, None, round(relay))
        return Delivery(
            None if in_hole else round(due), None if twap_missing else round(twap_due), round(relay)
        )

    def _in_hole(self, second: int) -> bool:
        rng = self._rng
        if self._hole_left:
            self._hole_left -= 1
            return True
        if rng.random() >= HOLE_STARTS / (1 + HOLE_STARTS):
            return False
        kind = int(np.searchsorted(np.cumsum(HOLE_SHARES), rng.random()))
        if kind < len(HOLE_LENGTHS_S):
            length = HOLE_LENGTHS_S[kind]
        elif self._plan.calm(second):
            length = 1
        else:
            length = round(float(np.interp(rng.random(), OUTAGE_AT, OUTAGE_S)))
        self._hole_left = length - 1
        return True
