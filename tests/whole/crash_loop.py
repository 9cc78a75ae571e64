"""SIGKILL an engine that trades, again and again; after each death recovery, ledger and venue have to agree.

Everything is real: engine and practice venue are processes, orders go by the official client, files are the
product's own. One engine of three dies at a random moment, two just after an order was intended. What
a next engine will be told is worked out on a copy of the ledger, compared with the venue's own trades and
dollars, and then with what the next engine says it was told.

Run as a program it says how it went: ``python -m tests.whole.crash_loop --kills 20``.
"""

import argparse
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
from polymarket.models.clob import ClobTrade

from engine.core.trading import OrderIntent
from engine.errors import JournalError
from engine.events import LedgerRestored
from engine.journal import read_orders
from engine.journal_read import read_kinds, session_files
from engine.kill import KillSwitch
from engine.run.arming import Arm
from engine.run.journal_pages import last_seq
from engine.run.ledger import read as ledger_read
from engine.run.ledger.file import LedgerFile
from engine.units import SizeE6, UsdE6
from engine.venue import fills
from engine.venue.fills import Fees
from engine.venue.official import OfficialExchange
from tests.whole.processes import PATIENCE_S, environment, practice_venue
from tests.whole.test_live_restart import SURE, Venue
from tests.whole.test_operation import until
from tests.whole.test_secrets import RIGHT, settings_of

SPEED: Final = 12
"""A window lasts 25 seconds of the wall; an order is good for a second of the venue's, 83 ms."""

HEARS_AFTER: Final = 60
"""Events after which an engine hears the market: the first few are its own."""

UP_S: Final = (0.05, 5.0)
"""How long an engine lives after its first event, if nothing is waited for."""

HUNTED_S: Final = 20.0
"""How long an order is waited for by those that are to die of one."""

AFTER_INTENT_S: Final = (0.0, 0.12)
"""From an intent seen to the kill: signing, the disk, the way there, the hold and the way back."""


class Figures(NamedTuple):
    """What a loop came to. ``in_flight`` counts deaths that left an order whose end nobody knew, ``compared``
    engines whose own journal says that they were told what was worked out before they started."""

    kills: int
    orders: int
    trades: int
    in_flight: int
    compared: int
    settled: int
    seconds_a_kill: float


class Booked(NamedTuple):
    """A trade in whole millionths."""

    shares_e6: SizeE6
    cost_e6: UsdE6
    fee_e6: UsdE6


class PayingVenue(Venue):
    """The venue from outside, its clock and its payouts too."""

    def now_ms(self) -> int:
        return int(httpx.get(self.urls["CLOCK_URL"], timeout=10).json()["now_ms"])

    def pay(self) -> None:
        """End every fault: what was held back is paid at once."""
        httpx.delete(f"{self.urls['CLOB_HOST']}/control/fault", timeout=10).raise_for_status()


class CrashLoop:
    """One venue, one data folder, and engines that come and go."""

    def __init__(self, folder: Path, venue: PayingVenue, seed: int) -> None:
        self.data = folder / "data"
        self._folder = folder
        self._said = folder / "engine.stderr"
        """What the engine of the moment says of itself: why it ended, if it did."""
        self._venue = venue
        self._rng = random.Random(seed)
        self._settings = settings_of(venue.urls, RIGHT, "false") | SURE | {"LOG_LEVEL": "error"}
        self._began_e6 = venue.cash_e6()
        self._intents: dict[str, OrderIntent] = {}
        """Every order that a journal has a signature of, by the venue's id."""
        self._told: LedgerRestored | None = None
        self.in_flight = 0
        self.compared = 0
        self._comes_up_s = 5.0
        """How long the last engine took to hear the market: imports, the official client, sockets."""
        self.kills = 0

    # --- lives ----------------------------------------------------------------------------------------------

    def live_and_die(self) -> None:
        """Start an engine, and kill it."""
        self.kills += 1
        if not Arm(self.data).is_armed():
            Arm(self.data).arm("test", "crash loop", 480)
        if is_hunted := bool(self.kills % 3):
            self._await_a_window()
        began = time.monotonic()
        with self._engine() as process:
            try:
                path = self._begun(process)
                if is_hunted:
                    until(lambda: events_in(path) > HEARS_AFTER, patience_s=PATIENCE_S)
                    self._comes_up_s = time.monotonic() - began
                    self._await_an_order(path)
                else:
                    time.sleep(self._rng.uniform(*UP_S))
                assert process.poll() is None, ended_by_itself(process, self._said)
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait(20)
        self._was_told_as_expected(path)
        self._note_orders(path)

    def finish(self) -> LedgerRestored:
        """Let a last engine find out what nobody knows and settle everything; then let the venue pay."""
        KillSwitch(self.data).trip("test", "no more orders")
        with self._engine() as process:
            path = self._begun(process)
            until(self._is_settled, patience_s=PATIENCE_S, every_s=0.3)
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0, ended_by_itself(process, self._said)
        self._was_told_as_expected(path)
        return self.recovered()

    def _engine(self) -> "subprocess.Popen[bytes]":
        with self._said.open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "engine", "run"],
                cwd=self._folder,
                env=environment(**self._settings),
                stdout=subprocess.DEVNULL,
                stderr=said,
            )

    def _begun(self, process: "subprocess.Popen[bytes]") -> Path:
        """Wait for an engine's first event; return its journal."""
        sessions = self.data / "sessions"
        known = set(session_files(sessions))
        deadline = time.monotonic() + PATIENCE_S
        while not (new := [path for path in set(session_files(sessions)) - known if events_in(path)]):
            assert process.poll() is None, ended_by_itself(process, self._said)
            assert time.monotonic() < deadline, f"no event came; the engine said: {tail(self._said)}"
            time.sleep(0.02)
        return new[0]

    def _await_a_window(self) -> None:
        """Wait until a window is about to start: who was not there then does not know its strike."""
        left_s = (300 - self._venue.now_ms() / 1000 % 300) / SPEED
        time.sleep((left_s - self._comes_up_s) % (300 / SPEED))

    def _await_an_order(self, path: Path) -> None:
        deadline = time.monotonic() + HUNTED_S
        before = len(read_orders(path))
        while len(read_orders(path)) == before and time.monotonic() < deadline:
            time.sleep(0.004)
        time.sleep(self._rng.uniform(*AFTER_INTENT_S))

    # --- what is known --------------------------------------------------------------------------------------

    def check(self) -> None:
        """Compare what the next engine will know with the venue's trades and dollars."""
        self._told = told = self.recovered()
        theirs = self.venue_trades()
        ours = {fill.trade_id: Booked(fill.shares_e6, fill.cost_e6, fill.fee_e6) for fill in told.fills}
        looked_for = {order.venue_order_id for order in told.orders}
        self.in_flight += bool(looked_for)
        forgotten = {
            trade_id: order_id
            for order_id, deals in theirs.items()
            for trade_id in deals
            if trade_id not in ours and order_id not in looked_for
        }
        assert forgotten == {}, "the venue has trades that nobody knows or looks for"
        deals = {trade_id: deal for one in theirs.values() for trade_id, deal in one.items()}
        assert ours == {trade_id: deals.get(trade_id) for trade_id in ours}
        spent_e6 = sum(deal.cost_e6 + deal.fee_e6 for deal in deals.values())
        assert self._venue.cash_e6() == self._began_e6 - spent_e6
        bought = Counter(self._intents[order_id].slug for order_id in theirs)
        assert max(bought.values(), default=0) <= 1, f"bought twice: {bought}"

    def recovered(self) -> LedgerRestored:
        """Return what an engine started now would be told; the files stay as they are."""
        with tempfile.TemporaryDirectory() as copy:
            for path in self.data.glob("ledger-live.sqlite*"):
                shutil.copy(path, copy)
            file = LedgerFile(Path(copy) / "ledger-live.sqlite", "nobody", "live")
            told = file.restore(self.data / "sessions", self._venue.now_ms())
            file.close()
        return told

    def venue_trades(self) -> dict[str, dict[str, Booked]]:
        """Return every trade of the account, by order and by its own id, in the units of the books."""

        async def listed(venue: OfficialExchange) -> list[ClobTrade]:
            return await venue._trades()

        by_order: dict[str, list[ClobTrade]] = {}
        for trade in self._venue.ask(listed):
            by_order.setdefault(trade.taker_order_id, []).append(trade)
        unrecorded = by_order.keys() - self._intents.keys()
        assert unrecorded == set(), "orders left without a record"
        return {
            order_id: {
                deal.trade_id: Booked(deal.shares_e6, deal.cost_e6, deal.fee_e6)
                for deal in fills.matched(trades, order_id, self._intents[order_id], Fees(lambda: 0.0)).trades
            }
            for order_id, trades in by_order.items()
        }

    def cash_e6(self) -> int:
        """Return what the ledger's file says that everything came to."""
        with closing(sqlite3.connect(self.data / "ledger-live.sqlite")) as database:
            (total,) = database.execute("SELECT coalesce(sum(dollars_e6), 0) FROM cash").fetchone()
        return int(total)

    def agrees_once_paid(self) -> None:
        """Let the venue pay; its dollars are then the ledger's, to the millionth."""
        self._venue.pay()
        until(lambda: self._venue.cash_e6() == self._began_e6 + self.cash_e6(), every_s=0.3)

    def figures(self, seconds: float) -> Figures:
        """Say what it came to."""
        with closing(sqlite3.connect(self.data / "ledger-live.sqlite")) as database:
            (settled,) = database.execute("SELECT count(DISTINCT slug) FROM settlement").fetchone()
        trades = sum(len(deals) for deals in self.venue_trades().values())
        a_kill = round(seconds / max(1, self.kills), 2)
        return Figures(self.kills, len(self._intents), trades, self.in_flight, self.compared, settled, a_kill)

    def _note_orders(self, path: Path) -> None:
        for order in read_orders(path).values():
            if order.signed is not None and order.intent is not None:
                self._intents[order.signed.venue_order_id] = order.intent

    def _was_told_as_expected(self, path: Path) -> None:
        """See whether an engine was told at its start what the copy said; one may have died before that."""
        now = next((record.event for record in read_kinds(path, ("ledger_restored",))), None)
        if self._told is None or not isinstance(now, LedgerRestored):
            return
        for name in ("fills", "settlements", "orders", "breakers"):
            assert getattr(now, name) == getattr(self._told, name), name
        self.compared += 1

    def _is_settled(self) -> bool:
        ledger = self.data / "ledger-live.sqlite"
        open_orders = [row for row in ledger_read.orders(ledger).rows if row.ended_ms is None]
        following = [row for row in ledger_read.fills(ledger).rows if row.status == "MATCHED"]
        return not (open_orders or following or ledger_read.positions(ledger).rows)


def ended_by_itself(process: "subprocess.Popen[bytes]", said: Path) -> str:
    """Say with which status an engine ended, and its last words."""
    return f"the engine ended by itself with {process.poll()}: {tail(said)}"


def tail(said: Path, most: int = 3_000) -> str:
    """Return the end of what a process wrote."""
    return said.read_bytes()[-most:].decode("utf-8", "replace").strip() or "(nothing)"


def events_in(path: Path) -> int:
    """Return how many events a journal has; none while it is being made."""
    try:
        return last_seq(path)
    except JournalError:
        return 0


def crash_loop(folder: Path, kills: int, seed: int) -> Figures:
    """Kill so many engines in a folder; fail with the first death after which something does not agree."""
    (folder / "data").mkdir()
    began = time.monotonic()
    with practice_venue("--seed", str(seed), "--speed", str(SPEED), cwd=folder) as urls:
        venue = PayingVenue(urls)
        venue.mend()
        loop = CrashLoop(folder, venue, seed)
        for _ in range(kills):
            loop.live_and_die()
            loop.check()
        seconds = time.monotonic() - began
        loop.finish()
        loop.check()
        assert loop.recovered().orders == ()
        loop.agrees_once_paid()
        assert loop.compared * 2 > kills, f"only {loop.compared} of {kills} engines said what they were told"
        return loop.figures(seconds)


def main() -> None:
    """Run a loop in a folder of its own; print its figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", type=int, default=int(time.time()))
    given: Any = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="crash-loop-") as folder:
        figures = crash_loop(Path(folder), given.kills, given.seed)
    print(json.dumps({"seed": given.seed, **figures._asdict()}))


if __name__ == "__main__":
    main()
