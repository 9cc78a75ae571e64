"""What became of orders and trades, as REST answers and the user channel tell it.

Source: protocol sheet, sections 3.7 and 5.3. What it does not know: money, books, time except as it is told.
"""

import hashlib
from typing import Any, Final, Literal, TypeAlias

from engine.contract import Outcome
from engine.events import Side
from engine.practice.frames import LABELS, price_text, size_text
from engine.practice.market import Market
from engine.practice.matching import Fill
from engine.practice.order_reading import Order
from engine.units import Milliseconds, PriceE4, SizeE6, UsdE6

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
    """One match of an order at one price. As a maker's it has the other side of ``side`` as the taker's."""

    def __init__(self, entry: Entry, fill: Fill, role: Role, now_ms: Milliseconds) -> None:
        made = f"{entry.order.id} {len(entry.trades)}".encode()
        self.id = hashlib.sha256(made).hexdigest()[:32]
        self.entry = entry
        self.fill = fill
        self.role = role
        self.status: TradeStatus = "MATCHED"
        self.matched_ms = self.updated_ms = now_ms
        self._hash = "0x" + hashlib.sha256(made + b" transaction").hexdigest()
        self._other = "0x" + hashlib.sha256(made + b" other order").hexdigest()

    @property
    def side(self) -> Side:
        """Its owner's side."""
        return self.entry.order.side

    @property
    def usd_e6(self) -> UsdE6:
        """What the shares cost or brought, before fee."""
        return self.fill.usd_e6

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
        price, size = price_text(self.fill.price_e4), size_text(self.fill.size_e6)
        maker = {
            "order_id": self._other if is_taker else order.id,
            "owner": MAKER_KEY if is_taker else order.owner,
            "maker_address": MAKER_ADDRESS if is_taker else order.struct.maker,
            "matched_amount": size,
            "price": price,
            "fee_rate_bps": "0",
            "asset_id": order.token,
            "outcome": LABELS[entry.outcome],
            "outcome_index": 0 if entry.outcome == "UP" else 1,
            "side": OPPOSITE[order.side] if is_taker else order.side,
        }
        return {
            "id": self.id,
            "taker_order_id": order.id if is_taker else self._other,
            "market": entry.market.contract.condition_id,
            "asset_id": order.token,
            "side": order.side if is_taker else OPPOSITE[order.side],
            "size": size,
            "fee_rate_bps": "0",
            "price": price,
            "status": self.status,
            "match_time": str(self.matched_ms // 1000),
            "last_update": str(self.updated_ms // 1000),
            "outcome": LABELS[entry.outcome],
            "owner": order.owner,
            "maker_address": order.struct.maker if is_taker else MAKER_ADDRESS,
            "transaction_hash": self._hash if self.status in ("MINED", "CONFIRMED") else None,
            "bucket_index": 0,
            "maker_orders": [maker],
            "trader_side": self.role,
        }
