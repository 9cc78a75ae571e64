"""Write ``docs/faults.md``: each fault of the catalogue, what is required, its tests, their last result.

``python scripts/fault_table.py`` writes the table from ``fault_rows.py`` and from ``docs/faults.json``;
``--run`` first runs the tests of the rows (all, or those named: ``--run F28 F32``) and keeps their results
there, with the day. Nothing in the table is written by hand but the list; a test holds the two together.

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
from typing import Final
from xml.etree import ElementTree

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.fault_rows import DRILL, GROUPS, ROWS, WHOLE, Row  # noqa: E402 (scripts are no package)

TABLE: Final = ROOT / "docs" / "faults.md"
RESULTS: Final = ROOT / "docs" / "faults.json"
STORIES: Final = ("whole/test_commands.py", "whole/test_live.py")
"""Files whose tests share an engine and follow each other: they are run whole."""
NOT_FOUND: Final = "not found"

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)

HEAD: Final = """# Faults

Written by `python scripts/fault_table.py`; `--run` runs the tests first and keeps their results in
`faults.json`. A row's last result is that of all its tests, with the day of the oldest. Tests are below
`tests/`; those of `whole/test_faults.py` break the practice venue's real sockets ([practice](practice.md)
lists what it can be told). `DRILL` stands for the bounded simulation drill of `sim/test_drill.py`
([reliability](reliability.md)).

"""


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
    parts = [HEAD]
    for title, rows in GROUPS:
        parts.append(f"## {title}\n\n| | fault | required | tests | last result |\n|---|---|---|---|---|\n")
        for row in rows:
            required = f"{row.required}. *Not so: {row.but}*" if row.but else row.required
            tests = "<br>".join(f"`{_short(name)}`" for name in row.tests)
            cells = (row.name, row.fault, required, tests, outcome(row, told))
            parts.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n")
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def outcome(row: Row, told: dict[str, dict[str, str]]) -> str:
    """Say what a row's tests came to, and when the oldest of them was run."""
    found = [told.get(name) for name in row.tests]
    if not row.tests:
        return "not built"
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return "not run"
    bad = sorted({one["result"] for one in known} - {"passed"})
    day = min(one["day"] for one in known)
    return f"{bad[0] if bad else 'passed'} {day}"


def results() -> dict[str, dict[str, str]]:
    """Return what is kept of earlier runs: by test its ``result`` and ``day``."""
    found: dict[str, dict[str, str]] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    return found


def run(rows: Iterable[Row]) -> list[str]:
    """Run the tests of some rows, each once, and keep their results; return those that did not pass."""
    wanted = list(dict.fromkeys(name for row in rows for name in row.tests))
    cases = ran([name if not name.startswith(STORIES) else name.split("::")[0] for name in wanted])
    left = [name for name in wanted if of_all(cases, name) == NOT_FOUND]
    if left:  # what only a campaign runs
        cases |= ran(left, "-m", "campaign")
    kept, day = results(), datetime.now(UTC).strftime("%Y-%m-%d")
    for name in wanted:
        kept[name] = {"result": of_all(cases, name), "day": day}
    known = {name for row in ROWS for name in row.tests}
    RESULTS.write_text(
        json.dumps({name: kept[name] for name in sorted(kept) if name in known}, indent=0) + "\n"
    )
    return [name for name in wanted if kept[name]["result"] != "passed"]


def ran(names: Iterable[str], *arguments: str) -> dict[str, str]:
    """Run tests; return the result of each case."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", f"--junitxml={report}", *arguments]
        command += ["-o", "junit_family=xunit1", "-p", "no:cacheprovider"]
        paths = dict.fromkeys(f"tests/{name}" for name in names)
        subprocess.run([*command, *paths], cwd=ROOT, check=False)
        return read_report(report.read_text()) if report.is_file() else {}


def read_report(text: str) -> dict[str, str]:
    """Return the result of each test case of a JUnit report, by pytest's name below ``tests/``."""
    found = {}
    for case in ElementTree.fromstring(text).iter("testcase"):  # noqa: S314 (written by our own pytest)
        name = f"{case.get('file', '').removeprefix('tests/')}::{case.get('name')}"
        bad = [kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None]
        found[name] = (
            {"failure": "failed", "error": "failed", "skipped": "skipped"}[bad[0]] if bad else "passed"
        )
    return found


def of_all(cases: dict[str, str], name: str) -> str:
    """Return the worst result of a test's cases; ``not found`` where there was none."""
    own = [result for case, result in cases.items() if case == name or case.startswith(f"{name}[")]
    return next((one for one in ("failed", "skipped", "passed") if one in own), NOT_FOUND)


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


def _short(name: str) -> str:
    if name == DRILL:
        return "DRILL"
    file, _, test = name.partition("::")
    case = re.search(r"\[(.*)\]$", test)
    return f"{file} [{case[1]}]" if case and name.startswith(WHOLE) else f"{file}::{test}"


if __name__ == "__main__":
    sys.exit(main())
