"""The first ten minutes of practice, staged so that a newcomer sees one of each: a trade, a refusal, a gap.

It is a scene, not a market: BTC makes the move that fires the watch, comes back near the strike and is
quiet, while the maker fears a piece of news that is due six seconds before the end. The engine knows only
how quiet it was, so it finds the favourite cheap. The price of fear is fair: the news comes with just the
chance the maker gives it. Nothing is planted for or against a buyer, and what happens in it proves nothing.

    B - 10 s         the tape begins; the 15m window that runs has no strike anybody here saw: refused
    B … B + 300      the first 5m window: move, return, quiet, news or none
    B + 410 … 440    nothing arrives from Chainlink: the gap
"""

import math
from typing import Final, NamedTuple

import numpy as np

from engine.contract import DURATIONS_S, slug_of
from engine.practice.simulated.path import LOOKBACK_S, SHIFT_S, STEPS, BtcPath, Floats, Section
from engine.units import Milliseconds

BEFORE_S: Final = 10
LENGTH_S: Final = 300
HISTORY_S: Final = 1_100
"""Path before the tape: enough for the strike of the 15m window that runs when it begins."""

MOVE: Final = 1.3
"""The move, in watch thresholds."""
RISE_S: Final = (60, 115)
FALL_S: Final = (125, 205)

QUIET_USD: Final = 2.0
"""Deviation of the quiet wobble about its level, and the memory that makes a second's step about as large."""
QUIET_MEMORY_S: Final = 3.0

FEAR: Final = 0.10
"""Chance that the news turns the outcome, and what the maker takes off the favourite for it."""
FEAR_FROM_S: Final = 30
NEWS_AT_S: Final = 6
"""Seconds before the end at which the news is due; the average ends three seconds before the end."""
NEWS_SECONDS: Final = 2.2
"""How many of the last sampled seconds show the news in full: Chainlink trails it (``path.LATE_S``)."""

CLEAR: Final = 2.2
"""Deviations by which the engine's expectation clears the strike when its hammer time begins."""
SIGMA_FACTOR: Final = 1.5
"""By which such an engine multiplies a realised deviation (settlement-and-strategy, section 2)."""

GAP_S: Final = (410, 440)


class Opening(NamedTuple):
    """The thresholds in force, for which the scene is staged."""

    watch_return_threshold: float
    hammer_s: float
    d_min_usd: float
    max_entry_price: float


def opening_start_ms(now_ms: Milliseconds) -> Milliseconds:
    """Return when a tape with an opening begins: before the last boundary five minutes short of a 15m one."""
    second = now_ms // 1000
    boundary = second - (second - 600) % 900
    return (boundary - BEFORE_S) * 1000


class Scene:
    """The staged stretch of path, from its history to the end of the first window."""

    def __init__(self, seed: int, start_ms: Milliseconds, opening: Opening) -> None:
        rng = np.random.default_rng([seed, start_ms // 1000, 2])
        self.boundary_s = start_ms // 1000 + BEFORE_S
        self.starts_s = self.boundary_s - HISTORY_S
        self.end_s = self.boundary_s + LENGTH_S
        self.slug = slug_of("5m", self.boundary_s)
        self.slugs = {self.slug, slug_of("15m", self.end_s - DURATIONS_S["15m"])}
        self._opening = opening
        self._rng = rng
        self._direction = 1.0 if rng.random() < 0.5 else -1.0
        self._ends_up = 1.0 if rng.random() < 0.5 else -1.0
        self._news = bool(rng.random() < FEAR)

    def section(self, log_price: float, _: BtcPath) -> Section:
        """Return the whole stretch."""
        n = (HISTORY_S + LENGTH_S) * STEPS
        start = math.exp(log_price)
        since = np.arange(n) / STEPS - HISTORY_S  # seconds from the boundary
        move = MOVE * self._opening.watch_return_threshold * start * self._direction
        distance = self._distance(abs(move)) * self._ends_up
        level = np.interp(
            since,
            [RISE_S[0], RISE_S[1], FALL_S[0], FALL_S[1]],
            [0.0, move, move, distance],
        )
        if self._news:
            level = level + np.where(since >= LENGTH_S - NEWS_AT_S, self._jump(distance), 0.0)
        price = start + level + self._wobble(n)
        share = np.full(n, QUIET_USD / start)
        return Section(np.log(price), share, share)

    def fears(self, slug: str, second: float) -> bool:
        """Say whether the maker of a market prices the news at this moment."""
        return slug in self.slugs and self.end_s - FEAR_FROM_S <= second < self.end_s - NEWS_AT_S

    def is_spared(self, second: int) -> bool:
        """Say whether a second's reports arrive for certain: those of boundaries and of the last average."""
        near_end = self.end_s - LOOKBACK_S - SHIFT_S <= second <= self.end_s
        return near_end or any(
            abs(second - at) <= 2 for at in (self.boundary_s, self.end_s, self.end_s + LENGTH_S)
        )

    def is_calm(self, second: int) -> bool:
        """Say whether a second lies where an outage would hide what the scene shows."""
        return second <= self.end_s + LENGTH_S

    def is_lost(self, second: int) -> bool:
        """Say whether a second lies in the gap."""
        return GAP_S[0] <= second - self.boundary_s < GAP_S[1]

    def _distance(self, move: float) -> float:
        """Return how many dollars from the strike the average ends: clear of it for one who saw the move."""
        squares = move**2 / (RISE_S[1] - RISE_S[0]) + move**2 / (FALL_S[1] - FALL_S[0])
        sigma = SIGMA_FACTOR * math.sqrt(squares / LENGTH_S + QUIET_USD**2)
        unknown = max(
            1.0, self._opening.hammer_s - 1.0
        )  # the feed is two seconds late, the average three early
        deviation = sigma * math.sqrt(unknown * (unknown + 1) * (2 * unknown + 1) / 6) / LOOKBACK_S
        return max(CLEAR * deviation, 1.4 * self._opening.d_min_usd)

    def _jump(self, distance: float) -> float:
        """Return the news: as far to the other side of the strike, in what is left of the average."""
        return -2.0 * distance * LOOKBACK_S / NEWS_SECONDS

    def _wobble(self, n: int) -> Floats:
        keep = math.exp(-1 / (STEPS * QUIET_MEMORY_S))
        shocks = (QUIET_USD * math.sqrt(1 - keep * keep) * self._rng.standard_normal(n)).tolist()
        value, values = 0.0, []
        for shock in shocks:
            value = keep * value + shock
            values.append(value)
        return np.array(values)


def feared(p_up: float) -> float:
    """Return the odds with the news in them: with the chance of ``FEAR`` the outcome turns."""
    return p_up * (1 - FEAR) + (1 - p_up) * FEAR
