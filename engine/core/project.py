"""From the state to a snapshot: what the console, the logs and the headless run may know.

What it does not know: who looks at it. It changes nothing and decides nothing; numbers that the last decision
left out are computed by the decision's own functions.
"""

from typing import Literal, NamedTuple, TypeAlias

from engine.core import risk
from engine.core.book import Book
from engine.core.decide import (
    BUY_DOWN,
    BUY_UP,
    Decision,
    Numbers,
    View,
    expected_value,
    explain,
    probability_up,
)
from engine.core.fees import fee_per_share
from engine.core.ledger import DAY_MS, HOUR_MS, cost_of
from engine.core.state import FeedState, Market, Order, State
from engine.snapshot import (
    BookView,
    ContractView,
    DecisionView,
    FeedView,
    LevelView,
    Mark,
    ModeView,
    MoneyView,
    OrderView,
    Phase,
    Point,
    PriceView,
    SettlementView,
    Snapshot,
)
from engine.units import ONE_E4, ONE_E6, Milliseconds

LEVELS_SHOWN = 8

FEEDS = ("rtds", "clob", "gamma", "spot")

ACTIONS: dict[int, Literal["buy_up", "buy_down", "no_trade"]] = {BUY_UP: "buy_up", BUY_DOWN: "buy_down"}


class Outside(NamedTuple):
    """What a snapshot shows that the core does not know; the session fills it in."""

    version: int
    now_ms: Milliseconds
    wall_ms: Milliseconds
    uptime_s: float
    clock_rate: float
    journal_seq: int
    journal_lag_ms: float
    venue_banner: str
    point: Point | None
    """The chart point that this snapshot carries, made by ``point_at``; None when there is no new one."""
    marks: list[Mark]


def project(state: State, outside: Outside) -> Snapshot:
    """Make a snapshot.

    Args:
        state: The core's memory.
        outside: What the session knows beside it.
    Returns:
        The picture at ``outside.now_ms``.
    """
    markets = sorted(state.markets.values(), key=lambda m: (m.contract.start_s, m.contract.duration_s))
    divergence = _divergence(state)
    return Snapshot(
        version=outside.version,
        session=state.session,
        seq=state.seq,
        now_ms=outside.now_ms,
        wall_ms=outside.wall_ms,
        uptime_s=outside.uptime_s,
        mode=_mode(state, outside),
        feeds=[_feed(name, state.feeds.get(name), state, outside.now_ms) for name in FEEDS],
        prices=_prices(state, outside.now_ms),
        divergence_usd=None if divergence is None else divergence[0],
        divergence_bp=None if divergence is None else divergence[1],
        contracts=[_contract(state, market, outside.now_ms) for market in markets],
        orders=[_order(order) for order in list(state.orders.values())[-50:]][::-1],
        settlements=[_settlement(state, market) for market in _finished(state, outside.now_ms)],
        money=_money(state, outside.now_ms),
        point=outside.point,
        marks=outside.marks,
        journal_seq=outside.journal_seq,
        journal_lag_ms=outside.journal_lag_ms,
        decisions=dict(state.decisions),
    )


def _mode(state: State, outside: Outside) -> ModeView:
    stopped = state.killed or state.halted_why is not None
    mode: Literal["PRACTICE", "PAPER", "LIVE", "HALTED"]
    if stopped:
        mode = "HALTED"
    elif state.venue == "practice":
        mode = "PRACTICE"
    else:
        mode = "PAPER" if state.dry_run else "LIVE"
    return ModeView(
        mode=mode,
        venue=state.venue,
        venue_banner=outside.venue_banner,
        dry_run=state.dry_run,
        profile=state.profile,
        kill_latched=state.killed,
        kill_who=state.kill_who,
        kill_why=state.kill_why,
        kill_since_ms=state.killed_since_ms,
        halted_why=state.halted_why,
        clock_rate=outside.clock_rate,
    )


def _feed(name: str, feed: FeedState | None, state: State, now_ms: Milliseconds) -> FeedView:
    if feed is None:
        return FeedView(name, False, None, True, 0, 0, 0, "not connected yet")
    age_s = None if feed.arrived_ms is None else max(0.0, (now_ms - feed.arrived_ms) / 1000)
    limit_s = {"rtds": state.params.price_stale_s, "spot": state.params.price_stale_s}.get(
        name, state.params.book_stale_s
    )
    # Gamma is asked when there is something to ask; silence of it is no fault.
    stale = name != "gamma" and (age_s is None or age_s > limit_s)
    return FeedView(
        name=name,
        connected=feed.connected,
        age_s=age_s,
        stale=stale or not feed.connected,
        frames=feed.frames,
        refused=feed.refused,
        reconnects=max(0, feed.epoch - 1),
        detail=feed.detail,
    )


def _prices(state: State, now_ms: Milliseconds) -> list[PriceView]:
    views = []
    for (source, lookback_s), track in state.tracks.items():
        value = track.newest()
        if value is None or track.newest_s is None or track.arrived_ms is None:
            continue
        views.append(
            PriceView(
                source=source if not lookback_s else f"{source} {lookback_s} s",
                value=float(value),
                stamp_ms=track.newest_s * 1000,
                age_s=max(0.0, (now_ms - track.arrived_ms) / 1000),
                lag_s=track.lag_ms / 1000,
            )
        )
    return sorted(views, key=lambda view: view.source)


def _divergence(state: State) -> tuple[float, float] | None:
    canonical, spot = state.track("chainlink").newest(), state.track("spot").newest()
    if canonical is None or spot is None:
        return None
    usd = float(spot - canonical)
    return usd, usd / float(canonical) * 10_000


# --- one contract -------------------------------------------------------------------------------------------


class _Worth(NamedTuple):
    """What both sides are worth now; None where something it needs is unknown."""

    z: float | None
    p_up: float | None
    ev_up: float | None
    ev_down: float | None
    fee_up: float | None
    fee_down: float | None


def _worth(numbers: Numbers | None, known: bool) -> _Worth:
    if numbers is None or not known:
        return _Worth(None, None, None, None, None, None)
    p_up = probability_up(numbers.strike, numbers.expected, numbers.deviation)
    z = (numbers.expected - numbers.strike) / numbers.deviation if numbers.deviation > 0.0 else None

    def side(probability: float, cost: float) -> tuple[float | None, float | None]:
        if cost <= 0.0:
            return None, None
        fee = fee_per_share(cost, numbers.fee_rate, numbers.fee_exponent) + numbers.fee_of_price * cost
        return expected_value(probability, cost, numbers), fee

    ev_up, fee_up = side(p_up, numbers.cost_up)
    ev_down, fee_down = side(1.0 - p_up, numbers.cost_down)
    return _Worth(z, p_up, ev_up, ev_down, fee_up, fee_down)


def _contract(state: State, market: Market, now_ms: Milliseconds) -> ContractView:
    contract, fair, strike, final = market.contract, market.fair, market.strike, market.final
    over = now_ms >= contract.end_s * 1000
    numbers = None if market.view is None or over else market.view.numbers
    worth = _worth(numbers, strike is not None and fair is not None)
    expected = None if fair is None or over else fair.mean_usd
    distance = None if expected is None or strike is None else expected - float(strike.value)
    holding = state.ledger.holdings.get(contract.slug)
    return ContractView(
        slug=contract.slug,
        name=contract.name,
        start_s=contract.start_s,
        end_s=contract.end_s,
        seconds_left=max(0.0, contract.end_s - now_ms / 1000),
        phase=_phase(state, market, now_ms),
        rule=contract.rule_text if contract.rule is None else str(contract.rule),
        strike=None if strike is None else float(strike.value),
        strike_source=None if strike is None else strike.source,
        strike_error=None if strike is None else strike.error_usd,
        expected=expected,
        deviation_usd=None if expected is None or fair is None else fair.deviation_usd,
        distance_usd=distance,
        distance_bp=None if distance is None or strike is None else distance / float(strike.value) * 10_000,
        z=worth.z,
        p_up=worth.p_up,
        sigma_usd=state.sigma_usd,
        locked_share=None if fair is None else fair.locked_share,
        watch_return=state.watch_return,
        ev_up=worth.ev_up,
        ev_down=worth.ev_down,
        fee_up=worth.fee_up,
        fee_down=worth.fee_down,
        up=_book(state, market, market.up, now_ms),
        down=_book(state, market, market.down, now_ms),
        decision=None if market.decision is None else _decision(state, market, market.decision),
        final=None if final is None else float(final.value),
        final_source=None if final is None else final.source,
        outcome=market.outcome,
        outcome_source=market.outcome_source,
        position_up=0.0 if holding is None else holding.shares_e6["UP"] / ONE_E6,
        position_down=0.0 if holding is None else holding.shares_e6["DOWN"] / ONE_E6,
        pnl=None if holding is None or holding.realised_e6 is None else holding.realised_e6 / ONE_E6,
    )


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


def _book(state: State, market: Market, book: Book, now_ms: Milliseconds) -> BookView:
    arrived = market.book_arrived_ms
    is_stale = book.state == "live" and not risk.book_is_usable(state, market)
    return BookView(
        bid=None if book.bid is None else book.bid / ONE_E4,
        ask=None if book.ask is None else book.ask / ONE_E4,
        bids=[LevelView(price / ONE_E4, size / ONE_E6) for price, size in book.depth("BUY", LEVELS_SHOWN)],
        asks=[LevelView(price / ONE_E4, size / ONE_E6) for price, size in book.depth("SELL", LEVELS_SHOWN)],
        age_s=None if arrived is None else max(0.0, (now_ms - arrived) / 1000),
        state="stale" if is_stale else book.state,
    )


def _decision(state: State, market: Market, decision: Decision) -> DecisionView:
    view = market.view
    assert view is not None
    gates = explain(view, state.params)
    return DecisionView(
        action=ACTIONS.get(decision.action, "no_trade"),
        reason=decision.reason,
        sentence=_sentence(decision, view),
        at_ms=decision.at_ms,
        seq=decision.seq,
        gates=gates,
    )


def _sentence(decision: Decision, view: View) -> str:
    """Say the decision as a person would."""
    if decision.action:
        side, ev = ("Up", decision.ev_up) if decision.action == BUY_UP else ("Down", decision.ev_down)
        return f"Buy {side}: EV {ev:+.4f} a share after fee, p(Up) {decision.p_up:.4f}."
    left = view.numbers.seconds_left
    sentences = {
        "kill switch": "The kill switch is latched.",
        "halt": "The engine is halted.",
        "settlement rule": "The venue's settlement rule was not understood: observe only.",
        "strike": "The strike is not known exactly: observe only.",
        "price fresh": "The settlement feed is stale.",
        "volatility": "Too few prices yet to know the volatility.",
        "book": "No live order book.",
        "market open": "The market does not accept orders.",
        "watch": "BTC has not moved enough in this window to watch it.",
        "hammer time": f"Not yet: {left:.0f} s left.",
        "one order a market": "This market has had its order.",
        "trades an hour": "The hourly number of trades is used up.",
        "daily loss": "Another trade could exceed the daily loss limit.",
        "distance": "The expected settlement is too close to the strike.",
        "price cap": "No ask at or below the price cap.",
        "depth": "The asks do not fill the order.",
        "EV": "Nothing is cheap after the fee.",
    }
    return sentences[decision.reason]


# --- lists --------------------------------------------------------------------------------------------------


def _order(order: Order) -> OrderView:
    intent = order.intent
    shares = sum(size for _, size in order.fills)
    return OrderView(
        order_id=intent.order_id,
        slug=intent.slug,
        outcome=intent.outcome,
        limit_price=intent.limit_e4 / ONE_E4,
        usd=intent.usd_e6 / ONE_E6,
        state=order.state,
        reason=order.reason,
        at_ms=order.at_ms,
        filled_shares=shares / ONE_E6,
        average_price=cost_of(order.fills) / shares if shares else None,
        fee=order.fee_e6 / ONE_E6,
    )


def _finished(state: State, now_ms: Milliseconds) -> list[Market]:
    ended = [market for market in state.markets.values() if now_ms >= market.contract.end_s * 1000]
    return sorted([*state.past, *ended], key=lambda market: market.contract.end_s, reverse=True)


def _settlement(state: State, market: Market) -> SettlementView:
    contract, strike, final = market.contract, market.strike, market.final
    holding = state.ledger.holdings.get(contract.slug)
    return SettlementView(
        slug=contract.slug,
        name=contract.name,
        end_s=contract.end_s,
        strike=None if strike is None else float(strike.value),
        strike_source=None if strike is None else strike.source,
        final=None if final is None else float(final.value),
        final_source=None if final is None else final.source,
        outcome=market.outcome,
        outcome_source=market.outcome_source,
        traded=holding is not None,
        pnl=None if holding is None or holding.realised_e6 is None else holding.realised_e6 / ONE_E6,
    )


def _money(state: State, now_ms: Milliseconds) -> MoneyView:
    ledger = state.ledger
    return MoneyView(
        realised=ledger.realised_e6() / ONE_E6,
        realised_today=ledger.realised_e6(now_ms // DAY_MS) / ONE_E6,
        open_cost=ledger.open_cost_e6() / ONE_E6,
        fees=ledger.fees_e6() / ONE_E6,
        trades=len(ledger.trade_times_ms),
        trades_last_hour=ledger.trades_since(now_ms - HOUR_MS),
        max_daily_loss=state.limits.max_daily_loss_usd,
        max_trades_per_hour=int(state.limits.max_trades_per_hour),
    )


Curves: TypeAlias = dict[str, dict[str, float | None]]


def curves_now(state: State) -> Curves:
    """Return what the charts draw of each open window at this moment, by slug."""
    now_ms = state.now_ms
    return {
        slug: _contract_point(market)
        for slug, market in state.markets.items()
        if market.contract.start_s * 1000 <= now_ms < market.contract.end_s * 1000
    }


def point_at(state: State, second: int, curves: Curves) -> Point:
    """Make the charts' point of one second; nothing is carried forward, a hole stays a hole.

    Args:
        state: The core's memory, some seconds later: a price belongs to the second it is of, and arrives
        late. second: Unix second.
        curves: ``curves_now`` as it was in that second.
    """
    twaps = (track.dollars(second) for (source, _), track in state.tracks.items() if source == "twap")
    return Point(
        t_s=second,
        twap=next((value for value in twaps if value is not None), None),
        chainlink=state.track("chainlink").dollars(second),
        spot=state.track("spot").dollars(second),
        contracts=curves,
    )


def _contract_point(market: Market) -> dict[str, float | None]:
    strike = None if market.strike is None else float(market.strike.value)
    numbers = None if market.view is None else market.view.numbers
    worth = _worth(numbers, strike is not None and market.fair is not None)
    return {
        "strike": strike,
        "z": worth.z,
        "p_up": worth.p_up,
        "ev_up": worth.ev_up,
        "ev_down": worth.ev_down,
        "ask_up": None if market.up.ask is None else market.up.ask / ONE_E4,
        "ask_down": None if market.down.ask is None else market.down.ask / ONE_E4,
    }
