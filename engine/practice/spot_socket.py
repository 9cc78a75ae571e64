"""An exchange's own ticker, in Coinbase's format: liveness and divergence when there is no network.

Source: frames captured from Coinbase in April 2026.
"""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any, Final

from starlette.websockets import WebSocket

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.practice.frames import json_text
from engine.practice.outbox import Outbox, converse
from engine.practice.prices import PriceBoard
from engine.practice.tape import PriceMoment

PRODUCT: Final = "BTC-USD"
CENT: Final = Decimal("0.01")


class SpotFeed:
    """The ticker socket's subscribers."""

    def __init__(self, board: PriceBoard) -> None:
        self._board = board
        self._connected: set[Outbox] = set()
        self._subscribed: set[Outbox] = set()
        self._numbers = count(1)
        self._sequence = count(1)

    def __len__(self) -> int:
        return len(self._connected)

    def publish(self, moment: PriceMoment) -> None:
        """Send a price to every subscriber."""
        if self._subscribed:
            frame = ticker(moment, next(self._sequence))
            for outbox in self._subscribed:
                outbox.send(frame)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection."""
        await websocket.accept()
        outbox = Outbox(f"spot {next(self._numbers)}")
        self._connected.add(outbox)
        try:
            await converse(websocket, outbox, lambda text: self._hear(outbox, text))
        finally:
            self._connected.discard(outbox)
            self._subscribed.discard(outbox)

    def _hear(self, outbox: Outbox, text: str) -> None:
        try:
            message = from_json(text)
        except DecodingError:
            message = None
        if not isinstance(message, dict) or message.get("type") not in ("subscribe", "unsubscribe"):
            outbox.send(json_text({"type": "error", "message": "Malformed JSON"}))
            return
        if PRODUCT not in _list(message.get("product_ids")) or "ticker" not in _list(message.get("channels")):
            reason = f"only ticker of {PRODUCT} is served here"
            outbox.send(json_text({"type": "error", "message": "Failed to subscribe", "reason": reason}))
            return
        if message["type"] == "unsubscribe":
            self._subscribed.discard(outbox)
            outbox.send(json_text({"type": "subscriptions", "channels": []}))
            return
        self._subscribed.add(outbox)
        channels = [{"name": "ticker", "product_ids": [PRODUCT], "account_ids": None}]
        outbox.send(json_text({"type": "subscriptions", "channels": channels}))
        newest = self._board.newest("spot")
        if newest is not None:
            outbox.send(ticker(newest, next(self._sequence)))


def ticker(moment: PriceMoment, sequence: int) -> str:
    """Write one ticker frame; what the tape does not know (day's range, sizes) is the price or zero."""
    price = f"{moment.value:.2f}"
    at = datetime.fromtimestamp(moment.stamp_ms / 1000, UTC).replace(tzinfo=None)
    return json_text(
        {
            "type": "ticker",
            "sequence": sequence,
            "product_id": PRODUCT,
            "price": price,
            "open_24h": price,
            "volume_24h": "0",
            "low_24h": price,
            "high_24h": price,
            "volume_30d": "0",
            "best_bid": f"{moment.value - CENT:.2f}",
            "best_bid_size": "0",
            "best_ask": price,
            "best_ask_size": "0",
            "side": "buy",
            "time": f"{at.isoformat(timespec='microseconds')}Z",
            "trade_id": sequence,
            "last_size": "0",
        }
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
