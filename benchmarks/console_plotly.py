"""The usual way to a live chart, as a baseline: a fragment that gives Streamlit a new Plotly figure."""

import plotly.graph_objects as go
import streamlit as st

from engine import desk

REFRESH_S = 0.5


@st.fragment(run_every=REFRESH_S)
def chart() -> None:
    """Draw three prices of the last seconds; the title says which snapshot it is."""
    counter = desk.current()
    delta = counter.history.since(0) if counter else None
    if delta is None:
        return
    points = [tick.point for tick in delta.ticks[-600:]]
    figure = go.Figure(layout={"title": {"text": str(delta.snapshot.version)}})
    for name in ("twap", "chainlink", "spot"):
        figure.add_scatter(
            x=[point.t_s for point in points], y=[getattr(point, name) for point in points], name=name
        )
    st.plotly_chart(figure, key="chart")


chart()
