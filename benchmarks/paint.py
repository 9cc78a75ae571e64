"""The console's first paint in headless Chromium, on a second run of the server."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RUNS = 3


def measure() -> dict[str, Any]:
    """Return seconds from server start to its answer, and from there to the first contract card on screen."""
    browser = shutil.which("chromium")
    if browser is None:
        raise SystemExit("no Chromium: install Debian's package chromium")
    runs = [_once(browser) for _ in range(RUNS + 1)][1:]
    ups, paints = sorted(up for up, _ in runs), sorted(paint for _, paint in runs)
    return {
        "runs": RUNS,
        "server_up_s": round(ups[RUNS // 2], 2),
        "first_paint_s": round(paints[RUNS // 2], 2),
        "first_paint_max_s": round(paints[-1], 2),
    }


def _once(browser: str) -> tuple[float, float]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (a test dependency)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        environment = os.environ | {"DATA_DIR": folder, "ENV_FILE": os.devnull}
        command = [sys.executable, "-m", "streamlit", "run", "dashboard.py", "--server.port", str(port)]
        started = time.monotonic()
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as server:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health")
            up = time.monotonic() - started
            page = chromium.new_page()
            asked = time.monotonic()
            page.goto(f"http://127.0.0.1:{port}/")
            page.wait_for_selector(".card .phase", timeout=60_000)
            painted = time.monotonic() - asked
            chromium.close()
            server.terminate()
            server.wait(20)
    return up, painted


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} did not answer within a minute")
