"""What holds on every page: it fits, says how the engine is, knows the keys, and has local times on hover."""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from engine.trail import Trail
from tests.browser.conftest import Console, Visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

Serve = Callable[[str], Console]
Open = Callable[..., Visit]

WIDE = (1440, 900)
NARROW = ((320, 568), (640, 450))
"""The narrowest phone, and a 1280 pixel screen at 200 %."""

FITS = """(width) => {
  const main = document.querySelector("[data-testid=stMain]");
  return Math.max(main.scrollWidth, document.documentElement.scrollWidth) <= width;
}"""

RECORDINGS = ("Replay", "What if", "Calibration", "Sweep")
"""Pages on what was recorded: what the engine does now stands beside their kill button alone."""


def pages(tab: Visit) -> Iterator[str]:
    """Go through every page of the navigation but the live one, as a click does; yield each page's name."""
    links = tab.page.get_by_test_id("stSidebarNavLink")
    for place in range(1, links.count()):
        link = links.nth(place)
        name = link.inner_text()
        link.click()
        tab.page.wait_for_url(re.compile(re.escape(link.get_attribute("href") or "").rstrip("/") + r"(\?|$)"))
        expect(main(tab.page).locator("h2, h3").first).to_be_visible(timeout=20_000)
        yield name


def main(page: Page) -> Locator:
    return page.get_by_test_id("stMain")


def sidebar(page: Page) -> Locator:
    return page.locator(".control:not(.narrow)")


@pytest.mark.campaign
def test_no_page_scrolls_sideways_on_the_narrowest_phone_or_at_double_size(
    scripted: Serve, visit: Open
) -> None:
    """Text that leaves the screen is not read; a table may scroll within itself, the page may not."""
    tab = visit(scripted("live"), size=WIDE)
    page = tab.page
    wide = []

    def measure(name: str) -> None:
        for width, height in NARROW:
            page.set_viewport_size({"width": width, "height": height})
            try:  # charts and tables follow a new width a moment later
                page.wait_for_function(FITS, arg=width, timeout=5_000)
            except TimeoutError:
                wide.append(
                    (name, width, page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth"))
                )
        page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})

    measure("Live")
    for name in pages(tab):
        assert page.get_by_test_id("stException").count() == 0, name
        expect(sidebar(page).locator(".mode")).to_have_text("PRACTICE")
        measure(name)
    assert wide == []


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("script", "word", "said"),
    [
        ("silent", "UNKNOWN", "silent"),
        ("empty", "STARTING", "Waiting for"),
        ("long", "HALTED", "HALTED"),
        ("dead", "ENGINE DOWN", "failed"),
    ],
)
def test_no_page_hides_how_the_engine_is(
    scripted: Serve, visit: Open, script: str, word: str, said: str
) -> None:
    """Stale, empty, halted, gone: in a word beside the kill button, and on the page itself."""
    tab = visit(scripted(script), size=WIDE)
    quiet = []
    for name in pages(tab):
        assert tab.page.get_by_test_id("stException").count() == 0, name
        expect(sidebar(tab.page).locator(".mode")).to_have_text(word, timeout=15_000)
        expect(sidebar(tab.page).locator("button.kill")).to_be_visible()
        if name in RECORDINGS:
            continue
        try:
            expect(main(tab.page).get_by_text(said).first).to_be_visible(timeout=5_000)
        except AssertionError:
            quiet.append(name)
    assert quiet == []


@pytest.mark.campaign
def test_the_kill_button_is_in_sight_however_long_the_list_of_pages_is(scripted: Serve, visit: Open) -> None:
    """On a laptop's 720 pixels the list alone fills the sidebar; to stop must need no scrolling."""
    page = visit(scripted("live"), size=(1280, 600)).page
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Exit all")).to_be_visible(timeout=20_000)
    button = sidebar(page).locator("button.kill")
    expect(button).to_be_in_viewport(ratio=1.0)
    page.get_by_test_id("stSidebarNavLink").last.click()
    expect(page.get_by_role("heading", name="Help", exact=True)).to_be_visible(timeout=20_000)
    expect(button).to_be_in_viewport(ratio=1.0)


@pytest.mark.campaign
def test_every_page_is_in_sight_on_a_laptop_killed_or_not(scripted: Serve, visit: Open) -> None:
    """A page that lies below the edge of a list without a bar does not exist for who looks for it."""
    page = visit(scripted("live"), size=WIDE).page
    links = page.get_by_test_id("stSidebarNavLink")
    for killed in (False, True):
        if killed:
            sidebar(page).locator("button.kill").click()
            expect(page.get_by_role("button", name="Clear it…")).to_be_visible(timeout=20_000)
        for place in range(links.count()):
            expect(links.nth(place)).to_be_in_viewport(ratio=1.0)
        foot = sidebar(page).bounding_box()
        last = links.last.bounding_box()
        assert foot is not None
        assert last is not None
        assert last["y"] + last["height"] <= foot["y"]


@pytest.mark.campaign
def test_no_table_of_the_live_page_is_cut_on_a_phone(scripted: Serve, visit: Open) -> None:
    """Half a column at the edge does not say that it can be pushed aside."""
    page = visit(scripted("settled"), size=(390, 844)).page
    expect(page.locator(".settlements tbody tr").first).to_be_attached(timeout=20_000)
    cut = page.evaluate("""[...document.querySelectorAll(".live .panel, .live .scroll, .live .rung")]
      .filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.className)""")
    assert cut == []


@pytest.mark.campaign
def test_paused_is_said_with_who_and_since_when_wherever_the_mode_is(scripted: Serve, visit: Open) -> None:
    """LIVE beside the kill button and PAUSED on the page would be two truths."""
    page = visit(scripted("paused"), size=WIDE).page
    expect(page.locator(".status .mode")).to_have_text("PAUSED")
    reason = "paused since 2026-08-20 14:34:00 UTC (wall time) by anna: lunch; resume on the Mode page"
    expect(page.locator(".mode-reason")).to_have_text(reason)
    expect(sidebar(page).locator(".mode")).to_have_text("PAUSED")
    page.keyboard.press("p")
    expect(page.get_by_role("heading", name="PAUSED")).to_be_visible(timeout=20_000)
    expect(sidebar(page).locator(".mode")).to_have_text("PAUSED")
    expect(sidebar(page).locator(".mode")).to_have_attribute("title", reason)
    expect(page).to_have_title(re.compile("^PAUSED "))


@pytest.mark.campaign
def test_a_halt_says_who_and_since_when(scripted: Serve, visit: Open) -> None:
    """Whoever comes back has to know how long nothing was traded."""
    page = visit(scripted("long"), size=WIDE).page
    when = r"([0-9-]+ )?\d\d:\d\d:\d\d UTC( \(wall time\))?"
    said = re.compile(rf"^Halted by the engine since {when}: settlement drift in .* before a restart")
    expect(page.locator(".alarm")).to_have_text(said)


@pytest.mark.campaign
def test_signs_of_life_are_shown_as_measured(scripted: Serve, visit: Open) -> None:
    """Connected is not alive: each socket's pongs age as one looks, and one that is down has none."""
    page = visit(scripted("stale"), size=WIDE).page
    rows = page.locator(".pongs-table tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("rtds DOWN")
    expect(rows.nth(0).locator("td").nth(1)).to_have_text("—")
    cells = rows.nth(1).locator("td")
    expect(cells.nth(0)).to_have_text("clob")
    expect(cells.nth(1)).to_have_text(re.compile(r"^\d\.\d s$"))
    expect(cells.nth(2)).to_have_text("32 ms")
    expect(rows.nth(2).locator("td").nth(3)).to_have_text("—")
    beats = page.locator(".heartbeats")
    expect(beats.locator(".loop dd")).to_have_text("0 / 4 ms")
    expect(beats.locator(".order dd")).to_have_text("not on paper")


def test_the_same_keys_work_on_every_page_and_kill_even_while_one_types(scripted: Serve, visit: Open) -> None:
    """By the server's route and the guard process, as the button; other keys are text in a text field."""
    console = scripted("live")
    page = visit(console, size=WIDE).page
    page.keyboard.press("[")
    expect(page.get_by_role("heading", name="Help", exact=True)).to_be_visible(timeout=20_000)
    page.keyboard.press("?")
    dialog = page.locator("dialog.keys")
    expect(dialog).to_contain_text("go to the kill button")
    expect(dialog).not_to_contain_text("zoom")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.keyboard.press("k")
    expect(sidebar(page).locator("button.kill")).to_be_focused()

    search = page.get_by_label("Search")
    search.click()
    page.keyboard.type("pl?k")
    expect(search).to_have_value("pl?k")
    assert not (console.data_dir / "KILL").exists()
    ways: set[str] = set()
    page.on("response", lambda got: ways.add(got.url) if got.url.endswith("/kill") and got.ok else None)
    page.keyboard.press("Control+Shift+K")
    expect(sidebar(page).locator(".kill-line")).to_contain_text("KILLED by", timeout=15_000)
    deadline = time.monotonic() + 20
    while len(ways) < 2:
        assert time.monotonic() < deadline, "both ways were to be taken"
        page.wait_for_timeout(50)
    deeds = Trail(console.data_dir).read()[0]
    assert [deed.what for deed in deeds] == ["tripped"], "one act, one line"


@pytest.mark.campaign
def test_a_time_in_utc_is_the_readers_own_when_pointed_at(scripted: Serve, visit: Open) -> None:
    """On the live page and on Streamlit's own; a zone half an hour off is no mere shift of hours."""
    tab = visit(scripted("paused"), size=WIDE)
    page = tab.page
    zone = page.context.new_cdp_session(page)
    zone.send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
    reason = page.locator(".mode-reason")
    reason.hover()
    expect(reason).to_have_attribute("title", "2026-08-20 14:34:00 UTC is 20:04:00 here")
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Mode").click()
    cell = page.get_by_text("paused since").first
    expect(cell).to_be_visible(timeout=20_000)
    cell.hover()
    expect(cell).to_have_attribute("title", "20 Aug 14:34:00 UTC is 20:04:00 here")


@pytest.mark.campaign
def test_the_tour_brings_what_it_speaks_of_into_sight(scripted: Serve, visit: Open) -> None:
    """On a phone everything but the first step lies below the screen."""
    tab = visit(scripted("live"), size=(390, 844))
    page = tab.page
    page.goto(f"{tab.console.url}/?tour=2")
    page.wait_for_selector(".live", timeout=30_000)
    card = page.locator(".card").first
    expect(card).to_have_class(re.compile("toured"))
    page.get_by_role("button", name="Next").click()
    decision = page.locator(".panel.decision")
    expect(decision).to_have_class(re.compile("toured"), timeout=15_000)
    expect(decision.locator(".sentence")).to_be_in_viewport()
    expect(decision.locator(".gates tbody tr").nth(4)).to_be_in_viewport()
    expect(card).not_to_have_class(re.compile("toured"))
