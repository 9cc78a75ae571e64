"""The kill control that every page carries, the form that clears it, and the tab's title."""

from typing import Final

import streamlit as st

from engine import desk
from engine.kill import Latch
from engine.snapshot import title_word
from pages import access, component
from pages.component import message
from pages.server import base_path
from pages.widgets import plain

PHRASE: Final = "clear-phrase"
REASON: Final = "clear-reason"
PROBLEM: Final = "clear-problem"
TITLE: Final = "title"
REFRESH_S: Final = 5.0
"""How old the control and the title are at most on a page without live panels."""
BESIDE_PANELS_S: Final = 60.0
"""Beside them it follows their frames, and is asked for when the latch changes: run every five seconds for
twenty tabs it took 3 % of a core."""


RED: Final = "#c22a18"
"""As the page's own kill button; white on it has a contrast of 5.8."""

who_asks = access.who_asks


def control(page: str = "") -> None:
    """Show the mode and the kill button; while the switch is latched, the form that clears it.

    Args:
        page: The page's name, for the tab's title; empty on the live page, whose panels write the title.
    """
    if page:
        _control_alone(page)
    else:
        _control_beside_panels()


@access.fragment(REFRESH_S)
def _control_alone(page: str) -> None:
    counter = desk.current()
    if counter is not None:
        _entitle(page, counter)
    _control(counter)


@access.fragment(BESIDE_PANELS_S)
def _control_beside_panels() -> None:
    _control(desk.current())


def _control(counter: desk.Desk | None) -> None:
    if counter is None:
        st.error("The engine was stopped together with its server.")
        return
    with st.container(gap="xxsmall"):  # the list of pages needs the room
        _button(counter, narrow=False)
        if access.kill_locked():
            st.caption(f"Your role may not trip it (KILL_BY={counter.settings.kill_by}).")
        if counter.host.kill.is_tripped() and not access.locked():
            # Folded: open, it left room for six of the seventeen pages at 900 pixels.
            with st.popover("Clear it…", width="stretch"):
                clear_form(counter)


@access.fragment(REFRESH_S)
def control_on_narrow_screens() -> None:
    """Show mode and button on the page itself where the sidebar is folded away; wide screens hide it."""
    counter = desk.current()
    if counter is not None:
        _button(counter, narrow=True)


def title(page: str, counter: desk.Desk) -> str:
    """Return a tab's title: mode and profit first, so that they are seen in a row of tabs."""
    health, snapshot = counter.health(), counter.latest
    if health.state == "elsewhere":
        word = "ELSEWHERE"
    elif not health.alive:
        word = "ENGINE DOWN"
    elif health.state == "silent":
        word = "NO DATA"
    else:
        word = title_word(snapshot, health.killed)
    profit = f" {plain.signed_dollars(snapshot.money.realised_today)}" if snapshot else ""
    return f"{word}{profit} · {page}"


def _entitle(page: str, counter: desk.Desk) -> None:
    st.set_page_config(page_title=title(page, counter))


def _button(counter: desk.Desk, narrow: bool) -> None:
    state = message.kill_state(counter.latest, counter.health(), counter.settings, f"{base_path()}/kill")
    component.kill_control(state, on_kill=trip, narrow=narrow)


def red(key: str) -> None:
    """Make a button of Streamlit's own look as what it does: red in both themes, under white words.

    Args:
        key: The button's.
    """
    one = f".st-key-{key} button"
    look = f"background:{RED};border-color:{RED};color:#fff"
    st.html(
        f"<style>{one}:enabled,{one}:enabled:hover,{one}:enabled:active,{one}:enabled:focus{{{look}}}"
        f"{one}:enabled:hover{{filter:brightness(1.12)}}</style>"
    )


def clear_form(counter: desk.Desk, place: str = "") -> None:
    """Show who tripped the switch, the form that clears it, and what was wrong with the last try.

    Another latch has another form: what was typed for the one that was looked at clears no later one.

    Args:
        counter: The desk.
        place: Tells two such forms of one page apart; the sidebar's has none.
    """
    latch = counter.host.kill.read()
    if latch is None:  # cleared between two looks
        return
    rate = counter.latest.mode.clock_rate if counter.latest else 1.0
    words = plain.marked_down(f"{latch.who} at {plain.wall(latch.since_ms, rate)}: {latch.why}")
    st.error(f"**KILLED** by {words}", width="stretch")
    if access.locked():
        st.caption("An operator can clear it.")
        return
    with st.form(f"clear-kill{place}"):
        st.markdown("**Clear the kill switch**")
        st.caption("No order comes back; what is held stays held.")
        form = _form_key(place, latch)
        st.text_input(f"Type {desk.CLEAR_PHRASE}", key=f"{PHRASE}{form}", autocomplete="off")
        st.text_input("Reason", key=f"{REASON}{form}", autocomplete="off")
        st.form_submit_button("Clear", width="stretch", on_click=_clear, args=(place, latch))
    problem = st.session_state.get(f"{PROBLEM}{place}", {}).get((latch.who, latch.why))
    if problem:
        st.error(plain.marked_down(problem))


def _form_key(place: str, latch: Latch) -> str:
    return f"{place}-{latch.since_ms}"


@access.needs_operator("to clear the kill switch")
def _clear(place: str, seen: Latch) -> None:
    """Act before the next picture is drawn, so that the form goes with the latch.

    Args:
        place: Of the form.
        seen: The latch that the form told of.
    """
    counter = desk.current()
    if counter is None:
        return
    form = _form_key(place, seen)
    phrase, reason = st.session_state[f"{PHRASE}{form}"], st.session_state[f"{REASON}{form}"]
    problem = counter.clear(phrase, who_asks(), reason, seen)
    # Said beside the kill that is in force by now, and beside no later one.
    now = counter.host.kill.read()
    st.session_state[f"{PROBLEM}{place}"] = {(now.who, now.why): problem} if now is not None else {}


@access.needs_kill_right("to trip the kill switch")
def trip() -> None:
    """Trip the switch through the session, for a button that could not reach the kill route."""
    counter = desk.current()
    if counter is not None:
        counter.trip(who_asks(), "kill button")
