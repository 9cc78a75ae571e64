"""The true path of BTC: what exchanges trade at, four times a second, and what Chainlink makes of it each
second.

Exchange prices move in bursts: most quarter seconds nothing happens, the size of a move varies by a factor of
two around a volatility that itself wanders (hours, minutes, seconds), and a few times an hour the price
jumps. Chainlink's value lags: half of a move shows after half a second, the rest trickles in over the next
second or two. What it does not know: which of these seconds anybody ever receives (``feed``), and markets.

The numbers were fitted to the recording ``prices/chainlink-btcusd-2026-07-24`` (51,802 seconds): quantiles
and kurtosis of one-second returns, autocorrelation of returns and of their sizes, variance ratios.
docs/practice.md has the table; ``tests/practice/simulated/test_against_recordings.py`` holds it.
"""

import math
from array import array
from typing import Final, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

STEPS: Final = 4
"""Steps of the path in one second."""

LOOKBACK_S: Final = 60
SHIFT_S: Final = 3
"""TWAP60 stamped i is the mean of seconds [i-62 .. i-3]. Source: settlement-and-strategy, section 1."""

E10: Final = 10**10
"""Chainlink's value is held in whole 1e-10 dollars, so that sums over it are exact."""

BASE: Final = 1.53e-5  # log return of an active step at the middle of all factors
SLOW: Final = 0.42  # three factors of the log volatility: their deviations ...
MEDIUM: Final = 0.35
FAST: Final = 0.41
MEMORY_S: Final = (4000.0, 150.0, 1.5)  # ... and how long each remembers
MARK: Final = 0.70  # deviation of the log size of a single move
LARGEST: Final = 1.5e-3  # no step moves further; the recorded day's largest second moved 1.1e-3
ACTIVE: Final = 0.38  # share of steps at which anything trades at a new price
JUMPS_PER_HOUR: Final = 4.0
JUMP: Final = 2.3e-4  # deviation of a jump's log return
LATE_SHARE: Final = 0.5  # the part of Chainlink's sources that trails ...
LATE_S: Final = 1.04  # ... and the time it takes
DELAY: Final = 2  # steps by which Chainlink's fast part is late
SOURCE_NOISE: Final = 4e-7  # disagreement of Chainlink's sources, as a share of the price
SECTION_S: Final = 60

_MEAN_SQUARE: Final = BASE**2 * math.exp(2 * (FAST**2 + MARK**2)) * ACTIVE * STEPS
_JUMP_SQUARE: Final = JUMPS_PER_HOUR / 3600 * JUMP**2
_WORD: Final = 2**64 - 1


class Section(NamedTuple):
    """A stretch of path: log price and the two volatilities a well-informed maker sees, one value a step.

    ``now`` is the deviation per root second as things stand, ``usual`` the one it will return to in minutes;
    both as shares of the price.
    """

    log_price: Floats
    now: Floats
    usual: Floats


class Script(Protocol):
    """Something that replaces a stretch of the path by its own (``opening``)."""

    @property
    def starts_s(self) -> int:
        """Unix second at which the stretch begins."""
        ...

    def section(self, log_price: float, path: "BtcPath") -> Section:
        """Return the stretch, given the last log price before it and the path so far."""
        ...


class BtcPath:
    """One seeded path from ``first_s`` on, made as far as somebody asks, forgotten on request."""

    def __init__(self, seed: int, first_s: int, script: Script | None = None) -> None:
        self._rng = np.random.default_rng([seed, first_s, 1])
        self._script = script
        self.first_s = first_s
        self.end_s = first_s
        self._factors = self._rng.standard_normal(3)
        start = math.log(65_000.0) + 0.05 * self._rng.standard_normal()
        self._log_price = start
        self._late = start
        self._tail = [start] * DELAY  # Chainlink's view of the last steps, not yet due
        self._price = array("d")
        self._now = array("d")
        self._usual = array("d")
        self._sums = array("q", [0])  # running sum of Chainlink's seconds, 1e-10 dollars

    def extend(self, until_s: int) -> None:
        """Make the path known up to, not including, a second."""
        while self.end_s < until_s:
            if self._script is not None and self.end_s == self._script.starts_s:
                self._append(self._script.section(self._log_price, self))
            else:
                length = SECTION_S
                if self._script is not None and self.end_s < self._script.starts_s:
                    length = min(length, self._script.starts_s - self.end_s)
                self._append(self._plain(length))

    def forget_before(self, second: int) -> None:
        """Drop what lies before a second."""
        drop = min(second, self.end_s) - self.first_s
        if drop <= 0:
            return
        for values in (self._price, self._now, self._usual):
            del values[: drop * STEPS]
        del self._sums[:drop]
        self.first_s += drop

    def price(self, step: int) -> float:
        """Return the exchanges' price in dollars at a step (a quarter second of Unix time)."""
        return self._price[step - self.first_s * STEPS]

    def volatility(self, step: int) -> tuple[float, float]:
        """Return the deviation per root second in dollars: as things stand, and the usual one."""
        index = step - self.first_s * STEPS
        price = self._price[index]
        return self._now[index] * price, self._usual[index] * price

    def sum_e10(self, first_s: int, after_s: int) -> int:
        """Add up Chainlink's values of seconds [first_s, after_s), in 1e-10 dollars."""
        difference = self._sums[after_s - self.first_s] - self._sums[first_s - self.first_s]
        return difference & _WORD  # the running sum wraps round every 3.6 hours; differences do not

    def chainlink_e10(self, second: int) -> int:
        """Return Chainlink's value of a second, in 1e-10 dollars."""
        return self.sum_e10(second, second + 1)

    def twap_e18(self, second: int) -> int:
        """Return TWAP60 stamped ``second``, in 1e-18 dollars, rounded down."""
        after = second - SHIFT_S + 1
        return self.sum_e10(after - LOOKBACK_S, after) * 10**8 // LOOKBACK_S

    def _plain(self, length_s: int) -> Section:
        """Draw a stretch of the unscripted path."""
        n = length_s * STEPS
        slow, medium, fast = (self._wander(index, memory, n) for index, memory in enumerate(MEMORY_S))
        slow, medium, fast = SLOW * np.clip(slow, -2.5, 2.5), MEDIUM * medium, FAST * fast
        sizes = np.exp(slow + medium + fast + MARK * self._rng.standard_normal(n))
        moves = BASE * sizes * self._rng.standard_normal(n) * (self._rng.random(n) < ACTIVE)
        jumps = self._rng.random(n) < JUMPS_PER_HOUR / 3600 / STEPS
        moves = np.clip(moves + jumps * JUMP * self._rng.standard_normal(n), -LARGEST, LARGEST)
        now = np.sqrt(_MEAN_SQUARE * np.exp(2 * (slow + medium)) + _JUMP_SQUARE)
        usual = np.sqrt(_MEAN_SQUARE * np.exp(2 * (slow + MEDIUM**2)) + _JUMP_SQUARE)
        return Section(self._log_price + np.cumsum(moves), now, usual)

    def _wander(self, index: int, memory_s: float, n: int) -> Floats:
        """Let one factor of the log volatility wander: unit variance, a memory of so many seconds."""
        keep = math.exp(-1 / (STEPS * memory_s))
        shocks = (math.sqrt(1 - keep * keep) * self._rng.standard_normal(n)).tolist()
        value = float(self._factors[index])
        values = []
        for shock in shocks:
            value = keep * value + shock
            values.append(value)
        self._factors[index] = value
        return np.array(values)

    def _append(self, section: Section) -> None:
        """Add a stretch, and what Chainlink makes of it."""
        self._price.frombytes(np.exp(section.log_price).tobytes())
        self._now.frombytes(section.now.tobytes())
        self._usual.frombytes(section.usual.tobytes())
        follow = 1 - math.exp(-1 / (STEPS * LATE_S))
        late = self._late
        seen = list(self._tail)
        for value in section.log_price.tolist():
            late += follow * (value - late)
            seen.append((1 - LATE_SHARE) * value + LATE_SHARE * late)
        self._late = late
        self._tail = seen[-DELAY:]
        whole_seconds = np.array(seen[: len(section.log_price) : STEPS])
        noise = SOURCE_NOISE * self._rng.standard_normal(len(whole_seconds))
        values = np.rint(np.exp(whole_seconds + noise) * E10).astype(np.int64)
        self._sums.frombytes((self._sums[-1] + np.cumsum(values)).tobytes())
        self._log_price = float(section.log_price[-1])
        self.end_s += len(whole_seconds)
