"""What is worth an alarm: told from one snapshot to the next, each once, and the day summed up.

What it does not know: how an alarm reaches somebody (``engine.run.alarm_post``).
"""

import time
from collections import Counter
from collections.abc import Container, Iterator
from datetime import UTC, datetime
from typing import Final

from engine.metric_samples import kind_of_alarm
from engine.metrics import ENDED
from engine.run.alarm_post import Alarm
from engine.snapshot import SettlementView, Snapshot

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
SURELY_MS: Final = 1_000.0
"""A smaller skew may be allowed (MAX_CLOCK_SKEW_MS), and the stamps on what arrives be the reason."""

KINDS: Final[dict[str, str]] = {
    "halt": "The engine halted, or a breaker tripped: nothing is bought until somebody acts",
    "kill": "The kill switch was tripped, or cleared",
    "unknown order": "Nobody knows what became of an order; it counts as spent until the venue says",
    "settlement drift": "A price or outcome of ours that was called exact is not the venue's: it halts",
    "stuck redeem": "Winning shares are not paid out: redeem them on the venue's page",
    "account": (
        "Another alarm of the account: shares that differ, ghost fills, orders that never fill, windows that "
        "do not settle"
    ),
    "clock": "This machine's clock is wrong: set it (NTP); nothing is bought meanwhile",
    "certificate": "TLS_CERT_FILE has expired, or will within a week",
    "daily summary": "Profit, orders, windows and what stood in the way since the last summary",
    "test": "Somebody pressed the button on the page Health",
}
"""Every kind, with what it means; docs/alarms.md has the table."""


class AlarmWatch:
    """Compare each snapshot with what was told before."""

    def __init__(self, summary_hour: int) -> None:
        """Begin.

        Args:
            summary_hour: Hour of the day, UTC, of the summary.
        """
        self._hour_ms = summary_hour * HOUR_MS
        self._told: dict[tuple[str, str], None] = {}
        self._killed = False
        self._base: Snapshot | None = None
        self._count = _Count(0)

    def halted(self, why: str) -> Alarm:
        """Return the alarm of a halt at once: there may be no snapshot any more."""
        self._told["halt", why] = None
        return Alarm("halt", why, time.time_ns() // 1_000_000, why)

    @property
    def standing(self) -> Container[tuple[str, str]]:
        """Kind and ``about`` of each alarm whose cause was there when last looked."""
        return self._told

    def take(self, snapshot: Snapshot) -> list[Alarm]:
        """Return the alarms that a snapshot brings."""
        base = self._base
        if base is None or base.session != snapshot.session:
            self._base = base = snapshot
            self._count = _Count(snapshot.now_ms)
            # What the venue's past says of windows before us is known; it is no news.
            self._told |= {("settlement drift", slug): None for slug in _drifts(snapshot)}
        standing = {(alarm.kind, alarm.about): alarm for alarm in _standing(snapshot)}
        fresh = [alarm for key, alarm in standing.items() if key not in self._told]
        self._told = dict.fromkeys(standing)
        mode = snapshot.mode
        if mode.kill_latched is not self._killed and (mode.kill_who or not mode.kill_latched):
            self._killed = mode.kill_latched
            fresh.append(_kill(snapshot))
        self._count.take(snapshot)
        if _day(snapshot, self._hour_ms) > _day(base, self._hour_ms):
            fresh.append(_summary(base, snapshot, self._count))
            self._base = snapshot
            self._count.begin_anew(snapshot)
        return fresh


class _Count:
    """Orders that ended and windows that settled since the last summary: a snapshot shows the last fifty."""

    def __init__(self, begun_ms: int) -> None:
        """Begin; what is older than that, on the engine's clock, is of an earlier session."""
        self._begun_ms = begun_ms
        self._orders: dict[str, str] = {}
        self._windows: dict[str, SettlementView] = {}
        self._told: frozenset[str] = frozenset()

    def take(self, snapshot: Snapshot) -> None:
        """Add what is new in a snapshot."""
        for order in snapshot.orders:
            if order.state in ENDED and order.at_ms >= self._begun_ms and order.order_id not in self._told:
                self._orders[order.order_id] = order.state
        for row in snapshot.settlements:
            settled = row.verdict != "waiting" and row.end_s * 1000 > self._begun_ms
            if settled and row.slug not in self._told:
                self._windows[row.slug] = row

    def begin_anew(self, snapshot: Snapshot) -> None:
        """Count from here on; what was counted, and is shown still, is not counted again."""
        shown = {order.order_id for order in snapshot.orders} | {row.slug for row in snapshot.settlements}
        self._told = (self._told | self._orders.keys() | self._windows.keys()) & shown
        self._orders, self._windows = {}, {}

    def words(self) -> str:
        """Say how many of each, and how they ended."""
        traded = sum(row.traded for row in self._windows.values())
        verdicts: Counter[str] = Counter(row.verdict for row in self._windows.values())
        orders = f"orders {len(self._orders)}{_counted(Counter(self._orders.values()))}"
        return f"{orders}; windows {len(self._windows)}, traded {traded}{_counted(verdicts)}"


def _counted(counts: Counter[str]) -> str:
    return " (" + ", ".join(f"{count} {name}" for name, count in counts.most_common()) + ")" if counts else ""


def _standing(snapshot: Snapshot) -> Iterator[Alarm]:
    """Yield what is wrong now."""
    at_ms, mode = snapshot.wall_ms, snapshot.mode
    if mode.halted_why is not None:
        yield Alarm("halt", mode.halted_why, at_ms, mode.halted_why)
    for order in snapshot.orders:
        if order.state == "unknown":
            text = f"order {order.order_id} of {order.slug} ({order.usd:g} $): {order.reason}"
            yield Alarm("unknown order", text, at_ms, order.order_id, order.slug, order.order_id)
    for slug in _drifts(snapshot):
        yield Alarm("settlement drift", f"{slug}: see the page Settlement truth", at_ms, slug, slug)
    for name, why in snapshot.account.alarms.items():
        kind = "stuck redeem" if kind_of_alarm(name) == "stuck redeem" else "account"
        yield Alarm(kind, f"{name}: {why}", at_ms, name)
    if snapshot.clock.ok is False:
        yield Alarm("clock", f"{_clock(snapshot.clock.skew_ms)}: set it by NTP, nothing is bought", at_ms)


def _clock(skew_ms: float | None) -> str:
    """Say what is wrong with the clock; the stamps on what arrives are the second witness of it."""
    if skew_ms is None:
        return "what arrives is stamped in the future: this machine's clock is behind"
    said = f"this machine's clock is off by {skew_ms / 1000:+,.1f} s"
    return said if abs(skew_ms) >= SURELY_MS else f"{said}, or what arrives is stamped in the future"


def _drifts(snapshot: Snapshot) -> list[str]:
    return [row.slug for row in snapshot.settlements if row.verdict == "drift"]


def _kill(snapshot: Snapshot) -> Alarm:
    mode = snapshot.mode
    if mode.kill_latched:
        return Alarm("kill", f"tripped by {mode.kill_who}: {mode.kill_why}", snapshot.wall_ms, "tripped")
    return Alarm("kill", "cleared", snapshot.wall_ms, "cleared")


def _day(snapshot: Snapshot, hour_ms: int) -> int:
    return (snapshot.wall_ms - hour_ms) // DAY_MS


def _summary(base: Snapshot, snapshot: Snapshot, count: _Count) -> Alarm:
    """Sum up what came between two snapshots of one session."""
    since = datetime.fromtimestamp(base.wall_ms / 1000, UTC)
    money, before = snapshot.money, base.money
    decided = Counter(snapshot.decisions)
    decided.subtract(base.decisions)
    refused = [(name, count) for name, count in decided.most_common() if name != "trade" and count > 0]
    parts = [
        f"since {since:%Y-%m-%d %H:%M} UTC: P&L {money.realised - before.realised:+,.2f} $",
        f"fees {money.fees - before.fees:,.2f} $, fills {money.trades - before.trades}",
        count.words(),
        f"open {money.open_cost:,.2f} $, mode {snapshot.word}",
    ]
    if refused:
        parts.append(f"most often in the way: {refused[0][0]}")
    if snapshot.account.alarms:
        parts.append(f"alarms that stand: {', '.join(snapshot.account.alarms)}")
    return Alarm("daily summary", "; ".join(parts), snapshot.wall_ms, f"{since:%Y-%m-%d %H}")
