"""What the server does beside serving pages: run the engine, answer for its health, take the kill.

The routes answer while every page is busy: measured 3-4 ms where a button waits 40-500 ms. They carry no
login of their own; docs/console.md says how to put one in front.
"""

import hmac
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from engine import desk, kill_token
from engine.config import Settings
from engine.run.kill_signal import tripped_by_signal

REASON_LIMIT = 200
"""Characters of a reason that are kept."""

NO_TOKEN: Final = f"send the header Authorization: Bearer, with what DATA_DIR/{kill_token.FILE_NAME} holds"

log = logging.getLogger("engine.console")


def engine_beside(
    settings: Settings, make_host: Callable[[Settings, desk.Publish], desk.Host]
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return the server's lifespan: the engine starts before the first page and stops after the last.

    Meanwhile SIGUSR1 trips the kill switch, and the kill route's token is in the data folder.

    Args:
        settings: Checked settings.
        make_host: Makes the engine's thread.
    """

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        with tripped_by_signal(settings.data_dir):
            await run_in_threadpool(desk.open_desk, settings, make_host)
            try:
                await run_in_threadpool(kill_token.open_token, settings.data_dir)
            except OSError as error:
                log.warning("no token for the kill route", extra={"reason": str(error)})
            try:
                yield
            finally:
                await run_in_threadpool(desk.close_desk)

    return lifespan


def base_path() -> str:
    """Return the prefix the console is served under; Streamlit does not put it before our own routes."""
    path = str(st.get_option("server.baseUrlPath")).strip("/")
    return f"/{path}" if path else ""


def console_routes() -> list[BaseRoute]:
    """Return the routes beside the pages: ``GET /healthz`` and ``POST /kill``."""
    base = base_path()
    return [
        Route(f"{base}/healthz", healthz, methods=["GET"]),
        Route(f"{base}/kill", kill, methods=["POST"]),
    ]


async def healthz(_request: Request) -> Response:
    """Answer 200 while snapshots flow, else 503; the body says which and since when."""
    counter = desk.current()
    if counter is None:
        return _json({"state": "stopped"}, 503)
    health = await run_in_threadpool(counter.health)
    return _json(health, 200 if health.well else 503)


async def kill(request: Request) -> Response:
    """Trip the kill switch at once. The body, if any, is the reason as plain text.

    Two may: whoever brings the token of the data folder (``Authorization: Bearer``, or ``X-Kill-Token`` where
    a proxy uses that header for its own password), and the console's own pages, which browsers name in
    ``Origin``. Answers 200 with the latch; 401 without either; 403 for a page of another site; 503 where
    there is no engine to kill; 500 where the latch could not be written.
    """
    counter = desk.current()
    if counter is None:
        return _json({"latched": None, "error": "no engine in this process"}, 503)
    by_token = _has_token(request, counter.settings.data_dir)
    if not by_token and "origin" not in request.headers:
        return _json({"latched": None, "error": f"refused: {NO_TOKEN}"}, 401)
    if not by_token and not _same_site(request):
        return _json({"latched": None, "error": "refused: the request comes from another site"}, 403)
    why = (await request.body()).decode("utf-8", "replace").strip()[:REASON_LIMIT]
    place = "kill route" if by_token else "console"
    who = f"{place} at {request.client.host}" if request.client else place
    try:
        latch = await run_in_threadpool(counter.trip, who, why or "kill route")
    except OSError as error:
        return _json({"latched": None, "error": f"the latch could not be written: {error}"}, 500)
    return _json({"latched": True, "who": latch.who, "why": latch.why, "since_ms": latch.since_ms}, 200)


def _has_token(request: Request, folder: Path) -> bool:
    """Say whether the data folder's token came along; a new file counts at once."""
    token = kill_token.read_token(folder)
    if token is None:
        return False
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    given = bearer.strip() if scheme.lower() == "bearer" else request.headers.get("x-kill-token", "")
    return hmac.compare_digest(given.encode(), token.encode())


def _same_site(request: Request) -> bool:
    """Compare the host names only: a proxy may have dropped or changed the port."""
    host = urlsplit(request.headers.get("origin", "")).hostname
    return host is not None and host == urlsplit(f"//{request.headers.get('host', '')}").hostname


def _json(body: object, status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")
