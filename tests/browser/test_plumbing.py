"""How a page is fed, and how it kills when things are stuck; a real browser before a scripted engine."""

import json
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, Stages, Visit, serve

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Open = Callable[..., Visit]
STUCK = "tests/browser/stuck_dashboard.py"
PATIENCE_MS = 20_000
"""For a busy machine; how soon things are told is measured by ``python -m benchmarks console``."""


@pytest.fixture
def stuck(stages: Stages) -> Callable[[], Console]:
    """Return a starter of a console that can be made to get stuck."""
    return lambda: stages.play(STUCK, "hammer")


def post(console: Console, path: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(console.url + path, method="POST"), timeout=5):
        pass


FIND = """(selector) => {
  const find = (root) => {
    for (const one of root.querySelectorAll("*")) {
      if (one.matches(selector)) return one;
      const inside = one.shadowRoot && find(one.shadowRoot);
      if (inside) return inside;
    }
    return null;
  };
  return find(document);
}"""


def moves(page: Page) -> None:
    """Wait until the page has shown three more snapshots: on a busy machine each question takes its time."""
    for _ in range(3):
        shown = page.evaluate(f"() => ({FIND})('.live').dataset.version")
        page.wait_for_function(
            f"(was) => ({FIND})('.live').dataset.version !== was", arg=shown, timeout=20_000
        )


def versions_in(page: Page, seconds: float) -> int:
    """Count the snapshots that the page shows within so long; it paints the same one again meanwhile."""
    watch = """(ms) => new Promise((done) => {
      const live = (FIND)(".live");
      const shown = new Set();
      const seen = new MutationObserver(() => shown.add(live.dataset.version));
      seen.observe(live, { attributeFilter: ["data-version"] });
      setTimeout(() => done(shown.size), ms);
    })"""
    return int(page.evaluate(watch.replace("FIND", FIND), seconds * 1000))


def pushed_at_full_rate(page: Page) -> None:
    """Wait until more arrive than the fragment could bring: a server that starts brings fewer (3/s)."""
    deadline = time.monotonic() + 30
    while (count := versions_in(page, 2.0)) < 14:  # the fragment brings ten at most
        assert time.monotonic() < deadline, f"{count} snapshots in 2 s"


@contextmanager
def tabs(console: Console, visit: Open, count: int = 1, expected: str | None = None) -> Iterator[list[Visit]]:
    """Open tabs and close them before their server ends, which they would report as an error."""
    opened = [visit(console, expected=expected) for _ in range(count)]
    yield opened
    for one in opened:
        one.page.context.close()


def fed(page: Page, way: str) -> None:
    expect(page.locator(".fed").first).to_have_attribute("data-fed", way, timeout=PATIENCE_MS)


@pytest.mark.campaign
def test_a_page_is_pushed_to_and_says_so(stuck: Callable[[], Console], visit: Open) -> None:
    """The quick way is the usual one, and the operator can see which way his numbers come."""
    console = stuck()
    with tabs(console, visit) as (one,):
        page = one.page
        fed(page, "push")
        expect(page.locator(".fed").first).to_have_text("fed by push")
        pushed_at_full_rate(page)


def test_where_the_push_is_refused_the_fragment_feeds_the_page(tmp_path: Path, visit: Open) -> None:
    """Streamlit Cloud may not forward our routes: the page then asks, five times a second, and says so."""
    refused = "Unexpected response code: 403"  # the browser names each socket it was refused
    with (
        serve(STUCK, tmp_path, PUSH="refused") as console,
        tabs(console, visit, expected=refused) as (one,),
    ):
        fed(one.page, "fragment")
        expect(one.page.locator(".fed").first).to_have_text("fed by fragment")
        moves(one.page)
        one.page.get_by_role("button", name="KILL").first.click()
        expect(one.page.locator(".control .kill-line").first).to_contain_text(
            "KILLED by", timeout=PATIENCE_MS
        )
        expect(one.page.get_by_role("button", name="Clear it…")).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.campaign
def test_a_page_that_wakes_asks_its_fragments_one_after_the_other(tmp_path: Path, visit: Open) -> None:
    """A page that stood still owes its fragments several questions, and the browser wakes it in several ways.

    Streamlit puts what is asked within one turn into one message, which can name one fragment only.
    """
    refused = "Unexpected response code: 403"
    stands_still_then_wakes = """() => {
      const until = performance.now() + 5600;
      while (performance.now() < until);
      for (let i = 0; i < 3; i += 1) document.dispatchEvent(new Event("resume"));
    }"""
    with (
        serve(STUCK, tmp_path, PUSH="refused") as console,
        tabs(console, visit, expected=refused) as (one,),
    ):
        fed(one.page, "fragment")
        one.page.evaluate(stands_still_then_wakes)
        fed(one.page, "fragment")
        moves(one.page)
        assert [error for error in one.errors if "fragmentId" in error] == []


def test_what_is_pressed_on_a_busy_page_is_drawn(tmp_path: Path, visit: Open) -> None:
    """A key or a click is ahead of every timer: it came between a question and the message that carries it.

    The press then went out as the asked fragment's, and its own showed what was there before: one in three.
    The second is a click: a button that was just drawn anew is seen a little before it hears its key.
    """
    refused = "Unexpected response code: 403"
    works_all_the_time = """() => setInterval(() => {
      const until = performance.now() + 12;
      while (performance.now() < until);
    }, 13)"""
    with (
        serve(STUCK, tmp_path, PUSH="refused") as console,
        tabs(console, visit, expected=refused) as (one,),
    ):
        page = one.page
        page.goto(f"{console.url}?tour=0")
        expect(page.get_by_role("button", name="Take the tour")).to_be_visible(timeout=PATIENCE_MS)
        fed(page, "fragment")
        page.evaluate(works_all_the_time)
        moves(page)
        for step in range(1, 7):
            if step == 2:
                page.get_by_role("button", name="Next").click(timeout=PATIENCE_MS)
            else:
                page.keyboard.press("ArrowRight")
            expect(page.get_by_text(f"{step}/6")).to_be_visible(timeout=PATIENCE_MS)
        assert [error for error in one.errors if "fragmentId" in error] == []


def test_a_page_of_another_site_gets_no_push(stuck: Callable[[], Console], visit: Open) -> None:
    """Figures are for our own pages: the browser names where a socket is opened from."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    console = stuck()
    url = console.url.replace("http", "ws", 1) + "/push"
    for origin in (None, "https://evil.example.net"):
        with pytest.raises(InvalidStatus, match="403"):
            connect(url, origin=origin)
    with connect(url, origin=console.url) as socket:
        socket.send('{"have": 0, "session": ""}')
        assert json.loads(socket.recv(timeout=5))["since"] == 0


def test_a_dead_engine_is_told_on_every_page_and_can_be_killed(
    stuck: Callable[[], Console], visit: Open
) -> None:
    """The last numbers look like a quiet market; the latch must hold for whatever starts next."""
    console = stuck()
    with tabs(console, visit, 2) as opened:
        live, other = (one.page for one in opened)
        other.get_by_role("link", name="Settlement truth").click()
        expect(other.locator(".control .mode").first).to_have_text("PRACTICE", timeout=PATIENCE_MS)
        fed(live, "push")
        post(console, "/stuck/dead")
        expect(live.locator(".status .mode")).to_have_text("ENGINE DOWN", timeout=PATIENCE_MS)
        expect(other.locator(".control .mode").first).to_have_text("ENGINE DOWN", timeout=PATIENCE_MS)
        other.locator(".control").first.get_by_role("button", name="KILL").click()
        expect(other.locator(".control .kill-line").first).to_contain_text("LATCHED", timeout=PATIENCE_MS)
        assert (console.data_dir / "KILL").exists()


@pytest.mark.campaign
def test_a_silent_engine_is_told_on_every_page(stuck: Callable[[], Console], visit: Open) -> None:
    """Its thread lives and says nothing: as bad as dead, and harder to see."""
    console = stuck()
    with tabs(console, visit, 2) as opened:
        live, other = (one.page for one in opened)
        other.get_by_role("link", name="Settlement truth").click()
        expect(other.locator(".control .mode").first).to_have_text("PRACTICE", timeout=PATIENCE_MS)
        fed(live, "push")
        post(console, "/stuck/engine?seconds=8")
        for chip in (live.locator(".status .mode"), other.locator(".control .mode").first):
            expect(chip).to_have_text("UNKNOWN", timeout=PATIENCE_MS)
        expect(live.locator(".status .mode")).to_have_text("PRACTICE", timeout=PATIENCE_MS)


CLICK = """async (button) => {
  const began = performance.now();
  const line = button.closest(".kill-box").querySelector(".kill-line");
  button.click();
  while (!/LATCHED|KILLED/.test(line.textContent)) await new Promise((done) => setTimeout(done, 2));
  return performance.now() - began;
}"""


@pytest.mark.parametrize("what", ["interpreter", pytest.param("engine", marks=pytest.mark.campaign)])
def test_a_kill_is_latched_and_confirmed_while_something_is_stuck(
    stuck: Callable[[], Console], visit: Open, what: str
) -> None:
    """Native code that holds the interpreter stops the server's own route; the guard answers in its place."""
    console = stuck()
    with tabs(console, visit) as (one,):
        page = one.page
        fed(page, "push")
        button = page.locator(".control").first.get_by_role("button", name="KILL").element_handle()
        post(console, f"/stuck/{what}?seconds=3")
        time.sleep(0.4)
        if what == "interpreter":
            with pytest.raises(OSError, match="timed out"):
                urllib.request.urlopen(console.url + "/healthz", timeout=0.5)
        clicked_ms = time.time() * 1000
        confirmed_ms = page.evaluate(CLICK, button)
        latch = json.loads((console.data_dir / "KILL").read_text())
        assert confirmed_ms < 2000, "while it is still stuck"
        assert latch["since_ms"] - clicked_ms < 2000
        if what == "interpreter":
            assert (latch["who"], latch["why"]) == ("console at this machine", "kill button (guard)")
        expect(page.locator(".control .kill-line").first).to_contain_text(
            "KILLED by console at", timeout=PATIENCE_MS
        )


@pytest.mark.campaign
def test_two_operators_who_click_at_once_see_one_latch(stuck: Callable[[], Console], visit: Open) -> None:
    """One reason is in force, for both; neither click is lost or undone by the other."""
    console = stuck()
    with tabs(console, visit, 2) as opened:
        pages = [one.page for one in opened]
        for page in pages:
            fed(page, "push")
            at = "const at = Math.ceil(Date.now() / 1000 + 1) * 1000;"
            click = f'{at} setTimeout(() => ({FIND})(".control button.kill").click(), at - Date.now());'
            page.evaluate(f"() => {{ {click} }}")
        lines = []
        for page in pages:
            expect(page.locator(".control .kill-line").first).to_contain_text(
                "KILLED by console", timeout=PATIENCE_MS
            )
            lines.append(page.locator(".control .kill-line").first.inner_text())
        assert lines[0] == lines[1]
        latch = json.loads((console.data_dir / "KILL").read_text())
        assert latch["who"] in lines[0]


@pytest.mark.campaign
def test_a_tab_that_slept_comes_back_with_the_present_and_no_flood(
    stuck: Callable[[], Console], visit: Open
) -> None:
    """A laptop that was closed: what happened meanwhile is not played again, and nothing piles up for it."""
    console = stuck()
    with tabs(console, visit) as (one,):
        page = one.page
        fed(page, "push")
        session = page.context.new_cdp_session(page)
        before = int(page.locator(".live").get_attribute("data-version") or 0)
        session.send("Page.setWebLifecycleState", {"state": "frozen"})
        time.sleep(8)
        now = json.loads(console.get("/healthz")[1])["version"]
        assert now > before + 100
        session.send("Page.setWebLifecycleState", {"state": "active"})
        page.wait_for_function(
            f'(version) => Number(({FIND})(".live").dataset.version) >= version',
            arg=now,
            timeout=PATIENCE_MS,
        )


@pytest.mark.campaign
def test_a_restarted_server_is_found_again_and_pushes(tmp_path: Path, visit: Open) -> None:
    """An update of the server needs no hand at the screen."""
    with serve(STUCK, tmp_path) as console:
        one = visit(console)
        fed(one.page, "push")
    port = int(console.url.rsplit(":", 1)[1])
    with serve(STUCK, tmp_path, port=port):
        fed(one.page, "push")
        expect(one.page.locator(".nodata")).to_be_hidden(timeout=PATIENCE_MS)
        pushed_at_full_rate(one.page)
        one.page.context.close()
    one.errors.clear()  # the browser names each refused connection while the server was away


def test_the_guard_ends_with_its_server_even_when_that_is_killed(tmp_path: Path) -> None:
    """A guard that outlived its server would latch a folder that another engine uses."""
    with serve(STUCK, tmp_path) as console:
        deadline = time.monotonic() + 30
        while (port := json.loads(console.get("/healthz")[1])["guard_port"]) is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        console.process.kill()
        console.process.wait(5)
        deadline = time.monotonic() + 30
        while _listens(port):
            assert time.monotonic() < deadline, "the guard is still there"
            time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
