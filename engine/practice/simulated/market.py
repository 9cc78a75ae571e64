"""A simulated market as a tape: one seeded path, its feeds, the books of every window, by the second."""

import hashlib
import heapq
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from typing import Final, Literal, NamedTuple

import numpy as np

from engine.contract import DURATIONS_S, Contract, FeeSchedule, SettlementRule, outcome_of, slug_of
from engine.practice.simulated.delivery import Deliveries, Plan
from engine.practice.simulated.maker import Maker, odds
from engine.practice.simulated.opening import HISTORY_S, Opening, Scene, feared
from engine.practice.simulated.path import LOOKBACK_S, SHIFT_S, STEPS, BtcPath
from engine.practice.tape import Moment, PriceMoment, Truth
from engine.units import Milliseconds

LISTED_S: Final = 86_400
"""Markets are listed a day ahead (protocol sheet, section 4.2)."""

SHOWN_BEFORE_S: Final = 60
"""History that is released before the tape starts, so that the first subscriber gets a snapshot."""

QUOTED_AHEAD_S: Final = 60
SPOT_LATE_MS: Final = 120
BASIS_USD: Final = 4.0
"""How far the exchange ticker trades from what Chainlink aggregates."""

E10: Final = Decimal(10) ** 10
E18: Final = Decimal(10) ** 18
CENT: Final = Decimal("0.01")

BOUNDARIES_S: Final = min(DURATIONS_S.values())
"""Every window starts and ends on a multiple of the shortest one's length."""

SPOT_RULE: Final = SettlementRule("spot")
RULE: Final = SettlementRule("twap", LOOKBACK_S)
RULE_TEXT: Final = (
    'This market will resolve to "Up" if the practice venue\'s 60-second average of BTC/USD at the end of '
    'the time range in the title is at or above the one at its beginning, else to "Down".'
)
FEE: Final = FeeSchedule(Decimal("0.07"), Decimal(1))


class Prices(NamedTuple):
    """Chainlink's spot value of one second, and the average stamped with it."""

    spot: Decimal
    average: Decimal


def simulate(seed: int, start_ms: Milliseconds, opening: Opening | None) -> "SimulatedTape":
    """Return an endless simulated market.

    Args:
        seed: Same seed, same start, same opening: the same moments.
        start_ms: Unix time at which it begins; with an opening, one that ``opening_start_ms`` gave.
        opening: The thresholds to stage the opening for; None plays the plain simulation at once.
    """
    return SimulatedTape(seed, start_ms, opening)


class SimulatedTape:
    """See ``engine.practice.tape.Tape``; ``moments`` may be called once."""

    kind: Literal["simulated"] = "simulated"

    def __init__(self, seed: int, start_ms: Milliseconds, opening: Opening | None) -> None:
        self.start_ms = start_ms
        self.end_ms: Milliseconds | None = None
        self._seed = seed
        self._scene = None if opening is None else Scene(seed, start_ms, opening)
        self._first_s = start_ms // 1000 - HISTORY_S
        if self._scene is not None:
            self._first_s = self._scene.starts_s
        self._path = BtcPath(seed, self._first_s, self._scene)
        self._rng = np.random.default_rng([seed, start_ms // 1000, 3])
        self._makers: dict[str, Maker] = {}
        self._truths: dict[str, Truth] = {}
        self._boundaries: dict[int, Prices] = {}
        self._played_s = self._first_s
        staged = ", after a staged opening" if opening is not None else ""
        self.note = f"simulated market, seed {seed}{staged}: no edge is planted, practice P&L proves nothing"

    def contract(self, slug: str) -> Contract | None:
        """Describe a window: any that has not ended before the tape began, up to a day ahead."""
        name, start_s = _parts(slug)
        if name is None or start_s % DURATIONS_S[name]:
            return None
        end_s = start_s + DURATIONS_S[name]
        if end_s * 1000 <= self.start_ms - DURATIONS_S[name] * 1000 or start_s > self._played_s + LISTED_S:
            return None
        return Contract(
            slug=slug,
            condition_id="0x" + _made(self._seed, slug, "condition").hex(),
            start_s=start_s,
            end_s=end_s,
            token_up=str(int.from_bytes(_made(self._seed, slug, "up"))),
            token_down=str(int.from_bytes(_made(self._seed, slug, "down"))),
            rule=RULE,
            rule_text=RULE_TEXT,
            fee=FEE,
            tick_e4=100,
            min_size_e6=5_000_000,
            accepting=True,
            version="v1",
        )

    def truth(self, slug: str) -> Truth | None:
        """Return what a window settled on; None while it has not been played to its end."""
        return self._truths.get(slug)

    def price_at(self, second: int, rule: SettlementRule) -> Decimal | None:
        """Return a boundary's price: spot, or the average that windows settle on; None for other means."""
        noted = self._boundaries.get(second)
        if noted is None or rule not in (SPOT_RULE, RULE):
            return None
        return noted.average if rule == RULE else noted.spot

    def moments(self) -> Iterator[Moment]:
        """Yield the market, in order of time."""
        first = self.start_ms // 1000 - SHOWN_BEFORE_S
        plan = Plan()
        if self._scene is not None:
            plan = Plan(self._scene.is_spared, self._scene.is_lost, self._scene.is_calm)
        deliveries = Deliveries(self._rng, plan)
        # PolyBolt has a luck of its own: what RTDS loses may come here, and the other way round.
        others = Deliveries(np.random.default_rng([self._seed, self.start_ms // 1000, 4]), plan)
        self._path.extend(first)
        for second in range(self._first_s, first):
            self._note_boundary(second)
        waiting: list[tuple[int, int, Moment]] = []
        number = count()
        for second in count(first):
            self._path.extend(second + 2)
            self._note_boundary(second)
            arriving = self._reports(second, deliveries) + self._polybolt(second, others)
            if second * 1000 >= self.start_ms:
                arriving += self._quotes(second)
            for moment in arriving:
                heapq.heappush(waiting, (moment.due_ms, next(number), moment))
            # Nothing of a later second is due before that second begins.
            while waiting and waiting[0][0] < (second + 1) * 1000:
                yield heapq.heappop(waiting)[2]
            self._end_second(second)

    def _reports(self, second: int, deliveries: Deliveries) -> list[Moment]:
        path, fate = self._path, deliveries.of(second)
        stamp = second * 1000
        exchange = path.price(second * STEPS)
        relayed = Decimal(repr(exchange + BASIS_USD)).quantize(CENT)
        found: list[Moment] = [PriceMoment(fate.relay_ms, "binance", stamp, relayed)]
        if fate.chainlink_ms is not None:
            value = Decimal(path.chainlink_e10(second)) / E10
            found.append(PriceMoment(fate.chainlink_ms, "chainlink", stamp, value, over="rtds"))
        if fate.twap_ms is not None:
            average = Decimal(path.twap_e18(second)) / E18
            found.append(PriceMoment(fate.twap_ms, "twap", stamp, average, LOOKBACK_S, over="rtds"))
        for part in range(STEPS):
            at_ms = stamp + part * 1000 // STEPS
            ticker = Decimal(repr(path.price(second * STEPS + part) + BASIS_USD)).quantize(CENT)
            found.append(PriceMoment(at_ms + SPOT_LATE_MS, "spot", at_ms, ticker))
        return found

    def _polybolt(self, second: int, deliveries: Deliveries) -> list[Moment]:
        """Return the same values as PolyBolt delivers them."""
        path, fate, stamp = self._path, deliveries.of(second), second * 1000
        found: list[Moment] = []
        if fate.chainlink_ms is not None:
            value = Decimal(path.chainlink_e10(second)) / E10
            found.append(PriceMoment(fate.chainlink_ms, "chainlink", stamp, value, over="polybolt"))
        if fate.twap_ms is not None:
            average = Decimal(path.twap_e18(second)) / E18
            found.append(PriceMoment(fate.twap_ms, "twap", stamp, average, LOOKBACK_S, over="polybolt"))
        return found

    def _quotes(self, second: int) -> list[Moment]:
        found: list[Moment] = []
        for slug in _open_slugs(second):
            maker = self._makers.get(slug)
            if maker is None:
                contract = self.contract(slug)
                if contract is None:
                    continue
                rng = np.random.default_rng(list(_made(self._seed, slug, "maker")[:16]))
                maker = self._makers[slug] = Maker(contract, rng)
            for part in range(STEPS):
                step = second * STEPS + part
                p_up = odds(maker.contract, self._path, step).p_up
                at_s = second + part / STEPS
                if self._scene is not None and self._scene.fears(slug, at_s):
                    p_up = feared(p_up)
                found += maker.act(round(at_s * 1000), p_up, maker.contract.end_s - at_s)
        return found

    def _note_boundary(self, second: int) -> None:
        """Keep the prices at which windows start and end; the path itself is forgotten."""
        if second % BOUNDARIES_S or second - LOOKBACK_S - SHIFT_S < self._path.first_s:
            return
        spot = Decimal(self._path.chainlink_e10(second)) / E10
        average = Decimal(self._path.twap_e18(second)) / E18
        self._boundaries[second] = Prices(spot, average)
        while len(self._boundaries) > 1_000:
            del self._boundaries[next(iter(self._boundaries))]

    def _end_second(self, second: int) -> None:
        """Note what windows that end now settled on, and forget what nobody needs."""
        self._played_s = second
        for name, length in DURATIONS_S.items():
            if second % length:
                continue
            start, end = self._boundaries.get(second - length), self._boundaries.get(second)
            if start is None or end is None:
                continue
            slug = slug_of(name, second - length)
            self._truths[slug] = Truth(start.average, end.average, outcome_of(start.average, end.average))
            self._makers.pop(slug, None)
        while len(self._truths) > 1_000:
            del self._truths[next(iter(self._truths))]
        if second % 60 == 0:
            self._path.forget_before(second - DURATIONS_S["15m"] - 2 * LOOKBACK_S)


def _open_slugs(second: int) -> list[str]:
    """Return the windows that are quoted: the open ones, and the next ones shortly before they start."""
    slugs = []
    for name, length in DURATIONS_S.items():
        start_s = second - second % length
        slugs.append(slug_of(name, start_s))
        if start_s + length - second <= QUOTED_AHEAD_S:
            slugs.append(slug_of(name, start_s + length))
    return slugs


def _parts(slug: str) -> tuple[str | None, int]:
    for name in DURATIONS_S:
        head = slug_of(name, 0).removesuffix("0")
        rest = slug.removeprefix(head)
        if slug.startswith(head) and rest.isdecimal() and len(rest) <= 12:
            return name, int(rest)
    return None, 0


def _made(seed: int, slug: str, purpose: str) -> bytes:
    """Make 32 bytes that only this seed, window and purpose give."""
    return hashlib.sha256(f"{seed}/{slug}/{purpose}".encode()).digest()
