"""Files of raw frames, in every form in which they were recorded, as one stream of frames.

Four forms: one object a line with the payload as JSON (``capturedAt``, ``payload``) or as the verbatim text
(``source``, ``recv_wall_ts``, ``payload``); one bare frame a line, where an empty line is the empty frame;
one answer a file (``.json``); and Parquet with a column ``raw_data``. The first three may be packed with
gzip. What it does not know: what a frame means.
"""

import gzip
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
    seconds_ms = round(wrapped.capturedAt * 1000) if wrapped.capturedAt is not None else 0
    return Captured(wrapped.source or BARE, text, wrapped.recv_wall_ts or seconds_ms)


def _rows(path: Path) -> Iterator[Captured]:
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            if "raw_data" not in file.schema_arrow.names:
                raise SessionFileError(f"{path}: a Parquet file without a column raw_data holds no frames")
            timed = "timestamp" in file.schema_arrow.names
            columns = ["raw_data", "timestamp"] if timed else ["raw_data"]
            for batch in file.iter_batches(columns=columns):
                stamps = batch.column("timestamp").to_pylist() if timed else [0.0] * batch.num_rows
                for text, seconds in zip(batch.column("raw_data").to_pylist(), stamps, strict=True):
                    yield Captured(BARE, text or "", round((seconds or 0.0) * 1000))
    except pyarrow.ArrowException as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SessionFileError(f"{path}: damaged Parquet file ({first_line[:200]})") from error
