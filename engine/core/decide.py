"""The one decision of the product.

``judge`` takes and gives plain numbers, so that live, paper, replay, sweep and what-if all run it, and numba
can compile it unchanged. ``decide`` wraps it for a contract; ``engine.core.explain`` builds the gate rows for
people. It is total: what is not known is a gate that refuses, never an exception. Formulas: docs/model.md.
"""

import math
from typing import Final, NamedTuple

import msgspec

from engine.params import Params

# One bit for each gate, in the order in which they are asked and shown. A set bit refuses.
KILLED: Final = 1 << 0
HALTED: Final = 1 << 1
PAUSED: Final = 1 << 2
ARMED: Final = 1 << 3
VENUE: Final = 1 << 4
BREAKER: Final = 1 << 5
BEHIND: Final = 1 << 6
CLOCK: Final = 1 << 7
RULE: Final = 1 << 8
STRIKE: Final = 1 << 9
PRICE: Final = 1 << 10
FALLBACK: Final = 1 << 11
FROZEN: Final = 1 << 12
DIVERGENCE: Final = 1 << 13
VOLATILITY: Final = 1 << 14
BOOK: Final = 1 << 15
ACCEPTING: Final = 1 << 16
FEE: Final = 1 << 17
WATCH: Final = 1 << 18
HAMMER: Final = 1 << 19
ONE_ORDER: Final = 1 << 20
HOURLY: Final = 1 << 21
DAILY_LOSS: Final = 1 << 22
EXPOSURE: Final = 1 << 23
CORRELATED: Final = 1 << 24
BALANCE: Final = 1 << 25
DISTANCE: Final = 1 << 26
PRICE_CAP: Final = 1 << 27
DEPTH: Final = 1 << 28
EV: Final = 1 << 29

GATE_NAMES: Final[dict[int, str]] = {
    KILLED: "kill switch",
    HALTED: "halt",
    PAUSED: "pause",
    ARMED: "disarmed",
    VENUE: "venue restriction",
    BREAKER: "breakers",
    BEHIND: "engine behind",
    CLOCK: "clock",
    RULE: "settlement rule",
    STRIKE: "strike",
    PRICE: "stale price",
    FALLBACK: "fallback",
    FROZEN: "frozen price",
    DIVERGENCE: "divergence",
    VOLATILITY: "volatility",
    BOOK: "book",
    ACCEPTING: "market closed",
    FEE: "old fee terms",
    WATCH: "watch",
    HAMMER: "hammer time",
    ONE_ORDER: "one order a market",
    HOURLY: "trades an hour",
    DAILY_LOSS: "daily loss",
    EXPOSURE: "exposure",
    CORRELATED: "correlated loss",
    BALANCE: "balance",
    DISTANCE: "distance",
    PRICE_CAP: "price cap",
    DEPTH: "depth",
    EV: "EV",
}

NO_TRADE: Final = 0
BUY_UP: Final = 1
BUY_DOWN: Final = 2

_SURE_Z: Final = 1e9
"""Beyond this the tail is below 1e-27, and z / (1 + z z) would soon divide infinity by infinity."""

LAYER_CLIP: Final = 1e-6
"""A layer was fitted on forecasts clipped here; beyond it, it says nothing."""

LAYER_COLDEST: Final = 0.0497
"""No fit ends below e to the -3; far below that the exponent would have no float."""

NOT_COMPUTED: Final = math.nan
"""What an early exit leaves out, inside ``judge``; outside of it unknown is None."""


class Numbers(NamedTuple):
    """What a decision is made of. Prices and dollars as floats; 0.0 where the matching gate already refuses.

    ``blocks`` holds the gates that the state answers (bits above). ``depth_*`` is what the asks at or below
    the price cap can fill of the order's size, in dollars: so large is the order. ``cost_*`` is its average
    price a share walking those asks (the best ask where none is below the cap), 0.0 without an ask. The fee
    per share at p is ``fee_rate * (p (1 - p))**fee_exponent + fee_of_price * p``: a market's schedule uses
    the first term, ``FEE_BPS`` the second.
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
    at and the numbers are ``NOT_COMPUTED``.

    EVs are dollars a share; -1.0 where that side has no ask. ``z`` is infinite once nothing can happen any
    more.
    """

    action: int
    gates: int
    z: float
    p_up: float
    ev_up: float
    ev_down: float


def probability_up(strike: float, expected: float, deviation: float) -> float:
    """Return the probability that the settlement price is at or above the strike.

    The settlement price follows Student's t with three degrees of freedom, scaled to the deviation: moves
    of BTC have far heavier tails than the normal (docs/model.md, "Tails"). With nothing left to happen
    (deviation 0) a tie is Up, as the venue settles.
    """
    if deviation <= 0.0:
        return 1.0 if expected >= strike else 0.0
    z = (expected - strike) / deviation
    if abs(z) > _SURE_Z:
        return 1.0 if z > 0.0 else 0.0
    probability = 0.5 + (z / (1.0 + z * z) + math.atan(z)) / math.pi
    # Far out the two parts cancel to a little below 0. NaN stays NaN, which every gate refuses.
    return 0.0 if probability < 0.0 else probability


def normal_up(strike: float, expected: float, deviation: float) -> float:
    """Return the same for a normal settlement price: the seed's formula (``engine.core.seed``)."""
    if deviation <= 0.0:
        return 1.0 if expected >= strike else 0.0
    return 0.5 * (1.0 + math.erf((expected - strike) / deviation * math.sqrt(0.5)))


def believed_up(numbers: Numbers, params: Params) -> float:
    """Return the probability of Up that is decided by: the model's, corrected by a layer where one is on; in
    a what-if that asks for it, the seed's."""
    if params.seed_model > 0.0:
        return normal_up(numbers.strike, numbers.expected, numbers.deviation)
    return tempered(
        probability_up(numbers.strike, numbers.expected, numbers.deviation), params.layer_temperature
    )


def tempered(probability: float, temperature: float) -> float:
    """Divide a probability's log-odds by a number (docs/calibration.md, "Layer").

    What is certain stays so, and at 1 nothing is computed: without a layer each bit is the model's.

    Args:
        probability: 0 to 1.
        temperature: Above 0; above 1 less is believed, below 1 more.
    """
    if temperature == 1.0 or not 0.0 < probability < 1.0:
        return probability
    p = min(max(probability, LAYER_CLIP), 1.0 - LAYER_CLIP)
    return 1.0 / (1.0 + math.exp(-math.log(p / (1.0 - p)) / max(temperature, LAYER_COLDEST)))


def z_of(distance: float, deviation: float) -> float:
    """Return the distance from the strike in deviations; infinite where nothing is left to happen."""
    if deviation > 0.0:
        return distance / deviation
    return math.inf if distance >= 0.0 else -math.inf


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
        return Verdict(NO_TRADE, gates, NOT_COMPUTED, NOT_COMPUTED, NOT_COMPUTED, NOT_COMPUTED)
    distance = numbers.expected - numbers.strike
    p_up = believed_up(numbers, params)
    z = z_of(distance, numbers.deviation)
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
    gates |= 0 if depth >= params.least_order_usd else DEPTH
    return gates | (0 if ev > params.min_ev else EV)


class View(NamedTuple):
    """A contract at one moment, ready to be decided."""

    slug: str
    seq: int
    at_ms: int
    numbers: Numbers


class Decision(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A verdict on a contract, as it is journaled. None is what an early exit did not look at."""

    slug: str
    seq: int
    at_ms: int
    action: int
    gates: int
    z: float | None
    p_up: float | None
    ev_up: float | None
    ev_down: float | None

    @property
    def reason(self) -> str:
        """``trade``, or the name of the first gate that refused."""
        return first_gate(self.gates)


def decide(view: View, params: Params) -> Decision:
    """Decide on a contract."""
    verdict = judge(view.numbers, params)
    if verdict.p_up != verdict.p_up:
        return Decision(
            view.slug, view.seq, view.at_ms, verdict.action, verdict.gates, None, None, None, None
        )
    return Decision(view.slug, view.seq, view.at_ms, *verdict)


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
