"""The console as a process, at its own port, met by what no browser of an operator's sends.

One process for all of these. What it asks of the internet would go by a proxy that is this test's: it counts,
and never answers, as a network that swallows what leaves.
"""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.message import Message
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from engine.kill import KillSwitch
from engine.kill_token import read_token
from tests.pages.test_routes import STREAMLITS
from tests.proxy import free_port
from tests.sessions import verify_all
from tests.whole.processes import environment

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[2]
LISTED = "https://name-8501.app.example.dev"
SOCKETS = 20
SENT_MB = 64
GROWN_MB = 24.0
"""What else the engine's session takes meanwhile; what is sent is more than twice as much."""


class Asked:
    """A port that counts who connects and answers nobody."""

    def __init__(self) -> None:
        self.door = socket.create_server(("127.0.0.1", 0))
        self.came: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.getsockname()[1]}"

    def _take(self) -> None:
        while True:
            try:
                self.came.append(self.door.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        for one in self.came:
            one.close()


class Console:
    """``dashboard.py`` as a process, what it wrote, and what it asked of the internet."""

    def __init__(self, folder: Path) -> None:
        self.asked, self.port = Asked(), free_port()
        self.data, self.log, self.stderr = folder / "data", folder / "engine.log", folder / "stderr"
        own = environment(
            DATA_DIR=str(self.data), LOG_FILE=str(self.log), ENV_FILE=os.devnull, PRACTICE_SPEED="1",
            HTTP_PROXY=self.asked.url, HTTPS_PROXY=self.asked.url, http_proxy=self.asked.url,
            https_proxy=self.asked.url, NO_PROXY="127.0.0.1,localhost", no_proxy="127.0.0.1,localhost",
        )  # fmt: skip
        command = [sys.executable, "-m", "streamlit", "run", "dashboard.py", "--server.port", str(self.port)]
        with self.stderr.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "--server.address", "127.0.0.1", "--server.corsAllowedOrigins", LISTED],
                cwd=ROOT, env=own, stdout=subprocess.DEVNULL, stderr=output,
            )  # fmt: skip
        self.http = httpx.Client(trust_env=False, timeout=30.0, base_url=f"http://127.0.0.1:{self.port}")

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def is_well(self) -> bool:
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    def lines(self) -> list[str]:
        return self.stderr.read_text().splitlines()


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    served = Console(tmp_path_factory.mktemp("doors"))
    try:
        deadline = time.monotonic() + 120
        while not served.is_well():
            assert time.monotonic() < deadline, served.stderr.read_text()[-4_000:]
            assert served.process.poll() is None, served.stderr.read_text()[-4_000:]
            time.sleep(0.3)
        yield served
    finally:
        served.http.close()
        served.process.terminate()
        try:
            served.process.wait(30)
        except subprocess.TimeoutExpired:
            served.process.kill()
            served.process.wait()
        served.asked.close()
    assert verify_all(served.data)


PATHS = ("/metrics", "/_stcore/metrics", "/_stcore/agent/interact", "/sign-in", "/share", "/healthz", "/kill")


@pytest.mark.parametrize("ending", ["%0a", "%0A?pass=x", "%0d", "%00", "%7f"])
def test_no_path_with_a_control_character_is_served(console: Console, ending: str) -> None:
    """``/metrics%0a`` is ``/metrics`` to a pattern that ends in ``$``, and another path to every proxy."""
    token = {"Authorization": f"Bearer {read_token(console.data)}"}
    for path in PATHS:
        for method in ("GET", "POST"):
            answer = console.http.request(method, path + ending, headers=token)
            assert (method, path, answer.status_code) == (method, path, 400)
            assert answer.headers["cache-control"] == "no-store"
    assert not KillSwitch(console.data).is_tripped()


def foreign(console: Console, origin: str, host: str = "", **forwarded: str) -> int:
    """Open Streamlit's socket as a page of this origin does; return the status, 101 where it opened.

    By hand: the library's client, refused, waits ten seconds for the end of a connection that has ended, once
    in twenty times (measured; a bare socket never in 300).
    """
    with console.raw() as page:
        return int(shaken(page, origin, host or f"127.0.0.1:{console.port}", **forwarded).split()[1])


def shaken(page: socket.socket, origin: str, host: str, **forwarded: str) -> bytes:
    """Ask for Streamlit's socket; return the head of the answer. ``forwarded``: what a proxy adds, by the end
    of its header's name."""
    page.settimeout(60)
    added = "".join(f"X-Forwarded-{name}: {value}\r\n" for name, value in forwarded.items())
    page.sendall(
        f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n{added}"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    told = b""
    while b"\r\n\r\n" not in told:
        part = page.recv(1)
        assert part, told
        told += part
    return told


@pytest.mark.parametrize("origin", ["https://evil.example.net", "null", "http://127.0.0.1.evil.example.net"])
def test_sockets_of_another_site_stop_nothing_and_ask_nobody(console: Console, origin: str) -> None:
    """Each made Streamlit ask the internet for this machine's address, the whole server waiting meanwhile."""
    with ThreadPoolExecutor(SOCKETS) as pages:
        opened = [pages.submit(foreign, console, origin) for _ in range(SOCKETS)]
        began = time.monotonic()
        assert console.is_well()
        took_s = time.monotonic() - began
        assert [one.result() for one in opened] == [403] * SOCKETS
    assert took_s < 10.0, "one question alone took two seconds"
    assert len(console.asked.came) == 0


def test_a_page_of_another_port_asks_nobody_either(console: Console) -> None:
    """Behind a proxy of that port it passes our rule; Streamlit compares ports by Host alone and asked before
    it refused. Without such a proxy our rule refuses it."""
    assert foreign(console, "https://console.example.com:8443", "console.example.com", Port="8443") == 403
    assert foreign(console, "https://console.example.com:8443", "console.example.com") == 403
    assert len(console.asked.came) == 0


def test_an_origin_that_is_listed_opens_it_and_asks_nobody(console: Console) -> None:
    """As docs/access.md says for a proxy that changes Host; Streamlit would look at its list last."""
    assert foreign(console, LISTED) == 101
    assert foreign(console, f"{LISTED}.evil.example.net") == 403
    assert len(console.asked.came) == 0


def test_the_consoles_own_page_still_opens_it(console: Console) -> None:
    """By either name of this machine."""
    for name in ("127.0.0.1", "localhost"):
        with connect(
            f"ws://{name}:{console.port}/_stcore/stream",
            origin=websockets.Origin(f"http://{name}:{console.port}"),
            open_timeout=30,
            proxy=None,
        ):
            pass


def chunks(console: Console, head: bytes, most_mb: int) -> tuple[bytes, int]:
    """Send chunks until the server answers or has had enough; return its answer, and megabytes sent."""
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    with console.raw() as sender:
        sender.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < most_mb * 16:
                sender.sendall(chunk)
                sent += 1
        except OSError:
            pass
        try:
            return sender.recv(4_096), sent // 16
        except OSError:
            return b"", sent // 16


def test_a_body_without_a_length_is_not_taken_whole(console: Console) -> None:
    """Nobody has signed in yet at the door where it is read."""
    memory = psutil.Process(console.process.pid).memory_info
    before = memory().rss
    head = f"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1:{console.port}\r\n".encode()
    _answer, sent_mb = chunks(console, head, SENT_MB)
    assert (memory().rss - before) / 1e6 < GROWN_MB
    assert sent_mb < SENT_MB, "it hung up"
    with console.raw() as polite:
        polite.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n1400\r\n" + b"x" * 0x1400 + b"\r\n")
        assert polite.recv(64).split()[1] == b"413"
    assert console.is_well()


def test_a_message_of_many_megabytes_is_refused_before_it_is_sent(console: Console) -> None:
    """Whoever opens Streamlit's socket may send; 200 MB of each were taken whole, and then refused."""
    host = f"127.0.0.1:{console.port}"
    with console.raw() as page:
        assert shaken(page, f"http://{host}", host).split()[1] == b"101"
        page.sendall(b"\x82\xff" + (17 * 1024 * 1024).to_bytes(8, "big") + b"mask")
        frame = page.recv(64)
    assert (frame[0], frame[2:4]) == (0x88, (1009).to_bytes(2, "big")), "message too big (RFC 6455, 7.4.1)"


def test_a_kill_does_not_wait_for_its_reason(console: Console) -> None:
    """It is read as far as it comes at once: a stuck line, or an endless one, must not keep the kill away."""
    switch, token = KillSwitch(console.data), read_token(console.data)
    head = f"POST /kill HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n".encode()
    with console.raw() as stuck:
        began = time.monotonic()
        stuck.sendall(head + b"Content-Length: 500\r\n\r\nthe line is ")
        told = stuck.recv(4_096)
        assert time.monotonic() - began < 10.0
    assert told.split()[1] == b"200"
    latch = switch.read()
    assert latch is not None
    assert latch.why == "the line is"
    switch.path.unlink()
    chunks(console, head, 1)
    latch = switch.read()
    assert latch is not None
    assert latch.why == "x" * 200
    switch.path.unlink()


JUNK = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x00" * 64 + b"\r\n\r\n",
)


def test_whatever_is_sent_the_log_is_lines_of_json(console: Console) -> None:
    """Streamlit and uvicorn wrote on standard error themselves: tracebacks of many lines, no redaction, and
    nothing of it in LOG_FILE."""
    for junk in JUNK:
        with console.raw() as odd:
            odd.sendall(junk)
            odd.recv(4_096)
    url = f"ws://127.0.0.1:{console.port}/_stcore/stream"
    ours = websockets.Origin(f"http://127.0.0.1:{console.port}")
    said: tuple[Any, ...] = ("no protobuf", b"\xff" * 40)
    for words in said:
        with connect(url, origin=ours, open_timeout=30, proxy=None) as odd_tab:
            odd_tab.send(words)
            with suppress(websockets.ConnectionClosed):
                while True:
                    odd_tab.recv(20)
    foreign(console, "https://evil.example.net")
    wanted = ("uvicorn.error", "streamlit.web.server.starlette.starlette_websocket")
    deadline = time.monotonic() + 20
    while not all(name in console.log.read_text() for name in wanted):
        assert time.monotonic() < deadline, console.stderr.read_text()[-4_000:]
        time.sleep(0.2)
    told = [json.loads(line) for line in console.lines()]
    assert [line["logger"] for line in told if "ts" not in line] == []
    assert not any(line["logger"] == "uvicorn.access" for line in told), "a share link's pass is in its path"
    written = {line["logger"] for line in map(json.loads, console.log.read_text().splitlines())}
    assert set(wanted) <= written


# --- every door of Streamlit's ------------------------------------------------------------------------------

HERE: dict[str, str] = {}
STRANGER = {"X-Forwarded-For": "203.0.113.9"}
SERVED = {
    "/_stcore/health": 200, "/_stcore/script-health-check": 200, "/_stcore/metrics": 200,
    "/_stcore/host-config": 200, "/healthz": 200, "/media/{file_id:path}": 404,
    "/_stcore/upload_file/{session_id}/{file_id}": 403, "/component/{path:path}": 404,
    "/_stcore/bidi-components/{path:path}": 404, "/_stcore/stream": 200, "/auth/login": 302,
    "/auth/logout": 302, "/oauth2callback": 302, "/_stcore/agent/interact": 405,
    "/_stcore/agent/openapi.json": 200, "/_stcore/agent/mcp": 405, "": 200,
}  # fmt: skip
"""What a GET of each comes to, whoever asks: Streamlit's doors know no roles, hold nothing of the engine. A
path that is no route of the moment (a script check that is off, a socket asked for without upgrade) gets the
page's empty document; the doors of a provider lead home where there is none; the description of the door for
programs is Streamlit's own text."""
SAID = ("content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy")


def asked(console: Console, method: str, path: str, **headers: str) -> tuple[int, Message, bytes]:
    """Ask for a path as it is spelled; a client of comfort would tidy it up."""
    connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def spelled(route: str) -> str:
    """Return a route's path with something in each place of it."""
    return re.sub(r"\{[^}]*\}", "x", route) or "/"


def test_each_of_streamlits_doors_is_in_the_list() -> None:
    """The list is the one that a new version's route has to get into (``pages/test_routes.py``)."""
    assert SERVED.keys() == STREAMLITS


@pytest.mark.parametrize("route", SERVED)
@pytest.mark.parametrize("who", [HERE, STRANGER], ids=["here", "stranger"])
def test_each_of_streamlits_doors_says_what_a_browser_shall_refuse(
    console: Console, route: str, who: dict[str, str]
) -> None:
    """Without a proxy nothing else says it; and nothing says it twice."""
    status, headers, body = asked(console, "GET", spelled(route), **who)
    assert status == SERVED[route]
    assert {name: len(headers.get_all(name, [])) for name in SAID} == dict.fromkeys(SAID, 1)
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    for secret in (read_token(console.data), "btc-updown", str(console.data)):
        assert secret is not None
        assert secret.encode() not in body


@pytest.mark.parametrize("path", ["/_stcore/agent/interact", "/_stcore/agent/mcp"])
def test_the_door_for_programs_is_shut_to_everybody(console: Console, path: str) -> None:
    """It could press buttons. Whoever asks, from this very machine too."""
    for who in (HERE, STRANGER):
        status, headers, body = asked(console, "POST", path, **who)
        assert status in (400, 403)
        assert b"does not serve the agent API" in body
        assert headers["x-content-type-options"] == "nosniff"


PLACES = ("/component", "/component/x", "/_stcore/bidi-components", "/media", "/static", "/app/static", "")
FILES = {"pyproject.toml": b"[project]", "etc/passwd": b"root:", "dashboard.py": b"FrontDoor"}
UP = ("..%2f", "%2e%2e/", "%2e%2e%2f", "%2f..%2f", "../", "..%5c", "..%252f", "%c0%ae%c0%ae/")


@pytest.mark.parametrize("place", PLACES)
def test_no_path_leads_out_of_what_is_served(console: Console, place: str) -> None:
    """To a file of the repository, or of the machine, however the way up is spelled."""
    for up in UP:
        for file, words in FILES.items():
            for steps in (1, 2, 8):
                status, _, body = asked(console, "GET", f"{place}/{up * steps}{file}")
                assert status < 500
                assert words not in body, (place, up, steps)


def test_nobody_can_upload(console: Console) -> None:
    """Fifty times a megabyte, by a session that anybody can open: none is taken, nothing is kept."""
    ours, body = f"http://127.0.0.1:{console.port}", b"x" * 1_000_000
    memory = psutil.Process(console.process.pid).memory_info
    first = BackMsg()
    first.rerun_script.query_string = ""
    with connect(
        f"ws://127.0.0.1:{console.port}/_stcore/stream", origin=websockets.Origin(ours), open_timeout=60,
        subprotocols=[websockets.Subprotocol("streamlit")], max_size=2**26, proxy=None,
    ) as tab:  # fmt: skip
        tab.send(first.SerializeToString())
        session = ""
        while not session:
            data = tab.recv(60)
            told = ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())
            session = told.new_session.initialize.session_id
        token = console.http.get("/_stcore/host-config").cookies.get("_streamlit_xsrf", "")
        before = memory().rss
        for number in range(50):
            form = {"file": ("x.csv", body, "text/csv")}
            head = {"X-Xsrftoken": token, "Origin": ours, "Cookie": f"_streamlit_xsrf={token}"}
            try:
                answer = console.http.put(
                    f"/_stcore/upload_file/{session}/{number}", files=form, headers=head
                )
                assert answer.status_code == 403
            except httpx.TransportError:
                pass  # it hung up in the midst of it
        grown_mb = (memory().rss - before) / 1e6
    assert grown_mb < GROWN_MB
    assert console.is_well()
