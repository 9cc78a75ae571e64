"""What the CLOB's channels tell: books, changes, stated touches, outcomes."""

from engine import events as e
from engine.contract import Outcome
from engine.core import books, connections, windows
from engine.core.state import FeedState, Market, State


def replaced(state: State, event: e.BookReplaced) -> tuple[Market] | None:
    """The venue sent a whole book."""
    connections.heard(state, "clob", event)
    known = state.tokens.get(event.token)
    if known is None:
        state.unknown_tokens += 1
        return None
    market, outcome = known
    market.book_arrived_ms = event.ts_recv_ms
    connections.stamped(state, event.ts_venue_ms, event)
    market.book_of(outcome).replace(event)
    return (market,)


def levels_changed(state: State, event: e.LevelsChanged) -> Market | None:
    """Levels changed; only a moved touch is worth a decision."""
    # Nineteen of twenty events are this one: what ``connections`` does for the others is written out here.
    arrived, stamp = event.ts_recv_ms, event.ts_venue_ms
    feed = state.clob or _clob(state)
    feed.level_frames += 1
    feed.arrived_ms = arrived
    least = state.least_lag_now_ms
    if least is None or arrived - stamp < least:
        state.least_lag_now_ms = arrived - stamp
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


def _clob(state: State) -> FeedState:
    """Find the market channel's connection, once for all."""
    state.clob = connections.feed_of(state, "clob")
    return state.clob


def touch_quoted(state: State, event: e.TouchQuoted) -> None:
    """The venue stated a touch: it is compared with the rebuilt one."""
    connections.heard(state, "clob", event)
    known = state.tokens.get(event.token)
    if known is not None:
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
