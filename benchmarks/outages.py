"""How soon the engine is well again after an outage: fresh data, right books."""

import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.venue_scene import scene

ROUNDS: Final = 5
LASTS_S: Final = 1.0
"""Wall seconds of a fault at least; at ten times the clock ten venue seconds, so every feed goes stale."""

OUTAGES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("stall", {}),
    ("stall", {"feed": "rtds", "topic": "twap"}),
    ("half-open", {"feed": "clob"}),
    ("half-open", {"feed": "rtds"}),
    ("close", {"code": "1006"}),
    ("close", {"code": "1011", "feed": "clob"}),
    ("reconnect-storm", {"ms": 300}),
    ("refuse-connect", {"status": "503", "retry_after_s": 1}),
    ("crossed-book", {}),
    ("lost-delta", {"count": 3}),
    ("truncated-json", {"feed": "clob", "every": 20}),
)


def measure() -> dict[str, Any]:
    """Return seconds of the wall from the end of each outage until all is well: by fault, and together."""
    by_fault: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        scene(Path(folder), "--seed", "5", "--speed", "10") as venue,
    ):
        venue.until(venue.is_well, 60)
        for _ in range(ROUNDS):
            for name, args in OUTAGES:
                venue.until(venue.is_well)
                with venue.fault(name, **args):
                    began = venue.now.wall_ms
                    venue.until(lambda began=began: venue.now.wall_ms - began > LASTS_S * 1000)
                ended_seq = venue.now.version
                # A snapshot made after the end, not the last one of before.
                took = venue.until(lambda seq=ended_seq: venue.now.version > seq + 1 and venue.is_well())
                key = " ".join((name, *(str(value) for value in args.values())))
                by_fault.setdefault(key, []).append(took)
        halted = venue.now.mode.halted_why
    every = sorted(took for times in by_fault.values() for took in times)
    return {
        "outages": len(every),
        "p50_s": round(every[len(every) // 2], 2),
        "p95_s": round(every[int(len(every) * 0.95)], 2),
        "max_s": round(every[-1], 2),
        "worst_by_fault_s": {name: round(max(times), 2) for name, times in by_fault.items()},
        "halted": halted,
    }
