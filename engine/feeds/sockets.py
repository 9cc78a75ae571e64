"""The sockets of a session: what each is told on connecting, what it watches, how its frames are read."""

from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from engine.clock import Clock
from engine.events import AnyEvent
from engine.feeds.listening import (
    BOOKS,
    TICKER,
    AcceptFrame,
    Listener,
    clob_topic,
    rtds_topic,
    spot_topic,
    user_topic,
)
from engine.feeds.socket import NO_TOPICS, Habits, SocketFeed
from engine.wire import clob_market, clob_user, rtds, spot
from engine.wire.credentials import Credentials

RTDS_TOPICS: Final = (rtds.TWAP_60, rtds.CHAINLINK, rtds.BINANCE, rtds.TWAP_30)
"""The average over 30 s is asked for although no market has settled on it since August 2026: each market says
its own lookback, and this one may come back."""

RTDS_HABITS: Final = Habits(
    ping=rtds.PING,
    ping_s=5.0,
    silence_s={rtds.TWAP_60: 15.0, rtds.CHAINLINK: 15.0, rtds.BINANCE: 60.0},
)
"""PING every 5 s (protocol sheet, 1.5); reconnect after 15 s without data (fault catalogue, F1); Binance is
for liveness only. The average over 30 s is not waited for: RTDS accepted it and served none (sheet, 1.1)."""
CLOB_HABITS: Final = Habits(ping=clob_market.PING, ping_s=10.0, silence_s={BOOKS: 60.0})
"""PING every 10 s (protocol sheet, 3.2). A quiet 15m book may rest for tens of seconds."""
SPOT_HABITS: Final = Habits(ping=None, ping_s=0.0, silence_s={TICKER: 15.0})
USER_HABITS: Final = Habits(
    ping=clob_user.PING, ping_s=10.0, silence_s=NO_TOPICS, slow_codes=frozenset((1008,))
)
"""An account may be quiet for hours, so only signs of life are watched. How refused keys are told is not
documented; a close for a broken policy is the likeliest, and is not to be repeated every two seconds."""

Accept = Callable[[AnyEvent], None]


def rtds_feed(url: str, clock: Clock, accept: Accept, accept_frame: AcceptFrame) -> SocketFeed:
    """Return the price feed: one topic a frame, since one bad topic can silence the others in a frame."""
    feed = SocketFeed("rtds", url, RTDS_HABITS, clock, accept)
    symbols = {rtds.BINANCE: "btcusdt"}
    feed.greetings = lambda: [rtds.subscribe(topic, symbols.get(topic, "btc/usd")) for topic in RTDS_TOPICS]
    feed.on_frame = Listener("rtds", accept_frame, rtds.parse, rtds_topic)
    return feed


def spot_feed(url: str, clock: Clock, accept: Accept, accept_frame: AcceptFrame) -> SocketFeed:
    """Return the exchange's own ticker: liveness and divergence only.

    Coinbase (and practice) is told what to send; Binance names the stream in its address and wants no frame.
    """
    feed = SocketFeed("spot", url, SPOT_HABITS, clock, accept)
    if "binance" not in url:
        feed.greetings = lambda: [spot.subscribe()]
    feed.on_frame = Listener("spot", accept_frame, spot.parse, spot_topic)
    return feed


def user_feed(
    url: str, clock: Clock, accept: Accept, accept_frame: AcceptFrame, credentials: Credentials
) -> SocketFeed:
    """Return the account's own feed: our orders and trades as the venue tells them."""
    whole = url if urlsplit(url).path.rstrip("/").endswith("/user") else f"{url.rstrip('/')}/ws/user"
    feed = SocketFeed(clob_user.FEED, whole, USER_HABITS, clock, accept)
    feed.greetings = lambda: [clob_user.subscribe(credentials)]
    feed.hide = credentials.hide
    listener = Listener(
        clob_user.FEED,
        accept_frame,
        lambda frame, now_ms: clob_user.parse(frame, now_ms, credentials.owner),
        user_topic,
    )
    feed.on_frame = lambda frame: listener(credentials.hide(_text(frame)))
    return feed


class ClobFeed:
    """The order books of the windows that are open: tokens come and go with them."""

    def __init__(self, base_url: str, clock: Clock, accept: Accept, accept_frame: AcceptFrame) -> None:
        self.socket = SocketFeed("clob", f"{base_url.rstrip('/')}/ws/market", CLOB_HABITS, clock, accept)
        self.socket.greetings = self._greet
        self.socket.on_frame = Listener("clob", accept_frame, clob_market.parse, clob_topic)
        # The venue closes a connection that asks for nothing: connect when there is something to ask for.
        self.socket.wanted.clear()
        self._tokens: set[str] = set()

    async def want(self, tokens: Iterable[str]) -> None:
        """Subscribe to exactly these tokens; without any, hang up until there are some."""
        wanted = set(tokens)
        new, old = wanted - self._tokens, self._tokens - wanted
        self._tokens = wanted
        if not wanted:
            self.socket.wanted.clear()
            self.socket.begin_again("no token is wanted")
            return
        self.socket.wanted.set()
        if new:
            await self.socket.send(clob_market.add(sorted(new)))
        if old:
            await self.socket.send(clob_market.remove(sorted(old)))

    async def ask_again(self, tokens: Iterable[str]) -> None:
        """Ask for these tokens' books anew: a subscription that is there already would be passed over."""
        again = sorted(self._tokens.intersection(tokens))
        if again:
            await self.socket.send(clob_market.remove(again))
            await self.socket.send(clob_market.add(again))

    def _greet(self) -> list[str]:
        return [clob_market.subscribe(sorted(self._tokens))] if self._tokens else []


def _text(frame: str | bytes) -> str:
    return frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
