"""A sweep: what is tried, how far it is, and what of it may be believed."""

from typing import Any, Final

import streamlit as st

from engine import desk
from engine.run.sweep import figures as sweep_figures
from engine.run.sweep import job as sweep_job
from engine.run.sweep import opening, words
from engine.run.sweep.figures import PARTS, PARTS_HELD_OUT, SHOWN
from engine.run.sweep.kernel import ASSUMPTIONS
from engine.run.sweep.opening import Ways
from pages import access
from pages.widgets import mode, plain, tables
from pages.widgets import sweep_findings as findings

LOOK_S: Final = 1.0
MOST: Final = 5_000
SIGNS: Final = {"running": "▶", "done": "✓", "partial": "◐", "cancelled": "✗", "failed": "✗"}


def form() -> None:
    """Ask what is to be tried."""
    counter = desk.current()
    if counter is None:
        st.error(mode.NO_ENGINE)
        return
    with st.form("sweep-form"):
        st.multiselect(
            "Sessions", sweep_job.sessions(counter.settings), key="sweep-sessions", max_selections=200,
            placeholder="none: the bundled practice windows", help="recorded sessions; none means the sample",
        )  # fmt: skip
        st.text_area(
            "Grid", tables.asked("grid") or sweep_job.GRID, key="sweep-grid", max_chars=MOST, height=110,
            help="JSON: a name and its values; docs/sweep.md lists the names",
        )  # fmt: skip
        st.text_input("What do you expect?", key="sweep-hypothesis", max_chars=300,
            help="written down before anything is tried", autocomplete="off")  # fmt: skip
        first = st.columns(3)
        first[0].selectbox("Search", ("grid", "tpe"), key="sweep-search",
            help="every combination, or Optuna's TPE between the least and the largest values")  # fmt: skip
        first[1].number_input("Trials of a search", 1, 10_000, 200, key="sweep-trials")
        first[2].number_input("Miss probability", 0.0, 1.0, 0.0, 0.05, key="sweep-misses",
            help="share of orders that find nothing although the book shows it")  # fmt: skip
        st.form_submit_button("Start the sweep", on_click=_start, disabled=access.locked())
    if problem := st.session_state.get("sweep-problem"):
        st.error(plain.marked_down(problem))


@access.needs_operator("to start a sweep")
def _start() -> None:
    counter, state = desk.current(), st.session_state
    if counter is None:
        return
    wish = sweep_job.Wish(
        tuple(state["sweep-sessions"]), state["sweep-grid"], state["sweep-hypothesis"],
        state["sweep-search"], int(state["sweep-trials"]),
        float(state["sweep-misses"]),
    )  # fmt: skip
    name, state["sweep-problem"] = sweep_job.try_start(counter.settings, wish)
    if name:
        state["sweep-name"] = name


@access.fragment(LOOK_S)
def running() -> None:
    """Show how far a sweep is, and let it be cancelled; run the page again once it has ended."""
    counter = desk.current()
    if counter is None:
        return
    job = next((one for one in sweep_job.jobs(counter.settings) if one.state == "running"), None)
    if job is None:
        if st.session_state.pop("sweep-ran", None):
            st.rerun()
        return
    st.session_state["sweep-ran"] = True
    left = "" if job.left_s is None else f", {job.left_s:.0f} s left"
    done = f"{job.done:,} of {job.total:,}{left} " if job.total else ""
    st.progress(job.share, f"{job.name}: {done}{plain.marked_down(job.text)}")
    cancel = access.needs_operator("to cancel a sweep")(sweep_job.cancel)
    asked = (counter.settings, job.name)
    st.button("Cancel the sweep", on_click=cancel, args=asked, disabled=access.locked())


def found() -> None:
    """Show what a sweep found."""
    counter = desk.current()
    if counter is None:
        return
    ended = {job.name: job for job in sweep_job.jobs(counter.settings) if job.state != "running"}
    if not ended:
        st.info("No sweep has been made here yet.")
        return
    name = st.selectbox(
        "Sweep", list(ended), key=_begun(list(ended)),
        format_func=lambda one: f"{SIGNS[ended[one].state]} {one} {ended[one].state}",
    )  # fmt: skip
    tables.keep(sweep=name)
    report = sweep_job.report(counter.settings, name)
    if report is None and ended[name].state == "cancelled":
        st.info("Cancelled, before there was anything to report.")
        return
    if report is None:
        st.error(f"It left no report: {plain.marked_down(ended[name].text)}")
        return
    ways = opening.ways(counter.settings, report["sessions"], report["plan"]["sources"])
    findings.verdict(report)
    findings.chosen(report, ways)
    _runs(name, report, ways)


def _begun(ended: list[str]) -> str:
    """Let a sweep that this session started be shown once it has ended; else what was chosen stays."""
    state = st.session_state
    if state.get("sweep-name") in ended:
        state["sweep-shown"] = state.pop("sweep-name")
    if state.get("sweep-shown") not in ended:
        state["sweep-shown"] = tables.asked("sweep", ended) or ended[0]
    return "sweep-shown"


def _runs(name: str, report: dict[str, Any], ways: Ways) -> None:
    st.subheader("All configurations", anchor=False)
    first = st.columns(3)
    part = first[0].selectbox("Windows", list(PARTS), format_func=PARTS.get, key="sweep-part")
    assumption = first[1].selectbox("Fills", ASSUMPTIONS, index=1, key="sweep-assumption")
    figure = first[2].selectbox("Figure", SHOWN, key="sweep-figure")
    rows = sweep_figures.table_of(report, part, assumption)
    swept = {one: tables.number(one, "as in the grid", "%g") for one in report["runs"][0]["parameters"]}
    columns = {"run": tables.count("run", "its number")} | swept | findings.columns()
    picked = tables.chosen(rows, columns, f"sweep-runs-{name}")
    if part in PARTS_HELD_OUT:
        st.caption(words.CHOOSING_HERE)
    if picked is None:
        st.caption("Choose a row, at its left edge, to open the trades of that run.")
    else:
        findings.run_opened(name, report, picked["run"], ways)
    tables.export(lambda: rows, "sweep", "Make CSV of these", of=(name, part, assumption))
    _charts(report, rows, figure)


def _charts(report: dict[str, Any], rows: list[dict[str, Any]], figure: str) -> None:
    names = sweep_figures.swept(report)
    if not names:
        st.caption("No chart: no parameter has more than one value.")
        return
    if len(names) == 1:
        st.plotly_chart(sweep_figures.line_figure(rows, names[0], figure), key="sweep-line")
        st.caption("One parameter has several values: a heat map asks for two.")
        return
    second = st.columns(2)
    x = second[0].selectbox("Across", names, key="sweep-x")
    y = second[1].selectbox("Up", [name for name in names if name != x], key="sweep-y")
    st.plotly_chart(sweep_figures.heat_figure(rows, x, y, figure), key="sweep-heat")
    st.plotly_chart(sweep_figures.parallel_figure(rows, names, figure), key="sweep-parallel")
