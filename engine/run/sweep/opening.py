"""What a page opens of a sweep or a calibration report: a run's trades, and their way into the replay.

Trades that nobody worked out yet are worked out by a process of its own, which gives way to the engine. What
it does not know: how (``engine.run.sweep.trades``).
"""

import atexit
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.config import Settings
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.private_files import private
from engine.run.replay.listing import source_of
from engine.run.sweep import background
from engine.run.sweep import job as sweep_job
from engine.run.sweep.report import BOOKED
from engine.run.sweep.trades import file_of
from engine.settings_environment import child_environment

LOG: Final = "trades.log"
NAMED: Final = 3
"""Sessions that a sentence names."""

_children: dict[tuple[str, int], subprocess.Popen[bytes]] = {}
"""By sweep and configuration; started by this process, and asked after so that none is left as a zombie."""

_start: Final = threading.Lock()
"""Two tabs are two threads, and both would find that nobody is at work."""


class Opened(NamedTuple):
    """A configuration's trades, the first of ``traded``; ``problem`` says where they are to be doubted."""

    trades: list[dict[str, Any]]
    traded: int
    problem: str = ""


class Ways(NamedTuple):
    """Where windows can be replayed: the session by slug; and in a sentence why others cannot."""

    sessions: Mapping[str, str]
    why_not: str = ""


def opened(settings: Settings, name: str, report: Mapping[str, Any], run: int) -> Opened | None:
    """Return the trades of a sweep's configuration; None where nobody worked them out yet."""
    chosen = report["chosen"]
    if chosen is not None and chosen["run"] == run:
        return Opened(chosen["trades"], chosen["figures"][BOOKED]["all"]["trades"])
    try:
        told = from_json(file_of(_report(settings, name), run).read_bytes(), dict[str, Any])
        return Opened(told["trades"], told["count"], told["problem"])
    except (OSError, DecodingError, KeyError):
        return None


def start(settings: Settings, name: str, report: Mapping[str, Any], run: int) -> str:
    """Have a configuration's trades worked out; return why that does not begin, empty where it does."""
    with _start:
        busy = working(name)
        if busy is not None:
            return f"the trades of run {busy} are being worked out: wait for them"
        return _begin(_report(settings, name), name, report, run)


def _begin(path: Path, name: str, report: Mapping[str, Any], run: int) -> str:
    command = [sys.executable, "-m", "engine.run.sweep.trades", "--report", str(path), "--run", str(run)]
    try:
        with open(path.parent / LOG, "wb", opener=private) as log:
            _children[name, run] = subprocess.Popen(  # noqa: S603 (our own module, arguments in a list)
                [*command, *sweep_job.data_of(report["plan"]["sources"])],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child_environment(),
                start_new_session=True,
            )
    except OSError as error:
        return str(error)
    return ""


def working(name: str) -> int | None:
    """Return the configuration whose trades a process of this sweep began with; None where none is at work.

    Those trades are there before it ends: it goes on with the other configurations' for some seconds.
    """
    children = list(_children.items())  # another tab may start one meanwhile
    return next((run for (of, run), child in children if of == name and child.poll() is None), None)


@atexit.register
def _end_all() -> None:
    """Leave no process behind when the console ends."""
    for child in list(_children.values()):
        child.terminate()  # does nothing to one that has ended


def failed(settings: Settings, name: str, run: int) -> str:
    """Return why the last attempt at a configuration's trades failed; empty where it did not."""
    child = _children.get((name, run))
    if child is None or child.poll() in (None, 0):
        return ""
    return background.last_words(_report(settings, name).parent / LOG)


def _report(settings: Settings, name: str) -> Path:
    return settings.data_dir / sweep_job.FOLDER / Path(name).name / f"{sweep_job.PREFIX}.json"


# --- the replay ---------------------------------------------------------------------------------------------


def ways(settings: Settings, sessions: Mapping[str, str], sources: Sequence[str]) -> Ways:
    """Return where a report's windows can be replayed.

    Args:
        settings: Where sessions lie.
        sessions: The session of each window, by slug; empty where its file is none.
        sources: What the report was made from.
    """
    there = {name for name in set(sessions.values()) if name and source_of(settings.data_dir, name).is_file()}
    known = {slug: name for slug, name in sessions.items() if name in there}
    gone = sorted({name for name in sessions.values() if name} - there)
    words = []
    if "" in sessions.values():
        bundled = list(sources) == [str(sweep_job.SAMPLE[0])]
        words.append(
            "the bundled practice windows were not recorded as a session" if bundled
            else "files outside of the folders of sessions are not known to the replay"
        )  # fmt: skip
    if gone:
        more = f" and {len(gone) - NAMED:,} more" if len(gone) > NAMED else ""
        words.append(f"the journal of {', '.join(gone[:NAMED])}{more} is not in the data folder")
    left = len(sessions) - len(known)
    some = "None of the windows" if left == len(sessions) else f"{left:,} of {len(sessions):,} windows"
    return Ways(
        known, f"{some} can{'' if not known else 'not'} be replayed: {'; '.join(words)}." if left else ""
    )
