"""Bytes of others as values: what they say, or one error, whatever they are.

msgspec has an error of its own for JSON that is broken or of another shape, and lets Python's through for
text that is no UTF-8, brackets without end, and some numbers. What it does not know: whose bytes they are.
"""

from typing import Any, Final, TypeVar, overload

import msgspec

from engine.errors import DecodingError

UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)
"""All that decoding raises on bytes that are not what was asked for; for decoders on a hot path."""

WORDS_MOST: Final = 200
"""Characters of msgspec's words that are passed on: they may quote what was sent."""

Kind = TypeVar("Kind")


@overload
def from_json(body: bytes | str) -> Any: ...
@overload
def from_json(body: bytes | str, kind: type[Kind], *, strict: bool = True) -> Kind: ...


def from_json(body: bytes | str, kind: Any = Any, *, strict: bool = True) -> Any:
    """Read JSON that somebody else wrote.

    Args:
        body: Whatever it is.
        kind: What it should be.
        strict: False takes numbers that are written as text.
    Raises:
        DecodingError: It is not JSON, or JSON of something else.
    """
    try:
        return msgspec.json.decode(body, type=kind, strict=strict)
    except UNDECODABLE as error:
        raise DecodingError(reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    """Say in a few words why bytes could not be decoded."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    return " ".join(str(error).split())[:WORDS_MOST] or type(error).__name__
