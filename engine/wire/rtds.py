"""RTDS: frames to subscribe to BTC prices, and what it sends as events.

What it does not know: whether a value is late, repeated or the newest. Source: protocol sheet, section 1.
"""

import json
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

import msgspec

from engine import events as e
from engine.errors import WireError
from engine.units import Milliseconds
from engine.wire.grammar import (
    DECODE_ERRORS,
    KEEP_ALIVE,
    PING,
    Stamp,
    Text,
    checked_dollars,
    dollars,
    dollars_e18,
    is_keep_alive,
)

__all__ = ["BINANCE", "CHAINLINK", "IGNORED", "PING", "TWAP_60", "parse", "subscribe", "unsubscribe"]

CHAINLINK: Final = "crypto_prices_chainlink"
TWAP_30: Final = "crypto_prices_twap_thirty"
TWAP_60: Final = "crypto_prices_twap_sixty"
BINANCE: Final = "crypto_prices"

OTHER_TOPIC: Final = "other topic"
OTHER_SYMBOL: Final = "other symbol"
OTHER_TYPE: Final = "other type"
REFUSED: Final = "subscription refused"
SERVER_NOTE: Final = "note of the server"
NO_HISTORY: Final = "empty history"
UNLABELLED: Final = "history of unknown averaging time"

IGNORED: Final = {
    KEEP_ALIVE: "empty text (on connect, and in answer to PING), or PONG",
    OTHER_TOPIC: "a topic that is not one of BTC's four",
    OTHER_SYMBOL: "another symbol, or one whose form is not that of its topic",
    OTHER_TYPE: "neither an update nor the history that answers a subscription",
    REFUSED: "a body with a statusCode, 401 for a topic that does not exist",
    SERVER_NOTE: "a message of the gateway, such as Internal server error",
    NO_HISTORY: "a history without points",
    UNLABELLED: "a history under a TWAP topic that does not say its window: it may be spot",
}
"""Every reason for which this feed's frames are ignored, and what it means."""

_LOOKBACK_S: Final = {TWAP_30: 30, TWAP_60: 60}
_DISPLAY_TOLERANCE: Final = Decimal("0.001")
"""``value`` is the exact text for display, to sixteen digits so far; a misread scale is far more off."""


def subscribe(topic: str, symbol: str) -> str:
    """Write the frame that subscribes to one symbol of one topic.

    One topic a frame, because a wrong one silences all others of its frame; the filter is JSON inside a text,
    without a space, because with one the history comes and the updates never do. Source: sheet, 1.2.
    """
    return _frame("subscribe", topic, symbol)


def unsubscribe(topic: str, symbol: str) -> str:
    """Write the frame that ends a subscription."""
    return _frame("unsubscribe", topic, symbol)


def parse(text: Text, ts_recv_ms: Milliseconds) -> list[e.AnyEvent]:
    """Turn one frame into its event.

    Args:
        text: The frame as received.
        ts_recv_ms: When it arrived.
    Returns:
        One event; ``FrameIgnored`` for what is understood and of no use.
    Raises:
        WireError: The frame is not understood.
    """
    if is_keep_alive(text):
        return [_ignored(KEEP_ALIVE, ts_recv_ms)]
    try:
        frame = _FRAMES.decode(text)
        if frame.topic is None:
            return [_ignored(_note(frame), ts_recv_ms)]
        if frame.topic not in (CHAINLINK, TWAP_30, TWAP_60, BINANCE):
            return [_ignored(OTHER_TOPIC, ts_recv_ms)]
        if frame.type == "update":
            return [_update(frame, ts_recv_ms)]
        if frame.type == "subscribe":
            return [_history(frame, ts_recv_ms)]
    except DECODE_ERRORS as error:
        raise WireError(str(error)) from error
    return [_ignored(OTHER_TYPE, ts_recv_ms)]


# --- frames as the server writes them ---


class _Frame(msgspec.Struct):
    """Any object: an update, a history, a refusal (``statusCode``) or a note of the gateway (``message``)."""

    topic: str | None = None
    type: str | None = None
    timestamp: Stamp | None = None
    payload: msgspec.Raw = msgspec.Raw()
    statusCode: int | None = None
    message: str | None = None


class _Price(msgspec.Struct):
    symbol: str
    timestamp: Stamp
    value: Decimal | None = None
    full_accuracy_value: str | None = None
    window_s: int | None = None


class _Point(msgspec.Struct):
    timestamp: Stamp
    value: Decimal | None = None
    full_accuracy_value: str | None = None


class _History(msgspec.Struct):
    symbol: str
    data: list[_Point]
    window_s: int | None = None


# msgspec reads a JSON number into a Decimal from its text, never by way of a float.
_FRAMES: Final = msgspec.json.Decoder(_Frame)
_PRICES: Final = msgspec.json.Decoder(_Price)
_HISTORIES: Final = msgspec.json.Decoder(_History)


class _Stream(NamedTuple):
    """What a value is of."""

    source: Literal["twap", "chainlink", "binance"]
    lookback_s: int


def _update(frame: _Frame, ts_recv_ms: Milliseconds) -> e.PricePrinted | e.FrameIgnored:
    """Route an update strictly by its topic: all topics of BTC share the symbol ``btc/usd``."""
    price: _Price = _PRICES.decode(_payload(frame))
    if price.symbol != ("btcusdt" if frame.topic == BINANCE else "btc/usd"):
        return _ignored(OTHER_SYMBOL, ts_recv_ms)
    if frame.topic in _LOOKBACK_S:
        lookback = _LOOKBACK_S[frame.topic]
        if price.window_s not in (None, lookback):
            raise WireError(f"a window of {price.window_s} s under another topic: {frame.topic}")
        stream = _twap(lookback)
    elif price.window_s is not None:
        raise WireError(f"a window of {price.window_s} s under another topic: {frame.topic}")
    else:
        stream = _Stream("binance" if frame.topic == BINANCE else "chainlink", 0)
    return e.PricePrinted(
        ts_recv_ms=ts_recv_ms,
        source=stream.source,
        value=_value(stream, price),
        ts_venue_ms=price.timestamp,
        ts_sent_ms=frame.timestamp,
        lookback_s=stream.lookback_s,
    )


def _history(frame: _Frame, ts_recv_ms: Milliseconds) -> e.PriceHistoryServed | e.FrameIgnored:
    """Route a history by the form of its symbol and by its window.

    The history of Chainlink's spot comes under the topic ``crypto_prices``; only ``btc/usd`` tells. What does
    not say that it is an average is never taken for one: spot in the TWAP would poison every strike.
    """
    history: _History = _HISTORIES.decode(_payload(frame))
    if history.symbol == "btcusdt" and frame.topic == BINANCE:
        stream = _Stream("binance", 0)
    elif history.symbol != "btc/usd":
        return _ignored(OTHER_SYMBOL, ts_recv_ms)
    elif history.window_s is not None:
        stream = _twap(history.window_s)
    elif frame.topic in _LOOKBACK_S:
        return _ignored(UNLABELLED, ts_recv_ms)
    else:
        stream = _Stream("chainlink", 0)
    if not history.data:
        return _ignored(NO_HISTORY, ts_recv_ms)
    points = sorted((point.timestamp, _value(stream, point)) for point in history.data)
    return e.PriceHistoryServed(
        ts_recv_ms=ts_recv_ms, source=stream.source, points=tuple(points), lookback_s=stream.lookback_s
    )


def _twap(lookback_s: int) -> _Stream:
    if not 0 < lookback_s <= 3600:
        raise WireError(f"a TWAP over {lookback_s} s")
    return _Stream("twap", lookback_s)


def _value(stream: _Stream, price: _Price | _Point) -> Decimal:
    """Return the exact value: the text where there is one; Chainlink scales it by 10^18, Binance does not.

    The number beside it is for display; it is only compared, so that a change of scale cannot pass.
    """
    exact, shown = price.full_accuracy_value, price.value
    if exact is None or exact == "":
        if shown is None:
            raise WireError("neither full_accuracy_value nor value")
        return checked_dollars(shown)
    value = dollars(exact) if stream.source == "binance" else dollars_e18(exact)
    if shown is not None and abs(checked_dollars(shown) - value) > value * _DISPLAY_TOLERANCE:
        raise WireError(f"full_accuracy_value {exact[:60]} is not value {shown}")
    return value


def _payload(frame: _Frame) -> msgspec.Raw:
    if not frame.payload:
        raise WireError(f"{frame.topic} without payload")
    return frame.payload


def _note(frame: _Frame) -> str:
    if frame.statusCode is not None:
        return REFUSED
    if frame.message is not None:
        return SERVER_NOTE
    raise WireError("an object with neither topic, statusCode nor message")


def _ignored(reason: str, ts_recv_ms: Milliseconds) -> e.FrameIgnored:
    return e.FrameIgnored(ts_recv_ms=ts_recv_ms, feed="rtds", reason=reason)


def _frame(action: str, topic: str, symbol: str) -> str:
    filters = _compact({"symbol": symbol})
    kind = "*" if topic == CHAINLINK else "update"  # as the documentation writes them, each topic its own
    entry = {"topic": topic, "type": kind, "filters": filters}
    return _compact({"action": action, "subscriptions": [entry]})


def _compact(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
