"""A real engine as its operators watch it: metrics over HTTP, a log in a file, alarms at a webhook."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.run.test_alarm_post import Hook
from tests.test_nginx import free_port
from tests.whole.processes import environment, run_command

pytestmark = pytest.mark.whole


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


def scrape(port: int) -> list[str]:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text.splitlines()
    except httpx.HTTPError:
        return []


def linted(text: str) -> str:
    """Return what Prometheus's own linter says of what an engine serves; empty where all is in order."""
    promtool = shutil.which("promtool")
    assert promtool is not None
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    return f"{done.stdout}{done.stderr}"


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool: on Debian, apt-get install prometheus"
)
def test_what_a_whole_engine_serves_passes_prometheus_s_linter(tmp_path: Path) -> None:
    """Every series of a running engine, but those of the process, which are the client library's own."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "run"], cwd=tmp_path,
        env=environment(METRICS_PORT=str(port), PRACTICE_SPEED="2"),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: lag_is_told(port))
        told = [line for line in scrape(port) if "process_" not in line]
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    finally:
        process.kill()
        process.wait()
    assert linted("updown-engine lag seconds 1\n") != "", "the linter finds fault with what is no metric"
    assert linted("\n".join(told) + "\n") == ""


def lag_is_told(port: int) -> bool:
    return {"p99", "p95"} <= set(re.findall(r'_lag_seconds{.*stat="(\w+)"', "\n".join(scrape(port))))


def test_a_kill_is_seen_by_prometheus_told_to_the_webhook_and_found_in_the_log(tmp_path: Path) -> None:
    """All without a console; the webhook's address is nowhere. A second engine says why it has no port."""
    hook, port = Hook(), free_port()
    settings = {
        "METRICS_PORT": str(port), "LOG_FILE": "logs/engine.log", "ALARM_URL": hook.url, "HAMER_SECS": "9",
        "PRACTICE_SPEED": "2",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "run"], cwd=tmp_path, env=environment(**settings),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until(lambda: 'updown_feed_connected{feed="rtds"} 1.0' in scrape(port))
        assert "updown_kill_latched 0.0" in scrape(port)
        until(lambda: lag_is_told(port))
        second = run_command("run", "--seconds", "1", cwd=tmp_path, METRICS_PORT=str(port), DATA_DIR="other")
        assert second.returncode == 0
        (said,) = [json.loads(line) for line in second.stderr.splitlines() if '"no metrics"' in line]
        assert f"METRICS_PORT {port}" in said["why"]
        run_command("kill", "--reason", "a test", cwd=tmp_path)
        assert "updown_kill_latched 1.0" in scrape(port)
        until(lambda: bool(hook.bodies))
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
        hook.close()
    assert process.returncode == 0, err
    assert hook.bodies[0]["kind"] == "kill"
    assert hook.bodies[0]["text"].endswith(": a test")
    log = (tmp_path / "logs/engine.log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"unknown setting", "session opened", "feed opened", "alarm"} <= {line["event"] for line in lines}
    assert "did you mean HAMMER_SECS?" in log
    assert "s3cr3t" not in log + err + out
