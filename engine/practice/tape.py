"""What a practice venue plays: moments in venue time, from a recording or from a simulation.

A tape knows the markets' rules and the truth they settle on; it knows nothing of sockets, frames or clocks.
The venue (``engine.practice.venue``) turns moments into the protocol's own frames at the time each is due.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol, TypeAlias

from engine.contract import Contract, Outcome, SettlementRule
from engine.events import Level, Side, Source
from engine.units import Milliseconds, PriceE4, SizeE6


class PriceMoment(NamedTuple):
    """A price report reaches subscribers: RTDS topics by ``source``, or the exchange ticker for ``spot``.

    ``stamp_ms`` is the second the value is of; ``lookback_s`` the averaging time of a TWAP, else 0. ``over``
    says which of the two price sockets delivers it, where they lose seconds independently.
    """

    due_ms: Milliseconds
    source: Source
    stamp_ms: Milliseconds
    value: Decimal
    lookback_s: int = 0
    over: Literal["both", "rtds", "polybolt"] = "both"


class BookMoment(NamedTuple):
    """One token's whole book from now on, best level first on both sides."""

    due_ms: Milliseconds
    slug: str
    outcome: Outcome
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class TradeMoment(NamedTuple):
    """A trade prints. ``side`` is the taker's."""

    due_ms: Milliseconds
    slug: str
    outcome: Outcome
    price_e4: PriceE4
    size_e6: SizeE6
    side: Side


class TickSizeMoment(NamedTuple):
    """The price grid of both of a market's tokens changes."""

    due_ms: Milliseconds
    slug: str
    new_tick_e4: PriceE4


Moment: TypeAlias = PriceMoment | BookMoment | TradeMoment | TickSizeMoment


class Truth(NamedTuple):
    """What a market settled on."""

    strike: Decimal
    final: Decimal
    outcome: Outcome


class Tape(Protocol):
    """A recording or a simulation.

    ``start_ms`` is the venue time at which it begins, ``end_ms`` when it has nothing more to say (None:
    never). ``kind`` and ``note`` are for the operator's banner.
    """

    @property
    def kind(self) -> Literal["recorded", "simulated"]: ...

    @property
    def note(self) -> str: ...

    @property
    def start_ms(self) -> Milliseconds: ...

    @property
    def end_ms(self) -> Milliseconds | None: ...

    def moments(self) -> Iterator[Moment]:
        """Yield every moment in order of ``due_ms``; lazily, it may be endless."""
        ...

    def contract(self, slug: str) -> Contract | None:
        """Return a market's description, or None for a market this tape does not have."""
        ...

    def truth(self, slug: str) -> Truth | None:
        """Return what a market settled on; None while the tape has not played past its end."""
        ...

    def price_at(self, second: int, rule: SettlementRule) -> Decimal | None:
        """Return the price of a window's boundary by some rule, be it the market's own or not.

        Whoever asks sees to it that the boundary has been played. None where the tape cannot tell.
        """
        ...
