"""What the scripted engine says of settlement: windows long over, and a changed rule. All made up."""

from typing import Final, NamedTuple

import msgspec

from engine.contract import slug_of
from engine.snapshot import SettlementView, Verdict

RULE: Final = "TWAP over 60 s"
CHANGED_RULE: Final = "TWAP over 30 s"
RUNG: Final = "RTDS TWAP"
LENGTHS: Final = {"5m": 300, "15m": 900}

WORDS: Final = (
    "crypto-btc-updown of btc 5m: twapEnabled True, twapLookbackSeconds 60; "
    "source https://data.example.com/streams/btc-usd-time-weighted-average-price-sixty-seconds"
)
CHANGED_WORDS: Final = WORDS.replace("twapLookbackSeconds 60", "twapLookbackSeconds 30").replace(
    "sixty", "thirty"
)


class Past(NamedTuple):
    """One finished window: how our prices were known, and by how much they missed."""

    name: str
    verdict: Verdict
    source: str | None = "exact"
    error: float = 0.0
    off: float = 0.0
    turned: bool = False
    """Whether the venue's outcome was the other one."""


PAST: Final = (
    Past("5m", "unknown", None),
    Past("5m", "agrees"),
    Past("15m", "agrees"),
    Past("5m", "within error", "estimate", 0.13, 0.0412),
    Past("5m", "agrees"),
    Past("5m", "drift", "exact", 0.0, -0.1875, turned=True),
    Past("15m", "agrees"),
    Past("5m", "agrees"),
    Past("5m", "outside error", "estimate", 0.06, 0.0931),
    Past("5m", "agrees"),
    Past("15m", "waiting"),
)
"""Oldest first; the newest are the last to have ended before the script begins."""


def past_windows(before_s: int) -> list[SettlementView]:
    """Return the finished windows of ``PAST``, the newest of each length ending at ``before_s``."""
    ends = dict.fromkeys(LENGTHS, before_s)
    rows = []
    for index, past in enumerate(reversed(PAST)):
        rows.append(_row(past, ends[past.name], index))
        ends[past.name] -= LENGTHS[past.name]
    return rows[::-1]


def _row(past: Past, end_s: int, index: int) -> SettlementView:
    strike_served = 71_402.5 + 3.1719 * index
    final_served = strike_served + (-1) ** index * (0.0612 if past.turned else 4.8117 + index)
    known, waits = past.source is not None, past.verdict == "waiting"
    estimate = past.source == "estimate"
    strike = strike_served if known else None
    final = final_served + past.off if known else None
    served = "UP" if final_served >= strike_served else "DOWN"
    own = None if strike is None or final is None else "UP" if final >= strike else "DOWN"
    return SettlementView(
        slug=slug_of(past.name, end_s - LENGTHS[past.name]), name=past.name, end_s=end_s, rule=RULE,
        strike=strike, strike_source="exact" if known else None, strike_rung=RUNG if known else None,
        strike_error=0.0 if known else None, strike_served=None if waits else strike_served,
        strike_difference=None if waits or strike is None else strike - strike_served,
        site_strike=strike_served if index % 3 else None,
        site_difference=0.0 if known and index % 3 else None, final=final, final_source=past.source,
        final_rung=("own mean" if estimate else RUNG) if known else None,
        final_error=past.error if known else None, final_served=None if waits else final_served,
        final_difference=None if waits or final is None else final - final_served,
        outcome=own if waits else served, outcome_source="own" if waits else "served", outcome_own=own,
        verdict=past.verdict, traded=index % 4 == 1, pnl=1.5 if index % 4 == 1 else None,
    )  # fmt: skip


def settled_now(name: str, end_s: int, strike: float, final: float, pnl: float | None) -> SettlementView:
    """Return a window that has just ended, the venue's word still to come."""
    outcome = "UP" if final >= strike else "DOWN"
    return SettlementView(
        slug=slug_of(name, end_s - LENGTHS[name]), name=name, end_s=end_s, rule=RULE,
        strike=strike, strike_source="exact", strike_rung=RUNG, strike_error=0.0, strike_served=None,
        strike_difference=None, site_strike=strike, site_difference=0.0,
        final=final, final_source="exact", final_rung=RUNG, final_error=0.0, final_served=None,
        final_difference=None, outcome=outcome, outcome_source="own", outcome_own=outcome,
        verdict="waiting", traded=pnl is not None, pnl=pnl,
    )  # fmt: skip


def answered(row: SettlementView) -> SettlementView:
    """Return a window that the venue has confirmed to the last digit."""
    return msgspec.structs.replace(
        row, strike_served=row.strike, strike_difference=0.0, final_served=row.final, final_difference=0.0,
        outcome_source="served", verdict="agrees",
    )  # fmt: skip
