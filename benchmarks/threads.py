"""What each thread of this process costs. Linux only."""

import threading
import time
from pathlib import Path


def cpu_seconds() -> dict[str, float]:
    """Return the CPU seconds of every Python thread so far, by name; threads of one name are added up."""
    spent: dict[str, float] = {}
    for thread in threading.enumerate():
        if thread.ident is None:
            continue
        clock = time.pthread_getcpuclockid(thread.ident)
        spent[thread.name] = spent.get(thread.name, 0.0) + time.clock_gettime(clock)
    return spent


def since(before: dict[str, float]) -> dict[str, float]:
    """Return what each thread spent since, seconds."""
    now = cpu_seconds()
    return {name: round(now[name] - before.get(name, 0.0), 3) for name in now}


def waited_s(thread: threading.Thread) -> float:
    """Return for how long a thread was ready to run and other processes had the cores, seconds."""
    path = Path(f"/proc/self/task/{thread.native_id}/schedstat")
    return int(path.read_text().split()[1]) / 1e9 if path.exists() else 0.0
