"""The kill control that every page carries, and the form that clears it."""

from typing import Final

import streamlit as st

from engine import desk
from pages import component
from pages.component import message
from pages.server import base_path

PHRASE: Final = "clear-phrase"
REASON: Final = "clear-reason"
PROBLEM: Final = "clear-problem"
REFRESH_S: Final = 1.0
"""Beside the live panels the control follows their frames; alone it is this old at most."""


def who_asks() -> str:
    """Name the operator as well as this server can: the signed-in user, else the address."""
    user = st.user.get("email") or st.user.get("name")
    return str(user or f"console at {st.context.ip_address or 'this machine'}")


@st.fragment(run_every=REFRESH_S)
def control() -> None:
    """Show the mode and the kill button; while the switch is latched, the form that clears it."""
    counter = desk.current()
    if counter is None:
        st.error("The engine was stopped together with its server.")
        return
    _button(counter, narrow=False)
    if counter.host.kill.is_tripped():
        _clear_form()


@st.fragment(run_every=REFRESH_S)
def control_on_narrow_screens() -> None:
    """Show mode and button on the page itself where the sidebar is folded away; wide screens hide it."""
    counter = desk.current()
    if counter is not None:
        _button(counter, narrow=True)


def _button(counter: desk.Desk, narrow: bool) -> None:
    mode = counter.latest.mode if counter.latest else None
    state = message.kill_state(mode, counter.health(), counter.settings, f"{base_path()}/kill")
    component.kill_control(state, on_kill=trip, narrow=narrow)


def _clear_form() -> None:
    with st.form("clear-kill"):
        st.markdown("**Clear the kill switch**")
        st.caption("The engine starts flat: no order comes back.")
        st.text_input(f"Type {desk.CLEAR_PHRASE}", key=PHRASE, autocomplete="off")
        st.text_input("Reason", key=REASON, autocomplete="off")
        st.form_submit_button("Clear", width="stretch", on_click=_clear)
    problem = st.session_state.get(PROBLEM)
    if problem:
        st.error(problem)


def _clear() -> None:
    """Act before the next picture is drawn, so that the form goes with the latch."""
    counter = desk.current()
    if counter is None:
        return
    problem = counter.clear(st.session_state[PHRASE], who_asks(), st.session_state[REASON])
    st.session_state[PROBLEM] = problem
    if problem is None:
        st.session_state[PHRASE] = st.session_state[REASON] = ""


def trip() -> None:
    """Trip the switch through the session, for a button that could not reach the kill route."""
    counter = desk.current()
    if counter is not None:
        counter.trip(who_asks(), "kill button")
