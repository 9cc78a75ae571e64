"""The port where Prometheus reads: it answers each scrape in a thread of its own, and ends with the engine.

Few connections at once, and none for long: who connects and says nothing holds a thread of the engine's. On
loopback it is asked by this machine's names alone, so that no page of the internet reads what it says.
What it does not know: what is told there (``engine.metrics``).
"""

import errno
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from engine.run.access import is_loopback, is_of_this_machine

SEALED: Final = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("Server", "metrics"))
SILENT_S: Final = 5.0
"""A connection that says nothing for so long ends."""
LONGEST_S: Final = 15.0
"""And each one ends after this, however slowly it speaks; a scrape takes some milliseconds."""
CONNECTIONS_MOST: Final = 8

log = logging.getLogger("engine.metrics")


@contextmanager
def served(registry: CollectorRegistry, host: str, port: int) -> Iterator[None]:
    """Answer Prometheus at an address as long as this lasts; port 0 is none.

    An address that cannot be had costs the metrics, not the engine: the log says what to do.
    """
    if not port:
        yield
        return
    try:
        server = _server(host, port, registry)
    except (OSError, ValueError) as error:  # a name that cannot be encoded is a UnicodeError
        log.warning("no metrics", extra={"why": ": ".join(why_not(error, host, port))})
        yield
        return
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="metrics", daemon=True)
    thread.start()
    log.info("metrics served", extra={"host": host, "port": port})
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(1.0)


def why_not(error: OSError | ValueError, host: str, port: int) -> tuple[str, str]:
    """Return what is wrong with an address that cannot be had, by the setting that is, and what to do.

    Args:
        error: What looking it up, or binding it, gave.
        host: METRICS_HOST.
        port: METRICS_PORT.
    """
    said = getattr(error, "strerror", None) or "no name that can be looked up"
    if isinstance(error, (ValueError, socket.gaierror)) or error.errno == errno.EADDRNOTAVAIL:
        what = f"METRICS_HOST {host} is no address of this machine ({said})"
        return what, "set a name or an address alone, without port or brackets (127.0.0.1, ::1)"
    what = f"METRICS_PORT {port} on METRICS_HOST {host} cannot be had ({said})"
    return what, "set another METRICS_PORT, or 0 for none"


class _Quiet(WSGIRequestHandler):
    """Scrapes are no events."""

    timeout = SILENT_S

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class _Few(ThreadingWSGIServer):
    """Holds a few connections at once, each for a while; what comes beyond that is closed unheard."""

    def __init__(self, *told: Any) -> None:
        self._since: dict[socket.socket, float] = {}
        self._since_lock = threading.Lock()
        super().__init__(*told)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, if there is one to be had."""
        with self._since_lock:
            is_taken = len(self._since) < CONNECTIONS_MOST
            if is_taken:
                self._since[request] = time.monotonic()
        if is_taken:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        with self._since_lock:
            self._since.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End those that have taken too long; called ten times a second."""
        now = time.monotonic()
        with self._since_lock:
            old = [one for one, since in self._since.items() if now - since >= LONGEST_S]
            for one in old:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)  # its thread then ends, and closes it

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line what is no broken or silent connection; the class writes a traceback for each."""
        del request, client_address
        error = sys.exception()
        if not isinstance(error, OSError):
            log.error("scrape failed", extra={"reason": type(error).__name__})


def _server(host: str, port: int, registry: CollectorRegistry) -> WSGIServer:
    """Bind a server; it answers each scrape in a thread of its own.

    Raises:
        OSError: The address cannot be had.
        ValueError: The host is no name at all.
    """

    class Server(_Few):
        address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]

    return make_server(host, port, _sealed(make_wsgi_app(registry), is_loopback(host)), Server, _Quiet)


def _sealed(app: Any, is_local: bool) -> Any:
    """Tell whoever asks to keep and to guess nothing, and not which Python answers.

    Args:
        app: What answers.
        is_local: Whether it is for this machine alone; then who asks by another's name is not answered.
    """

    def answer(environ: Any, start: Any) -> Any:
        def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start(status, [*headers, *SEALED], *more)

        host = environ.get("HTTP_HOST", "")
        if is_local and host and not is_of_this_machine(host):
            begin("421 Misdirected Request", [("Content-Type", "text/plain")])
            return [b"METRICS_HOST is this machine's own: ask for localhost\n"]
        return app(environ, begin)

    return answer
