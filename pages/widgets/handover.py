"""What happened since somebody looked last, and the same as Markdown to keep."""

from typing import Any, Final

import streamlit as st

from engine import desk
from engine.run import handover_report, table_text
from engine.run.handover_report import Report, Section
from pages.widgets import plain, stream, tables

LEFT: Final = "handover-left"
"""Session state: when this operator last said that he has read everything, wall milliseconds."""
SINCE: Final = "h-since"
"""Session state: since when the report is, as it was typed."""
NO_TIME: Final = "is not a time: write it as 2026-08-20 14:30. The report begins 8 hours ago."


def shown() -> None:
    """Ask since when, then show the report. It stands still until it is asked again."""
    counter, snapshot = desk.current(), stream.newest_snapshot()
    if counter is None or snapshot is None:
        return
    now_ms = snapshot.wall_ms
    since_ms = handover_report.within_reach(_since(now_ms), now_ms)
    told = handover_report.report(snapshot, counter.settings, since_ms)
    tables.keep(since=table_text.typed(since_ms))
    st.markdown(plain.marked_down(told.headline))
    clocks = f". {told.clocks}" if told.clocks else ""
    since, until = handover_report.moment(told.since_ms), handover_report.moment(told.until_ms)
    st.caption(f"{since} to {until}, wall time{clocks}")
    _buttons(told)
    _questions(told)
    for place, section in enumerate(told.sections):
        _section(section, place)


def _since(now_ms: int) -> int:
    """Return the moment that is asked for: typed or in the address, else the last visit, else 8 h ago."""
    default = st.session_state.get(LEFT) or handover_report.default_since(now_ms)
    word = tables.asked("since") or table_text.typed(default)
    typed = st.text_input(
        "Since (UTC)", key=tables.begin(SINCE, word), max_chars=30, placeholder="2026-08-20 14:30",
        help="wall time; empty: since your last visit, or 8 hours", width=320,
    )  # fmt: skip
    if not typed.strip():
        return default
    asked = table_text.moment_of(typed)
    if asked is None:
        st.error(f"{plain.marked_down(typed)} {NO_TIME}")
        return handover_report.default_since(now_ms)
    return asked


def _buttons(told: Report) -> None:
    name = f"handover-{table_text.typed(told.until_ms).replace(' ', '-').replace(':', '')}.md"
    places = st.columns(3)
    with places[0]:
        tables.file(
            lambda: handover_report.to_markdown(told), name, "Make Markdown", "handover",
            of=st.session_state[SINCE],
        )  # fmt: skip
    places[1].button("Look again", width="stretch", help="the report stands still under your eyes")
    places[2].button(
        "I have read it", on_click=_read, args=(told.until_ms,), width="stretch",
        help="the next report of this tab begins here",
    )  # fmt: skip


def _read(until_ms: int) -> None:
    st.session_state[LEFT] = until_ms
    st.session_state[SINCE] = table_text.typed(until_ms)


def _questions(told: Report) -> None:
    st.subheader("Open questions", anchor=False)
    if not told.questions:
        st.success("None.")
        return
    st.warning("\n".join(f"- {plain.marked_down(one)}" for one in told.questions))


def _section(section: Section, place: int) -> None:
    st.subheader(section.name, anchor=False)
    if not section.rows:
        st.caption(section.empty)
        return
    known = columns(two_clocks="wall_ms" in section.rows[0])
    headings = {name: known[name] for name in section.rows[0]}
    tables.shown(section.rows, headings, key=f"handover-{place}")
    tables.export(lambda: section.rows, f"handover-{place}", of=st.session_state[SINCE])


def columns(two_clocks: bool = False) -> dict[str, Any]:
    """Return the headings; each says its unit.

    Args:
        two_clocks: Whether the market's own time stands beside the wall's.
    """
    beside = "market's time" if two_clocks else ""
    return {
        "at_ms": tables.time(beside or "traded", "on the market's clock"),
        "ended_ms": tables.time(beside or "ended", "on the market's clock"),
        "settled_ms": tables.time(beside or "settled", "on the market's clock"),
        "last_ms": tables.time("last", "wall time"),
        "wall_ms": tables.time("when", "wall time"),
        "window": tables.text("window", "its name ends with its start, Unix seconds"),
        "outcome": tables.text("outcome", "UP or DOWN"),
        "known_by": tables.text("known by", "own reckoning, or served by the venue"),
        "verdict": tables.text("verdict", "our prices against the venue's"),
        "traded": tables.text("traded", "whether we had an order in it"),
        "profit": tables.dollars("profit", "dollars, realised, after fees", signed=True),
        "equity": tables.dollars("profit so far", "dollars, all realised up to here", signed=True),
        "what": tables.text("what", "what happened"),
        "why": tables.text("why", "in the words that were given", width=380),
        "who": tables.text("who", "as far as it is known"),
        "shares": tables.number("shares", "shares; each pays one dollar or nothing", "%,.4f"),
        "cost": tables.dollars("cost", "dollars paid for a BUY, before fees"),
        "proceeds": tables.dollars("proceeds", "dollars that a SELL brought, before fees"),
        "fees": tables.dollars("fees"),
        "status": tables.text("status", "MATCHED is provisional, FAILED was undone"),
        "feed": tables.text("feed", "which connection"),
        "count": tables.count("count", "times, or frames"),
    }
