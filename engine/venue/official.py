"""Carry orders to Polymarket with its official client.

An order is sent once. What came back is read by ``engine.venue.answers``, what it did by
``engine.venue.fills``. Every call has our own time-out. What it does not know: which orders are wanted, and
what follows from their ends.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

import httpx
from polymarket import AsyncSecureClient
from polymarket._internal.actions._cursor import next_cursor_or_none
from polymarket._internal.actions.account import (
    build_list_account_trades_request,
    build_update_balance_allowance_request,
)
from polymarket._internal.actions.orders.allowance import resolve_order_balance_allowance_target
from polymarket._internal.wallet import signature_type_for
from polymarket.errors import PolymarketError, RequestRejectedError
from polymarket.models.clob.order_heartbeats import OrderHeartbeat
from polymarket.models.clob.order_response import AcceptedOrder
from polymarket.pagination import AsyncPaginator, Page

from engine.core.trading import OrderIntent
from engine.errors import DecodingError, StartError
from engine.events import Side
from engine.nouns import counted
from engine.units import SizeE6, UsdE6
from engine.venue import answers, fills, rows, signing
from engine.venue.answers import NOT_SENT
from engine.venue.exchange import (
    Answer,
    AtTheWire,
    CallFailed,
    HeldBack,
    Lost,
    Matched,
    Refused,
    Signed,
    TradeStatus,
    Unsendable,
)
from engine.venue.fills import Fees
from engine.venue.official_client import Access, Wire, connect, expecting, nothing_more, watched
from engine.venue.rows import Fate, Listed, OrderRow, TradeRow, Unreadable

log = logging.getLogger("engine.venue")

T = TypeVar("T")

TRADES_TIMEOUT_S: Final = 1.0
"""How long the trades of a match are asked for; the answer's own amounts do otherwise."""

LOOK_ANEW_S: Final = 60.0
"""Between two requests that the venue look at the account's dollars; fills of ours it sees by itself."""

ENOUGH_E6: Final = 10**15
"""An allowance is told up to this, a thousand million dollars: unlimited ones fit no 64-bit number."""

GONE: Final = ("order already", "order not found")
"""How the reasons begin for which an order was not cancelled because there is none any more."""

FAILURES: Final = (
    PolymarketError, httpx.HTTPError, OSError, RuntimeError, ValueError, ArithmeticError, TypeError,
)  # fmt: skip
"""What the client raises: its own errors, and those of what it is built on; over numbers that are none too (a
tick size ``sNaN`` is a ``TypeError``)."""

UNREAD: Final = (*FAILURES, DecodingError, Unreadable)
"""What a question ends with that was not answered, or whose answer cannot be read."""


class OfficialExchange:
    """Polymarket, or a venue that speaks like it: both ``Exchange`` and ``Account``."""

    def __init__(self, access: Access, timeout_s: float, fees: Fees) -> None:
        self._access = access
        self._timeout_s = timeout_s
        self._fees = fees
        self._client: AsyncSecureClient | None = None
        self._beat_id = ""
        self._looked_s = float("-inf")
        self._spenders: set[str] = set()

    async def open(self) -> None:
        """Connect, and prove that the venue takes our credentials and that the socket can be watched."""
        self._client = await connect(self._access)
        seen = Wire(nothing_more)
        try:
            with watched(seen):
                await self.is_closed_only()
            if seen.begun:
                return
            why = "the client's socket cannot be watched: an order could leave past the kill switch"
        except CallFailed as error:
            why = str(error)
        await self.close()
        raise StartError(f"{self._access.clob_host} cannot be traded on: {why}")

    async def close(self) -> None:
        """Let go of every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def warm(self, token: str) -> None:
        """Read the market anew, and use the connection that orders take.

        The client keeps a market for ten minutes and an idle connection for 30 s; so call it at each
        rollover, and every 20 s where an order may come.
        """
        client = self._official()
        spender = await self._call("market", signing.read_market(client, token))
        self._spenders.add(spender.lower())
        await self.is_closed_only()

    async def sign(self, intent: OrderIntent) -> Signed:
        """Make an order of an intent: no request, once its market is warm; but for a SELL's one, without
        which the venue may still count no share of what was bought a moment ago (protocol sheet, 5.3)."""
        if intent.side == "SELL":
            with contextlib.suppress(CallFailed):
                await self._look_anew("SELL", intent.token)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await signing.signed(self._official(), intent)
        except TimeoutError:
            why = f"its market was not read within {self._timeout_s:g} s"
        except CallFailed as error:
            why = str(error)
        except FAILURES as error:
            why = answers.described(error, self._access.hide)
        raise Unsendable(why)

    async def send(self, intent: OrderIntent, signed: Signed, at_the_wire: AtTheWire) -> Answer:
        """Send an order, once. See ``Exchange.send``."""
        wire = Wire(at_the_wire)
        posted = await self._post(signed, wire)
        if not isinstance(posted, AcceptedOrder):
            return posted
        if posted.order_id.lower() != signed.venue_order_id:
            log.error("! the venue knows an order by another id", extra={"order_id": intent.order_id})
        if posted.status != "matched":
            return Lost(f"the venue answered {posted.status!r}: it may fill")
        return await self._read_match(posted, signed, intent)

    async def cancel_all(self) -> int:
        """Cancel every open order of the account; return how many were cancelled."""
        told = await self._call("cancel-all", self._official().cancel_all())
        left = [why for why in told.not_canceled.values() if not why.startswith(GONE)]
        if left:
            count = counted(len(left), "order was", "orders were")
            raise CallFailed(f"{count} not cancelled: {self._access.hide(left[0])}")
        return len(told.canceled)

    async def find(self, intent: OrderIntent, venue_order_id: str) -> Matched | None:
        """Look for what an order did, by its id and among the account's trades of its token."""
        told = await self._order(venue_order_id)
        ours = await self._call("trades", self._trades_of_order(venue_order_id, intent.token))
        if told is not None:
            missing = told.trade_ids - {trade.id for trade in ours}
            if missing or (told.has_filled() and not ours):
                raise CallFailed("the order filled, and its trades are not listed yet")
        alive = [trade for trade in ours if isinstance(trade, TradeRow) and trade.status != "FAILED"]
        if not alive:
            return None
        try:
            return fills.matched(alive, venue_order_id, intent, self._fees)
        except Unreadable as error:
            why = str(error)
        raise CallFailed(f"trades: {why}")

    async def is_open(self, venue_order_id: str) -> bool:
        """Say whether the venue still holds an order that may fill."""
        told = await self._order(venue_order_id)
        return told is not None and told.is_open()

    async def statuses(self, trade_ids: tuple[str, ...]) -> tuple[TradeStatus, ...]:
        """Ask how far trades are; one that the venue does not list is left out."""
        told: list[TradeStatus] = []
        failure: CallFailed | None = None
        for trade_id in trade_ids:
            try:
                listed = await self._call("trades", self._fates(trade_id))
            except CallFailed as error:  # one that cannot be told hides no other
                failure = error
                continue
            told += [TradeStatus(one.id, self._own_order(one), _word(one.status)) for one in listed]
        if failure is not None and not told:
            raise failure
        return tuple(told)

    async def balance(self) -> tuple[UsdE6, UsdE6]:
        """Return dollars, and how many of them the exchange's contracts may take; the venue is told to look
        first, once a minute: it keeps what it saw, and a deposit or an approval would not be seen."""
        if time.monotonic() - self._looked_s > LOOK_ANEW_S:
            await self._look_anew("BUY", "")
            self._looked_s = time.monotonic()
        asking = self._official().get_balance_allowance(asset_type="COLLATERAL")
        told = await self._call("balance", asking)
        allowed = {spender.lower(): amount for spender, amount in told.allowances.items()}
        wanted = [allowed[spender] for spender in self._spenders if spender in allowed]
        least = min(wanted or allowed.values(), default=0)
        return told.balance, min(least, ENOUGH_E6)

    async def shares(self, token: str) -> SizeE6:
        """Return how many shares of a token the account holds; the venue is told to look first."""
        asset_type, asset_id = await self._look_anew("SELL", token)
        asking = self._official().get_balance_allowance(asset_type=asset_type, asset_id=asset_id)
        return (await self._call("shares", asking)).balance

    async def _look_anew(self, side: Side, token: str) -> tuple[Any, Any]:
        """Let the venue look at what an order of a side takes from; return what that is to the client."""
        client = self._official()
        asset_type, asset_id = resolve_order_balance_allowance_target(side=side, asset_id=token)  # type: ignore[arg-type]
        path, params = build_update_balance_allowance_request(
            asset_type=asset_type,
            asset_id=asset_id,
            signature_type=signature_type_for(client._ctx.wallet_type),
        )
        what = "balance" if side == "BUY" else "shares"
        await self._call(what, client._ctx.secure_clob.get_bytes(path, params=params))
        return asset_type, asset_id

    async def beat(self) -> None:
        """Send the order heartbeat; where the venue expects another id, once more with that one."""
        client = self._official()

        async def chained() -> OrderHeartbeat:
            with expecting() as expected:
                try:
                    return await client.send_order_heartbeat(heartbeat_id=self._beat_id)
                except RequestRejectedError:
                    if expected.heartbeat_id is None:
                        raise
            return await client.send_order_heartbeat(heartbeat_id=expected.heartbeat_id)

        self._beat_id = (await self._call("heartbeat", chained())).heartbeat_id

    async def is_closed_only(self) -> bool:
        """Say whether the account may only reduce."""
        return await self._call("closed-only", self._official().get_closed_only_mode())

    def _official(self) -> AsyncSecureClient:
        if self._client is None:
            raise CallFailed("the connection to the venue is not open")
        return self._client

    async def _post(self, signed: Signed, wire: Wire) -> AcceptedOrder | Answer:
        """Post an order; after its first byte, whatever is no proof is an order that may live."""
        try:
            with watched(wire):
                async with asyncio.timeout(self._timeout_s):
                    told = await self._official().post_order(signed.order)  # type: ignore[arg-type]
        except HeldBack:
            raise
        except TimeoutError:
            if wire.begun:
                return Lost(f"no answer within {self._timeout_s:g} s")
            return Refused(f"not sent: no connection within {self._timeout_s:g} s", NOT_SENT)
        except Exception as error:  # noqa: BLE001 (of whatever kind: once a byte was written, it may live)
            if wire.begun:
                return answers.to_order(error, self._access.hide)
            return Refused(f"not sent: {answers.described(error, self._access.hide)}", NOT_SENT)
        return told if told.ok else answers.to_rejected(told.message, self._access.hide)

    async def _read_match(self, posted: AcceptedOrder, signed: Signed, intent: OrderIntent) -> Answer:
        """Say what a matched order did, by its trades; nobody knows as long as they cannot be read."""
        told_e6 = fills.dollars_told(posted, signed, intent)
        try:
            async with asyncio.timeout(min(TRADES_TIMEOUT_S, self._timeout_s)):
                trades = await self._trades_of(posted, intent.token)
            if trades and len(trades) == len(posted.trade_ids or trades):
                done = fills.matched(trades, posted.order_id, intent, self._fees, told_e6)
                if fills.is_all(done, told_e6):
                    return done
            why = f"{len(trades)} of {len(posted.trade_ids)} trades are listed"
        except UNREAD as error:
            why = answers.described(error, self._access.hide)
        log.warning("! trades not read", extra={"order_id": intent.order_id, "why": why})
        # An average price gives another fee than its levels: what is booked is exact, or is looked for.
        return Lost(f"matched, and its trades could not be read: {why}")

    async def _trades_of(self, posted: AcceptedOrder, token: str) -> list[TradeRow]:
        if posted.trade_ids:
            return await self._trades_by_id(posted.trade_ids)
        listed = await self._trades_of_order(posted.order_id, token)
        return [trade for trade in listed if isinstance(trade, TradeRow)]

    async def _trades_of_order(self, venue_order_id: str, token: str) -> list[TradeRow | Fate]:
        return rows.of_order(await self._trades(asset_id=token), venue_order_id)

    async def _trades_by_id(self, trade_ids: tuple[str, ...]) -> list[TradeRow]:
        pages = await asyncio.gather(*(self._trades(id=trade_id) for trade_id in trade_ids))
        return [trade for page in pages for trade in rows.with_ids(page, trade_ids)]

    async def _fates(self, trade_id: str) -> list[TradeRow | Fate]:
        return rows.fates(await self._trades(id=trade_id), trade_id)

    async def _trades(self, **wanted: str) -> list[Listed]:
        """Read every page, without the client's models; its own loop refuses a cursor that comes again."""
        clob = self._official()._ctx.secure_clob

        async def fetch(cursor: str | None) -> Page[Listed]:
            path, params = build_list_account_trades_request(cursor=cursor, **wanted)
            items, told = rows.read_page(await clob.get_bytes(path, params=params))
            following = next_cursor_or_none(told)
            return Page(items=items, has_more=following is not None, next_cursor=following)

        return [row async for page in AsyncPaginator(fetch=fetch) for row in page.items]

    async def _order(self, venue_order_id: str) -> OrderRow | None:
        """Ask for an order by its id; None where the venue knows none, which proves nothing."""
        clob = self._official()._ctx.secure_clob

        async def asked() -> OrderRow | None:
            try:
                told = await clob.get_bytes(f"/data/order/{venue_order_id}")
            except RequestRejectedError as error:
                if error.status != 404:
                    raise
                return None
            return rows.read_order(told, venue_order_id)

        return await self._call("order", asked())

    async def _call(self, what: str, asking: Awaitable[T]) -> T:
        """Await an answer within our own time-out; what fails leaves nothing of the client's error behind."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asking
        except TimeoutError:
            failure = CallFailed(f"{what}: no answer within {self._timeout_s:g} s")
        except UNREAD as error:
            failure = answers.failed(what, error, self._access.hide)
        raise failure

    def _own_order(self, trade: TradeRow | Fate) -> str:
        """Return which order of ours a trade is of, in the small letters in which we know it.

        Where the venue does not say on which side we were, we took what no order of our wallet made.
        """
        wallet, own = self._access.wallet.lower(), ""
        if trade.trader_side != "TAKER":
            made = [one.order_id for one in trade.makers if (one.maker_address or "").lower() == wallet]
            own = made[0] if made else ""
        if trade.trader_side == "TAKER" or (not own and trade.trader_side != "MAKER"):
            own = trade.taker_order_id
        return own.lower()


def _word(status: str) -> str:
    """Return a trade's status as the user channel would tell it."""
    return "MATCHED" if status == "MATCHED_NOT_BROADCASTED" else status
