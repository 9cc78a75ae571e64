"""How good is ``p_hat``? Recorded prices, arriving as they arrived, cut into windows, scored.

The engine's own code forecasts each window at each time before its end; the outcome is rebuilt from the same
prices. Beside it the formula that most bots use, and the candidates that the engine's model was chosen from,
run on the same windows. What it does not know: books, money, whether the venue would have settled so.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.contract import DURATIONS_S, SettlementRule
from engine.core import reports
from engine.core.decide import probability_up
from engine.core.fair import expect_settlement
from engine.core.prices import PriceTrack
from engine.core.seed import seed_formula
from engine.core.settlement import sampled_seconds
from engine.core.volatility import realised_vol, sigma_usd
from engine.errors import EngineError
from engine.events import PricePrinted
from engine.params import Params
from engine.run.price_files import Tick, read_ticks

EVERY_S: Final = 5
"""Pseudo-windows end at every fifth second."""

COVERED_S: Final = 60
LEAST_COVERED: Final = 54
"""A window counts where so many of the last sampled minute's seconds exist, at both of its ends."""

OLDEST_S: Final = 6
"""And where the newest received second is no older than this at the decision."""

PARTED_S: Final = 3_600
"""Files with a hole of more than an hour between them are recordings of their own."""

CLIP: Final = 1e-6
"""A forecast more certain than this is scored as this: one miss must not be the whole score."""

CERTAIN: Final = 0.99
BINS: Final = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)

Forecast = Callable[[PriceTrack, float, int, int, SettlementRule], float]
"""(raw seconds, strike, end, now, rule) -> probability of Up."""


class CalibrationError(EngineError):
    """The wish makes no sense; the message says which part."""


class Wish(NamedTuple):
    """What to score. ``from_s`` and ``to_s`` choose windows by their end: from <= end < to."""

    rule: SettlementRule
    window_s: int
    taus: tuple[int, ...]
    model: str
    from_s: int | None = None
    to_s: int | None = None


class Scored(NamedTuple):
    """One forecast and what became of it."""

    end_s: int
    tau: int
    probability: float
    is_up: bool


def rule_from(text: str) -> SettlementRule:
    """Read ``spot`` or ``twap:SECONDS``.

    Raises:
        CalibrationError: Neither.
    """
    basis, _, seconds = text.partition(":")
    if basis == "spot" and not seconds:
        return SettlementRule("spot")
    if basis == "twap" and seconds.isdigit() and 0 < int(seconds) <= 3600:
        return SettlementRule("twap", int(seconds))
    raise CalibrationError(f"rule {text!r}: write spot, or twap:60")


def calibrate(paths: Sequence[Path], wish: Wish) -> dict[str, Any]:
    """Score a model on price files.

    Args:
        paths: Files as ``engine.run.price_files`` reads them.
        wish: What to score.
    Returns:
        ``refused``: reports that were not believed, by name. ``rows``: one for each tau and for ``pseudo``
        and ``real`` boundaries, with ``window, rule, model, tau, boundaries, n, skipped, brier, log_loss,
        certain_share, certain_wrong, reliability``; figures of no window are None.
    Raises:
        CalibrationError: Unknown model, a wish that makes no sense, or no prices.
        PriceFileError: A file cannot be read.
    """
    if wish.model not in MODELS:
        raise CalibrationError(f"model {wish.model!r}: one of {', '.join(MODELS)}")
    if wish.window_s not in DURATIONS_S.values():
        raise CalibrationError(f"window {wish.window_s}: 300 or 900")
    if max(wish.taus) >= wish.window_s:
        raise CalibrationError(f"tau {max(wish.taus)}: the window of {wish.window_s} s has not begun then")
    ticks, refused = accepted(read_ticks(paths))
    if not ticks:
        raise CalibrationError("the files hold no prices")
    truth = Truth(ticks, wish.rule)
    ends = list(_ends(truth, wish))
    scored = {(one.end_s, one.tau): one for one in forecasts(ticks, truth, wish, ends)}
    rows = []
    for tau in wish.taus:
        for boundaries in ("pseudo", "real"):
            chosen = [end for end in ends if boundaries == "pseudo" or end % wish.window_s == 0]
            made = [scored[end, tau] for end in chosen if (end, tau) in scored]
            facts = {"window": wish.window_s, "rule": _rule_text(wish.rule), "model": wish.model, "tau": tau}
            facts |= {"boundaries": boundaries, "n": len(made), "skipped": len(chosen) - len(made)}
            rows.append(facts | _figures(made))
    return {"rows": rows, "refused": refused}


def accepted(ticks: Sequence[Tick]) -> tuple[list[Tick], dict[str, int]]:
    """Return the reports that the engine itself would believe, and how many it would not, by name."""
    track, believed, refused = PriceTrack(), list[Tick](), Counter[str]()
    for tick in ticks:
        told = _take(track, tick)
        if told in ("new", "late"):
            believed.append(tick)
        if told not in ("new", "late"):
            refused[told] += 1
    return believed, dict(sorted(refused.items()))


class Truth:
    """What every window would have settled on, rebuilt from all seconds that ever arrived."""

    def __init__(self, ticks: Sequence[Tick], rule: SettlementRule) -> None:
        values: dict[int, float] = {}
        for tick in ticks:
            values.setdefault(tick.stamp_ms // 1000, float(tick.value))
        self._rule = rule
        self._values = values
        self._seconds = sorted(values)
        self.first_s, self.last_s = self._seconds[0], self._seconds[-1]

    def price_at(self, at_s: int) -> float | None:
        """Return the settlement price at a second, holes on a straight line; None with too few seconds."""
        covered = sum(second in self._values for second in range(at_s - COVERED_S - 2, at_s - 2))
        first, last = sampled_seconds(self._rule, at_s)
        if covered < LEAST_COVERED or first < self.first_s or last > self.last_s:
            return None
        return sum(self._value(second) for second in range(first, last + 1)) / (last - first + 1)

    def stretches(self) -> Iterator[tuple[int, int]]:
        """Yield first and last second of each stretch of prices; a longer hole parts recordings."""
        first = before = self._seconds[0]
        for second in self._seconds[1:]:
            if second - before > PARTED_S:
                yield first, before
                first = second
            before = second
        yield first, before

    def _value(self, second: int) -> float:
        known = self._values.get(second)
        if known is not None:
            return known
        place = bisect_right(self._seconds, second)
        left, right = self._seconds[place - 1], self._seconds[place]
        share = (second - left) / (right - left)
        return self._values[left] + share * (self._values[right] - self._values[left])


def forecasts(ticks: Sequence[Tick], truth: Truth, wish: Wish, ends: Sequence[int]) -> Iterator[Scored]:
    """Forecast every window at every tau, with nothing known that had not arrived."""
    forecast = MODELS[wish.model]
    track = PriceTrack()
    arrivals = iter(ticks)
    coming = next(arrivals, None)
    for now_s, end_s, tau in sorted((end - tau, end, tau) for end in ends for tau in wish.taus):
        while coming is not None and coming.recv_ms <= now_s * 1000:
            _take(track, coming)
            coming = next(arrivals, None)
        strike, final = truth.price_at(end_s - wish.window_s), truth.price_at(end_s)
        if strike is None or final is None or track.newest_s is None or now_s - track.newest_s > OLDEST_S:
            continue
        yield Scored(end_s, tau, forecast(track, strike, end_s, now_s, wish.rule), final >= strike)


def _take(track: PriceTrack, tick: Tick) -> str:
    event = PricePrinted(
        ts_recv_ms=tick.recv_ms,
        source="chainlink",
        value=tick.value,
        ts_venue_ms=tick.stamp_ms,
        ts_sent_ms=None,
    )
    return reports.take(track, tick.stamp_ms, tick.value, event)


def _ends(truth: Truth, wish: Wish) -> Iterator[int]:
    """Yield the ends of all pseudo-windows that the files could hold, each a multiple of five seconds."""
    for first_s, last_s in truth.stretches():
        first = first_s + wish.window_s + COVERED_S + 2
        begin = first if wish.from_s is None else max(first, wish.from_s)
        end = last_s + 1 if wish.to_s is None else min(last_s + 1, wish.to_s)
        yield from range(-(-begin // EVERY_S) * EVERY_S, end, EVERY_S)


# --- figures ------------------------------------------------------------------------------------------------


def _figures(made: Sequence[Scored]) -> dict[str, Any]:
    if not made:
        empty: dict[str, Any] = dict.fromkeys(("brier", "log_loss", "certain_share", "certain_wrong"))
        return empty | {"reliability": []}
    certain = [one for one in made if one.probability > CERTAIN or one.probability < 1.0 - CERTAIN]
    wrong = sum((one.probability > 0.5) != one.is_up for one in certain)
    return {
        "brier": sum((one.probability - one.is_up) ** 2 for one in made) / len(made),
        "log_loss": sum(_log_loss(one) for one in made) / len(made),
        "certain_share": len(certain) / len(made),
        "certain_wrong": wrong / len(certain) if certain else None,
        "reliability": _reliability(made),
    }


def _log_loss(one: Scored) -> float:
    said = one.probability if one.is_up else 1.0 - one.probability
    return -math.log(min(max(said, CLIP), 1.0 - CLIP))


def _reliability(made: Sequence[Scored]) -> list[dict[str, float | int]]:
    """Return for each bin of forecasts how many there were, what they said and how often Up came."""
    bins: list[list[Scored]] = [[] for _ in BINS[1:]]
    for one in made:
        bins[min(bisect_right(BINS, one.probability), len(bins)) - 1].append(one)
    return [
        {
            "from": BINS[place],
            "to": BINS[place + 1],
            "n": len(held),
            "said": sum(one.probability for one in held) / len(held),
            "came": sum(one.is_up for one in held) / len(held),
        }
        for place, held in enumerate(bins)
        if held
    ]


def _rule_text(rule: SettlementRule) -> str:
    return "spot" if rule.basis == "spot" else f"twap:{rule.lookback_s}"


def render(report: dict[str, Any]) -> str:
    """Write the rows as a table for people."""
    lines = ["window rule     model    tau bounds       n skipped   brier log-loss  certain   wrong"]
    for row in report["rows"]:
        figures = [row[name] for name in ("brier", "log_loss", "certain_share", "certain_wrong")]
        told = " ".join("       -" if figure is None else f"{figure:8.4f}" for figure in figures)
        lines.append(
            f"{row['window']:6d} {row['rule']:8s} {row['model']:8s} {row['tau']:3d} {row['boundaries']:6s} "
            f"{row['n']:7d} {row['skipped']:7d} {told}"
        )
    return "\n".join(lines)


# --- models -------------------------------------------------------------------------------------------------


def _with(params: Params, tail: Callable[[float, float, float], float] = probability_up) -> Forecast:
    def forecast(track: PriceTrack, strike: float, end_s: int, _: int, rule: SettlementRule) -> float:
        sigma = sigma_usd(track, params)
        fair = None if sigma is None else expect_settlement(rule, end_s, track, sigma, params.memory)
        return 0.5 if fair is None else tail(strike, fair.mean_usd, fair.deviation_usd)

    return forecast


def _normal_up(strike: float, expected: float, deviation: float) -> float:
    if deviation <= 0.0:
        return 1.0 if expected >= strike else 0.0
    return 0.5 * (1.0 + math.erf((expected - strike) / deviation * math.sqrt(0.5)))


def _seed(track: PriceTrack, strike: float, end_s: int, now_s: int, _: SettlementRule) -> float:
    assert track.newest_s is not None
    points = track.in_order(track.newest_s - 60, track.newest_s)
    sigma = realised_vol(points) if len(points) > 1 else 0.0
    odds = seed_formula(points[-1][1], strike, sigma, end_s - now_s)
    return float(points[-1][1] >= strike) if odds is None else odds.p_up


def _spans(long_s: float, short_s: float, weight: float, multiplier: float, memory: float = 0.0) -> Params:
    return Params(
        sigma_long_s=long_s,
        sigma_short_s=short_s,
        sigma_short_weight=weight,
        sigma_multiplier=multiplier,
        memory=memory,
    )


MODELS: Final[dict[str, Forecast]] = {
    "engine": _with(Params()),
    "seed": _seed,
    "normal-60": _with(_spans(60, 60, 1, 1), _normal_up),
    "normal-300": _with(_spans(300, 60, 1, 1.5), _normal_up),
    "normal-900": _with(_spans(900, 60, 0.5, 1.43), _normal_up),
    "normal-900-memory": _with(_spans(900, 60, 0.5, 1.03, 0.3), _normal_up),
    "tails-300": _with(_spans(300, 60, 1, 1.41)),
    "tails-900": _with(_spans(900, 60, 0.5, 1.42)),
    "tails-600-memory": _with(_spans(600, 60, 0.5, 1.07, 0.3)),
    "tails-900-only-memory": _with(_spans(900, 900, 0, 1.05, 0.3)),
    "tails-1800-memory": _with(_spans(1800, 60, 0.5, 0.99, 0.3)),
}
"""By name: ``engine`` is what trades, ``seed`` what most bots use, the rest the candidates that
docs/model.md compares. Multipliers of the candidates are those that fit the first twelve hours best."""
