"""May it trade, by which numbers, and who said so?"""

import streamlit as st

from engine import desk
from pages.widgets import access, kill, mode, params, tables

st.header("Mode", anchor=False)
st.caption("May it trade, by which numbers, and who said so? Each act is a line of the audit trail.")
kill.control_on_narrow_screens()
tables.standing()
mode.leave()
left, right = st.columns(2)
with left:
    mode.pausing()
    mode.tightening()
with right:
    mode.exiting()
    mode.killing()
counter = desk.current()
if counter is not None:
    params.changed_elsewhere(params.in_force(counter)[0])
params.form()
mode.arming()
access.sharing()
mode.trail()
