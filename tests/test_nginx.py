"""``nginx.conf`` in a real nginx: accepted as it is, and it does what the console needs of a proxy."""

import shutil
import socket
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

CONF = Path(__file__).resolve().parent.parent / "nginx.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx: on Debian, apt-get install nginx")

OPERATOR = ("operator", "a password")
AUTHORIZATION = {"Authorization": "Basic " + b64encode(":".join(OPERATOR).encode()).decode()}

# A whole configuration round the file, which is made for the http context. One process and its own temporary
# folders, so that it runs as whoever runs the tests, beside any other nginx.
AROUND = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/console.conf;
}}
"""


def configuration(folder: Path, replacements: dict[str, str]) -> Path:
    """Write nginx.conf with some words replaced, and what has to stand round it; return the latter."""
    text = CONF.read_text()
    for old, new in replacements.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "console.conf").write_text(text)
    whole = folder / "nginx.conf"
    whole.write_text(AROUND.format(folder=folder))
    return whole


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def tell_request(request: Request) -> JSONResponse:
    """Answer with what arrived: the proxy's work can be read off it."""
    return JSONResponse({"path": request.url.path, "headers": dict(request.headers)})


async def tell_socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json(dict(socket.headers))
    await socket.close()


@pytest.fixture(scope="module")
def console() -> Iterator[int]:
    """Serve what looks like the console from outside: pages, a POST route, a socket. Gives its port."""
    routes = [
        WebSocketRoute("/{path:path}", tell_socket),
        Route("/{path:path}", tell_request, methods=["GET", "POST"]),
    ]
    port = free_port()
    config = uvicorn.Config(
        Starlette(routes=routes), host="127.0.0.1", port=port, log_level="error", ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(port)
    yield port
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def proxy(console: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run nginx with the file, in front of that; give its port."""
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "passwords").write_text(f"{OPERATOR[0]}:{{PLAIN}}{OPERATOR[1]}\n")
    port = free_port()
    whole = configuration(
        folder,
        {
            "listen 80;": f"listen 127.0.0.1:{port};",
            "server 127.0.0.1:8501;": f"server 127.0.0.1:{console};",
            "server 127.0.0.1:8502;": f"server 127.0.0.1:{console};",
            "/etc/nginx/console.htpasswd;": f"{folder}/passwords;",
        },
    )
    process = subprocess.Popen([NGINX, "-p", folder, "-c", whole], stderr=subprocess.PIPE, text=True)
    try:
        wait_for(port)
        yield port
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


def test_nginx_accepts_the_file_as_it_is(tmp_path):
    """A typo would be found on the day of deployment."""
    whole = configuration(tmp_path, {})
    done = subprocess.run(
        [NGINX, "-t", "-p", tmp_path, "-c", whole], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_a_page_reaches_the_console_with_host_and_port(proxy):
    """Without the port in Host the console takes its own page for another site's and refuses its kill."""
    answer = httpx.get(f"http://127.0.0.1:{proxy}/live", auth=OPERATOR)
    assert answer.json()["headers"]["host"] == f"127.0.0.1:{proxy}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"


def test_a_socket_passes_and_stays_a_socket(proxy):
    """Every panel of the console lives on one; a proxy that drops Upgrade leaves an empty page."""
    with connect(f"ws://127.0.0.1:{proxy}/_stcore/stream", additional_headers=AUTHORIZATION) as stream:
        headers = stream.recv(timeout=10)
    assert '"connection":"upgrade"' in str(headers)
    assert f'"host":"127.0.0.1:{proxy}"' in str(headers)


def test_the_push_passes_with_its_origin(proxy):
    """The console compares Origin with Host: a proxy that changes either refuses every page."""
    ours = f"http://127.0.0.1:{proxy}"
    with connect(f"ws://127.0.0.1:{proxy}/push", additional_headers=AUTHORIZATION, origin=ours) as push:
        headers = str(push.recv(timeout=10))
    assert '"connection":"upgrade"' in headers
    assert f'"host":"127.0.0.1:{proxy}"' in headers
    assert f'"origin":"{ours}"' in headers
    with pytest.raises(InvalidStatus, match="401"):
        connect(f"ws://127.0.0.1:{proxy}/push", origin=ours)


def test_the_guard_has_an_address_of_its_own_behind_the_same_password(proxy):
    """A console that is stuck answers nothing; its path must not end at the console."""
    assert "proxy_pass http://console_guard;" in CONF.read_text()
    assert httpx.post(f"http://127.0.0.1:{proxy}/kill-guard").status_code == 401
    answer = httpx.post(f"http://127.0.0.1:{proxy}/kill-guard", auth=OPERATOR)
    assert answer.json()["headers"]["host"] == f"127.0.0.1:{proxy}"


def test_nobody_gets_in_without_the_password(proxy):
    """Neither to a page, nor to a socket, nor to the kill."""
    assert httpx.get(f"http://127.0.0.1:{proxy}/").status_code == 401
    assert httpx.post(f"http://127.0.0.1:{proxy}/kill").status_code == 401
    with pytest.raises(InvalidStatus, match="401"):
        connect(f"ws://127.0.0.1:{proxy}/_stcore/stream")


def test_a_visitor_cannot_say_who_he_is(proxy):
    """X-Remote-User is the proxy's word about the password it checked."""
    answer = httpx.get(
        f"http://127.0.0.1:{proxy}/", auth=OPERATOR, headers={"X-Remote-User": "somebody else"}
    )
    assert answer.json()["headers"]["x-remote-user"] == "operator"


@pytest.mark.parametrize("path", ["/metrics", "/_stcore/metrics", "/_stcore/agent/interact"])
def test_figures_and_remote_control_stay_inside(proxy, path):
    """Even with the password: they are for the machine's own collectors."""
    assert httpx.get(f"http://127.0.0.1:{proxy}{path}", auth=OPERATOR).status_code == 403


def test_the_kill_passes_at_once_and_a_flood_of_it_does_not(proxy):
    """The first must never wait; the hundredth is not a person."""
    answers = [httpx.post(f"http://127.0.0.1:{proxy}/kill", auth=OPERATOR).status_code for _ in range(12)]
    assert answers[:5] == [200] * 5
    assert answers[-1] == 429
