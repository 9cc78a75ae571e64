"""A server that shakes hands by TLS, hears the question, and then writes what is no record of it.

As a middlebox does that answers in plain text, or a cable that turns a bit. Without a certificate: both sides
agree on a cipher that needs none.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

PLAIN_TEXT = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
BAD_RECORD = b"\x17\x03\x03\x00\x20" + bytes(32)

NO_CERTIFICATE = "AECDH-AES256-SHA:@SECLEVEL=0"
SOON_S = 5.0


def context(purpose: int = ssl.PROTOCOL_TLS_CLIENT) -> ssl.SSLContext:
    """Return one side's settings."""
    made = ssl.SSLContext(purpose)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.maximum_version = ssl.TLSVersion.TLSv1_2  # later ones know no such cipher
    made.set_ciphers(NO_CERTIFICATE)
    return made


@contextlib.contextmanager
def serving(written: bytes) -> Iterator[str]:
    """Serve on loopback as long as this lasts.

    Args:
        written: What is sent in place of an answer, past TLS.
    Returns:
        The address, as the start of a URL.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SOON_S)
        thread = threading.Thread(target=_serve, args=(server, written), daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)  # a close alone wakes nobody who waits in accept
            thread.join(SOON_S)


def _serve(server: socket.socket, written: bytes) -> None:
    settings = context(ssl.PROTOCOL_TLS_SERVER)
    while True:
        try:
            peer, _ = server.accept()
        except OSError:
            return
        with contextlib.suppress(OSError), peer:
            peer.settimeout(SOON_S)
            _break(peer, settings, written)


def _break(peer: socket.socket, settings: ssl.SSLContext, written: bytes) -> None:
    heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    stream = settings.wrap_bio(heard, said, server_side=True)

    def pump(call: Callable[..., Any], *args: int) -> None:
        while True:
            try:
                call(*args)
            except ssl.SSLWantReadError:
                peer.sendall(said.read())
                if not (part := peer.recv(65_536)):
                    raise ConnectionResetError from None
                heard.write(part)
                continue
            peer.sendall(said.read())
            return

    pump(stream.do_handshake)
    pump(stream.read, 65_536)
    peer.sendall(written)
