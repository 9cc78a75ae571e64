"""The venue: releases a tape's moments when they are due on its own clock, and keeps what may be asked of it.

One task, the scheduler, moves time on; sockets and REST calls only read. What it does not know: HTTP, JSON.
"""

import heapq
import itertools
import logging
import time
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from engine.clock import ScaledClock
from engine.contract import DURATIONS_S, Outcome, slug_of
from engine.practice.chain import Chain, Timings
from engine.practice.clob_socket import ClobFeed
from engine.practice.exchange import Exchange
from engine.practice.heartbeats import Heartbeats
from engine.practice.keys import Keys
from engine.practice.market import RESOLVES_AFTER_MS, BookSides, Change, Market, Markets
from engine.practice.polybolt_socket import PolyboltFeed
from engine.practice.prices import PriceBoard
from engine.practice.rtds_socket import RtdsFeed
from engine.practice.site import Site
from engine.practice.spot_socket import SpotFeed
from engine.practice.tape import BookMoment, Moment, PriceMoment, Tape, TickSizeMoment, TradeMoment
from engine.practice.user_socket import UserFeed
from engine.repeats import Repeats, Told
from engine.units import Milliseconds, PriceE4

log = logging.getLogger(__name__)

LATE_MS: Final = 100
"""How far the venue may lag its own clock before it says so. Source: issue 2, item 4."""

LISTED_BEFORE_S: Final = 86_400
"""A window is announced about a day before it starts. Source: protocol sheet, section 4.2."""

TIMINGS: Final = Timings()

STEP_S: Final = 300
"""Windows start and end on multiples of this."""


class Listing(NamedTuple):
    """A window is announced."""

    due_ms: Milliseconds
    slug: str


class Resolution(NamedTuple):
    """A window is resolved."""

    due_ms: Milliseconds
    slug: str


class Boundary(NamedTuple):
    """A window starts: its tokens are known from now on."""

    due_ms: Milliseconds


Scheduled: TypeAlias = Moment | Listing | Resolution | Boundary


class Venue:
    """Everything the venue holds in one process."""

    def __init__(self, tape: Tape, speed: float, all_updates: bool, timings: Timings = TIMINGS) -> None:
        """Set a venue up; nothing happens before ``play``.

        Args:
            tape: What to play.
            speed: Venue seconds in one second of the wall.
            all_updates: Send rows that change nothing too.
            timings: How long orders are held and the chain takes.
        """
        self.tape = tape
        self.clock = ScaledClock(tape.start_ms, speed)
        self.markets = Markets(tape)
        self.board = PriceBoard()
        self.site = Site(tape, self.board)
        self.rtds = RtdsFeed(self.board, self.clock)
        self.clob = ClobFeed(self.markets, self.clock)
        self.spot = SpotFeed(self.board)
        self.keys = Keys()
        self.polybolt = PolyboltFeed(self.clock, self.keys)
        self.user = UserFeed(self.keys)
        self.exchange = Exchange(self.markets, self.clob, Chain(self.clock, self.user, timings))
        self.heartbeats = Heartbeats(self.exchange)
        self.released = 0
        self.lateness = Lateness(speed)
        self._all_updates = all_updates

    async def play(self) -> None:
        """Release every moment when it is due; endless, because windows go on resolving after the tape."""
        start_ms = self.tape.start_ms
        self.markets.enter_listed(start_ms)
        moments: Iterable[Moment] = self.tape.moments()
        if not self._all_updates:
            moments = without_repeats(moments)
        schedule: Iterator[Scheduled] = heapq.merge(moments, _housekeeping(start_ms), key=_due)
        begun = False
        for due_ms, group in itertools.groupby(schedule, key=_due):
            if not begun and due_ms >= start_ms:
                # What was due before is history, which snapshots may hold; only now does time begin.
                self.clock.anchor(start_ms, self.clock.rate, time.monotonic())
                begun = True
            if begun:
                await self._until(due_ms)
            self._release(due_ms, group)

    def status(self) -> dict[str, object]:
        """Say how the venue is doing, for ``GET /status``."""
        return {
            "kind": self.tape.kind,
            "note": self.tape.note,
            "moments": self.released,
            "clients": {
                "rtds": len(self.rtds),
                "polybolt": len(self.polybolt),
                "spot": len(self.spot),
                "clob": len(self.clob),
                "user": len(self.user),
            },
            **self.exchange.figures(),
            **self.lateness.figures(),
        }

    def close(self) -> None:
        """Let go of orders and trades under way: the venue is ending."""
        self.lateness.close()
        self.exchange.chain.close()

    async def _until(self, due_ms: Milliseconds) -> None:
        """Wait until something is due, and note how late it is released."""
        # Once at least, so that clients are served while the venue catches up.
        await self.clock.sleep(max(0, due_ms - self.clock.now_ms()) / 1000)
        while (now_ms := self.clock.now_ms()) < due_ms:
            await self.clock.sleep((due_ms - now_ms) / 1000)
        self.lateness.note(now_ms - due_ms)

    def _release(self, due_ms: Milliseconds, group: Iterator[Scheduled]) -> None:
        """Send everything that is due at one moment; books that follow each other share a frame."""
        changed: dict[str, dict[Outcome, list[Change]]] = {}
        for item in group:
            if isinstance(item, BookMoment):
                self._replace_book(item, changed)
                continue
            self._send_changes(changed, due_ms)
            self._happen(item)
        self._send_changes(changed, due_ms)

    def _happen(self, item: Scheduled) -> None:
        match item:
            case PriceMoment():
                self.released += 1
                self._print(item)
            case TradeMoment():
                self.released += 1
                market = self._market(item.slug)
                market.trade(item)
                self.clob.publish_trade(market, item)
            case TickSizeMoment():
                self.released += 1
                self._change_grid(self._market(item.slug), item.new_tick_e4, item.due_ms)
            case Listing():
                listed = self.markets.named(item.slug)
                if listed is not None:
                    self.clob.publish_listing(listed, item.due_ms)
            case Resolution():
                self._resolve(item)
            case Boundary():
                self.markets.enter_listed(item.due_ms)
                self.markets.forget_old(item.due_ms)

    def _print(self, moment: PriceMoment) -> None:
        if moment.over != "polybolt":
            self.board.print(moment)
            (self.spot if moment.source == "spot" else self.rtds).publish(moment)
        if moment.over != "rtds":
            self.polybolt.publish(moment)

    def change_grids(self, tick_e4: PriceE4) -> int:
        """Change the price grid of every open market, for good; return how many changed."""
        now_ms = self.clock.now_ms()
        running = self.markets.running(now_ms)
        return sum(self._change_grid(market, tick_e4, now_ms) for market in running)

    def _change_grid(self, market: Market, tick_e4: PriceE4, now_ms: Milliseconds) -> bool:
        """Announce another grid; one that a fault brought already is not announced again."""
        if market.tick_e4 == tick_e4:
            return False
        old = market.change_tick(TickSizeMoment(now_ms, market.contract.slug, tick_e4))
        self.clob.publish_tick(market, old, now_ms)
        return True

    def _replace_book(self, moment: BookMoment, changed: dict[str, dict[Outcome, list[Change]]]) -> None:
        self.released += 1
        market = self._market(moment.slug)
        changes = market.replace_book(moment)
        if not changes and self._all_updates:
            changes = _restated(market.books[moment.outcome])
        if changes:
            changed.setdefault(moment.slug, {}).setdefault(moment.outcome, []).extend(changes)

    def _send_changes(self, changed: dict[str, dict[Outcome, list[Change]]], due_ms: Milliseconds) -> None:
        for slug, by_outcome in changed.items():
            market = self._market(slug)
            self.clob.publish_changes(market, list(by_outcome.items()), due_ms)
            self.exchange.book_changed(market)
        changed.clear()

    def _resolve(self, item: Resolution) -> None:
        market = self.markets.named(item.slug)
        truth = None if market is None else self.markets.truth(market, item.due_ms)
        if market is not None and truth is not None:
            self.clob.publish_resolution(market, truth, item.due_ms)
            self.exchange.resolve(market, truth)
            log.info("= resolved", extra={"slug": item.slug, "outcome": truth.outcome})

    def _market(self, slug: str) -> Market:
        market = self.markets.named(slug)
        if market is None:
            raise LookupError(f"the tape plays {slug} but does not describe it")
        return market


class Lateness:
    """How far the venue lagged its own clock, in venue milliseconds; ``speed`` turns them into wall ones."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._worst_ms = 0
        self._late = 0
        self._repeats = Repeats()

    def note(self, late_ms: Milliseconds) -> None:
        """Count one release, and report in the log when it was too late."""
        self._worst_ms = max(self._worst_ms, late_ms)
        if late_ms <= LATE_MS:
            return
        self._late += 1
        self._tell(self._repeats.of(late_ms, time.monotonic()))

    def close(self) -> None:
        """Report what was not reported yet: the venue is ending."""
        self._tell(self._repeats.rest(time.monotonic()))

    def _tell(self, told: Told | None) -> None:
        if told is None:
            return
        figures = {
            "late_ms": round(told.worst),
            "late_wall_ms": round(told.worst / self._speed, 1),
            "late_moments": self._late,
            "more": told.more,
            "in_s": told.in_s,
        }
        log.warning("! late", extra=figures)

    def figures(self) -> dict[str, float]:
        """Return the worst lateness by both clocks, and how many releases were too late."""
        return {
            "late_ms_max": self._worst_ms,
            "late_wall_ms_max": round(self._worst_ms / self._speed, 1),
            "late_moments": self._late,
        }


def without_repeats(moments: Iterable[Moment]) -> Iterator[Moment]:
    """Pass over books that are the same as the book before: 98 % of the rows of a recorded touch."""
    books: dict[tuple[str, Outcome], tuple[object, object]] = {}
    for moment in moments:
        if isinstance(moment, BookMoment):
            key, book = (moment.slug, moment.outcome), (moment.bids, moment.asks)
            if books.get(key) == book:
                continue
            books[key] = book
        yield moment


def _due(item: Scheduled) -> Milliseconds:
    return item.due_ms


def _restated(sides: BookSides) -> list[Change]:
    """Say the touch once more, with the size it has."""
    best = [("BUY", sides.bids), ("SELL", sides.asks)]
    return [
        Change("BUY" if side == "BUY" else "SELL", *levels[0], sides.best_bid, sides.best_ask)
        for side, levels in best
        if levels
    ][:1]


def _housekeeping(start_ms: Milliseconds) -> Iterator[Listing | Resolution | Boundary]:
    """Yield what happens by itself: windows start, are announced a day ahead, resolve after their end."""
    first_s = start_ms // 1000 // STEP_S * STEP_S
    for at_s in itertools.count(first_s, STEP_S):
        at_ms = at_s * 1000
        names = [name for name, duration_s in DURATIONS_S.items() if at_s % duration_s == 0]
        if at_ms >= start_ms:
            yield Boundary(at_ms)
            for name in names:
                yield Listing(at_ms, slug_of(name, at_s + LISTED_BEFORE_S))
        resolved_ms = at_ms + RESOLVES_AFTER_MS
        if resolved_ms >= start_ms:
            for name in names:
                yield Resolution(resolved_ms, slug_of(name, at_s - DURATIONS_S[name]))
