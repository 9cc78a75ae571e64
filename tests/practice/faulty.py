"""A lively tape for tests of faults, and who listens to it."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import websockets

from engine.practice.tape import Moment
from tests.practice.hand_made import STRIKE, HandMadeTape, books, frames_until, get, price

SECONDS = 290
BTC = '{"symbol":"btc/usd"}'


def lively() -> HandMadeTape:
    """Return a tape that prints every source each second, another value each, and moves the touch."""
    moments: list[Moment] = [*books(-1, 6000, 6100)]
    for second in range(SECONDS):
        value = STRIKE + Decimal(second)
        moments += [price(second, source, value) for source in ("chainlink", "binance", "spot")]
        moments.append(price(second, "twap", value, 60))
        moments += books(second + 0.5, 5000 + 100 * (second % 9), 5100 + 100 * (second % 9))
    return HandMadeTape(sorted(moments, key=lambda moment: moment.due_ms))


def is_tick(frame: Any) -> bool:
    """Say whether a decoded frame of RTDS or PolyBolt is one live price."""
    return isinstance(frame, dict) and "value" in frame.get("payload", {})


async def ticks(socket: Any, number: int) -> list[dict[str, Any]]:
    """Read so many live prices."""
    seen: list[dict[str, Any]] = []
    while len(seen) < number:
        seen.append((await frames_until(socket, is_tick))[-1]["payload"])
    return seen


async def closed(socket: Any) -> tuple[int, str]:
    """Read until the connection ends, and return what ended it."""
    try:
        async with asyncio.timeout(10):
            while True:
                await socket.recv()
    except websockets.ConnectionClosed as error:
        return (1006, "") if error.rcvd is None else (error.rcvd.code, error.rcvd.reason)


async def raw(socket: Any, number: int) -> list[str]:
    """Read so many frames as they are."""
    async with asyncio.timeout(10):
        return [await socket.recv() for _ in range(number)]


async def status(urls: dict[str, str]) -> Any:
    return (await get(f"{urls['CLOB_HOST']}/status")).json()


async def did(urls: dict[str, str], name: str) -> dict[str, int]:
    """Return what faults of a name did, at work or over."""
    told = await status(urls)
    total: dict[str, int] = {}
    for fault in told["faults"] + told["faults_ended"]:
        if fault["name"] == name:
            for what, times in fault["did"].items():
                total[what] = total.get(what, 0) + times
    return total


def stamps(payloads: list[dict[str, Any]]) -> list[int]:
    return [payload["timestamp"] for payload in payloads]


def books_of(frames: list[Any]) -> dict[str, dict[str, dict[str, str]]]:
    """Build books of decoded frames as a client does that trusts every word: token, side, price, size."""
    built: dict[str, dict[str, dict[str, str]]] = {}
    for frame in frames:
        for book in frame if isinstance(frame, list) else [frame]:
            if book.get("event_type") == "book":
                built[book["asset_id"]] = {
                    "BUY": {level["price"]: level["size"] for level in book["bids"]},
                    "SELL": {level["price"]: level["size"] for level in book["asks"]},
                }
            for change in book.get("price_changes", []):
                side = built.setdefault(change["asset_id"], {"BUY": {}, "SELL": {}})[change["side"]]
                side.pop(change["price"], None)
                if change["size"] != "0":
                    side[change["price"]] = change["size"]
    return built


def touch(sides: dict[str, dict[str, str]]) -> tuple[float, float]:
    return max(map(float, sides["BUY"])), min(map(float, sides["SELL"]))


def decoded(text: str) -> Any:
    return json.loads(text)
