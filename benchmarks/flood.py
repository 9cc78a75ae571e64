"""Ten thousand book frames a second from another process into the whole engine, a console looking on.

The engine is the real one in its own thread, as in the console's server: paper, journal, raw recorder. Prices
and markets come from a practice venue, books from the flood. The console session is a subscriber of a real
desk whose every frame is encoded five times a second; there is no web server.
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import websockets

from benchmarks.recordings import burst_frames, sent_ns
from benchmarks.scene import tokens_of
from benchmarks.threads import cpu_seconds, since, waited_s
from engine.clock import ScaledClock
from engine.config import Settings, load_settings
from engine.core.state import Market
from engine.desk import Desk, Publish
from engine.kill import KillSwitch
from engine.run.engine import Engine
from engine.run.session import Session
from pages.component.message import frame

RATE = 10_000
SECONDS = 60.0
BASELINE_S = 10.0
CONSOLE_EVERY_S = 0.2
BEAT_S = 0.01
READY_S = 60.0


class WatchedHost:
    """The engine in its own thread, with a task beside it that measures how late the loop is."""

    error = None

    def __init__(self, settings: Settings, publish: Publish) -> None:
        self.kill = KillSwitch(settings.data_dir)
        self.engine = Engine(settings, publish)
        self.late_s: list[float] = []
        self.thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="engine", daemon=True)
        self._ready = threading.Event()

    @property
    def alive(self) -> bool:
        return self.thread.is_alive()

    def start(self) -> None:
        self.thread.start()
        self._ready.wait()

    def stop(self, timeout_s: float) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self.thread.join(timeout_s)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        gc.collect()
        gc.freeze()  # as the console's own thread does
        watching = asyncio.create_task(self._watch())
        await self.engine.run(self._stop)
        watching.cancel()

    async def _watch(self) -> None:
        while True:
            due = time.monotonic() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.late_s.append(time.monotonic() - due)


def measure(seconds: float = SECONDS) -> dict[str, Any]:
    """Return what became of the flood, and of the same one into a reader that only counts."""
    with tempfile.TemporaryDirectory() as folder:
        baseline = _baseline(min(seconds, BASELINE_S))
        with _sender() as (sender, port), _practice() as urls:
            urls["CLOB_WS_URL"] = f"ws://127.0.0.1:{port}"
            fields = {
                name.lower(): url for name, url in urls.items() if name.lower() in Settings.model_fields
            }
            settings = load_settings(Path(os.devnull), data_dir=Path(folder), venue=None, **fields)
            result = _flood(settings, sender, seconds)
    return {"frames_per_s": RATE, **result, "baseline": baseline}


def _flood(settings: Settings, sender: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    lags = array("q")
    with _seen_by_the_core(lags):
        desk = Desk(settings, WatchedHost)
        host = desk.host
        assert isinstance(host, WatchedHost)
        host.start()
        market = _open_market(host)
        console = Console(desk, settings)
        host.late_s.clear()
        cpu, waited = cpu_seconds(), waited_s(host.thread)
        told = _send(sender, {**_wish(host, market), "seconds": seconds})
        until = time.monotonic() + READY_S
        while len(lags) < told["sent"] and time.monotonic() < until and not told["slow_consumer_closes"]:
            time.sleep(0.01)
        spent, kept_waiting = since(cpu), waited_s(host.thread) - waited
        console.stop()
        host.stop(READY_S)
    session, raw = host.engine.session, host.engine.raw
    assert session is not None
    assert raw is not None
    assert host.engine.journal_path is not None
    state = session.state
    return {
        "frames_sent": told["sent"],
        "frames_processed": len(lags),
        "slow_consumer_closes": told["slow_consumer_closes"],
        "connections": told["connections"],
        "sender_largest_buffer_bytes": told["largest_buffer_bytes"],
        "sender_seconds": told["seconds"],
        "inbox_lag_p50_ms": _quantile_ms(lags, 0.5, 1e6),
        "inbox_lag_p99_ms": _quantile_ms(lags, 0.99, 1e6),
        "inbox_lag_max_ms": _quantile_ms(lags, 1.0, 1e6),
        "loop_lag_p99_ms": _quantile_ms(host.late_s, 0.99, 1e-3),
        "cpu_s": spent,
        "engine_waited_for_a_core_s": round(kept_waiting, 2),
        "console_frames": console.frames,
        "decisions": sum(state.decisions.values()),
        "backlog_changes": state.kinds["backlog_changed"],
        "halted": state.halted_why,
        "raw_frames": raw.frames["clob"],
        "raw_lost": state.kinds["frames_lost"],
        "raw_mb": round(raw.bytes / 1e6, 1),
        "journal_mb": round(host.engine.journal_path.stat().st_size / 1e6, 1),
    }


class Console:
    """One session of the console: drains its queue and encodes what a tab would get, five times a second."""

    def __init__(self, desk: Desk, settings: Settings) -> None:
        self.frames = 0
        self._desk = desk
        self._settings = settings
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="console", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the tab."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        queue = self._desk.hub.subscribe("benchmark")
        version = 0
        while not self._ended.wait(CONSOLE_EVERY_S):
            queue.drain()
            delta = self._desk.history.since(version)
            frame(delta, self._desk.health(), self._settings, "/kill")
            version = 0 if delta is None else delta.snapshot.version
            self.frames += 1


@contextmanager
def _seen_by_the_core(lags: "array[int]") -> Iterator[None]:
    """Note, for each frame of the flood that the core has taken in, how long ago it was sent."""
    original = Session.accept_frame

    def timed(self: Session, feed: str, text: str | bytes, parse: Any) -> bool:
        useful = original(self, feed, text, parse)
        if feed == "clob" and (sent := sent_ns(text)) is not None:
            lags.append(time.monotonic_ns() - sent)
        return useful

    Session.accept_frame = timed  # type: ignore[method-assign]  # the product has no hook for this, nor needs one
    try:
        yield
    finally:
        Session.accept_frame = original  # type: ignore[method-assign]


def _open_market(host: WatchedHost) -> Market:
    """Wait until a window runs and the books' socket is connected."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        session = host.engine.session
        if session is not None:
            state = session.state
            feed = state.feeds.get("clob")
            running = [
                market
                for market in list(state.markets.values())
                if market.contract.start_s * 1000 <= state.now_ms
            ]
            running.sort(key=lambda market: market.contract.end_s)
            if feed is not None and feed.connected and running:
                return running[-1]
        time.sleep(0.05)
    raise SystemExit("the engine did not come up within a minute")


def _wish(host: WatchedHost, market: Market) -> dict[str, Any]:
    """Return the burst's names as those of a market, and how far the engine's clock is ahead of the wall."""
    tokens, burst_market = tokens_of(burst_frames())
    contract = market.contract
    names = dict(zip(tokens, (contract.token_up, contract.token_down), strict=True))
    assert host.engine.session is not None
    clock = host.engine.session.clock
    ahead_ms = clock.now_ms() - time.time_ns() // 1_000_000 if isinstance(clock, ScaledClock) else 0
    return {"names": names | {burst_market: contract.condition_id}, "ahead_ms": ahead_ms, "rate": RATE}


def _baseline(seconds: float) -> dict[str, Any]:
    """Flood a bare reader that only counts."""
    lags = array("q")
    result: dict[str, Any] = {}

    async def read(port: int, flood: Any) -> None:
        url = f"ws://127.0.0.1:{port}"
        async with websockets.connect(url, compression=None, max_size=2**22, proxy=None) as connection:
            telling = asyncio.create_task(asyncio.to_thread(flood))
            before = time.thread_time()
            async for text in connection:
                lags.append(time.monotonic_ns() - (sent_ns(text) or 0))
                if len(lags) == RATE * seconds:
                    break
            result["cpu_s"] = round(time.thread_time() - before, 2)
            await telling

    with _sender() as (sender, port):
        wish = {"names": {}, "ahead_ms": 0, "rate": RATE, "seconds": seconds}
        asyncio.run(read(port, lambda: _send(sender, wish)))
    return {
        "what": "a bare websockets reader that counts",
        "frames": len(lags),
        "seconds": seconds,
        **result,
        "inbox_lag_p50_ms": _quantile_ms(lags, 0.5, 1e6),
        "inbox_lag_p99_ms": _quantile_ms(lags, 0.99, 1e6),
    }


@contextmanager
def _sender() -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "benchmarks.flood_sender"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender:
        try:
            yield sender, int(_pipe(sender.stdout).readline())
        finally:
            _pipe(sender.stdin).close()


@contextmanager
def _practice() -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "engine", "practice", "--seed", "1", "--speed", "1", "--with-parent"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as venue:
        try:
            yield json.loads(_pipe(venue.stdout).readline())
        finally:
            _pipe(venue.stdin).close()


def _send(sender: subprocess.Popen[str], wish: dict[str, Any]) -> dict[str, Any]:
    pipe = _pipe(sender.stdin)
    pipe.write(json.dumps(wish) + "\n")
    pipe.flush()
    told: dict[str, Any] = json.loads(_pipe(sender.stdout).readline())
    return told


def _pipe(end: IO[str] | None) -> IO[str]:
    assert end is not None
    return end


def _quantile_ms(values: Any, share: float, per_ms: float) -> float | None:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] / per_ms, 3) if ordered else None
