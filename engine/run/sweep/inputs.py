"""What a sweep reads: files and sessions, their windows as arrays, and what of them cannot be used.

What it does not know: configurations.
"""

import glob
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from engine import core
from engine.errors import EngineError
from engine.events import Record
from engine.params import Params
from engine.run.market_rows import Faults
from engine.run.markets_table import read_markets
from engine.run.recordings import records_of_file
from engine.run.sweep.grid import SweepError
from engine.run.sweep.trace import Trace, Tracer, chosen, joined
from engine.run.wide_csv import records_of_csv

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
        paths = sorted(glob.glob(pattern))
        if not paths:
            raise SweepError(f"no session matches {pattern!r}")
        found += [Source(Path(path)) for path in paths]
    if not found:
        raise SweepError("give --replay-csv with --markets-json, or --sessions")
    return found


def read(sources: Sequence[Source], params: Params, tell: Tell = lambda _: None) -> Usable:
    """Play sources through the live core and return the windows that can be judged.

    Args:
        sources: Where from; each is a session of its own.
        params: The model's parameters count.
        tell: Told in words how far it is.
    Raises:
        SweepError: Nothing can be judged.
        EngineError: A source cannot be read.
    """
    faults, traces, sessions = Faults(), [], dict[str, str]()
    for source in sources:
        tracer = Tracer(params)
        for number, record in enumerate(_records(source, faults)):
            tracer.take(record)
            if number % TOLD_EVERY == 0:
                tell(f"reading {source.path.name}: {number:,} events")
        traces.append(tracer.finished())
        for window in traces[-1].windows:
            sessions.setdefault(window.slug, session_named(source.path))
    return usable(joined(traces), sum(len(trace.windows) for trace in traces), faults, sessions)


def session_named(path: Path) -> str:
    """Return the name that the replay page knows a file by; empty where it does not know it."""
    if path.suffix == ".sqlite":
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
    """Return the SHA-256 of what the sources hold, whatever they are called."""
    digest = hashlib.sha256()
    for source in sources:
        for path in (source.path, source.markets):
            for file in _files(path):
                digest.update(_digest_of_file(file))
    return digest.hexdigest()


def digest_of_code() -> str:
    """Return the SHA-256 of the code that decides and sweeps."""
    digest = hashlib.sha256()
    engine = Path(core.__path__[0]).parent
    files = [*engine.glob("core/*.py"), *engine.glob("run/sweep/*.py"), engine / "params.py"]
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def digest_of_trace(trace: Trace) -> str:
    """Return the SHA-256 of a trace's arrays."""
    digest = hashlib.sha256()
    for column in trace.columns[:-1]:
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def _files(path: Path | None) -> list[Path]:
    if path is None:
        return []
    return sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]


def _digest_of_file(path: Path) -> bytes:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(READ_AT_ONCE):
                digest.update(part)
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {error.strerror}") from None
    return digest.digest()
