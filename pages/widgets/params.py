"""How to trade, changed while the engine runs: a form with bounds, a look at the difference, versions.

The version that was looked at goes with the change: who comes second is told, and undoes nothing unseen.
"""

from itertools import zip_longest
from typing import Any, Final

import streamlit as st

from engine import desk
from engine.config import bounds_of
from engine.nouns import counted
from engine.run.commands import SetParams
from engine.run.params_of import PARAM_OF, Version, changed, values_of, versions_of_this_run
from engine.run.settings_view import in_words
from engine.run.what_if import job as what_if_job
from engine.run.what_if.change import SAME_WINDOWS
from pages import access
from pages.widgets import mode, plain, stream, tables

REFRESH_S: Final = 3.0
EFFECT_S: Final = 1.0
ACROSS: Final = 3
"""Fields of the form side by side."""
WISH: Final = "params-wish"
PROBLEM: Final = "params-problem"
DRAWN: Final = "params-drawn"
"""Session state: the version that this session's form shows."""

WORDS: Final = {
    "WATCH_RETURN_THRESHOLD": ("Watch from a return of", 0.0005),
    "HAMMER_SECS": ("Hammer, seconds before the end", 1.0),
    "D_MIN": ("Least distance, $", 0.5),
    "MAX_ENTRY_PRICE": ("Highest price a share, $", 0.01),
    "QUOTE_SIZE_USD": ("Order size, $", 1.0),
    "PRICE_STALENESS_THRESHOLD": ("Price is stale after, s", 0.5),
    "SIGMA_LONG_S": ("Volatility, long span, s", 60.0),
    "SIGMA_SHORT_S": ("Volatility, short span, s", 10.0),
    "SIGMA_SHORT_WEIGHT": ("Weight of the short span", 0.05),
    "SIGMA_MULTIPLIER": ("Volatility multiplier", 0.05),
    "SIGMA_FLOOR": ("Least volatility per root second", 0.000001),
    "PRICE_MEMORY": ("Memory of the price", 0.05),
    "USE_FALLBACK_FEED": ("Live on spot when the feed is stale", 1.0),
    "ALLOW_ORDERS_WHILE_FALLBACK_ACTIVE": ("Orders while living on spot", 1.0),
    "MAX_DIVERGENCE_BP": ("Most spot may differ, bp", 1.0),
    "MAX_CLOCK_SKEW_MS": ("Most the clock may be off, ms", 100.0),
    "FROZEN_AFTER_S": ("Feed is frozen after, s", 1.0),
    "FEE_RATE_TTL_SECONDS": ("Fee terms are asked anew after, s", 30.0),
    "FEE_BPS": ("Fee where nothing is said of fees, bp", 1.0),
}
"""What a form calls each parameter, and by how much its buttons move it."""


def in_force(counter: desk.Desk) -> tuple[int, dict[str, float], list[Version]]:
    """Return the version in force, its values by setting, and every version of this run."""
    try:
        versions = versions_of_this_run(counter.settings.data_dir)
    except OSError:
        versions = []
    if not versions:
        return 1, values_of(counter.settings), []
    return versions[-1].version, versions[-1].values, versions


@access.fragment()
def form() -> None:
    """Show every parameter with its bounds; what is submitted is shown as a difference before it counts."""
    counter = desk.current()
    st.subheader("Parameters", anchor="parameters")
    if counter is None:
        st.error(mode.NO_ENGINE)
        return
    version, values, versions = in_force(counter)
    st.session_state[DRAWN] = version
    st.caption(f"Version {version} is in force. A restart begins with the settings again.")
    with st.form("params"):
        # Row by row: a switch is lower than a field, and would shift the column below it.
        names = iter(PARAM_OF)  # one, asked three times a row
        for row in zip_longest(names, names, names):
            for name, column in zip(row, st.columns(ACROSS, vertical_alignment="bottom"), strict=True):
                if name is not None:
                    with column:
                        _field(name, values[name], version)
        st.form_submit_button(
            "Show what would change", on_click=_wish, args=(version, values), disabled=access.locked(),
            help=access.why_locked(),
        )  # fmt: skip
    _difference(version, values)
    _history(version, values, versions)


def _field(name: str, value: float, version: int) -> None:
    label, step = WORDS[name]
    bounds, key = bounds_of(name), field_key(name, version)
    if bounds.choices:
        st.toggle(label, value=bool(value), key=key, help=name)
        return
    about = in_words(bounds)
    words = f"{name}{f': {about}' if about else ''}"
    st.number_input(label, bounds.least, bounds.most, value, step, key=key, format="%g", help=words)


def field_key(name: str, version: int) -> str:
    """Return a field's key; another version has fields of its own, which begin with its values."""
    return f"param-{name}-{version}"


@access.needs_operator("to try a change of parameters")
def _wish(version: int, values: dict[str, float]) -> None:
    state = st.session_state
    wanted = {name: state[field_key(name, version)] for name in PARAM_OF}
    _propose(version, values, {name: float(value) for name, value in wanted.items() if value is not None})


def _propose(version: int, values: dict[str, float], wanted: dict[str, float]) -> None:
    """Keep what differs, with the version it was looked at; what no start would take is said at once."""
    counter, state = desk.current(), st.session_state
    wish = {name: value for name, value in wanted.items() if value != values[name]}
    state.pop("params-answer", None)
    state[WISH] = (version, wish)
    made = changed(counter.settings, wish, None) if counter and wish else "Nothing would change."
    state[PROBLEM] = made if isinstance(made, str) else None


@access.needs_operator("to propose parameters")
def propose(wanted: dict[str, float]) -> None:
    """Fill the form in with what a what-if changed: from here it is a change like any other."""
    counter = desk.current()
    if counter is None:
        return
    version, values, _ = in_force(counter)
    _propose(version, values, wanted)


def _difference(version: int, values: dict[str, float]) -> None:
    seen, wish = st.session_state.get(WISH, (0, {}))
    problem = st.session_state.get(PROBLEM)
    if problem and seen == version:
        st.error(f"✗ {plain.marked_down(problem)}")
    elif wish and seen == version:
        rows = [{"name": name, "now": values[name], "new": value} for name, value in wish.items()]
        columns = {
            "name": tables.text("parameter"),
            "now": tables.number("in force", "as the engine trades now", "%g"),
            "new": tables.number("would be", "as you wish it", "%g"),
        }
        tables.shown(rows, columns, "params-difference")
        _effect(values, wish)
        with st.form("params-apply"):
            st.text_input("Reason", key="params-reason", autocomplete="off")
            st.form_submit_button(
                "Apply", type="primary", on_click=_apply, args=(version, wish), disabled=access.locked(),
                help=access.why_locked(),
            )  # fmt: skip
    mode.answer("params")


@access.fragment(EFFECT_S)
def _effect(values: dict[str, float], wish: dict[str, float]) -> None:
    """Say what the change would have done over the last day's sessions, once that is known."""
    counter = desk.current()
    if counter is None:
        return
    job = what_if_job.effect(counter.settings, values, wish)
    if job.runs:
        step = job.steps[-1] if job.steps else "starting"
        st.caption(f"Deciding again over the last day's sessions: {plain.marked_down(step)}…")
    elif job.error:
        st.caption(f"What it would have done is not known: {plain.marked_down(job.error)}.")
    elif job.result is not None:
        words = f"{job.result['said']} ({counted(job.result['windows'], 'window')}, simulated fills)"
        as_of = plain.utc(job.began_ms)
        st.info(f"Over the last day's sessions, as of {as_of}: {plain.marked_down(words)}")
        st.caption(SAME_WINDOWS)


@mode.anew("params")
@access.needs_operator("to change parameters")
def _apply(version: int, wish: dict[str, float]) -> None:
    what = f"Trade by {', '.join(f'{name} {value:g}' for name, value in wish.items())}"
    if mode.give("params", what, SetParams(wish, version), st.session_state["params-reason"]):
        st.session_state.pop(WISH, None)


def _history(version: int, values: dict[str, float], versions: list[Version]) -> None:
    if not versions:
        st.caption("This run has no history of parameters yet.")
        return
    rows: list[dict[str, Any]] = [
        {"version": one.version, "at_ms": one.at_ms, "who": one.who, "text": one.text, "why": one.why}
        for one in reversed(versions)
    ]
    columns = {
        "version": "version", "at": "when (wall time)", "who": "who", "text": "what changed", "why": "why",
    }  # fmt: skip
    tables.wrapped([row | {"at": plain.utc(row["at_ms"])} for row in rows], columns)
    tables.export(lambda: rows, "parameters")
    before = {one.version: one for one in versions if one.version != version}
    if before:
        st.selectbox("Go back to version", sorted(before, reverse=True), key="params-back")
        st.button(
            "Show what going back would change", on_click=_back, args=(version, values, before),
            disabled=access.locked(), help=access.why_locked(),
        )  # fmt: skip


@access.needs_operator("to try a change of parameters")
def _back(version: int, values: dict[str, float], before: dict[int, Version]) -> None:
    _propose(version, values, dict(before[st.session_state["params-back"]].values))


@access.fragment(REFRESH_S)
def changed_elsewhere(version: int) -> None:
    """Say that somebody else changed the parameters since this page was drawn.

    Whoever changed them here has a form with the new ones: it was drawn anew after his change.
    """
    snapshot, drawn = stream.newest_snapshot(), max(version, st.session_state.get(DRAWN, version))
    if snapshot is not None and snapshot.account.params_version > drawn:
        st.warning("The parameters were changed meanwhile: open the page anew to see them.")
