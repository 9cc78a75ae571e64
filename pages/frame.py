"""The frame round every page: page settings, then the navigation, first and unconditionally.

Streamlit falls back to listing, and serving, the files of a ``pages`` folder as soon as a run ends before
``st.navigation``; a gate in front of it could be walked round by URL (measured). So nothing comes before it.
"""

from pathlib import Path
from typing import Literal

import streamlit as st

HERE = Path(__file__).parent
ICON = HERE.joinpath("component", "assets", "icon.png")

LISTED = {
    "Now": [("live.py", "Live"), ("panic.py", "Panic"), ("mode.py", "Mode"), ("health.py", "Health")],
    "What happened": [
        ("decisions.py", "Decisions"),
        ("execution.py", "Execution"),
        ("ledger.py", "Ledger"),
        ("truth.py", "Settlement truth"),
        ("replay.py", "Replay"),
        ("sessions.py", "Sessions"),
        ("handover.py", "Handover"),
    ],
    "What could be": [("what_if.py", "What if"), ("sweep.py", "Sweep"), ("calibration.py", "Calibration")],
    "Around": [("drills.py", "Drills"), ("settings.py", "Settings"), ("help.py", "Help")],
}

# The width goes out in a session's first run only: sent in every run, it made the browser drop the lock at
# every other change of page, and the kill control could be folded away (measured, Streamlit 1.67).
sidebar: Literal["locked"] | int = "locked" if "framed" in st.session_state else 220
st.set_page_config(
    page_title="BTC Up or Down", page_icon=str(ICON), layout="wide", initial_sidebar_state=sidebar
)
st.set_page_config(initial_sidebar_state="locked")
# A console that was copied without one of its pages still opens, and still has its kill control.
pages = {
    section: [
        st.Page(name, title=title, default=name == "live.py")
        for name, title in listed
        if HERE.joinpath(name).is_file()
    ]
    for section, listed in LISTED.items()
}
page = st.navigation(pages, expanded=True)
st.session_state["framed"] = True

from engine import desk  # noqa: E402  (the navigation is first: see above)
from pages import access, component  # noqa: E402
from pages.widgets import access as who  # noqa: E402
from pages.widgets import kill, once_more, tour  # noqa: E402

if desk.current() is None:
    st.error(
        "The engine is not running in this process. Start the console with `streamlit run dashboard.py`."
    )
    st.stop()

if st.session_state.get(who.PAGE) != page.url_path:
    once_more.forget()
st.session_state[who.PAGE] = page.url_path
if not access.may_look():
    who.gate()
    st.stop()

component.loader()
# Streamlit writes what is chosen in the theme's first colour, which under white words has to be dark.
st.html("<style>button[data-variant][data-selected]{color:inherit !important}</style>")
with st.sidebar, st.container(gap="xsmall"):
    kill.control("" if page.url_path == "" else page.title)
    with st.container(gap=None):
        who.corner()
who.greyed(page.url_path)
page.run()
if page.url_path == "":
    tour.shown()
