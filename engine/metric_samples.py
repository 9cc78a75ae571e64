"""From a snapshot to samples of metrics: name, values of the labels, number. Unknown is left out, never 0.

What it does not know: what an earlier snapshot said (``engine.metrics`` adds up), how samples are served.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, get_args

from engine.core.decide import GATE_NAMES
from engine.core.reports import COUNTED
from engine.events import Source
from engine.snapshot import ContractView, ModeWord, Snapshot

REASONS: Final = (
    "closed by the venue", "connection lost", "half-open", "not understood", "not wanted", "other",
    "refused by the venue", "refused with HTTP", "silent",
)  # fmt: skip
"""Why a connection ends, in our own words."""

ERRORS: Final = (
    "ConnectError", "ConnectTimeout", "ConnectionRefusedError", "ConnectionResetError", "InvalidHandshake",
    "InvalidMessage", "OSError", "ProxyError", "ReadError", "ReadTimeout", "RemoteProtocolError",
    "SSLCertVerificationError", "SSLError", "TimeoutError", "gaierror",
)  # fmt: skip
"""And by the name of the error, as Python and the libraries have it; any other counts as "other"."""

BEGUN_DECISIONS: Final = dict.fromkeys((*GATE_NAMES.values(), "trade"), 0)
BEGUN_PRICES: Final = {f"{source}: {told}": 0 for source in get_args(Source) for told in sorted(COUNTED)}
"""Told from the start, with 0: the increase of a series that begins at 1 leaves the first one out."""


class Sample(NamedTuple):
    """One number. ``labels`` are in the order of ``engine.metric_names``."""

    name: str
    labels: tuple[str, ...]
    value: float


def samples(snapshot: Snapshot) -> Iterator[Sample]:
    """Yield everything that one snapshot tells."""
    for name, labels, value in (
        *_engine(snapshot),
        *_feeds(snapshot),
        *_topics(snapshot),
        *_books(snapshot),
        *_money(snapshot),
        *_stops(snapshot),
    ):
        if value is not None:
            yield Sample(name, labels, float(value))


_Loose = Iterator[tuple[str, tuple[str, ...], float | None]]


def _engine(snapshot: Snapshot) -> _Loose:
    for mode in get_args(ModeWord):
        yield "mode", (mode,), snapshot.mode.mode == mode
    yield "uptime_seconds", (), snapshot.uptime_s
    yield "events_total", (), snapshot.seq
    life = snapshot.life
    for stat, lag_ms in (
        ("p50", life.loop_p50_ms),
        ("p99", life.loop_p99_ms),
        ("worst", life.loop_worst_ms),
    ):
        yield "inbox_lag_seconds", (stat,), _seconds(lag_ms)
    yield "behind", (), bool(snapshot.mode.behind_why)
    yield "clock_skew_seconds", (), _seconds(snapshot.clock.skew_ms)
    yield "clock_ok", (), snapshot.clock.ok
    yield "journal_lag_seconds", (), _seconds(snapshot.journal_lag_ms)
    yield "raw_lag_seconds", (), _seconds(life.raw_lag_ms)
    yield "order_heartbeat_age_seconds", (), life.order_beat_age_s


def _feeds(snapshot: Snapshot) -> _Loose:
    for feed in snapshot.feeds:
        yield "feed_connected", (feed.name,), feed.connected
        yield "feed_stale", (feed.name,), feed.stale
        yield "feed_age_seconds", (feed.name,), feed.age_s
        yield "feed_frames_total", (feed.name,), feed.frames
        yield "feed_refused_frames_total", (feed.name,), feed.refused
    for pulse in snapshot.life.pulses:
        yield "feed_pong_seconds", (pulse.name,), _seconds(pulse.pong_ms)


def _topics(snapshot: Snapshot) -> _Loose:
    for topic in snapshot.topics:
        yield "topic_fresh", (topic.name,), topic.state == "fresh"
        yield "topic_age_seconds", (topic.name,), topic.age_s
        for stat, lag_s in (("p50", topic.lag_p50_s), ("p95", topic.lag_p95_s), ("p99", topic.lag_p99_s)):
            yield "topic_lag_seconds", (topic.name, stat), lag_s
        yield "topic_missing_seconds", (topic.name,), topic.missing
        yield "topic_lost_frames_total", (topic.name,), topic.lost
    for reason, count in (BEGUN_PRICES | snapshot.bad_prices).items():
        yield "bad_prices_total", (reason,), count
    apart_bp = snapshot.divergence_bp
    yield "divergence_ratio", (), None if apart_bp is None else apart_bp / 10_000
    yield "fallback_active", (), snapshot.mode.reduced_trading_confidence


def running(snapshot: Snapshot) -> Iterator[tuple[str, ContractView]]:
    """Yield the windows that run now, by their length: names of windows would be new series for ever."""
    for contract in snapshot.contracts:
        if contract.start_s * 1000 <= snapshot.now_ms < contract.end_s * 1000:
            yield f"{(contract.end_s - contract.start_s) // 60}m", contract


def _books(snapshot: Snapshot) -> _Loose:
    for window, contract in running(snapshot):
        for outcome, book in (("up", contract.up), ("down", contract.down)):
            yield "book_live", (window, outcome), book.state == "live"
            yield "book_touch_age_seconds", (window, outcome), book.age_s
    for reason, count in (BEGUN_DECISIONS | snapshot.decisions).items():
        yield "decisions_total", (reason,), count


def _money(snapshot: Snapshot) -> _Loose:
    money, account = snapshot.money, snapshot.account
    yield "pnl_dollars", ("session",), money.realised
    yield "pnl_dollars", ("day",), money.realised_today
    yield "fees_dollars_total", (), money.fees
    yield "fills_total", (), money.trades
    yield "open_cost_dollars", (), money.open_cost
    yield "free_dollars", (), account.free_usd
    yield "orders_in_flight", (), account.in_flight
    yield "orders_unknown", (), account.unknown
    for limit in account.used:
        if limit.name == "exposure":
            yield "exposure_dollars", (), limit.used
        unit = "dollars" if limit.unit == "$" else "trades"
        yield f"limit_{unit}", (limit.name,), limit.limit
        yield f"limit_left_{unit}", (limit.name,), None if limit.limit is None else limit.limit - limit.used


def _stops(snapshot: Snapshot) -> _Loose:
    mode, account = snapshot.mode, snapshot.account
    yield "halted", (), mode.halted_why is not None
    for breaker in mode.breakers:
        yield "breaker_tripped", (breaker,), 1
    yield "armed", (), account.armed
    yield "paused", (), bool(account.paused_why)
    yield "restricted", (), account.restriction != "none"
    counts: dict[str, int] = {}
    for name in account.alarms:
        kind = kind_of_alarm(name)
        counts[kind] = counts.get(kind, 0) + 1
    for kind, count in counts.items():
        yield "alarm_active", (kind,), count


def kind_of_alarm(name: str) -> str:
    """Return an alarm's name without the window that it is about."""
    return name.partition(" btc-")[0]


def reason_of_close(text: str) -> str:
    """Return one of few names for why a connection ended: texts with figures in them are without end."""
    text = text.removeprefix("stopped: ")
    for start, name in (
        ("refused with HTTP", "refused with HTTP"),
        ("HTTP ", "refused with HTTP"),
        ("closed by the venue", "closed by the venue"),
        ("closed:", "connection lost"),
        ("half-open", "half-open"),
        ("more than", "not understood"),
        ("refused by the venue", "refused by the venue"),
        ("no token is wanted", "not wanted"),
        ("subscribed and heard nothing", "silent"),
    ):
        if text.startswith(start):
            return name
    if "silent for" in text:
        return "silent"
    kind = text.partition(":")[0]
    return kind if kind in ERRORS else "other"


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
