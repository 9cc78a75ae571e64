"""When a session began, and when its newest event came, both by the wall.

Practice's clock runs faster than the wall. What it does not know: what happened in a session.
"""

from datetime import datetime
from pathlib import Path
from typing import Final

from engine.errors import JournalError
from engine.journal_read import read_opening
from engine.run.journal_pages import Span
from engine.units import Milliseconds

_RATES: Final[dict[Path, float]] = {}
"""By journal: how fast its session's clock ran. One for each session of practice that was ever listed."""


def started_ms(meta: dict[str, str]) -> Milliseconds | None:
    """Return when a session began, wall time; None where its journal does not say."""
    try:
        return int(datetime.fromisoformat(meta["started"]).timestamp() * 1000)
    except (KeyError, ValueError):
        return None


def newest_ms(path: Path, meta: dict[str, str], covered: Span) -> Milliseconds | None:
    """Return what the wall showed at a session's newest event.

    Args:
        path: Its journal.
        meta: What that says of itself.
        covered: From when to when it goes, on the session's own clock.
    Returns:
        Unix milliseconds; None where the session's clock is not known.
    """
    if meta.get("venue") != "practice":
        return covered.last_ms  # every other venue's clock is this machine's
    began_ms, rate = started_ms(meta), _clock_rate(path)
    if began_ms is None or rate is None:
        return None
    return began_ms + round((covered.last_ms - covered.first_ms) / rate)


def _clock_rate(path: Path) -> float | None:
    """Return the session's seconds in one of the wall; looked up once, as a session's beginning stays."""
    if path not in _RATES:
        try:
            opening = read_opening(path)
        except JournalError:
            return None
        if opening is None or opening.clock_rate <= 0:
            return None
        _RATES[path] = opening.clock_rate
    return _RATES[path]
