"""Files and folders that are their owner's alone, and that nothing of the product is written otherwise."""

import ast
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.private_files import make_folder, private
from engine.run.whole_file import drafted, write_whole

ROOT = Path(__file__).resolve().parents[1]

OTHERWISE = {
    "engine/telemetry.py": {"mkdir", "open"},  # LOG_FILE: its group reads it too (docs/logs.md)
    "engine/run/whole_file.py": {"write_bytes"},  # into a draft that is there already
    "engine/run/wide_csv.py": {"open"},  # as above
    "engine/run/what_if/job.py": {"open"},  # in a temporary folder, which is its owner's alone
    "engine/sim/seed_ledger.py": {"mkdir", "open"},  # a developer's file, read by his tools
    "engine/sim/power.py": {"write_bytes"},  # a simulated disk
    "engine/sim/memory_journal.py": {"mkdir"},  # a simulated session's
}
"""Who may write otherwise, and why."""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_a_file_is_its_owners_alone_from_its_first_moment(tmp_path: Path) -> None:
    """A file that is narrowed after it was written could be opened before."""
    with open(tmp_path / "a", "xb", opener=private):
        assert mode_of(tmp_path / "a") == 0o600
    with drafted(tmp_path / "b") as draft:
        assert mode_of(draft) == 0o600
        draft.write_text("b")
        assert mode_of(draft) == 0o600
    assert mode_of(tmp_path / "b") == 0o600


@pytest.mark.usefixtures("umask")
def test_what_was_open_to_others_is_replaced_by_what_is_not(tmp_path: Path) -> None:
    """An export of an earlier release, written again."""
    (tmp_path / "a").write_text("before")
    (tmp_path / "a").chmod(0o644)
    write_whole(tmp_path / "a", b"after")
    assert mode_of(tmp_path / "a") == 0o600


@pytest.mark.usefixtures("umask")
def test_a_folder_is_made_with_those_above_it_for_its_owner_alone(tmp_path: Path) -> None:
    """``Path.mkdir`` gives its mode to the last one only."""
    make_folder(tmp_path / "a" / "b" / "c")
    make_folder(tmp_path / "a" / "b" / "c")
    assert {mode_of(path) for path in tmp_path.rglob("*")} == {0o700}


def test_a_folder_that_is_there_keeps_its_rights(tmp_path: Path) -> None:
    """They are the operator's (docs/security.md)."""
    tmp_path.chmod(0o750)
    make_folder(tmp_path)
    assert mode_of(tmp_path) == 0o750


def open_to_others(source: str) -> set[str]:
    """Return by which calls of a module a file or a folder is made that others may read."""
    found = set()
    for call in (one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        is_os = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "os"
        named = {word.arg for word in call.keywords}
        given = [one.value for one in call.args if isinstance(one, ast.Constant)]
        modes = [one for one in given if isinstance(one, str)]
        writes = any(set(mode) <= set("rwxabt+") and set(mode) & set("wxa+") for mode in modes)
        bad = {
            "mkdir": "mode" not in named,
            "makedirs": True,
            "touch": not call.args and "mode" not in named,  # of a path: others of that name take something
            "write_bytes": True,
            "write_text": True,
            "open": not is_os and writes and "opener" not in named,
        }
        if bad.get(name, False):
            found.add(name)
    return found


def test_nothing_is_written_that_others_may_read() -> None:
    """Whoever adds a file of the product opens it by the helper, or says here why not."""
    sources = [*(ROOT / "engine").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), ROOT / "dashboard.py"]
    found = {
        str(path.relative_to(ROOT)): calls for path in sources if (calls := open_to_others(path.read_text()))
    }
    assert {name: calls for name, calls in found.items() if calls - OTHERWISE.get(name, set())} == {}
    assert OTHERWISE.keys() - found.keys() == set(), "no longer so"


@pytest.mark.parametrize(
    "line",
    [
        "folder.mkdir(parents=True, exist_ok=True)",
        "path.write_text('x')",
        "path.write_bytes(b'')",
        "open(path, 'wb')",
        "path.open('a', encoding='utf-8')",
        "path.open(mode, 'x')",
        "os.makedirs(folder)",
        "path.touch()",
    ],
)
def test_the_search_finds_what_is_planted(line: str) -> None:
    """It must be able to fail."""
    assert open_to_others(line) != set()
    alone = "open(path, 'xb', opener=private); path.open('rb'); path.mkdir(mode=0o700); hub.touch(tab)"
    assert open_to_others(alone) == set()
