"""The table of faults is the one that the list and the results give, and every test in it is there."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from scripts import fault_table
from scripts.fault_levels import BROWSER, IN_PROCESS, SOCKETS, VENUE, level_of
from scripts.fault_levels import WHOLE as WHOLE_ENGINE
from scripts.fault_rows import DRILL, ROWS, WHOLE, Row
from scripts.fault_table import Case, levels, markdown, missing, of_all, outcome, ran, read_report, results
from tests.conftest import COLLECTED

ROOT = Path(fault_table.ROOT)


def test_the_document_is_the_one_that_the_command_writes() -> None:
    """A table that is changed by hand says what nobody tested."""
    assert fault_table.TABLE.read_text() == markdown(results())


def test_every_test_of_every_row_is_there() -> None:
    """A test that was renamed would leave its row green for ever."""
    assert {row.name: gone for row in ROWS if (gone := missing(row))} == {}
    assert [outcome(row, {}) for row in ROWS if not row.tests] == []


def test_every_row_of_the_catalogue_has_its_place() -> None:
    """F1 to F61, in order, none left out."""
    assert [row.name for row in ROWS] == [f"F{number}" for number in range(1, 62)]


def test_a_test_that_is_gone_is_noticed() -> None:
    """By its file, its name, or the case."""
    gone = ("nowhere.py::test_x", "test_kill.py::test_that_never_was", f"{WHOLE}[no such case]")
    assert missing(Row("F0", "", "", (*gone, DRILL, f"{WHOLE}[lost delta]"))) == list(gone)


# --- a row's tests are found by its name --------------------------------------------------------------------

NAMES = """
import json, sys, pytest
class Names:
    def pytest_collection_modifyitems(self, items, config):
        from tests.conftest import COLLECTED
        from tests.test_fault_table import searched
        told = {one.nodeid: searched(one) for one in config.stash[COLLECTED]}
        print("NAMES", json.dumps(told))
sys.exit(pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Names()]))
"""


def searched(item: pytest.Item) -> str:
    """Return all that ``-k`` searches of a test, in small letters: names of its own and of its parents, its
    function's attributes, its markers and what the collection added."""
    nodes = item.listchain()
    names = [node.name for node in nodes if not isinstance(node, pytest.Session | pytest.Directory)]
    names += [*item.listextrakeywords(), *(mark.name for mark in item.iter_markers())]
    names += getattr(getattr(item, "function", None), "__dict__", {})
    return "\n".join(names).lower()


def everything(items: Iterable[pytest.Item]) -> dict[str, str]:
    """Return what is searched of every test: of these where all of the table are among them, as in
    ``make test``, else of a collection of the files in the table."""
    found = {item.nodeid: searched(item) for item in items}
    wanted = sorted({f"tests/{name.partition('::')[0]}" for row in ROWS for name in row.tests})
    if set(wanted) <= {nodeid.partition("::")[0] for nodeid in found}:
        return found
    command = [sys.executable, "-c", NAMES, *wanted]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in told.splitlines() if line.startswith("NAMES ")]
    collected: dict[str, str] = json.loads(line.removeprefix("NAMES "))
    return collected


def test_each_row_is_found_by_its_name_and_nothing_else_is(request: pytest.FixtureRequest) -> None:
    """``-k F05`` runs what the table lists for F5: every case, whatever its file, and nothing besides."""
    names = everything(request.config.stash[COLLECTED])
    for row in ROWS:
        listed = {
            nodeid
            for nodeid in names
            for name in row.tests
            if nodeid == f"tests/{name}" or nodeid.startswith(f"tests/{name}[")
        }
        assert {nodeid for nodeid, text in names.items() if row.keyword.lower() in text} == listed
        assert len(listed) >= len(row.tests), row.name


@pytest.mark.parametrize("address", ["0xf39Fd6e5", "F12", b"\xff12"])
def test_a_case_that_looks_like_a_row_is_no_row(address: object, request: pytest.FixtureRequest) -> None:
    """A hexadecimal case must not be run with row F39, nor row F12."""
    assert not any(row.keyword.lower() in request.node.name.lower() for row in ROWS)
    assert "f_" in request.node.name.lower()


# --- levels -------------------------------------------------------------------------------------------------


def test_a_row_is_tested_over_real_sockets_unless_it_has_none() -> None:
    """A fault of the venue that is only ever handed to a function says nothing of the sockets' side."""
    told = results()

    def is_pure(row: Row) -> bool:
        return {told.get(name, {}).get("level", "") for name in row.tests} <= {"", IN_PROCESS}

    assert [row.name for row in ROWS if not row.no_socket and is_pure(row)] == []


def test_a_level_is_what_was_seen() -> None:
    """Marks tell whole engines and browsers; what connects is seen by itself."""
    assert level_of(set(), set()) == IN_PROCESS
    assert level_of(set(), {VENUE}) == IN_PROCESS, "a venue that nobody connects to"
    assert level_of(set(), {SOCKETS}) == SOCKETS
    assert level_of({"campaign"}, {SOCKETS, VENUE}) == VENUE
    assert level_of({"whole"}, set()) == WHOLE_ENGINE
    assert level_of({"whole", "browser"}, set()) == BROWSER


def test_a_run_by_name_takes_the_tests_of_those_rows_and_measures_their_levels() -> None:
    """F51 has two tests in that file, which connect to nothing; F2's has a server of its own; the last one
    uses the practice venue. F50, F5, F20 and all the other tests of these files stay away."""
    files = ("test_fault_rows.py", "feeds/test_socket.py", "practice/test_faults_catalogue.py")
    assert ran(files, "-k", "F51 or F02 or levels_come") == {
        "test_fault_rows.py::test_f51_a_second_that_comes_twice_changes_nothing": Case("passed", IN_PROCESS),
        "test_fault_rows.py::test_f51_a_leap_second_in_words_is_no_time": Case("passed", IN_PROCESS),
        "feeds/test_socket.py::test_f2_a_half_open_connection_is_dropped_at_once": Case("passed", SOCKETS),
        "practice/test_faults_catalogue.py::test_levels_come_in_no_order_and_are_the_same_ones": Case(
            "passed", VENUE
        ),
    }


def test_a_rows_levels_are_told_in_order_and_what_a_campaign_alone_plays_says_so() -> None:
    """A level counts as everyday where one of its tests is."""
    told = {
        "a": {"level": WHOLE_ENGINE, "campaign": "yes"},
        "b": {"level": IN_PROCESS},
        "c": {"level": WHOLE_ENGINE},
    }
    assert levels(Row("F0", "", "", ("a", "b")), told) == "in process, whole engine (campaign)"
    assert levels(Row("F0", "", "", ("a", "b", "c")), told) == "in process, whole engine"
    assert levels(Row("F0", "", "", ("b", "d"), no_socket=True), told) == "no socket in it, in process"


REPORT = """<testsuites><testsuite>
<testcase file="tests/test_a.py" name="test_x[1]"/>
<testcase file="tests/test_a.py" name="test_x[2]"><failure/></testcase>
<testcase file="tests/core/test_b.py" name="test_y"><properties>
<property name="level" value="sockets"/></properties></testcase>
<testcase file="tests/test_a.py" name="test_xy"><skipped/></testcase>
</testsuite></testsuites>"""


def test_results_are_read_from_the_report_of_the_run() -> None:
    """One case that failed is the test's failure; a test that was skipped did not pass."""
    cases = read_report(REPORT)
    names = ("test_a.py::test_x", "core/test_b.py::test_y", "test_a.py::test_xy", "test_a.py::test_z")
    assert [of_all(cases, name) for name in names] == ["failed", "passed", "skipped", "not found"]
    assert cases["core/test_b.py::test_y"] == Case("passed", "sockets")
    assert fault_table.level_of(cases, "core/test_b.py::test_y") == "sockets"
    assert fault_table.level_of(cases, "test_a.py::test_x") == ""
    told = {
        "a": {"result": "passed", "day": "2026-11-02", "commit": "bbbbbbb"},
        "b": {"result": "passed", "day": "2026-11-01", "commit": "aaaaaaa+"},
    }
    row = Row("F0", "", "", ("a", "b"))
    assert outcome(row, told) == "passed 2026-11-01 at aaaaaaa+, bbbbbbb"
    skipped = {"result": "skipped", "day": "2026-11-03", "commit": "bbbbbbb"}
    assert outcome(row, told | {"b": skipped}) == "skipped 2026-11-02 at bbbbbbb"
    assert outcome(row, {"a": told["a"]}) == "not run"


def test_a_row_that_differs_from_the_catalogue_never_simply_passes() -> None:
    """A green row is read as: what is required holds. One that fails says so first."""
    told = {"a": {"result": "passed", "day": "2026-11-02", "commit": "bbbbbbb"}}
    row = Row("F0", "", "", ("a",), "one is left out")
    assert outcome(row, told) == "passes, but differs: one is left out (2026-11-02 at bbbbbbb)"
    failed = {"a": told["a"] | {"result": "failed"}}
    assert outcome(row, failed) == "failed 2026-11-02 at bbbbbbb"
    assert outcome(row, {}) == "not run"
    table = markdown({name: told["a"] for one in ROWS for name in one.tests})
    lines = {line.split(" ")[1]: line for line in table.splitlines() if line.startswith("| F")}
    assert len(lines) == len(ROWS)
    differing = [one for one in ROWS if one.but]
    assert {one.name for one in differing} == {name for name, line in lines.items() if "differs" in line}
    assert f"{len(ROWS) - len(differing)} pass, {len(differing)} pass but differ" in table


def test_a_test_that_a_campaign_alone_plays_says_so() -> None:
    """Who reads that a row passed has to see what of it ``make test`` looks at."""
    run = {"result": "passed", "day": "2026-11-02", "commit": "bbbbbbb"}
    told = {name: run for row in ROWS for name in row.tests}
    kill = "whole/test_commands.py::test_a_kill_while_the_engine_stands_still_holds_when_it_goes_on"
    assert "(campaign)<br>" not in markdown(told)
    assert f"`{kill}` (campaign)<br>" in markdown(told | {kill: run | {"campaign": "yes"}})
    assert f"`{kill}` (campaign)<br>" in markdown(results())


def test_the_practice_venues_faults_are_told_of_elsewhere() -> None:
    """The head of the table points to a document that is there."""
    assert (Path(fault_table.ROOT) / "docs" / "practice.md").is_file()


def test_a_result_names_the_commit_that_it_is_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that is not committed yet is said to be there; without a repository nothing is made up."""
    monkeypatch.setattr(fault_table, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert fault_table.commit() == "unknown"
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "a").write_text("1")
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "tests"], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    head = fault_table.commit()
    assert len(head) == 7
    (tmp_path / "other").write_text("1")
    assert fault_table.commit() == head, "nothing that a result depends on"
    (tmp_path / "tests" / "a").write_text("2")
    assert fault_table.commit() == f"{head}+"
