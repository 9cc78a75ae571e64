"""What an order was worth afterwards: markouts, and what the three assumptions about paper fills come to.

A markout is the token's mid price some seconds after the fill less the price paid, dollars a share (for a
SELL the other way round): below zero, whoever filled us knew better. Formulas: docs/model.md, "Paper fills".
"""

from typing import Final

from engine.contract import Outcome
from engine.core.state import State
from engine.core.trading import Order
from engine.events import Assumed
from engine.units import ONE_E4

HORIZONS_S: Final = (1, 5, 30)
"""Seconds after the fill at which the mid is taken (the card: 1, 5, 30 s and to settlement)."""


def begin(state: State, order: Order) -> None:
    """Follow an order that ended at the venue: filled, or killed where an assumption says otherwise."""
    if order.shares_e6 or order.assumed:
        state.trading.honesty.open[order.intent.order_id] = order


def look(state: State) -> None:
    """Take the mids whose time has come; called every second."""
    for order in state.trading.honesty.open.values():
        price = order.average_price
        known = state.tokens.get(order.intent.token)
        if price is None or known is None or order.ended_at_ms is None:
            continue
        market, outcome = known
        book = market.book_of(outcome)
        if book.state != "live" or book.bid is None or book.ask is None:
            continue
        since_ms = state.now_ms - order.ended_at_ms
        sign = 1.0 if order.intent.side == "BUY" else -1.0
        for horizon in HORIZONS_S:
            # A mid that comes over a second late is another one: the hole stays a hole.
            if horizon not in order.markouts and horizon * 1000 <= since_ms < (horizon + 1) * 1000:
                mid = (book.bid + book.ask) / 2 / ONE_E4
                order.markouts[horizon] = sign * (mid - price)


def settle(state: State, slug: str, outcome: Outcome) -> None:
    """Reckon what every order of a window that paid out came to, under each assumption."""
    honesty = state.trading.honesty
    for order_id, order in list(honesty.open.items()):
        if order.intent.slug == slug:
            del honesty.open[order_id]
            _count(state, order, 1)
    for order in state.trading.orders.values():
        if order.intent.slug != slug or order.intent.order_id in honesty.open or not _is_counted(order):
            continue
        value = 1.0 if order.intent.outcome == outcome else 0.0
        if order.settled_value is not None and order.settled_value != value:
            # The venue's word replaces our own: what was counted by the other outcome is taken back.
            _count(state, order, -1, profit_only=True)
        if order.settled_value != value:
            order.settled_value = value
            _count(state, order, 1, profit_only=True)


def _is_counted(order: Order) -> bool:
    return bool(order.shares_e6 or order.assumed)


def _count(state: State, order: Order, sign: int, *, profit_only: bool = False) -> None:
    """Add an order to the totals of its assumptions, or take its profit out of them."""
    honesty = state.trading.honesty
    if not order.assumed:
        return
    if not profit_only:
        honesty.orders += sign
    for told in order.assumed:
        if profit_only:
            honesty.profit_e6[told.name] += sign * profit_e6(order, told)
        else:
            honesty.filled[told.name] += sign * (told.shares_e6 > 0)


def profit_e6(order: Order, told: Assumed) -> int:
    """Return what an order earned under an assumption, once its window paid out, in millionths."""
    value = told.shares_e6 if order.settled_value == 1.0 else 0
    sign = 1 if order.intent.side == "BUY" else -1
    return sign * (value - told.cost_e6) - told.fee_e6
