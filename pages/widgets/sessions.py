"""Recorded sessions: the list, the proof, names and notes, export and deletion."""

from typing import Any, Final

import streamlit as st

from engine import desk
from engine.nouns import counted
from engine.run import table_text, worker
from engine.run.sessions import apart as sessions_apart
from engine.run.sessions import folder as store
from engine.run.sessions.folder import SessionRow
from engine.run.sessions.kept import folder_of
from engine.run.verify.proof import Divergence, Seen, Verdict
from pages import access
from pages.widgets import mode, plain, stream, tables

REFRESH_S: Final = 5.0
JOB_S: Final = 1.0
NOTHING: Final = "No session has been recorded in this data folder yet."
TOLD: Final = "sessions-told"


def _rows(counter: desk.Desk) -> list[SessionRow]:
    snapshot = stream.newest_snapshot()
    running = snapshot.session if snapshot is not None else None
    return store.list_sessions(counter.settings.data_dir, running)


@access.fragment(REFRESH_S)
def listed() -> None:
    """Show every session with its state, its size and its last verdict."""
    counter = desk.current()
    if counter is None:
        st.error(mode.NO_ENGINE)
        return
    rows = _rows(counter)
    if not rows:
        st.info(NOTHING)
        return
    made = [{name: getattr(row, name) for name in SessionRow.__struct_fields__} for row in rows]
    tables.shown(made, _columns(), "sessions")
    tables.export(lambda: made, "sessions")


def _columns() -> dict[str, Any]:
    return {
        "session": tables.text("session", "its id: when it began, and a mark of its own", 175),
        "name": tables.text("name", "given below", 110),
        "status": tables.text("status", "crashed: it says it runs, and no engine records it", 85),
        "started_ms": tables.time("began", "by this machine's clock"),
        "newest_ms": tables.time("newest event", "by this machine's clock, as when it began"),
        "events": tables.count("events", "recorded"),
        "size_mb": tables.number("MB", "megabytes, with raw frames and what was made from it", "%,.1f"),
        "verdict": tables.text("verdict", "what its last proof came to; more of it below", 180),
    }


def _more(row: SessionRow) -> None:
    """Say of the chosen session what the table has no room for."""
    if row.problem:
        st.error(f"It cannot be read: {plain.marked_down(row.problem)}")
    proved = "not proved yet" if row.verdict_ms is None else f"proved {plain.utc(row.verdict_ms)}"
    intents = "decisions and order intents"
    decisions = f"no {intents} known" if row.decisions is None else f"{row.decisions:,} {intents}"
    words = f"{decisions} · {row.raw_mb:,.1f} MB of raw frames · {proved}"
    st.caption(plain.marked_down(words))
    st.page_link(
        "replay.py", label="Open it in the replay", icon=":material/play_circle:",
        query_params=table_text.replay_words(row.session, None),
    )  # fmt: skip


@access.fragment(JOB_S)
def chosen() -> None:
    """Show what can be done with one session; which one is in the address."""
    counter = desk.current()
    if counter is None:
        return
    rows = {row.session: row for row in _rows(counter)}
    if not rows:
        return
    first = tables.asked("session", rows)
    key = tables.begin("sessions-chosen", first or next(iter(rows)))
    if st.session_state[key] not in rows:  # it was deleted
        st.session_state[key] = next(iter(rows))
    session = st.selectbox("Session", list(rows), key=key, format_func=lambda one: _named(rows[one]))
    tables.keep(session=session)
    told = st.session_state.pop(TOLD, None)
    if told is not None:
        st.warning(plain.marked_down(told))
    _more(rows[session])
    _proof(counter, rows[session])
    _words(rows[session])
    if sessions_apart.can_export():
        _export(counter, session)
    _deletion(rows[session])


def _named(row: SessionRow) -> str:
    name = f" · {row.name}" if row.name else ""
    return f"{row.session}{name} · {row.status}"


def _proof(counter: desk.Desk, row: SessionRow) -> None:
    st.subheader("Proof", anchor="proof")
    st.caption(
        "Every event is played through today's core, in a process of its own; each decision has to come out "
        "as recorded, byte for byte, and raw frames have to give the recorded events."
    )
    job = worker.last(sessions_apart.PROOF)
    busy = job is not None and job.runs
    st.button(
        "Verifying…" if busy else "Verify now",
        key="sessions-verify",
        disabled=busy or access.locked(),
        help=access.why_locked(),
        on_click=access.needs_operator("to verify a session")(sessions_apart.begin_proof),
        args=(counter.settings.data_dir, row.session),
    )
    if busy and job is not None:
        st.text(job.steps[-1] if job.steps else "reading…")
        return
    if job is not None and job.error:
        st.error(f"✗ No verdict: {plain.marked_down(job.error)}")
    verdict = store.verdict_of(counter.settings.data_dir, row.session)
    if verdict is None:
        st.info("This session was not verified yet.")
        return
    outcome(verdict)
    if verdict.first_divergence is not None:
        _divergence(verdict.first_divergence)


def outcome(verdict: Verdict) -> None:
    """Show what a proof came to."""
    show = st.success if verdict.holds else st.error
    sign = "✓" if verdict.holds else "✗"
    show(f"{sign} {plain.marked_down(verdict.words)}, {plain.utc(verdict.at_ms)}")
    until = " Up to what was committed then: it was being recorded." if verdict.status == "running" else ""
    st.caption(
        f"{counted(verdict.events, 'event')}. Chain: {plain.marked_down(verdict.chain)}. Raw frames: "
        f"{plain.marked_down(verdict.raw)}. Version {plain.marked_down(verdict.version)}.{until}"
    )


def _divergence(first: Divergence) -> None:
    st.markdown(f"**First difference**: record {first.seq:,}, place {first.place}")
    if first.note:
        st.error(plain.marked_down(first.note))
    recorded, replayed = _fields(first.recorded), _fields(first.replayed)
    rows = [
        {"field": name, "recorded": recorded.get(name, ""), "replayed": replayed.get(name, "")}
        for name in dict.fromkeys((*recorded, *replayed))
    ]
    columns = {name: tables.text(name) for name in ("field", "recorded", "replayed")}
    tables.shown(rows, columns, "sessions-divergence")


def _fields(seen: Seen | None) -> dict[str, str]:
    if seen is None:
        return {"kind": "nothing"}
    told = {name: str(value) for name, value in seen.fields.items()}
    return {"kind": seen.kind} | told | {"refused": ", ".join(seen.refused)}


def _words(row: SessionRow) -> None:
    st.subheader("Name and note", anchor="words")
    with st.form(f"sessions-words-{row.session}"):
        st.text_input("Name", row.name, key=f"sessions-name-{row.session}", max_chars=store.NAME_MOST)
        st.text_area("Note", row.note, key=f"sessions-note-{row.session}", max_chars=store.NOTE_MOST)
        st.form_submit_button(
            "Keep", on_click=_keep, args=(row.session,), disabled=access.locked(), help=access.why_locked()
        )


@access.needs_operator("to name a session")
def _keep(session: str) -> None:
    counter = desk.current()
    if counter is None:
        return
    name, note = (st.session_state[f"sessions-{what}-{session}"] for what in ("name", "note"))
    problem = store.keep_words(counter.settings.data_dir, session, name, note, access.who_asks())
    if problem:
        st.session_state[TOLD] = problem
    else:
        st.toast("Name and note are kept.", icon=":material/check:")


def _export(counter: desk.Desk, session: str) -> None:
    st.subheader("Export", anchor="export")
    there = plain.marked_down(str(folder_of(counter.settings.data_dir).absolute()))
    st.caption(f"The export is saved on the server, in {there}; nothing comes to this browser.")
    job = worker.last(sessions_apart.EXPORT)
    busy = job is not None and job.runs
    with st.container(horizontal=True):
        for form in sessions_apart.FORMS:
            st.button(
                f"Export as {form}",
                key=f"sessions-export-{form}",
                disabled=busy or access.locked(),
                help=access.why_locked(),
                on_click=access.needs_operator("to export a session")(sessions_apart.begin_export),
                args=(counter.settings.data_dir, session, form),
            )
    if job is None:
        return
    if job.error:
        st.error(plain.marked_down(job.error))
    elif busy:
        st.text(job.steps[-1] if job.steps else "exporting…")
    else:
        st.success(plain.marked_down(str(job.result)))


def _deletion(row: SessionRow) -> None:
    st.subheader("Delete", anchor="delete")
    with st.form(f"sessions-delete-{row.session}", clear_on_submit=True):
        st.text_input("Type the session's id", key=f"sessions-typed-{row.session}", autocomplete="off")
        st.form_submit_button(
            "Delete the session", on_click=_delete, args=(row.session,), disabled=access.locked(),
            help=access.why_locked(),
        )  # fmt: skip


@access.needs_operator("to delete a session")
def _delete(session: str) -> None:
    counter, snapshot = desk.current(), stream.newest_snapshot()
    if counter is None:
        return
    running = snapshot.session if snapshot is not None else None
    typed = st.session_state[f"sessions-typed-{session}"]
    who = access.who_asks()
    st.session_state[TOLD] = store.delete_typed(counter.settings.data_dir, session, typed, running, who)
