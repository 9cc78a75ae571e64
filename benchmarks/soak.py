"""The whole console on practice at ten times the clock, with random faults and tabs that come and go.

Five sessions of a real Chromium open and close while the venue breaks something again and again. Every two
seconds the server's process is asked what it holds (``soak_console.py``), and at the end each figure is
judged: flat or not (``soak_sums.py``). ``python -m benchmarks soak --minutes 20``.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.paint import FLAGS, ROOT
from benchmarks.soak_sums import judged

SPEED: Final = 10
SAMPLE_S: Final = 2.0
TABS: Final = 5
TAB_STAYS_S: Final = (4.0, 30.0)
"""Shortest and longest time that a tab stays open; then another one is opened on another page."""
PAGES: Final = ("", "decisions", "ledger", "execution", "health", "truth", "sessions", "mode")
PLAN: Final = {"seed": 7, "every": 60, "longest": 120}
"""Of the random faults: a minute of the venue between two on average, each for two at most."""
FIRST_S: Final = 90.0
"""Wall seconds within which everything has to be well before the first fault, and again after the last."""


def measure(seconds: float = 360.0, tabs: int = TABS) -> dict[str, Any]:
    """Return what the run came to.

    Args:
        seconds: Wall seconds of faults and tabs; 360 are an hour of the venue.
        tabs: Browser sessions at once; 0 needs no browser.
    Returns:
        ``verdict`` (``broken`` where the engine ended or halted, whatever is flat) and ``figures`` (first,
        last, most, slope an hour, flat), ``venue_minutes``, ``faults``, ``tabs_opened``, ``tab_errors``,
        ``healed_s``, ``halted``, ``error``, ``reconnects``, ``refused``, ``bad_prices``, ``verdicts`` of
        settlements, and whether the session's proof holds.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder) / "data"
        venue = stack.enter_context(_venue(Path(folder)))
        console = stack.enter_context(_console(venue, data))
        _until(lambda: _asked(console).get("well") is True, FIRST_S)
        samples: list[dict[str, Any]] = []
        opened, errors = _with_tabs(tabs, console, _broken(venue, samples, console, seconds))
        status = httpx.get(f"{venue['CLOB_HOST']}/status", timeout=10).json()
        healed = _until(lambda: _asked(console).get("well") is True, FIRST_S)
        last = _asked(console)
        stack.close()
        proof = _proof(data)
    told = judged(samples)
    if broken := whats_broken(last, proof):
        told["verdict"] = f"broken: {broken}"
    return told | {
        "seconds": round(samples[-1]["at_s"], 1),
        "venue_minutes": round(SPEED * samples[-1]["at_s"] / 60, 1),
        # The venue keeps the last ones only; they are numbered from 1, the plan itself among them.
        "faults": max((one["id"] for one in (*status["faults"], *status["faults_ended"])), default=1) - 1,
        "tabs_opened": opened,
        "tab_errors": errors[:5],
        "healed_s": round(healed, 2),
        "proof": proof,
        **{name: last.get(name) for name in ("state", "error", "halted", "reconnects", "refused")},
        **{name: last.get(name) for name in ("bad_prices", "verdicts", "orders", "seq")},
    }


def whats_broken(last: dict[str, Any], proof: str) -> str:
    """Say why a run is none, or nothing: an engine that has stopped is flat too.

    Args:
        last: What the server told at the end.
        proof: What the proof by replay of its session came to.
    """
    if last.get("state") != "running":
        return f"the engine is {last.get('state')}: {last.get('error')}"
    if last.get("halted") is not None:
        return f"the engine halted: {last['halted']}"
    return "" if proof.startswith("identical") else f"the session's proof: {proof}"


def _broken(
    venue: dict[str, str], samples: list[dict[str, Any]], console: str, seconds: float
) -> Callable[[Callable[[], None]], None]:
    """Return the run itself: it breaks the venue, samples, and lets the tabs have their turn meanwhile."""

    def run(turn: Callable[[], None]) -> None:
        control = f"{venue['CLOB_HOST']}/control/fault"
        httpx.post(control, json={"name": "random", "args": PLAN}, timeout=10).raise_for_status()
        began = next_s = time.monotonic()
        try:
            while time.monotonic() - began < seconds:
                turn()
                if time.monotonic() >= next_s:
                    next_s += SAMPLE_S
                    samples.append(_asked(console) | {"at_s": time.monotonic() - began})
                time.sleep(0.1)
        finally:
            httpx.delete(control, timeout=10).raise_for_status()

    return run


def _with_tabs(count: int, console: str, run: Callable[[Callable[[], None]], None]) -> tuple[int, list[str]]:
    """Run something with tabs that come and go; return how many were opened, and what went wrong in them."""
    if not count:
        run(lambda: None)
        return 0, []
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (a test dependency)

    binary = shutil.which("chromium")
    if binary is None:
        raise SystemExit("no Chromium: install Debian's package chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        tabs = Tabs(chromium, console, count)
        run(tabs.turn)
        tabs.close()
        chromium.close()
    return tabs.opened, tabs.errors


class Tabs:
    """Browser sessions, each of its own context: opened on some page, closed after a while."""

    def __init__(self, chromium: Any, console: str, count: int) -> None:
        self.opened = 0
        self.errors: list[str] = []
        self._chromium, self._console, self._count = chromium, console, count
        self._open: list[tuple[float, Any]] = []
        self._chance = random.Random(11)

    def turn(self) -> None:
        """Close one whose time is over, open one that is missing; at most one of each: it takes a while."""
        now = time.monotonic()
        over = next((one for one in self._open if one[0] <= now), None)
        if over is not None:
            self._open.remove(over)
            over[1].close()
        if len(self._open) < self._count:
            context = self._chromium.new_context(viewport={"width": 1280, "height": 800})
            page = context.new_page()
            page.on("pageerror", lambda error: self.errors.append(str(error)[:200]))
            address = f"{self._console}/{self._chance.choice(PAGES)}"
            page.goto(address, wait_until="commit", timeout=60_000)
            self.opened += 1
            self._open.append((now + self._chance.uniform(*TAB_STAYS_S), context))
        elif self._open:
            self._open[0][1].pages[0].wait_for_timeout(20)  # lets the browser's own messages through

    def close(self) -> None:
        """Close all."""
        for _, context in self._open:
            context.close()


def _proof(data: Path) -> str:
    """Prove what the run recorded."""
    from engine.journal_read import session_files  # noqa: PLC0415 (beside its one use)
    from engine.run.verify.proof import verify  # noqa: PLC0415

    return "; ".join(verify(path).words for path in session_files(data / "sessions")) or "no session"


def _asked(console: str) -> dict[str, Any]:
    """Ask the server what it holds; nothing where it does not answer in time."""
    try:
        with urllib.request.urlopen(f"{console}/soak", timeout=20) as answer:
            told: dict[str, Any] = json.loads(answer.read())
            return told
    except (OSError, urllib.error.URLError):
        return {}


def _until(what: Callable[[], bool], patience_s: float) -> float:
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > patience_s:
            raise SystemExit(f"the console was not well within {patience_s:g} s")
        time.sleep(0.2)
    return time.monotonic() - began


@contextmanager
def _venue(folder: Path) -> Iterator[dict[str, str]]:
    """Start the practice venue as a process; its URLs by the settings' names."""
    command = [sys.executable, "-m", "engine", "practice", "--port", "0", "--with-parent"]
    command += ["--seed", "11", "--speed", str(SPEED)]
    with subprocess.Popen(
        command, cwd=folder, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            urls: dict[str, str] = json.loads(process.stdout.readline())
            yield urls
        finally:
            process.stdin.close()


@contextmanager
def _console(urls: dict[str, str], data: Path) -> Iterator[str]:
    """Start the console as a process; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "benchmarks/soak_console.py"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    keys = {"API_KEY": "practice", "API_SECRET": "cHJhY3RpY2U=", "API_PASSPHRASE": "practice"}
    own = keys | urls | {"DATA_DIR": str(data), "METRICS_PORT": "0"}
    with subprocess.Popen(
        command, cwd=ROOT, env=_environment() | own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            _until(lambda: process.poll() is not None or bool(_asked(address)), FIRST_S)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _environment() -> dict[str, str]:
    """Return the variables of a process of ours: no addresses, no settings of anybody's."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    return kept | {"PYTHONPATH": str(ROOT), "ENV_FILE": os.devnull, "SECRETS_FILE": os.devnull}
