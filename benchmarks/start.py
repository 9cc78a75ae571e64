"""Start and stop of the console as its user does both: ``make run`` until a paint, SIGTERM until all is gone.

Warm: ``.venv`` is set up and its modules are compiled. Each run has a data folder of its own. At the stop
five tabs of a real Chromium and a socket of our own are open; the latter tells with which code it was closed,
the journal whether the session was. A cold start is ``benchmarks.cold``'s.
"""

import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from benchmarks.paint import FLAGS, ROOT
from engine.journal import read_meta
from engine.journal_read import session_files

RUNS: Final = 3
TABS: Final = 5
PATIENCE_S: Final = 60.0
STOP_PATIENCE_S: Final = 20.0


def measure() -> dict[str, Any]:
    """Return seconds from the command on, and from the signal on.

    Returns:
        ``answers_s`` until the port answers, ``paint_s`` until a contract is on the screen, which takes a
        snapshot of the engine, ``start_cpu_s`` of all our processes until then; ``stop_s`` from SIGTERM
        until the server and its children are gone, ``rss_mb`` what the server held before it, ``closed``
        with which codes our sockets were, and ``sessions`` how the journals ended. Medians, and the worst as
        ``…_max_s``; of ``rss_mb`` the most.
    """
    browser = shutil.which("chromium")
    if browser is None:
        raise SystemExit("no Chromium: install Debian's package chromium")
    runs = [_once(browser) for _ in range(RUNS + 1)][1:]
    told: dict[str, Any] = {"runs": RUNS, "tabs": TABS}
    for name in ("answers_s", "paint_s", "start_cpu_s", "stop_s"):
        values = [run[name] for run in runs]
        told[name] = round(statistics.median(values), 2)
        told[f"{name.removesuffix('_s')}_max_s"] = round(max(values), 2)
    return told | {
        "rss_mb": round(max(run["rss_mb"] for run in runs), 1),
        "closed": sorted({run["closed"] for run in runs}),
        "sessions": sorted({run["session"] for run in runs}),
        "load": round(os.getloadavg()[0], 2),
    }


def _once(browser: str) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (a test dependency)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        began = time.monotonic()
        with console(port, folder) as make:
            until(lambda: status_of(f"{address}/_stcore/health") == 200)
            told: dict[str, Any] = {"answers_s": time.monotonic() - began}
            page = chromium.new_page()
            page.goto(address, wait_until="commit")
            page.wait_for_selector(".card .phase", timeout=PATIENCE_S * 1000)
            told["paint_s"] = time.monotonic() - began
            told["start_cpu_s"] = _cpu_s(make.pid)
            for _ in range(TABS - 1):
                tab = chromium.new_page()
                tab.goto(address, wait_until="commit")
                tab.wait_for_selector(".card .phase", timeout=PATIENCE_S * 1000)
            told |= _stopped(make, port)
            chromium.close()
        (journal,) = session_files(Path(folder) / "sessions")
        told["session"] = read_meta(journal).get("status", "unknown")
    return told


@contextmanager
def console(port: int, folder: str, checkout: Path = ROOT, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``make run`` with settings of nobody; whatever happens, nothing of it is left.

    Args:
        port: Where it shall listen.
        folder: Its data folder.
        checkout: Where it is run.
        more: Of the environment.
    """
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    own = {"DATA_DIR": folder, "ENV_FILE": os.devnull, "SECRETS_FILE": os.devnull, "METRICS_PORT": "0"}
    make = subprocess.Popen(
        ["make", "--no-print-directory", "run", f"PORT={port}"],
        cwd=checkout,
        env=kept | own | more,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield make
    finally:
        if make.poll() is None:
            for process in reversed([psutil.Process(make.pid), *psutil.Process(make.pid).children(True)]):
                process.kill()
        make.wait()


def _stopped(make: subprocess.Popen[bytes], port: int) -> dict[str, Any]:
    """Send SIGTERM to the server, as a service manager does, with a socket of ours open."""
    (server,) = psutil.Process(make.pid).children()
    all_of_it = [server, *server.children(recursive=True)]
    rss_mb = server.memory_info().rss / 1e6
    with connect(f"ws://127.0.0.1:{port}/push", origin=Origin(f"http://127.0.0.1:{port}")) as ours:
        ours.send('{"have": 0, "session": ""}')
        ours.recv(timeout=PATIENCE_S)
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        with suppress(ConnectionClosed):
            while True:
                ours.recv(timeout=STOP_PATIENCE_S)
        psutil.wait_procs(all_of_it, STOP_PATIENCE_S)
        stop_s = time.monotonic() - began
        code = ours.protocol.close_code
    return {"stop_s": stop_s, "closed": code or 0, "rss_mb": rss_mb}


def _cpu_s(pid: int) -> float:
    """Return what a process and its descendants, the ended ones too, have used of a core."""
    root = psutil.Process(pid)
    return sum(sum(one.cpu_times()[:4]) for one in [root, *root.children(recursive=True)])


def status_of(url: str) -> int:
    """Return the status that an address answers with; 0 where nobody does."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def until(holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Wait for something, and give up in the end."""
    deadline = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"the console was not there within {patience_s:g} s")
        time.sleep(0.02)
