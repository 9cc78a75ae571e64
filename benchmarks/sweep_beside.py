"""Does the engine feel a sweep? A frame's way to its decision, with a sweep in another process or without.

Part of ``python -m benchmarks sweep``.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import loopback
from engine.run.sweep.job import SAMPLE

ROUNDS, SECONDS = 9, 6
PATIENCE_S = 240.0
GRID = {
    "watch_return_threshold": [round(0.00002 * n, 5) for n in range(1, 21)],
    "hammer_secs": [float(3 * n) for n in range(1, 21)],
    "d_min": [0.5 * n for n in range(1, 16)],
    "max_entry_price": [round(0.85 + 0.01 * n, 2) for n in range(15)],
}
"""90,000 configurations: more than it gets done while it is looked at."""


def measure() -> dict[str, Any]:
    """Return the p99 of frame to decision without and with a sweep, in turns, and what a sweep adds.

    The sweep is what the console's page starts: the same command, giving way by ``--nice``, on all cores.
    """
    alone, beside, busy = [], [], []
    with running() as pid:
        for _ in range(ROUNDS):
            # In turns, so that whatever else this machine does falls on both.
            os.kill(pid, signal.SIGSTOP)
            alone.append(loopback.measure(SECONDS))
            os.kill(pid, signal.SIGCONT)
            before, began = _cpu_s(pid), time.monotonic()
            beside.append(loopback.measure(SECONDS))
            busy.append((_cpu_s(pid) - before) / (time.monotonic() - began))
    quiet, loud = (median(one["p99_ms"] for one in runs) for runs in (alone, beside))
    return {
        "p50_ms": {name: median(one["p50_ms"] for one in runs) for name, runs in _named(alone, beside)},
        "p99_ms": {"alone": quiet, "beside": loud},
        "p99_of_each": {name: [one["p99_ms"] for one in runs] for name, runs in _named(alone, beside)},
        "p99_ratio": round(loud / quiet, 2),
        "sweep_cores": [round(one, 2) for one in busy],
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
    }


def _named(alone: list[Any], beside: list[Any]) -> list[tuple[str, list[Any]]]:
    return [("alone", alone), ("beside", beside)]


@contextmanager
def running() -> Iterator[int]:
    """Run a sweep that plays already, and end it; yield its process number.

    Raises:
        RuntimeError: It did not begin, or it was done too early.
    """
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "sweep"
        command = [sys.executable, "-m", "engine.parameter_eval", "--nice", "--grid-json", json.dumps(GRID)]
        command += ["--replay-csv", str(SAMPLE[0]), "--markets-json", str(SAMPLE[1])]
        command += ["--output-prefix", str(prefix), "--cancel-file", str(Path(folder) / "cancel")]
        with (Path(folder) / "log").open("wb") as log:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                _wait_until_it_plays(child, prefix.with_name("sweep.progress.json"))
                yield child.pid
                if child.poll() is not None:
                    raise RuntimeError("the sweep was done before the engine was: take a larger grid")
            finally:
                child.kill()
                child.wait(60)


def _wait_until_it_plays(child: "subprocess.Popen[bytes]", progress: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and child.poll() is None:
        try:
            if json.loads(progress.read_bytes())["done"] > 0:
                return
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.2)
    raise RuntimeError("the sweep did not begin to play")


def _cpu_s(pid: int) -> float:
    """Return the processor seconds of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
