"""Practice at ten times the clock with random faults, for as long as told: what is left at the end?"""

import gc
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from benchmarks.venue_scene import Scene, scene

SPEED: Final = 10
SAMPLE_S: Final = 2.0


def measure(seconds: float = 360.0) -> dict[str, Any]:
    """Return what the run came to.

    Args:
        seconds: Wall seconds; 360 are an hour of the venue.
    Returns:
        Memory (early, end, slope a minute), threads, file handles, faults by name, windows by how their
        strike is known, books compared with the venue's own at the end, task errors, why it halted.
    """
    process = psutil.Process()
    samples: list[tuple[float, float]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        scene(Path(folder), "--seed", "11", "--speed", str(SPEED)) as venue,
    ):
        venue.until(venue.is_well, 60)
        threads, handles = threading.active_count(), process.num_fds()
        began = time.monotonic()
        with venue.fault("random", seed=7, every=60, longest=120):
            while time.monotonic() - began < seconds and venue.thread.is_alive():
                time.sleep(SAMPLE_S)
                samples.append((time.monotonic() - began, process.memory_info().rss / 1e6))
            status = httpx.get(f"{venue.urls['CLOB_HOST']}/status", timeout=10).json()
        healed = venue.until(venue.is_well)
        result = {
            "venue_minutes": round(SPEED * seconds / 60, 1),
            # The venue keeps the last ones only; they are numbered from 1, the plan itself among them.
            "faults": max(one["id"] for one in (*status["faults"], *status["faults_ended"])) - 1,
            "healed_s": round(healed, 2),
            "windows": _windows(venue),
            "verdicts": _verdicts(venue),
            "books": _books(venue),
            "bad_prices": venue.now.bad_prices,
            "reconnects": {feed.name: feed.reconnects for feed in venue.now.feeds},
            "refused": {feed.name: feed.refused for feed in venue.now.feeds},
            "halted": venue.now.mode.halted_why,
            "task_errors": venue.task_errors,
            "threads": [threads, threading.active_count()],
            "file_handles": [handles, process.num_fds()],
        }
    gc.collect()
    return result | _memory(samples) | {"engine_error": None if venue.error is None else repr(venue.error)}


def _windows(venue: Scene) -> dict[str, int]:
    """Count the windows that began under the engine's eyes by how their strike is known."""
    opened_s = venue.state.opened_ms / 1000
    counts: dict[str, int] = {}
    for market in (*venue.state.past, *venue.state.markets.values()):
        if opened_s < market.contract.start_s < venue.now.now_ms / 1000 - 10:
            known = "unknown" if market.strike is None else market.strike.source
            counts[known] = counts.get(known, 0) + 1
    return counts


def _verdicts(venue: Scene) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in venue.now.settlements:
        counts[row.verdict] = counts.get(row.verdict, 0) + 1
    return counts


def _books(venue: Scene) -> dict[str, int]:
    """Compare each running book, level by level, with the venue's own, asked for by REST."""
    tokens = [token for one in venue.running() for token in venue.tokens_of(one.slug)]
    equal = sum(any(_same(venue, token) for _ in range(20)) for token in tokens)
    return {"equal": equal, "different": len(tokens) - equal}


def _same(venue: Scene, token: str) -> bool:
    """Say whether a book is the venue's; a frame may be under way, so it is asked again after a pause."""
    same = venue.book_is_the_venues(token)
    if not same:
        time.sleep(0.05)
    return same


def _memory(samples: list[tuple[float, float]]) -> dict[str, Any]:
    """Return the memory early and late, and its slope over the second half, megabytes a minute."""
    half = samples[len(samples) // 2 :]
    times, values = [at for at, _ in half], [mb for _, mb in half]
    mean_t, mean_v = sum(times) / len(times), sum(values) / len(values)
    spread = sum((at - mean_t) ** 2 for at in times)
    slope = sum((at - mean_t) * (mb - mean_v) for at, mb in half) / spread if spread else 0.0
    return {
        "rss_mb_early": round(samples[min(5, len(samples) - 1)][1], 1),
        "rss_mb_end": round(samples[-1][1], 1),
        "rss_mb_a_minute": round(slope * 60, 2),
    }
