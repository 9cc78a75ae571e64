"""From the state to what people see of orders and of our leave to send them. It changes nothing."""

from engine.core import risk
from engine.core.state import State
from engine.core.trades import LATER
from engine.core.trading import Order
from engine.events import Assumed
from engine.snapshot import AccountView, AssumedView, HonestyView, OrderView
from engine.units import ONE_E4, ONE_E6


def order_view(order: Order) -> OrderView:
    """Show one order, with its life so far."""
    intent = order.intent
    return OrderView(
        order_id=intent.order_id,
        slug=intent.slug,
        outcome=intent.outcome,
        limit_price=intent.limit_e4 / ONE_E4,
        usd=intent.usd_e6 / ONE_E6,
        state=order.state,
        reason=order.reason,
        at_ms=order.at_ms,
        filled_shares=order.shares_e6 / ONE_E6,
        average_price=order.average_price,
        fee=order.fee_e6 / ONE_E6,
        side=intent.side,
        kind=intent.kind,
        shares_wanted=intent.shares_e6 / ONE_E6,
        venue_order_id=order.venue_order_id,
        settlement=min(order.trades.values(), key=lambda status: LATER.get(status, 0), default=""),
        ended_ms=order.ended_at_ms,
        sign_ms=None if order.signed_at_ms is None else order.sign_ms,
        send_ms=None if order.sent_at_ms is None else order.send_ms,
        answer_ms=None if order.ended_at_ms is None or order.sent_at_ms is None else order.answer_ms,
        markouts=dict(order.markouts),
        settled_value=order.settled_value,
        assumed=[_assumed(told) for told in order.assumed],
    )


def _assumed(told: Assumed) -> AssumedView:
    price = told.cost_e6 / told.shares_e6 if told.shares_e6 else None
    return AssumedView(told.name, told.shares_e6 / ONE_E6, price, told.fee_e6 / ONE_E6)


def account_view(state: State) -> AccountView:
    """Show whether orders may leave, and with what money."""
    trading, honesty = state.trading, state.trading.honesty
    armed, told = trading.armed, trading.restriction
    restricted = told is not None and risk.venue_is_restricted(state)
    free = risk.available_e6(state)
    return AccountView(
        live=not state.dry_run,
        armed=None if state.dry_run else armed is not None and armed.armed,
        armed_why="" if armed is None else armed.why,
        armed_until_ms=None if armed is None else armed.until_ms,
        paused_why="" if trading.paused is None else f"{trading.paused.who}: {trading.paused.why}",
        restriction=told.restriction if told is not None and restricted else "none",
        restriction_why=told.why if told is not None and restricted else "",
        restriction_until_ms=told.until_ms if told is not None and restricted else None,
        free_usd=None if free is None else free / ONE_E6,
        balance_told_ms=None if trading.balance is None else trading.balance.asked_ms,
        in_flight=len(trading.in_flight),
        unknown=sum(order.state == "unknown" for order in trading.in_flight.values()),
        ghost_fills=trading.ghost_fills,
        alarms=dict(trading.alarms),
        honesty=HonestyView(
            orders=honesty.orders,
            profit={name: profit / ONE_E6 for name, profit in honesty.profit_e6.items()},
            filled=dict(honesty.filled),
        ),
        limits=state.limits._asdict(),
        params=state.params._asdict(),
        params_version=state.trading.params_version,
    )
