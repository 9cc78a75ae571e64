"""From the state to a snapshot: what the console, the logs and the headless run may know.

What it does not know: who looks at it. It changes nothing and decides nothing. One window's card is in
``engine.core.card``.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, NamedTuple

from engine.contract import SettlementRule
from engine.core import health
from engine.core.card import contract_view
from engine.core.connections import PRICE_FEEDS
from engine.core.desk_views import account_view, order_view
from engine.core.ledger import DAY_MS, HOUR_MS
from engine.core.prices import PriceTrack
from engine.core.settlement import OWN_MEAN, PriceAt, estimated, rungs_of, sampled_seconds
from engine.core.state import HALT, FeedState, Market, State
from engine.core.topics import LATE_S, Topic, TopicState, missing_of
from engine.core.truth import difference, verdict_of
from engine.snapshot import (
    CanonicalView,
    ClockView,
    FeedView,
    LifeView,
    Mark,
    ModeView,
    ModeWord,
    MoneyView,
    Point,
    PriceView,
    SettlementView,
    Snapshot,
    TopicView,
)
from engine.units import ONE_E6, Milliseconds

FEEDS: Final = ("rtds", "clob", "gamma", "spot")
OPTIONAL_FEEDS: Final = ("polybolt", "user", "site")
"""Shown once they were asked for."""

TRUTH_ROWS: Final = 50
"""Windows in the truth table, as many as the core keeps."""


def _itself(at_ms: Milliseconds) -> Milliseconds:
    return at_ms


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
    life: LifeView = LifeView()
    wall_at: Callable[[Milliseconds], Milliseconds] = _itself
    """What the wall showed at a moment of the engine's clock; a replay takes that moment itself."""


def project(state: State, outside: Outside) -> Snapshot:
    """Make a snapshot.

    Args:
        state: The core's memory.
        outside: What the session knows beside it.
    Returns:
        The picture at ``outside.now_ms``.
    """
    markets = sorted(state.markets.values(), key=lambda m: (m.contract.start_s, m.contract.duration_s))
    apart = health.divergence(state)
    return Snapshot(
        version=outside.version,
        session=state.session,
        seq=state.seq,
        now_ms=outside.now_ms,
        wall_ms=outside.wall_ms,
        uptime_s=outside.uptime_s,
        mode=_mode(state, outside),
        feeds=[
            _feed(name, state.feeds.get(name), state, outside.now_ms)
            for name in (*FEEDS, *(name for name in OPTIONAL_FEEDS if name in state.feeds))
        ],
        prices=_prices(state, outside.now_ms),
        canonical=_canonical(state, outside.now_ms),
        topics=_topics(state, outside.now_ms),
        clock=_clock(state, outside.now_ms),
        bad_prices=dict(sorted(state.bad_prices.items())),
        divergence_usd=None if apart is None else apart.usd,
        divergence_bp=None if apart is None else apart.bp,
        contracts=[contract_view(state, market, outside.now_ms) for market in markets],
        orders=[order_view(order) for order in list(state.trading.orders.values())[-50:]][::-1],
        settlements=[_settlement(state, market) for market in _finished(state, outside.now_ms)[:TRUTH_ROWS]],
        money=_money(state, outside.now_ms),
        account=account_view(state, outside.wall_at),
        point=outside.point,
        marks=outside.marks,
        journal_seq=outside.journal_seq,
        journal_lag_ms=outside.journal_lag_ms,
        decisions=dict(state.decisions),
        life=outside.life,
    )


def _mode(state: State, outside: Outside) -> ModeView:
    told_ms, fallback_ms, wall_at = _halted_since(state), state.fallback_since_ms, outside.wall_at
    tripped = {name: at_ms for name, at_ms in state.stops_ms.items() if name in state.breakers}
    return ModeView(
        mode=_mode_word(state),
        venue=state.venue,
        venue_banner=outside.venue_banner,
        dry_run=state.dry_run,
        profile=state.profile,
        kill_latched=state.killed,
        kill_who=state.kill_who,
        kill_why=state.kill_why,
        kill_since_ms=state.killed_since_ms,
        halted_why=state.halted_why or _tripped(state),
        clock_rate=outside.clock_rate,
        reduced_trading_confidence=state.fallback_since_ms is not None,
        fallback_since_ms=None if fallback_ms is None else wall_at(fallback_ms),
        orders_in_fallback=state.params.orders_in_fallback > 0.0,
        breakers=dict(state.breakers),
        behind_why=state.behind_why,
        halted_since_ms=None if told_ms is None else wall_at(told_ms),
        breakers_since={name: wall_at(at_ms) for name, at_ms in tripped.items()},
    )


def _mode_word(state: State) -> ModeWord:
    """Say what an operator must know first: killed, halted for another reason, or what it trades on."""
    if state.killed:
        return "KILLED"
    if state.halted_why is not None or state.breakers:
        return "HALTED"
    if state.venue == "practice":
        return "PRACTICE"
    return "PAPER" if state.dry_run else "LIVE"


def _halted_since(state: State) -> Milliseconds | None:
    """Return when the first of what stops the engine did so; None where it stopped before this session."""
    if state.halted_why is not None:
        return state.stops_ms.get(HALT)
    if state.breakers.keys() - state.stops_ms.keys():
        return None
    return min(state.stops_ms.values(), default=None)


def _tripped(state: State) -> str | None:
    if not state.breakers:
        return None
    return f"breaker {'; '.join(f'{name}: {why}' for name, why in state.breakers.items())}"


def _feed(name: str, feed: FeedState | None, state: State, now_ms: Milliseconds) -> FeedView:
    if feed is None:
        return FeedView(name, False, None, True, 0, 0, 0, "not connected yet")
    age_s = None if feed.arrived_ms is None else max(0.0, (now_ms - feed.arrived_ms) / 1000)
    limit_s = state.params.price_stale_s if name in PRICE_FEEDS else state.params.book_stale_s
    # Gamma and the site are asked when there is something to ask; silence of them is no fault.
    stale = name not in ("gamma", "site", "user") and (age_s is None or age_s > limit_s)
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


def _topics(state: State, now_ms: Milliseconds) -> list[TopicView]:
    views = []
    for (source, lookback_s), track in state.tracks.items():
        if source == "polybolt" and "polybolt" not in state.feeds:
            continue  # not asked for
        topic = state.topics.get((source, lookback_s)) or Topic()
        lags = topic.lags()
        age_s = None if track.arrived_ms is None else max(0.0, (now_ms - track.arrived_ms) / 1000)
        views.append(
            TopicView(
                name=f"{source} {lookback_s} s" if lookback_s else source,
                state=_topic_state(age_s, topic, state),
                age_s=age_s,
                lag_p50_s=None if lags is None else lags.p50_s,
                lag_p95_s=None if lags is None else lags.p95_s,
                lag_p99_s=None if lags is None else lags.p99_s,
                missing=missing_of(track),
                lost=topic.lost,
            )
        )
    return sorted(views, key=lambda view: view.name)


def _topic_state(age_s: float | None, topic: Topic, state: State) -> TopicState:
    if age_s is None:
        return "waiting"
    if age_s > state.params.price_stale_s:
        return "stale"
    if topic.is_frozen:
        return "frozen"
    return "late" if age_s > LATE_S else "fresh"


def _clock(state: State, now_ms: Milliseconds) -> ClockView:
    measured = state.clock
    if measured is None:
        return ClockView(None, None, None, None, health.clock_is_right(state))
    age_s = max(0.0, (now_ms - measured.ts_recv_ms) / 1000)
    ok = health.clock_is_right(state)
    return ClockView(measured.skew_ms, measured.round_trip_ms, age_s, measured.source, ok)


def _canonical(state: State, now_ms: Milliseconds) -> list[CanonicalView]:
    """Return what markets settle on as of now, once for each rule that an open market has."""
    rules: dict[str, SettlementRule] = {}
    for market in state.markets.values():
        if market.contract.rule is not None:
            rules.setdefault(str(market.contract.rule), market.contract.rule)
    views = (_canonical_of(state, rule, now_ms) for rule in rules.values())
    return [view for view in views if view is not None]


def _canonical_of(state: State, rule: SettlementRule, now_ms: Milliseconds) -> CanonicalView | None:
    """Take the best rung that is fresh; where none is, the one that spoke last."""
    known = [(name, _newest_report(name, track)) for name, track in rungs_of(rule, state.track)]
    if rule.basis == "twap":
        known.append((OWN_MEAN, _own_mean(state, rule)))
    rungs = [
        (name, None if price is None else max(0.0, (now_ms - price.recv_ms) / 1000)) for name, price in known
    ]
    found = [price for _, price in known if price is not None]
    if not found:
        return None
    limit_ms = state.params.price_stale_s * 1000
    fresh = (price for price in found if now_ms - price.recv_ms <= limit_ms)
    best = next(fresh, None) or max(found, key=lambda price: price.recv_ms)
    return CanonicalView(
        rule=str(rule),
        rung=best.rung,
        value=float(best.value),
        stamp_ms=best.stamp_ms,
        recv_ms=best.recv_ms,
        age_s=max(0.0, (now_ms - best.recv_ms) / 1000),
        coverage=best.coverage,
        error_usd=best.error_usd,
        rungs=rungs,
    )


def _newest_report(rung: str, track: PriceTrack) -> PriceAt | None:
    value = track.newest()
    if value is None or track.newest_s is None or track.arrived_ms is None:
        return None
    return PriceAt(value, "exact", 0.0, rung, track.newest_s * 1000, track.arrived_ms)


def _own_mean(state: State, rule: SettlementRule) -> PriceAt | None:
    """Return the own mean for the latest stamp whose seconds have all had their chance to arrive."""
    chainlink = state.track("chainlink")
    if chainlink.newest_s is None:
        return None
    _, last = sampled_seconds(rule, 0)
    return estimated(rule, chainlink.newest_s - last, chainlink)


# --- lists --------------------------------------------------------------------------------------------------


def _finished(state: State, now_ms: Milliseconds) -> list[Market]:
    ended = [market for market in state.markets.values() if now_ms >= market.contract.end_s * 1000]
    return sorted([*state.past, *ended], key=lambda market: market.contract.end_s, reverse=True)


def _settlement(state: State, market: Market) -> SettlementView:
    contract, strike, final, served = market.contract, market.strike, market.final, market.served
    holding = state.ledger.holdings.get(contract.slug)
    strike_served = None if served is None else served.strike
    final_served = None if served is None else served.final
    site = None if market.site is None else market.site.open_price
    return SettlementView(
        slug=contract.slug,
        name=contract.name,
        end_s=contract.end_s,
        rule="not understood" if contract.rule is None else str(contract.rule),
        strike=None if strike is None else float(strike.value),
        strike_source=None if strike is None else strike.source,
        strike_rung=None if strike is None else strike.rung,
        strike_error=None if strike is None else strike.error_usd,
        strike_served=_dollars(strike_served),
        strike_difference=_dollars(difference(strike, strike_served)),
        site_strike=_dollars(site),
        site_difference=_dollars(difference(strike, site)),
        final=None if final is None else float(final.value),
        final_source=None if final is None else final.source,
        final_rung=None if final is None else final.rung,
        final_error=None if final is None else final.error_usd,
        final_served=_dollars(final_served),
        final_difference=_dollars(difference(final, final_served)),
        outcome=market.outcome,
        outcome_source=market.outcome_source,
        outcome_own=market.outcome_own,
        verdict=verdict_of(market),
        traded=holding is not None,
        pnl=None if holding is None or holding.realised_e6 is None else holding.realised_e6 / ONE_E6,
    )


def _dollars(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _money(state: State, now_ms: Milliseconds) -> MoneyView:
    ledger, own = state.ledger, state.ledger.of_session
    return MoneyView(
        realised=own.realised_e6 / ONE_E6,
        realised_today=ledger.realised_on(now_ms // DAY_MS) / ONE_E6,
        open_cost=ledger.open_cost_e6() / ONE_E6,
        fees=own.fees_e6 / ONE_E6,
        trades=own.trades,
        trades_last_hour=ledger.trades_since(now_ms - HOUR_MS),
        max_daily_loss=state.limits.max_daily_loss_usd,
        max_trades_per_hour=int(state.limits.max_trades_per_hour),
    )
