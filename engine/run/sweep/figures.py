"""Charts of a sweep, as plain Plotly descriptions. What it does not know: Plotly itself, pages."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any, Final

from engine.run.calibration.figures import HEAT, OURS, Figure

BANDS: Final = ("#c2571a", "#d9925f", "#8d99a6", "#6f9fd0", "#2a78d6")
"""Fifths of the configurations, from the lowest figure to the highest."""
PARTS: Final = {"chosen_on": "windows to choose on", "held_out": "held-out windows", "all": "all windows"}
PARTS_HELD_OUT: Final = ("held_out", "all")
"""Those with windows in them that nothing may be chosen on."""

OF_ALL: Final = ("total_pnl",)
"""Figures that are 0 where nothing was traded: not trading earns nothing."""

SHOWN: Final = ("total_pnl", "trades", "win_rate", "ev_error", "drawdown", "fill_rate", "trade_frequency")


def table_of(report: Mapping[str, Any], part: str, assumption: str) -> list[dict[str, Any]]:
    """Return a row for each configuration, for a table that can be sorted."""
    return [
        {"run": run["run"], **run["parameters"], **run["figures"][assumption][part]} for run in report["runs"]
    ]


def swept(report: Mapping[str, Any]) -> list[str]:
    """Return the names that have more than one value."""
    runs = report["runs"]
    names = list(runs[0]["parameters"]) if runs else []
    return [name for name in names if len({run["parameters"][name] for run in runs}) > 1]


def heat_figure(rows: Sequence[Mapping[str, Any]], x: str, y: str, figure: str) -> Figure:
    """Draw a figure over two parameters; each cell is the mean over all values of the others.

    Dollars of a configuration that did not trade are 0 in it, else the few that did would stand for all;
    other figures are of those that have one, and the cell says of how many. Empty where none traded.
    """
    across = sorted({row[x] for row in rows})
    up = sorted({row[y] for row in rows})
    held: dict[tuple[float, float], list[float | None]] = {}
    for row in rows:
        held.setdefault((row[x], row[y]), []).append(row[figure])
    table = [[_mean(held.get((a, b), ()), figure) for a in across] for b in up]
    counts = [[_of_how_many(held.get((a, b), ()), figure) for a in across] for b in up]
    trace: Figure = {
        "type": "heatmap",
        "x": [f"{value:g}" for value in across],
        "y": [f"{value:g}" for value in up],
        "z": table,
        "text": counts,
        "colorscale": HEAT,
        "hovertemplate": x + " %{x}, " + y + " %{y}: %{z:.4f}, %{text}<extra></extra>",
    }
    if figure in ("total_pnl", "ev_error"):
        trace["zmid"] = 0.0
    return {
        "data": [trace],
        "layout": {
            "xaxis": {"title": {"text": x}, "type": "category"},
            "yaxis": {"title": {"text": y}, "type": "category"},
            "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
            "height": 420,
        },
    }


def _mean(told: Sequence[float | None], figure: str) -> float | None:
    known = [value for value in told if value is not None]
    if not known:
        return None
    return sum(known) / len(told) if figure in OF_ALL else mean(known)


def _of_how_many(told: Sequence[float | None], figure: str) -> str:
    known = sum(value is not None for value in told)
    if figure in OF_ALL:
        return f"mean of all {len(told)}, of which {known} traded"
    return f"mean of the {known} of {len(told)} that have it"


def line_figure(rows: Sequence[Mapping[str, Any]], name: str, figure: str) -> Figure:
    """Draw a figure over the one parameter that has several values; a value that did not trade is a gap."""
    told = sorted(((row[name], row[figure]) for row in rows), key=lambda pair: pair[0])
    trace: Figure = {
        "type": "scatter",
        "mode": "lines+markers",
        "line": {"color": OURS},
        "x": [value for value, _ in told],
        "y": [came for _, came in told],
        "hovertemplate": name + " %{x}: %{y:.4f}<extra></extra>",
    }
    return {
        "data": [trace],
        "layout": {
            "xaxis": {"title": {"text": name}},
            "yaxis": {"title": {"text": figure}},
            "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
            "height": 420,
        },
    }


def parallel_figure(rows: Sequence[Mapping[str, Any]], names: Sequence[str], figure: str) -> Figure:
    """Draw every configuration that traded as a line through its parameters, coloured by a figure.

    Plain lines: Plotly's own chart of this kind needs WebGL, which not every browser has.
    """
    known = sorted((row for row in rows if row[figure] is not None), key=lambda row: row[figure])
    axes = (*names, figure)
    ends = [(min(row[axis] for row in known), max(row[axis] for row in known)) for axis in axes if known]
    traces = []
    for band, color in enumerate(BANDS):
        of_it = known[len(known) * band // len(BANDS) : len(known) * (band + 1) // len(BANDS)]
        if of_it:
            traces.append(_lines(of_it, axes, ends, color))
    marks = [
        {"x": at, "y": y, "text": f"{end:g}", "showarrow": False}
        for at, pair in enumerate(ends)
        for end, y in zip(pair, (-0.06, 1.06), strict=True)
    ]
    ticks = {"tickvals": list(range(len(axes))), "ticktext": list(axes)}
    layout = {
        "xaxis": ticks | {"range": [-0.3, len(axes) - 0.7], "zeroline": False},
        "yaxis": {"visible": False, "range": [-0.12, 1.12]},
        "annotations": marks,
        "legend": {"title": {"text": figure}},
        "margin": {"l": 20, "r": 30, "t": 20, "b": 40},
        "height": 420,
    }
    return {"data": traces, "layout": layout}


def _lines(
    rows: Sequence[Mapping[str, Any]], axes: Sequence[str], ends: Sequence[tuple[float, float]], color: str
) -> Figure:
    """Draw some configurations as one trace, with a gap after each."""
    x: list[int | None] = []
    y: list[float | None] = []
    told: list[str] = []
    for row in rows:
        x += [*range(len(axes)), None]
        y += [_share(row[axis], pair) for axis, pair in zip(axes, ends, strict=True)] + [None]
        told += [f"run {row['run']}: {row[axes[-1]]:g}"] * (len(axes) + 1)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{rows[0][axes[-1]]:.4g} to {rows[-1][axes[-1]]:.4g}",
        "line": {"color": color, "width": 1},
        "x": x,
        "y": y,
        "text": told,
        "hovertemplate": "%{text}<extra></extra>",
    }


def _share(value: float, ends: tuple[float, float]) -> float:
    """Place a value between the least (0) and the largest (1) of its axis."""
    low, high = ends
    return (value - low) / (high - low) if high > low else 0.5
