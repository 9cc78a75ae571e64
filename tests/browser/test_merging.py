"""What the browser makes of frames that come twice, too late or not at all. Real encoder, real store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from engine.config import load_settings
from engine.desk import Desk, History
from pages import component
from pages.component import message
from tests.test_desk import StillHost, snapshot

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

SETTINGS = load_settings(Path("/dev/null"))
HEALTH = Desk(SETTINGS, StillHost).health()


@pytest.fixture(scope="module")
def scripts(browser: Browser) -> Iterator[Page]:
    """A blank page that has the console's pure functions."""
    page = browser.new_page()
    names = (
        "format.js",
        "store.js",
        "series.js",
        "coverage.js",
        "feeds.js",
        "sight.js",
        "chart.js",
        "cards.js",
    )
    sources = "\n".join((component.ASSETS / name).read_text() for name in names)
    page.add_script_tag(content=f"{sources}\nObject.assign(window, {{Store, columnsOf, Sight}});")
    yield page
    page.close()


@pytest.mark.parametrize(
    ("splits", "per", "digits"),
    [
        ([64_110, 64_112.5, 64_115], 1, 1),
        ([64_110, 64_115], 1, 0),
        ([0, 0.25], 1, 2),
        ([0, 0.2, 0.4], 1, 1),
        ([-0.025, 0], 100, 1),
        ([0, 0.2], 100, 0),
        ([5], 1, 0),
    ],
)
def test_an_axis_writes_the_decimals_that_its_step_needs(
    scripts: Page, splits: list[float], per: int, digits: int
) -> None:
    """64,113 beside a line at 64,112.50 is a wrong price."""
    assert scripts.evaluate("([splits, per]) => stepDigits(splits, per)", [splits, per]) == digits


def test_the_line_of_the_window_before_stays_until_another_window_runs(scripts: Page) -> None:
    """It leaves the frames after a minute; a line that goes with it moves all that stands below."""
    seen = scripts.evaluate(
        """() => {
          const card = { over: null };
          const told = (over, contract) => Card.prototype.lastOver.call(card, over, contract)?.end_s ?? null;
          return [
            told(null, { start_s: 300 }),
            told({ end_s: 300 }, { start_s: 300 }),
            told(null, { start_s: 300 }),
            told(null, null),
            told(null, { start_s: 600 }),
          ];
        }"""
    )
    assert seen == [None, 300, 300, 300, None]


@pytest.mark.parametrize("passed", [True, False])
def test_numbers_made_of_a_stale_price_are_known_by_its_gate(scripts: Page, passed: bool) -> None:
    """The settlement feed may be fresh while the price that P(UP) is made of is silent."""
    gates = [{"name": "book", "passed": False}, {"name": "stale price", "passed": passed}]
    assert scripts.evaluate("(gates) => madeOfOldPrices({ decision: { gates } })", gates) is not passed
    assert scripts.evaluate("() => madeOfOldPrices({ decision: null })") is False


def frame(history: History, since: int) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(message.frame(history.since(since), HEALTH, SETTINGS, "/kill"))
    return made


def merged(page: Page, frames: list[dict[str, Any]]) -> dict[str, Any]:
    """Feed frames to a new store; return what it knows, and whether it missed something."""
    known: dict[str, Any] = page.evaluate(
        """(frames) => {
          const store = new Store();
          let gaps = 0;
          for (const one of frames) { store.merge(one, 0); gaps += store.gap ? 1 : 0; }
          const { head, slow, ticks } = store;
          return { gaps, head, slow, ticks, marks: [...store.marks.values()] };
        }""",
        frames,
    )
    return known


courses = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 30)),
        st.lists(st.sampled_from("abcd"), max_size=2).map(tuple),
        st.sampled_from(["quiet", "sent", "sent", "twice", "old"]),
    ),
    min_size=1,
    max_size=25,
)


@given(courses)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_overlapping_repeated_and_old_frames_merge_to_the_whole(
    scripts: Page, course: list[tuple[int | None, tuple[str, ...], str]]
) -> None:
    """Frames overlap by design, and a theme change shows one again: nothing doubles, nothing ages."""
    history, frames, sent = History(), list[dict[str, Any]](), [0]
    for version, (second, names, action) in enumerate(course, start=1):
        history.add(snapshot(version, second=second, marks=names))
        if action == "quiet":
            continue
        frames.append(frame(history, sent[-3] if len(sent) > 3 else 0))
        sent.append(version)
        if action == "twice":
            frames.append(frames[-1])
        if action == "old" and len(frames) > 2 and frames[-2]["since"]:
            frames.append(frames[-2])
    frames.append(frame(history, sent[-1]))
    known, whole = merged(scripts, frames), merged(scripts, [frame(history, 0)])
    assert known["gaps"] == 0
    assert (known["head"], known["slow"], known["ticks"]) == (whole["head"], whole["slow"], whole["ticks"])
    assert sorted(map(str, known["marks"])) == sorted(map(str, whole["marks"]))


def test_what_is_off_the_screen_is_drawn_seldom_and_at_once_when_it_comes(scripts: Page) -> None:
    """A page of which a third can be seen should not cost three times as much, nor show what is old."""
    told = scripts.evaluate(
        """async () => {
          const [near, far] = ["10px", "5000px"].map((top) => {
            const node = document.createElement("div");
            node.style.cssText = `position: absolute; top: ${top}; height: 20px; width: 20px`;
            document.body.append(node);
            return node;
          });
          let came = null;
          const appeared = new Promise((done) => (came = done));
          const sight = new Sight([near, far], () => came());
          while (sight.seen.has(far)) await new Promise(requestAnimationFrame);
          const due = (node, times) => times.filter((at) => sight.due(node, at)).length;
          const frames = Array.from({ length: 20 }, (_, index) => index * 100);
          const said = { near: due(near, frames), far: due(far, frames) };
          window.scrollTo(0, 5000);
          await appeared;
          said.appeared = due(far, [1901, 1902]);
          sight.close();
          near.remove();
          far.remove();
          return said;
        }"""
    )
    assert told == {"near": 20, "far": 4, "appeared": 2}


def test_a_lost_frame_is_noticed_and_nothing_is_made_up(scripts: Page) -> None:
    """A difference to something the tab never had must not be merged: the tab asks for the whole instead."""
    history = History()
    history.add(snapshot(1, second=1))
    first = frame(history, 0)
    history.add(snapshot(2, second=2))
    history.add(snapshot(3, second=3))
    known = merged(scripts, [first, frame(history, 2)])
    assert known["gaps"] == 1
    assert known["head"]["version"] == 1
    assert [row[0] for row in known["ticks"]] == [1]
    assert merged(scripts, [first, frame(history, 2), frame(history, 0)])["head"]["version"] == 3


def test_the_hammer_window_is_the_one_in_force(scripts: Page) -> None:
    """A parameter changes while the page is open; what it began with is shown before the first picture."""
    told = scripts.evaluate(
        """() => {
          const store = new Store();
          const none = store.hammer;
          store.fixed = { hammer_s: 15 };
          const first = store.hammer;
          store.slow.account = { params: { hammer_s: 60 } };
          return [none, first, store.hammer];
        }"""
    )
    assert told == [0, 15, 60]


def test_each_frame_says_where_the_guard_listens() -> None:
    """It may be up later than the page: a port told once would never be learnt."""
    history = History()
    history.add(snapshot(1))
    history.add(snapshot(2))
    for since in (0, 1):
        assert "guard_port" in frame(history, since)["engine"]


def test_another_session_is_never_mixed_with_the_last(scripts: Page) -> None:
    """After a restart the old engine's seconds and orders are gone, even where versions would fit."""
    old, new = History(), History()
    for version in range(1, 6):
        old.add(snapshot(version, "old", second=version, marks=("old",)))
    new.add(snapshot(1, "new", second=100))
    known = merged(scripts, [frame(old, 0), frame(new, 0)])
    assert [row[0] for row in known["ticks"]] == [100]
    assert known["marks"] == []
    new.add(snapshot(9, "new", second=101))
    assert merged(scripts, [frame(old, 0), frame(new, 1)])["gaps"] == 1


def test_missing_seconds_break_the_line_and_are_told_as_a_gap(scripts: Page) -> None:
    """A line through seconds that never came would be an invention; at a scaled clock, steps are no gaps."""
    ticks = [[second, 5.0, 5.0, 5.0, 0.0, {}] for second in (0, 1, 2, 8, 9, 10)]
    drawn = scripts.evaluate("(ticks) => columnsOf(ticks, 'x', [0, 20], 1)", ticks)
    assert drawn["gaps"] == [[2, 8]]
    assert drawn["columns"]["t"] == [0, 1, 2, 2.5, 8, 9, 10]
    assert drawn["columns"]["twap"] == [5, 5, 5, None, 5, 5, 5]
    fast = [[second, 5.0, 5.0, 5.0, 0.0, {}] for second in range(0, 60, 6)]
    assert scripts.evaluate("(ticks) => columnsOf(ticks, 'x', [0, 60], 30)", fast)["gaps"] == []


@given(st.text("plfmw", max_size=40), st.integers(1, 40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_strip_has_every_second_of_the_window_once(scripts: Page, letters: str, total: int) -> None:
    """Its counts are read out as text: a second lost or counted twice would be a wrong statement."""
    runs = scripts.evaluate("([letters, total]) => secondRuns(letters, total)", [letters, total])
    drawn = "".join(letter * (past - first) for letter, first, past in runs)
    assert drawn == letters[:total].ljust(total)
    assert [first for _, first, _ in runs] == [0, *(past for _, _, past in runs[:-1])]
    counts = scripts.evaluate("(runs) => secondCounts(runs)", runs)
    assert counts == {letter: drawn.count(letter) for letter in " plfmw"}


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("number(null)", "—"),
        ("number(NaN)", "—"),
        ("number(-1234.5)", "−1,234.50"),
        ("number(-0.001)", "0.00"),
        ("signedDollars(-3.2)", "−$3.20"),
        ("signedDollars(0.004)", "$0.00"),
        ("dollars(-3)", "−$3.00"),
        ("dollars(-0.001)", "$0.00"),
        ("signed(-0.3, 0)", "0"),
        ("cents(0.0123, 2)", "+1.23¢"),
        ("probability(0.99999)", "> 99.9 %"),
        ("probability(1)", "100.0 %"),
        ("probability(0.00001)", "< 0.1 %"),
        ("sharePrice(0.975)", "0.975"),
        ("sharePrice(0.97)", "0.97"),
        ("sharePrice(0.5600001)", "0.56"),
        ("countdown(125.9)", "02:05"),
        ("countdown(9.87)", "00:09.8"),
        ("countdown(-4)", "00:00.0"),
        ("age(0.04)", "0.0 s"),
        ("age(240)", "4 min"),
        ("milliseconds(12.4)", "12 ms"),
        ("clock(1787236200000)", "14:30:00"),
        ("clockState(undefined).join()", "ring,clock —,quiet"),
        ("clockState({skew_ms: 12, ok: true}).join()", "disc,clock +12 ms,ok"),
        ("clockState({skew_ms: 12, ok: null}).join()", "ring,clock unchecked +12 ms,quiet"),
        ("clockState({skew_ms: -1001, ok: true}).join()", "warning,clock OFF −1,001 ms,warn"),
        ("clockState({skew_ms: null, ok: false}).join()", "cross,clock WRONG —,alarm"),
        ("lagText({lag_p50_s: null, lag_p95_s: null})", ""),
    ],
)
def test_numbers_are_written_as_an_operator_reads_them(scripts: Page, call: str, text: str) -> None:
    """Unknown is a dash and never 0; nearly sure is not sure; minus is a minus sign."""
    assert scripts.evaluate(call) == text
