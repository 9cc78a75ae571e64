"""Where the windows of a what-if come from: sessions, folders of windows, wide CSVs.

A session's windows are taken from its folder of Parquet files; where there is none yet, or the session went
on since, they are made from its journal first. What it does not know: what is done with windows.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from engine.config import Settings
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.params import Limits, Params
from engine.run.export import Progress, Sorted, export_parquet, nothing, records_of
from engine.run.market_rows import Faults, MarketRow, MarketRowError, WindowTerms
from engine.run.markets_table import read_markets
from engine.run.row_records import known_terms
from engine.run.sessions.folder import find
from engine.run.whole_file import write_whole
from engine.run.wide_csv import markets_beside, read_rows
from engine.run.window_files import (
    WindowRows,
    opening_of,
    read_windows,
    windows_folder,
    write_table,
    write_window,
)
from engine.units import Milliseconds


class Windows(NamedTuple):
    """Windows, where each is from by slug, and what the first source's session was opened with."""

    windows: tuple[WindowRows, ...]
    sessions: dict[str, str]
    opening: dict[str, Any]

    def params(self) -> Params | None:
        """Return the parameters that the session was opened with; None where its rows do not say."""
        told = self.opening.get("params")
        known = told if isinstance(told, Mapping) else {}
        return Params(**{name: known[name] for name in Params._fields if name in known}) if known else None

    def limits(self) -> Limits | None:
        """Return its limits, likewise."""
        told = self.opening.get("limits")
        known = told if isinstance(told, Mapping) else {}
        return Limits(**{name: known[name] for name in Limits._fields if name in known}) if known else None


def windows_of(
    settings: Settings, names: Sequence[str], faults: Faults, progress: Progress = nothing
) -> Windows:
    """Read the windows of sessions, folders and CSVs.

    Args:
        settings: Where sessions lie.
        names: Sessions (path, id or name), folders of windows, CSVs.
        faults: Counts what cannot be used; windows that are there twice are taken from the first.
        progress: Is told how far the making of windows is.
    Raises:
        EngineError: A source is not there, or nothing of it can be used.
    """
    found: dict[str, WindowRows] = {}
    sessions: dict[str, str] = {}
    opening: dict[str, Any] = {}
    for name in names:
        session, made, told = _read(settings, name, faults, progress)
        opening = opening or told
        for window in made:
            slug = window.terms.slug
            if slug in found:
                faults.add(f"{slug} is in {sessions[slug]} and in {session}: the first is used")
                continue
            found[slug], sessions[slug] = window, session
    return Windows(tuple(found.values()), sessions, opening)


def between(windows: Windows, from_ms: Milliseconds | None, to_ms: Milliseconds | None) -> Windows:
    """Keep the windows that end within a time."""
    kept = tuple(
        one
        for one in windows.windows
        if (from_ms is None or one.terms.end_s * 1000 > from_ms)
        and (to_ms is None or one.terms.end_s * 1000 <= to_ms)
    )
    return windows._replace(windows=kept)


def sessions_since(settings: Settings, from_ms: Milliseconds) -> list[str]:
    """Return the ids of the sessions that were written to since a time, oldest first (wall time)."""
    folder = settings.data_dir / "sessions"
    found = [
        path for path in folder.glob("*.sqlite") if path.name.count(".") == 1 and _written_ms(path) >= from_ms
    ]
    return [path.stem for path in sorted(found)]


def _read(
    settings: Settings, name: str, faults: Faults, progress: Progress
) -> tuple[str, list[WindowRows], dict[str, Any]]:
    path = Path(name)
    if path.suffix == ".csv":
        with _as_windows(path, faults) as folder:
            return path.name, list(read_windows(folder, faults)), {}
    if path.is_dir():
        return path.name, list(read_windows(path, faults)), opening_of(path)
    journal = find(settings.data_dir, name)
    folder = windows_folder(journal)
    if not _is_made(folder, journal):
        export_parquet(records_of(journal, progress), folder)
    return journal.stem, list(read_windows(folder, faults)), opening_of(folder)


def _is_made(folder: Path, journal: Path) -> bool:
    """Say whether a folder holds all that its journal holds by now."""
    table = folder / "markets.json"
    return table.is_file() and table.stat().st_mtime_ns // 1_000_000 > _written_ms(journal)


def _written_ms(journal: Path) -> Milliseconds:
    """Return when a journal was last written to; while it runs its newest events are beside it."""
    beside = journal.with_name(f"{journal.name}-wal")
    files = [journal, beside] if beside.is_file() else [journal]
    return max(file.stat().st_mtime_ns for file in files) // 1_000_000


@contextmanager
def _as_windows(path: Path, faults: Faults) -> Iterator[Path]:
    """Sort a CSV's rows into windows, in a folder that lasts as long as it is read."""
    beside = markets_beside(path)
    markets = read_markets(beside, faults) if beside.is_file() else {}
    table: dict[str, WindowTerms] = {}
    with tempfile.TemporaryDirectory(prefix="windows-") as place:
        folder = Path(place)

        def keep(slug: str, rows: list[MarketRow]) -> None:
            if slug in table:
                raise MarketRowError(f"{path}: the rows of {slug} go on after the window was over")
            table[slug] = known_terms(slug, markets)
            write_window(folder, table[slug], rows)

        apart = Sorted(keep)
        for row in read_rows(path, faults):
            apart.add(row, known_terms(row.slug, markets).end_s)
        apart.close()
        write_table(folder, table.values())
        yield folder


def read_progress(path: Path) -> tuple[str, int, int]:
    """Read how far a what-if in another process is: what it does, done, of how many."""
    try:
        return from_json(path.read_bytes(), tuple[str, int, int])
    except (OSError, DecodingError):
        return "starting", 0, 0


def write_progress(path: Path, what: str) -> Callable[[int, int], bool]:
    """Return a teller of progress that writes into a file, whole at each step."""

    def tell(done: int, total: int) -> bool:
        write_whole(path, msgspec.json.encode((what, done, total)))
        return True

    return tell
