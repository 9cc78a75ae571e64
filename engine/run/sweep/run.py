"""Play many configurations: in chunks, with progress and resume.

A chunk's result is a file of its own; a sweep that was interrupted takes up the rows that are there, if it is
the same sweep, however it was cut into chunks. What it does not know: where chunks are played
(``engine.run.sweep.spread``), and what the figures mean.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.private_files import make_folder
from engine.run.sweep.grid import Values, configuration
from engine.run.sweep.honesty import split_in_time
from engine.run.sweep.kernel import ASSUMPTIONS
from engine.run.sweep.metrics import column, figures, rounded
from engine.run.sweep.play import Configuration, Loaded, loaded, play
from engine.run.sweep.trace import Trace
from engine.run.whole_file import ENDING, write_whole

CHUNK_MOST: Final = 24
"""Configurations in one piece of work: under a second with numba, a minute or two without."""

CHUNKS_EACH: Final = 8
"""Pieces of work for each worker, where there are that many configurations: so much of a sweep, an eighth of
what a worker plays, is what an interruption may lose."""


class Plan(NamedTuple):
    """What to play: names and values of each configuration, over which data, from which base."""

    names: tuple[str, ...]
    base: Configuration
    path: str
    every_moment: bool = False


Run = tuple[int, Values]
"""A configuration's number and values."""


class Chunk(NamedTuple):
    """Configurations, known by the number of the first."""

    number: int
    runs: tuple[Run, ...]


class Row(NamedTuple):
    """What one configuration came to: figures of all windows, of those chosen on and of those held out, under
    each assumption; profit and trades by stretch of the walk forward."""

    run: int
    values: Values
    by_assumption: dict[str, dict[str, dict[str, Any]]]
    fold_profit: tuple[float, ...]
    fold_trades: tuple[int, ...]


class Progress(NamedTuple):
    """How far a sweep is; ``left_s`` at this pace, None before the first result."""

    done: int
    total: int
    passed_s: float
    left_s: float | None


Played = tuple[int, list[Row]]
"""A chunk's number, and its rows."""

Spread = Callable[[Loaded, Plan, Sequence[Run]], Iterator[Played]]
"""Cuts configurations into chunks, plays them somewhere, and yields each as it comes."""


# --- one chunk ----------------------------------------------------------------------------------------------


def chunks_of(runs: Sequence[Run], workers: int) -> list[Chunk]:
    """Cut configurations into pieces of work for so many workers."""
    size = min(CHUNK_MOST, max(1, math.ceil(len(runs) / (CHUNKS_EACH * workers))))
    return [Chunk(runs[at][0], tuple(runs[at : at + size])) for at in range(0, len(runs), size)]


def play_chunk(ready: Loaded, plan: Plan, chunk: Chunk) -> Played:
    """Play a chunk's configurations."""
    up = np.array([bool(window.up) for window in ready.windows])
    return chunk.number, [play_one(ready, plan, run, up) for run in chunk.runs]


def play_one(ready: Loaded, plan: Plan, numbered: Run, up: Any) -> Row:
    """Play one configuration under every assumption."""
    run, values = numbered
    tried = configuration(plan.names, values, plan.base)
    parts = split_in_time(ready.windows)
    told: dict[str, dict[str, dict[str, Any]]] = {}
    fold_profit: tuple[float, ...] = ()
    fold_trades: tuple[int, ...] = ()
    for place, assumption in enumerate(ASSUMPTIONS):
        out = play(ready, tried, place, every_moment=plan.every_moment)
        told[assumption] = {
            "all": rounded(figures(out, up)),
            "chosen_on": rounded(figures(out[parts.chosen_on], up[parts.chosen_on])),
            "held_out": rounded(figures(out[parts.held_out], up[parts.held_out])),
        }
        if assumption == "arrival":
            profit, filled = column(out, "profit"), column(out, "filled")
            fold_profit = tuple(round(float(profit[fold].sum()), 6) for fold in parts.folds)
            fold_trades = tuple(int(filled[fold].sum()) for fold in parts.folds)
    return Row(run, values, told, fold_profit, fold_trades)


# --- the whole ----------------------------------------------------------------------------------------------


class Kept:
    """Results of chunks, in a folder; they count only for the sweep whose fingerprint they carry."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint

    def done(self) -> dict[int, Row]:
        """Return what is there of this very sweep, by the configurations' numbers."""
        found: dict[int, Row] = {}
        for path in sorted(self._folder.glob("chunk-*.json")):
            try:
                told = from_json(path.read_bytes(), _File)
            except (DecodingError, OSError):
                continue
            if told.fingerprint == self._fingerprint:
                found.update((row.run, row) for row in told.rows)
        return found

    def keep(self, number: int, rows: list[Row]) -> None:
        """Write a chunk's result, whole or not at all."""
        make_folder(self._folder)
        path = self._folder / f"chunk-{number:06d}.json"
        write_whole(path, msgspec.json.encode(_File(self._fingerprint, number, rows)))

    def clear(self) -> None:
        """Remove everything, of whatever sweep: the whole is written, or somebody begins anew."""
        for path in [*self._folder.glob("chunk-*.json"), *self._folder.glob(f".chunk-*{ENDING}")]:
            path.unlink(missing_ok=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()


class _File(msgspec.Struct, frozen=True):
    fingerprint: str
    number: int
    rows: list[Row]


def run(trace: Trace, plan: Plan, runs: Sequence[Run], spread: Spread, watch: "Watch") -> list[Row]:
    """Play configurations over a trace.

    Args:
        trace: Windows with outcomes.
        plan: What the values are of.
        runs: Number and values of each configuration.
        spread: Where to play.
        watch: Keeps results, takes up those that are there, and is told how far it is.
    Returns:
        A row for each configuration, in order.
    Raises:
        KeyboardInterrupt: Somebody cancelled; what was done is kept.
        WorkerLost: As ``spread`` says; what was done is kept.
    """
    done = {one[0]: row for one in runs if (row := watch.kept(one)) is not None}
    left = [one for one in runs if one[0] not in done]
    watch.begin(len(done))
    if left:
        for number, rows in spread(loaded(trace, plan.path), plan, left):
            watch.keep(number, rows)
            done.update((row.run, row) for row in rows)
    return [done[number] for number, _ in runs]


class Watch:
    """Keeps what was done, and tells how far it is."""

    def __init__(self, folder: Path, fingerprint: str, total: int, tell: Callable[[Progress], None]) -> None:
        self._files = Kept(folder, fingerprint)
        self._found = self._files.done()
        self._tell = tell
        self._total = total
        self._done = self._new = 0
        self._began_s = time.monotonic()

    def kept(self, one: Run) -> Row | None:
        """Return a configuration's row where it is there."""
        row = self._found.get(one[0])
        return row if row is not None and row.values == one[1] else None

    def begin(self, done: int) -> None:
        """Count what is taken up; time is counted from here on, for reading says nothing of the pace."""
        if not self._new:
            self._began_s = time.monotonic()
        self._done += done
        self._say()

    def keep(self, number: int, rows: list[Row]) -> None:
        """Keep a chunk's rows."""
        self._files.keep(number, rows)
        self._done += len(rows)
        self._new += len(rows)
        self._say()

    def rows(self) -> list[Row]:
        """Return every row that is kept, in order of their runs."""
        return sorted(self._files.done().values(), key=lambda row: row.run)

    def clear(self) -> None:
        """Remove what was kept, once the whole is written."""
        self._files.clear()

    def _say(self) -> None:
        passed_s = time.monotonic() - self._began_s
        left_s = passed_s / self._new * (self._total - self._done) if self._new else None
        self._tell(Progress(self._done, self._total, passed_s, left_s))
