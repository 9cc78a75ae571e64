"""Sessions for tests of rows: the practice venue's simulation, decided on as live, with paper fills."""

from collections.abc import Iterable
from functools import cache

from engine.core.decide import Decision
from engine.core.state import State
from engine.core.step import step
from engine.core.trading import Order, OrderIntent
from engine.events import AnyEvent, Record
from engine.params import Params
from engine.run.recordings import records_of_simulation
from engine.run.what_if.play import Variant, ended
from engine.units import Milliseconds
from engine.venue.paper import latency_ms, matched

BEGINS_MS = 1_790_000_000_000


@cache
def staged() -> tuple[Record, ...]:
    """Return the staged opening: one window is traded in it, others are refused."""
    return tuple(records_of_simulation(1, BEGINS_MS, 375, staged=True))


@cache
def simulated(seconds: int = 640) -> tuple[Record, ...]:
    """Return a plain stretch of the simulation."""
    return tuple(records_of_simulation(3, BEGINS_MS - 210_000, seconds))


def played(records: Iterable[Record], variant: Variant | None = None) -> tuple[list[Order], State]:
    """Play every event through the core; orders meet the book of their own time."""
    state, orders, seq = State(), list[Order](), 0
    due: list[tuple[Milliseconds, OrderIntent]] = []
    wanted = variant or Variant(Params(), State().limits)

    def give(event: AnyEvent) -> None:
        nonlocal seq
        seq += 1
        for effect in step(state, Record(seq, event)):
            if not isinstance(effect, Decision):
                orders.append(state.trading.orders[effect.order_id])
                way = latency_ms(_drawn(effect, state.now_ms), wanted.latency_ms) + wanted.hold_ms
                due.append((state.now_ms + round(way), effect))

    for record in records:
        while due and min(at for at, _ in due) <= record.event.ts_recv_ms:
            due.sort(key=lambda one: one[0])
            at_ms, intent = due.pop(0)
            known = state.tokens.get(intent.token)
            book = None if known is None else known[0].book_of(known[1])
            give(ended(at_ms, intent, matched(book, intent, wanted.params.fallback_fee_rate, at_ms)))
        give(record.event)
    return orders, state


def _drawn(intent: OrderIntent, at_ms: Milliseconds) -> OrderIntent:
    from msgspec.structs import replace

    return replace(intent, decided_seq=at_ms)


def acts(orders: Iterable[Order]) -> list[tuple[object, ...]]:
    """Write what was done: which contract, which side, when, at what limit, and what came of it."""
    return [
        (
            one.intent.slug,
            one.intent.outcome,
            one.at_ms,
            one.intent.limit_e4,
            one.state,
            one.shares_e6,
            one.cost_e6,
        )
        for one in orders
    ]
