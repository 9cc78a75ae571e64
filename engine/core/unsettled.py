"""Holdings that do not pay out, or did by our own word alone: an alarm for each until the venue has spoken.

What the first cost counts in the exposure and the loss limit meanwhile, and nothing of them in the profit.
What it does not know: how outcomes are asked for (``engine.feeds.discovery``).
"""

from typing import Final

from engine.core.ledger import HOUR_MS
from engine.core.state import State
from engine.snapshot import Mark
from engine.units import ONE_E6

NOT_SETTLED: Final = "not settled"

LATE_MS: Final = HOUR_MS
"""After a window's end. Markets resolve a median 54 s after it and nine in ten within 87 s; one that is an
hour late waits for more than a busy resolver."""

VERIFIED_WITHIN_S: Final = 7 * 86_400
"""What paid out by our own word alone is asked about for so long after its end: an outage of the venue, or a
weekend without an engine, is shorter."""


def look(state: State) -> None:
    """Raise the alarm of each holding that is late, and take back those of what settled; once a second."""
    alarms, ledger = state.trading.alarms, state.ledger
    waiting = ledger.unsettled() | ledger.unverified(state.now_ms // 1000 - VERIFIED_WITHIN_S)
    late = {
        f"{NOT_SETTLED} {slug}": slug
        for slug, end_s in waiting.items()
        if state.now_ms - end_s * 1000 >= LATE_MS
    }
    for name, slug in late.items():
        holding = ledger.holdings[slug]
        if holding.outcome is None:
            why = f"no outcome an hour after its end, ${holding.at_stake_e6 / ONE_E6:,.2f} at stake"
        else:
            why = f"paid out as {holding.outcome} by our own prices; the venue has not said so for an hour"
        if alarms.get(name) != why:
            alarms[name] = why
            state.marks.append(Mark(state.now_ms, "alarm", slug, f"{name}: {why}"))
    for name in [name for name in alarms if name.startswith(NOT_SETTLED) and name not in late]:
        del alarms[name]
