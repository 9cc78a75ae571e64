"""The console in headless Chromium: an event until its pixels, what it costs, the kill when things are stuck.

The engine is scripted and publishes 20 snapshots a second (``tests/browser/stuck_dashboard.py``). One session
and five are real tabs; twenty are one real tab and nineteen protocol clients. An event is a snapshot; it is
on the screen with the first painted frame that holds it or a later one. ``inbox_lag`` is the lateness of the
engine thread's own ticks, which share the interpreter with the server. ``server_cpu`` is the whole process
less the scripted engine's thread, which is told beside it.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.paint import FLAGS, ROOT

SECONDS = 60.0
WINDOW_S = 10.0
WARM_S = 4.0
CLICKS = 8
FIND = """((selector) => { const find = (root) => { for (const one of root.querySelectorAll("*")) {
  if (one.matches(selector)) return one;
  const inside = one.shadowRoot && find(one.shadowRoot); if (inside) return inside; } return null; };
  return find(document); })"""
PROBE = f"""(selector) => {{
  const seen = (window.__seen = []); const long = (window.__long = []); let last = "";
  new PerformanceObserver((list) => list.getEntries().forEach((one) => long.push(one.duration)))
    .observe({{ entryTypes: ["longtask"] }});
  const version = () => selector === ".live" ? {FIND}(".live")?.dataset.version
    : document.querySelector(".gtitle")?.textContent;
  const look = () => {{
    const now = version();
    if (now && now !== last) {{
      last = now;
      const painted = new MessageChannel();
      painted.port1.onmessage = () => seen.push([Number(now), Date.now()]);
      painted.port2.postMessage(0);
    }}
    requestAnimationFrame(look);
  }};
  requestAnimationFrame(look);
}}"""
CLICK = f"""async () => {{
  const button = {FIND}(".control button.kill");
  const line = button.closest(".kill-box").querySelector(".kill-line");
  const wall = Date.now(), began = performance.now();
  button.click();
  while (!/^(LATCHED|KILLED)/.test(line.textContent)) await new Promise((done) => setTimeout(done, 1));
  return [wall, performance.now() - began];
}}"""

TELLS = f"""async ([route, word]) => {{
  const began = performance.now();
  await fetch(route, {{ method: "POST" }});
  const said = () => {FIND}(".status .mode")?.textContent ?? "";
  while (!said().startsWith(word)) await new Promise((done) => setTimeout(done, 5));
  return performance.now() - began;
}}"""
SILENCES = 5


class Server:
    """A console as its own process."""

    def __init__(self, url: str, folder: Path, process: psutil.Process) -> None:
        self.url, self.folder, self.process = url, folder, process

    def ask(self, path: str, method: str = "GET") -> str:
        """Ask one of its routes."""
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.read().decode())


def measure(seconds: float = SECONDS) -> dict[str, Any]:
    """Return milliseconds, shares of one core and megabytes, by way and number of sessions."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (a test dependency)

    binary = shutil.which("chromium")
    if binary is None:
        raise SystemExit("no Chromium: install Debian's package chromium")
    result: dict[str, Any] = {}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        for name, tabs, clients, variables in (
            ("pushed_1", 1, 0, {}),
            ("pushed_5", 5, 0, {}),
            ("pushed_20", 1, 19, {}),
            ("fragment_1", 1, 0, {"PUSH": "refused"}),
            ("fragment_5", 5, 0, {"PUSH": "refused"}),
        ):
            with _server(**variables) as server:
                window = seconds if name == "pushed_1" else min(seconds, WINDOW_S)
                result[name] = _scenario(chromium, server, (tabs, clients), window)
                if name == "pushed_1":
                    result["kill"] = _kill(chromium, server)
                    result["told"] = _told(chromium, server)
        with _server(FRAME="benchmarks/console_plotly.py") as server:
            told = _scenario(chromium, server, (1, 0), min(seconds, WINDOW_S), ".plotly")
            result["baseline_plotly_fragment_1"] = told
        chromium.close()
    return result


def _scenario(
    chromium: Any, server: Server, sessions: tuple[int, int], seconds: float, what: str = ".live"
) -> dict[str, Any]:
    tabs, clients = sessions
    pages = [chromium.new_context(viewport={"width": 1440, "height": 900}).new_page() for _ in range(tabs)]
    first_paint = 0.0
    for page in pages:
        asked = time.monotonic()
        page.goto(server.url)
        page.wait_for_selector(".card .phase" if what == ".live" else ".gtitle", timeout=60_000)
        first_paint = first_paint or time.monotonic() - asked
    with _clients(server, clients):
        pages[0].wait_for_timeout(WARM_S * 1000)
        pages[0].evaluate(PROBE, what)
        devtools = pages[0].context.new_cdp_session(pages[0])
        engine_cpu = float(server.ask("/lag").split()[2])
        server.ask("/published")
        heap, rss = _heap(devtools), server.process.memory_info().rss
        began, cpu = time.monotonic(), sum(server.process.cpu_times()[:2])
        pages[0].wait_for_timeout(seconds * 1000)
        spent = (sum(server.process.cpu_times()[:2]) - cpu) / (time.monotonic() - began)
        wall = time.monotonic() - began
        lag = server.ask("/lag").split()
        engine = (float(lag[2]) - engine_cpu) / wall
        seen, long = pages[0].evaluate("[window.__seen, window.__long]")
        lags = _lags(json.loads(server.ask("/published")), seen)
        heap_end, rss_end = _heap(devtools), server.process.memory_info().rss
    for page in pages:
        page.context.close()
    return {
        "seconds": seconds,
        "event_to_pixels_p50_ms": _quantile(lags, 0.5),
        "event_to_pixels_p95_ms": _quantile(lags, 0.95),
        "frames_per_s": round(len(seen) / seconds, 1),
        "server_cpu_percent": round((spent - engine) * 100, 1),
        "scripted_engine_cpu_percent": round(engine * 100, 1),
        "inbox_lag_p99_ms": float(lag[0]),
        "inbox_lag_max_ms": float(lag[1]),
        "first_paint_s": round(first_paint, 2),
        "long_tasks_over_200_ms": sum(one > 200 for one in long),
        "longest_task_ms": round(max(long, default=0.0)),
        "page_heap_mb": [round(heap / 1e6, 2), round(heap_end / 1e6, 2)],
        "server_rss_mb": [round(rss / 1e6, 1), round(rss_end / 1e6, 1)],
    }


def _kill(chromium: Any, server: Server) -> dict[str, Any]:
    """Click with the engine's thread blocked and heavy charts being built; then with the interpreter held."""
    page = chromium.new_context().new_page()
    page.goto(server.url)
    page.wait_for_selector(".card .phase", timeout=60_000)
    page.wait_for_timeout(2000)
    told: dict[str, Any] = {}
    for name, stuck in (
        ("busy_page_and_blocked_engine", ("engine", "page")),
        ("interpreter_held", ("interpreter",)),
    ):
        latched: list[float] = []
        confirmed: list[float] = []
        for _ in range(CLICKS):
            for what in stuck:
                server.ask(f"/stuck/{what}?seconds=2", "POST")
            page.wait_for_timeout(300)
            wall, took = page.evaluate(CLICK)
            latch = json.loads((server.folder / "KILL").read_text())
            latched.append(latch["since_ms"] - wall)
            confirmed.append(took)
            page.wait_for_timeout(2500)
            (server.folder / "KILL").unlink()
            page.wait_for_timeout(1500)
        told[name] = {
            "clicks": CLICKS,
            "to_latch_p50_ms": _quantile(latched, 0.5),
            "to_latch_max_ms": _quantile(latched, 1.0),
            "to_confirmed_p50_ms": _quantile(confirmed, 0.5),
            "to_confirmed_max_ms": _quantile(confirmed, 1.0),
        }
    page.context.close()
    return told


def _told(chromium: Any, server: Server) -> dict[str, Any]:
    """How long until the page says that the engine is silent, and that its thread is dead."""
    page = chromium.new_context().new_page()
    page.goto(server.url)
    page.wait_for_selector(".card .phase", timeout=60_000)
    silent: list[float] = []
    for _ in range(SILENCES):
        page.wait_for_timeout(2000)
        silent.append(page.evaluate(TELLS, ["/stuck/engine?seconds=4", "UNKNOWN"]))
        page.wait_for_timeout(4000)
    dead = page.evaluate(TELLS, ["/stuck/dead", "ENGINE DOWN"])
    page.context.close()
    return {
        "silent_p50_ms": _quantile(silent, 0.5),
        "silent_max_ms": _quantile(silent, 1.0),
        "dead_ms": round(dead, 1),
    }


def _lags(published: list[list[float]], seen: list[list[float]]) -> list[float]:
    lags, place = [], 0
    for version, at in published:
        while place < len(seen) and seen[place][0] < version:
            place += 1
        if place == len(seen):
            break
        lags.append(seen[place][1] - at)
    return lags


def _heap(devtools: Any) -> float:
    devtools.send("HeapProfiler.collectGarbage")
    return float(devtools.send("Runtime.getHeapUsage")["usedSize"])


def _quantile(values: list[float], share: float) -> float | None:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1) if ordered else None


@contextmanager
def _clients(server: Server, count: int) -> Iterator[None]:
    if not count:
        yield
        return
    command = [sys.executable, "-m", "benchmarks.console_clients", server.url, str(count)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as clients:
        assert clients.stdin is not None
        assert clients.stdout is not None
        clients.stdout.readline()
        try:
            yield
        finally:
            clients.stdin.close()


@contextmanager
def _server(**variables: str) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        own = {"DATA_DIR": str(data), "METRICS_PORT": "0", "PYTHONPATH": str(ROOT)}
        environment = os.environ | own | variables
        script = "tests/browser/stuck_dashboard.py"
        command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
        command += ["--server.address", "127.0.0.1"]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            server = Server(f"http://127.0.0.1:{port}", data, psutil.Process(process.pid))
            try:
                _await(server)
                yield server
            finally:
                process.terminate()
                process.wait(20)


def _await(server: Server) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            server.ask("/healthz")
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the console did not answer within a minute")
