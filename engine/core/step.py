"""One event in, the core moves on, decisions and intents come out. The whole engine turns around this
function.

The core is pure: it imports no clock, socket, thread, random number or log, and time reaches it inside
events. When it decides is part of the core too: on each change of a touch, a price, a second or a command.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from engine import events as e
from engine.core import (
    account,
    assess,
    book_events,
    books,
    connections,
    fates,
    health,
    market_events,
    markouts,
    orders,
    price_events,
    restoring,
    trades,
    unsettled,
    windows,
)
from engine.core.book_events import levels_changed
from engine.core.decide import BUY_UP, Decision
from engine.core.state import HALT, Market, State
from engine.core.trading import OrderIntent
from engine.events import LevelsChanged
from engine.params import Limits, Params
from engine.snapshot import Mark

SET_BACK_MS: Final = 60_000
"""Wall milliseconds by which the time may go back before it halts: less passes by itself within a minute, and
no clock that is kept by NTP is stepped by so much but once, after a start with a wrong time."""

Effect: TypeAlias = Decision | OrderIntent


def step(state: State, record: e.Record) -> Sequence[Effect]:
    """Take one record in.

    Args:
        state: The core's memory; changed in place.
        record: The next record of the journal, in order of ``seq``.
    Returns:
        Every decision taken because of it, and the order intents that follow, in order.
    """
    event = record.event
    state.seq = record.seq
    if event.ts_recv_ms > state.now_ms:  # noqa: PLR1730 (max() costs four times as much, a million times a minute)
        state.now_ms = event.ts_recv_ms
    if type(event) is LevelsChanged:
        # Nineteen of twenty events, and most of them move no touch.
        if (moved := levels_changed(state, event)) is None:
            return ()
        return _decided(state, (moved,))
    kind = type(event)
    state.counts[kind] += 1
    if kind not in _OF_BOOKS:
        state.epoch += 1
    touched = _HANDLERS[kind](state, event)
    if state.halted_why is not None:
        state.stops_ms.setdefault(HALT, state.now_ms)
    if not touched:
        return ()
    if isinstance(touched, OrderIntent):
        return (touched,)
    return _decided(state, touched)


def _decided(state: State, touched: Sequence[Market]) -> list[Effect]:
    """Decide on every open window of those touched, and intend to buy where it is worth it."""
    effects: list[Effect] = []
    buys: list[tuple[Market, Decision]] = []
    now_ms = state.now_ms
    for market in touched:
        contract = market.contract
        if contract.start_s * 1000 <= now_ms < contract.end_s * 1000:
            decision = _decide(state, market, effects)
            if decision.action:
                buys.append((market, decision))
    # The best candidate first; each intent counts against the limits of the ones after it.
    buys.sort(key=lambda buy: _ev(buy[1]), reverse=True)
    for place, (market, first) in enumerate(buys):
        decision = first if place == 0 else _decide(state, market, effects)
        intent = orders.intend(state, market, decision) if decision.action else None
        if intent is not None:
            effects.append(intent)
    return effects


def _decide(state: State, market: Market, effects: list[Effect]) -> Decision:
    decision = assess.decide_on(state, market)
    state.decisions[decision.reason] += 1
    effects.append(decision)
    return decision


def _ev(decision: Decision) -> float:
    ev = decision.ev_up if decision.action == BUY_UP else decision.ev_down
    return -1.0 if ev is None else ev


# --- the session --------------------------------------------------------------------------------------------


def _session_opened(state: State, event: e.SessionOpened) -> None:
    state.session, state.venue = event.session, event.venue
    state.dry_run, state.profile = event.dry_run, event.profile
    state.params = Params(**event.params)
    state.limits = Limits(**event.limits)
    state.killed = event.killed
    state.opened_ms = event.ts_recv_ms
    state.trading.cash_e6 = event.cash_e6
    state.trading.order_kind = event.order_kind
    state.clock_rate = event.clock_rate


def _second_passed(state: State, event: e.SecondPassed) -> list[Market]:
    _look_for_time_set_back(state, event)
    health.look(state)
    books.look(state)
    markouts.look(state)
    unsettled.look(state)
    state.least_lags.append(state.least_lag_now_ms)
    state.least_lag_before_ms = min((lag for lag in state.least_lags if lag is not None), default=None)
    state.least_lag_now_ms = None
    for market in list(state.markets.values()):
        windows.capture(state, market)
        windows.close(state, market)
    if state.fallback_since_ms is not None:
        price_events.live_on_spot(state)
    return list(state.markets.values())


def _look_for_time_set_back(state: State, event: e.SecondPassed) -> None:
    """Halt where this machine's clock was set back: ``now_ms`` never goes back, and stands until it is
    reached again. Windows of now would be taken for ended ones meanwhile, and what is silent for fresh."""
    state.last_second_ms = max(state.last_second_ms, state.opened_ms, event.ts_recv_ms)
    back_ms = state.last_second_ms - event.ts_recv_ms
    if state.halted_why is None and back_ms > SET_BACK_MS * max(1.0, state.clock_rate):
        text = f"this machine's clock was set back by {back_ms / 1000:,.0f} s: start the engine again"
        state.halted_why = text
        state.marks.append(Mark(state.now_ms, "mode", "", text))


def _kill_switch_changed(state: State, event: e.KillSwitchChanged) -> list[Market]:
    state.killed = event.latched
    state.kill_who, state.kill_why = event.who, event.why
    since_ms = event.ts_recv_ms if event.since_ms is None else event.since_ms
    state.killed_since_ms = since_ms if event.latched else None
    return list(state.markets.values())


def _engine_halted(state: State, event: e.EngineHalted) -> list[Market]:
    state.halted_why = state.halted_why or event.why
    return list(state.markets.values())


Handler: TypeAlias = Callable[[State, Any], Sequence[Market] | OrderIntent | None]

_OF_BOOKS: Final = frozenset((e.BookReplaced, e.TouchQuoted, e.TradePrinted, e.MarketListed))
"""What tells of books alone, and of nothing else that a gate asks about; beside ``LevelsChanged``."""

_HANDLERS: Final[dict[type[e.Event], Handler]] = {
    e.SessionOpened: _session_opened,
    e.SecondPassed: _second_passed,
    e.KillSwitchChanged: _kill_switch_changed,
    e.EngineHalted: _engine_halted,
    e.FeedOpened: connections.feed_opened,
    e.FeedClosed: connections.feed_closed,
    e.FrameIgnored: connections.frame_ignored,
    e.FrameRefused: connections.frame_refused,
    e.FramesLost: connections.frames_lost,
    e.ClockMeasured: connections.clock_measured,
    e.BacklogChanged: connections.backlog_changed,
    e.PricePrinted: price_events.printed,
    e.PriceHistoryServed: price_events.history_served,
    e.BookReplaced: book_events.replaced,
    e.TouchQuoted: book_events.touch_quoted,
    e.TickSizeChanged: book_events.tick_size_changed,
    e.BookQueried: book_events.queried,
    e.TradePrinted: book_events.heard_on_clob,
    e.MarketDescribed: market_events.described,
    e.MarketUnavailable: market_events.unavailable,
    e.MarketListed: book_events.heard_on_clob,
    e.MarketResolved: book_events.resolved,
    e.OutcomeServed: market_events.outcome_served,
    e.SitePriceServed: market_events.site_price_served,
    e.OrderSigned: fates.signed,
    e.OrderSubmitted: fates.submitted,
    e.OrderFilled: fates.filled,
    e.OrderKilled: fates.killed,
    e.OrderDenied: fates.denied,
    e.OrderRejected: fates.rejected,
    e.OrderUnknown: fates.unknown,
    e.TradeStatusTold: trades.trade_status_told,
    e.AccountTradeTold: trades.account_trade_told,
    e.AccountOrderTold: trades.account_order_told,
    e.OrdersCancelled: account.cancelled,
    e.VenueRestricted: account.restricted,
    e.BalanceTold: account.balance_told,
    e.SharesTold: account.shares_told,
    e.ArmChanged: account.armed,
    e.AlarmRaised: account.alarm_raised,
    e.TradingPaused: account.paused,
    e.LimitsTightened: account.limits_tightened,
    e.ParamsChanged: account.params_changed,
    e.ExitAsked: account.exit_asked,
    e.LedgerRestored: restoring.restored,
}
