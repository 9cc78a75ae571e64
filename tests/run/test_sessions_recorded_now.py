"""Which session is being recorded: the lock knows it, whatever the clock made of the names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.journal import Journal
from engine.run.lock import FILE_NAME, READ_BYTES, FolderLock, holding
from engine.run.sessions.folder import (
    SessionError,
    delete,
    list_sessions,
    may_be_recorded,
    running_session,
)

EARLIER, LATER = "20260101T000000Z-b", "20260102T000000Z-a"
"""By their names: the later one was recorded first, then the clock was set back by a day."""


def kept(data: Path, session: str, status: str) -> Path:
    path = data / "sessions" / f"{session}.sqlite"
    Journal(path, {"session": session, "venue": "practice", "mode": "paper"}).close(status)
    return path


@contextmanager
def recording(data: Path, session: str, *, is_noted: bool) -> Iterator[Path]:
    """Hold the folder and record a session, as an engine does."""
    with FolderLock(data) as lock:
        path = data / "sessions" / f"{session}.sqlite"
        journal = Journal(path, {"session": session, "venue": "practice", "mode": "paper"})
        if is_noted:
            lock.note_session(session)
        try:
            yield path
        finally:
            journal.close()


@pytest.mark.parametrize("before", ["ended", "running"])
@pytest.mark.parametrize("is_noted", [True, False])
def test_the_session_that_is_recorded_stays_though_the_clock_was_set_back(
    tmp_path: Path, before: str, is_noted: bool
) -> None:
    """By name another one is the newest: the journal was taken from under the engine."""
    kept(tmp_path, LATER, before)
    with recording(tmp_path, EARLIER, is_noted=is_noted) as path:
        with pytest.raises(SessionError, match="being recorded"):
            delete(tmp_path, path, EARLIER, running_session(tmp_path))
        assert path.is_file()


@pytest.mark.parametrize("before", ["ended", "running"])
def test_the_lock_says_which_session_is_recorded(tmp_path: Path, before: str) -> None:
    """One that crashed is told as crashed, and may be deleted beside the one that runs."""
    crashed = kept(tmp_path, LATER, before)
    with recording(tmp_path, EARLIER, is_noted=True) as path:
        held = holding(tmp_path)
        assert held is not None
        assert (held.pid, held.session) == (str(os.getpid()), EARLIER)
        assert held.since_s is not None
        assert running_session(tmp_path) == EARLIER
        told = {row.session: row.status for row in list_sessions(tmp_path, running_session(tmp_path))}
        assert told == {EARLIER: "running", LATER: "crashed" if before == "running" else "ended"}
        assert (may_be_recorded(tmp_path, path), may_be_recorded(tmp_path, crashed)) == (True, False)
        delete(tmp_path, crashed, LATER, running_session(tmp_path))
    assert running_session(tmp_path) is None
    assert not may_be_recorded(tmp_path, path)


def test_while_the_lock_names_none_every_journal_that_says_it_runs_may_be_the_one(tmp_path: Path) -> None:
    """An engine of an older version, or one that is only starting; so may be one that cannot be read."""
    ended, crashed = kept(tmp_path, "a", "ended"), kept(tmp_path, "b", "running")
    unread = tmp_path / "sessions" / "c.sqlite"
    unread.write_text("hello " * 500)
    paths = (ended, crashed, unread)
    assert [may_be_recorded(tmp_path, path) for path in paths] == [False] * 3, "nobody holds the folder"
    with FolderLock(tmp_path):
        assert [may_be_recorded(tmp_path, path) for path in paths] == [False, True, True]
        assert running_session(tmp_path) == "b", "the newest of those"


def test_the_next_holder_does_not_take_over_the_word_of_the_last(tmp_path: Path) -> None:
    """Nor is anything left of a longer id."""
    with FolderLock(tmp_path) as lock:
        lock.note_session("20260101T000000Z-abcdef")
        lock.note_session("one")
        held = holding(tmp_path)
    assert held is not None
    assert held.session == "one"
    assert (tmp_path / FILE_NAME).read_bytes().endswith(b" one\n")
    with FolderLock(tmp_path):
        held = holding(tmp_path)
    assert held is not None
    assert held.session == ""


@pytest.mark.parametrize("line", ["7 - 1 half-of-an-id", "7 - 1 ../x\n", f"7 - 1 {'x' * READ_BYTES}\n"])
def test_a_word_that_is_no_id_or_not_whole_is_none(tmp_path: Path, line: str) -> None:
    """A line that is just being written would name another session."""
    with FolderLock(tmp_path):
        (tmp_path / FILE_NAME).write_text(line)
        held = holding(tmp_path)
    assert held is not None
    assert (held.pid, held.session) == ("7", "")


def test_a_lock_that_cannot_be_written_is_held_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk must not keep an engine from starting where the journals say enough."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with FolderLock(tmp_path) as lock:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            lock.note_session("one")
        held = holding(tmp_path)
    assert held is not None
    assert (held.pid, held.session) == (str(os.getpid()), "")
