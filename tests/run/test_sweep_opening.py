"""What a page opens of a sweep: any configuration's trades, and where a window is replayed."""

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.config import load_settings
from engine.run.sweep import job as sweep_job
from engine.run.sweep import opening, trades
from engine.run.sweep import report as sweep_report
from engine.run.sweep.grid import SweepError
from engine.run.sweep.inputs import Source, session_named
from engine.run.wide_csv import markets_beside
from tests.run.sweeps import swept_in


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """The report of a sweep of two models over two random windows."""
    return swept_in(tmp_path_factory.mktemp("swept"))


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


@pytest.fixture
def sleepers(tmp_path, monkeypatch):
    """Let a real process that only sleeps stand for the one that works trades out; end all of them."""
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(sleeper))
    monkeypatch.setattr(opening, "_children", {})
    begun = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *words, **more: begun.append(popen(*words, **more)) or begun[-1]
    )
    yield begun
    for child in begun:
        child.kill()
        child.wait()


def test_two_tabs_start_one_process(tmp_path, sleepers):
    """Both looked before either had started; then both wrote the same files."""
    settings = load_settings(tmp_path / "no.env", data_dir=tmp_path)
    (tmp_path / "sweeps" / "s").mkdir(parents=True)
    report, together = {"plan": {"sources": []}}, threading.Barrier(8)

    def tab(run: int) -> str:
        together.wait(10)
        return opening.start(settings, "s", report, run)

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(tab, [1, 2] * 4))
    assert len(sleepers) == 1
    run = opening.working("s")
    assert sorted(said) == ["", *[f"the trades of run {run} are being worked out: wait for them"] * 7]


def test_no_process_is_left_behind_when_the_console_ends(tmp_path):
    """It has a session of its own, so nothing else would end it."""
    (tmp_path / "sweeps" / "s").mkdir(parents=True)
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    console = (
        "import sys; from pathlib import Path; from engine.config import load_settings; "
        "from engine.run.sweep import opening; folder = Path(sys.argv[1]); "
        "settings = load_settings(folder / 'no.env', data_dir=folder); "
        "sys.executable = str(folder / 'python'); "
        "assert opening.start(settings, 's', {'plan': {'sources': []}}, 1) == ''; "
        "print(*[child.pid for child in opening._children.values()])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", console, tmp_path], capture_output=True, text=True, timeout=60, check=True
    )
    pid = int(ran.stdout)
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return
    if stat != "Z":
        os.kill(pid, signal.SIGKILL)
    assert stat == "Z", "it goes on"


def test_two_processes_that_write_one_file_do_not_take_each_others_half(tmp_path, monkeypatch):
    """The name beside it was the same: who came second moved the other's away, or wrote into it."""
    path, replace = tmp_path / "run-1.json", os.replace

    def late(old, new):
        monkeypatch.setattr(os, "replace", replace)
        pid = os.fork()
        if pid == 0:
            sweep_report.write(path, b"theirs")
            os._exit(0)
        os.waitpid(pid, 0)
        assert path.read_bytes() == b"theirs"
        replace(old, new)

    monkeypatch.setattr(os, "replace", late)
    sweep_report.write(path, b"ours")
    assert path.read_bytes() == b"ours"
    assert [file.name for file in tmp_path.iterdir()] == ["run-1.json"]


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
    assert part.why_not == "2 of 3 windows cannot be replayed: the journal of s2 is not in the data folder."
    sample = opening.ways(settings, {"a": "", "b": ""}, [str(sweep_job.SAMPLE[0])])
    why = "the bundled practice windows were not recorded as a session"
    assert sample == opening.Ways({}, f"None of the windows can be replayed: {why}.")
    elsewhere = opening.ways(settings, {"a": ""}, ["/far/rows.csv"])
    assert "outside of the folders of sessions" in elsewhere.why_not
