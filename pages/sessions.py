"""Sessions: what was recorded, and can it be proved?"""

import streamlit as st

from pages.widgets import kill, sessions, tables

st.header("Sessions", anchor=False)
st.caption("What was recorded, and can it be proved? Times are UTC; a size counts all that deleting removes.")
kill.control_on_narrow_screens()
tables.standing()
sessions.listed()
sessions.chosen()
