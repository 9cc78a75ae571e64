"""From a decision to an intent, and from the broker's events to what became of it."""

from typing import Final, Literal

from engine import events as e
from engine.contract import Outcome
from engine.core import breakers
from engine.core.decide import BUY_UP, Decision, best_limit_e4
from engine.core.ledger import cost_of
from engine.core.state import Market, Order, OrderIntent, State
from engine.snapshot import Mark
from engine.units import ONE_E4, ONE_E6

GOOD_FOR_MS: Final = 1_000
"""An intent older than this is stale: cheap asks last a median 1.2 s (settlement-and-strategy, 4)."""

ORDERS_KEPT: Final = 200
"""Orders that can still be looked at; the journal has all of them."""

RETRY_AFTER_MS: Final = 1_000
"""Pause after a kill: the book that killed it needs to be seen again."""


def intend(state: State, market: Market, decision: Decision) -> OrderIntent | None:
    """Turn a decision to buy into an intent: fill or kill, at the highest price that has an EV.

    Returns:
        The intent; None where the levels that are worth it hold less than the smallest order.
    """
    outcome: Outcome = "UP" if decision.action == BUY_UP else "DOWN"
    assert decision.p_up is not None
    assert market.view is not None
    numbers = market.view.numbers
    probability = decision.p_up if outcome == "UP" else 1.0 - decision.p_up
    contract = market.contract
    book = market.book_of(outcome)
    limit_e4 = best_limit_e4(probability, numbers, state.params, book.tick_e4 or contract.tick_e4)
    # Only levels that are worth their price: the average of all may have an edge that the last ones have not.
    fills = book.walk(round(state.params.quote_size_usd * ONE_E6), limit_e4)
    # Amounts are whole cents (settlement-and-strategy, section 3), never more than the book shows.
    usd_e6 = int(cost_of(fills) / 10_000 + 0.5) * (ONE_E6 // 100)
    if usd_e6 < state.params.least_order_usd * ONE_E6:
        return None
    market.attempts += 1
    intent = OrderIntent(
        order_id=f"{contract.slug}#{market.attempts}",
        slug=contract.slug,
        outcome=outcome,
        token=book.token,
        limit_e4=limit_e4,
        usd_e6=usd_e6,
        deadline_ms=min(state.now_ms + GOOD_FOR_MS, contract.end_s * 1000),
        decided_seq=state.seq,
        end_s=contract.end_s,
        probability=probability,
    )
    order = Order(intent, state.now_ms)
    market.orders.append(order)
    state.intents += 1
    state.orders[intent.order_id] = order
    if len(state.orders) > ORDERS_KEPT:
        _forget_the_oldest(state)
    _mark(state, order, "order", f"buy {outcome.title()} <= {limit_e4 / ONE_E4:g}")
    return intent


def restored(state: State, event: e.LedgerRestored) -> list[Market]:
    """Go on where earlier sessions ended: their money, their breakers, the windows they traded in."""
    for fill in event.fills:
        state.ledger.book(fill)
        state.traded_before.add(fill.slug)
    for settlement in event.settlements:
        state.ledger.settle(settlement.slug, settlement.outcome, settlement.at_ms)
    state.ledger.take_changes()  # they come from the file
    state.breakers |= dict(event.breakers)
    state.traded_before |= set(event.unresolved)
    breakers.look(state)
    return list(state.markets.values())


def _forget_the_oldest(state: State) -> None:
    """Drop the oldest order whose end is known; its trade stays in the ledger."""
    for order_id, order in state.orders.items():
        if order.state in ("filled", "killed", "denied"):
            del state.orders[order_id]
            return


def submitted(state: State, event: e.OrderSubmitted) -> None:
    """The broker took it over."""
    order = state.orders.get(event.order_id)
    if order is not None and order.state == "intended":
        order.state = "sent"


def filled(state: State, event: e.OrderFilled) -> list[Market] | None:
    """It filled: book it once, whatever is repeated."""
    order = state.orders.get(event.order_id)
    if order is None or order.state == "filled":
        return None
    order.state, order.fills, order.fee_e6 = "filled", event.fills, event.fee_e6
    intent = order.intent
    slug, outcome = intent.slug, intent.outcome
    fill = e.PastFill(
        order_id=event.order_id,
        slug=slug,
        end_s=intent.end_s,
        outcome=outcome,
        shares_e6=sum(size for _, size in event.fills),
        cost_e6=cost_of(event.fills),
        fee_e6=event.fee_e6,
        at_ms=event.ts_recv_ms,
        probability=intent.probability,
    )
    state.ledger.book(fill)
    ended = _ended_market(state, slug)
    if ended is not None and ended.outcome is not None:
        state.ledger.settle(slug, ended.outcome, state.now_ms)
    breakers.look(state)
    shares = sum(size for _, size in event.fills) / ONE_E6
    _mark(state, order, "fill", f"{shares:g} {outcome.title()}")
    return _market_of(state, slug)


def killed(state: State, event: e.OrderKilled) -> list[Market] | None:
    """A clean nothing: pause, then the market may be looked at again."""
    return _ended(state, event.order_id, "killed", event.reason)


def denied(state: State, event: e.OrderDenied) -> list[Market] | None:
    """Our own last gate held it back."""
    return _ended(state, event.order_id, "denied", event.reason)


def _ended(state: State, order_id: str, how: Literal["killed", "denied"], reason: str) -> list[Market] | None:
    order = state.orders.get(order_id)
    if order is None or order.state == "filled":
        return None
    order.state, order.reason = how, reason
    _mark(state, order, "killed", reason)
    breakers.look(state)
    markets = _market_of(state, order.intent.slug)
    for market in markets:
        market.retry_at_ms = state.now_ms + RETRY_AFTER_MS
    return markets


def _ended_market(state: State, slug: str) -> Market | None:
    """Return a window whether it is put away or not: a fill may be told after its settlement."""
    return state.markets.get(slug) or next((m for m in state.past if m.contract.slug == slug), None)


def _market_of(state: State, slug: str) -> list[Market]:
    market = state.markets.get(slug)
    return [] if market is None else [market]


def _mark(state: State, order: Order, kind: Literal["order", "fill", "killed"], text: str) -> None:
    state.marks.append(Mark(state.now_ms, kind, order.intent.slug, text))
