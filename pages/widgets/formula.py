"""The engine's probability beside the spot formula that most bots use: now, and over the last minutes."""

from itertools import dropwhile
from typing import Any, Final

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from engine import desk
from engine.desk import Tick
from engine.snapshot import ContractView
from pages import access
from pages.widgets import plain, stream, tables

REFRESH_S: Final = 2.0
COURSE_S: Final = 5.0
"""The chart is mounted anew when its data change (measured, Streamlit 1.67), so they change less often."""
SECONDS_SHOWN: Final = 600

ENGINE: Final = {"color": "#2f8fd0", "width": 2.5}
SPOT_FORMULA: Final = {"color": "#c27400", "width": 1.8, "dash": "dot"}
"""Blue and orange of the live page, in tones that both themes can carry; dots repeat what the colour says."""

WORDS: Final = (
    "The spot formula asks whether BTC will be above the strike in the last second; the contract asks for an "
    "average. The two part in the last minute, when the average is mostly fixed."
)


@access.fragment(REFRESH_S)
def compared() -> None:
    """Show both probabilities of each open contract, and how far apart they are."""
    snapshot = stream.newest_snapshot()
    if snapshot is None:
        return
    st.subheader("The engine and the spot formula", anchor=False)
    st.caption(WORDS)
    contracts = plain.running(snapshot.contracts)
    if contracts:
        rows = [_row(contract) for contract in contracts]
        tables.grid(rows, COLUMNS, "formula")
        blank = [row["window"] for row in rows if row["p_up"] is None and row["p_seed"] is None]
        if blank:
            st.caption(f"Empty: {', '.join(blank)}. Without a known strike neither formula says anything.")
    else:
        st.info("Waiting for a window to begin: both formulas start with its strike.")


def _row(contract: ContractView) -> dict[str, Any]:
    apart = contract.p_difference
    return {
        "window": plain.window(contract),
        "p_up": plain.chance(contract.p_up),
        "p_seed": plain.chance(contract.p_seed),
        "apart": None if apart is None else f"{apart:+z.2%}",
        "z": contract.z,
        "z_seed": contract.z_seed,
    }


COLUMNS: Final[dict[str, Any]] = {
    "window": st.column_config.TextColumn("window"),
    "p_up": st.column_config.TextColumn("engine p(Up)", alignment="right"),
    "p_seed": st.column_config.TextColumn("spot formula p(Up)", alignment="right"),
    "apart": st.column_config.TextColumn("difference", alignment="right", help="engine less spot formula"),
    "z": st.column_config.NumberColumn("engine z", format="%+.2f"),
    "z_seed": st.column_config.NumberColumn("spot formula z", format="%+.2f"),
}


@access.fragment(COURSE_S)
def course() -> None:
    """Draw both probabilities of each open contract over the last minutes, from the desk's history."""
    counter, snapshot = desk.current(), stream.newest_snapshot()
    if counter is None or snapshot is None:
        return
    whole, contracts = counter.history.since(0), plain.running(snapshot.contracts)
    recent = whole.ticks[-SECONDS_SHOWN:] if whole else []
    ticks = list(dropwhile(lambda tick: not any(_known(tick, one.slug) for one in contracts), recent))
    if ticks:
        drawn = figure(ticks, contracts)
        words = "p(Up) over the last minutes, by the engine and by the spot formula"
        st.plotly_chart(drawn, key="course", config={"displayModeBar": False}, alt=words)
    else:
        st.info("Waiting for a strike: the curves start with it.")


def figure(ticks: list[Tick], contracts: list[ContractView]) -> go.Figure:
    """Draw a panel for each contract; a second without a value breaks the line."""
    heard = {one.slug for one in contracts if any(_known(tick, one.slug) for tick in ticks)}
    titles = [
        plain.window(one) if one.slug in heard else f"{plain.window(one)}: no strike is known"
        for one in contracts
    ]
    made = make_subplots(rows=len(titles), shared_xaxes=True, vertical_spacing=0.12, subplot_titles=titles)
    times = [plain.instant(tick.point.t_s) for tick in ticks]
    for row, contract in enumerate(contracts, start=1):
        for name, key, line in (("engine", "p_up", ENGINE), ("spot formula", "p_seed", SPOT_FORMULA)):
            values = [tick.point.contracts.get(contract.slug, {}).get(key) for tick in ticks]
            curve = go.Scatter(
                x=times, y=values, name=name, mode="lines", line=line, legendgroup=name, showlegend=row == 1,
                hovertemplate="%{y:.2%}",
            )  # fmt: skip
            made.add_trace(curve, row=row, col=1)
    made.update_yaxes(range=[-0.02, 1.02], tickformat=".0%", title_text="p(Up)")
    made.update_xaxes(tickformat="%H:%M:%S", nticks=6)
    made.update_layout(
        height=460,
        hovermode="x unified",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.1, "x": 0},
        margin={"l": 8, "r": 8, "t": 76, "b": 8},
    )
    return made


def _known(tick: Tick, slug: str) -> bool:
    values = tick.point.contracts.get(slug, {})
    return values.get("p_up") is not None or values.get("p_seed") is not None
