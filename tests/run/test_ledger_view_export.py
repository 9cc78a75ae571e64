"""The whole book as one file: of one moment, or not at all."""

import sqlite3
from pathlib import Path

import pytest

from engine.run.ledger import view
from engine.run.ledger.read import ROWS_MOST, Part
from engine.run.ledger.view import ExportError, Line, Lines
from tests.books import FIRST_MS, FIVE_MINUTES_MS, keep_ledger

ROWS = 2 * ROWS_MOST + 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "l.sqlite"
    keep_ledger(path, ROWS)
    return path


def add_fill(path: Path, number: int) -> None:
    """Book one fill more, the newest of all, as the engine beside does."""
    with sqlite3.connect(path) as database:
        database.execute(
            "INSERT INTO fill SELECT * FROM (SELECT * FROM fill ORDER BY at_ms DESC LIMIT 1) WHERE 0"
        )
        columns = [row[1] for row in database.execute("PRAGMA table_info(fill)")]
        values = {"order_id": f"'new#{number}'", "at_ms": f"at_ms + {number}"}
        told = ", ".join(values.get(column, column) for column in columns)
        database.execute(f"INSERT INTO fill SELECT {told} FROM fill ORDER BY at_ms DESC LIMIT 1")
    database.close()


class Reader:
    """Read the fills, with something that happens behind each page."""

    def __init__(self, path: Path, writes: int) -> None:
        self.path, self.left, self.pages = path, writes, 0

    def __call__(self, path: Path, part: Part) -> Lines:
        page = view.fills(path, part)
        self.pages += 1
        if self.left:
            self.left -= 1
            add_fill(self.path, self.left + 1)
        return page


def orders_of(rows: tuple[Line, ...]) -> list[str]:
    return [f"{row['order']} {row['trade']}" for row in rows]


def test_a_fill_that_comes_between_two_pages_is_in_it_once(path: Path) -> None:
    """It moved all others by one place: the row at the seam was there twice, and the new one was not."""
    reader = Reader(path, writes=1)
    rows = view.every(reader, path)
    assert len(rows) == ROWS + 1
    assert len(set(orders_of(rows))) == ROWS + 1
    assert rows[0]["order"] == "new#1"
    assert [row["at_ms"] for row in rows[1:]] == [
        FIRST_MS + number * FIVE_MINUTES_MS for number in reversed(range(ROWS))
    ]
    assert reader.pages == 6, "read twice, and no oftener"


def test_a_ledger_that_is_written_all_the_time_is_not_exported_by_halves(path: Path) -> None:
    """An end that can be told, and a reason."""
    with pytest.raises(ExportError, match=r"l\.sqlite is being written all the time"):
        view.every(Reader(path, writes=10**6), path)


@pytest.mark.parametrize("at_page", [1, 2, 3])
def test_a_page_that_cannot_be_read_is_no_end_of_the_book(path: Path, at_page: int) -> None:
    """The file was busy just then: the rest was left out without a word."""
    asked = 0

    def busy(path: Path, part: Part) -> Lines:
        nonlocal asked
        asked += 1
        return (
            Lines(problem="l.sqlite cannot be read now: locked")
            if asked == at_page
            else view.fills(path, part)
        )

    with pytest.raises(ExportError, match="cannot be read now: locked"):
        view.every(busy, path)


def test_a_file_that_is_no_ledger_is_no_empty_book(tmp_path: Path) -> None:
    """One that is not there is: nothing was traded yet."""
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"no database at all" * 400)
    with pytest.raises(ExportError, match=r"damaged\.sqlite cannot be read now"):
        view.every(view.fills, damaged)
    assert view.every(view.fills, tmp_path / "none.sqlite") == ()


def test_what_an_export_leaves_out_is_said() -> None:
    """Up to its most it is the whole book; beyond, the newest rows."""
    assert view.export_label(view.EXPORT_MOST) == "Make CSV of the whole book"
    assert view.export_label(view.EXPORT_MOST + 1) == "Make CSV of the newest 100,000 rows"
