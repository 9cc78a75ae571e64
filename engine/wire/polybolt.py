"""PolyBolt, the venue's live data channel: frames to subscribe to BTC prices, and what it sends as events.

Its averages are the settlement stream; of its spot prices only Chainlink's are taken, because the provider
behind ``price.crypto`` has changed before. What it does not know: whether a value is late or the newest.
Source: protocol sheet, section 2.1.
"""

import json
import re
from collections import defaultdict
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from engine import events as e
from engine.errors import WireError
from engine.units import Milliseconds
from engine.wire.credentials import Credentials
from engine.wire.grammar import (
    DECODE_ERRORS,
    KEEP_ALIVE,
    Stamp,
    Text,
    checked_dollars,
    dollars,
    is_keep_alive,
)

FEED: Final = "polybolt"
TWAP: Final = "price.crypto.twap"
SPOT: Final = "price.crypto"
SYMBOL: Final = "btcusd"
PROVIDER: Final = "chainlink"

AUTHENTICATED: Final = "authenticated"
ACKNOWLEDGED: Final = "acknowledgement"
OTHER_MESSAGE: Final = "other kind of message"
OTHER_CHANNEL: Final = "other channel"
OTHER_SYMBOL: Final = "other symbol"
OTHER_PROVIDER: Final = "other provider"
NO_HISTORY: Final = "empty history"
UNLABELLED: Final = "history of unknown averaging time"

IGNORED: Final = {
    KEEP_ALIVE: "the answer to a ping, or empty text",
    AUTHENTICATED: "our credentials were taken; subscriptions follow",
    ACKNOWLEDGED: "a subscription was taken up or ended",
    OTHER_MESSAGE: "a message that is neither a price nor an answer known here",
    OTHER_CHANNEL: "a channel that is not one of BTC's two",
    OTHER_SYMBOL: "another symbol than btcusd",
    OTHER_PROVIDER: "a price of another provider than Chainlink, or of none that is stated",
    NO_HISTORY: "a snapshot without points",
    UNLABELLED: "a snapshot of averages that does not say its window",
}
"""Every reason for which this feed's frames are ignored, and what it means."""

ERROR: Final = "error: "
"""A ``FrameRefused`` whose reason begins so is the venue's own refusal; its code follows."""

WRONG_KEYS: Final = f"{ERROR}auth_invalid"
"""The refusal after which trying again with the same keys is useless."""

PING: Final = '{"op":"ping","rid":"p1"}'
"""Every 30 s, as the official client does (sheet, 2.1)."""

_CODE: Final = re.compile(r"[a-z_]{1,40}")
_LOOKBACKS_S: Final = range(1, 3601)
_DISPLAY_TOLERANCE: Final = Decimal("0.001")
"""As on RTDS: ``value`` is for display and only compared, so that a change of scale cannot pass."""


def auth(credentials: Credentials) -> str:
    """Write the first frame of a connection. It holds the secrets: send it and forget it."""
    return _compact({"op": "auth", "rid": "a1", "auth": credentials.auth()})


def subscribe(channel: str) -> str:
    """Write the frame that subscribes to BTC on one channel, for when the venue has said ``authed``."""
    wanted = {"window_seconds": 60} if channel == TWAP else {"provider": PROVIDER}
    entry = {"channel": channel, "filter": {"symbol": SYMBOL, **wanted}}
    return _compact({"op": "subscribe", "rid": f"s-{channel}", "subscriptions": [entry]})


class Reader:
    """Reads one connection's frames; a new connection needs a new one, because the numbering starts again.

    What it remembers is the last number of each channel, so that a gap can be told.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._owed: defaultdict[str, int] = defaultdict(int)

    def parse(self, text: Text, ts_recv_ms: Milliseconds) -> list[e.AnyEvent]:
        """Turn one frame into events.

        Args:
            text: The frame as received.
            ts_recv_ms: When it arrived.
        Returns:
            ``FramesLost`` first where the channel's numbers skipped some, then one event;
            ``FrameIgnored`` for what is understood and of no use.
        Raises:
            WireError: The frame is not understood; what was lost before it is told with the next.
        """
        if is_keep_alive(text):
            return [_ignored(KEEP_ALIVE, ts_recv_ms)]
        try:
            frame = _FRAMES.decode(text)
            if frame.op is not None:
                return [_answer(frame, ts_recv_ms)]
            if frame.channel is None:
                return [_ignored(OTHER_MESSAGE, ts_recv_ms)]
            self._count(frame.channel, frame)
            event = _price(frame.channel, frame, ts_recv_ms)
        except DECODE_ERRORS as error:
            raise WireError(str(error)) from error
        lost = self._owed.pop(frame.channel, 0)
        if not lost:
            return [event]
        told = e.FramesLost(ts_recv_ms=ts_recv_ms, feed=FEED, topic=frame.channel, count=lost)
        return [told, event]

    def _count(self, channel: str, frame: "_Frame") -> None:
        """Note how many frames are missing before this one.

        The venue also says itself how many it dropped. Whether those took numbers is not documented, so the
        larger of both counts, not their sum.
        """
        if channel not in (TWAP, SPOT):
            return
        gap = 0
        if frame.seq is not None:
            last = self._last.get(channel, frame.seq - 1)
            gap = max(0, frame.seq - last - 1)
            self._last[channel] = max(last, frame.seq)
        lost = max(gap, int(frame.dropped or 0))
        if lost:
            self._owed[channel] = min(self._owed[channel] + lost, _MOST)


# --- frames as the server writes them ---

_MOST: Final = 10**14
_Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]


class _Frame(msgspec.Struct):
    """Any object: an answer (``op``), or a snapshot or an update of a channel."""

    op: str | None = None
    code: str | None = None
    channel: str | None = None
    seq: _Count | None = None
    ts: Stamp | None = None
    snapshot: bool = False
    dropped: _Count | bool | None = None
    payload: msgspec.Raw = msgspec.Raw()


class _Head(msgspec.Struct):
    """What a value is of; read first, so that what is not ours is passed over without a further look."""

    symbol: str
    source: str | None = None
    window_seconds: int | None = None


class _Price(msgspec.Struct):
    timestamp: Stamp
    value: Decimal | None = None
    full_accuracy_value: str | None = None
    is_carried_forward: bool | None = None


class _History(msgspec.Struct):
    data: list[_Price]


_FRAMES: Final = msgspec.json.Decoder(_Frame)
_HEADS: Final = msgspec.json.Decoder(_Head)
_PRICES: Final = msgspec.json.Decoder(_Price)
_HISTORIES: Final = msgspec.json.Decoder(_History)


def _answer(frame: _Frame, ts_recv_ms: Milliseconds) -> e.FrameIgnored | e.FrameRefused:
    """Read an answer to a frame of ours. Of a refusal only the code is kept, never the frame's own words."""
    if frame.op == "error":
        code = frame.code if frame.code is not None and _CODE.fullmatch(frame.code) else "of no known form"
        known = frame.channel if frame.channel in (TWAP, SPOT) else None
        excerpt = _compact({"op": "error", "code": code, "channel": known})
        return e.FrameRefused(ts_recv_ms=ts_recv_ms, feed=FEED, reason=f"{ERROR}{code}", excerpt=excerpt)
    reasons = {
        "authed": AUTHENTICATED,
        "subscribed": ACKNOWLEDGED,
        "unsubscribed": ACKNOWLEDGED,
        "pong": KEEP_ALIVE,
    }
    return _ignored(reasons.get(frame.op or "", OTHER_MESSAGE), ts_recv_ms)


def _price(
    channel: str, frame: _Frame, ts_recv_ms: Milliseconds
) -> e.PricePrinted | e.PriceHistoryServed | e.FrameIgnored:
    if channel not in (TWAP, SPOT):
        return _ignored(OTHER_CHANNEL, ts_recv_ms)
    if not frame.payload:
        raise WireError(f"{channel} without payload")
    head: _Head = _HEADS.decode(frame.payload)
    if head.symbol != SYMBOL:
        return _ignored(OTHER_SYMBOL, ts_recv_ms)
    if head.source != PROVIDER:
        return _ignored(OTHER_PROVIDER, ts_recv_ms)
    if frame.snapshot:
        return _history(channel, head, frame.payload, ts_recv_ms)
    price: _Price = _PRICES.decode(frame.payload)
    return e.PricePrinted(
        ts_recv_ms=ts_recv_ms,
        source="polybolt" if channel == TWAP else "chainlink",
        value=_value(price),
        ts_venue_ms=price.timestamp,
        ts_sent_ms=frame.ts,
        lookback_s=_lookback_s(head) if channel == TWAP else 0,
        feed=FEED,
        is_carried_forward=bool(price.is_carried_forward),
    )


def _history(
    channel: str, head: _Head, payload: msgspec.Raw, ts_recv_ms: Milliseconds
) -> e.PriceHistoryServed | e.FrameIgnored:
    history: _History = _HISTORIES.decode(payload)
    # A value that was only carried forward is no report of its second.
    points = sorted((p.timestamp, _value(p)) for p in history.data if not p.is_carried_forward)
    if not points:
        return _ignored(NO_HISTORY, ts_recv_ms)
    if channel == TWAP and head.window_seconds is None:
        return _ignored(UNLABELLED, ts_recv_ms)
    return e.PriceHistoryServed(
        ts_recv_ms=ts_recv_ms,
        source="polybolt" if channel == TWAP else "chainlink",
        points=tuple(points),
        lookback_s=_lookback_s(head) if channel == TWAP else 0,
        feed=FEED,
    )


def _lookback_s(head: _Head) -> int:
    lookback_s = head.window_seconds
    if lookback_s is None or lookback_s not in _LOOKBACKS_S:
        raise WireError(f"a TWAP over {lookback_s} s")
    return lookback_s


def _value(price: _Price) -> Decimal:
    """Return the exact value: a plain decimal here, where RTDS scales it by 10^18 (sheet, 2.1)."""
    exact, shown = price.full_accuracy_value, price.value
    if exact is None or exact == "":
        if shown is None:
            raise WireError("neither full_accuracy_value nor value")
        return checked_dollars(shown)
    value = dollars(exact)
    if shown is not None and abs(checked_dollars(shown) - value) > value * _DISPLAY_TOLERANCE:
        raise WireError(f"full_accuracy_value {exact[:60]} is not value {shown}")
    return value


def _ignored(reason: str, ts_recv_ms: Milliseconds) -> e.FrameIgnored:
    return e.FrameIgnored(ts_recv_ms=ts_recv_ms, feed=FEED, reason=reason)


def _compact(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
