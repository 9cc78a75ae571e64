"""Say in one line why the console cannot listen, and what to do about it, before Streamlit says less."""

import errno
import socket
import sys
from typing import Final

GUARD: Final = "127.0.0.1"
"""Where the guard listens, whatever the console's address."""
HIGHEST: Final = 65_535
UNPRIVILEGED: Final = 1_024
LOOKED_AT: Final = 1_000
"""So many ports further a free pair is looked for."""


def fault_of(address: str, port: str) -> str:
    """Return what keeps a server from listening there; empty where nothing does.

    Args:
        address: A name or an address of this machine.
        port: As typed. The one after it is the guard's (``engine.run.guard``), which takes another where it
            cannot have it: so only the advice looks for two.
    """
    begin = "The console does not start: "
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= HIGHEST):
        return f"{begin}PORT={port} is no port: give a number from 1 to {HIGHEST}, such as make run PORT=8501"
    try:
        _bind(address, int(port))
    except (socket.gaierror, UnicodeError):
        return f"{begin}ADDRESS={address} is no name or address that can be found: leave it out, or mend it"
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            return f"{begin}ADDRESS={address} is no address of this machine: leave it out, or mend it"
        todo = ["stop what uses it"] if error.errno == errno.EADDRINUSE else []
        other = free_pair(address, int(port) + 1)
        todo += [f"make run PORT={other}"] if other else []
        why = f"port {port} on {address} cannot be had ({error.strerror})"
        return f"{begin}{why}: {', or '.join(todo) or 'choose another'}"
    return ""


def free_pair(address: str, first: int) -> int | None:
    """Return the first port from there on that is free, as is the one after it; None where none is near."""
    begin = max(first, UNPRIVILEGED)
    for port in range(begin, min(begin + LOOKED_AT, HIGHEST)):
        try:
            _bind(address, port)
            _bind(GUARD, port + 1)
        except OSError:
            continue
        return port
    return None if begin == UNPRIVILEGED else free_pair(address, UNPRIVILEGED)


def _bind(address: str, port: int) -> None:
    """Listen there as servers do, and stop.

    Raises:
        OSError: It cannot be had.
    """
    family, kind, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        # A port that a connection of the last minute still holds is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(place)


if __name__ == "__main__":
    if len(sys.argv) != len(("program", "address", "port")):
        sys.exit("The console does not start: ADDRESS and PORT take a value each: make run PORT=8501")
    found = fault_of(sys.argv[1], sys.argv[2])
    if found:
        sys.stderr.write(found + "\n")
        sys.exit(1)
