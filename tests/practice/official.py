"""The official client, unmodified, pointed at the practice venue: the one shim that sets its addresses."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from typing import Any

import httpx
from polymarket import PRODUCTION, AsyncSecureClient
from polymarket._internal.environment import get_environment_config, with_environment_config

from engine.practice.keys import PRACTICE_ADDRESS, PRACTICE_KEY
from tests.practice.hand_made import UP

PINNED = "0.14."
"""The shim reaches into a private module, and so holds for this version alone."""

NOWHERE = "http://127.0.0.1:9"
"""Whatever else the client may want to ask: nobody answers."""


def environment(urls: dict[str, str]) -> Any:
    """Return the client's environment with every address of the practice venue, and no other."""
    assert version("polymarket-client").startswith(PINNED)
    config = get_environment_config(PRODUCTION)
    away = {
        field.name: NOWHERE
        for field in dataclasses.fields(config)
        if str(getattr(config, field.name)).startswith(("http", "ws"))
    }
    ours = {
        "clob_url": urls["CLOB_HOST"],
        "clob_user_ws_url": f"{urls['CLOB_USER_WS_URL']}/ws/user",
        "clob_market_ws_url": f"{urls['CLOB_WS_URL']}/ws/market",
        "gamma_url": urls["GAMMA_API_URL"],
    }
    return with_environment_config(PRODUCTION, config=dataclasses.replace(config, **{**away, **ours}))


@contextlib.asynccontextmanager
async def official(
    urls: dict[str, str], key: str = PRACTICE_KEY, wallet: str = PRACTICE_ADDRESS
) -> AsyncIterator[AsyncSecureClient]:
    """Connect the official client as the practice account, or as somebody else."""
    client = await AsyncSecureClient.create(private_key=key, wallet=wallet, environment=environment(urls))
    try:
        yield client
    finally:
        await client.close()


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
