"""May a report of a price be believed? Each fault has a name, is counted, and changes nothing.

What it does not know: what the price is for. Frames that cannot be read, and other symbols, are refused
before (``engine.wire``) and counted beside these.
"""

from decimal import Decimal
from typing import Final, Literal, TypeAlias

from engine.core.prices import PriceTrack, Told
from engine.events import PriceHistoryServed, PricePrinted
from engine.units import Milliseconds

FUTURE_MS: Final = 500
"""A price stamped so far ahead of its arrival has a wrong stamp. True ones arrive 0.9 s or more after their
second (the earliest of 51,802); the rest is what our clock may be off."""

Faulty: TypeAlias = Literal["not a number", "zero", "negative", "from the future", "carried forward"]

COUNTED: Final[frozenset[str]] = frozenset(
    (
        "not a number",
        "zero",
        "negative",
        "from the future",
        "carried forward",
        "jump",
        "late",
        "duplicate",
        "restated",
        "too old",
    )
)
"""What is counted by name: all but a new value."""


def take(
    track: PriceTrack, stamp_ms: Milliseconds, value: Decimal, event: PricePrinted | PriceHistoryServed
) -> Told | Faulty:
    """Give a report to its track if it can be believed.

    Args:
        track: The source's.
        stamp_ms: Venue time the value is of.
        value: Dollars, as reported.
        event: Whose report it is; a ticker's last print of a second replaces the ones before it.
    Returns:
        What it told, or its fault.
    """
    if not value.is_finite():
        return "not a number"
    if value <= 0:
        return "zero" if value == 0 else "negative"
    if stamp_ms > event.ts_recv_ms + FUTURE_MS:
        return "from the future"
    if isinstance(event, PricePrinted) and event.is_carried_forward:
        return "carried forward"  # the value before, told again: no report of its second
    if event.source == "spot":
        return track.overwrite(stamp_ms, value, event.ts_recv_ms)
    return track.add(stamp_ms, value, event.ts_recv_ms)
