"""Every decision of the session, searched; and one of them with its gates as they were."""

from typing import Any, Final

import streamlit as st

from engine import desk
from engine.nouns import counted
from engine.run import table_text
from engine.run.books_paths import journal_of
from engine.run.decision_view import (
    ACTIONS,
    REASONS,
    SHOWN_MOST,
    Asked,
    DecisionRow,
    Explained,
    explain,
    search,
)
from engine.snapshot import Snapshot
from pages.widgets import plain, stream, tables

SEQ_MOST: Final = 99_999_999_999_999
PLACE_MOST: Final = 1_000
EXPLAINED: Final = "explained"
NOT_WORKED_OUT: Final = (
    "z, p(Up) and EV are empty where the time or another gate refused before them: the decision ends at the "
    "first refusal and records no more. The live page, and the gates of a chosen decision, work them out for "
    "display."
)
KEPT: Final = 20
"""Explanations that a session keeps: each took seconds to find."""


def shown() -> None:
    """Show the search, what it found, and the chosen decision."""
    counter, snapshot = desk.current(), stream.newest_snapshot()
    if counter is None or snapshot is None:
        return
    _tally(snapshot)
    asked = _form()
    if asked is None:
        return
    path = journal_of(counter.settings, snapshot.session)
    found = search(path, asked)
    if found.problem:
        st.info(f"There are no decisions to show: {plain.marked_down(found.problem)}.")
    elif found.rows:
        _table(snapshot.session, found.rows, asked)
    else:
        looked = counted(found.looked_at, "decision")
        st.info(f"Nothing found: {looked} of this session looked at. Ask for less above, or go further back.")
    _further(found.before_seq, found.looked_at)
    chosen = _chosen(found.rows)
    if chosen is not None:
        _one(snapshot.session, _explained(counter, snapshot.session, chosen))


def _tally(snapshot: Snapshot) -> None:
    total = sum(snapshot.decisions.values())
    common = sorted(snapshot.decisions.items(), key=lambda one: one[1], reverse=True)[:4]
    words = ", ".join(f"{plain.marked_down(name)} {number:,}" for name, number in common)
    often = f"; most often {words}" if words else ""
    st.caption(f"{counted(total, 'decision')} in this session{often}")


def _form() -> Asked | None:
    """Ask what is searched; the address leads to the same answer again."""
    first = st.columns([3, 2, 2, 2])
    slug = first[0].text_input(
        "Contract", key=tables.begin("d-contract", tables.asked("contract")), max_chars=tables.WORD_MOST,
        help="any part of its name, such as 5m",
    )  # fmt: skip
    reason = first[1].selectbox(
        "Reason", ["", *REASONS], key=tables.begin("d-reason", tables.asked("reason", REASONS)),
        format_func=lambda word: word or "any", help="trade, or the first gate that refused",
    )  # fmt: skip
    action = first[2].selectbox(
        "Action", ["", *ACTIONS.values()],
        key=tables.begin("d-action", tables.asked("action", ACTIONS.values())),
        format_func=lambda word: word or "any",
    )  # fmt: skip
    trades = first[3].toggle("Only trades", key=tables.begin("d-trades", tables.asked("trades") == "yes"),
        help="decisions that an order followed")  # fmt: skip
    second = st.columns([2, 2, 1])
    times = [
        second[place].text_input(
            f"{name.capitalize()} (UTC)", key=tables.begin(f"d-{name}", tables.asked(name)), max_chars=30,
            placeholder="2026-08-20 14:30", help="on the engine's clock; empty leaves it open",
        )
        for place, name in enumerate(("from", "to"))
    ]  # fmt: skip
    second[2].button("Look again", width="stretch", help="new decisions are not added under your eyes")
    tables.keep(contract=slug, reason=reason, action=action, trades="yes" if trades else "")
    tables.keep(**dict(zip(("from", "to"), times, strict=True)))
    moments = [table_text.moment_of(word) if word.strip() else None for word in times]
    for word, moment in zip(times, moments, strict=True):
        if word.strip() and moment is None:
            st.error(f"{plain.marked_down(word)} is not a time: write it as 2026-08-20 14:30.")
            return None
    before = tables.asked_number("before", SEQ_MOST)
    return Asked(slug.strip(), reason, action, moments[0], moments[1], trades, before)


def _table(session: str, rows: tuple[DecisionRow, ...], asked: Asked) -> None:
    made = [row._asdict() for row in rows]
    linked = [one | {"link": tables.replay_link(session, one["at_ms"])} for one in made]
    how = {"height": 380, "on_select": "rerun", "selection_mode": "single-row"}
    if any(row.p_up is None for row in rows):
        st.caption(NOT_WORKED_OUT)
    event = tables.grid(linked, columns(), "decisions", **how)
    st.session_state["d-picked"] = list(event.selection.rows)
    said = f"{counted(len(rows), 'decision')}, newest first. Choose one to see its gates."
    st.caption(said if len(rows) < SHOWN_MOST else f"{said} There are more: go further back.")
    tables.export(lambda: made, "decisions", "Make CSV of these", of=(session, asked))


def columns() -> dict[str, Any]:
    """Return the headings; each says its unit."""
    return {
        "at_ms": tables.time("decided", fine=True),
        "link": tables.replay(),
        "slug": tables.text("contract", "the window's name; it ends with its start, Unix seconds"),
        "action": tables.text("action", "what was decided"),
        "reason": tables.text("reason", "trade, or the first gate that refused"),
        "z": tables.number("z", "distance from the strike, in deviations of what may still happen", "%+.2f"),
        "p_up": tables.number("p(Up)", "probability of Up, 0 to 1", "%.4f"),
        "ev_up": tables.number("EV Up", "dollars a share, after fee; -1 without an ask", "%+.4f"),
        "ev_down": tables.number("EV Down", "dollars a share, after fee; -1 without an ask", "%+.4f"),
        "seq": tables.number("event", "number of the record that led to it", "%d"),
    }


def _further(before: int | None, looked_at: int) -> None:
    newest = "before" in st.query_params
    if before is None and not newest:
        return
    back, front = st.columns(2)
    if before is not None:
        words = f"after {counted(looked_at, 'decision')}"
        if back.button("Further back", help=f"this search stopped {words}", width="stretch"):
            tables.keep(before=str(before), decision="")
            st.rerun()
    if newest and front.button("To the newest", width="stretch"):
        tables.keep(before="", decision="")
        st.rerun()


def _chosen(rows: tuple[DecisionRow, ...]) -> tuple[int, int] | None:
    """Return event and place of the decision that is picked, or that the address names."""
    picked = st.session_state.get("d-picked", [])
    if picked and picked[0] < len(rows):
        row = rows[picked[0]]
        tables.keep(decision=f"{row.seq}.{row.place}")
        return row.seq, row.place
    seq, _, place = tables.asked("decision").partition(".")
    if not all(
        word.isascii() and word.isdigit() and len(word) <= tables.DIGITS_MOST for word in (seq, place)
    ):
        return None
    return min(int(seq), SEQ_MOST), min(int(place), PLACE_MOST)


def _explained(counter: desk.Desk, session: str, chosen: tuple[int, int]) -> Explained:
    """Explain a decision, once for each browser session."""
    known: dict[tuple[str, int, int], Explained] = st.session_state.setdefault(EXPLAINED, {})
    key = (session, *chosen)
    if key not in known:
        with st.spinner("Playing the session back up to this decision…"):
            known[key] = explain(journal_of(counter.settings, session), *chosen)
        while len(known) > KEPT:
            del known[next(iter(known))]
    return known[key]


def _one(session: str, told: Explained) -> None:
    row = told.decision
    if row is None:
        st.warning(plain.marked_down(told.note))
        return
    at = table_text.typed(row.at_ms)
    st.subheader(f"{row.action}: {row.slug}", anchor=False)
    st.caption(f"decided {at} UTC · event {row.seq:,} of session {plain.marked_down(session)}")
    st.page_link(
        "replay.py", label="Open this second in the replay", icon=":material/play_circle:",
        query_params=table_text.replay_words(session, row.at_ms),
    )  # fmt: skip
    shown_as = {
        "p(Up)": plain.chance(row.p_up), "z": _signed(row.z, 2), "EV Up": _signed(row.ev_up, 4),
        "EV Down": _signed(row.ev_down, 4),
    }  # fmt: skip
    for place, (name, value) in zip(st.columns(4), shown_as.items(), strict=True):
        unit = "dollars a share" if name.startswith("EV") else None
        place.metric(name, value or "–", help=unit)
    if row.refused:
        st.markdown(f"**Refused by** {', '.join(row.refused)}")
    if told.gates:
        gates = [
            {
                "state": "✓ holds" if gate.passed else "✗ refuses", "gate": gate.name, "value": gate.value,
                "requirement": gate.requirement, "change": gate.change,
            }
            for gate in told.gates
        ]  # fmt: skip
        tables.wrapped(gates, GATES)
        tables.export(lambda: gates, f"gates-{row.seq}-{row.place}", "Make CSV of the gates", of=session)
    st.caption(plain.marked_down(told.note))


def _signed(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:+z.{digits}f}"


GATES: Final = {
    "state": "state", "gate": "gate", "value": "what was seen then", "requirement": "what has to hold",
    "change": "what would have to change",
}  # fmt: skip
"""In the order they are asked; the last is empty where a gate holds."""
