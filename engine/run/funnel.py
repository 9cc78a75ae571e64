"""Why no trade? How far each window came on its way to an order, what stopped it, and how near it was.

A session is played through the core once, and each decision looked at with everything that it was made of:
also what an early exit left out. What it does not know: what a refusal was worth
(``engine.run.counterfactual``).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from engine.contract import Outcome
from engine.core import decide as gate
from engine.core.decide import (
    GATE_NAMES,
    Decision,
    Numbers,
    believed_up,
    best_limit_e4,
    expected_value,
    side_gates,
)
from engine.core.state import Market, State
from engine.core.step import step
from engine.events import OrderFilled, OrderSubmitted, Record
from engine.params import Params
from engine.units import ONE_E4, Milliseconds

FEED: Final = (
    gate.BEHIND | gate.CLOCK | gate.PRICE | gate.FALLBACK | gate.FROZEN | gate.DIVERGENCE | gate.VOLATILITY
    | gate.BOOK
)  # fmt: skip
RISK: Final = (
    gate.KILLED | gate.HALTED | gate.PAUSED | gate.ARMED | gate.VENUE | gate.BREAKER | gate.ACCEPTING
    | gate.FEE | gate.ONE_ORDER | gate.HOURLY | gate.DAILY_LOSS | gate.EXPOSURE | gate.CORRELATED
    | gate.BALANCE
)  # fmt: skip
STAGES: Final[tuple[tuple[str, int], ...]] = (
    ("windows seen", 0),
    # First: without it nothing is reckoned, and "volatility" refuses too, which the feeds have to answer for.
    ("rule known", gate.RULE),
    ("feed fresh", FEED),
    ("strike exact", gate.STRIKE),
    ("watch fired", gate.WATCH),
    ("in hammer time", gate.HAMMER),
    ("distance", gate.DISTANCE),
    ("price cap", gate.PRICE_CAP),
    ("EV > 0", gate.EV),
    ("depth", gate.DEPTH),
    ("risk", RISK),
)
"""The way to an order, and the gates of each step. ``sent`` and ``filled`` follow."""

SENT, FILLED = len(STAGES), len(STAGES) + 1
NAMES: Final = (*(name for name, _ in STAGES), "sent", "filled")
UNKNOWN_WORTH: Final = gate.DISTANCE | gate.PRICE_CAP | gate.EV | gate.DEPTH
"""Gates that refuse too where nothing is known of what a share is worth."""

UNKNOWN_EV: Final = -2.0
"""Below any EV: a share costs at most a dollar, and its fee less than another."""


class Looked(NamedTuple):
    """One side of a contract at one decision, all gates asked. EV in dollars a share, -1 without an ask;
    None while it is not known what a share is worth. ``depth_usd`` is what the order could have bought."""

    slug: str
    end_s: int
    outcome: Outcome
    at_ms: Milliseconds
    seq: int
    gates: int
    numbers: Numbers
    probability: float | None
    cost: float
    depth_usd: float
    ev: float | None
    limit: float
    """The highest price at which it would have an EV; 0.0 where there is none."""


class WindowWay(NamedTuple):
    """How far a window came: ``stage`` is a place in ``NAMES``; ``miss`` says what was missing, in words;
    ``ev`` is that of the side and the moment that came furthest, dollars a share, None where unknown."""

    slug: str
    end_s: int
    stage: int
    blocked_by: str
    at_ms: Milliseconds | None
    miss: str
    outcome: Outcome | None
    ev: float | None


class _Window:
    """What is known so far of one window."""

    def __init__(self, slug: str, end_s: int) -> None:
        self.slug, self.end_s = slug, end_s
        self.stage = 0
        self.best: Looked | None = None
        self.params = Params()
        self.most_return = 0.0
        self.strike_error: float | None = None
        self.strike_known = False
        self.outcome: Outcome | None = None


Seen = Callable[[Looked, Params], None]


class Funnel:
    """Plays records and keeps each window's way; ``seen`` is given every side at each decision in hammer
    time."""

    def __init__(self, seen: Seen | None = None) -> None:
        self.state = State()
        self.windows: dict[str, _Window] = {}
        self._seen = seen

    def play(self, records: Iterable[Record]) -> None:
        """Play a session's events."""
        for record in records:
            self.take(record)

    def take(self, record: Record) -> None:
        """Play one event."""
        event = record.event
        for effect in step(self.state, record):
            if isinstance(effect, Decision):
                self._look(effect)
        if isinstance(event, OrderSubmitted | OrderFilled):
            order = self.state.trading.orders.get(event.order_id)
            if order is not None:
                stage = FILLED if isinstance(event, OrderFilled) else SENT
                self._reach(order.intent.slug, stage)
        for market in (*self.state.markets.values(), *list(self.state.past)[-2:]):
            known = self.windows.get(market.contract.slug)
            if known is not None:
                known.outcome = market.outcome

    def ways(self) -> list[WindowWay]:
        """Return every window's way, in order of their end."""
        return [_way(one) for one in sorted(self.windows.values(), key=lambda one: (one.end_s, one.slug))]

    def _look(self, decision: Decision) -> None:
        market = self.state.markets.get(decision.slug)
        if market is None or market.view is None or market.view.seq != decision.seq:
            return
        window = self.windows.get(decision.slug)
        if window is None:
            contract = market.contract
            window = self.windows[decision.slug] = _Window(contract.slug, contract.end_s)
        window.params = self.state.params
        window.most_return = max(window.most_return, abs(self.state.watch_return or 0.0))
        window.strike_known = market.strike is not None
        window.strike_error = None if market.strike is None else market.strike.error_usd
        for looked in sides(self.state, market):
            self._compare(window, looked)
            if self._seen is not None and not looked.gates & gate.HAMMER:
                self._seen(looked, self.state.params)

    def _compare(self, window: _Window, looked: Looked) -> None:
        """Keep the side and the moment that came furthest; of equals the one with the higher EV."""
        stage = stage_of(looked.gates)
        best = window.best
        further = best is None or stage > stage_of(best.gates)
        if best is not None and stage == stage_of(best.gates):
            further = _worth(looked.ev) > _worth(best.ev)
        if further:
            window.best = looked
        window.stage = max(window.stage, stage)

    def _reach(self, slug: str, stage: int) -> None:
        window = self.windows.get(slug)
        if window is not None:
            window.stage = max(window.stage, stage)


def sides(state: State, market: Market) -> list[Looked]:
    """Ask every gate of both sides of a contract, as of its last view."""
    assert market.view is not None
    numbers, params = market.view.numbers, state.params
    gates = numbers.blocks | (0 if 0.0 < numbers.seconds_left <= params.hammer_s else gate.HAMMER)
    if market.strike is None or market.fair is None:
        return [_looked(market, "UP", gates | UNKNOWN_WORTH, None, params)]
    p_up = believed_up(numbers, params)
    if abs(numbers.expected - numbers.strike) < params.d_min_usd:
        gates |= gate.DISTANCE
    return [
        _looked(market, "UP", gates, p_up, params),
        _looked(market, "DOWN", gates, 1.0 - p_up, params),
    ]


def _looked(
    market: Market, outcome: Outcome, gates: int, probability: float | None, params: Params
) -> Looked:
    assert market.view is not None
    numbers = market.view.numbers
    cost = numbers.cost_up if outcome == "UP" else numbers.cost_down
    depth = numbers.depth_up if outcome == "UP" else numbers.depth_down
    ev, limit = None, 0.0
    if probability is not None:
        ev = expected_value(probability, cost, numbers)
        gates |= side_gates(ev, cost, depth, params)
        if not gates & gate.HAMMER:
            tick = market.book_of(outcome).tick_e4 or market.contract.tick_e4
            limit = best_limit_e4(probability, numbers, params, tick) / ONE_E4
    return Looked(
        market.contract.slug, market.contract.end_s, outcome, market.view.at_ms, market.view.seq, gates,
        numbers, probability, cost, depth, ev, limit,
    )  # fmt: skip


def stage_of(gates: int) -> int:
    """Return the last stage that is passed with all before it."""
    for place, (_, mask) in enumerate(STAGES):
        if gates & mask:
            return place - 1
    return len(STAGES) - 1


def blocking(gates: int) -> str:
    """Return the gate that stops at the first stage that is not passed: the first of it in asking order."""
    for _, mask in STAGES:
        refused = gates & mask
        if refused:
            return GATE_NAMES[refused & -refused]
    return ""


def _way(window: _Window) -> WindowWay:
    best = window.best
    gates = 0 if best is None else best.gates
    stopped = "" if window.stage >= SENT else blocking(gates)
    return WindowWay(
        window.slug, window.end_s, window.stage, stopped, None if best is None else best.at_ms,
        _miss(window, stopped), window.outcome, None if best is None else best.ev,
    )  # fmt: skip


def came_further(one: WindowWay, than: WindowWay) -> bool:
    """Say whether a session came further with a window than another did; of equals by the higher EV."""
    return (one.stage, _worth(one.ev)) > (than.stage, _worth(than.ev))


def _worth(ev: float | None) -> float:
    """Order an EV that is not known before every one that is."""
    return UNKNOWN_EV if ev is None else ev


def _miss(window: _Window, stopped: str) -> str:
    """Say what was missing at the moment that came furthest."""
    best, params = window.best, window.params
    if best is None or not stopped:
        return ""
    side = best.outcome.title()
    words = {
        GATE_NAMES[gate.WATCH]: (
            f"moved at most {window.most_return:.3%} in {params.watch_window_s:g} s, "
            f"{params.watch_return_threshold:.3%} are asked for"
        ),
        GATE_NAMES[gate.RULE]: "its settlement rule was not known, or had just changed",
        GATE_NAMES[gate.STRIKE]: (
            f"strike estimated ± ${window.strike_error:.2f}" if window.strike_known else "no strike was known"
        ),
        GATE_NAMES[gate.DISTANCE]: (
            f"${abs(best.numbers.expected - best.numbers.strike):.2f} from the strike, "
            f"${params.d_min_usd:g} are asked for"
        ),
        GATE_NAMES[gate.PRICE_CAP]: (
            f"no {side} share is offered" if best.cost <= 0
            else f"{side} costs {best.cost:.3f}, at most {params.max_entry_price:g} is paid"
        ),
        GATE_NAMES[gate.DEPTH]: f"${best.depth_usd:.2f} of {side} is offered",
    }  # fmt: skip
    if stopped == GATE_NAMES[gate.EV] and best.ev is not None:
        would = f"would have traded at ask <= {best.limit:g}" if best.limit > 0 else "at no ask"
        return f"{side}: EV {best.ev * 100:+.1f} c; {would}"
    return words.get(stopped, f"{stopped} refused")


def counts(ways: Iterable[WindowWay]) -> dict[str, Any]:
    """Count windows by stage, and what stopped them.

    Returns:
        ``stages``: name and how many windows came so far; ``blocked``: windows by the gate that stopped
        them, most first; ``top``: the first of these, None where nothing was stopped.
    """
    told = list(ways)
    stages = [
        {"stage": name, "windows": sum(way.stage >= place for way in told)}
        for place, name in enumerate(NAMES)
    ]
    blocked = Counter(way.blocked_by for way in told if way.blocked_by).most_common()
    return {
        "stages": stages,
        "blocked": [{"gate": name, "windows": number} for name, number in blocked],
        "top": blocked[0][0] if blocked else None,
    }
