"""A calibration report: how it is made, and what it shows."""

from pathlib import Path
from typing import Any, Final

import streamlit as st

from engine import desk
from engine.run.calibration import figures
from engine.run.sweep import job as sweep_job
from engine.run.sweep import opening
from pages import access
from pages.widgets import mode, plain, tables
from pages.widgets.sweep_findings import link

LOOK_S: Final = 1.0


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
    st.markdown(f"**Verdict: {plain.marked_down(report['verdict'])}**")
    sources = ", ".join(plain.marked_down(Path(source).name) for source in report["sources"][:3])
    st.caption(f"{report['windows']:,} windows, {report['moments']:,} moments of {sources}.")
    for told in report["data"].get("sources_left_out", ()):
        st.warning(f"Left out: {plain.marked_down(told)}")
    if report["layer"]:
        st.warning(
            f"Layer on: {plain.marked_down(report['layer']['words'])}. It is shown, and trades nothing."
        )
    if report.get("decides_with"):
        st.info(
            f"The engine decides with {plain.marked_down(report['decides_with'])}; scored is the raw p_hat."
        )
    tables.shown(report["scores"], _score_columns(), "calibration-scores")
    _charts(report)
    _cell(report)
    tables.file(lambda: sweep_job.calibration_html(counter.settings), "calibration.html",
        "Make one HTML file")  # fmt: skip


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
    for name in ("claimed", "realised"):
        st.plotly_chart(figures.heat_figure(report, name), key=f"calibration-{name}")
    st.plotly_chart(figures.gates_figure(report), key="calibration-gates")


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
        "n_with_ask": tables.count("with ask", "of these, with an ask of Up: both are scored on these"),
        "brier": tables.number("Brier p_hat", "lower is better", "%.4f"),
        "brier_ask": tables.number("Brier ask", "the ask of Up taken as a forecast", "%.4f"),
        "log_loss": tables.number("log-loss p_hat", "lower is better", "%.4f"),
        "log_loss_ask": tables.number("log-loss ask", "the same of the ask", "%.4f"),
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
