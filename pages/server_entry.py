"""The document that a link to a page opens: Streamlit's own, told where its server is.

Opened at ``/mode``, Streamlit's client (1.67) first takes that for the path its server has, asks
``/mode/_stcore/health`` and ``/mode/_stcore/host-config``, and writes two 404 into the browser's log before
it tries one step up. A script before its own gives it the address (``window.__streamlit``, the client's own
door for hosts). The script works the path out from the page's, so that a proxy may put any before it.
What it does not know: what a page shows, and who may see it: it holds no data.
"""

import json
from pathlib import Path
from typing import Final

import streamlit
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

PAGES: Final = (
    "panic", "mode", "health", "decisions", "execution", "ledger", "truth", "replay", "sessions", "handover",
    "what_if", "sweep", "calibration", "drills", "settings", "help",
)  # fmt: skip
"""As ``pages/frame.py`` lists them, which Streamlit reads anew and nothing may import; a test compares."""
SCRIPT_NAME: Final = "server-address.js"
BEFORE: Final = '<script type="module"'
HEADERS: Final = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
SCRIPT: Final = f"""// Streamlit would look for its server below the page's own path first.
(() => {{
  const parts = location.pathname.split("/").filter(Boolean);
  if ({json.dumps(PAGES)}.includes(parts.at(-1))) parts.pop();
  const server = `${{location.origin}}/${{parts.join("/")}}`;
  window.__streamlit = {{ ...window.__streamlit, BACKEND_BASE_URL: server }};
}})();
"""


class DeepLinks:
    """Answers for the pages' documents before Streamlit does; everything else is Streamlit's."""

    def __init__(self, app: ASGIApp, base: str) -> None:
        """Wrap an app that is served under a base path (``/ops``; empty at the root)."""
        self._app = app
        self._paths = frozenset(f"{base}/{page}" for page in PAGES)
        self._script = f"{base}/{SCRIPT_NAME}"
        self._document = document()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        answer = self._answer(Request(scope)) if scope["type"] == "http" and self._document else None
        await (answer or self._app)(scope, receive, send)

    def _answer(self, request: Request) -> Response | None:
        if request.method != "GET":
            return None
        path = request.scope["path"]
        if path == self._script:
            return Response(SCRIPT, headers=HEADERS, media_type="text/javascript")
        return HTMLResponse(self._document, headers=HEADERS) if path in self._paths else None


def document() -> str:
    """Return Streamlit's document with the script before its own; nothing where that is not as it was."""
    try:
        told = Path(streamlit.__file__).with_name("static").joinpath("index.html").read_text(encoding="utf-8")
    except OSError:
        return ""
    before, mark, after = told.partition(BEFORE)
    return f'{before}<script src="./{SCRIPT_NAME}"></script>\n    {mark}{after}' if mark else ""
