"""The live panels' supply: drain the session's queue, send the browser what it lacks.

The browser gets its frames pushed (``pages.server_push``) and asks this fragment five times a second only
where that socket cannot be reached; by itself the fragment runs so rarely that it costs next to nothing.
"""

import uuid
from typing import Any, Final

import streamlit as st

from engine import desk
from engine.snapshot import Snapshot
from pages import access, component
from pages.component import message
from pages.server import base_path
from pages.widgets import kill

REFRESH_S: Final = 60.0
"""How often a tab is served unasked, so that one that hears nothing keeps its queue (``IDLE_LIMIT_S``)."""
OVERLAP: Final = 10
"""Frames that the next covers again: the browser may skip one when it is busy, and merges by version."""
STATE: Final = "live"


def _release(queue: desk.SessionQueue) -> None:
    counter = desk.current()
    if counter is not None:
        counter.hub.unsubscribe(queue)


@st.cache_resource(scope="session", show_spinner=False, on_release=_release)
def session_queue() -> desk.SessionQueue:
    """Return this session's queue; Streamlit releases it when the tab closes."""
    counter = desk.current()
    assert counter is not None, "frame.py shows no page without a desk"
    return counter.hub.subscribe(uuid.uuid4().hex)


def next_frame(counter: desk.Desk, queue: desk.SessionQueue, state: dict[str, Any]) -> bytes:
    """Encode what the tab lacks.

    Args:
        counter: The desk.
        queue: The session's queue.
        state: The session's own notes, changed in place: ``queue`` whose snapshots it has seen, ``snapshot``
            the newest of them, ``sent`` the versions of the last frames.
    Returns:
        A frame. Whole on the first call, and when the queue is a new one or the browser asked. What the queue
        dropped is in the history, which the frame is filled from by version.
    """
    drained = queue.drain()
    if state.get("queue") != queue.session_id:
        state.update(queue=queue.session_id, sent=[])
    sent: list[int] = state["sent"]
    delta = counter.history.since(sent[0] if sent else 0)
    if delta is not None and (drained or not sent):
        state["snapshot"] = drained[-1] if drained else delta.snapshot
        state["sent"] = [*sent, state["snapshot"].version][-OVERLAP:]
    kill_url = f"{base_path()}/kill"
    return message.frame(delta, counter.health(), counter.settings, kill_url, queue.session_id)


@access.fragment(REFRESH_S)
def live_panels() -> None:
    """Serve the live component: unasked rarely, and whenever the browser asks."""
    counter = desk.current()
    if counter is None:
        st.error("The engine was stopped together with its server.")
        return
    state = st.session_state.setdefault(STATE, {})
    component.live(next_frame(counter, _fed_queue(counter), state), on_resync=_start_over, on_kill=kill.trip)


def newest_snapshot() -> Snapshot | None:
    """Return the newest snapshot, for a page without live panels; None before the first.

    Where the desk has none yet, for its engine was started anew, it is the last that this session saw.

    The next frame of the live page is whole again: its panels went with the page.
    """
    counter = desk.current()
    if counter is None:
        return None
    _fed_queue(counter).drain()
    state = st.session_state.setdefault(STATE, {})
    # The desk knows each snapshot before any queue has it; what was kept here is of before a break.
    snapshot: Snapshot | None = counter.latest or state.get("snapshot")
    state.update(snapshot=snapshot, sent=[])
    return snapshot


def _fed_queue(counter: desk.Desk) -> desk.SessionQueue:
    """Return the session's queue, a new one where the desk no longer feeds it."""
    if session_queue() not in counter.hub:
        session_queue.clear()
    return session_queue()


def _start_over() -> None:
    st.session_state[STATE] = {}
