"""A thousand orders with every outcome mixed: cash and shares of ledger and venue, to the last millionth.

The whole engine, live, against the practice venue that plays one fault after another: orders that fill, fill
in part, are killed, refused, answered late, twice or not at all, executed or not, and matches that fail
afterwards. Orders are made by hand and go the way of every order from the core on; exits are among them.
"""

import random
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.live_scene import Hand, live_scene
from benchmarks.venue_scene import Scene
from engine.contract import Outcome
from engine.core.state import Market
from engine.core.trading import IN_FLIGHT, Order
from engine.venue import duties

ORDERS: Final = 1_000
ROUND: Final = 25
"""Orders under one fault, sent within a fifth of a second."""

SEED: Final = 20_261_124
START_S: Final = 20.0
"""Seconds that a round may take until all its ends are known."""

FAULTS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("", {}),
    ("lost-answer", {"executed": "yes", "of": "order"}),
    ("lost-answer", {"executed": "no", "of": "order"}),
    ("slow-order", {"what": "answer", "ms": 300}),
    ("order-error", {"error": "execution", "executed": "yes"}),
    ("order-error", {"error": "balance", "executed": "no"}),
    ("order-error", {"error": "timed-out", "executed": "no"}),
    ("ghost-fill", {}),
    ("duplicate-event", {"s": 1}),
    ("retrying-trade", {}),
    ("late-trades", {"s": 3}),
    ("429", {"retry_after_s": 1}),
)


def measure() -> dict[str, Any]:
    """Return how orders ended, and whether venue and ledger hold the same."""
    absent_for_s, duties.ABSENT_FOR_S = duties.ABSENT_FOR_S, 2.0  # type: ignore[misc]  # loopback is not late
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            live_scene(
                Path(folder), "--seed", "3", "--speed", "1", max_order_errors=1_000_000, hammer_secs=0.1
            ) as made,
        ):
            made.until(made.is_well, 60)
            made.until(lambda: made.state.trading.balance is not None)
            return _run(made)
    finally:
        duties.ABSENT_FOR_S = absent_for_s  # type: ignore[misc]  # as above


def _run(made: Scene) -> dict[str, Any]:
    hand, draw = Hand(made), random.Random(SEED)
    began_e6 = hand.ask(lambda venue: venue.balance())[0]
    orders: list[Order] = []
    began = time.monotonic()
    while len(orders) < ORDERS:
        market = _market_with_time(made, hand)
        name, args = FAULTS[len(orders) // ROUND % len(FAULTS)]
        with ExitStack() as stack:
            if name:
                stack.enter_context(made.fault(name, **args))
            placed = [_place(made, hand, market, draw) for _ in range(ROUND)]
            made.until(lambda placed=placed: not _under_way(placed), 60.0)  # type: ignore[misc]  # bound at once
        orders += placed
        made.until(lambda: not made.state.trading.trades_to_follow, 60.0)
    took_s = time.monotonic() - began
    compared = _compared(made, hand, began_e6)
    hand.close()
    return {
        "orders": len(orders),
        "took_s": round(took_s, 1),
        "outcomes": dict(Counter(order.state for order in orders)),
        "ghost_fills": made.state.trading.ghost_fills,
        "orders_at_the_venue": _posted(made),
        "halted": made.state.halted_why,
        **compared,
    }


def _market_with_time(made: Scene, hand: Hand) -> Market:
    """Return the running 15m window; near its end the next one, whose tokens can be compared at the end."""
    market = hand.latest_market("15m")
    if market.contract.end_s - made.engine_clock.now_ms() / 1000 < 2 * START_S:
        slug = market.contract.slug
        made.until(lambda: hand.latest_market("15m").contract.slug != slug, 120)
        made.until(made.is_well, 60)
        market = hand.latest_market("15m")
    return market


def _place(made: Scene, hand: Hand, market: Market, draw: random.Random) -> Order:
    """Place an order of a random kind: mostly BUYs that can fill, some that cannot, in part, and exits."""
    outcome: Outcome = draw.choice(("UP", "DOWN"))
    holding = made.state.ledger.holdings.get(market.contract.slug)
    held = 0 if holding is None else holding.shares_e6[outcome] // 10_000 * 10_000
    kind = draw.random()
    changes: dict[str, Any] = {"outcome": outcome, "usd_e6": draw.randrange(100, 500) * 10_000}
    if kind < 0.15:
        changes |= {"limit_e4": 100}
    elif kind < 0.3:
        changes |= {"kind": "FAK", "usd_e6": draw.randrange(20, 60) * 1_000_000, "limit_e4": 9_000}
    elif kind < 0.4 and held > 2_000_000:
        share = draw.randrange(1, 3) * 1_000_000
        changes |= {"side": "SELL", "kind": "FAK", "usd_e6": 0, "shares_e6": share, "limit_e4": 100}
    intent = hand.intent(market, **changes)
    hand.place(intent)
    return made.state.trading.orders[intent.order_id]


def _under_way(orders: list[Order]) -> bool:
    return any(order.state in IN_FLIGHT for order in orders)


def _posted(made: Scene) -> int:
    told = httpx.get(f"{made.urls['CLOB_HOST']}/status", timeout=10).json()
    return int(told["orders"])


def _compared(made: Scene, hand: Hand, began_e6: int) -> dict[str, Any]:
    """Compare dollars and, of every window that still runs, shares."""
    cash = hand.ask(lambda venue: venue.balance())[0] - began_e6
    differences = {}
    for slug, holding in made.state.ledger.holdings.items():
        market = made.state.markets.get(slug)
        if market is None or holding.outcome is not None:
            continue
        for outcome in ("UP", "DOWN"):
            token = market.book_of(outcome).token  # type: ignore[arg-type]  # one of the two
            shares = hand.ask(lambda venue, token=token: venue.shares(token))  # type: ignore[misc]  # as above
            differences[f"{slug} {outcome}"] = shares - holding.shares_e6[outcome]  # type: ignore[index]  # as above
    return {
        "cash_venue_e6": cash,
        "cash_ledger_e6": made.state.ledger.cash_e6,
        "cash_difference_e6": cash - made.state.ledger.cash_e6,
        "shares_difference_e6": differences,
    }
