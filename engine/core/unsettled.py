"""Holdings that do not pay out: an alarm for each until its window settles.

What they cost counts in the exposure and the loss limit meanwhile, and nothing of them in the profit.
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


def look(state: State) -> None:
    """Raise the alarm of each holding that is late, and take back those of what settled; once a second."""
    alarms, ledger = state.trading.alarms, state.ledger
    late = {
        f"{NOT_SETTLED} {slug}": slug
        for slug, end_s in ledger.unsettled().items()
        if state.now_ms - end_s * 1000 >= LATE_MS
    }
    for name, slug in late.items():
        if name not in alarms:
            at_stake = ledger.holdings[slug].at_stake_e6 / ONE_E6
            alarms[name] = f"no outcome an hour after its end, ${at_stake:,.2f} at stake"
            state.marks.append(Mark(state.now_ms, "alarm", slug, f"{name}: {alarms[name]}"))
    for name in [name for name in alarms if name.startswith(NOT_SETTLED) and name not in late]:
        del alarms[name]
