"""Market rows in Parquet: one file for each contract window, with the markets table beside them.

``<session>.windows/<slug>.parquet`` has the columns of the CSV; prices of contracts and sizes are doubles
(exact on the venue's grid), prices of BTC texts (eighteen decimals). A window has at most ``ROWS_MOST`` rows;
how many were left out stands in its metadata. What it does not know: what rows are for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.events import Level
from engine.private_files import make_folder
from engine.run.market_rows import (
    ROWS_MOST,
    Faults,
    MarketRow,
    MarketRowError,
    WindowTerms,
    can_be_btc,
    complain,
    thinned,
)
from engine.run.markets_table import read_markets, window_times, write_markets
from engine.run.whole_file import drafted
from engine.run.wide_csv import DEPTH, EXACT, MS_LEAST, MS_MOST, REQUIRED, SIDES, WRITTEN
from engine.units import ONE_E4, ONE_E6

FORMAT: Final = "1"
MARKETS: Final = "markets.json"
TIMES: Final = ("ts_venue_ms", "ts_recv_ms", "canonical_ts_ms", "twap_ts_ms")
BTC: Final = ("canonical_price", "spot_price", "twap_price")
NONE: Final = np.iinfo(np.int64).min
"""Stands for an empty cell in columns of whole numbers."""


class _Told(msgspec.Struct):
    """What is read of a window's metadata."""

    left_out: int = 0


class WindowRows(NamedTuple):
    """A window's rows by column: what many windows are read into, and what the sweep reads.

    ``times`` by name, shape (n,), int64; ``btc`` by name: what each row holds as a place in ``values``, -1
    for an empty cell; ``sides`` by name: prices (ten-thousandths) and sizes (millionths) of each level, best
    first. Empty cells of whole numbers are ``NONE``.
    """

    terms: WindowTerms
    times: dict[str, npt.NDArray[np.int64]]
    btc: dict[str, npt.NDArray[np.int64]]
    values: dict[str, list[Decimal]]
    sides: dict[str, list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.times["ts_recv_ms"])

    def row(self, place: int) -> MarketRow:
        """Return one row."""
        canonical, twap = self._stamp("canonical_ts_ms", place), self._stamp("twap_ts_ms", place)
        return MarketRow(
            int(self.times["ts_venue_ms"][place]), int(self.times["ts_recv_ms"][place]), self.terms.slug,
            self.price("canonical_price", place), self.price("spot_price", place), canonical,
            self.price("twap_price", place), twap, *(self._levels(side, place) for side in SIDES),
        )  # fmt: skip

    def rows(self) -> Iterator[MarketRow]:
        """Yield every row."""
        return (self.row(place) for place in range(len(self)))

    def price(self, name: str, place: int) -> Decimal | None:
        """Return a price of BTC in a row."""
        found = int(self.btc[name][place])
        return None if found < 0 else self.values[name][found]

    def _stamp(self, name: str, place: int) -> int | None:
        value = int(self.times[name][place])
        return None if value == NONE else value

    def _levels(self, side: str, place: int) -> tuple[Level, ...]:
        levels = ((int(prices[place]), int(sizes[place])) for prices, sizes in self.sides[side])
        return tuple(level for level in levels if level[0] != NONE)


# --- writing ------------------------------------------------------------------------------------------------


def windows_folder(journal: Path) -> Path:
    """Name the folder of a session's windows: beside its journal."""
    return journal.with_name(f"{journal.name.split('.')[0]}.windows")


def write_window(
    folder: Path, terms: WindowTerms, rows: Sequence[MarketRow], facts: Mapping[str, Any] | None = None
) -> int:
    """Write a window's rows, whole or not at all.

    Args:
        folder: Where to.
        terms: The window.
        rows: In order of time.
        facts: More for the file's metadata, such as the parameters that the session was opened with.
    Returns:
        How many rows were left out.
    """
    kept, left_out = thinned(rows, terms.end_s, ROWS_MOST)
    told = {"format": FORMAT, "slug": terms.slug, "rows": len(rows), "left_out": left_out} | dict(facts or {})
    table = pa.table(_columns(kept), schema=SCHEMA).replace_schema_metadata(
        {"updown": msgspec.json.encode(told).decode()}
    )
    path = folder / f"{terms.slug}.parquet"
    make_folder(folder)
    with drafted(path) as draft:
        pq.write_table(table, draft, compression="zstd")
    return left_out


def write_table(folder: Path, table: Iterable[WindowTerms]) -> None:
    """Write the markets table of a folder of windows."""
    make_folder(folder)
    write_markets(folder / MARKETS, table)


def _columns(rows: Sequence[MarketRow]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    sides = [(side, [(f"{side}{of}", f"{side}_size{of}") for of in _ranks(side)]) for side in SIDES]
    for row in rows:
        for name in (*TIMES, "slug"):
            columns[name].append(getattr(row, name))
        for name in BTC:
            value = getattr(row, name)
            columns[name].append(None if value is None else f"{value:f}")
        for (_, names), levels in zip(
            sides, (row.up_bids, row.up_asks, row.down_bids, row.down_asks), strict=True
        ):
            for rank, (price, size) in enumerate(names):
                level = levels[rank] if rank < len(levels) else None
                columns[price].append(None if level is None else level[0] / ONE_E4)
                columns[size].append(None if level is None else level[1] / ONE_E6)
    return columns


def _ranks(side: str) -> list[str]:
    return ["", *(f"_{rank}" for of, rank, price, _ in DEPTH if of == side and price in WRITTEN)]


def _type(name: str) -> pa.DataType:
    if name in TIMES:
        return pa.int64()
    return pa.string() if name in (*BTC, "slug") else pa.float64()


SCHEMA: Final = pa.schema([(name, _type(name)) for name in WRITTEN])


# --- reading ------------------------------------------------------------------------------------------------


def read_windows(folder: Path, faults: Faults | None = None) -> Iterator[WindowRows]:
    """Yield the windows of a folder, by their end.

    Args:
        folder: It holds Parquet files, and ``markets.json``.
        faults: Counts parts that are missing or cannot be used; without it the first one raises.
    Raises:
        MarketRowError: No such folder or no window in it, or a part cannot be used and nobody counts.
    """
    if not folder.is_dir():
        raise MarketRowError(f"{folder}: no folder of windows")
    beside = folder / MARKETS
    table: dict[str, WindowTerms] = {}
    if beside.is_file():
        table = read_markets(beside, faults)
    else:
        complain(faults, f"{beside} is missing: nothing is known of the windows' rules and outcomes")
    there = {path.stem: path for path in folder.glob("*.parquet")}
    for slug in sorted(table.keys() - there.keys()):
        complain(faults, f"{folder / slug}.parquet is missing: {slug} is in {MARKETS}")
    read = 0
    for slug in sorted(there, key=lambda name: (window_times(name) or (0, 0))[::-1]):
        try:
            yield read_window(there[slug], table.get(slug))
            read += 1
        except MarketRowError as error:
            complain(faults, str(error))
    if not read:
        raise MarketRowError(f"{folder}: there is no window that can be used")


def read_window(path: Path, terms: WindowTerms | None = None) -> WindowRows:
    """Read a window's rows.

    Raises:
        MarketRowError: It cannot be used; the text names row and column.
    """
    times = window_times(path.stem)
    if times is None:
        raise MarketRowError(f"{path}: {path.stem[:80]!r} is not the slug of a BTC 5m or 15m window")
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
        told = from_json((table.schema.metadata or {}).get(b"updown", b"{}"), _Told)
    except (pa.ArrowException, OSError, UnicodeError, DecodingError) as error:
        raise MarketRowError(f"{path}: not Parquet that can be read: {str(error)[:200]}") from None
    missing = [name for name in (*REQUIRED, *EXACT) if name not in table.column_names]
    if missing:
        raise MarketRowError(f"{path}: without the columns {', '.join(missing)}")
    if not table.num_rows:
        raise MarketRowError(f"{path}: there is no row in it")
    try:
        return _rows_of(path, table, terms or WindowTerms(path.stem, *times), told.left_out)
    except (pa.ArrowException, UnicodeError) as error:  # texts that are none, numbers beyond our columns'
        raise MarketRowError(f"{path}: a column cannot be read: {str(error)[:200]}") from None


def _rows_of(path: Path, table: pa.Table, terms: WindowTerms, left_out: int) -> WindowRows:
    reading = _Reading(path, table)
    times = {name: reading.times(name) for name in TIMES}
    found = WindowRows(terms, times, *reading.btc(), reading.sides(), left_out)
    reading.check_order(times["ts_recv_ms"])
    return found


def opening_of(folder: Path) -> dict[str, Any]:
    """Return the facts that the first readable window's metadata tells beside its rows; empty without any."""
    for path in sorted(folder.glob("*.parquet")):
        try:
            metadata = pq.read_schema(path).metadata or {}
            told = from_json(metadata.get(b"updown", b"{}"), dict[str, Any])
        except (pa.ArrowException, OSError, UnicodeError, DecodingError):
            continue
        return told
    return {}


class _Reading:
    """One file's columns, checked."""

    def __init__(self, path: Path, table: pa.Table) -> None:
        self._path = path
        self._table = table
        slugs = table.column("slug").unique().to_pylist()
        if slugs != [path.stem]:
            raise MarketRowError(f"{path}: column slug: {str(slugs[:3])[:120]}, the file is of {path.stem}")

    def times(self, name: str) -> npt.NDArray[np.int64]:
        """Return Unix milliseconds; ``NONE`` where a cell is empty."""
        column = self._table.column(name)
        if not pa.types.is_integer(column.type):
            raise MarketRowError(
                f"{self._path}: column {name}: {column.type}, whole milliseconds are asked for"
            )
        values: npt.NDArray[np.int64] = column.cast(pa.int64()).fill_null(NONE).to_numpy().astype(np.int64)
        known = values != NONE
        if name in ("ts_venue_ms", "ts_recv_ms") and not known.all():
            self._fault(~known, name, "is empty")
        self._fault(known & ((values < MS_LEAST) | (values >= MS_MOST)), name, "is no time in milliseconds")
        return values

    def btc(self) -> tuple[dict[str, npt.NDArray[np.int64]], dict[str, list[Decimal]]]:
        """Return the prices of BTC: the place of each cell's value, and the values."""
        places: dict[str, npt.NDArray[np.int64]] = {}
        values: dict[str, list[Decimal]] = {}
        for name in BTC:
            column = self._table.column(name)
            if not pa.types.is_string(column.type):
                raise MarketRowError(f"{self._path}: column {name}: {column.type}, texts are asked for")
            coded = column.combine_chunks().dictionary_encode()
            places[name] = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
            values[name] = [self._dollars(name, text) for text in coded.dictionary.to_pylist()]
        return places, values

    def sides(self) -> dict[str, list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]]:
        """Return the levels of each side, best first."""
        found = [
            (side, price, size)
            for side in SIDES
            for price, size in (
                (side, f"{side}_size"), *((price, size) for of, _, price, size in DEPTH if of == side)
            )
            if price in self._table.column_names and size in self._table.column_names
        ]  # fmt: skip
        prices = self._scaled([price for _, price, _ in found], ONE_E4, ONE_E4 - 1)
        sizes = self._scaled([size for _, _, size in found], ONE_E6, 9 * 10**15)
        levels: dict[str, list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]] = {}
        for place, (side, *_) in enumerate(found):
            levels.setdefault(side, []).append((prices[place], sizes[place]))
        return levels

    def check_order(self, values: npt.NDArray[np.int64]) -> None:
        """Refuse rows that are not in order of their arrival."""
        later = np.concatenate(([False], values[1:] < values[:-1]))
        self._fault(later, "ts_recv_ms", "is before the row above it: the rows are not sorted")

    def _scaled(self, names: Sequence[str], one: int, most: int) -> npt.NDArray[np.int64]:
        """Put columns on a grid, shape (columns, rows); ``NONE`` where a cell is empty."""
        values = np.empty((len(names), self._table.num_rows))
        for place, name in enumerate(names):
            column = self._table.column(name)
            if not pa.types.is_floating(column.type):
                raise MarketRowError(f"{self._path}: column {name}: {column.type}, doubles are asked for")
            values[place] = column.to_numpy()
            missing = np.isnan(values[place])
            if column.null_count != missing.sum():
                known = column.is_valid().to_numpy()
                self._fault(missing & known, name, "is not a number")
        empty = np.isnan(values)
        with np.errstate(invalid="ignore"):
            scaled = np.rint(values * one)
            bad = ~empty & ~((np.abs(values * one - scaled) <= 1e-3) & (scaled >= 1) & (scaled <= most))
        if bad.any():
            place = int(np.argmax(bad.any(axis=1)))
            self._fault(bad[place], names[place], "is off the venue's grid")
        scaled[empty] = 0.0
        whole: npt.NDArray[np.int64] = scaled.astype(np.int64)
        whole[empty] = NONE
        return whole

    def _dollars(self, name: str, text: str) -> Decimal:
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("NaN")
        if not can_be_btc(value):
            raise MarketRowError(
                f"{self._path}: column {name}: {text[:40]!r} is not a price of BTC in dollars"
            )
        return value

    def _fault(self, bad: npt.NDArray[np.bool_], name: str, why: str) -> None:
        if bad.any():
            raise MarketRowError(f"{self._path}: row {int(np.argmax(bad)) + 1}, column {name} {why}")
