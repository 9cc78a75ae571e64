"""``python -m engine replay``: a session's picture at a time, its decisions one after the other, its index.

What it does not know: how a session is played.
"""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.core.decide import BUY_DOWN, BUY_UP, Decision
from engine.core.state import State
from engine.core.step import step
from engine.errors import JournalError
from engine.run import journal_pages
from engine.run.replay.importing import is_import, journal_of_file
from engine.run.replay.index import Built, build
from engine.run.replay.player import Picture, Player
from engine.run.sessions.folder import find
from engine.units import Milliseconds

BUILDER_NICE: Final = 15
"""Nobody waits for an index: seeking works without one."""

_WORDS: Final = {BUY_UP: "BUY UP", BUY_DOWN: "BUY DOWN"}


def session_path(data_dir: Path, session: str) -> Path:
    """Return the journal that a word means: a session by its path, its id or its name, or another file.

    A path may also lead to market data in another format, which is turned into a journal first.

    Raises:
        SessionError: There is no such session.
        JournalError: It cannot be read.
    """
    path = Path(session)
    return journal_of(data_dir, path if path.is_file() else find(data_dir, session))


def journal_of(data_dir: Path, path: Path) -> Path:
    """Return a file itself where it is a journal, else the journal made of it.

    Raises:
        JournalError: It cannot be read.
    """
    if not is_import(path):
        return path
    from engine.run.recordings import records_of_file  # noqa: PLC0415 (brings the practice venue's readers)

    return journal_of_file(data_dir, path, records_of_file)


def build_index(journal: Path, tell: Callable[[Built], None]) -> dict[str, Any]:
    """Build the index; return what came of it."""
    os.nice(BUILDER_NICE)
    began_s = time.monotonic()
    built = build(journal, tell)
    if built is None:
        return {"session": journal.stem, "built": False, "why": "another process builds it"}
    seconds = round(time.monotonic() - began_s, 1)
    return {"session": journal.stem, "built": True, "events": built.seq, "seconds": seconds}


def picture_at(journal: Path, at_ms: Milliseconds | None) -> Picture:
    """Return the picture at a time; without one, the last.

    Raises:
        JournalError: The session cannot be read.
    """
    player = Player(journal)
    return player.seek(player.span.last_ms if at_ms is None else at_ms)


def outside(journal: Path, at_ms: Milliseconds | None) -> str:
    """Say that a time is not in the session, and what is shown instead; nothing where it is.

    Raises:
        JournalError: The session cannot be read.
    """
    covered = journal_pages.span(journal)
    if at_ms is None or not covered.last_seq or covered.first_ms <= at_ms <= covered.last_ms:
        return ""
    instead = "first" if at_ms < covered.first_ms else "last"
    runs = f"from {_clock(covered.first_ms)} to {_clock(covered.last_ms)} UTC"
    return f"the session runs {runs}; showing its {instead} moment"


def told(journal: Path, picture: Picture) -> dict[str, Any]:
    """Return a picture as the command prints it with ``--json``."""
    plain: dict[str, Any] = msgspec.to_builtins(picture.snapshot)
    kept = ("seq", "now_ms", "mode", "prices", "canonical", "contracts", "orders", "money", "decisions")
    return {"session": journal.stem, "at_ms": picture.at_ms, **{name: plain[name] for name in kept}}


def in_words(journal: Path, picture: Picture) -> Iterator[str]:
    """Yield a picture as lines for people."""
    shot = picture.snapshot
    yield f"REPLAY of {journal.stem} at {_clock(picture.at_ms)} UTC, event {shot.seq:,}: {shot.mode.mode}"
    for price in shot.prices:
        yield f"  {price.source:<16} ${price.value:,.2f}  {price.age_s:.1f} s old"
    for contract in shot.contracts:
        strike = "unknown" if contract.strike is None else f"${contract.strike:,.2f}"
        yield f"{contract.slug}: {contract.phase}, {contract.seconds_left:.1f} s left, strike {strike}"
        decision = contract.decision
        if decision is None:
            continue
        yield f"  {decision.sentence}"
        for gate in decision.gates:
            word = "holds  " if gate.passed else "REFUSES"
            yield f"  {word} {gate.name}: {gate.value} ({gate.requirement})"


def play(journal: Path, at_ms: Milliseconds | None, speed: float) -> Iterator[Decision]:
    """Yield each change of decision at the pace of the session's clock times ``speed``.

    Raises:
        JournalError: The session cannot be read.
    """
    state, said = State(), dict[str, tuple[int, str]]()
    last = journal_pages.span(journal).last_seq
    began_s, begun_ms = 0.0, 0
    for record in journal_pages.records_to(journal, last):
        effects = step(state, record)
        state.marks.clear()
        if at_ms is not None and state.now_ms < at_ms:
            continue
        for one in effects:
            if not isinstance(one, Decision) or said.get(one.slug) == (one.action, one.reason):
                continue
            said[one.slug] = (one.action, one.reason)
            if not began_s:
                began_s, begun_ms = time.monotonic(), one.at_ms
            time.sleep(max(0.0, began_s + (one.at_ms - begun_ms) / 1000 / speed - time.monotonic()))
            yield one


def decision_told(decision: Decision) -> dict[str, Any]:
    """Return a decision as the command prints it with ``--speed`` and ``--json``."""
    names = ("slug", "seq", "at_ms", "reason", "z", "p_up", "ev_up", "ev_down")
    return {"action": _action(decision), **{name: getattr(decision, name) for name in names}}


def decision_in_words(decision: Decision) -> str:
    """Return a decision as a line for people."""
    what = _action(decision) or f"no trade: {decision.reason}"
    return f"{_clock(decision.at_ms)}  {decision.slug}  {what}"


def _action(decision: Decision) -> str:
    return _WORDS.get(decision.action, "")


def _clock(at_ms: Milliseconds) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]


__all__ = [
    "JournalError",
    "build_index",
    "decision_in_words",
    "decision_told",
    "in_words",
    "outside",
    "picture_at",
    "play",
    "session_path",
    "told",
]
