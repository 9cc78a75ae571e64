"""What would a change have brought? Trades, the money of the windows that differ, and how sure that is.

Both sets of numbers decide over the same windows, so each window is compared with itself. Windows that end
together settle on one price: they are one moment, and the interval is over moments. What it does not know:
how the windows were decided (``engine.run.what_if.answer``).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.nouns import counted
from engine.run.intervals import of_values

SAME_WINDOWS: Final = (
    "Numbers that were chosen and measured on the same windows bring less on others. A sweep measures on "
    "windows that it did not choose by."
)
"""Beside whatever leads from a what-if to other parameters."""

LEAST_MOMENTS: Final = 20
LEAST_EACH_WAY: Final = 5
"""Fewer that went up, or down, are rare: one more would turn the mean, and Student's interval misses it."""

Row = Mapping[str, Any]
"""Of ``differences``: ``was_filled`` and ``would_fill``, ``end_s`` in Unix seconds, ``change_usd``."""


def money(differences: Sequence[Row]) -> dict[str, Any]:
    """Add up what the windows that differ would have brought more.

    Args:
        differences: The windows that came out otherwise.
    Returns:
        ``windows`` that traded under either set of numbers and have settled, ``open`` those that have not,
        ``moments`` at which they settled, ``usd`` the sum of changes in dollars after fees, ``low`` and
        ``high`` its 95 % interval (Student's, of sums by moment; None of too few), ``said``.
    """
    traded = [row for row in differences if row["was_filled"] or row["would_fill"]]
    done = [row for row in traded if row["change_usd"] is not None]
    by_moment: defaultdict[int, float] = defaultdict(float)
    for row in done:
        by_moment[row["end_s"]] += row["change_usd"]
    changes = list(by_moment.values())
    told, words = of_values(changes), _too_few(changes)
    low = high = None
    if not words and told.low is not None and told.high is not None:
        low, high = told.low * len(changes), told.high * len(changes)
    return {
        "windows": len(done),
        "open": len(traded) - len(done),
        "moments": len(changes),
        "usd": sum(changes),
        "low": low,
        "high": high,
        "said": words or f"95 %: {low:+z,.2f} to {high:+z,.2f} USD",
    }


def _too_few(changes: Sequence[float]) -> str:
    """Say why there is no interval; empty where there is one."""
    if len(changes) < LEAST_MOMENTS:
        return f"too few to say, {LEAST_MOMENTS} are asked for"
    up, down = sum(one > 0.0 for one in changes), sum(one < 0.0 for one in changes)
    if min(up, down) < LEAST_EACH_WAY:
        return f"too few to say, {up} went up and {down} down: {LEAST_EACH_WAY} each way are asked for"
    return ""


def said(was: int, would: int, orders: int, differences: Sequence[Row]) -> str:
    """Say in a sentence what the change would have done.

    Args:
        was: Windows that traded, with a fill, by the numbers as they were.
        would: Those that would have by the others.
        orders: Orders of both together.
        differences: The windows that came out otherwise.
    """
    if not orders:
        return "no order before, none after"
    skipped = sum(row["was_filled"] and not row["would_fill"] for row in differences)
    gained = sum(row["would_fill"] and not row["was_filled"] for row in differences)
    others = sum(row["was_filled"] and row["would_fill"] for row in differences)
    idle = len(differences) - skipped - gained - others
    parts = [f"{skipped} of {counted(was, 'trade')} skipped" if was else "no trade before"]
    if gained:
        parts.append(f"{gained} new")
    elif not would and not was:
        parts.append("none after")
    if others:
        parts.append(f"{others} made differently")
    if idle:
        parts.append(f"{counted(idle, 'window')} with another order that did not fill")
    return f"{', '.join(parts)}; {_of_money(differences)}"


def _of_money(differences: Sequence[Row]) -> str:
    told = money(differences)
    if not told["windows"] and not told["open"]:
        return "no profit changes"
    verb = "differs" if told["windows"] == 1 else "differ"
    still = f", {told['open']} not settled" if told["open"] else ""
    where = f"{counted(told['windows'], 'window')} that {verb}{still}"
    return f"profit changes by {told['usd']:+z,.2f} USD over {where} ({told['said']})"
