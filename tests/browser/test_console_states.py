"""The live page in each state an operator can meet, in a real browser, in front of a scripted engine."""

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, Visit, picture, serve

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Serve = Callable[[str], Console]
Open = Callable[..., Visit]


def text(page: Page, selector: str) -> str:
    return page.locator(selector).first.inner_text()


def test_a_running_window_is_told_whole(scripted: Serve, visit: Open) -> None:
    """The operator's first glance: mode, phase, strike with its source, odds, both sides, the reason."""
    page = visit(scripted("hammer")).page
    card = page.locator(".card").first
    expect(card.locator(".phase")).to_have_text("HAMMER")
    expect(card.locator(".fact.strike dd")).to_have_text("71,480.58")
    expect(card.locator(".fact.strike small")).to_have_text("exact · RTDS TWAP")
    expect(card.locator(".lock .value")).to_contain_text("% of the average")
    expect(card.locator(".terms-line").nth(1)).to_contain_text("to flip")
    assert re.search(r"mean so far \$71,4\d\d\.\d\d · BTC must average \$71,\d", text(page, ".lock + p"))
    expect(card.locator(".seed")).to_contain_text("spot formula (most bots)")
    expect(page.locator(".ladder .titles").first).to_contain_text("break-even")
    expect(page.locator(".canonical .used").first).to_contain_text("RTDS TWAP, in use")
    expect(page.locator(".bad-prices")).to_be_hidden()
    expect(card.locator(".sides tbody tr")).to_have_count(2)
    expect(card.locator(".rule")).to_contain_text("TWAP over 60 s")
    expect(page.locator(".decision .gates tbody tr")).to_have_count(11)
    expect(page.locator(".status .mode")).to_have_text("PRACTICE")
    expect(page.locator(".banner")).to_contain_text("proves nothing")
    expect(page.locator(".orders tr.order")).to_have_count(2)
    expect(page.locator(".feed")).to_have_count(4)
    expect(page.locator(".topic")).to_have_count(4)
    expect(page.locator(".topic", has_text="chainlink")).to_contain_text("fresh")
    expect(page.locator(".topic", has_text="chainlink").locator(".lag")).to_have_text("lag 1.6 / 2.2 s")
    expect(page.locator(".venue-clock")).to_have_text("clock +12 ms")
    expect(page.locator(".reduced")).to_be_hidden()
    expect(page.locator(".behind")).to_be_hidden()
    expect(page.locator(".ladder .checks").first).to_contain_text("mirror ok")
    expect(page.locator(".ladder .resyncs").first).to_be_hidden()
    assert page.title().startswith("PRACTICE ")
    picture(page, "hammer-dark")


@pytest.mark.campaign
def test_the_light_theme_and_the_15m_window(scripted: Serve, visit: Open) -> None:
    """Both themes are designed, and a click on a card moves the panels below to its window."""
    page = visit(scripted("settled"), theme="light").page
    expect(page.locator(".live")).to_have_attribute("data-theme", "light")
    expect(page.locator(".settlements tbody tr")).to_have_count(1)
    expect(page.locator(".card").first.locator(".last")).to_contain_text("DOWN")
    page.get_by_role("button", name="15m").click()
    expect(page.locator(".ladder .extra")).to_have_text("15m · shares")
    expect(page.locator(".decision .extra")).to_have_text("15m window")
    picture(page, "settled-light")


@pytest.mark.campaign
def test_the_theme_follows_the_system_at_once(scripted: Serve, visit: Open) -> None:
    """Canvas does not inherit colours: a theme that changes under a running page must redraw the charts."""
    page = visit(scripted("live")).page
    expect(page.locator(".live")).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(page.locator(".live")).to_have_attribute("data-theme", "light", timeout=15_000)
    expect(page.locator(".control")).to_have_attribute("data-theme", "light", timeout=15_000)
    expect(page.locator(".price canvas")).to_have_count(1)


@pytest.mark.campaign
def test_no_frozen_copy_of_the_page_survives_a_change_of_theme(scripted: Serve, visit: Open) -> None:
    """Streamlit mounts the panels anew: what it leaves behind would show old numbers above the live ones."""
    page = visit(scripted("live")).page
    for scheme in ("light", "dark", "light", "dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(150)
    expect(page.locator(".live").last).to_have_attribute("data-theme", "light", timeout=15_000)
    expect(page.locator(".live")).to_have_count(1)
    expect(page.locator(".control")).to_have_count(1)
    shown = page.locator(".live").get_attribute("data-version")
    expect(page.locator(".live")).not_to_have_attribute("data-version", str(shown))
    expect(page.locator(".nodata")).to_be_hidden()


@pytest.mark.campaign
def test_numbers_move_by_themselves(scripted: Serve, visit: Open) -> None:
    """A console that looks alive but is not would be worse than none: the countdown falls on every look."""
    page = visit(scripted("live")).page
    seen = set()
    for _ in range(8):
        seen.add(text(page, ".card .countdown"))
        page.wait_for_timeout(250)
    assert len(seen) >= 6


@pytest.mark.campaign
def test_before_the_first_snapshot_the_page_says_what_will_come(scripted: Serve, visit: Open) -> None:
    """An empty panel with no word is taken for a broken one."""
    page = visit(scripted("empty")).page
    expect(page.locator(".status .mode")).to_have_text("STARTING")
    expect(page.locator(".card .empty").first).to_contain_text("Looking for the 5m window")
    expect(page.locator(".orders-panel .empty")).to_contain_text("No orders yet")
    picture(page, "empty-dark")


@pytest.mark.campaign
def test_a_missed_strike_names_the_next_boundary(scripted: Serve, visit: Open) -> None:
    """The engine started inside a window: it must not guess that strike, and says when the next one is."""
    page = visit(scripted("opening")).page
    expect(page.locator(".card .empty").first).to_contain_text(
        "captured exactly at 14:30:00 UTC", timeout=15_000
    )
    expect(page.locator(".venue-clock")).to_have_text("clock —")


@pytest.mark.campaign
def test_a_dead_engine_is_announced_with_its_reason(scripted: Serve, visit: Open) -> None:
    """The last numbers stay, greyed; nobody may take them for the market."""
    console = scripted("dead")
    page = visit(console).page
    expect(page.locator(".status .mode")).to_have_text("ENGINE DOWN")
    expect(page.get_by_role("alert").first).to_contain_text("another engine has data/")
    expect(page.locator(".live")).to_contain_class("live lost")
    status, body = console.get("/healthz")
    assert status == 503
    assert '"state":"failed"' in body
    picture(page, "dead-dark")


def test_an_engine_that_goes_silent_greys_the_page_within_seconds(scripted: Serve, visit: Open) -> None:
    """Old numbers must not look new: NO DATA counts from two seconds on, and names who is silent."""
    page = visit(scripted("silent")).page
    nodata = page.locator(".nodata")
    expect(nodata).to_be_visible(timeout=6000)
    expect(nodata).to_contain_text("The engine's thread is silent", timeout=6000)
    assert page.title().startswith("NO DATA")
    picture(page, "silent-dark")


def test_a_frozen_server_is_noticed_by_the_browser_alone(scripted: Serve, visit: Open) -> None:
    """No message says that no message comes: the browser's own clock has to say it, and to recover."""
    console = scripted("live")
    page = visit(console).page
    expect(page.locator(".card .countdown").first).not_to_have_text("—")
    console.process.send_signal(signal.SIGSTOP)
    try:
        expect(page.locator(".nodata")).to_contain_text("The server does not answer", timeout=6000)
        expect(page.locator(".control .kill-line")).to_contain_text("UNKNOWN", timeout=8000)
    finally:
        console.process.send_signal(signal.SIGCONT)
    expect(page.locator(".nodata")).to_be_hidden(timeout=8000)
    expect(page.locator(".control .kill-line")).to_contain_text("NOT TRIPPED")


def test_the_kill_switch_answers_every_tab_and_needs_a_phrase_to_clear(scripted: Serve, visit: Open) -> None:
    """One click, no question; latched in the file; shown in every tab; cleared by phrase and reason only."""
    console = scripted("live")
    one, other = visit(console).page, visit(console).page
    one.get_by_role("button", name="KILL").first.click()
    for page in (one, other):
        expect(page.locator(".control .kill-line")).to_contain_text("KILLED by console at", timeout=15_000)
        expect(page.locator(".status .mode")).to_have_text("KILLED", timeout=15_000)
        expect(page.get_by_role("alert").first).to_contain_text("No order leaves")
    assert (console.data_dir / "KILL").exists()
    picture(one, "killed-dark")

    one.get_by_role("button", name="Clear it…").click()
    one.get_by_label("Type CLEAR").fill("clear")
    one.get_by_label("Reason").fill("drill is over")
    one.get_by_role("button", name="Clear", exact=True).click()
    expect(one.get_by_text("Type CLEAR in capitals")).to_be_visible()
    assert (console.data_dir / "KILL").exists()

    one.get_by_label("Type CLEAR").fill("CLEAR")
    one.get_by_role("button", name="Clear", exact=True).click()
    for page in (one, other):
        expect(page.locator(".control .kill-line")).to_contain_text("NOT TRIPPED", timeout=15_000)
        expect(page.locator(".status .mode")).to_have_text("PRACTICE", timeout=15_000)
    assert not (console.data_dir / "KILL").exists()


@pytest.mark.campaign
def test_typing_the_reason_is_not_disturbed_by_the_refresh(scripted: Serve, visit: Open) -> None:
    """The clear form lives in a fragment that reruns each second; eaten letters would make it unusable."""
    console = scripted("live")
    page = visit(console).page
    page.get_by_role("button", name="KILL").first.click()
    page.get_by_role("button", name="Clear it…").click()
    page.get_by_label("Reason").press_sequentially("the operator types slowly", delay=120)
    expect(page.get_by_label("Reason")).to_have_value("the operator types slowly")


@pytest.mark.campaign
def test_a_kill_that_the_engine_does_not_confirm_is_an_alarm(scripted: Serve, visit: Open) -> None:
    """The latch is written but nobody has obeyed yet: the operator must not read that as done."""
    page = visit(scripted("silent")).page
    expect(page.locator(".nodata")).to_be_visible(timeout=6000)
    page.get_by_role("button", name="KILL").first.click()
    expect(page.locator(".control .kill-line")).to_contain_text("LATCHED, NOT CONFIRMED", timeout=4000)


def test_the_kill_goes_through_the_session_where_its_route_is_out_of_reach(
    scripted: Serve, visit: Open
) -> None:
    """Behind a proxy that does not forward the route, the click still has to stop the engine."""
    console = scripted("live")
    one = visit(console)
    one.page.route(
        "**/kill", lambda route: route.fulfill(status=200, content_type="text/html", body="<html>")
    )
    one.page.get_by_role("button", name="KILL").first.click()
    expect(one.page.locator(".control .kill-line")).to_contain_text("KILLED by", timeout=15_000)
    assert (console.data_dir / "KILL").exists()


@pytest.mark.campaign
def test_a_zoom_outlives_the_updates_until_it_is_reset(scripted: Serve, visit: Open) -> None:
    """A chart that jumps back while one looks at it cannot be read."""
    page = visit(scripted("live")).page
    area = page.locator(".price .u-over")
    page.locator(".price canvas").scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    before = text(page, ".price .u-legend")
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 60, steps=5)
    page.mouse.up()
    reset = page.locator(".price .reset")
    expect(reset).to_be_visible()
    shots = []
    for _ in range(2):
        page.mouse.move(2, 2)  # off every chart: a cursor would be drawn
        page.wait_for_timeout(1500)
        shots.append(page.locator(".price canvas").screenshot())
    assert shots[0] == shots[1], "the zoomed, past range does not move while new seconds arrive"
    assert text(page, ".price .u-legend") != before
    reset.click()
    expect(reset).to_be_hidden()


def test_the_phone_shows_status_and_kill_first_and_nothing_sideways(scripted: Serve, visit: Open) -> None:
    """At 390 px: one column, mode and a thumb-sized kill on the first screen, no sideways scrolling."""
    page = visit(scripted("hammer"), size=(390, 844)).page
    kill = page.locator(".status").get_by_role("button", name="KILL")
    expect(kill).to_be_visible()
    box = kill.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert box["y"] + box["height"] < 844 / 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    picture(page, "hammer-phone")
    kill.click()
    expect(page.locator(".status .kill-line")).to_contain_text("KILLED by", timeout=15_000)


@pytest.mark.campaign
def test_a_hole_in_the_feed_is_drawn_as_a_gap(scripted: Serve, visit: Open) -> None:
    """Interpolating over missing seconds would invent prices: the line breaks, the gap is counted."""
    page = visit(scripted("live")).page
    expect(page.locator(".price .extra")).to_contain_text("1 gap")


@pytest.mark.campaign
def test_a_stale_feed_is_named_by_word_and_shape(scripted: Serve, visit: Open) -> None:
    """Colour alone tells nothing to one man in twelve."""
    page = visit(scripted("stale")).page
    chip = page.locator(".feed", has_text="rtds")
    expect(chip).to_contain_text("DOWN")
    expect(chip.locator(".shape")).to_have_attribute("data-shape", "cross")
    expect(page.locator(".decision .gates .failed").first).to_contain_text("settlement feed")
    expect(page.locator(".decision .gates .failed .change").first).to_have_text(
        "to pass: the feed has to speak"
    )
    expect(page.locator(".canonical .used").first).to_contain_text("own mean, in use")
    expect(page.locator(".bad-prices")).to_contain_text("duplicate 14 · late 3 · jump 1")
    topic = page.locator(".topic", has_text="chainlink")
    expect(topic).to_contain_text("stale")
    expect(topic.locator(".shape")).to_have_attribute("data-shape", "warning")
    expect(page.locator(".topics-table tr", has_text="chainlink").locator("td").last).to_have_text("3")
    expect(page.locator(".venue-clock")).to_have_text("clock OFF +1,240 ms")
    expect(page.locator(".behind")).to_have_text(
        "The engine is behind its feeds: the recorder is 2.4 s behind; no new orders."
    )
    expect(page.locator(".card .fixed-terms").first).to_contain_text("the average starts at")
    picture(page, "stale-dark")


@pytest.mark.campaign
def test_living_on_spot_cannot_be_missed_and_says_what_it_rests_on(scripted: Serve, visit: Open) -> None:
    """The prices still move, so only words tell that they are the wrong ones; a phone keeps them in sight."""
    console = scripted("fallback")
    page = visit(console, theme="light").page
    banner = page.locator(".reduced")
    expect(banner).to_contain_text("REDUCED TRADING CONFIDENCE: living on spot since 2026-08-20 14:33:20 UTC")
    expect(banner).to_contain_text("not what these contracts settle on. Orders are gated.")
    assert page.title().startswith("REDUCED CONFIDENCE")
    frozen = page.locator(".topic", has_text="frozen")
    expect(frozen).to_contain_text("twap 60 s")
    expect(frozen.locator(".shape")).to_have_attribute("data-shape", "star")
    expect(page.locator(".venue-clock")).to_have_text("clock WRONG −3,412 ms")
    expect(page.locator(".tape-panel tr", has_text="fallback")).to_contain_text("living on spot")
    picture(page, "fallback-light")

    phone = visit(console, size=(390, 844)).page
    phone.locator(".feeds-panel").scroll_into_view_if_needed()
    expect(phone.locator(".reduced")).to_be_in_viewport()
    assert phone.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    fits = "(table) => table.scrollWidth <= table.closest('.panel').clientWidth"
    assert phone.locator(".topics-table").evaluate(fits)
    picture(phone, "fallback-phone")


@pytest.mark.campaign
def test_doubted_books_and_lost_seconds_are_told_in_words(scripted: Serve, visit: Open) -> None:
    """A strip and a mark are for eyes that see them: the counts and the doubts are text as well."""
    page = visit(scripted("fallback")).page
    up = page.locator(".ladder .book").first
    expect(up.locator(".checks")).to_have_text("mirror DIFFERSREST DIFFERS3 resyncs")
    rows = page.locator(".card").nth(1).locator(".sides tbody tr")
    expect(rows.first).to_contain_text("crossed")
    expect(rows.last).to_contain_text("stale")
    page.get_by_role("button", name="15m").click()
    expect(up.locator(".book-state")).to_have_text("The book is crossed: not used.")
    strip = page.locator(".card .coverage").first
    expect(strip).to_have_attribute("aria-label", re.compile(r"\d+ present, .*22 frozen, \d+ missing$"))
    legend = strip.locator(".coverage-legend")
    expect(legend).to_be_hidden()
    strip.hover()
    expect(legend).to_contain_text("frozen 22")
    assert strip.locator("> canvas").evaluate(
        "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, 1).data.some((value) => value)"
    ), "the strip is drawn"


@pytest.mark.campaign
def test_orders_that_may_leave_in_fallback_are_said_by_the_name_of_their_setting(
    scripted: Serve, visit: Open
) -> None:
    """The one state in which money moves on the wrong price names what allowed it."""
    page = visit(scripted("allowed")).page
    expect(page.locator(".reduced strong").last).to_have_text(
        "ORDERS ARE ALLOWED (ALLOW_ORDERS_WHILE_FALLBACK_ACTIVE)."
    )


def test_a_tab_that_closes_is_forgotten_and_the_server_ends_at_once(scripted: Serve, visit: Open) -> None:
    """No queue outlives its tab, and SIGTERM must not hang on open pages: Docker kills after ten seconds."""
    console = scripted("live")
    one, other = visit(console), visit(console)
    other.page.context.close()
    deadline = time.monotonic() + 10
    while '"sessions":1' not in console.get("/healthz")[1]:
        assert time.monotonic() < deadline, console.get("/healthz")
        one.page.wait_for_timeout(100)
    began = time.monotonic()
    console.process.terminate()
    console.process.wait(10)
    assert time.monotonic() - began < 3
    one.page.context.close()
    one.errors.clear()  # the browser reports that the server went away


@pytest.mark.campaign
def test_a_restarted_server_finds_its_tabs_again(tmp_path: Path, visit: Open) -> None:
    """A server's update must not need a hand at every screen; old numbers must not survive it either."""
    with serve("tests/browser/fake_dashboard.py", tmp_path, FAKE_SCRIPT="settled") as console:
        one = visit(console)
        expect(one.page.locator(".settlements tbody tr")).to_have_count(1)
    expect(one.page.locator(".nodata")).to_be_visible(timeout=6000)
    port = int(console.url.rsplit(":", 1)[1])
    with serve("tests/browser/fake_dashboard.py", tmp_path, port=port, FAKE_SCRIPT="live"):
        expect(one.page.locator(".nodata")).to_be_hidden(timeout=30_000)
        expect(one.page.locator(".settlements-panel .empty")).to_contain_text("No window has settled yet")
        expect(one.page.locator(".control .kill-line")).to_contain_text("NOT TRIPPED")
        one.page.context.close()
    one.errors.clear()  # the browser reports each refused connection while the server was away
