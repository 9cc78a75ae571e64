"""Files of raw frames, in every form in which they were recorded, as one stream of frames.

Four forms: one object a line with the payload as JSON (``capturedAt``, ``payload``) or as the verbatim text
(``source``, ``recv_wall_ts``, ``payload``); one bare frame a line, where an empty line is the empty frame;
one answer a file (``.json``); and Parquet with a column ``raw_data``. The first three may be packed with
gzip. What it does not know: what a frame means.
"""

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pyarrow
import pyarrow.parquet

from engine.errors import SessionFileError
from engine.units import Milliseconds
from engine.wire.grammar import DECODE_ERRORS, Text

BARE: Final = "bare"
"""The source of a frame whose file does not name one."""

_LINES: Final = (".jsonl", ".jsonl.gz")
_SINGLE: Final = (".json", ".json.gz")


class Captured(NamedTuple):
    """One frame as received. ``ts_recv_ms`` is 0 where the file does not say when."""

    source: str
    text: Text
    ts_recv_ms: Milliseconds


def read_frames(path: Path) -> Iterator[Captured]:
    """Read a file's frames in its own order, one at a time.

    Raises:
        SessionFileError: Absent, unreadable, damaged or of an unknown form; one line that says which.
    """
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            yield from _rows(path)
        elif name.endswith(_LINES):
            with gzip.open(path) if name.endswith(".gz") else path.open("rb") as file:
                for line in file:
                    yield _line(line.rstrip(b"\r\n"))
        elif name.endswith(_SINGLE):
            with gzip.open(path) if name.endswith(".gz") else path.open("rb") as file:
                yield Captured(BARE, file.read(), 0)
        else:
            forms = ", ".join((*_LINES, *_SINGLE, ".parquet"))
            raise SessionFileError(f"{path}: not a file of frames (expected one of {forms})")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SessionFileError(f"{path}: damaged gzip file ({error})") from error
    except OSError as error:
        raise SessionFileError(f"{path}: {(error.strerror or str(error)).lower()}") from error


class _Wrapped(msgspec.Struct):
    """A recorder's line; an empty ``payload`` is one that is not there."""

    payload: msgspec.Raw = msgspec.Raw()
    capturedAt: float | None = None
    source: str | None = None
    recv_wall_ts: int | None = None


_WRAPPED: Final = msgspec.json.Decoder(_Wrapped)
_TEXTS: Final = msgspec.json.Decoder(str)
_TEXT_KINDS: Final = (
    pyarrow.types.is_string, pyarrow.types.is_large_string, pyarrow.types.is_binary,
    pyarrow.types.is_large_binary,
)  # fmt: skip


def _line(line: bytes) -> Captured:
    try:
        wrapped = _WRAPPED.decode(line)
        named = wrapped.source is not None or wrapped.capturedAt is not None
        if not (wrapped.payload and named):
            return Captured(BARE, line, 0)
        payload = bytes(wrapped.payload)
        text: Text = _TEXTS.decode(payload) if payload.startswith(b'"') else payload
    except DECODE_ERRORS:
        return Captured(BARE, line, 0)  # whatever it is, it is audited as the frame it may be
    return Captured(wrapped.source or BARE, text, wrapped.recv_wall_ts or _stamp_ms(wrapped.capturedAt))


def _stamp_ms(seconds: float | None) -> Milliseconds:
    """Return a file's stamp; 0, as where there is none, for what is no time."""
    at_ms = (seconds or 0.0) * 1000
    return round(at_ms) if math.isfinite(at_ms) else 0


def _has_times(path: Path, schema: pyarrow.Schema) -> bool:
    """Say whether a Parquet file of frames has their times.

    Raises:
        SessionFileError: It has no frames, or not as texts, or times that are no seconds.
    """
    if "raw_data" not in schema.names:
        raise SessionFileError(f"{path}: a Parquet file without a column raw_data holds no frames")
    kind = schema.field("raw_data").type
    if not any(is_it(kind) for is_it in _TEXT_KINDS):
        raise SessionFileError(f"{path}: the column raw_data holds no texts ({kind})")
    if "timestamp" not in schema.names:
        return False
    kind = schema.field("timestamp").type
    if not (pyarrow.types.is_floating(kind) or pyarrow.types.is_integer(kind)):
        raise SessionFileError(f"{path}: the column timestamp holds no seconds ({kind})")
    return True


def _rows(path: Path) -> Iterator[Captured]:
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            timed = _has_times(path, file.schema_arrow)
            columns = ["raw_data", "timestamp"] if timed else ["raw_data"]
            for batch in file.iter_batches(columns=columns):
                stamps = batch.column("timestamp").to_pylist() if timed else [0.0] * batch.num_rows
                for text, seconds in zip(batch.column("raw_data").to_pylist(), stamps, strict=True):
                    yield Captured(BARE, text or "", _stamp_ms(seconds))
    except (pyarrow.ArrowException, UnicodeError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SessionFileError(f"{path}: damaged Parquet file ({first_line[:200]})") from error
