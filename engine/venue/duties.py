"""What a live account needs beside the orders: find those of unknown fate, follow trades, watch the balance.

Each duty is a loop in the order thread. They ask the venue, and tell the core by events; none of them sends
an order. Times are wall seconds: they pace our questions, not the market.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from engine.clock import Clock
from engine.contract import Outcome
from engine.core.account import DUST_E6
from engine.core.trading import OrderIntent
from engine.events import (
    AnyEvent,
    BalanceTold,
    OrderFilled,
    OrderKilled,
    SharesTold,
    TradeStatusTold,
)
from engine.units import SizeE6
from engine.venue.door import Door
from engine.venue.exchange import Account, CallFailed, Exchange, Matched, Restriction
from engine.venue.restrictions import Restrictions

ASK_EVERY_S: Final = 1.0
"""Pace at which an order of unknown fate is asked for."""

ABSENT_FOR_S: Final = 20.0
"""How long the venue must not know of an order before it is believed: orders were seen to reach the book up
to 8 s late (fault catalogue, F38); twice that, and a time-out."""

PAYING_FROM_S: Final = 90
"""Seconds after a window's end from which on its shares may be gone by a pay-out: the earliest were seen
after 100 s."""

PAID_OUT_S: Final = 300
"""Seconds after a window's end from which on its shares say nothing: winners were paid out after 130 s at
nine in ten (protocol sheet, section 10)."""

FOLLOW_EVERY_S: Final = 2.0
"""Pace at which provisional trades are asked for; the user channel is faster where it is there."""

BALANCE_EVERY_S: Final = 10.0
HOLDINGS_EVERY_S: Final = 30.0
"""Pace of the comparison of shares with the venue; some positions are paid out 100 to 130 s after the end."""

WARM_EVERY_S: Final = 20.0
"""The official client lets go of an idle connection after 30 s; a new one costs a handshake."""

BEAT_EVERY_S: Final = 5.0
"""The venue cancels everything ten seconds after the last heartbeat (protocol sheet, section 5.3)."""

log = logging.getLogger("engine.orders")


class Held(NamedTuple):
    """A token whose shares are to be compared: of an open window, or won in one that has settled."""

    slug: str
    outcome: Outcome
    token: str


class Doubt(NamedTuple):
    """An order whose fate nobody knows."""

    intent: OrderIntent
    venue_order_id: str


class Questions(NamedTuple):
    """What the duties ask of the engine's state; each is called in the engine's loop."""

    unknown: Callable[[], tuple[Doubt, ...]]
    shares: Callable[[str, Outcome], SizeE6]
    to_follow: Callable[[], tuple[str, ...]]
    held: Callable[[], tuple[Held, ...]]
    tokens: Callable[[], tuple[str, ...]]
    """Of open windows, of which an order may come."""


class Tools(NamedTuple):
    """What a duty works with."""

    exchange: Exchange
    account: Account
    clock: Clock
    door: Door
    restrictions: Restrictions
    questions: Questions


class _Trace:
    """What the venue said of an order of unknown fate so far."""

    __slots__ = ("absent_since", "matched", "shares_differed")

    def __init__(self) -> None:
        self.absent_since: float | None = None
        self.matched: Matched | None = None
        self.shares_differed = False
        """Whether the venue, last asked while the window ran, held other shares than the ledger has."""


class Search:
    """Look for orders whose fate nobody knows: by id, among the trades, in the shares held. Never send again.

    Which ones, the core says; so it goes on over restarts. What an order filled is believed once it is told
    the same twice: trades may be listed one by one. That there was none is believed once the venue has known
    no such order for ``ABSENT_FOR_S`` and holds the shares that the ledger has without it. While the window
    runs they may differ for a moment, by another order whose trade is not told yet. Some time after it they
    are paid out: fewer of them say nothing of a buy any more, and later neither does anything. But what they
    said before is remembered: an order whose shares differed then stays unknown until a trade of it is found,
    and so does a sale after which fewer are held, paid out or sold.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._traces: dict[str, _Trace] = {}

    @property
    def is_on(self) -> bool:
        """Whether an order is being looked for."""
        return bool(self._traces)

    def ended(self, intent: OrderIntent, venue_order_id: str, event: AnyEvent) -> None:
        """Need nothing of it: the core says what is unknown."""

    async def run(self) -> None:
        """Ask for ever."""
        tools = self._tools
        while True:
            doubts = await tools.door.ask(tools.questions.unknown)
            wanted = {doubt.intent.order_id for doubt in doubts}
            self._traces = {name: trace for name, trace in self._traces.items() if name in wanted}
            for doubt in doubts:
                trace = self._traces.setdefault(doubt.intent.order_id, _Trace())
                try:
                    found = await self._asked(doubt, trace)
                except CallFailed as error:
                    log.warning("search failed", extra={"order": doubt.intent.order_id, "why": str(error)})
                    continue
                if found is not None:
                    tools.door.tell(found)
            await asyncio.sleep(ASK_EVERY_S)

    async def _asked(self, doubt: Doubt, trace: _Trace) -> AnyEvent | None:
        """Ask the venue about one order; return its end once it is known."""
        tools, intent = self._tools, doubt.intent
        asked_at = time.monotonic()
        matched = await tools.account.find(intent, doubt.venue_order_id)
        if matched is not None:
            is_sure, trace.matched = matched == trace.matched, matched
            return self._filled(intent, matched) if is_sure else None
        if await tools.account.is_open(doubt.venue_order_id):
            trace.absent_since = None
            await tools.exchange.cancel_all()
            return None
        is_running = tools.clock.now_ms() < intent.end_s * 1000
        if trace.shares_differed and not is_running:
            return None
        trace.shares_differed = not await self._shares_agree(intent)
        if trace.shares_differed:
            trace.absent_since = None
            return None
        trace.absent_since = trace.absent_since or asked_at
        if asked_at - trace.absent_since < ABSENT_FOR_S:
            return None
        reason = "the venue never had it: not among orders, trades and shares"
        return OrderKilled(ts_recv_ms=tools.clock.now_ms(), order_id=intent.order_id, reason=reason)

    async def _shares_agree(self, intent: OrderIntent) -> bool:
        tools = self._tools
        ended_ms = tools.clock.now_ms() - intent.end_s * 1000
        if ended_ms > PAID_OUT_S * 1000:
            return True
        held = await tools.account.shares(intent.token)
        ours = await tools.door.ask(lambda: tools.questions.shares(intent.slug, intent.outcome))
        if abs(held - ours) <= DUST_E6:
            return True
        if intent.side == "BUY" and held < ours and ended_ms > PAYING_FROM_S * 1000:
            return True  # paid out, as it seems; no buy takes shares away, a sale does just that
        log.warning("search: shares differ", extra={"order": intent.order_id, "venue": held, "own": ours})
        return False

    def _filled(self, intent: OrderIntent, matched: Matched) -> AnyEvent:
        return OrderFilled(
            ts_recv_ms=self._tools.clock.now_ms(),
            order_id=intent.order_id,
            fills=matched.fills,
            fee_e6=matched.fee_e6,
            trades=matched.trades,
            is_final=False,
        )


class Following:
    """Ask how far provisional trades are, until each has its last word."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def ended(self, intent: OrderIntent, venue_order_id: str, event: AnyEvent) -> None:
        """Need nothing of it: the core says which trades to follow."""

    async def run(self) -> None:
        """Ask for ever."""
        tools = self._tools
        while True:
            await asyncio.sleep(FOLLOW_EVERY_S)
            wanted = await tools.door.ask(tools.questions.to_follow)
            if not wanted:
                continue
            try:
                told = await tools.account.statuses(wanted)
            except CallFailed as error:
                log.warning("trades not told", extra={"why": str(error)})
                continue
            for status in told:
                tools.door.tell(TradeStatusTold(ts_recv_ms=tools.clock.now_ms(), **status._asdict()))


class Money:
    """Tell the balance, regularly and after each order; and whether the account may only reduce."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._wake = asyncio.Event()

    def ended(self, intent: OrderIntent, venue_order_id: str, event: AnyEvent) -> None:
        """Ask soon: an order may have changed it."""
        del intent, venue_order_id, event
        self._wake.set()

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self._ask()
            self._wake.clear()
            try:
                async with asyncio.timeout(BALANCE_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _ask(self) -> None:
        tools = self._tools
        asked_ms = tools.clock.now_ms()
        try:
            balance, allowance = await tools.account.balance()
            closed_only = await tools.account.is_closed_only()
        except CallFailed as error:
            log.warning("balance not told", extra={"why": str(error)})
            if error.restriction is not None:
                tools.restrictions.tell(error.restriction)
            return
        told = BalanceTold(
            ts_recv_ms=tools.clock.now_ms(), balance_e6=balance, allowance_e6=allowance, asked_ms=asked_ms
        )
        tools.door.tell(told)
        # A signed read that works again is all that an "unauthorised" needs.
        tools.restrictions.lift("unauthorised")
        if not closed_only:
            tools.restrictions.lift("closed-only")
        elif not tools.restrictions.holds("closed-only"):
            tools.restrictions.tell(Restriction("closed-only", "the account may only reduce"))


class Holdings:
    """Compare shares with the venue: of open windows, and of settled ones until they are paid out."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def ended(self, intent: OrderIntent, venue_order_id: str, event: AnyEvent) -> None:
        """Need nothing of it: the next round will see."""

    async def run(self) -> None:
        """Ask for ever; once at the start, before anything is traded."""
        tools = self._tools
        while True:
            for held in await tools.door.ask(tools.questions.held):
                asked_ms = tools.clock.now_ms()
                try:
                    shares = await tools.account.shares(held.token)
                except CallFailed as error:
                    log.warning("shares not told", extra={"slug": held.slug, "why": str(error)})
                    continue
                told = SharesTold(
                    ts_recv_ms=tools.clock.now_ms(),
                    slug=held.slug,
                    outcome=held.outcome,
                    shares_e6=shares,
                    asked_ms=asked_ms,
                )
                tools.door.tell(told)
            await asyncio.sleep(HOLDINGS_EVERY_S)


class Warmth:
    """Keep the connection that orders take, and what the client knows of the markets, warm."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def ended(self, intent: OrderIntent, venue_order_id: str, event: AnyEvent) -> None:
        """Need nothing of it."""

    async def run(self) -> None:
        """Ask for ever."""
        tools = self._tools
        while True:
            for token in await tools.door.ask(tools.questions.tokens):
                try:
                    await tools.exchange.warm(token)
                except CallFailed as error:
                    log.warning("not warmed up", extra={"token": token, "why": str(error)})
            await asyncio.sleep(WARM_EVERY_S)


class Heartbeat:
    """The dead-man switch: beat while an order may rest, so that the venue cancels what we can no longer.

    The first beat arms it for the whole API key, and for good: from then on the venue cancels that key's
    orders whenever beats stay away. FOK and FAK orders never rest, so it beats only while one's fate is
    unknown. A beat that fails stops new orders until one succeeds (fault catalogue, F41).
    """

    def __init__(self, tools: Tools, is_needed: Callable[[], bool]) -> None:
        self._tools = tools
        self._is_needed = is_needed
        self._failed = False
        self.accepted_at_s: float | None = None
        """When the venue last took a beat, monotonic seconds; None before the first."""
        self.failed_why = ""
        """Why the last beat was not taken; empty when it was."""

    def ended(self, intent: OrderIntent, venue_order_id: str, event: AnyEvent) -> None:
        """Need nothing of it."""

    async def run(self) -> None:
        """Beat for ever, where it is needed."""
        while True:
            if self._is_needed() or self._failed:
                await self._beat()
            await asyncio.sleep(BEAT_EVERY_S)

    async def _beat(self) -> None:
        restrictions = self._tools.restrictions
        try:
            await self._tools.account.beat()
        except CallFailed as error:
            self._failed, self.failed_why = True, str(error)
            restrictions.tell(Restriction("heartbeat", str(error)))
        else:
            self._failed, self.failed_why = False, ""
            self.accepted_at_s = time.monotonic()
            restrictions.lift("heartbeat")
