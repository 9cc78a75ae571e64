"""Write ``docs/faults.md``: each fault of the catalogue, what is required, its tests, their last result.

``python scripts/fault_table.py`` writes the table from ``fault_rows.py`` and from ``docs/faults.json``;
``--run`` first runs the tests of the rows (all, or those named: ``--run F28 F32``) and keeps their results
there, with the day, the commit and the level that each was seen to work on. Nothing in the table is written
by hand but the list; a test holds the two together.

Exit status 0: written, and every test that was run passed; 1: one did not; 2: wrong use.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.fault_levels import LEVELS  # noqa: E402 (scripts are no package)
from scripts.fault_rows import DRILL, GROUPS, ROWS, WHOLE, Row  # noqa: E402 (as above)

TABLE: Final = ROOT / "docs" / "faults.md"
RESULTS: Final = ROOT / "docs" / "faults.json"
STORIES: Final = ("whole/test_commands.py", "whole/test_live.py")
"""Files whose tests share an engine and follow each other: they are run whole."""
NOT_FOUND: Final = "not found"
PASSED: Final = "passed"
DIFFERS: Final = "passes, but differs"
"""The third state: every test passes, and what they ask for is not all that the catalogue does."""

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)

CAMPAIGN: Final = "campaign"
TREE: Final = ("engine", "pages", "scripts", "tests", "benchmarks", "dashboard.py")
"""What a result depends on, of the tree."""

HEAD: Final = """# Faults

Written by `python scripts/fault_table.py`; `--run` runs the tests first and keeps their results in
`faults.json`. A row's last result is that of all its tests, with the day of the oldest and the commits they
were run on; `+` after one: with changes that were not committed yet. `passes, but differs`: all its tests
pass, and the product does otherwise than the catalogue asks in what is named. Tests are below `tests/`;
those of `whole/test_faults.py` break the practice venue's real sockets ([practice](practice.md) lists what it
can be told). `DRILL` stands for the bounded simulation drill of `sim/test_drill.py`
([reliability](reliability.md)).

**To run a row's tests**: pytest finds them by the row's name in two digits, `-k F05`, also in the `ARGS` of
`make test`. What a campaign alone plays comes with `-m "campaign or not campaign"` as well.

**On which level** a test works is measured when it is run: `in process` (no socket), `sockets` (of a server
that the test scripts), `practice venue` (its sockets and REST calls), `whole engine` (against the practice
venue, or as a process of its own), `browser` (console and browser too). `(campaign)` after a test: it takes
long, and `make test` leaves it out; after a level: all of the row's tests of that level are such. `no socket
in it`: nothing in that fault comes over one.

"""


class Case(NamedTuple):
    """How one test case ended, and the level it was seen on; no level where it never ran."""

    result: str
    level: str = ""


def main() -> int:
    """Run what was asked for, and write the table."""
    made = argparse.ArgumentParser(prog="python scripts/fault_table.py", description=__doc__.split("\n")[0])
    made.add_argument("--run", nargs="*", metavar="F28", help="run the tests of all rows, or of these, first")
    options = made.parse_args()
    failed = []
    if options.run is not None:
        unknown = set(options.run) - {row.name for row in ROWS}
        if unknown:
            print(f"no row {', '.join(sorted(unknown))}", file=sys.stderr)
            return 2
        failed = run([row for row in ROWS if row.name in options.run or not options.run])
    TABLE.write_text(markdown(results()))
    print(f"{len(ROWS)} rows in {TABLE.relative_to(ROOT)}{''.join(f'; failed: {one}' for one in failed)}")
    return 1 if failed else 0


def missing(row: Row) -> list[str]:
    """Return the tests of a row that are not there: no such file, function or case."""
    return [name for name in row.tests if not _is_there(name)]


def markdown(told: dict[str, dict[str, str]]) -> str:
    """Write the table."""
    parts = [HEAD, f"{summary(told)}\n\n"]
    for title, rows in GROUPS:
        parts.append(f"## {title}\n\n| | fault | required | tests | level | last result |\n")
        parts.append("|---|---|---|---|---|---|\n")
        for row in rows:
            tests = "<br>".join(f"`{_short(name)}`{_when(name, told)}" for name in row.tests)
            cells = (row.name, row.fault, row.required, tests, levels(row, told), outcome(row, told))
            parts.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n")
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def outcome(row: Row, told: dict[str, dict[str, str]]) -> str:
    """Say what a row's tests came to, when the oldest of them was run, and on which commits.

    A row that differs from the catalogue does not pass: what its tests passed is what the product does.
    """
    found = [told.get(name) for name in row.tests]
    if not row.tests:
        return "not built"
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return "not run"
    bad = sorted({one["result"] for one in known} - {PASSED})
    day = min(one["day"] for one in known)
    commits = ", ".join(sorted({one.get("commit", "unknown") for one in known}))
    if bad or not row.but:
        return f"{bad[0] if bad else PASSED} {day} at {commits}"
    return f"{DIFFERS}: {row.but} ({day} at {commits})"


def summary(told: dict[str, dict[str, str]]) -> str:
    """Count the rows by what they came to."""
    found = [outcome(row, told) for row in ROWS]
    passed, differ = (sum(one.startswith(word) for one in found) for word in (f"{PASSED} ", DIFFERS))
    return (
        f"{len(ROWS)} faults: {passed} pass, {differ} pass but differ from the catalogue, "
        f"{len(ROWS) - passed - differ} do neither."
    )


def levels(row: Row, told: dict[str, dict[str, str]]) -> str:
    """Name the levels that a row's tests were seen on, from a function alone to a browser."""
    found = [one for name in row.tests if (one := told.get(name)) is not None]
    parts = ["no socket in it"] if row.no_socket else []
    for level in LEVELS:
        own = [one for one in found if one.get("level") == level]
        if own:
            parts.append(level if any(not one.get(CAMPAIGN) for one in own) else f"{level} ({CAMPAIGN})")
    return ", ".join(parts)


def results() -> dict[str, dict[str, str]]:
    """Return what is kept of earlier runs: by test its ``result``, ``day``, ``commit`` and ``level``."""
    found: dict[str, dict[str, str]] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    return found


def run(rows: Iterable[Row]) -> list[str]:
    """Run the tests of some rows, each once, and keep their results; return those that did not pass."""
    wanted = list(dict.fromkeys(name for row in rows for name in row.tests))
    day, tree = datetime.now(UTC).strftime("%Y-%m-%d"), commit()
    cases = ran(_whole_stories(wanted))
    left = [name for name in wanted if of_all(cases, name) == NOT_FOUND]
    if left:  # what only a campaign runs
        cases |= ran(_whole_stories(left), "-m", CAMPAIGN)
    kept = results()
    for name in wanted:
        result = of_all(cases, name)
        kept[name] = {"result": result, "day": day, "commit": tree, "level": level_of(cases, name)}
        if name in left:
            kept[name][CAMPAIGN] = "yes"
    known = {name for row in ROWS for name in row.tests}
    RESULTS.write_text(
        json.dumps({name: kept[name] for name in sorted(kept) if name in known}, indent=0) + "\n"
    )
    return [name for name in wanted if kept[name]["result"] != "passed"]


def _whole_stories(names: Iterable[str]) -> list[str]:
    """Return what to run for some tests: the whole file where they follow each other."""
    return [name.partition("::")[0] if name.startswith(STORIES) else name for name in names]


def commit() -> str:
    """Return the short hash of the commit, with a plus where the tree differs from it; else ``unknown``."""
    head = _git("rev-parse", "--short=7", "HEAD")
    return f"{head}{'+' if _git('status', '--porcelain', '--', *TREE) else ''}" if head else "unknown"


def _git(*arguments: str) -> str:
    try:
        told = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:  # no git on this machine
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""


def ran(names: Iterable[str], *arguments: str) -> dict[str, Case]:
    """Run tests; return what each case came to."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", f"--junitxml={report}", *arguments]
        command += ["-o", "junit_family=xunit1", "-p", "no:cacheprovider", "-p", "scripts.fault_levels"]
        paths = dict.fromkeys(f"tests/{name}" for name in names)
        subprocess.run([*command, *paths], cwd=ROOT, check=False)
        return read_report(report.read_text()) if report.is_file() else {}


def read_report(text: str) -> dict[str, Case]:
    """Return what each test case of a JUnit report came to, by pytest's name below ``tests/``."""
    found = {}
    for case in ElementTree.fromstring(text).iter("testcase"):  # noqa: S314 (written by our own pytest)
        name = f"{case.get('file', '').removeprefix('tests/')}::{case.get('name')}"
        bad = [kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None]
        result = {"failure": "failed", "error": "failed", "skipped": "skipped"}[bad[0]] if bad else "passed"
        told = case.find("properties/property[@name='level']")
        found[name] = Case(result, "" if told is None else told.get("value", ""))
    return found


def of_all(cases: dict[str, Case], name: str) -> str:
    """Return the worst result of a test's cases; ``not found`` where there was none."""
    own = [case.result for case in _cases_of(cases, name)]
    return next((one for one in ("failed", "skipped", "passed") if one in own), NOT_FOUND)


def level_of(cases: dict[str, Case], name: str) -> str:
    """Return the highest level of a test's cases; empty where none ran."""
    own = [case.level for case in _cases_of(cases, name) if case.level]
    return max(own, key=LEVELS.index, default="")


def _cases_of(cases: dict[str, Case], name: str) -> list[Case]:
    return [case for told, case in cases.items() if told == name or told.startswith(f"{name}[")]


def _is_there(name: str) -> bool:
    file, _, rest = name.partition("::")
    function, _, case = rest.partition("[")
    defined, source = _tests_of(file)
    return function in defined and (not case or f'"{case.removesuffix("]")}"' in source)


@cache
def _tests_of(file: str) -> tuple[set[str], str]:
    """Return the functions of a test file, and its text; nothing where there is none."""
    path = ROOT / "tests" / file
    source = path.read_text() if path.is_file() else ""
    return {one.name for one in ast.parse(source).body if isinstance(one, _FUNCTIONS)}, source


def _when(name: str, told: dict[str, dict[str, str]]) -> str:
    """Say of a test that a campaign alone plays it."""
    return f" ({CAMPAIGN})" if told.get(name, {}).get(CAMPAIGN) else ""


def _short(name: str) -> str:
    if name == DRILL:
        return "DRILL"
    file, _, test = name.partition("::")
    case = re.search(r"\[(.*)\]$", test)
    return f"{file} [{case[1]}]" if case and name.startswith(WHOLE) else f"{file}::{test}"


if __name__ == "__main__":
    sys.exit(main())
