"""Everything that a console shows, by the door it comes through: what a browser is sent for each page, a
whole frame of the push, the server's own answers and both places where metrics are read.
"""

import json
import time
from contextlib import closing
from typing import Any, Final

import httpx
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

PATIENCE_S: Final = 60.0
ROUTES: Final = ("/", "/healthz", "/metrics", "/kill", "/sign-in", "/_stcore/health", "/_stcore/host-config")


class Browser:
    """What a browser asks, with what it brings; nothing of it is drawn."""

    def __init__(self, base: str, cookie: str = "") -> None:
        self._base, self._cookie = base, cookie

    def everything(self, metrics_port: int) -> dict[str, str]:
        """Return all that is shown, by door: ``page NAME``, ``push``, and the routes."""
        told = {f"page {name or 'live'}": text for name, text in self.pages().items()}
        told["push"] = self.whole_frame()
        headers = {"Cookie": self._cookie} if self._cookie else {}
        with httpx.Client(trust_env=False, timeout=30.0, headers=headers) as client:
            told |= {path: client.get(f"{self._base}{path}").text for path in ROUTES}
            told["metrics port"] = client.get(f"http://127.0.0.1:{metrics_port}/metrics").text
        return told

    def looked(self) -> list[tuple[str, str]]:
        """Return what the first page and the push show; for whoever may do less."""
        pages = self.pages(most=1)
        return [("page live", pages[""]), ("push", self.whole_frame())]

    def pages(self, most: int = 100) -> dict[str, str]:
        """Run every page that the navigation lists, in one session; return what was sent of each.

        Args:
            most: How many pages, the first one among them.
        """
        with closing(self._open("/_stcore/stream", "streamlit")) as socket:
            first, listed = _run(socket, "")
            told = {"": first}
            for page in listed:
                if not page.is_default and len(told) < most:
                    told[page.url_pathname], _ = _run(socket, page.page_script_hash)
        assert len(told) == min(most, len(listed))
        return told

    def whole_frame(self) -> str:
        """Return the push's first frame that has a market in it."""
        deadline = time.monotonic() + PATIENCE_S
        with closing(self._open("/push")) as socket:
            while time.monotonic() < deadline:
                socket.send(json.dumps({"have": 0, "session": "", "tab": "looking"}))
                frame = _text(socket.recv(PATIENCE_S))
                if "head" in json.loads(frame):
                    return frame
        raise AssertionError("no whole frame came")

    def _open(self, path: str, protocol: str = "") -> ClientConnection:
        return connect(
            self._base.replace("http", "ws", 1) + path,
            origin=websockets.Origin(self._base),
            subprotocols=[websockets.Subprotocol(protocol)] if protocol else None,
            additional_headers={"Cookie": self._cookie} if self._cookie else {},
            max_size=2**26, open_timeout=PATIENCE_S, proxy=None,
        )  # fmt: skip


def _run(socket: ClientConnection, page: str) -> tuple[str, list[Any]]:
    """Have a page run; return all that was sent meanwhile, and the pages that the navigation lists."""
    asked = BackMsg()
    asked.rerun_script.page_script_hash = page
    asked.rerun_script.query_string = ""
    socket.send(asked.SerializeToString())
    sent: list[str] = []
    listed: list[Any] = []
    begun = False
    while True:
        data = socket.recv(PATIENCE_S)
        told = ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())
        kind = told.WhichOneof("type")
        begun = begun or kind == "new_session"
        # Not the settings of Streamlit's own that come with a session's first word: paths, and no more.
        sent.append(_text(data))
        if kind == "navigation":
            listed = list(told.navigation.app_pages)
        if kind == "script_finished" and begun:
            return "\n".join(sent), listed


def _text(data: str | bytes) -> str:
    """Return bytes as text, none lost: a key in a protocol's frame stands there as it is."""
    return data if isinstance(data, str) else data.decode("latin-1")
