"""How is the machine?"""

import streamlit as st

from pages.widgets import health, kill, tables

st.header("Health", anchor=False)
st.caption("How is the machine that decides?")
kill.control_on_narrow_screens()
tables.standing()
health.engine()
health.feeds()
health.process()
health.proof()
health.alarms()
health.doctor()
