"""How orders fared on their way: latencies, outcomes, rejections, markouts, fills against what was displayed.

Everything is of the running session's newest orders, as the snapshot shows them, and of its journal for
what a snapshot does not carry. What it does not know: how it is drawn.
"""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.core.markouts import HORIZONS_S
from engine.core.trading import OrderIntent
from engine.errors import JournalError
from engine.events import OrderRejected
from engine.nouns import counted
from engine.run import journal_pages
from engine.snapshot import OrderView
from engine.units import ONE_E4, ONE_E6

Line = dict[str, Any]

OUTCOMES: Final = ("filled", "partial", "killed", "rejected", "denied", "failed", "unknown", "under way")
"""Ends of an order in the words of docs/orders.md; ``under way`` has none yet."""
UNDER_WAY: Final = ("intended", "signed", "sent")
AT_VENUE: Final = ("filled", "partial", "killed", "failed")
"""Ends that say something about the venue's quotes: the others never met them."""

HOUR_MS: Final = 3_600_000
STEPS: Final = {
    "sign": "until signed",
    "record and send": "from there until recorded and the first byte sent",
    "answer": "from the first byte to the answer",
    "whole": "from the intent to the answer",
}


class Told(NamedTuple):
    """Rows, and why there are none; ``problem`` is empty where all is well."""

    rows: tuple[Line, ...] = ()
    problem: str = ""


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that so large a share lies at or below; None without values.

    Args:
        values: In any order.
        share: Above 0, at most 1.
    """
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def waterfall(orders: Sequence[OrderView]) -> tuple[Line, ...]:
    """Return count, p50, p95 and maximum of each step's wall milliseconds."""
    taken: dict[str, list[float]] = {name: [] for name in STEPS}
    for order in orders:
        sign, send, answer = order.sign_ms, order.send_ms, order.answer_ms
        if sign is not None:
            taken["sign"].append(sign)
        if sign is not None and send is not None and send >= sign:
            # ``send_ms`` counts from the intent, as ``sign_ms`` does; one that is less is no measurement.
            taken["record and send"].append(send - sign)
        if answer is not None:
            taken["answer"].append(answer)
        if send is not None and answer is not None:
            taken["whole"].append(send + answer)
    return tuple(
        {
            "step": name,
            "meaning": STEPS[name],
            "orders": len(values),
            "p50": quantile(values, 0.5),
            "p95": quantile(values, 0.95),
            "max": max(values, default=None),
        }
        for name, values in taken.items()
    )


def cascade(rows: Sequence[Line]) -> tuple[Line, ...]:
    """Return where each step's median begins and how long it takes, one after another, milliseconds."""
    made: list[Line] = []
    begins = 0.0
    for row in rows:
        if row["p50"] is not None and row["step"] != "whole":
            made.append({"step": row["step"], "begins": begins, "takes": row["p50"]})
            begins += row["p50"]
    return tuple(made)


def outcome_of(state: str) -> str:
    """Name how an order ended, or that it is under way."""
    return "under way" if state in UNDER_WAY else state


def outcomes(orders: Sequence[OrderView]) -> tuple[Line, ...]:
    """Count orders by hour and outcome, the oldest hour first."""
    counts = Counter((order.at_ms // HOUR_MS * HOUR_MS, outcome_of(order.state)) for order in orders)
    hours = sorted({hour for hour, _ in counts})
    return tuple({"hour_ms": hour, **{name: counts[hour, name] for name in OUTCOMES}} for hour in hours)


def rejections(journal: Path) -> Told:
    """Count rejections of the session's newest events by code, the most frequent first."""
    try:
        told = [one.event for one in journal_pages.events_of(journal, ("order_rejected",)).records]
    except JournalError as error:
        return Told(problem=str(error))
    rejected = [one for one in told if isinstance(one, OrderRejected)]
    last = {one.code: one for one in rejected}
    counts = Counter(one.code for one in rejected).most_common()
    return Told(
        tuple(
            {"code": code, "count": count, "last_ms": last[code].ts_recv_ms, "words": last[code].reason}
            for code, count in counts
        )
    )


def markouts(orders: Sequence[OrderView]) -> tuple[Line, ...]:
    """Return mean, spread and count of markouts at each horizon and at settlement, dollars a share.

    ``spread`` is the sample's standard deviation, None for fewer than two.
    """
    filled = [order for order in orders if order.filled_shares > 0 and order.average_price is not None]
    rows = [
        _spread(f"{horizon} s", [order.markouts.get(horizon) for order in filled]) for horizon in HORIZONS_S
    ]
    rows.append(_spread("settlement", [_at_settlement(order) for order in filled]))
    return tuple(rows)


def _at_settlement(order: OrderView) -> float | None:
    if order.settled_value is None or order.average_price is None:
        return None
    gained = order.settled_value - order.average_price
    return gained if order.side == "BUY" else -gained


def _spread(name: str, values: Sequence[float | None]) -> Line:
    known = [value for value in values if value is not None]
    return {
        "after": name,
        "orders": len(known),
        "mean": statistics.fmean(known) if known else None,
        "spread": statistics.stdev(known) if len(known) > 1 else None,
        "least": min(known, default=None),
        "most": max(known, default=None),
    }


def against_quotes(orders: Sequence[OrderView], journal: Path) -> Told:
    """Compare each BUY that met the venue's book with the asks it was decided on.

    ``displayed`` is what those asks could fill of the order in dollars, ``filled`` what was filled, ``rate``
    their quotient; ``worse`` is the price paid less the displayed average, dollars a share.
    """
    try:
        wanted = {intent.order_id: intent for intent in journal_pages.intents(journal)}
    except JournalError as error:
        return Told(problem=str(error))
    rows = []
    for order in orders:
        intent = wanted.get(order.order_id)
        if intent is None or intent.side != "BUY" or order.state not in AT_VENUE:
            continue
        usd, shares = displayed(intent)
        paid = order.filled_shares * (order.average_price or 0.0)
        average = usd / shares if shares else None
        known = average is not None and order.average_price is not None
        rows.append(
            {
                "at_ms": order.at_ms,
                "contract": order.slug,
                "outcome": order.outcome,
                "wanted": order.usd,
                "displayed": usd,
                "filled": paid,
                "rate": min(1.0, paid / usd) if usd else None,
                "worse": order.average_price - average if known else None,  # type: ignore[operator]  # known
                "state": order.state,
            }
        )
    return Told(tuple(rows))


def displayed(intent: OrderIntent) -> tuple[float, float]:
    """Return the dollars and shares that the asks seen could fill of a BUY."""
    left, spent, shares = intent.usd_e6 / ONE_E6, 0.0, 0.0
    for price_e4, size_e6 in intent.seen:
        price, size = price_e4 / ONE_E4, size_e6 / ONE_E6
        taken = min(left, price * size)
        spent, shares, left = spent + taken, shares + taken / price, left - taken
    return spent, shares


def fill_words(rows: Sequence[Line]) -> str:
    """Say how much of what was displayed was there when the orders came."""
    usd, paid = sum(row["displayed"] for row in rows), sum(row["filled"] for row in rows)
    if not usd:
        return "No order of this session has met the venue's book yet."
    orders = counted(len(rows), "order")
    return (
        f"Of {usd:,.2f} dollars displayed to {orders}, {paid:,.2f} were filled: {min(1.0, paid / usd):.0%}."
    )
