"""Sweep: which parameters would have earned, on windows they were not chosen on?"""

import streamlit as st

from pages.widgets import kill, sweep

st.header("Parameter sweep", anchor=False)
st.caption(
    "Which parameters would have earned, out of sample, after fees and latency, and after misses where you "
    "say how many? An estimate: nothing here changes the engine."
)
kill.control_on_narrow_screens()
sweep.form()
sweep.running()
sweep.found()
