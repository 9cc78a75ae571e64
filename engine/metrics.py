"""Metrics for Prometheus: what the newest snapshot says, and what adds up over snapshots and events.

Samples are made when somebody asks. Between two questions the engine pays for one comparison a snapshot, and
for two looks at a clock an event. Names: ``engine.metric_names``. What it does not know: alerts
(deploy/prometheus).
"""

import shutil
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from itertools import accumulate
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from engine import __version__
from engine.journal_read import journal_parts
from engine.kill import KillSwitch
from engine.metric_names import METRICS, PREFIX
from engine.metric_samples import ERRORS, REASONS, Sample, reason_of_close, samples
from engine.metric_server import served
from engine.raw import raw_segments
from engine.snapshot import OrderView, Snapshot

DECISION_BUCKETS_S: Final = (2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.05, 0.25)
"""Round a decision: the median is some 50 microseconds (docs/commands.md, benchmarks)."""

STAGE_BUCKETS_S: Final = (1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Up to ORDER_TIMEOUT_S and more; paper's own answer takes PAPER_LATENCY_MS and VENUE_HOLD_MS."""

ENDED: Final = ("filled", "partial", "killed", "denied", "rejected", "failed")
VERDICTS: Final = ("agrees", "within error", "outside error", "drift")
"""Told from the start, with 0: an increase from nothing is none."""

REMEMBERED: Final = 2_000
"""Orders and windows that are known as counted; a snapshot shows the last fifty of each."""

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """Counts by upper bound; noting one costs half a microsecond."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def note(self, value: float) -> None:
        """Take one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def samples(self, name: str, labels: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...], float]]:
        """Yield the samples of the exposition format; ``le`` is the last label."""
        heads = (*(f"{bound:g}" for bound in self.bounds), "+Inf")
        sums = list(accumulate(self.counts))
        for head, count in zip(heads, sums, strict=True):
            yield f"{name}_bucket", (*labels, head), count
        yield f"{name}_sum", labels, self.total
        yield f"{name}_count", labels, sums[-1]


class Meter:
    """What happens between two snapshots; the session's loop alone writes it."""

    def __init__(self) -> None:
        self.decisions = Histogram(DECISION_BUCKETS_S)
        self.closes: Counter[tuple[str, str]] = Counter()

    def decided(self, nanoseconds: int) -> None:
        """Note how long an event took that led to a decision."""
        self.decisions.note(nanoseconds / 1e9)

    def closed(self, feed: str, reason: str) -> None:
        """Count the end of a connection."""
        self.closes[feed, reason_of_close(reason)] += 1


class Tally:
    """What adds up over snapshots: ends, stages and results of orders, verdicts of windows, resyncs."""

    def __init__(self) -> None:
        self.orders: Counter[str] = Counter(dict.fromkeys(ENDED, 0))
        self.stages = {name: Histogram(STAGE_BUCKETS_S) for name in ("sign", "send", "answer")}
        self.verdicts: Counter[str] = Counter(dict.fromkeys(VERDICTS, 0))
        self.claimed_usd = self.realised_usd = 0.0
        self.resyncs = 0
        self._counted: dict[tuple[str, str], None] = {}
        self._resyncs: dict[tuple[str, str], int] = {}
        self._session = ""

    def take(self, snapshot: Snapshot) -> None:
        """Add what is new in a snapshot."""
        if snapshot.session != self._session:
            self._session, self._resyncs = snapshot.session, {}
        for order in snapshot.orders:
            if order.state in ENDED and self._is_new(order.order_id, order.state):
                self.orders[order.state] += 1
                self._note_stages(order)
            if order.settled_value is not None and self._is_new(order.order_id, "settled"):
                self._note_result(order, order.settled_value)
        for row in snapshot.settlements:
            if row.verdict in VERDICTS and self._is_new(row.slug, row.verdict):
                self.verdicts[row.verdict] += 1
        found = {
            (contract.slug, name): book.resyncs
            for contract in snapshot.contracts
            for name, book in (("up", contract.up), ("down", contract.down))
        }
        self.resyncs += sum(max(0, count - self._resyncs.get(key, 0)) for key, count in found.items())
        self._resyncs = found

    def _is_new(self, name: str, what: str) -> bool:
        if (name, what) in self._counted:
            return False
        self._counted[name, what] = None
        if len(self._counted) > REMEMBERED:
            del self._counted[next(iter(self._counted))]
        return True

    def _note_stages(self, order: OrderView) -> None:
        if order.state == "failed":
            return  # its stages were counted when it matched
        for name, taken_ms in (("sign", order.sign_ms), ("send", order.send_ms), ("answer", order.answer_ms)):
            if taken_ms is not None:
                self.stages[name].note(taken_ms / 1000)

    def _note_result(self, order: OrderView, value: float) -> None:
        price, shares = order.average_price, order.filled_shares
        if price is None or order.probability is None or order.side != "BUY":
            return
        self.claimed_usd += (order.probability - price) * shares - order.fee
        self.realised_usd += (value - price) * shares - order.fee


class Metrics(Collector):
    """Everything that is told of one engine, ready for whoever asks, from any thread."""

    def __init__(self, kill: KillSwitch, folder: Path) -> None:
        self.meter = Meter()
        self.tally = Tally()
        self.sessions: Callable[[], int] | None = None
        self.posts: Callable[[], dict[str, int]] | None = None
        self.certificate_ends_s: float | None = None
        self._kill = kill
        self._folder = folder
        self._latest: Snapshot | None = None
        self._taken_at = 0.0
        self._lock = threading.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def take(self, snapshot: Snapshot) -> None:
        """Take a snapshot from the engine's thread."""
        with self._lock:
            self.tally.take(snapshot)
        self._latest, self._taken_at = snapshot, time.monotonic()

    def exposition(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """Yield the families, in the order of ``METRICS``; those without a sample are left out."""
        families: dict[str, Family] = {}
        for name, labels, value in self._samples():
            base = next(one for one in (name, *_bases(name)) if one in METRICS)
            metric = METRICS[base]
            family = families.get(base)
            if family is None:
                family = families[base] = Family(
                    PREFIX + base.removesuffix("_total"), metric.meaning, metric.kind
                )
            told = (*metric.labels, "le") if name.endswith("_bucket") else metric.labels
            family.add_sample(PREFIX + name, dict(zip(told, labels, strict=True)), value)
        yield from (families[name] for name in METRICS if name in families)

    def _samples(self) -> Iterator[Sample]:
        yield Sample("kill_latched", (), float(self._kill.is_tripped()))
        if self.sessions is not None:
            yield Sample("sessions_connected", (), self.sessions())
        if self.certificate_ends_s is not None:
            yield Sample("tls_expiry_timestamp_seconds", (), self.certificate_ends_s)
        for result, count in (self.posts() if self.posts is not None else {}).items():
            yield Sample("alarm_posts_total", (result,), count)
        snapshot = self._latest
        if snapshot is None:
            return
        yield Sample("build_info", (__version__, snapshot.mode.venue, snapshot.mode.profile), 1)
        yield Sample("snapshot_age_seconds", (), time.monotonic() - self._taken_at)
        yield from samples(snapshot)
        with self._lock:
            yield from list(self._sums())
            yield from list(self._closes(snapshot))
        yield from self._sizes(snapshot.session)

    def _sums(self) -> Iterator[Sample]:
        meter, tally = self.meter, self.tally
        yield Sample("book_resyncs_total", (), tally.resyncs)
        yield from (Sample(*one) for one in meter.decisions.samples("decision_seconds", ()))
        for outcome, count in tally.orders.items():
            yield Sample("orders_total", (outcome,), count)
        for stage, histogram in tally.stages.items():
            yield from (Sample(*one) for one in histogram.samples("order_latency_seconds", (stage,)))
        for verdict, count in tally.verdicts.items():
            yield Sample("settlements_total", (verdict,), count)
        yield Sample("ev_claimed_dollars", (), tally.claimed_usd)
        yield Sample("ev_realised_dollars", (), tally.realised_usd)

    def _closes(self, snapshot: Snapshot) -> Iterator[Sample]:
        """Yield every end of every feed, also those that never came: an increase from nothing is none."""
        found = dict(self.meter.closes)
        feeds = {feed.name for feed in snapshot.feeds} | {pulse.name for pulse in snapshot.life.pulses}
        for feed in sorted(feeds | {feed for feed, _ in found}):
            for reason in (*REASONS, *ERRORS):
                yield Sample("feed_reconnects_total", (feed, reason), found.get((feed, reason), 0))

    def _sizes(self, session: str) -> Iterator[Sample]:
        journal = self._folder / "sessions" / f"{session}.sqlite"
        raw = [part for segment in raw_segments(journal) for part in journal_parts(segment)]
        yield Sample("raw_size_bytes", (), _size(raw))
        yield Sample("journal_size_bytes", (), _size(journal_parts(journal)))
        try:
            yield Sample("disk_free_bytes", (), shutil.disk_usage(self._folder).free)
        except OSError:
            return

    def served(self, host: str, port: int) -> AbstractContextManager[None]:
        """Answer Prometheus at an address as long as this lasts; port 0 is none."""
        return served(self._registry, host, port)


def _size(files: Iterable[Path]) -> int:
    """Return what files weigh together, bytes; what is not there, or goes meanwhile, weighs nothing."""
    total = 0
    for path in files:
        with suppress(OSError):
            total += path.stat().st_size
    return total


def _bases(name: str) -> list[str]:
    """Return the names of which a sample of a histogram may be."""
    return [name.removesuffix(end) for end in ("_bucket", "_sum", "_count") if name.endswith(end)]
