"""Paper and live decide the same: one venue, one stream of frames, two cores, two brokers.

A live engine trades a recorded window at the practice venue with the official client. Beside it, in the same
process, a second session takes in the very same events of the market, and trades on paper. Whatever differs
between the two can only come from what stands behind the order thread.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.msgpack import decode
from msgspec.structs import replace

from benchmarks.live_scene import live_scene
from benchmarks.venue_scene import Scene
from engine import events as e
from engine.config import load_settings
from engine.core.decide import GATE_NAMES, Decision
from engine.core.trading import OrderIntent
from engine.journal import Journal, read_events, read_outputs
from engine.kill import KillSwitch
from engine.run import backlog
from engine.run.order_desk import paper_desk
from engine.run.session import Session
from engine.run.verify.proof import verify
from tests.shared_data import needs_recordings, recording

pytestmark = [pytest.mark.whole, pytest.mark.timeout(180), needs_recordings]

ON_THE_ACCOUNT = (
    e.OrderSigned,
    e.OrderSubmitted,
    e.OrderFilled,
    e.OrderKilled,
    e.OrderDenied,
    e.OrderRejected,
    e.OrderUnknown,
    e.OrdersCancelled,
    e.TradeStatusTold,
    e.AccountOrderTold,
    e.AccountTradeTold,
    e.BalanceTold,
    e.SharesTold,
    e.ArmChanged,
    e.VenueRestricted,
    e.LedgerRestored,
)
"""What is not of the market: each session has its own."""

EAGER = {
    "watch_return_threshold": 1e-6,
    "hammer_secs": 200.0,
    "d_min": 0.01,
    "max_entry_price": 0.99,
    "quote_size_usd": 5.0,
    "venue_hold_ms": 0.0,
    "paper_latency_ms": 0.0,
    "price_staleness_threshold": 60.0,
    "max_clock_skew_ms": 60_000.0,
}
"""So that a quiet window is traded, on a busy machine too, and paper orders are as fast as on loopback."""


class Twin(Session):
    """A session that lets another one, on paper, see all that it sees of the market."""

    made: ClassVar[list["Twin"]] = []
    folder: ClassVar[Path]
    opening: "asyncio.Task[None]"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.path = self.folder / "paper.sqlite"
        self.paper = Session(self.clock, Journal(self.path, {}), lambda _: None)
        self.made.append(self)

    def accept(self, event: e.AnyEvent) -> None:
        super().accept(event)
        if isinstance(event, e.SessionOpened):
            event = replace(event, dry_run=True, cash_e6=1_000_000_000)
            settings = load_settings(self.folder / "no.env", **EAGER)
            desk = paper_desk(settings, self.paper, KillSwitch(self.folder / "paper"))
            self.paper.broker = desk
            self.opening = asyncio.get_running_loop().create_task(desk.open())
        if not isinstance(event, ON_THE_ACCOUNT):
            self.paper.accept(event)


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Play a window once; return the journals, live and paper."""
    folder = tmp_path_factory.mktemp("twins")
    session = str(recording("sessions/btc-updown-5m-1787236800.json.gz"))
    Twin.folder = folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.run.engine.Session", Twin)
        # A busy machine is behind at this speed, and nothing would be bought: that gate is not asked here.
        for name in ("LOOP_LATE_S", "QUEUE_LATE_S", "UNREAD_BYTES"):
            patch.setattr(backlog, name, 1e9)
        with live_scene(folder, "--session", session, "--speed", "15", **EAGER) as made:
            made.until(lambda: _is_over(made), 90)
        assert made.error is None
        (twin,) = Twin.made
        twin.paper._journal.close()
        live = made.engine.journal_path
        assert live is not None
        yield live, twin.path


def _is_over(made: Scene) -> bool:
    if made.latest is None:
        return False
    return any(row.outcome_source == "served" for row in made.now.settlements)


Key = tuple[int, int]
"""The number of the event of the market that led to something, and its place among what that led to."""


def _decided(path: Path) -> dict[Key, Decision | OrderIntent]:
    """Return what was decided because of each event of the market; what an account's event led to is not."""
    numbers: dict[int, int] = {}
    for record in read_events(path):
        if not isinstance(record.event, ON_THE_ACCOUNT):
            numbers[record.seq] = len(numbers)
    decided: dict[Key, Decision | OrderIntent] = {}
    for seq, place, kind, body in read_outputs(path):
        if seq not in numbers:
            continue
        if kind == "Decision":
            decided[numbers[seq], place] = replace(decode(body, type=Decision), seq=0)
        else:
            decided[numbers[seq], place] = replace(decode(body, type=OrderIntent), decided_seq=0)
    return decided


def _first_order(decided: dict[Key, Decision | OrderIntent]) -> tuple[Key, OrderIntent]:
    return next((key, one) for key, one in decided.items() if isinstance(one, OrderIntent))


def test_every_decision_is_the_same_until_an_order_is_answered(traded: tuple[Path, Path]) -> None:
    """Gates, z, probability, EV to the last bit; then the same order: token, limit, dollars, deadline."""
    live, paper = map(_decided, traded)
    key, order = _first_order(live)
    assert _first_order(paper) == (key, order)
    before = [{at: one for at, one in each.items() if at <= key} for each in (live, paper)]
    assert len(before[0]) > 500
    assert before[0] == before[1]


OWN = ("one order a market", "trades an hour", "daily loss", "exposure", "correlated loss", "balance")
"""Gates of what our own orders came to."""

OF_A_PRICE = ("distance", "price cap", "depth", "EV")
"""Gates that are asked once no other refuses, which our own may do here and not there."""

AFTERWARDS = 500
"""Decisions after the first order; there are thousands, as a quiet window is traded soon."""


def test_afterwards_only_the_gates_of_our_own_orders_differ(traded: tuple[Path, Path]) -> None:
    """A kill comes a few milliseconds sooner here than there; no number of the market may differ, nor a gate
    that is asked before the early exit, whichever of our own refuse beside it."""
    skipped = {*OWN, *OF_A_PRICE}
    market = sum(bit for bit, name in GATE_NAMES.items() if name not in skipped)
    live, paper = map(_decided, traded)
    first, _ = _first_order(live)
    compared = 0
    for key in sorted(key for key in live.keys() & paper.keys() if key > first):
        one, other = live[key], paper[key]
        if isinstance(one, Decision) and isinstance(other, Decision):
            assert (one.at_ms, one.slug) == (other.at_ms, other.slug)
            assert (one.gates ^ other.gates) & market == 0, (key, one, other)
            if one.p_up is not None and other.p_up is not None:
                assert one == other, key
            compared += 1
    assert compared > AFTERWARDS


def test_both_sessions_are_proved(traded: tuple[Path, Path]) -> None:
    """Played through the core again; raw frames are those of the live one."""
    for path in traded:
        verdict = verify(path)
        assert verdict.holds, f"{path}: {verdict.words}: {verdict.first_divergence}"
        assert verdict.decisions > AFTERWARDS
