"""Handover: what happened since you left?"""

import streamlit as st

from pages.widgets import handover, kill, tables

st.header("Handover", anchor=False)
st.caption("What happened since you left? Times are UTC.")
kill.control_on_narrow_screens()
tables.standing()
tables.stops()
handover.shown()
