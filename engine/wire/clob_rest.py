"""The CLOB's public reads: a token's book, and the venue's time. Source: protocol sheet, section 5.1."""

from typing import Final
from urllib.parse import quote

import msgspec

from engine.errors import WireError
from engine.events import BookReplaced
from engine.units import Milliseconds
from engine.wire.clob_market import book_replaced
from engine.wire.clob_messages import read_book
from engine.wire.grammar import DECODE_ERRORS, Text

TIME_PATH: Final = "/time"


def book_path(token: str) -> str:
    """Return the path of a token's book."""
    return f"/book?token_id={quote(token, safe='')}"


def parse_book(body: Text, ts_recv_ms: Milliseconds) -> BookReplaced:
    """Read the answer to ``GET /book``.

    Raises:
        WireError: Not a book; the reason holds the venue's words where it answered with an error.
    """
    try:
        refusal = _REFUSALS.decode(body)
    except DECODE_ERRORS as error:
        raise WireError(f"not a book: {error}") from error
    if refusal.error is not None:
        raise WireError(f"no book: {refusal.error[:200]}")
    try:
        return book_replaced(read_book(body), ts_recv_ms)
    except ValueError as error:
        raise WireError(f"not a book: {error}") from error


def parse_time(body: Text) -> int:
    """Read the answer to ``GET /time``: Unix seconds as a bare integer.

    Raises:
        WireError: Not such a number, or not of this century.
    """
    try:
        seconds = _TIMES.decode(body)
    except DECODE_ERRORS as error:
        raise WireError(f"not a time: {error}") from error
    if not 946_684_800 <= seconds < 4_102_444_800:
        raise WireError(f"not a time of this century: {seconds}")
    return seconds


class _Refusal(msgspec.Struct):
    error: str | None = None


_REFUSALS: Final = msgspec.json.Decoder(_Refusal)
_TIMES: Final = msgspec.json.Decoder(int)
