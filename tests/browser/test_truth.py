"""Settlement in a real browser: the rule on the cards, and the page that says whether we were right."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, Visit, picture

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Serve = Callable[[str], Console]
Open = Callable[..., Visit]


def open_truth(page: Page, narrow: bool = False) -> None:
    """Go there as an operator does; on a narrow screen the sidebar has to be unfolded and folded again."""
    if narrow:
        page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("link", name="Settlement truth").click()
    if narrow:
        page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
    expect(page.get_by_role("heading", name="Settlement truth")).to_be_visible(timeout=20_000)
    expect(page.locator(".js-plotly-plot")).to_be_visible(timeout=20_000)


def no_sideways(page: Page) -> None:
    width = page.viewport_size["width"]
    for element in ("document.documentElement", "document.querySelector('[data-testid=stMain]')"):
        assert page.evaluate(f"{element}.scrollWidth") <= width


@pytest.mark.campaign
def test_a_changed_rule_is_shown_in_full_on_the_card_and_on_the_truth_page(
    scripted: Serve, visit: Open
) -> None:
    """Nobody can judge a new rule by a word that says it is new: both texts, whole, on any width."""
    console = scripted("rule")
    page = visit(console).page
    banner = page.locator(".card .observe").first
    expect(banner).to_contain_text("OBSERVE ONLY: the settlement rule is not that of the window before")
    expect(banner.locator(".before dd")).to_contain_text("twapLookbackSeconds 60")
    expect(banner.locator(".now dd")).to_contain_text("twapLookbackSeconds 30")
    expect(page.locator(".card .observe").nth(1)).to_be_hidden()
    expect(page.locator(".card .seed").first).to_contain_text("points apart")
    picture(page, "rule-dark")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator(".status").get_by_role("button", name="KILL")).to_be_visible()
    for words in banner.locator("dd").all():
        assert words.evaluate("node => node.scrollWidth <= node.clientWidth"), "wrapped, not clipped"
    page.set_viewport_size({"width": 1440, "height": 900})

    open_truth(page)
    expect(page.get_by_text("The venue's words, CHANGED").first).to_be_visible()
    expect(page.get_by_text("twapLookbackSeconds 30").first).to_be_visible()
    expect(page.get_by_text("No window has settled yet")).to_be_visible()
    picture(page, "truth-rule-dark")


@pytest.mark.campaign
def test_a_drift_tops_the_truth_page_and_the_live_page_comes_back_whole(scripted: Serve, visit: Open) -> None:
    """The alarm says what to do; the kill works from here too, even where its route is out of reach."""
    console = scripted("long")
    page = visit(console, theme="light").page
    expect(page.locator(".settlements .state", has_text="drift")).to_have_count(1)
    open_truth(page)
    expect(page.get_by_test_id("stAlert").first).to_contain_text(
        "Settlement drift: 5m window that ended 14:15"
    )
    expect(page.get_by_text("1 DRIFTED")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(3)  # verdicts, what is known how, formulas
    picture(page, "truth-light")
    expect(page.get_by_test_id("stSidebarCollapseButton")).to_have_count(0)
    page.get_by_role("link", name="Live").click()
    expect(page.locator(".settlements .state", has_text="drift")).to_have_count(1, timeout=10_000)
    expect(page.locator(".nodata")).to_be_hidden()

    open_truth(page)
    page.route("**/kill", lambda route: route.fulfill(status=200, content_type="text/html", body="<html>"))
    page.locator(".control:not(.narrow)").get_by_role("button", name="KILL").click()
    line = page.locator(".control:not(.narrow) .kill-line")
    expect(line).to_contain_text("KILLED by", timeout=15_000)


@pytest.mark.campaign
def test_the_truth_page_fits_a_phone_with_its_kill_on_the_first_screen(scripted: Serve, visit: Open) -> None:
    """Tables scroll inside themselves; the sidebar with its kill control is folded away there."""
    page = visit(scripted("long"), size=(390, 844)).page
    open_truth(page, narrow=True)
    kill = page.locator(".control.narrow").get_by_role("button", name="KILL")
    expect(kill).to_be_visible()
    box = kill.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert box["y"] + box["height"] < 844 / 2
    no_sideways(page)
    picture(page, "truth-phone")
    kill.click()
    expect(page.locator(".control.narrow .kill-line")).to_contain_text("KILLED by", timeout=15_000)
