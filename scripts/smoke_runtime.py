"""Check the whole runtime on paper: markets, both feeds, books, a candidate, a paper order; go or no-go.

Runs the real engine, against the practice venue or with ``--venue polymarket`` against Polymarket, for at
most two minutes, in a data folder of its own. It prints ``[SMOKE]`` markers and ends with ``GO`` (exit status
0) or ``NO-GO`` and why (1). With ``--json`` the markers go to standard error, and one JSON object to standard
output. Orders stay on paper whatever the settings say.
"""

import argparse
import asyncio
import json
import logging
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from time import monotonic, time
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

from engine import telemetry
from engine.config import FEED_URLS, Settings, data_dir, load_settings, secret_values
from engine.contract import slug_of, window_start
from engine.core.trading import OrderIntent
from engine.errors import EngineError
from engine.events import OrderDenied, OrderFilled, OrderKilled, OrderRejected, OrderUnknown
from engine.feeds.address import without_secrets
from engine.layer import FOLDER as LAYERS
from engine.run.engine import Engine
from engine.run.options import OneLine
from engine.run.order_desk import paper_desk
from engine.run.session import Session
from engine.snapshot import ContractView, Snapshot
from engine.units import ONE_E4, ONE_E6

LONGEST_S = 120.0
WATCH_S = 100.0
"""Then it stops looking: a probe may take 8 s, the end 6, and the start has been counted."""
PROBE_S = 8.0
SNAPSHOT_EVERY_S = 2.0
PROBE_USD = 1
"""The venue's smallest marketable BUY (protocol sheet, section 7.3)."""

POLYMARKET = {
    "rtds_ws_url": "wss://ws-live-data.polymarket.com",
    "clob_ws_url": "wss://ws-subscriptions-clob.polymarket.com",
    "gamma_api_url": "https://gamma-api.polymarket.com",
    "clob_host": "https://clob.polymarket.com",
}
"""As in .env.example; an address that is set wins."""

RTDS_KINDS = ("price_printed", "price_history_served")
CLOB_KINDS = ("book_replaced", "levels_changed", "touch_quoted", "trade_printed", "tick_size_changed")
ENDS = (OrderFilled, OrderKilled, OrderDenied, OrderRejected, OrderUnknown)

BEGAN_S = monotonic()


class Check(NamedTuple):
    """One condition of go. ``warn`` is worth knowing and no reason to stop."""

    name: str
    state: Literal["ok", "warn", "fail"]
    what: str


class Reasons(logging.Handler):
    """The last reason why each feed did not answer or ended, as the feeds log it."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__(logging.WARNING)
        self._redactor = telemetry.Redactor(secrets)
        self._latest: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        facts = vars(record)
        if "feed" in facts and "reason" in facts:
            self._latest[facts["feed"]] = self._redactor.clean(facts["reason"])

    def listen(self) -> None:
        """Hear warnings of the feeds, which standard error goes on not to show."""
        for handler in logging.getLogger("engine").handlers:
            handler.setLevel(logging.ERROR)
        feeds = logging.getLogger("engine.feeds")
        feeds.setLevel(logging.WARNING)
        feeds.addHandler(self)

    def of(self, feed: str, reached: bool) -> str:
        """Say why nothing came of a feed."""
        heard = "it is connected and silent" if reached else "it was not asked"
        return self._latest.get(feed, heard)


class Markers:
    """Where the markers go."""

    def __init__(self, as_json: bool) -> None:
        self._stream = sys.stderr if as_json else sys.stdout

    def say(self, text: str) -> None:
        """Print one marker line at once."""
        self._stream.write(f"[SMOKE] {text}\n")
        self._stream.flush()


class Watcher:
    """Turn snapshots into markers, each of the one-off ones once."""

    def __init__(self, markers: Markers) -> None:
        self.markers = markers
        self.said: set[str] = set()
        self.snapshots = 0
        self.candidate_found = False
        self.order_result: bool | None = None
        self.latest: Snapshot | None = None
        self.reached: set[str] = set()
        """Feeds that were connected at some time."""
        self.filled = asyncio.Event()
        self._shown_at = 0.0

    def take(self, snapshot: Snapshot) -> None:
        """Look at one snapshot."""
        self.latest = snapshot
        self.reached |= {feed.name for feed in snapshot.feeds if feed.connected}
        new = [contract for contract in snapshot.contracts if contract.slug not in self.said]
        if new and not self.said:
            self.markers.say("RESOLVED_MARKETS")
        for contract in new:
            self.said.add(contract.slug)
            self.markers.say(f"MARKET {contract.slug} ends={contract.end_s} rule={contract.rule!r}")
        if monotonic() - self._shown_at >= SNAPSHOT_EVERY_S and with_books(snapshot):
            self._shown_at = monotonic()
            self._show(snapshot)
        for order in snapshot.orders:
            ended = order.state not in ("intended", "signed", "sent")
            if ended and order.order_id not in self.said:
                self.said.add(order.order_id)
                self.report_order(order.order_id, order.outcome, order.filled_shares > 0)

    def report_order(self, order_id: str, outcome: str, filled: bool) -> None:
        """Print what became of a paper order."""
        self.order_result = filled or bool(self.order_result)
        if filled:
            self.filled.set()
        self.markers.say(f"PAPER_ORDER {order_id} side={outcome} result={filled}")

    def show_any_candidate(self) -> None:
        """Print a candidate whose expected value nobody could compute, when there was no other.

        Without any contract it is the window of five minutes that should have been there.
        """
        if self.candidate_found:
            return
        contracts = self.latest.contracts if self.latest is not None else []
        books = with_books(self.latest) if self.latest is not None else []
        slug = slug_of("5m", window_start("5m", int(time())))
        reason = "no contract"
        if contracts:
            slug, reason = contracts[0].slug, "no book"
        if books:
            slug, reason = books[0].slug, reason_of(books[0])
        self.markers.say(f"CANDIDATE {slug} UP ev=None gate={reason!r}")

    def _show(self, snapshot: Snapshot) -> None:
        if not self.snapshots:
            self.markers.say("BOOK_SNAPSHOT")
        self.snapshots += 1
        for contract in with_books(snapshot):
            for name, book in (("UP", contract.up), ("DOWN", contract.down)):
                self.markers.say(f"SNAPSHOT {contract.slug} {name} bid={book.bid} ask={book.ask}")
            for name, ev in (("UP", contract.ev_up), ("DOWN", contract.ev_down)):
                if ev is not None:
                    self.candidate_found = True
                    reason = reason_of(contract)
                    self.markers.say(f"CANDIDATE {contract.slug} {name} ev={ev:+.4f} gate={reason!r}")


def with_books(snapshot: Snapshot) -> list[ContractView]:
    """Return the contracts that have a book to show."""
    return [view for view in snapshot.contracts if "live" in (view.up.state, view.down.state)]


def reason_of(contract: ContractView) -> str:
    """Return the gate that the newest decision names."""
    return "" if contract.decision is None else contract.decision.reason


async def probe(engine: Engine, session: Session, watcher: Watcher) -> None:
    """Carry one small order along the paper path, when the strategy wanted none.

    Thread, gate, exchange and book are the engine's own. It goes past the core, so it is in no ledger: it
    proves the wiring, not the strategy.
    """
    ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def note(event: object) -> None:
        if isinstance(event, ENDS) and not ended.done():
            ended.set_result(isinstance(event, OrderFilled))

    aside: Any = SimpleNamespace(
        accept=note,
        until_durable=session.until_durable,
        broke=session.broke,
        book=session.book,
        clock=session.clock,
        state=session.state,
    )
    for token, (market, outcome) in session.state.tokens.items():
        book = market.book_of(outcome)
        if book.state != "live" or book.ask is None:
            continue
        deadline_ms = session.clock.now_ms() + 10_000
        limit_e4 = ONE_E4 - (book.tick_e4 or market.contract.tick_e4)
        slug = market.contract.slug
        desk = paper_desk(engine.settings, aside, engine.kill)
        await desk.open()
        try:
            intent = OrderIntent(
                "smoke-probe", slug, outcome, token, limit_e4, PROBE_USD * ONE_E6, deadline_ms, 0
            )
            desk.submit(intent)
            watcher.report_order("smoke-probe", outcome, await asyncio.wait_for(ended, PROBE_S))
        except TimeoutError:
            watcher.markers.say("ERROR the probe order got no answer")
        finally:
            await desk.close()
        return


def settings_for(venue: str | None, folder: Path) -> Settings:
    """Return the settings in force, on paper and writing to a folder of its own.

    Args:
        venue: ``practice`` or ``polymarket``; None is that of the settings.
        folder: Where the run writes.
    """
    kept = data_dir() / LAYERS
    if kept.is_dir():  # CALIBRATION_LAYER may name one of them
        shutil.copytree(kept, folder / LAYERS, dirs_exist_ok=True)
    alone: dict[str, Any] = {"dry_run": True, "data_dir": folder, "metrics_port": 0, "alarm_url": None}
    if venue is None:
        return load_settings(**alone)
    if venue == "practice":
        nowhere = dict.fromkeys((*FEED_URLS, "site_price_url", "clock_url"))
        return load_settings(venue="practice", **nowhere, **alone)
    named = {name.upper() for name in POLYMARKET}
    if named & {name.upper() for name in os.environ} or Path(os.environ.get("ENV_FILE", ".env")).exists():
        given = load_settings(**alone)
        if given.is_external:
            return given
    return load_settings(venue="external", **POLYMARKET, **alone)


async def smoke(
    asked: argparse.Namespace, markers: Markers, folder: Path
) -> tuple[list[Check], dict[str, Any]]:
    """Run the engine, say what was seen, return the conditions of go and the summary."""
    settings = settings_for(asked.venue, folder)
    secrets = secret_values(settings).values()
    telemetry.log_to_stderr("error", secrets)
    reasons = Reasons(secrets)
    reasons.listen()
    markers.say(f"SETTINGS_PROFILE={settings.settings_profile} DRY_RUN={settings.dry_run}")
    markers.say(f"VENUE {without_secrets(settings.clob_host) if settings.clob_host else 'embedded practice'}")
    watcher = Watcher(markers)
    engine = Engine(settings, watcher.take)
    stop = asyncio.Event()
    run = asyncio.create_task(engine.run(stop))
    seen = asyncio.create_task(watcher.filled.wait())
    left_s = max(1.0, BEGAN_S + asked.seconds - monotonic())
    await asyncio.wait([run, seen], timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
    seen.cancel()
    if engine.session is not None and watcher.order_result is None and not run.done():
        await probe(engine, engine.session, watcher)
    watcher.show_any_candidate()
    stop.set()
    await run
    assert engine.session is not None
    kinds = engine.session.state.kinds
    summary = {
        "rtds_events": sum(kinds[kind] for kind in RTDS_KINDS),
        "clob_events": sum(kinds[kind] for kind in CLOB_KINDS),
        "candidate_found": watcher.candidate_found,
        "order_result": bool(watcher.order_result),
    }
    markers.say(f"SUMMARY {' '.join(f'{name}={value}' for name, value in summary.items())}")
    checks = [*seen_checks(watcher, summary, reasons), *done_checks(settings, watcher)]
    halted_why = engine.session.state.halted_why
    checks.append(_check("engine", halted_why is None, "ran without a halt", halted_why or ""))
    return checks + reached_checks(watcher), summary


def seen_checks(watcher: Watcher, summary: dict[str, Any], reasons: Reasons) -> list[Check]:
    """Say of markets, prices and books whether they came, and why not."""

    def why(feed: str) -> str:
        return f"{feed}: {reasons.of(feed, feed in watcher.reached)}"

    resolved = bool(watcher.latest and watcher.latest.contracts)
    rtds, clob = summary["rtds_events"], summary["clob_events"]
    no_books = f"no event from CLOB ({why('clob')})" if resolved else "no contract, so none was asked for"
    shown = f"books shown {watcher.snapshots} times"
    return [
        _check("markets", resolved, "contracts resolved", f"no contract resolved ({why('gamma')})"),
        _check("prices", rtds > 0, f"{rtds} events from RTDS", f"no event from RTDS ({why('rtds')})"),
        _check("books", clob > 0, f"{clob} events from CLOB", no_books),
        _check("snapshots", watcher.snapshots > 1, shown, f"{shown}, and twice is the least"),
    ]


def done_checks(settings: Settings, watcher: Watcher) -> list[Check]:
    """Say what the strategy and the paper path did."""
    failed = "warn" if settings.is_external else "fail"
    ev = Check("candidate", "ok", "an expected value was computed")
    if not watcher.candidate_found:
        ev_why = "no expected value was computed: no open window had a strike; start before a boundary"
        ev = Check("candidate", failed, ev_why)
    order = "a paper order filled" if watcher.order_result else "a paper order was killed or denied"
    none = "no paper order got an answer" if watcher.snapshots else "no paper order: no book to send one to"
    return [ev, _check("order", watcher.order_result is not None, order, none)]


def reached_checks(watcher: Watcher) -> list[Check]:
    """Say whether anything at all answered: else it is the network, and no part of this."""
    none = "no address answered: look at DNS, the firewall, the proxy, and the URLs"
    return [_check("network", bool(watcher.reached), f"answered: {', '.join(sorted(watcher.reached))}", none)]


def _check(name: str, holds: bool, seen: str, failed: str) -> Check:
    return Check(name, "ok", seen) if holds else Check(name, "fail", failed)


def conclude(checks: list[Check], summary: dict[str, Any], markers: Markers, as_json: bool) -> int:
    """Print go or no-go, and return the exit status."""
    against = [f"{check.name}: {check.what}" for check in checks if check.state == "fail"]
    for check in checks:
        if check.state == "warn":
            markers.say(f"WARNING {check.name}: {check.what}")
    markers.say("NO-GO " + "; ".join(against) if against else "GO")
    if as_json:
        took_s = round(monotonic() - BEGAN_S, 1)
        told = {"go": not against, "seconds": took_s, "checks": [check._asdict() for check in checks]}
        sys.stdout.write(json.dumps(told | summary) + "\n")
    return 1 if against else 0


def give_up() -> None:
    """End a run that hangs: two minutes are promised."""
    sys.stderr.write(f"[SMOKE] NO-GO nothing ended within {LONGEST_S:.0f} s\n")
    sys.stderr.flush()
    os._exit(1)


def looked_for(text: str) -> float:
    """Read how long to look, seconds.

    Raises:
        argparse.ArgumentTypeError: It is no such time.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1.0 <= seconds <= WATCH_S:
        raise argparse.ArgumentTypeError(f"{text!r}: write seconds, from 1 to {WATCH_S:g}")
    return seconds


def options() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = OneLine(
        prog="python scripts/smoke_runtime.py", description=__doc__.splitlines()[0] if __doc__ else None
    )
    add = parser.add_argument
    add(
        "--venue",
        choices=("practice", "polymarket"),
        help="the practice venue, or Polymarket; by default what the settings say, which is practice where "
        "they have no address",
    )
    add(
        "--seconds",
        type=looked_for,
        default=WATCH_S,
        metavar="N",
        help=f"look for so long, from 1 to {WATCH_S:g}, which is the default",
    )
    add("--json", action="store_true", help="one JSON object on standard output")
    return parser


def main() -> None:
    """Run, and end with 0 for go, 1 for no-go, 2 for wrong use."""
    asked = options().parse_args()
    os.environ["LOG_LEVEL"] = "error"  # for the practice venue too: the markers are what is to be read
    markers = Markers(asked.json)
    watchdog = threading.Timer(LONGEST_S - 1 - (monotonic() - BEGAN_S), give_up)
    watchdog.daemon = True
    watchdog.start()
    summary: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="smoke-") as folder:
        try:
            checks, summary = asyncio.run(smoke(asked, markers, Path(folder)))
        except EngineError as error:
            markers.say(f"ERROR {error}")
            checks = [Check("engine", "fail", str(error))]
    logging.shutdown()
    raise SystemExit(conclude(checks, summary, markers, asked.json))


if __name__ == "__main__":
    main()
