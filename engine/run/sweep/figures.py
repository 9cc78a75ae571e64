"""Charts of a sweep, as plain Plotly descriptions. What it does not know: Plotly itself, pages."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any, Final

from engine.run.calibration.figures import HEAT, OURS, Figure

PARTS: Final = {"chosen_on": "windows to choose on", "held_out": "held-out windows", "all": "all windows"}
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
    """Draw a figure over two parameters; each cell is the mean over all values of the others."""
    across = sorted({row[x] for row in rows})
    up = sorted({row[y] for row in rows})
    held: dict[tuple[float, float], list[float]] = {}
    for row in rows:
        if row[figure] is not None:
            held.setdefault((row[x], row[y]), []).append(row[figure])
    table = [[mean(held[a, b]) if (a, b) in held else None for a in across] for b in up]
    counts = [[str(len(held.get((a, b), ()))) for a in across] for b in up]
    trace: Figure = {
        "type": "heatmap",
        "x": [f"{value:g}" for value in across],
        "y": [f"{value:g}" for value in up],
        "z": table,
        "text": counts,
        "colorscale": HEAT,
        "hovertemplate": x + " %{x}, " + y + " %{y}: %{z:.4f}, mean of %{text}<extra></extra>",
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
    """Draw every configuration that traded as a line through its parameters, coloured by a figure."""
    known = [row for row in rows if row[figure] is not None]
    axes = [{"label": name, "values": [row[name] for row in known]} for name in (*names, figure)]
    trace = {
        "type": "parcoords",
        "line": {"color": [row[figure] for row in known], "colorscale": HEAT, "showscale": True},
        "dimensions": axes,
    }
    return {"data": [trace], "layout": {"margin": {"l": 70, "r": 30, "t": 50, "b": 30}, "height": 420}}
