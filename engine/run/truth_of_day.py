"""How often the engine's settlement agreed with the venue's in the last day, from the sessions' own journals.

The core itself judges: what settles a window is played into it again, and its verdict is taken. Books are
left out; no price at a window's end depends on them. What is known of a finished session is kept in a file
of the data folder, which may be deleted at any time.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from engine import __version__
from engine.core.state import State
from engine.core.step import step
from engine.core.truth import verdict_of
from engine.decoded import from_json
from engine.errors import DecodingError, JournalError
from engine.events import (
    AccountOrderTold,
    AccountTradeTold,
    BookQueried,
    BookReplaced,
    LevelsChanged,
    MarketListed,
    OutcomeServed,
    TickSizeChanged,
    TouchQuoted,
    TradePrinted,
)
from engine.journal import read_events, read_meta
from engine.journal_read import session_files
from engine.run.whole_file import write_whole
from engine.snapshot import Verdict
from engine.units import Milliseconds

DAY_MS: Final = 86_400_000
CACHE_NAME: Final = "truth-of-day.json"
AGREEING: Final[frozenset[Verdict]] = frozenset(("agrees", "within error"))
DIFFERING: Final[frozenset[Verdict]] = frozenset(("drift", "outside error"))
"""What is neither was not seen whole: such a window counts for nothing."""

_OF_BOOKS: Final = frozenset(
    (
        AccountOrderTold,
        AccountTradeTold,
        BookQueried,
        BookReplaced,
        LevelsChanged,
        MarketListed,
        TickSizeChanged,
        TouchQuoted,
        TradePrinted,
    )
)

log = logging.getLogger("engine.truth")


class Truth(NamedTuple):
    """Windows of the last day in which both sides are known, and how many of them agree."""

    agree: int
    total: int


class Judged(msgspec.Struct, frozen=True, array_like=True):
    """One window of one session: when it ended, and the core's last verdict."""

    end_s: int
    verdict: Verdict


class Known(msgspec.Struct):
    """What a finished session said; ``size`` and ``version`` tell whether that still holds."""

    size: int
    version: str
    windows: dict[str, Judged]


def truth_of_last_day(data_dir: Path, now_ms: Milliseconds, rtds: str | None = None) -> Truth:
    """Count the windows that ended in the last 24 hours, whichever session saw them.

    Args:
        data_dir: The data folder.
        now_ms: Wall time.
        rtds: The price feed's address as the sessions noted it; sessions of other venues prove nothing about
            this one. None counts all.
    Returns:
        How many agree with what the venue served (an estimate: within its claimed error), and of how many.
        Where two sessions saw a window, one that differs counts.
    """
    cache = _load(data_dir / CACHE_NAME)
    kept: dict[str, Known] = {}
    windows: dict[str, Judged] = {}
    for path in session_files(data_dir / "sessions"):
        if path.stat().st_mtime * 1000 < now_ms - DAY_MS:
            continue
        try:
            meta = read_meta(path)
            if rtds is not None and meta.get("rtds") != rtds:
                continue
            known = _known(path, cache.get(path.name))
        except JournalError as error:
            log.warning("session not read", extra={"reason": str(error)})
            continue
        if meta.get("status") in ("ended", "crashed"):
            kept[path.name] = known
        for slug, judged in known.windows.items():
            if slug not in windows or judged.verdict in DIFFERING:
                windows[slug] = judged
    if kept != cache:
        _keep(data_dir / CACHE_NAME, kept)
    recent = [judged.verdict for judged in windows.values() if judged.end_s * 1000 > now_ms - DAY_MS]
    agree = sum(verdict in AGREEING for verdict in recent)
    return Truth(agree, agree + sum(verdict in DIFFERING for verdict in recent))


def judged_windows(path: Path) -> dict[str, Judged]:
    """Return the core's verdict on every window of a session of which the venue served an outcome.

    Raises:
        JournalError: The session cannot be read.
    """
    state = State()
    windows: dict[str, Judged] = {}
    for record in read_events(path):
        event = record.event
        if type(event) in _OF_BOOKS:
            continue
        market = state.markets.get(event.slug) if isinstance(event, OutcomeServed) else None
        step(state, record)
        if market is not None:
            windows[market.contract.slug] = Judged(market.contract.end_s, verdict_of(market))
    return windows


def _known(path: Path, before: Known | None) -> Known:
    size = path.stat().st_size
    if before is not None and before.size == size and before.version == __version__:
        return before
    return Known(size, __version__, judged_windows(path))


def _load(path: Path) -> dict[str, Known]:
    try:
        return from_json(path.read_bytes(), dict[str, Known])
    except (OSError, DecodingError):
        return {}


def _keep(path: Path, known: dict[str, Known]) -> None:
    """Keep what was found; where that fails it is found again."""
    with contextlib.suppress(OSError):
        write_whole(path, msgspec.json.encode(known))


def sessions_of(data_dir: Path) -> Iterator[Path]:
    """Yield the journals of a data folder, newest first; their names begin with the time they began at."""
    yield from reversed(session_files(data_dir / "sessions"))
