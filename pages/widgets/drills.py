"""Drills: let the practice venue have a fault, and see how the engine copes."""

from typing import Any, Final

import streamlit as st

from engine import desk
from engine.run import worker
from engine.run.drill import Drill, FaultArgument, FaultKind, Score, kinds
from pages import access
from pages.widgets import mode, plain, tables

JOB_S: Final = 1.0
FOR_S: Final = 30.0
"""Venue seconds: six of the wall at the default speed, and longer than any feed may be silent."""
SIGNS: Final = {
    "coped": "✓ coped: noticed, and as well as before",
    "stopped": "■ stopped: the engine halted by itself",
    "not recovered": "✗ NOT RECOVERED",
    "not noticed": "○ not noticed: nothing in the snapshots changed",
    "not tried": "– not tried",
}
EXTERNAL: Final = (
    "The venue is external. Faults are for the practice venue alone: nobody breaks a market to see what "
    "happens."
)


@access.fragment()
def form() -> None:
    """Show the registry, and the form that starts a drill; the fault chosen is in the address."""
    counter = desk.current()
    if counter is None:
        st.error(mode.NO_ENGINE)
        return
    if counter.settings.is_external:
        st.warning(EXTERNAL)
        return
    known = {kind.name: kind for kind in kinds()}
    first = tables.asked("fault", known)
    name = st.selectbox(
        "Fault",
        list(known),
        key=tables.begin("drill-fault", first or "stall"),
        format_func=lambda one: _named(known[one]),
    )
    tables.keep(fault=name)
    kind = known[name]
    st.markdown(f"**What happens**: {plain.marked_down(kind.what)}")
    st.markdown(f"**Expected of the engine**: {plain.marked_down(kind.required)}")
    if kind.not_here:
        st.info(f"Cannot be tried here: {kind.not_here}.")
        return
    with st.form("drill"):
        for argument in kind.args:
            _argument(kind.name, argument)
        st.number_input("For, venue seconds", 1.0, 600.0, FOR_S, 5.0, key="drill-for", format="%g")
        st.form_submit_button(
            "Start the drill", on_click=_start, args=(kind,), disabled=access.locked(),
            help=access.why_locked(),
        )  # fmt: skip


def _named(kind: FaultKind) -> str:
    return f"{kind.name} (not here)" if kind.not_here else kind.name


def _argument(fault: str, argument: FaultArgument) -> None:
    key = f"drill-{fault}-{argument.name}"
    if argument.choices:
        place = argument.choices.index(str(argument.default))
        st.selectbox(argument.name, argument.choices, place, key=key, help=argument.what)
    else:
        st.text_input(argument.name, str(argument.default), key=key, help=argument.what, autocomplete="off")


@access.needs_operator("to start a drill")
def _start(kind: FaultKind) -> None:
    counter = desk.current()
    if counter is None or counter.settings.is_external:
        return
    args = {one.name: st.session_state[f"drill-{kind.name}-{one.name}"] for one in kind.args}
    wish = Drill(kind, args, float(st.session_state["drill-for"]))
    worker.drill(counter.settings, lambda: counter.latest, wish)


@access.fragment(JOB_S)
def progress() -> None:
    """Show the drill that runs, the score of the last, and those before it."""
    job = worker.last("drill")
    if job is None:
        st.info(
            "No drill yet. Choose a fault and press Start: the live page shows what the engine makes of it."
        )
        return
    if job.runs:
        st.info("The drill runs; venue seconds since the fault began:")
    st.text("\n".join(job.steps) or "Looking at how it is without the fault…")
    if job.error:
        st.error(f"✗ The drill was not held: {plain.marked_down(job.error)}")
    elif job.result is not None:
        score(job.result)
    rows = [
        _row(one.began_ms, one.result) for one in (job, *worker.earlier("drill")) if one.result is not None
    ]
    if rows:
        st.subheader("Drills of this run", anchor="scores")
        tables.shown(rows, _columns(), "drill-scores")
        tables.export(lambda: rows, "drills")


def score(held: Score) -> None:
    """Show how the engine did beside what was expected of it."""
    show = {"coped": st.success, "stopped": st.warning, "not noticed": st.warning}.get(held.verdict, st.error)
    show(f"**{held.name}**: {SIGNS[held.verdict]}")
    noticed, recovered = st.columns(2)
    noticed.metric(
        "Time to notice", _seconds(held.noticed_s), help="venue seconds from the fault's beginning"
    )
    recovered.metric("Time to recover", _seconds(held.recovered_s), help="venue seconds from the fault's end")
    st.markdown(f"**Expected**: {plain.marked_down(held.expected)}")
    st.markdown(f"**Seen**: {plain.marked_down(', '.join(held.signs)) or 'nothing'}")
    if held.left:
        st.markdown(f"**Still wrong**: {plain.marked_down(', '.join(held.left))}")


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} s"


def _row(began_ms: int, held: Score) -> dict[str, Any]:
    return {
        "at_ms": began_ms,
        "fault": held.name,
        "args": ", ".join(f"{name}={value}" for name, value in held.args.items()),
        "verdict": SIGNS[held.verdict],
        "noticed_s": held.noticed_s,
        "recovered_s": held.recovered_s,
        "signs": ", ".join(held.signs),
    }


def _columns() -> dict[str, Any]:
    return {
        "at_ms": tables.time("when"),
        "fault": tables.text("fault"),
        "args": tables.text("arguments"),
        "verdict": tables.text("verdict"),
        "noticed_s": tables.number("to notice", "venue seconds", "%,.1f"),
        "recovered_s": tables.number("to recover", "venue seconds after its end", "%,.1f"),
        "signs": tables.text("seen"),
    }
