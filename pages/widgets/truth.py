"""Finished windows: the engine's prices beside the venue's, and the verdict."""

from collections import Counter
from typing import Any, Final

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from engine.snapshot import SettlementView, Verdict
from pages import access
from pages.widgets import plain, stream, tables

REFRESH_S: Final = 2.0
"""Windows settle every five minutes; two seconds are enough to see it happen."""
SHOWN: Final = 50

SAID: Final[dict[Verdict, str]] = {
    "agrees": "{} agree to the cent",
    "within error": "{} within the error their estimate claimed",
    "outside error": "{} estimated worse than claimed",
    "drift": "{} DRIFTED",
    "waiting": "{} waiting for the venue's word",
    "unknown": "{} with a price of ours missing",
}
"""What the headline says of each verdict, in this order."""

WHAT_TO_DO: Final = (
    "A price that was called exact was not: the rule or the feed is not what the engine believes.\n"
    "1. Leave trading stopped. The engine halts by itself; press KILL if the mode is not HALTED.\n"
    "2. Find the window in the table and compare its prices with the venue's page.\n"
    "3. Read the rules below: changed words are the likeliest cause.\n"
    "4. Start the engine again only when the cause is known."
)


@access.fragment(REFRESH_S)
def verdicts() -> None:
    """Show in words how many windows agree, then the windows."""
    snapshot = stream.newest_snapshot()
    if snapshot is None:
        return
    rows = sorted(snapshot.settlements, key=lambda row: (row.end_s, row.name), reverse=True)[:SHOWN]
    if rows:
        headline(rows)
        table = [truth_row(row) for row in rows]
        tables.grid(table, COLUMNS, "truth")
        st.caption("How each price is known, and what the venue's own page showed:")
        tables.grid(table, KNOWN, "truth-known")
        tables.export(lambda: table, "settlement-truth")
        return
    ends = sorted(contract.end_s for contract in plain.running(snapshot.contracts))
    when = f" The next one ends at {plain.instant(ends[0]):%H:%M:%S} UTC." if ends else ""
    st.info(f"No window has settled yet: the table starts with the first that does.{when}")


def headline(rows: list[SettlementView]) -> None:
    """Say how the windows came out; a drift first, as an alarm with what to do."""
    counts = Counter(row.verdict for row in rows)
    drifted = [row for row in rows if row.verdict == "drift"]
    if drifted:
        names = ", ".join(f"{row.name} window that ended {plain.instant(row.end_s):%H:%M}" for row in drifted)
        st.error(f"**Settlement drift**: {names}. {WHAT_TO_DO}")
    parts = [text.format(counts[verdict]) for verdict, text in SAID.items() if counts[verdict]]
    windows = "the last window" if len(rows) == 1 else f"the last {len(rows)} windows"
    st.markdown(f"**Of {windows}:** {', '.join(parts)}.")


def truth_row(row: SettlementView) -> dict[str, Any]:
    """Return a row of the table; unknown stays None."""
    return {
        "ended": f"{plain.instant(row.end_s):%d %b %H:%M}",
        "window": row.name,
        "verdict": "DRIFT" if row.verdict == "drift" else row.verdict_words,
        "rule": row.rule,
        "strike": row.strike,
        "strike_by": plain.price_known_by(row.strike_source, row.strike_rung, row.strike_error),
        "strike_served": row.strike_served,
        "strike_difference": row.strike_difference,
        "site_strike": row.site_strike,
        "final": row.final,
        "final_by": plain.price_known_by(row.final_source, row.final_rung, row.final_error),
        "final_served": row.final_served,
        "final_difference": row.final_difference,
        "outcome_own": row.outcome_own,
        "outcome_served": row.outcome if row.outcome_source == "served" else None,
    }


def _price(label: str, explanation: str | None = None) -> ColumnConfig:
    return st.column_config.NumberColumn(label, format="%.4f", help=explanation, width=95)


def _difference(label: str) -> ColumnConfig:
    return st.column_config.NumberColumn(label, format="%+.4f", help="own less served, dollars", width=85)


WHICH: Final[dict[str, ColumnConfig]] = {
    "ended": tables.text("ended (UTC)", width=105),
    "window": tables.text("window", width=65),
}
COLUMNS: Final[dict[str, ColumnConfig]] = WHICH | {
    "verdict": tables.text("verdict", "of strike, final price and outcome together", 150),
    "strike": _price("own strike"),
    "strike_served": _price("served strike", "what the venue said it settled against"),
    "strike_difference": _difference("difference"),
    "final": _price("own final"),
    "final_served": _price("served final", "what the venue said it settled at"),
    "final_difference": _difference("difference "),
    "outcome_own": tables.text("outcome", "by our own prices", 75),
    "outcome_served": tables.text("served", "the outcome that the venue said", 70),
}
KNOWN: Final[dict[str, ColumnConfig]] = WHICH | {
    "rule": tables.text("rule", "as the engine reads it", 150),
    "strike_by": tables.text(
        "strike known by", "its source, its error where it is an estimate, its feed", 230
    ),
    "final_by": tables.text("final known by", "its source, its error where it is an estimate, its feed", 230),
    "site_strike": _price("site's strike", "what the venue's own page showed as the price to beat"),
}
"""What would be cut in one table of everything: both have the same rows in the same order."""
