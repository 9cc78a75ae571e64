"""The CLOB's market messages as the venue writes them, and how one is told from another.

Numbers stay texts where an empty text, or an empty side, must be told from a number; sizes may be floats.
A price that comes as a number is read from its own text too. What it does not know: what a message means to
us (``engine.wire.clob_market``). Source: protocol sheet, sections 3.3 and 3.4.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

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
    winning_asset_id: Annotated[str, msgspec.Meta(min_length=1)]
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


NO_LEVELS: Final = frozenset(("new_market", "market_resolved", "last_trade_price"))
"""Kinds of messages that hold no level: what of them cannot be read was no change of a book."""

EXCERPT_CHARACTERS: Final = 2_000
"""As much is kept of an item that cannot be read, as of a frame."""

NOBODY: Final = "?"
"""Whose a message is that does not say so."""

_DIGITS_MOST: Final = 30
_NAME: Final = re.compile(r"[0-9A-Za-z]{1,80}")
_NAMES_MOST: Final = 4


class Unread(NamedTuple):
    """An item of a frame that cannot be read. ``holds_levels``: it may have been a change of a book."""

    reason: str
    excerpt: str
    holds_levels: bool


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
_ANYTHING: Final = msgspec.json.Decoder()


def read(text: Text) -> list[Message | Unread | None]:
    """Read a frame: one message, or an array of them, each for itself.

    Returns:
        Messages in the frame's order; None for one whose event_type is not needed here, ``Unread`` for one
        that is not understood.
    """
    try:
        frame = _FRAMES.decode(text)
    except DECODE_ERRORS as error:
        return _read_each(text, error)
    return list(frame) if isinstance(frame, list) else [frame]


def read_book(text: Text) -> Book:
    """Read a book that may lack its event_type, as ``GET /book`` answers.

    Raises:
        WireError: It is not a book.
    """
    try:
        raw = (text.encode() if isinstance(text, str) else text).lstrip()
        if not raw.startswith(b"{"):
            raise WireError("not a book: not an object")
        message = _message(b'{"event_type":"book",' + raw[1:])
    except DECODE_ERRORS as error:
        raise WireError(f"not a book: {error}") from error
    if not isinstance(message, Book):
        raise WireError("not a book")
    return message


def unread(item: Text, why: str) -> Unread:
    """Say of an item that cannot be read what kind it is of, and whose, as far as that can be read."""
    raw = item.encode("utf-8", "replace") if isinstance(item, str) else item
    try:
        told = _ANYTHING.decode(raw)
    except DECODE_ERRORS:
        told = None
    kind = told.get("event_type") if isinstance(told, dict) else None
    excerpt = raw.decode("utf-8", "replace")[:EXCERPT_CHARACTERS]
    if not isinstance(kind, str) or kind not in NO_LEVELS:
        return Unread(why, excerpt, True)
    return Unread(f"{kind} of {' '.join(_whose(told)) or NOBODY}: {why}", excerpt, False)


def _whose(told: dict[str, Any]) -> list[str]:
    """Return the market and the tokens that a message names."""
    tokens = told.get("assets_ids")
    said = [told.get("market"), told.get("asset_id"), told.get("winning_asset_id")]
    said += tokens[:_NAMES_MOST] if isinstance(tokens, list) else []
    names = [name for name in said if isinstance(name, str) and _NAME.fullmatch(name)]
    return list(dict.fromkeys(names))[:_NAMES_MOST]


def _read_each(text: Text, error: Exception) -> list[Message | Unread | None]:
    """Read a frame the slow way: it holds a book without event_type, a kind not known, a number where a text
    is usual, or a fault."""
    items: list[Text]
    try:
        items = [bytes(raw) for raw in _ARRAY.decode(text)]
    except DECODE_ERRORS:
        items = [text]
    return [_read_one(item, error) for item in items]


def _read_one(text: Text, error: Exception) -> Message | Unread | None:
    try:
        kind = _KIND_OF.decode(text)
    except DECODE_ERRORS:
        return unread(text, f"not a message: {error}")
    if kind.event_type is not None and kind.event_type not in _KINDS:
        return None
    if kind.event_type is None and (not kind.bids or not kind.asks):
        return unread(text, "an object with neither event_type nor bids and asks")
    try:
        return read_book(text) if kind.event_type is None else _message(text)
    except WireError as fault:
        return unread(text, fault.reason)
    except DECODE_ERRORS as fault:
        return unread(text, str(fault) if kind.event_type in NO_LEVELS else f"{kind.event_type}: {fault}")


def _message(text: Text) -> Message:
    """Read one message; where its prices are no texts, as if they were."""
    try:
        message: Message = _MESSAGES.decode(text)
    except DECODE_ERRORS:
        try:
            message = _MESSAGES.decode(_WRITE(_with_texts(_DIGITS.decode(text))))
        except DECODE_ERRORS:
            message = _MESSAGES.decode(text)  # the fault is told in terms of what the venue wrote
    return message


_PRICES: Final = frozenset(
    ("price", "size", "best_bid", "best_ask", "tick_size", "old_tick_size", "new_tick_size")
)
_DIGITS: Final = msgspec.json.Decoder(float_hook=Decimal)
"""Reads a number with a point from its own text: no float has been through."""
_WRITE: Final = msgspec.json.Encoder(decimal_format="number").encode


def _with_texts(value: Any) -> Any:
    """Make texts of the prices and sizes in a document that are numbers; leave everything else as it is."""
    if isinstance(value, list):
        return [_with_texts(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {name: (_plain if name in _PRICES else _with_texts)(inner) for name, inner in value.items()}


def _plain(value: Any) -> Any:
    """Write a number, which may have an exponent, as plain digits; what is none stays what it is."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return value
    number = Decimal(value)
    fits = number.is_finite() and -_DIGITS_MOST < number.adjusted() < _DIGITS_MOST
    return format(number, "f") if fits else str(number)
