"""Calibration: does the engine's probability beat the market's own price?"""

import streamlit as st

from pages.widgets import calibration, kill

st.header("Calibration", anchor=False)
st.caption("Does p_hat beat the market's own price, and is a claimed edge there when it is paid out?")
kill.control_on_narrow_screens()
calibration.form()
calibration.progress()
calibration.shown()
