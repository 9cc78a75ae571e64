"""What a soak has to have done: traded, and with as many tabs at once as were asked for."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak_tabs import PAGES, REPLAY, Tabs
from benchmarks.soak_trading import PLAYER, SETTINGS, arm, most_seen, whats_not_done
from engine.config import load_settings
from engine.run.arming import Arm
from pages.server_entry import PAGES as LINKED


@pytest.mark.parametrize(
    ("orders", "together", "served", "players", "said"),
    [
        (3, 5, 5, 1, ""),
        (3, 5, 6, 2, ""),
        (0, 5, 5, 1, "no order was sent"),
        (3, 4, 5, 1, "at most 4 of 5 tabs open together"),
        (3, 5, 4, 1, "the server had at most 4 of 5 sessions at once"),
        (3, 5, 5, 0, "no replay had a player"),
    ],
)
def test_a_soak_that_did_less_than_it_should_says_so(
    orders: int, together: int, served: int, players: int, said: str
) -> None:
    """A console on which nothing happens holds little, and is flat."""
    seen = Counter(tabs=served, players=players)
    assert whats_not_done(orders, together, seen, 5) == said


def test_a_soak_without_a_browser_asks_for_no_tab() -> None:
    """But for orders all the same."""
    assert whats_not_done(1, 0, Counter(), 0) == ""
    assert whats_not_done(0, 0, Counter(), 0) == "no order was sent"


def test_the_most_of_each_is_taken_and_a_silent_server_had_none() -> None:
    """They need not come at one moment; a server that did not answer in time told nothing."""
    told: list[dict[str, Any]] = [
        {"tabs": 5, "kinds": {"children": {"engine.run.guard": 1}}},
        {},
        {"tabs": 3, "kinds": {"children": {PLAYER: 2}}},
    ]
    assert most_seen(told) == Counter(tabs=5, players=2)


def test_its_console_is_a_live_one_and_armed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the settings and the file that an operator's console reads."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    for name in ("RTDS_WS_URL", "CLOB_WS_URL"):
        monkeypatch.setenv(name, "ws://127.0.0.1:1")
    for name in ("GAMMA_API_URL", "CLOB_HOST", "CLOCK_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert not load_settings(tmp_path / "no.env").dry_run
    data = tmp_path / "data"
    arm(data)
    assert Arm(data).is_armed()


class Browser:
    """A Chromium that opens whatever it is told to."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.pages = [self]

    def new_context(self, **_: Any) -> "Browser":
        return self

    def new_page(self) -> "Browser":
        return self

    def on(self, _: str, told: Any) -> None:
        self.told = told

    def goto(self, address: str, **_: Any) -> None:
        self.addresses.append(address)

    def close(self) -> None:
        """Nothing to close."""

    def wait_for_timeout(self, _: float) -> None:
        """Wait for nothing."""


def test_every_page_is_opened_before_any_is_opened_twice() -> None:
    """All that there are: who is not looked at leaves nothing behind."""
    every = {*PAGES, REPLAY}
    assert every == {"", *LINKED}
    browser = Browser()
    tabs = Tabs(browser, "http://here", 5)
    for now_s in range(0, 40 * len(every), 40):
        tabs.turn(now_s, 5)
    opened = browser.addresses[: len(every)]
    assert sorted(opened) == sorted(f"http://here/{name}" for name in every)
    assert tabs.pages == every


def test_nobody_leaves_before_the_server_has_them_all() -> None:
    """On a busy machine a page takes longer to load than another one stays."""
    tabs = Tabs(Browser(), "http://here", 5)
    for now_s in range(0, 7 * 60, 60):
        tabs.turn(now_s, min(now_s // 60, 4))
    assert (tabs.opened, tabs.together) == (5, 5)
    tabs.turn(420.0, 5)
    assert (tabs.opened, tabs.together) == (6, 5)
    tabs.turn(480.0, 0)  # the server was not asked since
    assert tabs.opened == 6
    tabs.close()
    tabs.turn(540.0, 0)
    assert (tabs.opened, tabs.together) == (7, 5)


def test_a_pages_error_names_the_page() -> None:
    """Of five that are open."""
    browser = Browser()
    tabs = Tabs(browser, "http://here", 2)
    tabs.turn(0.0, 0)
    page = browser.addresses[0].removeprefix("http://here")
    first = browser.told
    tabs.turn(1.0, 1)
    first(TypeError("x"))
    assert tabs.errors == [f"{page}: x"]
