"""The official client, unmodified, pointed at the practice venue by the engine's own shim."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import httpx
import msgspec
from polymarket import AsyncSecureClient

from engine.core.trading import OrderIntent
from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY, credentials_of
from engine.units import size_e6, usd_e6
from engine.venue.exchange import Answer, Signed
from engine.venue.fills import Fees
from engine.venue.official import OfficialExchange
from engine.venue.official_client import Access, environment, nothing_more
from tests.practice.hand_made import FEE, SLUG, UP


@contextlib.asynccontextmanager
async def official(
    urls: dict[str, str], key: str = PRACTICE_KEY, wallet: str = PRACTICE_ADDRESS
) -> AsyncIterator[AsyncSecureClient]:
    """Connect the official client as the practice account, or as somebody else."""
    client = await AsyncSecureClient.create(
        private_key=key, wallet=wallet, environment=environment(urls["CLOB_HOST"], urls["GAMMA_API_URL"])
    )
    try:
        yield client
    finally:
        await client.close()


def access(urls: dict[str, str], **changed: str) -> Access:
    """Return how the engine reaches the venue as the practice account."""
    key, secret, passphrase = credentials_of(PRACTICE_ADDRESS, 0)
    given = {
        "wallet": PRACTICE_ADDRESS,
        "clob_host": urls["CLOB_HOST"],
        "gamma_url": urls["GAMMA_API_URL"],
        "private_key": PRACTICE_KEY,
        "api_key": key,
        "secret": secret,
        "passphrase": passphrase,
    }
    return Access(**{**given, **changed})


@contextlib.asynccontextmanager
async def exchange(
    urls: dict[str, str], timeout_s: float = 3.0, **changed: str
) -> AsyncIterator[OfficialExchange]:
    """Open the engine's live exchange on the venue."""
    opened = OfficialExchange(access(urls, **changed), timeout_s, Fees(lambda: 0.0))
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


def intent(dollars: str = "10", limit_e4: int = 6100, kind: Any = "FOK", token: str = UP) -> OrderIntent:
    """Want to buy."""
    return OrderIntent(
        order_id="o-1",
        slug=SLUG,
        outcome="UP" if token == UP else "DOWN",
        token=token,
        limit_e4=limit_e4,
        usd_e6=usd_e6(Decimal(dollars)),
        deadline_ms=0,
        decided_seq=1,
        kind=kind,
        fee=FEE,
    )


def selling(shares: str, limit_e4: int = 6000, kind: Any = "FOK", token: str = UP) -> OrderIntent:
    """Want to sell."""
    given = intent("0", limit_e4, kind, token)
    return msgspec.structs.replace(given, side="SELL", shares_e6=size_e6(float(shares)))


async def carried(on: OfficialExchange, wanted: OrderIntent) -> tuple[Signed, Answer]:
    """Sign an order and send it, past an open gate."""
    signed = await on.sign(wanted)
    return signed, await on.send(wanted, signed, nothing_more)


async def until(is_so: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    """Ask again and again until something is so; the venue does not call back."""
    async with asyncio.timeout(seconds):
        while not await is_so():  # noqa: ASYNC110 (another process's state, as far as the client knows)
            await asyncio.sleep(0.05)


async def settled(client: AsyncSecureClient, status: str = "CONFIRMED") -> None:
    """Wait until the account has trades, and all of them have come to a status."""

    async def are_all() -> bool:
        return {trade.status for trade in await trades(client)} == {status}

    await until(are_all)


async def buy(client: AsyncSecureClient, dollars: str, limit: str, kind: str = "FOK", token: str = UP) -> Any:
    """Place a market BUY the way the engine does."""
    order = await client.create_market_order(
        token_id=token, side="BUY", amount=dollars, max_price=limit, order_type=kind
    )
    return await client.post_order(order)


async def sell(client: AsyncSecureClient, size: str, limit: str) -> Any:
    """Place a market SELL."""
    order = await client.create_market_order(
        token_id=UP, side="SELL", shares=size, min_price=limit, order_type="FOK"
    )
    return await client.post_order(order)


async def bid(client: AsyncSecureClient, price: str, size: str = "10", token: str = UP, **extra: Any) -> Any:
    """Place a limit BUY."""
    order = await client.create_limit_order(token_id=token, side="BUY", price=price, size=size, **extra)
    return await client.post_order(order)


async def cash(client: AsyncSecureClient) -> int:
    """Return the account's millionths of a dollar, as the venue tells the client."""
    return int((await client.get_balance_allowance(asset_type="COLLATERAL")).balance)


async def shares(client: AsyncSecureClient, token: str) -> int:
    """Return the account's millionths of a share."""
    return int((await client.get_balance_allowance(asset_type="CONDITIONAL", token_id=token)).balance)


async def trades(client: AsyncSecureClient, **wanted: Any) -> list[Any]:
    """Return every trade of the account."""
    return [trade async for page in client.list_account_trades(**wanted) for trade in page.items]


async def figures(urls: dict[str, str]) -> dict[str, Any]:
    """Return what ``/status`` tells."""
    async with httpx.AsyncClient() as http:
        return dict((await http.get(f"{urls['CLOB_HOST']}/status")).json())
