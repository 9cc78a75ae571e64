"""The pages Sweep and Calibration as Streamlit runs them, without a browser; the work in real processes."""

import copy
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from engine.errors import EngineError
from engine.run.sweep import background, opening
from engine.run.sweep import figures as sweep_figures
from engine.run.sweep import job as sweep_job
from engine.run.sweep.kernel import ASSUMPTIONS
from tests.pages.test_operation_pages import opened, press, said
from tests.run.sweeps import swept_in, windows_in

GRID = '{"hammer_secs": [20, 60], "d_min": [0.5, 5], "watch_return_threshold": 0.00001}'


@pytest.fixture
def counter(open_script, monkeypatch) -> Iterator[Any]:
    """A desk whose bundled sample is two random windows: the real one takes half a minute to read."""
    made = open_script("live")
    monkeypatch.setattr(sweep_job, "SAMPLE", windows_in(made.settings.data_dir / "sample"))
    yield made
    for children in (background._children, opening._children):
        for child in children.values():
            if child.poll() is None:
                child.terminate()
            child.wait(20)
        children.clear()


def wait_for(counter: Any, name: str) -> sweep_job.Job:
    deadline = time.monotonic() + 120
    while True:
        job = next(one for one in sweep_job.jobs(counter.settings) if one.name == name)
        if job.state != "running":
            return job
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.whole
def test_a_sweep_from_the_page_runs_by_itself_and_is_shown(counter):
    """Started by the form, played in a process of its own, read back with its verdict, tables and charts."""
    page = opened("sweep.py")
    assert "No sweep has been made here yet" in said(page)
    page.text_area(key="sweep-grid").set_value(GRID)
    page.text_input(key="sweep-hypothesis").set_value("far *pays*")
    page.button[[one.label for one in page.button].index("Start the sweep")].click().run()
    assert not page.exception
    job = sweep_job.jobs(counter.settings)[0]
    with pytest.raises(EngineError, match="runs: wait for it"):
        sweep_job.start(counter.settings, sweep_job.Wish((), GRID))
    assert wait_for(counter, job.name).state == "done"
    page.run()
    assert not page.exception, page.exception
    told = said(page)
    assert "Verdict" in told
    assert "4 configurations tried over 2 windows" in told
    assert r"far \*pays\*" in told
    report = json.loads((counter.settings.data_dir / "sweeps" / job.name / "sweep.json").read_text())
    assert report["tried"] == 4
    assert sweep_figures.swept(report) == ["hammer_secs", "d_min"]
    assert len(page.get("plotly_chart")) == 2
    assert "the bundled practice windows were not recorded as a session" in told
    open_another_run(page, job.name, report)


def open_another_run(page: Any, name: str, report: dict[str, Any]) -> None:
    """Choose a row that is not the chosen configuration's, and have its trades worked out."""
    run = next(one for one in report["runs"] if one["run"] != report["chosen"]["run"])
    page.session_state[f"sweep-runs-{name}"] = {
        "selection": {"rows": [report["runs"].index(run)], "columns": [], "cells": []}
    }
    page.run()
    assert not page.exception, page.exception
    press(page, f"Work out the trades of run {run['run']}")
    is_told = "are being worked out" in said(page)
    assert is_told or opening.working(name) is None, "it may have been done before the page was drawn"
    deadline = time.monotonic() + 120
    while opening.working(name) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    page.run()
    assert not page.exception, page.exception
    count = run["figures"]["arrival"]["all"]["trades"]
    assert f"Trades of run {run['run']} in all windows: {count}" in [one.label for one in page.expander]
    assert len(frame(page, "replay")) == count > 0


@pytest.mark.whole
def test_a_calibration_report_from_the_page_is_shown(counter):
    """The same, of the calibration page."""
    page = opened("calibration.py")
    page.button[[one.label for one in page.button].index("Make the report")].click().run()
    deadline = time.monotonic() + 120
    while sweep_job.calibration_runs(counter.settings):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    page.run()
    assert not page.exception, page.exception
    assert "too few to say" in said(page)
    assert "the bundled practice windows were not recorded as a session" in said(page)
    assert len(page.get("plotly_chart")) >= 5
    assert sweep_job.calibration_html(counter.settings).startswith("<!doctype html>")


def test_a_grid_that_makes_no_sense_is_said_and_starts_nothing(counter):
    """The word names the fault; no folder is left behind."""
    page = opened("sweep.py")
    page.text_area(key="sweep-grid").set_value('{"hammer": [1]}')
    page.button[[one.label for one in page.button].index("Start the sweep")].click().run()
    assert "unknown in the grid" in said(page).replace("\\", "")
    assert sweep_job.jobs(counter.settings) == []


def test_a_sweep_whose_process_is_gone_has_failed(counter):
    """A progress file that says running proves nothing; nor does a number that another process has now."""
    folder = counter.settings.data_dir / "sweeps" / "20260901-000000"
    folder.mkdir(parents=True)
    told = {"state": "running", "text": "", "done": 3, "total": 9, "passed_s": 1.0, "left_s": 2.0, "pid": 1}
    (folder / "sweep.progress.json").write_text(json.dumps(told))
    (folder / "log").write_text("reading\nKilled\n")
    job = sweep_job.jobs(counter.settings)[0]
    assert (job.state, job.text, job.done) == ("failed", "Killed", 3)
    page = opened("sweep.py")
    assert "It left no report: Killed" in said(page)


@pytest.mark.parametrize(
    ("state", "log"),
    [("cancelled", "error: cancelled before anything was done\n"), ("running", "error: cancelled\n")],
)
def test_a_sweep_that_was_cancelled_is_no_error(counter, state, log):
    """Somebody wanted it so; red is for what went wrong."""
    folder = counter.settings.data_dir / "sweeps" / "20260901-000000"
    folder.mkdir(parents=True)
    told = {"state": state, "text": "", "done": 0, "total": 0, "passed_s": 1.0, "left_s": None, "pid": 1}
    (folder / "sweep.progress.json").write_text(json.dumps(told))
    (folder / "log").write_text(log)
    assert sweep_job.jobs(counter.settings)[0].state == "cancelled"
    page = opened("sweep.py")
    assert [one.value for one in page.info] == ["Cancelled, before there was anything to report."]
    assert not page.error


def test_lines_through_the_parameters_need_no_webgl_and_leave_none_out():
    """A browser without it showed an empty box with an error."""
    rows = [{"run": n, "a": n % 3, "b": 5, "total_pnl": float(n) if n else None} for n in range(8)]
    figure = sweep_figures.parallel_figure(rows, ["a", "b"], "total_pnl")
    assert {trace["type"] for trace in figure["data"]} == {"scatter"}
    drawn = {text for trace in figure["data"] for text in trace["text"]}
    assert drawn == {f"run {n}: {n}" for n in range(1, 8)}
    places = [y for trace in figure["data"] for y in trace["y"] if y is not None]
    assert (min(places), max(places), len(places)) == (0.0, 1.0, 21)
    assert sweep_figures.parallel_figure(rows[:1], ["a", "b"], "total_pnl")["data"] == []


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, Any]:
    """A real sweep's report over the two random windows."""
    report: dict[str, Any] = json.loads(swept_in(tmp_path_factory.mktemp("told"), GRID).read_text())
    return report


def ended(counter: Any, name: str, report: dict[str, Any]) -> None:
    """Leave a sweep's folder as it is once it has ended."""
    folder = counter.settings.data_dir / "sweeps" / name
    folder.mkdir(parents=True)
    progress = {"state": "done", "text": "", "done": 4, "total": 4, "passed_s": 1.0, "left_s": 0.0, "pid": 1}
    (folder / "sweep.progress.json").write_text(json.dumps(progress))
    (folder / "sweep.json").write_text(json.dumps(report))


def frame(page: Any, *columns: str) -> Any:
    """Return the last table of the page that has these columns."""
    return [one.value for one in page.dataframe if {*columns} <= {*one.value.columns}][-1]


def test_the_page_tells_the_honest_figures(counter, told):
    """Walk forward, the interval held out and what the robust ones came to are why a sweep may be believed:
    in a file alone nobody reads them."""
    report = copy.deepcopy(told)
    report["chosen"]["held_out_interval"] = {name: [-1.25, 0.5] for name in ASSUMPTIONS}
    report["robust"]["held_out"] = {
        "traded": 3, "mean_pnl": -2.5, "worst_pnl": -9.0, "best_pnl": 4.0, "above_zero": 1 / 3,
    }  # fmt: skip
    report["walk_forward"]["total_pnl"] = -7.25
    report["data"] |= {
        "rows_refused": 11, "windows_told_twice": 12, "windows_overlapping": 13, "faults": ["line 9: NaN"],
    }  # fmt: skip
    report["data"]["sources_left_out"] = ["s9.sqlite: not a journal"]
    report["plan"]["base"]["miss_probability"] = 0.125
    report["plan"]["later_hypotheses"] = [{"said_ms": 1_788_220_800_000, "hypothesis": "near pays"}]
    ended(counter, "20260901-000000", report)
    page = opened("sweep.py")
    words = said(page).replace("\\", "")
    assert "Walk forward" in words
    assert "-7.25 USD in all" in words
    assert "made -2.50 USD on average (-9.00 to +4.00), 33% of them more than nothing" in words
    assert "11 rows refused" in words
    assert "12 told twice" in words
    assert "13 windows overlap" in words
    assert "line 9: NaN" in words
    assert "s9.sqlite: not a journal" in words
    assert "Said later" in words
    assert "near pays" in words
    assert "Misses: 12.5% of the orders" in words
    assert frame(page, "low", "assumption")["low"].tolist() == [-1.25] * 3
    assert frame(page, "high", "assumption")["high"].tolist() == [0.5] * 3
    assert len(frame(page, "fold")) == len(report["walk_forward"]["stretches"]) == 3


def test_a_sweep_that_was_just_made_is_shown_and_an_older_one_can_be(counter, told):
    """The old result under a new sweep's eyes is taken for the new one's."""
    ended(counter, "20260901-000000", told)
    page = opened("sweep.py")
    assert page.selectbox(key="sweep-shown").value == "20260901-000000"
    assert "Misses: none assumed" in said(page)
    ended(counter, "20260901-000001", told)
    page.session_state["sweep-name"] = "20260901-000001"
    page.run()
    assert page.selectbox(key="sweep-shown").value == "20260901-000001"
    page.selectbox(key="sweep-shown").set_value("20260901-000000").run()
    assert not page.exception, page.exception
    assert page.selectbox(key="sweep-shown").value == "20260901-000000"


def test_a_trade_leads_into_the_replay_of_its_session(counter, told):
    """That second, of the session that holds it."""
    report = copy.deepcopy(told)
    report["sessions"] = dict.fromkeys(report["sessions"], "s1")
    sessions = counter.settings.data_dir / "sessions"
    sessions.mkdir(parents=True, exist_ok=True)
    (sessions / "s1.sqlite").touch()
    ended(counter, "20260901-000000", report)
    page = opened("sweep.py")
    assert "No replay" not in said(page)
    links = frame(page, "replay")["replay"].tolist()
    assert links
    assert all("replay?session=s1&t=" in link for link in links)


@pytest.mark.parametrize(
    ("values", "words"), [([20.0], "No chart"), ([20.0, 60.0], "a heat map asks for two")]
)
def test_one_parameter_is_a_line_and_none_is_said(counter, told, values, words):
    """A page without a chart, and without a word on it, looks broken."""
    report = copy.deepcopy(told)
    report["runs"] = [
        one for one in report["runs"]
        if one["parameters"]["d_min"] == 0.5 and one["parameters"]["hammer_secs"] in values
    ]  # fmt: skip
    ended(counter, "20260901-000000", report)
    page = opened("sweep.py")
    assert words in said(page)
    assert len(page.get("plotly_chart")) == len(values) - 1


def test_a_line_is_drawn_in_order_with_gaps_where_nothing_traded():
    """Trials of a search come in no order, and may come twice."""
    rows = [{"a": 3.0, "total_pnl": 1.0}, {"a": 1.0, "total_pnl": None}, {"a": 1.0, "total_pnl": 2.0}]
    trace = sweep_figures.line_figure(rows, "a", "total_pnl")["data"][0]
    assert (trace["x"], trace["y"]) == ([1.0, 1.0, 3.0], [None, 2.0, 1.0])


def test_a_grid_that_is_too_large_names_what_the_page_can(counter):
    """``--yes`` is for a terminal; here it is fewer values, or the search."""
    values = [one / 2 for one in range(1, 400)]
    wish = sweep_job.Wish((), json.dumps({"hammer_secs": values, "d_min": values}))
    name, problem = sweep_job.try_start(counter.settings, wish)
    assert name == ""
    assert "159,201 configurations" in problem
    assert "--" not in problem
    assert "search tpe" in problem
    assert sweep_job.jobs(counter.settings) == []


def test_two_miss_probabilities_are_refused_in_the_pages_own_words(counter):
    """The command's word names an option that the page does not have."""
    wish = sweep_job.Wish((), '{"miss_probability": [0, 0.1]}', miss_probability=0.2)
    assert sweep_job.try_start(counter.settings, wish) == (
        "",
        "the grid has miss_probability: leave the field at 0",
    )


def test_a_miss_probability_of_the_page_is_the_commands(counter, monkeypatch):
    """What the form promises has to reach the process."""
    begun: list[list[str]] = []
    monkeypatch.setattr(background, "start", lambda folder, prefix, command: begun.append(command))
    page = opened("sweep.py")
    page.number_input(key="sweep-misses").set_value(0.25)
    press(page, "Start the sweep")
    (command,) = begun
    assert command[command.index("--miss-probability") + 1] == "0.25"


def test_a_heat_map_is_the_mean_over_the_other_parameters():
    """A cell of two parameters hides the others: it shows their mean, and nothing where nothing traded."""
    rows = [
        {"a": a, "b": b, "c": c, "total_pnl": None if b == 2 else a * 10 + c}
        for a in (1, 2)
        for b in (1, 2)
        for c in (0, 4)
    ]
    figure = sweep_figures.heat_figure(rows, "a", "b", "total_pnl")
    assert figure["data"][0]["z"] == [[12, 22], [None, None]]


def test_a_heat_map_does_not_pass_over_those_that_did_not_trade():
    """One of ten made five dollars and nine did nothing: ten tries made half a dollar each, not five."""
    rows = [
        {"a": 1, "b": 1, "c": c, "total_pnl": None if c else 5.0, "win_rate": None if c else 0.8}
        for c in range(10)
    ]
    trace = sweep_figures.heat_figure(rows, "a", "b", "total_pnl")["data"][0]
    assert (trace["z"], trace["text"]) == ([[0.5]], [["mean of all 10, of which 1 traded"]])
    trace = sweep_figures.heat_figure(rows, "a", "b", "win_rate")["data"][0]
    assert (trace["z"], trace["text"]) == ([[0.8]], [["mean of the 1 of 10 that have it"]])
    assert "%{text}" in trace["hovertemplate"]


def test_the_page_says_what_spoils_a_hold_out(counter, told):
    """Looked at before, cut through, or chosen by: then it is no hold-out, and no figure shows that."""
    report = copy.deepcopy(told)
    report["looked_at_before"] = {"sweeps": 9, "configurations": 240}
    report["tried_in_all"] = 244
    report["data"]["windows_dropped"] = 3
    report["chosen"]["deflated_sharpe"] = {"probability": 0.5}
    report["chosen"]["held_out_wins"]["arrival"] = {"bets": 40, "won": 39, "expected": 38.25, "chance": 0.31}
    ended(counter, "20260901-000000", report)
    page = opened("sweep.py")
    words = said(page).replace("\\", "")
    assert "looked at by 9 earlier sweeps of 240 configurations" in words
    assert "best of 244 tries" in words
    assert "3 windows that began before the last one to choose on had ended" in words
    assert "39 of 40 bets won" in words
    assert "with a chance of 0.310" in words
    in_sample = "to choose a row by them is to choose in-sample"
    assert in_sample not in words, "the windows to choose on are for choosing"
    page.selectbox(key="sweep-part").set_value("held_out").run()
    assert in_sample in said(page)


def test_a_report_of_a_version_before_is_still_shown(counter, told):
    """It has no wins against prices, and knows no sweep before it."""
    report = copy.deepcopy(told)
    for name in ("looked_at_before", "tried_in_all"):
        del report[name]
    del report["data"]["windows_dropped"], report["chosen"]["held_out_wins"]
    ended(counter, "20260901-000000", report)
    page = opened("sweep.py")
    assert not page.exception, page.exception
    assert "Verdict" in said(page)
    assert "looked at by" not in said(page)
