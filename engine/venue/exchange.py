"""The seam between an order and whoever carries it: what paper and the live venue have in common.

Everything here runs in the order thread (``engine.venue.order_thread``), in its own loop. What it does not
know: which orders are wanted, and what follows from their ends.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol, TypeAlias

from engine.core.trading import OrderIntent
from engine.events import Assumed, Level, RestrictionKind, Trade
from engine.units import SizeE6, UsdE6


class Signed(NamedTuple):
    """An order ready to be sent. ``order`` is the exchange's own; it may hold a signature: never log it."""

    venue_order_id: str
    maker_e6: int
    taker_e6: int
    order: object


class Matched(NamedTuple):
    """It filled, wholly or in part. ``trades`` are provisional; without any, ``fills`` are final (paper)."""

    fills: tuple[Level, ...]
    fee_e6: UsdE6
    trades: tuple[Trade, ...] = ()
    assumed: tuple[Assumed, ...] = ()


class Nothing(NamedTuple):
    """The venue took it, and nothing filled; or it is proven that the venue never had it."""

    reason: str
    assumed: tuple[Assumed, ...] = ()


class Restriction(NamedTuple):
    """The venue takes no orders of ours. ``retry_s`` is how long it asked us to wait, wall seconds."""

    kind: RestrictionKind
    why: str
    retry_s: float | None = None


class Refused(NamedTuple):
    """The venue refused it; ``restriction`` where that says something of the orders to come."""

    reason: str
    code: str
    restriction: Restriction | None = None


class Lost(NamedTuple):
    """Nobody knows: it may live."""

    reason: str


Answer: TypeAlias = Matched | Nothing | Refused | Lost


class HeldBack(Exception):
    """Our own last gate refused, right before the socket's write. Nothing left the machine."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unsendable(Exception):
    """The exchange's own code would not build this order (amounts, tick, keys); nothing left the machine."""


class CallFailed(Exception):
    """A read, a cancel or a heartbeat did not come through. ``restriction`` where the answer names one."""

    def __init__(self, reason: str, restriction: Restriction | None = None) -> None:
        super().__init__(reason)
        self.restriction = restriction


AtTheWire: TypeAlias = Callable[[], Awaitable[None]]
"""Awaited when nothing but the write of the first byte is left; raises ``HeldBack``."""


class Exchange(Protocol):
    """Carries orders."""

    async def open(self) -> None:
        """Connect and warm up.

        Raises:
            StartError: It cannot be used; one line says why.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...

    async def warm(self, token: str) -> None:
        """Learn what an order of this token will need, off the hot path.

        Raises:
            CallFailed: It did not come through; the order will find out itself.
        """
        ...

    async def sign(self, intent: OrderIntent) -> Signed:
        """Make an order of an intent.

        Raises:
            Unsendable: It cannot be made.
        """
        ...

    async def send(self, intent: OrderIntent, signed: Signed, at_the_wire: AtTheWire) -> Answer:
        """Send it, once, and return what came of it. Never raises for what the venue or the network does.

        Raises:
            HeldBack: ``at_the_wire`` refused.
        """
        ...

    async def cancel_all(self) -> int:
        """Cancel every open order of the account; return how many were cancelled.

        Raises:
            CallFailed: It is not known that they are gone.
        """
        ...


class TradeStatus(NamedTuple):
    """How far a trade is, in the venue's word: MATCHED, MINED, RETRYING, CONFIRMED or FAILED."""

    trade_id: str
    venue_order_id: str
    status: str


class Account(Protocol):
    """What a live exchange tells of our account beside the orders themselves. Every call may raise
    ``CallFailed``."""

    async def find(self, intent: OrderIntent, venue_order_id: str) -> Matched | None:
        """Look for what an order did, by its id and among the account's trades of its token.

        Args:
            intent: The order.
            venue_order_id: The venue's id of it.
        Returns:
            What it filled; None where there is no trace of it, or it ended without a fill.
        """
        ...

    async def is_open(self, venue_order_id: str) -> bool:
        """Say whether the venue still holds an order that may fill."""
        ...

    async def statuses(self, trade_ids: tuple[str, ...]) -> tuple[TradeStatus, ...]:
        """Ask how far trades are."""
        ...

    async def balance(self) -> tuple[UsdE6, UsdE6]:
        """Return dollars, and how many of them the exchange's contracts may take."""
        ...

    async def shares(self, token: str) -> SizeE6:
        """Return how many shares of a token the account holds."""
        ...

    async def beat(self) -> None:
        """Send the order heartbeat (dead-man switch)."""
        ...

    async def is_closed_only(self) -> bool:
        """Say whether the account may only reduce."""
        ...
