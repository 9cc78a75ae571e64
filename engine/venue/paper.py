"""The paper exchange: an order's own path in time, against the live book as it is when the order gets there.

Submit latency, drawn for each order, then the venue's hold during which nothing can be cancelled, then
FOK or FAK against the book of that moment, fee by the market's schedule. Nothing leaves the process. It
stands behind the same order thread and the same last gate as the live one. What it does not know: queues of
others at the same level; what a fill here assumes is in docs/model.md, "Paper fills".
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from engine.clock import Clock
from engine.core.book import Book
from engine.core.trading import OrderIntent
from engine.events import Level
from engine.units import Milliseconds
from engine.venue.door import Door
from engine.venue.exchange import Answer, AtTheWire, Matched, Nothing, Signed
from engine.venue.paper_fills import assumed, conservative, fee_e6, taken, touch

FOK_KILLED: Final = "order couldn't be fully filled. FOK orders are fully filled or killed."
FAK_KILLED: Final = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)
"""The venue's own words (protocol sheet, section 7.7)."""

SPREAD: Final = 0.35
"""Standard deviation of the logarithm of the latency. Ours: one order in six takes 1.4 times the median, one
in 42 twice; that orders reach the book after .5 to 8 s on bad days (fault catalogue, F38) no draw tells."""

LEVELS: Final = 50
"""Levels of a book that an order is matched against; deeper than any $50 order goes in these markets."""


class Delays(NamedTuple):
    """Milliseconds on the injected clock: the median of our way to the venue, and its hold (150 since
    2026-09-04)."""

    submit_ms: float
    hold_ms: float


class Market(NamedTuple):
    """What the exchange looks up when an order arrives, in the engine's loop: a token's book, and the share
    of the dollars that is the fee where a market publishes none, which an operator may change meanwhile."""

    book: Callable[[str], Book | None]
    fallback_fee_rate: Callable[[], float]


class PaperExchange:
    """Match orders against the live book, in time."""

    def __init__(self, clock: Clock, delays: Delays, market: Market, door: Door) -> None:
        self._clock = clock
        self._delays = delays
        self._market = market
        self._door = door

    async def open(self) -> None:
        """Need nothing."""

    async def close(self) -> None:
        """Hold nothing."""

    async def warm(self, token: str) -> None:
        """Know everything already."""

    async def sign(self, intent: OrderIntent) -> Signed:
        """Name the amounts; on paper there is no signature."""
        return Signed("", intent.usd_e6 or intent.shares_e6, 0, None)

    async def send(self, intent: OrderIntent, signed: Signed, at_the_wire: AtTheWire) -> Answer:
        """Carry an order through time and match it."""
        del signed
        await at_the_wire()
        submit_ms = latency_ms(intent, self._delays.submit_ms)
        await self._clock.sleep((submit_ms + self._delays.hold_ms) / 1000)
        return await self._door.ask(lambda: self._matched(intent))

    async def cancel_all(self) -> int:
        """Return 0: a FOK or FAK order never rests, and one that is held cannot be cancelled."""
        return 0

    def _matched(self, intent: OrderIntent) -> Answer:
        """Match, in the engine's loop: the book does not change meanwhile."""
        book = self._market.book(intent.token)
        return matched(book, intent, self._market.fallback_fee_rate(), self._clock.now_ms())


def matched(
    book: Book | None, intent: OrderIntent, fallback_fee_rate: float, at_ms: Milliseconds
) -> Matched | Nothing:
    """Match an order against a book as it is now, and price it under each assumption.

    Args:
        book: The token's; None where it is not known.
        intent: The order.
        fallback_fee_rate: Share of the dollars that is the fee where the market publishes none.
        at_ms: Time: the venue takes no order after a window's end.
    """
    is_over = 0 < intent.end_s * 1000 <= at_ms
    levels, fee = () if is_over else _levels(book, intent), intent.fee
    fills = taken(intent, levels)
    told = (
        assumed("touch", touch(intent), fee, fallback_fee_rate),
        assumed("arrival", fills, fee, fallback_fee_rate),
        assumed("conservative", conservative(intent, levels), fee, fallback_fee_rate),
    )
    if fills is None:
        return Nothing(FAK_KILLED if intent.kind == "FAK" else FOK_KILLED, told)
    return Matched(fills, fee_e6(fills, fee, fallback_fee_rate), assumed=told)


def _levels(book: Book | None, intent: OrderIntent) -> Sequence[Level]:
    if book is None or book.state != "live":
        return ()
    return book.depth("SELL" if intent.side == "BUY" else "BUY", LEVELS)


def latency_ms(intent: OrderIntent, median_ms: float) -> float:
    """Draw the time that an order needs to the venue: log-normal about the setting's median.

    The draw is of the order's name and decision, so that the same session on paper again gives the same.
    """
    digest = hashlib.blake2b(f"{intent.order_id} {intent.decided_seq}".encode(), digest_size=16).digest()
    first, second = (int.from_bytes(part, "big") / 2**64 for part in (digest[:8], digest[8:]))
    normal = math.sqrt(-2.0 * math.log(1.0 - first)) * math.cos(2.0 * math.pi * second)
    return median_ms * math.exp(SPREAD * normal)
