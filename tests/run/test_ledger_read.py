"""Reading the ledger beside an engine: whole rows, in pages, and a reason instead of an exception."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine import events as e
from engine.core.ledger import OrderChange
from engine.run.ledger import read
from engine.run.ledger.file import LedgerFile
from engine.run.ledger.read import Page, Part
from tests.core.builders import past_fill

ROWS = 10_000
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of ten thousand orders and fills: one an hour, a dollar a share won or 90 cents lost."""
    path = tmp_path_factory.mktemp("ledger") / "ledger-paper #1?.sqlite"
    file = LedgerFile(path, "s1")
    changes: list[object] = []
    for number in range(ROWS):
        slug, at_ms = f"w{number:05}", number * HOUR_MS
        fill = past_fill(slug, "UP", ((9_000, 1_000_000),), 1_000, at_ms, order_id=f"{slug}#1", end_s=number)
        order = OrderChange(
            fill.order_id, slug, number, "UP", "1", "BUY", "FOK", 9_000, 900_000, 0, 0.9, "filled", "", "",
            at_ms, at_ms,
        )  # fmt: skip
        changes += [fill, order]
        if number < ROWS - 1:
            changes.append(e.PastSettlement(slug, "UP" if number % 10 else "DOWN", at_ms))
    file.write(1, changes, {}, 0)  # type: ignore[arg-type]
    file.close()
    return path


def test_pages_hold_every_row_once(large: Path) -> None:
    """Page after page, newest first, no row lost or doubled; a page is never longer than the most."""
    seen: list[str] = []
    while True:
        page = read.fills(large, Part(read.ROWS_MOST + 5, len(seen)))
        assert (page.total, page.problem) == (ROWS, "")
        assert len(page.rows) <= read.ROWS_MOST
        seen += [row.slug for row in page.rows]
        if not page.rows:
            break
    assert seen == [f"w{number:05}" for number in reversed(range(ROWS))]


def test_sums_are_the_same_by_contract_hour_and_day(large: Path) -> None:
    """One ledger, three views, one profit."""
    won, lost = 99_000, -901_000
    profit = sum(won if number % 10 else lost for number in range(ROWS - 1))

    def realised(page: object) -> int:
        return sum(row.realised_e6 or 0 for row in page.rows)  # type: ignore[attr-defined]

    assert sum(realised(read.pnl_by_day(large, Part(1_000, offset))) for offset in (0, 1_000)) == profit
    for view in (read.pnl_by_contract, read.pnl_by_hour):
        assert sum(realised(view(large, Part(1_000, offset))) for offset in range(0, ROWS, 1_000)) == profit
    assert read.equity(large, Part(1)).rows[0].equity_e6 == profit
    day = read.pnl_by_day(large, Part(1, 1)).rows[0]
    assert (day.trades, day.contracts, day.fee_e6) == (24, 24, 24_000)
    assert read.pnl_by_hour(large, Part(1)).rows[0].period_utc.endswith(":00")


def test_an_open_contract_is_a_position_and_has_no_profit_yet(large: Path) -> None:
    """Unknown is None, never 0."""
    (held,) = read.positions(large).rows
    assert (held.slug, held.shares_e6, held.cost_e6, held.provisional_fills) == (
        "w09999",
        1_000_000,
        900_000,
        0,
    )
    newest = read.pnl_by_contract(large, Part(1)).rows[0]
    assert (newest.slug, newest.payout_e6, newest.realised_e6) == ("w09999", None, None)


def test_rows_of_one_contract_can_be_asked_for(large: Path) -> None:
    """The page of a contract shows its own."""
    page = read.orders(large, slug="w00042")
    assert [(row.order_id, row.state) for row in page.rows] == [("w00042#1", "filled")]
    assert page.total == 1
    assert [row.fee_e6 for row in read.fills(large, slug="w00042").rows] == [1_000]


def test_a_file_that_is_not_there_has_no_rows(tmp_path: Path) -> None:
    """Before the first run there is nothing, and that is no fault; nor is a file made by looking."""
    assert read.orders(tmp_path / "none.sqlite") == Page()
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """Damaged, of another format, or held by somebody: a reason, never an exception."""
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"no database at all" * 400)
    assert "cannot be read now" in read.equity(damaged).problem
    held = tmp_path / "held.sqlite"
    with closing(sqlite3.connect(held, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE t (x)")
        writer.execute("BEGIN EXCLUSIVE")
        assert "locked" in read.fills(held).problem


def test_a_reader_does_not_stop_the_engine(tmp_path: Path) -> None:
    """A page that is being read, and an engine that writes: both go on."""
    path = tmp_path / "ledger.sqlite"
    file = LedgerFile(path, "s1")
    file.write(1, [past_fill("a", "UP", ((9_000, 1_000_000),), 0, 1)], {}, 1)
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM fill").fetchone() == (1,)
        file.write(2, [past_fill("b", "UP", ((9_000, 1_000_000),), 0, 2)], {}, 2)
        assert read.fills(path).total == 2
    file.close()
