"""A report's charts, as plain Plotly descriptions: the console draws them, and so does the HTML file.

One description for both, so that they cannot differ. What it does not know: Plotly itself, pages, files.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.run.calibration.words import interval_words

Figure = dict[str, Any]

OURS: Final = "#2a78d6"
THEIRS: Final = "#c2571a"
GREY: Final = "#8a8a8a"
HEAT: Final = [[0.0, "#c2571a"], [0.5, "#f4f4f4"], [1.0, "#2a78d6"]]


def reliability_figure(report: Mapping[str, Any], horizon: str, tau: int) -> Figure:
    """Draw what was said against what came, with Wilson bands; the middle of both asks as second curve."""
    traces: list[Figure] = [
        {
            "type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "name": "perfect",
            "line": {"color": GREY, "dash": "dot"}, "hoverinfo": "skip",
        }
    ]  # fmt: skip
    for name, color in (("p_hat", OURS), ("middle", THEIRS)):
        rows = [
            row
            for row in report["reliability"]
            if (row["forecast"], row["horizon"], row["tau"]) == (name, horizon, tau)
        ]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": [row["said"] for row in rows],
                "y": [row["came"] for row in rows],
                "line": {"color": color},
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [row["high"] - row["came"] for row in rows],
                    "arrayminus": [row["came"] - row["low"] for row in rows],
                },
                "customdata": [row["n"] for row in rows],
                "hovertemplate": "forecast %{x:.3f}, settled Up %{y:.3f}, %{customdata} windows<extra>"
                + name
                + "</extra>",
            }
        )
    title = f"{horizon}, {tau} s before the end: p_hat, and the middle where both asks exist"
    return _figure(traces, title, "mean forecast of Up", "share that settled Up (95 % Wilson band)")


def scores_figure(report: Mapping[str, Any], horizon: str) -> Figure:
    """Draw the log-loss of ``p_hat`` and of the middle of both asks by seconds before the end."""
    rows = [row for row in report["scores"] if row["horizon"] == horizon and row["n_both_asks"]]
    traces = [
        {
            "type": "scatter", "mode": "lines+markers", "name": label, "line": {"color": color},
            "x": [row["tau"] for row in rows], "y": [row[name] for row in rows],
            "customdata": [row["n_both_asks"] for row in rows],
            "hovertemplate": "%{x} s: %{y:.4f}, n %{customdata}<extra>" + label + "</extra>",
        }
        for name, label, color in (("log_loss", "p_hat", OURS), ("log_loss_middle", "middle", THEIRS))
    ]  # fmt: skip
    title = f"{horizon}: log-loss where both asks exist, lower is better"
    return _figure(traces, title, "seconds before the end", "log-loss")


def edge_figure(report: Mapping[str, Any]) -> Figure:
    """Draw realised against claimed edge."""
    rows = report["edge_decay"]
    line = [row["claimed"] for row in rows]
    above = [0.0 if row["high"] is None else row["high"] - row["realised"] for row in rows]
    below = [0.0 if row["low"] is None else row["realised"] - row["low"] for row in rows]
    traces: list[Figure] = [
        {"type": "scatter", "mode": "lines", "x": line, "y": line, "name": "as claimed",
         "line": {"color": GREY, "dash": "dot"}, "hoverinfo": "skip"},
        {"type": "scatter", "mode": "lines+markers", "name": "realised", "line": {"color": OURS},
         "x": line, "y": [row["realised"] for row in rows],
         "error_y": {"type": "data", "symmetric": False, "array": above, "arrayminus": below},
         "customdata": [[row["n"], row["windows"], interval_words(row)] for row in rows],
         "hovertemplate": "claimed %{x:.4f}, realised %{y:.4f} (95 %: %{customdata[2]}), "
                          "%{customdata[0]} moments of %{customdata[1]} windows<extra></extra>"},
    ]  # fmt: skip
    title = "Edge: realised against claimed, exact 95 % intervals of windows"
    return _figure(traces, title, "claimed, USD a share", "realised, USD a share")


def heat_figure(report: Mapping[str, Any], name: str) -> Figure:
    """Draw ``claimed`` or ``realised`` EV by seconds before the end and |z|; a cell's text is its count."""
    rows = report["heat"]
    across = sorted({row["tau"] for row in rows}, reverse=True)
    up = sorted({(row["z_from"], row["z_to"] or float("inf")) for row in rows})
    cell = {(row["tau"], (row["z_from"], row["z_to"] or float("inf"))): row for row in rows}
    table = [[cell.get((tau, z)) for tau in across] for z in up]
    trace = {
        "type": "heatmap",
        "x": [f"{tau} s" for tau in across],
        "y": [f"{a:g}-{b:g}" if b < float("inf") else f"over {a:g}" for a, b in up],
        "z": [[None if one is None else one[name] for one in line] for line in table],
        "text": [["" if one is None else str(one["n"]) for one in line] for line in table],
        "texttemplate": "n %{text}",
        "colorscale": HEAT,
        "zmid": 0.0,
        "hovertemplate": "%{x} before the end, |z| %{y}: %{z:.4f} USD a share, n %{text}<extra></extra>",
    }
    return _figure([trace], f"EV {name}, the better side", "seconds before the end", "|z|")


def cell_words(cell: Mapping[str, Any]) -> str:
    """Name a cell of the heat map, and say how many of its moments are listed where not all are."""
    above = "over " if cell["z_to"] is None else ""
    z = f"{above}{cell['z_from']:g}" + ("" if cell["z_to"] is None else f"-{cell['z_to']:g}")
    listed, count = len(cell["moments"]), cell["n"]
    moments = f"{count:,} moments" if listed == count else f"the first {listed:,} of {count:,} moments"
    return f"{cell['tau']} s before the end, |z| {z}: {moments}"


def gates_figure(report: Mapping[str, Any]) -> Figure:
    """Draw what each gate's refusals would have come to."""
    rows: Sequence[Mapping[str, Any]] = report["gates"]
    trace = {
        "type": "bar", "orientation": "h", "marker": {"color": OURS},
        "x": [row["total"] for row in rows], "y": [f"{row['gate']} (n {row['n']})" for row in rows],
        "customdata": [[row["mean"], interval_words(row)] for row in rows],
        "hovertemplate": "%{y}: %{x:+.2f} USD; a share %{customdata[0]:+.4f} (95 %: %{customdata[1]})"
                         "<extra></extra>",
    }  # fmt: skip
    return _figure([trace], "What refused candidates would have come to", "USD in all", "")


def figures_of(report: Mapping[str, Any]) -> list[Figure]:
    """Return every chart of a report, in order."""
    pairs = sorted({(row["horizon"], row["tau"]) for row in report["reliability"]})
    horizons = sorted({horizon for horizon, _ in pairs})
    return [
        *(reliability_figure(report, horizon, tau) for horizon, tau in pairs),
        *(scores_figure(report, horizon) for horizon in horizons),
        edge_figure(report),
        heat_figure(report, "claimed"),
        heat_figure(report, "realised"),
        gates_figure(report),
    ]


def _figure(traces: Sequence[Figure], title: str, x: str, y: str) -> Figure:
    return {
        "data": list(traces),
        "layout": {
            "title": {"text": title},
            "xaxis": {"title": {"text": x}},
            "yaxis": {"title": {"text": y}, "automargin": True},
            "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
            "height": 420,
        },
    }
