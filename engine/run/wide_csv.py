"""Market rows as CSV, in and out: strict about what is read, a line at a time, whatever the file's size.

Each fault names file, line and column. Nothing is filled in or put right: a row that cannot be used is told
and left out, or ends the reading. What it does not know: what rows are for.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TextIO

from engine.events import Level, Record
from engine.run.market_rows import (
    ASK_DEPTH,
    Faults,
    MarketRow,
    MarketRowError,
    WindowTerms,
    can_be_btc,
    complain,
)
from engine.run.markets_table import read_markets, window_times
from engine.run.row_records import records_of_rows
from engine.run.table_text import cell
from engine.run.whole_file import drafted
from engine.units import ONE_E4, ONE_E6, Milliseconds, PriceE4, SizeE6, price_e4, size_e6

SIDES: Final = ("up_bid", "up_ask", "down_bid", "down_ask")
REQUIRED: Final = (
    "ts_venue_ms", "ts_recv_ms", "canonical_price", "spot_price", "slug",
    *(f"{side}{size}" for side in SIDES for size in ("", "_size")),
)  # fmt: skip
EXACT: Final = ("canonical_ts_ms", "twap_price", "twap_ts_ms")
DEPTH_MOST: Final = 20
DEPTH: Final = tuple(
    (side, rank, f"{side}_{rank}", f"{side}_size_{rank}")
    for side in SIDES
    for rank in range(2, DEPTH_MOST + 1)
)
WRITTEN: Final = (
    *REQUIRED, *EXACT,
    *(
        name for side, rank, price, size in DEPTH if side.endswith("ask") and rank <= ASK_DEPTH
        for name in (price, size)
    ),
)  # fmt: skip
KNOWN: Final = frozenset((*REQUIRED, *EXACT, *(name for _, _, *names in DEPTH for name in names)))

LINE_MOST: Final = 65_536
"""Characters of a line: the longest that the format allows has under 3,000."""

UNITS: Final = ((10**9, 10**11, "seconds"), (10**14, 10**17, "microseconds"), (10**17, 10**20, "nanoseconds"))
MS_LEAST, MS_MOST = 10**11, 10**14
"""Unix milliseconds from 1973 to 5138: no other unit of our century lies there."""

Cells = Mapping[str, str]


class _BadCellError(ValueError):
    """A cell that cannot be used: its column, and why."""

    def __init__(self, column: str, why: str) -> None:
        super().__init__(f"column {column}: {why}")


def markets_beside(path: Path) -> Path:
    """Name the markets table that lies beside a CSV: its name up to the first dot, ``.markets.json``."""
    return path.with_name(f"{path.name.split('.')[0]}.markets.json")


def read_rows(path: Path, faults: Faults | None = None) -> Iterator[MarketRow]:
    """Yield the rows of a file, in order; it is read a line at a time.

    Args:
        path: The file: UTF-8 with or without a byte order mark, any line ends, quoted or not.
        faults: Counts rows that cannot be used, and leaves them out; without it the first one raises.
    Raises:
        MarketRowError: Columns are missing or unknown, the file is empty or unreadable, no row can be used,
            or a row cannot be and nobody counts.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(path, file, faults)
    except OSError as error:
        raise MarketRowError(f"{path}: cannot be read: {error.strerror}") from None


def write_rows(path: Path, rows: Iterable[MarketRow]) -> int:
    """Write rows, whole or not at all; return how many."""
    count = 0
    with drafted(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(WRITTEN)
        for row in rows:
            writer.writerow(_cells(row))
            count += 1
    return count


def records_of_csv(
    path: Path, markets: Mapping[str, WindowTerms] | None = None, faults: Faults | None = None
) -> Iterator[Record]:
    """Yield a file's rows as the events that the core takes in.

    Args:
        path: The file.
        markets: What is known of its windows; None: the table beside the file, if there is one. A window
            that nothing is known of has no settlement rule, so it is only observed.
        faults: As for ``read_rows``.
    Raises:
        MarketRowError: As ``read_rows``.
    """
    if markets is None:
        beside = markets_beside(path)
        markets = read_markets(beside, faults) if beside.is_file() else {}
    yield from records_of_rows(read_rows(path, faults), markets, session=path.name.split(".")[0])


# --- reading ------------------------------------------------------------------------------------------------


def _rows(path: Path, file: TextIO, faults: Faults | None) -> Iterator[MarketRow]:
    reader = csv.reader(_lines(path, file), strict=True)
    header = _next(path, reader)
    if header is None:
        raise MarketRowError(f"{path}: the file is empty")
    names = [name.strip() for name in header]
    _check_header(path, names)
    of_row = _parser(names)
    before: dict[str, list[str]] = {}
    newest_ms = used = 0
    while (cells := _next(path, reader)) is not None:
        place = f"{path}: line {reader.line_num}"
        if not cells:
            continue
        try:
            row = of_row(cells)
            if row.ts_recv_ms < newest_ms:
                raise _BadCellError("ts_recv_ms", f"{row.ts_recv_ms} comes after {newest_ms}: sort the rows")
        except ValueError as error:
            complain(faults, f"{place}, {error}")
            continue
        if before.get(row.slug) == cells:
            complain(faults, f"{place}, column ts_recv_ms: the row of {row.slug} before is there twice")
            continue
        if len(before) > 64:  # windows that run at once; the others are over
            before.clear()
        before[row.slug] = cells
        newest_ms, used = row.ts_recv_ms, used + 1
        yield row
    if not used:
        why = f"; the first fault: {faults.texts[0]}" if faults is not None and faults.texts else ""
        raise MarketRowError(f"{path}: there is no row that can be used{why}")


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    """Yield lines, none of them without end."""
    number = 0
    while True:
        number += 1
        try:
            line = file.readline(LINE_MOST)
        except UnicodeDecodeError as error:
            raise MarketRowError(f"{path}: line {number}: not UTF-8 text: {error.reason}") from None
        if not line:
            return
        if len(line) >= LINE_MOST and not line.endswith(("\n", "\r")):
            raise MarketRowError(
                f"{path}: line {number} is longer than {LINE_MOST:,} characters: no CSV of rows"
            )
        yield line


def _next(path: Path, reader: Any) -> list[str] | None:
    try:
        found: list[str] | None = next(reader, None)
    except csv.Error as error:
        raise MarketRowError(f"{path}: line {reader.line_num}: not CSV: {error}") from None
    return found


def _check_header(path: Path, names: list[str]) -> None:
    where = f"{path}: line 1"
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MarketRowError(f"{where}: column {twice[0][:80]!r} is there twice")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise MarketRowError(f"{where}: without the columns {', '.join(missing)}")
    unknown = [name[:80] for name in names if name not in KNOWN]
    if unknown:
        raise MarketRowError(f"{where}: unknown columns {', '.join(map(repr, unknown[:10]))}")
    for side, rank, price, size in DEPTH:
        if (price in names) != (size in names):
            raise MarketRowError(f"{where}: {price} and {size} go together")
        if price in names and rank > 2 and f"{side}_{rank - 1}" not in names:
            raise MarketRowError(f"{where}: {price} without {side}_{rank - 1}")


def _parser(names: list[str]) -> Callable[[list[str]], MarketRow]:
    """Return the reader of a row with these columns."""
    at = {name: place for place, name in enumerate(names)}
    sides = [
        [
            (at[price], at[size], price, size)
            for price, size in ((side, f"{side}_size"), *((p, s) for of, _, p, s in DEPTH if of == side))
            if price in at
        ]
        for side in SIDES
    ]
    width = len(names)

    def parse(cells: list[str]) -> MarketRow:
        if len(cells) != width:
            raise ValueError(f"{len(cells)} cells, the header has {width}")

        def of(name: str) -> str:
            return cells[at[name]] if name in at else ""

        slug = of("slug")
        if window_times(slug) is None:
            raise _BadCellError("slug", f"{slug[:80]!r} is not the slug of a BTC 5m or 15m window")
        canonical, twap = _btc("canonical_price", of), _btc("twap_price", of)
        row = MarketRow(
            _time("ts_venue_ms", of("ts_venue_ms")), _time("ts_recv_ms", of("ts_recv_ms")), slug,
            canonical, _btc("spot_price", of), _stamp("canonical_ts_ms", of), twap, _stamp("twap_ts_ms", of),
            *(_levels(side, cells) for side in sides),
        )  # fmt: skip
        _check_stamps(row, "canonical_ts_ms" in at)
        return row

    return parse


def _check_stamps(row: MarketRow, has_stamps: bool) -> None:
    if row.canonical_price is None and row.canonical_ts_ms is not None:
        raise _BadCellError("canonical_price", "empty beside a canonical_ts_ms")
    if has_stamps and row.canonical_price is not None and row.canonical_ts_ms is None:
        raise _BadCellError("canonical_ts_ms", "empty beside a canonical_price")
    if (row.twap_price is None) != (row.twap_ts_ms is None):
        raise _BadCellError("twap_ts_ms", "twap_price and twap_ts_ms go together")


def _time(column: str, text: str) -> Milliseconds:
    try:
        value = int(text) if text.isascii() and "_" not in text else 0
    except ValueError:
        value = 0
    if MS_LEAST <= value < MS_MOST:
        return value
    unit = next((name for least, most, name in UNITS if least <= value < most), "")
    why = f"is in {unit}, milliseconds are asked for" if unit else "is no Unix time in whole milliseconds"
    raise _BadCellError(column, f"{text[:40]!r} {why}")


def _stamp(column: str, of: Callable[[str], str]) -> Milliseconds | None:
    text = of(column)
    return _time(column, text) if text else None


def _btc(column: str, of: Callable[[str], str]) -> Decimal | None:
    text = of(column)
    if not text:
        return None
    value = _decimal(text)
    if value is None:
        raise _BadCellError(column, f"{text[:40]!r} is not a price of BTC in dollars")
    return value


@lru_cache(maxsize=65_536)
def _decimal(text: str) -> Decimal | None:
    try:
        value = Decimal(text) if text.isascii() and "_" not in text else Decimal("NaN")
    except InvalidOperation:
        return None
    return value if can_be_btc(value) else None


def _levels(columns: list[tuple[int, int, str, str]], cells: list[str]) -> tuple[Level, ...]:
    found: list[Level] = []
    ended = False
    for price_at, size_at, price_name, size_name in columns:
        price, size = cells[price_at], cells[size_at]
        if not price and not size:
            ended = True
            continue
        if ended:
            raise _BadCellError(price_name, "a level behind an empty one")
        if not price or not size:
            raise _BadCellError(size_name, "price and size go together")
        level = (_price(price_name, price), _size(size_name, size))
        if found and not (level[0] < found[-1][0] if "bid" in price_name else level[0] > found[-1][0]):
            raise _BadCellError(price_name, f"{price[:40]} is no worse than the level before it")
        found.append(level)
    return tuple(found)


def _price(column: str, text: str) -> PriceE4:
    value = _cell_price(text)
    if isinstance(value, str):
        raise _BadCellError(column, value)
    return value


def _size(column: str, text: str) -> SizeE6:
    value = _cell_size(text)
    if isinstance(value, str):
        raise _BadCellError(column, value)
    return value


@lru_cache(maxsize=65_536)
def _cell_price(text: str) -> PriceE4 | str:
    try:
        value = price_e4(float(text) if text.isascii() and "_" not in text else float("nan"))
    except (ValueError, OverflowError):
        return f"{text[:40]!r} is not a price between 0 and 1 dollar"
    return value if 0 < value < ONE_E4 else f"{text[:40]} is no price: leave the cells of an empty side empty"


@lru_cache(maxsize=65_536)
def _cell_size(text: str) -> SizeE6 | str:
    try:
        value = size_e6(float(text) if text.isascii() and "_" not in text else float("nan"))
    except (ValueError, OverflowError):
        return f"{text[:40]!r} is not a number of shares"
    return value if value else f"{text[:40]} shares are no level: leave the cells empty"


# --- writing ------------------------------------------------------------------------------------------------


def _cells(row: MarketRow) -> list[str]:
    """Write a row's cells in the order of ``WRITTEN``."""
    sides = (row.up_bids, row.up_asks, row.down_bids, row.down_asks)
    cells = [
        str(row.ts_venue_ms), str(row.ts_recv_ms), _text(row.canonical_price), _text(row.spot_price),
        cell(row.slug),
    ]  # fmt: skip
    for levels in sides:
        cells += _level(levels, 0)
    cells += [_text(row.canonical_ts_ms), _text(row.twap_price), _text(row.twap_ts_ms)]
    for levels in (row.up_asks, row.down_asks):
        for rank in range(1, ASK_DEPTH):
            cells += _level(levels, rank)
    return cells


def _text(value: Decimal | int | None) -> str:
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _level(levels: tuple[Level, ...], rank: int) -> tuple[str, str]:
    if rank >= len(levels):
        return "", ""
    price, size = levels[rank]
    return _scaled(price, ONE_E4, 4), _scaled(size, ONE_E6, 6)


@lru_cache(maxsize=65_536)
def _scaled(value: int, one: int, digits: int) -> str:
    whole, part = divmod(value, one)
    return f"{whole}.{part:0{digits}d}".rstrip("0").rstrip(".") if part else str(whole)
