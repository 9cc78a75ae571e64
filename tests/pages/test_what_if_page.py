"""The what-if page as Streamlit runs it: every state, an answer, a proposal that is only a proposal."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine import desk
from engine.run import table_text, worker
from engine.run.funnel_report import why_no_trade
from engine.run.market_rows import Faults
from engine.run.what_if import job as what_if_job
from engine.run.what_if.answer import compare, variant_of, with_values
from engine.run.what_if.change import SAME_WINDOWS
from engine.run.what_if.sources import windows_of
from pages.widgets import params, plain, tables
from tests.books import keep_journal, traded
from tests.pages.test_frame import FRAME

Open = Callable[[str], desk.Desk]
SAMPLE = Path(__file__).resolve().parents[2] / "data" / "replay_sessions" / "practice-sample.csv"


@pytest.fixture(autouse=True)
def no_earlier_jobs() -> Iterator[None]:
    """Jobs outlive pages, as they should; not tests."""
    worker.forget()
    yield
    worker.forget()


def opened(name: str = "what_if.py") -> AppTest:
    page = AppTest.from_file(str(FRAME), default_timeout=60)
    page.run().switch_page(name).run()
    assert not page.exception, page.exception
    return page


def said(page: AppTest) -> str:
    elements = [*page.markdown, *page.error, *page.info, *page.warning, *page.success, *page.caption]
    return "\n".join(element.value for element in elements)


def report_of(counter: desk.Desk) -> dict[str, Any]:
    found = windows_of(counter.settings, [str(SAMPLE)], Faults())
    base = variant_of(counter.settings)
    made = compare(
        found.windows, base, with_values(counter.settings, base, {"HAMMER_SECS": 5.0}), found.sessions
    )
    return made | {"problems": ["a fault of *some* file"]}


def keep_one(counter: desk.Desk) -> None:
    folder = counter.settings.data_dir / "sessions"
    folder.mkdir(parents=True, exist_ok=True)
    keep_journal(folder / "20260101T000000Z-abc.sqlite", [record.event for record in traded().records])


def done(name: str, result: Any) -> None:
    assert worker.begin(name, lambda _: result).wait(10)


@pytest.mark.parametrize("script", ["empty", "live", "silent", "dead", "long"])
def test_the_page_stands_in_every_state(open_script: Open, script: str) -> None:
    """It asks about recordings, so it works while the engine does not."""
    open_script(script)
    page = opened()
    assert "nothing here changes how the engine trades" in said(page)
    assert "practice-sample.csv (sample)" in page.multiselect[0].options


def test_an_answer_shows_both_and_every_window_that_came_out_otherwise(open_script: Open) -> None:
    """Side by side, with a link to the very second; a fault of a file is text, not markup."""
    counter = open_script("live")
    report = report_of(counter)
    done(what_if_job.WHAT_IF, report)
    page = opened()
    words = said(page).replace("\\", "")
    assert "1 of 1 trade skipped" in words
    assert "over 1 window that differs (too few to say, 20 are asked for)" in words
    assert SAME_WINDOWS in words
    assert "HAMMER_SECS 15 → 5" in words
    assert "a fault of *some* file" in words
    tables = [table.value for table in page.dataframe]
    shown = [list(table.columns) for table in tables]
    assert any("fill_rate" in columns for columns in shown)
    rows = next(table for table in tables if "would_be" in table.columns)
    assert rows["why"].tolist() == ["hammer time"]
    (link,) = rows["link"].tolist()
    assert link.startswith("/replay?session=practice-sample.csv&t=")
    told = dict(parse_qsl(urlsplit(link).query))
    assert table_text.moment_of(told["t"]) == report["differences"][0]["t_ms"]


@pytest.mark.parametrize("at_ms", [1_787_236_789_123, 1_787_236_789_000, 1_787_236_789_007])
def test_a_link_into_the_replay_is_read_back_to_the_millisecond(
    at_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the console is served under a prefix, and whatever a file is called."""
    monkeypatch.setattr(tables, "base_path", lambda: "/ops")
    address = urlsplit(tables.replay_link("a b&c.csv", at_ms))
    told = dict(parse_qsl(address.query))
    assert (address.path, told["session"]) == ("/ops/replay", "a b&c.csv")
    assert table_text.moment_of(told["t"]) == at_ms
    assert tables.replay_link("x", None) == "/ops/replay?session=x"


def test_nothing_changed_is_said_and_no_work_is_begun(open_script: Open) -> None:
    """A comparison with itself would look like an answer."""
    open_script("live")
    page = opened()
    next(button for button in page.button if button.label == "Decide again").click().run()
    assert "Nothing is changed" in said(page)
    assert worker.last(what_if_job.WHAT_IF) is None


def test_the_form_asks_for_what_was_typed(open_script: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes out is the changed number alone, with what is in force to compare with."""
    open_script("live")
    asked: list[Any] = []
    monkeypatch.setattr(what_if_job, "begin", lambda _, wish: asked.append(wish))
    page = opened()
    next(one for one in page.number_input if one.label.startswith("Hammer")).set_value(25.0)
    next(button for button in page.button if button.label == "Decide again").click().run()
    assert not page.exception
    (wish,) = asked
    assert wish.values == {"HAMMER_SECS": 25.0}
    assert wish.current["HAMMER_SECS"] == 15.0


def test_a_proposal_fills_the_form_in_and_changes_nothing(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From here it is a parameter change like any other, with its reason and its line in the trail."""
    counter = open_script("live")
    told = {"said": "9 of 14 trades skipped; profit -1.00 USD", "windows": 288}
    done("told", told)
    monkeypatch.setattr(what_if_job, "effect", lambda *_: worker.last("told"))
    done(what_if_job.WHAT_IF, report_of(counter))
    page = opened()
    next(button for button in page.button if button.label == "Propose as new parameters").click().run()
    assert not page.exception, page.exception
    version, wish = page.session_state[params.WISH]
    assert (version, wish) == (1, {"HAMMER_SECS": 5.0})
    page = page.switch_page("mode.py").run()
    page.run()
    words = said(page).replace("\\", "")
    at = plain.utc(worker.last("told").began_ms)  # type: ignore[union-attr]
    assert f"Over the last day's sessions, as of {at}: 9 of 14 trades skipped" in words
    assert SAME_WINDOWS in words
    assert params.in_force(counter)[1]["HAMMER_SECS"] == 15.0


def test_a_failure_and_a_running_job_are_told(open_script: Open) -> None:
    """Somebody waits in front of the page."""
    import threading

    open_script("live")

    def fails(_: worker.Job) -> None:
        raise ValueError("no *such* session")

    assert worker.begin(what_if_job.WHY, fails).wait(10)
    gate = threading.Event()
    job = worker.begin(what_if_job.WHAT_IF, lambda one: (one.say("deciding, 3 of 9"), gate.wait(30)))
    try:
        while not job.steps:
            job.wait(0.01)
        page = opened()
        words = said(page).replace("\\", "")
        assert "deciding, 3 of 9" in words
        assert any(button.label == "Cancel" for button in page.button)
    finally:
        gate.set()
        job.wait(10)


def test_a_search_for_why_says_how_far_it_is(open_script: Open) -> None:
    """A day of sessions takes a minute: who sees nothing move starts it again."""
    import threading

    keep_one(open_script("live"))
    gate = threading.Event()
    job = worker.begin(
        what_if_job.WHY, lambda one: (one.say("playing events, 5,000 of 9,000"), gate.wait(30))
    )
    try:
        while not job.steps:
            job.wait(0.01)
        assert "playing events, 5,000 of 9,000" in said(opened()).replace("\\", "")
    finally:
        gate.set()
        job.wait(10)


def test_what_was_decided_by_the_seeds_formula_cannot_be_proposed(
    open_script: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameters that are good with another model say nothing of the engine's."""
    counter = open_script("live")
    asked: list[Any] = []
    monkeypatch.setattr(what_if_job, "begin", lambda _, wish: asked.append(wish))
    page = opened()
    next(one for one in page.selectbox if one.label == "Model").set_value(1.0)
    next(one for one in page.number_input if one.label.startswith("Hammer")).set_value(25.0)
    next(button for button in page.button if button.label == "Decide again").click().run()
    assert asked[0].values == {"HAMMER_SECS": 25.0, "SEED_MODEL": 1.0}
    found = windows_of(counter.settings, [str(SAMPLE)], Faults())
    base = variant_of(counter.settings)
    told = compare(found.windows, base, with_values(counter.settings, base, asked[0].values), found.sessions)
    done(what_if_job.WHAT_IF, told | {"problems": []})
    page.run()
    assert not page.exception, page.exception
    assert "SEED_MODEL 0 → 1" in said(page).replace("\\", "")
    assert "nothing of it can be proposed" in said(page)
    assert not any(button.label == "Propose as new parameters" for button in page.button)


def test_why_no_trade_shows_the_way_the_miss_and_the_gates(open_script: Open) -> None:
    """Three tables: how far, what was missing, what it was worth."""
    keep_one(open_script("live"))
    done(what_if_job.WHY, why_no_trade([SAMPLE]))
    page = opened()
    tables = [table.value for table in page.dataframe]
    stages = next(table for table in tables if "stage" in table.columns)
    assert stages["stage"].tolist()[0] == "windows seen"
    ways = next(table for table in tables if "miss" in table.columns)
    assert ways["link"].notna().all()
    gates = next(table for table in tables if "per_share" in table.columns)
    assert [words.split(":")[0] for words in gates["said"]] == ["too few to say", "too few to say"]
    assert gates["low"].isna().all()


@pytest.mark.parametrize(
    ("name", "busy", "free"),
    [(what_if_job.WHAT_IF, "Deciding…", "Decide again"), (what_if_job.WHY, "Looking…", "Say why")],
)
def test_the_button_is_free_again_once_the_work_has_ended(
    open_script: Open, monkeypatch: pytest.MonkeyPatch, name: str, busy: str, free: str
) -> None:
    """The form lies outside of the part that looks every second: once, the whole page is drawn again."""
    counter = open_script("live")
    keep_one(counter)
    job = SimpleNamespace(runs=True, steps=[], began_ms=0, error="", result=None)
    drawn: list[bool] = []
    monkeypatch.setattr(worker, "last", lambda asked: job if asked == name else None)
    monkeypatch.setattr(st, "rerun", lambda *_a, **_k: drawn.append(True))
    page = opened()
    assert busy in [button.label for button in page.button]
    assert drawn == []
    job.runs, job.error = False, "it failed"
    page.run()
    assert free in [button.label for button in page.button]
    assert drawn == [True]
    page.run()
    assert drawn == [True]
