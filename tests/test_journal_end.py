"""The recorder's end on a disk that fails just then: it says so, and the engine ends."""

import asyncio
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from engine import events as e
from engine.errors import JournalError
from engine.journal import Journal, _Barrier, read_events, read_meta

LONG_S = 20.0
"""Far longer than an end takes; who has not ended by then waits for ever."""


def ended(journal: Journal) -> bool:
    """Close a journal as the engine does, in a thread; say whether it came back."""
    closing = threading.Thread(target=journal.close, daemon=True)
    closing.start()
    closing.join(LONG_S)
    return not closing.is_alive()


def second(seq: int) -> e.Record:
    return e.Record(seq, e.SecondPassed(ts_recv_ms=seq))


def fail(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("failing", ["_commit", "_end"])
def test_an_end_that_cannot_be_written_is_an_end_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """SIGTERM hung, and the data folder stayed locked: the writer waited for a second word to end."""
    path = tmp_path / "s.sqlite"
    journal = Journal(path, {})
    journal.record(second(1))
    while journal.written_seq < 1:
        pass
    monkeypatch.setattr(journal, failing, fail)
    assert ended(journal)
    assert journal.error is not None
    assert "No space left" in journal.error
    with pytest.raises(JournalError, match="No space left"):
        journal.record(second(2))
    assert [record.seq for record in read_events(path)] == [1]
    assert read_meta(path)["status"] == "running", "it did not end in order"


@pytest.mark.parametrize("failing", ["_commit", "_end"])
async def test_who_waits_at_a_failing_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Before the word to end, with it and behind it: nobody is left waiting for a writer that is gone."""
    journal = Journal(tmp_path / "s.sqlite", {})
    late = _Barrier()

    def failed(*_: object, **__: object) -> None:
        journal._queue.put(late)  # type: ignore[arg-type]  # it takes anything
        fail()

    monkeypatch.setattr(journal, failing, failed)
    before, behind = _Barrier(), _Barrier()
    for item in (before, "ended", behind):
        journal._queue.put(item)
    journal._queue.put_now(second(1))
    await asyncio.to_thread(journal._thread.join, LONG_S)
    assert not journal._thread.is_alive()
    told = [one.done.exception(timeout=LONG_S) for one in (before, behind, late)]
    # What was committed before the failing word is durable, and its waiters were told so.
    assert [isinstance(one, JournalError) for one in told] == [failing == "_commit"] * 2 + [True]


def test_a_file_that_may_not_grow_any_more_does_not_hold_the_engine(tmp_path: Path) -> None:
    """The same by the system's own hand: the log has reached the size that the process may write."""
    path = tmp_path / "s.sqlite"
    script = textwrap.dedent(
        f"""
        import resource
        from pathlib import Path
        from engine import events as e
        from engine.journal import Journal
        path = Path({str(path)!r})
        journal = Journal(path, {{}})
        journal.record(e.Record(1, e.SecondPassed(ts_recv_ms=1)))
        while journal.written_seq < 1:
            pass
        size = path.with_name("s.sqlite-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        journal.close()
        print(journal.error)
        """
    )
    made = subprocess.run(
        [sys.executable, "-c", script], check=True, timeout=60, capture_output=True, text=True
    )
    assert "cannot record in" in made.stdout
    assert [record.seq for record in read_events(path)] == [1]
