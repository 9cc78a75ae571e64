"""What does the engine do when something breaks?"""

import streamlit as st

from pages.widgets import drills, kill, tables

st.header("Drills", anchor=False)
st.caption("Press a fault of the practice venue and see how the engine copes. Practice only.")
kill.control_on_narrow_screens()
tables.standing()
drills.form()
drills.progress()
