"""A snapshot of a quiet paper session, to be changed where a test needs it otherwise."""

from typing import Any

from msgspec import structs

from engine.core.project import Outside, project
from engine.snapshot import Snapshot
from tests.core.builders import START_S, Core

NOW_MS = START_S * 1000
WALL_MS = NOW_MS


def picture(core: Core | None = None, **changes: Any) -> Snapshot:
    """Draw a core (a new one on paper, unless told otherwise) at ``NOW_MS``, with these fields changed."""
    outside = Outside(
        version=1,
        now_ms=NOW_MS,
        wall_ms=WALL_MS,
        uptime_s=60.0,
        clock_rate=1.0,
        journal_seq=1,
        journal_lag_ms=0.0,
        venue_banner="practice",
        point=None,
        marks=[],
    )
    return structs.replace(project((core or Core()).state, outside), **changes)
