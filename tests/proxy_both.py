"""``nginx.conf`` in Debian's nginx on free ports of both kinds of address, IPv4 and IPv6."""

import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests import proxy as one_kind
from tests.proxy import Proxy

__all__ = ["IPV6", "nginx", "url_v6", "without_v6"]

PLAIN, TLS = "listen [::]:80;", "listen [::]:443 ssl;"


def free_port_v6() -> int:
    """Return a port of ``::1`` that nothing listens on.

    Raises:
        OSError: This machine has no IPv6.
    """
    with closing(socket.socket(socket.AF_INET6)) as probe:
        probe.bind(("::1", 0))
        return int(probe.getsockname()[1])


def has_v6() -> bool:
    try:
        free_port_v6()
    except OSError:
        return False
    return True


IPV6 = has_v6()
"""Whether this machine can be asked at ``::1``."""


def without_v6() -> dict[str, str]:
    """Return what docs/deploy/nginx.md says to take out where the kernel has no IPv6: old words and new."""
    return {} if IPV6 else {PLAIN: "", TLS: ""}


@contextmanager
def nginx(
    folder: Path,
    console: int,
    guard: int | None = None,
    *,
    reloads: bool = False,
    changes: dict[str, str] | None = None,
) -> Iterator[Proxy]:
    """Run nginx as ``tests.proxy.nginx`` does, and at ``::1`` besides where the machine has it."""
    listens = without_v6()
    if IPV6:
        listens = {PLAIN: f"listen [::1]:{free_port_v6()};", TLS: f"listen [::1]:{free_port_v6()} ssl;"}
    with one_kind.nginx(
        folder, console, guard, reloads=reloads, changes=listens | (changes or {})
    ) as running:
        yield running


def url_v6(running: Proxy) -> str:
    """Return the address at ``::1`` for TLS; its certificate is for the name ``localhost``."""
    (port,) = re.findall(r"listen \[::1\]:(\d+) ssl;", (running.folder / "console.conf").read_text())
    return f"https://[::1]:{port}"
