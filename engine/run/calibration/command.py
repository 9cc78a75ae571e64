"""``python -m engine calibration``: a calibration report as JSON, as one HTML file, and a layer fitted on it.

The HTML file holds Plotly itself and needs no network. What it does not know: how figures are made.
"""

import argparse
import html
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.config import Settings, load_settings
from engine.errors import EngineError, SettingsError
from engine.layer import Kept
from engine.nouns import counted
from engine.private_files import FILE_MODE, make_folder
from engine.run.calibration import layer as layering
from engine.run.calibration.figures import cell_words, figures_of
from engine.run.calibration.moments import TAUS, Moment, hammer_taus, moments_of
from engine.run.calibration.report import report_of, scores
from engine.run.calibration.words import aligned, asks_words, edge_rows, gate_rows, layer_words, score_rows
from engine.run.giving_way import give_way
from engine.run.options import OneLine, add_output_prefix, add_recorded
from engine.run.sweep import inputs as sweep_input
from engine.run.sweep import report as sweep_report
from engine.run.sweep.grid import SweepError
from engine.run.sweep.honesty import split_in_time
from engine.run.sweep.trace import Trace
from engine.run.table_text import typed

PREFIX: Final = Path("reports/calibration/report")
EDGE_TITLE: Final = "Edge, USD a share after fee"
GATES_TITLE: Final = "What refused candidates would have come to, USD"
EXAMPLES: Final = """examples:
  python -m engine calibration --replay-csv data/replay.csv --markets-json data/markets.json
  python -m engine calibration --sessions '2026*' --fit temperature"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a report; return the exit status: 0 done, 1 failed or no layer as asked, 2 wrong use."""
    options = parser().parse_args(arguments)
    if options.nice:
        give_way()
    try:
        settings = load_settings()
        check(options, settings)
        report = write_report(options, settings)
    except (SweepError, SettingsError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except (EngineError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    if options.json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        sys.stdout.write(render(report) + "\n")
    if report["layer_problem"]:
        sys.stderr.write(f"error: {report['layer_problem']}\n")
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = OneLine(
        prog="python -m engine calibration",
        description="Score p_hat and the middle of the market's asks on recorded windows.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EXAMPLES,
    )
    add = made.add_argument
    add_recorded(made)
    add_output_prefix(made, PREFIX, "PATH.json and PATH.html")
    add(
        "--fit",
        choices=("temperature", "isotonic"),
        help="fit a layer on the earlier windows and keep it; none by default",
    )
    add(
        "--layer",
        type=int,
        metavar="N",
        help="show what kept layer N makes of the windows after its fit; none by default",
    )
    add("--nice", action="store_true", help="give way to everything else on this machine")
    add("--json", action="store_true", help="print one JSON object instead of words")
    return made


def check(options: argparse.Namespace, settings: Settings) -> None:
    """Refuse, before the work, what could not be done after it.

    Raises:
        SweepError: Two wishes that exclude each other, no such layer, or nowhere to write.
    """
    if options.fit and options.layer is not None:
        raise SweepError("--fit makes a new layer and --layer shows a kept one: give one of them")
    if options.layer is not None:
        _kept(options.layer, settings)
    beside = options.output_prefix.with_name(f".{options.output_prefix.name}.try")
    try:
        make_folder(beside.parent)
        beside.touch(mode=FILE_MODE)
        beside.unlink()
    except OSError as error:
        raise SweepError(
            f"--output-prefix {options.output_prefix} cannot be written: {error.strerror}"
        ) from None


def write_report(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """Make a report and write its files.

    A layer that cannot be fitted, or judged, takes nothing from the report: ``layer_problem`` says why.

    Raises:
        EngineError: The data cannot be read.
    """
    sources = sweep_input.sources_of(options.replay_csv, options.markets_json, options.sessions)
    usable = sweep_input.read(sources, settings.params())
    report: dict[str, Any] = {"sources": [str(source.path) for source in sources], "data": usable.facts}
    report |= report_of(usable.trace, settings.params())
    report["sessions"] = usable.sessions
    report |= layered(options, settings, usable.trace)
    deciding = settings.layer()
    report["decides_with"] = None if deciding is None else deciding.words
    prefix: Path = options.output_prefix
    sweep_report.write(prefix.with_name(f"{prefix.name}.json"), sweep_report.as_json(report))
    page = prefix.with_name(f"{prefix.name}.html")
    sweep_report.write(page, html_of(report).encode())
    return report | {"html": str(page)}


def layered(options: argparse.Namespace, settings: Settings, trace: Trace) -> dict[str, Any]:
    """Return ``layer``, what one does to the later windows, and ``layer_problem``, why there is none."""
    told: dict[str, Any] = {"layer": None, "layer_problem": ""}
    try:
        told["layer"] = layer_of(options, settings, trace)
    except (layering.LayerError, OSError) as error:
        told["layer_problem"] = str(error)
    return told


def layer_of(options: argparse.Namespace, settings: Settings, trace: Trace) -> dict[str, Any] | None:
    """Fit a layer on the earlier windows, or take one up; return what it does to the later ones.

    It is scored at the times before the end that it was fitted for, where its file tells them.

    Raises:
        LayerError: No layer was fitted, or it cannot be judged on these windows.
    """
    params = settings.params()
    if options.fit:
        before, after = parted(moments_of(trace, params, hammer_taus(params.hammer_s)), trace)
        known = layering.layers(settings.data_dir)
        try:
            number = 1 + max((one.version for one in known), default=0)
            layer = layering.fit(before, options.fit, number, params.hammer_s)
        except layering.LayerError as error:
            raise layering.LayerError(f"no layer was fitted: {error}") from None
        layering.keep(layer, settings.data_dir)
    elif options.layer is not None:
        layer = _kept(options.layer, settings)
        after = moments_of(trace, params, layer.taus or TAUS)
    else:
        return None
    later = [one for one in after if one.at_ms > layer.fitted_until_ms]
    return {
        "words": layer.words,
        "decides": settings.layer() == _deciding(layer),
        "hammer_s": layer.hammer_s,
        "hammer_s_now": params.hammer_s,
        "raw": scores(later),
        "layered": scores(layering.applied(after, layer)),
    }


def _deciding(layer: layering.Layer) -> Kept:
    """Return what the setting would read of a layer's file."""
    return Kept(layer.version, layer.kind, layer.fitted_until_ms, layer.windows, layer.temperature)


def _kept(version: int, settings: Settings) -> layering.Layer:
    found = [one for one in layering.layers(settings.data_dir) if one.version == version]
    if not found:
        raise SweepError(f"there is no calibration layer {version} in {settings.data_dir}")
    return found[0]


def parted(moments: Sequence[Moment], trace: Trace) -> tuple[list[Moment], list[Moment]]:
    """Part moments by time: those of the windows to choose on, and those of the ones held out.

    Windows that share prices with those to choose on are in neither (``split_in_time``).
    """
    parts = split_in_time(trace.windows)
    chosen_on, held_out = (
        {trace.windows[place].slug for place in places} for places in (parts.chosen_on, parts.held_out)
    )
    return [one for one in moments if one.slug in chosen_on], [one for one in moments if one.slug in held_out]


def html_of(report: dict[str, Any]) -> str:
    """Write a report as one page that needs nothing else."""
    charts = []
    for number, figure in enumerate(figures_of(report)):
        told = msgspec.json.encode([figure["data"], figure["layout"]]).decode().replace("</", "<\\/")
        charts.append(
            f'<div id="c{number}"></div><script>Plotly.newPlot("c{number}", ...{told}, '
            '{"responsive": true, "displaylogo": false})</script>'
        )
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Calibration</title>',
            "<style>body{font-family:sans-serif;max-width:70rem;margin:1rem auto;padding:0 1rem}"
            "td,th{padding:.2rem .6rem;text-align:right}</style>",
            f"<script>{plotly_js()}</script></head><body><h1>Calibration</h1>",
            *(f"<p>{html.escape(line)}</p>" for line in words(report)),
            *(f"<h2>{html.escape(title)}</h2>{table(rows)}" for title, rows in tables(report)),
            *charts,
            *cells(report),
            "</body></html>",
        ]
    )


def tables(report: dict[str, Any]) -> list[tuple[str, Sequence[dict[str, Any]]]]:
    """Return the tables of a report with their titles, in order; of a layer one without and one with it."""
    layer = report.get("layer")
    both = "where both asks exist"
    told = [(f"p_hat and the middle of the market's asks, {both}", report["scores"])]
    if layer:
        told.append((f"Later windows without the layer, {both}", layer["raw"]))
        told.append((f"The same windows with the layer, {both}", layer["layered"]))
    return [*told, (EDGE_TITLE, edge_rows(report)), (GATES_TITLE, gate_rows(report))]


def cells(report: dict[str, Any]) -> list[str]:
    """Write the heat map's cells, each to be opened: its moments, with the session that holds them."""
    told, known = [], report.get("sessions", {})
    for cell in report["heat"]:
        rows = [
            {"contract": slug, "time (UTC)": typed(at_ms), "session": known.get(slug) or "no session"}
            for slug, at_ms in cell["moments"]
        ]  # fmt: skip
        told.append(f"<details><summary>{html.escape(cell_words(cell))}</summary>{table(rows)}</details>")
    return ["<h2>Moments of the heat map's cells</h2>", *told] if told else []


def plotly_js() -> str:
    """Return Plotly's own script, as the installed package brings it; the package itself is not imported."""
    found = importlib.util.find_spec("plotly")
    if found is None or found.origin is None:
        raise EngineError("plotly is not installed: the report cannot be drawn")
    return (Path(found.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def words(report: dict[str, Any]) -> list[str]:
    """Say what a reader has to know first."""
    data = report["data"]
    size = f"{counted(report['windows'], 'window')}, {counted(report['moments'], 'moment')}"
    lines = [
        f"{size}; verdict: {report['verdict']}.",
        f"{asks_words(report['asks'])}.",
        f"Left out: {counted(data['windows_without_outcome'], 'window')} without an outcome, "
        f"{counted(data['rows_refused'], 'row')}.",
        "Practice and paper data prove nothing of the real market. Formulas: docs/calibration.md.",
    ]
    lines += [f"Left out: {told}." for told in data.get("sources_left_out", ())]
    if report.get("layer_problem"):
        lines.append(f"Layer: {report['layer_problem']}.")
    if report.get("layer"):
        lines.append(f"Layer: {layer_words(report['layer'])}.")
    if report.get("decides_with"):
        lines.append(f"The engine decides with {report['decides_with']}; scores are of the raw forecast.")
    return lines


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Write scores as a table of the page."""
    names = list(rows[0]) if rows else []
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(row[name])}</td>" for name in names) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def render(report: dict[str, Any]) -> str:
    """Write a report in lines for people."""
    lines = words(report)
    for title, rows in tables(report):
        shown = rows if title in (EDGE_TITLE, GATES_TITLE) else score_rows(rows)
        lines += ["", title, *(aligned(shown) or ["nothing to show"])]
    return "\n".join([*lines, "", f"file: {report['html']}"])


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else html.escape(str(value))
