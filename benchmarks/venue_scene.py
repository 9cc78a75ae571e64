"""A practice venue and a whole engine in its own thread, for measurements and tests that break things."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from engine.clock import Clock
from engine.config import load_settings
from engine.core.state import State
from engine.run.engine import Engine
from engine.snapshot import ContractView, FeedView, Snapshot

KEYS: Final = {"api_key": "practice", "api_secret": "cHJhY3RpY2U=", "api_passphrase": "practice"}
"""Any will do for practice: with them PolyBolt and the user channel are used too."""

SETTLING: Final = ("chainlink", "twap 60 s", "spot")


class NotInTimeError(Exception):
    """What was waited for did not happen; the message shows feeds, topics and books as they were."""


class Scene:
    """The engine under test, its newest snapshot, and the venue's control call."""

    def __init__(self, urls: dict[str, str], folder: Path, **settings: Any) -> None:
        self.urls = urls
        self.latest: Snapshot | None = None
        self.error: BaseException | None = None
        self.task_errors: list[str] = []
        addresses = {name.lower(): url for name, url in urls.items()}
        self.settings = load_settings(
            folder / "no.env", data_dir=folder / "data", **(KEYS | addresses | settings)
        )
        self.engine = Engine(self.settings, self._look)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self.thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.thread.start()

    def _look(self, snapshot: Snapshot) -> None:
        self.latest = snapshot

    def _run(self) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._loop.set_exception_handler(lambda _, told: self.task_errors.append(str(told)))
            await self.engine.run(self._stop)

        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 (whatever ended the engine is what was looked for)
            self.error = error

    def end(self) -> None:
        """Stop the engine and wait for it."""
        if self._loop is not None and self.thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self.thread.join(30)

    @property
    def state(self) -> State:
        """The core's memory; it belongs to another thread, so only look."""
        assert self.engine.session is not None
        return self.engine.session.state

    @property
    def engine_loop(self) -> asyncio.AbstractEventLoop:
        """The engine's loop."""
        assert self._loop is not None
        return self._loop

    @property
    def engine_clock(self) -> Clock:
        """The engine's clock."""
        assert self.engine.session is not None
        return self.engine.session.clock

    @property
    def now(self) -> Snapshot:
        """The newest snapshot."""
        assert self.latest is not None
        return self.latest

    def feed(self, name: str) -> FeedView:
        """Return one feed."""
        return next(feed for feed in self.now.feeds if feed.name == name)

    def topic(self, name: str) -> str:
        """Return one topic's state, ``absent`` where there is none."""
        return next((topic.state for topic in self.now.topics if topic.name == name), "absent")

    def running(self) -> list[ContractView]:
        """Return the windows that run now."""
        now_s = self.now.now_ms / 1000
        return [one for one in self.now.contracts if one.start_s <= now_s < one.end_s]

    def refuses(self, gate: str) -> bool:
        """Say whether a gate refuses any running window."""
        return any(
            row.name == gate and not row.passed
            for one in self.running()
            if one.decision is not None
            for row in one.decision.gates
        )

    def is_well(self) -> bool:
        """Say whether every feed is connected and fresh, every running book live, nothing halted."""
        if self.latest is None or self.now.mode.halted_why is not None:
            return False
        feeds = all(feed.connected and not feed.stale for feed in self.now.feeds if feed.name != "site")
        topics = all(self.topic(name) in ("fresh", "late") for name in SETTLING)
        running = self.running()
        books = all(one.up.state == one.down.state == "live" for one in running)
        return feeds and topics and books and len(running) == 2

    def tokens_of(self, slug: str) -> tuple[str, str]:
        """Return a window's tokens, Up and Down."""
        contract = self.state.markets[slug].contract
        return contract.token_up, contract.token_down

    def book_is_the_venues(self, token: str) -> bool:
        """Say whether a rebuilt book equals the venue's own, asked for by REST, to the last level."""
        answer = httpx.get(f"{self.urls['CLOB_HOST']}/book", params={"token_id": token}, timeout=10).json()
        known = self.state.tokens.get(token)
        if known is None:
            return False
        book = known[0].book_of(known[1])
        theirs = [
            sorted(
                (round(float(level["price"]) * 10_000), round(float(level["size"]) * 1_000_000))
                for level in side
            )
            for side in (answer["bids"], answer["asks"])
        ]
        return [sorted(book.depth(side, 1_000)) for side in ("BUY", "SELL")] == theirs

    def until(self, what: Callable[[], bool], patience_s: float = 40.0) -> float:
        """Wait for something; return how long it took, wall seconds.

        Raises:
            NotInTimeError: It did not happen, or the engine ended.
        """
        began = time.monotonic()
        while not what():
            waited = time.monotonic() - began
            if waited > patience_s or not self.thread.is_alive():
                raise NotInTimeError(self.told(waited))
            time.sleep(0.01)
        return time.monotonic() - began

    def told(self, waited: float) -> str:
        """Describe how things are."""
        if self.latest is None or self.error is not None:
            return f"after {waited:.1f} s: no snapshot, engine {self.error!r}"
        feeds = [(one.name, one.connected, one.stale, one.detail) for one in self.now.feeds]
        topics = [(one.name, one.state) for one in self.now.topics]
        books = [(one.slug, one.up.state, one.down.state) for one in self.now.contracts]
        return (
            f"after {waited:.1f} s: {feeds} {topics} {books} {self.now.bad_prices} {self.now.mode.halted_why}"
        )

    @property
    def control(self) -> str:
        """The venue's control call for faults."""
        return f"{self.urls['CLOB_HOST']}/control/fault"

    def did(self, name: str) -> int:
        """Return how often the venue says that a fault struck, since it was started."""
        told = httpx.get(f"{self.urls['CLOB_HOST']}/status", timeout=10).json()
        return sum(sum(one["did"].values()) for one in told["faults"] if one["name"] == name)

    def token_of(self, slug: str, label: str) -> str:
        """Ask the venue itself which token carries a label."""
        answer = httpx.get(f"{self.urls['GAMMA_API_URL']}/markets/slug/{slug}", timeout=30).json()
        labels, tokens = json.loads(answer["outcomes"]), json.loads(answer["clobTokenIds"])
        return str(tokens[labels.index(label)])

    @contextmanager
    def fault(self, name: str, **args: Any) -> Iterator[float]:
        """Play a fault until the block ends; yield when it began, the venue's time in Unix seconds."""
        answer = httpx.post(self.control, json={"name": name, "args": args}, timeout=10).raise_for_status()
        try:
            yield answer.json()["began_ms"] / 1000
        finally:
            httpx.delete(self.control, timeout=10).raise_for_status()


@contextmanager
def scene(folder: Path, *arguments: str, **settings: Any) -> Iterator[Scene]:
    """Start the venue as a process and the engine against it; end both."""
    command = [sys.executable, "-m", "engine", "practice", "--port", "0", "--with-parent", *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as venue:
        assert venue.stdout is not None
        assert venue.stdin is not None
        try:
            made = Scene(json.loads(venue.stdout.readline()), folder, **settings)
            try:
                yield made
            finally:
                made.end()
        finally:
            venue.stdin.close()
