"""Ledger: what did trading earn, and do the books agree?"""

import streamlit as st

from pages.widgets import kill, ledger, tables

st.header("Ledger", anchor=False)
st.caption("What did trading earn, and do the books agree? Times are UTC.")
kill.control_on_narrow_screens()
tables.standing()
tables.stops()
ledger.shown()
