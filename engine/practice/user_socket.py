"""The CLOB user channel: what became of one's own orders and trades, for those who have credentials.

Nothing here makes such events: the exchange does, and a control call may publish one more. What the real
server does with wrong credentials is not documented; here it closes with 1008.
Source: protocol sheet, section 3.7.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from itertools import count
from typing import Any, Final

from starlette.websockets import WebSocket

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.practice.clob_socket import SILENT_S, close_when_silent
from engine.practice.credentials import are_valid
from engine.practice.frames import json_text
from engine.practice.keys import Keys
from engine.practice.outbox import POLICY_VIOLATION, Outbox, converse

ORDER: Final[dict[str, Any]] = {
    "event_type": "order",
    "id": "0x" + "0" * 64,
    "owner": "",
    "market": "",
    "asset_id": "",
    "side": "BUY",
    "order_owner": "",
    "original_size": "10",
    "size_matched": "0",
    "price": "0.52",
    "associate_trades": None,
    "outcome": "Up",
    "type": "PLACEMENT",
    "created_at": "0",
    "expiration": "0",
    "order_type": "GTC",
    "status": "LIVE",
    "maker_address": "0x" + "0" * 40,
    "timestamp": "0",
}
TRADE: Final[dict[str, Any]] = {
    "event_type": "trade",
    "type": "TRADE",
    "id": "0",
    "taker_order_id": "0x" + "0" * 64,
    "market": "",
    "asset_id": "",
    "side": "BUY",
    "size": "10",
    "fee_rate_bps": "0",
    "price": "0.52",
    "status": "MATCHED",
    "match_time": "0",
    "last_update": "0",
    "outcome": "Up",
    "owner": "",
    "trade_owner": "",
    "maker_address": "0x" + "0" * 40,
    "transaction_hash": None,
    "bucket_index": 0,
    "maker_orders": [],
    "trader_side": "TAKER",
    "timestamp": "0",
}
"""The documented examples, key by key; ``publish`` fills in what it is not told."""

TEMPLATES: Final[dict[str, dict[str, Any]]] = {"order": ORDER, "trade": TRADE}
OWNERS: Final = ("owner", "order_owner", "trade_owner")
MATCHED_BY: Final = ("market", *OWNERS)
"""What says whose connections hear of an event."""
TIMES: Final = ("created_at", "match_time", "last_update")


class _Subscriber:
    """One connection: whose it is, and which markets it hears (None: all)."""

    def __init__(self, number: int) -> None:
        self.outbox = Outbox(f"user {number}")
        self.api_key = ""
        self.markets: set[str] | None = None
        self.spoke = asyncio.Event()

    def hears(self, market: str) -> bool:
        return bool(self.api_key) and (self.markets is None or market in self.markets)


class UserFeed:
    """The user channel's subscribers."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._subscribers: set[_Subscriber] = set()
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._subscribers)

    def publish(self, told: Mapping[str, Any], now_ms: int) -> int:
        """Send an order or trade event to its owner's connections that hear its market.

        Args:
            told: ``event_type``, and what differs from the documented example. Without an ``owner`` it is
                everybody's, and each is told that it is theirs.
            now_ms: Venue time, for stamps that ``told`` does not hold.
        Returns:
            How many connections it went to.
        Raises:
            ValueError: The kind or a field is not one of the protocol's, or a market or an owner is no text.
        """
        template = TEMPLATES.get(str(told.get("event_type")))
        if template is None:
            raise ValueError("event_type must be order or trade")
        strange = sorted(set(told) - set(template))
        if strange:
            raise ValueError(f"{told['event_type']} has no field {', '.join(strange)}")
        odd = [name for name in MATCHED_BY if not isinstance(told.get(name, ""), str)]
        if odd:
            raise ValueError(f"{', '.join(odd)} must be text")
        stamps: dict[str, Any] = {name: str(now_ms // 1000) for name in TIMES if name in template}
        event: dict[str, Any] = {**template, **stamps, "timestamp": str(now_ms), **told}
        hearers = [subscriber for subscriber in self._subscribers if subscriber.hears(event["market"])]
        if event["owner"]:
            hearers = [subscriber for subscriber in hearers if subscriber.api_key == event["owner"]]
        for subscriber in hearers:
            own = {name: event[name] or subscriber.api_key for name in OWNERS if name in event}
            subscriber.outbox.send(json_text({**event, **own}))
        return len(hearers)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection."""
        await websocket.accept()
        subscriber = _Subscriber(next(self._numbers))
        self._subscribers.add(subscriber)
        watch = asyncio.create_task(close_when_silent(websocket, subscriber.spoke))
        try:
            hear = partial(_hear, subscriber, self._keys)
            await converse(websocket, subscriber.outbox, hear, SILENT_S)
        finally:
            watch.cancel()
            self._subscribers.discard(subscriber)


def _hear(subscriber: _Subscriber, keys: Keys, text: str) -> None:
    """Act on what a client said; what is not understood is passed over in silence."""
    if text == "PING":
        subscriber.outbox.send("PONG")
        return
    try:
        message = from_json(text)
    except DecodingError:
        return
    if not isinstance(message, dict):
        return
    markets = message.get("markets")
    named = {str(market) for market in markets} if isinstance(markets, list) else set()
    if message.get("type") == "user":
        subscriber.spoke.set()
        if not are_valid(message.get("auth"), keys):
            subscriber.outbox.end(POLICY_VIOLATION, "invalid credentials")
            return
        subscriber.api_key = message["auth"]["apiKey"]
        subscriber.markets = named or None
    elif not subscriber.api_key:
        subscriber.outbox.end(POLICY_VIOLATION, "not subscribed")
    elif message.get("operation") == "subscribe" and subscriber.markets is not None:
        subscriber.markets |= named
    elif message.get("operation") == "unsubscribe" and subscriber.markets is not None:
        subscriber.markets -= named
