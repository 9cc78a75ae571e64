"""The rule over arrays: watch, hammer, one order a market, retry. It decides by ``engine.core.decide.judge``.

Every function here is plain Python on numbers and flat sequences. It runs as it is over lists, and numba
compiles it unchanged over arrays (``compiled``), together with ``judge`` itself. Asks are walked by
``engine.run.sweep.asks``; tests/run/test_sweep_parity.py holds both to the live core, decision by decision
and order by order.
"""

import types
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from engine.contract import LEAST_SHARES_E6
from engine.core.decide import BUY_UP, ONE_ORDER, WATCH, Numbers, Verdict, best_limit_e4, judge
from engine.core.fates import RETRY_AFTER_MS
from engine.core.risk import MAX_ATTEMPTS
from engine.params import Params
from engine.run.sweep.asks import Met, met, order_cost, order_usd, touched
from engine.units import ONE_E4, ONE_E6

TOUCH: Final = 0
ARRIVAL: Final = 1
CONSERVATIVE: Final = 2
ASSUMPTIONS: Final = ("touch", "arrival", "conservative")
"""As ``engine.venue.paper_fills`` names them."""

DRAWS: Final = MAX_ATTEMPTS
"""Latency and luck of each order that a window may see."""

OUT: Final = (
    "orders", "killed", "missed", "filled", "row", "side",
    "probability", "claimed_ev", "usd", "shares", "fee", "profit",
)  # fmt: skip
"""What a window came to. Dollars and shares; ``row`` is the moment of the decision that filled, ``side`` 1
for Up and 2 for Down, ``claimed_ev`` dollars a share. Zero where nothing filled."""

WIDTH: Final = len(OUT)

NOT_SENT: Final = 0
KILLED: Final = 1
FILLED: Final = 2


class Terms(NamedTuple):
    """A window as the kernel needs it; ``up`` 1 or 0, -1 where unknown."""

    first: int
    last: int
    end_ms: int
    fee_rate: float
    fee_exponent: float
    fee_of_price: float
    up: int


class Trial(NamedTuple):
    """How orders are taken to fill, and whether moments out of hammer time are played too."""

    assumption: int
    miss_probability: float
    every_moment: int


class Seen(NamedTuple):
    """Every decision, for proofs and reports: sequences as long as the columns, or empty where not wanted."""

    action: Any
    gates: Any
    z: Any
    p_up: Any
    ev_up: Any
    ev_down: Any


def first_in_time(columns: Any, terms: Terms, params: Params) -> int:
    """Return a moment of a window, by bisection, before which nothing is within hammer time.

    By our clock, whose times never fall; seconds left do where the venue's clock was measured anew. Where the
    two are further apart than ``max_clock_skew_ms``, the state's gates refuse whatever comes.
    """
    low, high = terms.first, terms.last
    begins_ms = terms.end_ms - params.hammer_s * 1000.0 - params.max_clock_skew_ms
    while low < high:
        middle = (low + high) // 2
        if columns.ts_ms[middle] >= begins_ms:
            high = middle
        else:
            low = middle + 1
    return low


def last_until(columns: Any, row: int, terms: Terms, at_ms: int) -> int:
    """Return the last moment of a window at or before a time, not before ``row``."""
    while row + 1 < terms.last and columns.ts_ms[row + 1] <= at_ms:
        row += 1
    return row


def wanted_e6(params: Params) -> int:
    """Return the dollars of one order, in millionths."""
    return int(round(params.quote_size_usd * ONE_E6))  # noqa: RUF046 (numba's round of a float is a float)


def numbers_at(columns: Any, row: int, terms: Terms, params: Params) -> Numbers:
    """Collect what a decision is made of, as ``engine.core.assess.numbers_of`` does; blocks left at 0."""
    want = (wanted_e6(params), int(params.max_entry_price * ONE_E4 + 1e-6))
    begin, end = row * columns.depth, (row + 1) * columns.depth
    cost_up, depth_up = order_cost(columns.price_up, columns.size_up, begin, end, want)
    cost_down, depth_down = order_cost(columns.price_down, columns.size_down, begin, end, want)
    return Numbers(
        0,
        columns.seconds_left[row],
        columns.strike[row],
        columns.expected[row],
        columns.deviation[row],
        cost_up,
        cost_down,
        depth_up,
        depth_down,
        terms.fee_rate,
        terms.fee_exponent,
        terms.fee_of_price,
    )


def blocked(blocks: int, terms: Terms, left: float) -> Numbers:
    """Return numbers of a moment that is refused whatever the price: ``judge`` looks at nothing else."""
    return Numbers(
        blocks, left, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
        terms.fee_rate, terms.fee_exponent, terms.fee_of_price,
    )  # fmt: skip


def play_window(
    columns: Any, terms: Terms, rule: tuple[Params, Trial], luck: Any, told: tuple[Seen, Any]
) -> None:
    """Play the rule over one window.

    Args:
        columns: All moments (``engine.run.sweep.trace.Columns``).
        terms: The window.
        rule: Parameters, and how orders fill.
        luck: Of each attempt: milliseconds until it is matched, and a number from 0 to 1 (a miss below
            ``miss_probability``); ``DRAWS`` pairs.
        told: Filled: every decision where wanted, and what the window came to, ``OUT``.
    """
    params, trial = rule
    seen, out = told
    tells = len(seen.action) > 0
    plays_all = tells or trial.every_moment == 1
    decides, refused, peaks = columns.decides, columns.blocks, columns.peak
    times_ms, lefts_s = columns.ts_ms, columns.seconds_left
    row = terms.first if plays_all else first_in_time(columns, terms, params)
    attempts = 0
    free_ms = 0
    done = False
    while row < terms.last and (plays_all or not (done or attempts >= MAX_ATTEMPTS)):
        if decides[row] == 1:
            blocks = refused[row]
            if peaks[row] < params.watch_return_threshold:
                blocks |= WATCH
            if done or attempts >= MAX_ATTEMPTS or times_ms[row] < free_ms:
                blocks |= ONE_ORDER
            left = lefts_s[row]
            if blocks != 0 or not 0.0 < left <= params.hammer_s:
                # Refused whatever the price: judged only where somebody reads it.
                if tells:
                    tell(seen, row, judge(blocked(blocks, terms, left), params))
            else:
                numbers = numbers_at(columns, row, terms, params)
                verdict = judge(numbers, params)
                if tells:
                    tell(seen, row, verdict)
                if verdict.action != 0:
                    draw = (luck[attempts * 2], luck[attempts * 2 + 1])
                    end = order(columns, (row, terms, rule), (numbers, verdict), draw, out)
                    if end != NOT_SENT:
                        attempts += 1
                        done = end == FILLED
                        free_ms = times_ms[row] + int(draw[0]) + RETRY_AFTER_MS
        row += 1


def tell(seen: Seen, row: int, verdict: Verdict) -> None:
    """Write a decision down."""
    seen.action[row], seen.gates[row] = verdict.action, verdict.gates
    seen.z[row], seen.p_up[row] = verdict.z, verdict.p_up
    seen.ev_up[row], seen.ev_down[row] = verdict.ev_up, verdict.ev_down


def order(
    columns: Any,
    where: tuple[int, Terms, tuple[Params, Trial]],
    decided: tuple[Numbers, Verdict],
    draw: tuple[float, float],
    out: Any,
) -> int:
    """Send an order and follow it to its end; return ``NOT_SENT``, ``KILLED`` or ``FILLED``."""
    row, terms, (params, trial) = where
    numbers, verdict = decided
    up = verdict.action == BUY_UP
    probability = verdict.p_up if up else 1.0 - verdict.p_up
    limit = best_limit_e4(
        probability, numbers, params, columns.tick_up[row] if up else columns.tick_down[row]
    )
    prices = columns.price_up if up else columns.price_down
    sizes = columns.size_up if up else columns.size_down
    usd = order_usd(prices, sizes, row * columns.depth, (row + 1) * columns.depth, (wanted_e6(params), limit))
    if usd < params.least_order_usd * ONE_E6 or usd * ONE_E4 // max(1, limit) < LEAST_SHARES_E6:
        return NOT_SENT
    out[0] += 1
    if draw[1] < trial.miss_probability:
        out[1] += 1
        out[2] += 1
        return KILLED
    fill = filled(
        columns, (row, terms, trial), (prices, sizes), (usd, limit), columns.ts_ms[row] + int(draw[0])
    )
    if fill[0] == 0:
        out[1] += 1
        return KILLED
    out[3], out[4], out[5], out[6] = 1, row, verdict.action, probability
    out[7] = verdict.ev_up if up else verdict.ev_down
    settle(terms, fill, out)
    out[11] = (out[9] if (terms.up == 1) == up else 0.0) - out[8] - out[10]
    return FILLED


def filled(
    columns: Any,
    where: tuple[int, Terms, Trial],
    side: tuple[Any, Any],
    want: tuple[int, int],
    arrival_ms: int,
) -> tuple[int, int, float]:
    """Fill an order under the trial's assumption; the venue takes none after a window's end."""
    row, terms, trial = where
    prices, sizes = side
    seen = row * columns.depth
    if trial.assumption == TOUCH:
        return touched(prices, seen, want[0], terms.fee_exponent)
    if arrival_ms >= terms.end_ms:
        return 0, 0, 0.0
    now = last_until(columns, row, terms, arrival_ms) * columns.depth
    levels = Met(now, seen, columns.depth, 1 if trial.assumption == CONSERVATIVE else 0)
    return met(prices, sizes, levels, want, terms.fee_exponent)


def settle(terms: Terms, fill: tuple[int, int, float], out: Any) -> None:
    """Write a fill's dollars, shares and fee; the venue rounds a fee to five decimals, half to even."""
    shares, cost, fee_sum = fill
    out[8], out[9] = cost / ONE_E6, shares / ONE_E6
    if terms.fee_of_price > 0.0:
        out[10] = round(cost * terms.fee_of_price) / ONE_E6
    else:
        out[10] = round(terms.fee_rate * fee_sum * 100_000.0) / 100_000.0


class Windows(NamedTuple):
    """Terms of all windows, by column; so that a compiled loop can go over them."""

    first: Any
    last: Any
    end_ms: Any
    fee_rate: Any
    fee_exponent: Any
    fee_of_price: Any
    up: Any


def play(
    columns: Any, windows: Windows, rule: tuple[Params, Trial], luck: Any, told: tuple[Seen, Any]
) -> None:
    """Play the rule over every window; ``luck`` and ``out`` have a row for each."""
    for place in range(len(windows.first)):
        terms = Terms(
            windows.first[place],
            windows.last[place],
            windows.end_ms[place],
            windows.fee_rate[place],
            windows.fee_exponent[place],
            windows.fee_of_price[place],
            windows.up[place],
        )
        play_window(columns, terms, rule, luck[place], (told[0], told[1][place]))


def compiled(function: Callable[..., Any], jit: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function together with every function of the product that it calls, none of them copied.

    Args:
        function: Plain Python; what it calls is found by name in its module.
        jit: ``numba.njit(nogil=True)``.
    Returns:
        The compiled function, of the very same code object.
    """
    made: dict[Callable[..., Any], Callable[..., Any]] = {}

    def make(one: types.FunctionType) -> Callable[..., Any]:
        if one not in made:
            names = dict(one.__globals__)
            for name in one.__code__.co_names:
                called = names.get(name)
                if isinstance(called, types.FunctionType) and called.__module__.startswith("engine."):
                    names[name] = make(called)
            twin = types.FunctionType(one.__code__, names, one.__name__, one.__defaults__)
            made[one] = jit(twin)
        return made[one]

    assert isinstance(function, types.FunctionType)
    return make(function)
