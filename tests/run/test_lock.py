"""A second engine is told which process trades, where its console is, and since when."""

import os
import time
from pathlib import Path

import pytest

from engine.errors import StartError
from engine.run.lock import FILE_NAME, FolderLock, Holder, holder_of, holding


def test_a_second_engine_is_told_who_trades_where_and_since_when(tmp_path: Path) -> None:
    """Whoever opened two consoles has to find the one that trades, and to know that KILL reaches it."""
    began_s = int(time.time())
    with FolderLock(tmp_path, 8501), pytest.raises(StartError) as refused, FolderLock(tmp_path, 8601):
        pass
    told = str(refused.value)
    assert f"another engine (process {os.getpid()}, console at port 8501, since 2" in told
    assert "KILL stops it from here too" in told
    assert "use that console, stop it, or set another DATA_DIR" in told
    with FolderLock(tmp_path):
        held = holding(tmp_path)
    assert held is not None
    assert (held.pid, held.port) == (str(os.getpid()), None), "nothing is left of the longer line before"
    assert held.since_s is not None
    assert held.since_s >= began_s
    assert holding(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "process unknown"),
        (b"4242", "process 4242"),
        (b"4242 - 99999999999999999999\n", "process 4242"),
        (b"4242 x \xff\xfe", "process 4242"),
        (b"7 9000 0\n", "process 7, console at port 9000, since 1970-01-01 00:00:00 UTC"),
    ],
)
def test_whatever_stands_in_the_lock_is_told_as_far_as_it_can_be_read(
    tmp_path: Path, content: bytes, words: str
) -> None:
    """An older version's lock has the process alone, and one that is just taken nothing."""
    with FolderLock(tmp_path):
        (tmp_path / FILE_NAME).write_bytes(content)
        held = holding(tmp_path)
        assert isinstance(held, Holder)
        assert held.words == words
        assert holder_of(tmp_path) == held.pid
