"""SIGKILL at every point of an order's way: nothing is sent twice or forgotten, the loss counts on."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.core.ledger import DAY_MS
from engine.errors import JournalError
from engine.events import OrderKilled
from engine.journal import read_events
from engine.run.ledger.file import LedgerFile
from engine.run.ledger.read import pnl_by_day
from tests.core.builders import END_S, Core
from tests.run.crash_points import BEHAVIOURS, SLUG, Crossings, Life, VenueDouble, live

REPOSITORY = Path(__file__).parents[2]
DAY = END_S * 1000 // DAY_MS


class Death(NamedTuple):
    """Where a life ended."""

    folder: Path
    point: str
    number: int


def deaths(root: Path, behaviour: str, extent: str) -> list[Death]:
    """Let engines live and die in processes of their own, one at each point."""
    command = [sys.executable, "-m", "tests.run.crash_points", str(root), behaviour, extent]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout.splitlines()[-1])
    assert {end for *_, end in ends} == {signal.SIGKILL}, ends
    return [Death(Path(folder), name, number) for folder, name, number, _ in ends]


def lost_e6(venue: VenueDouble) -> int:
    """What the venue's trades lost once the window settled against them; trades that failed never were."""
    deals = [deal for deals in venue.executed().values() for deal in deals]
    return sum(deal.cost_e6 + deal.fee_e6 for deal in deals if deal.status != "FAILED")


EXTENTS = [
    *[(behaviour, "seams") for behaviour in BEHAVIOURS[:1]],
    *[pytest.param(behaviour, "seams", marks=pytest.mark.campaign) for behaviour in BEHAVIOURS[1:]],
    *[pytest.param(behaviour, "every", marks=pytest.mark.campaign) for behaviour in BEHAVIOURS],
]
"""Once at each seam that lies behind the wire, as a part of the campaign, which dies at every point."""

SENT = {"at the wire", "received, not executed"}
KEPT = {"before OutcomeServed is recorded", "after OutcomeServed is recorded", "after the ledger is closed"}
FILLED = (
    SENT
    | KEPT
    | {
        "executed, not answered",
        "before OrderFilled is recorded",
        "inside the ledger's transaction: PastFill and filled",
        "before TradeStatusTold is recorded",
        "inside the ledger's transaction: PastFillStatus",
        "inside the ledger's transaction: PastSettlement",
    }
)
KILLED = SENT | KEPT | {"before OrderKilled is recorded", "inside the ledger's transaction: killed"}
LOST = {"after OrderUnknown is recorded", "inside the ledger's transaction: unknown"}
EARLY = {
    "before LedgerRestored is recorded",
    "after the intent is recorded",
    "before signing",
    "signed, not recorded",
    "recorded, not sent",
    "before durable",
    "after durable",
}
POINTS = {
    "lost": EARLY | LOST | FILLED,
    "fills": FILLED,
    "ghost": FILLED,
    "vanishes": LOST | KILLED,
    "kills": KILLED,
}
"""What a life must cross: all but the first behaviour begin at the wire, as the way there is the same."""

LEAST = {"lost": 40, "fills": 25, "ghost": 25, "vanishes": 15, "kills": 10}
"""Points that a life crosses at least; an order that comes to nothing has fewer."""


@pytest.mark.parametrize(("behaviour", "extent"), EXTENTS)
def test_an_engine_that_is_killed_anywhere_goes_on_without_a_loss(
    tmp_path: Path, behaviour: str, extent: str
) -> None:
    """At each point: a second engine meets the same window, reconciles and settles; a third one agrees."""
    lives = deaths(tmp_path, behaviour, extent)
    crossed = {death.point for death in lives}
    if extent == "every":
        assert crossed >= POINTS[behaviour], f"not crossed: {POINTS[behaviour] - crossed}"
    assert len(lives) >= (LEAST[behaviour] if extent == "every" else 6), "these lives crossed too few points"
    for death in lives:
        where = f"{behaviour}, {death.point} ({death.number})"
        venue = VenueDouble(death.folder / "venue.jsonl", behaviour, Crossings().cross)
        before, is_over = venue.received(), was_killed(death.folder)
        second = asyncio.run(live(death.folder, "s2", behaviour))
        # An engine that halted would pass what follows for want of a life.
        assert second.session.state.halted_why is None, where
        assert not forgotten(second, venue, before), f"forgotten: {where}"
        # One whose end is known to be nothing may be followed by another; one that may live is never.
        assert venue.received() == before or not before or is_over, f"sent twice: {where}"
        assert len(set(venue.received())) == len(venue.received()), f"sent twice: {where}"
        assert len(venue.executed()) <= 1, f"executed twice: {where}"
        assert second.session.state.ledger.realised_on(DAY) == -lost_e6(venue), where
        assert not second.session.state.trading.in_flight, where
        check_third(death.folder, venue, where)


def was_killed(folder: Path) -> bool:
    """Say whether the first life left word, on the disk, that its order was killed unfilled."""
    journal = read_events(folder / "sessions" / "s1.sqlite")
    if any(isinstance(record.event, OrderKilled) for record in journal):
        return True
    with closing(sqlite3.connect(folder / "ledger-live.sqlite")) as database:
        return database.execute("SELECT 1 FROM orders WHERE state = 'killed'").fetchone() is not None


def forgotten(life: Life, venue: VenueDouble, before: list[str]) -> set[str]:
    """Return the executed orders of the first life that the second one was not told of."""
    told = {order.venue_order_id for order in life.told.orders}
    filled = {fill.trade_id for fill in life.told.fills}
    return {
        venue_order_id
        for venue_order_id, deals in venue.executed().items()
        if venue_order_id in before
        and venue_order_id not in told
        and not any(deal.trade_id in filled for deal in deals)
    }


def check_third(folder: Path, venue: VenueDouble, where: str) -> None:
    """A third start finds nothing open, and the same loss in the core and in SQL."""
    file = LedgerFile(folder / "ledger-live.sqlite", "s3", "live")
    told = file.restore(folder / "sessions", (END_S + 60) * 1000)
    file.close()
    assert told.orders == (), where
    ghosts = [deal for deals in venue.executed().values() for deal in deals if deal.status == "FAILED"]
    assert told.unresolved == ((SLUG,) if ghosts else ()), where
    core = Core()
    core.feed(told)
    assert core.state.ledger.realised_on(DAY) == -lost_e6(venue), where
    days = pnl_by_day(folder / "ledger-live.sqlite").rows
    assert sum(day.realised_e6 for day in days) == -lost_e6(venue), where


def test_a_crashed_session_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    """Its journal may be all that knows of an order: rather no engine than one that forgot."""
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "s1.sqlite").write_bytes(b"torn" * 4_000)
    with pytest.raises(JournalError, match="not a session"):
        asyncio.run(live(tmp_path, "s2", "fills"))
