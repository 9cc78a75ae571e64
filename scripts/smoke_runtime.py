"""Check the whole runtime in paper mode: markets, both feeds, books, a candidate, a paper order, a summary.

Runs the real engine with the settings in force (the embedded practice venue without any) for at most about
two minutes and prints ``[SMOKE]`` markers for go or no-go. Exit status 0 when every part was seen, else 1.
"""

import asyncio
import sys
from time import monotonic

from engine import telemetry
from engine.config import load_settings
from engine.core.trading import OrderIntent
from engine.errors import EngineError
from engine.events import OrderFilled
from engine.run.engine import Engine
from engine.run.session import Session
from engine.snapshot import ContractView, Snapshot
from engine.units import ONE_E4, ONE_E6

RUNTIME_S = 105.0
SNAPSHOT_EVERY_S = 2.0
PROBE_USD = 1
"""The venue's smallest marketable BUY (protocol sheet, section 7.3)."""

RTDS_KINDS = ("price_printed", "price_history_served")
CLOB_KINDS = ("book_replaced", "levels_changed", "touch_quoted", "trade_printed", "tick_size_changed")


def say(text: str) -> None:
    """Print one marker line at once."""
    sys.stdout.write(f"[SMOKE] {text}\n")
    sys.stdout.flush()


class Watcher:
    """Turn snapshots into markers, each of the one-off ones once."""

    def __init__(self) -> None:
        self.said: set[str] = set()
        self.candidate_found = False
        self.order_result: bool | None = None
        self.latest: Snapshot | None = None
        self.ordered = asyncio.Event()
        self._shown_at = 0.0

    def take(self, snapshot: Snapshot) -> None:
        """Look at one snapshot."""
        self.latest = snapshot
        new = [contract for contract in snapshot.contracts if contract.slug not in self.said]
        if new and not self.said:
            say("RESOLVED_MARKETS")
        for contract in new:
            self.said.add(contract.slug)
            say(f"MARKET {contract.slug} ends={contract.end_s} rule={contract.rule!r}")
        if monotonic() - self._shown_at >= SNAPSHOT_EVERY_S and new_books(snapshot):
            self._shown_at = monotonic()
            self._show(snapshot)
        for order in snapshot.orders:
            if order.state in ("filled", "killed", "denied") and order.order_id not in self.said:
                self.said.add(order.order_id)
                self.report_order(order.order_id, order.outcome, order.state == "filled")

    def report_order(self, order_id: str, outcome: str, filled: bool) -> None:
        """Print what became of a paper order."""
        self.order_result = filled or bool(self.order_result)
        if filled:
            self.ordered.set()
        say(f"PAPER_ORDER {order_id} side={outcome} result={filled}")

    def _show(self, snapshot: Snapshot) -> None:
        if "books" not in self.said:
            self.said.add("books")
            say("BOOK_SNAPSHOT")
        for contract in new_books(snapshot):
            for name, book in (("UP", contract.up), ("DOWN", contract.down)):
                say(f"SNAPSHOT {contract.slug} {name} bid={book.bid} ask={book.ask}")
            self._show_candidate(contract)

    def _show_candidate(self, contract: ContractView) -> None:
        for name, ev in (("UP", contract.ev_up), ("DOWN", contract.ev_down)):
            if ev is not None:
                self.candidate_found = True
                reason = "" if contract.decision is None else contract.decision.reason
                say(f"CANDIDATE {contract.slug} {name} ev={ev:+.4f} gate={reason!r}")


def new_books(snapshot: Snapshot) -> list[ContractView]:
    """Return the open contracts that have a book to show."""
    return [view for view in snapshot.contracts if "live" in (view.up.state, view.down.state)]


async def probe(session: Session, watcher: Watcher) -> None:
    """Carry one small order along the paper broker's own path, when the strategy wanted none.

    It goes past the core, so it is in no ledger: it proves the wiring, not the strategy.
    """
    for token, (market, outcome) in session.state.tokens.items():
        book = market.book_of(outcome)
        if book.state != "live" or book.ask is None or session.broker is None:
            continue
        slug = market.contract.slug
        limit_e4 = ONE_E4 - 10
        deadline_ms = session.clock.now_ms() + 10_000
        intent = OrderIntent(
            "smoke-probe", slug, outcome, token, limit_e4, PROBE_USD * ONE_E6, deadline_ms, 0
        )
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        take = session.broker.accept  # type: ignore[attr-defined]  # the paper broker's own seam

        def note(event: object, taken: asyncio.Future[bool] = ended) -> None:
            if type(event).__name__ != "OrderSubmitted" and not taken.done():
                taken.set_result(isinstance(event, OrderFilled))

        session.broker.accept = note  # type: ignore[attr-defined]
        session.broker.submit(intent)
        watcher.report_order("smoke-probe", outcome, await asyncio.wait_for(ended, 10.0))
        session.broker.accept = take  # type: ignore[attr-defined]
        return


async def smoke() -> bool:
    """Run the engine, say what was seen, return whether all of it was."""
    settings = load_settings()
    telemetry.log_to_stderr("warning")
    say(f"SETTINGS_PROFILE={settings.settings_profile} DRY_RUN={settings.dry_run}")
    watcher = Watcher()
    engine = Engine(settings, watcher.take)
    stop = asyncio.Event()
    run = asyncio.create_task(engine.run(stop))
    seen = asyncio.create_task(watcher.ordered.wait())
    await asyncio.wait([run, seen], timeout=RUNTIME_S, return_when=asyncio.FIRST_COMPLETED)
    seen.cancel()
    if engine.session is not None and watcher.order_result is None and not run.done():
        await probe(engine.session, watcher)
    stop.set()
    await run
    assert engine.session is not None
    kinds = engine.session.state.kinds
    rtds_events = sum(kinds[kind] for kind in RTDS_KINDS)
    clob_events = sum(kinds[kind] for kind in CLOB_KINDS)
    say(
        f"SUMMARY rtds_events={rtds_events} clob_events={clob_events} "
        f"candidate_found={watcher.candidate_found} order_result={watcher.order_result}"
    )
    return bool(rtds_events and clob_events and watcher.candidate_found and watcher.order_result is not None)


def main() -> None:
    """Run, and end with 0 for go, 1 for no-go."""
    try:
        raise SystemExit(0 if asyncio.run(smoke()) else 1)
    except EngineError as error:
        say(f"ERROR {error}")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
