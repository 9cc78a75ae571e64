"""The frame and the live page as Streamlit runs them, without a browser."""

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine import desk
from engine.snapshot import ClockView, Snapshot, TopicView
from pages import component
from pages.component import message
from pages.widgets import plain
from tests.browser.fake_scripts import FALLBACK_S

REPOSITORY = Path(__file__).resolve().parents[2]
FRAME = REPOSITORY / "pages" / "frame.py"

Open = Callable[[str], desk.Desk]


def run() -> AppTest:
    page = AppTest.from_file(str(FRAME), default_timeout=20).run()
    assert not page.exception, page.exception
    return page


def sent(page: AppTest, name: str) -> dict[str, Any]:
    """Decode what one component was given."""
    for element in page.get("bidi_component"):
        if element.proto.component_name == f"updown_{name}":
            message: dict[str, Any] = json.loads(element.proto.bytes)
            return message
    raise AssertionError(f"no component updown_{name} on the page")


@pytest.mark.parametrize("script", ["empty", "live", "dead"])
def test_the_page_renders_in_every_state_of_the_engine(open_script: Open, script: str) -> None:
    """A console that fails together with the engine is no console."""
    counter = open_script(script)
    page = run()
    live = sent(page, "live")
    assert live["engine"]["state"] == counter.health().state
    assert ("head" in live) is (script != "empty")
    assert sent(page, "kill")["engine"]["alive"] is (script != "dead")


def test_a_first_frame_is_whole_and_the_next_only_what_is_new(open_script: Open) -> None:
    """A new tab gets the whole history once; after that, seconds."""
    open_script("live")
    page = run()
    first = sent(page, "live")
    assert first["since"] == 0
    assert len(first["ticks"]) >= 200
    assert "fixed" in first
    second = sent(page.run(), "live")
    assert second["since"] == first["head"]["version"]
    assert len(second["ticks"]) < 30
    assert "fixed" not in second


def test_no_section_of_a_snapshot_is_left_behind() -> None:
    """A new section that the format forgets would be a panel that stays empty without a word."""
    travel = {*message.FAST_SECTIONS, *desk.SLOW_SECTIONS, "point", "marks"}
    assert travel == set(Snapshot.__struct_fields__)


def test_feeds_clock_and_coverage_travel_with_every_snapshot(open_script: Open) -> None:
    """The browser reads them by these names; an age that came only now and then would stand still."""
    open_script("fallback")
    page = run()
    for frame in (sent(page, "live"), sent(page.run(), "live")):
        head = frame["head"]
        frozen = next(topic for topic in head["topics"] if topic["state"] == "frozen")
        assert set(frozen) == set(TopicView.__struct_fields__)
        assert set(head["clock"]) == set(ClockView.__struct_fields__)
        contract = head["contracts"][0]
        assert set(contract["coverage"]) <= set("plmfw")
        assert (contract["up"]["mirror"], contract["up"]["resyncs"]) == ("differs", 3)


def test_the_fallback_is_in_the_mode_that_a_new_tab_gets(open_script: Open) -> None:
    """Mode travels when it changes: a tab opened in the middle of an outage has to hear of it at once."""
    open_script("allowed")
    mode = sent(run(), "live")["slow"]["mode"]
    assert mode["reduced_trading_confidence"] is True
    assert mode["orders_in_fallback"] is True
    assert mode["fallback_since_ms"] == FALLBACK_S * 1000


def test_a_browser_that_missed_something_gets_the_whole_again(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser asks by a trigger, whose callback forgets what was sent."""
    shown, asks = component.live, []

    def live(message: bytes, on_resync: Callable[[], None], on_kill: Callable[[], None]) -> None:
        shown(message, on_resync, on_kill)
        if asks:  # a session's state is there only within its run
            asks.pop()
            on_resync()

    monkeypatch.setattr(component, "live", live)
    open_script("live")
    page = run()
    assert sent(page.run(), "live")["since"] > 0
    asks.append("resync")
    assert sent(page.run(), "live")["since"] > 0
    assert not asks
    assert sent(page.run(), "live")["since"] == 0


def test_a_queue_that_was_reaped_is_replaced_and_filled_again(open_script: Open) -> None:
    """A tab that slept for an hour comes back with the present, not with an error."""
    counter = open_script("live")
    page = run()
    for queue in list(counter.hub._queues.values()):
        counter.hub.unsubscribe(queue)
    assert len(counter.hub) == 0
    page.run()
    assert not page.exception
    assert len(counter.hub) == 1
    assert sent(page, "live")["since"] == 0


def test_the_clear_form_shows_only_while_latched_and_wants_phrase_and_reason(open_script: Open) -> None:
    """Clearing is the one dangerous act of the page: it takes two deliberate answers."""
    counter = open_script("live")
    page = run()
    assert not page.text_input
    latch = counter.trip("ann", "drill")
    page.run()
    assert page.error[0].value.replace("\\", "") == (
        f"**KILLED** by ann at {plain.wall(latch.since_ms, 5.0)}: drill"
    )
    page.text_input(key=f"clear-phrase-{latch.since_ms}").input("CLEAR")
    page.button[0].click().run()
    assert "reason" in page.error[1].value
    assert counter.health().killed
    page.text_input(key=f"clear-reason-{latch.since_ms}").input("drill is over")
    page.button[0].click().run()
    assert not page.exception
    assert not counter.health().killed
    assert not page.text_input


def test_a_kill_that_came_while_somebody_typed_is_not_cleared_with_the_one_before(open_script: Open) -> None:
    """Nobody has looked at it: it is named, and what was typed for the other one is gone."""
    counter = open_script("live")
    first = counter.trip("ann", "drill")
    page = run()
    page.text_input(key=f"clear-phrase-{first.since_ms}").input("CLEAR")
    page.text_input(key=f"clear-reason-{first.since_ms}").input("drill is over")
    assert counter.host.kill.clear("CLEAR", "carol", "drill is over") is None
    second = counter.trip("bob", "odd fills")
    page.button[0].click().run()
    assert counter.host.kill.read() == second
    told = [one.value.replace("\\", "") for one in page.error]
    assert told[0].startswith("**KILLED** by bob at ")
    assert told[1] == "Not cleared: it is another kill by now, by bob: odd fills. Look at it first."
    assert [one.value for one in page.text_input] == ["", ""]


def test_without_a_server_the_page_says_how_to_start_one() -> None:
    """``streamlit run pages/frame.py`` is a likely slip; nothing may trade from a page."""
    desk.close_desk()
    page = run()
    assert "streamlit run dashboard.py" in page.error[0].value


def test_the_navigation_comes_first_and_unconditionally() -> None:
    """A run that ends before ``st.navigation`` serves the folder's files by URL, past any gate (measured)."""
    body = ast.parse(FRAME.read_text()).body
    texts = [ast.unparse(node) for node in body]
    place = next(index for index, text in enumerate(texts) if text.startswith("page = st.navigation("))
    plain = (ast.Expr, ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom)
    assert all(isinstance(node, plain) for node in body[:place]), "no condition, loop or handler before it"
    calls = [
        ast.unparse(node.value.func)
        for node in body[:place]
        if isinstance(getattr(node, "value", 0), ast.Call)
    ]
    assert {call for call in calls if call.startswith("st.")} == {"st.set_page_config"}
    assert not any(text.startswith(("from pages", "from engine")) for text in texts[:place]), (
        "no code of ours"
    )
