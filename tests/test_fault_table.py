"""The table of faults is the one that the list and the results give, and every test in it is there."""

from pathlib import Path

from scripts import fault_table
from scripts.fault_rows import DRILL, ROWS, WHOLE, Row
from scripts.fault_table import markdown, missing, of_all, outcome, read_report, results


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


REPORT = """<testsuites><testsuite>
<testcase file="tests/test_a.py" name="test_x[1]"/>
<testcase file="tests/test_a.py" name="test_x[2]"><failure/></testcase>
<testcase file="tests/core/test_b.py" name="test_y"/>
<testcase file="tests/test_a.py" name="test_xy"><skipped/></testcase>
</testsuite></testsuites>"""


def test_results_are_read_from_the_report_of_the_run() -> None:
    """One case that failed is the test's failure; a test that was skipped did not pass."""
    cases = read_report(REPORT)
    names = ("test_a.py::test_x", "core/test_b.py::test_y", "test_a.py::test_xy", "test_a.py::test_z")
    assert [of_all(cases, name) for name in names] == ["failed", "passed", "skipped", "not found"]
    told = {"a": {"result": "passed", "day": "2026-11-02"}, "b": {"result": "passed", "day": "2026-11-01"}}
    row = Row("F0", "", "", ("a", "b"))
    assert outcome(row, told) == "passed 2026-11-01"
    assert outcome(row, told | {"b": {"result": "skipped", "day": "2026-11-03"}}) == "skipped 2026-11-02"
    assert outcome(row, {"a": told["a"]}) == "not run"


def test_the_practice_venues_faults_are_told_of_elsewhere() -> None:
    """The head of the table points to a document that is there."""
    assert (Path(fault_table.ROOT) / "docs" / "practice.md").is_file()
