"""What becomes of an order: signed, sent, filled, killed, denied, rejected, unknown.

Every event may be told twice, late or out of order; each is taken in once. What the trades of a live match
come to is ``engine.core.trades``.
"""

from typing import Final

from engine import events as e
from engine.core import breakers, markouts, trades
from engine.core.ledger import cost_of
from engine.core.orders import UNKNOWN, change_of, lose, mark, markets_of
from engine.core.state import Market, State
from engine.core.trading import ENDS_KEPT, IN_FLIGHT, Order, OrderIntent, OrderState
from engine.units import ONE_E6

RETRY_AFTER_MS: Final = 1_000
"""Pause after a kill: the book that killed it needs to be seen again."""

NO_FILL_ALARM: Final = 14
"""Kills among the last ``ENDS_KEPT`` orders at which an operator should know."""

AFTER_ITS_END: Final = "fill after the end"
NO_FILL: Final = "orders do not fill"


# --- the way out --------------------------------------------------------------------------------------------


def signed(state: State, event: e.OrderSigned) -> None:
    """It has a signature and the venue's id."""
    order = state.trading.orders.get(event.order_id)
    if order is None or order.state != "intended":
        return
    order.state = "signed"
    order.signed_at_ms, order.sign_ms = event.ts_recv_ms, event.took_ms
    if event.venue_order_id:
        order.venue_order_id = event.venue_order_id
        state.trading.by_venue_id[event.venue_order_id] = order


def submitted(state: State, event: e.OrderSubmitted) -> None:
    """Its first byte is on the socket."""
    order = state.trading.orders.get(event.order_id)
    if order is not None and order.state in ("intended", "signed"):
        order.state = "sent"
        order.sent_at_ms, order.send_ms = event.ts_recv_ms, event.took_ms


# --- its end ------------------------------------------------------------------------------------------------


def filled(state: State, event: e.OrderFilled) -> list[Market] | None:
    """It filled, wholly or in part: book what is new, whatever is repeated."""
    order = state.trading.orders.get(event.order_id)
    if order is None or order.state in ("filled", "partial", "failed"):
        return None
    if order.state in ("killed", "denied", "rejected"):
        why = f"it was {order.state}, and is told to have filled"
        trades.raise_of_order(state, AFTER_ITS_END, event.order_id, why)
    intent = order.intent
    parts = event.trades or (_paper_trade(event),)
    order.fills = event.fills or tuple(level for trade in parts for level in trade.fills)
    order.answer_ms, order.assumed = event.took_ms, event.assumed
    for trade in parts:
        is_ghost = order.trades.get(trade.trade_id) == "FAILED"
        if not is_ghost and state.ledger.book(_past_fill(intent, trade, event)):
            order.shares_e6 += trade.shares_e6
            order.cost_e6 += trade.cost_e6
            order.fee_e6 += trade.fee_e6
    _end(state, order, _what_is_left(order), "")
    markouts.begin(state, order)
    _settle_again(state, intent.slug)
    shares = order.shares_e6 / ONE_E6
    mark(state, order, "fill", f"{shares:g} {intent.outcome.title()}")
    if not event.is_final:
        for trade in parts:
            if trade.trade_id not in order.trades:
                trades.follow(state, order, trade.trade_id)
    return _after(state, order)


def killed(state: State, event: e.OrderKilled) -> list[Market] | None:
    """A clean nothing: pause, then the market may be looked at again."""
    order = _open_order(state, event.order_id)
    if order is None:
        return None
    order.answer_ms, order.assumed = event.took_ms, event.assumed
    markouts.begin(state, order)
    _settle_again(state, order.intent.slug)
    return _ended(state, order, "killed", event.reason)


def denied(state: State, event: e.OrderDenied) -> list[Market] | None:
    """Our own last gate held it back."""
    order = _open_order(state, event.order_id)
    return None if order is None else _ended(state, order, "denied", event.reason)


def rejected(state: State, event: e.OrderRejected) -> list[Market] | None:
    """The venue refused it."""
    order = _open_order(state, event.order_id)
    if order is None:
        return None
    order.answer_ms = event.took_ms
    return _ended(state, order, "rejected", f"{event.code}: {event.reason}")


def unknown(state: State, event: e.OrderUnknown) -> list[Market] | None:
    """Nobody knows: it counts as spent, its market is blocked, and it is looked for; never sent again."""
    order = _open_order(state, event.order_id)
    if order is None:
        return None
    lose(state, order, event.reason)
    breakers.look(state)
    return markets_of(state, order.intent.slug)


# --- parts --------------------------------------------------------------------------------------------------


def _paper_trade(event: e.OrderFilled) -> e.Trade:
    shares = sum(size for _, size in event.fills)
    return e.Trade("", shares, cost_of(event.fills), event.fee_e6, event.fills)


def _past_fill(intent: OrderIntent, trade: e.Trade, event: e.OrderFilled) -> e.PastFill:
    return e.PastFill(
        order_id=intent.order_id,
        slug=intent.slug,
        end_s=intent.end_s,
        outcome=intent.outcome,
        shares_e6=trade.shares_e6,
        cost_e6=trade.cost_e6,
        fee_e6=trade.fee_e6,
        at_ms=event.ts_recv_ms,
        probability=intent.probability,
        trade_id=trade.trade_id,
        side=intent.side,
        is_final=event.is_final,
        token=intent.token,
    )


def _what_is_left(order: Order) -> OrderState:
    """Name the end of an order that matched: it failed where every trade of it was a ghost."""
    if not order.shares_e6:
        return "failed"
    return "filled" if _is_whole(order) else "partial"


def _is_whole(order: Order) -> bool:
    """Say whether nothing worth speaking of was left: under a cent, or under a hundredth of a share."""
    intent = order.intent
    if intent.side == "SELL":
        return intent.shares_e6 - order.shares_e6 < ONE_E6 // 100
    return intent.usd_e6 - order.cost_e6 < ONE_E6 // 100


def _open_order(state: State, order_id: str) -> Order | None:
    """Return an order whose end is not known yet; a second end of one that has ended changes nothing."""
    order = state.trading.orders.get(order_id)
    return order if order is not None and order.state in IN_FLIGHT else None


def _ended(state: State, order: Order, how: OrderState, reason: str) -> list[Market]:
    # One that had matched before it was lost again keeps that end: its window is left alone.
    _end(state, order, _what_is_left(order) if order.trades else how, reason)
    mark(state, order, "killed", reason)
    return _after(state, order)


def _end(state: State, order: Order, how: OrderState, reason: str) -> None:
    trading = state.trading
    order.state, order.reason = how, reason
    order.ended_at_ms = order.changed_ms = state.now_ms
    trading.in_flight.pop(order.intent.order_id, None)
    if how != "denied":
        trading.ends.append(how)
    if not any(other.state == "unknown" for other in trading.in_flight.values()):
        trading.alarms.pop(UNKNOWN, None)
    killed_of_last = trading.ends.count("killed")
    if len(trading.ends) == ENDS_KEPT and killed_of_last >= NO_FILL_ALARM:
        trading.alarms[NO_FILL] = f"{killed_of_last} of the last {ENDS_KEPT} orders were killed unfilled"
    else:
        trading.alarms.pop(NO_FILL, None)
    state.ledger.note(change_of(order))


def _after(state: State, order: Order) -> list[Market]:
    """Let the breakers look, and the market rest a moment."""
    breakers.look(state)
    markets = markets_of(state, order.intent.slug)
    for market in markets:
        market.retry_at_ms = state.now_ms + RETRY_AFTER_MS
    return markets


def _settle_again(state: State, slug: str) -> None:
    """Pay a fill out whose window has settled already: it may be told so late."""
    market = state.markets.get(slug) or next((m for m in state.past if m.contract.slug == slug), None)
    holding = state.ledger.holdings.get(slug)
    # The ledger's is the later word: the venue may have corrected itself since the window was put away.
    outcome, source = (holding.outcome, holding.outcome_source) if holding else (None, None)
    if outcome is None and market is not None:
        outcome, source = market.outcome, market.outcome_source
    if outcome is not None:
        state.ledger.settle(slug, outcome, state.now_ms, source or "served")
        markouts.settle(state, slug, outcome)
