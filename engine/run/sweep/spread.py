"""Where a sweep's chunks are played: in this process, over cores, over a Dask cluster.

Results are the same everywhere. A chunk whose worker died is played again; one that kills its workers again
and again ends the sweep, and what was done is kept. What it does not know: files, figures.
"""

import importlib
import importlib.util
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from typing import Any, Final

from engine.errors import EngineError
from engine.run.sweep.grid import SweepError
from engine.run.sweep.play import Loaded, player
from engine.run.sweep.run import Chunk, Plan, Played, Run, Spread, chunks_of, play_chunk

WORKERS_MOST: Final = 64
CONNECT_S: Final = 10.0
TURNS: Final = 3
"""How often chunks are given out to a cluster, while workers die of them or beside them."""

DEATHS_MOST: Final = 12
"""Workers here that may die: more of them die of something else than a configuration."""

NO_WORKER_S: Final = 60.0
"""So long a cluster without any worker is waited for: somebody may be starting one anew."""

LOOKED_EVERY_S: Final = 0.05


class WorkerLost(EngineError):
    """Workers died and nobody could take over; what was done is kept."""


def joblib_is_there() -> bool:
    """Say whether the optional extra ``sweep`` is installed."""
    return importlib.util.find_spec("joblib") is not None


def here(ready: Loaded, plan: Plan, runs: Sequence[Run]) -> Iterator[Played]:
    """Play in this process, one chunk after the other."""
    for chunk in chunks_of(runs, 1):
        yield play_chunk(ready, plan, chunk)


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


# --- cores --------------------------------------------------------------------------------------------------


def over_cores(workers: int) -> Spread:
    """Play over cores: numba lets go of Python's lock, so threads share one copy of the data; plain Python
    needs processes, which map the same copy."""

    def spread(ready: Loaded, plan: Plan, runs: Sequence[Run]) -> Iterator[Played]:
        player(ready.path)  # compiled once, before threads ask for it
        left = {chunk.number: chunk for chunk in chunks_of(runs, workers)}
        deaths = 0
        # A dead worker takes the work of all with it. So what is left is given out again in small parts, and
        # at last one by one: then only what kills its worker by itself is not played.
        for part in (max(1, len(left)), workers, 1):
            waiting = [*left.values()]
            for at in range(0, len(waiting), part):
                try:
                    for number, rows in _pooled(ready, plan, waiting[at : at + part], workers):
                        del left[number]
                        yield number, rows
                except BrokenExecutor:
                    deaths += 1
                    if deaths >= DEATHS_MOST:
                        raise _lost(deaths, left.values()) from None
        if left:
            raise _lost(deaths, left.values())

    return spread


def _pooled(ready: Loaded, plan: Plan, chunks: Sequence[Chunk], workers: int) -> Iterator[Played]:
    import joblib  # noqa: PLC0415 (an optional extra)

    # Of work that a cancel leaves undone it warns with advice for programmers.
    warnings.filterwarnings("ignore", "[0-9]+ tasks which were still being processed", UserWarning)
    prefer = "threads" if ready.path == "numba" else "processes"
    pool = joblib.Parallel(n_jobs=workers, prefer=prefer, return_as="generator_unordered", pre_dispatch="all")
    yield from pool(joblib.delayed(play_chunk)(ready, plan, chunk) for chunk in chunks)


def _lost(times: int, chunks: Iterable[Chunk]) -> WorkerLost:
    count = sum(len(chunk.runs) for chunk in chunks)
    what = "configurations were" if count != 1 else "configuration was"
    return WorkerLost(f"workers died {times} times: {count:,} {what} not played")


# --- a cluster ----------------------------------------------------------------------------------------------


def over_dask(address: str, workers: int) -> Spread:
    """Play over a Dask cluster: ``local`` starts one on this machine, else the scheduler's address.

    Raises:
        SweepError: The optional extra ``dask`` is not installed, or nobody answers there.
    """
    if importlib.util.find_spec("distributed") is None:
        raise SweepError('--dask asks for the optional extra: pip install -e ".[dask]"')

    def spread(ready: Loaded, plan: Plan, runs: Sequence[Run]) -> Iterator[Played]:
        with _client(address, workers) as client:
            threads = sum(client.nthreads().values())
            left = {chunk.number: chunk for chunk in chunks_of(runs, max(1, threads))}
            for _ in range(TURNS):
                for number, rows in _submitted(client, ready, plan, [*left.values()]):
                    del left[number]
                    yield number, rows
                if not left:
                    return
        raise _lost(TURNS, left.values())

    return spread


def _submitted(client: Any, ready: Loaded, plan: Plan, chunks: Sequence[Chunk]) -> Iterator[Played]:
    """Play chunks on a cluster; those that were lost with their workers, or with the data, are not yielded.

    The scheduler itself gives a dead worker's chunk to another one, as long as one has the data; where all
    that had it are dead, the chunk is cancelled.
    """
    distributed: Any = importlib.import_module("distributed")
    gone = (distributed.KilledWorker, distributed.CancelledError, OSError)
    given: list[Any] = []
    try:
        # In a list: as one thing, not field by field.
        given += client.scatter([ready], broadcast=True, hash=False)
        given += [client.submit(play_chunk, given[0], plan, chunk, pure=False) for chunk in chunks]
        ends = distributed.as_completed(given[1:])
        while _comes(client, ends):
            try:
                yield next(ends).result()
            except gone:
                continue
    except gone:
        return
    finally:
        client.cancel(given)


def _comes(client: Any, ends: Any) -> bool:
    """Wait for the next result; return whether there is one to come."""
    until_s = time.monotonic() + NO_WORKER_S
    looked_s = time.monotonic()
    while not ends.is_empty():
        if ends.has_ready():
            return True
        now_s = time.monotonic()
        if now_s - looked_s > 1.0:
            looked_s = now_s
            if client.nthreads():
                until_s = now_s + NO_WORKER_S
            elif now_s > until_s:
                return False
        time.sleep(LOOKED_EVERY_S)
    return False


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
