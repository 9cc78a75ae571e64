"""What the page says when frames are cut, late or unseen: its own scripts, no server, a clock set by hand."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from engine.desk import History
from engine.snapshot import CanonicalView, OrderView
from pages import component
from pages.component import message
from tests.browser.test_merging import HEALTH, SETTINGS
from tests.test_desk import TEMPLATE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

BEAT_MS = 5_000_000
"""The server's steady clock when a test begins: as unlike the tab's as it can be."""
KILLED: dict[str, Any] = {
    "mode": "KILLED",
    "kill_latched": True,
    "kill_who": "anna",
    "kill_why": "drill",
    "kill_since_ms": 1_787_236_200_000,
}
STAND_INS = """
  window.sockets = [];
  window.WebSocket = class {
    static CONNECTING = 0;
    static OPEN = 1;
    readyState = 0;
    sent = [];
    constructor() { sockets.push(this); }
    send(text) { this.sent.push(text); }
    close() { this.readyState = 3; }
  };
  window.hiddenNow = false;
  Object.defineProperty(document, "hidden", { get: () => hiddenNow });
"""
MOUNT = """([part, text]) => {
  const root = document.createElement("div");
  document.body.append(root);
  window.asked ??= [];
  const data = new TextEncoder().encode(text);
  const leave = consoleParts[part]({
    data, parentElement: root, setTriggerValue: (name) => asked.push(`${part} ${name}`),
  });
  return (window.parts ??= []).push({ root, leave }) - 1;
}"""


class Tab:
    """A page with the console's scripts. Its time and the server's pass only as a test says."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.posts = 0
        self.latches = True
        self._history = History()
        self._version = 0
        self._passed_ms = 0

    def answer(self, route: Route) -> None:
        """Answer what the page asks of the server."""
        if route.request.method != "POST":
            route.fulfill(content_type="text/html", body="<!doctype html><title>none</title>")
            return
        self.posts += 1
        if self.latches:
            route.fulfill(json={"latched": True})
        else:
            route.fulfill(status=503, json={"latched": False, "error": "no engine"})

    def passes(self, ms: int) -> None:
        """Let so much time pass here and at the server."""
        if ms > 5000:  # every timer once is enough of a long time
            self.page.clock.fast_forward(ms - 1000)
        self.page.clock.run_for(min(ms, 1000) if ms > 5000 else ms)
        self._passed_ms += ms

    def server_passes(self, ms: int) -> None:
        """Let so much time pass at the server alone."""
        self._passed_ms += ms

    def told(self, **changes: Any) -> str:
        """Return a whole frame of this moment; ``engine`` and ``mode`` are replaced in part."""
        self._version += 1
        mode = msgspec.structs.replace(TEMPLATE.mode, **changes.pop("mode", {}))
        health = msgspec.structs.replace(HEALTH, **(self._well() | changes.pop("engine", {})))
        snapshot = msgspec.structs.replace(TEMPLATE, version=self._version, mode=mode, **changes)
        self._history.add(snapshot)
        return message.frame(self._history.since(0), health, SETTINGS, "/kill").decode()

    def _well(self) -> dict[str, Any]:
        return {"state": "running", "alive": True, "asked_ms": BEAT_MS + self._passed_ms}

    def hear(self, text: str | None = None, **changes: Any) -> None:
        """Push a frame, one of this moment where none is given."""
        push = "(text) => sockets.at(-1).onmessage({ data: text })"
        self.page.evaluate(push, self.told(**changes) if text is None else text)

    def mount(self, part: str, **changes: Any) -> int:
        """Mount a part as Streamlit does; return its number."""
        if part == "live":
            text = self.told(**changes)
        else:
            mode = changes.get("mode", {})
            health = msgspec.structs.replace(HEALTH, **self._well())
            view = msgspec.structs.replace(TEMPLATE, mode=msgspec.structs.replace(TEMPLATE.mode, **mode))
            text = message.kill_state(view, health, SETTINGS, "/kill").decode()
        number: int = self.page.evaluate(MOUNT, [part, text])
        return number

    def leave(self, number: int) -> None:
        """Unmount a part as Streamlit does."""
        self.page.evaluate("(number) => { parts[number].leave(); parts[number].root.remove(); }", number)

    def hide(self) -> None:
        """Turn to another tab."""
        self.page.evaluate(
            "() => { hiddenNow = true; document.dispatchEvent(new Event('visibilitychange')); }"
        )

    def trip(self) -> None:
        """Press the kill button's act, and wait for the answers."""
        self.page.evaluate("() => killDesk.trip()")

    @property
    def line(self) -> Locator:
        """What stands below the kill button."""
        return self.page.locator(".kill-line").first

    @property
    def button(self) -> Locator:
        """The kill button."""
        return self.page.locator("button.kill").first


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """A tab that heard nothing yet."""
    page = browser.new_page()
    one = Tab(page)
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.route("**/*", one.answer)
    page.clock.install(time=1_787_236_000)
    page.add_init_script(STAND_INS)
    page.goto("http://localhost/")
    page.clock.pause_at(1_787_236_100)
    page.add_script_tag(content=component.bundle().replace("export default function () {}", ""))
    yield one
    page.close()
    assert failures == []


def says(tab: Tab, word: str) -> None:
    expect(tab.line.locator("strong")).to_have_text(word)


# --- the kill switch ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"engine": {"killed": True}, "mode": KILLED}, "KILLED"),
        ({"engine": {"killed": True}}, "LATCHED, NOT CONFIRMED"),
        (
            {
                "engine": {
                    "killed": True,
                    "alive": False,
                    "state": "elsewhere",
                    "error": "trades elsewhere: 7",
                }
            },
            "KILLED",
        ),
    ],
)
def test_a_server_that_fell_silent_confirms_nothing_and_the_button_acts(
    tab: Tab, changes: dict[str, Any], word: str
) -> None:
    """Somebody may have cleared it since: who believes in KILLED and cannot press would trade on."""
    tab.mount("live")
    tab.passes(100)
    tab.hear(**changes)
    says(tab, word)
    expect(tab.button).to_be_disabled()
    tab.passes(60_000)
    says(tab, "UNKNOWN")
    expect(tab.line).to_contain_text("it last said that the switch is tripped")
    expect(tab.button).to_be_enabled()
    tab.page.keyboard.press("Control+Shift+K")
    says(tab, "LATCHED")
    assert tab.posts == 1
    tab.passes(10_000)
    says(tab, "LATCHED, NOT CONFIRMED")
    expect(tab.button).to_be_enabled()
    tab.trip()
    says(tab, "LATCHED")
    assert tab.posts == 2


def test_a_confirmed_kill_stays_confirmed_while_the_server_speaks(tab: Tab) -> None:
    """Frames without news say it too; a press then has nothing to add."""
    tab.mount("live")
    for _ in range(20):
        tab.hear(engine={"killed": True}, mode=KILLED)
        tab.passes(500)
    says(tab, "KILLED")
    expect(tab.button).to_be_disabled()
    tab.trip()
    assert tab.posts == 0


def test_a_latch_that_was_cleared_while_no_frame_came_is_dropped(tab: Tab) -> None:
    """The button stayed disabled under LATCHED, NOT CONFIRMED until the page was loaded anew."""
    tab.mount("live")
    tab.passes(100)
    tab.trip()
    says(tab, "LATCHED")
    tab.passes(30_000)
    tab.hear(engine={"killed": False})
    says(tab, "NOT TRIPPED")
    expect(tab.button).to_be_enabled()


def test_a_frame_made_before_the_latch_does_not_undo_it(tab: Tab) -> None:
    """It was on its way when the button was pressed, however late it comes."""
    tab.mount("live")
    tab.passes(100)
    before = [tab.told(engine={"killed": True})]
    tab.passes(100)
    before.append(tab.told(engine={"killed": False}))
    tab.passes(100)
    tab.trip()
    for text in before:
        tab.hear(text)
    says(tab, "LATCHED")
    tab.passes(5000)
    late = tab.told(engine={"killed": False})
    tab.passes(1)
    tab.hear(late)
    says(tab, "NOT TRIPPED")


def test_a_frame_made_just_after_the_latch_leaves_it_time_to_be_seen(tab: Tab) -> None:
    """The guard writes the file beside the server, which may look at it a moment later."""
    tab.mount("live")
    tab.passes(100)
    tab.trip()
    tab.passes(1500)
    tab.hear(engine={"killed": False})
    says(tab, "LATCHED, NOT CONFIRMED")


def test_a_key_held_down_posts_once_and_may_be_pressed_again(tab: Tab) -> None:
    """A held key repeats thirty times a second; a press that failed is not the last word."""
    tab.latches = False
    tab.mount("live")
    tab.passes(100)
    keyboard = tab.page.keyboard
    keyboard.down("k")  # down before its modifiers: what repeats then is the first that asks
    keyboard.down("Control")
    keyboard.down("Shift")
    for _ in range(5):
        keyboard.down("K")
    tab.page.wait_for_function("() => killDesk.error")
    assert tab.posts == 1
    keyboard.up("K")
    keyboard.down("K")
    keyboard.down("K")
    tab.page.wait_for_function("() => killDesk.error")
    assert tab.posts == 2


def test_enter_held_down_on_the_button_presses_it_once(tab: Tab) -> None:
    """The other way to hold a kill key: the button has the focus."""
    tab.latches = False
    tab.mount("kill")
    tab.passes(100)
    tab.button.focus()
    for _ in range(5):
        tab.page.keyboard.down("Enter")
    tab.page.wait_for_function("() => killDesk.error")
    assert tab.posts == 1
    tab.page.keyboard.up("Enter")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_function("() => killDesk.error")
    assert tab.posts == 2


def test_the_second_way_is_whoever_can_ask_after_a_part_has_left(tab: Tab) -> None:
    """A change of page unmounts one part of many; then nobody was asked, and the page said otherwise."""
    tab.latches = False
    tab.mount("live")
    tab.passes(100)
    tab.leave(tab.mount("kill_narrow"))
    tab.trip()
    tab.passes(1500)
    expect(tab.line).to_contain_text("asked again through the session")
    assert "live kill" in tab.page.evaluate("asked")


def test_where_nobody_can_ask_the_session_the_words_say_so(tab: Tab) -> None:
    """A second way that does not exist must not be told as taken."""
    tab.latches = False
    tab.mount("live")
    tab.passes(100)
    tab.page.evaluate("() => stream.pullers.clear()")
    tab.page.evaluate("() => { killDesk.fallback = null; }")
    tab.trip()
    tab.passes(1500)
    expect(tab.line).to_contain_text("The kill route failed (no engine)")
    expect(tab.line).to_contain_text("cannot be asked")
    expect(tab.line).not_to_contain_text("asked again")
    assert [one for one in tab.page.evaluate("asked") if one.endswith(" kill")] == []


# --- a tab in the background --------------------------------------------------------------------------------


def in_the_background(tab: Tab) -> str:
    """Open a tab with sound that shows a mode, and turn away; return the version that it shows."""
    tab.mount("live")
    tab.passes(100)
    tab.page.keyboard.press("s")
    tab.hear()
    tab.passes(100)
    assert tab.page.title().startswith("PRACTICE")
    tab.hide()
    return str(tab.page.locator(".live").get_attribute("data-version"))


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"engine": {"killed": True}, "mode": KILLED}, "KILLED"),
        ({"mode": {"mode": "HALTED", "halted_why": "drift"}}, "HALTED"),
    ],
)
def test_a_hidden_tab_tells_a_stop_in_its_title_and_by_its_sound(
    tab: Tab, changes: dict[str, Any], title: str
) -> None:
    """Who looks at another tab has these two only; the page itself is not painted for nobody."""
    shown = in_the_background(tab)
    tab.hear(**changes)
    assert tab.page.title().startswith(title)
    expect(tab.page.locator(".habits")).to_have_attribute("data-played", "440 330 220")
    expect(tab.page.locator(".live")).to_have_attribute("data-version", shown)


def test_a_hidden_tab_sounds_a_fill(tab: Tab) -> None:
    """It is what the sound is for: one does not look all the time."""
    in_the_background(tab)
    order = tab.page.evaluate("() => ({ ...stream.store.slow.orders })")
    assert order == {}
    tab.hear(orders=[filled()])
    expect(tab.page.locator(".habits")).to_have_attribute("data-played", "660 880")


def filled() -> OrderView:
    """Return an order that was filled."""
    return OrderView("p-1", "slug", "UP", 0.93, 20.0, "filled", "", 0, 21.6, 0.926, 0.10)


def test_a_hidden_tab_that_hears_nothing_says_so_in_its_title(tab: Tab) -> None:
    """No frame comes to say that none comes: the tab's own clock has to."""
    in_the_background(tab)
    tab.passes(1000)
    assert tab.page.title().startswith("PRACTICE")
    tab.passes(1000)
    assert tab.page.title().startswith("NO DATA")


# --- prices and the engine ----------------------------------------------------------------------------------


def settles_by(age_s: float) -> list[CanonicalView]:
    return [CanonicalView("TWAP", "RTDS", 5.0, 0, 0, age_s, 1.0, 0.0, [("RTDS", age_s), ("own mean", None)])]


def test_the_price_that_settles_is_stale_where_no_rung_is_fresh(tab: Tab) -> None:
    """The oldest known price is shown for want of a better one: nobody may take it for a good one."""
    tab.mount("live", canonical=settles_by(4.0))
    tab.passes(200)
    chip, used = tab.page.locator(".rung-chip"), tab.page.locator(".canonical .used td").first
    assert TEMPLATE.mode.clock_rate == 5.0
    expect(chip.locator(".shape")).to_have_attribute("data-shape", "disc")
    expect(chip).not_to_contain_text("STALE")
    expect(used).to_have_text("RTDS, in use")
    tab.hear(canonical=settles_by(4.9))
    tab.passes(700)  # 3.5 s on the engine's clock
    for one, shape in ((chip, "warning"), (used, "warning")):
        expect(one).to_contain_text("STALE")
        expect(one.locator(".shape")).to_have_attribute("data-shape", shape)
    expect(chip).to_have_attribute("data-tone", "alarm")
    tab.hear(canonical=settles_by(0.1))
    tab.passes(700)
    expect(chip.locator(".shape")).to_have_attribute("data-shape", "disc")
    expect(used).to_have_text("RTDS, in use")


def test_an_engine_of_which_nothing_is_heard_is_unknown_and_greyed(tab: Tab) -> None:
    """It counted on, in green, beside a page that was grey."""
    tab.mount("live", canonical=settles_by(0.1))
    tab.passes(500)
    engine = tab.page.locator(".chip.engine")
    greyed = "(node) => getComputedStyle(node).filter.includes('grayscale')"
    parts = [engine, tab.page.locator(".chip.balance"), tab.page.locator(".rung-chip").first]
    expect(engine).to_contain_text("engine up")
    assert [one.evaluate(greyed) for one in parts] == [False, False, False]
    tab.passes(2000)
    expect(engine).to_have_text("engine unknown")
    expect(engine.locator(".shape")).to_have_attribute("data-shape", "warning")
    assert [one.evaluate(greyed) for one in parts] == [True, True, True]
    tab.hear()
    tab.passes(100)
    expect(engine).to_contain_text("engine up")


@pytest.mark.parametrize("state", ["failed", "silent"])
def test_what_the_server_itself_says_of_the_engine_stays_lit(tab: Tab, state: str) -> None:
    """An engine that failed is known to have failed, however old the last picture is."""
    tab.mount("live")
    for _ in range(10):
        tab.passes(250)
        frame = json.loads(tab.told(engine={"alive": state == "silent", "state": state}))
        tab.hear(json.dumps({name: frame[name] for name in ("beat", "engine")}))
    engine = tab.page.locator(".chip.engine")
    expect(engine).to_have_text(f"engine {state.upper()}")
    assert engine.evaluate("(node) => getComputedStyle(node).filter") == "none"


# --- frames that were long on their way ---------------------------------------------------------------------


def since_frame(tab: Tab) -> float:
    seconds: float = tab.page.evaluate("() => stream.store.sinceFrame(performance.now())")
    return seconds


def speaks(tab: Tab, seconds: int) -> None:
    for _ in range(seconds * 4):
        tab.hear()
        tab.passes(250)


def test_a_frame_that_was_long_on_its_way_is_as_old_as_that(tab: Tab) -> None:
    """A tab that was frozen, or a slow link, delivers what was true half a minute ago: it is no news."""
    tab.mount("live")
    speaks(tab, 3)
    late = tab.told()
    tab.page.evaluate("() => { hiddenNow = true; }")  # frozen in the background: nothing gave its socket up
    tab.passes(30_000)
    tab.hear(late)
    tab.page.evaluate("() => { hiddenNow = false; }")
    assert since_frame(tab) == pytest.approx(30, abs=0.3)
    tab.passes(200)
    expect(tab.page.locator(".nodata")).to_contain_text("long on their way")
    says(tab, "UNKNOWN")
    tab.hear()
    tab.passes(100)
    assert since_frame(tab) == pytest.approx(0.1, abs=0.05)
    expect(tab.page.locator(".nodata")).to_be_hidden()


def test_a_first_frame_that_was_slow_is_found_out_by_the_next(tab: Tab) -> None:
    """What is quickest is known only by comparison; no frame is ever of the future."""
    tab.mount("live")
    tab.server_passes(20_000)
    tab.hear()
    assert since_frame(tab) == 0
    late = tab.told()
    tab.passes(1_000)
    tab.hear(late)
    assert since_frame(tab) == pytest.approx(1, abs=0.1)


def test_another_servers_clock_is_another_clock(tab: Tab) -> None:
    """A restarted machine counts from nought: its frames are not hours old."""
    tab.mount("live")
    speaks(tab, 2)
    tab.server_passes(-BEAT_MS // 2)
    tab.hear(engine={"alive": True, "desk": "another"})
    assert since_frame(tab) == 0


def test_a_server_that_slept_is_not_late_on_its_new_socket(tab: Tab) -> None:
    """Its steady clock stood still and is behind for good; nothing is older than what brought it."""
    tab.mount("live")
    speaks(tab, 2)
    tab.server_passes(-60_000)
    tab.page.evaluate("() => { stream.hangUp(); stream.wake(); }")
    tab.passes(300)
    tab.hear()
    assert since_frame(tab) <= 0.3


def test_a_server_that_slept_unnoticed_is_not_late_for_ever(tab: Tab) -> None:
    """A hidden tab keeps its socket: the quickest frame is forgotten after some minutes."""
    tab.mount("live")
    tab.page.evaluate("() => { hiddenNow = true; }")
    tab.passes(60_000)
    tab.hear()
    tab.server_passes(-30_000)
    tab.hear()
    assert since_frame(tab) == pytest.approx(30, abs=0.1)
    for _ in range(11):
        tab.passes(60_000)
        tab.hear()
    assert since_frame(tab) < 1
