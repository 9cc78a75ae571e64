"""From the state to what people see of orders and of our leave to send them. It changes nothing."""

from collections.abc import Callable

from engine.core import risk
from engine.core.ledger import DAY_MS, HOUR_MS
from engine.core.state import State
from engine.core.trades import LATER
from engine.core.trading import Order
from engine.events import Assumed, TradingPaused
from engine.snapshot import AccountView, AssumedView, HonestyView, LimitView, OrderView
from engine.units import ONE_E4, ONE_E6, Milliseconds


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
        settlement=min(order.trades.values(), key=_how_far, default=""),
        ended_ms=order.ended_at_ms,
        sign_ms=None if order.signed_at_ms is None else order.sign_ms,
        send_ms=None if order.sent_at_ms is None else order.send_ms,
        answer_ms=None if order.ended_at_ms is None or order.sent_at_ms is None else order.answer_ms,
        markouts=dict(order.markouts),
        settled_value=order.settled_value,
        assumed=[_assumed(told) for told in order.assumed],
        probability=intent.probability if intent.side == "BUY" and intent.probability else None,
    )


def _how_far(status: str) -> tuple[int, bool]:
    """Order trades by how far they are; of those that are over a failed one is named first."""
    return LATER.get(status, 0), status != "FAILED"


def _assumed(told: Assumed) -> AssumedView:
    price = told.cost_e6 / told.shares_e6 if told.shares_e6 else None
    return AssumedView(told.name, told.shares_e6 / ONE_E6, price, told.fee_e6 / ONE_E6)


def account_view(
    state: State, wall_at: Callable[[Milliseconds], Milliseconds] = lambda at_ms: at_ms
) -> AccountView:
    """Show whether orders may leave, and with what money.

    Args:
        state: The core's memory.
        wall_at: What the wall showed at a moment of the engine's clock: operators act by the wall.
    """
    trading, honesty = state.trading, state.trading.honesty
    armed, told = trading.armed, risk.restriction_of(state)
    free = risk.available_e6(state)
    return AccountView(
        live=not state.dry_run,
        armed=None if state.dry_run else armed is not None and armed.armed,
        armed_why="" if armed is None else armed.why,
        armed_until_ms=None if armed is None else armed.until_ms,
        paused_why="" if trading.paused is None else f"{trading.paused.who}: {trading.paused.why}",
        restriction="none" if told is None else told.restriction,
        restriction_why="" if told is None else told.why,
        restriction_until_ms=None if told is None or told.until_ms is None else wall_at(told.until_ms),
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
        used=limits_used(state),
        paused_who="" if trading.paused is None else trading.paused.who,
        armed_who="" if armed is None else armed.who,
        paused_since_ms=_paused_since(trading.paused, wall_at),
        armed_since_ms=None if armed is None else wall_at(armed.ts_recv_ms),
    )


def _paused_since(
    paused: TradingPaused | None, wall_at: Callable[[Milliseconds], Milliseconds]
) -> Milliseconds | None:
    """Return when a pause began: as it was asked for, even before this engine was started."""
    if paused is None:
        return None
    return wall_at(paused.ts_recv_ms) if paused.since_ms is None else paused.since_ms


def limits_used(state: State) -> list[LimitView]:
    """Show how much of each limit is used, as the gates of ``engine.core.risk`` count it.

    Compared are the gates' own millionths: rounded dollars differ from them just at a limit.
    """
    limits, order = state.limits, risk.one_order_e6(state)
    lost, stake = -state.ledger.realised_on(state.now_ms // DAY_MS), risk.at_stake_e6(state)
    together = max((risk.at_stake_e6(state, end_s) for end_s in _ends(state)), default=order)
    trades = float(state.ledger.trades_since(state.now_ms - HOUR_MS) + risk.in_flight(state))
    free, hourly = risk.available_e6(state), limits.max_trades_per_hour
    return [
        _dollars("daily loss", max(0, lost), lost + stake, limits.max_daily_loss_usd),
        LimitView("trades an hour", "trades", trades, trades + 1.0, hourly, trades >= hourly),
        _dollars("exposure", stake - order, stake, limits.max_exposure_usd),
        _dollars("correlated loss", together - order, together, limits.max_correlated_usd),
        LimitView(
            "balance",
            "$",
            0.0,
            order / ONE_E6,
            None if free is None else free / ONE_E6,
            free is None or free < order,
        ),
    ]


def _dollars(name: str, used_e6: float, after_e6: float, limit_usd: float) -> LimitView:
    over = after_e6 > limit_usd * ONE_E6
    return LimitView(name, "$", used_e6 / ONE_E6, max(0.0, after_e6 / ONE_E6), limit_usd, over)


def _ends(state: State) -> set[int]:
    """Return the moments at which windows that run now end."""
    now_ms = state.now_ms
    return {
        market.contract.end_s
        for market in state.markets.values()
        if market.contract.start_s * 1000 <= now_ms < market.contract.end_s * 1000
    }
