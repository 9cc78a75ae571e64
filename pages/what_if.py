"""What if? What would other numbers have done, and why was nothing traded?"""

import streamlit as st

from pages.widgets import kill, tables, what_if, why_no_trade

st.header("What if", anchor=False)
st.caption(
    "What would other numbers have done, and why was nothing traded? An estimate over recorded market data: "
    "fills are simulated, and nothing here changes how the engine trades."
)
kill.control_on_narrow_screens()
tables.standing()
tables.stops()
what_if.shown()
why_no_trade.shown()
