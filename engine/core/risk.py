"""The gates that the state answers, whatever the price: may this market be traded at all now?

Some stand until something other than a book's change is told, and are kept meanwhile; the others pass with
time or with the books, and are asked at each decision.
What it does not know: whether a trade would be good. Every limit counts the worst case.
"""

import math
from functools import lru_cache
from typing import Final

from engine.contract import FeeSchedule
from engine.core import books, health
from engine.core import decide as gate
from engine.core.ledger import DAY_MS, HOUR_MS
from engine.core.state import Market, Standing, State
from engine.core.trading import IN_FLIGHT
from engine.events import VenueRestricted
from engine.units import ONE_E6

MAX_ATTEMPTS: Final = 3
"""Orders of one market that may be killed unfilled before it is left alone."""

SETTLING: Final = ("chainlink", "twap", "polybolt")
"""The sources that contracts settle on; one of them standing still is a reason not to trade."""

WORST_FEE_SHARE: Final = 0.07
"""Most that a crypto market's fee is known to be, as a share of the dollars spent: rate 0.07 at a price near
0. A market whose schedule says more counts with that."""

FEE_TTLS: Final = 2
"""Times FEE_RATE_TTL_SECONDS: Gamma is asked again after one; one answer may be lost."""

BALANCE_STALE_S: Final = 60.0
"""Wall seconds for which the venue's word on the balance holds; it is asked every ten, and after orders."""

ENDS_A_MARKET: Final = ("filled", "partial", "failed")
"""Orders after which a market is left alone, with those under way."""
BUSY: Final = frozenset((*IN_FLIGHT, *ENDS_A_MARKET))


def blocks(state: State, market: Market) -> int:
    """Return the gates that refuse, as bits of ``engine.core.decide``, each worked out anew."""
    return _standing(state, market) | _passing(state, market)


def kept_blocks(state: State, market: Market) -> int:
    """Return the same bits; those that stand while only books move are kept for an epoch and a UTC day.

    For decisions: nineteen of twenty events are of books. ``State.epoch`` says when something else was told.
    """
    kept, day = market.standing, state.now_ms // DAY_MS
    if kept is None or kept.epoch != state.epoch or kept.day != day:
        kept = market.standing = Standing(state.epoch, day, _standing(state, market))
    return kept.bits | _passing(state, market)


def _standing(state: State, market: Market) -> int:
    """Return the gates that neither a book's change nor time, within a day, opens or closes."""
    return _leave_blocks(state) | _market_blocks(state, market) | _money_blocks(state, market)


def _passing(state: State, market: Market) -> int:
    """Return the gates that time, or a change of a book, opens and closes."""
    bits, now_ms, params = 0, state.now_ms, state.params
    if state.trading.restrictions and restriction_of(state) is not None:
        bits |= gate.VENUE
    clock = health.clock_is_right(state)
    if not clock and (clock is False or state.venue == "external"):
        bits |= gate.CLOCK
    if not health.price_is_fresh(state) and not health.orders_in_fallback(state):
        bits |= gate.PRICE
    if health.diverges(state):
        bits |= gate.DIVERGENCE
    if not book_is_usable(state, market):
        bits |= gate.BOOK
    if now_ms - market.described_ms > params.fee_ttl_s * FEE_TTLS * 1000:
        bits |= gate.FEE
    if now_ms < market.retry_at_ms:
        bits |= gate.ONE_ORDER
    ledger = state.ledger
    if ledger.trades_since(state.now_ms - HOUR_MS) + in_flight(state) >= state.limits.max_trades_per_hour:
        bits |= gate.HOURLY
    if balance_is_stale(state):
        bits |= gate.BALANCE
    return bits


def book_is_usable(state: State, market: Market) -> bool:
    """Say whether the market's books are live and fresh; one side may be empty, both may not."""
    if market.book_arrived_ms is None:
        return False
    if state.now_ms - market.book_arrived_ms > state.params.book_stale_s * 1000:
        return False
    if books.mirror_is_broken(state, market):
        return False
    return market.up.state == "live" or market.down.state == "live"


def _leave_blocks(state: State) -> int:
    """Return the gates that somebody has closed, an operator or the engine itself, or what it heard."""
    bits = 0
    if state.killed:
        bits |= gate.KILLED
    if state.halted_why is not None:
        bits |= gate.HALTED
    trading = state.trading
    if trading.paused is not None:
        bits |= gate.PAUSED
    if not state.dry_run and not (trading.armed is not None and trading.armed.armed):
        bits |= gate.ARMED
    if state.breakers:
        bits |= gate.BREAKER
    if state.behind_why:
        bits |= gate.BEHIND
    if state.fallback_since_ms is not None and not health.orders_in_fallback(state):
        bits |= gate.FALLBACK
    for (source, _), topic in state.topics.items():
        if topic.is_frozen and source in SETTLING:
            bits |= gate.FROZEN
    if state.sigma_usd is None:
        bits |= gate.VOLATILITY
    return bits


def _market_blocks(state: State, market: Market) -> int:
    bits, contract, strike = 0, market.contract, market.strike
    if contract.rule is None or market.rule_before is not None:
        bits |= gate.RULE
    if strike is None or not strike.is_proven:
        bits |= gate.STRIKE
    if market.fair is None:
        bits |= gate.VOLATILITY
    if not contract.accepting or market.outcome is not None:
        bits |= gate.ACCEPTING
    if market.watched_at_ms is None:
        bits |= gate.WATCH
    if market.orders and any(order.state in BUSY for order in market.orders):
        bits |= gate.ONE_ORDER
    if contract.slug in state.trading.traded_before or market.attempts >= MAX_ATTEMPTS:
        bits |= gate.ONE_ORDER
    return bits


def _money_blocks(state: State, market: Market) -> int:
    """Return the gates of what may be lost, of today and altogether, and of what there is to spend."""
    bits, ledger, limits = 0, state.ledger, state.limits
    one_e6, end_s, reserved = one_order_e6(state), market.contract.end_s, reserved_e6(state)
    lost = -ledger.realised_on(state.now_ms // DAY_MS)
    stake = ledger.open_cost_e6() + reserved + one_e6
    if lost + stake > limits.max_daily_loss_usd * ONE_E6:
        bits |= gate.DAILY_LOSS
    if stake > limits.max_exposure_usd * ONE_E6:
        bits |= gate.EXPOSURE
    if ledger.open_cost_e6(end_s) + reserved_e6(state, end_s) + one_e6 > limits.max_correlated_usd * ONE_E6:
        bits |= gate.CORRELATED
    have = _told_e6(state)
    if have is None or have - reserved < one_e6:
        bits |= gate.BALANCE
    return bits


def restriction_of(state: State) -> VenueRestricted | None:
    """Return what keeps the venue from taking our orders; the one that lasts longest of several."""
    holding = [
        told
        for told in state.trading.restrictions.values()
        if told.until_ms is None or state.now_ms < told.until_ms
    ]
    return max(holding, key=lambda told: math.inf if told.until_ms is None else told.until_ms, default=None)


def available_e6(state: State) -> float | None:
    """Return the dollars that no order under way may still take, in millionths; None where nobody told.

    Live it is the venue's word less what fills took since it was asked; on paper the cash to begin with, and
    what fills and payouts came to.
    """
    told = None if balance_is_stale(state) else _told_e6(state)
    return None if told is None else told - reserved_e6(state)


def balance_is_stale(state: State) -> bool:
    """Say whether the venue's last word on the balance is too old to hold."""
    balance = state.trading.balance
    return balance is not None and state.now_ms - balance.asked_ms > BALANCE_STALE_S * 1000 * state.clock_rate


def _told_e6(state: State) -> int | None:
    """Return the dollars there are by the last word on them, however old, in millionths."""
    trading, balance = state.trading, state.trading.balance
    if balance is None:
        return None if trading.cash_e6 is None else trading.cash_e6 + state.ledger.cash_e6
    spent = state.ledger.spent_since_e6(balance.asked_ms) + state.ledger.provisional_e6(balance.asked_ms)
    told = balance.balance_e6 - max(0, spent)
    return told if balance.allowance_e6 is None else min(told, balance.allowance_e6)


def one_order_e6(state: State) -> float:
    """Return the most that one order may take, its fee with it, in millionths."""
    return state.params.quote_size_usd * (1.0 + worst_fee_share(state)) * ONE_E6


def worst_fee_share(state: State) -> float:
    """Return the most that a fee can be, as a share of the dollars spent."""
    worst = max(WORST_FEE_SHARE, state.params.fallback_fee_rate)
    for market in state.markets.values():
        if market.contract.fee is not None:
            worst = max(worst, _worst_share(market.contract.fee))
    return worst


@lru_cache(maxsize=64)
def _worst_share(fee: FeeSchedule) -> float:
    """Return the most that a schedule takes of a dollar: ``rate * p^(exponent - 1) * (1 - p)^exponent`` over
    the prices that there are, from a tenth of a cent."""
    rate, exponent = float(fee.rate), float(fee.exponent)
    prices = (tenths / 1000 for tenths in range(1, 1000))
    return float(max(rate * price ** (exponent - 1.0) * (1.0 - price) ** exponent for price in prices))


def reserved_e6(state: State, end_s: int | None = None) -> float:
    """Return what BUYs whose end is not known may take, with fees; only of windows that end then, if told."""
    if not state.trading.in_flight:
        return 0.0
    spent = sum(
        order.intent.usd_e6
        for order in state.trading.in_flight.values()
        if order.intent.side == "BUY" and (end_s is None or order.intent.end_s == end_s)
    )
    return spent * (1.0 + worst_fee_share(state))


def in_flight(state: State, end_s: int | None = None) -> int:
    """Count the BUYs whose end is not known; only of windows that end then, if told."""
    if not state.trading.in_flight:
        return 0
    return sum(
        order.intent.side == "BUY" and (end_s is None or order.intent.end_s == end_s)
        for order in state.trading.in_flight.values()
    )


def at_stake_e6(state: State, end_s: int | None = None) -> float:
    """Return what is lost if every holding, every order and one order more pay nothing, in millionths.

    Args:
        state: The core's memory.
        end_s: Only windows that end then; None means all.
    """
    return state.ledger.open_cost_e6(end_s) + reserved_e6(state, end_s) + one_order_e6(state)
