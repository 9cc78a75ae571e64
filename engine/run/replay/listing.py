"""Which sessions can be replayed: the data folder's journals, newest first, and files of market data."""

import re
from pathlib import Path
from typing import Final, NamedTuple

import engine
from engine.errors import JournalError
from engine.journal_read import read_meta
from engine.run import journal_pages
from engine.run.replay.importing import is_import
from engine.run.sessions.kept import noted

LISTED_MOST: Final = 300
"""Sessions that a page offers; an older one opens by its address."""

OPENING_MS: Final = 60_000
"""A session's first seconds have no window and no price: it is opened this far in."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


class Listed(NamedTuple):
    """A session to choose. ``problem`` says why it cannot be played; empty where it can.

    Of a file of market data the times and the number of events are 0: it is read when it is played. The times
    are on the session's own clock; ``own_clock`` says that this was not the wall's.
    """

    session: str
    name: str
    note: str
    first_ms: int
    last_ms: int
    events: int
    problem: str = ""
    own_clock: bool = False

    @property
    def opening_ms(self) -> int:
        """Where it is opened when no moment is asked for."""
        return min(self.first_ms + OPENING_MS, self.last_ms)


def sessions(data_dir: Path) -> list[Listed]:
    """Return the sessions of a data folder, newest first."""
    folder = data_dir / "sessions"
    files = [path for place in _places(data_dir) if place.is_dir() for path in sorted(place.iterdir())]
    market_data = [Listed(path.name, "", "market data", 0, 0, 0) for path in files if is_import(path)]
    names = sorted((path.name for path in folder.glob("*.sqlite") if "." not in path.stem), reverse=True)
    return [*(listed(folder / name) for name in names[:LISTED_MOST]), *market_data]


def source_of(data_dir: Path, session: str) -> Path:
    """Return the file of a session that ``sessions`` names; one that is not there, for any other word."""
    safe = session if _NAME.fullmatch(session) else "none"
    for place in _places(data_dir):
        if is_import(place / safe) and (place / safe).is_file():
            return place / safe
    return data_dir / "sessions" / f"{safe}.sqlite"


def _places(data_dir: Path) -> tuple[Path, ...]:
    """Return where files of market data lie: in the data folder, and with the program."""
    bundled = Path(engine.__file__).parents[1] / "data" / "replay_sessions"
    own = data_dir / "replay_sessions"
    return (own,) if own.resolve() == bundled else (own, bundled)


def listed(journal: Path) -> Listed:
    """Return what there is to know of one session."""
    try:
        span = journal_pages.span(journal)
        own = read_meta(journal).get("venue") == "practice"
    except JournalError as error:
        return Listed(journal.stem, "", "", 0, 0, 0, str(error))
    problem = "" if span.last_seq else "it holds no event"
    said = noted(journal)
    return Listed(
        journal.stem, said.name, said.note, span.first_ms, span.last_ms, span.last_seq, problem, own
    )
