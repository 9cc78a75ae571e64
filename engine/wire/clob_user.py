"""The CLOB's user channel: the frame to subscribe, and what it tells of our orders and trades as events.

What it does not know: what we believe of an order; these are the venue's words. Prices finer than 0.0001
(a taker's mean over several levels) are rounded to the nearest step; money is reckoned from fills elsewhere.
Source: protocol sheet, section 3.7.
"""

import json
import re
from typing import Annotated, Final, TypeAlias

import msgspec

from engine import events as e
from engine.errors import WireError
from engine.units import ONE_E4, Milliseconds, PriceE4, SizeE6, size_e6
from engine.wire.credentials import Credentials
from engine.wire.grammar import DECODE_ERRORS, KEEP_ALIVE, PING, Text, is_keep_alive

__all__ = ["FEED", "IGNORED", "PING", "parse", "subscribe"]

FEED: Final = "user"

NOTHING_TOLD: Final = "nothing told"
OTHER_KIND: Final = "other kind of message"
NOT_OURS: Final = "trade of others"

IGNORED: Final = {
    KEEP_ALIVE: "empty text, or PONG",
    NOTHING_TOLD: "[]: an array without messages",
    OTHER_KIND: "a message that is neither of an order nor of a trade",
    NOT_OURS: "a trade in which neither side is said to be ours",
}
"""Every reason for which this channel's frames are ignored, and what it means."""

_NUMBER: Final = re.compile(r"(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})")
_SECONDS_END: Final = 10**11
"""A stamp below is in seconds, one above in milliseconds: the year 5138 or March 1973."""


def subscribe(credentials: Credentials) -> str:
    """Write the first frame of a connection, for all markets. It holds the secrets: send it and forget it."""
    return json.dumps({"auth": credentials.auth(), "type": "user"}, separators=(",", ":"))


def parse(text: Text, ts_recv_ms: Milliseconds, owner: str) -> list[e.AnyEvent]:
    """Turn one frame into events.

    Args:
        text: The frame as received: an object, an array of objects, or a keep-alive.
        ts_recv_ms: When it arrived.
        owner: Our API key as it stands in the frame: it marks our orders among a trade's makers.
    Returns:
        At least one event; ``FrameIgnored`` for what is understood and of no use.
    Raises:
        WireError: The frame is not understood. An array counts as a whole.
    """
    if is_keep_alive(text):
        return [_ignored(KEEP_ALIVE, ts_recv_ms)]
    try:
        decoded = _FRAMES.decode(text)
        messages = decoded if isinstance(decoded, list) else [decoded]
        if not messages:
            return [_ignored(NOTHING_TOLD, ts_recv_ms)]
        return [event for message in messages for event in _events(message, ts_recv_ms, owner)]
    except DECODE_ERRORS as error:
        raise WireError(str(error)) from error


# --- messages as the venue writes them: every number is a text, and any text may be empty ---

_Bounded: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=10**14)]
_Number: TypeAlias = str | _Bounded | Annotated[float, msgspec.Meta(ge=0, le=1e14)] | None


class _MakerOrder(msgspec.Struct):
    order_id: str
    asset_id: str
    price: _Number
    matched_amount: _Number
    owner: str | None = None
    side: str | None = None


class _Message(msgspec.Struct):
    """An order or a trade; which one, ``event_type`` says."""

    event_type: str | None = None
    type: str | None = None
    id: str | None = None
    market: str | None = None
    asset_id: str | None = None
    side: str | None = None
    price: _Number = None
    size: _Number = None
    original_size: _Number = None
    size_matched: _Number = None
    status: str | None = None
    owner: str | None = None
    trade_owner: str | None = None
    taker_order_id: str | None = None
    trader_side: str | None = None
    maker_orders: list[_MakerOrder] | None = None
    timestamp: _Number = None
    last_update: _Number = None
    match_time: _Number = None
    matchtime: _Number = None
    created_at: _Number = None


_FRAMES: Final = msgspec.json.Decoder(_Message | list[_Message])


def _events(message: _Message, ts_recv_ms: Milliseconds, owner: str) -> list[e.AnyEvent]:
    if message.event_type == "order":
        return [_order(message, ts_recv_ms)]
    if message.event_type == "trade":
        return list(_trades(message, ts_recv_ms, owner)) or [_ignored(NOT_OURS, ts_recv_ms)]
    return [_ignored(OTHER_KIND, ts_recv_ms)]


def _order(message: _Message, ts_recv_ms: Milliseconds) -> e.AccountOrderTold:
    change = message.type
    if change not in ("PLACEMENT", "UPDATE", "CANCELLATION"):
        raise WireError(f"an order event of type {str(change)[:40]!r}")
    return e.AccountOrderTold(
        ts_recv_ms=ts_recv_ms,
        venue_order_id=_order_id(message.id, "id"),
        market=_said(message.market, "market"),
        token=_said(message.asset_id, "asset_id"),
        change=change,  # type: ignore[arg-type]  # mypy does not narrow a text by membership
        status=message.status or "",
        size_e6=_size(message.original_size),
        matched_e6=_size(message.size_matched),
        ts_venue_ms=_stamp(message),
    )


def _trades(message: _Message, ts_recv_ms: Milliseconds, owner: str) -> list[e.AccountTradeTold]:
    """Return our own parts of a trade: the taker's is at the top level, a maker's inside ``maker_orders``."""
    makers = [order for order in message.maker_orders or [] if order.owner == owner]
    our_side = (message.trader_side or "").upper()
    if our_side == "MAKER":
        if not makers:
            raise WireError("a trade as maker without an order of ours")
        takes = False
    elif our_side == "TAKER":
        takes = True
    else:
        takes = not makers and owner in (message.owner, message.trade_owner)
    told = [_made(message, order, ts_recv_ms) for order in makers]
    return [_taken(message, ts_recv_ms), *told] if takes else told


def _taken(message: _Message, ts_recv_ms: Milliseconds) -> e.AccountTradeTold:
    return e.AccountTradeTold(
        ts_recv_ms=ts_recv_ms,
        trade_id=_said(message.id, "id"),
        venue_order_id=_order_id(message.taker_order_id, "taker_order_id"),
        market=_said(message.market, "market"),
        token=_said(message.asset_id, "asset_id"),
        side=_side(message.side),
        price_e4=_price(message.price),
        size_e6=_filled(message.size),
        status=_trade_status(message),
        ts_venue_ms=_stamp(message),
    )


def _made(message: _Message, order: _MakerOrder, ts_recv_ms: Milliseconds) -> e.AccountTradeTold:
    return e.AccountTradeTold(
        ts_recv_ms=ts_recv_ms,
        trade_id=_said(message.id, "id"),
        venue_order_id=_order_id(order.order_id, "order_id"),
        market=_said(message.market, "market"),
        token=_said(order.asset_id, "asset_id"),
        side=_maker_side(message, order),
        price_e4=_price(order.price),
        size_e6=_filled(order.matched_amount),
        status=_trade_status(message),
        ts_venue_ms=_stamp(message),
    )


def _maker_side(message: _Message, order: _MakerOrder) -> e.Side:
    """Return a maker's side; where it is not said, a match on one token is of opposite sides, and a match of
    both tokens (each buys one, or each sells one) of the same."""
    if order.side:
        return _side(order.side)
    takers = _side(message.side)
    if order.asset_id != message.asset_id:
        return takers
    return "SELL" if takers == "BUY" else "BUY"


def _side(text: str | None) -> e.Side:
    word = (text or "").upper()
    if word == "BUY":
        return "BUY"
    if word == "SELL":
        return "SELL"
    raise WireError(f"side {str(text)[:40]!r}")


def _said(text: str | None, name: str) -> str:
    if not text:
        raise WireError(f"no {name}")
    return text


def _order_id(text: str | None, name: str) -> str:
    """Return an order's id in the small letters in which we know our own."""
    return _said(text, name).lower()


def _trade_status(message: _Message) -> str:
    """Return a trade's status as a bare word; the venue's REST answers put a prefix before it."""
    return (message.status or "").upper().removeprefix("TRADE_STATUS_")


def _number(value: _Number, what: str) -> float | None:
    """Read a number that may be a text, an empty text or missing: the latter two are None, never 0."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise WireError(f"{what} {value[:40]!r} is not a plain number")
        return float(value)
    return float(value)


def _size(value: _Number) -> SizeE6 | None:
    shares = _number(value, "size")
    return None if shares is None else size_e6(shares)


def _filled(value: _Number) -> SizeE6:
    size = _size(value)
    if size is None:
        raise WireError("a trade without size")
    return size


def _price(value: _Number) -> PriceE4:
    price = _number(value, "price")
    if price is None:
        raise WireError("a trade without price")
    if not 0.0 < price < 1.0:
        raise WireError(f"price {price!r} is not between 0 and 1")
    return min(max(round(price * ONE_E4), 1), ONE_E4 - 1)


def _stamp(message: _Message) -> Milliseconds:
    """Return the time of a message, which comes in seconds or in milliseconds, under one of several names."""
    names = (
        message.timestamp,
        message.last_update,
        message.match_time,
        message.matchtime,
        message.created_at,
    )
    for value in names:
        number = _number(value, "time")
        if number is not None:
            if number > 10**14:
                raise WireError(f"time {number:.0f} is beyond reason")
            return round(number * 1000) if number < _SECONDS_END else round(number)
    raise WireError("no time")


def _ignored(reason: str, ts_recv_ms: Milliseconds) -> e.FrameIgnored:
    return e.FrameIgnored(ts_recv_ms=ts_recv_ms, feed=FEED, reason=reason)
