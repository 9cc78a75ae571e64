"""Debian's nginx with ``nginx.conf`` on a free port, with a certificate of its own; needs no root."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

CONF = Path(__file__).resolve().parent.parent / "nginx.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
OPENSSL = shutil.which("openssl")
REASON = "no nginx or no openssl: on Debian, apt-get install nginx openssl"

# A whole configuration round the file, which is made for the http context. Its own temporary folders, so
# that it runs as whoever runs the tests, beside any other nginx.
AROUND = """
daemon off; {processes} pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
    include /etc/nginx/mime.types;
    access_log {folder}/http.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/console.conf;
}}
"""


class Proxy:
    """A running nginx: its port, its process, its folder, and its port for plain HTTP."""

    def __init__(self, port: int, process: "subprocess.Popen[str]", folder: Path, plain: int) -> None:
        self.port, self.process, self.folder = port, process, folder
        self.plain_url = f"http://127.0.0.1:{plain}"
        self.url = f"https://127.0.0.1:{port}"
        self.page_url = f"https://dashboard.localhost:{port}"
        """As a browser asks: by a name that is not the machine's own: the page is then as from elsewhere."""

    @property
    def trusted(self) -> ssl.SSLContext:
        """What trusts its certificate."""
        return ssl.create_default_context(cafile=str(self.folder / "console.crt"))


def certificate(folder: Path) -> None:
    """Write a certificate for this machine, signed by itself."""
    subprocess.run(
        [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", folder / "console.key", "-out", folder / "console.crt", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip


def configuration(folder: Path, replacements: dict[str, str], *, reloads: bool = False) -> Path:
    """Write nginx.conf with some words replaced, and what has to stand round it; return the latter.

    Args:
        folder: Where; the certificate has to be there.
        replacements: Old words and new ones.
        reloads: Keep a master process, which a reload needs.
    """
    files = {"/etc/nginx/console.": f"{folder}/console.", "/var/log/nginx/": f"{folder}/"}
    text = CONF.read_text()
    for old, new in (files | replacements).items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / "console.conf").write_text(text)
    whole = folder / "nginx.conf"
    processes = "worker_processes 1;" if reloads else "master_process off;"
    whole.write_text(AROUND.format(folder=folder, processes=processes))
    return whole


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def nginx(
    folder: Path,
    console: int,
    guard: int | None = None,
    *,
    reloads: bool = False,
    changes: dict[str, str] | None = None,
) -> Iterator[Proxy]:
    """Run nginx before a console (and its guard) of this machine until the block ends.

    Args:
        folder: Where its files are.
        console: Port of what stands for the console.
        guard: Port of the guard; without one it is the console's.
        reloads: As in ``configuration``.
        changes: Words of nginx.conf to replace besides the ports.
    """
    certificate(folder)
    port, plain = free_port(), free_port()
    replacements = (changes or {}) | {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "server 127.0.0.1:8501;": f"server 127.0.0.1:{console};",
        "server 127.0.0.1:8502;": f"server 127.0.0.1:{guard or console};",
    }
    whole = configuration(folder, replacements, reloads=reloads)
    process = subprocess.Popen([NGINX, "-p", folder, "-c", whole], stderr=subprocess.PIPE, text=True)
    try:
        wait_for(port)
        yield Proxy(port, process, folder, plain)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def wait_for(port: int) -> None:
    """Wait until something listens on a port of this machine."""
    deadline = monotonic() + 10
    while monotonic() < deadline:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.02)
    pytest.fail(f"nothing listens on port {port}")
