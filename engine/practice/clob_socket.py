"""The CLOB market channel: books, level changes, trades, and what becomes of markets.

A token that nobody trades is passed over: a subscription to unknown tokens only is answered by ``[]``.
Source: protocol sheet, section 3.
"""

import asyncio
from itertools import count
from typing import Any, Final

from starlette.websockets import WebSocket

from engine.clock import Clock
from engine.contract import Outcome
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.practice import clob_documents, frames
from engine.practice.market import OUTCOMES, Change, Market, Markets
from engine.practice.outbox import Outbox, converse
from engine.practice.tape import TradeMoment, Truth
from engine.practice.titles import market_id
from engine.units import Milliseconds, PriceE4

SILENT_CLIENT_S: Final = 10.0
"""A client that sends nothing after it connected is closed. Source: protocol sheet, section 3.1."""


SILENT_S: Final = 30.0
"""Later on, one that says nothing for so long is closed, here and on the user channel. A ``PING`` is asked
for every 10 s (protocol sheet, section 3.1); when the real server hangs up is not documented, and decided
here."""


class _Subscriber:
    """One connection: its tokens, and whether it asked for the custom features."""

    def __init__(self, number: int) -> None:
        self.outbox = Outbox(f"clob {number}")
        self.tokens: set[str] = set()
        self.custom = False
        self.spoke = asyncio.Event()

    def hears(self, market: Market) -> bool:
        contract = market.contract
        return contract.token_up in self.tokens or contract.token_down in self.tokens


class ClobFeed:
    """The market channel's subscribers."""

    def __init__(self, markets: Markets, clock: Clock) -> None:
        self._markets = markets
        self._clock = clock
        self._subscribers: set[_Subscriber] = set()
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._subscribers)

    def publish_changes(
        self, market: Market, changes: list[tuple[Outcome, list[Change]]], now_ms: Milliseconds
    ) -> None:
        """Send changed levels, and touches that moved to those who asked for custom features."""
        moved = [outcome for outcome, _ in changes if market.touch_moved(outcome)]
        hearers = self._hearers(market)
        if not hearers:
            return
        _send(hearers, frames.price_change(market, changes, now_ms))
        custom = [subscriber for subscriber in hearers if subscriber.custom]
        if custom:
            for outcome in moved:
                _send(custom, frames.best_bid_ask(market, outcome, now_ms))

    def publish_books(self, market: Market, now_ms: Milliseconds) -> None:
        """Send a market's whole books, each to those who hear its token."""
        for outcome in OUTCOMES:
            token = market.token(outcome)
            hearers = [subscriber for subscriber in self._subscribers if token in subscriber.tokens]
            if hearers:
                _send(hearers, frames.book(market, outcome, now_ms))

    def publish_trade(self, market: Market, trade: TradeMoment) -> None:
        """Send a trade: the books after it, then its price."""
        self.publish_books(market, trade.due_ms)
        hearers = [s for s in self._subscribers if market.token(trade.outcome) in s.tokens]
        if hearers:
            _send(hearers, frames.last_trade_price(market, trade))

    def publish_tick(self, market: Market, old_tick: PriceE4, now_ms: Milliseconds) -> None:
        """Send the new price grid of both tokens, then their books, which clients need to go on."""
        for outcome in OUTCOMES:
            token = market.token(outcome)
            hearers = [subscriber for subscriber in self._subscribers if token in subscriber.tokens]
            if hearers:
                _send(hearers, frames.tick_size_change(market, outcome, old_tick, now_ms))
        self.publish_books(market, now_ms)

    def publish_listing(self, market: Market, now_ms: Milliseconds) -> None:
        """Announce a new market to everyone who asked for custom features."""
        custom = [subscriber for subscriber in self._subscribers if subscriber.custom]
        _send(custom, frames.json_text(clob_documents.new_market(market, now_ms)))

    def publish_resolution(self, market: Market, truth: Truth, now_ms: Milliseconds) -> None:
        """Announce who won, to those of the market's hearers who asked for custom features."""
        custom = [subscriber for subscriber in self._hearers(market) if subscriber.custom]
        _send(custom, frames.market_resolved(market, truth, market_id(market.contract), now_ms))

    def _hearers(self, market: Market) -> list[_Subscriber]:
        return [subscriber for subscriber in self._subscribers if subscriber.hears(market)]

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection."""
        await websocket.accept()
        subscriber = _Subscriber(next(self._numbers))
        self._subscribers.add(subscriber)
        watch = asyncio.create_task(close_when_silent(websocket, subscriber.spoke))
        try:
            await converse(websocket, subscriber.outbox, lambda text: self._hear(subscriber, text), SILENT_S)
        finally:
            watch.cancel()
            self._subscribers.discard(subscriber)

    def _hear(self, subscriber: _Subscriber, text: str) -> None:
        """Act on what a client said; what is not understood is passed over in silence."""
        subscriber.spoke.set()
        if text == "PING":
            subscriber.outbox.send("PONG")
            return
        try:
            message = from_json(text)
        except DecodingError:
            return
        if not isinstance(message, dict) or not isinstance(message.get("assets_ids"), list):
            return
        tokens = [str(token) for token in message["assets_ids"]]
        if message.get("operation") == "unsubscribe":
            subscriber.tokens -= set(tokens)
        elif message.get("operation") == "subscribe" or message.get("type") == "market":
            self._subscribe(subscriber, message, tokens)

    def _subscribe(self, subscriber: _Subscriber, message: dict[str, Any], tokens: list[str]) -> None:
        """Take tokens over. The custom flag counts even where every token is a duplicate."""
        if "custom_feature_enabled" in message:
            subscriber.custom = bool(message["custom_feature_enabled"])
        fresh = [token for token in dict.fromkeys(tokens) if token not in subscriber.tokens]
        subscriber.tokens |= {token for token in fresh if self._markets.of_token(token) is not None}
        if fresh and message.get("initial_dump", True):
            subscriber.outbox.send(frames.json_text(self._initial_books(fresh)))

    def _initial_books(self, tokens: list[str]) -> list[dict[str, Any]]:
        now_ms = self._clock.now_ms()
        found = [self._markets.of_token(token) for token in tokens]
        return [
            frames.initial_book(market, outcome, market.stamp_ms(now_ms))
            for market, outcome in (entry for entry in found if entry is not None)
            if self._markets.truth(market, now_ms) is None
        ]


def _send(subscribers: list[_Subscriber], frame: str) -> None:
    for subscriber in subscribers:
        subscriber.outbox.send(frame)


async def close_when_silent(websocket: WebSocket, spoke: asyncio.Event) -> None:
    """Close a client that does not say in time what it wants."""
    try:
        async with asyncio.timeout(SILENT_CLIENT_S):
            await spoke.wait()
    except TimeoutError:
        await websocket.close()
