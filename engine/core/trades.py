"""How far the trades of our orders are: MATCHED is not final, CONFIRMED and FAILED are.

A trade that fails is undone, as if it had never been. Statuses may be told twice, out of order, or before
the answer to their order. Source: protocol sheet, sections 3.7 and 7.6.
"""

from typing import Final

from engine import events as e
from engine.core import breakers, connections
from engine.core.orders import change_of, lose, mark, markets_of
from engine.core.state import Market, State
from engine.core.trading import IN_FLIGHT, Order

GHOST: Final = "ghost fill"

ORDER_ALARMS_KEPT: Final = 5
"""Alarms of one kind about single orders that stand at a time: nothing ends them but a newer one, or a
restart, and an operator reads no more."""

LATER: Final[dict[str, int]] = {"MATCHED": 0, "MINED": 1, "RETRYING": 1, "CONFIRMED": 2, "FAILED": 2}
"""How far each status of a trade is; one that is less far than what is known already says nothing new."""

TOLD_KEPT: Final = 1_000
"""Statuses of trades that are remembered, ours and of orders that are not known yet."""


def account_order_told(state: State, event: e.AccountOrderTold) -> None:
    """The user channel told of an order: what it is worth is in its trades."""
    connections.heard(state, "user", event)


def account_trade_told(state: State, event: e.AccountTradeTold) -> list[Market] | None:
    """The user channel told how far a trade is."""
    connections.heard(state, "user", event)
    return _status(state, event.venue_order_id, event.trade_id, event.status, event.ts_recv_ms)


def trade_status_told(state: State, event: e.TradeStatusTold) -> list[Market] | None:
    """The venue was asked how far a trade is."""
    return _status(state, event.venue_order_id, event.trade_id, event.status, event.ts_recv_ms)


def _status(state: State, venue_order_id: str, trade_id: str, status: str, at_ms: int) -> list[Market] | None:
    trading = state.trading
    followed, order = trading.trades_to_follow.get(trade_id), trading.by_venue_id.get(venue_order_id)
    if followed is not None and followed.venue_order_id not in ("", venue_order_id):
        # A trade of ours under the id of an order that is not: nothing that can be acted upon. Nor is it
        # remembered, or the same word under the right id would look as if it were told twice.
        return None
    known = trading.told_trades.get(trade_id)
    if status not in LATER or (known is not None and LATER[status] <= LATER[known]):
        if known in ("CONFIRMED", "FAILED") and status in ("CONFIRMED", "FAILED") and known != status:
            # Two last words that contradict each other: money is not where we think, and nobody knows where.
            state.halted_why = state.halted_why or f"trade {trade_id} was told as {known} and as {status}"
            return list(state.markets.values())
        return None
    trading.told_trades[trade_id] = status
    if len(trading.told_trades) > TOLD_KEPT:
        del trading.told_trades[next(iter(trading.told_trades))]
    if order is not None and trade_id not in order.trades and order.state not in IN_FLIGHT:
        # It was said to have ended without this trade: what was told before was wrong, or not all of it.
        if status != "FAILED":
            lose(state, order, f"trade {trade_id} is told of it, and was not booked")
        return markets_of(state, order.intent.slug)
    return _apply(state, trade_id, status, at_ms)


def raise_of_order(state: State, kind: str, order_id: str, why: str) -> None:
    """Raise an alarm about one order; of its kind, the newest few stand.

    Args:
        state: Where it stands.
        kind: What happened. The order goes into the name too: an alarm is posted once while its name stands.
        order_id: Whose.
        why: What is known of it.
    """
    alarms, name = state.trading.alarms, f"{kind} {order_id}"
    alarms.pop(name, None)  # told again, it is the newest
    alarms[name] = why
    of_kind = [one for one in alarms if one.startswith(f"{kind} ")]
    for older in of_kind[:-ORDER_ALARMS_KEPT]:
        del alarms[older]


def follow(state: State, order: Order, trade_id: str) -> None:
    """Wait for a trade's last word; it may have been told before the order's answer."""
    told = state.trading.told_trades.get(trade_id, "MATCHED")
    order.trades[trade_id] = "MATCHED"
    state.trading.trades_to_follow[trade_id] = order
    _apply(state, trade_id, told, state.now_ms)


def _apply(state: State, trade_id: str, status: str, at_ms: int) -> list[Market] | None:
    order = state.trading.trades_to_follow.get(trade_id)
    if order is None:
        return None
    order.trades[trade_id], order.changed_ms = status, state.now_ms
    if status not in ("CONFIRMED", "FAILED"):
        return None
    del state.trading.trades_to_follow[trade_id]
    slug, order_id = order.intent.slug, order.intent.order_id
    if status == "CONFIRMED":
        state.ledger.confirm(slug, e.PastFillStatus(order_id, trade_id, "CONFIRMED", at_ms))
        return None
    undone = state.ledger.undo(slug, e.PastFillStatus(order_id, trade_id, "FAILED", at_ms))
    if undone is None:
        return None
    order.shares_e6 -= undone.shares_e6
    order.cost_e6 -= undone.cost_e6
    order.fee_e6 -= undone.fee_e6
    state.trading.ghost_fills += 1
    why = f"trade {trade_id} failed after its match, {state.trading.ghost_fills} of this session"
    raise_of_order(state, GHOST, order_id, why)
    mark(state, order, "killed", f"ghost fill: trade {trade_id} failed after its match")
    if not order.shares_e6 and order.state in ("filled", "partial"):  # of another one more may be told
        order.state = "failed"
        if order.intent.token:  # one of an earlier session has its row there
            state.ledger.note(change_of(order))
    breakers.look(state)
    return markets_of(state, slug)
