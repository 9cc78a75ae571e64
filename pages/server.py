"""What the server does beside serving pages: run the engine, tell its health, push frames, take the kill.

The routes answer while every page is busy: measured 3-4 ms where a button waits 40-500 ms. Each asks
``pages.access`` who it is that asks.
"""

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final

import msgspec
import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from engine import desk, kill_token
from engine.config import Settings
from engine.metrics import CONTENT_TYPE
from engine.run.access import Role, Rules
from engine.run.access_rules import observe_only, rules_of
from engine.run.guard import BODY_LIMIT, BODY_WAIT_S, Guard
from engine.run.host import EngineHost
from engine.run.kill_door import REASON_LIMIT, has_token, refusal, who_of
from engine.run.kill_signal import tripped_by_signal
from engine.run.lock import holding
from pages import access
from pages.server_access import AccessRoutes
from pages.server_body import beginning
from pages.server_door import SAFE, ask_nobody
from pages.server_logs import take_logs
from pages.server_memory import hold_little
from pages.server_push import Pusher
from pages.server_replay import Replays
from pages.server_start import console_url, greet, guard_port, part, server_port, take_ctrl_c

GUARD_LOOK_S: Final = 1.0
"""How long the guard process may be missing before it is started anew."""

WARM_AFTER_S: Final = 3.0
"""The first page is served before it."""
LOADED_EARLY: Final = ("pyarrow", "pandas", "scipy.special")
"""What tables and intervals need."""

log = logging.getLogger("engine.console")


def engine_beside(
    settings: Settings, make_host: Callable[[Settings, desk.Publish], desk.Host]
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return the server's lifespan: the engine starts before the first page and stops after the last.

    The process is told to hold little memory (``pages.server_memory``) at once, before it has threads.
    Meanwhile SIGUSR1 trips the kill switch, the kill route's token is in the data folder, and the guard
    process takes kills beside the server.

    Args:
        settings: Checked settings.
        make_host: Makes the engine's thread.
    """

    hold_little()
    ctrl_c = take_ctrl_c()  # uvicorn's is there by now: it imports the app after it has taken the signals

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        take_logs()
        ask_nobody()
        rules = server_rules(settings)
        with tripped_by_signal(settings.data_dir):
            await run_in_threadpool(observe_only, settings)
            other = await run_in_threadpool(holding, settings.data_dir)
            counter = await run_in_threadpool(desk.open_desk, settings, _with_port(make_host))
            greet(console_url(base_path()), other, counter.host.error)
            if isinstance(counter.host, EngineHost):
                counter.host.sessions = lambda: len(counter.hub)
            try:
                await run_in_threadpool(kill_token.open_token, settings.data_dir)
            except OSError as error:
                if counter.host.error is None:  # else the line above says what to do
                    log.warning("no token for the kill route", extra={"reason": str(error)})
            guard = Guard(rules, guard_port())
            guarding = asyncio.create_task(_keep(guard), name="guard")
            warming = asyncio.create_task(_warm(), name="warm")
            try:
                yield
            finally:
                for task in (guarding, warming):
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                await run_in_threadpool(desk.close_desk)
                await run_in_threadpool(guard.stop)
                if ctrl_c is not None and ctrl_c.came:
                    part()

    return lifespan


def _with_port(make_host: Callable[[Settings, desk.Publish], desk.Host]) -> Callable[..., desk.Host]:
    """Let whoever finds the data folder held know where this console is."""

    def made(settings: Settings, publish: desk.Publish) -> desk.Host:
        host = make_host(settings, publish)
        if isinstance(host, EngineHost):
            host.port = server_port()
        return host

    return made


def server_rules(settings: Settings) -> Rules:
    """Return who may do what here, and say in the log what follows from it for strangers."""
    address: str | None = st.get_option("server.address")
    rules = rules_of(settings, address, access.named())
    if not rules.local and rules.stranger == Role.VIEWER:
        facts = {"address": address or "every interface", "todo": "set VIEWER_PASSWORD_HASH (docs/access.md)"}
        log.warning("whoever reaches the console sees everything", extra=facts)
    return rules


async def _warm() -> None:
    """Load what some pages need, before the first of them waits for it.

    That is up to two seconds of a core (measured on a busy machine), shared with the engine's thread: better
    before anything is traded than in the middle of it.
    """
    await asyncio.sleep(WARM_AFTER_S)
    for name in LOADED_EARLY:
        await run_in_threadpool(importlib.import_module, name)


async def _keep(guard: Guard) -> None:
    """Keep the guard process up, and let the pages know where it listens."""
    while True:
        if not guard.alive:
            await run_in_threadpool(guard.start)
        counter = desk.current()
        if counter is not None:
            counter.guard_port = guard.port if guard.alive else None
        await asyncio.sleep(GUARD_LOOK_S)


def base_path() -> str:
    """Return the prefix the console is served under; Streamlit does not put it before our own routes."""
    path = str(st.get_option("server.baseUrlPath")).strip("/")
    return f"/{path}" if path else ""


def console_routes() -> list[BaseRoute]:
    """Return the routes beside the pages: ``/healthz``, ``/metrics``, ``POST /kill``, signing in and out, and
    the sockets ``/push`` and ``/replay-player``."""
    base = base_path()
    pusher = Pusher(f"{base}/kill")
    return [
        Route(f"{base}/healthz", healthz, methods=["GET"]),
        Route(f"{base}/metrics", metrics, methods=["GET"]),
        Route(f"{base}/kill", kill, methods=["POST"]),
        Route(f"{base}/kill-guard", no_guard_here, methods=["POST"]),
        *AccessRoutes(base).routes(),
        WebSocketRoute(f"{base}/push", pusher.serve),
        WebSocketRoute(f"{base}/replay-player", Replays().serve),
    ]


async def healthz(request: Request) -> Response:
    """Answer 200 while snapshots flow, else 503; the body says more to whoever may see it."""
    counter = desk.current()
    if counter is None:
        return _json({"state": "stopped"}, 503)
    health = await run_in_threadpool(counter.health)
    status = 200 if health.well else 503
    if access.of_request(request).role < Role.VIEWER:
        return _json({"state": health.state}, status)
    return _json(health, status)


async def metrics(request: Request) -> Response:
    """Answer Prometheus, where METRICS_ON_SERVER allows it; 404 where not, 503 before the engine speaks.

    Where viewers are asked for a password, Prometheus brings the kill route's token.
    """
    counter = desk.current()
    if counter is not None and not counter.settings.metrics_on_server:
        return Response("METRICS_ON_SERVER is false\n", 404, SAFE, media_type="text/plain")
    if (
        counter is not None
        and access.of_request(request).role < Role.VIEWER
        and not has_token(request.headers, counter.settings.data_dir)
    ):
        return Response("sign in, or bring the token of DATA_DIR\n", 401, SAFE, media_type="text/plain")
    told = counter.host.metrics if counter is not None and isinstance(counter.host, EngineHost) else None
    if told is None:
        return Response("no engine in this process\n", 503, SAFE, media_type="text/plain")
    headers = SAFE | {"Content-Type": CONTENT_TYPE}
    return Response(await run_in_threadpool(told.exposition), headers=headers)


async def kill(request: Request) -> Response:
    """Trip the kill switch at once. The body, as far as it is there, is the reason as plain text.

    Two may: whoever brings the token of the data folder (``Authorization: Bearer``, or ``X-Kill-Token`` where
    a proxy uses that header for its own password), and the console's own pages, which browsers name in
    ``Origin``, for whom KILL_BY names. Answers 200 with the latch; 401 without either; 403 for a page of
    another site, or a role that may not; 503 where there is no engine to kill; 500 where the latch could not
    be written.
    """
    counter = desk.current()
    if counter is None:
        return _json({"latched": None, "error": "no engine in this process"}, 503)
    folder = counter.settings.data_dir
    found = access.of_request(request)
    refused = refusal(request.headers, found, access.rules(counter))
    if refused is not None:
        return _json({"latched": None, "error": refused.why}, refused.status)
    told = await beginning(request, BODY_LIMIT, BODY_WAIT_S)
    why = told.decode("utf-8", "replace").strip()[:REASON_LIMIT]
    who = who_of(request.headers, found, folder, request.client.host if request.client else "")
    try:
        latch = await run_in_threadpool(counter.trip, who, why or "kill route")
    except OSError as error:
        return _json({"latched": None, "error": f"the latch could not be written: {error}"}, 500)
    return _json({"latched": True, "who": latch.who, "why": latch.why, "since_ms": latch.since_ms}, 200)


async def no_guard_here(_request: Request) -> Response:
    """Answer in the guard's place where no proxy hands the path on to it: the click's other way counts."""
    return _json({"latched": None, "error": "no proxy hands this path on to the guard"}, 200)


def _json(body: object, status: int) -> Response:
    return Response(msgspec.json.encode(body), status, SAFE, media_type="application/json")
