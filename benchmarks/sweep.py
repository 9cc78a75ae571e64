"""The sweep: 1,000 windows of 900 s, 240 configurations, on all cores; numba, plain Python, Dask."""

import itertools
import os
import resource
import time
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np

from benchmarks import sweep_beside
from engine.params import Params
from engine.run.sweep import report as sweep_report
from engine.run.sweep.kernel import ASSUMPTIONS
from engine.run.sweep.metrics import figures
from engine.run.sweep.play import Configuration, loaded, numba_is_there, play, player
from engine.run.sweep.run import Plan, Watch, run
from engine.run.sweep.spread import over_cores, over_dask, workers_here
from engine.run.sweep.trace import Columns, Trace, Window

WINDOWS, SECONDS, DEPTH = 1_000, 900, 5
GRID = {
    "watch_return_threshold": (0.0002, 0.0005, 0.001, 0.002),
    "hammer_secs": (5.0, 10.0, 15.0, 20.0, 30.0),
    "d_min": (1.0, 3.0, 5.0, 10.0),
    "max_entry_price": (0.9, 0.95, 0.97),
}
VALUES = list(itertools.product(*GRID.values()))


def made(windows: int = WINDOWS, seconds: int = SECONDS, seed: int = 8) -> Trace:
    """Make random windows, a moment a second: a price that wanders, books about the model's own odds."""
    rng = np.random.default_rng(seed)
    n = windows * seconds
    left = np.tile(np.arange(seconds, 0, -1, dtype=np.float64), windows)
    walk = np.cumsum(rng.normal(0.0, 4.0, (windows, seconds)), axis=1)
    deviation = np.sqrt(np.minimum(left, 60.0) / 60.0) * 40.0 * np.maximum(0.05, left / seconds)
    odds = 0.5 + np.arctan(walk.reshape(-1) / deviation) / np.pi
    returns = np.abs(rng.normal(0.0, 0.0004, (windows, seconds)))
    columns: dict[str, Any] = {
        "ts_ms": ((seconds - left) * 1000 + np.repeat(np.arange(windows), seconds) * seconds * 1000).astype(
            np.int64
        ),
        "seconds_left": left,
        "strike": np.full(n, 65_000.0),
        "expected": 65_000.0 + walk.reshape(-1),
        "deviation": deviation,
        "blocks": np.where(rng.random(n) < 0.03, 1 << 10, 0).astype(np.int64),
        "peak": np.maximum.accumulate(returns, axis=1).reshape(-1),
        "decides": np.ones(n, np.int64),
        "tick_up": np.full(n, 100, np.int64),
        "tick_down": np.full(n, 100, np.int64),
        "depth": DEPTH,
    }
    for side, p in (("up", odds), ("down", 1.0 - odds)):
        best = np.clip(np.rint((p + rng.normal(0.0, 0.04, n)) * 100.0), 1, 99).astype(np.int64) * 100
        prices = best[:, None] + 100 * np.arange(DEPTH)
        columns[f"price_{side}"] = np.where(prices < 10_000, prices, 0).reshape(-1)
        columns[f"size_{side}"] = rng.integers(1_000_000, 60_000_000, n * DEPTH)
    up = walk[:, -1] >= 0.0
    told = tuple(
        Window(
            f"btc-updown-15m-{place * seconds}", place * seconds, (place + 1) * seconds,
            place * seconds, (place + 1) * seconds, 0.07, 1.0, 0.0, bool(up[place]), True,
        )
        for place in range(windows)
    )  # fmt: skip
    return Trace(Columns(**columns), told)


def measure() -> dict[str, Any]:
    """Return seconds of wall and of the processor for each path, and the memory taken."""
    trace = made()
    told: dict[str, Any] = {"steps": trace.steps * len(VALUES), "cores": workers_here()}
    if not numba_is_there():
        return told | {"plain": _plain(trace), "numba": "not installed"}
    began = time.perf_counter()
    ready = loaded(trace, "numba")
    play(loaded(made(2, 60), "numba"), _configurations()[0], 1)
    told["compile_s"] = round(time.perf_counter() - began, 2)
    told["every_moment"] = _timed(lambda: _play_all(ready, every_moment=True))
    told["as_run"] = _timed(lambda: _play_all(ready, every_moment=False))
    told["whole_sweep_3_assumptions"] = _timed(lambda: _rows(trace, over_cores(workers_here())))
    told["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told["plain"] = _plain(trace)
    told["dask"] = _dask()
    told["engine_beside_it"] = sweep_beside.measure()
    return told


def _configurations() -> list[Configuration]:
    base = Configuration(Params())
    return [
        base._replace(
            params=base.params._replace(
                watch_return_threshold=watch, hammer_s=hammer, d_min_usd=least, max_entry_price=cap
            )
        )
        for watch, hammer, least, cap in VALUES
    ]


def _play_all(ready: Any, *, every_moment: bool) -> int:
    """Play every configuration, booked fills, over the cores; return trades."""
    import joblib  # noqa: PLC0415 (an optional extra)

    up = np.array([bool(window.up) for window in ready.windows])

    def one(tried: Configuration) -> int:
        out = play(ready, tried, ASSUMPTIONS.index("arrival"), every_moment=every_moment)
        return int(figures(out, up)["trades"])

    player("numba")
    pool = joblib.Parallel(n_jobs=workers_here(), prefer="threads")
    return sum(pool(joblib.delayed(one)(tried) for tried in _configurations()))


def _plain(trace: Trace) -> dict[str, Any]:
    """Time plain Python over the cores, in processes, the same work."""
    return _timed(lambda: _rows(trace, over_cores(workers_here()), "plain"))


def _rows(trace: Trace, spread: Any, path: str = "numba") -> list[Any]:
    plan = Plan(tuple(GRID), Configuration(Params()), path)
    folder = _scratch()
    watch = Watch(folder, f"benchmark {time.monotonic_ns()}", len(VALUES), lambda _: None)
    rows = run(trace, plan, list(enumerate(VALUES)), spread, watch)
    watch.clear()
    return rows


def _dask() -> Any:
    """Compare the CSV of two Dask workers with that of this process, on a smaller sweep."""
    try:
        spread = over_dask("local", 2)
    except Exception as error:  # noqa: BLE001 (whatever keeps Dask away is the result)
        return str(error)
    trace = made(100)
    here = sweep_report.csv_text(tuple(GRID), _rows(trace, over_cores(workers_here())))
    there = sweep_report.csv_text(tuple(GRID), _rows(trace, spread))
    return {"workers": 2, "configurations": len(VALUES), "identical_csv": here == there}


def _scratch() -> Any:

    return Path(gettempdir()) / f"sweep-benchmark-{os.getpid()}"


def _timed(work: Any) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "load": round(os.getloadavg()[0], 1),
    }
