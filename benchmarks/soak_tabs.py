"""Browser sessions of a soak: real tabs that come and go, and that all close when the server is to rest.

Each page is opened once before any is opened twice: a short run would miss the one that leaves something.
"""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from benchmarks.paint import FLAGS

TAB_STAYS_S: Final = (4.0, 30.0)
"""Shortest and longest time that a tab stays open; then another one is opened on another page."""
PAGES: Final = (
    "", "panic", "mode", "health", "decisions", "execution", "ledger", "truth", "sessions", "handover",
    "what_if", "sweep", "calibration", "drills", "settings", "help",
)  # fmt: skip
REPLAY: Final = "replay"
"""All other pages, and the one that begins work by being looked at: a player for each tab, and a process
that makes the running session's index. It is first in each round and stays longest: players start slowly."""


class Visitors(Protocol):
    """Whoever looks at the console during a soak."""

    opened: int
    together: int
    """The most that were open at one moment."""
    pages: set[str]
    """Which were opened."""
    errors: list[str]

    def turn(self, now_s: float, served: int) -> None:
        """Come and go; takes a moment at most.

        Args:
            now_s: Seconds of the run.
            served: How many sessions the server has just now; 0 where it was not asked since the last turn.
        """

    def close(self) -> None:
        """Go, all of them; ``turn`` lets them come again."""


class Nobody:
    """No browser at all."""

    def __init__(self) -> None:
        self.opened = self.together = 0
        self.pages: set[str] = set()
        self.errors: list[str] = []

    def turn(self, now_s: float, served: int) -> None:
        """Stay away."""

    def close(self) -> None:
        """Have nothing to close."""


class Tabs:
    """Browser sessions, each of its own context: opened on some page, closed after a while."""

    def __init__(self, chromium: Any, console: str, count: int) -> None:
        self.opened = self.together = 0
        self.pages: set[str] = set()
        self.errors: list[str] = []
        self._chromium, self._console, self._count = chromium, console, count
        self._open: list[tuple[float, Any]] = []
        self._chance = random.Random(11)
        self._next: list[str] = []
        """Pages not opened yet in this round, the next one last."""

    def turn(self, now_s: float, served: int) -> None:
        """Close one whose time is over, open one that is missing; at most one of each: it takes a while.

        Nobody leaves before the server has them all: on a busy machine a page takes longer to load than it
        would stay, and of five tabs two were ever served at once.
        """
        over = next((one for one in self._open if one[0] <= now_s), None)
        if over is not None and served >= self._count:
            self._open.remove(over)
            over[1].close()
        if len(self._open) < self._count:
            self._come(now_s)
        elif self._open:
            self._open[0][1].pages[0].wait_for_timeout(20)  # lets the browser's own messages through

    def _come(self, now_s: float) -> None:
        """Open the next page in a browser session of its own."""
        if not self._next:
            self._next = [*self._chance.sample(PAGES, len(PAGES)), REPLAY]
        name = self._next.pop()
        context = self._chromium.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(f"/{name}: {error}"[:200]))
        page.goto(f"{self._console}/{name}", wait_until="commit", timeout=60_000)
        stays_s = TAB_STAYS_S[1] if name == REPLAY else self._chance.uniform(*TAB_STAYS_S)
        self._open.append((now_s + stays_s, context))
        self.opened += 1
        self.together = max(self.together, len(self._open))
        self.pages.add(name)

    def close(self) -> None:
        """Close all."""
        for _, context in self._open:
            context.close()
        self._open.clear()


@contextmanager
def visitors(count: int, console: str) -> Iterator[Visitors]:
    """Give so many tabs on a console; none of them needs a browser.

    Raises:
        SystemExit: There is no Chromium.
    """
    if not count:
        yield Nobody()
        return
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (a test dependency)

    binary = shutil.which("chromium")
    if binary is None:
        raise SystemExit("no Chromium: install Debian's package chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        tabs = Tabs(chromium, console, count)
        try:
            yield tabs
        finally:
            tabs.close()
            chromium.close()
