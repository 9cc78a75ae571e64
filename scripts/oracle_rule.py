"""The rule of docs/model.md written a second time, for ``make oracle``: from the text, not from the engine.

It imports nothing of the engine, keeps money as decimals where the engine keeps whole numbers, and sums where
the engine has closed forms. Written as far as rows can tell: no fallback, no frozen feeds, no limits of an
account. What it does not know: orders, fills and money, which are NautilusTrader's (``oracle_nautilus.py``).
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from decimal import ROUND_DOWN, Decimal
from functools import cache
from itertools import pairwise
from typing import Final, NamedTuple

SHARE: Final = Decimal("0.000001")
"""The venue counts shares in millionths."""

CENT: Final = Decimal("0.01")
DUST: Final = Decimal("0.0001")
"""Less than this left of the wanted dollars is rounding of shares, no lack of depth."""

DELIVERY_S: Final = 4
SAMPLED_AFTER: Final = 3
"""A report of second ``i`` is the mean of ``i - W - 2 ... i - 3`` (docs/model.md, "Settlement")."""

CENTS_OFF: Final = 0.05
"""What a report differs by from our mean of the very same seconds, dollars."""

SECOND_LATER: Final = 0.6
"""How much of what averaging a second later would change is taken for possible (docs/model.md)."""

LEAST_SHARES: Final = 5
LEAST_SECONDS: Final = 20
WARM_S: Final = 300
REFERENCE_TOLERANCE_S: Final = 10
KEPT_S: Final = 1_080
BRIDGE_S: Final = 120
LAST_MOVE_S: Final = 5

Level = tuple[Decimal, Decimal]


class Rule(NamedTuple):
    """Parameters by the engine's names; ``layer_temperature`` 1 is no layer."""

    watch_return_threshold: float
    watch_window_s: float
    hammer_s: float
    d_min_usd: float
    max_entry_price: float
    quote_size_usd: float
    min_ev: float
    sigma_long_s: float
    sigma_short_s: float
    sigma_short_weight: float
    sigma_multiplier: float
    sigma_floor: float
    memory: float
    price_stale_s: float
    book_stale_s: float
    max_divergence_bp: float
    least_order_usd: float
    fallback_fee_rate: float
    layer_temperature: float = 1.0


class Fee(NamedTuple):
    """A market's schedule; ``rate`` None: it publishes none."""

    rate: Decimal | None
    exponent: Decimal


class Outlook(NamedTuple):
    """The settlement price as far as it is known, dollars."""

    mean: float
    deviation: float


class Order(NamedTuple):
    """What the rule wants bought."""

    side: str
    limit: Decimal
    usd: Decimal


class Prices:
    """Chainlink's seconds and spot's, as they arrived."""

    def __init__(self) -> None:
        self.by_second: dict[int, float] = {}
        self.spot: dict[int, float] = {}
        self.arrived_ms = 0

    def add(self, second: int, dollars: float, at_ms: int) -> None:
        """Take a report in; a second that is known, or older than the newest, says nothing of now."""
        if self.by_second and second <= self.newest:
            return
        self.by_second[second] = dollars
        self.arrived_ms = at_ms
        while next(iter(self.by_second)) <= second - KEPT_S:
            del self.by_second[next(iter(self.by_second))]

    def since(self, first: int) -> list[tuple[int, float]]:
        """Return the known seconds from one on."""
        return [(second, value) for second, value in self.by_second.items() if second >= first]

    @property
    def newest(self) -> int:
        """The last second known; there has to be one."""
        return next(reversed(self.by_second))

    def is_fresh(self, now_ms: int, stale_s: float) -> bool:
        """Say whether the feed has spoken within the threshold, of something recent."""
        if not self.by_second or now_ms - self.arrived_ms > stale_s * 1000:
            return False
        return now_ms - self.newest * 1000 <= (stale_s + DELIVERY_S) * 1000

    def agrees(self, most_bp: float) -> bool:
        """Say whether spot of about the same second is near."""
        if not self.spot:
            return True
        near = sorted(range(self.newest - 3, self.newest + 4), key=lambda s: (abs(s - self.newest), s))
        theirs = [self.spot[second] for second in near if second in self.spot]
        ours = self.by_second[self.newest]
        return bool(theirs) and abs(theirs[0] / ours - 1.0) * 10_000 <= most_bp


# --- docs/model.md, "Volatility" and "Gates" (watch) ------------------------------------------------------


def realised(points: Sequence[tuple[int, float]]) -> float:
    """Return sqrt(sum of squared steps / sum of their seconds)."""
    pairs = list(pairwise(points))
    return math.sqrt(sum((b - a) ** 2 for (_, a), (_, b) in pairs) / sum(t - s for (s, _), (t, _) in pairs))


def volatility(prices: Prices, rule: Rule) -> float | None:
    """Return the deviation of one second's news in dollars; None with too few seconds."""
    if not prices.by_second:
        return None
    newest = prices.newest
    long, short = (prices.since(newest - int(span)) for span in (rule.sigma_long_s, rule.sigma_short_s))
    if len(long) < LEAST_SECONDS:
        return None
    sigma = realised(long)
    if len(short) >= LEAST_SECONDS:
        warm = newest - long[0][0] >= min(WARM_S, rule.sigma_long_s)
        sigma = max(sigma, realised(short) * (math.sqrt(rule.sigma_short_weight) if warm else 1.0))
    return max(sigma * rule.sigma_multiplier, rule.sigma_floor * prices.by_second[newest])


def move(prices: Prices, rule: Rule) -> float | None:
    """Return the return over the watch's span by time, holes tolerated."""
    then = prices.newest - int(rule.watch_window_s)
    known = [s for s in prices.by_second if then - REFERENCE_TOLERANCE_S <= s <= then]
    if not known:
        return None
    before = prices.by_second[max(known)]
    return (prices.by_second[prices.newest] - before) / before


# --- docs/model.md, "Fair value" --------------------------------------------------------------------------


@cache
def unknown_seconds(count: int, gap: int, memory: float) -> tuple[float, float]:
    """Return the drift a dollar of last move, and the variance a squared deviation, of the unknown sum."""

    def reach(seconds: int) -> float:
        return sum(memory**k for k in range(seconds))

    drift = memory * sum(reach(h) for h in range(gap + 1, gap + count + 1))
    variance = sum(
        sum(reach(h - j + 1) for h in range(max(gap + 1, j), gap + count + 1)) ** 2
        for j in range(1, gap + count + 1)
    )
    return drift, variance


def bridged(prices: Prices, first: int, last: int) -> tuple[float, float] | None:
    """Return the sum of the seconds from first to last, and the variance that bridges over holes may miss."""
    known = [second for second in prices.by_second if first - BRIDGE_S <= second <= last + BRIDGE_S]
    if not known:
        return None
    total = doubt = 0.0
    for second in range(first, last + 1):
        place = bisect_left(known, second)
        right = known[place] if place < len(known) else None
        left = second if right == second else known[place - 1] if place else None
        if left is not None and right is not None:
            a, b = prices.by_second[left], prices.by_second[right]
            total += a if left == right else a + (b - a) * (second - left) / (right - left)
            if left != right and second == max(first, left + 1):
                doubt += (right - left) * ((right - left) ** 2 - 1) / 12
            continue
        # No neighbour near: flat. The news between here and the neighbour moves each second further out too.
        near = left if left is not None else right
        assert near is not None
        total += prices.by_second[near]
        outer = second - first + 1 if left is None else last - second + 1
        doubt += outer**2
    return total, doubt


def outlook(prices: Prices, end_s: int, lookback_s: int, rule: Rule) -> Outlook | None:
    """Say what the settlement price will be: mean of the averaged seconds, and its deviation."""
    sigma = volatility(prices, rule)
    if sigma is None:
        return None
    first, last = end_s - lookback_s - SAMPLED_AFTER + 1, end_s - SAMPLED_AFTER
    if not lookback_s:
        first = last = end_s
    length, newest = last - first + 1, prices.newest
    unknown = min(length, max(0, last - newest))
    drift, variance = unknown_seconds(unknown, max(0, first - 1 - newest), rule.memory)
    steps = prices.since(newest - LAST_MOVE_S)[-2:]
    step = (steps[1][1] - steps[0][1]) / (steps[1][0] - steps[0][0]) if len(steps) == 2 else 0.0
    total = unknown * prices.by_second[newest] + drift * step
    if unknown < length:
        fixed = bridged(prices, first, min(last, newest))
        if fixed is None:
            return None
        total += fixed[0]
        variance += fixed[1] / (1.0 - rule.memory) ** 2
    deviation = sigma * math.sqrt(variance) / length
    if lookback_s and unknown < length:
        deviation = math.hypot(deviation, CENTS_OFF, a_second_later(prices, first, last) * SECOND_LATER)
    return Outlook(total / length, deviation)


def a_second_later(prices: Prices, first: int, last: int) -> float:
    """Return what the mean would change by if it were of one second later; the newest stands for the next."""
    leaves = bridged(prices, first, first)
    assert leaves is not None
    comes = prices.by_second.get(last + 1, prices.by_second[prices.newest])
    return (comes - leaves[0]) / (last - first + 1)


def chance_up(seen: Outlook, strike: float, temperature: float) -> float:
    """Return the probability of Up: Student's t with three degrees of freedom, then the layer if any."""
    if seen.deviation <= 0.0:
        return float(seen.mean >= strike)
    z = (seen.mean - strike) / seen.deviation
    p = 0.5 + (z / (1.0 + z * z) + math.atan(z)) / math.pi
    if temperature == 1.0 or p in (0.0, 1.0):
        return p
    p = min(max(p, 1e-6), 1.0 - 1e-6)
    odds: float = (p / (1.0 - p)) ** (1.0 / temperature)
    return odds / (1.0 + odds)


# --- docs/model.md, "Fee and EV", "Gates" and "Order" -----------------------------------------------------


def spend(asks: Iterable[Level], usd: Decimal, limit: Decimal) -> tuple[Decimal, Decimal]:
    """Walk asks, best first, up to a limit; return the shares and the dollars they cost."""
    shares, left = Decimal(0), usd
    for price, size in asks:
        taken = min(size, (left / price).quantize(SHARE, ROUND_DOWN))
        if price > limit or not taken:
            break
        shares, left = shares + taken, left - taken * price
    return shares, usd - left


def worth(chance: float, cost: float, fee: Fee, rule: Rule) -> float:
    """Return the EV of a share at a cost, after fee."""
    if fee.rate is None:
        return chance - cost - rule.fallback_fee_rate * cost
    risk: float = (cost * (1.0 - cost)) ** float(fee.exponent)
    return chance - cost - float(fee.rate) * risk


def wanted(
    chances: dict[str, float], asks: dict[str, list[Level]], fee: Fee, ticks: dict[str, Decimal], rule: Rule
) -> Order | None:
    """Return the order for the better side among those that pass every gate of price; None where none does.

    Args:
        chances: Probability of each side.
        asks: Of each side's book, best first.
        fee: The market's.
        ticks: Price grid of each side's book.
        rule: Parameters.
    """
    size, cap = Decimal(str(rule.quote_size_usd)), Decimal(str(rule.max_entry_price))
    best: tuple[float, str] | None = None
    for side, chance in chances.items():
        shares, cost = spend(asks[side], size, cap)
        filled = size if size - cost < CENT else cost
        if not shares or filled < Decimal(str(rule.least_order_usd)):
            continue
        ev = worth(chance, float(cost / shares), fee, rule)
        if float(cost / shares) <= rule.max_entry_price and ev > rule.min_ev and (not best or ev > best[0]):
            best = ev, side
    if best is None:
        return None
    side = best[1]
    tick = ticks[side]
    limit = cap // tick * tick
    while limit > 0 and worth(chances[side], float(limit), fee, rule) <= rule.min_ev:
        limit -= tick
    shown = spend(asks[side], size, limit)[1]
    usd = (size if size - shown < DUST else shown).quantize(CENT, ROUND_DOWN)
    if usd < Decimal(str(rule.least_order_usd)) or usd / limit < LEAST_SHARES:
        return None
    return Order(side, limit, usd)
