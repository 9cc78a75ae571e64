"""Parquet windows: what is written is read; what is missing or broken is named, and the rest opens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.run.export import export_csv, export_parquet
from engine.run.market_rows import Faults, MarketRow, MarketRowError, thinned
from engine.run.session_rows import SessionRows
from engine.run.wide_csv import read_rows
from engine.run.window_files import WindowRows, opening_of, read_window, read_windows
from tests.run.row_sessions import staged

SLUG = "btc-updown-5m-1789999800"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("session") / "session.windows"
    told = export_parquet(staged(), made)
    assert told["windows"] == len(list(made.glob("*.parquet")))
    return made


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_a_window_survives_the_way_through_parquet(folder: Path) -> None:
    """Calibration reads these years later: exact, or it measures nothing."""
    by_slug: dict[str, list[MarketRow]] = {}
    for one in SessionRows().rows(staged()):
        by_slug.setdefault(one.row.slug, []).append(one.row)
    windows = list(read_windows(folder))
    assert {one.terms.slug for one in windows} == by_slug.keys()
    for window in windows:
        kept, left_out = thinned(by_slug[window.terms.slug], window.terms.end_s)
        assert list(window.rows()) == kept
        assert window.left_out == left_out
    assert any(one.terms.outcome for one in windows)


def test_what_the_session_was_opened_with_travels_with_its_rows(folder: Path) -> None:
    """A comparison with "as it was" needs the parameters of then."""
    assert opening_of(folder)["params"]["hammer_s"] == 15.0


def test_a_missing_part_is_named_and_the_others_open(copied: Path) -> None:
    """A disk loses a file; that is no reason to lose a session, nor to make rows up."""
    (copied / f"{SLUG}.parquet").unlink()
    with pytest.raises(MarketRowError, match=rf"{SLUG}\.parquet is missing"):
        list(read_windows(copied))
    faults = Faults()
    assert SLUG not in {one.terms.slug for one in read_windows(copied, faults)}
    assert len(faults.told) == 1


def test_without_a_markets_table_nothing_is_known_but_the_rows(copied: Path) -> None:
    """A rule that nobody told is not assumed."""
    (copied / "markets.json").unlink()
    faults = Faults()
    windows = list(read_windows(copied, faults))
    assert {one.terms.rule for one in windows} == {None}
    assert "markets.json is missing" in faults.told[0]


Change = Callable[[dict[str, list[Any]]], None]


def _set(name: str, value: object) -> Change:
    def change(columns: dict[str, list[Any]]) -> None:
        columns[name][5] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("up_ask", float("nan")), "row 6, column up_ask is not a number"),
        (_set("up_ask_size", float("inf")), "row 6, column up_ask_size is off the venue's grid"),
        (_set("up_bid", 51.0), "row 6, column up_bid is off the venue's grid"),
        (_set("canonical_price", "NaN"), "column canonical_price: 'NaN' is not a price"),
        (_set("ts_recv_ms", 1_789_999_800), "row 6, column ts_recv_ms is no time in milliseconds"),
        (_set("ts_recv_ms", 1_789_999_700_000), "row 6, column ts_recv_ms is before the row above it"),
        (_set("ts_venue_ms", None), "row 6, column ts_venue_ms is empty"),
        (lambda columns: columns.pop("down_ask"), "without the columns down_ask"),
        (_set("slug", "btc-updown-5m-1789999500"), "the file is of btc-updown-5m-1789999800"),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_used_says_where_and_why(copied: Path, change: Change, words: str) -> None:
    """Whoever edited it by hand has to find the cell."""
    path = copied / f"{SLUG}.parquet"
    table = pq.read_table(path)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    change(columns)
    kept = pa.schema([field for field in table.schema if field.name in columns])
    pq.write_table(pa.table(columns, schema=kept), path)
    with pytest.raises(MarketRowError) as told:
        read_window(path)
    assert words in str(told.value)
    assert str(path) in str(told.value)


def test_a_torn_part_is_named(copied: Path) -> None:
    """Half a file is none."""
    path = copied / f"{SLUG}.parquet"
    path.write_bytes(path.read_bytes()[:2_000])
    with pytest.raises(MarketRowError, match="not Parquet that can be read"):
        read_window(path)


def test_a_csv_may_be_thinned_too(tmp_path: Path) -> None:
    """A sample has to be small; the table beside it tells of its windows alone."""
    told = export_csv(staged(), tmp_path / "small.csv", rows_most=400)
    rows = list(read_rows(tmp_path / "small.csv"))
    assert told["left_out"] > 0
    assert told["rows"] == len(rows)
    assert max(sum(row.slug == slug for row in rows) for slug in {row.slug for row in rows}) == 400


def test_a_session_without_market_data_leaves_no_file(tmp_path: Path) -> None:
    """An empty file would be found later and believed."""
    with pytest.raises(MarketRowError, match="no market data"):
        export_csv(staged()[:5], tmp_path / "none.csv")
    assert list(tmp_path.iterdir()) == []


def test_rows_of_windows_are_found_by_place(folder: Path) -> None:
    """Single rows are asked for in the midst of a what-if."""
    window: WindowRows = read_window(folder / f"{SLUG}.parquet")
    assert window.row(10) == list(window.rows())[10]
