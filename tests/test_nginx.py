"""``nginx.conf`` in a real nginx: accepted as it is, and it does what the console needs of a proxy."""

import asyncio
import base64
import hashlib
import ipaddress
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import streamlit
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from engine import kill_token
from engine.kill import KillSwitch
from engine.run.access import Rules
from engine.run.guard import Guard
from engine.run.tls_file import ends_s
from tests.proxy import (
    CONF,
    NGINX,
    OPENSSL,
    REASON,
    Proxy,
    certificate,
    configuration,
    free_port,
    wait_for,
)
from tests.proxy_both import IPV6, nginx, url_v6, without_v6

__all__ = ["free_port"]

pytestmark = pytest.mark.skipif(NGINX is None or OPENSSL is None, reason=REASON)


STRICT = "default-src 'none'"


async def tell_request(request: Request) -> JSONResponse:
    """Answer with what arrived: the proxy's work can be read off it."""
    own = {"Content-Security-Policy": STRICT} if request.url.path == "/strict" else {}
    return JSONResponse({"path": request.url.path, "headers": dict(request.headers)}, headers=own)


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
def proxy(console: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Run nginx with the file, in front of that."""
    with nginx(tmp_path_factory.mktemp("nginx"), console) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, verify=proxy.trusted) as made:
        yield made


def test_nginx_accepts_the_file_as_it_is(tmp_path):
    """A typo would be found on the day of deployment."""
    certificate(tmp_path)
    whole = configuration(tmp_path, without_v6())
    done = subprocess.run(
        [NGINX, "-t", "-p", tmp_path, "-c", whole], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_a_page_reaches_the_console_with_host_and_port(proxy, client):
    """Without the port in Host the console takes its own page for another site's and refuses its kill."""
    assert client.get("/live").json()["headers"]["host"] == f"127.0.0.1:{proxy.port}"


def test_every_request_says_that_it_came_through_a_proxy(client):
    """On that the console's rule rests that nobody behind one is the local operator."""
    headers = client.get("/", headers={"X-Forwarded-For": "6.6.6.6"}).json()["headers"]
    assert headers["x-forwarded-for"] == "6.6.6.6, 127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"


def test_a_visitor_cannot_say_who_he_is(client):
    """Streamlit can be told to believe such a header."""
    assert "x-remote-user" not in client.get("/", headers={"X-Remote-User": "boss"}).json()["headers"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("strict-transport-security", "max-age=31536000"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("content-security-policy", "object-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/sign-in", "/metrics"])
def test_browsers_are_told_what_to_refuse(client, path, name, words):
    """On refusals too: ``add_header`` is lost in a location that has one of its own."""
    assert words in client.get(path).headers[name]


@pytest.mark.parametrize("path", ["/", "/strict", "/metrics"])
def test_what_the_console_says_itself_is_not_said_again(client, path):
    """Of two policies a browser takes both, and nobody knows which one is the matter."""
    headers = client.get(path).headers
    for name in ("content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy"):
        assert len(headers.get_list(name)) == 1
    assert (headers["content-security-policy"] == STRICT) is (path == "/strict")


@pytest.mark.parametrize(
    ("most", "accepted"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
def test_old_tls_is_refused(proxy, most, accepted):
    """1.0 and 1.1 are broken and forbidden (RFC 8996)."""
    context = proxy.trusted
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that is what is tried
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, most
    try:
        answered = httpx.get(proxy.url, verify=context).status_code == 200
    except httpx.ConnectError:
        answered = False
    assert answered is accepted


def test_plain_http_is_sent_to_tls(proxy):
    """A password must not cross a network in the clear, not even once by mistake."""
    answer = httpx.get(f"{proxy.plain_url}/mode?q=1")
    assert (answer.status_code, answer.headers["location"]) == (301, "https://127.0.0.1/mode?q=1")


@pytest.mark.parametrize("path", ["/_stcore/stream", "/push", "/replay-player"])
def test_a_socket_passes_and_stays_a_socket(proxy, path):
    """Every panel of the console lives on one; the console compares Origin with Host.

    By the client that lives in one loop: the library's other one reads in a thread while it writes, and
    two calls at once into one TLS connection of Python 3.11 lost the answer once in some hundred times.
    """

    async def told() -> str:
        url = f"wss://127.0.0.1:{proxy.port}{path}"
        async with connect(url, ssl=proxy.trusted, origin=proxy.url, proxy=None) as stream:
            return str(await stream.recv())

    headers = asyncio.run(asyncio.wait_for(told(), 20))
    assert '"connection":"upgrade"' in headers
    assert f'"host":"127.0.0.1:{proxy.port}"' in headers
    assert f'"origin":"{proxy.url}"' in headers


def test_the_guard_has_an_address_of_its_own(client):
    """A console that is stuck answers nothing; its path must not end at the console."""
    assert "proxy_pass http://console_guard;" in CONF.read_text()
    assert client.post("/kill-guard").json()["path"] == "/kill-guard"


@pytest.mark.parametrize(
    "path", ["/metrics", "/_stcore/metrics", "/_stcore/agent/interact", "/_stcore/upload_file/a/1"]
)
def test_figures_and_remote_control_stay_inside(client, path):
    """Even for who signed in: they are for the machine's own collectors; and nothing is uploaded."""
    assert client.get(path).status_code == 403


def locations(text: str) -> list[str]:
    """Return the paths that nginx.conf has rules for."""
    return [
        path.rstrip("/") or path for path in re.findall(r"^    location (?:= )?(/\S*) \{", text, re.MULTILINE)
    ]


@pytest.mark.parametrize("path", locations(CONF.read_text()))
@pytest.mark.parametrize("ending", ["%0a", "%0A?pass=x", "%0d%0a", "%7f", "%01/"])
def test_no_rule_of_a_path_is_got_round_by_a_control_character(client, path, ending):
    """``/metrics%0a`` is not ``/metrics`` to nginx, and is to the console, whose patterns end in ``$``."""
    for method in ("GET", "POST"):
        assert client.request(method, path + ending).status_code == 400


def test_there_are_rules_for_these_paths():
    """What the test above reads off the file has to be all of it."""
    found = set(locations(CONF.read_text()))
    assert {"/", "/sign-in", "/share", "/kill", "/kill-guard", "/metrics", "/_stcore/metrics"} < found
    assert len(found) == CONF.read_text().count("    location ") - 1, "all but the one that refuses these"


def test_the_kill_passes_at_once_and_a_flood_of_it_does_not(client):
    """The first must never wait; the hundredth is not a person."""
    answers = [client.post("/kill").status_code for _ in range(12)]
    assert answers[:5] == [200] * 5
    assert answers[-1] == 429


def test_passwords_are_tried_slowly_and_the_form_is_shown_always(client):
    """The console counts too; this keeps a flood from its door."""
    answers = [client.post("/sign-in").status_code for _ in range(12)]
    assert answers[:5] == [200] * 5
    assert answers[-1] == 429
    assert client.get("/sign-in").status_code == 200


def test_a_page_may_load_all_its_files_at_once_and_a_flood_is_cut(client):
    """Streamlit's page is some hundred files; ten thousand are none."""
    # At a path that nginx answers itself, else a slow machine would never get fast enough to be a flood.
    answers = [client.get("/metrics").status_code for _ in range(800)]
    assert answers[:200] == [403] * 200
    assert 429 in answers


def test_the_policy_names_streamlits_own_inline_script_and_no_other():
    """Its page changes with its versions; ``unsafe-inline`` would let in every other script too."""
    page = Path(streamlit.__file__).with_name("static").joinpath("index.html").read_text()
    inline = [text for text in re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL) if text.strip()]
    digests = [hashlib.sha256(text.encode()).digest() for text in inline]
    policy = re.search(r"script-src ([^;]*);", CONF.read_text())
    assert policy is not None
    assert set(re.findall(r"'sha256-([^']*)'", policy[1])) == {
        base64.b64encode(one).decode() for one in digests
    }
    assert "unsafe" not in policy[1]


SHARED = "/share?pass=secret-of-the-link"


def test_a_share_links_pass_is_not_logged(console, tmp_path):
    """Logs are read by more people than the link was sent to; a link without the s of https is logged too."""
    with nginx(tmp_path, console) as fresh:
        with httpx.Client(base_url=fresh.url, verify=fresh.trusted) as asked:
            assert asked.get(SHARED).status_code == 200
            asked.get("/style.css", headers={"Referer": fresh.url + SHARED})
            asked.get("/seen")
            asked.post("/sign-in", headers={"Referer": fresh.url + "/share"})
        httpx.get(fresh.plain_url + SHARED)
        httpx.get(f"{fresh.plain_url}/seen-in-the-clear")
    text = (tmp_path / "access.log").read_text()
    assert "/seen" in text
    assert "/seen-in-the-clear" in text
    assert '"POST /sign-in ' in text, "no header of a visitor's switches the log off"
    for log in tmp_path.glob("*.log"):
        assert "secret-of-the-link" not in log.read_text(), log.name
    assert (tmp_path / "http.log").read_text() == "", "what no server of ours says how to log"


def test_a_share_links_pass_is_not_told_with_an_error_either(tmp_path):
    """Nobody listens behind it: nginx tells that with the whole address, as for any other path."""
    with (
        nginx(tmp_path, free_port()) as alone,
        httpx.Client(base_url=alone.url, verify=alone.trusted) as asked,
    ):
        assert asked.get("/other?x=told").status_code == 502
        assert asked.get(SHARED).status_code == 502
    text = (tmp_path / "error.log").read_text()
    assert "x=told" in text
    assert "secret-of-the-link" not in text


@pytest.mark.parametrize("path", ["/kill", "/kill-guard"])
def test_a_flood_of_pages_does_not_keep_the_kill_away(slow_proxy, path):
    """All tabs of an office reload after an incident, by one address: just then the button is pressed."""
    with httpx.Client(base_url=slow_proxy.url, verify=slow_proxy.trusted) as asked:
        assert 429 in [asked.get("/").status_code for _ in range(12)]
        assert [asked.post(path).status_code for _ in range(5)].count(429) == 0


@pytest.mark.parametrize(("method", "path"), [("GET", "/sign-in"), ("GET", "/")])
def test_the_common_limit_holds_where_there_is_another(slow_proxy, method, path):
    """A ``limit_req`` in a location replaces the server's: the form could be asked for without end.

    With small figures, for a slow machine is never fast enough for the real ones; the narrow limits are wide.
    """
    with httpx.Client(base_url=slow_proxy.url, verify=slow_proxy.trusted) as asked:
        answers = [asked.request(method, path).status_code for _ in range(12)]
    assert 429 in answers


@pytest.fixture
def slow_proxy(console: int, tmp_path: Path) -> Iterator[Proxy]:
    """Run nginx with four requests at once and one a second, and no other limit that could be met."""
    changes = {
        "50r/s": "1r/s",
        "burst=400": "burst=4",
        "rate=10r/m": "rate=900r/s",
        "rate=30r/m": "rate=900r/s",
    }
    changes |= {"burst=5 ": "burst=500 "}
    with nginx(tmp_path, console, changes=changes) as running:
        yield running


@contextmanager
def held(proxy: Proxy, path: str, many: int) -> Iterator[None]:
    """Hold requests open from one address: each says that a body follows, and none does."""
    with ExitStack() as stack:
        for _ in range(many):
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=20))
            stream = stack.enter_context(proxy.trusted.wrap_socket(plain, server_hostname="127.0.0.1"))
            stream.sendall(f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\n\r\n".encode())
        yield


def wait_for_429(asked: httpx.Client, method: str, path: str) -> None:
    """Wait until nginx has read what is held, which it does in its own time.

    Each request that passes meanwhile is answered before the next one, and counts no longer.
    """
    deadline = time.monotonic() + 20
    while asked.request(method, path).status_code != 429:
        assert time.monotonic() < deadline, "the limit of connections never came"


@pytest.fixture
def connected_proxy(console: int, tmp_path: Path) -> Iterator[Proxy]:
    """Run nginx with its own limits of connections, and none of requests that could be met."""
    changes = {"50r/s": "900r/s", "burst=400": "burst=4000", "rate=30r/m": "rate=900r/s"}
    with nginx(tmp_path, console, changes=changes | {"burst=5 ": "burst=500 "}) as running:
        yield running


@pytest.mark.parametrize("path", ["/kill", "/kill-guard"])
def test_what_an_office_holds_open_does_not_keep_the_kill_away(connected_proxy, path):
    """32 tabs by one address hold 64 sockets: no page is answered any more, and the kill is."""
    with (
        held(connected_proxy, "/push", 64),
        httpx.Client(base_url=connected_proxy.url, verify=connected_proxy.trusted) as asked,
    ):
        wait_for_429(asked, "GET", "/")
        assert [asked.post(path).status_code for _ in range(5)] == [200] * 5
        assert asked.get("/").status_code == 429, "they were held all the while"


def test_no_more_than_eight_kills_of_an_address_are_under_way(connected_proxy):
    """A kill has connections of its own, not without end; both ways of it share them."""
    with (
        held(connected_proxy, "/kill", 7),
        httpx.Client(base_url=connected_proxy.url, verify=connected_proxy.trusted) as asked,
    ):
        assert [asked.post("/kill").status_code for _ in range(5)] == [200] * 5
        with held(connected_proxy, "/kill-guard", 1):
            wait_for_429(asked, "POST", "/kill")
            assert asked.post("/kill-guard").status_code == 429
            assert asked.get("/").status_code == 200


needs_v6 = pytest.mark.skipif(not IPV6, reason="this machine has no IPv6")


@pytest.fixture
def client_v6(proxy: Proxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url_v6(proxy), verify=proxy.trusted) as made:
        yield made


NAMED = {"sni_hostname": "localhost"}


@needs_v6
@pytest.mark.parametrize(("method", "path"), [("GET", "/live"), ("POST", "/kill"), ("POST", "/kill-guard")])
def test_who_comes_by_ipv6_reaches_the_console_as_well(proxy, client_v6, method, path):
    """Browsers take a name's address of IPv6 first: with nothing there the console looks down."""
    told = client_v6.request(method, path, extensions=NAMED).json()
    assert told["path"] == path
    assert told["headers"]["x-forwarded-for"] == "::1"
    assert told["headers"]["host"] == url_v6(proxy).removeprefix("https://")


@needs_v6
def test_plain_http_by_ipv6_is_sent_to_tls_too(proxy):
    """The same as by IPv4."""
    (port,) = re.findall(r"listen \[::1\]:(\d+);", (proxy.folder / "console.conf").read_text())
    answer = httpx.get(f"http://[::1]:{port}/mode")
    assert (answer.status_code, answer.headers["location"]) == (301, "https://[::1]/mode")


@pytest.fixture
def told_proxy(console: int, tmp_path: Path) -> Iterator[Proxy]:
    """Run nginx that believes an address it is told, and tells in the log whom it counts a request by."""
    believed = "set_real_ip_from 127.0.0.1; real_ip_header X-Test-From;"
    changes = {
        "    ssl_session_tickets off;": f"    ssl_session_tickets off; {believed}",
        "console_paths '$remote_addr ": "console_paths '$remote_addr by $console_visitor_by ",
    }
    with nginx(tmp_path, console, changes=changes) as running:
        yield running


def addresses() -> list[str]:
    """Return addresses of IPv6 with rows of zeros at every place and of every length, each group 0 or not."""
    found = []
    for zeros in range(1, 256):
        groups = ["0" if zeros >> place & 1 else f"{place + 1:x}a" for place in range(8)]
        if groups[0] != "0":  # what begins with a zero is nobody's network
            found += [str(ipaddress.IPv6Address(":".join(groups)))]
    return found


def test_one_network_of_ipv6_is_one_visitor(told_proxy):
    """A customer has 2^64 addresses: each would have limits of its own. As passwords are counted."""
    asked_from = [*addresses(), "2001:db8::1", "2001:db8:0:1::", "2001:db8:0:1::1", "192.0.2.7"]
    with httpx.Client(base_url=told_proxy.url, verify=told_proxy.trusted) as asked:
        for address in asked_from:
            assert asked.get("/metrics", headers={"X-Test-From": address}).status_code == 403
        asked.get("/")  # in the same connection: what came before it is in the log by then
    rows = re.findall(r"^(\S+) by (\S+) \[", (told_proxy.folder / "access.log").read_text(), re.MULTILINE)
    rows = rows[: len(asked_from)]
    assert [address for address, _ in rows] == asked_from
    for address, by in rows[:-1]:
        first_four = ipaddress.IPv6Address(address).exploded.split(":")[:4]
        assert by == ":".join(f"{int(group, 16):x}" for group in first_four), address
    assert rows[-1][1] == r"\xC0\x00\x02\x07", "an address of IPv4 is counted by itself"


def test_the_limits_of_a_network_of_ipv6_hold_for_all_its_addresses(told_proxy):
    """And another network has its own."""
    with httpx.Client(base_url=told_proxy.url, verify=told_proxy.trusted) as asked:

        def tried(address: str) -> int:
            return asked.post("/sign-in", headers={"X-Test-From": address}).status_code

        answers = [tried(f"2001:db8:1:2::{number:x}") for number in range(12)]
        assert (answers[:5], answers[-1]) == ([200] * 5, 429)
        assert tried("2001:db8:1:3::1") == 200


def test_every_limit_counts_by_the_same():
    """One that counts by the bare address would let a network of IPv6 past it."""
    zones = re.findall(r"^limit_(?:req|conn)_zone +(\S+) ", CONF.read_text(), re.MULTILINE)
    assert len(zones) == 6
    assert set(zones) == {"$console_visitor_by", "$sign_in_by"}
    assert re.search(r"^    POST +\$console_visitor_by;$", CONF.read_text(), re.MULTILINE)


GUIDE = CONF.parent / "docs/deploy/nginx.md"


def guides_commands(start: str) -> list[list[str]]:
    """Return the guide's commands that begin so, without ``sudo``."""
    lines = [line.removeprefix("sudo ") for line in GUIDE.read_text().splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(start)]


def test_under_a_base_path_the_guard_still_takes_the_kill(console, tmp_path):
    """As the guide says to do it, with its own command: a real nginx, and the real guard behind it."""
    (command,) = guides_commands("sed -i -E")
    text, wanted = tmp_path / "text", tmp_path / "data"
    shutil.copy(CONF, text)
    subprocess.run([*command[:-1], text], check=True)
    changes = dict(zip(CONF.read_text().splitlines(), text.read_text().splitlines(), strict=True))
    changes = {old: new for old, new in changes.items() if old != new}
    wanted.mkdir()
    guard = Guard(Rules(str(wanted), local=False), 0)
    guard.start()
    token = {"Authorization": f"Bearer {kill_token.open_token(wanted)}"}
    folder = tmp_path / "nginx"
    folder.mkdir()
    try:
        with (
            nginx(folder, console, guard.port, changes=changes) as running,
            httpx.Client(base_url=running.url, verify=running.trusted, headers=token) as asked,
        ):
            assert asked.get("/ops/metrics").status_code == 403
            assert asked.get("/ops/metrics%0a").status_code == 400
            assert asked.post("/ops/kill").json()["path"] == "/ops/kill"
            assert not KillSwitch(wanted).is_tripped()
            assert asked.post("/ops/kill-guard").json()["latched"] is True
    finally:
        guard.stop()
    assert KillSwitch(wanted).is_tripped()


def test_the_guides_certificate_can_be_read_by_the_console_and_its_key_by_nobody(tmp_path):
    """The console is another user than nginx's master: it has to watch the one, and never sees the other."""
    certificate(tmp_path)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # pytest's own are nobody else's
        commands = guides_commands("install ")
        assert len(commands) == 2
        for command in commands:
            assert command[-1] == "/etc/nginx/"
            subprocess.run([*command[:-1], folder], cwd=tmp_path, check=True)
        modes = {one.name: one.stat().st_mode & 0o777 for one in Path(folder).iterdir()}
        assert modes == {"console.crt": 0o644, "console.key": 0o600}
        if os.getuid() != 0:
            return  # the modes are all that can be asked without being able to be somebody else
        read = {
            name: subprocess.run(["cat", f"{folder}/{name}"], user=65534, capture_output=True, check=False)
            for name in modes
        }
        (tmp_path / "read.crt").write_bytes(read["console.crt"].stdout)
    assert ends_s(tmp_path / "read.crt") > time.time()
    assert read["console.key"].returncode != 0
