"""Planted bugs are caught, by a test or an invariant that is named; `make mutants` plants all, this one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "mutants.py"

sys.path.insert(0, str(SCRIPT.parent))
import mutants  # noqa: E402 (a script, not a package)


def test_every_bug_still_has_its_place_and_its_tests() -> None:
    """A list that does not follow the code plants nothing."""
    for mutant in mutants.MUTANTS:
        assert (ROOT / mutant.file).read_text().count(mutant.old) == 1, mutant.name
        assert mutant.old != mutant.new, mutant.name
        assert all((ROOT / test.partition("::")[0]).is_file() for test in mutant.tests), mutant.name
        assert mutant.tests or mutant.seeds, mutant.name
    names = [mutant.name for mutant in mutants.MUTANTS]
    assert len(set(names)) == len(names) >= 20


def test_there_are_five_of_each_group() -> None:
    """What the issue asks for: strategies of public bots, money, time, recovery."""
    for group in ("strategy", "money", "time", "recovery"):
        assert sum(mutant.group == group for mutant in mutants.MUTANTS) >= 5, group


def planted(*names: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--only", ",".join(names), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.whole
def test_a_bug_of_money_is_caught_by_a_drill() -> None:
    """From end to end; ``make mutants`` plants all."""
    status, told = planted("fee-not-taken-from-cash")
    assert (status, told["planted"], told["caught"]) == (0, 1, 1), told
    assert told["by"] == {"fee-not-taken-from-cash": ["money is conserved"]}


@pytest.mark.whole
@pytest.mark.campaign
def test_a_bug_of_money_is_caught_by_a_test() -> None:
    """The other way."""
    status, told = planted("failed-trade-is-kept")
    assert (status, told["planted"], told["caught"]) == (0, 1, 1), told
    assert told["by"]["failed-trade-is-kept"][0].startswith("tests/core/test_trades.py::")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("def test_it() -> None\n    assert True\n", "exit status 2"),
        ("import pytest\n@pytest.fixture\ndef x():\n    1 / 0\ndef test_it(x):\n    pass\n", "exit status 1"),
        ("def test_it() -> None:\n    assert False\n", "test_x.py::test_it"),
    ],
    ids=["no Python", "cannot be set up", "fails"],
)
def test_only_a_test_that_failed_catches_a_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, verdict: str
) -> None:
    """Any bug that is a typing error would count as caught."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "test_x.py").write_text(text)
    told = mutants.run(tmp_path, mutants.tests_command("test_x.py"))
    assert not told.passed
    assert ", ".join(told.by) == (verdict if "::" in verdict else "")
    assert told.error.startswith("" if told.by else verdict)


def test_a_time_out_catches_nothing(tmp_path: Path) -> None:
    """A slow machine would catch every bug."""
    assert "no end" in mutants.run(tmp_path, ["-c", "import time; time.sleep(9)"], longest_s=0.2).error


@pytest.mark.parametrize(
    "words",
    [
        "",
        "no JSON",
        "{}",
        "[]",
        '{"violations": []}',
        '{"violations": [{"invariant": "run comes to an end"}]}',
    ],
)
def test_a_drill_that_names_no_invariant_catches_nothing(tmp_path: Path, words: str) -> None:
    """A run that breaks down, or hangs, has shown nothing."""
    verdict = mutants.run(tmp_path, ["-c", f"print({words!r}); raise SystemExit(1)"])
    assert (verdict.by, verdict.error[:13]) == ((), "exit status 1")


def test_a_bug_that_cannot_be_planted_fails_the_list(tmp_path: Path) -> None:
    """No place, no file, or no Python."""
    (tmp_path / "a.py").write_text("x = 1\n")
    for file, old, new in (("a.py", "y", "z"), ("b.py", "x", "z"), ("a.py", "x = 1", "x = (")):
        one = mutants.outcome_of(tmp_path, mutants.Mutant("n", "money", file, old, new, ("t.py",)))
        assert one.word == "ERROR", one
    assert (tmp_path / "a.py").read_text() == "x = 1\n"
