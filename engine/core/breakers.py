"""Breakers: results that say "stop". Each is sticky: once tripped it stays so, over restarts too, until an
operator clears it.

What it does not know: limits of the moment (``engine.core.risk``). Formulas: docs/model.md, "Breakers".
"""

import math
from collections.abc import Sequence
from typing import Final

from engine.core.ledger import Result
from engine.core.state import State
from engine.core.trading import IN_FLIGHT
from engine.snapshot import Mark
from engine.units import ONE_E6

ORDERS_LOOKED_AT: Final = 10
"""Orders over which the rate of errors is taken."""

ERRORS: Final = ("denied", "rejected", "failed")
"""Ends that are errors. An order whose answer was lost is one too, whatever was found of it afterwards."""

SLACK: Final = 0.5
"""Deviations a window that CUSUM forgives: the usual choice, half of the shift that it is to notice."""


def look(state: State) -> None:
    """Trip what has to be tripped, after a settlement or the end of an order."""
    limits, ledger = state.limits, state.ledger
    found = {
        "loss streak": _streak(ledger.results, int(limits.max_loss_streak)),
        "drawdown": _drawdown(ledger.peak_e6, ledger.realised_e6, limits.max_drawdown_usd),
        "return": _poor_return(ledger.results, int(limits.edge_trades), limits.least_roi),
        "edge": _surprise(ledger.results, limits.max_surprise),
        "order errors": _order_errors(state),
    }
    for name, why in found.items():
        if why and name not in state.breakers:
            state.breakers[name] = why
            state.stops_ms[name] = state.now_ms
            state.marks.append(Mark(state.now_ms, "breaker", "", f"{name}: {why}"))


def _streak(results: Sequence[Result], limit: int) -> str:
    lost = 0
    for result in reversed(results):
        if result.won:
            break
        lost += 1
    return f"{lost} losing windows in a row" if lost >= limit else ""


def _drawdown(peak_e6: int, realised_e6: int, limit_usd: float) -> str:
    down = (peak_e6 - realised_e6) / ONE_E6
    return f"${down:.2f} below the best result" if down >= limit_usd else ""


def _poor_return(results: Sequence[Result], count: int, least: float) -> str:
    """Judge the profit over cost of the last windows, once there are enough of them."""
    last = list(results)[-count:]
    cost = sum(result.cost_e6 for result in last)
    if len(last) < count or cost == 0:
        return ""
    roi = sum(result.realised_e6 for result in last) / cost
    return f"{roi:+.1%} over the last {count} windows" if roi < least else ""


def surprise_of(results: Sequence[Result]) -> float:
    """Return the CUSUM of claimed less realised wins, in deviations: 0 where claims hold.

    A window whose side was claimed with probability p adds (p - won) / sqrt(p (1 - p)) - ``SLACK``; the sum
    never falls below 0.
    """
    total = 0.0
    for result in results:
        claimed = min(max(result.claimed, 0.01), 0.99)
        off = (claimed - result.won) / math.sqrt(claimed * (1.0 - claimed))
        total = max(0.0, total + off - SLACK)
    return total


def _surprise(results: Sequence[Result], limit: float) -> str:
    """Compare what was claimed with what came; one surprise alone, however large, is no pattern."""
    total = surprise_of(results)
    losses = sum(not result.won for result in results)
    return f"wins fall short of the claims by {total:.1f} deviations" if total >= limit and losses > 2 else ""


def _order_errors(state: State) -> str:
    ended = [
        order for order in state.trading.orders.values() if order.was_lost or order.state not in IN_FLIGHT
    ]
    last = ended[-ORDERS_LOOKED_AT:]
    errors = sum(order.was_lost or order.state in ERRORS for order in last)
    limit = state.limits.max_order_errors
    found = f"{errors} of the last {len(last)} orders denied, rejected, failed or lost"
    return found if errors >= limit else ""
