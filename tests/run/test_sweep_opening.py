"""What a page opens of a sweep: any configuration's trades, and where a window is replayed."""

import json
from pathlib import Path

import pytest

from engine.config import load_settings
from engine.run.markets_table import write_markets
from engine.run.sweep import job as sweep_job
from engine.run.sweep import opening, trades
from engine.run.sweep.command import main
from engine.run.sweep.grid import SweepError
from engine.run.sweep.inputs import Source, session_named
from engine.run.wide_csv import markets_beside, write_rows
from tests.run.test_sweep_parity import random_rows

GRID = '{"hammer_secs": [20, 60], "sigma_multiplier": [1, 1.5], "watch_return_threshold": 0.00001}'


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """The report of a sweep of two models over two random windows."""
    folder = tmp_path_factory.mktemp("swept")
    rows, table = random_rows(3)
    write_rows(folder / "rows.csv", rows)
    write_markets(markets_beside(folder / "rows.csv"), table.values())
    files = [
        "--replay-csv",
        str(folder / "rows.csv"),
        "--markets-json",
        str(markets_beside(folder / "rows.csv")),
    ]
    assert (
        main([*files, "--grid-json", GRID, "--output-prefix", str(folder / "sweep"), "--workers", "1"]) == 0
    )
    return folder / "sweep.json"


@pytest.fixture
def report_of(swept, tmp_path):
    """Return a writer of the report, changed, to a folder of this test; and the data it was made from."""

    def made(**changes) -> tuple[Path, list[Source]]:
        path = tmp_path / "sweep.json"
        path.write_text(json.dumps(json.loads(swept.read_text()) | changes))
        rows = swept.with_name("rows.csv")
        return path, [Source(rows, markets_beside(rows))]

    return made


def test_the_trades_of_any_run_are_those_its_figures_speak_of(report_of):
    """A list that does not add up to its row's P&L is another rule's."""
    path, sources = report_of()
    runs = {one["run"]: one["figures"]["arrival"]["all"] for one in json.loads(path.read_text())["runs"]}
    assert len(runs) == 4
    trades.work_out(path, 1, sources)
    there = sorted(path.with_name("sweep.trades").glob("run-*.json"))
    assert [file.name for file in there] == ["run-1.json", "run-3.json"], "and the others of its model"
    for file in there:
        told = json.loads(file.read_text())
        assert told["problem"] == ""
        assert told["count"] == len(told["trades"]) == runs[told["run"]]["trades"] > 0
        profit = sum(one["profit"] for one in told["trades"])
        assert profit == pytest.approx(runs[told["run"]]["total_pnl"], abs=1e-5)
        assert {one["slug"] for one in told["trades"]} <= set(json.loads(path.read_text())["sessions"])


def test_trades_of_other_data_than_was_swept_say_so(report_of):
    """A session that grew, or code that changed, gives trades that the row's figures do not know."""
    path, sources = report_of()
    report = json.loads(path.read_text())
    report["runs"][2]["figures"]["arrival"]["all"]["trades"] = 77
    path.write_text(json.dumps(report))
    trades.work_out(path, 2, sources)
    told = json.loads(trades.file_of(path, 2).read_text())
    assert told["problem"].startswith("data or code changed since the sweep: trades 77 then")


def test_a_run_that_is_not_there_or_another_versions_report_is_said(report_of, capsys):
    """In a line, before any data is read."""
    path, _ = report_of()
    with pytest.raises(SweepError, match="no configuration 99"):
        trades.work_out(path, 99, [])
    report = json.loads(path.read_text())
    del report["plan"]["base"]["memory"]
    path.write_text(json.dumps(report))
    with pytest.raises(SweepError, match="another version"):
        trades.work_out(path, 1, [])
    assert trades.main(["--report", str(path / "x"), "--run", "1", "--sessions", str(path)]) == 1
    assert "no report of a sweep" in capsys.readouterr().err


def test_a_window_leads_to_its_session_or_a_sentence_says_why_not(tmp_path):
    """An empty cell looks like a fault; a link to a journal that is gone is one."""
    settings = load_settings(tmp_path / "no.env", data_dir=tmp_path)
    folder = tmp_path / "sessions"
    folder.mkdir()
    (folder / "s1.sqlite").touch()
    assert session_named(folder / "s1.windows") == session_named(folder / "s1.sqlite") == "s1"
    whole = opening.ways(settings, {"a": "s1"}, [str(folder / "s1.windows")])
    assert whole == opening.Ways({"a": "s1"}, "")
    part = opening.ways(settings, {"a": "s1", "b": "s2", "c": "s2"}, ["x"])
    assert part.sessions == {"a": "s1"}
    assert part.why_not == "No replay of 2 of 3 windows: the journal of s2 is not in the data folder."
    sample = opening.ways(settings, {"a": "", "b": ""}, [str(sweep_job.SAMPLE[0])])
    assert sample == opening.Ways({}, "No replay of 2 of 2 windows: the bundled windows are no session.")
    elsewhere = opening.ways(settings, {"a": ""}, ["/far/rows.csv"])
    assert "outside of the folders of sessions" in elsewhere.why_not
