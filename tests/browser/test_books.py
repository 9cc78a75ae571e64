"""Decisions, Truth, Ledger, Execution and Handover in a real browser."""

import csv
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Download, Page, expect

from engine.config import load_settings
from engine.run.books_paths import journal_of, ledger_of
from tests.books import keep_journal, keep_ledger, traded
from tests.browser.conftest import Console, Visit, serve
from tests.browser.test_operation_pages import LEFT, NOT_FOUND

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

Serve = Callable[[str], Console]
Open = Callable[..., Visit]
ROWS = 450
"""More than two pages of a book."""
PAGES = {
    "decisions": "Decisions",
    "truth": "Settlement truth",
    "ledger": "Ledger",
    "execution": "Execution",
    "handover": "Handover",
}
SAID = {"empty": "Waiting for", "live": "P&L today", "silent": "silent", "long": "HALTED"}
HAS = {
    "decisions": "decisions in this session",
    "truth": "window",
    "ledger": "At stake",
    "execution": "Ghost fills",
    "handover": "Open questions",
}
"""What each page shows as soon as there is an engine to show."""


def go(tab: Visit, name: str, **words: str) -> Page:
    """Open a page by its address; its two answers 404 are Streamlit's own (see ``test_operation_pages``)."""
    page, missing, console = tab.page, [], tab.console
    page.on("response", lambda answer: missing.append(answer.url) if answer.status == 404 else None)
    page.goto(f"{console.url}/{name}?{urlencode(words)}" if words else f"{console.url}/{name}")
    expect(page.get_by_role("heading", name=PAGES[name], exact=True)).to_be_visible(timeout=30_000)
    probes = {f"{console.url}/{name}/_stcore/{end}" for end in ("health", "host-config")}
    assert set(missing) <= probes, missing
    tab.errors[:] = [error for error in tab.errors if error != NOT_FOUND and LEFT not in error]
    return page


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console with full books, for all tests that only read it: each start takes seconds."""
    folder = tmp_path_factory.mktemp("console")
    with serve("tests/browser/fake_dashboard.py", folder, FAKE_SCRIPT="live") as console:
        keep_books(console)
        yield console


def keep_books(console: Console) -> None:
    """Write the scripted engine's books: a ledger of 450 trades, and a session with one."""
    settings = load_settings(Path("/dev/null"), data_dir=console.data_dir)
    keep_ledger(ledger_of(settings), ROWS)
    journal = journal_of(settings, "fake")
    journal.parent.mkdir(parents=True, exist_ok=True)
    keep_journal(journal, [record.event for record in traded().records])


def downloaded(page: Page, name: str) -> Download:
    """Have a file made, then save it."""
    page.get_by_role("button", name=name).click()
    with page.expect_download(timeout=20_000) as held:
        page.get_by_role("button", name="Save ").click()
    return held.value


def rows_of(download: Download, folder: Path) -> list[dict[str, str]]:
    """Open what was downloaded as a spreadsheet would."""
    path = folder / download.suggested_filename
    download.save_as(path)
    with path.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


@pytest.mark.campaign
@pytest.mark.parametrize("script", ["long", "empty", "live", "silent"])
def test_each_page_says_how_things_stand(scripted: Serve, visit: Open, script: str) -> None:
    """Empty, live, stale and halted: said on the page, with what there is and the kill control beside it."""
    tab = visit(scripted(script))
    for name in PAGES:
        page = go(tab, name)
        main = page.get_by_test_id("stMain")
        expect(main.get_by_text(SAID[script]).first).to_be_visible(timeout=15_000)
        if script != "empty":
            expect(main.get_by_text(HAS[name]).first).to_be_visible(timeout=15_000)
        expect(page.locator(".control:not(.narrow) button.kill")).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.campaign
def test_no_page_scrolls_sideways_on_a_phone(kept: Console, visit: Open) -> None:
    """320 pixels is also what 200 % of 640 leaves; tables scroll inside themselves, full ones too."""
    tab = visit(kept, size=(320, 700))
    for name in PAGES:
        page = go(tab, name)
        expect(page.get_by_test_id("stDataFrame").first).to_be_visible(timeout=20_000)
        for element in ("document.documentElement", "document.querySelector('[data-testid=stMain]')"):
            assert page.evaluate(f"{element}.scrollWidth") <= 320, name
        expect(page.locator(".control.narrow").get_by_role("button", name="KILL")).to_be_visible()


@pytest.mark.campaign
def test_what_is_downloaded_opens_and_is_whole(kept: Console, visit: Open, tmp_path: Path) -> None:
    """The book's every row, not the page on the screen; a decision's gates; the report to hand on."""
    tab = visit(kept)
    page = go(tab, "ledger", book="Fills", page="3")
    held = downloaded(page, "Make CSV of the whole book")
    fills = rows_of(held, tmp_path)
    assert held.suggested_filename == "ledger-fills.csv"
    assert len(fills) == ROWS
    times = [datetime.fromisoformat(row["at_utc"]) for row in fills]
    assert times == sorted(times, reverse=True)
    assert {(row["shares"], row["cost"], row["side"]) for row in fills} == {("20.0", "18.0", "BUY")}

    page = go(tab, "decisions", reason="kill switch")
    held = downloaded(page, "Make CSV of these")
    found = rows_of(held, tmp_path)
    assert found
    assert {row["reason"] for row in found} == {"kill switch"}

    page = go(tab, "handover")
    held = downloaded(page, "Make Markdown")
    assert Path(held.path()).read_text(encoding="utf-8").startswith("# Handover, ")


@pytest.mark.campaign
def test_no_address_made_by_hand_breaks_a_page(kept: Console, visit: Open) -> None:
    """Anybody can send an operator a link: nothing of it runs, and the page is shown all the same."""
    tab = visit(kept)
    tab.page.on("dialog", lambda dialog: tab.errors.append(f"a dialog: {dialog.message}"))
    words = ("book", "page", "since", "from", "to", "contract", "reason", "decision", "before")
    for name in PAGES:
        page = go(tab, name, **dict.fromkeys(words, "<img src=x onerror=alert(1)>"))
        expect(page.get_by_text("P&L today").first).to_be_visible(timeout=15_000)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        assert page.locator("img[src=x]").count() == 0


@pytest.mark.campaign
def test_a_link_to_a_book_and_to_a_decision_leads_there(kept: Console, visit: Open) -> None:
    """What one operator sees, he can send to another."""
    tab = visit(kept)
    page = go(tab, "ledger", book="Equity")
    expect(page.locator(".js-plotly-plot")).to_be_visible(timeout=20_000)
    page.get_by_role("radio", name="Positions").or_(
        page.get_by_role("button", name="Positions")
    ).first.click()
    expect(page).to_have_url(f"{kept.url}/ledger?book=Positions", timeout=10_000)
    page = go(tab, "decisions", trades="yes")
    expect(page.get_by_text("1 decision, newest first")).to_be_visible(timeout=15_000)
