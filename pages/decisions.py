"""Decisions: what did the engine decide, and why?"""

import streamlit as st

from pages.widgets import decisions, kill, tables

st.header("Decisions", anchor=False)
st.caption("What did the engine decide, and why? Times are UTC, on the engine's clock.")
kill.control_on_narrow_screens()
tables.standing()
tables.stops()
decisions.shown()
