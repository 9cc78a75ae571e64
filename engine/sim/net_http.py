"""HTTP over the network in memory: a transport for ``httpx`` that leads into the venue's application."""

import asyncio
from typing import Any

import httpx

from engine.sim.net import Message, Network, Pipe

FIRST_BYTE = "http11.send_request_headers.started"
"""What ``engine.venue.official_client`` waits for: nothing is left to do but to write."""


class MemoryTransport(httpx.AsyncBaseTransport):
    """One client's connections to the venue."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request there and its answer back, or lose either."""
        network = self._network
        times = request.extensions.get("timeout", {})
        try:
            async with asyncio.timeout(times.get("connect")):
                await asyncio.sleep(network.delay_s())
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection", request=request) from error
        body = await request.aread()
        trace = request.extensions.get("trace")
        if trace is not None:
            await trace(FIRST_BYTE, {"request": request})
        network.on_request(request, body)
        network.requests += 1
        try:
            async with asyncio.timeout(times.get("read")):
                status, headers, content = await self._exchanged(request, body)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer", request=request) from error
        except OSError as error:
            raise httpx.ReadError(str(error), request=request) from error
        network.on_answer(request.url.path, status, content)
        return httpx.Response(status, headers=headers, content=content, request=request)

    async def _exchanged(self, request: httpx.Request, body: bytes) -> tuple[int, Any, bytes]:
        """Return status, headers and body.

        Raises:
            OSError: The connection broke.
        """
        network, loop = self._network, asyncio.get_running_loop()
        pipe = Pipe(network)
        answered: asyncio.Future[tuple[int, Any, bytes]] = loop.create_future()

        def broken() -> None:
            if not answered.done():
                answered.set_exception(OSError("connection reset"))

        pipe.on_abort.append(broken)
        if network.happens(network.luck.lost_asked):
            network.lost += 1
        else:
            network.venue_task(_served(network, pipe, (request, body), answered))
        try:
            return await answered
        finally:
            pipe.on_abort.clear()
            pipe.abort()


async def _served(
    network: Network,
    pipe: Pipe,
    asked: tuple[httpx.Request, bytes],
    answered: "asyncio.Future[tuple[int, Any, bytes]]",
) -> None:
    """Let the venue's application answer, after the way in; the answer arrives after the way out."""
    request, body = asked
    await asyncio.sleep(network.delay_s())
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    started: list[Message] = []
    content = bytearray()

    async def receive() -> Message:
        return unread.pop() if unread else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.append(message)
        else:
            content.extend(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, 1),
        "client": pipe.client,
        "root_path": "",
        "state": {},
    }
    await network.app(scope, receive, send)
    if network.happens(network.luck.lost_answer):
        network.lost += 1
        return
    await asyncio.sleep(network.delay_s())
    if started and not answered.done():
        answered.set_result((started[0]["status"], started[0]["headers"], bytes(content)))
