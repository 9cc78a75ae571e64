"""The pages Sweep and Calibration as Streamlit runs them, without a browser; the work in real processes."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from engine.errors import EngineError
from engine.run.markets_table import write_markets
from engine.run.sweep import figures as sweep_figures
from engine.run.sweep import job as sweep_job
from engine.run.wide_csv import markets_beside, write_rows
from tests.pages.test_operation_pages import opened, said
from tests.run.test_sweep_parity import random_rows

GRID = '{"hammer_secs": [20, 60], "d_min": [0.5, 5], "watch_return_threshold": 0.00001}'


@pytest.fixture
def counter(open_script, monkeypatch) -> Iterator[Any]:
    """A desk whose bundled sample is two random windows: the real one takes half a minute to read."""
    made = open_script("live")
    folder = made.settings.data_dir / "sample"
    folder.mkdir(parents=True)
    rows, table = random_rows(3)
    write_rows(folder / "rows.csv", rows)
    write_markets(markets_beside(folder / "rows.csv"), table.values())
    sample = (folder / "rows.csv", markets_beside(folder / "rows.csv"))
    monkeypatch.setattr(sweep_job, "SAMPLE", sample)
    yield made
    for child in sweep_job._children.values():
        if child.poll() is None:
            child.terminate()
        child.wait(20)
    sweep_job._children.clear()


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


@pytest.mark.whole
def test_a_calibration_report_from_the_page_is_shown(counter):
    """The same, of the calibration page."""
    page = opened("calibration.py")
    page.button[[one.label for one in page.button].index("Make the report")].click().run()
    deadline = time.monotonic() + 120
    while sweep_job.calibration_runs():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    page.run()
    assert not page.exception, page.exception
    assert "too few to say" in said(page)
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
