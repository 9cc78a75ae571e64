"""Wide CSV: what is written is read; what cannot be used is named with its file, line and column."""

import tracemalloc
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.state import State
from engine.core.step import step
from engine.run.market_rows import Faults, MarketRow, MarketRowError
from engine.run.markets_table import read_markets, write_markets
from engine.run.session_rows import SessionRows
from engine.run.wide_csv import REQUIRED, markets_beside, read_rows, records_of_csv, write_rows
from tests.run.row_sessions import staged

SLUG = "btc-updown-5m-1789999800"
BEGIN = 1_789_999_800_000
HEADER = ",".join(REQUIRED)
GOOD = f"{BEGIN},{BEGIN},60000.5,60001,{SLUG},0.5,10,0.51,10,0.49,10,0.5,10"
LATER = f"{BEGIN + 5},{BEGIN + 5},60000.6,60001,{SLUG},,,0.51,10,0.49,10,,"


def lines(tmp_path: Path, *texts: str) -> Path:
    path = tmp_path / "rows.csv"
    path.write_bytes("\n".join(texts).encode())
    return path


def of(column: str, value: str) -> str:
    cells = GOOD.split(",")
    cells[REQUIRED.index(column)] = value
    return ",".join(cells)


def row(column: str, value: str) -> str:
    return f"{HEADER}\n{of(column, value)}"


def sampled() -> list[MarketRow]:
    return [one.row for one in SessionRows().rows(staged())]


def test_a_session_survives_the_way_through_csv(tmp_path: Path) -> None:
    """Exact prices of eighteen decimals, sizes, empty sides: nothing is rounded, nothing is filled in."""
    rows = sampled()
    path = tmp_path / "session.csv"
    assert write_rows(path, rows) == len(rows)
    assert list(read_rows(path)) == rows


LEVELS = st.dictionaries(st.integers(1, 9_999), st.integers(1, 10**12), max_size=5)
BTC = st.none() | st.decimals("0.000000000000000001", "999999", places=18)


@given(st.lists(st.tuples(st.integers(0, 10**6), BTC, BTC, LEVELS, LEVELS), min_size=1, max_size=12))
def test_any_rows_survive_the_way_through_csv(
    tmp_path_factory: pytest.TempPathFactory,
    made: list[tuple[int, Decimal | None, Decimal | None, dict[int, int], dict[int, int]]],
) -> None:
    """Whatever the grid allows is written so that it is read again."""
    rows, at_ms = [], BEGIN
    for number, (gap, canonical, spot, bids, asks) in enumerate(made):
        at_ms += gap + 1
        best_bids = tuple(sorted(bids.items(), reverse=True))[:1]
        stamp = None if canonical is None else BEGIN + number
        rows.append(
            MarketRow(at_ms, at_ms, SLUG, canonical, spot, stamp, None, None,
                      best_bids, tuple(sorted(asks.items())), (), tuple(sorted(bids.items()))[:5])
        )  # fmt: skip
    path = tmp_path_factory.mktemp("csv") / "any.csv"
    write_rows(path, rows)
    assert list(read_rows(path)) == rows


def test_played_rows_show_the_same_touches_and_prices_at_each_row(tmp_path: Path) -> None:
    """session -> CSV -> events -> core: at each row the core knows what the row says."""
    sampling = SessionRows()
    rows = [one.row for one in sampling.rows(staged())]
    path = tmp_path / "session.csv"
    write_rows(path, rows)
    write_markets(markets_beside(path), sampling.terms.values())
    last = {(row.slug, row.ts_recv_ms): row for row in rows}
    waiting = sorted(last.values(), key=lambda row: row.ts_recv_ms, reverse=True)
    state, checked = State(), 0
    for record in records_of_csv(path):
        while waiting and waiting[-1].ts_recv_ms < record.event.ts_recv_ms:
            checked += _is_shown(state, waiting.pop())
        step(state, record)
    assert checked + sum(_is_shown(state, row) for row in waiting) == len(last)


def _is_shown(state: State, row: MarketRow) -> bool:
    market = state.markets[row.slug]
    if row.ts_recv_ms < market.contract.end_s * 1000:
        assert market.up.depth("BUY", 1) == row.up_bids, row
        assert market.up.depth("SELL", 5) == row.up_asks, row
        assert market.down.depth("SELL", 5) == row.down_asks, row
    for source, lookback, stamp, value in (
        ("chainlink", 0, row.canonical_ts_ms, row.canonical_price),
        ("twap", 60, row.twap_ts_ms, row.twap_price),
    ):
        if stamp is not None:
            assert state.track(source, lookback).at(stamp // 1000) == value, row  # type: ignore[arg-type]
    return True


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty", "", "the file is empty"),
        ("no row", HEADER, "no row that can be used"),
        ("missing column", HEADER.replace(",up_ask,", ","), "line 1: without the columns up_ask"),
        ("unknown column", f"{HEADER},mood", "line 1: unknown columns 'mood'"),
        ("twice", f"{HEADER},slug", "line 1: column 'slug' is there twice"),
        ("depth alone", f"{HEADER},up_ask_2", "up_ask_2 and up_ask_size_2 go together"),
        ("depth with a hole", f"{HEADER},up_ask_3,up_ask_size_3", "up_ask_3 without up_ask_2"),
        ("seconds", row("ts_venue_ms", "1789999800"), "ts_venue_ms: '1789999800' is in seconds"),
        ("micro", row("ts_recv_ms", "1789999800000000"), "'1789999800000000' is in microseconds"),
        ("nano", row("ts_recv_ms", "1789999800000000000"), "is in nanoseconds"),
        ("fraction", row("ts_recv_ms", "1789999800000.5"), "is no Unix time in whole milliseconds"),
        ("nan", row("canonical_price", "NaN"), "line 2, column canonical_price: 'NaN' is not a price"),
        ("inf", row("spot_price", "inf"), "column spot_price: 'inf'"),
        ("touch nan", row("up_ask", "nan"), "column up_ask: 'nan' is not a price between 0 and 1"),
        ("cents", row("up_ask", "51"), "column up_ask: '51' is not a price between 0 and 1"),
        ("off grid", row("up_ask", "0.51234"), "column up_ask: '0.51234'"),
        ("zero", row("down_bid", "0"), "leave the cells of an empty side empty"),
        ("no size", row("up_bid_size", ""), "column up_bid_size: price and size go together"),
        ("size inf", row("up_bid_size", "1e400"), "column up_bid_size: '1e400'"),
        ("slug", row("slug", "=cmd()"), "column slug: '=cmd()' is not the slug"),
        ("short", f"{HEADER}\n{GOOD}\n1,2", "line 3, 2 cells, the header has 13"),
        ("unsorted", f"{HEADER}\n{LATER}\n{GOOD}", "line 3, column ts_recv_ms"),
        ("duplicate", f"{HEADER}\n{GOOD}\n{GOOD}", "line 3, column ts_recv_ms: the row of"),
        ("quote", f'{HEADER}\n"{GOOD}', "not CSV"),
        ("endless", "x" * 200_000, "line 1 is longer than"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_says_where_and_why(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    """Somebody has to find that cell in a file of a million lines."""
    path = lines(tmp_path, content)
    with pytest.raises(MarketRowError) as told:
        list(read_rows(path))
    assert str(path) in str(told.value)
    assert words in str(told.value), name


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    """A spreadsheet's own format is no CSV."""
    path = tmp_path / "rows.csv"
    path.write_bytes(HEADER.encode() + b"\n\xff\xfe\x00")
    with pytest.raises(MarketRowError, match="not UTF-8 text"):
        list(read_rows(path))


def test_what_is_intact_is_read_and_the_rest_is_told(tmp_path: Path) -> None:
    """One bad cell must not take a day of rows with it, and must not be mended."""
    path = lines(tmp_path, HEADER, GOOD, of("up_ask", "nan"), GOOD, LATER)
    faults = Faults()
    rows = list(read_rows(path, faults))
    assert [row.ts_recv_ms for row in rows] == [BEGIN, BEGIN + 5]
    assert faults.count == 2
    assert "line 3, column up_ask" in faults.told[0]
    assert "line 4" in faults.told[1]
    assert rows[1].up_bids == ()


def _quoted(text: str) -> bytes:
    rows = [",".join(f'"{cell}"' for cell in line.split(",")) for line in text.split("\n")]
    return "\n".join(rows).encode()


@pytest.mark.parametrize(
    "encoded",
    [
        lambda text: "\ufeff".encode() + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        _quoted,
    ],
)
def test_marks_line_ends_and_quotes_of_other_programs_change_nothing(tmp_path: Path, encoded: object) -> None:
    """The same rows out of any spreadsheet."""
    path = tmp_path / "rows.csv"
    path.write_bytes(encoded(f"{HEADER}\n{GOOD}\n{LATER}"))  # type: ignore[operator]
    assert [row.up_bids for row in read_rows(path)] == [((5000, 10_000_000),), ()]


def test_reading_holds_a_line_at_a_time(tmp_path: Path) -> None:
    """A file of two gigabytes is read in the memory of its longest line."""
    path = tmp_path / "long.csv"
    with path.open("w") as file:
        file.write(f"{HEADER}\n")
        for at_ms in range(BEGIN, BEGIN + 8_000):
            file.write(f"{at_ms},{at_ms},60000.5,60001,{SLUG},0.5,{at_ms % 100 + 1},0.51,10,,,,\n")
    tracemalloc.start()
    count = sum(1 for _ in read_rows(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 8_000
    assert peak < path.stat().st_size / 3


def test_without_stamps_a_new_price_is_a_new_report_of_its_second(tmp_path: Path) -> None:
    """The seed's own columns hold no stamp: a report is another value, floored to the venue's second."""
    path = lines(tmp_path, HEADER, GOOD, LATER)
    state = State()
    for record in records_of_csv(path, {}):
        step(state, record)
    assert state.track("chainlink").at(BEGIN // 1000) == Decimal("60000.5")
    assert state.bad_prices["chainlink: restated"] == 1  # two values of one second: the core says so


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{}", "it has to be a list"),
        (b"[1]", "market 0: not an object"),
        (b'[{"slug": "eth-updown-5m-1789999800"}]', "is not the slug"),
        (b'[{"slug": "btc-updown-5m-1789999800", "end": 5}]', "start and end are"),
        (b'[{"slug": "btc-updown-5m-1789999800", "outcome": "Up"}]', "UP, DOWN or null"),
        (b'[{"slug": "btc-updown-5m-1789999800", "rule": "twap"}]', "spot, or twap with its seconds"),
        (b'[{"slug": "btc-updown-5m-1789999800", "strike": "NaN"}]', "is not finite"),
        (b'[{"slug": "btc-updown-5m-1789999800", "fee_rate": 7}]', "outside 0 to 1"),
        (b"[", "not a markets table"),
    ],
)
def test_a_markets_table_that_cannot_be_used_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    """A wrong strike or rule is a wrong profit."""
    path = tmp_path / "rows.markets.json"
    path.write_bytes(content)
    with pytest.raises(MarketRowError, match=r"market|list|table") as told:
        read_markets(path)
    assert words in str(told.value)


def test_the_sample_is_small_whole_and_says_that_it_is_practice() -> None:
    """The first thing that somebody plays back."""
    folder = Path(__file__).resolve().parents[2] / "data" / "replay_sessions"
    sample = folder / "practice-sample.csv"
    assert sample.stat().st_size < 400_000
    faults = Faults()
    slugs = {row.slug for row in read_rows(sample, faults)}
    assert faults.count == 0
    assert slugs == read_markets(markets_beside(sample)).keys()
    assert "practice" in (folder / "README.md").read_text()
