"""The truth page as Streamlit runs it, from scripted snapshots."""

from collections.abc import Callable
from typing import Any

import msgspec
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from engine import desk
from engine.snapshot import SettlementView, Snapshot
from pages.widgets import plain
from pages.widgets.truth import truth_row
from tests.browser.fake_truth import past_windows
from tests.pages.test_frame import FRAME, run, sent

Open = Callable[[str], desk.Desk]
END_S = 1_787_236_200


def shown() -> AppTest:
    page = AppTest.from_file(str(FRAME), default_timeout=30).run().switch_page("truth.py").run()
    assert not page.exception, page.exception
    return page


def words(page: AppTest) -> str:
    """Everything the page says in text."""
    elements = [*page.markdown, *page.error, *page.info, *page.warning, *page.caption, *page.get("text")]
    return "\n".join(element.value for element in elements)


def told(counter: desk.Desk, rows: list[SettlementView]) -> Snapshot:
    """Publish the newest picture again with other finished windows."""
    counter.host.stop(5.0)
    latest = counter.latest
    assert latest is not None
    snapshot = msgspec.structs.replace(latest, settlements=rows, version=latest.version + 1)
    counter.publish(snapshot)
    return snapshot


def table(page: AppTest, index: int) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = page.dataframe[index].value.to_dict("records")
    return records


@pytest.mark.parametrize("script", ["empty", "opening", "live", "settled", "long", "rule", "dead"])
def test_the_page_renders_in_every_state_of_the_engine(open_script: Open, script: str) -> None:
    """No state may leave the operator without the question's answer, or without what it waits for."""
    open_script(script)
    page = shown()
    assert "Waiting for" in words(page) if script in ("empty", "opening") else "p(Up)" not in words(page)
    assert sent(page, "kill")["engine"]["alive"] is (script != "dead")
    if script == "dead":
        assert "its last word" in page.warning[0].value


def test_a_drift_is_an_alarm_on_top_with_what_to_do(open_script: Open) -> None:
    """A price that was called exact and was not: trading rests on such prices."""
    open_script("long")
    page = shown()
    assert page.error[0].value.startswith("**Settlement drift**: 5m window that ended 14:15.")
    assert "Leave trading stopped" in page.error[0].value
    assert "1 DRIFTED" in words(page)


def test_without_a_drift_nothing_alarms_and_the_headline_counts_each_verdict(open_script: Open) -> None:
    """The answer is one sentence; kinds that did not occur are not in it."""
    rows = [row for row in past_windows(END_S) if row.verdict in ("agrees", "within error")]
    told(open_script("live"), rows)
    page = shown()
    assert not page.error
    agree = sum(row.verdict == "agrees" for row in rows)
    assert f"**Of the last {len(rows)} windows:** {agree} agree to the cent, 1 within the error" in words(
        page
    )
    assert "waiting for the venue's word" not in words(page)


def test_the_table_is_newest_first_and_stops_at_fifty(open_script: Open) -> None:
    """What just settled is what one looks for, whatever order the engine keeps."""
    first = past_windows(END_S)[1]
    rows = [msgspec.structs.replace(first, slug=str(n), end_s=END_S + 300 * n) for n in range(60)]
    told(open_script("live"), rows[30:] + rows[:30])
    shown_rows = table(shown(), 0)
    assert len(shown_rows) == 50
    newest = [f"{plain.instant(END_S + 300 * n):%d %b %H:%M}" for n in range(59, 9, -1)]
    assert [row["ended"] for row in shown_rows] == newest


def test_unknown_is_empty_and_never_nought(open_script: Open) -> None:
    """A difference of 0 is the best news there is: it must not stand for a price we never had."""
    unknown = next(row for row in past_windows(END_S) if row.verdict == "unknown")
    waiting = next(row for row in past_windows(END_S) if row.verdict == "waiting")
    told(open_script("live"), [unknown, waiting])
    page = shown()
    rows = {row["verdict"]: row for row in table(page, 0)}
    empty = {
        "unknown": ("strike", "final", "strike_difference"),
        waiting.verdict_words: ("strike_served", "final_difference"),
    }
    for verdict, names in empty.items():
        assert all(pandas.isna(rows[verdict][name]) for name in names)
    assert pandas.isna(rows[waiting.verdict_words]["outcome_served"])
    assert page.dataframe[0].proto.placeholder == ""


@given(st.sampled_from(past_windows(END_S)))
def test_a_row_computes_nothing(row: SettlementView) -> None:
    """Every number of the table is the engine's own, to the last bit."""
    made = truth_row(row)
    for name in ("strike", "strike_served", "strike_difference", "final", "final_served", "final_difference"):
        assert made[name] == getattr(row, name)
    assert made["outcome_served"] == (row.outcome if row.outcome_source == "served" else None)
    known = (made["strike_by"] or "", made["final_by"] or "")
    assert [bool(text) for text in known] == [row.strike_source is not None, row.final_source is not None]
    assert ("±" in known[1]) is bool(row.final_error)


def test_both_formulas_stand_side_by_side_with_their_difference(open_script: Open) -> None:
    """The comparison is the point of the page; the curves come from the desk's own history."""
    counter = open_script("long")
    snapshot = told(counter, [])
    page = shown()
    contracts = plain.running(snapshot.contracts)
    place = next(n for n, one in enumerate(page.dataframe) if "p_up" in one.value.columns)
    rows = table(page, place)
    assert [row["window"] for row in rows] == [plain.window(one) for one in contracts]
    for row, one in zip(rows, contracts, strict=True):
        assert (row["p_up"], row["p_seed"]) == (plain.chance(one.p_up), plain.chance(one.p_seed))
        assert one.p_difference == one.p_up - one.p_seed
        assert (row["z"], row["z_seed"]) == (one.z, one.z_seed)
    assert len(page.get("plotly_chart")) == 1


def test_a_changed_rule_shows_both_texts_and_the_next_window_too(open_script: Open) -> None:
    """The window after is as new as this one, and the operator should read it before it starts."""
    counter = open_script("rule")
    contract = counter.latest.contracts[0]  # type: ignore[union-attr]  # it runs: a snapshot is there
    said = [element.value for element in shown().get("text")]
    assert said.count(contract.rule_words) == 2
    assert said.count(contract.rule_before) >= 2


def test_after_the_truth_page_the_live_page_starts_whole(open_script: Open) -> None:
    """Its panels went with the page: a difference to what they knew would be one to nothing."""
    open_script("live")
    page = run()
    assert sent(page.run(), "live")["since"] > 0
    page.switch_page("truth.py").run()
    page.switch_page("live.py").run()
    assert sent(page, "live")["since"] == 0


@given(st.floats(0, 1))
def test_rounding_never_turns_nearly_sure_into_sure(probability: float) -> None:
    """100 % is a promise."""
    text = plain.chance(probability)
    assert (text == "100.00%") is (probability == 1)
    assert (text == "0.00%") is (probability == 0)


def test_the_venues_words_are_not_taken_for_markup() -> None:
    """A dollar sign starts a formula in Streamlit's Markdown, an asterisk bold type."""
    assert plain.marked_down("a *b* $1 [x](y) _z_") == r"a \*b\* \$1 \[x\]\(y\) \_z\_"
