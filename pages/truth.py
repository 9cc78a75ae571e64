"""Settlement truth: does the engine price the contract that settles?"""

import streamlit as st

from pages.widgets import formula, kill, rules, tables, truth

st.header("Settlement truth", anchor=False)
st.caption("Does the engine price the contract that settles? Times are UTC.")
kill.control_on_narrow_screens()
tables.standing()
truth.verdicts()
tables.stops()
formula.compared()
formula.course()
rules.shown()
