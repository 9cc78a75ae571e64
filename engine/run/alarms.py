"""What is worth an alarm: told from one snapshot to the next, each once, and the day summed up.

What it does not know: how an alarm reaches somebody (``engine.run.alarm_post``).
"""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from engine.metric_samples import kind_of_alarm
from engine.run.alarm_post import Alarm
from engine.snapshot import Snapshot

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

    def halted(self, why: str) -> Alarm:
        """Return the alarm of a halt at once: there may be no snapshot any more."""
        self._told["halt", why] = None
        return Alarm("halt", why, time.time_ns() // 1_000_000, why)

    def take(self, snapshot: Snapshot) -> list[Alarm]:
        """Return the alarms that a snapshot brings."""
        base = self._base
        if base is None or base.session != snapshot.session:
            self._base = base = snapshot
            # What the venue's past says of windows before us is known; it is no news.
            self._told |= {("settlement drift", slug): None for slug in _drifts(snapshot)}
        standing = {(alarm.kind, alarm.about): alarm for alarm in _standing(snapshot)}
        fresh = [alarm for key, alarm in standing.items() if key not in self._told]
        self._told = dict.fromkeys(standing)
        mode = snapshot.mode
        if mode.kill_latched is not self._killed and (mode.kill_who or not mode.kill_latched):
            self._killed = mode.kill_latched
            fresh.append(_kill(snapshot))
        if _day(snapshot, self._hour_ms) > _day(base, self._hour_ms):
            fresh.append(_summary(base, snapshot))
            self._base = snapshot
        return fresh


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


def _summary(base: Snapshot, snapshot: Snapshot) -> Alarm:
    """Sum up what came between two snapshots of one session."""
    since = datetime.fromtimestamp(base.wall_ms / 1000, UTC)
    money, before = snapshot.money, base.money
    decided = Counter(snapshot.decisions)
    decided.subtract(base.decisions)
    refused = [(name, count) for name, count in decided.most_common() if name != "trade" and count > 0]
    parts = [
        f"since {since:%Y-%m-%d %H:%M} UTC: P&L {money.realised - before.realised:+,.2f} $",
        f"fees {money.fees - before.fees:,.2f} $, fills {money.trades - before.trades}",
        f"open {money.open_cost:,.2f} $, mode {snapshot.mode.mode}",
    ]
    if refused:
        parts.append(f"most often in the way: {refused[0][0]}")
    if snapshot.account.alarms:
        parts.append(f"alarms that stand: {', '.join(snapshot.account.alarms)}")
    return Alarm("daily summary", "; ".join(parts), snapshot.wall_ms, f"{since:%Y-%m-%d %H}")
