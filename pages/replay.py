"""Replay: what exactly happened at that moment, and why?"""

import streamlit as st

from pages.widgets import kill, replay

st.header("Replay", anchor=False)
st.caption("What exactly happened at that moment? Any recorded session, played by the engine's own core.")
if not replay.shown():  # the panels bring a kill button of their own
    kill.control_on_narrow_screens()
