"""The doctor's look at what stands round the engine: misspelt settings, metrics, alarms, the certificate.

Nothing is changed; the metrics' port is bound for a moment. What it does not know: the venue, who scrapes.
"""

import re
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx
from prometheus_client import ProcessCollector

from engine.config import Settings, typos
from engine.feeds.address import is_loopback
from engine.metric_names import PREFIX
from engine.metric_server import why_not
from engine.run.checks import Line, failed, passed, warned
from engine.run.lock import holder_of
from engine.run.tls_file import SOON_S, UNREAD_TODO, ends_s

METRICS_S: Final = 2.0
"""How long an engine's own figures may take."""
STARTED: Final = "process_start_time_seconds"
SAME_START_S: Final = 1.5
"""Two looks at one start may differ: it is told by a boot time in whole seconds, which follows the clock."""
TICK_S: Final = 0.015
"""Linux counts starts in hundredths of a second, which no change of the clock moves."""
LOOK_UP_S: Final = 5.0
"""How long it may take to look a host up."""


def service_lines(settings: Settings, env_file: Path | None = None) -> list[Line]:
    """Look at all of it; a certificate only where one is named."""
    lines = [_spelling(env_file), _metrics(settings), _alarms(settings)]
    return lines if settings.tls_cert_file is None else [*lines, _certificate(settings.tls_cert_file)]


def _spelling(env_file: Path | None) -> Line:
    """Say which names are no settings: what they were to change stays as it is."""
    found = typos(env_file)
    if not found:
        return passed("spelling", "every name that is set in files of ours is a setting")
    return warned("spelling", "; ".join(found), "correct the name, or take it away: it sets nothing")


def _alarms(settings: Settings) -> Line:
    """Look the webhook's host up; it is not named, for the address is a key (docs/alarms.md)."""
    if settings.alarm_url is None:
        return passed("alarms", "ALARM_URL is not set: alarms go to the log alone")
    parts = urlsplit(settings.alarm_url.get_secret_value())
    host = parts.hostname or ""
    if parts.scheme in getproxies() and not is_loopback(settings.alarm_url.get_secret_value()):
        return passed("alarms", "ALARM_URL is set; its host is looked up by the proxy that this machine uses")
    why = _not_found(host)
    if why:
        todo = "correct ALARM_URL, or see why names are not found here"
        return warned("alarms", f"the host of ALARM_URL cannot be looked up ({why}): no alarm arrives", todo)
    return passed("alarms", "the host of ALARM_URL is known; the button on the page Health posts a test")


def _not_found(host: str) -> str:
    """Look a host up; return why it is not found, or nothing. A resolver that hangs is left to itself."""
    found: list[str] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(host, None)
            found.append("")
        except socket.gaierror as error:
            found.append(str(error.strerror))
        except (OSError, ValueError) as error:
            found.append(type(error).__name__)

    looking = threading.Thread(target=look_up, daemon=True)
    looking.start()
    looking.join(LOOK_UP_S)
    return found[0] if found else f"no answer within {LOOK_UP_S:.0f} s"


def _metrics(settings: Settings) -> Line:
    host, port = settings.metrics_host, settings.metrics_port
    if not port:
        return passed("metrics", "METRICS_PORT is 0: none are served")
    holder = holder_of(settings.data_dir)
    if holder is not None:
        return _metrics_served(host, port, holder)
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            probe.bind(place)
    except (OSError, ValueError) as error:
        return warned("metrics", *why_not(error, host, port))
    return passed("metrics", f"{host}:{port} is free")


def _metrics_served(host: str, port: int, holder: str) -> Line:
    """Ask whether its figures are there: the port may have been somebody else's when the engine started."""
    asked = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (told apart, not bound)
    place = f"[{asked}]" if ":" in asked else asked
    try:
        answer = httpx.get(f"http://{place}:{port}/metrics", timeout=METRICS_S, trust_env=False)
        served = answer.status_code == httpx.codes.OK and f"\n{PREFIX}" in answer.text
        theirs = served and _is_anothers(answer.text, holder)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        served = theirs = False
    if theirs:
        what = f"METRICS_PORT {port} on METRICS_HOST {host} serves another engine's figures"
        return warned("metrics", what, "set another METRICS_PORT, and restart: this one serves none")
    if served:
        return passed("metrics", f"{host}:{port} serves an engine's figures")
    what = f"METRICS_PORT {port} on METRICS_HOST {host} serves no figures of an engine, and one runs here"
    return warned("metrics", what, "another program may have the port: set another METRICS_PORT, and restart")


def _is_anothers(text: str, holder: str) -> bool:
    """Say whether figures are of another process than the one that holds the data: it began at another time.

    Where one of the two cannot be known, as from outside of a container, nobody is accused.
    """
    told = re.search(rf"^{STARTED} (\S+)$", text, re.MULTILINE)
    began_s = _began_s(holder)
    if told is None or began_s is None:
        return False
    apart_s = abs(float(told[1]) - began_s)
    return apart_s > SAME_START_S or abs(apart_s - round(apart_s)) > TICK_S


def _began_s(pid: str) -> float | None:
    """Return when a process of this machine began, as it tells of itself in its metrics; None if unknown."""
    families = ProcessCollector(pid=lambda: int(pid), registry=None).collect() if pid.isdigit() else ()
    return next((one.samples[0].value for one in families if one.name == STARTED), None)


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
