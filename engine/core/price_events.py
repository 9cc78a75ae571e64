"""What price feeds tell: a report, a history; and what follows from it for every window."""

from typing import Final

from engine import events as e
from engine.core import connections, health, reports, windows
from engine.core.fair import expect_settlement
from engine.core.prices import PriceTrack, Told
from engine.core.signal import watch_fires, watch_return
from engine.core.state import Market, State
from engine.core.volatility import deviation_of, sigma_usd
from engine.snapshot import Mark

STANDS_IN_AFTER_MS: Final = 3_000
"""Silence of RTDS after which PolyBolt's raw seconds stand in for its own. Never both at once: two sockets
that contradict each other would make one stream that moves and says nothing."""

GAP_S: Final = 5
"""A hole of more seconds than this in the raw feed is worth a mark on the chart."""

SEED_SPAN_S: Final = 60
"""Seconds of the seed's volatility ("realized sigma1 from 1-second returns over last 60s")."""

_FEED_OF_SOURCE: Final = {
    "polybolt": "polybolt",
    "twap": "rtds",
    "chainlink": "rtds",
    "binance": "rtds",
    "spot": "spot",
}


def printed(state: State, event: e.PricePrinted) -> list[Market] | None:
    """Take a report in if it can be believed; note how it was delivered; price every window anew."""
    connections.heard(state, event.feed or _FEED_OF_SOURCE[event.source], event)
    if not _has_its_turn(state, event):
        return None
    track = state.track(event.source, event.lookback_s)
    before = track.newest_s
    told = reports.take(track, event.ts_venue_ms, event.value, event)
    _note_delivery(state, track, told, event)
    if told == "restated" and event.ts_venue_ms % 1000 == 0:
        windows.restated(state, track, event.ts_venue_ms // 1000, event.value)
    if told not in ("new", "late") or event.source == "spot":
        return None
    if event.source == "chainlink" and before is not None and track.newest_s is not None:
        missing = track.newest_s - before - 1
        if missing > GAP_S:
            state.marks.append(Mark(event.ts_recv_ms, "gap", "", f"{missing} s never arrived"))
    return _prices_changed(state, event.source)


def _has_its_turn(state: State, event: e.PricePrinted | e.PriceHistoryServed) -> bool:
    """Say whether a raw second may be taken from the socket it came over; other sources have but one."""
    if event.source != "chainlink":
        return True
    if not event.feed:
        state.rtds_raw_ms = event.ts_recv_ms
        return True
    return event.ts_recv_ms - state.rtds_raw_ms > STANDS_IN_AFTER_MS


def _note_delivery(
    state: State, track: PriceTrack, told: Told | reports.Faulty, event: e.PricePrinted
) -> None:
    if told in reports.COUNTED:
        state.bad_prices[f"{event.source}: {told}"] += 1
    if told in ("new", "late"):
        lag_ms = event.ts_recv_ms - event.ts_venue_ms
        topic = state.topic(event.source, event.lookback_s)
        topic.heard(track, lag_ms, is_newest=told == "new")
    if event.ts_sent_ms is not None and told != "from the future":
        connections.stamped(state, event.ts_sent_ms, event)


def history_served(state: State, event: e.PriceHistoryServed) -> list[Market] | None:
    """Take in the past values that answer a subscription."""
    connections.heard(state, event.feed or _FEED_OF_SOURCE[event.source], event)
    if not _has_its_turn(state, event):
        return None
    track = state.track(event.source, event.lookback_s)
    for stamp_ms, value in event.points:
        told = reports.take(track, stamp_ms, value, event)
        # A history tells again what is known and what was missed: neither is a fault.
        if told in reports.COUNTED and told not in ("duplicate", "late"):
            state.bad_prices[f"{event.source}: {told}"] += 1
        if told == "restated" and stamp_ms % 1000 == 0:
            windows.restated(state, track, stamp_ms // 1000, value)
    return _prices_changed(state, event.source)


def _prices_changed(state: State, source: e.Source) -> list[Market] | None:
    if source not in ("polybolt", "twap", "chainlink"):
        return None
    chainlink = state.track("chainlink")
    if source == "chainlink":
        state.sigma_usd = sigma_usd(chainlink, state.params)
        state.sigma_seed_usd = _seed_sigma_usd(chainlink)
        state.watch_return = watch_return(chainlink, state.params)
    for market in state.markets.values():
        windows.capture(state, market)
        if source == "chainlink":
            reprice(state, market)
            _watch(state, market)
    return list(state.markets.values())


def live_on_spot(state: State) -> None:
    """Price every window anew while the settlement feed is silent, and watch by what spot did meanwhile."""
    state.watch_return = watch_return(health.spot_track(state), state.params)
    for market in state.markets.values():
        reprice(state, market)
        _watch(state, market)


def _seed_sigma_usd(track: PriceTrack) -> float | None:
    """Return the plain deviation over 60 s, for the comparison with the formula that most bots use."""
    if track.newest_s is None:
        return None
    steps, seconds = track.steps_in_order(track.newest_s - SEED_SPAN_S, track.newest_s)
    return deviation_of(steps, seconds) if steps else None


def reprice(state: State, market: Market) -> None:
    """Say anew what a window is expected to settle on."""
    rule = market.contract.rule
    if rule is None or state.sigma_usd is None:
        market.fair = None
        return
    track = state.track("chainlink")
    fair = expect_settlement(rule, market.contract.end_s, track, state.sigma_usd, state.params.memory)
    if fair is not None and state.fallback_since_ms is not None:
        # Living on spot: what is not fixed moves with it; where nobody knows how far, nothing is known.
        move = health.spot_move(state)
        fair = (
            None if move is None else fair._replace(mean_usd=fair.mean_usd + move * (1.0 - fair.locked_share))
        )
    market.fair = fair


def _watch(state: State, market: Market) -> None:
    """Watch an open window from the moment that a fresh return reaches the threshold."""
    is_open = market.contract.start_s * 1000 <= state.now_ms < market.contract.end_s * 1000
    if is_open and market.watched_at_ms is None and watch_fires(state.watch_return, state.params):
        market.watched_at_ms = state.now_ms
        text = f"{state.watch_return:+.3%} in {state.params.watch_window_s:g} s"
        state.marks.append(Mark(state.now_ms, "watch", market.contract.slug, text))
