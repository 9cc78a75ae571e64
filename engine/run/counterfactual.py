"""What did each gate save or cost? Every candidate that a gate refused, settled with the real outcome.

One candidate for each window, side and first refusing gate, at its first moment in hammer time: bought at the
ask that was shown, with the fee, for the quote size. No latency, no competition: a refused order's fill can
only be assumed. What it does not know: how a session is played (``engine.run.funnel``).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from engine.contract import Outcome
from engine.core.decide import GATE_NAMES, expected_value, first_gate
from engine.params import Params
from engine.run.funnel import Looked
from engine.units import Milliseconds

RESAMPLES: Final = 2_000
SEED: Final = 7
"""The same ledger gives the same interval."""

LEAST_WINDOWS: Final = 5
"""Of fewer windows a resampled interval says nothing."""

Z95: Final = 1.959964


class Candidate(NamedTuple):
    """A refused order. Prices in dollars a share; ``alone``: no other gate refused."""

    slug: str
    outcome: Outcome
    gate: str
    alone: bool
    at_ms: Milliseconds
    cost: float
    fee: float
    probability: float
    usd: float


Refused: TypeAlias = dict[tuple[str, Outcome, str], Candidate]
"""Candidates by window, side and gate."""


class Refusals:
    """Collects candidates from looks at both sides (``Funnel``'s ``seen``)."""

    def __init__(self) -> None:
        self.found: Refused = {}

    def see(self, looked: Looked, params: Params) -> None:
        """Keep a refused side, once for each window, side and first refusing gate."""
        if not looked.gates or looked.probability is None or looked.cost <= 0.0:
            return
        name = first_gate(looked.gates)
        key = (looked.slug, looked.outcome, name)
        if key in self.found:
            return
        # What a share costs beyond its price, by the decision's own formula.
        fee = -expected_value(0.0, looked.cost, looked.numbers) - looked.cost
        alone = looked.gates & (looked.gates - 1) == 0
        self.found[key] = Candidate(
            looked.slug, looked.outcome, name, alone, looked.at_ms, looked.cost, fee, looked.probability,
            params.quote_size_usd,
        )  # fmt: skip


def settled(
    candidates: Sequence[Candidate], outcomes: Mapping[str, Outcome | None]
) -> list[tuple[Candidate, float]]:
    """Return the candidates whose window's outcome is known, with what a share would have earned."""
    found = []
    for one in candidates:
        outcome = outcomes.get(one.slug)
        if outcome is not None:
            found.append((one, (1.0 if outcome == one.outcome else 0.0) - one.cost - one.fee))
    return found


def ledger(candidates: Sequence[Candidate], outcomes: Mapping[str, Outcome | None]) -> list[dict[str, Any]]:
    """Reckon what each gate saved or cost.

    Args:
        candidates: Refused orders.
        outcomes: By window; None where nobody knows yet.
    Returns:
        A row for each gate in asking order: ``gate, n, alone, windows, unsettled, won, win_low, win_high,
        claimed, per_share, low, high, usd``. Money is what the refused orders would have earned, dollars
        after fee (below zero the gate saved it): ``per_share`` the mean, ``low`` and ``high`` its 95 %
        interval by resampled windows (None of few), ``usd`` the sum for the quote size. ``win_*`` is
        Wilson's.
    """
    rows = []
    for name in GATE_NAMES.values():
        ours = [one for one in candidates if one.gate == name]
        if not ours:
            continue
        done = settled(ours, outcomes)
        won = sum(profit + one.cost + one.fee > 0.5 for one, profit in done)
        low, high = _bootstrap([(one.slug, profit) for one, profit in done])
        win_low, win_high = wilson(won, len(done))
        rows.append(
            {
                "gate": name,
                "n": len(done),
                "alone": sum(one.alone for one, _ in done),
                "windows": len({one.slug for one, _ in done}),
                "unsettled": len(ours) - len(done),
                "won": won,
                "win_low": win_low,
                "win_high": win_high,
                "claimed": sum(one.probability for one, _ in done) / len(done) if done else None,
                "per_share": sum(profit for _, profit in done) / len(done) if done else None,
                "low": low,
                "high": high,
                "usd": sum(profit * one.usd / one.cost for one, profit in done) if done else None,
            }
        )
    return rows


def wilson(won: int, count: int) -> tuple[float | None, float | None]:
    """Return Wilson's 95 % interval of a share; None of nothing."""
    if not count:
        return None, None
    share, square = won / count, Z95 * Z95
    middle = (share + square / (2 * count)) / (1 + square / count)
    reach = Z95 * math.sqrt(share * (1 - share) / count + square / (4 * count * count)) / (1 + square / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _bootstrap(profits: Sequence[tuple[str, float]]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the mean; whole windows are resampled: one outcome decides all of each."""
    by_window: dict[str, list[float]] = {}
    for slug, profit in profits:
        by_window.setdefault(slug, []).append(profit)
    if len(by_window) < LEAST_WINDOWS:
        return None, None
    sums = np.array([sum(one) for one in by_window.values()])
    numbers = np.array([len(one) for one in by_window.values()], dtype=float)
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(0, len(sums), size=(RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / numbers[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
