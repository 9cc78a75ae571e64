"""PolyBolt: prices for those who have credentials, numbered by connection and channel.

Whoever names key, secret and passphrase is let in, but for the text ``wrong``. BTC of Chainlink alone has
prices; other symbols and the other channels of the protocol are acknowledged and stay silent. The server's
own pings are not played. Source: protocol sheet, section 2.1.
"""

import asyncio
import re
from collections import Counter, deque
from collections.abc import Callable
from itertools import count
from typing import Any, Final, NamedTuple

from starlette.websockets import WebSocket

from engine.clock import Clock
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.practice import polybolt_frames as frames
from engine.practice.credentials import are_valid
from engine.practice.keys import Keys
from engine.practice.outbox import Outbox, converse
from engine.practice.prices import PriceBoard
from engine.practice.tape import PriceMoment

HISTORY_MS: Final = 120_000
MOST_SUBSCRIPTIONS: Final = 64
MOST_FRAMES_A_SECOND: Final = 20
MOST_AUTHS: Final = 8
LARGEST_FRAME: Final = 64 * 1024

AUTH_FAILED: Final = 4001
POLICY: Final = 4008

CRYPTO: Final = ("btcusd", "ethusd", "solusd", "dogeusd", "xrpusd", "bnbusd", "hypeusd", "zecusd")
EQUITY: Final = re.compile(r"[a-z0-9.]{1,16}")
ASSET: Final = re.compile(r"[0-9]{1,78}")


class _Subscription(NamedTuple):
    channel: str
    symbol: str
    provider: str = ""


class _Subscriber:
    """One connection: whether it is let in, what it hears, how far each channel's numbers are."""

    def __init__(self, number: int) -> None:
        self.outbox = Outbox(f"polybolt {number}")
        self.is_authed = False
        self.auths = 0
        self.subscriptions: set[_Subscription] = set()
        self.numbers: Counter[str] = Counter()
        self.asked_at: deque[float] = deque(maxlen=MOST_FRAMES_A_SECOND)

    def next_number(self, channel: str) -> int:
        """Return a channel's next number on this connection."""
        self.numbers[channel] += 1
        return self.numbers[channel]

    def hears(self, channel: str) -> bool:
        """Say whether it subscribed to BTC on a channel."""
        return any(entry.channel == channel and entry.symbol == frames.SYMBOL for entry in self.subscriptions)

    def fail(self, code: str, rid: Any, close: int, channel: str = "") -> None:
        """Refuse something and end the connection over it."""
        self.outbox.send(frames.error(code, rid, channel))
        self.outbox.end(close, code)


class PolyboltFeed:
    """The PolyBolt socket's subscribers. ``board`` holds what was delivered here, not what RTDS got."""

    def __init__(self, clock: Clock, keys: Keys) -> None:
        self._keys = keys
        self._board = PriceBoard()
        self._clock = clock
        self._subscribers: set[_Subscriber] = set()
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._subscribers)

    def publish(self, moment: PriceMoment) -> None:
        """Send a price to those who hear its channel."""
        self._board.print(moment)
        for name, channel in frames.CHANNELS.items():
            if (channel.source, channel.lookback_s) != (moment.source, moment.lookback_s):
                continue
            for subscriber in self._subscribers:
                if subscriber.hears(name):
                    subscriber.outbox.send(frames.price(name, subscriber.next_number(name), moment))

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection."""
        await websocket.accept()
        subscriber = _Subscriber(next(self._numbers))
        self._subscribers.add(subscriber)
        try:
            await converse(websocket, subscriber.outbox, lambda text: self._hear(subscriber, text))
        finally:
            self._subscribers.discard(subscriber)

    def _hear(self, subscriber: _Subscriber, text: str) -> None:
        """Act on what a client said."""
        if len(text) > LARGEST_FRAME:
            subscriber.fail("bad_op", None, POLICY)
            return
        try:
            message = from_json(text)
        except DecodingError:
            message = None
        if not isinstance(message, dict):
            subscriber.outbox.send(frames.error("bad_op", None))
            return
        rid = message.get("rid")
        match message.get("op"):
            case "ping":
                subscriber.outbox.send(frames.op("pong", rid))
            case "auth":
                _authenticate(subscriber, message, self._keys)
            case "subscribe" | "unsubscribe" as op:
                if _asks_too_often(subscriber):
                    subscriber.fail("rate_limited", rid, POLICY)
                    return
                wanted = message.get("subscriptions")
                if not isinstance(wanted, list) or not wanted:
                    subscriber.outbox.send(frames.error("bad_op", rid))
                    return
                for entry in wanted:
                    self._change(subscriber, str(op), rid, entry if isinstance(entry, dict) else {})
            case _:
                subscriber.outbox.send(frames.error("bad_op", rid))

    def _change(self, subscriber: _Subscriber, op: str, rid: Any, entry: dict[str, Any]) -> None:
        """Take one item of a request over, and acknowledge or refuse it: one answer for each, in order."""
        channel = str(entry.get("channel"))
        if subscriber.outbox.is_ending:
            return
        if channel not in ASKS:
            subscriber.outbox.send(frames.error("bad_channel", rid, channel))
        elif not subscriber.is_authed and channel != PUBLIC:
            subscriber.outbox.send(frames.error("auth_required", rid, channel))
        elif (subscription := _asked(channel, entry.get("filter"))) is None:
            subscriber.outbox.send(frames.error("bad_filter", rid, channel))
        elif op == "unsubscribe":
            subscriber.subscriptions.discard(subscription)
            subscriber.outbox.send(frames.op("unsubscribed", rid, channel=channel))
        elif subscription in subscriber.subscriptions:
            subscriber.outbox.send(frames.op("subscribed", rid, channel=channel))
        elif len(subscriber.subscriptions) >= MOST_SUBSCRIPTIONS:
            subscriber.fail("sub_limit", rid, POLICY, channel)
        else:
            subscriber.subscriptions.add(subscription)
            subscriber.outbox.send(frames.op("subscribed", rid, channel=channel))
            subscriber.outbox.send(self._snapshot(subscriber, subscription))

    def _snapshot(self, subscriber: _Subscriber, subscription: _Subscription) -> str:
        channel, now_ms = subscription.channel, self._clock.now_ms()
        points = []
        if subscription.symbol == frames.SYMBOL and channel in frames.CHANNELS:
            carried = frames.CHANNELS[channel]
            points = self._board.since(carried.source, carried.lookback_s, now_ms - HISTORY_MS)
        number = subscriber.next_number(channel)
        if channel == PUBLIC:
            return frames.cold_snapshot(channel, number, now_ms)
        return frames.snapshot(channel, subscription.symbol, points, number, now_ms)


def _authenticate(subscriber: _Subscriber, message: dict[str, Any], keys: Keys) -> None:
    rid = message.get("rid")
    subscriber.auths += 1
    if subscriber.auths > MOST_AUTHS:
        subscriber.fail("auth_attempts", rid, POLICY)
    elif are_valid(message.get("auth"), keys):
        subscriber.is_authed = True
        subscriber.outbox.send(frames.op("authed", rid))
    else:
        subscriber.fail("auth_invalid", rid, AUTH_FAILED)


def _asks_too_often(subscriber: _Subscriber) -> bool:
    """Count a request, and say whether it is one too many within a second of the wall."""
    now = asyncio.get_running_loop().time()
    asked_at = subscriber.asked_at
    too_often = len(asked_at) == MOST_FRAMES_A_SECOND and now - asked_at[0] < 1.0
    asked_at.append(now)
    return too_often


def _crypto(asked: dict[str, Any]) -> _Subscription | None:
    provider = asked.pop("provider", "")
    if asked.get("symbol") not in CRYPTO or len(asked) != 1 or provider not in ("", frames.PROVIDER):
        return None
    return _Subscription("price.crypto", str(asked["symbol"]), str(provider))


def _average(asked: dict[str, Any]) -> _Subscription | None:
    window_s = frames.CHANNELS["price.crypto.twap"].lookback_s
    if asked.get("symbol") not in CRYPTO or asked != {"symbol": asked["symbol"], "window_seconds": window_s}:
        return None
    return _Subscription("price.crypto.twap", str(asked["symbol"]))


def _other(
    channel: str, field: str, pattern: re.Pattern[str]
) -> Callable[[dict[str, Any]], _Subscription | None]:
    """Return what reads the filter of a channel that is silent here."""

    def read(asked: dict[str, Any]) -> _Subscription | None:
        name = asked.get(field)
        fits = isinstance(name, str) and len(asked) == 1 and pattern.fullmatch(name) is not None
        return _Subscription(channel, str(name)) if fits else None

    return read


PUBLIC: Final = "price.polymarket"
ASKS: Final[dict[str, Callable[[dict[str, Any]], _Subscription | None]]] = {
    "price.crypto": _crypto,
    "price.crypto.twap": _average,
    "price.equity": _other("price.equity", "symbol", EQUITY),
    "price.equity.twap": _other("price.equity.twap", "symbol", EQUITY),
    PUBLIC: _other(PUBLIC, "asset_id", ASSET),
}
"""What reads a channel's filter."""


def _asked(channel: str, asked: Any) -> _Subscription | None:
    """Return what a filter asks for, or None where it is not one of its channel."""
    return ASKS[channel](dict(asked)) if isinstance(asked, dict) else None
