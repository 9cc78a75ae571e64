"""Are the rebuilt books right? Doubts that last, the other token's mirror, the venue's REST book.

What it does not know: how a book is rebuilt (``engine.core.book``), and how one is asked for again
(``engine.feeds``, which reads ``State.books_to_resync``).
"""

from typing import Final, Literal, TypeAlias

from engine import events as e
from engine.core.book import Book
from engine.core.state import RESYNC_AFTER_MS, Market, State
from engine.units import ONE_E4

DIFFERED_IN_A_ROW: Final = 2
"""Differences from REST that void a book: one may be a frame still under way."""

MIRROR_LIMIT_MS: Final = 5_000
"""How long the two books of a market may contradict each other; 241 of 242 recorded pairs mirrored exactly,
the other was a matter of timing (protocol sheet, 3.5)."""

SHELL_E4: Final = (100, 9_900)
"""The touch of the empty shell that REST sometimes serves for an old market (protocol sheet, 3.6)."""

Mirror: TypeAlias = Literal["mirrors", "differs", "unknown"]


def look(state: State) -> None:
    """Notice, once a second, which books have been doubted for how long, and which do not mirror."""
    for market in state.markets.values():
        for outcome, watch in market.watches.items():
            if market.book_of(outcome).state in ("live", "empty"):
                since = watch.doubted_since_ms
                if watch.was_right and since is not None and state.now_ms - since > RESYNC_AFTER_MS:
                    watch.resyncs += 1
                watch.doubted_since_ms, watch.was_right = None, True
            elif watch.doubted_since_ms is None:
                watch.doubted_since_ms = state.now_ms
        if mirror_of(market) != "differs":
            market.mirror_off_since_ms = None
        elif market.mirror_off_since_ms is None:
            market.mirror_off_since_ms = state.now_ms


def mirror_of(market: Market) -> Mirror:
    """Compare the touches: one token's bid and the other's ask are the same orders, so they add up to 1."""
    up, down = market.up, market.down
    if up.state not in ("live", "empty") or down.state not in ("live", "empty"):
        return "unknown"
    both = _adds_up(up.bid, down.ask) and _adds_up(down.bid, up.ask)
    return "mirrors" if both else "differs"


def mirror_is_broken(state: State, market: Market) -> bool:
    """Say whether the books have contradicted each other for too long."""
    since = market.mirror_off_since_ms
    return since is not None and state.now_ms - since > MIRROR_LIMIT_MS


def compare(market: Market, book: Book, event: e.BookQueried) -> None:
    """Compare the venue's REST book with the rebuilt one; void what differs twice in a row."""
    watch = market.watches["UP" if book is market.up else "DOWN"]
    theirs = (event.best_bid_e4, event.best_ask_e4)
    if book.state not in ("live", "empty") or event.ts_venue_ms < book.touch_ms or theirs == SHELL_E4:
        watch.rest, watch.differed = "unknown", 0
        return
    if theirs == (book.bid, book.ask):
        watch.rest, watch.differed = "agrees", 0
        return
    watch.rest = "differs"
    watch.differed += 1
    if watch.differed >= DIFFERED_IN_A_ROW:
        watch.differed = 0
        book.void()


def _adds_up(bid_e4: int | None, ask_e4: int | None) -> bool:
    if bid_e4 is None or ask_e4 is None:
        return bid_e4 is ask_e4
    return bid_e4 + ask_e4 == ONE_E4
