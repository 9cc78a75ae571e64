"""The three sockets of a session: what each is told on connecting, and how its frames are read."""

from collections.abc import Callable, Iterable
from typing import Final

from engine.clock import Clock
from engine.events import AnyEvent
from engine.feeds.socket import Habits, SocketFeed
from engine.wire import clob_market, rtds, spot

TOPICS: Final = ("crypto_prices_twap_sixty", "crypto_prices_chainlink", "crypto_prices")

RTDS_HABITS: Final = Habits(ping=rtds.PING, ping_s=5.0, silence_s=15.0)
"""PING every 5 s (protocol sheet, 1.5); reconnect after 15 s without data (fault catalogue, F1)."""
CLOB_HABITS: Final = Habits(ping=clob_market.PING, ping_s=10.0, silence_s=60.0)
"""PING every 10 s (protocol sheet, 3.2). A quiet 15m book may rest for tens of seconds."""
SPOT_HABITS: Final = Habits(ping=None, ping_s=0.0, silence_s=15.0)

OnFrame = Callable[[str | bytes], bool]


def rtds_feed(url: str, clock: Clock, accept: Callable[[AnyEvent], None], symbol: str) -> SocketFeed:
    """Return the price feed: one topic a frame, since one bad topic can silence the others in a frame."""
    feed = SocketFeed("rtds", url, RTDS_HABITS, clock, accept)
    symbols = {"crypto_prices": "btcusdt"}
    feed.greetings = lambda: [rtds.subscribe(topic, symbols.get(topic, symbol)) for topic in TOPICS]
    return feed


def spot_feed(url: str, clock: Clock, accept: Callable[[AnyEvent], None]) -> SocketFeed:
    """Return the exchange's own ticker: liveness and divergence only.

    Coinbase (and practice) is told what to send; Binance names the stream in its address and wants no frame.
    """
    feed = SocketFeed("spot", url, SPOT_HABITS, clock, accept)
    if "binance" not in url:
        feed.greetings = lambda: [spot.subscribe()]
    return feed


class ClobFeed:
    """The order books of the windows that are open: tokens come and go with them."""

    def __init__(self, base_url: str, clock: Clock, accept: Callable[[AnyEvent], None]) -> None:
        self.socket = SocketFeed("clob", f"{base_url.rstrip('/')}/ws/market", CLOB_HABITS, clock, accept)
        self.socket.greetings = self._greet
        # The venue closes a connection that asks for nothing: connect when there is something to ask for.
        self.socket.wanted.clear()
        self._tokens: set[str] = set()

    async def want(self, tokens: Iterable[str]) -> None:
        """Subscribe to exactly these tokens."""
        wanted = set(tokens)
        new, old = wanted - self._tokens, self._tokens - wanted
        self._tokens = wanted
        if wanted:
            self.socket.wanted.set()
        if new:
            await self.socket.send(clob_market.add(sorted(new)))
        if old:
            await self.socket.send(clob_market.remove(sorted(old)))

    def _greet(self) -> list[str]:
        return [clob_market.subscribe(sorted(self._tokens))] if self._tokens else []
