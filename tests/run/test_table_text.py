"""Times that somebody typed, and CSV that a spreadsheet may open."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.run.table_text import DAYS_MOST_MS, moment_of, time_of, timed, to_csv, typed


@given(st.integers(0, DAYS_MOST_MS // 1000))
def test_a_written_time_is_read_as_itself(second: int) -> None:
    """The address has to lead back to the same moment."""
    assert moment_of(typed(second * 1000)) == second * 1000


@given(st.text(max_size=60))
def test_whatever_is_typed_is_a_time_or_none(text: str) -> None:
    """Anybody can type anything into an address."""
    found = moment_of(text)
    assert found is None or 0 <= found <= DAYS_MOST_MS


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-13-01 00:00", "2026-02-30 10:00", "9999-01-01 00:00", "1e9", "２０２６-01-01 00:00"],
)
def test_what_is_no_time_is_none(text: str) -> None:
    """A guess would show another day's trades."""
    assert moment_of(text) is None


@given(st.integers())
def test_no_number_of_milliseconds_breaks_a_table(at_ms: int) -> None:
    """A venue's stamp may be anything."""
    told = time_of(at_ms)
    assert (told is not None) is (0 <= at_ms <= DAYS_MOST_MS)
    assert timed([{"at_ms": at_ms, "n": 1}]) == [{"at_ms": told, "n": 1}]


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_no_cell_of_an_export_is_a_formula_and_none_breaks_its_row(words: list[str]) -> None:
    """Reasons are others' words: a spreadsheet must not run them."""
    made = to_csv([{f"c{place}": word for place, word in enumerate(words)}])
    names, cells = list(csv.reader(io.StringIO(made, newline="")))
    assert len(names) == len(cells) == len(words)
    assert not any(cell[:1] in ("=", "+", "-", "@") for cell in cells)


def test_an_export_has_times_in_utc_numbers_in_full_and_nothing_for_unknown() -> None:
    """Rounded money cannot be added up again; a negative number is no formula."""
    rows = [{"at_ms": 1_787_236_200_123, "profit": -1.234567, "outcome": None, "refused": ("EV", "depth")}]
    assert to_csv(rows).splitlines() == [
        "at_utc,profit,outcome,refused",
        "2026-08-20T14:30:00.123+00:00,-1.234567,,EV; depth",
    ]
    assert to_csv([]) == ""
