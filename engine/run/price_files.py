"""Read recorded price ticks: CSV, plain or gzipped, one Chainlink report a line.

Columns: ``feed_ts_ms`` (the second it is of), ``value`` and, where there is one, ``full_accuracy_value`` (an
integer scaled by 10^18), ``recv_ms`` (when it arrived). Other columns are ignored.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final, NamedTuple

from engine.errors import EngineError
from engine.units import Milliseconds

_NEEDED: Final = ("feed_ts_ms", "value", "recv_ms")


class PriceFileError(EngineError):
    """A price file cannot be read; the message names file, line and fault."""


class Tick(NamedTuple):
    """One report: the time it is of, when it arrived, dollars."""

    stamp_ms: Milliseconds
    recv_ms: Milliseconds
    value: Decimal


def read_ticks(paths: Sequence[Path]) -> list[Tick]:
    """Read files into one list, in order of arrival.

    Raises:
        PriceFileError: A file is missing, is not such a CSV, or holds a line that is not a price.
    """
    ticks = [tick for path in paths for tick in _read(path)]
    return sorted(ticks, key=lambda tick: tick.recv_ms)


def _read(path: Path) -> Iterator[Tick]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines)
            missing = [name for name in _NEEDED if name not in (rows.fieldnames or ())]
            if missing:
                raise PriceFileError(f"{path}: no column {', '.join(missing)}")
            for row in rows:
                yield _tick(row, f"{path}, line {rows.line_num}")
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise PriceFileError(f"{path}: {why[0].lower()}{why[1:]}") from error


def _tick(row: dict[str, str], where: str) -> Tick:
    try:
        exact = row.get("full_accuracy_value")
        value = Decimal(f"{exact}E-18") if exact else Decimal(row["value"])
        if not (value.is_finite() and value > 0):
            raise ValueError(value)
        return Tick(int(row["feed_ts_ms"]), int(row["recv_ms"]), value)
    except (TypeError, ValueError, InvalidOperation) as error:
        raise PriceFileError(f"{where}: not a price report") from error
