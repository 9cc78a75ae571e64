"""Two hundred of Streamlit's own sockets and three hundred of the push, against the console as it is served.

``tests/test_security_load.py`` floods the push alone, in one process. Here each of Streamlit's sockets is a
session that runs the page again and again, and a third of all read nothing. Takes about a minute and a half.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from engine.kill import KillSwitch
from engine.kill_token import read_token
from pages.server_push import TAB_LIMIT
from tests.test_nginx import free_port
from tests.whole.processes import environment

pytestmark = [pytest.mark.whole, pytest.mark.campaign, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
STREAMS, PUSHES = 200, 300
HELD_S = 40.0
"""How long the flood lasts once all sockets are open."""
ANSWER_S = 15.0
"""Within which health and kill route answer beside it; the guard has a process of its own."""
GUARD_S = 2.0
LAG_S = 5.0
"""p99 of how late the engine's loop is: beyond it the feeds count as stale, and nothing is bought."""
GONE_S = 200.0
LEFT_MB = 200.0
"""What may stay: Streamlit keeps a session that broke off for 120 s (.streamlit/config.toml)."""


class Console:
    """``dashboard.py`` as a process."""

    def __init__(self, folder: Path) -> None:
        self.data_dir, self.port, self.metrics_port = folder / "data", free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "console.log"
        command = [sys.executable, "-m", "streamlit", "run", "dashboard.py", "--server.port", str(self.port)]
        own = environment(
            DATA_DIR=str(self.data_dir), METRICS_PORT=str(self.metrics_port), ENV_FILE=os.devnull
        )
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "--server.address", "127.0.0.1"], cwd=ROOT, env=own, stdout=output, stderr=output
            )

    def health(self) -> dict[str, Any]:
        told: dict[str, Any] = httpx.get(f"{self.url}/healthz", timeout=60).json()
        return told

    def lag_s(self) -> float:
        """Return how late the engine's loop was in the last minute, p99."""
        text = httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=60).text
        (found,) = re.findall(r'^updown_inbox_lag_seconds\{stat="p99"\} (\S+)', text, re.MULTILINE)
        return float(found)

    def rss_mb(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    def kill(self, url: str) -> None:
        token = read_token(self.data_dir)
        answer = httpx.post(url, headers={"Authorization": f"Bearer {token}"}, content=b"a drill", timeout=60)
        assert answer.json()["latched"] is True


@contextmanager
def served(folder: Path) -> Iterator[Console]:
    console = Console(folder)
    try:
        yield console
    finally:
        console.process.terminate()
        try:
            console.process.wait(30)
        except subprocess.TimeoutExpired:
            console.process.kill()
            console.process.wait()
            pytest.fail(
                f"the console did not end within 30 s of SIGTERM:\n{console.log.read_text()[-4_000:]}"
            )


@contextmanager
def flood(url: str, streams: int, pushes: int) -> Iterator[Callable[[], dict[str, Any]]]:
    """Open sockets from another process; yield what tells how they are."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.whole.flood_clients", url, str(streams), str(pushes)],
        cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def told() -> dict[str, Any]:
        stdin.write("\n")
        stdin.flush()
        state: dict[str, Any] = json.loads(stdout.readline())
        return state

    try:
        json.loads(stdout.readline())
        yield told
    finally:
        stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def took_s(deed: Callable[[], object]) -> float:
    began = time.monotonic()
    deed()
    return time.monotonic() - began


def until(holds: Callable[[], bool], patience_s: float, words: str) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, words
        time.sleep(0.5)


def test_two_hundred_sessions_and_three_hundred_pushes_keep_nobody_from_the_kill_switch(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Health, kill route and guard answer beside them; the engine goes on; what they took is given back."""
    with served(tmp_path) as console:
        until(lambda: _is_well(console), 90, "the console did not start")
        time.sleep(5)
        figures: dict[str, Any] = {"rss_before_mb": console.rss_mb(), "lag_before_s": console.lag_s()}
        began = time.monotonic()
        with flood(console.url, STREAMS, PUSHES) as told:
            figures["opened_s"] = time.monotonic() - began
            health, held_until = [], time.monotonic() + HELD_S
            while time.monotonic() < held_until:
                health.append(took_s(lambda: figures.update(sessions=console.health()["sessions"])))
                figures["rss_most_mb"] = max(figures.get("rss_most_mb", 0.0), console.rss_mb())
                time.sleep(0.5)
            figures |= told() | {"healthz_most_s": max(health), "lag_s": console.lag_s()}
            figures["age_s"] = console.health()["snapshot_age_s"]
            figures["guard_s"] = took_s(lambda: console.kill(f"http://127.0.0.1:{console.port + 1}/kill"))
            figures["kill_s"] = took_s(lambda: console.kill(f"{console.url}/kill"))
            assert KillSwitch(console.data_dir).is_tripped()
        until(lambda: console.health()["sessions"] == 0, GONE_S, "sessions are left")
        until(lambda: _gave_back(console, figures), 60, f"memory is not given back: {figures}")
        figures["rss_after_mb"] = console.rss_mb()
        again_s = took_s(lambda: _one_more(console))
        print(json.dumps(figures | {"again_s": again_s}))
        for name, value in figures.items():
            record_property(name, value)
        sockets = figures["sockets"]
        assert sockets["/_stcore/stream open"] == STREAMS
        assert sockets["/push open"] == TAB_LIMIT
        assert sockets["/push 403"] == PUSHES - TAB_LIMIT
        assert figures["sessions"] == STREAMS
        assert figures["ran"] > STREAMS
        assert figures["healthz_most_s"] < ANSWER_S
        assert figures["kill_s"] < ANSWER_S
        assert figures["guard_s"] < GUARD_S
        assert figures["lag_s"] < LAG_S
        assert figures["age_s"] < LAG_S
        assert again_s < ANSWER_S


def _is_well(console: Console) -> bool:
    assert console.process.poll() is None, console.log.read_text()
    try:
        return console.health()["state"] == "running" and console.lag_s() >= 0
    except (httpx.HTTPError, KeyError, ValueError):
        return False


def _gave_back(console: Console, figures: dict[str, Any]) -> bool:
    return console.rss_mb() < float(figures["rss_before_mb"]) + LEFT_MB


def _one_more(console: Console) -> None:
    """A tab that comes afterwards is served like the first."""
    with flood(console.url, 1, 1) as told:
        assert told()["sockets"] == {"/_stcore/stream open": 1, "/push open": 1}
