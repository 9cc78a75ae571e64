"""Planted bugs are caught; `make mutants` plants all of them, this two."""

import json
import subprocess
import sys
from pathlib import Path

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
        assert all((ROOT / test).is_file() for test in mutant.tests), mutant.name
        assert mutant.tests or mutant.seeds, mutant.name
    names = [mutant.name for mutant in mutants.MUTANTS]
    assert len(set(names)) == len(names) >= 20


def test_there_are_five_of_each_group() -> None:
    """What the issue asks for: strategies of public bots, money, time, recovery."""
    for group in ("strategy", "money", "time", "recovery"):
        assert sum(mutant.group == group for mutant in mutants.MUTANTS) >= 5, group


@pytest.mark.whole
@pytest.mark.campaign
def test_two_planted_bugs_are_caught() -> None:
    """One of the strategy, one of time."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--only", "spot-rule-after-august,stale-price-is-fresh", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"planted": 2, "caught": 2, "missed": []}
