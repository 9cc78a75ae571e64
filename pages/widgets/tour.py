"""The first minute: a line that says this is practice, and a short tour of the screen.

It stands at the bottom of the live page until somebody ends it, and the page shows what it speaks of
(``assets/tour.js``); ``?tour=off`` in the address keeps it away, ``?tour=1`` opens it at a step.
"""

from itertools import pairwise
from typing import Final

import streamlit as st

from engine import desk
from pages import access
from pages.widgets import tables

STEP: Final = "tour"
AGAIN: Final = "tour-again"
OFF: Final = "off"

STEPS: Final = (
    "**The status bar**: what the engine is, what it earned, and whether its feeds can be trusted. "
    "Each chip says its state in a word.",
    "**The two cards**: the 5m and the 15m window. Countdown, strike, the engine's probability, and how "
    "much of "
    "the settlement is already fixed.",
    "**The gates**: each condition of a trade with what was seen and what is required. The first that "
    "fails is "
    "why nothing is bought.",
    "**Within two minutes** you see a window refused (its strike was never heard), a trade that settles, "
    "and a "
    "gap in the feed with the engine standing still through it.",
    "**KILL** is beside every page and asks no question. Clearing it takes a phrase and a reason.",
    "**More**: Decisions says why, Ledger what it earned, Drills lets you break the venue, Help explains "
    "each word.",
)


NAMES: Final = ("0", "1", "2", "3", "4", "5", "6")
"""What the address says of a step; 0 is the banner alone."""
NEXT: Final = dict(pairwise(NAMES))


def shown() -> None:
    """Show the banner and the tour's step at the bottom of the live page, in practice, until it is ended."""
    counter = desk.current()
    if counter is None or counter.settings.is_external or _step() == OFF:
        return
    with st.bottom:
        step()


@access.fragment()
def step() -> None:
    """Show one step."""
    now = _step()
    if now == OFF:
        return
    # One row where it fits: a low bar leaves the screen to what it explains.
    with st.container(horizontal=True, vertical_alignment="center"):
        if now == NAMES[0]:
            st.caption("Practice venue: a simulated market on this machine. Its profit proves nothing.")
        else:
            st.caption(f"{now}/{NAMES[-1]} · {dict(zip(NAMES[1:], STEPS, strict=True))[now]}")
        with st.container(horizontal=True, width="content"):
            if now in NEXT:
                label = "Take the tour" if now == NAMES[0] else "Next"
                st.button(label, key="tour-next", shortcut="Right", on_click=_go, args=(NEXT[now],))
            label = "Hide" if now == NAMES[0] else "End the tour"
            st.button(label, key="tour-end", shortcut="Esc", on_click=_go, args=(OFF,))


def again() -> None:
    """Offer the tour once more, on the page of help."""
    counter = desk.current()
    if counter is not None and not counter.settings.is_external:
        st.session_state[AGAIN] = True
        st.page_link("live.py", label="Take the tour of the live page", query_params={"tour": "1"})


def _step() -> str:
    """Return the session's step; the address gives the first one, and the one that the page of help asks for.

    Not more often: a run that was under way when a button was pressed brings the address of before.
    """
    asked = tables.asked("tour", (OFF, *NAMES))
    if st.session_state.pop(AGAIN, False) and asked:
        st.session_state[STEP] = asked
    return str(st.session_state[tables.begin(STEP, asked or NAMES[0])])


def _go(step_: str) -> None:
    st.session_state[STEP] = step_
    tables.keep(tour=step_)
