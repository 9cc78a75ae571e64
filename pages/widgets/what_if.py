"""Other numbers over recorded sessions: what is asked, how far it is, and what came of it."""

from itertools import cycle
from pathlib import Path
from typing import Any, Final

import streamlit as st

from engine import desk
from engine.config import bounds_of
from engine.nouns import counted
from engine.run import worker
from engine.run.sessions import folder as store
from engine.run.settings_view import in_words
from engine.run.what_if import job as what_if_job
from engine.run.what_if.answer import MODEL
from engine.run.what_if.change import SAME_WINDOWS
from engine.run.what_if.command import Wish
from pages import access
from pages.widgets import mode, params, plain, tables

JOB_S: Final = 1.0
RAN: Final = "what-if-ran"
"""Whether the work was under way when this session looked last."""

SAMPLES: Final = Path(__file__).resolve().parents[2].joinpath("data", "replay_sessions")

ASKED: Final = (
    "HAMMER_SECS", "WATCH_RETURN_THRESHOLD", "D_MIN", "MAX_ENTRY_PRICE", "QUOTE_SIZE_USD", "SIGMA_MULTIPLIER",
    "PRICE_MEMORY",
)  # fmt: skip
"""What the form asks for; the command line changes every parameter that a running engine can."""

MODELS: Final = {0.0: "the engine's", 1.0: "the seed's spot formula"}
"""What a what-if can decide by; the second exists in what-ifs alone."""

DELAYS: Final = {"PAPER_LATENCY_MS": "Way to the venue, ms", "VENUE_HOLD_MS": "Venue's hold, ms"}


def shown() -> None:
    """Show the form, and the newest answer."""
    counter = desk.current()
    if counter is None:
        st.error(mode.NO_ENGINE)
        return
    st.subheader("Other parameters", anchor="what-if")
    sources = _sources(counter)
    if not sources:
        st.info("There is no session to decide on again.")
        return
    _form(counter, sources)
    _job()


def _sources(counter: desk.Desk) -> dict[str, str]:
    """Return what can be chosen, and how it is called."""
    rows = store.list_sessions(counter.settings.data_dir, None)
    found = {row.session: f"{row.session} {row.name}".strip() for row in rows if not row.problem}
    found |= {path: f"{Path(path).name} (sample)" for path in what_if_job.bundled(SAMPLES)}
    return found


def _form(counter: desk.Desk, sources: dict[str, str]) -> None:
    version, values, _ = params.in_force(counter)
    job = worker.last(what_if_job.WHAT_IF)
    busy = job is not None and job.runs
    day = [name for name in what_if_job.day_sessions(counter.settings) if name in sources]
    first = tables.asked("session", sources)
    chosen = [first] if first else day or list(sources)[:1]
    with st.form("what-if"):
        st.multiselect(
            "Sessions", list(sources), default=chosen, key="what-if-sources",
            format_func=lambda one: sources.get(one, one), help="those of the last day are chosen",
        )  # fmt: skip
        columns = st.columns(3)
        for name, column in zip(ASKED, cycle(columns)):
            label, step = params.WORDS[name]
            bounds = bounds_of(name)
            about = in_words(bounds)
            column.number_input(
                label, bounds.least, bounds.most, values[name], step, key=f"what-if-{name}-{version}",
                format="%g", help=f"{name}{f': {about}' if about else ''}; in force is {values[name]:g}",
            )  # fmt: skip
        for (name, label), column in zip(DELAYS.items(), cycle(columns[1:])):
            now = float(getattr(counter.settings, name.lower()))
            column.number_input(
                label, 0.0, 60_000.0, now, 10.0, key=f"what-if-{name}-{version}", format="%g",
                help=f"{name}; in force is {now:g}",
            )  # fmt: skip
        st.selectbox(
            "Model", list(MODELS), key=f"what-if-{MODEL}-{version}", format_func=lambda one: MODELS[one],
            help="p_hat by the engine's model, or by the formula that most bots use: normal odds of spot "
            "against the strike. No engine trades by it.",
        )  # fmt: skip
        st.form_submit_button(
            "Deciding…" if busy else "Decide again",
            on_click=_ask,
            args=(version, values),
            disabled=busy or access.locked(),
            help=access.why_locked(),
        )


@access.needs_operator("to decide again")
def _ask(version: int, values: dict[str, float]) -> None:
    counter, state = desk.current(), st.session_state
    if counter is None:
        return
    now = values | {name: float(getattr(counter.settings, name.lower())) for name in DELAYS} | {MODEL: 0.0}
    told = {name: state[f"what-if-{name}-{version}"] for name in (*ASKED, *DELAYS, MODEL)}
    wish = {name: float(value) for name, value in told.items() if value is not None and value != now[name]}
    if not wish:
        state["what-if-nothing"] = True
        return
    state.pop("what-if-nothing", None)
    what_if_job.begin(counter.settings, Wish(tuple(state["what-if-sources"]), wish, values))


@access.fragment(JOB_S)
def _job() -> None:
    """Show how far it is, or what came of it."""
    if st.session_state.get("what-if-nothing"):
        st.info("Nothing is changed: choose another number first.")
    job = worker.last(what_if_job.WHAT_IF)
    if job is None:
        return
    if st.session_state.pop(RAN, False) and not job.runs:
        st.rerun()  # the form above lies outside of this part: its button is free again
    st.session_state[RAN] = job.runs
    if job.runs:
        step = job.steps[-1] if job.steps else "starting"
        st.info(f"{plain.marked_down(step)}, for {what_if_job.since_words(job.began_ms)}")
        cancel = access.needs_operator("to cancel a what-if")(what_if_job.cancel)
        st.button(
            "Cancel", on_click=cancel, args=(what_if_job.WHAT_IF,), disabled=access.locked(),
            help=access.why_locked(),
        )  # fmt: skip
    elif job.error:
        st.error(f"✗ {plain.marked_down(job.error)}")
    elif job.result is not None:
        _report(job.result)


def _report(report: dict[str, Any]) -> None:
    st.markdown(f"**{plain.marked_down(report['said'])}**")
    span = f"{plain.utc(report['first_ms'])} to {plain.utc(report['last_ms'])}"
    size = f"{counted(report['windows'], 'window')}, {counted(report['rows'], 'row')}"
    st.caption(f"{size}, {plain.marked_down(span)}")
    for problem in report["problems"]:
        st.warning(plain.marked_down(problem))
    changes = [f"{row['name']} {row['base']:g} → {row['changed']:g}" for row in report["parameters"]]
    st.markdown(plain.marked_down(", ".join(changes)))
    rows = [_figures(name, report[key]) for name, key in (("in force", "base"), ("changed", "changed"))]
    tables.shown(rows, FIGURES, "what-if-figures")
    for row in report["differences"]:
        row["link"] = tables.replay_link(row["session"], row["t_ms"])
    if report["differences"]:
        tables.shown(report["differences"], _columns(), "what-if-differences")
        tables.export(lambda: report["differences"], "what-if", of=(report["parameters"], span))
    else:
        st.info("No window would have come out differently.")
    if any(row["name"] == MODEL for row in report["parameters"]):
        st.caption(
            "Decided by the seed's spot formula, which no engine trades by: nothing of it can be proposed."
        )
    st.caption(SAME_WINDOWS)
    wish = _wish(report)
    about = access.why_locked("opens the form on the Mode page, filled in")
    if wish and st.button("Propose as new parameters", help=about, disabled=access.locked()):
        params.propose(wish)
        st.switch_page("mode.py")


def _wish(report: dict[str, Any]) -> dict[str, float]:
    """Return the report's own change as parameters; the newest answer may be another operator's.

    What was decided by another model says nothing of the parameters under the engine's own.
    """
    counter = desk.current()
    changed = {row["name"]: row["changed"] for row in report["parameters"]}
    if counter is None or MODEL in changed:
        return {}
    return {name: value for name, value in changed.items() if name in params.in_force(counter)[1]}


def _figures(name: str, told: dict[str, Any]) -> dict[str, Any]:
    assumed = {key: one["profit_usd"] for key, one in told["assumptions"].items()}
    return {"name": name} | told | assumed


FIGURES: Final[dict[str, Any]] = {
    "name": tables.text("parameters"),
    "orders": tables.count("orders", "that would have been sent"),
    "filled": tables.count("filled", "wholly or in part"),
    "fill_rate": tables.number("fill rate", "filled of orders, 0 to 1", "%.2f"),
    "won": tables.count("won", "settled with a profit"),
    "profit_usd": tables.dollars("profit", "dollars, after fees, of settled windows", signed=True),
    "fees_usd": tables.dollars("fees", "dollars"),
    "touch": tables.dollars("if filled at once", "dollars, at the touch, no latency: too kind", signed=True),
    "arrival": tables.dollars("on arrival", "dollars, by the book at arrival: what is booked", signed=True),
    "conservative": tables.dollars("others first", "dollars, half of what is shown is taken", signed=True),
    "halted": tables.text("halted", "why the engine would have stopped"),
}


def _columns() -> dict[str, Any]:
    return {
        "t_ms": tables.time("when"),
        "link": tables.replay(),
        "slug": tables.text("contract", width=165),
        "what": tables.text("what differs", width=90),
        "why": tables.text("refused by", "the first gate that refuses it, by the changed parameters", 90),
        "was": tables.text("in force", width=165),
        "would_be": tables.text("changed", width=170),
        "was_usd": tables.dollars("profit", "dollars after fee, by the parameters in force", signed=True),
        "would_be_usd": tables.dollars("changed to", "dollars after fee, by the changed ones", signed=True),
        "change_usd": tables.dollars("change", "dollars; empty while a trade has not settled", signed=True),
    }
