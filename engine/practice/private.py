"""The venue's private calls: keys, orders, cancels, balances, trades, heartbeats. And where one may trade.

Every answer is made of what the exchange says; whoever cannot sign gets 401. Source: protocol sheet, sections
5.2 and 5.3.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from engine.decoded import from_json
from engine.errors import DecodingError
from engine.practice.bank import USD
from engine.practice.eip712 import EXCHANGE_V2, EXCHANGE_V3
from engine.practice.keys import Account
from engine.practice.order_errors import Refused, refused
from engine.practice.order_reading import Order, read_order, read_orders
from engine.practice.trades import Entry, Trade
from engine.practice.venue import Venue

PAGE: Final = 100
END: Final = "LTE="
"""The cursor after the last page."""

MOST_CANCELS: Final = 1_000
"""Ids in one ``DELETE /orders``; another source says 3,000. Source: protocol sheet, section 5.3."""

UNLIMITED: Final = str(2**256 - 1)

HERE: Final = {"blocked": False, "ip": "127.0.0.1", "country": "XX", "region": ""}
"""What ``/api/geoblock`` says of a practice client."""

ASSET_TYPES: Final = ("COLLATERAL", "CONDITIONAL", "CONDITIONAL-V2")

Call = Callable[[Request, Account, bytes], Awaitable[Any]]
Answer = Callable[[Request], Awaitable[Response]]


def routes(venue: Venue) -> list[BaseRoute]:
    """Return the private calls of a venue."""

    async def geoblock(_: Request) -> Response:
        return _json(HERE)

    return [
        *_key_routes(venue),
        *_order_routes(venue),
        *_cancel_routes(venue),
        *_reading_routes(venue),
        Route("/site/api/geoblock", geoblock),
    ]


def _signed(venue: Venue, method: str, path: str, call: Call) -> Route:
    """Return a route that answers only calls that an account signed."""

    async def answer(request: Request) -> Response:
        body = await request.body()
        try:
            account = venue.keys.account(request.method, request.url.path, request.headers, body)
            return _json(await call(request, account, body))
        except Refused as refusal:
            return _json(refusal.body, refusal.status)

    return Route(path, answer, methods=[method])


def _key_routes(venue: Venue) -> list[BaseRoute]:
    def by_wallet(method: str, path: str, make: Callable[[Any], Any]) -> Route:
        async def answer(request: Request) -> Response:
            try:
                return _json(make(request.headers).described())
            except Refused as refusal:
                return _json(refusal.body, refusal.status)

        return Route(path, answer, methods=[method])

    async def listed(_: Request, account: Account, __: bytes) -> Any:
        return {"apiKeys": venue.keys.of(account.address)}

    async def deleted(_: Request, account: Account, __: bytes) -> Any:
        venue.keys.forget(account)
        return "OK"

    async def closed_only(*_: Any) -> Any:
        return {"closed_only": False}

    return [
        by_wallet("POST", "/auth/api-key", venue.keys.create),
        by_wallet("GET", "/auth/derive-api-key", venue.keys.derive),
        _signed(venue, "DELETE", "/auth/api-key", deleted),
        _signed(venue, "GET", "/auth/api-keys", listed),
        _signed(venue, "GET", "/auth/ban-status/closed-only", closed_only),
    ]


def _order_routes(venue: Venue) -> list[BaseRoute]:
    async def one(_: Request, account: Account, body: bytes) -> Any:
        return await venue.exchange.post(account, read_order(body))

    async def several(_: Request, account: Account, body: bytes) -> Any:
        return await asyncio.gather(*(leg(account, order) for order in read_orders(body)))

    async def leg(account: Account, order: Order | Refused) -> dict[str, Any]:
        try:
            if isinstance(order, Refused):
                raise order
            return await venue.exchange.post(account, order)
        except Refused as refusal:
            return rejected_leg(str(refusal))

    async def beat(_: Request, account: Account, body: bytes) -> Any:
        given = _object(body).get("heartbeat_id", "")
        return venue.heartbeats.beat(account, str(given or ""))

    return [
        _signed(venue, "POST", "/order", one),
        _signed(venue, "POST", "/orders", several),
        _signed(venue, "POST", "/v1/heartbeats", beat),
    ]


def rejected_leg(text: str) -> dict[str, Any]:
    """Write how one order of several is refused: a success by name only (protocol sheet, section 5.3)."""
    empty = dict.fromkeys(("orderID", "takingAmount", "makingAmount", "status"), "")
    return {"errorMsg": text, **empty, "success": True}


def _cancel_routes(venue: Venue) -> list[BaseRoute]:
    exchange = venue.exchange

    async def one(_: Request, account: Account, body: bytes) -> Any:
        order_id = _object(body).get("orderID")
        if not isinstance(order_id, str):
            raise refused("payload")
        return exchange.cancel([order_id], account)

    async def several(_: Request, account: Account, body: bytes) -> Any:
        try:
            ids = from_json(body, list[str])
        except DecodingError:
            raise refused("payload") from None
        if len(ids) > MOST_CANCELS:
            raise refused("payload")
        return exchange.cancel(ids, account)

    async def every(_: Request, account: Account, __: bytes) -> Any:
        return cancel_where(account, lambda _: True)

    async def of_market(_: Request, account: Account, body: bytes) -> Any:
        asked = _object(body)
        token, condition = asked.get("asset_id"), asked.get("market")
        if not (token or condition):
            raise refused("payload")
        return cancel_where(
            account,
            lambda entry: (
                (not token or entry.order.token == token)
                and (not condition or entry.market.contract.condition_id == condition)
            ),
        )

    def cancel_where(account: Account, wanted: Callable[[Entry], bool]) -> Any:
        mine = exchange.open_of(account.address) + exchange.under_way_of(account.address)
        return exchange.cancel([entry.order.id for entry in mine if wanted(entry)], account)

    return [
        _signed(venue, "DELETE", "/order", one),
        _signed(venue, "DELETE", "/orders", several),
        _signed(venue, "DELETE", "/cancel-all", every),
        _signed(venue, "DELETE", "/cancel-market-orders", of_market),
    ]


def _reading_routes(venue: Venue) -> list[BaseRoute]:
    exchange = venue.exchange

    async def orders(request: Request, account: Account, _: bytes) -> Any:
        rows = [entry.described() for entry in exchange.open_of(account.address)]
        return _page(request, _matching(request, rows, ("id", "market", "asset_id")))

    async def order(request: Request, account: Account, _: bytes) -> Any:
        entry = exchange.orders.get(request.path_params["order_id"])
        if entry is None or entry.address != account.address:
            raise Refused(404, "order not found")
        return entry.described()

    async def trades(request: Request, account: Account, _: bytes) -> Any:
        mine = [trade for trade in exchange.chain.trades.values() if trade.entry.address == account.address]
        rows = [trade.described() for trade in reversed(mine) if _in_time(request, trade)]
        return _page(request, _matching(request, rows, ("id", "market", "asset_id", "maker_address")))

    async def balance(request: Request, account: Account, _: bytes) -> Any:
        kind = request.query_params.get("asset_type")
        if kind not in ASSET_TYPES:
            raise Refused(400, "Invalid asset type")
        asset = USD if kind == "COLLATERAL" else request.query_params.get("token_id", "")
        return {
            "balance": str(exchange.chain.settling.bank.balance(account.address, asset)),
            "allowances": {EXCHANGE_V2: UNLIMITED, EXCHANGE_V3: UNLIMITED},
        }

    async def refreshed(*_: Any) -> Any:
        return {}

    return [
        _signed(venue, "GET", "/data/orders", orders),
        _signed(venue, "GET", "/data/order/{order_id}", order),
        _signed(venue, "GET", "/data/trades", trades),
        _signed(venue, "GET", "/balance-allowance", balance),
        _signed(venue, "GET", "/balance-allowance/update", refreshed),
    ]


def _in_time(request: Request, trade: Trade) -> bool:
    """Say whether a trade is between ``after`` and ``before``, which are Unix seconds."""
    after, before = (request.query_params.get(name, "") for name in ("after", "before"))
    matched_s = trade.matched_ms // 1000
    least, most = _seconds(after), _seconds(before)
    return (least is None or matched_s >= least) and (most is None or matched_s <= most)


def _seconds(text: str) -> int | None:
    """Return Unix seconds; None for what is no such number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _matching(request: Request, rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    wanted = {name: request.query_params[name] for name in names if name in request.query_params}
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def _page(request: Request, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Cut a page out of rows; the cursor is the number of the first row, as base64."""
    cursor = request.query_params.get("next_cursor", "")
    try:
        start = int(base64.b64decode(cursor or "MA==", validate=True))
    except ValueError:
        raise Refused(400, "Invalid cursor") from None
    after = start + PAGE
    following = base64.b64encode(str(after).encode()).decode() if after < len(rows) else END
    page = rows[start:after] if start >= 0 else []
    return {"data": page, "next_cursor": following, "limit": PAGE, "count": len(page)}


def _object(body: bytes) -> dict[str, Any]:
    try:
        return from_json(body, dict[str, Any])
    except DecodingError:
        raise refused("payload") from None


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
