"""Does ``p_hat`` beat the market's own price? The figures of a calibration report, from moments.

Formulas: docs/calibration.md. Every figure carries its count; what is too little to say is said to be. What
it does not know: how moments were made, charts, files.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from engine.params import Params
from engine.run.calibration.moments import Candidate, Moment, candidates_of, gates_in, moments_of
from engine.run.sweep.trace import Trace

CLIP: Final = 1e-6
BINS: Final = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
EDGES: Final = (-math.inf, -0.05, -0.02, 0.0, 0.01, 0.02, 0.05, math.inf)
"""Claimed edge, dollars a share."""

LEFT: Final = (0.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 900.0)
Z: Final = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, math.inf)
Z95: Final = 1.959963984540054
LEAST_WINDOWS: Final = 30
"""Fewer windows than this are too few to say anything."""

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
        "scores": scores(moments),
        "reliability": reliability(moments),
        "edge_decay": edge_decay(moments),
        "heat": heat(moments),
        "gates": by_gate(candidates_of(trace, params)),
    }


# --- scores -------------------------------------------------------------------------------------------------


def scores(moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """Return Brier and log-loss of ``p_hat`` and of the ask, by horizon and time, on the same moments."""
    rows = []
    for horizon, tau in sorted({(one.horizon, one.tau) for one in moments}):
        chosen = [one for one in moments if (one.horizon, one.tau) == (horizon, tau)]
        both = [one for one in chosen if one.ask_up is not None]
        ours, theirs = [one.p_up for one in both], [one.ask_up or 0.0 for one in both]
        came = [one.up for one in both]
        rows.append(
            {
                "horizon": horizon,
                "tau": tau,
                "n": len(chosen),
                "n_with_ask": len(both),
                "brier": brier(ours, came),
                "brier_ask": brier(theirs, came),
                "log_loss": log_loss(ours, came),
                "log_loss_ask": log_loss(theirs, came),
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


def verdict(moments: Sequence[Moment]) -> str:
    """Say in words whether ``p_hat`` beats the ask, by the log-loss of windows drawn whole."""
    by_window: dict[str, list[float]] = {}
    for one in moments:
        if one.ask_up is not None:
            ours, theirs = log_loss([one.p_up], [one.up]), log_loss([one.ask_up], [one.up])
            assert ours is not None
            assert theirs is not None
            by_window.setdefault(one.slug, []).append(theirs - ours)
    gains = [sum(told) / len(told) for told in by_window.values()]
    if len(gains) < LEAST_WINDOWS:
        return f"too few to say: {len(gains)} windows with price and book, {LEAST_WINDOWS} are asked for"
    mean, half = mean_and_half(gains)
    if mean - half > 0.0:
        return "p_hat beats the market's ask"
    if mean + half < 0.0:
        return "the market's ask beats p_hat"
    return "p_hat and the market's ask cannot be told apart"


# --- reliability --------------------------------------------------------------------------------------------


def reliability(moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """Return what was said against what came, by forecaster, horizon, time and bin, with Wilson bands."""
    sources: dict[str, Callable[[Moment], float | None]] = {
        "p_hat": lambda one: one.p_up,
        "ask": lambda one: one.ask_up,
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


def wilson(came: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share. Source: Wilson, JASA 22 (1927), 209-212."""
    share, square = came / n, Z95 * Z95
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z95 / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


# --- edge ---------------------------------------------------------------------------------------------------


def edge_decay(moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """Return realised against claimed edge, by bucket of claimed edge: dollars a share, after fee.

    Both are means of windows: a window's moments in a bucket are averaged first, for they share its outcome.
    """
    held: list[dict[str, list[tuple[float, float]]]] = [{} for _ in EDGES[1:]]
    for one in moments:
        if one.edge is not None:
            held[bisect_right(EDGES, one.edge[0]) - 1].setdefault(one.slug, []).append(one.edge)
    rows = []
    for place, windows in enumerate(held):
        if not windows:
            continue
        claimed, realised = (
            [sum(edge[side] for edge in told) / len(told) for told in windows.values()] for side in (0, 1)
        )
        mean, half = mean_and_half(realised)
        rows.append(
            {
                "from": _known(EDGES[place]),
                "to": _known(EDGES[place + 1]),
                "n": sum(map(len, windows.values())),
                "windows": len(windows),
                "claimed": sum(claimed) / len(claimed),
                "realised": mean,
                "low": _known(mean - half),
                "high": _known(mean + half),
            }
        )
    return rows


def heat(moments: Sequence[Moment]) -> list[dict[str, Any]]:
    """Return the better side's EV by seconds left and ``|z|``; each cell names its moments."""
    cells: dict[tuple[int, int], list[Moment]] = {}
    for one in moments:
        if one.edge is not None:
            place = (bisect_right(LEFT, one.seconds_left) - 1, bisect_right(Z, abs(one.z)) - 1)
            cells.setdefault((place[0], min(place[1], len(Z) - 2)), []).append(one)
    rows = []
    for (left, z), held in sorted(cells.items()):
        edges = [one.edge for one in held if one.edge is not None]
        rows.append(
            {
                "left_from": LEFT[left],
                "left_to": LEFT[left + 1],
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
    """Return what each gate's refusals would have come to, and what passed; dollars an order.

    A candidate counts for every gate that refused it; ``alone`` counts those that no other gate refused.
    """
    named: dict[str, list[tuple[float, bool]]] = {}
    for one in candidates:
        names = gates_in(one.gates) or ["trade"]
        for name in names:
            named.setdefault(name, []).append((one.profit, len(names) == 1))
    rows = []
    for name, held in named.items():
        mean, half = mean_and_half([profit for profit, _ in held])
        rows.append(
            {
                "gate": name,
                "n": len(held),
                "alone": sum(alone for _, alone in held),
                "total": sum(profit for profit, _ in held),
                "mean": mean,
                "low": mean - half if len(held) > 1 else None,
                "high": mean + half if len(held) > 1 else None,
            }
        )
    return sorted(rows, key=lambda row: -int(row["n"]))


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """Return a mean and half its 95 % interval (normal); infinite half of a single value."""
    told = np.array(values)
    if len(told) < 2:
        return float(told.mean()), math.inf
    return float(told.mean()), Z95 * float(told.std(ddof=1)) / math.sqrt(len(told))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
