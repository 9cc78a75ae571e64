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
import sys
import tempfile
import threading
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

from engine import telemetry
from engine.config import FEED_URLS, Settings, load_settings, secret_values
from engine.core.trading import OrderIntent
from engine.errors import EngineError
from engine.events import OrderDenied, OrderFilled, OrderKilled, OrderRejected, OrderUnknown
from engine.run.engine import Engine
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
        self.filled = asyncio.Event()
        self._shown_at = 0.0

    def take(self, snapshot: Snapshot) -> None:
        """Look at one snapshot."""
        self.latest = snapshot
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
        """Print a candidate whose expected value nobody could compute, when there was no other."""
        books = with_books(self.latest) if self.latest is not None else []
        if not self.candidate_found:
            slug, reason = (books[0].slug, reason_of(books[0])) if books else ("none", "no book")
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
        limit_e4, usd_e6 = ONE_E4 - 10, PROBE_USD * ONE_E6
        slug = market.contract.slug
        desk = paper_desk(engine.settings, aside, engine.kill)
        await desk.open()
        try:
            desk.submit(OrderIntent("smoke-probe", slug, outcome, token, limit_e4, usd_e6, deadline_ms, 0))
            watcher.report_order("smoke-probe", outcome, await asyncio.wait_for(ended, PROBE_S))
        except TimeoutError:
            watcher.markers.say("ERROR the probe order got no answer")
        finally:
            await desk.close()
        return


def settings_for(venue: str, folder: Path) -> Settings:
    """Return the settings in force, with this venue, on paper, and writing to a folder of its own."""
    alone: dict[str, Any] = {"dry_run": True, "data_dir": folder, "metrics_port": 0, "alarm_url": None}
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
    telemetry.log_to_stderr("error", secret_values(settings).values())
    markers.say(f"SETTINGS_PROFILE={settings.settings_profile} DRY_RUN={settings.dry_run}")
    watcher = Watcher(markers)
    engine = Engine(settings, watcher.take)
    stop = asyncio.Event()
    run = asyncio.create_task(engine.run(stop))
    seen = asyncio.create_task(watcher.filled.wait())
    left_s = max(1.0, BEGAN_S + min(asked.seconds, WATCH_S) - monotonic())
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
    return verdict(settings, watcher, summary, engine.session.state.halted_why), summary


def verdict(
    settings: Settings, watcher: Watcher, summary: dict[str, Any], halted_why: str | None
) -> list[Check]:
    """Say of each part whether it was seen."""
    ev = "ok" if watcher.candidate_found else "warn" if settings.is_external else "fail"
    ev_why = "" if watcher.candidate_found else ": no open window had a strike yet; start before a boundary"
    order = {None: "no paper order got an answer", True: "a paper order filled", False: "killed or denied"}
    return [
        _check("markets", bool(watcher.latest and watcher.latest.contracts), "contracts resolved"),
        _check("prices", summary["rtds_events"] > 0, f"{summary['rtds_events']} events from RTDS"),
        _check("books", summary["clob_events"] > 0, f"{summary['clob_events']} events from CLOB"),
        _check("snapshots", watcher.snapshots > 1, f"books shown {watcher.snapshots} times"),
        Check("candidate", ev, f"expected value computed: {watcher.candidate_found}{ev_why}"),
        _check("order", watcher.order_result is not None, order[watcher.order_result]),
        _check("engine", halted_why is None, halted_why or "ran without a halt"),
    ]


def _check(name: str, holds: bool, what: str) -> Check:
    return Check(name, "ok" if holds else "fail", what)


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


def main() -> None:
    """Run, and end with 0 for go, 1 for no-go, 2 for wrong use."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--venue", choices=("practice", "polymarket"), default="practice")
    parser.add_argument("--seconds", type=float, default=WATCH_S, help="look for so long, at most 100")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    asked = parser.parse_args()
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
            checks = [_check("engine", False, str(error))]
    logging.shutdown()
    raise SystemExit(conclude(checks, summary, markers, asked.json))


if __name__ == "__main__":
    main()
