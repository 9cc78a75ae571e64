"""How orders fared on their way: latency, outcomes, rejections, markouts, fills against displayed quotes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go
import streamlit as st

from engine import desk
from engine.nouns import counted
from engine.run import execution_view as view
from engine.run import table_text
from engine.run.books_paths import journal_of
from engine.snapshot import Snapshot
from pages import access
from pages.widgets import plain, stream, tables

REFRESH_S: Final = 5.0
PLAIN: Final = {"displayModeBar": False}
TONES: Final = {
    "filled": ("#2f8fd0", ""),
    "partial": ("#7fb8e0", "."),
    "killed": ("#8a8f98", ""),
    "rejected": ("#c27400", "/"),
    "denied": ("#e0b25c", "\\"),
    "failed": ("#b0413e", "x"),
    "unknown": ("#7d5ba6", "+"),
    "under way": ("#5f9e6e", "-"),
}
"""Tone and hatching of each outcome: the hatching says it without the tone."""
FEW = 8
"""So many orders an hour, at most, are marked one by one on the axis."""


@access.fragment(REFRESH_S)
def shown() -> None:
    """Show everything about the session's newest orders."""
    counter, snapshot = desk.current(), stream.newest_snapshot()
    if counter is None or snapshot is None:
        return
    _counts(snapshot)
    if not snapshot.orders:
        st.info("No order has been sent in this session: the figures start with the first.")
        return
    st.caption(f"Figures are of this session's newest orders: {counted(len(snapshot.orders), 'order')}.")
    _latency(snapshot)
    _outcomes(snapshot)
    _rejections(counter, snapshot)
    _markouts(snapshot)
    _against_quotes(counter, snapshot)


def _counts(snapshot: Snapshot) -> None:
    account = snapshot.account
    places = st.columns(4)
    places[0].metric("In flight", f"{account.in_flight:,}", help="orders whose end is not known yet")
    places[1].metric("Unknown", f"{account.unknown:,}", help="orders that nobody knows the fate of")
    places[2].metric("Ghost fills", f"{account.ghost_fills:,}", help="matches that failed afterwards; undone")
    places[3].metric("Alarms", f"{len(account.alarms):,}", help="what needs an operator")
    if account.unknown:
        st.warning("**Unknown orders**: their windows are left alone until the venue's word is found.")
    if account.ghost_fills:
        st.warning("**Ghost fills**: look at the account's approvals and its balance.")
    for name, why in account.alarms.items():
        st.error(f"**{plain.marked_down(name)}**: {plain.marked_down(why)}")


def _latency(snapshot: Snapshot) -> None:
    st.subheader("Latency", anchor=False)
    rows = view.waterfall(snapshot.orders)
    if any(row["orders"] for row in rows):
        words = "Median time of each step of an order, one after another, milliseconds"
        st.plotly_chart(waterfall(view.cascade(rows)), key="waterfall", config=PLAIN, alt=words)
    else:
        st.info("No order has been signed or answered yet.")
    tables.shown(rows, LATENCY, key="latency")
    tables.export(lambda: rows, "latency")


def waterfall(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw each step's median from where the step before ended."""
    drawn = go.Figure(
        go.Bar(
            y=[row["step"] for row in rows], x=[row["takes"] for row in rows],
            base=[row["begins"] for row in rows], orientation="h", marker={"color": "#2f8fd0"},
            text=[f"{row['takes']:,.1f} ms" for row in rows], textposition="auto",
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )  # fmt: skip
    drawn.update_yaxes(autorange="reversed")
    drawn.update_xaxes(title_text="milliseconds, medians", rangemode="tozero")
    drawn.update_layout(height=220, margin={"l": 8, "r": 8, "t": 8, "b": 8}, showlegend=False)
    return drawn


def _outcomes(snapshot: Snapshot) -> None:
    st.subheader("Outcomes", anchor=False)
    rows = view.outcomes(snapshot.orders)
    words = "Orders by hour and outcome"
    st.plotly_chart(by_hour(rows), key="outcomes", config=PLAIN, alt=words)
    headings = {"hour_ms": tables.time("hour from"), **OUTCOMES}
    tables.shown(rows, headings, key="outcomes-table")
    tables.export(lambda: rows, "outcomes")


def by_hour(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw orders by hour, stacked by outcome."""
    drawn = go.Figure()
    hours = [f"{table_text.time_of(row['hour_ms']):%d %b %H:00}" for row in rows]
    for name, (tone, hatching) in TONES.items():
        values = [row[name] for row in rows]
        if any(values):
            marker = {"color": tone, "pattern": {"shape": hatching}}
            drawn.add_trace(go.Bar(x=hours, y=values, name=name, marker=marker))
    few = all(sum(row[name] for name in TONES) <= FEW for row in rows)
    # Half an order is none: left alone, Plotly would write some numbers twice.
    drawn.update_yaxes(title_text="orders", tickformat="d", dtick=1 if few else None)
    drawn.update_xaxes(type="category")
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0}
    margin = {"l": 8, "r": 8, "t": 40, "b": 8}
    drawn.update_layout(barmode="stack", height=260, margin=margin, legend=legend, showlegend=True)
    return drawn


def _rejections(counter: desk.Desk, snapshot: Snapshot) -> None:
    st.subheader("Rejections by code", anchor=False)
    told = view.rejections(journal_of(counter.settings, snapshot.session))
    if told.problem:
        st.info(f"The codes cannot be shown: {plain.marked_down(told.problem)}.")
    elif told.rows:
        headings = {**CODES, "last_ms": tables.time("last")}
        tables.shown(told.rows, headings, key="rejections")
        tables.export(lambda: told.rows, "rejections")
    else:
        st.success("The venue has rejected no order.")


def _markouts(snapshot: Snapshot) -> None:
    st.subheader("Markouts", anchor=False)
    st.caption(
        "What a share was worth after the fill, less what was paid. Below zero: whoever sold knew better."
    )
    rows = view.markouts(snapshot.orders)
    if any(row["orders"] for row in rows):
        words = "Mean markout with its spread at each horizon, dollars a share"
        st.plotly_chart(markout_curve(rows), key="markouts", config=PLAIN, alt=words)
    else:
        st.info("No markout yet: the first comes a second after a fill.")
    tables.shown(rows, MARKOUTS, key="markouts-table")
    tables.export(lambda: rows, "markouts")


def markout_curve(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw the mean markout at each horizon, with one standard deviation either way."""
    known = [row for row in rows if row["mean"] is not None]
    drawn = go.Figure(
        go.Scatter(
            x=[row["after"] for row in known], y=[row["mean"] for row in known], mode="lines+markers",
            line={"color": "#2f8fd0", "width": 2.5}, marker={"size": 9, "symbol": "diamond"},
            error_y={"type": "data", "array": [row["spread"] or 0.0 for row in known], "visible": True},
            text=[counted(row["orders"], "order") for row in known],
            hovertemplate="%{x}: %{y:+.4f} USD a share, %{text}<extra></extra>",
        )
    )  # fmt: skip
    drawn.update_yaxes(title_text="dollars a share", tickformat="+.3f", zeroline=True)
    drawn.update_xaxes(type="category")
    drawn.update_layout(height=260, margin={"l": 8, "r": 8, "t": 8, "b": 8}, showlegend=False)
    return drawn


def _against_quotes(counter: desk.Desk, snapshot: Snapshot) -> None:
    st.subheader("Fills against displayed quotes", anchor=False)
    told = view.against_quotes(snapshot.orders, journal_of(counter.settings, snapshot.session))
    if told.problem:
        st.info(f"The quotes cannot be shown: {plain.marked_down(told.problem)}.")
        return
    st.markdown(plain.marked_down(view.fill_words(told.rows)))
    if told.rows:
        headings = {"at_ms": tables.time("decided"), **QUOTES}
        tables.shown(told.rows, headings, key="quotes")
        tables.export(lambda: told.rows, "fills-against-quotes")


def _ms(label: str) -> Any:
    return tables.number(label, "milliseconds, wall clock", "%,.1f")


def _a_share(label: str, explanation: str) -> Any:
    return tables.number(label, f"{explanation}, dollars a share", "%+.4f")


LATENCY: Final[dict[str, Any]] = {
    "step": tables.text("step", "of an order's way"),
    "meaning": tables.text("from where to where", "docs/orders.md"),
    "orders": tables.count("orders", "orders that took this step"),
    "p50": _ms("p50"),
    "p95": _ms("p95"),
    "max": _ms("max"),
}
OUTCOMES: Final[dict[str, Any]] = {name: tables.count(name, f"orders, {name}") for name in view.OUTCOMES}
CODES: Final[dict[str, Any]] = {
    "code": tables.text("code", "docs/orders.md, Codes of a rejection"),
    "count": tables.count("orders", "orders rejected with it"),
    "words": tables.text("the venue's words", "of the last one"),
}
MARKOUTS: Final[dict[str, Any]] = {
    "after": tables.text("after", "time after the fill"),
    "orders": tables.count("orders", "fills whose markout is known"),
    "mean": _a_share("mean", "mean markout"),
    "spread": tables.number("spread", "standard deviation, dollars a share; needs two orders", "%.4f"),
    "least": _a_share("least", "lowest markout"),
    "most": _a_share("most", "highest markout"),
}
QUOTES: Final[dict[str, Any]] = {
    "contract": tables.text("contract", "the window's name"),
    "outcome": tables.text("outcome", "UP or DOWN"),
    "wanted": tables.dollars("wanted", "dollars of the order"),
    "displayed": tables.dollars("displayed", "dollars of it that the asks seen could fill"),
    "filled": tables.dollars("filled", "dollars filled, before fees"),
    "rate": tables.number("rate", "filled of displayed, 0 to 1", "%.2f"),
    "worse": _a_share("worse", "paid above the displayed average"),
    "state": tables.text("state", "how the order ended"),
}
