"""Why was nothing traded? The way of each window, what stopped it, and what each gate saved or cost."""

from typing import Any, Final

import streamlit as st

from engine import desk
from engine.nouns import counted
from engine.run import worker
from engine.run.sessions import folder as store
from engine.run.what_if import job as what_if_job
from pages import access
from pages.widgets import plain, tables

JOB_S: Final = 1.0
RAN: Final = "why-ran"
"""Whether the work was under way when this session looked last."""


def shown() -> None:
    """Show the choice of a session, and the newest answer."""
    counter = desk.current()
    if counter is None:
        return
    st.subheader("Why no trade", anchor="why-no-trade")
    rows = [row for row in store.list_sessions(counter.settings.data_dir, None) if not row.problem]
    if not rows:
        st.info("No session has been recorded in this data folder yet.")
        return
    names = {row.session: f"{row.session} {row.name}".strip() for row in rows}
    job = worker.last(what_if_job.WHY)
    busy = job is not None and job.runs
    with st.form("why"):
        key = tables.begin("why-session", tables.asked("session", names) or next(iter(names)))
        st.selectbox("Session", list(names), key=key, format_func=lambda one: names.get(one, one))
        label, locked = "Looking…" if busy else "Say why", busy or access.locked()
        st.form_submit_button(label, on_click=_ask, disabled=locked, help=access.why_locked())
    _job()


@access.needs_operator("to have a session played")
def _ask() -> None:
    counter = desk.current()
    if counter is not None:
        what_if_job.begin_why(counter.settings, st.session_state["why-session"])


@access.fragment(JOB_S)
def _job() -> None:
    job = worker.last(what_if_job.WHY)
    if job is None:
        return
    if st.session_state.pop(RAN, False) and not job.runs:
        st.rerun()  # the form above lies outside of this part: its button is free again
    st.session_state[RAN] = job.runs
    if job.runs:
        step = job.steps[-1] if job.steps else "starting"
        st.info(f"{plain.marked_down(step)}, for {what_if_job.since_words(job.began_ms)}")
        cancel = access.needs_operator("to cancel a search")(what_if_job.cancel)
        st.button(
            "Cancel", key="why-cancel", on_click=cancel, args=(what_if_job.WHY,), disabled=access.locked(),
            help=access.why_locked(),
        )  # fmt: skip
    elif job.error:
        st.error(f"✗ {plain.marked_down(job.error)}")
    elif job.result is not None:
        _report(job.result)


def _report(report: dict[str, Any]) -> None:
    names = plain.marked_down(", ".join(report["sessions"]))
    top = f"; most are stopped by **{plain.marked_down(report['top'])}**" if report["top"] else ""
    st.markdown(f"{counted(report['windows'], 'window')} of {names}{top}")
    columns = {
        "stage": tables.text("came as far as", "each stage counts the windows that passed all before it"),
        "windows": tables.count("windows", "that came so far"),
    }
    tables.grid(report["stages"], columns, "why-stages", height="content")
    for row in report["ways"]:
        row["link"] = tables.replay_link(row["session"], row["t_ms"] or None)
    tables.shown(report["ways"], _ways(), "why-ways", "No window of this session was seen to its end.")
    tables.export(lambda: report["ways"], "why-no-trade", of=report["sessions"])
    st.markdown("**What each gate saved or cost**")
    st.caption(
        "Money is of the bets that a gate alone refused: bought at the ask shown, as much as was shown, "
        "settled with the real outcome. Below zero the gate saved it. What other gates refused too is only "
        "counted. No latency, no competition: the true figure is lower."
    )
    if report["gates"]:
        tables.shown(report["gates"], GATES, "why-gates")
        tables.export(lambda: report["gates"], "gates-saved-or-cost", of=report["sessions"])
    else:
        st.info("No gate refused a candidate in hammer time.")


def _ways() -> dict[str, Any]:
    return {
        "slug": tables.text("contract"),
        "t_ms": tables.time("nearest", "the moment that came furthest"),
        "link": tables.replay(),
        "reached": tables.text("came as far as"),
        "blocked_by": tables.text("stopped by"),
        "miss": tables.text("what was missing", width=330),
        "outcome": tables.text("outcome"),
    }


GATES: Final[dict[str, Any]] = {
    "gate": tables.text("gate", "the first that refused, in asking order"),
    "n": tables.count("refused", "settled candidates, one for each window and side; most by other gates too"),
    "unsettled": tables.count("open", "candidates whose outcome is not known yet"),
    "alone": tables.count("alone", "settled ones that no other gate refused: what follows is of these"),
    "windows": tables.count("windows", "they are of"),
    "moments": tables.count("moments", "of settlement; windows that end together share one"),
    "won": tables.count("won", "would have paid a dollar a share"),
    "claimed": tables.number("claimed", "mean probability of the side, 0 to 1", "%.3f"),
    "win_low": tables.number("won, low", "exact 95 % interval, 0 to 1; empty of too few", "%.3f"),
    "win_high": tables.number("won, high", "exact 95 % interval, 0 to 1; empty of too few", "%.3f"),
    "per_share": tables.number("a share", "mean over moments, dollars after fee", "%+.4f"),
    "low": tables.number("low", "exact 95 % interval, dollars a share; empty of too few", "%+.4f"),
    "high": tables.number("high", "exact 95 % interval, dollars a share; empty of too few", "%+.4f"),
    "usd": tables.dollars("USD as shown", "sum for what was shown, dollars after fee", signed=True),
    "said": tables.text("in words", width=330),
}
