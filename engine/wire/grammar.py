"""What all frames have in common: keep-alives, numbers written as text, stamps, and how decoding fails.

What it does not know: any one protocol. Numbers are read exactly from the venue's own text; a float is used
only where the grid is far coarser than a double (prices of four decimals, sizes of six).
"""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, TypeAlias

import msgspec

from engine.decoded import UNDECODABLE
from engine.errors import WireError
from engine.units import ONE_E4, Milliseconds, PriceE4, price_e4

Text: TypeAlias = str | bytes

PING: Final = "PING"
"""The text frame that keeps RTDS (every 5 s) and the CLOB (every 10 s) open. Source: sheet, 1.5 and 3.2."""

KEEP_ALIVE: Final = "keep-alive"
"""Reason for ignoring an empty text (RTDS sends one on connect and in answer to PING) or ``PONG``."""

Stamp: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=10**14)]
"""Unix milliseconds in a frame, as a number or as digits; the limit (year 5138) keeps it a 64-bit integer."""

DECODE_ERRORS: Final = UNDECODABLE
"""All that decoding raises on bytes that are not what was asked for: bad JSON, bad UTF-8, many brackets."""

_PLAIN: Final = re.compile(r"(?:[0-9]{1,30}(?:\.[0-9]{1,30})?|\.[0-9]{1,30})")
_LEAST_DOLLARS: Final = Decimal("0.000001")
_MOST_DOLLARS: Final = Decimal(10**12)


def is_keep_alive(text: Text) -> bool:
    """Say whether a frame only keeps the connection alive: blank, or PONG or PING in any case."""
    if len(text) > 8:
        return False
    word = text.decode("latin-1") if isinstance(text, bytes) else text
    return word.strip().upper() in ("", "PONG", "PING")


class _Prices(dict[str, PriceE4]):
    """Price texts met so far: a look-up is ten times cheaper than reading the text again.

    Bounded, because the grid has 9,999 prices and the venue writes each one or two ways.
    """

    def __missing__(self, text: str) -> PriceE4:
        price = price_e4(float(text)) if _PLAIN.fullmatch(text) else -1
        if not 0 < price < ONE_E4:
            raise ValueError(f"price {text[:40]!r} is not between 0 and 1")
        if len(self) < 2 * ONE_E4:
            self[text] = price
        return price


class _Touches(dict[str, PriceE4 | None]):
    """Stated best prices: like ``_Prices``, but 0 and 1 are how the venue writes an empty side."""

    def __missing__(self, text: str) -> PriceE4 | None:
        price = price_e4(float(text)) if _PLAIN.fullmatch(text) else -1
        if price < 0:
            raise ValueError(f"best price {text[:40]!r} is not a number")
        touch = None if price in (0, ONE_E4) else price
        if len(self) < 2 * ONE_E4:
            self[text] = touch
        return touch


PRICES: Final = _Prices()
"""``PRICES[text]`` is a level's price; ValueError for what is no price between 0 and 1, both excluded."""

TOUCHES: Final = _Touches()
"""``TOUCHES[text]`` is a stated best price, None for an empty side; ValueError for what is no number."""


def dollars(text: str) -> Decimal:
    """Read a BTC price from plain decimal digits, exactly.

    Returns:
        Dollars, every digit kept.
    Raises:
        WireError: Not plain digits, or outside 0.000001 to 10^12: no price of BTC, and past what the floats
            of the volatility mathematics hold.
    """
    if not _PLAIN.fullmatch(text):
        raise WireError(_fault_of(text))
    return checked_dollars(Decimal(text))


def dollars_e18(text: str) -> Decimal:
    """Read a BTC price from an integer scaled by 10^18, exactly. Source: protocol sheet, 1.3.

    Raises:
        WireError: Not an integer, or not a price (a plain decimal without a point ends up below the least).
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 40):
        raise WireError(_fault_of(text, "not an integer scaled by 10^18"))
    # Through the constructor, which is exact; arithmetic would round to the context's 28 digits.
    return checked_dollars(Decimal(f"{text}E-18"))


def checked_dollars(value: Decimal) -> Decimal:
    """Return a BTC price if it can be one, else raise ``WireError``."""
    if not value.is_finite():
        raise WireError(f"not a number: price {_shown(value)}")
    if value <= 0:
        raise WireError(f"{'negative' if value < 0 else 'zero'} price: {_shown(value)}")
    if not _LEAST_DOLLARS <= value <= _MOST_DOLLARS:
        raise WireError(f"incredible price: {_shown(value)}")
    if len(value.as_tuple().digits) > 60:
        raise WireError("overlong price: more than 60 digits")
    return value


def _shown(value: Decimal) -> str:
    return str(value)[:60]


def _fault_of(text: str, otherwise: str = "not a plain number") -> str:
    """Name what is wrong with a price text; the name stands before the colon and is counted by."""
    shown = repr(text[:60])
    if _PLAIN.fullmatch(text.removeprefix("-")) and text.startswith("-"):
        return f"negative price: {shown}"
    if text.strip().casefold().lstrip("+-") in ("nan", "inf", "infinity"):
        return f"not a number: {shown}"
    return f"{otherwise}: {shown}"


def unix_ms(text: str) -> Milliseconds:
    """Read an ISO 8601 time that says its offset, such as ``2026-04-28T09:03:06.659049Z``.

    Raises:
        WireError: Not such a time, or before 1970.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise WireError(f"time {text[:40]!r} has no offset")
        stamp = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise WireError(f"time {text[:40]!r} is not ISO 8601") from error
    if stamp < 0:
        raise WireError(f"time {text[:40]!r} is before 1970")
    return stamp


def whole_seconds(text: str) -> int:
    """Read an ISO 8601 time that is a whole second.

    Raises:
        WireError: Not such a time, or between two seconds.
    """
    seconds, rest = divmod(unix_ms(text), 1000)
    if rest:
        raise WireError(f"time {text[:40]!r} is not a whole second")
    return seconds
