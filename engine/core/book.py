"""The order book of one token, rebuilt from snapshots and level changes.

What it does not know: the time, the other token (both books mirror the same orders), whose orders these are.

Three things it takes care of, each measured on the burst capture of 2026-04-21 (2,648 changes, 48 snapshots):

* *Order.* Frames carry no number, only the venue's stamp, and 536 of them arrived after a frame with a later
  stamp. Sizes are absolute, so for each level the statement with the newest stamp holds, whatever arrived
  last; a snapshot says everything about its own stamp and nothing about later ones. Of equal stamps the later
  arrival holds.
* *The stated touch.* A match is sent as several frames with one stamp, each stating the touch after the
  whole match: the bid that took the ask at 0.87 comes before the frame that removes that ask, and both state
  0.87 / 0.88. Compared frame by frame the rebuilt touch disagrees there, once for each token; compared when
  the stamp moves on, it never does. So a statement that does not hold is a *doubt* until something with a
  later stamp arrives, and a disagreement if it still does not hold then. A book in doubt is not traded on.
* *Statements about the past.* A late frame states an old touch; it is compared only if the touch has not
  moved since its stamp.
"""

from typing import Literal, NamedTuple, TypeAlias

from engine.events import BookReplaced, Level, LevelChange, Side
from engine.params import Params
from engine.units import ONE_E4, Milliseconds, PriceE4, SizeE6, UsdE6

BookState: TypeAlias = Literal["live", "empty", "crossed", "awaiting snapshot"]


class Priced(NamedTuple):
    """What our order would cost by these parameters: average price a share, and dollars filled."""

    params: Params
    cost: float
    depth: float


class Book:
    """One token's levels, its touch, and how often the venue's own statements contradicted it.

    ``bid`` and ``ask`` are the best prices, None for an empty side; never an index into what the venue sent,
    which lists the worst level first. ``checked`` and ``disagree`` count the stated touches that were
    compared, and those that did not hold. ``priced`` is what ``engine.core.assess`` found our order to cost,
    until an ask changes.
    """

    __slots__ = (
        "_ask_stamps",
        "_asks",
        "_awaiting",
        "_bid_stamps",
        "_bids",
        "_disputed",
        "_doubt_ms",
        "_doubts",
        "_is_sure",
        "_newest_ms",
        "_snapshot_ms",
        "_stated",
        "_touch_ms",
        "ask",
        "bid",
        "checked",
        "disagree",
        "priced",
        "tick_e4",
        "token",
    )

    def __init__(self, token: str) -> None:
        self.token = token
        self.tick_e4: PriceE4 | None = None
        self.bid: PriceE4 | None = None
        self.ask: PriceE4 | None = None
        self.checked = 0
        self.disagree = 0
        self._bids: dict[PriceE4, SizeE6] = {}
        self._asks: dict[PriceE4, SizeE6] = {}
        # Stamps of changes since the snapshot, removed levels included: a late frame must not bring one back.
        self._bid_stamps: dict[PriceE4, Milliseconds] = {}
        self._ask_stamps: dict[PriceE4, Milliseconds] = {}
        self._snapshot_ms: Milliseconds = 0
        self._touch_ms: Milliseconds = 0
        self._newest_ms: Milliseconds = 0
        """No stamp of the book is later: what is stamped at or after it is newer than all that is known."""
        self._is_sure = False
        """Whether it neither awaits its snapshot nor is or was doubted."""
        self.priced: Priced | None = None
        self._awaiting = True
        self._disputed = False
        self._doubts = 0
        self._doubt_ms: Milliseconds = 0
        self._stated: tuple[PriceE4 | None, PriceE4 | None] = (None, None)

    def void(self) -> None:
        """Forget every level: only a snapshot brings the book back (new tick, new connection, old window)."""
        self._bids, self._asks, self._bid_stamps, self._ask_stamps = {}, {}, {}, {}
        self.bid = self.ask = self.priced = None
        self._snapshot_ms = self._touch_ms = self._newest_ms = 0
        self._awaiting = True
        self._disputed = self._is_sure = False
        self._forget_doubts()

    @property
    def state(self) -> BookState:
        """Say whether the book may be traded on, and if not, why.

        ``empty`` means both sides: with one side the book is live and the other touch is None. ``crossed``
        includes locked. A book that contradicts the venue's own statement awaits a snapshot, or a statement
        that agrees again.
        """
        if not self._is_sure:
            return "awaiting snapshot"
        if self.bid is None:
            return "empty" if self.ask is None else "live"
        return "crossed" if self.ask is not None and self.bid >= self.ask else "live"

    @property
    def touch_ms(self) -> Milliseconds:
        """The stamp of what last moved the touch."""
        return self._touch_ms

    def replace(self, event: BookReplaced) -> None:
        """Take a whole book. Levels whose newest change is stamped after it stay as they are.

        Args:
            event: The snapshot; levels in any order, the last of a repeated price counts, size 0 is no level.
        """
        stamp = event.ts_venue_ms
        if stamp < self._snapshot_ms:
            return  # a snapshot from before the one in hand
        if self._doubts and stamp > self._doubt_ms:
            self.settle()
        if stamp >= self._newest_ms:
            self._bids, self._bid_stamps = _levels(event.bids), {}
            self._asks, self._ask_stamps = _levels(event.asks), {}
        else:
            self._bids, self._bid_stamps = _merged(event.bids, self._bids, self._bid_stamps, stamp)
            self._asks, self._ask_stamps = _merged(event.asks, self._asks, self._ask_stamps, stamp)
        self._snapshot_ms = stamp
        self._newest_ms = max(self._newest_ms, stamp)
        self._awaiting = self._disputed = False
        self.priced = None
        if event.tick_e4 is not None:
            self.tick_e4 = event.tick_e4
        bid, ask = max(self._bids, default=None), min(self._asks, default=None)
        if (bid, ask) != (self.bid, self.ask):
            self.bid, self.ask = bid, ask
            self._touch_ms = max(self._touch_ms, stamp)
        if self._doubts and stamp >= self._doubt_ms and (bid, ask) == self._stated:
            self._forget_doubts()
        self._is_sure = not self._doubts

    def change(self, change: LevelChange, ts_venue_ms: Milliseconds) -> bool:
        """Set one level to its new size, and compare the touch that the venue states with it.

        Args:
            change: The level; while the book awaits its snapshot it is only kept, for one that comes late.
            ts_venue_ms: The frame's stamp.
        Returns:
            Whether the touch or the trust in it changed: whether there is something new to decide on.
        """
        if not self._is_sure:
            return self._change_in_doubt(change, ts_venue_ms)
        # A thousand times a second nothing but one size changes and the statement holds: that is one
        # straight run here, without a call (docs/replay.md, "Speed").
        if ts_venue_ms < self._newest_ms:
            return self._change_late(change, ts_venue_ms)
        self._newest_ms = ts_venue_ms
        price, size = change.price_e4, change.size_e6
        bid, ask = self.bid, self.ask
        if change.side == "BUY":
            self._bid_stamps[price] = ts_venue_ms
            if not size or bid is None or price > bid:
                return self._move(change, ts_venue_ms)
            self._bids[price] = size
        else:
            self._ask_stamps[price] = ts_venue_ms
            self.priced = None
            if not size or ask is None or price < ask:
                return self._move(change, ts_venue_ms)
            self._asks[price] = size
        if not change.stated:
            return False
        self.checked += 1
        if change.best_bid_e4 == bid and change.best_ask_e4 == ask:
            return False
        self._doubt(change, ts_venue_ms)
        return True

    def _change_late(self, change: LevelChange, stamp: Milliseconds) -> bool:
        """Set a level by a frame that a later one overtook, unless something newer is known of that level."""
        price, is_bid = change.price_e4, change.side == "BUY"
        stamps = self._bid_stamps if is_bid else self._ask_stamps
        if not is_bid:
            self.priced = None
        if stamp < self._snapshot_ms or stamp < stamps.get(price, 0):
            return self._is_contradicted(change, stamp)
        stamps[price] = stamp
        return self._move(change, stamp)

    def _move(self, change: LevelChange, stamp: Milliseconds) -> bool:
        """Set a level that may move the touch; say whether it moved, or the book is in doubt now."""
        bid, ask = self.bid, self.ask
        if change.side == "BUY":
            self._move_bid(change.price_e4, change.size_e6)
        else:
            self._move_ask(change.price_e4, change.size_e6)
        moved = self.bid != bid or self.ask != ask
        if moved and stamp > self._touch_ms:
            self._touch_ms = stamp
        return self._is_contradicted(change, stamp) or moved

    def _is_contradicted(self, change: LevelChange, stamp: Milliseconds) -> bool:
        """Compare the touch that goes with a change; say whether the book is in doubt now."""
        if not change.stated or stamp < self._touch_ms:
            return False
        self.checked += 1
        if change.best_bid_e4 == self.bid and change.best_ask_e4 == self.ask:
            return False
        self._doubt(change, stamp)
        return True

    def _doubt(self, change: LevelChange, stamp: Milliseconds) -> None:
        """Begin to doubt a book that was sure."""
        self._doubts, self._is_sure = 1, False
        self._doubt_ms, self._stated = stamp, (change.best_bid_e4, change.best_ask_e4)

    def _change_in_doubt(self, change: LevelChange, ts_venue_ms: Milliseconds) -> bool:
        """Do what ``change`` does for a book that awaits its snapshot, or that is or was doubted."""
        if self._awaiting:
            self._note(change, ts_venue_ms)
            return False
        bid, ask = self.bid, self.ask
        if self._doubts and ts_venue_ms > self._doubt_ms:
            self.settle()
        if change.side == "BUY":
            self._set_bid(change.price_e4, change.size_e6, ts_venue_ms)
        else:
            self._set_ask(change.price_e4, change.size_e6, ts_venue_ms)
        moved = self.bid != bid or self.ask != ask
        if moved and ts_venue_ms > self._touch_ms:
            self._touch_ms = ts_venue_ms
        self._newest_ms = max(self._newest_ms, ts_venue_ms)
        if change.stated:
            self.check(change.best_bid_e4, change.best_ask_e4, ts_venue_ms)
        return moved or not self._is_doubtful()

    def change_tick(self, new_tick_e4: PriceE4) -> None:
        """Take a new price grid: what was known of the book is void until the next snapshot."""
        self.void()
        self.tick_e4 = new_tick_e4

    def check(self, bid: PriceE4 | None, ask: PriceE4 | None, ts_venue_ms: Milliseconds) -> None:
        """Compare a touch that the venue stated with the rebuilt one.

        Args:
            bid: Stated best bid, None for an empty side; ``ask`` likewise.
            ask: See ``bid``.
            ts_venue_ms: The stamp of the statement.
        """
        if self._awaiting or ts_venue_ms < self._touch_ms:
            return
        self.checked += 1
        if bid == self.bid and ask == self.ask:
            if ts_venue_ms >= self._doubt_ms:
                self._forget_doubts()
                self._disputed, self._is_sure = False, True
            return
        self._doubts += 1
        self._is_sure = False
        if ts_venue_ms >= self._doubt_ms:
            self._doubt_ms, self._stated = ts_venue_ms, (bid, ask)

    def settle(self) -> None:
        """Decide open doubts: nothing more with their stamp will come."""
        if self._doubts and (self.bid, self.ask) != self._stated:
            self.disagree += self._doubts
            self._disputed = True
        self._forget_doubts()
        self._is_sure = not (self._awaiting or self._disputed)

    def depth(self, side: Side, n: int) -> tuple[Level, ...]:
        """Return the best ``n`` levels, best first: the bids for ``BUY``, the asks for ``SELL``."""
        if side == "BUY":
            return tuple((price, self._bids[price]) for price in sorted(self._bids, reverse=True)[:n])
        return tuple((price, self._asks[price]) for price in sorted(self._asks)[:n])

    def walk(self, usd_e6: UsdE6, limit_e4: PriceE4) -> tuple[Level, ...]:
        """Buy for so many dollars, taking asks from the best up to a limit.

        Args:
            usd_e6: Dollars to spend, before fee.
            limit_e4: Highest price taken.
        Returns:
            (price, size) by level. Their cost never exceeds the dollars; it falls short by less than the
            price of a millionth of a share, or by more where the book does not hold enough.
        """
        left = usd_e6 * ONE_E4  # in ten-thousandths of a millionth of a dollar: price_e4 x size_e6, exactly
        best = self.ask
        if best is not None:
            if best > limit_e4:
                return ()
            if self._asks[best] * best >= left:
                size = left // best  # the best level alone holds enough: nothing has to be sorted
                return ((best, size),) if size else ()
        fills = []
        for price in sorted(self._asks):
            size = min(self._asks[price], left // price)
            if price > limit_e4 or size == 0:
                break
            fills.append((price, size))
            left -= price * size
        return tuple(fills)

    def _set_bid(self, price: PriceE4, size: SizeE6, stamp: Milliseconds) -> None:
        if stamp < self._snapshot_ms or stamp < self._bid_stamps.get(price, 0):
            return
        self._bid_stamps[price] = stamp
        self._move_bid(price, size)

    def _move_bid(self, price: PriceE4, size: SizeE6) -> None:
        if size:
            self._bids[price] = size
            if self.bid is None or price > self.bid:
                self.bid = price
        elif self._bids.pop(price, None) is not None and price == self.bid:
            self.bid = max(self._bids, default=None)

    def _set_ask(self, price: PriceE4, size: SizeE6, stamp: Milliseconds) -> None:
        if stamp < self._snapshot_ms or stamp < self._ask_stamps.get(price, 0):
            return
        self._ask_stamps[price] = stamp
        self.priced = None
        self._move_ask(price, size)

    def _move_ask(self, price: PriceE4, size: SizeE6) -> None:
        if size:
            self._asks[price] = size
            if self.ask is None or price < self.ask:
                self.ask = price
        elif self._asks.pop(price, None) is not None and price == self.ask:
            self.ask = min(self._asks, default=None)

    def _note(self, change: LevelChange, stamp: Milliseconds) -> None:
        """Keep a change that overtook its snapshot, which will lay what is newer over itself."""
        is_bid = change.side == "BUY"
        levels, stamps = (self._bids, self._bid_stamps) if is_bid else (self._asks, self._ask_stamps)
        if stamp < stamps.get(change.price_e4, 0):
            return
        stamps[change.price_e4] = stamp
        self._newest_ms = max(self._newest_ms, stamp)
        if change.size_e6:
            levels[change.price_e4] = change.size_e6
        else:
            levels.pop(change.price_e4, None)

    def _is_doubtful(self) -> bool:
        return self._disputed or self._doubts > 0

    def _forget_doubts(self) -> None:
        self._doubts = self._doubt_ms = 0
        self._stated = (None, None)


def _levels(snapshot: tuple[Level, ...]) -> dict[PriceE4, SizeE6]:
    """Return a snapshot's levels; those of size 0 are none."""
    levels = dict(snapshot)
    return levels if all(levels.values()) else {price: size for price, size in levels.items() if size}


def _merged(
    snapshot: tuple[Level, ...],
    levels: dict[PriceE4, SizeE6],
    stamps: dict[PriceE4, Milliseconds],
    stamp: Milliseconds,
) -> tuple[dict[PriceE4, SizeE6], dict[PriceE4, Milliseconds]]:
    """Lay the levels that changed after a snapshot over it; return levels and their stamps."""
    merged = _levels(snapshot)
    newer = {price: changed for price, changed in stamps.items() if changed > stamp}
    for price in newer:
        merged.pop(price, None)
        if price in levels:
            merged[price] = levels[price]
    return merged, newer
