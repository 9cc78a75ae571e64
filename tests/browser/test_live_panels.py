"""What each panel of the live page says, which keys it knows, and that it fits; the engine is scripted."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, Visit, picture

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Serve = Callable[[str], Console]
Open = Callable[..., Visit]


def test_every_panel_of_a_paused_engine_tells_what_it_is_for(scripted: Serve, visit: Open) -> None:
    """One look at a slow script: who paused and why, what to do about alarms, what an order would sweep."""
    page = visit(scripted("paused")).page
    status = page.locator(".status")
    expect(status.locator(".mode")).to_have_text("PAUSED")
    reason = "paused since 2026-08-20 14:34:00 UTC (wall time) by anna: lunch; resume on the Mode page"
    expect(status.locator(".mode-reason")).to_have_text(reason)
    expect(status.locator(".balance")).to_have_text("free $1,000.00")
    expect(status.locator(".rung-chip").first).to_contain_text("TWAP over 60 s by RTDS TWAP")
    expect(status.locator(".engine")).to_contain_text("1 session")
    leave = status.locator(".leave li")
    expect(leave).to_have_count(3)
    expect(leave.first).to_contain_text("ends by itself at 2026-08-20 14:40:00 UTC")
    expect(leave.nth(1)).to_contain_text("wait; nothing is traded in its window")

    expect(status.locator(".pnl .caption")).to_have_text("P&L today (market's day)")
    own = page.locator(".ladder .own-sweep")
    expect(own.first).to_contain_text(re.compile(r"My order sweeps [\d.,]+ shares for \$20.00: \d+ levels?,"))
    expect(page.locator(".ladder .rung.ask.taken .sum-usd").first).to_have_text(re.compile(r"^[\d.,]+$"))
    expect(page.locator(".ladder .rung.ask.taken .ev").first).to_have_text(re.compile(r"^[+−]?[\d.]+¢$"))
    expect(page.locator(".edge .edge-side").first).to_contain_text(
        re.compile(r"p̂ .* average 0\.\d{3} · break-even")
    )
    expect(page.locator(".fee-curve")).to_contain_text("most 1.75¢ · rate 0.07")
    expect(page.locator(".fee-plot > .shape").first).to_be_visible()

    order = page.locator(".orders tr.life").last
    expect(order).to_contain_text("intended → signed 3.2 ms → first byte 0.8 ms → answered 226 ms → filled")
    expect(order).to_contain_text("markout 1 s +0.4¢, 5 s +0.1¢, 30 s −0.2¢")
    expect(order).to_contain_text("conservative no fill")
    limits = page.locator(".limits .gauge")
    expect(limits).to_have_count(5)
    expect(limits.filter(has_text="correlated loss")).to_have_class(re.compile("over"))
    expect(limits.filter(has_text="exposure")).to_contain_text("$20.10 of $100.00")
    beats = page.locator(".heartbeats")
    expect(beats.locator(".order dd")).to_have_text(re.compile(r"^needed every 5 s, taken \d\.\d s ago$"))
    expect(beats.locator(".venue dd")).to_have_text("48 ms")
    expect(page.locator(".topics-table th")).to_contain_text(["lag p50", "p95", "p99"])
    picture(page, "paused-dark")


@pytest.mark.campaign
def test_armed_says_who_until_when_and_why(scripted: Serve, visit: Open) -> None:
    """Real orders may leave: the one state that must never be taken for another."""
    page = visit(scripted("armed")).page
    expect(page.locator(".status .mode")).to_have_text("ARMED")
    expect(page.locator(".mode-reason")).to_have_text(
        "armed until 2026-08-20 15:00:00 UTC (wall time) by anna: first day"
    )


def test_keys_choose_explain_and_go_to_the_kill_without_tripping_it(scripted: Serve, visit: Open) -> None:
    """A stray key must not stop trading, and no key may act while somebody types."""
    console = scripted("live")
    page = visit(console).page
    page.keyboard.press("2")
    expect(page.locator(".decision .extra")).to_have_text("15m window")
    page.keyboard.press("1")
    expect(page.locator(".decision .extra")).to_have_text("5m window")
    page.keyboard.press("?")
    expect(page.locator("dialog.keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.keys")).to_be_hidden()
    page.keyboard.press("k")
    expect(page.locator(".control:not(.narrow) .kill")).to_be_focused()
    assert not (console.data_dir / "KILL").exists()
    page.keyboard.press("Enter")
    expect(page.locator(".status .mode")).to_have_text("KILLED", timeout=15_000)


@pytest.mark.campaign
def test_sound_is_off_until_wanted_and_then_tells_a_halt(scripted: Serve, visit: Open) -> None:
    """Nobody wants to be startled, and who asked for it must hear a halt."""
    page = visit(scripted("live")).page
    sound, habits = page.locator(".sound"), page.locator(".habits")
    expect(sound).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("s")
    expect(sound).to_have_attribute("aria-pressed", "true")
    expect(habits).to_have_attribute("data-played", "660")
    page.get_by_role("button", name="KILL").first.click()
    expect(habits).to_have_attribute("data-played", "440 330 220", timeout=15_000)


@pytest.mark.campaign
def test_the_tape_shows_only_what_was_asked_for(scripted: Serve, visit: Open) -> None:
    """A fill must be found in seconds among watches; a filter without events says so."""
    page = visit(scripted("paused")).page
    tape = page.locator(".tape-panel")
    expect(tape.locator("tbody tr")).to_have_count(5)
    tape.get_by_role("button", name="trades").click()
    expect(tape.locator("tbody tr")).to_have_count(3)
    tape.get_by_role("button", name="safety").click()
    expect(tape.locator(".empty")).to_have_text("No event of this kind (safety) yet.")


TOP = "(node) => node.getBoundingClientRect().top"
SCROLLED = "document.querySelector('[data-testid=stMain]').scrollTop"


def comes_to_rest(page: Page) -> None:
    """Wait until nothing more comes in above: Streamlit's own parts arrive after the panels.

    An alarm may move what is read: on a busy machine NO DATA stands there until the first frames are taken.
    """
    tops: list[float] = []
    while len(tops) < 3 or len(set(tops[-3:])) > 1:
        expect(page.locator(".nodata")).to_be_hidden()
        tops.append(page.locator(".odds").evaluate(TOP))
        page.wait_for_timeout(400)


@pytest.mark.campaign
def test_scroll_and_zoom_outlive_three_updates(scripted: Serve, visit: Open) -> None:
    """What somebody reads must not move under him."""
    page = visit(scripted("long")).page
    comes_to_rest(page)
    page.locator(".odds").scroll_into_view_if_needed()
    box = page.locator(".odds .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 40, steps=5)
    page.mouse.up()
    expect(page.locator(".odds .reset")).to_be_visible()
    # Should a line above grow, the browser scrolls along to keep the chart where it is, or leaves the scroll.
    top, scrolled = page.locator(".odds").evaluate(TOP), page.evaluate(SCROLLED)
    for _ in range(3):
        shown = page.locator(".live").get_attribute("data-version")
        expect(page.locator(".live")).not_to_have_attribute("data-version", str(shown))
    expect(page.locator(".odds .reset")).to_be_visible()
    expect(page.locator(".nodata")).to_be_hidden()
    moved = abs(page.locator(".odds").evaluate(TOP) - top), abs(page.evaluate(SCROLLED) - scrolled)
    assert min(moved) <= 1
    page.keyboard.press("0")
    expect(page.locator(".odds .reset")).to_be_hidden()


@pytest.mark.campaign
@pytest.mark.parametrize("wide", [320, 390, 1024])
def test_nothing_goes_sideways(scripted: Serve, visit: Open, wide: int) -> None:
    """320 px is also what a wide screen has left at a high zoom."""
    page: Page = visit(scripted("paused"), size=(wide, 844), theme="light").page
    expect(page.locator(".own-sweep").first).to_contain_text("My order")
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= wide
    assert page.locator(".ladder").evaluate("(node) => node.scrollWidth <= node.clientWidth + 1")
    if wide < 769:
        kill = page.locator(".status .kill").bounding_box()
        feed = page.locator(".status .feed").first.bounding_box()
        assert kill is not None
        assert feed is not None
        assert kill["y"] < feed["y"], "kill first"
    picture(page, f"paused-{wide}-light")
