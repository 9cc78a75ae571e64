"""The console's threads share few heaps, and what the operator's environment says of them holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.heap import AVAILABLE
from pages import server_memory
from pages.server_memory import ARENAS, hold_little

ROOT = Path(__file__).parents[2]
CONSOLE = """
import json, os, sys, threading
from pathlib import Path

from benchmarks.heap import heap

if sys.argv[1] == "console":
    from engine.config import load_settings
    from engine.run.host import EngineHost
    from pages.server import engine_beside

    engine_beside(load_settings(Path(os.devnull)), EngineHost)

met = threading.Barrier(12)


def works():
    met.wait()
    kept = [bytes(4_000) for _ in range(500)]
    met.wait()


threads = [threading.Thread(target=works) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
import pyarrow

print(json.dumps({"heaps": heap().heaps, "pool": pyarrow.default_memory_pool().backend_name}))
"""


def told(how: str, **environment: str) -> dict[str, object]:
    """Ask a process how many heaps twelve threads of it have, and where Arrow gets its memory."""
    names = ("MALLOC_ARENA_MAX", "ARROW_DEFAULT_MEMORY_POOL")
    plain = {name: value for name, value in os.environ.items() if name not in names}
    ran = subprocess.run(
        [sys.executable, "-c", CONSOLE, how],
        cwd=ROOT,
        env=plain | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return dict(json.loads(ran.stdout))


@pytest.mark.skipif(not AVAILABLE, reason="the heaps are glibc's")
def test_the_threads_of_a_console_share_their_heaps() -> None:
    """Beside a process that was told nothing, whose threads have more of them: else this proves nothing."""
    assert told("console") == {"heaps": ARENAS, "pool": "system"}
    assert told("plain")["heaps"] > ARENAS


@pytest.mark.skipif(not AVAILABLE, reason="the heaps are glibc's")
def test_what_the_operator_says_of_memory_holds() -> None:
    """Somebody measured it for a machine of theirs."""
    own = told("console", MALLOC_ARENA_MAX="5", ARROW_DEFAULT_MEMORY_POOL="mimalloc")
    assert own == {"heaps": 5, "pool": "mimalloc"}


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no such call, and the console starts."""
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", "system")
    monkeypatch.setattr(server_memory.ctypes, "CDLL", lambda _: object())
    assert hold_little() is False
