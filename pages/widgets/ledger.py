"""The ledger's books: profit, equity, holdings, and whether all of it agrees with others' books."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go
import streamlit as st

from engine import desk
from engine.nouns import counted
from engine.run import table_text
from engine.run.books_paths import journal_of, ledger_of
from engine.run.ledger import view
from engine.run.ledger.read import Part
from engine.run.ledger.view import EQUITY_SHOWN, Lines
from engine.snapshot import Snapshot
from pages import access
from pages.widgets import plain, stream, tables
from pages.widgets.ledger_columns import HONESTY, MATCH, columns

REFRESH_S: Final = 5.0
"""A chart is mounted anew when its data change, and a trade comes a few times an hour."""
LINE: Final = {"color": "#2f8fd0", "width": 2.5, "shape": "hv"}
WON: Final = "#2f8fd0"
LOST: Final = "#c27400"

Read = Callable[[Path, Part], Lines]
READERS: Final[dict[str, Read]] = {
    "By contract": view.by_contract,
    "By hour": view.by_hour,
    "By day": view.by_day,
    "Equity": view.equity,
    "Positions": view.positions,
    "Fills": view.fills,
    "Orders": view.orders,
}
REALISED: Final = "dollars, after fees; what a sale earned counts once its window has settled"
BOOKS: Final = (*READERS, HONESTY, MATCH)
NOTHING: Final = {
    "Positions": "Nothing is held: every contract of ours has settled.",
    "Orders": "No order has been sent yet.",
    "Fills": "No order has filled yet.",
}


@access.fragment(REFRESH_S)
def shown() -> None:
    """Show the chosen book."""
    counter, snapshot = desk.current(), stream.newest_snapshot()
    if counter is None or snapshot is None:
        return
    path = ledger_of(counter.settings)
    _totals(path)
    first = tables.asked("book", BOOKS) or BOOKS[0]
    key = tables.begin("l-book", first)
    book = st.segmented_control("Book", BOOKS, key=key, required=True, label_visibility="collapsed")
    book = book if book in BOOKS else BOOKS[0]
    tables.keep(book=book)
    if book == HONESTY:
        _honesty(snapshot)
    elif book == MATCH:
        _match(counter, snapshot)
    else:
        _book(book, path)


def _totals(path: Path) -> None:
    told = view.totals(path)
    realised, held = told["realised"], told["at_cost"]
    places = st.columns(4)
    places[0].metric("Realised", "–" if realised is None else f"{realised:+z,.2f}", help=REALISED)
    places[1].metric("Settled", _whole(told["settled"]), help="contracts that we traded")
    places[2].metric("Held", _whole(told["held"]), help="positions of contracts that did not settle")
    at_stake = "–" if held is None else f"{held:,.2f}"
    paid = "dollars paid for what is held, with fees, less what sales of it brought"
    places[3].metric("At stake", at_stake, help=paid)


def _whole(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _book(book: str, path: Path) -> None:
    read, name = READERS[book], book.lower().replace(" ", "-")
    first = read(path, Part(1))
    if first.problem:
        st.warning(f"The ledger cannot be shown: {plain.marked_down(first.problem)}.")
        return
    if not first.total:
        st.info(NOTHING.get(book, "No contract of ours has settled yet: this book starts with the first."))
        return
    if book == "Equity":
        st.plotly_chart(curve(read(path, Part(EQUITY_SHOWN)).rows), key="equity-curve", config=PLAIN,
            alt="Profit so far: the sum of realised profit after each settlement")  # fmt: skip
        newest = min(first.total, EQUITY_SHOWN)
        st.caption(f"The newest {newest:,} of {counted(first.total, 'settlement')}.")
    if book in ("By hour", "By day"):
        st.plotly_chart(bars(read(path, view.page_part(1)).rows), key=f"bars-{name}", config=PLAIN,
            alt=f"Profit {book.lower()}")  # fmt: skip
    pages = view.pages_of(first.total)
    page = 1
    if pages > 1:
        asked = tables.asked_number("page", pages) or 1
        key = tables.begin(f"l-page-{name}", asked)
        st.session_state[key] = min(max(1, st.session_state[key]), pages)
        page = st.number_input(f"Page of {pages:,}", 1, pages, key=key, width=200)
        tables.keep(page=str(page) if page > 1 else "")
    else:
        tables.keep(page="")
    tables.shown(read(path, view.page_part(page)).rows, columns()[book], key=f"ledger-{name}")
    st.caption(f"{counted(first.total, 'row')}, newest first.")
    _export(read, path, f"ledger-{name}", view.export_label(first.total))


def _export(read: Read, path: Path, name: str, label: str) -> None:
    """Offer the book as a file; why there is none stays until the next try, for the page is drawn anew."""
    key = f"not-made-{name}"

    def rows() -> tuple[Mapping[str, Any], ...]:
        st.session_state.pop(key, None)
        return view.every(read, path)

    try:
        tables.export(rows, name, label)
    except view.ExportError as error:
        st.session_state[key] = str(error)
    if key in st.session_state:
        st.error(f"No CSV was made: {plain.marked_down(st.session_state[key])}. Try again.")


def curve(rows: tuple[Mapping[str, Any], ...]) -> go.Figure:
    """Draw the running sum of realised profit, as steps."""
    times = [table_text.time_of(row["settled_ms"]) for row in reversed(rows)]
    values = [row["equity"] for row in reversed(rows)]
    drawn = go.Figure(
        go.Scatter(x=times, y=values, mode="lines+markers", line=LINE, hovertemplate="%{y:+,.2f} USD")
    )
    drawn.update_yaxes(rangemode="tozero")
    return _laid_out(drawn, "profit so far, dollars")


def bars(rows: tuple[Mapping[str, Any], ...]) -> go.Figure:
    """Draw profit by period; a loss is another colour, hatched, and below the line."""
    lost = [row["profit"] is not None and row["profit"] < 0 for row in reversed(rows)]
    marker = {
        "color": [LOST if one else WON for one in lost],
        "pattern": {"shape": ["/" if one else "" for one in lost]},
    }
    drawn = go.Figure(
        go.Bar(
            x=[row["period"] for row in reversed(rows)],
            y=[row["profit"] for row in reversed(rows)],
            marker=marker,
            hovertemplate="%{x}: %{y:+,.2f} USD<extra></extra>",
        )
    )
    return _laid_out(drawn, "profit, dollars")


def _laid_out(drawn: go.Figure, title: str) -> go.Figure:
    drawn.update_yaxes(title_text=title, tickformat=",.2f", zeroline=True)
    drawn.update_xaxes(nticks=8)
    drawn.update_layout(height=300, margin={"l": 8, "r": 8, "t": 16, "b": 8}, showlegend=False)
    return drawn


PLAIN: Final = {"displayModeBar": False}


def _honesty(snapshot: Snapshot) -> None:
    st.markdown(plain.marked_down(view.honesty_words(snapshot)))
    lines = view.honesty(snapshot)
    if lines.rows:
        tables.shown(lines.rows, columns()[HONESTY], key="ledger-honesty")
        tables.export(lambda: lines.rows, "paper-honesty")
    st.caption("Three assumptions about what a paper order would have met; the second is booked.")


def _match(counter: desk.Desk, snapshot: Snapshot) -> None:
    journal = journal_of(counter.settings, snapshot.session)
    told = view.three_way(snapshot, ledger_of(counter.settings), journal)
    words = plain.marked_down(told.words)
    if told.state == "differs":
        st.error(f"**Differs**: {words}")
    elif told.state == "agrees":
        st.success(f"**Agrees**: {words}")
    else:
        st.info(words)
    if told.rows:
        tables.shown(told.rows, columns()[MATCH], key="ledger-match")
        tables.export(lambda: told.rows, "three-way-match")
