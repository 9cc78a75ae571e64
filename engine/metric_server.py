"""The port where Prometheus reads: it answers each scrape in a thread of its own, and ends with the engine.

What it does not know: what is told there (``engine.metrics``).
"""

import errno
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

SEALED: Final = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("Server", "metrics"))

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

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def _server(host: str, port: int, registry: CollectorRegistry) -> WSGIServer:
    """Bind a server; it answers each scrape in a thread of its own.

    Raises:
        OSError: The address cannot be had.
        ValueError: The host is no name at all.
    """

    class Server(ThreadingWSGIServer):
        address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]

    return make_server(host, port, _sealed(make_wsgi_app(registry)), Server, _Quiet)


def _sealed(app: Any) -> Any:
    """Tell whoever asks to keep and to guess nothing, and not which Python answers."""

    def answer(environ: Any, start: Any) -> Any:
        def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start(status, [*headers, *SEALED], *more)

        return app(environ, begin)

    return answer
