"""From a decision's intent to the first byte on the socket; the kill switch beside a stuck loop.

The whole engine with its feeds, the official client and a durable journal, against the practice venue on
loopback. An order that cannot fill is killed by the venue, so that orders may follow one another. Paper is
measured the same way, up to the same moment. Time runs from when the core has handed the intent out.
"""

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

ORDERS: Final = 200
PACE_S: Final = 0.05
STUCK_S: Final = 5.0


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
    until = made.now.now_ms + 200_000
    market = hand.latest_market("15m")
    assert market.contract.end_s * 1000 > until or made.engine_clock.rate > 1.0 or _wait_for_next(made)
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


def _wait_for_next(made: Scene) -> bool:
    """Wait for windows that will last for the whole measurement."""
    slug = made.running()[0].slug
    made.until(lambda: bool(made.running()) and made.running()[0].slug != slug, 400)
    made.until(made.is_well, 60)
    return True


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


def _kill(made: Scene) -> dict[str, Any]:
    """Trip the switch while orders stream and the engine's loop is stuck; see what still leaves."""
    hand = Hand(made)
    session = made.engine.session
    assert session is not None
    thread = session.broker
    assert thread is not None
    first_bytes: list[float] = []
    cancels: list[float] = []
    exchange = thread._tools.exchange  # type: ignore[attr-defined]  # looked at from outside, on purpose
    send, cancel_all = exchange.send, exchange.cancel_all

    async def sending(intent: Any, signed: Any, at_the_wire: Any) -> Any:
        async def passing() -> None:
            await at_the_wire()
            first_bytes.append(time.monotonic())

        return await send(intent, signed, passing)

    async def cancelling() -> int:
        count = await cancel_all()
        cancels.append(time.monotonic())
        return int(count)

    exchange.send, exchange.cancel_all = sending, cancelling
    for _ in range(30):
        hand.place(_unfillable(hand), known=False)
        time.sleep(0.005)
    before = len(first_bytes)
    made.engine_loop.call_soon_threadsafe(_stuck)
    for _ in range(30):
        thread.submit(_unfillable(hand))
    time.sleep(0.02)
    tripped = time.monotonic()
    made.engine.kill.trip("benchmark", "while the loop is stuck")
    latched = time.monotonic()
    time.sleep(STUCK_S + 1.0)
    exchange.send, exchange.cancel_all = send, cancel_all
    later = [at for at in first_bytes if at > latched]
    return {
        "loop_stuck_s": STUCK_S,
        "orders_before": before,
        "orders_after_latch": len(later),
        "last_order_after_latch_ms": round((max(later) - latched) * 1000, 1) if later else 0.0,
        "latch_ms": round((latched - tripped) * 1000, 2),
        "cancel_all_answered_after_ms": round((cancels[-1] - tripped) * 1000, 1) if cancels else None,
    }


def _stuck() -> None:
    """Hold the loop, and Python's lock with it as a busy thread does."""
    end = time.monotonic() + STUCK_S
    while time.monotonic() < end:
        pass
