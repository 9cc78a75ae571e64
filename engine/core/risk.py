"""The gates that the state answers, whatever the price: may this market be traded at all now?

What it does not know: whether a trade would be good. Every limit counts the worst case.
"""

from typing import Final

from engine.core import books, health
from engine.core import decide as gate
from engine.core.ledger import DAY_MS, HOUR_MS
from engine.core.state import Market, State
from engine.units import ONE_E6

MAX_ATTEMPTS: Final = 3
"""Orders of one market that may be killed unfilled before it is left alone."""

SETTLING: Final = ("chainlink", "twap", "polybolt")
"""The sources that contracts settle on; one of them standing still is a reason not to trade."""

WORST_FEE_SHARE: Final = 0.07
"""Most that a crypto market's fee can be, as a share of the dollars spent: rate 0.07 at a price near 0."""

FEE_TTLS: Final = 2
"""Times FEE_RATE_TTL_SECONDS: Gamma is asked again after one; one answer may be lost."""

IN_FLIGHT: Final = ("intended", "sent", "unknown")


def blocks(state: State, market: Market) -> int:
    """Return the gates that refuse, as bits of ``engine.core.decide``."""
    return _session_blocks(state) | _market_blocks(state, market) | _limit_blocks(state, market)


def book_is_usable(state: State, market: Market) -> bool:
    """Say whether the market's books are live and fresh; one side may be empty, both may not."""
    if market.book_arrived_ms is None:
        return False
    if state.now_ms - market.book_arrived_ms > state.params.book_stale_s * 1000:
        return False
    if books.mirror_is_broken(state, market):
        return False
    return market.up.state == "live" or market.down.state == "live"


def _session_blocks(state: State) -> int:
    bits = 0
    if state.killed:
        bits |= gate.KILLED
    if state.halted_why is not None:
        bits |= gate.HALTED
    if state.breakers:
        bits |= gate.BREAKER
    if state.behind_why:
        bits |= gate.BEHIND
    clock = health.clock_is_right(state)
    if clock is False or (clock is None and state.venue == "external"):
        bits |= gate.CLOCK
    if not health.price_is_fresh(state) and not health.orders_in_fallback(state):
        bits |= gate.PRICE
    if state.fallback_since_ms is not None and not health.orders_in_fallback(state):
        bits |= gate.FALLBACK
    if any(topic.is_frozen for (source, _), topic in state.topics.items() if source in SETTLING):
        bits |= gate.FROZEN
    if health.diverges(state):
        bits |= gate.DIVERGENCE
    if state.sigma_usd is None:
        bits |= gate.VOLATILITY
    return bits


def _market_blocks(state: State, market: Market) -> int:
    bits = 0
    if market.contract.rule is None or market.rule_before is not None:
        bits |= gate.RULE
    if market.strike is None or not market.strike.is_proven:
        bits |= gate.STRIKE
    if market.fair is None:
        bits |= gate.VOLATILITY
    if not book_is_usable(state, market):
        bits |= gate.BOOK
    if not market.contract.accepting or market.outcome is not None:
        bits |= gate.ACCEPTING
    if state.now_ms - market.described_ms > state.params.fee_ttl_s * FEE_TTLS * 1000:
        bits |= gate.FEE
    if market.watched_at_ms is None:
        bits |= gate.WATCH
    return bits


def _limit_blocks(state: State, market: Market) -> int:
    bits = 0
    busy = any(order.state in IN_FLIGHT or order.state == "filled" for order in market.orders)
    if market.contract.slug in state.traded_before:
        bits |= gate.ONE_ORDER
    if busy or market.attempts >= MAX_ATTEMPTS or state.now_ms < market.retry_at_ms:
        bits |= gate.ONE_ORDER
    ledger, limits = state.ledger, state.limits
    if ledger.trades_since(state.now_ms - HOUR_MS) + in_flight(state) >= limits.max_trades_per_hour:
        bits |= gate.HOURLY
    lost = -ledger.realised_on(state.now_ms // DAY_MS)
    if lost + at_stake_e6(state) > limits.max_daily_loss_usd * ONE_E6:
        bits |= gate.DAILY_LOSS
    if at_stake_e6(state) > limits.max_exposure_usd * ONE_E6:
        bits |= gate.EXPOSURE
    if at_stake_e6(state, market.contract.end_s) > limits.max_correlated_usd * ONE_E6:
        bits |= gate.CORRELATED
    return bits


def in_flight(state: State, end_s: int | None = None) -> int:
    """Count the orders whose end is not known; only of windows that end then, if told."""
    # A window that is put away has no order under way, so the open ones are all there is to count.
    return sum(
        order.state in IN_FLIGHT
        for market in state.markets.values()
        if end_s is None or market.contract.end_s == end_s
        for order in market.orders
    )


def at_stake_e6(state: State, end_s: int | None = None) -> float:
    """Return what is lost if every holding, every order and one order more pay nothing, in millionths.

    Args:
        state: The core's memory.
        end_s: Only windows that end then; None means all.
    """
    whole = state.params.quote_size_usd * (1.0 + WORST_FEE_SHARE) * ONE_E6
    return state.ledger.open_cost_e6(end_s) + (in_flight(state, end_s) + 1) * whole
