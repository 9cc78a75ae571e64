"""The doctor's look at what stands round the engine: misspelt settings, the metrics' port, the certificate.

Nothing is changed; the port is bound for a moment. What it does not know: the venue, and who scrapes.
"""

import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from engine.config import Settings, typos
from engine.metric_names import PREFIX
from engine.metric_server import why_not
from engine.run.checks import Line, failed, passed, warned
from engine.run.lock import holder_of
from engine.run.tls_file import SOON_S, UNREAD_TODO, ends_s

METRICS_S: Final = 2.0
"""How long an engine's own figures may take."""


def service_lines(settings: Settings, env_file: Path | None = None) -> list[Line]:
    """Look at all of it; a certificate only where one is named."""
    lines = [_spelling(env_file), _metrics(settings)]
    return lines if settings.tls_cert_file is None else [*lines, _certificate(settings.tls_cert_file)]


def _spelling(env_file: Path | None) -> Line:
    """Say which names are no settings: what they were to change stays as it is."""
    found = typos(env_file)
    if not found:
        return passed("spelling", "every name that is set in files of ours is a setting")
    return warned("spelling", "; ".join(found), "correct the name, or take it away: it sets nothing")


def _metrics(settings: Settings) -> Line:
    host, port = settings.metrics_host, settings.metrics_port
    if not port:
        return passed("metrics", "METRICS_PORT is 0: none are served")
    if holder_of(settings.data_dir) is not None:
        return _metrics_served(host, port)
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind(place)
    except (OSError, ValueError) as error:
        return warned("metrics", *why_not(error, host, port))
    return passed("metrics", f"{host}:{port} is free")


def _metrics_served(host: str, port: int) -> Line:
    """Ask whether figures of an engine are there: the port may have been somebody else's when it started."""
    asked = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (told apart, not bound)
    place = f"[{asked}]" if ":" in asked else asked
    try:
        answer = httpx.get(f"http://{place}:{port}/metrics", timeout=METRICS_S, trust_env=False)
        served = answer.status_code == httpx.codes.OK and f"\n{PREFIX}" in answer.text
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        served = False
    if served:
        return passed("metrics", f"{host}:{port} serves an engine's figures")
    what = f"METRICS_PORT {port} on METRICS_HOST {host} serves no figures of an engine, and one runs here"
    return warned("metrics", what, "another program may have the port: set another METRICS_PORT, and restart")


def _certificate(path: Path) -> Line:
    try:
        end_s = ends_s(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return warned("certificate", f"TLS_CERT_FILE {path} cannot be read: {why}", UNREAD_TODO)
    left_s = end_s - time.time()
    what = f"TLS_CERT_FILE ends {datetime.fromtimestamp(end_s, UTC):%Y-%m-%d %H:%M} UTC"
    if left_s <= 0:
        return failed("certificate", f"{what}: it has expired", "renew it and reload the proxy")
    if left_s <= SOON_S:
        return warned("certificate", what, "renew it and reload the proxy")
    return passed("certificate", what)
