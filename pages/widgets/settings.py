"""Every setting with its value and where it came from; secrets only as set or not set."""

from typing import Any, Final

import streamlit as st

from engine import desk
from engine.run.settings_view import SettingRow, setting_rows
from pages import access
from pages.widgets import mode, plain, tables

REFRESH_S: Final = 5.0


@access.fragment(REFRESH_S)
def effective() -> None:
    """Show the settings by group; what was searched for is in the address."""
    counter = desk.current()
    if counter is None:
        st.error(mode.NO_ENGINE)
        return
    snapshot = counter.latest
    rows = setting_rows(counter.settings, snapshot.account.params if snapshot else {})
    word = st.text_input("Search", key=tables.begin("settings-q", tables.asked("q")))
    tables.keep(q=word)
    changed = [row.name for row in rows if row.in_force is not None]
    if changed:
        st.info(f"Changed since the start, on the page Mode: {plain.marked_down(', '.join(changed))}.")
    chosen = [row for row in rows if word.strip().lower() in f"{row.name} {row.source} {row.group}".lower()]
    if not chosen:
        st.info("No setting has these words.")
        return
    for group in dict.fromkeys(row.group for row in chosen):
        st.subheader(group, anchor=False)
        rows_of_group = [_line(row) for row in chosen if row.group == group]
        some = any(row["in_force"] is not None for row in rows_of_group)
        told = HEADINGS if some else {name: word for name, word in HEADINGS.items() if name != "in_force"}
        tables.wrapped(rows_of_group, told)
    tables.export(lambda: [_line(row) for row in rows], "settings")


def _line(row: SettingRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "value": row.value or "none",
        "in_force": row.in_force,
        "source": row.source,
        "bounds": row.bounds,
    }


HEADINGS: Final = {
    "name": "setting", "value": "value at the start", "in_force": "in force now", "source": "comes from",
    "bounds": "may be",
}  # fmt: skip
"""A source: environment before file before profile before default. "In force now" is what the engine trades
by, where that was changed since the start."""
