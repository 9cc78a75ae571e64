"""Plant bugs one by one in a copy of the tree, and see that tests or drill seeds named for each catch it.

Usage: ``python scripts/mutants.py [--only NAME,...] [--json] [--list]``; ``make mutants`` plants all. Exit
status 0: the clean copy passes everything, and every bug is caught: a test that failed, or an invariant that
was broken, has to be named. Whatever else goes wrong (a time-out, a file that is missing or cannot be read, a
run that does not come to its end) is an error of the list or of this script and catches nothing. So is a bug
whose place is not found any more: the list has to follow the code.
"""

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
from mutants_planted import MUTANTS, Mutant

ROOT: Final = Path(__file__).resolve().parents[1]
LEFT_OUT: Final = (
    ".git",
    ".venv",
    ".hypothesis",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    "reports",
    "data",
)
LONGEST_S: Final = 900.0


class Verdict(NamedTuple):
    """What a run says: that all is well, or what noticed, or (``error``) nothing at all."""

    passed: bool
    by: tuple[str, ...] = ()
    error: str = ""


class Outcome(NamedTuple):
    """What became of a bug."""

    mutant: Mutant
    verdict: Verdict
    seconds: float

    @property
    def word(self) -> str:
        """Say it in a word."""
        if self.verdict.error:
            return "ERROR"
        return "NOT CAUGHT" if self.verdict.passed else "caught"


def copied(folder: Path) -> Path:
    """Copy what tests and drills need."""
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    samples = ROOT / "data" / "replay_sessions"
    if samples.is_dir():
        shutil.copytree(samples, tree / "data" / "replay_sessions")
    return tree


def command_of(mutant: Mutant) -> list[str]:
    """Return what is run to catch a bug."""
    return tests_command(*mutant.tests) if mutant.tests else drill_command(mutant.seeds, mutant.hours)


def tests_command(*tests: str) -> list[str]:
    """Return what runs tests up to the first that fails."""
    return ["-m", "pytest", "-q", "-x", "-rf", "-p", "no:cacheprovider", *tests]


def drill_command(seeds: str, hours: str) -> list[str]:
    """Return what runs seeds."""
    return ["-m", "engine", "drill", "--seeds", seeds, "--hours", hours, "--uncut", "--json"]


def run(tree: Path, command: list[str], longest_s: float = LONGEST_S) -> Verdict:
    """Run something in a copy, and read what it says."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=longest_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Verdict(False, error=f"no end within {longest_s:g} s")
    if done.returncode == 0:
        return Verdict(True)
    noticed = failed_tests(done.stdout) if "pytest" in command else broken_invariants(done.stdout)
    if done.returncode == 1 and noticed:
        return Verdict(False, noticed)
    tail = "\n".join((done.stdout + done.stderr).splitlines()[-12:])
    return Verdict(False, error=f"exit status {done.returncode}, and nothing is named that noticed:\n{tail}")


def failed_tests(output: str) -> tuple[str, ...]:
    """Return the tests that failed, by pytest's short summary; one that could not be set up is none."""
    return tuple(re.findall(r"^FAILED (\S+)", output, re.MULTILINE))


def broken_invariants(output: str) -> tuple[str, ...]:
    """Return the invariants that a drill found broken; a run without an end is none."""
    try:
        violations = json.loads(output.splitlines()[-1])["violations"]
    except (IndexError, KeyError, TypeError, ValueError):
        return ()
    return tuple(sorted({one["invariant"] for one in violations} - {"run comes to an end"}))


def plant(tree: Path, mutant: Mutant) -> str:
    """Plant a bug; return the file's text as it was.

    Raises:
        LookupError: Its place is not there exactly once.
        SyntaxError: What is put there is no Python: every test would fail on it.
    """
    path = tree / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise LookupError(f"{mutant.name}: its place is {text.count(mutant.old)} times in {mutant.file}")
    planted = text.replace(mutant.old, mutant.new)
    ast.parse(planted)
    path.write_text(planted)
    return text


def clean_failures(tree: Path, mutants: list[Mutant]) -> list[str]:
    """Run everything on the clean copy: what fails there catches nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    seeds = sorted({(mutant.seeds, mutant.hours) for mutant in mutants if mutant.seeds})
    commands = [tests_command(*tests)] if tests else []
    commands += [drill_command(some, hours) for some, hours in seeds]
    verdicts = [(command, run(tree, command)) for command in commands]
    return [
        f"{' '.join(command)} fails without a bug: {', '.join(verdict.by)}{verdict.error}"
        for command, verdict in verdicts
        if not verdict.passed
    ]


def outcome_of(tree: Path, mutant: Mutant) -> Outcome:
    """Plant one bug, see who notices, take it out again."""
    began = time.monotonic()
    try:
        before = plant(tree, mutant)
    except (LookupError, SyntaxError, OSError) as error:
        return Outcome(mutant, Verdict(False, error=str(error)), 0.0)
    try:
        verdict = run(tree, command_of(mutant))
    finally:
        (tree / mutant.file).write_text(before)
    return Outcome(mutant, verdict, time.monotonic() - began)


def main() -> int:
    """Plant, run, report."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--only", default="", help="names, with commas")
    options.add_argument("--json", action="store_true")
    options.add_argument("--list", action="store_true")
    given = options.parse_args()
    wanted = [mutant for mutant in MUTANTS if not given.only or mutant.name in given.only.split(",")]
    if given.list or not wanted:
        for mutant in MUTANTS:
            print(f"{mutant.group:9} {mutant.name:32} {mutant.file}")
        return 0 if given.list else 2
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = copied(Path(folder))
        failures = clean_failures(tree, wanted)
        for failure in failures:
            print(failure, file=sys.stderr)
        if failures:
            return 1
        outcomes = []
        for mutant in wanted:
            outcomes.append(outcome_of(tree, mutant))
            last = outcomes[-1]
            by = ", ".join(last.verdict.by) or last.verdict.error
            print(f"{last.word:10} {mutant.group:9} {mutant.name:32} {last.seconds:6.1f} s  {by}", flush=True)
    named = {
        word: [one.mutant.name for one in outcomes if one.word == word]
        for word in ("caught", "NOT CAUGHT", "ERROR")
    }
    told = {"planted": len(outcomes), "caught": len(named["caught"])}
    told |= {"missed": named["NOT CAUGHT"], "errors": named["ERROR"]}
    if given.json:
        print(json.dumps(told | {"by": {one.mutant.name: one.verdict.by for one in outcomes}}))
    return 1 if told["missed"] or told["errors"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
