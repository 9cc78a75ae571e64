"""Browser sessions of a soak: real tabs that come and go, and that all close when the server is to rest."""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from benchmarks.paint import FLAGS

TAB_STAYS_S: Final = (4.0, 30.0)
"""Shortest and longest time that a tab stays open; then another one is opened on another page."""
PAGES: Final = ("", "decisions", "ledger", "execution", "health", "truth", "sessions", "mode")


class Visitors(Protocol):
    """Whoever looks at the console during a soak."""

    opened: int
    errors: list[str]

    def turn(self, now_s: float) -> None:
        """Come and go; takes a moment at most."""

    def close(self) -> None:
        """Go, all of them; ``turn`` lets them come again."""


class Nobody:
    """No browser at all."""

    def __init__(self) -> None:
        self.opened = 0
        self.errors: list[str] = []

    def turn(self, now_s: float) -> None:
        """Stay away."""

    def close(self) -> None:
        """Have nothing to close."""


class Tabs:
    """Browser sessions, each of its own context: opened on some page, closed after a while."""

    def __init__(self, chromium: Any, console: str, count: int) -> None:
        self.opened = 0
        self.errors: list[str] = []
        self._chromium, self._console, self._count = chromium, console, count
        self._open: list[tuple[float, Any]] = []
        self._chance = random.Random(11)

    def turn(self, now_s: float) -> None:
        """Close one whose time is over, open one that is missing; at most one of each: it takes a while."""
        over = next((one for one in self._open if one[0] <= now_s), None)
        if over is not None:
            self._open.remove(over)
            over[1].close()
        if len(self._open) < self._count:
            context = self._chromium.new_context(viewport={"width": 1280, "height": 800})
            page = context.new_page()
            page.on("pageerror", lambda error: self.errors.append(str(error)[:200]))
            address = f"{self._console}/{self._chance.choice(PAGES)}"
            page.goto(address, wait_until="commit", timeout=60_000)
            self.opened += 1
            self._open.append((now_s + self._chance.uniform(*TAB_STAYS_S), context))
        elif self._open:
            self._open[0][1].pages[0].wait_for_timeout(20)  # lets the browser's own messages through

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
