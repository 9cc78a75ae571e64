"""Frames a second from text to decision on one core, against decoding alone."""

import json
import statistics
import time
from typing import Any

import msgspec

from benchmarks.recordings import burst_frames
from benchmarks.scene import opened_state
from engine.core.decide import Decision
from engine.core.step import step
from engine.events import Record
from engine.wire import clob_market

RUNS = 9


def measure() -> dict[str, Any]:
    """Run the whole capture several times through a fresh core; medians."""
    frames = burst_frames()
    now_ms = int(json.loads(frames[0])["timestamp"])
    runs = [_once(frames, now_ms) for _ in range(RUNS)]
    whole = statistics.median(seconds for seconds, _ in runs)
    decoder = msgspec.json.Decoder()
    decoding = statistics.median(
        _timed(lambda: [decoder.decode(frame) for frame in frames]) for _ in range(RUNS)
    )
    stdlib = statistics.median(_timed(lambda: [json.loads(frame) for frame in frames]) for _ in range(RUNS))
    return {
        "frames": len(frames),
        "decisions": runs[-1][1],
        "frames_per_s": round(len(frames) / whole),
        "us_per_frame": round(whole / len(frames) * 1e6, 2),
        "baseline_msgspec_decode_per_s": round(len(frames) / decoding),
        "baseline_json_loads_per_s": round(len(frames) / stdlib),
        "ratio_to_msgspec_decode": round(decoding / whole, 3),
    }


def _once(frames: list[str], now_ms: int) -> tuple[float, int]:
    state, seq = opened_state(frames, now_ms)
    parse = clob_market.parse
    decisions = 0
    started = time.perf_counter()
    for frame in frames:
        for event in parse(frame, now_ms):
            seq += 1
            for effect in step(state, Record(seq, event)):
                decisions += isinstance(effect, Decision)
    return time.perf_counter() - started, decisions


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
