"""RTDS: the price topics, with the habits of the real server that break clients.

An empty text greets, ``PING`` is answered by an empty text, a filter brings a snapshot, a filter with a space
brings the snapshot and then silence, an unknown topic is refused. Source: protocol sheet, section 1.
"""

import base64
import hashlib
from itertools import count
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from starlette.websockets import WebSocket

from engine.clock import Clock
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.events import Source
from engine.practice import frames
from engine.practice.outbox import Outbox, converse
from engine.practice.prices import PriceBoard
from engine.practice.tape import PriceMoment


class Topic(NamedTuple):
    """What a topic carries. ``history_s`` is how far back its snapshot reaches."""

    source: Source
    symbol: str
    lookback_s: int = 0
    history_s: int = 60


TOPICS: Final = {
    "crypto_prices_chainlink": Topic("chainlink", "btc/usd"),
    "crypto_prices_twap_sixty": Topic("twap", "btc/usd", lookback_s=60),
    "crypto_prices_twap_thirty": Topic("twap", "btc/usd", lookback_s=30),
    "crypto_prices": Topic("binance", "btcusdt", history_s=120),
}
"""Source: protocol sheet, section 1.2; 120 s of Binance as captured on 2026-09-05."""

SILENT_S: Final = 20.0
"""A client that says nothing for so long is closed. A ``PING`` is asked for every 5 s (protocol sheet,
section 1.5); when the real server hangs up is not documented, and decided here."""

KINDS: Final = ("update", "*")

Hearing: TypeAlias = Literal["all", "symbol", "snapshot only", "nothing", "refused"]


class _Subscriber:
    """One connection: what it hears, and the id that its frames carry."""

    def __init__(self, number: int) -> None:
        self.outbox = Outbox(f"rtds {number}")
        digest = hashlib.sha256(f"rtds connection {number}".encode()).digest()
        self.connection_id = base64.b64encode(digest[:11]).decode()
        self.topics: set[str] = set()


class RtdsFeed:
    """The RTDS socket's subscribers."""

    def __init__(self, board: PriceBoard, clock: Clock) -> None:
        self._board = board
        self._clock = clock
        self._subscribers: set[_Subscriber] = set()
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._subscribers)

    def publish(self, moment: PriceMoment) -> None:
        """Send a price to those who hear its topic."""
        for name, topic in TOPICS.items():
            if (topic.source, topic.lookback_s) != (moment.source, moment.lookback_s):
                continue
            for subscriber in self._subscribers:
                if name in subscriber.topics:
                    frame = frames.price_update(name, topic.symbol, moment, subscriber.connection_id)
                    subscriber.outbox.send(frame)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection."""
        await websocket.accept()
        subscriber = _Subscriber(next(self._numbers))
        self._subscribers.add(subscriber)
        subscriber.outbox.send("")
        try:
            await converse(websocket, subscriber.outbox, lambda text: self._hear(subscriber, text), SILENT_S)
        finally:
            self._subscribers.discard(subscriber)

    def _hear(self, subscriber: _Subscriber, text: str) -> None:
        """Act on what a client said; what is not understood is passed over in silence."""
        if text.upper() == "PING":
            subscriber.outbox.send("")
            return
        try:
            message = from_json(text)
        except DecodingError:
            return
        if not isinstance(message, dict) or not isinstance(message.get("subscriptions"), list):
            return
        wanted = [entry for entry in message["subscriptions"] if isinstance(entry, dict)]
        if message.get("action") == "subscribe":
            self._subscribe(subscriber, wanted)
        elif message.get("action") == "unsubscribe":
            subscriber.topics -= {str(entry.get("topic")) for entry in wanted}

    def _subscribe(self, subscriber: _Subscriber, wanted: list[dict[str, Any]]) -> None:
        """Take a whole array, or refuse it whole: one bad topic silences the others."""
        for entry in wanted:
            topic, kind = str(entry.get("topic")), str(entry.get("type"))
            if topic not in TOPICS or kind not in KINDS:
                subscriber.outbox.send(frames.topic_refused(topic, kind))
                return
            if _hearing(entry.get("filters"), TOPICS[topic].symbol) == "refused":
                subscriber.outbox.send(frames.filter_refused())
                return
        for entry in wanted:
            name = str(entry["topic"])
            hearing = _hearing(entry.get("filters"), TOPICS[name].symbol)
            if hearing in ("symbol", "snapshot only"):
                subscriber.outbox.send(self._snapshot(name))
            if hearing in ("symbol", "all"):
                subscriber.topics.add(name)

    def _snapshot(self, name: str) -> str:
        topic, now_ms = TOPICS[name], self._clock.now_ms()
        points = self._board.since(topic.source, topic.lookback_s, now_ms - topic.history_s * 1000)
        if topic.source == "twap":
            return frames.twap_snapshot(name, topic.symbol, topic.lookback_s, points, now_ms)
        return frames.spot_snapshot(topic.symbol, points, now_ms)


def _hearing(filters: Any, symbol: str) -> Hearing:
    """Say what a filter lets through.

    Args:
        filters: As sent: nothing, or a JSON document inside a string.
        symbol: The topic's own.
    Returns:
        ``all``: no filter, so no snapshot. ``symbol``: the exact compact form. ``snapshot only``: the same,
        with a space. ``nothing``: JSON of another symbol or shape. ``refused``: no JSON (the comma list).
    """
    if filters in (None, ""):
        return "all"
    try:
        asked = from_json(filters) if isinstance(filters, str) else None
    except DecodingError:
        return "refused"
    if asked is None:
        return "refused"
    if asked != {"symbol": symbol}:
        return "nothing"
    return "symbol" if filters == f'{{"symbol":"{symbol}"}}' else "snapshot only"
