"""What connections tell: opened, closed, frames of no use, the clock, whether the engine keeps up.

What it does not know: what a frame holds.
"""

from typing import Final

from engine import events as e
from engine.core.state import FeedState, Market, State

LONGEST_NAME: Final = 40
"""A fault's name is a few words; anything else is a text with values in it, and there is no end of those."""

PRICE_FEEDS: Final = ("rtds", "polybolt", "spot")

NO_LEVELS: Final = ("new_market", "last_trade_price", "market_resolved")
"""Kinds of the book socket's messages that hold no level. What of them cannot be read is refused with a
reason that begins with its kind, " of " and whose it is (``engine.wire.clob_messages``)."""

NOBODY: Final = "?"
"""Whose a message is that does not say so."""


def feed_of(state: State, name: str) -> FeedState:
    """Return what is known of one feed's connection."""
    feed = state.feeds.get(name)
    if feed is None:
        feed = state.feeds[name] = FeedState()
    return feed


def heard(state: State, name: str, event: e.Event) -> None:
    """Count a frame that held something, and note when."""
    feed = feed_of(state, name)
    feed.other_frames += 1
    feed.arrived_ms = event.ts_recv_ms


def stamped(state: State, stamp_ms: int, event: e.Event) -> None:
    """Note how soon after its stamp something arrived: less than nothing would be a wrong clock."""
    lag_ms = event.ts_recv_ms - stamp_ms
    least = state.least_lag_now_ms
    if least is None or lag_ms < least:
        state.least_lag_now_ms = lag_ms


def frames_lost(state: State, event: e.FramesLost) -> None:
    """A numbering feed skipped frames, or the recorder could not keep some."""
    if event.topic == "price.crypto.twap":
        for (source, _), topic in state.topics.items():
            if source == "polybolt":
                topic.lost += event.count
    feed_of(state, event.feed).lost += event.count


def clock_measured(state: State, event: e.ClockMeasured) -> list[Market]:
    """Our clock was compared with the venue's."""
    state.clock = event
    return list(state.markets.values())


def backlog_changed(state: State, event: e.BacklogChanged) -> list[Market]:
    """The engine fell behind its feeds, or caught up."""
    state.behind_why = event.why
    return list(state.markets.values())


def feed_opened(state: State, event: e.FeedOpened) -> None:
    """A new connection: nothing of the old one holds."""
    feed = feed_of(state, event.feed)
    feed.connected, feed.epoch, feed.detail = True, event.epoch, ""
    if event.feed == "clob":
        _void_books(state)


def _void_books(state: State) -> None:
    """Trust nothing of before: each book waits for its own snapshot."""
    for market in state.markets.values():
        market.up.void()
        market.down.void()


def feed_closed(state: State, event: e.FeedClosed) -> None:
    """A connection ended; its books cannot be trusted any more."""
    feed = feed_of(state, event.feed)
    feed.connected, feed.epoch, feed.detail = False, event.epoch, event.reason
    if event.feed == "clob":
        _void_books(state)


def frame_ignored(state: State, event: e.FrameIgnored) -> None:
    """A frame of no use; another symbol in a price feed is counted by name."""
    feed_of(state, event.feed)
    if event.feed in PRICE_FEEDS and event.reason == "other symbol":
        state.bad_prices[f"{event.feed}: {event.reason}"] += 1


def frame_refused(state: State, event: e.FrameRefused) -> None:
    """A frame that was not understood: a faulty price, or a change of books that nobody knows."""
    kind, whose = _told_of(event)
    if kind and not _is_ours(state, kind, whose):
        heard(state, event.feed, event)
        return
    feed_of(state, event.feed).refused += 1
    if event.feed == "clob" and kind in ("", "market_resolved"):
        _void_books(state)
    if event.feed in PRICE_FEEDS:
        # A parser names the fault before the colon, and shows the text after it.
        name, colon, _ = event.reason.partition(":")
        known = bool(colon) and len(name) <= LONGEST_NAME and name.replace(" ", "").isalpha()
        state.bad_prices[f"{event.feed}: {name if known else 'not understood'}"] += 1


def _told_of(event: e.FrameRefused) -> tuple[str, list[str]]:
    """Return the kind of a message without levels and whose it is; no kind where it may hold some."""
    kind, _, rest = event.reason.partition(" of ")
    if event.feed != "clob" or kind not in NO_LEVELS:
        return "", []
    return kind, rest.partition(":")[0].lower().split()


def _is_ours(state: State, kind: str, whose: list[str]) -> bool:
    """Say whether a message is of a market that we watch, or may be; new markets are listed to everyone."""
    if kind == "new_market":
        return False
    ours = {market.contract.condition_id.lower() for market in state.markets.values()} | state.tokens.keys()
    return whose == [NOBODY] or not ours.isdisjoint(whose)
