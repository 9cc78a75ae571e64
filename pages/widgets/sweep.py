"""A sweep: what is tried, how far it is, and what of it may be believed."""

from typing import Any, Final

import streamlit as st

from engine import desk
from engine.run.sweep import figures as sweep_figures
from engine.run.sweep import job as sweep_job
from engine.run.sweep.figures import PARTS, SHOWN
from engine.run.sweep.kernel import ASSUMPTIONS
from pages import access
from pages.widgets import mode, plain, tables

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
        first = st.columns(2)
        first[0].selectbox("Search", ("grid", "tpe"), key="sweep-search",
            help="every combination, or Optuna's TPE between the least and the largest values")  # fmt: skip
        first[1].number_input("Trials of a search", 1, 10_000, 200, key="sweep-trials")
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
    st.progress(job.share, f"{job.name}: {job.done:,} of {job.total:,}{left} {plain.marked_down(job.text)}")
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
    first = st.session_state.get("sweep-name") or tables.asked("sweep", ended)
    name = st.selectbox(
        "Sweep", list(ended), key="sweep-shown", index=list(ended).index(first) if first in ended else 0,
        format_func=lambda one: f"{SIGNS[ended[one].state]} {one} {ended[one].state}",
    )  # fmt: skip
    tables.keep(sweep=name)
    report = sweep_job.report(counter.settings, name)
    if report is None:
        st.error(f"It left no report: {plain.marked_down(ended[name].text)}")
        return
    _verdict(report)
    _chosen(report)
    _runs(report)


def _verdict(report: dict[str, Any]) -> None:
    data = report["data"]
    if report["partial"]:
        st.warning(f"Partial: {plain.marked_down(report['why_partial'])}. Only what was done is shown.")
    st.markdown(f"**Verdict: {plain.marked_down(report['verdict'])}**")
    told = report["plan"]["hypothesis"]
    expected = f"Expected before: {plain.marked_down(told)}." if told else "Nothing was expected in words."
    st.caption(
        f"{report['tried']:,} configurations tried over {data['windows']:,} windows, "
        f"{data['windows_without_outcome']:,} without an outcome left out, {data['windows_overlapping']:,} "
        f"overlapping; fingerprint {report['plan']['fingerprint'][:12]}. {expected}"
    )


def _chosen(report: dict[str, Any]) -> None:
    one = report["chosen"]
    if one is None:
        return
    st.subheader("Chosen on earlier windows, reported on later ones", anchor=False)
    words = ", ".join(f"{name} {value:g}" for name, value in one["parameters"].items())
    luck = one["deflated_sharpe"].get("probability")
    known = "unknown" if luck is None else f"{luck:.1%}"
    st.markdown(
        f"{plain.marked_down(words)}; fee: {plain.marked_down(one['fee'])}. More than the luck of so many "
        f"tries: **{known}**. Around it: **{one['plateau']['shape']}**."
    )
    rows = [{"assumption": name, **one["figures"][name]["held_out"]} for name in ASSUMPTIONS]
    tables.shown(
        rows, {"assumption": tables.text("fills", "what a fill is taken to be")} | _columns(), "chosen"
    )
    ranges = report["robust"]["ranges"]
    st.caption("Robust ranges (best fifth of those that traded, chosen on the earlier windows):")
    st.dataframe(
        [{"parameter": name, "range": _range(told)} for name, told in ranges.items()],
        hide_index=True,
        key="sweep-ranges",
    )
    trades = [row | {"replay": _link(report, row["slug"], row["at_ms"])} for row in one["trades"]]
    with st.expander(f"{len(trades):,} trades of it"):
        tables.shown(trades, _trade_columns(), "sweep-trades")


def _link(report: dict[str, Any], slug: str, at_ms: int) -> str | None:
    session = report["sessions"].get(slug)
    return tables.replay_link(session, at_ms) if session else None


def _range(told: str | list[float]) -> str:
    if isinstance(told, str):
        return told
    least, most = told
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def _runs(report: dict[str, Any]) -> None:
    names = sweep_figures.swept(report)
    st.subheader("All configurations", anchor=False)
    first = st.columns(3)
    part = first[0].selectbox("Windows", list(PARTS), format_func=PARTS.get, key="sweep-part")
    assumption = first[1].selectbox("Fills", ASSUMPTIONS, index=1, key="sweep-assumption")
    figure = first[2].selectbox("Figure", SHOWN, key="sweep-figure")
    rows = sweep_figures.table_of(report, part, assumption)
    swept = {name: tables.number(name, "as in the grid", "%g") for name in report["runs"][0]["parameters"]}
    tables.shown(rows, {"run": tables.count("run", "its number")} | swept | _columns(), "sweep-runs")
    tables.export(lambda: rows, "sweep", "Make CSV of these")
    if len(names) < 2:
        return
    second = st.columns(2)
    x = second[0].selectbox("Across", names, key="sweep-x")
    y = second[1].selectbox("Up", [name for name in names if name != x], key="sweep-y")
    st.plotly_chart(sweep_figures.heat_figure(rows, x, y, figure), key="sweep-heat")
    st.plotly_chart(sweep_figures.parallel_figure(rows, names, figure), key="sweep-parallel")


def _columns() -> dict[str, Any]:
    return {
        "trades": tables.count("trades", "orders that filled"),
        "total_pnl": tables.dollars("P&L", "dollars after fees; empty without a trade", signed=True),
        "win_rate": tables.number("win rate", "share of trades whose side won", "%.3f"),
        "ev_error": tables.number("EV error", "claimed less realised, dollars a share", "%+.4f"),
        "drawdown": tables.dollars("drawdown", "dollars below the best so far"),
        "fill_rate": tables.number("fill rate", "trades of orders", "%.2f"),
        "trade_frequency": tables.number("frequency", "trades of windows", "%.3f"),
        "fees": tables.dollars("fees"),
        "turnover": tables.dollars("turnover", "dollars spent before fees"),
        "brier": tables.number("Brier", "of the claimed probabilities; lower is better", "%.4f"),
        "log_loss": tables.number("log-loss", "of the same", "%.4f"),
    }


def _trade_columns() -> dict[str, Any]:
    return {
        "at_ms": tables.time("decided"),
        "slug": tables.text("contract"),
        "outcome": tables.text("bought"),
        "settled": tables.text("settled"),
        "held_out": st.column_config.CheckboxColumn("held out", help="a window that nothing was chosen on"),
        "probability": tables.number("p", "claimed", "%.4f"),
        "claimed_ev": tables.number("EV", "claimed, dollars a share", "%+.4f"),
        "usd": tables.dollars("spent"),
        "profit": tables.dollars("profit", "dollars after fee", signed=True),
        "replay": st.column_config.LinkColumn("replay", display_text="open", help="that second, replayed"),
    }
