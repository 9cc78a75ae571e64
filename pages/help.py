"""What does this word, colour or key mean?"""

import streamlit as st

from pages.widgets import help as words
from pages.widgets import kill, tables, tour

st.header("Help", anchor=False)
st.caption("What does this word, state, colour or key mean?")
kill.control_on_narrow_screens()
tables.standing()
tour.again()
words.words()
