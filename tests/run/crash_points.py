"""An engine that kills itself at a chosen point of an order's way, and a venue that remembers what it did.

Run as a program it lives one life for each point it is told, each in a process of its own; what follows is up
to whoever started it. Points are named; where a life crosses one more than once, they are counted from 0.
"""

import asyncio
import hashlib
import json
import os
import secrets
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from engine import events as e
from engine.clock import ManualClock
from engine.core.ledger import OrderChange
from engine.core.trading import OrderIntent
from engine.journal import Journal
from engine.kill import KillSwitch
from engine.params import Limits, Params
from engine.run.ledger import file as ledger_file
from engine.run.ledger.file import LedgerFile
from engine.run.session import Session
from engine.venue.door import Door
from engine.venue.exchange import Answer, AtTheWire, Lost, Matched, Nothing, Signed
from engine.venue.last_gate import LastGate
from engine.venue.order_thread import OrderThread, Tools
from engine.venue.restrictions import Restrictions
from tests.core.builders import END_S, START_S, Core, contract
from tests.core.test_step import quote, story

SLUG = contract().slug
BEHAVIOURS = ("lost", "fills", "ghost", "vanishes", "kills")
"""What the venue does with an order: fills it and the answer is lost, fills it, fills it and one trade fails
later, loses it altogether, or kills it."""

PATIENCE_S = 10.0
WATCHED = ("TradeStatusTold", "OutcomeServed", "LedgerRestored")
OPENED_MS = (START_S - 420) * 1000


class Crossings:
    """Count the points that are crossed; end the process at one of them, as no handler can."""

    def __init__(self, name: str = "", number: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self._fatal = (name, number)

    def cross(self, name: str) -> None:
        if (name, self.counts[name]) == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.counts[name] += 1


class Deal(NamedTuple):
    """A trade that the venue made."""

    trade_id: str
    shares_e6: int
    cost_e6: int
    fee_e6: int
    status: str


class VenueDouble:
    """A venue without HTTP: what it received and what it executed is in a file and outlives every engine."""

    def __init__(self, path: Path, behaviour: str, cross: Callable[[str], None]) -> None:
        self._path = path
        self._behaviour = behaviour
        self._cross = cross

    async def open(self) -> None:
        """Need nothing."""

    async def close(self) -> None:
        """Need nothing."""

    async def warm(self, token: str) -> None:
        """Need nothing."""

    async def cancel_all(self) -> int:
        """Nothing ever rests here."""
        return 0

    async def sign(self, intent: OrderIntent) -> Signed:
        """Name an order as the real venue does: by what it says and a salt, so never the same twice."""
        self._cross("before signing")
        salted = f"{intent.order_id} {secrets.token_hex(8)}"
        signed = Signed("0x" + hashlib.sha256(salted.encode()).hexdigest(), intent.usd_e6, 0, None)
        self._cross("signed, not recorded")
        return signed

    async def send(self, intent: OrderIntent, signed: Signed, at_the_wire: AtTheWire) -> Answer:
        """Take an order as the wire brings it."""
        self._cross("recorded, not sent")
        await at_the_wire()
        self._cross("at the wire")
        self._note("received", signed.venue_order_id, [])
        self._cross("received, not executed")
        if self._behaviour == "vanishes":
            return Lost("no answer")
        if self._behaviour == "kills":
            return Nothing("couldn't be fully filled")
        shares = intent.usd_e6 * 10_000 // intent.limit_e4
        statuses = ("CONFIRMED", "FAILED" if self._behaviour == "ghost" else "CONFIRMED")
        deals = [
            Deal(f"{signed.venue_order_id[:10]}-{number}", shares // 2, intent.usd_e6 // 2, 70_001, status)
            for number, status in enumerate(statuses)
        ]
        self._note("executed", signed.venue_order_id, deals)
        self._cross("executed, not answered")
        return Lost("answer lost") if self._behaviour == "lost" else self._matched(deals)

    def find(self, venue_order_id: str) -> Matched | None:
        """Tell what an order did."""
        deals = self.executed().get(venue_order_id)
        return None if deals is None else self._matched(deals)

    def received(self) -> list[str]:
        """Return the ids of all orders that ever arrived."""
        return [line["id"] for line in self._lines() if line["what"] == "received"]

    def executed(self) -> dict[str, list[Deal]]:
        """Return every trade, by the order's id."""
        return {
            line["id"]: [Deal(*deal) for deal in line["deals"]]
            for line in self._lines()
            if line["what"] == "executed"
        }

    def _matched(self, deals: list[Deal]) -> Matched:
        trades = tuple(e.Trade(deal.trade_id, deal.shares_e6, deal.cost_e6, deal.fee_e6) for deal in deals)
        return Matched((), sum(trade.fee_e6 for trade in trades), trades)

    def _note(self, what: str, venue_order_id: str, deals: list[Deal]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps({"what": what, "id": venue_order_id, "deals": deals}) + "\n")

    def _lines(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        return [json.loads(line) for line in self._path.read_text().splitlines()]


class WatchedJournal(Journal):
    """A journal with points round the records that an order's life hangs on."""

    def __init__(self, path: Path, meta: dict[str, str], cross: Callable[[str], None]) -> None:
        super().__init__(path, meta)
        self._cross = cross

    def record(self, record: e.Record) -> None:
        kind = type(record.event).__name__
        is_watched = kind.startswith("Order") or kind in WATCHED
        if is_watched:
            self._cross(f"before {kind} is recorded")
        super().record(record)
        if is_watched:
            self._cross(f"after {kind} is recorded")

    def record_output(self, seq: int, place: int, output: Any) -> None:
        is_watched = isinstance(output, OrderIntent)
        if is_watched:
            self._cross("before the intent is recorded")
        super().record_output(seq, place, output)
        if is_watched:
            self._cross("after the intent is recorded")

    async def wait_durable(self) -> None:
        self._cross("before durable")
        await super().wait_durable()
        self._cross("after durable")


class WatchedLedger(LedgerFile):
    """A ledger with points before, inside and after each of its transactions."""

    def __init__(self, path: Path, session: str, cross: Callable[[str], None]) -> None:
        super().__init__(path, session, "live")
        self._cross = cross

    def write(self, seq: int, changes: Any, breakers: dict[str, str], now_ms: int) -> None:
        batch = list(changes)
        what = " and ".join(sorted({_name_of(change) for change in batch}))
        self._cross(f"before the ledger has {what}")
        put = ledger_file.rows.put

        def put_and_cross(*args: Any) -> None:
            put(*args)
            self._cross(f"inside the ledger's transaction: {what}")

        ledger_file.rows.put = put_and_cross
        try:
            super().write(seq, batch, breakers, now_ms)
        finally:
            ledger_file.rows.put = put
        self._cross(f"after the ledger has {what}")


def _name_of(change: object) -> str:
    return change.state if isinstance(change, OrderChange) else type(change).__name__


class Life(NamedTuple):
    """What an engine's life came to: what it was told at its start, and its session at its end."""

    told: e.LedgerRestored
    session: Session


async def live(folder: Path, name: str, behaviour: str, crossings: Crossings | None = None) -> Life:
    """Live a whole life of an engine: restore, meet a window worth buying, reconcile, settle, end.

    The order thread, the session, the journal and the ledger are the product's; the venue is a double.
    """
    cross = (crossings or Crossings()).cross
    venue = VenueDouble(folder / "venue.jsonl", behaviour, cross)
    clock = ManualClock(OPENED_MS)
    journal = WatchedJournal(folder / "sessions" / f"{name}.sqlite", {"session": name}, cross)
    session = Session(clock, journal, lambda _: None)
    session.publish = lambda: None  # type: ignore[method-assign]  # nobody looks, and it is most of the work
    ledger = WatchedLedger(folder / "ledger-live.sqlite", name, cross)
    for event in _opening(name):
        session.accept(event)
    told = ledger.restore(folder / "sessions", OPENED_MS)
    session.accept(told)
    session.ledger_file = ledger
    thread = order_thread(session, venue, clock, KillSwitch(folder))
    session.broker = thread
    await thread.open()
    for event in _window():
        clock.advance(max(0, event.ts_recv_ms - clock.now_ms()) / 1000)
        session.accept(event)
    await _answered(session)
    _reconcile(session, venue, clock)
    clock.advance(30)
    served = e.OutcomeServed(ts_recv_ms=clock.now_ms(), slug=SLUG, outcome="DOWN", strike=None, final=None)
    session.accept(served)
    await thread.close()
    cross("before the ledger is closed")
    ledger.close()
    cross("after the ledger is closed")
    journal.close("ended")
    return Life(told, session)


def order_thread(session: Session, venue: VenueDouble, clock: ManualClock, kill: KillSwitch) -> OrderThread:
    """Put the order thread in front of the double."""
    door = Door(session.accept, session.until_durable, session.broke)
    restrictions = Restrictions(clock, kill, door)
    return OrderThread(Tools(venue, LastGate(clock, kill), kill, clock, door, restrictions))


def _opening(name: str) -> list[e.AnyEvent]:
    """Everything that a live engine needs to be told before it may trade."""
    return [
        e.SessionOpened(
            ts_recv_ms=OPENED_MS,
            session=name,
            venue="external",
            dry_run=False,
            profile="live",
            params=Params()._asdict(),
            limits=Limits()._asdict(),
            killed=False,
        ),
        e.ArmChanged(ts_recv_ms=OPENED_MS, armed=True, who="test", why="a test"),
        e.BalanceTold(ts_recv_ms=OPENED_MS, balance_e6=10**9, allowance_e6=10**9, asked_ms=OPENED_MS),
        e.ClockMeasured(ts_recv_ms=OPENED_MS, skew_ms=0.0, round_trip_ms=1.0, source="time"),
    ]


@cache
def _window() -> tuple[e.AnyEvent, ...]:
    """A window that ends in a quote worth buying. Made once: every life meets the same one."""
    core = Core()
    story(core, END_S - 15)
    core.feed(e.ClockMeasured(ts_recv_ms=(END_S - 13) * 1000, skew_ms=0.0, round_trip_ms=1.0, source="time"))
    told_ms = (END_S - 13) * 1000
    core.feed(e.BalanceTold(ts_recv_ms=told_ms, balance_e6=10**9, allowance_e6=10**9, asked_ms=told_ms))
    quote(core, END_S - 12)
    return tuple(record.event for record in core.records[1:])


async def _answered(session: Session) -> None:
    """Wait until no order of this session is on its way."""
    in_flight = session.state.trading.in_flight
    async with asyncio.timeout(PATIENCE_S):
        while any(order.state != "unknown" for order in in_flight.values()):  # noqa: ASYNC110 (nobody wakes us)
            await asyncio.sleep(0.002)


def _reconcile(session: Session, venue: VenueDouble, clock: ManualClock) -> None:
    """Ask the venue for what nobody knows: orders without an end, trades without a last word."""
    trading, now_ms = session.state.trading, clock.now_ms()
    for order in list(trading.in_flight.values()):
        found, order_id = venue.find(order.venue_order_id), order.intent.order_id
        if found is None:
            session.accept(e.OrderKilled(ts_recv_ms=now_ms, order_id=order_id, reason="no trace"))
        else:
            session.accept(
                e.OrderFilled(
                    ts_recv_ms=now_ms,
                    order_id=order_id,
                    fills=(),
                    fee_e6=found.fee_e6,
                    trades=found.trades,
                    is_final=False,
                )
            )
    for venue_order_id, deals in venue.executed().items():
        for deal in deals:
            if deal.trade_id in trading.trades_to_follow:
                session.accept(
                    e.TradeStatusTold(
                        ts_recv_ms=now_ms,
                        trade_id=deal.trade_id,
                        venue_order_id=venue_order_id,
                        status=deal.status,
                    )
                )


def end_of(folder: Path, behaviour: str, name: str, number: int) -> int:
    """Live one life in a process of its own, up to a point; return how it ended (as ``os.waitpid`` tells)."""
    child = os.fork()
    if child == 0:
        try:
            crossings = Crossings(name, number)
            asyncio.run(live(folder, "s1", behaviour, crossings))
            (folder / "crossings.json").write_text(json.dumps(crossings.counts))
            os._exit(0)
        except BaseException:  # noqa: BLE001 (a fork must not run on as the test)
            traceback.print_exc()
        finally:
            os._exit(3)
    return os.waitpid(child, 0)[1]


def points_of(counts: dict[str, int], behaviour: str) -> list[tuple[str, int]]:
    """Return the points of a life, in order, each with its number.

    Up to the wire nothing depends on the venue: those points are for the first behaviour alone.
    """
    points = [(name, number) for name, count in counts.items() for number in range(count)]
    if behaviour != BEHAVIOURS[0]:
        points = points[[name for name, _ in points].index("at the wire") :]
    return points


def seams(points: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return one point for each seam: the first time that something is about to be kept, or half kept.

    What comes right after it was kept is what comes before the next, and is left to a campaign.
    """
    return [(name, number) for name, number in points if number == 0 and not name.startswith("after ")]


def main(root: Path, behaviour: str, extent: str) -> None:
    """Live once to learn the points, then once for each (``every``) or for a spread of them (``seams``).

    Prints where each life is and how it ended.
    """
    _window()
    whole = root / "whole"
    whole.mkdir()
    assert end_of(whole, behaviour, "", 0) == 0, "the life that nothing ends did not end well"
    points = points_of(json.loads((whole / "crossings.json").read_text()), behaviour)
    ends = []
    for place, (name, number) in enumerate(points if extent == "every" else seams(points)):
        folder = root / f"{place:03}"
        folder.mkdir()
        ends.append([str(folder), name, number, os.WTERMSIG(end_of(folder, behaviour, name, number))])
    print(json.dumps(ends))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
