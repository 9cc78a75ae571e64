"""Calibration: does the engine's probability beat the middle of the market's asks?"""

import streamlit as st

from pages.widgets import calibration, kill

st.header("Calibration", anchor=False)
st.caption(
    "Does p_hat beat the middle of the market's asks, and is a claimed edge there when it is paid out?"
)
kill.control_on_narrow_screens()
calibration.form()
calibration.progress()
calibration.shown()
