"""Keep the sessions within their age and their space: the oldest go first, each with a line in the log.

Never the one that is being recorded, and none that a ledger still needs. What it does not know: raw frames
have a smaller budget of their own (``engine.raw``).
"""

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.config import Settings
from engine.journal_read import session_files
from engine.run.sessions.kept import folder_of, remove, size_mb
from engine.run.sessions.needed import needed_sessions

EVERY_S: Final = 3_600.0
DAY_S: Final = 86_400.0

log = logging.getLogger("engine.retention")


def apply_retention(data_dir: Path, keep_days: float, budget_mb: float, running: str) -> list[str]:
    """Delete the sessions that are too old, then the oldest until the rest fit.

    Args:
        data_dir: The data folder.
        keep_days: Days since a session was last written.
        budget_mb: Megabytes of all sessions, with everything beside them.
        running: The session that is being recorded.
    Returns:
        The ids of what was deleted, oldest first.
    """
    needed = needed_sessions(data_dir)
    found = session_files(folder_of(data_dir))
    sizes = {path: size_mb(path) for path in found}
    total_mb = sum(sizes.values())
    deleted = []
    for path in _deletable(found, running, needed):
        age_days = (time.time() - path.stat().st_mtime) / DAY_S
        if age_days <= keep_days and total_mb <= budget_mb:
            continue
        why = (
            f"older than {keep_days:g} day{'' if keep_days == 1 else 's'}"
            if age_days > keep_days
            else f"more than {budget_mb:g} MB in all"
        )
        try:
            remove(path)
        except OSError as error:
            log.warning("session not deleted", extra={"session": path.stem, "why": str(error)})
            continue
        total_mb -= sizes[path]
        deleted.append(path.stem)
        log.warning("session deleted", extra={"session": path.stem, "why": why, "mb": round(sizes[path], 1)})
    if total_mb > budget_mb:
        log.warning(
            "sessions need more than their budget",
            extra={
                "mb": round(total_mb),
                "budget_mb": budget_mb,
                "kept": ", ".join(sorted(needed)) or running,
            },
        )
    return deleted


async def keep_retention(settings: Settings, journal: Path | None) -> None:
    """Apply it now and each hour; a folder that cannot be looked at is a line in the log.

    Args:
        settings: ``SESSIONS_KEEP_DAYS``, ``SESSIONS_BUDGET_MB``, and where the sessions are.
        journal: The one that is being recorded.
    """
    keep_days, budget_mb = settings.sessions_keep_days, settings.sessions_budget_mb
    running = "" if journal is None else journal.stem
    while True:
        try:
            await asyncio.to_thread(apply_retention, settings.data_dir, keep_days, budget_mb, running)
        except OSError as error:
            log.warning("sessions not looked at", extra={"why": str(error)})
        await asyncio.sleep(EVERY_S)


def _deletable(found: list[Path], running: str, needed: dict[str, str]) -> Iterator[Path]:
    for path in found:
        if path.stem != running and path.stem not in needed and path.exists():
            yield path
