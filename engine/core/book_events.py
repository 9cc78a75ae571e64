"""What the CLOB's channels tell: books, changes, stated touches, outcomes.

A stamp further ahead of its arrival than clocks may differ cannot be true. Taken in, it would stay the newest
of its book until that time had come, and every change before would count as old. So such a frame is refused
and counted, and the books that it is of are void, and asked for again.
"""

from typing import Final

from engine import events as e
from engine.contract import Outcome
from engine.core import books, connections, windows
from engine.core.state import FeedState, Market, State

REFUSED: Final = "clob: from the future"
"""The name under which refused frames are counted among the faulty reports (docs/feeds.md)."""


def replaced(state: State, event: e.BookReplaced) -> tuple[Market] | None:
    """The venue sent a whole book."""
    connections.heard(state, "clob", event)
    known = state.tokens.get(event.token)
    if known is None:
        state.unknown_tokens += 1
        return None
    market, outcome = known
    connections.stamped(state, event.ts_venue_ms, event)
    if _is_of_the_future(state, event):
        state.bad_prices[REFUSED] += 1
        market.book_of(outcome).void()
        return (market,)
    market.book_arrived_ms = event.ts_recv_ms
    market.book_of(outcome).replace(event)
    return (market,)


def levels_changed(state: State, event: e.LevelsChanged) -> Market | None:
    """Levels changed; only a moved touch is worth a decision."""
    # Nineteen of twenty events are this one: what ``connections`` does for the others is written out here.
    arrived, stamp = event.ts_recv_ms, event.ts_venue_ms
    feed = state.clob or _clob(state)
    feed.level_frames += 1
    feed.arrived_ms = arrived
    lag_ms, least = arrived - stamp, state.least_lag_now_ms
    if least is None or lag_ms < least:
        state.least_lag_now_ms = lag_ms
    if lag_ms < 0 and _is_of_the_future(state, event):
        return _levels_refused(state, event)
    tokens, moved = state.tokens, None
    for change in event.changes:
        try:
            market, outcome = tokens[change.token]
        except KeyError:  # of a window that is over: rare, and looking first is paid for each time
            state.unknown_tokens += 1
            continue
        market.book_arrived_ms = arrived
        if (market.up if outcome == "UP" else market.down).change(change, stamp):
            moved = market
    return moved


def _is_of_the_future(state: State, event: e.BookReplaced | e.LevelsChanged | e.TouchQuoted) -> bool:
    """Say whether a stamp is further ahead than the clocks may differ."""
    return event.ts_venue_ms - event.ts_recv_ms > state.params.max_clock_skew_ms


def _levels_refused(state: State, event: e.LevelsChanged) -> Market | None:
    """Void the books of levels that are not believed: what really became of them is not known."""
    state.bad_prices[REFUSED] += 1
    voided = None
    for token in {change.token: None for change in event.changes}:
        known = state.tokens.get(token)
        if known is None:
            state.unknown_tokens += 1
            continue
        voided, outcome = known
        voided.book_of(outcome).void()
    return voided


def _clob(state: State) -> FeedState:
    """Find the market channel's connection, once for all."""
    state.clob = connections.feed_of(state, "clob")
    return state.clob


def touch_quoted(state: State, event: e.TouchQuoted) -> None:
    """The venue stated a touch: it is compared with the rebuilt one."""
    connections.heard(state, "clob", event)
    known = state.tokens.get(event.token)
    if known is None:
        return
    if _is_of_the_future(state, event):
        # It changes no level; but a doubt of that stamp could end with nothing that is stamped before.
        state.bad_prices[REFUSED] += 1
    else:
        market, outcome = known
        market.book_of(outcome).check(event.best_bid_e4, event.best_ask_e4, event.ts_venue_ms)


def tick_size_changed(state: State, event: e.TickSizeChanged) -> tuple[Market] | None:
    """The price grid changed: the book is void until the next snapshot."""
    connections.heard(state, "clob", event)
    known = state.tokens.get(event.token)
    if known is None:
        return None
    market, outcome = known
    market.book_of(outcome).change_tick(event.new_tick_e4)
    return (market,)


def queried(state: State, event: e.BookQueried) -> tuple[Market] | None:
    """REST told a touch, as a cross-check."""
    known = state.tokens.get(event.token)
    if known is None:
        return None
    market, outcome = known
    books.compare(market, market.book_of(outcome), event)
    return (market,)


def heard_on_clob(state: State, event: e.Event) -> None:
    """The market channel told something of no use to a decision."""
    connections.heard(state, "clob", event)


def resolved(state: State, event: e.MarketResolved) -> None:
    """The CLOB announced which token won."""
    connections.heard(state, "clob", event)
    for market in state.markets.values():
        contract = market.contract
        if contract.condition_id == event.market and event.winning_token in (
            contract.token_up,
            contract.token_down,
        ):
            outcome: Outcome = "UP" if event.winning_token == contract.token_up else "DOWN"
            windows.announced(state, market, outcome)
