"""What did each gate save or cost? What it alone refused, settled with the real outcome.

A gate answers for the bets that it kept from being made: those that every other gate would have let through.
One candidate for each window, side and first refusing gate, at the first moment in hammer time at which no
other gate refused: bought at the ask that was shown, with the fee, for the order's size as far as so much was
shown. The rest is counted. Windows that end together settle on one price: they are one moment, and intervals
are over moments. No latency, no competition: a refused order's fill can only be assumed. What it does not
know: how a session is played (``engine.run.funnel``).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from engine.contract import Outcome
from engine.core.decide import GATE_NAMES, expected_value, first_gate
from engine.nouns import counted
from engine.params import Params
from engine.run.funnel import Looked
from engine.run.intervals import Interval, exact_share, of_bets
from engine.units import Milliseconds

LEAST_MOMENTS: Final = 20
"""Fewer moments of settlement tell nothing of bets at such prices: one loss costs what twenty wins bring."""

NO_BET: Final = "no bet: other gates refused too"


class Candidate(NamedTuple):
    """A refused order. Prices in dollars a share; ``alone``: no other gate refused; ``usd`` is what could
    have been bought at that moment: the size wanted, at most what was shown."""

    slug: str
    end_s: int
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


class Settled(NamedTuple):
    """A candidate whose outcome is known; ``profit`` is what a share would have earned, dollars after fee."""

    candidate: Candidate
    won: bool
    profit: float


class Refusals:
    """Collects candidates from looks at both sides (``Funnel``'s ``seen``)."""

    def __init__(self) -> None:
        self.found: Refused = {}

    def see(self, looked: Looked, params: Params) -> None:
        """Keep a refused side, once for each window, side and first refusing gate."""
        if not looked.gates or looked.probability is None or looked.cost <= 0.0:
            return
        name = first_gate(looked.gates)
        alone = looked.gates & (looked.gates - 1) == 0
        known = self.found.get((looked.slug, looked.outcome, name))
        if known is not None and (known.alone or not alone):
            return
        # What a share costs beyond its price, by the decision's own formula.
        fee = -expected_value(0.0, looked.cost, looked.numbers) - looked.cost
        self.found[looked.slug, looked.outcome, name] = Candidate(
            looked.slug, looked.end_s, looked.outcome, name, alone, looked.at_ms, looked.cost, fee,
            looked.probability, min(params.quote_size_usd, looked.depth_usd),
        )  # fmt: skip


def add(refused: Refused, found: Refused) -> None:
    """Add what one source refused; of a side that two sources refused by one gate, the better witness.

    Args:
        refused: What is known; changed.
        found: What is added.
    """
    for key, one in found.items():
        known = refused.get(key)
        if known is None or (not one.alone, one.at_ms) < (not known.alone, known.at_ms):
            refused[key] = one


def settled(candidates: Sequence[Candidate], outcomes: Mapping[str, Outcome | None]) -> list[Settled]:
    """Return the candidates whose window's outcome is known, with what a share would have earned."""
    found = []
    for one in candidates:
        outcome = outcomes.get(one.slug)
        if outcome is not None:
            won = outcome == one.outcome
            found.append(Settled(one, won, float(won) - one.cost - one.fee))
    return found


def ledger(candidates: Sequence[Candidate], outcomes: Mapping[str, Outcome | None]) -> list[dict[str, Any]]:
    """Reckon what each gate saved or cost.

    Args:
        candidates: Refused orders.
        outcomes: By window; None where nobody knows yet.
    Returns:
        A row for each gate in asking order: ``gate, n, unsettled`` of all candidates that it was the first
        to refuse, and of those that it ``alone`` refused and that have settled: how many, ``windows,
        moments, won, win_low, win_high, claimed, per_share, low, high, usd, said``. Money is what they would
        have earned, dollars after fee (below zero the gate saved it): ``per_share`` the mean of a share over
        moments of settlement, ``low`` and ``high`` its exact 95 % interval, ``usd`` the sum for what was
        shown. ``win_*`` is the interval of the share that won, over moments. None of nothing, and no interval
        of fewer than ``LEAST_MOMENTS``; ``said`` is all that in words.
    """
    rows = []
    for name in GATE_NAMES.values():
        ours = [one for one in candidates if one.gate == name]
        if ours:
            rows.append(_row(name, ours, settled(ours, outcomes)))
    return rows


def _row(name: str, ours: Sequence[Candidate], done: Sequence[Settled]) -> dict[str, Any]:
    bets = [one for one in done if one.candidate.alone]
    moments = _by_moment(bets)
    enough = len(moments) >= LEAST_MOMENTS
    told = of_bets(moments)
    win_low, win_high = exact_share(sum(won for won, _ in moments), len(moments)) if enough else (None, None)
    return {
        "gate": name,
        "n": len(done),
        "unsettled": len(ours) - len(done),
        "alone": len(bets),
        "windows": len({one.candidate.slug for one in bets}),
        "moments": len(moments),
        "won": sum(one.won for one in bets),
        "win_low": win_low,
        "win_high": win_high,
        "claimed": sum(one.candidate.probability for one in bets) / len(bets) if bets else None,
        "per_share": told.mean if bets else None,
        "low": told.low if enough else None,
        "high": told.high if enough else None,
        "usd": sum(one.profit * one.candidate.usd / one.candidate.cost for one in bets) if bets else None,
        "said": _said(len(moments), told),
    }


def _by_moment(bets: Sequence[Settled]) -> list[tuple[float, float]]:
    """Return what share of each moment's bets won, and what a share cost with fee, dollars."""
    found: dict[int, list[Settled]] = defaultdict(list)
    for one in bets:
        found[one.candidate.end_s].append(one)
    return [
        (
            sum(one.won for one in together) / len(together),
            sum(one.candidate.cost + one.candidate.fee for one in together) / len(together),
        )
        for together in found.values()
    ]


def _said(moments: int, told: Interval) -> str:
    if not moments:
        return NO_BET
    if moments < LEAST_MOMENTS or told.low is None or told.high is None:
        return f"too few to say: {counted(moments, 'moment')} of settlement, {LEAST_MOMENTS} are asked for"
    if told.low > 0.0:
        return "it cost: those bets would have earned"
    if told.high < 0.0:
        return "it saved: those bets would have lost"
    return "not to be told from nought"
