"""A live engine against the practice venue: the official client, real sockets, orders made by hand.

The engine is armed by its file, as an operator would leave it. Orders that are made here go the way of every
order from the core on: journal, order thread, last gate, socket; only the decision before them is left out.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.venue_scene import Scene, scene
from engine.core.orders import take_up
from engine.core.state import Market
from engine.core.trading import Order, OrderIntent
from engine.journal import read_events
from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY, credentials_of
from engine.run.arming import Arm
from engine.venue.fills import Fees
from engine.venue.official import OfficialExchange
from engine.venue.official_client import Access

Value = TypeVar("Value")

_KEYS = credentials_of(PRACTICE_ADDRESS, 0)

LIVE: dict[str, Any] = {
    "dry_run": False,
    "private_key": PRACTICE_KEY,
    "api_key": _KEYS.api_key,
    "api_secret": _KEYS.secret,
    "api_passphrase": _KEYS.passphrase,
    "wallet_address": PRACTICE_ADDRESS,
}
"""The practice account, whose key is known to all."""


@contextmanager
def live_scene(folder: Path, *arguments: str, **settings: Any) -> Iterator[Scene]:
    """Start venue and engine, live and armed."""
    (folder / "data").mkdir(exist_ok=True)
    Arm(folder / "data").arm("benchmark", "against practice", 60)
    with scene(folder, *arguments, **(LIVE | settings)) as made:
        yield made


class Hand:
    """Orders made by hand, and a look at the account from outside the engine."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._made = 0
        access = Access(
            wallet=PRACTICE_ADDRESS,
            clob_host=scene.urls["CLOB_HOST"],
            gamma_url=scene.urls["GAMMA_API_URL"],
            private_key=PRACTICE_KEY,
            api_key=_KEYS.api_key,
            secret=_KEYS.secret,
            passphrase=_KEYS.passphrase,
        )
        self._looker = OfficialExchange(access, 5.0, Fees(lambda: 0.0))
        self._runner = asyncio.Runner()
        self._is_open = False

    def in_loop(self, function: Callable[[], Value]) -> Value:
        """Run something in the engine's loop and return what it says."""
        answer: Future[Value] = Future()

        def run() -> None:
            try:
                answer.set_result(function())
            except BaseException as error:  # noqa: BLE001 (handed over)
                answer.set_exception(error)

        loop = self.scene.engine_loop
        loop.call_soon_threadsafe(run)
        return answer.result(30)

    def latest_market(self, name: str) -> Market:
        """Return the running window of a length."""
        slug = next(one.slug for one in self.scene.running() if one.name == name)
        return self.scene.state.markets[slug]

    def intent(self, market: Market, **changes: Any) -> OrderIntent:
        """Make an intent of the running window: a dollar for Up at any price, unless told otherwise."""
        self._made += 1
        outcome = changes.get("outcome", "UP")
        facts: dict[str, Any] = {
            "order_id": f"{market.contract.slug}#h{self._made}",
            "slug": market.contract.slug,
            "outcome": outcome,
            "token": market.book_of(outcome).token,
            "limit_e4": 9_900,
            "usd_e6": 1_000_000,
            "deadline_ms": self.scene.engine_clock.now_ms() + 60_000,
            "decided_seq": 0,
            "end_s": market.contract.end_s,
            "probability": 0.5,
            "fee": market.contract.fee,
        }
        return OrderIntent(**(facts | changes))

    def place(self, intent: OrderIntent, *, known: bool = True) -> None:
        """Let an intent go the way of every intent. ``known``: the core follows it."""
        session = self.scene.engine.session
        assert session is not None

        def begin() -> None:
            if known:
                take_up(session.state, Order(intent, session.state.now_ms))
            session.carry_out(session.state.seq, 1_000_000 + self._made, intent)

        self.in_loop(begin)

    def ask(self, question: Callable[[OfficialExchange], Coroutine[Any, Any, Value]]) -> Value:
        """Ask the venue about the account, with a client of our own; it takes a second to open and stays."""
        if not self._is_open:
            self._runner.run(self._looker.open())
            self._is_open = True
        return self._runner.run(question(self._looker))

    def close(self) -> None:
        """Close that client."""
        if self._is_open:
            self._runner.run(self._looker.close())
        self._runner.close()

    def recorded(self, kind: type[Any]) -> list[Any]:
        """Return the journal's events of one kind, as far as they are committed."""
        path = self.scene.engine.journal_path
        assert path is not None
        with contextlib.suppress(StopIteration):
            return [record.event for record in read_events(path) if isinstance(record.event, kind)]
        return []
