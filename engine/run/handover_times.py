"""What the wall showed when something happened on a session's clock.

Practice's clock runs faster than the wall, and every start of practice begins a new one: a trade of the
session before may carry a later time than one of now. A session's journal says where its clock began and how
fast it ran. What it does not know: what happened.
"""

from datetime import UTC, datetime
from typing import Final, NamedTuple

from engine.config import Settings
from engine.errors import JournalError
from engine.journal_read import read_meta, read_opening
from engine.run.books_paths import journal_of
from engine.snapshot import Snapshot
from engine.units import Milliseconds

SAME_MS: Final = 60_000
"""A clock no further from the wall, and as fast, is the wall's to whoever reads a report."""


class Line(NamedTuple):
    """A clock as a straight line: one moment on it and on the wall, and its seconds in one of the wall."""

    at_ms: Milliseconds
    wall_ms: Milliseconds
    rate: float

    def wall(self, at_ms: Milliseconds) -> Milliseconds:
        """Return what the wall showed at a moment of this clock."""
        return self.wall_ms - round((self.at_ms - at_ms) / self.rate)


class Times:
    """The clocks of the running session and of those before it."""

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        self._settings = settings
        self._now = Line(snapshot.now_ms, snapshot.wall_ms, snapshot.mode.clock_rate)
        self._lines: dict[str, Line | None] = {snapshot.session: self._now}

    @property
    def rate(self) -> float:
        """The running session's seconds in one of the wall."""
        return self._now.rate

    @property
    def differ(self) -> bool:
        """Whether the engine's clock is another than the wall's: a reader has to be told which is which."""
        return self.rate != 1.0 or abs(self._now.at_ms - self._now.wall_ms) > SAME_MS

    def wall(self, at_ms: Milliseconds, session: str | None = None) -> Milliseconds | None:
        """Return what the wall showed at a moment of a session's clock.

        Args:
            at_ms: The moment.
            session: Whose clock; None for the running one's.
        Returns:
            Unix milliseconds; None where the session's journal is gone and its clock was another.
        """
        line = self._now if session is None else self._line_of(session)
        return None if line is None else line.wall(at_ms)

    def _line_of(self, session: str) -> Line | None:
        if session not in self._lines:
            # A clock like the wall's has no beginning that would have to be looked up.
            self._lines[session] = self._read(session) or (None if self.differ else self._now)
        return self._lines[session]

    def _read(self, session: str) -> Line | None:
        path = journal_of(self._settings, session)
        try:
            began = datetime.fromisoformat(read_meta(path).get("started", ""))
            opening = read_opening(path)
        except (JournalError, ValueError):
            return None
        if opening is None or opening.clock_rate <= 0 or began.tzinfo is None:
            return None
        return Line(opening.ts_recv_ms, round(began.timestamp() * 1000), opening.clock_rate)


def moment(at_ms: Milliseconds) -> str:
    """Write a time in UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
