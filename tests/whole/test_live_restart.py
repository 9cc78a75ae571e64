"""SIGKILL between an order and its end, with everything real: engine, venue, sockets, official client.

The venue pays nobody out here (``stuck-redeem``), so that what it holds is what was traded, to the millionth.
"""

import asyncio
import signal
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx
import pytest

from engine.core.decide import Decision
from engine.errors import JournalError
from engine.events import OrderDenied, OrderFilled, OrderKilled, OrderRejected, OrderUnknown
from engine.journal import RecordedOrder, read_meta, read_orders, read_outputs
from engine.journal_read import read_kinds
from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY
from engine.run.arming import Arm
from engine.venue.fills import Fees
from engine.venue.official import OfficialExchange
from engine.venue.official_client import Access
from tests.whole.processes import practice_venue, run_command
from tests.whole.test_commands import EAGER, clock_in
from tests.whole.test_operation import started, until
from tests.whole.test_secrets import MADE, RIGHT, settings_of

pytestmark = [pytest.mark.whole, pytest.mark.timeout(170)]

Value = TypeVar("Value")
SURE = EAGER | {
    "SIGMA_MULTIPLIER": "0.01",
    "SIGMA_FLOOR": "0.0000001",
    "HAMMER_SECS": "295",
    "D_MIN": "5",
    "MAX_ENTRY_PRICE": "0.99",
    "QUOTE_SIZE_USD": "5",
    "ORDER_TIMEOUT_S": "4",
}
"""Settings with which an engine is certain of its side as soon as the price is five dollars off the strike,
when the others are not yet: its limit is the highest there is and the ask some 0.6, so that the order fills,
whatever becomes of the book while it is under way."""

SPEED = "4"
"""A window of five minutes lasts 75 s of the wall: time for a death and a second life within it."""


class Venue:
    """The venue from outside any engine: its faults, what it was sent, what the account holds."""

    def __init__(self, urls: dict[str, str]) -> None:
        self.urls = urls
        self._host = urls["CLOB_HOST"]

    def play(self, name: str, **args: Any) -> None:
        asked = {"name": name, "args": args}
        httpx.post(f"{self._host}/control/fault", json=asked, timeout=10).raise_for_status()

    def mend(self) -> None:
        """End every fault but the one that all of this needs."""
        httpx.delete(f"{self._host}/control/fault", timeout=10).raise_for_status()
        self.play("stuck-redeem")

    def struck(self) -> bool:
        """Say whether a fault of orders has struck."""
        return any(fault["did"] for fault in self.told()["faults"] if fault["name"] != "stuck-redeem")

    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = httpx.get(f"{self._host}/status", timeout=10).json()
        return told

    def ask(self, question: Callable[[OfficialExchange], Coroutine[Any, Any, Value]]) -> Value:
        """Ask with an official client of our own."""
        access = Access(
            wallet=PRACTICE_ADDRESS,
            clob_host=self._host,
            gamma_url=self.urls["GAMMA_API_URL"],
            private_key=PRACTICE_KEY,
            api_key=MADE.api_key,
            secret=MADE.secret,
            passphrase=MADE.passphrase,
        )
        looker = OfficialExchange(access, 5.0, Fees(lambda: 0.0))

        async def asked() -> Value:
            await looker.open()
            try:
                return await question(looker)
            finally:
                await looker.close()

        return asyncio.run(asked())

    def cash_e6(self) -> int:
        return self.ask(lambda venue: venue.balance())[0]

    def shares_e6(self, tokens: set[str]) -> dict[str, int]:
        async def each(venue: OfficialExchange) -> dict[str, int]:
            return {token: await venue.shares(token) for token in tokens}

        return self.ask(each)


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    (tmp_path / "data").mkdir()
    Arm(tmp_path / "data").arm("test", "drill", 30)
    with practice_venue("--seed", "1", "--speed", SPEED, cwd=tmp_path) as urls:
        made = Venue(urls)
        made.mend()
        yield made


class Lives:
    """The sessions of a data folder, oldest first."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def journals(self) -> list[Path]:
        """Return the journals that are begun; one that is being made has no tables yet."""
        begun: list[tuple[str, Path]] = []
        for path in (self._data / "sessions").glob("*.sqlite"):
            with suppress(JournalError, KeyError):
                begun.append((read_meta(path)["started"], path))
        return [path for _, path in sorted(begun)]

    def orders(self, life: int) -> dict[str, RecordedOrder]:
        journals = self.journals()
        return read_orders(journals[life]) if len(journals) > life else {}

    def sent(self, life: int) -> list[str]:
        """Return the ids of the orders that left."""
        return [order_id for order_id, order in self.orders(life).items() if order.was_submitted]

    def told(self, life: int, order_id: str, kind: type[Any]) -> list[tuple[int, Any]]:
        """Return what a session was told of an order, with the events' numbers."""
        journals = self.journals()
        return [
            (record.seq, record.event)
            for record in (
                read_kinds(journals[life], (str(kind.__struct_config__.tag),)) if len(journals) > life else ()
            )
            if isinstance(record.event, kind) and record.event.order_id == order_id
        ]

    def ends(self, life: int, order_id: str) -> list[Any]:
        """Return every end that a session was told of an order."""
        kinds = (OrderFilled, OrderKilled, OrderRejected, OrderDenied)
        return [event for kind in kinds for _, event in self.told(life, order_id, kind)]

    def is_over(self, life: int, end_s: int) -> bool:
        """Say whether a session's own clock is past the end of a window."""
        return (clock_in(self.journals()[life]) or 0) >= end_s * 1000

    def decided(self, life: int, slug: str) -> int:
        """Count the decisions about a window."""
        return sum(
            1
            for _, _, kind, body in read_outputs(self.journals()[life])
            if kind == Decision.__name__ and slug.encode() in body
        )


class Killed(NamedTuple):
    """What the first life left."""

    lives: Lives
    order_id: str
    slug: str
    end_s: int
    settings: dict[str, str]


def die_of(folder: Path, venue: Venue, strike: Callable[[], None]) -> Killed:
    """Trade until an order's end is unknown, with a second engine turned away meanwhile; then SIGKILL.

    ``strike``: what to do at the venue as soon as it was sent an order.
    """
    lives = Lives(folder / "data")
    settings = settings_of(venue.urls, RIGHT, "false") | SURE
    with started("-m", "engine", "run", "--seconds", "160", cwd=folder, **settings) as engine:
        until(venue.struck, patience_s=60.0, every_s=0.05)
        strike()
        second = run_command("run", "--seconds", "5", cwd=folder, **settings)
        assert second.returncode == 1
        assert f"another engine (process {engine.pid}, since " in second.stderr
        until(lambda: bool(lives.sent(0)))
        # The first that left was struck; a slow machine's last gate may have held others back before it.
        # Until the second engine is turned away, orders for the other window may leave; none for the same.
        order_id = lives.sent(0)[0]
        until(lambda: bool(lives.told(0, order_id, OrderUnknown)), every_s=0.1)
        engine.send_signal(signal.SIGKILL)
        engine.communicate(timeout=20)
    order = lives.orders(0)[order_id]
    assert order.intent is not None
    assert order.ends == (), "its end was not known when the engine died"
    slugs = [one.intent.slug for one in lives.orders(0).values() if one.was_submitted and one.intent]
    assert slugs.count(order.intent.slug) == 1, "no other order left for its window"
    return Killed(lives, order_id, order.intent.slug, order.intent.end_s, settings)


def agrees(venue: Venue, began_e6: int, ledger: Path) -> bool:
    """Say whether dollars, and shares of every token, are the same there and in the ledger's file."""
    with closing(sqlite3.connect(ledger)) as database:
        bought = database.execute(
            "SELECT o.token, sum(f.shares_e6), sum(f.cost_e6 + f.fee_e6) FROM fill f "
            "JOIN orders o ON o.session = f.session AND o.order_id = f.order_id "
            "WHERE f.status <> 'FAILED' AND f.side = 'BUY' GROUP BY o.token"
        ).fetchall()
    shares = {token: held for token, held, _ in bought}
    spent_e6 = sum(cost for *_, cost in bought)
    return venue.cash_e6() == began_e6 - spent_e6 and venue.shares_e6(set(shares)) == shares


def test_an_order_whose_answer_never_came_is_found_by_the_next_engine(tmp_path: Path, venue: Venue) -> None:
    """By its hash, once, with the venue's own numbers; and its window is not bought again.

    The answer is held back, not broken off: so the venue can be made to answer nothing else either before the
    first engine has given up, and no search of its own comes before the kill.
    """
    began_e6 = venue.cash_e6()
    venue.play("slow-order", ms=120_000, what="answer", count=1)
    was = die_of(tmp_path, venue, lambda: venue.play("401-clock"))
    venue.mend()
    sent = venue.told()["orders"]
    assert sent == 1
    with started("-m", "engine", "run", "--seconds", "120", cwd=tmp_path, **was.settings) as engine:
        until(lambda: bool(was.lives.ends(1, was.order_id)), patience_s=90.0, every_s=0.1)
        assert was.lives.told(1, was.order_id, OrderFilled), was.lives.ends(1, was.order_id)
        seen = was.lives.decided(1, was.slug)
        # On a busy machine the window may have ended meanwhile: then there is nothing left to decide.
        until(
            lambda: was.lives.decided(1, was.slug) > seen + 20 or was.lives.is_over(1, was.end_s), every_s=0.3
        )
        engine.send_signal(signal.SIGTERM)
        _, stderr = engine.communicate(timeout=40)
    assert engine.returncode == 0, stderr
    assert len(was.lives.told(1, was.order_id, OrderFilled)) == 1
    again = [
        order for order in was.lives.orders(1).values() if order.intent and order.intent.slug == was.slug
    ]
    assert again == []
    until(lambda: agrees(venue, began_e6, tmp_path / "data" / "ledger-live.sqlite"), every_s=0.3)
    assert venue.cash_e6() < began_e6
    with closing(sqlite3.connect(tmp_path / "data" / "ledger-live.sqlite")) as database:
        rows = database.execute("SELECT state FROM orders WHERE order_id = ?", (was.order_id,)).fetchall()
    assert sorted(rows) == [("adopted",), ("filled",)], "the second life took it over from the first"


@pytest.mark.campaign
def test_an_order_that_never_arrived_is_let_go_by_the_next_engine(tmp_path: Path, venue: Venue) -> None:
    """The venue has to lack it for as long as orders were ever late; until then its window waits."""
    began_e6 = venue.cash_e6()
    venue.play("lost-answer", executed="no", of="order", count=1)
    was = die_of(tmp_path, venue, lambda: None)
    assert venue.told()["orders"] == len(was.lives.sent(0)) - 1
    with started("-m", "engine", "run", "--seconds", "120", cwd=tmp_path, **was.settings) as engine:
        until(lambda: bool(was.lives.told(1, was.order_id, OrderKilled)), patience_s=90.0, every_s=0.3)
        engine.send_signal(signal.SIGTERM)
        _, stderr = engine.communicate(timeout=40)
    assert engine.returncode == 0, stderr
    ((known_at, killed),) = was.lives.told(1, was.order_id, OrderKilled)
    assert "never had it" in killed.reason
    again = [
        order for order in was.lives.orders(1).values() if order.intent and order.intent.slug == was.slug
    ]
    assert [order for order in again if order.seq < known_at] == []
    until(lambda: agrees(venue, began_e6, tmp_path / "data" / "ledger-live.sqlite"), every_s=0.3)
