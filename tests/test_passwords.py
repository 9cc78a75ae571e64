"""Passwords as the settings keep them, and the passes that they give."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import kill_token, passes
from engine.passwords import hash_password, is_hash, mark_of, matches

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def hashed() -> str:
    return hash_password(PASSWORD)


def test_a_hash_belongs_to_one_password(hashed: str) -> None:
    """A letter more, less or other is another password."""
    assert matches(PASSWORD, hashed)
    assert not any(matches(wrong, hashed) for wrong in (PASSWORD[:-1], f"{PASSWORD} ", PASSWORD.upper(), ""))


def test_the_same_password_has_another_hash_each_time(hashed: str) -> None:
    """Who steals two files must not see that two people chose the same."""
    again = hash_password(PASSWORD)
    assert again != hashed
    assert mark_of(again) != mark_of(hashed)


def test_a_hash_needs_no_quoting_anywhere(hashed: str) -> None:
    """Compose and shells read a dollar as a variable, an ``.env`` a hash sign as a comment."""
    assert set(hashed) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:")


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_a_password_that_protects_nothing_is_refused(password: str) -> None:
    """Twelve characters, tried at ten a second, last."""
    with pytest.raises(ValueError, match="characters"):
        hash_password(password)


@given(st.text(max_size=80))
@settings(max_examples=60)
def test_any_other_text_is_no_hash_and_matches_nothing(text: str) -> None:
    """A mistyped setting must not let somebody in, nor break the sign-in."""
    assert not is_hash(text)
    assert not matches(PASSWORD, text)


@pytest.mark.parametrize("cost", ["9", "40", "-1", "2**15"])
def test_a_hash_cannot_ask_for_all_memory(cost: str) -> None:
    """Costs come from a file somebody may have edited."""
    assert not is_hash(f"scrypt:{cost}:8:1:{'A' * 22}:{'A' * 43}")


def test_a_pass_says_who_until_it_ends(tmp_path: Path) -> None:
    """It is all that a browser brings."""
    held = passes.read(tmp_path, passes.issue(tmp_path, 2, "alice", "mark", 60))
    assert held is not None
    assert (held.role, held.name, held.mark) == (2, "alice", "mark")
    assert 58 < held.until_s - time.time() <= 60
    assert passes.read(tmp_path, passes.issue(tmp_path, 2, "alice", "mark", -1)) is None


@given(data=st.data())
@settings(max_examples=40)
def test_no_changed_letter_makes_another_pass(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A viewer who edits his cookie stays a viewer."""
    folder = tmp_path_factory.getbasetemp()
    text = passes.issue(folder, 1, "bob", "mark", 60)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(
        st.characters(min_codepoint=33, max_codepoint=126).filter(lambda one: one != text[place])
    )
    changed = f"{text[:place]}{letter}{text[place + 1 :]}"
    assert passes.read(folder, changed) is None


@pytest.mark.parametrize("text", ["", ".", "a.b", "é.é", "x" * 5_000, "e30.", "e30"])
def test_what_is_no_pass_is_none(tmp_path: Path, text: str) -> None:
    """Cookies hold anything."""
    kill_token.open_token(tmp_path, passes.KEY_FILE)
    assert passes.read(tmp_path, text) is None


def test_a_pass_of_another_folder_opens_nothing(tmp_path: Path) -> None:
    """Two consoles under one name share cookies, and not their operators."""
    for name in ("one", "two"):
        kill_token.open_token(tmp_path / name, passes.KEY_FILE)
    assert passes.read(tmp_path / "two", passes.issue(tmp_path / "one", 2, "alice", "mark", 60)) is None


def test_the_key_is_its_owners_alone_and_never_in_a_pass(tmp_path: Path) -> None:
    """Who reads it can make himself an operator."""
    text = passes.issue(tmp_path, 1, "bob", "mark", 60)
    file = tmp_path / passes.KEY_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().strip() not in text


def test_signing_out_ends_one_pass_for_good_and_the_key_all_of_them(tmp_path: Path) -> None:
    """A cookie that was copied must not outlive its owner's leaving; nor a restart bring it back."""
    mine, yours = (passes.issue(tmp_path, 2, name, "mark", 60) for name in ("alice", "bob"))
    held = passes.read(tmp_path, mine)
    assert held is not None
    passes.end(tmp_path, held)
    assert passes.read(tmp_path, mine) is None
    assert passes.read(tmp_path, yours) is not None
    passes.end_all(tmp_path)
    assert passes.read(tmp_path, yours) is None


def test_the_list_of_ended_passes_does_not_grow_for_ever(tmp_path: Path) -> None:
    """Those whose time has come by itself are left out at the next writing."""
    old = passes.Pass(1, "old", int(time.time()) - 1, "mark", "old-id")
    passes.end(tmp_path, old)
    passes.end(tmp_path, passes.Pass(1, "new", int(time.time()) + 60, "mark", "new-id"))
    assert "old-id" not in (tmp_path / passes.ENDED_FILE).read_text()


def test_of_those_who_sign_out_at_once_each_is_out(tmp_path: Path) -> None:
    """The list was read, changed and put back, so that one of four at once stayed signed in."""
    until_s = int(time.time()) + 600
    for turn in range(10):
        passes.end(tmp_path, passes.Pass(1, "old", int(time.time()) - 1, "mark", f"old-{turn}"))  # put anew
        held = [passes.Pass(2, "x", until_s, "mark", f"{turn}-{n}") for n in range(4)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda one: passes.end(tmp_path, one), held))
    kept = (tmp_path / passes.ENDED_FILE).read_text().splitlines()
    assert {line.partition(" ")[0] for line in kept} >= {
        f"{turn}-{n}" for turn in range(10) for n in range(4)
    }
    assert (tmp_path / passes.ENDED_FILE).stat().st_mode & 0o777 == 0o600


def test_processes_that_sign_out_at_once_lose_nobody(tmp_path: Path) -> None:
    """Two consoles may have one data folder."""
    code = (
        "import sys, time; from pathlib import Path; from engine import passes\n"
        "for n in range(40): passes.end(Path(sys.argv[1]), passes.Pass("
        "1, 'x', int(time.time()) + (600 if n % 2 else -1), 'mark', f'{sys.argv[2]}-{n}'))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(n)]) for n in range(3)]
    assert [writer.wait(60) for writer in writers] == [0] * 3
    kept = {line.partition(" ")[0] for line in (tmp_path / passes.ENDED_FILE).read_text().splitlines()}
    assert kept >= {f"{writer}-{n}" for writer in range(3) for n in range(1, 40, 2)}


def test_no_pass_that_has_time_left_comes_back(tmp_path: Path) -> None:
    """Who signed in and out often enough brought his first pass back to life."""
    first = passes.issue(tmp_path, 2, "alice", "mark", 600)
    held = passes.read(tmp_path, first)
    assert held is not None
    passes.end(tmp_path, held)
    with (tmp_path / passes.ENDED_FILE).open("a") as file:
        file.writelines(f"{n:016x} {held.until_s}\n" for n in range(5_000))
    passes.end(tmp_path, passes.Pass(1, "last", held.until_s, "mark", "last-id"))
    passes.end(tmp_path, passes.Pass(1, "over", 1, "mark", "over-id"))
    assert passes.read(tmp_path, first) is None
    assert len((tmp_path / passes.ENDED_FILE).read_text().splitlines()) == 5_002


def test_a_line_that_was_cut_off_takes_no_other_with_it(tmp_path: Path) -> None:
    """A full disk, or a power cut, in the middle of it."""
    text = passes.issue(tmp_path, 2, "alice", "mark", 600)
    held = passes.read(tmp_path, text)
    assert held is not None
    (tmp_path / passes.ENDED_FILE).write_text("0123456789abc")
    passes.end(tmp_path, held)
    assert passes.read(tmp_path, text) is None


def test_signing_out_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut takes back is no end for good."""
    synced: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")) or fsync(fd)
    )
    passes.end(tmp_path, passes.Pass(1, "new", int(time.time()) + 60, "mark", "new-id"))
    assert str(tmp_path / passes.ENDED_FILE) in synced


def test_who_was_signed_out_by_another_process_is_out_at_once(tmp_path: Path) -> None:
    """What was read of the list before is good as long as the list is the same."""
    texts = [passes.issue(tmp_path, 2, "alice", "mark", 600) for _ in range(3)]
    for n, text in enumerate(texts):
        held = passes.read(tmp_path, text)
        assert held is not None
        with (tmp_path / passes.ENDED_FILE).open("a") as file:
            file.write(f"{held.id} {held.until_s}\n")
        assert [passes.read(tmp_path, one) is None for one in texts] == [m <= n for m in range(3)]
