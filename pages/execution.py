"""Execution: how do our orders fare on their way?"""

import streamlit as st

from pages.widgets import execution, kill, tables

st.header("Execution", anchor=False)
st.caption("How do our orders fare on their way? Times are UTC, latencies are wall milliseconds.")
kill.control_on_narrow_screens()
tables.standing()
tables.stops()
execution.shown()
