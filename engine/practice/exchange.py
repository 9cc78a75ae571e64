"""The exchange: takes orders, holds them, matches them with the venue's own books, cancels and pays.

Everything runs on the venue's clock. A marketable order is held 150 ms, during which nothing cancels it, and
is matched with the book as it is then. What it does not know: HTTP, signatures of calls, faults.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from engine.contract import Outcome
from engine.events import Level
from engine.practice import order_errors as errors
from engine.practice.bank import USD
from engine.practice.chain import Chain
from engine.practice.clob_socket import ClobFeed
from engine.practice.frames import size_text
from engine.practice.keys import Account
from engine.practice.market import Market, Markets
from engine.practice.matching import Fill, accepts, dollars, is_whole, walk, with_fees
from engine.practice.order_errors import Refused
from engine.practice.order_reading import Order
from engine.practice.order_rules import EXPIRES_EARLY_MS, check_owner, check_terms
from engine.practice.tape import TradeMoment, Truth
from engine.practice.trades import OPPOSITE, Entry, Role

Canceled = dict[str, Any]


class Exchange:
    """Every order of the venue, those that rest among them."""

    def __init__(self, markets: Markets, clob: ClobFeed, chain: Chain) -> None:
        self.chain: Final = chain
        self.orders: dict[str, Entry] = {}
        self._markets = markets
        self._clock = chain.clock
        self._clob = clob
        self._bank = chain.settling.bank
        self._open: dict[str, Entry] = {}

    async def post(self, account: Account, order: Order) -> dict[str, Any]:
        """Take an order and return what the exchange answers, once that is certain.

        Raises:
            Refused: It is not taken, or killed.
        """
        market, outcome = self._market(order)
        check_owner(order, account)
        if order.id in self.orders:
            raise errors.refused("duplicate", order.id)
        levels = self._levels(market, outcome, order)
        is_marketable = bool(levels) and accepts(order, levels[0][0])
        entry = Entry(order, account.address, market, outcome)
        entry.created_ms = self._clock.now_ms()
        entry.price_e4 = check_terms(order, market, is_marketable, entry.created_ms)
        self._reserve(entry, order.struct.maker_amount)
        self.orders[order.id] = entry
        if order.at_once or is_marketable:
            # A client that goes away does not stop an order under way.
            return await asyncio.shield(self.chain.run(self._held(entry)))
        self._rest(entry)
        return _answer(entry, "live")

    def cancel(self, ids: Iterable[str], account: Account) -> Canceled:
        """Cancel an account's orders by id, and say why not where that cannot be."""
        canceled: list[str] = []
        refused: dict[str, str] = {}
        for order_id in dict.fromkeys(ids):
            entry = self.orders.get(order_id)
            if entry is None or entry.address != account.address:
                refused[order_id] = "order not found"
            elif order_id in self._open:
                self._end(entry, "CANCELED")
                canceled.append(order_id)
            elif entry.status == "DELAYED":
                refused[order_id] = errors.HELD
            else:
                refused[order_id] = f"order already {entry.status.partition('_')[0].lower()}"
        return {"canceled": canceled, "not_canceled": refused}

    def open_of(self, address: str) -> list[Entry]:
        """Return an account's open orders, oldest first."""
        return [entry for entry in self._open.values() if entry.address == address]

    def under_way_of(self, address: str) -> list[Entry]:
        """Return an account's orders that are held at this moment."""
        return [e for e in self.orders.values() if e.address == address and e.status == "DELAYED"]

    def book_changed(self, market: Market) -> None:
        """Match resting orders that a market's new book crosses; as makers, at their own price."""
        if not market.accepts_orders(self._clock.now_ms()):
            return
        # Its own kind by price, then by time: sorting keeps the order in which they came.
        resting = [entry for entry in self._open.values() if entry.market is market]
        resting.sort(key=lambda e: -e.price_e4 if e.order.side == "BUY" else e.price_e4)
        for entry in resting:
            self._match_resting(entry)

    def resolve(self, market: Market, truth: Truth) -> None:
        """Cancel what rests, and pay a while later."""
        for entry in [entry for entry in self._open.values() if entry.market is market]:
            self._end(entry, "CANCELED_MARKET_RESOLVED")
        self.chain.pay_later(market, truth)

    def figures(self) -> dict[str, int]:
        """Count orders and trades, for ``GET /status``."""
        return {"orders": len(self.orders), "open": len(self._open), "trades": len(self.chain.trades)}

    def _market(self, order: Order) -> tuple[Market, Outcome]:
        now_ms = self._clock.now_ms()
        found = self._markets.of_token(order.token)
        if found is None or now_ms >= found[0].contract.end_s * 1000:
            raise errors.refused("no-book")
        if not found[0].accepts_orders(now_ms):
            raise errors.refused("not-ready")
        return found

    def _levels(self, market: Market, outcome: Outcome, order: Order) -> tuple[Level, ...]:
        sides = market.books[outcome]
        return sides.asks if order.side == "BUY" else sides.bids

    def _reserve(self, entry: Entry, amount_e6: int) -> None:
        """Set aside what an order may take; what it set aside before is let go first.

        Raises:
            Refused: There is not that much.
        """
        self._release(entry)
        asset = USD if entry.order.side == "BUY" else entry.order.token
        available = self._bank.available(entry.address, asset)
        if available < amount_e6:
            raise errors.not_enough(available, amount_e6)
        self._bank.reserve(entry.address, asset, amount_e6)
        entry.reserved = (asset, amount_e6)

    def _release(self, entry: Entry) -> None:
        asset, amount = entry.reserved
        if amount:
            self._bank.reserve(entry.address, asset, -amount)
        entry.reserved = ("", 0)

    async def _held(self, entry: Entry) -> dict[str, Any]:
        await self._clock.sleep(self.chain.timings.hold_ms / 1000)
        return self._execute(entry)

    def _execute(self, entry: Entry) -> dict[str, Any]:
        """Match an order after its hold, and kill or rest what is left."""
        order, market = entry.order, entry.market
        self._release(entry)
        if not market.accepts_orders(self._clock.now_ms()):
            raise self._kill(entry, errors.refused("no-book"))
        fills = walk(order, self._levels(market, entry.outcome, order))
        if order.kind == "FOK" and not is_whole(order, fills):
            raise self._kill(entry, errors.refused("fok"))
        if order.kind == "FAK" and not fills:
            raise self._kill(entry, Refused(400, errors.FAK_KILLED, orderID=order.id))
        fills = with_fees(market.contract.fee, fills)
        if order.side == "BUY":
            needed = sum(fill.usd_e6 + fill.fee_e6 for fill in fills)
            available = self._bank.available(entry.address, USD)
            if needed > available:
                raise self._kill(entry, errors.not_enough(available, needed))
        self._fill(entry, fills, "TAKER")
        if order.at_once or entry.left_e6 <= 0:
            entry.status = "MATCHED"
            self.chain.tell(entry.event("UPDATE"))
        else:
            self._rest(entry)
        return _answer(entry, "matched" if fills else "live")

    def _kill(self, entry: Entry, refusal: Refused) -> Refused:
        entry.status = "CANCELED"
        self.chain.tell(entry.killed_event(str(refusal)))
        return refusal

    def _rest(self, entry: Entry) -> None:
        """Let an order rest, if its owner can still pay what is left of it."""
        entry.status = "LIVE"
        try:
            self._reserve(entry, _worth(entry, entry.left_e6))
        except Refused:
            self._end(entry, "CANCELED_NOT_ENOUGH_BALANCE")
            return
        self._open[entry.order.id] = entry
        self.chain.tell(entry.event("PLACEMENT"))
        if entry.order.kind == "GTD":
            ends_ms = entry.order.expiration_s * 1000 - EXPIRES_EARLY_MS
            self.chain.later(ends_ms - self._clock.now_ms(), lambda: self._expire(entry))

    def _expire(self, entry: Entry) -> None:
        if entry.order.id in self._open:
            self._end(entry, "CANCELED_EXPIRED_ORDER")

    def _end(self, entry: Entry, status: str) -> None:
        self._open.pop(entry.order.id, None)
        self._release(entry)
        entry.status = status
        self.chain.tell(entry.event("CANCELLATION"))

    def _match_resting(self, entry: Entry) -> None:
        taken: list[Fill] = []
        left = entry.left_e6
        for price, size in self._levels(entry.market, entry.outcome, entry.order):
            if not left or not accepts(entry.order, price):
                break
            taken.append(Fill(price, min(size, left), 0))
            left -= taken[-1].size_e6
        size = sum(fill.size_e6 for fill in taken)
        if not size:
            return
        # The difference of two worths, so that many fills come to what the whole was reserved for.
        if entry.order.side == "BUY":
            usd = _worth(entry, entry.left_e6) - _worth(entry, left)
        else:
            usd = dollars("SELL", entry.price_e4, size)
        self._release(entry)
        self._fill(entry, (Fill(entry.price_e4, size, usd),), "MAKER", taken)
        if left:
            self._reserve(entry, _worth(entry, left))
        else:
            del self._open[entry.order.id]
            entry.status = "MATCHED"
        self.chain.tell(entry.event("UPDATE"))

    def _fill(
        self, entry: Entry, fills: Iterable[Fill], role: Role, taken: Iterable[Fill] | None = None
    ) -> None:
        """Book fills, take them out of the book, tell everybody, and let the chain do its part."""
        fills = tuple(fills)
        if not fills:
            return
        now_ms = self._clock.now_ms()
        self.chain.match(entry, fills, role)
        market, side = entry.market, entry.order.side
        gone = [(fill.price_e4, fill.size_e6) for fill in (fills if taken is None else taken)]
        changes = market.take(entry.outcome, side, gone, now_ms)
        self._clob.publish_changes(market, changes, now_ms)
        moment = TradeMoment(
            now_ms,
            market.contract.slug,
            entry.outcome,
            fills[-1].price_e4,
            sum(fill.size_e6 for fill in fills),
            side if role == "TAKER" else OPPOSITE[side],
        )
        market.trade(moment)
        self._clob.publish_trade(market, moment)


def _worth(entry: Entry, shares_e6: int) -> int:
    """Return what so many of a resting order's shares take: dollars for a BUY, the shares for a SELL."""
    if entry.order.side == "SELL":
        return shares_e6
    return dollars("BUY", entry.price_e4, shares_e6)


def _answer(entry: Entry, status: str) -> dict[str, Any]:
    """Write the answer to an order. A FOK's or FAK's names no transactions (protocol sheet, section 7.6)."""
    spent = sum(trade.usd_e6 for trade in entry.trades)
    made, taken = size_text(spent), size_text(entry.matched_e6)
    if entry.order.side == "SELL":
        made, taken = taken, made
    return {
        "success": True,
        "errorMsg": "",
        "orderID": entry.order.id,
        "status": status,
        "makingAmount": made if entry.trades else "",
        "takingAmount": taken if entry.trades else "",
        "transactionsHashes": [],
        "tradeIDs": [trade.id for trade in entry.trades],
    }
