"""A scripted engine's console that can be made to get stuck, for tests and measurements of its plumbing.

``POST /stuck/interpreter?seconds=3`` holds the interpreter's lock in native code, ``POST /stuck/engine``
makes the scripted engine's thread silent for so long, ``POST /stuck/dead`` ends it, ``POST /stuck/page``
builds heavy charts. ``PUSH=refused`` leaves the push route out. ``PACE_S`` is the time between two snapshots.
"""

import ctypes
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine import desk
from engine.config import Settings, load_settings
from engine.snapshot import Snapshot
from pages.server import console_routes
from tests.browser.fake_engine import FakeHost, Market
from tests.browser.fake_scripts import SCRIPTS
from tests.browser.stage import Stage

REPOSITORY = Path(__file__).resolve().parents[2]
PACE_S = float(os.environ.get("PACE_S", "0.05"))


class PacedHost(FakeHost):
    """Publishes at a pace of its own; its thread can be blocked and ended."""

    blocked_until = 0.0
    late_s: list[float] = []  # noqa: RUF012 (one host a process)
    published: list[tuple[int, float]] = []  # noqa: RUF012
    cpu_s = 0.0

    def _run(self) -> None:
        script, market = self._script, Market(self.settings, self._script)
        for _ in range(script.lead_s):
            market.advance()
            self._publish(market.snapshot(0.0, self.kill))
        began = due = time.monotonic()
        while not self._stop.wait(max(0.0, due + PACE_S - time.monotonic())):
            due += PACE_S
            self.late_s.append(time.monotonic() - due)
            if time.monotonic() < PacedHost.blocked_until:
                time.sleep(max(0.0, PacedHost.blocked_until - time.monotonic()))
                due = time.monotonic()
            played = (time.monotonic() - began) * script.rate + script.lead_s
            while market.seconds < int(played):
                market.advance()
            snapshot = market.snapshot(played - int(played), self.kill)
            self.published.append((snapshot.version, time.time() * 1000))
            self._publish(snapshot)
            PacedHost.cpu_s = time.thread_time()


def paced(name: str) -> Callable[[Settings, Callable[[Snapshot], None]], PacedHost]:
    """Return a maker of hosts that play one of the scripts."""
    PacedHost.blocked_until, PacedHost.late_s[:], PacedHost.published[:] = 0.0, [], []
    return lambda settings, publish: PacedHost(settings, publish, SCRIPTS[name])


async def stuck(request: Request) -> Response:
    """Make something hang; answers at once."""
    seconds = float(request.query_params.get("seconds", "3"))
    what = request.path_params["what"]
    if what == "interpreter":
        # PyDLL, other than CDLL, keeps the interpreter's lock while the C function runs.
        hold = lambda: ctypes.PyDLL(None).usleep(int(seconds * 1e6))  # noqa: E731 (one use)
        threading.Timer(0.05, hold).start()
    elif what == "page":
        threading.Thread(target=build_charts, args=(seconds,), daemon=True).start()
    elif what == "engine":
        PacedHost.blocked_until = time.monotonic() + seconds
    elif what == "dead":
        counter = desk.current()
        assert counter is not None
        counter.host.stop(2.0)
    return Response("done")


def build_charts(seconds: float) -> None:
    """Do what a heavy page's script does: build figures in Python, one after the other."""
    from plotly import graph_objects

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        graph_objects.Figure(graph_objects.Scatter(y=[float(x % 97) for x in range(50_000)])).to_json()


async def published(_request: Request) -> Response:
    """Tell which snapshots were published since the last question, and when by the wall clock."""
    told, PacedHost.published[:] = list(PacedHost.published), []
    return Response("[" + ",".join(f"[{version},{at}]" for version, at in told) + "]")


async def lag(_request: Request) -> Response:
    """Tell how late the engine's ticks were since the last question, ms: p99, most; and its CPU seconds."""
    late, PacedHost.late_s[:] = sorted(PacedHost.late_s), []
    p99 = late[min(len(late) - 1, int(len(late) * 0.99))] * 1000 if late else 0.0
    return Response(f"{p99:.3f} {(late[-1] if late else 0) * 1000:.3f} {PacedHost.cpu_s:.4f}")


routes = console_routes()
if os.environ.get("PUSH") == "refused":
    routes = [route for route in routes if not route.path.endswith("/push")]  # type: ignore[attr-defined]
stage = Stage(load_settings(Path(os.devnull)), paced, os.environ.get("FAKE_SCRIPT", "hammer"))
app = st.App(
    REPOSITORY / os.environ.get("FRAME", "pages/frame.py"),
    lifespan=stage.lifespan,
    routes=[
        *routes,
        stage.route,
        Route("/stuck/{what}", stuck, methods=["POST"]),
        Route("/lag", lag),
        Route("/published", published),
    ],
)
