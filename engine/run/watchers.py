"""Who looks at every snapshot beside the console: metrics, the log of what happened, alarms.

They see copies and decide nothing; none of them waits for anybody. What it does not know: the console.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from engine.config import Settings
from engine.kill import KillSwitch
from engine.metrics import Metrics
from engine.run.alarm_post import Alarm, Poster
from engine.run.alarms import AlarmWatch
from engine.run.tls_file import SOON_S, UNREAD_TODO, ends_s
from engine.snapshot import Snapshot

LOOK_AT_TLS_EVERY_S: Final = 3_600.0
REMEMBERED: Final = 500

log = logging.getLogger("engine.events")


class Watchers:
    """All of them, for one engine."""

    def __init__(self, settings: Settings, kill: KillSwitch) -> None:
        self.metrics = Metrics(kill, settings.data_dir)
        self._settings = settings
        self._poster = Poster(settings)
        self._alarms = AlarmWatch(settings.alarm_summary_hour)
        self._states: dict[str, str] = {}
        self._verdicts: dict[str, str] = {}
        self._tls_at: float | None = None

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Serve metrics and post alarms as long as this lasts."""
        self.metrics.posts = lambda: dict(self._poster.counts)
        self._poster.open()
        try:
            with self.metrics.served(self._settings.metrics_host, self._settings.metrics_port):
                yield
        finally:
            self._poster.close()

    def take(self, snapshot: Snapshot) -> None:
        """Let all of them look at one snapshot."""
        self.metrics.take(snapshot)
        self._log_orders(snapshot)
        self._log_verdicts(snapshot)
        alarms = self._alarms.take(snapshot)
        now_s = time.monotonic()
        if self._tls_at is None or now_s - self._tls_at >= LOOK_AT_TLS_EVERY_S:
            self._tls_at = now_s
            alarms += self._certificate(snapshot.wall_ms)
        for alarm in alarms:
            self._tell(alarm)
        self._poster.tell_held(self._alarms.standing)

    def halted(self, why: str) -> None:
        """Tell of a halt at once."""
        self._tell(self._alarms.halted(why))

    def _tell(self, alarm: Alarm) -> None:
        facts = {"alarm": alarm.kind, "why": alarm.text, "slug": alarm.contract, "order": alarm.order}
        log.log(
            logging.INFO if alarm.kind == "daily summary" else logging.WARNING,
            "alarm",
            extra={name: value for name, value in facts.items() if value},
        )
        self._poster.tell(alarm)

    def _log_orders(self, snapshot: Snapshot) -> None:
        """Log each step of each order: intended, sent, filled or what else became of it."""
        for order in reversed(snapshot.orders):
            if self._states.get(order.order_id) == order.state:
                continue
            _remember(self._states, order.order_id, order.state)
            log.info(
                "order",
                extra={
                    "order": order.order_id,
                    "slug": order.slug,
                    "state": order.state,
                    "outcome": order.outcome,
                    "side": order.side,
                    "usd": order.usd,
                    "shares": order.filled_shares,
                    "price": order.average_price,
                    "why": order.reason,
                },
            )

    def _log_verdicts(self, snapshot: Snapshot) -> None:
        """Log how each window settled, and how our prices compare with the venue's."""
        for row in reversed(snapshot.settlements):
            if row.verdict == "waiting" or self._verdicts.get(row.slug) == row.verdict:
                continue
            _remember(self._verdicts, row.slug, row.verdict)
            facts = {"slug": row.slug, "verdict": row.verdict, "outcome": row.outcome, "pnl": row.pnl}
            log.info("settled", extra=facts)

    def _certificate(self, at_ms: int) -> list[Alarm]:
        """Look at the proxy's certificate, where one is named."""
        path = self._settings.tls_cert_file
        if path is None:
            return []
        try:
            end_s = ends_s(path)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            text = f"TLS_CERT_FILE {path} cannot be read: {why}; {UNREAD_TODO}"
            return [Alarm("certificate", text, at_ms, "unread")]
        self.metrics.certificate_ends_s = end_s
        left_s = end_s - time.time()
        if left_s > SOON_S:
            return []
        word = "expired" if left_s <= 0 else "ends"
        text = f"TLS_CERT_FILE {path} {word} {datetime.fromtimestamp(end_s, UTC):%Y-%m-%d %H:%M} UTC"
        return [Alarm("certificate", f"{text}: renew it and reload the proxy", at_ms, word)]


def _remember(known: dict[str, str], name: str, what: str) -> None:
    known.pop(name, None)
    known[name] = what
    if len(known) > REMEMBERED:
        del known[next(iter(known))]
