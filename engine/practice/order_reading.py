"""Read an order as it is posted, and know its id. Source: protocol sheet, section 7.5."""

from typing import Any, Final, Literal, TypeAlias

import msgspec

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.events import Side
from engine.practice.eip712 import OrderStruct, order_digest
from engine.practice.order_errors import Refused, refused
from engine.units import SizeE6, UsdE6

OrderType: TypeAlias = Literal["GTC", "GTD", "FOK", "FAK"]

MOST_ORDERS: Final = 15
"""Orders in one ``POST /orders``. Source: protocol sheet, section 5.3."""

LARGEST: Final = 10**18
"""An amount above this is no order: more millionths than there are dollars."""


class _Fields(msgspec.Struct, frozen=True, rename="camel"):
    salt: int
    maker: str
    signer: str
    token_id: str
    maker_amount: str
    taker_amount: str
    side: Side
    signature_type: Literal[0, 1, 2, 3]
    timestamp: str
    metadata: str
    builder: str
    signature: str
    expiration: str = "0"


class _Posted(msgspec.Struct, frozen=True, rename="camel"):
    order: _Fields
    order_type: OrderType
    owner: str
    post_only: bool = False


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was posted; ``id`` is its EIP-712 hash under the exchange's domain."""

    id: str
    struct: OrderStruct
    token: str
    side: Side
    kind: OrderType
    owner: str
    signature: str
    post_only: bool
    expiration_s: int

    @property
    def dollars_e6(self) -> UsdE6:
        """What is paid at most (BUY), or wanted at least (SELL)."""
        return self.struct.maker_amount if self.side == "BUY" else self.struct.taker_amount

    @property
    def shares_e6(self) -> SizeE6:
        """What is wanted at least (BUY), or sold at most (SELL)."""
        return self.struct.taker_amount if self.side == "BUY" else self.struct.maker_amount

    @property
    def at_once(self) -> bool:
        """Whether it never rests."""
        return self.kind in ("FOK", "FAK")


def read_order(body: bytes) -> Order:
    """Read the body of ``POST /order``.

    Raises:
        Refused: It is no order.
    """
    try:
        return _order(from_json(body, _Posted))
    except (DecodingError, ValueError):
        raise refused("payload") from None


def read_orders(body: bytes) -> list[Order | Refused]:
    """Read the body of ``POST /orders``; one that is no order is a refusal in its place.

    Raises:
        Refused: It is no list of at most fifteen.
    """
    try:
        posted = from_json(body, list[Any])
    except DecodingError:
        raise refused("payload") from None
    if not 0 < len(posted) <= MOST_ORDERS:
        raise refused("payload")
    return [_converted(entry) for entry in posted]


def _converted(entry: Any) -> Order | Refused:
    try:
        return _order(msgspec.convert(entry, _Posted))
    except (msgspec.ValidationError, ValueError):
        return refused("payload")


def _order(posted: _Posted) -> Order:
    given = posted.order
    struct = OrderStruct(
        salt=given.salt,
        maker=given.maker,
        signer=given.signer,
        token_id=_whole(given.token_id, 1 << 256),
        maker_amount=_whole(given.maker_amount, LARGEST),
        taker_amount=_whole(given.taker_amount, LARGEST),
        side=0 if given.side == "BUY" else 1,
        signature_type=given.signature_type,
        timestamp=_whole(given.timestamp, LARGEST),
        metadata=given.metadata,
        builder=given.builder,
    )
    if not (struct.maker_amount and struct.taker_amount):
        raise ValueError("an order for nothing")
    return Order(
        id="0x" + order_digest(struct).hex(),
        struct=struct,
        token=given.token_id,
        side=given.side,
        kind=posted.order_type,
        owner=posted.owner,
        signature=given.signature,
        post_only=posted.post_only,
        expiration_s=_whole(given.expiration, LARGEST),
    )


def _whole(text: str, limit: int) -> int:
    """Read a plain whole number below a limit; no sign, no space, no zero in front."""
    if not (text.isascii() and text.isdigit()) or len(text) > 78 or (text[0] == "0" and text != "0"):
        raise ValueError(f"{text[:40]!r} is no whole number")
    number = int(text)
    if number >= limit:
        raise ValueError(f"{text[:40]!r} is too large")
    return number
