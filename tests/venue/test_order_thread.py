"""The order thread: signed, recorded, asked at the gate, sent once; and a kill switch beside a stuck loop."""

import asyncio
import contextlib
import errno
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from engine.clock import ManualClock, SystemClock
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
    VenueRestricted,
)
from engine.kill import KillSwitch, Latch
from engine.venue.door import Door
from engine.venue.exchange import (
    Answer,
    AtTheWire,
    CallFailed,
    Lost,
    Matched,
    Nothing,
    Refused,
    Restriction,
    Signed,
    Unsendable,
)
from engine.venue.last_gate import LastGate
from engine.venue.order_thread import OrderThread, Tools
from engine.venue.restrictions import Restrictions
from tests.venue.test_paper import intent

SOON_S = 5.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def order(number: int = 1, **changes: object) -> OrderIntent:
    return intent(order_id=f"slug#{number}", deadline_ms=now_ms() + 1_000, **changes)


class ExchangeDouble:
    """An exchange that answers as told, and notes when each first byte was written."""

    def __init__(self, answer: Answer | Callable[[], Answer] = Nothing("killed")) -> None:  # noqa: B008 (immutable)
        self.answer = answer
        self.sent: list[tuple[str, float]] = []
        self.cancelled_at: list[float] = []
        self.cancels_fail = 0
        self.unsendable = False
        self.before_the_wire: Callable[[], None] = lambda: None
        self.opens_with: Exception | None = None
        self.closed = False

    async def open(self) -> None:
        if self.opens_with is not None:
            raise self.opens_with

    async def close(self) -> None:
        self.closed = True

    async def warm(self, token: str) -> None:
        pass

    async def sign(self, intent: OrderIntent) -> Signed:
        if self.unsendable:
            raise Unsendable("off the grid")
        return Signed(f"0x{intent.order_id}", intent.usd_e6, 0, object())

    async def send(self, intent: OrderIntent, signed: Signed, at_the_wire: AtTheWire) -> Answer:
        assert signed.venue_order_id == f"0x{intent.order_id}"
        self.before_the_wire()
        await at_the_wire()
        self.sent.append((intent.order_id, time.monotonic()))
        return self.answer() if callable(self.answer) else self.answer

    async def cancel_all(self) -> int:
        self.cancelled_at.append(time.monotonic())
        if len(self.cancelled_at) > 1 and self.cancels_fail:
            self.cancels_fail -= 1
            raise CallFailed("no answer")
        return 0


class Desk:
    """An order thread with its surroundings; events arrive in the test's loop, as in the engine's."""

    def __init__(self, folder: Path, exchange: ExchangeDouble, kill: KillSwitch | None = None) -> None:
        self.exchange = exchange
        self.kill = kill or KillSwitch(folder)
        self.events: list[AnyEvent] = []
        self.journal_error: JournalError | None = None
        self.accept_fails_at: type[AnyEvent] | None = None
        self.when_recorded: Callable[[], None] = lambda: None
        clock = SystemClock()
        self.broken: list[str] = []
        self.door = Door(self._accept, self._durable, self.broken.append)
        self.not_armed: str | None = None
        self.tick_e4: int | None = None
        gate = LastGate(clock, self.kill, lambda: self.not_armed, lambda token: self.tick_e4)
        restrictions = Restrictions(clock, self.kill, self.door)
        self.thread = OrderThread(Tools(exchange, gate, self.kill, clock, self.door, restrictions))

    def _accept(self, event: AnyEvent) -> None:
        if self.accept_fails_at is not None and isinstance(event, self.accept_fails_at):
            raise ZeroDivisionError("planted")
        self.events.append(event)

    async def _durable(self) -> None:
        self.when_recorded()
        if self.journal_error is not None:
            raise self.journal_error

    async def until(self, *kinds: type[AnyEvent], count: int = 1) -> list[AnyEvent]:
        """Wait until so many events of these kinds have come."""
        async with asyncio.timeout(SOON_S):
            while sum(isinstance(event, kinds) for event in self.events) < count:  # noqa: ASYNC110 (another thread's)
                await asyncio.sleep(0.002)
        return [event for event in self.events if isinstance(event, kinds)]


@contextlib.asynccontextmanager
async def desk(folder: Path, exchange: ExchangeDouble, kill: KillSwitch | None = None) -> AsyncIterator[Desk]:
    made = Desk(folder, exchange, kill)
    await made.thread.open()
    try:
        yield made
    finally:
        await made.thread.close()


ENDS = (OrderFilled, OrderKilled, OrderDenied, OrderRejected, OrderUnknown)


async def test_an_order_is_signed_recorded_and_sent_in_this_order(tmp_path: Path) -> None:
    """Its id at the venue is durable before its first byte leaves."""
    exchange = ExchangeDouble(Matched(((9_000, 22_000_000),), 100))
    async with desk(tmp_path, exchange) as made:
        made.when_recorded = lambda: made.events.append(EngineHalted(ts_recv_ms=0, why="recorded"))
        made.thread.submit(order())
        await made.until(OrderFilled)
    kinds = [type(event) for event in made.events]
    assert kinds == [OrderSigned, EngineHalted, OrderSubmitted, OrderFilled]
    signed, filled = made.events[0], made.events[-1]
    assert isinstance(signed, OrderSigned)
    assert signed.venue_order_id == "0xslug#1"
    assert isinstance(filled, OrderFilled)
    assert filled.is_final, "without trades to follow"
    assert exchange.closed


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Nothing("killed"), OrderKilled),
        (Refused("no money", "balance"), OrderRejected),
        (Lost("no answer"), OrderUnknown),
    ],
)
async def test_each_answer_has_its_own_end(tmp_path: Path, answer: Answer, kind: type[AnyEvent]) -> None:
    """And each order exactly one."""
    async with desk(tmp_path, ExchangeDouble(answer)) as made:
        made.thread.submit(order())
        await made.until(kind)
    assert [type(event) for event in made.events if isinstance(event, ENDS)] == [kind]


async def test_the_kill_switch_is_asked_right_before_the_first_byte(tmp_path: Path) -> None:
    """Tripped after signing and recording, while the connection was being made: nothing is written."""
    exchange = ExchangeDouble()
    async with desk(tmp_path, exchange) as made:
        exchange.before_the_wire = lambda: made.kill.trip("test", "now") and None
        made.thread.submit(order())
        (denied,) = await made.until(OrderDenied)
    assert isinstance(denied, OrderDenied)
    assert denied.reason == "kill switch"
    assert exchange.sent == []


async def test_an_exit_leaves_under_the_kill_switch(tmp_path: Path) -> None:
    """Getting out of something is what a kill switch must not prevent; arming neither."""
    exchange = ExchangeDouble(Matched(((9_000, 1_000_000),), 0))
    async with desk(tmp_path, exchange) as made:
        made.kill.trip("test", "now")
        made.not_armed = "not armed"
        made.thread.submit(order(side="SELL", shares_e6=1_000_000, usd_e6=0))
        await made.until(OrderFilled)
    assert [name for name, _ in exchange.sent] == ["slug#1"]


async def test_what_is_not_armed_not_in_time_not_recorded_or_not_makeable_is_denied(tmp_path: Path) -> None:
    """Our own refusals, each with its reason; nothing is sent."""
    exchange = ExchangeDouble()
    async with desk(tmp_path, exchange) as made:
        made.not_armed = "not armed"
        made.thread.submit(order(1))
        await made.until(OrderDenied, count=1)
        made.not_armed = None
        made.thread.submit(intent(order_id="slug#2", deadline_ms=now_ms() - 1))
        await made.until(OrderDenied, count=2)
        made.journal_error = JournalError("disk is full")
        made.thread.submit(order(3))
        await made.until(OrderDenied, count=3)
        made.journal_error = None
        exchange.unsendable = True
        made.thread.submit(order(4))
        denied = await made.until(OrderDenied, count=4)
    assert [event.reason for event in denied if isinstance(event, OrderDenied)] == [
        "not armed",
        "deadline passed before it could leave",
        "not recorded: disk is full",
        "it could not be made: off the grid",
    ]
    assert exchange.sent == []


async def test_an_error_of_ours_after_the_first_byte_leaves_the_fate_unknown_and_halts(
    tmp_path: Path,
) -> None:
    """The order may live; the next one may end the same way."""

    def fail() -> Answer:
        raise ZeroDivisionError("planted")

    async with desk(tmp_path, ExchangeDouble(fail)) as made:
        made.thread.submit(order())
        (halted,) = await made.until(EngineHalted)
    assert [type(event) for event in made.events if isinstance(event, ENDS)] == [OrderUnknown]
    assert isinstance(halted, EngineHalted)
    assert halted.why == "order slug#1 failed: ZeroDivisionError: planted"


async def test_a_stuck_engine_loop_keeps_no_cancel_back_and_lets_no_order_out(tmp_path: Path) -> None:
    """The loop sleeps while the latch is set: cancels leave within milliseconds, an order that waits for its
    record does not leave, nor when the loop is back."""
    exchange = ExchangeDouble()
    async with desk(tmp_path, exchange) as made:
        begun = len(exchange.cancelled_at)
        made.thread.submit(order())
        tripped: list[float] = []

        def trip() -> None:
            made.kill.trip("test", "stuck")
            tripped.append(time.monotonic())

        thread = threading.Timer(0.1, trip)
        thread.start()
        time.sleep(0.6)  # noqa: ASYNC251 (the loop is stuck: that is the point)
        thread.join()
        assert len(exchange.cancelled_at) > begun, "the cancel did not wait for the loop"
        assert exchange.cancelled_at[-1] - tripped[0] < 0.3
        await made.until(OrderDenied)
    assert exchange.sent == []


async def test_cancels_that_do_not_come_through_are_tried_again_and_told(tmp_path: Path) -> None:
    """An operator has to know that orders may still be open."""
    exchange = ExchangeDouble()
    exchange.cancels_fail = 2
    async with desk(tmp_path, exchange) as made:
        made.kill.trip("test", "now")
        await made.until(OrdersCancelled)
    alarms = [event for event in made.events if isinstance(event, AlarmRaised)]
    assert [alarm.name for alarm in alarms] == ["cancel-all", "cancel-all"]


async def test_a_refusal_for_our_region_trips_the_kill_switch(tmp_path: Path) -> None:
    """It is never sent again, by nobody."""
    restriction = Restriction("region", "Trading restricted in your region")
    async with desk(tmp_path, ExchangeDouble(Refused("region", "region", restriction))) as made:
        made.thread.submit(order())
        await made.until(VenueRestricted)
        latch = made.kill.read()
    assert latch is not None
    assert latch.who == "venue"


class ReadOnlyKill(KillSwitch):
    """A kill switch whose folder cannot be written; a file system mounted so binds root as well."""

    def _latch(self, latch: Latch) -> Latch:
        raise OSError(errno.EROFS, "Read-only file system", str(self.path))


async def test_an_order_has_its_end_even_where_the_kill_switch_cannot_be_written(tmp_path: Path) -> None:
    """The venue's word holds all the same, for ever, and says what could not be done."""
    restriction = Restriction("region", "Trading restricted in your region")
    exchange = ExchangeDouble(Refused("Trading restricted", "region", restriction))
    async with desk(tmp_path, exchange, ReadOnlyKill(tmp_path)) as made:
        made.thread.submit(order())
        (told,) = await made.until(VenueRestricted)
        (ended,) = await made.until(*ENDS)
        await asyncio.sleep(0.02)
    assert isinstance(told, VenueRestricted)
    assert (told.restriction, told.until_ms) == ("region", None)
    assert "Trading restricted in your region" in told.why
    assert "Read-only file system" in told.why
    assert isinstance(ended, OrderRejected)
    assert not any(isinstance(event, EngineHalted) for event in made.events)


async def test_an_answer_that_cannot_be_told_leaves_the_fate_unknown_and_halts(tmp_path: Path) -> None:
    """Whatever breaks between the answer and its event: an order that stays *sent* is never looked for."""
    restriction = Restriction("a new one", "?", "soon")  # type: ignore[arg-type]
    async with desk(tmp_path, ExchangeDouble(Refused("?", "?", restriction))) as made:
        made.thread.submit(order())
        (ended,) = await made.until(*ENDS)
        await made.until(EngineHalted)
    assert isinstance(ended, OrderUnknown)


async def test_pauses_grow_where_the_venue_does_not_say_how_long(tmp_path: Path) -> None:
    """2, 4, 8 ... 30 s of the wall; what the venue says goes before; a taken order begins anew."""
    clock, told = ManualClock(1_000_000), []

    async def durable() -> None:
        pass

    restrictions = Restrictions(clock, KillSwitch(tmp_path), Door(told.append, durable, told.append))
    for retry in (None, None, None, None, None, 7.0):
        restrictions.tell(Restriction("restarting", "425", retry))
    restrictions.passed()
    restrictions.tell(Restriction("restarting", "425"))
    await asyncio.sleep(0)
    waits = [(event.until_ms - 1_000_000) / 1000 for event in told if isinstance(event, VenueRestricted)]  # type: ignore[operator]
    assert waits == [2.0, 4.0, 8.0, 16.0, 30.0, 7.0, 2.0]


async def test_an_exchange_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    """In one line, and nothing is left running."""
    exchange = ExchangeDouble()
    exchange.opens_with = StartError("no keys")
    made = Desk(tmp_path, exchange)
    with pytest.raises(StartError, match="no keys"):
        await made.thread.open()
    await made.thread.close()


async def test_a_thread_that_ends_by_itself_just_now_can_be_closed(tmp_path: Path) -> None:
    """Its loop is closed a moment before it is no thread any more."""
    made = Desk(tmp_path, ExchangeDouble())
    over = asyncio.new_event_loop()
    over.close()
    made.thread._loop, made.thread._stop = over, asyncio.Event()
    made.thread._thread = threading.Thread(target=time.sleep, args=(0.1,))
    made.thread._thread.start()
    await made.thread.close()
    assert not made.thread._thread.is_alive()


async def test_the_end_waits_for_orders_under_way(tmp_path: Path) -> None:
    """An order in the venue's hold gets its end before the journal closes."""
    exchange = ExchangeDouble()
    released = threading.Event()

    def slow() -> Answer:
        released.wait(2.0)
        return Nothing("killed")

    exchange.answer = slow
    made = Desk(tmp_path, exchange)
    await made.thread.open()
    made.thread.submit(order())
    await made.until(OrderSubmitted)
    threading.Timer(0.2, released.set).start()
    await made.thread.close()
    await made.until(OrderKilled)


async def test_an_answer_that_cannot_be_taken_in_halts_the_engine(tmp_path: Path) -> None:
    """The loop would only log it, and the order would stay as sent for ever."""
    async with desk(tmp_path, ExchangeDouble()) as made:
        made.accept_fails_at = OrderKilled
        made.thread.submit(order())
        async with asyncio.timeout(SOON_S):
            while not made.broken:  # noqa: ASYNC110 (another thread's)
                await asyncio.sleep(0.002)
    assert made.broken == ["OrderKilled could not be taken in: ZeroDivisionError: planted"]


async def test_nothing_leaves_once_the_engine_ends(tmp_path: Path) -> None:
    """What is decided while orders under way are waited for is denied, and says so."""
    exchange = ExchangeDouble()
    made = Desk(tmp_path, exchange)
    await made.thread.open()
    await made.thread.close()
    made.thread.submit(order())
    (denied,) = await made.until(OrderDenied)
    assert isinstance(denied, OrderDenied)
    assert denied.reason == "the engine ends"
    assert exchange.sent == []


async def test_a_clock_that_is_set_back_does_not_prolong_a_deadline(tmp_path: Path) -> None:
    """The steady clock has the last word."""
    clock = ManualClock(1_000_000)
    gate = LastGate(clock, KillSwitch(tmp_path))
    wanted = intent(deadline_ms=1_001_000)
    assert gate.refusal(wanted, time.perf_counter() + 1.0) is None
    assert gate.refusal(wanted, time.perf_counter() - 0.001) == "deadline passed before it could leave"


@pytest.mark.parametrize("side", ["BUY", "SELL"])
async def test_f22_an_order_signed_on_an_old_grid_is_dropped(tmp_path: Path, side: str) -> None:
    """The grid changes between signature and first byte: what the new one does not hold never leaves."""
    exchange = ExchangeDouble()
    made = Desk(tmp_path, exchange)
    made.tick_e4 = 10
    made.when_recorded = lambda: setattr(made, "tick_e4", 100)
    await made.thread.open()
    made.thread.submit(order(side=side, limit_e4=6_150))
    (denied,) = await made.until(OrderDenied)
    made.thread.submit(order(2, side=side, limit_e4=6_100))
    await made.until(OrderKilled)
    await made.thread.close()
    assert isinstance(denied, OrderDenied)
    assert denied.reason == "its price is not on the market's grid of now"
    assert any(isinstance(event, OrderSigned) for event in made.events)
    assert [order_id for order_id, _ in exchange.sent] == ["slug#2"]


async def test_a_duty_that_fails_halts_and_goes_on(tmp_path: Path) -> None:
    """Reconciliation works on under a halt."""

    class Clumsy:
        runs = 0

        async def run(self) -> None:
            self.runs += 1
            raise ZeroDivisionError("planted")

        def ended(self, intent: OrderIntent, venue_order_id: str, event: AnyEvent) -> None:
            pass

    duty = Clumsy()
    made = Desk(tmp_path, ExchangeDouble())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.venue.order_thread.DUTY_AGAIN_S", 0.01)
        made.thread._duties = [duty]
        await made.thread.open()
        halted = await made.until(EngineHalted, count=2)
        await made.thread.close()
    assert duty.runs >= 2
    assert isinstance(halted[0], EngineHalted)
    assert halted[0].why == "Clumsy failed: ZeroDivisionError: planted"
