"""Sums of money made anew from the fills and nothing else, in the plainest way: a second opinion on the core.

It shares no code with the ledger's own sums or with the gates.
"""

import json
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import accumulate
from typing import Final, NamedTuple

from engine.core.ledger import Holding, Ledger
from engine.core.state import State
from engine.core.trading import OrderIntent
from engine.events import OrderFilled

WORST_FEE: Final = 0.07
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000


class Bounds(NamedTuple):
    """What may not be exceeded now, in dollars and counts, and when now is."""

    now_ms: int
    trade: float
    day: float
    hour: float
    exposure: float
    correlated: float
    max_entry_price: float
    cash_e6: float

    @classmethod
    def of(cls, state: State, cash_e6: float) -> "Bounds":
        """Read the operator's numbers: they are told to the core, not made by it.

        Args:
            state: For those.
            cash_e6: What can be spent beside the orders that are under way.
        """
        limits, params = state.limits, state.params
        return cls(
            state.now_ms,
            min(limits.max_usd_per_trade, params.quote_size_usd),
            limits.max_daily_loss_usd,
            limits.max_trades_per_hour,
            limits.max_exposure_usd,
            limits.max_correlated_usd,
            params.max_entry_price,
            cash_e6,
        )


def _cost(holding: Holding) -> int:
    return sum((1 if f.side == "BUY" else -1) * f.cost_e6 + f.fee_e6 for f in holding.fills.values())


def _shares(holding: Holding, outcome: str) -> int:
    return sum(
        (1 if f.side == "BUY" else -1) * f.shares_e6 for f in holding.fills.values() if f.outcome == outcome
    )


def _stake(holding: Holding) -> int:
    owed = max(0, *(-_shares(holding, outcome) for outcome in ("UP", "DOWN")))
    return max(0, _cost(holding) + owed)


def _profit(holding: Holding) -> int:
    return _shares(holding, holding.outcome or "") - _cost(holding)


def worst_e6(order: OrderIntent) -> float:
    """Return the most that a BUY may take, its fee with it, in millionths of a dollar."""
    return order.usd_e6 * (1 + WORST_FEE)


def beyond(ledger: Ledger, under_way: list[OrderIntent], intent: OrderIntent, bounds: Bounds) -> str:
    """Say which limit an intent exceeds if everything it stands beside pays nothing; empty where none.

    Args:
        ledger: For its fills and outcomes alone.
        under_way: Orders whose end is not known.
        intent: The new one.
        bounds: The limits.
    """
    buys = [order for order in under_way if order.side == "BUY"]

    def stake(end_s: int | None) -> float:
        held = sum(
            _stake(holding)
            for holding in ledger.holdings.values()
            if holding.outcome is None and holding.fills and end_s in (None, holding.end_s)
        )
        orders = sum(worst_e6(order) for order in [*buys, intent] if end_s in (None, order.end_s))
        return (held + orders) / 1e6

    firsts: dict[str, int] = {}
    for holding in ledger.holdings.values():
        for fill in holding.fills.values():
            firsts[fill.order_id] = min(fill.at_ms, firsts.get(fill.order_id, fill.at_ms))
    lately = sum(at_ms >= bounds.now_ms - HOUR_MS for at_ms in firsts.values())
    lost = -sum(
        _profit(holding)
        for holding in ledger.holdings.values()
        if holding.outcome is not None and holding.settled_ms // DAY_MS == bounds.now_ms // DAY_MS
    )
    slack = 1e-7
    found = {
        "size": intent.usd_e6 / 1e6 > bounds.trade + slack,
        "price": intent.limit_e4 > bounds.max_entry_price * 10_000 + slack,
        "hour": lately + len(buys) + 1 > bounds.hour,
        "day": lost / 1e6 + stake(None) > bounds.day + slack,
        "exposure": stake(None) > bounds.exposure + slack,
        "correlated": stake(intent.end_s) > bounds.correlated + slack,
        "cash": bounds.cash_e6 / 1e6 - stake(None) + _held(ledger) / 1e6 < -slack,
    }
    return ", ".join(name for name, holds in found.items() if holds)


def _held(ledger: Ledger) -> int:
    return sum(_stake(h) for h in ledger.holdings.values() if h.outcome is None and h.fills)


def tripped(ledger: Ledger, cleared_ms: int, most_lost: float, most_usd: float) -> dict[str, str]:
    """Say which breakers on results have to be tripped, and why.

    Args:
        ledger: For its fills and outcomes alone.
        cleared_ms: What settled until then is not judged.
        most_lost: Windows lost in a row.
        most_usd: Dollars below the best result.
    """
    judged = [
        holding
        for holding in ledger.holdings.values()
        if holding.outcome is not None and holding.settled_ms > cleared_ms and _has_bought(holding)
    ]
    ways = [
        [_profit(one) for one in sorted(judged, key=lambda one: (one.settled_ms, _profit(one) > 0))],
        [_profit(one) for one in sorted(judged, key=lambda one: (one.end_s, _profit(one) > 0))],
    ]
    lost, down = min(map(_lost_in_a_row, ways)), min(map(_below_best_e6, ways)) / 1e6
    found = {}
    if lost >= most_lost:
        found["loss streak"] = f"{lost} windows lost in a row"
    if down >= most_usd:
        found["drawdown"] = f"${down:.2f} below the best"
    return found


def _has_bought(holding: Holding) -> bool:
    return any(fill.side == "BUY" for fill in holding.fills.values())


def _lost_in_a_row(profits: list[int]) -> int:
    return next((place for place, one in enumerate(reversed(profits)) if one > 0), len(profits))


def _below_best_e6(profits: list[int]) -> int:
    totals = list(accumulate(profits, initial=0))
    return max(totals) - totals[-1]


def cash_of(ledger: Ledger) -> int:
    """Return what all fills and payouts came to."""
    paid = sum(_shares(h, h.outcome) for h in ledger.holdings.values() if h.outcome is not None)
    return paid - sum(_cost(holding) for holding in ledger.holdings.values())


def is_wrong(ledger: Ledger) -> str:
    """Compare the ledger's kept sums with sums made anew; empty where they agree."""
    settled = [h for h in ledger.holdings.values() if h.outcome is not None]
    found = {
        "cash": (ledger.cash_e6, cash_of(ledger)),
        "fees": (ledger.fees_e6, sum(f.fee_e6 for h in ledger.holdings.values() for f in h.fills.values())),
        "realised": (ledger.realised_e6, sum(_profit(holding) for holding in settled)),
        "open": (ledger.open_cost_e6(), _held(ledger)),
    }
    return ", ".join(f"{name} {ours}, not {made}" for name, (ours, made) in found.items() if ours != made)


def told(state: State, never_left: frozenset[str] = frozenset()) -> str:
    """Write down what a restart has to keep: fills, outcomes and whose word they are, lost orders, breakers,
    trusted rules.

    Args:
        state: The core's memory.
        never_left: Venue ids of orders whose signing was lost with the process: they cannot have been sent.
    """
    ledger = state.ledger
    held = {
        slug: [
            holding.outcome,
            holding.settled_ms,
            sorted(
                [*key, f.at_ms, f.side, f.outcome, f.shares_e6, f.cost_e6, f.fee_e6, f.is_final]
                for key, f in holding.fills.items()
            ),
        ]
        for slug, holding in sorted(ledger.holdings.items())
        if holding.fills
    }
    words = {slug: ledger.holdings[slug].outcome_source for slug in held}
    lost = sorted(
        [order.venue_order_id, *_asked(order.intent)]
        for order in state.trading.in_flight.values()
        if order.venue_order_id and order.venue_order_id not in never_left
    )
    rules = {name: [str(part) for part in rule] for name, rule in sorted(state.rules.items())}
    return json.dumps(
        [
            held, lost, sorted(state.breakers), ledger.cash_e6, ledger.realised_e6, ledger.fees_e6, words,
            rules,
        ],
        default=str,
    )  # fmt: skip


def but_words(what: str) -> str:
    """Return what ``told`` writes without whose word each outcome is."""
    *others, _, rules = json.loads(what)
    return json.dumps([*others, rules])


def but_rules(what: str, names: frozenset[str]) -> str:
    """Return what ``told`` writes without the rules of some kinds of window; empty stays empty."""
    if not what or not names:
        return what
    *others, rules = json.loads(what)
    return json.dumps([*others, {name: rule for name, rule in rules.items() if name not in names}])


def but_breakers(what: str) -> str:
    """Return what ``told`` writes with no breaker tripped; empty stays empty."""
    if not what:
        return what
    held, lost, _, *others = json.loads(what)
    return json.dumps([held, lost, [], *others])


def _asked(intent: OrderIntent) -> list[str | int]:
    """Return what an order asked for: what it may take counts in the limits until its end is known."""
    return [
        intent.order_id, intent.slug, intent.end_s, intent.side, intent.kind, intent.outcome,
        intent.limit_e4, intent.usd_e6, intent.shares_e6,
    ]  # fmt: skip


def lost_of(what: str) -> frozenset[str]:
    """Return the venue's ids of the orders of unknown fate in what ``told`` writes."""
    return frozenset(order[0] for order in json.loads(what)[1]) if what else frozenset()


def paper_fill_is_wrong(intent: OrderIntent | None, event: OrderFilled) -> str:
    """Check a paper fill against its order: limit, dollars, fee; empty where it is right."""
    if intent is None:
        return "nobody intended it"
    spent = sum(Decimal(price) * size / 10_000 for price, size in event.fills)
    worst = max if intent.side == "BUY" else min
    price = worst(price for price, _ in event.fills)
    if (price > intent.limit_e4) if intent.side == "BUY" else (price < intent.limit_e4):
        return f"{price} is beyond the limit {intent.limit_e4}"
    if intent.side == "BUY" and spent > intent.usd_e6:
        return f"{spent} of {intent.usd_e6} was spent"
    if intent.side == "SELL" and sum(size for _, size in event.fills) > intent.shares_e6:
        return "more was sold than wanted"
    if intent.fee is None:
        return ""
    exact: Decimal | int = sum(
        Decimal(size)
        * intent.fee.rate
        * (Decimal(p) / 10_000 * (1 - Decimal(p) / 10_000)) ** intent.fee.exponent
        for p, size in event.fills
    )
    fee = int((Decimal(exact) / 10).to_integral_value(ROUND_HALF_EVEN)) * 10
    return "" if fee == event.fee_e6 else f"fee {event.fee_e6}, not {fee}"


def difference(was: str, now: str) -> str:
    """Say in which parts two of what ``told`` writes differ."""
    names = ("holdings", "unknown orders", "breakers", "cash", "realised", "fees", "words", "rules")
    pairs = zip(names, json.loads(was), json.loads(now), strict=True)
    return "; ".join(f"{name}: {_short(a, b)}" for name, a, b in pairs if a != b)


def _short(was: object, now: object) -> str:
    if isinstance(was, dict) and isinstance(now, dict):
        odd = sorted(key for key in was.keys() | now.keys() if was.get(key) != now.get(key))
        return ", ".join(f"{key} was {was.get(key)}, is {now.get(key)}" for key in odd)[:400]
    return f"was {was}, is {now}"[:400]
