"""Visit every page of a practice console and save what it looks like: both themes, three widths.

    python scripts/screenshots.py FOLDER [--seconds N] [--only PAGE] [--theme dark] [--width wide]

Starts a console of its own on a free port with an empty data folder, waits for the opening's first trade
(N wall seconds, 60 unless told), presses what the pages of long work have to be asked (a what-if, a sweep, a
calibration report), and writes ``PAGE-THEME-WIDTH.png``. Needs Chromium and the packages of the tests.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

REPOSITORY = Path(__file__).resolve().parents[1]
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = {"wide": (1440, 900), "tablet": (820, 1180), "phone": (390, 844)}
THEMES = ("dark", "light")
PAGES = (
    "live", "panic", "mode", "health", "decisions", "execution", "ledger", "truth", "replay", "sessions",
    "handover", "what_if", "sweep", "calibration", "drills", "settings", "help",
)  # fmt: skip
WORK_MS = 240_000
"""A sweep with its compilation on a slow machine."""
SETTLE_MS = 2_500
"""Two refreshes of the slowest table."""
TALLEST = 6_000
"""Pixels; a longer page is cut there."""


@contextmanager
def console(folder: Path) -> Iterator[str]:
    """Run a console in front of the practice venue; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "dashboard.py", "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1"]
    own = {"DATA_DIR": str(folder / "data"), "METRICS_PORT": "0", "ENV_FILE": os.devnull}
    with folder.joinpath("console.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | own, stdout=log, stderr=log)
    try:
        _await(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until snapshots flow; a console that ends or stays silent is an error."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit("the console ended at its start")
        try:
            if httpx.get(f"{url}/healthz", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise SystemExit("the console did not answer within 60 s")


def ask(browser: Browser, url: str, pages: list[str]) -> None:
    """Press what has to be asked, as an operator would, and wait for the answers."""
    page = browser.new_page()
    if "what_if" in pages:
        page.goto(f"{url}/what_if")
        field = page.get_by_role("spinbutton", name="Hammer, seconds before the end")
        field.fill("30")
        field.press("Tab")
        page.get_by_role("button", name="Decide again").click()
        page.get_by_text("windows, ").first.wait_for(timeout=WORK_MS)
    if "sweep" in pages:
        page.goto(f"{url}/sweep")
        page.get_by_role("button", name="Start the sweep").click()
        page.get_by_text("Verdict:").first.wait_for(timeout=WORK_MS)
    if "calibration" in pages:
        page.goto(f"{url}/calibration")
        page.get_by_role("button", name="Make the report").click()
        page.get_by_text("Verdict:").first.wait_for(timeout=WORK_MS)
    page.close()


def visit(browser: Browser, url: str, folder: Path, asked: argparse.Namespace) -> int:
    """Save every page in every theme and width; return how many pictures."""
    made = 0
    pages = asked.only or PAGES
    for theme in asked.theme or THEMES:
        for width in asked.width or WIDTHS:
            across, down = WIDTHS[width]
            context = browser.new_context(
                viewport={"width": across, "height": down},
                color_scheme="light" if theme == "light" else "dark",
            )
            page = context.new_page()
            for name in pages:
                page.set_viewport_size({"width": across, "height": down})
                page.goto(f"{url}/{'' if name == 'live' else name}?tour=off")
                page.wait_for_selector("[data-testid=stMain]", timeout=30_000)
                page.wait_for_timeout(SETTLE_MS)
                _picture(page, folder / f"{name}-{theme}-{width}.png", across, down)
                made += 1
            context.close()
    return made


def _picture(page: Page, path: Path, across: int, down: int) -> None:
    for _ in range(2):  # a chart that comes into sight is drawn then, and is taller than its place was
        height = int(page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight"))
        page.set_viewport_size({"width": across, "height": min(max(height, down), TALLEST)})
        page.wait_for_timeout(700)
    page.screenshot(path=path)


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]  # it is there
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="how long the engine runs before the visit"
    )
    parser.add_argument("--only", choices=PAGES, action="append", help="this page alone; may be repeated")
    parser.add_argument("--theme", choices=THEMES, action="append")
    parser.add_argument("--width", choices=WIDTHS, action="append")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        console(Path(data)) as url,
        sync_playwright() as playwright,
    ):
        time.sleep(asked.seconds)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        ask(browser, url, asked.only or list(PAGES))
        made = visit(browser, url, asked.folder, asked)
        browser.close()
    print(f"{made} pictures in {asked.folder}")


if __name__ == "__main__":
    main()
