"""What the pages of books share: how things stand, tables with their units and their export, the address.

A page's address may be anything: every word of it is checked here before a page believes it.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from engine import desk
from engine.run import table_text
from engine.snapshot import Snapshot
from pages import access
from pages.server import base_path
from pages.widgets import plain, stream

REFRESH_S: Final = 2.0
WORD_MOST: Final = 80
"""Characters of a word of the address that are kept; no slug, reason or time is as long."""
DIGITS_MOST: Final = 15
MIME: Final = {"csv": "text/csv", "html": "text/html", "md": "text/markdown"}
"""Type of a file, by how its name ends."""
_DECIMALS: Final = re.compile(r"%[+,]*\.(\d)f")


# --- how things stand ---------------------------------------------------------------------------------------


@access.fragment(REFRESH_S)
def standing() -> None:
    """Say mode and profit, and whether what is shown is old."""
    snapshot = stream.newest_snapshot()
    doubt(snapshot)
    if snapshot is None:
        return
    money = snapshot.money
    today = "P&L today" if snapshot.mode.clock_rate == 1 else "P&L today (market's day)"
    st.markdown(
        f"**{snapshot.word}** · {today} **{money.realised_today:+z,.2f} USD** · "
        f"session {plain.marked_down(f'{money.realised:+z,.2f}')} USD",
        help="Realised, after fees, in dollars; a sale counts once its window has settled. Practice and "
        "paper profit is no money.",
    )


@access.fragment(REFRESH_S)
def stops() -> None:
    """Say why trading stands still, if it does."""
    snapshot = stream.newest_snapshot()
    if snapshot is None:
        return
    mode, rate = snapshot.mode, snapshot.mode.clock_rate
    if mode.kill_latched:
        who = f"{plain.marked_down(mode.kill_who)}: {plain.marked_down(mode.kill_why)}"
        st.error(f"**KILLED**{plain.since(mode.kill_since_ms, rate)}: the kill switch is latched by {who}")
    if mode.halted_why is not None:
        why = plain.marked_down(f"{mode.halted_why}. {plain.way_out(mode)}")
        st.error(f"**HALTED**{plain.since(mode.halted_since_ms, rate)}: {why}")
    if snapshot.account.paused_why:
        since = plain.since(snapshot.account.paused_since_ms, rate)
        st.warning(f"Paused{since} by {plain.marked_down(snapshot.account.paused_why)}")


def doubt(snapshot: Snapshot | None) -> None:
    """Say what is being waited for, or that the numbers are old."""
    counter = desk.current()
    if counter is None:
        st.error("The engine was stopped together with its server.")
        return
    health = counter.health()
    standing = plain.engine_is(health.state, health.error)
    if health.state == "elsewhere":
        st.info(f"{standing}.")
    elif snapshot is None:
        st.info(f"Waiting for the engine's first snapshot. {standing}.")
    elif not health.well:
        st.warning(f"{standing}. What you see is its last word.")


# --- tables -------------------------------------------------------------------------------------------------


def grid(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, ColumnConfig], key: str, **how: Any) -> Any:
    """Show rows in Streamlit's table; nothing else calls it, for its own button writes CSV of what it has."""
    made = [
        {name: _unsigned(row.get(name), heading) for name, heading in columns.items()}
        for row in table_text.shown(rows)
    ]
    return st.dataframe(made, column_config=columns, hide_index=True, placeholder="", key=key, **how)


def _unsigned(value: Any, heading: ColumnConfig) -> Any:
    """Return nought where a number is nought to the decimals of its heading: -0.0000 is no number."""
    if not isinstance(value, float) or value > 0.0:
        return value
    pattern = (heading.get("type_config") or {}).get("format") or ""
    decimals = _DECIMALS.search(pattern)
    return 0.0 if decimals and float(f"{value:.{decimals[1]}f}") == 0 else value


def shown(
    rows: Iterable[Mapping[str, Any]], columns: Mapping[str, ColumnConfig], key: str, empty: str = ""
) -> None:
    """Show rows; columns are those that have a heading, in the order of their headings.

    Args:
        rows: Each a mapping by column.
        columns: Headings.
        key: The table's own.
        empty: Why there is no row, and what will bring the first; said in the table's place.
    """
    known = list(rows)
    if empty and not known:
        st.info(empty)
        return
    grid(known, columns, key)


def wrapped(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], empty: str = "Nothing to show."
) -> None:
    """Show rows of words in full, however long: nothing of them is cut, and nothing scrolls sideways.

    Args:
        rows: A few; unknown is an empty cell.
        columns: Their headings.
        empty: What is said, and what will fill it, where there is no row.
    """
    if not rows:
        st.info(empty)
        return
    made = [
        {columns[name]: _in_markdown(row.get(name)) for name in columns} for row in table_text.shown(rows)
    ]
    st.table(made, hide_index=True, border="horizontal")


def _in_markdown(value: Any) -> str:
    return "" if value is None else plain.marked_down(str(value))


def chosen(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, ColumnConfig], key: str
) -> Mapping[str, Any] | None:
    """Show rows of which one can be chosen; return it, None while none is."""
    told = grid(rows, columns, key, on_select="rerun", selection_mode="single-row")
    places = [place for place in told.selection.rows if place < len(rows)]
    return rows[places[0]] if places else None


def export(
    rows: Callable[[], Iterable[Mapping[str, Any]]], name: str, label: str = "Make CSV", of: Any = None
) -> None:
    """Offer a whole table as CSV; ``of`` as for ``file``."""
    file(lambda: table_text.to_csv(rows()), f"{name}.csv", label, of=of)


def file(make: Callable[[], str], name: str, label: str, what: str = "", of: Any = None) -> None:
    """Make a file when somebody asks for it, then offer it, with the time it was made.

    Args:
        make: Writes its content.
        name: Of the file; how it ends says its type.
        label: Of the button that makes it.
        what: Names the file among others where ``name`` changes with time; empty: ``name`` does.
        of: What was searched, where that can change: a file of another search is dropped.

    In two steps: a file that Streamlit itself makes on request may be cleared away by any fragment's run
    before the browser has fetched it (1.67; seen once in three tries on a busy machine).
    """
    key = f"file-{what or name}"
    if st.button(label, key=f"make-{key}", help="times in UTC, dollars and shares in full"):
        st.session_state[key] = (name, make().encode(), plain.time_now(), of)
    if key in st.session_state and st.session_state[key][-1] != of:
        del st.session_state[key]
    if key in st.session_state:
        name, made, at, _ = st.session_state[key]
        words, mime = f"Save {name}, made {at}", MIME[name.rpartition(".")[2]]
        st.download_button(words, made, file_name=name, mime=mime, key=f"save-{key}", on_click="ignore")


def text(label: str, explanation: str | None = None, width: int | None = None) -> ColumnConfig:
    """Head a column of words.

    Args:
        label: The heading.
        explanation: What it says when it is pointed at.
        width: Pixels; None leaves it to what the column holds.
    """
    return st.column_config.TextColumn(label, help=explanation, width=width)


def replay() -> ColumnConfig:
    """Head the column of links into the replay (``replay_link``)."""
    return st.column_config.LinkColumn(
        "replay", display_text="▶ open", help="opens the replay at that second, in a tab of its own", width=75
    )


def replay_link(session: str, at_ms: int | None) -> str:
    """Write the address of a session's moment in the replay of this console."""
    return table_text.replay_address(base_path(), session, at_ms)


def time(label: str, explanation: str = "", fine: bool = False) -> ColumnConfig:
    """Head a column of times: UTC, and the heading's help says what that is on the reader's clock.

    Args:
        label: The heading.
        explanation: What it says when it is pointed at.
        fine: Whether to the millisecond, where many rows share a second.
    """
    pattern = "YYYY-MM-DD HH:mm:ss.SSS" if fine else "YYYY-MM-DD HH:mm:ss"
    words = f"{explanation}{'; ' if explanation else ''}UTC; {plain.noon_here()}"
    return st.column_config.DatetimeColumn(f"{label} (UTC)", format=pattern, timezone="UTC", help=words)


def dollars(
    label: str, explanation: str = "dollars", signed: bool = False, width: int | None = None
) -> ColumnConfig:
    """Head a column of dollars; ``width`` in pixels where the heading is longer than what it heads."""
    pattern = "%+,.2f" if signed else "%,.2f"
    return st.column_config.NumberColumn(label, format=pattern, help=explanation, width=width)


def number(label: str, explanation: str, pattern: str = "%,.2f") -> ColumnConfig:
    """Head a column of numbers; the explanation says the unit."""
    return st.column_config.NumberColumn(label, format=pattern, help=explanation)


def count(label: str, explanation: str) -> ColumnConfig:
    """Head a column of counts."""
    return st.column_config.NumberColumn(label, format="%,d", help=explanation)


# --- the address --------------------------------------------------------------------------------------------


def asked(name: str, allowed: Collection[str] | None = None) -> str:
    """Return a word of the address: short, printable, one of the allowed; else nothing."""
    try:
        word = st.query_params.get(name, "")
    except (KeyError, ValueError):
        return ""
    word = "".join(sign for sign in word[:WORD_MOST] if sign.isprintable()).strip()
    return word if allowed is None or word in allowed else ""


def asked_number(name: str, most: int) -> int | None:
    """Return a whole number of the address, from 0 to ``most``; None where it holds none."""
    word = asked(name)
    if not (word.isascii() and word.isdigit()) or len(word) > DIGITS_MOST:
        return None
    return min(int(word), most)


def keep(**words: str) -> None:
    """Put words into the address, so that it leads here again; an empty one leaves it."""
    for name, word in words.items():
        if word:
            if st.query_params.get(name) != word:
                st.query_params[name] = word
        elif name in st.query_params:
            del st.query_params[name]


def begin(key: str, word: Any) -> str:
    """Give a widget what the address says, once: from then on its own state counts; return its key."""
    if key not in st.session_state:
        st.session_state[key] = word
    return key
