"""What became of orders and trades, as REST answers and the user channel tell it.

Source: protocol sheet, sections 3.7 and 5.3. What it does not know: money, books, time except as it is told.
"""

import hashlib
from typing import Any, Final, Literal, TypeAlias

from engine.contract import Outcome
from engine.events import Side
from engine.practice.frames import LABELS, price_text, size_text
from engine.practice.market import OTHER, OUTCOMES, Market
from engine.practice.matching import Fill
from engine.practice.order_reading import Order
from engine.units import ONE_E4, Milliseconds, PriceE4, SizeE6, UsdE6

TradeStatus: TypeAlias = Literal["MATCHED", "RETRYING", "MINED", "CONFIRMED", "FAILED"]
Role: TypeAlias = Literal["TAKER", "MAKER"]

MAKER_KEY: Final = "practice-maker"
MAKER_ADDRESS: Final = "0x" + "1" * 40
OPPOSITE: Final[dict[Side, Side]] = {"BUY": "SELL", "SELL": "BUY"}


class Entry:
    """An order that the exchange took, and how far it is."""

    def __init__(self, order: Order, address: str, market: Market, outcome: Outcome) -> None:
        self.order = order
        self.address = address
        self.market = market
        self.outcome = outcome
        self.price_e4: PriceE4 = 0
        self.created_ms: Milliseconds = 0
        self.status = "DELAYED"
        self.matched_e6: SizeE6 = 0
        self.trades: list[Trade] = []
        self.reserved: tuple[str, int] = ("", 0)

    @property
    def left_e6(self) -> SizeE6:
        """Shares still to be matched."""
        return self.order.shares_e6 - self.matched_e6

    def fields(self) -> dict[str, Any]:
        """Return what REST and the user channel both say of it."""
        order = self.order
        return {
            "id": order.id,
            "owner": order.owner,
            "market": self.market.contract.condition_id,
            "asset_id": order.token,
            "side": order.side,
            "original_size": size_text(order.shares_e6),
            "size_matched": size_text(self.matched_e6),
            "price": price_text(self.price_e4),
            "associate_trades": [trade.id for trade in self.trades],
            "outcome": LABELS[self.outcome],
            "expiration": str(order.expiration_s),
            "order_type": order.kind,
            "status": self.status,
            "maker_address": order.struct.maker,
        }

    def described(self) -> dict[str, Any]:
        """Describe it as ``GET /data/order/{id}`` does."""
        return {**self.fields(), "created_at": self.created_ms // 1000}

    def event(self, change: Literal["PLACEMENT", "UPDATE", "CANCELLATION"]) -> dict[str, Any]:
        """Describe a change of it as the user channel does."""
        return {
            "event_type": "order",
            **self.fields(),
            "order_owner": self.order.owner,
            "type": change,
            "created_at": str(self.created_ms // 1000),
        }

    def killed_event(self, text: str) -> dict[str, Any]:
        """Describe a kill: empty fields and a free text, as in the live frame of the protocol sheet."""
        empty = {"size_matched": "", "associate_trades": [], "outcome": "", "created_at": ""}
        return {**self.event("CANCELLATION"), **empty, "status": f"CANCELED_{text}"}


class Trade:
    """One match of an order with all that it takes. As a maker's it has the other side of ``side`` as the
    taker's.

    A transaction matches a taker with many makers, at each maker's own price; half of these, as it happens,
    do not sell this token but buy the other one, at a dollar less that price.
    """

    def __init__(self, entry: Entry, fills: tuple[Fill, ...], role: Role, now_ms: Milliseconds) -> None:
        self._made = f"{entry.order.id} {len(entry.trades)}".encode()
        self.id = hashlib.sha256(self._made).hexdigest()[:32]
        self.entry = entry
        self.fills = fills
        self.role = role
        self.status: TradeStatus = "MATCHED"
        self.matched_ms = self.updated_ms = now_ms
        self._hash = self._drawn("transaction")

    def _drawn(self, purpose: str) -> str:
        """Make 32 bytes that only this trade and purpose give, in hexadecimal."""
        return "0x" + hashlib.sha256(self._made + f" {purpose}".encode()).hexdigest()

    @property
    def side(self) -> Side:
        """Its owner's side."""
        return self.entry.order.side

    @property
    def size_e6(self) -> SizeE6:
        """Shares, of all makers."""
        return sum(fill.size_e6 for fill in self.fills)

    @property
    def usd_e6(self) -> UsdE6:
        """What the shares cost or brought, before fee."""
        return sum(fill.usd_e6 for fill in self.fills)

    @property
    def fee_e6(self) -> UsdE6:
        """The taker's fee."""
        return sum(fill.fee_e6 for fill in self.fills)

    @property
    def price_e4(self) -> PriceE4:
        """What a share cost or brought on average, on the finest grid."""
        worth = sum(fill.price_e4 * fill.size_e6 for fill in self.fills)
        return round(worth / self.size_e6)

    def moves_to(self, status: TradeStatus, now_ms: Milliseconds) -> None:
        """Go on to another status."""
        self.status, self.updated_ms = status, now_ms

    def described(self) -> dict[str, Any]:
        """Describe it as ``GET /data/trades`` does, which prefixes statuses."""
        return {**self._fields(), "status": f"TRADE_STATUS_{self.status}"}

    def event(self) -> dict[str, Any]:
        """Describe it as the user channel does."""
        trade_owner = self.entry.order.owner if self.role == "TAKER" else MAKER_KEY
        return {"event_type": "trade", "type": "TRADE", **self._fields(), "trade_owner": trade_owner}

    def _fields(self) -> dict[str, Any]:
        entry, order = self.entry, self.entry.order
        is_taker = self.role == "TAKER"
        return {
            "id": self.id,
            "taker_order_id": order.id if is_taker else self._drawn("other order"),
            "market": entry.market.contract.condition_id,
            "asset_id": order.token,
            "side": order.side if is_taker else OPPOSITE[order.side],
            "size": size_text(self.size_e6),
            "fee_rate_bps": "0",
            "price": price_text(self.price_e4),
            "status": self.status,
            "match_time": str(self.matched_ms // 1000),
            "last_update": str(self.updated_ms // 1000),
            "outcome": LABELS[entry.outcome],
            "owner": order.owner,
            "maker_address": order.struct.maker if is_taker else MAKER_ADDRESS,
            "transaction_hash": self._hash if self.status in ("MINED", "CONFIRMED") else None,
            "bucket_index": 0,
            "maker_orders": self._makers() if is_taker else [self._maker()],
            "trader_side": self.role,
        }

    def _makers(self) -> list[dict[str, Any]]:
        """Describe those that a taker was matched with: each sells his token, or buys the other one."""
        found: list[dict[str, Any]] = []
        for number, fill in enumerate(self.fills):
            order_id = self._drawn(f"other order {number}")
            buys_other = int(order_id[-1], 16) % 2 == 1
            outcome = OTHER[self.entry.outcome] if buys_other else self.entry.outcome
            found.append(
                {
                    "order_id": order_id,
                    "owner": MAKER_KEY,
                    "maker_address": MAKER_ADDRESS,
                    "matched_amount": size_text(fill.size_e6),
                    "price": price_text(ONE_E4 - fill.price_e4 if buys_other else fill.price_e4),
                    "side": self.side if buys_other else OPPOSITE[self.side],
                    **self._token(outcome),
                }
            )
        return found

    def _maker(self) -> dict[str, Any]:
        """Describe our own part where we are the maker."""
        order = self.entry.order
        return {
            "order_id": order.id,
            "owner": order.owner,
            "maker_address": order.struct.maker,
            "matched_amount": size_text(self.size_e6),
            "price": price_text(self.price_e4),
            "side": order.side,
            **self._token(self.entry.outcome),
        }

    def _token(self, outcome: Outcome) -> dict[str, Any]:
        return {
            "fee_rate_bps": "0",
            "asset_id": self.entry.market.token(outcome),
            "outcome": LABELS[outcome],
            "outcome_index": OUTCOMES.index(outcome),
        }
