"""Does ``p_hat`` beat the middle of the market's asks? The figures of a calibration report, from moments.

Formulas: docs/calibration.md. Every figure carries its count; what is too little to say is said to be. What
it does not know: how moments were made, charts, files.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any, Final

from engine.params import Params
from engine.run.calibration.moments import Bet, Candidate, Moment, candidates_of, gates_in, moments_of
from engine.run.intervals import Interval, of_bets, of_values, wilson
from engine.run.sweep.trace import Trace

CLIP: Final = 1e-6
BINS: Final = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
EDGES: Final = (-math.inf, -0.05, -0.02, 0.0, 0.01, 0.02, 0.05, math.inf)
"""Claimed edge, dollars a share."""

Z: Final = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, math.inf)
LEAST_WINDOWS: Final = 30
"""Fewer windows than this are too few to say anything."""

DIGITS: Final = 9
"""Decimals of a gain: two forecasts that differ by rounding alone are the same forecast."""

CELL_MOMENTS: Final = 200
"""Moments that a cell of the heat map leads to, the first ones; a cell says how many it has."""


def report_of(trace: Trace, params: Params) -> dict[str, Any]:
    """Return everything that a calibration report shows.

    Args:
        trace: Windows with outcomes.
        params: How to trade, for the order's size and the gates.
    """
    moments = moments_of(trace, params)
    return {
        "windows": len({moment.slug for moment in moments}),
        "moments": len(moments),
        "verdict": verdict(moments),
        "asks": asks(moments),
        "scores": scores(moments),
        "reliability": reliability(moments),
        "edge_decay": edge_decay(moments),
        "heat": heat(moments),
        "gates": by_gate(candidates_of(trace, params)),
    }


# --- scores -------------------------------------------------------------------------------------------------


def scores(moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """Return Brier and log-loss of ``p_hat`` and of the middle of both asks, by horizon and time.

    Both are of the same moments, those with both asks; ``brier_all`` is ``p_hat``'s on all of them.
    """
    rows = []
    for horizon, tau in sorted({(one.horizon, one.tau) for one in moments}):
        chosen = [one for one in moments if (one.horizon, one.tau) == (horizon, tau)]
        both = [(one, middle) for one in chosen if (middle := one.middle) is not None]
        ours, theirs = [one.p_up for one, _ in both], [middle for _, middle in both]
        came = [one.up for one, _ in both]
        rows.append(
            {
                "horizon": horizon,
                "tau": tau,
                "n": len(chosen),
                "n_both_asks": len(both),
                "brier": brier(ours, came),
                "brier_middle": brier(theirs, came),
                "log_loss": log_loss(ours, came),
                "log_loss_middle": log_loss(theirs, came),
                "brier_all": brier([one.p_up for one in chosen], [one.up for one in chosen]),
            }
        )
    return rows


def brier(said: Sequence[float], came: Sequence[bool]) -> float | None:
    """Return the mean squared error of probabilities; None of none."""
    return sum((p - up) ** 2 for p, up in zip(said, came, strict=True)) / len(said) if said else None


def log_loss(said: Sequence[float], came: Sequence[bool]) -> float | None:
    """Return minus the mean log of what was said of that which came; None of none."""
    if not said:
        return None
    clipped = [min(max(p if up else 1.0 - p, CLIP), 1.0 - CLIP) for p, up in zip(said, came, strict=True)]
    return -sum(map(math.log, clipped)) / len(clipped)


def asks(moments: Sequence[Moment]) -> dict[str, int]:
    """Count moments by what the book held: ``both`` are compared with the market, the others are left out.

    ``favourite_unsold`` are those of ``one`` in which nobody sold the side that ``p_hat`` thought likelier.
    """
    one_ask = [one for one in moments if (one.ask_up is None) != (one.ask_down is None)]
    both = sum(one.middle is not None for one in moments)
    unsold = sum((one.ask_up if one.p_up >= 0.5 else one.ask_down) is None for one in one_ask)
    none = len(moments) - both - len(one_ask)
    return {"both": both, "one": len(one_ask), "favourite_unsold": unsold, "none": none}


def verdict(moments: Sequence[Moment]) -> str:
    """Say in words whether ``p_hat`` beats the middle of both asks, by the log-loss of windows drawn whole.

    A sample in which nothing rare has happened says little of what is rare. So whoever is to win is given one
    more window first: the worst for it that these forecasts allow, whichever side had come. A chance of which
    no case was seen then decides only where its absence is itself a surprise (three expected cases or so).
    """
    by_window: dict[str, list[tuple[float, float]]] = {}
    for one in moments:
        if one.middle is not None:
            told = (_gain(one.p_up, one.middle, one.up), _gain(one.p_up, one.middle, not one.up))
            by_window.setdefault(one.slug, []).append(told)
    gains = [_mean_gain(came for came, _ in told) for told in by_window.values()]
    if len(gains) < LEAST_WINDOWS:
        return f"too few to say: {len(gains)} windows with both asks, {LEAST_WINDOWS} are asked for"
    possible = [*gains, *(_mean_gain(other for _, other in told) for told in by_window.values())]
    low = of_values([*gains, min(possible)]).low
    high = of_values([*gains, max(possible)]).high
    if low is not None and low > 0.0:
        return "p_hat beats the middle of the market's asks"
    if high is not None and high < 0.0:
        return "the middle of the market's asks beats p_hat"
    return "p_hat and the middle of the market's asks cannot be told apart"


def _gain(ours: float, theirs: float, up: bool) -> float:
    """Return by how much log-loss of what the market said is above that of ours."""
    losses = [log_loss([p], [up]) or 0.0 for p in (theirs, ours)]
    return losses[0] - losses[1]


def _mean_gain(gains: Iterable[float]) -> float:
    return round(fmean(gains), DIGITS)


# --- reliability --------------------------------------------------------------------------------------------


def reliability(moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """Return what was said against what came, by forecaster, horizon, time and bin, with Wilson bands.

    ``p_hat`` is of all moments, ``middle`` of those with both asks.
    """
    sources: dict[str, Callable[[Moment], float | None]] = {
        "p_hat": lambda one: one.p_up,
        "middle": lambda one: one.middle,
    }
    rows = []
    for horizon, tau in sorted({(one.horizon, one.tau) for one in moments}):
        chosen = [one for one in moments if (one.horizon, one.tau) == (horizon, tau)]
        for name, of in sources.items():
            told = [(p, one.up) for one in chosen if (p := of(one)) is not None]
            rows += [{"forecast": name, "horizon": horizon, "tau": tau} | one for one in binned(told)]
    return rows


def binned(told: Sequence[tuple[float, bool]]) -> list[dict[str, Any]]:
    """Return for each bin how many there were, what was said, how often Up came and its Wilson band."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in BINS[1:]]
    for p, up in told:
        bins[min(bisect_right(BINS, p), len(bins)) - 1].append((p, up))
    rows = []
    for place, held in enumerate(bins):
        if held:
            came = sum(up for _, up in held)
            low, high = wilson(came, len(held))
            said = sum(p for p, _ in held) / len(held)
            rows.append(
                {
                    "from": BINS[place],
                    "to": BINS[place + 1],
                    "n": len(held),
                    "said": said,
                    "came": came / len(held),
                    "low": low,
                    "high": high,
                }
            )
    return rows


# --- edge ---------------------------------------------------------------------------------------------------


def edge_decay(moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """Return realised against claimed edge, by bucket of claimed edge: dollars a share, after fee.

    Both are means of windows: a window's moments in a bucket are averaged first, for they share its outcome.
    The interval is exact (``engine.run.intervals.of_bets``): windows that all won do not make it narrow.
    """
    held: list[dict[str, list[Bet]]] = [{} for _ in EDGES[1:]]
    for one in moments:
        bet = one.bet
        if bet is not None:
            held[bisect_right(EDGES, bet.claimed) - 1].setdefault(one.slug, []).append(bet)
    rows = []
    for place, windows in enumerate(held):
        if not windows:
            continue
        claimed = [fmean(bet.claimed for bet in told) for told in windows.values()]
        realised = _of_windows(
            [(fmean(bet.won for bet in told), fmean(bet.cost for bet in told)) for told in windows.values()]
        )
        rows.append(
            {
                "from": _known(EDGES[place]),
                "to": _known(EDGES[place + 1]),
                "n": sum(map(len, windows.values())),
                "windows": len(windows),
                "claimed": fmean(claimed),
                "realised": realised.mean,
                "low": realised.low,
                "high": realised.high,
            }
        )
    return rows


def heat(moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """Return the better side's EV by seconds before the end and ``|z|``; each cell names its moments."""
    cells: dict[tuple[int, int], list[Moment]] = {}
    for one in moments:
        if one.edge is not None:
            z = bisect_right(Z, abs(one.z)) - 1
            cells.setdefault((one.tau, min(z, len(Z) - 2)), []).append(one)
    rows = []
    for (tau, z), held in sorted(cells.items()):
        edges = [one.edge for one in held if one.edge is not None]
        rows.append(
            {
                "tau": tau,
                "z_from": Z[z],
                "z_to": _known(Z[z + 1]),
                "n": len(held),
                "claimed": sum(edge[0] for edge in edges) / len(edges),
                "realised": sum(edge[1] for edge in edges) / len(edges),
                "moments": [[one.slug, one.at_ms] for one in held[:CELL_MOMENTS]],
            }
        )
    return rows


def by_gate(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Return what each gate's refusals would have come to, and what passed.

    ``total`` is dollars of whole orders; ``mean`` and its exact interval are dollars a share, each window one
    bet, so that neither an order's size nor a run of wins makes it narrow. A candidate counts for every gate
    that refused it; ``alone`` counts those that no other gate refused.
    """
    named: dict[str, list[tuple[Candidate, bool]]] = {}
    for one in candidates:
        names = gates_in(one.gates) or ["trade"]
        for name in names:
            named.setdefault(name, []).append((one, len(names) == 1))
    rows = []
    for name, held in named.items():
        share = _of_windows([(float(one.won), one.cost) for one, _ in held])
        rows.append(
            {
                "gate": name,
                "n": len(held),
                "alone": sum(alone for _, alone in held),
                "total": sum(one.profit for one, _ in held),
                "mean": share.mean,
                "low": share.low,
                "high": share.high,
            }
        )
    return sorted(rows, key=lambda row: -int(row["n"]))


def _of_windows(bets: Sequence[tuple[float, float]]) -> Interval:
    """Return a mean and its interval; one window alone has none that says anything."""
    told = of_bets(bets)
    return told if len(bets) > 1 else Interval(told.mean, None, None)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
