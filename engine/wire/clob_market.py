"""The CLOB's market channel: frames to subscribe, and what it sends as events.

What it does not know: which tokens are ours. Source: protocol sheet, sections 3.1 to 3.5.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from engine import events as e
from engine.errors import WireError
from engine.units import Milliseconds, size_e6
from engine.wire import clob_messages as m
from engine.wire.grammar import KEEP_ALIVE, PING, PRICES, TOUCHES, Text, is_keep_alive

__all__ = ["IGNORED", "PING", "add", "parse", "remove", "subscribe"]

NO_BOOKS: Final = "no books"
OTHER_KIND: Final = "other kind of message"
NOT_STATED: Final = "touch not stated"
NO_PRICE: Final = "trade without price"
EMPTY_PRICE_CHANGE: Final = "no changes"

IGNORED: Final = {
    KEEP_ALIVE: "empty text, or PONG",
    NO_BOOKS: "[]: the answer to a subscription to tokens that are unknown or closed",
    OTHER_KIND: "a message with an event_type that is not needed here",
    NOT_STATED: "best_bid_ask with an empty text for a price: unknown, which is not an empty side",
    NO_PRICE: "last_trade_price with an empty text for its price",
    EMPTY_PRICE_CHANGE: "price_change without changes",
}
"""Every reason for which this channel's frames are ignored, and what it means."""


def subscribe(tokens: Iterable[str]) -> str:
    """Write the first frame of a connection: with snapshots, best_bid_ask, new_market, market_resolved."""
    first = {"assets_ids": list(tokens), "type": "market", "initial_dump": True, "level": 2}
    return _compact({**first, "custom_feature_enabled": True})


def add(tokens: Iterable[str]) -> str:
    """Write the frame that adds tokens to a connection."""
    return _compact({"operation": "subscribe", "assets_ids": list(tokens), "custom_feature_enabled": True})


def remove(tokens: Iterable[str]) -> str:
    """Write the frame that takes tokens off a connection."""
    return _compact({"operation": "unsubscribe", "assets_ids": list(tokens)})


def parse(text: Text, ts_recv_ms: Milliseconds) -> list[e.AnyEvent]:
    """Turn one frame into events, in the frame's order.

    Args:
        text: The frame as received: an object, an array of objects, or a keep-alive.
        ts_recv_ms: When it arrived.
    Returns:
        At least one event; ``FrameIgnored`` for what is understood and of no use. ``FrameRefused``, in its
        place, for an item that is not understood where another one is, or where it holds no level: its
        reason begins with its kind then, " of " and whose it is.
    Raises:
        WireError: Nothing of the frame is understood, and it may have been a change of a book.
    """
    if is_keep_alive(text):
        return [_ignored(KEEP_ALIVE, ts_recv_ms)]
    messages = m.read(text)
    if not messages:
        return [_ignored(NO_BOOKS, ts_recv_ms)]
    try:
        return [_EVENTS[type(message)](message, ts_recv_ms) for message in messages]
    except (ValueError, WireError):  # a number that is no price or no size, or an item that is not read
        return _each(messages, ts_recv_ms)


def _each(messages: list[m.Message | m.Unread | None], ts_recv_ms: Milliseconds) -> list[e.AnyEvent]:
    """Turn each message into its event, or into the refusal of it."""
    events: list[e.AnyEvent] = []
    faults: list[m.Unread] = []
    for message in messages:
        try:
            events.append(_EVENTS[type(message)](message, ts_recv_ms))
        except (ValueError, WireError) as error:
            fault = message if isinstance(message, m.Unread) else m.unread(_encoded(message), str(error))
            faults.append(fault)
            events.append(
                e.FrameRefused(ts_recv_ms=ts_recv_ms, feed="clob", reason=fault.reason, excerpt=fault.excerpt)
            )
    if len(faults) == len(messages):
        for fault in faults:
            if fault.holds_levels:
                raise WireError(fault.reason)
    return events


def _refuse(message: m.Unread, _: Milliseconds) -> e.AnyEvent:
    raise WireError(message.reason)


def book_replaced(message: m.Book, ts_recv_ms: Milliseconds) -> e.BookReplaced:
    """Turn a book into its event.

    Raises:
        ValueError: A level whose price is not between 0 and 1, or whose size is none.
    """
    tick = message.tick_size
    return e.BookReplaced(
        ts_recv_ms=ts_recv_ms,
        market=message.market,
        token=message.asset_id,
        bids=tuple([(PRICES[level.price], size_e6(level.size)) for level in message.bids]),
        asks=tuple([(PRICES[level.price], size_e6(level.size)) for level in message.asks]),
        ts_venue_ms=message.timestamp,
        tick_e4=PRICES[tick] if tick else None,
    )


def _price_change(message: m.PriceChange, ts_recv_ms: Milliseconds) -> e.LevelsChanged | e.FrameIgnored:
    if message.price_changes is not None:
        changes = [_change(change) for change in message.price_changes]
    elif message.changes is not None and message.asset_id is not None:
        token = message.asset_id
        changes = [
            e.LevelChange(token, old.side, PRICES[old.price], size_e6(old.size)) for old in message.changes
        ]
    else:
        raise WireError("price_change without price_changes or changes")
    if not changes:
        return _ignored(EMPTY_PRICE_CHANGE, ts_recv_ms)
    return e.LevelsChanged(
        ts_recv_ms=ts_recv_ms,
        market=message.market,
        changes=tuple(changes),
        ts_venue_ms=message.timestamp,
    )


def _change(change: m.Change) -> e.LevelChange:
    price, size = PRICES[change.price], size_e6(change.size)
    bid, ask = change.best_bid, change.best_ask
    if bid and ask:
        return e.LevelChange(change.asset_id, change.side, price, size, True, TOUCHES[bid], TOUCHES[ask])
    # "" is a number the venue did not write: nothing is stated, an empty side least of all.
    return e.LevelChange(change.asset_id, change.side, price, size)


def _tick_size(message: m.TickSize, ts_recv_ms: Milliseconds) -> e.TickSizeChanged:
    old = message.old_tick_size
    return e.TickSizeChanged(
        ts_recv_ms=ts_recv_ms,
        market=message.market,
        token=message.asset_id,
        old_tick_e4=PRICES[old] if old else None,
        new_tick_e4=PRICES[message.new_tick_size],
        ts_venue_ms=message.timestamp,
    )


def _trade(message: m.Trade, ts_recv_ms: Milliseconds) -> e.TradePrinted | e.FrameIgnored:
    if not message.price:
        return _ignored(NO_PRICE, ts_recv_ms)
    return e.TradePrinted(
        ts_recv_ms=ts_recv_ms,
        market=message.market,
        token=message.asset_id,
        price_e4=PRICES[message.price],
        size_e6=size_e6(message.size),
        side=message.side,
        ts_venue_ms=message.timestamp,
    )


def _touch(message: m.Touch, ts_recv_ms: Milliseconds) -> e.TouchQuoted | e.FrameIgnored:
    if not message.best_bid or not message.best_ask:
        return _ignored(NOT_STATED, ts_recv_ms)
    return e.TouchQuoted(
        ts_recv_ms=ts_recv_ms,
        market=message.market,
        token=message.asset_id,
        best_bid_e4=TOUCHES[message.best_bid],
        best_ask_e4=TOUCHES[message.best_ask],
        ts_venue_ms=message.timestamp,
    )


def _new_market(message: m.NewMarket, ts_recv_ms: Milliseconds) -> e.MarketListed:
    return e.MarketListed(
        ts_recv_ms=ts_recv_ms, market=message.market, slug=message.slug, ts_venue_ms=message.timestamp
    )


def _resolved(message: m.Resolved, ts_recv_ms: Milliseconds) -> e.MarketResolved:
    return e.MarketResolved(
        ts_recv_ms=ts_recv_ms,
        market=message.market,
        winning_token=message.winning_asset_id,
        ts_venue_ms=message.timestamp,
    )


def _ignored(reason: str, ts_recv_ms: Milliseconds) -> e.FrameIgnored:
    return e.FrameIgnored(ts_recv_ms=ts_recv_ms, feed="clob", reason=reason)


_EVENTS: Final[dict[type, Callable[[Any, Milliseconds], e.AnyEvent]]] = {
    type(None): lambda _, ts_recv_ms: _ignored(OTHER_KIND, ts_recv_ms),
    m.Book: book_replaced,
    m.PriceChange: _price_change,
    m.TickSize: _tick_size,
    m.Trade: _trade,
    m.Touch: _touch,
    m.NewMarket: _new_market,
    m.Resolved: _resolved,
    m.Unread: _refuse,
}

_encoded: Final = msgspec.json.Encoder().encode


def _compact(frame: dict[str, Any]) -> str:
    return json.dumps(frame, separators=(",", ":"))
