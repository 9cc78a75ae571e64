"""A calibration report: how it is made, and what it shows."""

from pathlib import Path
from typing import Any, Final

import streamlit as st

from engine import desk
from engine.run.calibration import figures
from engine.run.calibration import words as said
from engine.run.sweep import job as sweep_job
from engine.run.sweep import opening
from pages import access
from pages.widgets import mode, plain, tables
from pages.widgets.sweep_findings import link

LOOK_S: Final = 1.0
OLD_REPORT: Final = (
    "The report here was made by an earlier version, which took the ask of Up for the market's forecast. "
    "Make it anew."
)


def form() -> None:
    """Ask over which sessions."""
    counter = desk.current()
    if counter is None:
        st.error(mode.NO_ENGINE)
        return
    with st.form("calibration-form"):
        st.multiselect(
            "Sessions", sweep_job.sessions(counter.settings), key="calibration-sessions", max_selections=200,
            placeholder="none: the bundled practice windows", help="recorded sessions; none means the sample",
        )  # fmt: skip
        st.form_submit_button("Make the report", on_click=_start, disabled=access.locked())
    if problem := st.session_state.get("calibration-problem"):
        st.error(plain.marked_down(problem))


@access.needs_operator("to make a calibration report")
def _start() -> None:
    counter = desk.current()
    if counter is None:
        return
    chosen = st.session_state["calibration-sessions"]
    st.session_state["calibration-problem"] = sweep_job.try_calibration(counter.settings, chosen)


@access.fragment(LOOK_S)
def progress() -> None:
    """Say that a report is being made; run the page again once it is there."""
    counter = desk.current()
    if counter is None:
        return
    if sweep_job.calibration_runs(counter.settings):
        st.session_state["calibration-ran"] = True
        st.info("The report is being made: a minute for some hundred windows.")
    elif st.session_state.pop("calibration-ran", None):
        st.rerun()


def shown() -> None:
    """Show the newest report."""
    counter = desk.current()
    if counter is None:
        return
    report, problem = sweep_job.calibration(counter.settings)
    if problem:
        st.error(f"The last report failed: {plain.marked_down(problem)}")
    if report is None:
        if not sweep_job.calibration_runs(counter.settings):  # else that is said above
            st.info("No report has been made here yet.")
        return
    if "asks" not in report:
        st.warning(OLD_REPORT)
        return
    st.markdown(f"**Verdict: {plain.marked_down(report['verdict'])}**")
    sources = ", ".join(plain.marked_down(Path(source).name) for source in report["sources"][:3])
    st.caption(f"{report['windows']:,} windows, {report['moments']:,} moments of {sources}.")
    st.caption(f"{plain.marked_down(said.asks_words(report['asks']))}.")
    for told in report["data"].get("sources_left_out", ()):
        st.warning(f"Left out: {plain.marked_down(told)}")
    if report["layer_problem"]:
        st.warning(f"Layer: {plain.marked_down(report['layer_problem'])}.")
    if report["layer"]:
        st.warning(f"Layer: {plain.marked_down(said.layer_words(report['layer']))}.")
    if report.get("decides_with"):
        st.info(
            f"The engine decides with {plain.marked_down(report['decides_with'])}; scored is the raw p_hat."
        )
    tables.shown(report["scores"], _score_columns(), "calibration-scores")
    _layer(report)
    _charts(report)
    _cell(report)
    tables.file(lambda: sweep_job.calibration_html(counter.settings), "calibration.html",
        "Make one HTML file")  # fmt: skip


def _layer(report: dict[str, Any]) -> None:
    """Show the later windows without the layer and with it."""
    if report["layer"]:
        st.markdown("**Later windows without the layer**")
        tables.shown(report["layer"]["raw"], _score_columns(), "calibration-raw")
        st.markdown("**The same windows with the layer**")
        tables.shown(report["layer"]["layered"], _score_columns(), "calibration-layered")


def _charts(report: dict[str, Any]) -> None:
    pairs = sorted({(row["horizon"], row["tau"]) for row in report["reliability"]})
    if not pairs:
        st.info("No moment could be scored: no window had a proven strike, a fresh price and a deviation.")
        return
    pair = st.selectbox(
        "Reliability", pairs, key="calibration-pair", format_func=lambda one: f"{one[0]}, {one[1]} s before"
    )
    st.plotly_chart(figures.reliability_figure(report, *pair), key="calibration-reliability")
    rows = [row for row in report["reliability"] if (row["horizon"], row["tau"]) == pair]
    tables.shown(rows, _bin_columns(), "calibration-bins")
    st.plotly_chart(figures.scores_figure(report, pair[0]), key="calibration-log-loss")
    st.plotly_chart(figures.edge_figure(report), key="calibration-edge")
    tables.shown(said.edge_rows(report), _edge_columns(), "calibration-edges")
    for name in ("claimed", "realised"):
        st.plotly_chart(figures.heat_figure(report, name), key=f"calibration-{name}")
    st.plotly_chart(figures.gates_figure(report), key="calibration-gates")
    tables.shown(said.gate_rows(report), _gate_columns(), "calibration-gate-rows")


def _cell(report: dict[str, Any]) -> None:
    """Open a cell of the heat map: its moments, each a link to its second."""
    counter = desk.current()
    cells = {figures.cell_words(cell): cell for cell in report["heat"]}
    if not cells or counter is None:
        return
    name = st.selectbox("Open a cell of the heat map", list(cells), key="calibration-cell")
    ways = opening.ways(counter.settings, report["sessions"], report["sources"])
    if ways.why_not:
        st.caption(plain.marked_down(ways.why_not))
    rows = [{"slug": slug, "at_ms": at_ms, "replay": link(ways, slug, at_ms)}
            for slug, at_ms in cells[name]["moments"]]  # fmt: skip
    columns = {
        "at_ms": tables.time("moment"),
        "slug": tables.text("contract"),
        "replay": st.column_config.LinkColumn("replay", display_text="open", help="that second, replayed"),
    }
    tables.shown(rows, columns, "calibration-moments")


def _score_columns() -> dict[str, Any]:
    return {
        "horizon": tables.text("window"),
        "tau": tables.count("seconds before", "seconds before the end"),
        "n": tables.count("windows", "with a forecast"),
        "n_both_asks": tables.count(
            "both asks", "of these, with an ask of Up and of Down: both are scored on these"
        ),
        "brier": tables.number("Brier p_hat", "lower is better", "%.4f"),
        "brier_middle": tables.number("Brier middle", "of (ask of Up + 1 - ask of Down) / 2", "%.4f"),
        "log_loss": tables.number("log-loss p_hat", "lower is better", "%.4f"),
        "log_loss_middle": tables.number("log-loss middle", "the same of the middle of both asks", "%.4f"),
    }


def _edge_columns() -> dict[str, Any]:
    return {
        "claimed edge": tables.text("claimed edge", "EV of the better side after fee, USD a share"),
        "moments": tables.text("moments"),
        "windows": tables.text("windows", "each counts as one bet"),
        "claimed": tables.text("claimed", "mean of windows, USD a share"),
        "realised": tables.text("realised", "mean of windows, USD a share"),
        "95 % interval": tables.text("95 % interval", "of realised; exact, of windows"),
    }


def _gate_columns() -> dict[str, Any]:
    return {
        "gate": tables.text("gate"),
        "windows": tables.text("windows", "whose first candidate it refused"),
        "alone": tables.text("alone", "of these, refused by no other gate"),
        "all orders": tables.text("all orders", "what they would have come to, USD"),
        "a share": tables.text("a share", "mean of windows, USD"),
        "95 % interval": tables.text("95 % interval", "of a share's mean; exact, of windows"),
    }


def _bin_columns() -> dict[str, Any]:
    return {
        "forecast": tables.text("forecast"),
        "from": tables.number("from", "probability of Up", "%.2f"),
        "to": tables.number("to", "probability of Up", "%.2f"),
        "n": tables.count("windows", "in this bin"),
        "said": tables.number("mean forecast", "probability of Up", "%.4f"),
        "came": tables.number("settled Up", "share of these windows", "%.4f"),
        "low": tables.number("low", "Wilson, 95 %", "%.4f"),
        "high": tables.number("high", "Wilson, 95 %", "%.4f"),
    }
