"""Where the running session's books lie: its ledger and its journal."""

import re
from pathlib import Path
from typing import Final

from engine.config import Settings
from engine.run.ledger.file import ledger_name

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")


def ledger_of(settings: Settings) -> Path:
    """Return the ledger's file of a run with these settings; it may not be there yet."""
    return settings.data_dir / ledger_name(settings)


def journal_of(settings: Settings, session: str) -> Path:
    """Return a session's journal; it may not be there. A name that is no session's leads to none."""
    safe = session if _NAME.fullmatch(session) else "none"
    return settings.data_dir / "sessions" / f"{safe}.sqlite"
