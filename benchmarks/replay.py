"""Replay: events a second through the core, seeking in a day, a slider step until its pixels in Chromium.

The core's figure is the burst capture with 1 Hz prices, decoded in memory; its baseline in the same run is
the same loop with nothing but the look-up of an event's kind, and the decoding of the same records; all three
in time of the processor. The day is synthetic: 24 hours, a window in five minutes, prices every second, two
book changes a second.
"""

import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.console import FIND
from benchmarks.paint import FLAGS, ROOT
from benchmarks.replay_scene import DAY_START_S, burst_records, keep_day
from engine import events as e
from engine.core.state import State
from engine.core.step import step
from engine.run.replay.index import build, index_path
from engine.run.replay.player import Player

RUNS = 15
SEEKS = 60
HOURS = float(os.environ.get("REPLAY_HOURS", "24"))
SESSION = "20260922T000000Z-da7000"
STEP = f"""async (second) => {{
  const replay = {FIND}(".replay"), slider = {FIND}(".replay-slider");
  const began = performance.now();
  slider.value = second; slider.dispatchEvent(new Event("input", {{ bubbles: true }}));
  while (replay.dataset.at !== String(second * 1000)) await new Promise((done) => setTimeout(done, 1));
  await new Promise((done) => requestAnimationFrame(() => {{
    const painted = new MessageChannel(); painted.port1.onmessage = done; painted.port2.postMessage(0); }}));
  return performance.now() - began;
}}"""


def measure() -> dict[str, Any]:
    """Return events a second, milliseconds, and what the index weighs."""
    result = _core()
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "data" / "sessions" / f"{SESSION}.sqlite"
        began = time.monotonic()
        events = keep_day(journal, HOURS)
        written = time.monotonic()
        build(journal)
        result |= {
            "hours": HOURS,
            "events": events,
            "events_per_s_of_session": round(events / HOURS / 3600, 1),
            "write_s": round(written - began, 1),
            "index_s": round(time.monotonic() - written, 1),
            "journal_mb": round(journal.stat().st_size / 1e6, 1),
            "index_mb": round(index_path(journal).stat().st_size / 1e6, 1),
        }
        result |= _seeks(journal)
        result |= _slider(Path(folder))
    return result


def _core() -> dict[str, Any]:
    records, before = burst_records()
    burst = records[before:]
    encoder = msgspec.msgpack.Encoder()
    decoder = msgspec.msgpack.Decoder(e.AnyEvent)
    bodies = [encoder.encode(record.event) for record in burst]
    handlers = {type(record.event): type(record.event) for record in burst}

    def play(chosen: list[e.Record]) -> float:
        state = State()
        for record in records[:before]:
            step(state, record)
        return _worked(lambda: [step(state, record) for record in chosen])

    others = [record for record in burst if not isinstance(record.event, e.LevelsChanged)]
    runs = [play(burst) for _ in range(RUNS)]
    rest_s = statistics.median(play(others) for _ in range(RUNS))
    level_s = (statistics.median(runs) - rest_s) / (len(burst) - len(others))
    floor = [_worked(lambda: [handlers[type(record.event)] for record in burst]) for _ in range(RUNS)]
    decoding = [_worked(lambda: [decoder.decode(body) for body in bodies]) for _ in range(RUNS)]
    return {
        "burst_events": len(burst),
        "step_events_per_s": round(len(burst) / statistics.median(runs)),
        "step_events_per_s_best": round(len(burst) / min(runs)),
        "level_event_us": round(level_s * 1e6, 2),
        "other_event_us": round(rest_s / len(others) * 1e6, 1),
        "baseline_dispatch_per_s": round(len(burst) / statistics.median(floor)),
        "baseline_decode_per_s": round(len(burst) / statistics.median(decoding)),
    }


def _seeks(journal: Path) -> dict[str, Any]:
    player, draw = Player(journal), random.Random(7)
    times = []
    for _ in range(SEEKS):
        at_ms = draw.randrange(player.span.first_ms, player.span.last_ms)
        times.append(_timed(lambda at_ms=at_ms: player.seek(at_ms)) * 1000)  # type: ignore[misc]
    return {"seek_p50_ms": _quantile(times, 0.5), "seek_p95_ms": _quantile(times, 0.95)}


def _slider(folder: Path) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (a test dependency)

    from tests.browser.conftest import serve  # noqa: PLC0415 (same)

    binary = shutil.which("chromium")
    if binary is None:
        raise SystemExit("no Chromium: install Debian's package chromium")
    os.chdir(ROOT)
    draw, last = random.Random(8), DAY_START_S + int(HOURS * 3600) - 1
    with (
        serve("tests/browser/fake_dashboard.py", folder, FAKE_SCRIPT="live") as served,
        sync_playwright() as run,
    ):
        chromium = run.chromium.launch(executable_path=binary, args=FLAGS)
        page = chromium.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.goto(f"{served.url}/replay?session={SESSION}")
        page.wait_for_selector(".replay[data-at]", timeout=60_000)
        page.wait_for_timeout(2_000)
        anywhere = [page.evaluate(STEP, draw.randrange(DAY_START_S, last)) for _ in range(SEEKS)]
        begin = draw.randrange(DAY_START_S + 1_000, last - SEEKS)
        page.evaluate(STEP, begin)
        onwards = [page.evaluate(STEP, begin + place + 1) for place in range(SEEKS)]
        chromium.close()
    return {
        "slider_anywhere_p50_ms": _quantile(anywhere, 0.5),
        "slider_anywhere_p95_ms": _quantile(anywhere, 0.95),
        "slider_second_p50_ms": _quantile(onwards, 0.5),
        "slider_second_p95_ms": _quantile(onwards, 0.95),
    }


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _worked(work: Callable[[], Any]) -> float:
    """Return seconds of the processor: what else runs on the machine is none of the core's."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1)
