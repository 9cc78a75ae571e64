"""Gamma's markets and events as it writes them, as far as they are needed.

Field names are Gamma's. Prices are ``Decimal``, which msgspec reads from the number's own text.
"""

from decimal import Decimal
from typing import Final

import msgspec

from engine.errors import WireError
from engine.wire.grammar import DECODE_ERRORS, Text

NOT_TOLD: Final[tuple[str | list[str], ...]] = ("", "[]", "null", [])
"""How a closed market writes the prices of its outcomes where it has none."""


class FeeTerms(msgspec.Struct):
    """``feeSchedule``; ``takerBaseFee`` and its like are not the fee."""

    rate: Decimal
    exponent: Decimal


class SettlementConfig(msgspec.Struct):
    """``cryptoMarketConfig``. Seconds may be written as a text, or with a point and noughts behind it."""

    id: str | None = None
    asset: str | None = None
    duration: str | None = None
    twapEnabled: bool | None = None
    lookback: Decimal | None = msgspec.field(default=None, name="twapLookbackSeconds")

    def __post_init__(self) -> None:
        if self.lookback is not None and not _is_whole(self.lookback):
            raise ValueError(f"twapLookbackSeconds {str(self.lookback)[:40]} is no whole number")

    @property
    def twapLookbackSeconds(self) -> int | None:
        """The seconds that are averaged over."""
        return None if self.lookback is None else int(self.lookback)


class Facts(msgspec.Struct):
    """``eventMetadata``: about a minute after the end the strike, later the final price."""

    priceToBeat: Decimal | None = None
    finalPrice: Decimal | None = None


class Event(msgspec.Struct):
    """An event around one market, or the short form of it inside a market."""

    slug: str = ""
    closed: bool | None = None
    startTime: str | None = None
    resolutionSource: str | None = None
    eventMetadata: Facts | None = None
    markets: "list[Market] | None" = None


class Market(msgspec.Struct):
    """A market. Lists are mostly JSON inside a text: ``"[\\"Up\\", \\"Down\\"]"``. A null is no yes."""

    slug: str
    conditionId: str
    outcomes: str | list[str]
    closed: bool | None = None
    saidActive: bool | None = msgspec.field(default=True, name="active")
    saidAccepting: bool | None = msgspec.field(default=False, name="acceptingOrders")
    outcomePrices: str | list[str] | None = None
    clobTokenIds: str | list[str] | None = None
    positionIds: str | list[str] | None = None
    version: str | None = None
    eventStartTime: str | None = None
    endDate: str | None = None
    orderPriceMinTickSize: Decimal | None = None
    orderMinSize: Decimal | None = None
    feesEnabled: bool | None = None
    feeSchedule: FeeTerms | None = None
    resolutionSource: str | None = None
    cryptoMarketConfig: SettlementConfig | None = None
    events: list[Event] | None = None

    def __post_init__(self) -> None:
        if self.outcomePrices in NOT_TOLD:
            self.outcomePrices = None

    @property
    def active(self) -> bool:
        """Whether it is one to be traded at all."""
        return self.saidActive is True

    @property
    def acceptingOrders(self) -> bool:
        """Whether it takes orders now."""
        return self.saidAccepting is True


class _Kind(msgspec.Struct):
    """Enough of an object to tell an event from a market; an empty Raw is a field that is not there."""

    markets: msgspec.Raw = msgspec.Raw()


_ARRAYS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_KINDS: Final = msgspec.json.Decoder(_Kind)
_EVENTS: Final = msgspec.json.Decoder(Event)
_MARKETS: Final = msgspec.json.Decoder(Market)
_STRINGS: Final = msgspec.json.Decoder(list[str])


def read_market(body: Text) -> tuple[Market, Event | None]:
    """Read one market, with its event where the answer holds it.

    Raises:
        WireError: Not one market.
    """
    try:
        raw = _single(body)
        if not _KINDS.decode(raw).markets:
            market = _MARKETS.decode(raw)
            events = market.events or []
            return market, events[0] if len(events) == 1 else None
        event = _EVENTS.decode(raw)
    except DECODE_ERRORS as error:
        raise WireError(f"not a market: {error}") from error
    markets = event.markets or []
    if len(markets) != 1 or markets[0].slug != event.slug:
        raise WireError(f"event {event.slug[:80]!r} does not hold the one market of its slug")
    return markets[0], event


def strings(field: str, value: str | list[str] | None) -> list[str]:
    """Read a list that may be written as JSON inside a text.

    Raises:
        WireError: Missing, or not a list of texts.
    """
    if isinstance(value, list):
        return value
    try:
        return _STRINGS.decode(value or "")
    except DECODE_ERRORS as error:
        raise WireError(f"{field} is not a list of texts: {value!r:.80}") from error


def _is_whole(number: Decimal) -> bool:
    """Say whether a number is a whole one, and not of a million digits."""
    return number.is_finite() and number.adjusted() < 18 and number == number.to_integral_value()


def _single(body: Text) -> Text | msgspec.Raw:
    raw = body.strip()
    if raw[:1] not in ("[", b"["):
        return raw
    items = _ARRAYS.decode(raw)
    if len(items) != 1:
        raise WireError(f"{len(items)} markets where one was asked for")
    return items[0]
