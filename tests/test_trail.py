"""The audit trail: what was added stays, whole lines only, whatever happens beside it."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.trail import TEXT_LIMIT, Trail, plain


@given(st.lists(st.tuples(st.text(max_size=600), st.text(max_size=600)), max_size=8))
def test_what_was_added_is_read_in_order(told: list[tuple[str, str]]) -> None:
    """Names and reasons of any letters, line ends among them, are one line each."""
    with TemporaryDirectory() as folder:
        trail = Trail(Path(folder))
        added = [trail.add("refused", who, why) for who, why in told]
        assert trail.read() == (added, 0)
        assert all(len(deed.who) <= TEXT_LIMIT for deed in added)


@given(st.binary(max_size=200))
def test_nothing_in_the_file_makes_it_unreadable(content: bytes) -> None:
    """A line cut off by a power failure is counted, hides no other line, and is not joined to the next."""
    with TemporaryDirectory() as folder:
        trail = Trail(Path(folder))
        trail.path.write_bytes(content)
        added = trail.add("tripped", "operator", "test")
        deeds, unread = trail.read()
        assert deeds[-1] == added
        assert len(deeds) - 1 + unread == len([line for line in content.split(b"\n") if line])
        assert trail.path.read_bytes().startswith(content)


@given(
    st.text(max_size=30),
    st.binary(min_size=32, max_size=40),
    st.sampled_from(("", "0x")),
    st.text(max_size=600),
)
def test_what_may_be_a_private_key_is_not_kept(before: str, key: bytes, mark: str, after: str) -> None:
    """Not even the part of it that the limit would leave."""
    kept = plain("x" * (TEXT_LIMIT - 40) + f"{before} {mark}{key.hex()} {after}")
    assert key.hex()[:20] not in kept
    assert len(kept) <= TEXT_LIMIT


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    """It names people."""
    trail = Trail(tmp_path / "not" / "there" / "yet")
    assert trail.read() == ([], 0)
    trail.add("tripped", "operator", "test")
    assert trail.path.stat().st_mode & 0o777 == 0o600


def test_processes_beside_each_other_do_not_mix_their_lines(tmp_path: Path) -> None:
    """The console, an engine without one, and a command line write the same file."""
    code = (
        "import sys; from pathlib import Path; from engine.trail import Trail\n"
        "for n in range(50): Trail(Path(sys.argv[1])).add('tripped', sys.argv[2], 'x' * (n * 9))"
    )
    names = [str(n) for n in range(4)]
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in names]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    deeds, unread = Trail(tmp_path).read()
    assert unread == 0
    assert {name: [len(deed.why) // 9 for deed in deeds if deed.who == name] for name in names} == {
        name: list(range(50)) for name in names
    }


def test_a_line_is_on_the_disk_before_add_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of system calls: the whole line, then the sync, on the same file."""
    calls: list[tuple[str, int]] = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append(("write", fd)) or write(fd, data))
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append(("fsync", fd)) or fsync(fd))
    Trail(tmp_path).add("armed", "operator", "test")
    assert [name for name, _ in calls] == ["write", "fsync"]
    assert len({descriptor for _, descriptor in calls}) == 1
