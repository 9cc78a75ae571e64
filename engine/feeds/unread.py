"""How much a socket has received that nobody has read: the one backlog that a loop cannot feel."""

import fcntl
import socket
import struct
import termios
from typing import Final

_COUNT: Final = struct.Struct("i")


def unread_bytes(connection: socket.socket) -> int:
    """Return how many bytes the system holds for a connected socket; 0 once it is closed."""
    if connection.fileno() < 0:
        return 0
    try:
        answer = fcntl.ioctl(connection, termios.FIONREAD, bytes(_COUNT.size))
    except OSError:
        return 0  # closed meanwhile
    count: int = _COUNT.unpack(answer)[0]
    return count
