"""Choose a recorded session and show it: the live page's panels, filled by a player on the server."""

import logging
from pathlib import Path

import msgspec
import streamlit as st

from engine import desk
from engine.nouns import counted
from engine.run import table_text
from engine.run.replay import host as replay_host
from engine.run.replay import listing as replay_list
from engine.run.replay.listing import Listed
from pages import component
from pages.server import base_path
from pages.widgets import plain, tables

log = logging.getLogger("engine.console")

CHOICE = "replay-session"
FRESH_S = 15.0
"""How long the list of sessions is kept: a look into each file costs a millisecond."""


def shown() -> bool:
    """Show the choice of a session and its replay; return whether there is one."""
    counter = desk.current()
    if counter is None:
        return False
    known = {one.session: one for one in _sessions(str(counter.settings.data_dir))}
    chosen = _chosen(known)
    if chosen is None:
        return False
    try:
        replay_host.build_in_background(replay_list.source_of(counter.settings.data_dir, chosen.session))
    except OSError as error:
        log.warning("no index is built", extra={"reason": str(error)})
    body = {
        "session": chosen.session,
        "label": chosen.name or chosen.session,
        "url": f"{base_path()}/replay-player",
        "first_ms": chosen.first_ms,
        "t_ms": _moment(chosen) or chosen.opening_ms,
    }
    component.replay(msgspec.json.encode(body))
    return True


@st.cache_data(ttl=FRESH_S, show_spinner=False)
def _sessions(folder: str) -> list[Listed]:
    return replay_list.sessions(Path(folder))


def _chosen(known: dict[str, Listed]) -> Listed | None:
    """Return the session that is chosen, or that the address names; None, with a sentence, without one."""
    playable = [one.session for one in known.values() if not one.problem]
    asked = tables.asked("session")
    if asked and asked not in playable:
        why = known[asked].problem if asked in known else "there is no such session here"
        st.warning(f"Session {plain.marked_down(asked)} cannot be replayed: {plain.marked_down(why)}.")
    if not playable:
        st.info("There is no recorded session yet. The engine records one from its start on.")
        return None
    if CHOICE not in st.session_state or st.session_state[CHOICE] not in playable:
        st.session_state[CHOICE] = asked if asked in playable else playable[0]
    session = st.selectbox(
        "Session", playable, key=CHOICE, format_func=lambda name: _named(known[name]), on_change=_left,
        help="newest first; a session that runs can be replayed up to when it was opened here",
    )  # fmt: skip
    return known[session]


def _left() -> None:
    """Forget the moment of the session before."""
    st.query_params.pop("t", None)
    st.query_params["session"] = st.session_state[CHOICE]


def _named(one: Listed) -> str:
    if not one.events:
        return f"{one.session} · {one.note}"
    words = [one.name or one.session, f"{plain.utc(one.first_ms)} – {plain.utc(one.last_ms)}"]
    if one.own_clock:
        words.append("on practice's clock")
    words.append(counted(one.events, "event"))
    return " · ".join([*words, one.note] if one.note else words)


def _moment(chosen: Listed) -> int | None:
    """Return the moment that the address names, if any; a bad one is a sentence."""
    if tables.asked("session") != chosen.session:
        return None
    word = tables.asked("t")
    if not word:
        return None
    at_ms = table_text.moment_of(word)
    if at_ms is None:
        st.warning(f"{plain.marked_down(word)} is not a time: write it as 2026-08-20T14:30:05Z.")
        return None
    if chosen.events and not chosen.first_ms <= at_ms <= chosen.last_ms:
        st.warning(f"The session was not running at {plain.utc(at_ms)}; its nearest end is shown.")
    return at_ms
