"""The sessions of a data folder: what there is, under which name, in which state; rename, note, delete.

A journal is never changed here: an operator's name and note lie beside it, and so does the last verdict. What
it does not know: what happened in a session (``journal_pages``), and whether it can be proved (``verify``).
"""

import contextlib
import re
from pathlib import Path
from typing import Final

import msgspec

from engine.errors import EngineError, JournalError
from engine.journal import read_meta
from engine.journal_read import session_files
from engine.nouns import counted
from engine.run.journal_pages import Span, span
from engine.run.lock import holding
from engine.run.sessions.clocks import newest_ms, started_ms
from engine.run.sessions.kept import (
    Noted,
    folder_of,
    keep_noted,
    noted,
    raw_mb,
    remove,
    size_mb,
    verdict_on,
)
from engine.run.sessions.needed import needed_sessions
from engine.run.verify.proof import Verdict
from engine.trail import Trail
from engine.units import Milliseconds

NAME_MOST: Final = 60
NOTE_MOST: Final = 500

NOBODY: Final = "console"
"""Whose deed it is in the audit trail, where nobody was named."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_NAME: Final = re.compile(r"[\w][\w ,()+-]*")
"""No dot, no slash: a name is never part of a path, and cannot be taken for one."""


class SessionError(EngineError):
    """What was asked of a session cannot be done; the text says why, in one line."""


class SessionRow(msgspec.Struct, frozen=True):
    """One session as lists show it. None is what is not known; ``problem`` says why it cannot be read.

    ``status`` is ``running``, ``ended`` or ``crashed``; ``size_mb`` counts all that ``delete`` removes,
    ``raw_mb`` of it the raw frames. ``first_ms`` and ``last_ms`` are on the session's own clock, which may be
    a scaled venue's; ``started_ms`` and ``newest_ms``, of its newest event, are wall time.
    """

    session: str
    name: str
    note: str
    status: str
    mode: str
    venue: str
    version: str
    started_ms: Milliseconds | None
    first_ms: Milliseconds | None
    last_ms: Milliseconds | None
    events: int | None
    decisions: int | None
    size_mb: float
    raw_mb: float
    verdict: str
    verdict_ms: Milliseconds | None
    problem: str
    newest_ms: Milliseconds | None = None


def running_session(data_dir: Path) -> str | None:
    """Return the session that is being recorded, as the data folder's lock says.

    A lock that names none (an engine that is only starting, or of an older version) leaves the newest journal
    that says it runs: which may be another one, where the clock was set back. ``delete`` minds that.
    """
    holder = holding(data_dir)
    if holder is None:
        return None
    if holder.session:
        return holder.session
    for path in reversed(session_files(folder_of(data_dir))):
        with contextlib.suppress(JournalError):
            if read_meta(path).get("status") == "running":
                return path.stem
    return None


def may_be_recorded(data_dir: Path, path: Path) -> bool:
    """Say whether a journal may be being written now, whatever its place among the others.

    Args:
        data_dir: The data folder.
        path: The journal.
    Returns:
        While the folder is held: whether the lock names it; of a lock that names none, whether the journal
        says it runs, or cannot be read.
    """
    holder = holding(data_dir)
    if holder is None:
        return False
    if holder.session:
        return path.stem == holder.session
    try:
        return read_meta(path).get("status") == "running"
    except JournalError:
        return True


def list_sessions(data_dir: Path, running: str | None) -> list[SessionRow]:
    """Return every session, newest first.

    Args:
        data_dir: The data folder.
        running: The one that is being recorded; another one that says ``running`` has crashed.
    """
    return [_row(path, running) for path in reversed(session_files(folder_of(data_dir)))]


def find(data_dir: Path, wanted: str) -> Path:
    """Return the journal of a session by its path, its id or its name.

    Raises:
        SessionError: There is none, or more than one of that name.
    """
    path = Path(wanted)
    if path.suffix == ".sqlite" and _is_file(path):
        return path
    folder = folder_of(data_dir)
    if _ID.fullmatch(wanted) and (folder / f"{wanted}.sqlite").is_file():
        return folder / f"{wanted}.sqlite"
    named = [other for other in session_files(folder) if wanted and noted(other).name == wanted]
    if len(named) != 1:
        what = "no session" if not named else f"{len(named)} sessions"
        raise SessionError(f"{what} {wanted[:NAME_MOST]!r} in {folder}; see `python -m engine sessions`")
    return named[0]


def _is_file(path: Path) -> bool:
    """Say whether a path that somebody typed is a file; one too long for the file system is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def last_session(data_dir: Path) -> Path:
    """Return the newest session.

    Raises:
        SessionError: There is none.
    """
    found = session_files(folder_of(data_dir))
    if not found:
        raise SessionError(f"no session in {folder_of(data_dir)}")
    return found[-1]


def rename(data_dir: Path, path: Path, name: str, who: str = "") -> None:
    """Give a session a name; an empty one takes it away.

    Args:
        data_dir: The data folder.
        path: Its journal.
        name: The new name.
        who: Whose decision it is, for the audit trail.
    Raises:
        SessionError: It is no name, or another session has it.
        OSError: It cannot be written, or the trail cannot.
    """
    name = name.strip()
    if name and (len(name) > NAME_MOST or not _NAME.fullmatch(name)):
        raise SessionError(
            f"a name has at most {NAME_MOST} letters, digits, blanks and ,()+-_; it is never a path"
        )
    for other in session_files(folder_of(data_dir)):
        if other != path and name and name in (other.stem, noted(other).name):
            raise SessionError(f"{other.stem} is called {name!r} already")
    _keep(data_dir, path, msgspec.structs.replace(noted(path), name=name), who)


def annotate(data_dir: Path, path: Path, note: str, who: str = "") -> None:
    """Keep a note on a session; an empty one takes it away.

    Args:
        data_dir: The data folder.
        path: Its journal.
        note: The new note.
        who: Whose decision it is, for the audit trail.
    Raises:
        SessionError: It is too long.
        OSError: It cannot be written, or the trail cannot.
    """
    if len(note) > NOTE_MOST:
        raise SessionError(f"a note has at most {NOTE_MOST} characters; this one has {len(note)}")
    _keep(data_dir, path, msgspec.structs.replace(noted(path), note=note.strip()), who)


def _keep(data_dir: Path, path: Path, wish: Noted, who: str) -> None:
    """Keep an operator's words on a session, the trail first: old and new; nothing where nothing changes."""
    before, after = noted(path), wish
    words = [
        f"{field} {old!r} -> {new!r}"
        for field, old, new in (("name", before.name, after.name), ("note", before.note, after.note))
        if old != new
    ]
    if words:
        Trail(data_dir).add("session", who or NOBODY, f"{path.stem}: {', '.join(words)}")
        keep_noted(path, after)


def delete(data_dir: Path, path: Path, typed: str, running: str | None, who: str = "") -> float:
    """Remove a session with everything that lies beside it.

    Args:
        data_dir: The data folder.
        path: Its journal.
        typed: The session's id, as the operator typed it.
        running: The session that is being recorded, as far as is known; the lock is asked too.
        who: Whose decision it is, for the audit trail.
    Returns:
        Megabytes that were freed.
    Raises:
        SessionError: The id is another, the session runs, or the ledger still needs it.
        OSError: A file cannot be removed, or the trail cannot be written.
    """
    if path.parent.resolve() != folder_of(data_dir).resolve():
        raise SessionError(f"{path} is not one of the sessions in {folder_of(data_dir)}")
    if typed.strip() != path.stem:
        raise SessionError(f"to delete it, type its id: {path.stem}")
    if path.stem == running or may_be_recorded(data_dir, path):
        raise SessionError(f"{path.stem} is being recorded; stop the engine first")
    why = needed_sessions(data_dir).get(path.stem)
    if why is not None:
        raise SessionError(f"{path.stem} is kept: {why}")
    Trail(data_dir).add("session", who or NOBODY, f"{path.stem}: deleted, {size_mb(path):,.1f} MB")
    return remove(path)


def keep_words(data_dir: Path, session: str, name: str, note: str, who: str = "") -> str:
    """Rename and annotate a session; return why not, or nothing."""
    try:
        path = find(data_dir, session)
        rename(data_dir, path, name, who)
        annotate(data_dir, path, note, who)
    except (EngineError, OSError) as error:
        return str(error)
    return ""


def delete_typed(data_dir: Path, session: str, typed: str, running: str | None, who: str = "") -> str:
    """Delete a session; return what came of it, in one sentence.

    Args:
        data_dir: The data folder.
        session: Its id.
        typed: What the operator typed, to be compared with that.
        running: The session that is being recorded; None where nobody knows: then the newest is left alone.
        who: Whose decision it is, for the audit trail.
    """
    try:
        path = find(data_dir, session)
        freed_mb = delete(data_dir, path, typed, running or last_session(data_dir).stem, who)
    except (EngineError, OSError) as error:
        return str(error)
    return f"{session} was deleted: {freed_mb:,.1f} MB"


def verdict_of(data_dir: Path, session: str) -> Verdict | None:
    """Return what the last proof of a session came to; None where there was none, or no such session."""
    return verdict_on(folder_of(data_dir) / f"{session}.sqlite") if _ID.fullmatch(session) else None


def render(rows: list[SessionRow]) -> str:
    """Write the list for people, one session a line; nothing where there is none."""
    lines = []
    for row in rows:
        events, decisions = counted(row.events or 0, "event"), counted(row.decisions or 0, "decision")
        facts = "" if row.events is None else f"{events}, {decisions}, "
        words = [f"{facts}{row.size_mb:,.1f} MB", row.verdict or "not verified", row.note, row.problem]
        title = f"{row.session}{f' ({row.name})' if row.name else ''}"
        lines.append(f"{title}  {row.status:<8} {'; '.join(word for word in words if word)}")
    return "\n".join(lines)


def _row(path: Path, running: str | None) -> SessionRow:
    meta: dict[str, str] = {}
    problem, covered = "", None
    try:
        meta = read_meta(path)
        covered = span(path)
    except JournalError as error:
        problem = str(error)
    said, proved = noted(path), verdict_on(path)
    return SessionRow(
        session=path.stem,
        name=said.name,
        note=said.note,
        status=status_of(meta, path.stem, running),
        mode=meta.get("mode", ""),
        venue=meta.get("venue", ""),
        version=meta.get("version", ""),
        started_ms=started_ms(meta),
        first_ms=covered.first_ms if covered else None,
        last_ms=covered.last_ms if covered else None,
        events=covered.last_seq if covered else None,
        decisions=covered.outputs if covered else None,
        size_mb=size_mb(path),
        raw_mb=raw_mb(path),
        verdict="" if proved is None else _proved(proved, covered),
        verdict_ms=None if proved is None else proved.at_ms,
        problem=problem,
        newest_ms=newest_ms(path, meta, covered) if covered else None,
    )


def _proved(verdict: Verdict, covered: Span | None) -> str:
    """Return a verdict in words, with how much of the session it is about where that is not all of it."""
    if covered is None or verdict.events >= covered.last_seq:
        return verdict.words
    return f"{verdict.words} of the first {counted(verdict.events, 'event')}, not verified since"


def status_of(meta: dict[str, str], session: str, running: str | None) -> str:
    """Say how a session stands: one that says it runs, and whose engine is gone, has crashed."""
    told = meta.get("status", "unknown")
    return "crashed" if told == "running" and session != running else told
