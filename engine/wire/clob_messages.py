"""The CLOB's market messages as the venue writes them, and how one is told from another.

Numbers stay texts where an empty text, or an empty side, must be told from a number; sizes may be floats.
What it does not know: what a message means to us (``engine.wire.clob_market``). Source: protocol sheet,
sections 3.3 and 3.4.
"""

from typing import Final, TypeAlias

import msgspec

from engine.errors import WireError
from engine.events import Side
from engine.wire.grammar import DECODE_ERRORS, Stamp, Text


class LevelText(msgspec.Struct, gc=False):
    price: str
    size: float


class Book(msgspec.Struct, tag_field="event_type", tag="book"):
    market: str
    asset_id: str
    bids: list[LevelText]
    asks: list[LevelText]
    timestamp: Stamp
    tick_size: str | None = None


class Change(msgspec.Struct, gc=False):
    asset_id: str
    price: str
    size: float
    side: Side
    best_bid: str | None = None
    best_ask: str | None = None


class OldChange(msgspec.Struct, gc=False):
    price: str
    size: float
    side: Side


class PriceChange(msgspec.Struct, tag_field="event_type", tag="price_change"):
    """Since 2025-09-15 with ``price_changes`` of both tokens; before with ``asset_id`` and ``changes``."""

    market: str
    timestamp: Stamp
    price_changes: list[Change] | None = None
    asset_id: str | None = None
    changes: list[OldChange] | None = None


class TickSize(msgspec.Struct, tag_field="event_type", tag="tick_size_change"):
    market: str
    asset_id: str
    new_tick_size: str
    timestamp: Stamp
    old_tick_size: str | None = None


class Trade(msgspec.Struct, tag_field="event_type", tag="last_trade_price"):
    market: str
    asset_id: str
    price: str
    size: float
    side: Side
    timestamp: Stamp


class Touch(msgspec.Struct, tag_field="event_type", tag="best_bid_ask"):
    market: str
    asset_id: str
    timestamp: Stamp
    best_bid: str | None = None
    best_ask: str | None = None


class NewMarket(msgspec.Struct, tag_field="event_type", tag="new_market"):
    market: str
    slug: str
    timestamp: Stamp


class Resolved(msgspec.Struct, tag_field="event_type", tag="market_resolved"):
    market: str
    winning_asset_id: str
    timestamp: Stamp


Message: TypeAlias = Book | PriceChange | TickSize | Trade | Touch | NewMarket | Resolved

_KINDS: Final = {
    "book",
    "price_change",
    "tick_size_change",
    "last_trade_price",
    "best_bid_ask",
    "new_market",
    "market_resolved",
}


class _Kind(msgspec.Struct):
    """Enough of any object to say what it is; an empty Raw is a field that is not there."""

    event_type: str | None = None
    bids: msgspec.Raw = msgspec.Raw()
    asks: msgspec.Raw = msgspec.Raw()


# strict=False reads numbers out of texts, in C.
_FRAMES: Final = msgspec.json.Decoder(Message | list[Message], strict=False)
_MESSAGES: Final = msgspec.json.Decoder(Message, strict=False)
_KIND_OF: Final = msgspec.json.Decoder(_Kind)
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])


def read(text: Text) -> list[Message | None]:
    """Read a frame: one message, or an array of them.

    Returns:
        Messages in the frame's order; None for one whose event_type is not needed here.
    Raises:
        WireError: The frame is not understood.
    """
    try:
        frame = _FRAMES.decode(text)
    except DECODE_ERRORS as error:
        return _read_each(text, error)
    return frame if isinstance(frame, list) else [frame]


def read_book(text: Text) -> Book:
    """Read a book that may lack its event_type, as ``GET /book`` answers.

    Raises:
        WireError: It is not a book.
    """
    try:
        raw = (text.encode() if isinstance(text, str) else text).lstrip()
        if not raw.startswith(b"{"):
            raise WireError("not a book: not an object")
        message: Message = _MESSAGES.decode(b'{"event_type":"book",' + raw[1:])
    except DECODE_ERRORS as error:
        raise WireError(f"not a book: {error}") from error
    if not isinstance(message, Book):
        raise WireError("not a book")
    return message


def _read_each(text: Text, error: Exception) -> list[Message | None]:
    """Read a frame the slow way: it holds a book without event_type, a kind not known, or a fault."""
    try:
        raws = [bytes(raw) for raw in _ARRAY.decode(text)]
    except DECODE_ERRORS:
        return [_read_one(text, error)]
    return [_read_one(raw, error) for raw in raws]


def _read_one(text: Text, error: Exception) -> Message | None:
    try:
        kind = _KIND_OF.decode(text)
    except DECODE_ERRORS:
        raise WireError(f"not a message: {error}") from error
    if kind.event_type is None:
        if not kind.bids or not kind.asks:
            raise WireError("an object with neither event_type nor bids and asks")
        return read_book(text)
    if kind.event_type not in _KINDS:
        return None
    try:
        message: Message = _MESSAGES.decode(text)
    except DECODE_ERRORS as fault:
        raise WireError(f"{kind.event_type}: {fault}") from fault
    return message
