"""The scripted engine's windows: a card's numbers, its books, and what it decides. All made up."""

import math
from typing import Final

import msgspec

from engine.contract import slug_of
from engine.snapshot import (
    BookView,
    ContractView,
    DecisionView,
    GateView,
    LevelView,
    OwnSweepView,
    Phase,
    SweepView,
)
from tests.browser import fake_feeds
from tests.browser.fake_scripts import Moment
from tests.browser.fake_truth import CHANGED_RULE, CHANGED_WORDS, LENGTHS, RULE, RUNG, WORDS

FEE_RATE: Final = 0.07
ORDER_USD: Final = 20.0
CAP: Final = 0.97
SIGMA_USD: Final = 2.4
"""Dollars a root second."""


def windows(moment: Moment, name: str, length: int) -> list[ContractView]:
    """Return the running window of a length, the next, and for a minute the last."""
    start = moment.now_s - moment.now_s % length
    views = [
        _contract(moment, name, start),
        _contract(moment, name, start + length),
    ]
    before = slug_of(name, start - length)
    if before in moment.strikes and before in moment.finals and moment.now_s - start < 60:
        views.insert(0, _over(moment, name, start - length))
    return views


def _contract(moment: Moment, name: str, start: int) -> ContractView:
    length, fraction = LENGTHS[name], moment.fraction
    slug, left = slug_of(name, start), start + length - moment.now_s - fraction
    strike = moment.strikes.get(slug)
    begun = start <= moment.now_s
    phase: Phase = moment.phases.get(slug, "idle") if begun else "upcoming"
    sigma = SIGMA_USD * math.sqrt(max(left - 40, left**3 / 10_800, 0.2))
    known = min(1.0, max(0.0, (60 - left) / 60))
    expected = moment.twap * known + moment.arrived * (1 - known)
    distance = None if strike is None else expected - strike
    z = None if distance is None else distance / sigma
    p_up = None if z is None else phi(z)
    up, down = _books(moment, name, p_up)
    z_seed = None if strike is None else (moment.spot - strike) / (SIGMA_USD * math.sqrt(max(left, 0.1)))
    fee = 0.0 if p_up is None else fee_at(p_up)
    fixed = list(moment.raw)[-round(known * 60) :] if begun and known > 0 else []
    changed = moment.script.new_rule == name
    ev_up = None if p_up is None or up.ask is None else p_up - up.ask - fee
    ev_down = None if p_up is None or down.ask is None else 1 - p_up - down.ask - fee
    held = [order for order in moment.orders if order.slug == slug and order.state == "filled"]
    return ContractView(
        slug=slug, name=name, start_s=start, end_s=start + length, seconds_left=left, phase=phase,
        rule=CHANGED_RULE if changed else RULE, rule_words=CHANGED_WORDS if changed else WORDS,
        rule_before=WORDS if changed else None, observe_only=observe_only(changed, begun, strike),
        strike=strike, strike_source="exact" if strike else None, strike_rung=RUNG if strike else None,
        strike_error=0.0 if strike else None, expected=expected if begun else None, distance_usd=distance,
        distance_bp=None if distance is None else distance / moment.spot * 1e4, z=z, p_up=p_up,
        sigma_usd=sigma, deviation_usd=sigma,
        p_seed=None if z_seed is None else phi(z_seed), z_seed=z_seed,
        averaged_from_s=start + length - 62,
        locked_share=known, locked_mean=sum(fixed) / len(fixed) if fixed else None,
        flip_average=flip_average(strike, fixed), fee_rate=FEE_RATE,
        fee_age_s=moment.seconds % 240 + fraction, watch_return=0.0053, ev_up=ev_up,
        ev_down=ev_down, fee_up=fee, fee_down=fee,
        up=up, down=down,
        decision=_decision(moment, left, (ev_up, ev_down), distance, changed) if strike else None,
        final=None, final_source=None, outcome=None, outcome_source=None,
        position_up=sum(order.filled_shares for order in held if order.outcome == "UP"),
        position_down=sum(order.filled_shares for order in held if order.outcome == "DOWN"), pnl=None,
        coverage=fake_feeds.coverage(moment, start, start + length),
        p_down=None if p_up is None else 1 - p_up, fee_curve=[fee_at(step / 20) for step in range(21)],
        **_costs(p_up, up, down),
    )  # fmt: skip


def _costs(p_up: float | None, up: BookView, down: BookView) -> dict[str, float | None]:
    """Return what a share costs on each side, fee included or not."""
    known = p_up is not None
    cost_up, cost_down = up.ask if known else None, down.ask if known else None
    return {
        "cost_up": cost_up,
        "cost_down": cost_down,
        "even_up": None if cost_up is None else cost_up + fee_at(cost_up),
        "even_down": None if cost_down is None else cost_down + fee_at(cost_down),
    }


def _over(moment: Moment, name: str, start: int) -> ContractView:
    view = _contract(moment, name, start)
    slug = view.slug
    outcome = "UP" if moment.finals[slug] >= moment.strikes[slug] else "DOWN"
    served = moment.now_s - start - LENGTHS[name] > 30
    changes = {
        "phase": "settled" if served else "settling", "seconds_left": 0.0, "final": moment.finals[slug],
        "final_source": "exact", "outcome": outcome, "outcome_source": "served" if served else "own",
        "expected": moment.finals[slug], "locked_share": 1.0, "flip_average": None, "observe_only": None,
        "p_seed": None, "z_seed": None, "pnl": 1.5 if view.position_up or
        view.position_down else None,
    }  # fmt: skip
    fields = {name_: getattr(view, name_) for name_ in ContractView.__struct_fields__}
    return ContractView(**(fields | changes))


def _books(moment: Moment, name: str, p_up: float | None) -> tuple[BookView, BookView]:
    if p_up is None:
        empty = BookView(None, None, [], [], None, "awaiting snapshot")
        return empty, empty
    middle = min(0.985, max(0.015, p_up + moment.lean))
    bid = min(0.98, max(0.01, math.floor(middle * 100) / 100))
    sizes = [round(moment.random.expovariate(1 / 220) + 5, 2) for _ in range(16)]
    bids = [LevelView(round(bid - i / 100, 4), sizes[i]) for i in range(8) if bid - i / 100 > 0.004]
    asks = [ask_level(bid + 0.01 + i / 100, sizes[8 + i]) for i in range(8) if bid + i / 100 < 0.985]
    mirrored = [ask_level(1 - level.price, level.size) for level in bids]
    opposite = [LevelView(round(1 - level.price, 4), level.size) for level in asks]
    age = moment.random.random() * 0.9
    up = BookView(
        bids[0].price if bids else None, asks[0].price if asks else None, bids, asks, age, "live", "mirrors",
        "agrees",
    )  # fmt: skip
    down = BookView(
        opposite[0].price if opposite else None, mirrored[0].price if mirrored else None, opposite, mirrored,
        age, "live", "mirrors", "agrees",
    )  # fmt: skip
    if moment.script.doubts:
        return _doubted(name, up, down)
    return _swept(up, p_up), _swept(down, 1 - p_up)


def _swept(book: BookView, probability: float) -> BookView:
    """Return the book with what buying comes to, level by level and for an order of our size."""
    views, usd, shares, left = [], 0.0, 0.0, ORDER_USD
    taken_shares = taken_usd = 0.0
    for level in book.asks:
        taken = min(level.size, left / level.price) if level.price <= CAP else 0.0
        left -= taken * level.price
        taken_shares, taken_usd = taken_shares + taken, taken_usd + taken * level.price
        usd, shares = usd + level.price * level.size, shares + level.size
        ev = probability - level.price - fee_at(level.price)
        views.append(SweepView(shares, usd, usd / shares, ev, taken))
    own = None
    if taken_shares:
        average = taken_usd / taken_shares
        own = OwnSweepView(
            ORDER_USD,
            taken_usd,
            taken_shares,
            average,
            fee_at(average) * taken_shares,
            probability - average - fee_at(average),
            sum(view.taken > 0 for view in views),
        )
    return msgspec.structs.replace(book, sweep=views, own=own)


def _doubted(name: str, up: BookView, down: BookView) -> tuple[BookView, BookView]:
    """Return books that contradict each other, or that nobody may use."""
    change = msgspec.structs.replace
    if name == "5m":
        return change(up, mirror="differs", rest="differs", resyncs=3), change(down, mirror="differs")
    crossed = change(up, ask=up.bid, state="crossed", mirror="unknown", resyncs=1)
    return crossed, change(down, state="stale", age_s=17.0, mirror="unknown", rest="unknown")


def _decision(
    moment: Moment, left: float, evs: tuple[float | None, float | None], distance: float | None, changed: bool
) -> DecisionView:
    ev_up, ev_down = evs
    troubled = moment.script.troubled
    silent = f"{fake_feeds.SILENT_S if troubled else 0.7} s old"
    best, away = max(ev_up or -1.0, ev_down or -1.0), abs(distance or 0)
    gates = [
        GateView("kill switch", "clear", "clear", True),
        gate(
            "settlement rule",
            f"{CHANGED_RULE}, before {RULE}" if changed else RULE,
            "known, unchanged",
            not changed,
            "a window under this rule has to settle as we say",
        ),
        GateView("strike", "exact", "exact, or error under $1", True),
        gate("settlement feed", silent, "under 5 s", not troubled, "the feed has to speak"),
        GateView("book", "live, 0.4 s old", "live, under 15 s", True),
        gate("time", f"{left:.1f} s left", "at most 15 s", left <= 15, f"wait {left - 15:.1f} s"),
        gate(
            "distance",
            f"${away:.2f}",
            "at least $5",
            away >= 5,
            f"BTC has to move ${5 - away:.2f} further",
        ),
        GateView("price", "0.926 for $20", "at most 0.97", True),
        gate("expected value", f"{best * 100:+.2f} c", "above 0 c", best > 0, "an ask below the break-even"),
        GateView("daily loss", "$0.00", "under $250", True),
        GateView("trades this hour", "1", "under 4", True),
    ]
    first = next((gate for gate in gates if not gate.passed), None)
    reason = "trade" if first is None else first.name.replace(" ", "_")
    sentence = (
        "Every gate holds: buy at market."
        if first is None
        else f"No trade: {first.name} is {first.value}, required {first.requirement}."
    )
    action = "no_trade" if first else "buy_up" if (ev_up or -1) >= (ev_down or -1) else "buy_down"
    return DecisionView(action, reason, sentence, moment.now_s * 1000, moment.version * 37, gates)


def phi(z: float) -> float:
    """Return the normal distribution's probability of less than ``z``."""
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def fee_at(price: float) -> float:
    """Return the fee of a share at a price."""
    return FEE_RATE * price * (1 - price)


def ask_level(price: float, size: float) -> LevelView:
    """Return a level with the probability at which a share bought there breaks even."""
    return LevelView(round(price, 4), size, price + fee_at(price))


def gate(name: str, value: str, requirement: str, passed: bool, change: str) -> GateView:
    """Return a gate that says what has to change where it does not hold."""
    return GateView(name, value, requirement, passed, "" if passed else change)


def observe_only(changed: bool, begun: bool, strike: float | None) -> str | None:
    """Return why a window is only watched."""
    if changed:
        return "the settlement rule is not that of the window before"
    return "the strike is unknown: no report of its first second was heard" if begun and not strike else None


def flip_average(strike: float | None, fixed: list[float]) -> float | None:
    """Return what BTC has to average over the seconds not fixed yet to end at the strike."""
    if strike is None or len(fixed) >= 60:
        return None
    return (60 * strike - sum(fixed)) / (60 - len(fixed))
