"""What a page offers to sweep, and the processes that it starts: one at a time, and found again."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.config import Settings, load_settings
from engine.errors import EngineError
from engine.run.sweep import background, job
from engine.run.sweep.job import Wish, jobs, sessions, try_calibration, try_start

GRID = '{"hammer_secs": [20]}'

CONSOLE = """
import sys
from pathlib import Path
from engine.config import load_settings
from engine.run.sweep import job
folder = Path(sys.argv[1])
settings = load_settings(folder / "no.env", data_dir=folder)
sys.executable = str(folder / "python")
print(*job.try_start(settings, job.Wish((), sys.argv[2])))
print(job.try_calibration(settings, ()))
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of a folder where a real process that only sleeps stands for the one that sweeps."""
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nsleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(sleeper))
    monkeypatch.setattr(background, "_children", {})
    yield load_settings(tmp_path / "no.env", data_dir=tmp_path)
    for path in tmp_path.rglob(background.PID_FILE):
        os.killpg(int(path.read_text()), signal.SIGKILL)
    for child in background._children.values():
        child.wait()


@pytest.mark.parametrize("what", ["sweep", "report"])
def test_two_tabs_that_press_at_once_start_one(settings: Settings, what: str) -> None:
    """Each looked before the other had started; then two ran, and the second broke the first's files."""
    together = threading.Barrier(8)

    def tab(_: int) -> str:
        together.wait(10)
        return try_start(settings, Wish((), GRID))[1] if what == "sweep" else try_calibration(settings, ())

    with ThreadPoolExecutor(8) as pool:
        said = sorted(pool.map(tab, range(8)))
    assert said[0] == ""
    assert all("is being made already" in one or "runs: wait for it" in one for one in said[1:])
    assert len(list(settings.data_dir.rglob(background.PID_FILE))) == 1


def test_another_console_on_the_same_data_knows_what_runs(settings: Settings) -> None:
    """One that came before it, too: work goes on when its console ends, which that says as it ends."""
    command = [f"{sys.prefix}/bin/python", "-c", CONSOLE, str(settings.data_dir), GRID]
    other = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    name, problem = other.stdout.splitlines()
    assert problem == ""
    assert [(one.name, one.state) for one in jobs(settings)] == [(name.strip(), "running")]
    assert job.calibration_runs(settings)
    with pytest.raises(EngineError, match=f"{name.strip()} runs: wait for it"):
        job.start(settings, Wish((), GRID))
    assert "is being made already" in try_calibration(settings, ())
    assert other.stderr.count("goes on without the console") == 2


def test_what_ended_within_a_second_leaves_its_name_to_nobody(settings: Settings) -> None:
    """A sweep's name is the second at which it was started; the next one must not write into its folder."""
    names = set()
    for _ in range(2):
        name, problem = try_start(settings, Wish((), GRID))
        assert problem == ""
        names.add(name)
        child = background.child_of(settings.data_dir / job.FOLDER / name, job.PREFIX)
        assert child is not None
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        (settings.data_dir / job.FOLDER / name / background.PID_FILE).unlink()
    assert len(names) == 2


def test_each_session_is_offered_once_and_nothing_that_lies_beside_it(tmp_path: Path) -> None:
    """Raw frames and an index are no sessions; the windows of a journal that is there are the same one."""
    folder = tmp_path / "sessions"
    settings = load_settings(tmp_path / "no.env", data_dir=tmp_path)
    assert sessions(settings) == []
    folder.mkdir()
    for name in ("a.sqlite", "a.raw-0001.sqlite", "a.replay.sqlite", "a.csv", "a.markets.json", "b.sqlite"):
        (folder / name).touch()
    for name in ("a.windows", "gone.windows"):
        (folder / name).mkdir()
    (folder / "c.windows").touch()
    offered = ("gone.windows", "b.sqlite", "a.sqlite")
    assert sessions(settings) == [str(folder / name) for name in offered]
