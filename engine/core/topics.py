"""How one stream of prices is delivered: how late, with what holes, and whether it stands still.

What it does not know: what the prices are for. Its values are in ``engine.core.prices``.
"""

from collections import deque
from decimal import Decimal
from typing import Final, Literal, NamedTuple, TypeAlias

from engine.core.prices import PriceTrack
from engine.params import Params
from engine.units import Milliseconds

LAGS_KEPT: Final = 300
SPAN_S: Final = 300
"""Seconds over which missing ones are counted."""

LATE_S: Final = 3.0
"""Silence worth a warning (fault catalogue, F1: warn at 3 s)."""

LATE_ARRIVAL_MS: Final = 5_000
"""A value that arrives so long after its second came late: 99.9 % of the recorded ones took under 3 s."""

LEAST_REPEATS: Final = 3
"""Repeats of a value before it is called frozen: a feed that is silent is stale, not frozen."""

UNSEEN_FACTOR: Final = 3
"""With no other source to see BTC move, a value has to stand still so many times longer to be called frozen:
on the recorded day none did for more than 4 s."""

TopicState: TypeAlias = Literal["fresh", "late", "stale", "frozen", "waiting"]


class Lags(NamedTuple):
    """Quantiles of receive time less the time a value is of, seconds."""

    p50_s: float
    p95_s: float
    p99_s: float


class Topic:
    """One stream's delivery.

    ``unmoved_since_s`` is the first second of the run of equal values that reaches to now; ``frozen_seconds``
    the seconds, of those kept, that were found frozen. ``lost`` counts frames that a numbering feed skipped.
    """

    __slots__ = ("_lags", "_last", "_repeats", "frozen_seconds", "is_frozen", "lost", "unmoved_since_s")

    def __init__(self) -> None:
        self._lags: deque[Milliseconds] = deque(maxlen=LAGS_KEPT)
        self._last: Decimal | None = None
        self._repeats = 0
        self.unmoved_since_s: int | None = None
        self.is_frozen = False
        self.frozen_seconds: deque[int] = deque(maxlen=1_080)
        self.lost = 0

    def heard(self, track: PriceTrack, lag_ms: Milliseconds, *, is_newest: bool) -> None:
        """Note a live report that its track took in.

        Args:
            track: The stream's values, this one among them.
            lag_ms: Receive time less the time it is of.
            is_newest: Whether it is of a later second than all before.
        """
        self._lags.append(lag_ms)
        if not is_newest or track.newest_s is None:
            return
        value = track.newest()
        self._repeats += 1
        if self.unmoved_since_s is None or value != self._last:
            self.unmoved_since_s, self._repeats = track.newest_s, 0
        self._last = value

    def look(self, track: PriceTrack, other: PriceTrack, params: Params, now_ms: Milliseconds) -> bool:
        """Say whether the stream is frozen: alive, and without a move while another source moves.

        Args:
            track: The stream's values.
            other: A source to compare with; it may be empty.
            params: ``frozen_s``, and ``price_stale_s``: one that is silent for longer is stale instead, for
                what is silent could never be seen to move again.
            now_ms: Time.
        Returns:
            Whether that changed since the last look.
        """
        before = self.is_frozen
        since, newest = self.unmoved_since_s, track.newest_s
        still_s = 0 if since is None or newest is None else newest - since
        self.is_frozen = False
        is_alive = self._repeats >= LEAST_REPEATS and not is_silent(track, params, now_ms)
        if is_alive and since is not None and newest is not None and still_s >= params.frozen_s:
            then, now = other.at_or_before(since, 5), other.at_or_before(newest, 5)
            seen_moving = then is not None and now is not None and then != now
            self.is_frozen = seen_moving or still_s >= params.frozen_s * UNSEEN_FACTOR
        if self.is_frozen and newest is not None:
            first = self.frozen_seconds[-1] + 1 if before and self.frozen_seconds else since or newest
            self.frozen_seconds.extend(range(max(first, newest - 60), newest + 1))
        return before != self.is_frozen

    def lags(self) -> Lags | None:
        """Return the quantiles of the last reports, None before the first."""
        if not self._lags:
            return None
        ordered = sorted(self._lags)
        last = len(ordered) - 1
        return Lags(*(ordered[round(last * share)] / 1000 for share in (0.5, 0.95, 0.99)))


def is_silent(track: PriceTrack, params: Params, now_ms: Milliseconds) -> bool:
    """Say whether a stream told nothing new for longer than ``price_stale_s``."""
    return track.arrived_ms is None or now_ms - track.arrived_ms > params.price_stale_s * 1000


def missing_of(track: PriceTrack) -> int:
    """Count the seconds of the last five minutes that never arrived, from the first one known."""
    newest = track.newest_s
    if newest is None:
        return 0
    points = track.between(newest - SPAN_S + 1, newest)
    return newest - points[0][0] + 1 - len(points)


def coverage_of(track: PriceTrack, topic: Topic, first_s: int, last_s: int, now_ms: Milliseconds) -> str:
    """Write what became of each second, a letter each (``ContractView.coverage``).

    Args:
        track: The stream's values.
        topic: Its delivery.
        first_s: First second of the window.
        last_s: Last second to write, at most now.
        now_ms: Time.
    Returns:
        ``p`` present, ``l`` late, ``f`` frozen, ``m`` missing, ``w`` may still come; a letter each second.
    """
    frozen = set(topic.frozen_seconds)
    letters = []
    for second in range(first_s, last_s + 1):
        arrived = track.arrival_of(second)
        if arrived is None:
            letters.append("w" if now_ms - second * 1000 <= LATE_ARRIVAL_MS else "m")
        elif second in frozen:
            letters.append("f")
        else:
            letters.append("l" if arrived - second * 1000 > LATE_ARRIVAL_MS else "p")
    return "".join(letters)
