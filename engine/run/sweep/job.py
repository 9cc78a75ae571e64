"""Sweeps and calibration reports that a console starts: each in a process of its own, which gives way to the
engine, and in a folder of its own, so that a page that was left, or a restart, finds it again.

One sweep and one report at a time in a data folder, whichever tab or console asks. They go on when the
console ends, and that is said in its log. What it does not know: how a sweep works
(``engine.run.sweep.command``).
"""

import glob
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from engine.config import Settings
from engine.decoded import from_json
from engine.errors import DecodingError, EngineError
from engine.journal_read import session_files
from engine.private_files import FILE_MODE, FOLDER_MODE
from engine.run.sessions.kept import folder_of
from engine.run.sweep import background
from engine.run.sweep.grid import ASKS_BEFORE, grid_of

FOLDER: Final = "sweeps"
CALIBRATION: Final = "calibration"
PREFIX: Final = "sweep"
REPORT: Final = "report"
KEPT: Final = 50
_DATA: Final = Path(__file__).resolve().parents[3] / "data"
SAMPLE: Final = (_DATA / "replay.csv", _DATA / "markets.json")
"""The bundled practice windows."""

GRID: Final = (
    '{"watch_return_threshold": [0.0001, 0.0005, 0.001], "hammer_secs": [5, 10, 15, 20], '
    '"d_min": [3, 5], "max_entry_price": [0.9, 0.95]}'
)


class Wish(NamedTuple):
    """What an operator asks for; ``sessions`` empty means the bundled sample."""

    sessions: tuple[str, ...]
    grid: str
    hypothesis: str = ""
    search: str = "grid"
    trials: int = 200
    miss_probability: float = 0.0


class Job(NamedTuple):
    """A sweep as a page shows it. ``state`` is running, done, partial, cancelled or failed."""

    name: str
    state: str
    text: str
    done: int
    total: int
    left_s: float | None

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return self.done / self.total if self.total else 0.0


def start(settings: Settings, wish: Wish) -> str:
    """Start a sweep; return its name.

    Raises:
        EngineError: The wish makes no sense, or one runs already.
    """
    grid = grid_of(wish.grid)
    if wish.search == "grid" and grid.size > ASKS_BEFORE:
        raise EngineError(
            f"the grid has {grid.size:,} configurations, and a console tries {ASKS_BEFORE:,} at most: "
            "give fewer values, or choose the search tpe, which tries as many as you say"
        )
    if wish.miss_probability and "miss_probability" in grid.names:
        raise EngineError("the grid has miss_probability: leave the field at 0")
    with background.alone(settings.data_dir / FOLDER):
        running = next((job.name for job in jobs(settings) if job.state == "running"), None)
        if running is not None:
            raise EngineError(f"the sweep {running} runs: wait for it, or cancel it")
        folder = _new_folder(settings.data_dir / FOLDER)
        background.start(folder, PREFIX, _command(wish, folder))
    return folder.name


def _new_folder(folder: Path) -> Path:
    """Make a sweep's folder, named after the second; one that ended within it has the name already."""
    name, count = time.strftime("%Y%m%d-%H%M%S", time.gmtime()), 1
    made = folder / name
    while made.exists():
        count += 1
        made = folder / f"{name}-{count}"
    made.mkdir(mode=FOLDER_MODE)
    return made


def _command(wish: Wish, folder: Path) -> list[str]:
    command = [sys.executable, "-m", "engine.parameter_eval", "--nice", "--grid-json", wish.grid]
    command += ["--output-prefix", str(folder / PREFIX), "--cancel-file", str(folder / "cancel")]
    command += ["--hypothesis", wish.hypothesis, "--search", wish.search, "--trials", str(wish.trials)]
    if wish.miss_probability:
        command += ["--miss-probability", str(wish.miss_probability)]
    return [*command, *data_of(wish.sessions)]


def try_start(settings: Settings, wish: Wish) -> tuple[str, str]:
    """Start a sweep for a page; return its name, or why there is none."""
    try:
        return start(settings, wish), ""
    except (EngineError, OSError) as error:
        return "", str(error)


def try_calibration(settings: Settings, sessions: Sequence[str]) -> str:
    """Start a calibration report for a page; return why there is none, empty where there is."""
    try:
        start_calibration(settings, sessions)
    except (EngineError, OSError) as error:
        return str(error)
    return ""


def data_of(sessions: Sequence[str]) -> list[str]:
    """Write which data, as options; the sample's own path means the sample, with its table."""
    if list(sessions) in ([], [str(SAMPLE[0])]):
        return ["--replay-csv", str(SAMPLE[0]), "--markets-json", str(SAMPLE[1])]
    # A path is no pattern, whatever signs it holds.
    return [part for path in sessions for part in ("--sessions", glob.escape(path))]


def cancel(settings: Settings, name: str) -> None:
    """Ask a sweep to end; what it has done is kept."""
    (settings.data_dir / FOLDER / Path(name).name / "cancel").touch(mode=FILE_MODE)


def jobs(settings: Settings) -> list[Job]:
    """Return the sweeps that there are, newest first."""
    folder = settings.data_dir / FOLDER
    names = sorted((path.name for path in folder.glob("*") if path.is_dir()), reverse=True)
    return [_job(folder / name) for name in names[:KEPT]]


def report(settings: Settings, name: str) -> dict[str, Any] | None:
    """Return what a sweep found; None where it has not written its report."""
    path = settings.data_dir / FOLDER / Path(name).name / f"{PREFIX}.json"
    try:
        return from_json(path.read_bytes(), dict[str, Any])
    except (OSError, DecodingError):
        return None


def sessions(settings: Settings) -> list[str]:
    """Return the recorded sessions that a sweep can read, newest first.

    A folder of windows stands for a session only where its journal is gone: else it holds the same again.
    """
    folder = folder_of(settings.data_dir)
    journals = session_files(folder)
    known = {path.stem for path in journals}
    alone = [path for path in folder.glob("*.windows") if path.is_dir() and path.stem not in known]
    return sorted(map(str, [*journals, *alone]), reverse=True)


def start_calibration(settings: Settings, sessions: Sequence[str]) -> None:
    """Start a calibration report over sessions, or over the bundled sample.

    Raises:
        EngineError: One is being made already.
    """
    folder = settings.data_dir / CALIBRATION
    command = [sys.executable, "-m", "engine", "calibration", "--nice"]
    command += ["--output-prefix", str(folder / REPORT), *data_of(sessions)]
    with background.alone(folder):
        if calibration_runs(settings):
            raise EngineError("a calibration report is being made already")
        background.start(folder, REPORT, command)


def calibration_runs(settings: Settings) -> bool:
    """Say whether a calibration report is being made, by this console, one before it or another."""
    folder = settings.data_dir / CALIBRATION
    child = background.child_of(folder, REPORT)
    if child is not None:
        return child.poll() is None
    return background.is_ours(background.pid_of(folder), folder, REPORT)


def calibration(settings: Settings) -> tuple[dict[str, Any] | None, str]:
    """Return the newest calibration report, and why the last attempt at one failed."""
    folder = settings.data_dir / CALIBRATION
    child = background.child_of(folder, REPORT)
    failed = child is not None and child.poll() not in (None, 0)
    try:
        told: dict[str, Any] | None = from_json((folder / f"{REPORT}.json").read_bytes(), dict[str, Any])
    except (OSError, DecodingError):
        told = None
    return told, background.last_words(folder / "log") if failed else ""


def calibration_html(settings: Settings) -> str:
    """Return the newest report's HTML file."""
    return (settings.data_dir / CALIBRATION / f"{REPORT}.html").read_text(encoding="utf-8")


def _job(folder: Path) -> Job:
    child = background.child_of(folder, PREFIX)
    ended = child is not None and child.poll() is not None
    try:
        told = from_json((folder / f"{PREFIX}.progress.json").read_bytes(), _Told)
    except (OSError, DecodingError):
        told = _Told("running", "starting", 0, 0, None, background.pid_of(folder))
    state = told.state
    if state == "running" and (ended or (child is None and not background.is_ours(told.pid, folder, PREFIX))):
        state = "failed"
    text = told.text if state != "failed" else background.last_words(folder / "log")
    # Ended by hand before it had written how far it was: nothing failed.
    state = "cancelled" if text.removeprefix("error: ") == "cancelled" else state
    return Job(folder.name, state, text, told.done, told.total, told.left_s)


class _Told(msgspec.Struct, frozen=True):
    state: str
    text: str
    done: int
    total: int
    left_s: float | None
    pid: int
