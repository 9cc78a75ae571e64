"""What a sweep reads: files and sessions, their windows as arrays, and what of them cannot be used.

What it does not know: configurations.
"""

import glob
import hashlib
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.config import data_dir
from engine.errors import EngineError
from engine.events import Record
from engine.journal_read import journal_parts, session_files
from engine.params import Params
from engine.run.market_rows import Faults
from engine.run.markets_table import read_markets
from engine.run.recordings import records_of_file
from engine.run.sessions.folder import running_session
from engine.run.sessions.kept import folder_of, noted
from engine.run.sweep.grid import SweepError
from engine.run.sweep.trace import Trace, Tracer, chosen, counted, joined
from engine.run.wide_csv import markets_beside, read_rows, records_of_csv
from engine.run.window_files import read_windows

READ_AT_ONCE: Final = 1 << 20
TOLD_EVERY: Final = 20_000

Tell = Callable[[str], None]


class Source(NamedTuple):
    """A file, or a folder of windows; ``markets`` is the table that goes with a CSV."""

    path: Path
    markets: Path | None = None


class Usable(NamedTuple):
    """Windows that can be judged, what was left out, and the session that the replay page knows each by."""

    trace: Trace
    facts: dict[str, Any]
    sessions: dict[str, str]


def sources_of(replay_csv: Path | None, markets_json: Path | None, sessions: Sequence[str]) -> list[Source]:
    """Collect what was asked for.

    Raises:
        SweepError: Nothing was, or a pattern finds nothing.
    """
    found = [] if replay_csv is None else [Source(replay_csv, markets_json)]
    if replay_csv is None and markets_json is not None:
        raise SweepError("--markets-json goes with --replay-csv")
    for pattern in sessions:
        found += [Source(path) for path in _matching(pattern)]
    if not found:
        raise SweepError("give --replay-csv with --markets-json, or --sessions")
    return found


def _matching(pattern: str) -> list[Path]:
    """Return what a pattern means: recorded sessions by id or name; where it is none of theirs, files.

    Raises:
        SweepError: Nothing is meant.
    """
    folder = folder_of(data_dir())
    recorded = [
        path
        for path in session_files(folder)
        if pattern and (fnmatchcase(path.stem, pattern) or fnmatchcase(noted(path).name, pattern))
    ]
    # What lies beside a journal is named after it, so that a pattern for journals finds that too.
    files = [] if recorded else [Path(path) for path in sorted(glob.glob(pattern))]
    if glob.has_magic(pattern):
        files = [path for path in files if not _lies_beside(path)]
    if not recorded and not files:
        looked = f"looked at ids and names in {folder}, and for files from {Path.cwd()}"
        raise SweepError(f"no session matches {pattern!r}: {looked}")
    return recorded or files


def _lies_beside(path: Path) -> bool:
    """Say whether a file is part of a session that is not its journal: raw frames, index, log, words."""
    journal = path.with_name(path.name.partition(".")[0] + ".sqlite")
    return path != journal and path.is_file() and path.suffix != ".csv" and journal.is_file()


class Opened(NamedTuple):
    """Sources that can be opened, and in words which sessions were left out, and why."""

    sources: list[Source]
    left_out: list[str]


def opened(sources: Sequence[Source], tell: Tell = lambda _: None) -> Opened:
    """Look into sources before the work: leave out sessions that cannot be read, or are still being written.

    Args:
        sources: As ``sources_of`` found them; a CSV with its markets table is asked for by name, so that it
            is never left out.
        tell: Told each one that is left out.
    Raises:
        SweepError: None is left.
        EngineError: The one that was asked for by name cannot be read.
    """
    found, left_out = list[Source](), list[str]()
    for source in sources:
        try:
            _look_into(source)
        except EngineError as error:
            if source.markets is not None:
                raise
            left_out.append(str(error))
            tell(f"left out: {error}")
            continue
        found.append(source)
    if not found:
        raise SweepError(f"no session can be used: {left_out[0]}" + _more(len(left_out) - 1))
    return Opened(found, left_out)


def _more(count: int) -> str:
    return f" (and {count:,} more)" if count else ""


def _look_into(source: Source) -> None:
    """Read a source's beginning.

    Raises:
        EngineError: It cannot be read, or the running engine is still writing it.
    """
    path, faults = source.path, Faults()
    if source.markets is not None:
        read_markets(source.markets, faults)
    if path.suffix == ".sqlite" and running_session(path.absolute().parent.parent) == path.stem:
        raise SweepError(f"{path.name} is still being written: its windows would be others in a minute")
    if path.is_dir():
        next(read_windows(path, faults))
    elif path.suffix == ".csv":
        next(read_rows(path, faults))
    else:
        next(records_of_file(path, faults), None)


def read(
    sources: Sequence[Source], params: Params, tell: Tell = lambda _: None, left_out: Sequence[str] = ()
) -> Usable:
    """Play sources through the live core and return the windows that can be judged.

    Args:
        sources: Where from; each is a session of its own.
        params: The model's parameters count.
        tell: Told in words how far it is.
        left_out: Sessions that were left out before, in words; those that break off while they are read
            join them.
    Raises:
        SweepError: Nothing can be judged.
        EngineError: The one source that there is cannot be read, or one that was asked for by name.
    """
    faults, traces, names, broken = Faults(), list[Trace](), list[str](), [*left_out]
    for source in sources:
        tracer = Tracer(params)
        try:
            for number, record in enumerate(_records(source, faults)):
                tracer.take(record)
                if number % TOLD_EVERY == 0:
                    tell(f"reading {source.path.name}: {number:,} events")
        except EngineError as error:
            if source.markets is not None or len(sources) == 1:
                raise
            broken.append(str(error))
            tell(f"left out: {error}")
            continue
        traces.append(tracer.finished())
        names.append(session_named(source.path))
    sessions = {slug: names[place] for slug, (place, _) in counted(traces).items()}
    found = usable(joined(traces), sum(len(trace.windows) for trace in traces), faults, sessions)
    return found._replace(facts=found.facts | {"sources_left_out": broken})


def session_named(path: Path) -> str:
    """Return the name that the replay page knows a file by; empty where it does not know it.

    A folder of windows goes by the session that it was made of.
    """
    if path.suffix in (".sqlite", ".windows"):
        return path.stem
    return path.name if path.parent.name == "replay_sessions" else ""


def usable(trace: Trace, found: int, faults: Faults, sessions: dict[str, str]) -> Usable:
    """Leave out the windows that nobody knows the outcome of.

    Raises:
        SweepError: None is left.
    """
    known = [place for place, window in enumerate(trace.windows) if window.up is not None]
    facts: dict[str, Any] = {
        "windows": len(known),
        "windows_without_outcome": len(trace.windows) - len(known),
        "windows_told_twice": found - len(trace.windows),
        "rows_refused": faults.count,
        "faults": faults.told,
    }
    if not known:
        raise SweepError(
            f"no window with an outcome among {len(trace.windows)}: there is nothing to judge by"
        )
    kept = chosen(trace, known)
    facts |= {"windows_overlapping": overlapping(kept), "moments": kept.steps, "depth": kept.columns.depth}
    facts["fee_unknown"] = sum(not window.fee_known for window in kept.windows)
    facts["largest_move"] = float(kept.columns.peak.max(initial=0.0))
    return Usable(kept, facts, sessions)


def overlapping(trace: Trace) -> int:
    """Count the windows that begin before one that ends earlier, or with them, has ended."""
    count, ended_s = 0, 0
    for window in trace.windows:
        count += window.start_s < ended_s
        ended_s = max(ended_s, window.end_s)
    return count


def _records(source: Source, faults: Faults) -> Iterator[Record]:
    if source.markets is not None:
        yield from records_of_csv(source.path, read_markets(source.markets, faults), faults)
        return
    yield from records_of_file(source.path, faults)


# --- fingerprints -------------------------------------------------------------------------------------------


def digest_of_sources(sources: Sequence[Source]) -> str:
    """Return the SHA-256 of what the sources hold, whatever they are called.

    Raises:
        EngineError: One cannot be read.
    """
    digest = hashlib.sha256()
    for source in sources:
        for file in files_of(source):
            digest.update(_digest_of_file(file))
    return digest.hexdigest()


def files_of(source: Source) -> list[Path]:
    """Return the files that a source's events come from: a journal's log too, and the table beside a CSV."""
    path = source.path
    if path.is_dir():
        return sorted(one for one in path.iterdir() if one.is_file())
    if path.suffix == ".sqlite":
        # The third part is an index into the log: it says nothing of its own, and readers change it.
        return [path, *(part for part in journal_parts(path)[1:2] if part.is_file())]
    if source.markets is not None:
        return [path, source.markets]
    beside = markets_beside(path)
    return [path, beside] if path.suffix == ".csv" and beside.is_file() else [path]


def _digest_of_file(path: Path) -> bytes:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(READ_AT_ONCE):
                digest.update(part)
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {error.strerror}") from None
    return digest.digest()
