"""An exchange's own ticker: Coinbase's ``ticker`` channel, and Binance's trades.

These prices are for liveness and divergence only, never for settlement. What it does not know: which exchange
is connected; the frames tell. Source: captures of April 2026 (both exchanges' public sockets).
"""

import json
from typing import Final

import msgspec

from engine import events as e
from engine.errors import WireError
from engine.units import Milliseconds
from engine.wire.grammar import DECODE_ERRORS, KEEP_ALIVE, Stamp, Text, dollars, is_keep_alive, unix_ms

COINBASE_PRODUCT: Final = "BTC-USD"
BINANCE_SYMBOL: Final = "BTCUSDT"

ACKNOWLEDGED: Final = "acknowledgement"
OTHER_PRODUCT: Final = "other product"
OTHER_KIND: Final = "other kind of message"
SERVER_NOTE: Final = "note of the server"

IGNORED: Final = {
    KEEP_ALIVE: "empty text or PONG",
    ACKNOWLEDGED: "the answer to a subscription",
    OTHER_PRODUCT: "a product that is not BTC in dollars",
    OTHER_KIND: "a message that is neither a ticker nor a trade",
    SERVER_NOTE: "an error which the exchange reports in words",
}
"""Every reason for which this feed's frames are ignored, and what it means."""


def subscribe() -> str:
    """Write the frame that subscribes to Coinbase's ticker; Binance's streams are chosen by URL."""
    frame = {"type": "subscribe", "product_ids": [COINBASE_PRODUCT], "channels": ["ticker"]}
    return json.dumps(frame, separators=(",", ":"))


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
        if frame.data:
            return [_binance(_FRAMES.decode(frame.data), ts_recv_ms)]
    except DECODE_ERRORS as error:
        raise WireError(str(error)) from error
    return [_coinbase(frame, ts_recv_ms) if frame.e is None else _binance(frame, ts_recv_ms)]


class _Frame(msgspec.Struct):
    """Either exchange's frame; the names are theirs. ``data`` is Binance's combined stream around a trade."""

    type: str | None = None
    product_id: str | None = None
    price: str | None = None
    time: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    e: str | None = None
    s: str | None = None
    p: str | None = None
    T: Stamp | None = None
    E: Stamp | None = None
    id: msgspec.Raw = msgspec.Raw()


_FRAMES: Final = msgspec.json.Decoder(_Frame)


def _coinbase(frame: _Frame, ts_recv_ms: Milliseconds) -> e.PricePrinted | e.FrameIgnored:
    if frame.type is None:
        if frame.id:
            return _ignored(ACKNOWLEDGED, ts_recv_ms)  # Binance: {"result":null,"id":1}
        raise WireError("an object with neither type, e nor data")
    if frame.type != "ticker":
        reasons = {"subscriptions": ACKNOWLEDGED, "error": SERVER_NOTE}
        return _ignored(reasons.get(frame.type, OTHER_KIND), ts_recv_ms)
    if frame.product_id != COINBASE_PRODUCT:
        return _ignored(OTHER_PRODUCT, ts_recv_ms)
    if frame.price is None or frame.time is None:
        raise WireError("ticker without price or time")
    return _printed(frame.price, unix_ms(frame.time), None, ts_recv_ms)


def _binance(frame: _Frame, ts_recv_ms: Milliseconds) -> e.PricePrinted | e.FrameIgnored:
    if frame.e not in ("trade", "aggTrade"):
        return _ignored(OTHER_KIND, ts_recv_ms)
    if frame.s != BINANCE_SYMBOL:
        return _ignored(OTHER_PRODUCT, ts_recv_ms)
    if frame.p is None or frame.T is None:
        raise WireError("trade without price or time")
    return _printed(frame.p, frame.T, frame.E, ts_recv_ms)


def _printed(
    price: str, ts_venue_ms: Milliseconds, ts_sent_ms: Milliseconds | None, ts_recv_ms: Milliseconds
) -> e.PricePrinted:
    return e.PricePrinted(
        ts_recv_ms=ts_recv_ms,
        source="spot",
        value=dollars(price),
        ts_venue_ms=ts_venue_ms,
        ts_sent_ms=ts_sent_ms,
    )


def _ignored(reason: str, ts_recv_ms: Milliseconds) -> e.FrameIgnored:
    return e.FrameIgnored(ts_recv_ms=ts_recv_ms, feed="spot", reason=reason)
