"""A newcomer's first ``make run``: a fresh clone, nothing installed, no cache of pip, until the first paint.

What the packages come over is the network at hand, so their size is told beside the time. Chromium is there
already, as a newcomer's browser is. Only what is committed is in the clone.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.paint import FLAGS, ROOT
from benchmarks.start import console, status_of, until

PATIENCE_S: Final = 600.0


def measure() -> dict[str, Any]:
    """Return seconds from ``make run`` on.

    Returns:
        ``answers_s`` until the port answers, ``paint_s`` until a contract is on the screen, ``received_mb``
        what this machine received meanwhile, over all its interfaces but loopback, ``commit`` what was run,
        ``load`` the machine's at the end.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (a test dependency)

    browser = shutil.which("chromium")
    if browser is None:
        raise SystemExit("no Chromium: install Debian's package chromium")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        received, began = _received(), time.monotonic()
        with console(port, str(Path(folder) / "data"), clone, PIP_CACHE_DIR=f"{folder}/pip", VIRTUAL_ENV=""):
            until(lambda: status_of(f"{address}/_stcore/health") == 200, PATIENCE_S)
            answers_s = time.monotonic() - began
            page = chromium.new_page()
            page.goto(address, wait_until="commit")
            page.wait_for_selector(".card .phase", timeout=PATIENCE_S * 1000)
            paint_s = time.monotonic() - began
            received = _received() - received
            chromium.close()
        commit = _git("rev-parse", "--short", "HEAD")
    return {
        "answers_s": round(answers_s, 1),
        "paint_s": round(paint_s, 1),
        "received_mb": round(received / 1e6, 1),
        "commit": commit,
        "load": round(os.getloadavg()[0], 2),
    }


def _received() -> int:
    return sum(
        counts.bytes_recv for name, counts in psutil.net_io_counters(pernic=True).items() if name != "lo"
    )


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
