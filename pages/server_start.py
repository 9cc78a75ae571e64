"""What the server says on the terminal as it starts and stops, and how Ctrl-C ends it.

Streamlit's own greeting is turned off (.streamlit/config.toml): it is printed before a setting is read, and
promises a console that a wrong one then does not give.
"""

import signal
import sys
from types import FrameType
from typing import Any, Final

import streamlit as st

from engine.run.lock import Holder

EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 (told apart, not bound)


def server_port() -> int | None:
    """Return the port that the server listens at."""
    return int(st.get_option("server.port") or 0) or None


def guard_port() -> int:
    """Return the port after the server's own, where a proxy finds the guard (nginx.conf); 0 is any."""
    port = server_port() or 0
    return port + 1 if 0 < port < 65_535 else 0


def console_url(base: str) -> str:
    """Return the address that a browser on this machine opens.

    Args:
        base: The prefix it is served under, with its first slash, or empty.
    """
    address: str | None = st.get_option("server.address")
    host = "localhost" if address in (None, "", "127.0.0.1", "::1", *EVERYWHERE) else str(address)
    host = f"[{host}]" if ":" in host else host
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    port = server_port()
    return f"{scheme}://{host}{f':{port}' if port else ''}{base}"


def greet(url: str, other: Holder | None, failed: str | None = None) -> None:
    """Say where the console is; where its engine did not start, that it trades nothing, and why.

    Args:
        url: Its address.
        other: The process that has the data folder, where it is another one.
        failed: Why the engine did not start; None where it did.
    """
    text = f"The console is at {url} (Ctrl-C ends it)."
    if failed is not None:
        text = f"The console at {url} trades nothing: {failed}."
    if other is not None:
        text = f"The console at {url} trades nothing, for another engine has its data: {other.words}."
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def part() -> None:
    """Say that all has ended as it should, to whoever pressed Ctrl-C."""
    sys.stdout.write("The console has stopped, and its session is closed.\n")
    sys.stdout.flush()


class CtrlC:
    """Ends uvicorn's server as SIGTERM does, in order, but with exit status 0 and no word of an abort.

    uvicorn takes SIGINT, stops, and then raises it again, which Streamlit's command line reports as
    "Aborted!" with status 1. A second Ctrl-C still ends it at once.
    """

    def __init__(self, server: Any) -> None:
        """Take uvicorn's server."""
        self._server = server
        self.came = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self._server.force_exit = self.came
        self._server.should_exit = self.came = True


def take_ctrl_c() -> CtrlC | None:
    """Take Ctrl-C from uvicorn; None, and all as it was, where another server runs the app."""
    server = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    if not hasattr(server, "should_exit") or not hasattr(server, "force_exit"):
        return None
    taken = CtrlC(server)
    try:
        signal.signal(signal.SIGINT, taken)
    except ValueError:  # not the main thread: a test's server
        return None
    return taken
