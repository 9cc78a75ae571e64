"""What is in force, and where does it come from?"""

import streamlit as st

from pages.widgets import kill, settings, tables

st.header("Settings", anchor=False)
st.caption("What is in force, and where does it come from? Secrets are shown as set or not set, never more.")
kill.control_on_narrow_screens()
tables.standing()
settings.effective()
