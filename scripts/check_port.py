"""Say in one line that the console's port is taken, and what to do, before Streamlit says less."""

import socket
import sys


def fault_of(address: str, port: int) -> str:
    """Return what keeps a server from listening there; empty where nothing does."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # As servers do it: a port that a connection of the last minute still holds is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        why = f"port {port} on {address} cannot be had ({error.strerror})"
        return f"The console does not start: {why}: stop what uses it, or make run PORT={port % 60_000 + 1}"
    return ""


if __name__ == "__main__":
    found = fault_of(sys.argv[1], int(sys.argv[2]))
    if found:
        sys.stderr.write(found + "\n")
        sys.exit(1)
