"""Play many configurations: in chunks, over cores or a cluster, with progress, cancel and resume.

A chunk's result is a file of its own; a sweep that was interrupted takes up what is there, if it is the same
sweep. Results are the same on every path: one core, many, numba or plain, joblib or Dask. What it does not
know: what the figures mean.
"""

import importlib
import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from engine.errors import EngineError
from engine.run.sweep.grid import SweepError, Values, configuration
from engine.run.sweep.honesty import split
from engine.run.sweep.kernel import ASSUMPTIONS
from engine.run.sweep.metrics import column, figures, rounded
from engine.run.sweep.play import Configuration, Loaded, loaded, play, player
from engine.run.sweep.trace import Trace

CHUNK: Final = 24
"""Configurations in one piece of work: under a second with numba, a minute or two without."""

WORKERS_MOST: Final = 64
CONNECT_S: Final = 10.0


class Plan(NamedTuple):
    """What to play: names and values of each configuration, over which data, from which base."""

    names: tuple[str, ...]
    base: Configuration
    path: str
    every_moment: bool = False


class Chunk(NamedTuple):
    """Configurations, each with its number."""

    number: int
    runs: tuple[tuple[int, Values], ...]


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


Spread = Callable[[Loaded, Plan, Sequence[Chunk]], Iterator[tuple[int, list[Row]]]]
"""Plays chunks somewhere and yields (number, rows) as they come."""


class WorkerLost(EngineError):
    """A worker died and nobody could take over; what was done is kept."""


# --- one chunk ----------------------------------------------------------------------------------------------


def chunks_of(runs: Sequence[tuple[int, Values]]) -> list[Chunk]:
    """Cut configurations into pieces of work; each is known by its first configuration's number."""
    starts = range(0, len(runs), CHUNK)
    return [Chunk(runs[at][0], tuple(runs[at : at + CHUNK])) for at in starts]


def play_chunk(ready: Loaded, plan: Plan, chunk: Chunk) -> tuple[int, list[Row]]:
    """Play a chunk's configurations."""
    up = np.array([bool(window.up) for window in ready.windows])
    return chunk.number, [play_one(ready, plan, run, up) for run in chunk.runs]


def play_one(ready: Loaded, plan: Plan, numbered: tuple[int, Values], up: Any) -> Row:
    """Play one configuration under every assumption."""
    run, values = numbered
    tried = configuration(plan.names, values, plan.base)
    parts = split(len(ready.windows))
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


# --- where it is played -------------------------------------------------------------------------------------


def joblib_is_there() -> bool:
    """Say whether the optional extra ``sweep`` is installed."""
    return importlib.util.find_spec("joblib") is not None


def here(ready: Loaded, plan: Plan, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[Row]]]:
    """Play in this process, one chunk after the other."""
    for chunk in chunks:
        yield play_chunk(ready, plan, chunk)


def over_cores(workers: int) -> Spread:
    """Play over cores: numba lets go of Python's lock, so threads share one copy of the data; plain Python
    needs processes."""

    def spread(ready: Loaded, plan: Plan, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[Row]]]:
        import joblib  # noqa: PLC0415 (an optional extra)

        player(ready.path)  # compiled once, before threads ask for it
        prefer = "threads" if ready.path == "numba" else "processes"
        pool = joblib.Parallel(
            n_jobs=workers, prefer=prefer, return_as="generator_unordered", pre_dispatch="all"
        )
        try:
            yield from pool(joblib.delayed(play_chunk)(ready, plan, chunk) for chunk in chunks)
        except BrokenExecutor as error:
            raise WorkerLost(f"a worker was lost: {type(error).__name__}") from None

    return spread


def over_dask(address: str, workers: int) -> Spread:
    """Play over a Dask cluster: ``local`` starts one on this machine, else the scheduler's address.

    Raises:
        SweepError: The optional extra ``dask`` is not installed, or nobody answers there.
    """
    if importlib.util.find_spec("distributed") is None:
        raise SweepError('--dask asks for the optional extra: pip install -e ".[dask]"')

    def spread(ready: Loaded, plan: Plan, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[Row]]]:
        distributed: Any = importlib.import_module("distributed")
        with _client(address, workers) as client:
            # Each worker gets the data once; a chunk whose worker dies is played by another.
            there = client.scatter(ready, broadcast=True, hash=False)
            futures = [
                client.submit(play_chunk, there, plan, chunk, retries=2, pure=False) for chunk in chunks
            ]
            try:
                for done in distributed.as_completed(futures):
                    yield done.result()
            except (distributed.KilledWorker, distributed.CancelledError, OSError) as error:
                raise WorkerLost(f"a worker was lost: {error}") from None
            finally:
                client.cancel(futures)

    return spread


@contextmanager
def _client(address: str, workers: int) -> Iterator[Any]:
    distributed: Any = importlib.import_module("distributed")
    try:
        if address == "local":
            with (
                distributed.LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50
                ) as cluster,
                distributed.Client(cluster) as client,
            ):
                yield client
            return
        with distributed.Client(address, timeout=CONNECT_S) as client:
            yield client
    except (OSError, TimeoutError) as error:
        raise SweepError(f"Dask at {address}: {error}") from None


def spread_of(dask: str | None, workers: int) -> Spread:
    """Choose where to play."""
    if dask is not None:
        return over_dask(dask, workers)
    if workers > 1 and joblib_is_there():
        return over_cores(workers)
    return here


def workers_here() -> int:
    """Return how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(WORKERS_MOST, cores))


# --- the whole ----------------------------------------------------------------------------------------------


class Kept:
    """Results of chunks, in a folder; they count only for the sweep whose fingerprint they carry."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint

    def done(self) -> dict[int, list[Row]]:
        """Return what is there of this very sweep."""
        found: dict[int, list[Row]] = {}
        for path in sorted(self._folder.glob("chunk-*.json")):
            try:
                told = msgspec.json.decode(path.read_bytes(), type=_File)
            except (msgspec.DecodeError, OSError):
                continue
            if told.fingerprint == self._fingerprint:
                found[told.number] = told.rows
        return found

    def keep(self, number: int, rows: list[Row]) -> None:
        """Write a chunk's result, whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"chunk-{number:06d}.json"
        beside = path.with_suffix(".part")
        beside.write_bytes(msgspec.json.encode(_File(self._fingerprint, number, rows)))
        os.replace(beside, path)

    def clear(self) -> None:
        """Remove everything, of whatever sweep: the whole is written, or somebody begins anew."""
        for path in [*self._folder.glob("chunk-*.json"), *self._folder.glob("chunk-*.part")]:
            path.unlink(missing_ok=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()


class _File(msgspec.Struct, frozen=True):
    fingerprint: str
    number: int
    rows: list[Row]


def run(
    trace: Trace, plan: Plan, runs: Sequence[tuple[int, Values]], spread: Spread, watch: "Watch"
) -> list[Row]:
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
    """
    chunks = chunks_of(runs)
    done = {chunk.number: rows for chunk in chunks if (rows := watch.kept(chunk)) is not None}
    left = [chunk for chunk in chunks if chunk.number not in done]
    watch.begin(sum(len(rows) for rows in done.values()))
    if left:
        for number, rows in spread(loaded(trace, plan.path), plan, left):
            watch.keep(number, rows)
            done[number] = rows
    return [row for chunk in chunks for row in done[chunk.number]]


class Watch:
    """Keeps what was done, and tells how far it is."""

    def __init__(self, folder: Path, fingerprint: str, total: int, tell: Callable[[Progress], None]) -> None:
        self._files = Kept(folder, fingerprint)
        self._found = self._files.done()
        self._tell = tell
        self._total = total
        self._done = self._new = 0
        self._began_s = time.monotonic()

    def kept(self, chunk: Chunk) -> list[Row] | None:
        """Return a chunk's rows where they are there."""
        rows = self._found.get(chunk.number)
        return rows if rows is not None and len(rows) == len(chunk.runs) else None

    def begin(self, done: int) -> None:
        """Count what is taken up."""
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
        return sorted((row for rows in self._files.done().values() for row in rows), key=lambda row: row.run)

    def clear(self) -> None:
        """Remove what was kept, once the whole is written."""
        self._files.clear()

    def _say(self) -> None:
        passed_s = time.monotonic() - self._began_s
        left_s = passed_s / self._new * (self._total - self._done) if self._new else None
        self._tell(Progress(self._done, self._total, passed_s, left_s))
