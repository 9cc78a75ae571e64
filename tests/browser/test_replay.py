"""The replay page in a real browser: plays, scrubs, follows a link, and shows what the player says."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from engine.run.replay.index import build
from engine.run.replay.listing import listed
from engine.run.replay.player import Player
from tests.books import keep_journal, traded
from tests.browser.conftest import Console, Visit, serve
from tests.browser.test_books import LEFT, NOT_FOUND
from tests.core.builders import END_S

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

Open = Callable[..., Visit]
SESSION = "20260921T130000Z-a1b2c3"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One server for the module, with one recorded session whose index is built."""
    folder = tmp_path_factory.mktemp("replay")
    journal = folder / "data" / "sessions" / f"{SESSION}.sqlite"
    journal.parent.mkdir(parents=True)
    keep_journal(journal, [record.event for record in traded().records])
    build(journal)
    with serve("tests/browser/fake_dashboard.py", folder, FAKE_SCRIPT="live") as served:
        yield served


def player(console: Console) -> Player:
    return Player(console.data_dir / "sessions" / f"{SESSION}.sqlite")


def go(tab: Visit, query: str) -> Page:
    """Open the page by its address; two answers 404 are Streamlit's own (see ``test_operation_pages``)."""
    page, missing, url = tab.page, list[str](), f"{tab.console.url}/replay"
    page.on("response", lambda answer: missing.append(answer.url) if answer.status == 404 else None)
    page.goto(f"{url}{query}")
    expect(page.locator(".replay-banner")).to_contain_text("REPLAY of", timeout=30_000)
    assert set(missing) <= {f"{url}/_stcore/{end}" for end in ("health", "host-config")}, missing
    tab.errors[:] = [error for error in tab.errors if error != NOT_FOUND and LEFT not in error]
    return page


def opened(console: Console, visit: Open, query: str = "") -> Page:
    return go(visit(console), query)


def wait_at(page: Page, at_ms: int) -> None:
    expect(page.locator(".replay")).to_have_attribute("data-at", str(at_ms), timeout=10_000)


def gates_shown(page: Page) -> dict[str, bool]:
    """Read the gate table as it is drawn."""
    page.wait_for_function("document.title.startsWith('REPLAY')")
    rows = page.locator(".decision .gates tbody tr").all()
    return {
        row.locator("td").nth(1).inner_text(): row.locator("td").first.get_attribute("data-passed") == "true"
        for row in rows
    }


def test_a_link_opens_the_second_and_the_panels_are_what_the_player_says(
    console: Console, visit: Open
) -> None:
    """A colleague has to see the same numbers, from the same snapshot."""
    at_ms = (END_S - 12) * 1000
    tab = visit(console)
    page = go(tab, f"?session={SESSION}&t={END_S - 12}x")
    expect(page.get_by_text("is not a time")).to_be_visible()
    go(tab, f"?session={SESSION}&t=2026-09-21T14:19:48Z")
    wait_at(page, at_ms)
    picture = player(console).seek(at_ms)
    (contract,) = picture.snapshot.contracts
    assert contract.decision is not None
    shown = gates_shown(page)
    assert shown == {gate.name: gate.passed for gate in contract.decision.gates}
    strike = f"{contract.strike:,.2f}"
    expect(page.locator(".card", has_text="5m").first).to_contain_text(strike)
    expect(page.locator(".decision .sentence")).to_have_text(contract.decision.sentence)
    expect(page.locator(".status .mode")).to_contain_text("REPLAY")
    expect(page.get_by_role("button", name="KILL").first).to_be_visible()


def test_scrubbing_playing_stepping_and_jumping_move_the_moment(console: Console, visit: Open) -> None:
    """Every way to move leads where the player says, and the address follows."""
    page = opened(console, visit, f"?session={SESSION}")
    one = player(console)
    opening_ms = listed(console.data_dir / "sessions" / f"{SESSION}.sqlite").opening_ms
    wait_at(page, one.seek(opening_ms).at_ms)
    slider = page.locator(".replay-slider")
    second = one.span.first_ms // 1000 + 400
    slider.evaluate(
        "(node, value) => { node.value = value; node.dispatchEvent(new Event('input', {bubbles: true})); }",
        str(second),
    )
    wait_at(page, second * 1000)
    page.get_by_role("button", name="a second on (right arrow)").click()
    wait_at(page, (second + 1) * 1000)
    slider.evaluate("node => node.blur()")
    page.keyboard.press("ArrowLeft")
    wait_at(page, second * 1000)
    seq = int(page.locator(".replay").get_attribute("data-seq") or 0)
    page.get_by_role("button", name="an event on (.)").click()
    expect(page.locator(".replay")).to_have_attribute("data-seq", str(seq + 1))
    page.get_by_role("button", name="the next trade").click()
    expect(page.locator(".replay-note")).to_contain_text("sent: BUY", timeout=10_000)
    one.seek_seq(1)
    traded_at = one.jump("trade").snapshot
    expect(page.locator(".replay")).to_have_attribute("data-seq", str(traded_at.seq))
    assert re.search(r"session=.*&t=20", page.evaluate("location.search"))
    expect(page.locator(".orders tbody tr").first).to_contain_text("intended")
    page.get_by_role("button", name="the fault before").click()
    expect(page.locator(".replay-note")).to_contain_text("No fault before this")


@pytest.mark.campaign
def test_playing_goes_on_until_the_end_and_space_stops_it(console: Console, visit: Open) -> None:
    """A player that runs past the end, or cannot be stopped, is none."""
    page = opened(console, visit, f"?session={SESSION}")
    one = player(console)
    opening_ms = listed(console.data_dir / "sessions" / f"{SESSION}.sqlite").opening_ms
    wait_at(page, one.seek(opening_ms).at_ms)
    page.locator(".replay-speed").select_option("100×")
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_timeout(1_000)
    page.locator(".replay-banner").click()
    page.keyboard.press(" ")
    expect(page.locator(".replay-play")).to_have_text("Play")
    at_ms = int(page.locator(".replay").get_attribute("data-at") or 0)
    assert one.span.first_ms + 20_000 < at_ms < one.span.last_ms
    page.wait_for_timeout(500)
    stopped = int(page.locator(".replay").get_attribute("data-at") or 0)
    assert stopped - at_ms <= 60_000, "one answer may still have been under way"
    near_the_end = one.span.last_ms // 1000 - 20
    page.locator(".replay-slider").evaluate(
        "(node, value) => { node.value = value; node.dispatchEvent(new Event('input', {bubbles: true})); }",
        str(near_the_end),
    )
    wait_at(page, near_the_end * 1000)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator(".replay-note")).to_contain_text("The session ends here", timeout=60_000)
    assert int(page.locator(".replay").get_attribute("data-at") or 0) == one.span.last_ms
