"""One window as its card and its curves show it: the core's own numbers, unknown as None.

What it does not know: other windows, money beside this window's own. It decides nothing; what the last
decision left out is computed by the decision's own functions.
"""

from typing import Final, Literal, NamedTuple, TypeAlias

from engine.core import books, health, risk, sweep
from engine.core.book import Book
from engine.core.decide import (
    BUY_DOWN,
    BUY_UP,
    Decision,
    Numbers,
    View,
    believed_up,
    expected_value,
)
from engine.core.explain import gate_rows
from engine.core.fees import fee_at
from engine.core.seed import seed_odds
from engine.core.settlement import TWAP_RUNGS, sampled_seconds
from engine.core.state import Market, State
from engine.core.topics import Topic, coverage_of
from engine.params import Params
from engine.snapshot import BookView, ContractView, DecisionView, LevelView, Phase, Point
from engine.units import ONE_E4, ONE_E6, Milliseconds

LEVELS_SHOWN: Final = 8

AVERAGED_S: Final = 60
"""The averaging time of the line that the chart names so."""

Action: TypeAlias = Literal["buy_up", "buy_down", "no_trade"]

ACTIONS: Final[dict[int, Action]] = {BUY_UP: "buy_up", BUY_DOWN: "buy_down"}

SENTENCES: Final = {
    "kill switch": "The kill switch is latched.",
    "halt": "The engine is halted.",
    "pause": "An operator has paused trading.",
    "disarmed": "Live trading is not armed.",
    "venue restriction": "The venue does not take our orders now.",
    "engine behind": "The engine is behind its feeds.",
    "clock": "This machine's clock is not the venue's.",
    "settlement rule": "The settlement rule is unknown or has changed: observe only.",
    "strike": "The strike is not proven: observe only.",
    "stale price": "The price reports of chainlink are stale.",
    "fallback": "Living on spot: orders are gated.",
    "frozen price": "A feed that settles stands still: the gate names it.",
    "divergence": "Spot and the settlement feed are too far apart.",
    "volatility": "Too few prices yet to know the volatility.",
    "book": "No live order book.",
    "market closed": "The market does not accept orders.",
    "old fee terms": "The market's fee terms are too old.",
    "watch": "BTC has not moved enough in this window to watch it.",
    "one order a market": "This market has had its order.",
    "trades an hour": "The hourly number of trades is used up.",
    "daily loss": "Another trade could exceed the daily loss limit.",
    "breakers": "A breaker has tripped: results say stop.",
    "exposure": "Another order would put too much at stake.",
    "correlated loss": "Too much would end at the same moment.",
    "balance": "The balance does not cover another order.",
    "distance": "The expected settlement is too close to the strike.",
    "price cap": "No ask at or below the price cap.",
    "depth": "The asks on display are smaller than the smallest order.",
    "EV": "Nothing is cheap after the fee.",
}
"""Why not, for people, by the first gate that refused. Hammer time has a sentence of its own: it counts."""


class _Worth(NamedTuple):
    """What both sides are worth now; None where something it needs is unknown."""

    z: float | None
    p_up: float | None
    ev_up: float | None
    ev_down: float | None
    fee_up: float | None
    fee_down: float | None
    cost_up: float | None
    cost_down: float | None
    even_up: float | None
    even_down: float | None


_UNKNOWN: Final = _Worth(*[None] * len(_Worth._fields))


def _worth(numbers: Numbers | None, params: Params, known: bool) -> _Worth:
    if numbers is None or not known:
        return _UNKNOWN
    p_up = believed_up(numbers, params)
    z = (numbers.expected - numbers.strike) / numbers.deviation if numbers.deviation > 0.0 else None

    def side(
        probability: float, cost: float
    ) -> tuple[float | None, float | None, float | None, float | None]:
        if cost <= 0.0:
            return None, None, None, None
        fee = fee_at(cost, numbers.fee_rate, numbers.fee_exponent, numbers.fee_of_price)
        return expected_value(probability, cost, numbers), fee, cost, cost + fee

    ev_up, fee_up, cost_up, even_up = side(p_up, numbers.cost_up)
    ev_down, fee_down, cost_down, even_down = side(1.0 - p_up, numbers.cost_down)
    return _Worth(z, p_up, ev_up, ev_down, fee_up, fee_down, cost_up, cost_down, even_up, even_down)


def contract_view(state: State, market: Market, now_ms: Milliseconds) -> ContractView:
    """Return a window's card as of ``now_ms``."""
    contract, fair, strike, final = market.contract, market.fair, market.strike, market.final
    over = now_ms >= contract.end_s * 1000
    venue_ms = now_ms + health.venue_ms(state) - state.now_ms
    numbers = None if market.view is None or over else market.view.numbers
    worth = _worth(numbers, state.params, strike is not None and fair is not None)
    expected = None if fair is None or over else fair.mean_usd
    distance = None if expected is None or strike is None else expected - float(strike.value)
    seed = None if over else seed_odds(state, market)
    p_down = None if worth.p_up is None else 1.0 - worth.p_up
    before = market.rule_before
    holding = state.ledger.holdings.get(contract.slug)
    return ContractView(
        slug=contract.slug,
        name=contract.name,
        start_s=contract.start_s,
        end_s=contract.end_s,
        seconds_left=0.0 if over else max(0.0, contract.end_s - venue_ms / 1000),
        phase=_phase(state, market, now_ms),
        rule="not understood" if contract.rule is None else str(contract.rule),
        rule_words=contract.rule_text,
        rule_before=None if before is None else f"{before.rule}: {before.words}",
        observe_only=None if over else _observe_only(market, now_ms),
        strike=None if strike is None else float(strike.value),
        strike_source=None if strike is None else strike.source,
        strike_error=None if strike is None else strike.error_usd,
        strike_rung=None if strike is None else strike.rung,
        expected=expected,
        deviation_usd=None if expected is None or fair is None else fair.deviation_usd,
        distance_usd=distance,
        distance_bp=None if distance is None or strike is None else distance / float(strike.value) * 10_000,
        z=worth.z,
        p_up=worth.p_up,
        sigma_usd=state.sigma_usd,
        p_seed=None if seed is None else seed.p_up,
        z_seed=None if seed is None else seed.z,
        averaged_from_s=None if contract.rule is None else sampled_seconds(contract.rule, contract.end_s)[0],
        locked_share=None if fair is None else fair.locked_share,
        locked_mean=None if fair is None else fair.locked_mean_usd,
        flip_average=None
        if fair is None or strike is None or over
        else fair.average_to_end_at(float(strike.value)),
        fee_rate=None if contract.fee is None else float(contract.fee.rate),
        fee_age_s=max(0.0, (now_ms - market.described_ms) / 1000),
        watch_return=state.watch_return,
        ev_up=worth.ev_up,
        ev_down=worth.ev_down,
        fee_up=worth.fee_up,
        fee_down=worth.fee_down,
        up=_book(state, market, market.up, (now_ms, worth.p_up)),
        down=_book(state, market, market.down, (now_ms, p_down)),
        decision=None if market.decision is None else _decision(state, market, market.decision, over),
        final=None if final is None else float(final.value),
        final_source=None if final is None else final.source,
        outcome=market.outcome,
        outcome_source=market.outcome_source,
        position_up=0.0 if holding is None else holding.shares_e6["UP"] / ONE_E6,
        position_down=0.0 if holding is None else holding.shares_e6["DOWN"] / ONE_E6,
        pnl=None if holding is None or holding.realised_e6 is None else holding.realised_e6 / ONE_E6,
        coverage=_coverage(state, market, now_ms),
        cost_up=worth.cost_up,
        cost_down=worth.cost_down,
        even_up=worth.even_up,
        even_down=worth.even_down,
        p_down=p_down,
        fee_curve=sweep.fee_curve(state, market),
    )


def _coverage(state: State, market: Market, now_ms: Milliseconds) -> str:
    """Write the window's seconds so far; empty before it starts."""
    first, last = market.contract.start_s, min(market.contract.end_s - 1, now_ms // 1000)
    if last < first:
        return ""
    return coverage_of(
        state.track("chainlink"), state.topics.get(("chainlink", 0)) or Topic(), first, last, now_ms
    )


def _observe_only(market: Market, now_ms: Milliseconds) -> str | None:
    """Say why a window may not be traded however good its price; None where it may."""
    rule, strike = market.contract.rule, market.strike
    if rule is None:
        return "the venue's settlement rule is missing or new"
    if market.rule_before is not None:
        if market.rule_before.rule == rule:
            return "its version or fee schedule changed; one window has to prove it"
        return f"the rule changed from {market.rule_before.rule} to {rule}; one window has to prove it"
    if now_ms < market.contract.start_s * 1000 or (strike is not None and strike.is_proven):
        return None
    if strike is None:
        return "the strike is not known yet"
    return f"the strike is an estimate, ±${strike.error_usd:.2f}"


def _phase(state: State, market: Market, now_ms: Milliseconds) -> Phase:
    contract = market.contract
    if market.outcome is not None:
        return "settled"
    if now_ms >= contract.end_s * 1000:
        return "settling"
    if now_ms < contract.start_s * 1000:
        return "upcoming"
    if market.watched_at_ms is None:
        return "idle"
    return "hammer" if contract.end_s - now_ms / 1000 <= state.params.hammer_s else "watch"


def _book(state: State, market: Market, book: Book, at: tuple[Milliseconds, float | None]) -> BookView:
    """Show one book; ``at`` is when, and the probability of its token."""
    now_ms, probability = at
    arrived = market.book_arrived_ms
    is_stale = book.state == "live" and not risk.book_is_usable(state, market)
    watch = market.watches["UP" if book is market.up else "DOWN"]
    usable = book.state == "live" and not is_stale
    return BookView(
        bid=None if book.bid is None else book.bid / ONE_E4,
        ask=None if book.ask is None else book.ask / ONE_E4,
        bids=[LevelView(price / ONE_E4, size / ONE_E6) for price, size in book.depth("BUY", LEVELS_SHOWN)],
        asks=[
            LevelView(price / ONE_E4, size / ONE_E6, sweep.break_even(state, market, price / ONE_E4))
            for price, size in book.depth("SELL", LEVELS_SHOWN)
        ],
        age_s=None if arrived is None else max(0.0, (now_ms - arrived) / 1000),
        state="stale" if is_stale else book.state,
        mirror=books.mirror_of(market),
        rest=watch.rest,
        resyncs=watch.resyncs,
        sweep=sweep.by_level(state, market, book, probability) if usable else [],
        own=sweep.own(state, market, book, probability) if usable else None,
    )


def _decision(state: State, market: Market, decision: Decision, over: bool) -> DecisionView:
    """Show the last decision; its gates are measured now, so that of a window that is over there are none."""
    view = market.view
    assert view is not None
    return DecisionView(
        action=ACTIONS.get(decision.action, "no_trade"),
        reason=decision.reason,
        sentence=_sentence(decision, view),
        at_ms=decision.at_ms,
        seq=decision.seq,
        gates=[] if over else gate_rows(state, market),
    )


def _sentence(decision: Decision, view: View) -> str:
    """Say the decision as a person would."""
    if decision.action:
        side, ev = ("Up", decision.ev_up) if decision.action == BUY_UP else ("Down", decision.ev_down)
        assert ev is not None
        return f"Buy {side}: EV {ev:+z.4f} a share after fee, p(Up) {decision.p_up:.4f}."
    if decision.reason == "hammer time":
        return f"Not yet: {view.numbers.seconds_left:.0f} s left."
    return SENTENCES[decision.reason]


Curves: TypeAlias = dict[str, dict[str, float | None]]


def curves_now(state: State) -> Curves:
    """Return what the charts draw of each open window at this moment, by slug."""
    now_ms = state.now_ms
    return {
        slug: _contract_point(state, market)
        for slug, market in state.markets.items()
        if market.contract.start_s * 1000 <= now_ms < market.contract.end_s * 1000
    }


def point_at(state: State, second: int, curves: Curves) -> Point:
    """Make the charts' point of one second; nothing is carried forward, a hole stays a hole.

    Args:
        state: The core's memory, some seconds later: a price belongs to the second it is of, and is late.
        second: Unix second.
        curves: ``curves_now`` as it was in that second.
    """
    averages = [
        track.dollars(second)
        for source, _ in TWAP_RUNGS
        if (track := state.tracks.get((source, AVERAGED_S))) is not None
    ]
    chainlink, spot = state.track("chainlink").dollars(second), state.track("spot").dollars(second)
    return Point(
        t_s=second,
        twap=next((value for value in averages if value is not None), None),
        chainlink=chainlink,
        spot=spot,
        contracts=curves,
        divergence_usd=None if chainlink is None or spot is None else spot - chainlink,
    )


def _contract_point(state: State, market: Market) -> dict[str, float | None]:
    strike = None if market.strike is None else float(market.strike.value)
    numbers = None if market.view is None else market.view.numbers
    worth = _worth(numbers, state.params, strike is not None and market.fair is not None)
    seed = seed_odds(state, market)
    return {
        "strike": strike,
        "z": worth.z,
        "p_up": worth.p_up,
        "p_seed": None if seed is None else seed.p_up,
        "ev_up": worth.ev_up,
        "ev_down": worth.ev_down,
        "ask_up": None if market.up.ask is None else market.up.ask / ONE_E4,
        "ask_down": None if market.down.ask is None else market.down.ask / ONE_E4,
        "even_up": worth.even_up,
        "even_down": worth.even_down,
    }
