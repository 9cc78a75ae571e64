"""From a decision's intent to the first byte on the socket; the kill switch beside a stuck loop.

The whole engine with its feeds, the official client and a durable journal, against the practice venue on
loopback. An order that cannot fill is killed by the venue, so that orders may follow one another. Paper is
measured the same way, up to the same moment. Time runs from when the core has handed the intent out.
"""

import asyncio
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.live_scene import Hand, live_scene
from benchmarks.venue_scene import Scene, scene
from engine.core.trading import OrderIntent
from engine.events import AnyEvent, OrderDenied, OrderKilled, OrderSigned, OrderSubmitted
from engine.venue.exchange import HeldBack

ORDERS: Final = 200
PACE_S: Final = 0.05
STUCK_S: Final = 5.0
AT_THE_WIRE: Final = 40


def measure() -> dict[str, Any]:
    """Return quantiles in milliseconds for live and paper, and what the kill switch needs."""
    result: dict[str, Any] = {}
    for name, playing, speed in (
        ("live", live_scene, "1"),
        ("live_busy", live_scene, "10"),
        ("paper", scene, "1"),
    ):
        with (
            tempfile.TemporaryDirectory() as folder,
            playing(Path(folder), "--seed", "3", "--speed", speed, max_order_errors=1_000_000) as made,
        ):
            made.until(made.is_well, 60)
            result[name] = {"clock_rate": float(speed)} | _latency(made)
            if name == "live":
                result["kill"] = _kill(made)
    return result


def _latency(made: Scene) -> dict[str, Any]:
    hand = Hand(made)
    session = made.engine.session
    assert session is not None
    told: dict[str, AnyEvent] = {}
    ended = threading.Semaphore(0)
    accept = session.accept

    def listening(event: AnyEvent) -> None:
        accept(event)
        if isinstance(event, OrderSigned | OrderSubmitted):
            told[f"{type(event).__name__} {event.order_id}"] = event
        if isinstance(event, OrderKilled | OrderDenied):
            ended.release()

    hand.in_loop(lambda: _listen(made, listening))
    spans, signs = [], []
    for _ in range(ORDERS):
        intent = _unfillable(hand)
        hand.place(intent, known=False)
        ended.acquire(timeout=10)
        submitted = told.get(f"OrderSubmitted {intent.order_id}")
        signed = told.get(f"OrderSigned {intent.order_id}")
        if isinstance(submitted, OrderSubmitted) and isinstance(signed, OrderSigned):
            spans.append(submitted.took_ms)
            signs.append(signed.took_ms)
        time.sleep(PACE_S)
    spans.sort()
    return {
        "orders": len(spans),
        "first_byte_p50_ms": round(statistics.median(spans), 2),
        "first_byte_p99_ms": round(spans[len(spans) * 99 // 100], 2),
        "first_byte_max_ms": round(spans[-1], 2),
        "of_it_signing_p50_ms": round(statistics.median(signs), 2),
    }


def _listen(made: Scene, accept: Any) -> None:
    """Let the measurement see what comes through the door, after the engine did."""
    session = made.engine.session
    assert session is not None
    session.accept = accept
    assert session.broker is not None
    session.broker._tools.door._accept = accept  # type: ignore[attr-defined]  # the one way to see it live


def _unfillable(hand: Hand) -> OrderIntent:
    """A dollar at a cent: the venue takes the order, holds it and kills it."""
    return hand.intent(hand.latest_market("15m"), limit_e4=100)


class _Wire:
    """The exchange with a stop right before the last gate, and notes of what passed it."""

    def __init__(self, exchange: Any) -> None:
        self.waiting: list[asyncio.Event] = []
        self.first_bytes: list[float] = []
        self.held: list[str] = []
        self.cancels: list[float] = []
        self._exchange = exchange
        self._send, self._cancel_all = exchange.send, exchange.cancel_all
        exchange.send, exchange.cancel_all = self.send, self.cancel_all

    def restore(self) -> None:
        """Take the stop away."""
        self._exchange.send, self._exchange.cancel_all = self._send, self._cancel_all

    async def send(self, intent: Any, signed: Any, at_the_wire: Any) -> Any:
        """Send, once told to, past the last gate."""
        go = asyncio.Event()
        self.waiting.append(go)

        async def passing() -> None:
            await go.wait()
            try:
                await at_the_wire()
            except HeldBack as refusal:
                self.held.append(refusal.reason)
                raise
            self.first_bytes.append(time.monotonic())

        return await self._send(intent, signed, passing)

    async def cancel_all(self) -> int:
        """Cancel, and note when that began."""
        self.cancels.append(time.monotonic())
        return int(await self._cancel_all())


def _kill(made: Scene) -> dict[str, Any]:
    """Trip the switch while the engine's loop is stuck and orders stand at the wire; see what still leaves.

    Every order is signed and durable and waits right before the last gate. One is let go each millisecond,
    from before the trip until after it; so nothing but the gate can keep the later ones back.
    """
    hand = Hand(made)
    session = made.engine.session
    assert session is not None
    thread: Any = session.broker  # looked at from outside, on purpose
    wire = _Wire(thread._tools.exchange)
    for _ in range(AT_THE_WIRE):
        hand.place(_unfillable(hand), known=False)
    made.until(lambda: len(wire.waiting) == AT_THE_WIRE)
    time.sleep(0.5)
    made.engine_loop.call_soon_threadsafe(_stuck)
    time.sleep(0.1)
    trip = threading.Thread(target=lambda: made.engine.kill.trip("benchmark", "while the loop is stuck"))
    begun = 0.0
    for number, go in enumerate(wire.waiting):
        if number == AT_THE_WIRE // 4:
            begun = time.monotonic()
            trip.start()
        thread._loop.call_soon_threadsafe(go.set)
        time.sleep(0.001)
    trip.join()
    latched = time.monotonic()
    time.sleep(STUCK_S + 1.0)
    wire.restore()
    return {
        "loop_stuck_s": STUCK_S,
        "orders_at_the_wire": AT_THE_WIRE,
        "orders_that_left": len(wire.first_bytes),
        "held_by_kill_switch": wire.held.count("kill switch"),
        "last_order_after_trip_began_ms": round((max([begun, *wire.first_bytes]) - begun) * 1000, 1),
        "latch_ms": round((latched - begun) * 1000, 2),
        "cancel_all_begun_after_ms": round((wire.cancels[0] - begun) * 1000, 1) if wire.cancels else None,
    }


def _stuck() -> None:
    """Hold the loop, and Python's lock with it as a busy thread does."""
    end = time.monotonic() + STUCK_S
    while time.monotonic() < end:
        pass
