"""Times that somebody typed, and CSV that a spreadsheet may open."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.run.table_text import (
    DAYS_MOST_MS,
    lasted,
    megabytes,
    moment_of,
    shown,
    sign_in_link,
    time_of,
    timed,
    to_csv,
    typed,
)


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


@given(st.lists(st.text("=+-@\t\r\n1.,%|!('A c", max_size=12), min_size=1, max_size=5))
def test_no_text_of_a_pages_table_is_a_formula_once_its_own_button_wrote_it_as_csv(words: list[str]) -> None:
    """Streamlit's "Download as CSV" quotes, and that is all: what it is given has to be harmless."""
    (row,) = shown([{"why": word, "refused": (word,), "n": -1.5} for word in words[:1]])
    for cell in (row["why"], *row["refused"]):
        assert cell[:1] not in ("=", "@", "\t", "\r")
        if cell[:1] in ("+", "-"):
            assert re.match(r".([0-9. ]|inf|$)", cell)
            assert not set("|!(@=\t\r\n") & set(cell)
            assert not re.search(r"[+*/-][A-Za-z]", cell)
    assert row["n"] == -1.5


@pytest.mark.parametrize("text", ["+0.12%", "-1,234.50 USD", "+3 ms", "-0.0123 $/share", "up", ""])
def test_a_number_with_its_sign_and_unit_is_shown_as_it_is(text: str) -> None:
    """It is no formula, and an apostrophe before each loss would be."""
    assert shown([{"change": text}]) == [{"change": text}]


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd|x!A1", "@SUM(A1)", "\t=1", "-1+A1"])
def test_what_a_spreadsheet_would_run_is_shown_with_an_apostrophe(text: str) -> None:
    """Reasons of the venue, names and notes of whoever signs in."""
    assert shown([{"why": text, "many": [text]}]) == [{"why": f"'{text}", "many": [f"'{text}"]}]


@pytest.mark.parametrize(
    "text", ["-", "-inf", "+12 ms off the venue's", "+5.00 to +9.00", "-1.5e-05", "-3.00, at stake 7.00"]
)
def test_what_our_own_texts_begin_with_stays(text: str) -> None:
    """A stray apostrophe before a number makes people doubt the number."""
    assert shown([{"a": text}]) == [{"a": text}]


@pytest.mark.parametrize(
    "text", ["-1+cmd|' /C calc'!A0", '+1("a")', "-2+SUM(A1:A9)", "+A1", "=1", "@x", "-x"]
)
def test_a_sign_does_not_hide_a_formula(text: str) -> None:
    """A number before it makes a call no safer."""
    assert shown([{"a": text}]) == [{"a": f"'{text}"}]


def test_a_long_name_is_read_in_one_pass() -> None:
    """A regular expression that tries every way to cut a text holds the interpreter, and the kill with it.

    Counted, not timed: at this length the wrong expression would not end.
    """
    for part in ("a", " a", "a ", "$/", "$/a", "+", "- ", ".", "1,", "%"):
        name = "+1" + part * 5_000 + "!"
        assert shown([{"who": name}]) == [{"who": f"'{name}"}]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, None),
        (0.0, "0 s"),
        (59.9, "59 s"),
        (162.0, "2 min 42 s"),
        (7_260.0, "2 h 1 min"),
        (90_000.0, "1 d 1 h"),
    ],
)
def test_how_long_something_lasts_has_the_two_units_that_matter(
    seconds: float | None, text: str | None
) -> None:
    """162 s has to be divided in the head."""
    assert lasted(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(None, None), (0.0, "0.0 MB"), (999.0, "999.0 MB"), (76_485.0, "76.5 GB")]
)
def test_a_large_size_is_in_gigabytes(size: float | None, text: str | None) -> None:
    """76,485 MB is no size that anybody compares."""
    assert megabytes(size) == text


@pytest.mark.parametrize(
    ("base", "page", "asked", "address"),
    [
        ("", "", {}, "/sign-in"),
        ("/ops", "mode", {}, "/ops/sign-in?to=mode"),
        ("", "ledger", {"view": "Orders", "a": "b&c"}, "/sign-in?to=ledger%3Fview%3DOrders%26a%3Db%2526c"),
    ],
)
def test_who_signs_in_comes_back_to_the_page_and_its_query(base, page, asked, address):
    """Whatever the query holds, it is one word of the sign-in's own."""
    assert sign_in_link(base, page, asked) == address
