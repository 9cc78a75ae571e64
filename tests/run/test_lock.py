"""A second engine is told which process trades, where its console is, and since when."""

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from engine.errors import StartError
from engine.run.lock import FILE_NAME, LOOK_S, FolderLock, Holder, holder_of, holding


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


@pytest.mark.parametrize("below", ["", "sessions"])
def test_a_file_in_the_folder_s_place_is_said_to_be_one(tmp_path: Path, below: str) -> None:
    """ "File exists; let this user write there" sent the operator to look at rights."""
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / below
    with pytest.raises(StartError) as refused, FolderLock(folder):
        pass
    assert str(refused.value) == (
        f"DATA_DIR {folder} is a file, or lies below one, and has to be a folder; set another DATA_DIR"
    )


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


def test_who_looks_just_now_does_not_keep_an_engine_from_starting(tmp_path: Path) -> None:
    """A second console asks who holds the folder by taking the lock for a moment."""
    (tmp_path / "engine.lock").touch()
    with (tmp_path / "engine.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        looked = threading.Timer(LOOK_S / 5, file.close)
        looked.start()
        with FolderLock(tmp_path):
            assert holding(tmp_path) is not None
        looked.join()
