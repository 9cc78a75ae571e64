"""Mode, Panic, Health, Settings, Help, Drills and the tour in a real browser."""

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from engine.kill import KillSwitch
from engine.trail import Trail
from tests.browser.conftest import Console, Visit, press

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

Serve = Callable[[str], Console]
Open = Callable[..., Visit]
PAGES = {"mode": "Mode", "health": "Health", "settings": "Settings", "help": "Help", "drills": "Drills"}


NOT_FOUND = "Failed to load resource: the server responded with a status of 404 (Not Found)"

LEFT = "/push' failed: WebSocket is closed before the connection is established"
"""The live page was left before its push socket had opened."""


def go(tab: Visit, console: Console, name: str) -> None:
    """Open a page by its address.

    Streamlit then looks for its server below the page's own path first, and Chromium notes two answers 404.
    They are not errors of ours; any other is.
    """
    page, missing = tab.page, []
    page.on("response", lambda answer: missing.append(answer.url) if answer.status == 404 else None)
    page.goto(f"{console.url}/{name}")
    if name in PAGES:
        expect(page.get_by_role("heading", name=PAGES[name], exact=True)).to_be_visible(timeout=30_000)
    else:
        expect(page.get_by_text("Positions")).to_be_visible(timeout=30_000)
    probes = {f"{console.url}/{name}/_stcore/{end}" for end in ("health", "host-config")}
    assert set(missing) <= probes, missing
    tab.errors[:] = [error for error in tab.errors if error != NOT_FOUND and LEFT not in error]


@pytest.mark.campaign
def test_every_page_fits_a_phone_and_its_title_has_mode_and_profit(scripted: Serve, visit: Open) -> None:
    """320 pixels is also what 200 % of 640 leaves; nothing but tables may scroll sideways."""
    console = scripted("live")
    tab = visit(console, size=(320, 700))
    page = tab.page
    for name in (*PAGES, "panic"):
        go(tab, console, name)
        expect(page).to_have_title(re.compile(r"^PRACTICE [+-]?\$[\d,.]+ · "), timeout=10_000)
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 320, name
        expect(page.locator(".control.narrow").get_by_role("button", name="KILL")).to_be_visible()


def test_panic_is_one_screen_and_kills_by_key(scripted: Serve, visit: Open) -> None:
    """On the phone that is in one's pocket, and without a mouse."""
    console = scripted("long")
    tab = visit(console, size=(390, 844))
    page = tab.page
    go(tab, console, "panic")
    page.wait_for_timeout(1500)
    main = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{main}.scrollHeight - {main}.clientHeight") <= 0, "no scrolling"
    page.keyboard.press("Control+Shift+K")
    expect(page.get_by_text("KILLED, confirmed by the engine")).to_be_visible(timeout=15_000)
    assert (console.data_dir / "KILL").exists()


class _Held:
    """What a page asks of these addresses, held back until it is let go."""

    def __init__(self, page: Page, addresses: str) -> None:
        self.asked: list[Route] = []
        self._goes = False
        page.route(addresses, lambda route: route.continue_() if self._goes else self.asked.append(route))

    def let_go(self) -> None:
        self._goes = True
        for route in self.asked:
            route.continue_()


@pytest.mark.campaign
def test_a_kill_from_two_tabs_at_once_is_one_latch_shown_in_both(scripted: Serve, visit: Open) -> None:
    """Two operators see the same odd thing: neither may get an error, and the first reason stays."""
    console = scripted("live")
    visits = [visit(console) for _ in range(2)]
    go(visits[0], console, "health")
    go(visits[1], console, "mode")
    tabs = [one.page for one in visits]
    buttons = [tab.locator(".control:not(.narrow) button.kill") for tab in tabs]
    for button in buttons:
        expect(button).to_be_visible(timeout=15_000)
    # Neither kill leaves its tab before both were pressed: a tab that has heard of another's asks for none.
    kills = [_Held(tab, "**/kill") for tab in tabs]
    for button in buttons:
        button.click()
    deadline = time.monotonic() + 15
    while not all(kill.asked for kill in kills):
        assert time.monotonic() < deadline, "a tab asked for no kill"
        tabs[0].wait_for_timeout(20)
    for kill in kills:
        kill.let_go()
    for tab in tabs:
        line = tab.locator(".control:not(.narrow) .kill-line")
        expect(line).to_contain_text("KILLED by", timeout=15_000)
    # A tab may show the other's kill before its own click is through.
    deadline = time.monotonic() + 15
    while len(deeds := Trail(console.data_dir).read()[0]) < len(tabs):
        assert time.monotonic() < deadline, f"each click is in the trail: {deeds}"
        tabs[0].wait_for_timeout(100)
    assert {deed.what for deed in deeds} == {"tripped"}
    latch = KillSwitch(console.data_dir).read()
    assert latch is not None
    assert latch.who in {deed.who for deed in deeds}


def test_the_tour_goes_by_key_and_is_remembered_in_the_address(scripted: Serve, visit: Open) -> None:
    """Right for the next step, Escape to end; a reload does not bring it back, the link on Help does."""
    console = scripted("live")
    tab = visit(console)
    page = tab.page
    page.goto(f"{page.url.split('?')[0]}?tour=0")
    expect(page.get_by_role("button", name="Take the tour")).to_be_visible(timeout=30_000)
    press(page, "ArrowRight")
    expect(page.get_by_text("1/6")).to_be_visible(timeout=10_000)
    press(page, "ArrowRight")
    expect(page.get_by_text("2/6")).to_be_visible(timeout=10_000)
    press(page, "Escape")
    expect(page.get_by_text("2/6")).to_be_hidden(timeout=10_000)
    expect(page).to_have_url(re.compile("tour=off"))
    page.reload()
    expect(page.locator(".live")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("button", name="Take the tour")).to_have_count(0)
    go(tab, console, "help")
    page.get_by_role("link", name="Take the tour").click()
    expect(page.get_by_text("1/6")).to_be_visible(timeout=30_000)


@pytest.mark.campaign
@pytest.mark.parametrize("script", ["silent", "empty", "dead", "long"])
def test_each_page_says_how_the_engine_is(scripted: Serve, visit: Open, script: str) -> None:
    """Empty, stale, gone and halted: said on the page, with the kill control beside it."""
    console = scripted(script)
    tab = visit(console)
    page = tab.page
    said = {"empty": "Waiting for", "silent": "silent", "dead": "failed", "long": "HALTED"}[script]
    for name in PAGES:
        go(tab, console, name)
        expect(page.get_by_test_id("stMain").get_by_text(said).first).to_be_visible(timeout=15_000)
        expect(page.locator(".control:not(.narrow) button.kill")).to_be_visible()
