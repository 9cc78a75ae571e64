"""The market maker of one contract: an honest view of its odds, and books of both tokens that mirror each
other.

He sees the exchanges now (the Chainlink feed shows it some two seconds later) and knows the true volatility,
so his price leads the feed and has no edge planted in it. What he does not know: the future. Sizes, spreads
and the rate at which he moves follow the recorded books of 28 September 2026 and the two recorded 5m windows.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from engine.contract import Contract
from engine.events import Level
from engine.practice.simulation.path import LOOKBACK_S, SHIFT_S, STEPS, BtcPath
from engine.practice.tape import BookMoment, TickSizeMoment, TradeMoment
from engine.units import ONE_E4, ONE_E6, Milliseconds

COARSE_E4: Final = 100
FINE_E4: Final = 10
FINE_BEYOND_E4: Final = 9_600
"""The grid is a tenth of a cent above 0.96 and below 0.04 (protocol sheet, section 7.2)."""

SIZES: Final = (127, 245, 645, 1168, 1617, 1200, 708, 420, 267, 217, 150, 128)
"""Median shares at each rank from the touch, recorded 15m books, 2 to 10 minutes before the end."""
SIZE_SPREAD: Final = 1.3
"""Deviation of the log of the touch's size: recorded mean over median 2.7."""
DEEP_SPREAD: Final = 0.8

RELUCTANCE: Final = {"5m": 0.55, "15m": 0.9}
"""Ticks by which the fair price must leave the middle of the touch before the maker moves: sets how often the
touch changes (73 a minute on 5m books, 34 on 15m; fault catalogue, A2.5)."""
RESIZE: Final = 0.12
"""Chance a quarter second that sizes change and the touch does not."""
TRADES_PER_S: Final = {"5m": 0.9, "15m": 0.35}
DECIDED: Final = 0.985
"""Beyond these odds nobody offers the favourite any more."""
DECIDED_WITHIN_S: Final = 60.0


class Odds(NamedTuple):
    """The settlement price as the maker sees it, dollars, against the strike."""

    mean: float
    deviation: float
    strike: float

    @property
    def p_up(self) -> float:
        if self.deviation <= 0.0:
            return 1.0 if self.mean >= self.strike else 0.0
        return 0.5 * math.erfc((self.strike - self.mean) / self.deviation / math.sqrt(2))


def odds(contract: Contract, path: BtcPath, step: int) -> Odds:
    """Return the maker's view at a step: known Chainlink seconds, the exchanges' price for the rest."""
    second = step // STEPS
    mean, variance = _average(contract.end_s, path, step)
    if second >= contract.start_s - SHIFT_S:
        strike, strike_variance = path.twap_e18(contract.start_s) / 1e18, 0.0
    else:
        strike, strike_variance = _average(contract.start_s, path, step)
    # Before the start both ends are open; what they share cancels out.
    return Odds(mean, math.sqrt(max(variance - strike_variance, 0.0)), strike)


def _average(at_s: int, path: BtcPath, step: int) -> tuple[float, float]:
    """Return mean and variance of the average stamped ``at_s``, seen from a step."""
    second = step // STEPS
    price = path.price(step)
    now, usual = path.volatility(step)
    after = at_s - SHIFT_S + 1
    first = after - LOOKBACK_S
    known_until = min(max(second + 1, first), after)
    unknown = after - known_until
    known = path.sum_e10(first, known_until) / 1e10 if known_until > first else 0.0
    gap = max(0, first - 1 - second)
    sigma = now if gap + unknown <= 20 else usual
    variance = sigma**2 * (gap * unknown**2 + unknown * (unknown + 1) * (2 * unknown + 1) / 6) / LOOKBACK_S**2
    return (known + unknown * price) / LOOKBACK_S, variance


class Maker:
    """The quotes of one contract; ``act`` is called for each step in order."""

    def __init__(self, contract: Contract, rng: np.random.Generator) -> None:
        self.contract = contract
        self._rng = rng
        self._bid: int | None = None
        self._ask: int | None = None
        self._tick = COARSE_E4
        self._name = contract.name

    def act(
        self, due_ms: Milliseconds, p_up: float, left_s: float
    ) -> list[BookMoment | TickSizeMoment | TradeMoment]:
        """Quote for these odds; return what of it anybody sees."""
        moments: list[BookMoment | TickSizeMoment | TradeMoment] = []
        fair = p_up * ONE_E4
        tick = FINE_E4 if fair > FINE_BEYOND_E4 or fair < ONE_E4 - FINE_BEYOND_E4 else COARSE_E4
        if tick == FINE_E4 and self._tick == COARSE_E4:
            self._tick = tick
            moments.append(TickSizeMoment(due_ms, self.contract.slug, tick))
        bid, ask = self._quote(fair, left_s)
        moved = (bid, ask) != (self._bid, self._ask)
        if moved or self._rng.random() < RESIZE:
            self._bid, self._ask = bid, ask
            moments += self._books(due_ms)
        if self._rng.random() < TRADES_PER_S[self._name] / STEPS:
            moments += self._trade(due_ms)
        return moments

    def _quote(self, fair: float, left_s: float) -> tuple[int | None, int | None]:
        """Return bid and ask, a tick apart; the touch stays while the fair price is near its middle."""
        tick = self._tick
        if left_s < DECIDED_WITHIN_S and fair > DECIDED * ONE_E4:
            return ONE_E4 - tick, None
        if left_s < DECIDED_WITHIN_S and fair < (1 - DECIDED) * ONE_E4:
            return None, tick
        if self._bid is not None and self._ask is not None and self._ask - self._bid == tick:
            middle = (self._bid + self._ask) / 2
            if abs(fair - middle) <= (0.5 + RELUCTANCE[self._name]) * tick:
                return self._bid, self._ask
        bid = int(fair // tick) * tick
        bid = min(max(bid, tick), ONE_E4 - 2 * tick)
        return bid, bid + tick

    def _books(self, due_ms: Milliseconds) -> list[BookMoment]:
        bids = self._side(self._bid, -self._tick)
        asks = self._side(self._ask, self._tick)
        slug = self.contract.slug
        mirrored_bids = tuple((ONE_E4 - price, size) for price, size in asks)
        mirrored_asks = tuple((ONE_E4 - price, size) for price, size in bids)
        return [
            BookMoment(due_ms, slug, "UP", bids, asks),
            BookMoment(due_ms, slug, "DOWN", mirrored_bids, mirrored_asks),
        ]

    def _side(self, best: int | None, step: int) -> tuple[Level, ...]:
        if best is None:
            return ()
        noise = self._rng.standard_normal(len(SIZES)).tolist()
        levels = []
        for rank, (median, luck) in enumerate(zip(SIZES, noise, strict=True)):
            price = best + rank * step
            if not 0 < price < ONE_E4:
                break
            spread = SIZE_SPREAD if rank == 0 else DEEP_SPREAD
            cents = max(500, round(median * math.exp(spread * luck) * 100))
            levels.append((price, cents * (ONE_E6 // 100)))
        return tuple(levels)

    def _trade(self, due_ms: Milliseconds) -> list[TradeMoment]:
        buys = self._rng.random() < 0.5
        price = self._ask if buys else self._bid
        if price is None:
            return []
        shares = round(max(1.0, 12.0 * math.exp(1.2 * self._rng.standard_normal())), 2)
        return [
            TradeMoment(
                due_ms,
                self.contract.slug,
                "UP",
                price,
                round(shares * ONE_E6),
                "BUY" if buys else "SELL",
            )
        ]
