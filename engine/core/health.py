"""May the feeds be believed right now? Fallback, frozen feeds, clock, divergence, backlog.

What it does not know: markets and money. Each answer is a gate of every market (``engine.core.risk``).
"""

from typing import Final, NamedTuple

from engine.core.prices import PriceTrack
from engine.core.state import State
from engine.core.topics import is_silent
from engine.events import Source
from engine.params import Params
from engine.snapshot import Mark
from engine.units import Milliseconds

DELIVERY_MS: Final = 4_000
"""How old a value may be on arrival: 99.9 % of the recorded ones were under 3 s."""

DIVERGENCE_REACH_S: Final = 10
"""How many seconds back spot is looked for when the settlement feed fell silent."""

NEAR_S: Final = (0, -1, 1, -2, 2, -3, 3)
"""Seconds round one of the settlement feed in which spot is looked for to compare, the nearest first."""

CLOCK_STALE_MS: Final = 600_000
"""A measurement of the clock says nothing of now after ten minutes; it is taken every quarter of a minute."""


_CHAINLINK: Final[tuple[Source, int]] = ("chainlink", 0)
_BINANCE: Final[tuple[Source, int]] = ("binance", 0)
_SPOT: Final[tuple[Source, int]] = ("spot", 0)
"""Tracks that every state has from its beginning: at each decision they are looked up, not asked for."""


class Divergence(NamedTuple):
    """Spot less Chainlink at the newest second of Chainlink."""

    usd: float
    bp: float
    second: int


def price_is_fresh(state: State) -> bool:
    """Say whether the raw settlement feed told something new within the threshold, and something recent."""
    return _is_fresh(state.tracks[_CHAINLINK], state.now_ms, state.params)


def spot_is_fresh(state: State) -> bool:
    """Say whether a spot source is alive."""
    return any(_is_fresh(state.track(source), state.now_ms, state.params) for source in ("spot", "binance"))


def look(state: State) -> None:
    """Notice, once a second, what began and what ended: fallback and frozen streams."""
    _look_for_frozen(state)
    fresh = price_is_fresh(state)
    ever = state.track("chainlink").newest_s is not None
    if state.fallback_since_ms is None:
        if state.params.use_fallback and ever and not fresh and spot_is_fresh(state):
            state.fallback_since_ms = state.now_ms
            text = "settlement feed stale: living on spot, reduced_trading_confidence=true"
            state.marks.append(Mark(state.now_ms, "fallback", "", text))
    elif fresh or not spot_is_fresh(state):
        state.fallback_since_ms = None
        text = "settlement feed is back" if fresh else "spot is stale too"
        state.marks.append(Mark(state.now_ms, "fallback", "", f"fallback ended: {text}"))


def orders_in_fallback(state: State) -> bool:
    """Say whether the engine lives on spot and may send orders meanwhile, as the operator set it."""
    return state.fallback_since_ms is not None and state.params.orders_in_fallback > 0.0


def spot_track(state: State) -> PriceTrack:
    """Return the source that shows BTC move beside the settlement feed: the exchange's own ticker, or Binance
    as RTDS relays it where that one is fresh and the ticker is not."""
    spot, binance = state.tracks[_SPOT], state.tracks[_BINANCE]
    if _is_fresh(spot, state.now_ms, state.params) or not _is_fresh(binance, state.now_ms, state.params):
        return spot if spot.newest_s is not None else binance
    return binance


def spot_move(state: State) -> float | None:
    """Return how far spot moved, in dollars, since the newest second of the settlement feed.

    None where no one source knows both moments.
    """
    newest, spot = state.track("chainlink").newest_s, spot_track(state)
    if newest is None or spot.newest_s is None or not _is_fresh(spot, state.now_ms, state.params):
        return None
    then, now = spot.at_or_before(newest, DIVERGENCE_REACH_S), spot.dollars(spot.newest_s)
    return None if then is None or now is None else now - then


def divergence(state: State) -> Divergence | None:
    """Compare spot with the newest second of the settlement feed; None where spot is not near that second."""
    near = _near(state.tracks[_CHAINLINK], spot_track(state))
    if near is None:
        return None
    ours, theirs, newest = near
    return Divergence(theirs - ours, (theirs - ours) / ours * 10_000, newest)


def _near(chainlink: PriceTrack, spot: PriceTrack) -> tuple[float, float, int] | None:
    """Return Chainlink's newest price, spot's nearest to it, and Chainlink's second."""
    newest = chainlink.newest_s
    if newest is None or spot.newest_s is None:
        return None
    ours = chainlink.dollars(newest)
    if ours is None:
        return None
    for offset in NEAR_S:
        theirs = spot.dollars(newest + offset)
        if theirs is not None:
            return ours, theirs, newest
    return None


def diverges(state: State) -> bool:
    """Say whether spot and the settlement feed lie further apart than may be.

    With a spot source that ever spoke, not knowing is a reason too; without one there is nothing to compare.
    """
    spot = spot_track(state)
    near = _near(state.tracks[_CHAINLINK], spot)
    if near is None:
        return spot.newest_s is not None
    ours, theirs, _ = near
    return abs((theirs - ours) / ours * 10_000) > state.params.max_divergence_bp


def clock_is_right(state: State) -> bool | None:
    """Say whether our clock is near the venue's; None before it was measured.

    Two witnesses: the last measurement, and the stamps on what arrives, none of which can be of the future.
    """
    limit = state.params.max_clock_skew_ms
    least = state.least_lag_ms
    if least is not None and least < -limit:
        return False
    measured = state.clock
    if measured is None or state.now_ms - measured.ts_recv_ms > CLOCK_STALE_MS:
        return None
    return abs(measured.skew_ms) <= limit


def venue_ms(state: State) -> float:
    """Return the venue's time, by the last measurement of our clock: a window ends by it, not by ours."""
    measured = state.clock
    if measured is None or state.now_ms - measured.ts_recv_ms > CLOCK_STALE_MS:
        return state.now_ms
    return state.now_ms - measured.skew_ms


def _is_fresh(track: PriceTrack, now_ms: Milliseconds, params: Params) -> bool:
    if track.arrived_ms is None or track.newest_s is None:
        return False
    limit_ms = params.price_stale_s * 1000
    is_recent = now_ms - track.newest_s * 1000 <= limit_ms + DELIVERY_MS
    return is_recent and now_ms - track.arrived_ms <= limit_ms


def _look_for_frozen(state: State) -> None:
    for (source, lookback_s), topic in state.topics.items():
        track = state.track(source, lookback_s)
        other = state.track("chainlink") if source in ("spot", "binance") else spot_track(state)
        if topic.look(track, other, state.params, state.now_ms):
            name = f"{source} {lookback_s} s" if lookback_s else source
            if topic.is_frozen:
                what = "stands still"
            else:
                silent = is_silent(track, state.params, state.now_ms)
                what = "is silent, no longer frozen" if silent else "moves again"
            state.marks.append(Mark(state.now_ms, "frozen", "", f"{name} {what}"))
