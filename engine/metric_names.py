"""Every metric by name: what kind it is, what it means, what tells its series apart (docs/metrics.md).

Names and units are Prometheus's conventions: base units (seconds, bytes), ``_total`` for what only grows,
``_ratio`` for shares; money is in dollars, and ages are on the engine's clock. What it does not know: values.
"""

from typing import Final, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["gauge", "counter", "histogram"]


class Metric(NamedTuple):
    """One metric."""

    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()


PREFIX: Final = "updown_"

METRICS: Final[dict[str, Metric]] = {
    # the engine
    "build_info": Metric("gauge", "Always 1; the labels say what runs", ("version", "venue", "profile")),
    "mode": Metric(
        "gauge", "1 for the mode of the banner: PRACTICE, PAPER, LIVE, HALTED or KILLED", ("mode",)
    ),
    "uptime_seconds": Metric("gauge", "Since the session opened"),
    "snapshot_age_seconds": Metric("gauge", "Since the engine last spoke; above 1.5 it is unwell"),
    "events_total": Metric("counter", "Events that were numbered"),
    "inbox_lag_seconds": Metric(
        "gauge", "Lateness of the engine's loop, where frames are read, over the last minute", ("stat",)
    ),
    "behind": Metric("gauge", "1 while the engine is behind its feeds and buys nothing"),
    "clock_skew_seconds": Metric("gauge", "Our clock less the venue's"),
    "clock_ok": Metric("gauge", "1 while our clock is within MAX_CLOCK_SKEW_MS"),
    # feeds and prices
    "feed_connected": Metric("gauge", "1 while the connection is open", ("feed",)),
    "feed_stale": Metric("gauge", "1 while it is down, or silent for too long", ("feed",)),
    "feed_age_seconds": Metric("gauge", "Since its last data", ("feed",)),
    "feed_frames_total": Metric("counter", "Frames that held something", ("feed",)),
    "feed_refused_frames_total": Metric("counter", "Frames that could not be read", ("feed",)),
    "feed_reconnects_total": Metric(
        "counter", "Connections that ended, and were made anew, by why they ended", ("feed", "reason")
    ),
    "feed_pong_seconds": Metric("gauge", "From the last ping to its pong", ("feed",)),
    "topic_fresh": Metric("gauge", "1 while its state is fresh", ("topic",)),
    "topic_age_seconds": Metric("gauge", "Since its last value", ("topic",)),
    "topic_lag_seconds": Metric(
        "gauge", "Arrival less the time a value is of, over the last 300", ("topic", "stat")
    ),
    "topic_missing_seconds": Metric("gauge", "Seconds of the last 300 that never came: the gaps", ("topic",)),
    "topic_lost_frames_total": Metric("counter", "Frames that a numbering feed skipped", ("topic",)),
    "bad_prices_total": Metric("counter", "Reports of prices that were refused or came late", ("reason",)),
    "divergence_ratio": Metric("gauge", "Spot less settlement feed, as a share of the price"),
    "fallback_active": Metric("gauge", "1 while the engine lives on spot, with reduced confidence"),
    # books; of the windows that run now
    "book_live": Metric("gauge", "1 while the book may be traded on", ("window", "outcome")),
    "book_touch_age_seconds": Metric("gauge", "Since the book last changed", ("window", "outcome")),
    "book_resyncs_total": Metric("counter", "Times that a rebuilt book was doubted and asked for again"),
    # decisions and orders
    "decision_seconds": Metric("histogram", "From an event in hand to its decisions"),
    "decisions_total": Metric("counter", "Decisions by reason; `trade`: every gate passed", ("reason",)),
    "orders_total": Metric(
        "counter", "Orders by how they ended; one that failed later counts twice", ("outcome",)
    ),
    "orders_in_flight": Metric("gauge", "Orders whose end is not known"),
    "orders_unknown": Metric("gauge", "Of those, the ones that nobody knows the fate of"),
    "order_latency_seconds": Metric(
        "histogram", "Wall time of a stage: sign, send (to the first byte), answer", ("stage",)
    ),
    "order_heartbeat_age_seconds": Metric("gauge", "Since the venue took an order heartbeat"),
    # money
    "ev_claimed_dollars": Metric("gauge", "What settled orders promised when they filled, after fee"),
    "ev_realised_dollars": Metric("gauge", "What the same orders came to"),
    "pnl_dollars": Metric("gauge", "Realised profit, of the session or the UTC day", ("span",)),
    "fees_dollars_total": Metric("counter", "Fees paid in this session"),
    "fills_total": Metric("counter", "Trades of this session"),
    "exposure_dollars": Metric("gauge", "At stake in open windows"),
    "open_cost_dollars": Metric("gauge", "Paid for what is still held"),
    "free_dollars": Metric("gauge", "Balance that no order under way may take"),
    "limit_dollars": Metric("gauge", "A limit in dollars, as it is in force", ("limit",)),
    "limit_trades": Metric("gauge", "A limit in orders, as it is in force", ("limit",)),
    "limit_left_dollars": Metric("gauge", "What is left of it", ("limit",)),
    "limit_left_trades": Metric("gauge", "What is left of it", ("limit",)),
    "settlements_total": Metric(
        "counter", "Windows by how our prices compared with the venue's", ("verdict",)
    ),
    # what stops trading
    "kill_latched": Metric("gauge", "1 while the kill switch is tripped; read from its file"),
    "halted": Metric("gauge", "1 while the engine is halted or a breaker is tripped"),
    "breaker_tripped": Metric("gauge", "1 for a breaker that is tripped", ("breaker",)),
    "armed": Metric("gauge", "1 while live orders may leave; absent on paper"),
    "paused": Metric("gauge", "1 while an operator has paused trading"),
    "restricted": Metric("gauge", "1 while the venue takes no orders of ours"),
    "alarm_active": Metric("gauge", "Alarms that stand, by kind", ("alarm",)),
    "alarm_posts_total": Metric("counter", "Webhook posts: sent, failed, dropped or held back", ("result",)),
    # recorder, machine, console
    "journal_lag_seconds": Metric("gauge", "Age of the oldest event that is not on the disk"),
    "journal_size_bytes": Metric("gauge", "This session's journal"),
    "raw_lag_seconds": Metric("gauge", "Age of the oldest raw frame that is not on the disk"),
    "raw_size_bytes": Metric("gauge", "This session's raw frames"),
    "disk_free_bytes": Metric("gauge", "Room beside the data folder"),
    "sessions_connected": Metric("gauge", "Tabs of the console"),
    "tls_expiry_timestamp_seconds": Metric("gauge", "When TLS_CERT_FILE ends, Unix time"),
}

PROCESS: Final = (
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
)
"""What the client library tells of the process, on Linux."""


def markdown() -> str:
    """Write the table of ``docs/metrics.md``."""
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for name, metric in METRICS.items():
        labels = " ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{PREFIX}{name}` | {metric.kind} | {labels} | {metric.meaning} |")
    return "\n".join(lines) + "\n"
