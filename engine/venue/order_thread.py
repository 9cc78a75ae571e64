"""The order thread: its own loop, from which every order and every cancel leaves.

The engine's loop hands intents over and goes on; what becomes of them comes back as events through the same
door as everything else. An order is signed, recorded durably under the id by which the venue will know it,
asked for at the last gate, and sent once. A stuck engine loop cannot send an order (it cannot record it), and
cannot keep a cancel from leaving: the kill switch is watched here too.
What it does not know: formats, money, which exchange it is (``engine.venue.exchange``).
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from engine.clock import Clock
from engine.core.trading import OrderIntent
from engine.errors import JournalError, StartError
from engine.events import (
    AlarmRaised,
    AnyEvent,
    EngineHalted,
    OrderDenied,
    OrderFilled,
    OrderKilled,
    OrderRejected,
    OrdersCancelled,
    OrderSigned,
    OrderSubmitted,
    OrderUnknown,
)
from engine.kill import KillSwitch
from engine.venue.door import Door
from engine.venue.exchange import (
    Answer,
    CallFailed,
    Exchange,
    HeldBack,
    Lost,
    Matched,
    Nothing,
    Refused,
    Signed,
    Unsendable,
)
from engine.venue.last_gate import LastGate
from engine.venue.restrictions import Restrictions

KILL_LOOK_EVERY_S: Final = 0.01
"""How often this thread looks at the latch, so that cancels leave; orders ask it themselves each time."""

CANCEL_AGAIN_S: Final = 0.5
"""Pause before a cancel-all that did not come through is tried again."""

DUTY_AGAIN_S: Final = 1.0

CLOSE_WAIT_S: Final = 5.0
"""Longest wait for the orders under way when the engine ends: the venue's hold and a time-out or two."""

Told = TypeVar("Told", bound=AnyEvent)

log = logging.getLogger("engine.orders")


class Duty(Protocol):
    """Something that has to be done beside the orders as long as the thread lives."""

    async def run(self) -> None:
        """Do it for ever."""
        ...

    def ended(self, intent: OrderIntent, venue_order_id: str, event: AnyEvent) -> None:
        """Hear how an order ended; ``event`` is what was told of it."""
        ...


class Tools(NamedTuple):
    """What an order thread works with."""

    exchange: Exchange
    gate: LastGate
    kill: KillSwitch
    clock: Clock
    door: Door
    restrictions: Restrictions


class _Trip:
    """One order on its way: when it was taken over and has to have left (``perf_counter``), and whether."""

    __slots__ = ("first_byte", "has_left", "intent", "latest", "recording", "taken_over", "venue_order_id")

    def __init__(self, intent: OrderIntent, taken_over: float, latest: float) -> None:
        self.intent = intent
        self.taken_over = self.first_byte = taken_over
        self.latest = latest
        self.has_left = False
        self.recording: asyncio.Future[None] | None = None
        self.venue_order_id = ""


class OrderThread:
    """Carry intents out, one exchange behind them."""

    def __init__(self, tools: Tools, duties: Sequence[Duty] = ()) -> None:
        self._tools = tools
        self._duties = duties
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: Future[None] = Future()
        self._stop: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="orders", daemon=True)

    async def open(self) -> None:
        """Start the thread; return once its exchange is connected.

        Raises:
            StartError: It could not be.
        """
        self._thread.start()
        await asyncio.wrap_future(self._opened)

    def submit(self, intent: OrderIntent) -> None:
        """Take an intent over; return at once. For the engine's loop."""
        if self._is_ending:
            denied = self._event(OrderDenied, intent, reason="the engine ends")
            self._tools.door.tell(denied)
            return
        clock, now = self._tools.clock, time.perf_counter()
        life_s = max(0, intent.deadline_ms - clock.now_ms()) / 1000 / clock.rate
        self._call(self._begin, _Trip(intent, now, now + life_s))

    async def close(self) -> None:
        """Wait for the orders under way, then end the thread. None is left without an end if it can be."""
        self._is_ending = True
        if self._loop is None or self._stop is None or not self._thread.is_alive():
            return
        with contextlib.suppress(RuntimeError):  # its loop closed since the look: it ends by itself
            self._call(self._stop.set)
        await asyncio.to_thread(self._thread.join, CLOSE_WAIT_S + 5.0)

    # --- in the thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:
            log.exception("order thread failed")
            if not self._opened.done():
                self._opened.set_exception(StartError(f"orders cannot be sent: {type(error).__name__}"))
            self._halt(f"the order thread failed: {type(error).__name__}")

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._tools.exchange.open()
            await self._cancel_orphans()
        except StartError as error:
            self._opened.set_exception(error)
            return
        except CallFailed as error:
            self._opened.set_exception(StartError(f"open orders cannot be cancelled: {error}"))
            return
        self._opened.set_result(None)
        running = [self._start(self._watch_kill(), "kill watch")]
        running += [self._start(self._keep_on(duty), type(duty).__name__) for duty in self._duties]
        try:
            await self._stop.wait()
            orders = [task for task in self._tasks if task not in running]
            if orders:
                await asyncio.wait(orders, timeout=CLOSE_WAIT_S)
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._tools.exchange.close()

    async def _keep_on(self, duty: Duty) -> None:
        """Do a duty for ever. An error of ours halts the engine, and the duty goes on: the account is the
        same, and whoever halted still wants to know it."""
        while True:
            try:
                await duty.run()
            except Exception as error:
                log.exception("duty failed")
                self._halt(f"{type(duty).__name__} failed: {type(error).__name__}: {error}")
            await asyncio.sleep(DUTY_AGAIN_S)

    def _call(self, function: Callable[..., object], *args: object) -> None:
        assert self._loop is not None, "open() comes first"
        self._loop.call_soon_threadsafe(function, *args)

    def _begin(self, trip: _Trip) -> None:
        self._start(self._carry(trip), f"order {trip.intent.order_id}")

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something and keep it until it is done, so that it is not collected on the way."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        """Halt where something ended by an error of ours: the next may end so too."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("order thread", extra={"task": task.get_name()}, exc_info=error)
            self._halt(f"{task.get_name()} failed: {type(error).__name__}: {error}")

    def _halt(self, why: str) -> None:
        self._tools.door.tell(EngineHalted(ts_recv_ms=self._tools.clock.now_ms(), why=why))

    # --- one order ------------------------------------------------------------------------------------------

    async def _carry(self, trip: _Trip) -> None:
        intent = trip.intent
        try:
            signed = await self._signed(trip)
            answer = await self._tools.exchange.send(intent, signed, lambda: self._at_the_wire(trip))
            took_ms = (time.perf_counter() - trip.first_byte) * 1000
            await self._recorded(trip)
            told = self._told(intent, answer, took_ms)
        except HeldBack as held:
            await self._end(trip, self._event(OrderDenied, intent, reason=held.reason))
            return
        except BaseException as error:
            # An error of ours after the first byte: the order may live. Before it, nothing left.
            reason = f"{type(error).__name__} while it was carried"
            ended = (
                self._event(OrderUnknown, intent, reason=reason)
                if trip.has_left
                else self._event(OrderDenied, intent, reason=reason)
            )
            await self._end(trip, ended)
            raise
        await self._end(trip, told)

    async def _signed(self, trip: _Trip) -> Signed:
        """Make the order, and let it be recorded. The gate is asked before, to save the work."""
        refusal = self._tools.gate.refusal(trip.intent, trip.latest)
        if refusal is not None:
            raise HeldBack(refusal)
        try:
            signed = await self._tools.exchange.sign(trip.intent)
        except Unsendable as error:
            raise HeldBack(f"it could not be made: {error}") from None
        trip.venue_order_id = signed.venue_order_id
        told = self._event(
            OrderSigned,
            trip.intent,
            venue_order_id=signed.venue_order_id,
            maker_e6=signed.maker_e6,
            taker_e6=signed.taker_e6,
            took_ms=(time.perf_counter() - trip.taken_over) * 1000,
        )
        # The disk works while the client builds its request; nothing is written before both are done.
        trip.recording = asyncio.ensure_future(self._tools.door.record(told))
        return signed

    async def _at_the_wire(self, trip: _Trip) -> None:
        """Hold the first byte back until the order is durable, then ask the last gate."""
        await self._recorded(trip)
        refusal = self._tools.gate.refusal(trip.intent, trip.latest)
        if refusal is not None:
            raise HeldBack(refusal)
        trip.has_left, trip.first_byte = True, time.perf_counter()
        took_ms = (trip.first_byte - trip.taken_over) * 1000
        self._tools.door.tell(self._event(OrderSubmitted, trip.intent, took_ms=took_ms))

    async def _recorded(self, trip: _Trip) -> None:
        assert trip.recording is not None
        try:
            await trip.recording
        except JournalError as error:
            raise HeldBack(f"not recorded: {error}") from error

    def _told(self, intent: OrderIntent, answer: Answer, took_ms: float) -> AnyEvent:
        """Write what the exchange answered as an event."""
        if isinstance(answer, Matched | Nothing):
            self._tools.restrictions.passed()
        match answer:
            case Matched(fills, fee_e6, trades, assumed):
                return self._event(
                    OrderFilled,
                    intent,
                    fills=fills,
                    fee_e6=fee_e6,
                    trades=trades,
                    is_final=not trades,
                    took_ms=took_ms,
                    assumed=assumed,
                )
            case Nothing(reason, assumed):
                return self._event(OrderKilled, intent, reason=reason, took_ms=took_ms, assumed=assumed)
            case Refused(reason, code, restriction):
                if restriction is not None:
                    self._tools.restrictions.tell(restriction)
                return self._event(OrderRejected, intent, reason=reason, code=code, took_ms=took_ms)
            case Lost(reason):
                return self._event(OrderUnknown, intent, reason=reason)

    async def _end(self, trip: _Trip, event: AnyEvent) -> None:
        """Tell how an order ended, after that it was signed."""
        if trip.recording is not None and not trip.recording.done():
            await asyncio.wait((trip.recording,))
        self._tools.door.tell(event)
        for duty in self._duties:
            duty.ended(trip.intent, trip.venue_order_id, event)

    def _event(self, kind: Callable[..., Told], intent: OrderIntent, **facts: object) -> Told:
        return kind(ts_recv_ms=self._tools.clock.now_ms(), order_id=intent.order_id, **facts)

    # --- the kill switch ------------------------------------------------------------------------------------

    async def _watch_kill(self) -> None:
        """Cancel everything once the latch is there, however stuck the engine's loop may be."""
        kill, was_tripped = self._tools.kill, False
        while True:
            tripped = kill.is_tripped()
            if tripped and not was_tripped:
                await self._cancel_all("the kill switch was tripped")
            was_tripped = tripped
            await asyncio.sleep(KILL_LOOK_EVERY_S)

    async def _cancel_orphans(self) -> None:
        """Cancel what an engine before this one may have left open."""
        count = await self._tools.exchange.cancel_all()
        if count:
            now_ms = self._tools.clock.now_ms()
            self._tools.door.tell(OrdersCancelled(ts_recv_ms=now_ms, count=count, why="the engine starts"))

    async def _cancel_all(self, why: str) -> None:
        tools = self._tools
        while True:
            try:
                count = await tools.exchange.cancel_all()
            except CallFailed as error:
                log.error("cancel-all failed", extra={"why": str(error)})
                told = AlarmRaised(ts_recv_ms=tools.clock.now_ms(), name="cancel-all", why=str(error))
                tools.door.tell(told)
                await asyncio.sleep(CANCEL_AGAIN_S)
                continue
            log.warning("orders cancelled", extra={"count": count, "why": why})
            tools.door.tell(OrdersCancelled(ts_recv_ms=tools.clock.now_ms(), count=count, why=why))
            return
