"""Two hundred sockets against the console: the engine and its kill switch do not notice.

The server is real (uvicorn, in this process, on loopback), and so are the sockets.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
import websockets
from starlette.applications import Starlette

from engine import desk
from engine.kill_token import open_token
from pages import server, server_push
from tests.browser.fake_engine import scripted  # noqa: F401 (what the fixture plays)
from tests.pages.conftest import open_script, operator, role  # noqa: F401 (fixtures)

SOCKETS = 200
SILENT = 60
"""Of them; the others speak as tabs do."""


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    config = uvicorn.Config(
        Starlette(routes=server.console_routes()),
        host="127.0.0.1",
        port=0,
        log_level="error",
        ws="websockets-sansio",
    )
    made = uvicorn.Server(config)
    made.install_signal_handlers = lambda: None  # type: ignore[method-assign]
    task = asyncio.create_task(made.serve())
    while not made.started:  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    port = made.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"127.0.0.1:{port}"
    finally:
        made.should_exit = True
        await task


async def opened(address: str) -> websockets.ClientConnection:
    return await websockets.connect(
        f"ws://{address}/push", origin=websockets.Origin(f"http://{address}"), max_size=2**24, open_timeout=20
    )


@pytest.mark.timeout(60)
async def test_two_hundred_sockets_keep_nobody_from_the_kill_switch(
    open_script: Callable[[str], desk.Desk],  # noqa: F811 (the fixture)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Health and kill answer beside them, the bound holds, nothing of a socket is left once it is gone."""
    counter = open_script("live")
    bound = SOCKETS - 20
    monkeypatch.setattr(server_push, "TAB_LIMIT", bound)
    token = open_token(counter.settings.data_dir)
    async with serving() as address, httpx.AsyncClient(base_url=f"http://{address}", timeout=10) as client:
        tasks_before = len(asyncio.all_tasks())
        tried = await asyncio.gather(*(opened(address) for _ in range(SOCKETS)), return_exceptions=True)
        held = [one for one in tried if isinstance(one, websockets.ClientConnection)]
        for socket in held[SILENT:]:
            await socket.send(json.dumps({"have": 0, "session": ""}))
        assert json.loads(await asyncio.wait_for(held[-1].recv(), 10))["engine"]["state"] == "running"
        assert len(held) == bound
        assert all("403" in str(one) for one in tried if not isinstance(one, websockets.ClientConnection))
        began = time.monotonic()
        assert (await client.get("/healthz")).status_code == 200
        killed = await client.post("/kill", headers={"Authorization": f"Bearer {token}"})
        took = time.monotonic() - began
        assert killed.json()["latched"] is True
        assert counter.health().killed
        assert took < 5.0, f"{took:.2f} s"
        for socket in held:
            socket.transport.abort()
        deadline = time.monotonic() + 10
        while len(asyncio.all_tasks()) > tasks_before + 4:
            assert time.monotonic() < deadline, sorted(task.get_name() for task in asyncio.all_tasks())
            await asyncio.sleep(0.05)
        again = await opened(address)
        await again.close()
