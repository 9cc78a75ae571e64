"""From a decision, or an operator's word, to an intent. What becomes of it is ``engine.core.fates``."""

import math
from typing import Final, NamedTuple

from engine.contract import Outcome
from engine.core import health
from engine.core.book import Book
from engine.core.decide import BUY_UP, Decision, best_limit_e4
from engine.core.ledger import Holding, OrderChange, cost_of
from engine.core.state import Market, State
from engine.core.trading import Order, OrderIntent
from engine.events import ExitAsked, Side
from engine.snapshot import Mark, MarkKind
from engine.units import ONE_E4, ONE_E6, PriceE4, SizeE6, UsdE6

GOOD_FOR_MS: Final = 1_000
"""An intent older than this is stale: cheap asks last a median 1.2 s (settlement-and-strategy, 4)."""

EXIT_GOOD_FOR_MS: Final = 5_000
"""An exit is an operator's word, not a fleeting price: it may wait longer for a busy recorder."""

TOO_HIGH: Final = "the market has no price so high"

ORDERS_KEPT: Final = 200
"""Orders that can still be looked at; the journal has all of them."""

LEVELS_KEPT: Final = 20
"""Levels of a book that an intent carries: a $50 order never goes so deep in these markets' books."""

UNKNOWN: Final = "order of unknown fate"
"""Name of the alarm that stands while one is looked for."""

CENT_E6: Final = ONE_E6 // 100
ROUNDING_E6: Final = 100
"""Dollars that taking whole millionths of a share of so many levels can leave, and nothing else."""

SELL_LOT_E6: Final = ONE_E6 // 100
"""Shares of a SELL have two decimals (protocol sheet, section 7.2)."""


class _Wanted(NamedTuple):
    """What an order is to be, before it has a name."""

    side: Side
    outcome: Outcome
    limit_e4: PriceE4
    usd_e6: UsdE6
    shares_e6: SizeE6
    probability: float
    good_for_ms: int


def intend(state: State, market: Market, decision: Decision) -> OrderIntent | None:
    """Turn a decision to buy into an intent, at the highest price that has an EV.

    Returns:
        The intent; None where the levels that are worth it, or the wanted dollars, are less than the smallest
        order, which the event tape then says, once a window.
    """
    outcome: Outcome = "UP" if decision.action == BUY_UP else "DOWN"
    assert decision.p_up is not None
    assert market.view is not None
    numbers = market.view.numbers
    probability = decision.p_up if outcome == "UP" else 1.0 - decision.p_up
    book = market.book_of(outcome)
    limit_e4 = best_limit_e4(probability, numbers, state.params, book.tick_e4 or market.contract.tick_e4)
    # Only levels that are worth their price: the average of all may have an edge that the last ones have not.
    fills = book.walk(round(state.params.quote_size_usd * ONE_E6), limit_e4)
    # Amounts are whole cents (settlement-and-strategy, section 3), never more than the book shows: what is
    # left over of the wanted dollars is rounding of shares, unless it is more than that.
    wanted_e6, shown_e6 = round(state.params.quote_size_usd * ONE_E6), cost_of(fills)
    usd_e6 = (wanted_e6 if wanted_e6 - shown_e6 < ROUNDING_E6 else shown_e6) // CENT_E6 * CENT_E6
    if usd_e6 < state.params.least_order_usd * ONE_E6:
        _say_too_small(state, market, usd_e6, f"${state.params.least_order_usd:g}")
        return None
    # The venue's smallest order, in shares at the limit (protocol sheet, 7.3).
    least_e6 = market.contract.min_size_e6
    if usd_e6 * ONE_E4 // max(1, limit_e4) < least_e6:
        _say_too_small(state, market, usd_e6, f"{least_e6 / ONE_E6:g} shares at {limit_e4 / ONE_E4:g}")
        return None
    wanted = _Wanted("BUY", outcome, limit_e4, usd_e6, 0, probability, GOOD_FOR_MS)
    return _intent(state, market, wanted, f"buy {outcome.title()} <= {limit_e4 / ONE_E4:g}")


def _say_too_small(state: State, market: Market, usd_e6: UsdE6, least: str) -> None:
    """Say why a decision to buy sends nothing: it comes again with each quote, the words do not."""
    if not market.said_small:
        market.said_small = True
        text = f"no order: ${usd_e6 / ONE_E6:.2f} at prices that are worth it, the smallest is {least}"
        state.marks.append(Mark(state.now_ms, "killed", market.contract.slug, text))


def leave(state: State, event: ExitAsked) -> OrderIntent | None:
    """Turn an operator's wish to get out into a SELL of all that is held, filled as far as it goes.

    Returns:
        The intent; None where nothing is held that can be sold now, which the event tape then says.
    """
    market, shares = state.markets.get(event.slug), _sellable(state, event.slug, event.outcome)
    refusal = why_no_exit(state, event.slug, event.outcome)
    if market is None or refusal:
        state.marks.append(Mark(state.now_ms, "killed", event.slug, f"no exit: {refusal}"))
        return None
    # The venue refuses a price beside its grid: the next one that is not below the wish.
    tick_e4 = market.book_of(event.outcome).tick_e4 or market.contract.tick_e4
    least_e4 = -(-event.least_e4 // tick_e4) * tick_e4
    if least_e4 >= ONE_E4:
        state.marks.append(Mark(state.now_ms, "killed", event.slug, f"no exit: {TOO_HIGH}"))
        return None
    wanted = _Wanted("SELL", event.outcome, least_e4, 0, shares, 0.0, EXIT_GOOD_FOR_MS)
    text = f"sell {event.outcome.title()} >= {least_e4 / ONE_E4:g} ({event.who}: {event.why})"
    return _intent(state, market, wanted, text)


def why_no_exit(state: State, slug: str, outcome: Outcome) -> str:
    """Say why a holding cannot be sold now; an empty text where it can."""
    market = state.markets.get(slug)
    if _sellable(state, slug, outcome) <= 0:
        return "nothing of it is held"
    if market is None or state.now_ms >= market.contract.end_s * 1000:
        return "the window is not open"
    if any(_holds_up_an_exit(order, slug) for order in state.trading.in_flight.values()):
        return "an order of this window is under way"
    return ""


def _sellable(state: State, slug: str, outcome: Outcome) -> SizeE6:
    """Return the shares that are there to be sold, in whole lots: fills may bring a hundredth less than was
    matched."""
    holding = state.ledger.holdings.get(slug)
    held = 0 if holding is None else holding.shares_e6[outcome]
    told = state.trading.shares_told.get((slug, outcome), held)
    return (told if 0 < held - told <= short_e6(holding, outcome) else held) // SELL_LOT_E6 * SELL_LOT_E6


def short_e6(holding: Holding | None, outcome: Outcome) -> SizeE6:
    """Return by how many shares fills may have brought less than was matched: up to a hundredth each, by
    integer division at the exchange (protocol sheet, section 7.3)."""
    fills = () if holding is None else holding.fills.values()
    return SELL_LOT_E6 * max(1, sum(fill.outcome == outcome for fill in fills))


def _holds_up_an_exit(order: Order, slug: str) -> bool:
    """Say whether an order has to end first; a BUY that nobody can find must not lock us in."""
    if order.intent.slug != slug:
        return False
    return order.intent.side == "SELL" or order.state != "unknown"


def _intent(state: State, market: Market, wanted: _Wanted, text: str) -> OrderIntent:
    contract, book = market.contract, market.book_of(wanted.outcome)
    # By our clock, as deadlines are; and not after the end by the venue's, should ours be behind.
    over_ms = contract.end_s * 1000 - math.ceil(max(0.0, health.venue_ms(state) - state.now_ms))
    market.attempts += 1
    intent = OrderIntent(
        order_id=_name(state, market),
        slug=contract.slug,
        outcome=wanted.outcome,
        token=book.token,
        limit_e4=wanted.limit_e4,
        usd_e6=wanted.usd_e6,
        deadline_ms=min(state.now_ms + wanted.good_for_ms, over_ms),
        decided_seq=state.seq,
        end_s=contract.end_s,
        probability=wanted.probability,
        side=wanted.side,
        kind=state.trading.order_kind if wanted.side == "BUY" else "FAK",
        shares_e6=wanted.shares_e6,
        seen=_seen(book, wanted),
        fee=contract.fee,
    )
    order = Order(intent, state.now_ms)
    market.orders.append(order)
    take_up(state, order)
    state.epoch += 1  # the next decision sees it
    state.marks.append(Mark(state.now_ms, "order", contract.slug, text))
    return intent


def _name(state: State, market: Market) -> str:
    """Name an order as no session has named one before: a window's orders are numbered on over restarts."""
    slug, named = market.contract.slug, state.trading.named
    held = state.ledger.holdings.get(slug)
    known = state.trading.orders.keys() | {name for name, _ in (held.fills if held else ())}
    number = max(market.attempts, named.get(slug, 0) + 1)
    while f"{slug}#{number}" in known:
        number += 1
    named[slug] = number
    return f"{slug}#{number}"


def take_up(state: State, order: Order) -> None:
    """Follow an order until its end is known."""
    trading = state.trading
    trading.intents += 1
    trading.orders[order.intent.order_id] = order
    trading.in_flight[order.intent.order_id] = order
    if len(trading.orders) > ORDERS_KEPT:
        _forget_the_oldest(state)


def lose(state: State, order: Order, reason: str) -> None:
    """Say of an order that nobody knows its fate: it counts as spent, and is looked for."""
    order.state, order.reason, order.ended_at_ms = "unknown", reason, None
    order.was_lost = True
    order.changed_ms = state.now_ms
    state.trading.in_flight[order.intent.order_id] = order
    state.trading.alarms[UNKNOWN] = f"{order.intent.order_id}: {reason}"
    state.ledger.note(change_of(order))
    mark(state, order, "killed", f"fate unknown: {reason}")


def _forget_the_oldest(state: State) -> None:
    """Drop the oldest order whose end is known; its trades stay in the ledger."""
    trading = state.trading
    for order_id, order in trading.orders.items():
        followed = any(trading.trades_to_follow.get(trade) is order for trade in order.trades)
        if order_id not in trading.in_flight and order_id not in trading.honesty.open and not followed:
            del trading.orders[order_id]
            trading.by_venue_id.pop(order.venue_order_id, None)
            return


def _seen(book: Book, wanted: _Wanted) -> tuple[tuple[PriceE4, SizeE6], ...]:
    """Return the levels that the order may take, as they are now."""
    if wanted.side == "BUY":
        return tuple(lvl for lvl in book.depth("SELL", LEVELS_KEPT) if lvl[0] <= wanted.limit_e4)
    return tuple(lvl for lvl in book.depth("BUY", LEVELS_KEPT) if lvl[0] >= wanted.limit_e4)


def change_of(order: Order) -> OrderChange:
    """Write an order as the ledger's file keeps it."""
    intent = order.intent
    return OrderChange(
        order_id=intent.order_id,
        slug=intent.slug,
        end_s=intent.end_s,
        outcome=intent.outcome,
        token=intent.token,
        side=intent.side,
        kind=intent.kind,
        limit_e4=intent.limit_e4,
        usd_e6=intent.usd_e6,
        shares_e6=intent.shares_e6,
        probability=intent.probability,
        state=order.state,
        reason=order.reason,
        venue_order_id=order.venue_order_id,
        at_ms=order.at_ms,
        ended_ms=order.ended_at_ms,
        fee_rate=None if intent.fee is None else str(intent.fee.rate),
        fee_exponent=None if intent.fee is None else str(intent.fee.exponent),
    )


def markets_of(state: State, slug: str) -> list[Market]:
    """Return an open window in a list, or none."""
    market = state.markets.get(slug)
    return [] if market is None else [market]


def mark(state: State, order: Order, kind: MarkKind, text: str) -> None:
    """Put something that happened to an order on the event tape."""
    state.marks.append(Mark(state.now_ms, kind, order.intent.slug, text))
