"""The network in memory keeps order, loses what it is told to lose, and breaks when somebody dies."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import websockets

from engine.sim.clock import VirtualLoop
from engine.sim.net import CALM, Connecting, Luck, Network
from engine.sim.net_http import FIRST_BYTE, MemoryTransport

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


async def echo(scope: Any, receive: Receive, send: Send) -> None:
    """Answer calls with their body; greet sockets with a hundred numbers, then send back what they say."""
    if scope["type"] == "http":
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
        return
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    for number in range(100):
        await send({"type": "websocket.send", "text": str(number)})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        if message["text"] == "close":
            await send({"type": "websocket.close", "code": 4001, "reason": "told so"})
            return
        await send({"type": "websocket.send", "text": message["text"]})


def on_network(luck: Luck, talk: Callable[[Network], Awaitable[Any]]) -> Any:
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(talk(Network(echo, 1, luck)))
    finally:
        loop.close()


def test_frames_of_a_connection_arrive_in_order_however_late() -> None:
    """TCP keeps the order, so nothing else may be tested."""

    async def talk(network: Network) -> list[str]:
        async with Connecting(network, "ws://127.0.0.1:1/rtds", 10.0) as socket:
            await socket.send("last")
            came = []
            async for frame in socket:
                came.append(str(frame))
                if frame == "last":
                    return came
        return []

    slow = Luck(mean_delay_s=0.05, slow_share=0.3, slow_s=2.0)
    assert on_network(slow, talk) == [*map(str, range(100)), "last"]


def test_a_close_code_reaches_the_client_as_websockets_tells_it() -> None:
    """The back-off reads the code from there."""

    async def talk(network: Network) -> int:
        async with Connecting(network, "ws://127.0.0.1:1/rtds", 10.0) as socket:
            await socket.send("close")
            with pytest.raises(websockets.ConnectionClosedError):
                async for _ in socket:
                    pass
            return int(socket.protocol.close_rcvd.code)

    assert on_network(CALM, talk) == 4001


def test_an_abort_ends_reading_and_tells_the_venue() -> None:
    """The watchdog drops silent connections so; the venue must not keep dead clients."""

    async def talk(network: Network) -> int:
        async with Connecting(network, "ws://127.0.0.1:1/rtds", 10.0) as socket:
            asyncio.get_running_loop().call_later(1.0, socket.transport.abort)
            with pytest.raises(websockets.ConnectionClosedError):
                async for _ in socket:
                    pass
        await asyncio.sleep(1.0)
        return len(network.pipes)

    assert on_network(CALM, talk) == 0


def test_a_lost_answer_is_a_read_timeout_after_the_venue_did_as_asked() -> None:
    """That is the ambiguous order: the one fault that this project is about."""

    async def talk(network: Network) -> tuple[bool, list[bytes]]:
        seen: list[bytes] = []
        network.on_request = lambda _, body: seen.append(body)
        async with httpx.AsyncClient(transport=MemoryTransport(network)) as client:
            try:
                await client.post("http://127.0.0.1:1/order", content=b"one", timeout=2.0)
            except httpx.ReadTimeout:
                return True, seen
        return False, seen

    assert on_network(Luck(lost_answer=1.0), talk) == (True, [b"one"])
    assert on_network(CALM, talk) == (False, [b"one"])


def test_what_the_gate_raises_at_the_first_byte_keeps_the_request_from_leaving() -> None:
    """The last gate sits in httpcore's trace; without it orders would leave unasked."""

    class Held(Exception):
        pass

    async def talk(network: Network) -> list[bytes]:
        seen: list[bytes] = []
        network.on_request = lambda _, body: seen.append(body)

        async def trace(name: str, _: Any) -> None:
            assert name == FIRST_BYTE
            raise Held

        async with httpx.AsyncClient(transport=MemoryTransport(network)) as client:
            with pytest.raises(Held):
                await client.post("http://127.0.0.1:1/order", content=b"x", extensions={"trace": trace})
        return seen

    assert on_network(CALM, talk) == []
