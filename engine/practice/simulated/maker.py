"""The market maker of one contract: an honest view of its odds, and books of both tokens that mirror each
other.

He sees the exchanges now (the Chainlink feed shows it some two seconds later) and knows the true volatility,
so his price leads the feed and has no edge planted in it. What he does not know: the future. Sizes, spreads
and the rate at which he moves follow the recorded books of 28 September 2026 and the two recorded 5m windows.
"""

import math
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from engine.contract import Contract
from engine.events import Level, Side
from engine.practice.simulated.path import DELAY, LOOKBACK_S, MEMORY_S, SHIFT_S, STEPS, BtcPath
from engine.practice.simulated.sizes import LEVELS, Shelf, shares_e6, shelf
from engine.practice.tape import BookMoment, TickSizeMoment, TradeMoment
from engine.units import ONE_E4, ONE_E6, Milliseconds

COARSE_E4: Final = 100
FINE_E4: Final = 10
FINE_STEP_E4: Final = 40
"""The spread on the fine grid, beyond 0.96 or below 0.04: the recorded median is 0.4 cents, the mean 0.42."""
FINE_BEYOND_E4: Final = 9_600
FINE_BELOW_E4: Final = 400
"""The grid is a tenth of a cent above 0.96 and below 0.04 (protocol sheet, section 7.2)."""

FINE_SOON: Final = 0.25
FINE_SOON_MS: Final = (0, 10_000)
FINE_LATE_MS: Final = (100_000, 160_000)
"""How long after the price went there the grid follows: in the twelve recorded 15m markets it took 0, 9, 101,
116, 118, 131, 155 and 156 s, and once more than 169; three ended sooner, as did all recorded 5m ones."""

RELUCTANCE: Final = {"5m": 0.2, "15m": 0.35}
"""Ticks by which the fair price must leave the touch before the maker moves it."""
LIFTED: Final = {"5m": 0.35, "15m": 0.0}
"""Chance a step that somebody takes the whole of a best level; it is refilled within half a second."""
REFILLED: Final = 0.6
HASTE_S: Final = 60.0
HASTE: Final = 14.0
"""In the last minute a level that was taken is refilled so many times more slowly."""
RESIZE: Final = 0.12
"""Chance a step that sizes change and the touch does not."""
QUIET_STEPS: Final = 20
"""No book is silent for longer: an engine takes silence for staleness (``book_stale_s``, 15 s)."""
TRADES_PER_S: Final = {"5m": 0.9, "15m": 0.35}


TRAIL_S: Final = 0.5
"""By how much Chainlink's sources are late on average beyond ``DELAY`` (half of them by ``path.LATE_S``)."""

BURST_S: Final = MEMORY_S[1]
"""How long a burst of volatility lasts; of what lies further ahead the usual volatility rules."""

TAILS: Final = 0.5
TAILS_S: Final = 30.0
"""Deviation of the log of the volatility that will turn out, within half a minute; further ahead the bursts
average out. Moves are heavy-tailed: a normal distribution alone would sell favourites too cheaply in the last
minute. Fitted on 9,168 simulated windows, so that what he gives 80 % happens 80 % of the time."""

_NODES: Final = ((-2.857, 0.01126), (-1.3556, 0.22208), (0.0, 0.53333), (1.3556, 0.22208), (2.857, 0.01126))
"""Gauss-Hermite: a normal variable as five values and their chances."""


class Odds(NamedTuple):
    """The settlement price as the maker sees it, dollars, against the strike; ``tails`` as ``TAILS``."""

    mean: float
    deviation: float
    strike: float
    tails: float

    @property
    def p_up(self) -> float:
        if self.deviation <= 0.0:
            return 1.0 if self.mean >= self.strike else 0.0
        p_up = 0.0
        for value, chance in _NODES:
            deviation = self.deviation * math.exp(self.tails * value - self.tails**2)
            p_up += chance * 0.5 * math.erfc((self.strike - self.mean) / deviation / math.sqrt(2))
        return min(1.0, p_up)


def odds(contract: Contract, path: BtcPath, step: int) -> Odds:
    """Return the maker's view at a step: known Chainlink seconds, the exchanges' price for the rest."""
    mean, variance = _average(contract.end_s, path, step)
    if (step + DELAY) // STEPS >= contract.start_s - SHIFT_S:
        strike, strike_variance = path.twap_e18(contract.start_s) / 1e18, 0.0
    else:
        strike, strike_variance = _average(contract.start_s, path, step)
    ahead_s = max(1.0, contract.end_s - SHIFT_S - step / STEPS)
    tails = TAILS * math.sqrt(min(1.0, TAILS_S / ahead_s))
    # Before the start both ends are open; what they share cancels out.
    return Odds(mean, math.sqrt(max(variance - strike_variance, 0.0)), strike, tails)


def _average(at_s: int, path: BtcPath, step: int) -> tuple[float, float]:
    """Return mean and variance of the average stamped ``at_s``, seen from a step."""
    # Chainlink shows a price ``DELAY`` steps late: seconds up to here are fixed, though not yet heard.
    second, quarters = divmod(step + DELAY, STEPS)
    price = path.price(step)
    after = at_s - SHIFT_S + 1
    first = after - LOOKBACK_S
    known_until = min(max(second + 1, first), after)
    unknown = after - known_until
    known = path.sum_e10(first, known_until) / 1e10 if known_until > first else 0.0
    gap = max(0, first - 1 - second)
    # Every unknown second shares the walk across the gap, then each step is shared by all seconds after it;
    # of the first steps a part has been taken already.
    steps = gap * unknown**2 + unknown * (unknown + 1) * (2 * unknown + 1) / 6
    taken = quarters / STEPS + TRAIL_S
    steps -= min(1.0, taken) * unknown**2
    steps -= max(0.0, taken - 1.0) * (unknown if gap else max(0, unknown - 1)) ** 2
    variance = max(0.0, steps) * _sigma(path, step, gap + unknown) ** 2 / LOOKBACK_S**2
    return (known + unknown * price) / LOOKBACK_S, variance


def _sigma(path: BtcPath, step: int, ahead_s: int) -> float:
    """Return the volatility over so many seconds: as things stand, fading to the usual one."""
    now, usual = path.volatility(step)
    faded = max(ahead_s, 1) / BURST_S
    share = -math.expm1(-faded) / faded
    return math.sqrt(share * now**2 + (1 - share) * usual**2)


Shown: TypeAlias = BookMoment | TickSizeMoment | TradeMoment
Touch: TypeAlias = tuple[int | None, int | None]


def _fine_after_ms(luck: float) -> float:
    """Return how long a market's grid takes to follow its price, by a number from 0 to 1."""
    if luck < FINE_SOON:
        return float(np.interp(luck, (0.0, FINE_SOON), FINE_SOON_MS))
    return float(np.interp(luck, (FINE_SOON, 1.0), FINE_LATE_MS))


class Maker:
    """The quotes of one contract; ``act`` is called for each step in order."""

    def __init__(self, contract: Contract, rng: np.random.Generator) -> None:
        self.contract = contract
        self._rng = rng
        self._name = contract.name
        self._tick = COARSE_E4
        self._step = COARSE_E4
        """By what he quotes: in whole cents on the fine grid too, while the price is not where it helps."""
        self._fine_after_ms = _fine_after_ms(float(rng.random()))
        self._beyond_ms: Milliseconds | None = None
        self._touch: Touch = (None, None)
        self._lifted: Literal["", "bid", "ask"] = ""
        self._shown: Touch | None = None
        self._quiet = 0

    def act(self, due_ms: Milliseconds, p_up: float, left_s: float) -> list[Shown]:
        """Quote for these odds; return what of it anybody sees."""
        shown: list[Shown] = []
        fair = p_up * ONE_E4
        is_beyond = not FINE_BELOW_E4 <= fair <= FINE_BEYOND_E4
        if is_beyond and self._beyond_ms is None:
            self._beyond_ms = due_ms
        if self._tick == COARSE_E4 and self._is_time_to_be_finer(due_ms):
            self._tick = FINE_E4
            shown.append(TickSizeMoment(due_ms, self.contract.slug, FINE_E4))
        self._step = FINE_STEP_E4 if self._tick == FINE_E4 and is_beyond else COARSE_E4
        self._touch = self._quote(fair)
        visible = self._after_takers(left_s)
        self._quiet += 1
        if visible != self._shown or self._rng.random() < RESIZE or self._quiet >= QUIET_STEPS:
            self._shown, self._quiet = visible, 0
            shown += self._books(due_ms, visible, left_s)
        if self._rng.random() < TRADES_PER_S[self._name] / STEPS:
            shown += self._trade(due_ms, visible)
        return shown

    def _is_time_to_be_finer(self, due_ms: Milliseconds) -> bool:
        return self._beyond_ms is not None and due_ms - self._beyond_ms >= self._fine_after_ms

    def _quote(self, fair: float) -> Touch:
        """Return bid and ask, a step apart; the touch stays while the fair price is near it.

        Where not even the last step is fair, that side has no quote: the favourite has no ask.
        """
        step = self._step
        if fair > ONE_E4 - step:
            return ONE_E4 - step, None
        if fair < step:
            return None, step
        bid, ask = self._touch
        slack = RELUCTANCE[self._name] * step
        if bid is not None and ask is not None and ask - bid == step and bid - slack <= fair <= ask + slack:
            return bid, ask
        lower = min(max(int(fair // step) * step, step), ONE_E4 - 2 * step)
        return lower, lower + step

    def _after_takers(self, left_s: float) -> Touch:
        """Return the touch that is left after somebody took a whole level."""
        bid, ask = self._touch
        luck = self._rng.random()
        slow = HASTE if left_s < HASTE_S else 1.0
        if self._lifted:
            self._lifted = "" if luck < REFILLED / slow else self._lifted
        elif luck < LIFTED[self._name]:
            self._lifted = "bid" if luck < LIFTED[self._name] / 2 else "ask"
        if self._lifted == "ask" and ask is not None and ask + self._step < ONE_E4:
            ask += self._step
        if self._lifted == "bid" and bid is not None and bid - self._step > 0:
            bid -= self._step
        return bid, ask

    def _books(self, due_ms: Milliseconds, touch: Touch, left_s: float) -> list[BookMoment]:
        on_shelf = shelf(self._name, left_s)
        bids = self._side(touch[0], -self._step, on_shelf)
        asks = self._side(touch[1], self._step, on_shelf)
        slug = self.contract.slug
        mirrored_bids = tuple((ONE_E4 - price, size) for price, size in asks)
        mirrored_asks = tuple((ONE_E4 - price, size) for price, size in bids)
        return [
            BookMoment(due_ms, slug, "UP", bids, asks),
            BookMoment(due_ms, slug, "DOWN", mirrored_bids, mirrored_asks),
        ]

    def _side(self, best: int | None, step: int, on_shelf: Shelf) -> tuple[Level, ...]:
        if best is None:
            return ()
        luck = self._rng.standard_normal(LEVELS).tolist()
        prices = [best + rank * step for rank in range(LEVELS)]
        return tuple(
            (price, shares_e6(on_shelf, rank, luck[rank]))
            for rank, price in enumerate(prices)
            if 0 < price < ONE_E4
        )

    def _trade(self, due_ms: Milliseconds, touch: Touch) -> list[TradeMoment]:
        buys = self._rng.random() < 0.5
        price = touch[1] if buys else touch[0]
        if price is None:
            return []
        shares = round(max(1.0, 12.0 * math.exp(1.2 * self._rng.standard_normal())) * 100) * (ONE_E6 // 100)
        side: Side = "BUY" if buys else "SELL"
        return [TradeMoment(due_ms, self.contract.slug, "UP", price, shares, side)]
