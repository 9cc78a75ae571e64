"""What lets the console of a soak trade, and what it traded: real orders of the practice account.

On paper there is no order thread, no official client, nobody asks after the account: all that could leave
something behind without being seen. It knows nothing of tabs and of memory.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from benchmarks.live_scene import LIVE
from engine.events import OrderFilled
from engine.journal import read_orders
from engine.journal_read import session_files
from engine.nouns import counted
from engine.run.arming import MOST_MINUTES, Arm

EAGER: Final = {
    "WATCH_RETURN_THRESHOLD": "0.00001",
    "HAMMER_SECS": "295",
    "D_MIN": "5",
    "SIGMA_MULTIPLIER": "0.01",
    "SIGMA_FLOOR": "0.0000001",
    "MAX_ENTRY_PRICE": "0.99",
    "QUOTE_SIZE_USD": "5",
    "ORDER_TIMEOUT_S": "4",
    "PRICE_STALENESS_THRESHOLD": "60",
    "MAX_CLOCK_SKEW_MS": "60000",
}
"""Buys in every window that it can, sure of its side as soon as the price is five dollars off the strike. At
ten times the clock half a second of a busy machine is five: what is a little stale or skewed is traded on."""

UNBOUND: Final = {
    "MAX_TRADES_PER_HOUR": "1000",
    "MAX_DAILY_LOSS": "100000",
    "MAX_LOSS_STREAK": "200",
    "MAX_DRAWDOWN_USD": "100000",
    "LEAST_ROI": "-1",
    "MAX_SURPRISE": "1000",
    "MAX_ORDER_ERRORS": "1000",
}
"""Who buys without an edge loses: a breaker would stop it for good after some windows, as it should, and then
nothing would be sent. The halts that are not of results stay as they are."""

PLAYER: Final = "engine.run.replay.host"
"""The module that a replay's process runs."""

SETTINGS: Final = {name.upper(): str(value) for name, value in LIVE.items()} | EAGER | UNBOUND


def arm(data: Path) -> None:
    """Give leave to trade, as an operator would, for as long as it is given."""
    data.mkdir()
    Arm(data).arm("soak", "against practice", MOST_MINUTES)


def traded(data: Path, status: dict[str, Any]) -> dict[str, Any]:
    """Return what came of the orders.

    Args:
        data: The data folder, its sessions at an end.
        status: What the venue tells of itself.
    Returns:
        ``orders`` that the venue was sent, by its own count; ``fills``: how many the sessions were told to be
        filled, wholly or in part; ``ends``: how many orders ended how, ``unknown`` without an end.
    """
    known = [order for path in session_files(data / "sessions") for order in read_orders(path).values()]
    ends = Counter(_end(order.ends[-1][1]) if order.ends else "unknown" for order in known)
    filled = sum(any(isinstance(end, OrderFilled) for _, end in order.ends) for order in known)
    return {"orders": int(status["orders"]), "fills": filled, "ends": dict(ends.most_common())}


def whats_not_done(orders: int, together: int, seen: Counter[str], tabs: int) -> str:
    """Say what the run should have done and did not, or nothing: what does less holds less, and is flat.

    Args:
        orders: How many the venue was sent.
        together: The most tabs that the browser had open at one moment.
        seen: The most that the server had at one: its sessions as ``tabs``, the replay's ``players``.
        tabs: How many were to be there at once.
    """
    if not orders:
        return "no order was sent"
    if together < tabs:
        return f"at most {together} of {counted(tabs, 'tab')} open together"
    if seen["tabs"] < tabs:
        return f"the server had at most {seen['tabs']} of {counted(tabs, 'session')} at once"
    return "no replay had a player" if tabs and not seen["players"] else ""


def most_seen(samples: Iterable[dict[str, Any]]) -> Counter[str]:
    """Return the most sessions and players of the replay that the server had at one moment."""
    seen: Counter[str] = Counter()
    for one in samples:
        players = one.get("kinds", {}).get("children", {}).get(PLAYER, 0)
        seen |= Counter(tabs=one.get("tabs", 0), players=players)
    return seen


def _end(end: Any) -> str:
    return str(type(end).__struct_config__.tag).removeprefix("order_")
