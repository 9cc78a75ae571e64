"""The one decision of the product.

``judge`` takes and gives plain numbers, so that live, paper, replay, sweep and what-if all run it, and numba
can compile it unchanged. ``decide`` wraps it for a contract; ``explain`` builds the gate rows for people. It
is total: what is not known is a gate that refuses, never an exception. Formulas: docs/model.md.
"""

import math
from typing import Final, NamedTuple

import msgspec

from engine.core.fees import fee_per_share
from engine.params import Params
from engine.snapshot import GateView

# One bit for each gate, in the order in which they are asked and shown. A set bit refuses.
KILLED: Final = 1 << 0
HALTED: Final = 1 << 1
RULE: Final = 1 << 2
STRIKE: Final = 1 << 3
PRICE: Final = 1 << 4
VOLATILITY: Final = 1 << 5
BOOK: Final = 1 << 6
ACCEPTING: Final = 1 << 7
WATCH: Final = 1 << 8
HAMMER: Final = 1 << 9
ONE_ORDER: Final = 1 << 10
HOURLY: Final = 1 << 11
DAILY_LOSS: Final = 1 << 12
DISTANCE: Final = 1 << 13
PRICE_CAP: Final = 1 << 14
DEPTH: Final = 1 << 15
EV: Final = 1 << 16

GATE_NAMES: Final[dict[int, str]] = {
    KILLED: "kill switch",
    HALTED: "halt",
    RULE: "settlement rule",
    STRIKE: "strike",
    PRICE: "price fresh",
    VOLATILITY: "volatility",
    BOOK: "book",
    ACCEPTING: "market open",
    WATCH: "watch",
    HAMMER: "hammer time",
    ONE_ORDER: "one order a market",
    HOURLY: "trades an hour",
    DAILY_LOSS: "daily loss",
    DISTANCE: "distance",
    PRICE_CAP: "price cap",
    DEPTH: "depth",
    EV: "EV",
}

NO_TRADE: Final = 0
BUY_UP: Final = 1
BUY_DOWN: Final = 2

_ROOT_HALF: Final = math.sqrt(0.5)


class Numbers(NamedTuple):
    """What a decision is made of. Prices and dollars as floats; 0.0 where the matching gate already refuses.

    ``blocks`` holds the gates that the state answers (bits above). ``cost_*`` is the average price a share
    of the order's whole size walking the asks, 0.0 when there is no ask; ``depth_*`` the share of that size
    which the asks can fill at or below the price cap. The fee per share at p is ``fee_rate * (p (1 -
    p))**fee_exponent + fee_of_price * p``: a market's schedule uses the first term, ``FEE_BPS`` the second.
    """

    blocks: int
    seconds_left: float
    strike: float
    expected: float
    deviation: float
    cost_up: float
    cost_down: float
    depth_up: float
    depth_down: float
    fee_rate: float
    fee_exponent: float
    fee_of_price: float


class Verdict(NamedTuple):
    """What was decided. ``gates`` holds the gates that refused; after an early exit the rest was not looked
    at.

    EVs are dollars a share; -1.0 where that side has no ask.
    """

    action: int
    gates: int
    z: float
    p_up: float
    ev_up: float
    ev_down: float


def probability_up(strike: float, expected: float, deviation: float) -> float:
    """Return the probability that the settlement price is at or above the strike.

    With nothing left to happen (deviation 0) a tie is Up, as the venue settles.
    """
    if deviation <= 0.0:
        return 1.0 if expected >= strike else 0.0
    return 0.5 * (1.0 + math.erf((expected - strike) / deviation * _ROOT_HALF))


def expected_value(probability: float, cost: float, numbers: Numbers) -> float:
    """Return dollars a share: mean payout less cost less fee; -1.0 without an ask."""
    if cost <= 0.0:
        return -1.0
    fee: float = (
        numbers.fee_rate * (cost * (1.0 - cost)) ** numbers.fee_exponent + numbers.fee_of_price * cost
    )
    return probability - cost - fee


def judge(numbers: Numbers, params: Params) -> Verdict:
    """Decide, from plain numbers.

    Args:
        numbers: What is known.
        params: How to trade.
    Returns:
        The side with the highest EV among those that pass every gate, or no trade and the gates that
        refused: the state's gates alone when one of them refuses, else those of the side with the higher EV.
    """
    gates = numbers.blocks | (0 if 0.0 < numbers.seconds_left <= params.hammer_s else HAMMER)
    if gates != 0:
        return Verdict(NO_TRADE, gates, 0.0, 0.0, 0.0, 0.0)
    distance = numbers.expected - numbers.strike
    p_up = probability_up(numbers.strike, numbers.expected, numbers.deviation)
    z = distance / numbers.deviation if numbers.deviation > 0.0 else 0.0
    ev_up = expected_value(p_up, numbers.cost_up, numbers)
    ev_down = expected_value(1.0 - p_up, numbers.cost_down, numbers)
    far = 0 if abs(distance) >= params.d_min_usd else DISTANCE
    gates_up = far | side_gates(ev_up, numbers.cost_up, numbers.depth_up, params)
    gates_down = far | side_gates(ev_down, numbers.cost_down, numbers.depth_down, params)
    if gates_up == 0 and (gates_down != 0 or ev_up >= ev_down):
        return Verdict(BUY_UP, 0, z, p_up, ev_up, ev_down)
    if gates_down == 0:
        return Verdict(BUY_DOWN, 0, z, p_up, ev_up, ev_down)
    gates = gates_up if ev_up >= ev_down else gates_down
    return Verdict(NO_TRADE, gates, z, p_up, ev_up, ev_down)


def side_gates(ev: float, cost: float, depth: float, params: Params) -> int:
    """Return the gates that refuse one side; each says what must hold, so that a NaN refuses."""
    gates = 0 if 0.0 < cost <= params.max_entry_price else PRICE_CAP
    gates |= 0 if depth >= 1.0 else DEPTH
    return gates | (0 if ev > params.min_ev else EV)


class View(NamedTuple):
    """A contract at one moment, ready to be decided."""

    slug: str
    seq: int
    at_ms: int
    numbers: Numbers


class Decision(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A verdict on a contract, as it is journaled."""

    slug: str
    seq: int
    at_ms: int
    action: int
    gates: int
    z: float
    p_up: float
    ev_up: float
    ev_down: float

    @property
    def reason(self) -> str:
        """``trade``, or the name of the first gate that refused."""
        return first_gate(self.gates)


def decide(view: View, params: Params) -> Decision:
    """Decide on a contract."""
    return Decision(view.slug, view.seq, view.at_ms, *judge(view.numbers, params))


def first_gate(gates: int) -> str:
    """Return the name of the first gate in asking order, or ``trade`` when none refused."""
    return GATE_NAMES[gates & -gates] if gates else "trade"


def best_limit_e4(probability: float, numbers: Numbers, params: Params, tick_e4: int) -> int:
    """Return the highest price on the grid at which buying still has an EV above ``min_ev``.

    Args:
        probability: Of the side to buy.
        numbers: For the fee.
        params: ``max_entry_price`` and ``min_ev``.
        tick_e4: The market's price grid.
    Returns:
        Ten-thousandths of a dollar; 0 when there is no such price.
    """
    price_e4 = int(params.max_entry_price * 10_000 + 1e-6) // tick_e4 * tick_e4
    while price_e4 > 0 and expected_value(probability, price_e4 / 10_000, numbers) <= params.min_ev:
        price_e4 -= tick_e4
    return price_e4


def explain(view: View, params: Params) -> list[GateView]:
    """Build the gate rows that people read, in asking order; computes what an early exit left out.

    The rows of distance, price, depth and EV speak of the side with the higher EV.
    """
    numbers = view.numbers
    refused = numbers.blocks
    rows = [
        GateView(name, "refuses" if refused & bit else "holds", "must hold", not refused & bit)
        for bit, name in GATE_NAMES.items()
        if bit < DISTANCE and bit != HAMMER
    ]
    in_time = 0.0 < numbers.seconds_left <= params.hammer_s
    hammer = GateView(
        "hammer time", f"{numbers.seconds_left:.1f} s left", f"<= {params.hammer_s:g} s", in_time
    )
    rows.insert(list(GATE_NAMES).index(HAMMER), hammer)
    if refused & (RULE | STRIKE | PRICE | VOLATILITY):
        return rows
    p_up = probability_up(numbers.strike, numbers.expected, numbers.deviation)
    ev_up = expected_value(p_up, numbers.cost_up, numbers)
    ev_down = expected_value(1.0 - p_up, numbers.cost_down, numbers)
    side, cost, depth, ev = (
        ("Up", numbers.cost_up, numbers.depth_up, ev_up)
        if ev_up >= ev_down
        else ("Down", numbers.cost_down, numbers.depth_down, ev_down)
    )
    distance = abs(numbers.expected - numbers.strike)
    gates = side_gates(ev, cost, depth, params)
    price = f"{side} {cost:.4f}" if cost > 0.0 else "no ask"
    fee = fee_per_share(cost, numbers.fee_rate, numbers.fee_exponent) + numbers.fee_of_price * cost
    worth = f"{side} {ev:+.4f} after fee {fee:.4f}" if cost > 0.0 else "no ask"
    return [
        *rows,
        GateView("distance", f"${distance:.2f}", f">= ${params.d_min_usd:g}", distance >= params.d_min_usd),
        GateView("price cap", price, f"<= {params.max_entry_price:g}", not gates & PRICE_CAP),
        GateView("depth", f"{side} {depth:.0%} of the order", "100%", not gates & DEPTH),
        GateView("EV", worth, f"> {params.min_ev:g}", not gates & EV),
    ]
