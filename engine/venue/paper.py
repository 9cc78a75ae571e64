"""The paper broker: an order's own path in time, against the book as it is when the order gets there.

Submit latency, then the venue's hold during which nothing can be cancelled, then fill-or-kill against the
asks of that moment, fee by the market's schedule. What it does not know: queues of others at the same level;
what a fill here assumes is in docs/model.md, "Paper fills".
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from engine.clock import Clock
from engine.contract import FeeSchedule
from engine.core.book import Book
from engine.core.fees import taker_fee_e6
from engine.core.ledger import cost_of
from engine.core.state import OrderIntent
from engine.errors import JournalError
from engine.events import AnyEvent, EngineHalted, Level, OrderDenied, OrderFilled, OrderKilled, OrderSubmitted
from engine.kill import KillSwitch
from engine.units import ONE_E6, UsdE6

LOT_E6: Final = 100
"""Shares of a market BUY have at most four decimals (protocol sheet, section 7.2)."""

UNSPENT_E6: Final = ONE_E6 // 100
"""Dollars a filled order may leave unspent because shares come in lots: under one cent."""

KILLED_BY_VENUE: Final = "order couldn't be fully filled: FOK orders are fully filled or killed"


log = logging.getLogger("engine.venue")


class Delays(NamedTuple):
    """Milliseconds on the injected clock: our way to the venue, and its hold (150 since 2026-09-04)."""

    submit_ms: float
    hold_ms: float


class Market(NamedTuple):
    """What the broker looks up when an order arrives."""

    book: Callable[[str], Book | None]
    fee: Callable[[str], FeeSchedule | None]
    fallback_fee_rate: float


class PaperBroker:
    """Carry intents through time; nothing leaves the process."""

    def __init__(self, clock: Clock, kill: KillSwitch, delays: Delays, market: Market) -> None:
        self._clock = clock
        self._kill = kill
        self._delays = delays
        self._market = market
        self._tasks: set[asyncio.Task[None]] = set()
        self.accept: Callable[[AnyEvent], None] = lambda _: None
        self.until_durable: Callable[[], Awaitable[None]] | None = None

    def submit(self, intent: OrderIntent) -> None:
        """Take an intent over. The task is kept until it is done, so that it is not collected on the way."""
        task = asyncio.get_running_loop().create_task(self._carry(intent), name=f"order {intent.order_id}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def drain(self) -> None:
        """Wait for the orders under way: none is left without an end."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Halt where an order ended by an error: nobody knows its fate, and the next may end so too."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("order failed", extra={"task": task.get_name()}, exc_info=error)
            why = f"{task.get_name()} failed: {type(error).__name__}: {error}"
            self.accept(EngineHalted(ts_recv_ms=self._clock.now_ms(), why=why))

    async def _carry(self, intent: OrderIntent) -> None:
        refusal = await self._last_gate(intent)
        if refusal is not None:
            self.accept(
                OrderDenied(ts_recv_ms=self._clock.now_ms(), order_id=intent.order_id, reason=refusal)
            )
            return
        self.accept(OrderSubmitted(ts_recv_ms=self._clock.now_ms(), order_id=intent.order_id))
        await self._clock.sleep((self._delays.submit_ms + self._delays.hold_ms) / 1000)
        book = self._market.book(intent.token)
        now_ms = self._clock.now_ms()
        fills = None if book is None else fill_or_kill(book, intent.usd_e6, intent.limit_e4)
        if fills is None:
            self.accept(OrderKilled(ts_recv_ms=now_ms, order_id=intent.order_id, reason=KILLED_BY_VENUE))
            return
        fee = self._fee(intent.slug, fills)
        self.accept(OrderFilled(ts_recv_ms=now_ms, order_id=intent.order_id, fills=fills, fee_e6=fee))

    async def _last_gate(self, intent: OrderIntent) -> str | None:
        """Return why an intent must not leave, or None. The kill switch is looked at last."""
        try:
            if self.until_durable is not None:
                await self.until_durable()
        except JournalError as error:
            return f"not recorded: {error}"
        if self._clock.now_ms() > intent.deadline_ms:
            return "deadline passed before it could leave"
        if self._kill.is_tripped():
            return "kill switch"
        return None

    def _fee(self, slug: str, fills: tuple[Level, ...]) -> UsdE6:
        schedule = self._market.fee(slug)
        if schedule is None:
            return round(cost_of(fills) * self._market.fallback_fee_rate)
        return taker_fee_e6(schedule, fills)


def fill_or_kill(book: Book, usd_e6: UsdE6, limit_e4: int) -> tuple[Level, ...] | None:
    """Fill a market BUY for so many dollars at once and whole, or not at all.

    Args:
        book: As it is when the order is matched.
        usd_e6: Dollars to spend, before fee.
        limit_e4: Highest price taken.
    Returns:
        (price, size) by level, the last size cut so that the shares come to whole lots; None for a kill.
    """
    if book.state != "live":
        return None
    fills = book.walk(usd_e6, limit_e4)
    if not fills or usd_e6 - cost_of(fills) >= UNSPENT_E6:
        return None
    return _in_lots(fills)


def _in_lots(fills: tuple[Level, ...]) -> tuple[Level, ...] | None:
    """Cut fills, from the last level on, so that their shares come to whole lots."""
    surplus = sum(size for _, size in fills) % LOT_E6
    kept = list(fills)
    while surplus and kept:
        price, size = kept.pop()
        if size > surplus:
            kept.append((price, size - surplus))
        surplus -= min(size, surplus)
    return tuple(kept) or None
