"""The first thing a request meets: what no route, Streamlit's or ours, shall ever be asked.

* A path with a control character. The routes' patterns end in ``$``, which matches before a last line break
  too: ``/metrics%0a`` is ``/metrics`` to them, and another path to a proxy, whose rules it so gets past.
* A socket that another site's page opens. Streamlit (1.67) judges its ``Origin`` by asking the internet for
  this machine's address, with the server's loop waiting: 20 sockets held it for 41 s (measured).
* A name that is none of this console's, where it listens on loopback (``engine.run.access.is_misnamed``): a
  page of the internet that lets its own name mean 127.0.0.1 read everything, and tripped the kill switch.
* An upload. No page has a field for one, and Streamlit's route takes a megabyte from whoever has a session,
  as often as he likes, and keeps it in memory: 200 of them made the process 205 MB larger (measured).

Every answer leaves with the browser's policy (``pages.server_policy``).

What it does not know: who asks (``pages.access``), what a route does.
"""

import re
from typing import Final

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose
from streamlit import net_util

from engine.run.access import is_loopback, same_name, same_site
from engine.run.kill_door import MISDIRECTED, WRONG_NAME
from pages import access
from pages.server_policy import told

SAFE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""On each answer of our routes: a browser keeps none of it, and takes none for a page."""
CLOSED: Final = SAFE | {"Connection": "close"}
"""With the answer the connection ends, or all of a body would be taken first, and thrown away."""
UPLOADS: Final = "/_stcore/upload_file"
VIOLATION: Final = 1008
"""Policy violation (RFC 6455, 7.4.1); before a socket is open the server makes it status 403."""

_control: Final = re.compile(r"[\x00-\x1f\x7f]")


class FrontDoor:
    """Turns away what is not to be served, and hands on everything else as it came."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app; it has to be the outermost."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        sender = told(scope, send) if scope["type"] == "http" else send
        await (_refusal(scope) or self._app)(scope, receive, sender)


def _refusal(scope: Scope) -> ASGIApp | None:
    if scope["type"] not in ("http", "websocket"):
        return None
    is_socket = scope["type"] == "websocket"
    if access.is_misnamed(Headers(scope=scope)):
        answer = PlainTextResponse(f"{WRONG_NAME}\n", MISDIRECTED, CLOSED)
        return WebSocketClose(VIOLATION, "not a name of this console") if is_socket else answer
    if _control.search(scope["path"]):
        why = "a path has no control characters"
        return WebSocketClose(VIOLATION, why) if is_socket else PlainTextResponse(f"{why}\n", 400, SAFE)
    if UPLOADS in scope["path"]:
        why = "nothing is uploaded here"
        return WebSocketClose(VIOLATION, why) if is_socket else PlainTextResponse(f"{why}\n", 403, CLOSED)
    if is_socket and not may_open(Headers(scope=scope)):
        return WebSocketClose(VIOLATION, "the request comes from another site")
    return None


def may_open(headers: Headers) -> bool:
    """Say whether a page may open a socket here; what is no page, and so names no ``Origin``, is asked later.

    Args:
        headers: Of the socket's request.
    Returns:
        True for the console's own page, and for what Streamlit's configuration names: origins
        (``server.corsAllowedOrigins``), the host that browsers ask (``browser.serverAddress``; "localhost" is
        our own there, and says nothing), or all of them, with ``server.enableCORS`` off.
    """
    origin = headers.get("origin")
    if origin is None or same_site(headers) or not st.get_option("server.enableCORS"):
        return True
    if origin in {str(one).strip() for one in st.get_option("server.corsAllowedOrigins")}:
        return True
    named = str(st.get_option("browser.serverAddress") or "")
    return not is_loopback(named) and same_name({"origin": origin, "host": named})


def ask_nobody() -> None:
    """Keep Streamlit from ever asking the internet for this machine's address.

    It would for an origin of our own name and another port, and for those of ``server.corsAllowedOrigins``,
    which it looks at last. An address found so is no reason to let anybody in.
    """
    net_util.get_external_ip = _unknown


def _unknown() -> str | None:
    return None
