"""Whether "Exit all" asks once more: for a minute, and on the page where it was pressed.

A module of its own because the frame of every page forgets the question, and need not load the page for it.
"""

from typing import Final

import streamlit as st

ASKED_S: Final = 60.0
"""How long "SELL" stands where "Exit all" did: who comes back later begins with the question."""


@st.cache_resource(scope="session", ttl=ASKED_S, show_spinner=False)
def _note() -> dict[str, bool]:
    """Return this session's note; Streamlit drops it after its time."""
    return {"asked": False}


def asked() -> bool:
    """Say whether the question stands."""
    return _note()["asked"]


def ask() -> None:
    """Put the question, for a minute from now."""
    forget()
    _note()["asked"] = True


def forget() -> None:
    """Take the question back."""
    _note.clear()
