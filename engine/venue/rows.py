"""Orders and trades of the account as the venue writes them, as far as they are needed.

The official client's models want every field in its one documented shape, and one row that has another spoils
the whole answer: an order that was killed has empty texts where numbers were (protocol sheet, 3.7 and 5.3).
Here a field that is not needed may be anything. What is needed is read exactly, from the number's own text; a
row that cannot be read says why, and whose it may be. What it does not know: how to ask for them.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

import msgspec

from engine.decoded import from_json
from engine.errors import DecodingError

UNSTATED: Final = (b"", b"null", b'""')
"""How a number is written that the venue does not state; the first where the field is missing."""

ENDED: Final = ("MATCHED", "CANCEL", "EXPIRED", "INVALID", "REJECTED")
"""How the statuses of orders begin that cannot fill any more; any other word may mean one that can."""

AT_ONCE: Final = ("FOK", "FAK")
"""Types of orders that never rest."""


class Unreadable(Exception):
    """A row that may be ours says nothing that can be understood."""


class OrderRow(NamedTuple):
    """An order. ``matched`` is None where the venue does not state it; ``status`` has no prefix."""

    status: str
    matched: Decimal | None
    trade_ids: frozenset[str]
    order_type: str

    def has_filled(self) -> bool:
        """Say whether anything of it did; its own word says so where there is no number."""
        if self.trade_ids:
            return True
        return self.status == "MATCHED" if self.matched is None else self.matched > 0

    def is_open(self) -> bool:
        """Say whether it may still fill. What never rests and is unmatched has ended without a fill."""
        if self.status == "UNMATCHED" and self.order_type in AT_ONCE and not self.has_filled():
            return False
        return not self.status.startswith(ENDED)


class MakerRow(msgspec.Struct):
    """The part of a trade that one resting order has."""

    order_id: str
    price: Decimal
    matched_amount: Decimal
    asset_id: str | None = None
    token_id: str | None = None
    maker_address: str | None = None

    def __post_init__(self) -> None:
        self.asset_id = _either(self.asset_id, self.token_id)


class TradeRow(msgspec.Struct):
    """A trade. ``status`` is a word as the user channel tells it; one of tomorrow is kept as it is."""

    id: str
    taker_order_id: str
    price: Decimal
    size: Decimal
    status: str
    asset_id: str | None = None
    token_id: str | None = None
    trader_side: str | None = None
    maker_orders: tuple[MakerRow, ...] | None = None

    def __post_init__(self) -> None:
        self.asset_id = _either(self.asset_id, self.token_id)
        self.status = self.status.upper().removeprefix("TRADE_STATUS_")
        if not self.id or not self.status:
            raise ValueError("a trade without an id or a status")
        self.trader_side = (self.trader_side or "").upper()

    @property
    def makers(self) -> tuple[MakerRow, ...]:
        """The resting orders it was made with."""
        return self.maker_orders or ()


class MakerFate(msgspec.Struct):
    """Whose resting order took part in a trade."""

    order_id: str
    maker_address: str | None = None


class Fate(msgspec.Struct):
    """How far a trade is and whose it is: as much as is needed of one whose amounts cannot be read."""

    id: str
    taker_order_id: str
    status: str
    trader_side: str | None = None
    maker_orders: tuple[MakerFate, ...] | None = None

    def __post_init__(self) -> None:
        self.status = self.status.upper().removeprefix("TRADE_STATUS_")
        if not self.id or not self.status:
            raise ValueError("a trade without an id or a status")
        self.trader_side = (self.trader_side or "").upper()

    @property
    def makers(self) -> tuple[MakerFate, ...]:
        """The resting orders it was made with."""
        return self.maker_orders or ()


class OddRow(NamedTuple):
    """A trade that cannot be read. What it does not say of itself is None: it may be anybody's."""

    trade_id: str | None
    order_ids: frozenset[str] | None
    fate: Fate | None
    why: str


Listed: TypeAlias = TradeRow | OddRow


class _Order(msgspec.Struct):
    id: str
    status: str
    size_matched: msgspec.Raw = msgspec.Raw()
    associate_trades: frozenset[str] | None = None
    order_type: str | None = None


class _Page(msgspec.Struct):
    data: list[msgspec.Raw] | None
    next_cursor: str | None = None


class _Id(msgspec.Struct):
    id: str


class _OrderIds(msgspec.Struct):
    taker_order_id: str
    maker_orders: list[MakerFate] | None = None


def read_order(body: bytes, venue_order_id: str) -> OrderRow | None:
    """Read the answer about one order; None where the venue knows none.

    Raises:
        DecodingError: It is no order, or not that one.
    """
    if not from_json(body):
        return None
    told = from_json(body, _Order)
    status = told.status.upper().removeprefix("ORDER_STATUS_")
    if told.id.lower() != venue_order_id.lower() or not status:
        raise DecodingError("it is not the order that was asked for, or has no status")
    return OrderRow(
        status=status,
        matched=_amount(bytes(told.size_matched)),
        trade_ids=told.associate_trades or frozenset(),
        order_type=(told.order_type or "").upper(),
    )


def read_page(body: bytes) -> tuple[tuple[Listed, ...], str | None]:
    """Read a page of trades, each for itself; return them and the cursor as it was told.

    Raises:
        DecodingError: It is no page: nobody knows what it would have held.
    """
    page = from_json(body, _Page)
    return tuple(_row(bytes(raw)) for raw in page.data or ()), page.next_cursor


def of_order(listed: Iterable[Listed], venue_order_id: str) -> list[TradeRow | Fate]:
    """Return the trades in which an order took part, as taker or as maker; of one that failed its fate is
    enough.

    Raises:
        Unreadable: It took part in one or may have, and what it did there cannot be read.
    """
    ours, found = venue_order_id.lower(), list[TradeRow | Fate]()
    for row in listed:
        if isinstance(row, TradeRow):
            ids = {row.taker_order_id.lower(), *(maker.order_id.lower() for maker in row.makers)}
            found += [row] if ours in ids else []
        elif row.order_ids is None or ours in row.order_ids:
            if row.order_ids is None or row.fate is None or row.fate.status != "FAILED":
                raise Unreadable(f"a trade that may be ours cannot be read: {row.why}")
            found.append(row.fate)
    return found


def with_ids(listed: Iterable[Listed], trade_ids: tuple[str, ...]) -> list[TradeRow]:
    """Return the trades that have one of some ids.

    Raises:
        Unreadable: One has or may have, and cannot be read.
    """
    found: list[TradeRow] = []
    for row in listed:
        if isinstance(row, TradeRow):
            found += [row] if row.id in trade_ids else []
        elif row.trade_id is None or row.trade_id in trade_ids:
            raise Unreadable(f"a trade of ours cannot be read: {row.why}")
    return found


def fates(listed: Iterable[Listed], trade_id: str) -> list[TradeRow | Fate]:
    """Return how far a trade is.

    Raises:
        Unreadable: It is listed, or may be, and does not say that.
    """
    found: list[TradeRow | Fate] = []
    for row in listed:
        if isinstance(row, OddRow) and row.fate is not None:
            found += [row.fate] if row.fate.id == trade_id else []
        else:
            found += with_ids((row,), (trade_id,))
    return found


def _row(body: bytes) -> Listed:
    try:
        return from_json(body, TradeRow)
    except DecodingError as error:
        return OddRow(_trade_id(body), _order_ids(body), _fate(body), str(error))


def _fate(body: bytes) -> Fate | None:
    try:
        return from_json(body, Fate)
    except DecodingError:
        return None


def _trade_id(body: bytes) -> str | None:
    try:
        return from_json(body, _Id).id or None
    except DecodingError:
        return None


def _order_ids(body: bytes) -> frozenset[str] | None:
    """Return the ids of all orders in a trade, in small letters; None where one of them is not told."""
    try:
        told = from_json(body, _OrderIds)
    except DecodingError:
        return None
    ids = [told.taker_order_id, *(maker.order_id for maker in told.maker_orders or ())]
    return frozenset(one.lower() for one in ids) if all(ids) else None


def _amount(text: bytes) -> Decimal | None:
    if text in UNSTATED:
        return None
    amount = from_json(text, Decimal)
    if not amount.is_finite() or amount < 0:
        raise DecodingError(f"{str(amount)[:40]} is no amount")
    return amount


def _either(asset_id: str | None, token_id: str | None) -> str:
    """Return a token by either of its two names; without it nobody knows whose price a price is."""
    found = asset_id or token_id
    if not found:
        raise ValueError("without a token")
    return found
