"""One event in, the core moves on, decisions and intents come out. The whole engine turns around this
function.

The core is pure: it imports no clock, socket, thread, random number or log, and time reaches it inside
events. When it decides is part of the core too: on each change of a touch, a price, a second or a command.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from engine import events as e
from engine.core import assess, orders, reports, windows
from engine.core.decide import Decision
from engine.core.fair import expect_settlement
from engine.core.prices import PriceTrack
from engine.core.signal import watch_fires, watch_return
from engine.core.state import FeedState, Market, OrderIntent, State
from engine.core.volatility import realised_vol, sigma_usd
from engine.params import Limits, Params
from engine.snapshot import Mark

Effect: TypeAlias = Decision | OrderIntent

PRICE_FEEDS: Final = ("rtds", "polybolt", "spot")

GAP_S: Final = 5
"""A hole of more seconds than this in the raw feed is worth a mark on the chart."""


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
    state.now_ms = max(state.now_ms, event.ts_recv_ms)
    kind = type(event)
    state.kinds[kind.__struct_config__.tag] += 1  # type: ignore[index]  # every event has a string tag
    touched = _HANDLERS[kind](state, event)
    if not touched:
        return ()
    effects: list[Effect] = []
    for market in touched:
        if market.contract.start_s * 1000 <= state.now_ms < market.contract.end_s * 1000:
            _decide(state, market, effects)
    return effects


def _decide(state: State, market: Market, effects: list[Effect]) -> None:
    decision = assess.decide_on(state, market)
    state.decisions[decision.reason] += 1
    effects.append(decision)
    if decision.action:
        effects.append(orders.intend(state, market, decision))


# --- the session --------------------------------------------------------------------------------------------


def _session_opened(state: State, event: e.SessionOpened) -> None:
    state.session, state.venue = event.session, event.venue
    state.dry_run, state.profile = event.dry_run, event.profile
    state.params = Params(**event.params)
    state.limits = Limits(**event.limits)
    state.killed = event.killed
    state.opened_ms = event.ts_recv_ms


def _second_passed(state: State, _: e.SecondPassed) -> list[Market]:
    for market in list(state.markets.values()):
        windows.capture(state, market)
        windows.close(state, market)
    return list(state.markets.values())


def _kill_switch_changed(state: State, event: e.KillSwitchChanged) -> list[Market]:
    state.killed = event.latched
    state.kill_who, state.kill_why = event.who, event.why
    state.killed_since_ms = event.ts_recv_ms if event.latched else None
    return list(state.markets.values())


def _engine_halted(state: State, event: e.EngineHalted) -> list[Market]:
    state.halted_why = state.halted_why or event.why
    return list(state.markets.values())


# --- connections --------------------------------------------------------------------------------------------


def _feed(state: State, name: str) -> FeedState:
    feed = state.feeds.get(name)
    if feed is None:
        feed = state.feeds[name] = FeedState()
    return feed


def _heard(state: State, name: str, event: e.Event) -> None:
    feed = _feed(state, name)
    feed.frames += 1
    feed.arrived_ms = event.ts_recv_ms


def _feed_opened(state: State, event: e.FeedOpened) -> None:
    feed = _feed(state, event.feed)
    feed.connected, feed.epoch, feed.detail = True, event.epoch, ""
    if event.feed == "clob":
        _void_books(state)


def _void_books(state: State) -> None:
    """Trust nothing of an old connection: each book waits for its own snapshot."""
    for market in state.markets.values():
        market.up.void()
        market.down.void()


def _feed_closed(state: State, event: e.FeedClosed) -> None:
    feed = _feed(state, event.feed)
    feed.connected, feed.epoch, feed.detail = False, event.epoch, event.reason
    if event.feed == "clob":
        _void_books(state)


def _frame_ignored(state: State, event: e.FrameIgnored) -> None:
    _feed(state, event.feed)
    if event.feed in PRICE_FEEDS and event.reason == "other symbol":
        state.bad_prices[f"{event.feed}: {event.reason}"] += 1


def _frame_refused(state: State, event: e.FrameRefused) -> None:
    _feed(state, event.feed).refused += 1
    if event.feed in PRICE_FEEDS:
        # A parser names the fault before the colon, and shows the text after it.
        state.bad_prices[f"{event.feed}: {event.reason.partition(':')[0][:60]}"] += 1


# --- prices -------------------------------------------------------------------------------------------------

SEED_SPAN_S: Final = 60
"""Seconds of the seed's volatility ("realized sigma1 from 1-second returns over last 60s")."""

_FEED_OF_SOURCE: Final = {
    "polybolt": "polybolt",
    "twap": "rtds",
    "chainlink": "rtds",
    "binance": "rtds",
    "spot": "spot",
}


def _price_printed(state: State, event: e.PricePrinted) -> list[Market] | None:
    _heard(state, _FEED_OF_SOURCE[event.source], event)
    track = state.track(event.source, event.lookback_s)
    before = track.newest_s
    told = reports.take(track, event.ts_venue_ms, event.value, event)
    if told in reports.COUNTED:
        state.bad_prices[f"{event.source}: {told}"] += 1
    if told not in ("new", "late") or event.source == "spot":
        return None
    if event.source == "chainlink" and before is not None and track.newest_s is not None:
        missing = track.newest_s - before - 1
        if missing > GAP_S:
            state.marks.append(Mark(event.ts_recv_ms, "gap", "", f"{missing} s never arrived"))
    return _prices_changed(state, event.source)


def _price_history_served(state: State, event: e.PriceHistoryServed) -> list[Market] | None:
    _heard(state, _FEED_OF_SOURCE[event.source], event)
    track = state.track(event.source, event.lookback_s)
    for stamp_ms, value in event.points:
        told = reports.take(track, stamp_ms, value, event)
        # A history tells again what is known and what was missed: neither is a fault.
        if told in reports.COUNTED and told not in ("duplicate", "late"):
            state.bad_prices[f"{event.source}: {told}"] += 1
    return _prices_changed(state, event.source)


def _prices_changed(state: State, source: e.Source) -> list[Market] | None:
    if source not in ("polybolt", "twap", "chainlink"):
        return None
    chainlink = state.track("chainlink")
    if source == "chainlink":
        state.sigma_usd = sigma_usd(chainlink, state.params)
        state.sigma_seed_usd = _seed_sigma_usd(chainlink)
        state.watch_return = watch_return(chainlink, state.params)
    for market in state.markets.values():
        windows.capture(state, market)
        if source == "chainlink":
            _reprice(state, market)
            _watch(state, market)
    return list(state.markets.values())


def _seed_sigma_usd(track: PriceTrack) -> float | None:
    """Return the plain deviation over 60 s, for the comparison with the formula that most bots use."""
    if track.newest_s is None:
        return None
    points = track.in_order(track.newest_s - SEED_SPAN_S, track.newest_s)
    return realised_vol(points) if len(points) > 1 else None


def _reprice(state: State, market: Market) -> None:
    rule = market.contract.rule
    if rule is None or state.sigma_usd is None:
        market.fair = None
        return
    track = state.track("chainlink")
    market.fair = expect_settlement(rule, market.contract.end_s, track, state.sigma_usd, state.params.memory)


def _watch(state: State, market: Market) -> None:
    """Watch an open window from the moment that a fresh return reaches the threshold."""
    is_open = market.contract.start_s * 1000 <= state.now_ms < market.contract.end_s * 1000
    if is_open and market.watched_at_ms is None and watch_fires(state.watch_return, state.params):
        market.watched_at_ms = state.now_ms
        text = f"{state.watch_return:+.3%} in {state.params.watch_window_s:g} s"
        state.marks.append(Mark(state.now_ms, "watch", market.contract.slug, text))


# --- books --------------------------------------------------------------------------------------------------


def _book_replaced(state: State, event: e.BookReplaced) -> tuple[Market] | None:
    _heard(state, "clob", event)
    known = state.tokens.get(event.token)
    if known is None:
        state.unknown_tokens += 1
        return None
    market, outcome = known
    market.book_arrived_ms = event.ts_recv_ms
    market.book_of(outcome).replace(event)
    return (market,)


def _levels_changed(state: State, event: e.LevelsChanged) -> tuple[Market] | None:
    _heard(state, "clob", event)
    moved = None
    for change in event.changes:
        known = state.tokens.get(change.token)
        if known is None:
            state.unknown_tokens += 1
            continue
        market, outcome = known
        market.book_arrived_ms = event.ts_recv_ms
        if market.book_of(outcome).change(change, event.ts_venue_ms):
            moved = market
    return None if moved is None else (moved,)


def _touch_quoted(state: State, event: e.TouchQuoted) -> None:
    _heard(state, "clob", event)
    known = state.tokens.get(event.token)
    if known is not None:
        market, outcome = known
        market.book_of(outcome).check(event.best_bid_e4, event.best_ask_e4, event.ts_venue_ms)


def _tick_size_changed(state: State, event: e.TickSizeChanged) -> tuple[Market] | None:
    _heard(state, "clob", event)
    known = state.tokens.get(event.token)
    if known is None:
        return None
    market, outcome = known
    market.book_of(outcome).change_tick(event.new_tick_e4)
    return (market,)


def _heard_on_clob(state: State, event: e.Event) -> None:
    _heard(state, "clob", event)


def _market_resolved(state: State, event: e.MarketResolved) -> None:
    _heard(state, "clob", event)
    for market in state.markets.values():
        contract = market.contract
        if contract.condition_id == event.market and event.winning_token in (
            contract.token_up,
            contract.token_down,
        ):
            windows.settle(
                state, market, "UP" if event.winning_token == contract.token_up else "DOWN", "served"
            )


# --- markets ------------------------------------------------------------------------------------------------


def _market_described(state: State, event: e.MarketDescribed) -> tuple[Market] | None:
    _heard(state, "gamma", event)
    contract = event.contract
    market = state.markets.get(contract.slug)
    if market is None:
        if contract.end_s * 1000 <= state.now_ms:
            return None
        market = windows.open_market(state, contract)
    else:
        windows.describe(state, market, contract)
    windows.capture(state, market)
    _reprice(state, market)
    return (market,)


def _market_unavailable(state: State, event: e.MarketUnavailable) -> None:
    _heard(state, "gamma", event)
    _feed(state, "gamma").detail = f"{event.slug}: {event.reason}"


def _outcome_served(state: State, event: e.OutcomeServed) -> None:
    _heard(state, "gamma", event)
    market = state.markets.get(event.slug)
    if market is None:
        return
    windows.served(state, market, event)


def _site_price_served(state: State, event: e.SitePriceServed) -> None:
    _heard(state, "site", event)
    market = state.markets.get(event.slug)
    if market is not None:
        market.site = event


Handler: TypeAlias = Callable[[State, Any], Sequence[Market] | None]

_HANDLERS: Final[dict[type[e.Event], Handler]] = {
    e.SessionOpened: _session_opened,
    e.SecondPassed: _second_passed,
    e.KillSwitchChanged: _kill_switch_changed,
    e.EngineHalted: _engine_halted,
    e.FeedOpened: _feed_opened,
    e.FeedClosed: _feed_closed,
    e.FrameIgnored: _frame_ignored,
    e.FrameRefused: _frame_refused,
    e.PricePrinted: _price_printed,
    e.PriceHistoryServed: _price_history_served,
    e.BookReplaced: _book_replaced,
    e.LevelsChanged: _levels_changed,
    e.TouchQuoted: _touch_quoted,
    e.TickSizeChanged: _tick_size_changed,
    e.TradePrinted: _heard_on_clob,
    e.MarketDescribed: _market_described,
    e.MarketUnavailable: _market_unavailable,
    e.MarketListed: _heard_on_clob,
    e.MarketResolved: _market_resolved,
    e.OutcomeServed: _outcome_served,
    e.SitePriceServed: _site_price_served,
    e.OrderSubmitted: orders.submitted,
    e.OrderFilled: orders.filled,
    e.OrderKilled: orders.killed,
    e.OrderDenied: orders.denied,
}
