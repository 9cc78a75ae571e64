"""Moments to score: each window at some times before its end, as the live core saw it, and what came of it.

One moment a window and time, so that a window does not count a hundred times. What it does not know: figures.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from engine.core.decide import (
    ACCEPTING,
    BOOK,
    GATE_NAMES,
    PRICE,
    RULE,
    STRIKE,
    VOLATILITY,
    WATCH,
    Numbers,
    believed_up,
    expected_value,
    judge,
    probability_up,
    z_of,
)
from engine.params import Params
from engine.run.sweep.kernel import Terms, numbers_at
from engine.run.sweep.trace import Trace, Window

TAUS: Final = (5, 10, 15, 30, 60, 120)
"""Seconds before the end, shortest first."""

UNSAID: Final = RULE | STRIKE | PRICE | VOLATILITY
"""Gates without which there is no forecast that anybody would have believed."""

NO_BOOK: Final = BOOK | ACCEPTING
OLDER_S: Final = 3.0
"""A moment stands for a time before the end if it is no older than this then."""


class Bet(NamedTuple):
    """A share of one side: its claimed EV after fee, what it paid (1 or 0), its cost with fee; dollars."""

    claimed: float
    won: float
    cost: float


class Moment(NamedTuple):
    """A window at a time. Asks and EVs are None without an ask; EVs are dollars a share, after fee."""

    slug: str
    at_ms: int
    horizon: str
    tau: int
    seconds_left: float
    z: float
    p_up: float
    ask_up: float | None
    ask_down: float | None
    ev_up: float | None
    ev_down: float | None
    fee_up: float
    fee_down: float
    up: bool

    @property
    def middle(self) -> float | None:
        """What the market says of Up: between Up's ask and what Down's ask leaves; None without both asks.

        One ask alone says too much: it holds the seller's margin, and is never below a tick.
        """
        if self.ask_up is None or self.ask_down is None:
            return None
        return (self.ask_up + 1.0 - self.ask_down) / 2.0

    @property
    def bet(self) -> Bet | None:
        """The better side; None without any ask."""
        sides = []
        if self.ev_up is not None and self.ask_up is not None:
            sides.append(Bet(self.ev_up, float(self.up), self.ask_up + self.fee_up))
        if self.ev_down is not None and self.ask_down is not None:
            sides.append(Bet(self.ev_down, float(not self.up), self.ask_down + self.fee_down))
        # By the EV alone, Up of equals: the result was not known when a side was taken.
        return max(sides, key=lambda side: side.claimed, default=None)

    @property
    def edge(self) -> tuple[float, float] | None:
        """The better side's claimed EV, and what a share of it came to; None without any ask."""
        bet = self.bet
        return None if bet is None else (bet.claimed, bet.won - bet.cost)


class Candidate(NamedTuple):
    """The first moment of a window's hammer time with an EV above the least, whatever else refused it.

    ``gates`` are those that refused; ``profit`` what an order would have come to at the asks of that moment,
    dollars. ``won`` and ``cost`` (with fee, dollars) are of one share of it.
    """

    slug: str
    at_ms: int
    gates: int
    profit: float
    won: bool
    cost: float


def hammer_taus(hammer_s: float) -> tuple[int, ...]:
    """Return those of ``TAUS`` at which an order may leave; the last whole second where all are earlier."""
    return tuple(tau for tau in TAUS if tau <= hammer_s) or (max(1, int(hammer_s)),)


def moments_of(trace: Trace, params: Params, taus: Sequence[int] = TAUS) -> list[Moment]:
    """Return a window's state at each time before its end at which a forecast could be made.

    Args:
        trace: Windows with outcomes.
        params: For the order's size and the price cap.
        taus: Seconds before the end.
    """
    found = []
    for window in trace.windows:
        left = trace.columns.seconds_left[window.first : window.last]
        for tau in taus:
            # Rows are in order of time, so seconds left fall: the last one at or above tau stands for it.
            place = window.first + int(np.searchsorted(-left, -tau, side="right")) - 1
            if place < window.first or trace.columns.seconds_left[place] > tau + OLDER_S:
                continue
            if not trace.columns.blocks[place] & UNSAID:
                found.append(_moment(trace, window, place, tau, params))
    return found


def _moment(trace: Trace, window: Window, row: int, tau: int, params: Params) -> Moment:
    columns, terms = trace.columns, terms_of(window)
    uncapped = params._replace(max_entry_price=0.9999)
    numbers = plain(numbers_at(columns, row, terms, uncapped))
    p_up = probability_up(numbers.strike, numbers.expected, numbers.deviation)
    shown = not columns.blocks[row] & NO_BOOK
    asks = [cost if shown and cost > 0.0 else None for cost in (numbers.cost_up, numbers.cost_down)]
    evs = [
        None if ask is None else expected_value(p, ask, numbers)
        for p, ask in zip((p_up, 1.0 - p_up), asks, strict=True)
    ]
    fees = [0.0 if ask is None else -expected_value(ask, ask, numbers) for ask in asks]
    return Moment(
        slug=window.slug,
        at_ms=int(columns.ts_ms[row]),
        horizon=f"{(window.end_s - window.start_s) // 60}m",
        tau=tau,
        seconds_left=float(numbers.seconds_left),
        z=float(z_of(numbers.expected - numbers.strike, numbers.deviation)),
        p_up=float(p_up),
        ask_up=asks[0],
        ask_down=asks[1],
        ev_up=evs[0],
        ev_down=evs[1],
        fee_up=fees[0],
        fee_down=fees[1],
        up=bool(window.up),
    )


def candidates_of(trace: Trace, params: Params) -> list[Candidate]:
    """Return each window's first moment with an EV in hammer time, and what refused it."""
    found = []
    for window in trace.windows:
        one = _candidate(trace, window, params)
        if one is not None:
            found.append(one)
    return found


def _candidate(trace: Trace, window: Window, params: Params) -> Candidate | None:
    columns, terms = trace.columns, terms_of(window)
    left = columns.seconds_left[window.first : window.last]
    in_time = (left > 0.0) & (left <= params.hammer_s)
    for row in (np.flatnonzero(in_time) + window.first).tolist():
        if columns.blocks[row] & UNSAID:
            continue
        numbers = plain(numbers_at(columns, row, terms, params._replace(max_entry_price=0.9999)))
        p_up = believed_up(numbers, params)
        sides = [
            (expected_value(p, cost, numbers), cost, depth, up)
            for p, cost, depth, up in (
                (p_up, numbers.cost_up, numbers.depth_up, True),
                (1.0 - p_up, numbers.cost_down, numbers.depth_down, False),
            )
            if cost > 0.0 and depth > 0.0
        ]
        if not sides:
            continue
        ev, cost, depth, up = max(sides)
        if ev <= params.min_ev:
            continue
        fee = -expected_value(cost, cost, numbers)
        won = up == window.up
        share = float(won) - cost - fee
        gates = int(columns.blocks[row]) | (WATCH if columns.peak[row] < params.watch_return_threshold else 0)
        gates |= int(judge(plain(numbers_at(columns, row, terms, params)), params).gates)
        profit = float(share * depth / cost)
        return Candidate(window.slug, int(columns.ts_ms[row]), gates, profit, won, float(cost + fee))
    return None


def plain(numbers: Numbers) -> Numbers:
    """Return the same numbers as Python's own."""
    return Numbers(int(numbers.blocks), *(float(value) for value in numbers[1:]))


def terms_of(window: Window) -> Terms:
    """Write a window as the kernel takes it."""
    up = -1 if window.up is None else int(window.up)
    return Terms(
        window.first,
        window.last,
        window.end_s * 1000,
        window.fee_rate,
        window.fee_exponent,
        window.fee_of_price,
        up,
    )


def gates_in(gates: int) -> list[str]:
    """Name the gates of a mask, in asking order."""
    return [name for bit, name in GATE_NAMES.items() if gates & bit]
