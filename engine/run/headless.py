"""The engine without a console: run for a while, then say in one JSON object what happened."""

import asyncio
import logging
import signal
from typing import Any

from engine.config import Settings
from engine.core.state import Market, State
from engine.core.truth import verdict_of
from engine.run.engine import Engine
from engine.units import ONE_E6

OURS = (
    "session_opened",
    "second_passed",
    "kill_switch_changed",
    "engine_halted",
    "feed_opened",
    "feed_closed",
    "order_submitted",
    "order_filled",
    "order_killed",
    "order_denied",
)
"""Event kinds that no frame of the venue makes."""

log = logging.getLogger("engine.run")


async def run_headless(settings: Settings, seconds: float | None) -> dict[str, Any]:
    """Run the engine for so many wall seconds, or until SIGINT or SIGTERM.

    Args:
        settings: As loaded.
        seconds: Wall seconds; None runs until a signal.
    Returns:
        ``frames{kind}``, ``decisions{reason}``, ``orders``, ``fills``, ``pnl`` (dollars), ``windows[{slug,
        strike, strike_source, strike_error, final, final_source, final_error, outcome, verdict}]``, and
        ``session`` (its file), ``halted``. A warning is logged where no frame came.
    Raises:
        StartError: It could not start.
        JournalError: It could not record.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    engine = Engine(settings, publish=lambda _: None)
    timer = None if seconds is None else loop.call_later(seconds, stop.set)
    try:
        await engine.run(stop)
    finally:
        if timer is not None:
            timer.cancel()
    assert engine.session is not None
    told = report(engine.session.state) | {"session": str(engine.journal_path)}
    if not told["frames"] and told["halted"] is None:
        log.warning("it ended before any frame of the venue came: a start takes some seconds")
    return told


def report(state: State) -> dict[str, Any]:
    """Sum a session up. The field names are an interface (docs/commands.md)."""
    markets = sorted([*state.past, *state.markets.values()], key=lambda market: market.contract.end_s)
    return {
        "frames": {kind: count for kind, count in sorted(state.kinds.items()) if kind not in OURS},
        "decisions": dict(sorted(state.decisions.items())),
        "orders": state.trading.intents,
        "fills": state.ledger.of_session.trades,
        "pnl": state.ledger.of_session.realised_e6 / ONE_E6,
        "windows": [_window(market) for market in markets if market.contract.start_s * 1000 <= state.now_ms],
        "halted": state.halted_why,
    }


def _window(market: Market) -> dict[str, Any]:
    strike, final, served = market.strike, market.final, market.served
    return {
        "slug": market.contract.slug,
        "strike": None if strike is None else float(strike.value),
        "strike_source": None if strike is None else strike.source,
        "strike_error": None if strike is None else strike.error_usd,
        "final": None if final is None else float(final.value),
        "final_source": None if final is None else final.source,
        "final_error": None if final is None else final.error_usd,
        "outcome": market.outcome,
        "outcome_source": market.outcome_source,
        "served_strike": None if served is None or served.strike is None else float(served.strike),
        "served_final": None if served is None or served.final is None else float(served.final),
        "verdict": verdict_of(market),
    }
