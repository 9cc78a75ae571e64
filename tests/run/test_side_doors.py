"""The two small servers beside the console, guard and metrics: who gets what, and what answers tell browsers.

The console's own routes are in ``tests/pages/test_routes.py``, the practice venue's control in
``tests/practice/test_control.py``.
"""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from engine import kill_token, metric_server
from engine.kill import KillSwitch
from engine.metrics import Metrics
from engine.run.access import Rules
from engine.run.guard import Guard
from tests.test_nginx import free_port

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ODD")
SAFE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Told(NamedTuple):
    """An answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def asked(port: int, method: str, path: str, headers: dict[str, str] | None = None) -> Told:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return Told(answer.status, {name.lower(): word for name, word in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    assert holds()


def is_sealed(told: Told) -> None:
    """No answer is kept or guessed at, none is a page, and none says which Python gave it."""
    assert {name: told.headers.get(name) for name in SAFE} == SAFE
    assert "python" not in told.headers.get("server", "").lower()
    assert not told.headers.get("content-type", "").startswith("text/html")
    assert b"<" not in told.body[:1]


# --- the guard ---


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("doors")


@pytest.fixture(scope="module")
def guard(folder: Path) -> Iterator[Guard]:
    made = Guard(Rules(str(folder), local=True), 0)
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("path", ["/kill", "/kill-guard", "/metrics", "/"])
@pytest.mark.parametrize("method", METHODS)
def test_the_guard_answers_a_post_to_its_door_and_nothing_else(
    guard: Guard, folder: Path, method: str, path: str
) -> None:
    """Whoever asks: a stranger, another site's page, a script with the token, the console's own page."""
    assert guard.port is not None
    switch = KillSwitch(folder)
    own = {"Origin": f"http://127.0.0.1:{guard.port - 1}"}
    token = {"Authorization": f"Bearer {kill_token.open_token(folder)}"}
    evil = {"Origin": "https://evil.example.net"}
    is_door = method == "POST" and path in ("/kill", "/kill-guard")
    otherwise = 404 if method == "POST" else 501
    for headers, status in (({}, 401), (evil, 403), (token, 200), (own, 200)):
        switch.path.unlink(missing_ok=True)
        told = asked(guard.port, method, path, headers)
        is_sealed(told)
        assert told.status == (status if is_door else otherwise)
        assert switch.is_tripped() is (is_door and status == 200)
        readable = is_door and headers == own
        assert ("access-control-allow-origin" in told.headers) is readable


@pytest.mark.parametrize("line", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70_000])
def test_what_is_no_request_is_answered_like_one_that_is_none_of_its(guard: Guard, line: bytes) -> None:
    """The class's own answer is a page of HTML that quotes what was sent."""
    assert guard.port is not None
    with socket.create_connection(("127.0.0.1", guard.port), timeout=5) as odd:
        odd.sendall(line)
        odd.shutdown(socket.SHUT_WR)
        told = b"".join(iter(lambda: odd.recv(65_536), b""))
    assert b"<" not in told
    assert b'{"latched": null, "error": "' in told
    assert b"python" not in told.lower()


def test_the_guard_takes_no_kill_from_a_name_that_was_made_to_mean_this_machine(
    guard: Guard, folder: Path
) -> None:
    """A page of the internet, which is its own site to the browser, was "console at this machine"."""
    assert guard.port is not None
    switch = KillSwitch(folder)
    switch.path.unlink(missing_ok=True)
    host = f"evil.example.net:{guard.port}"
    told = asked(guard.port, "POST", "/kill", {"Host": host, "Origin": f"http://{host}"})
    assert told.status == 421
    assert not switch.is_tripped()


# --- metrics ---


@pytest.fixture(scope="module")
def metrics_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port, folder = free_port(), tmp_path_factory.mktemp("metrics")
    metrics = Metrics(KillSwitch(folder), folder)
    with metrics.served("127.0.0.1", port):
        yield port


@pytest.mark.parametrize("path", ["/metrics", "/kill", "/"])
@pytest.mark.parametrize("method", METHODS)
def test_the_metrics_server_answers_whoever_looks_and_changes_nothing(
    metrics_port: int, method: str, path: str
) -> None:
    """It asks nobody, which is why it listens on loopback; and it can do nothing but tell."""
    for headers in ({}, {"Origin": "https://evil.example.net"}):
        told = asked(metrics_port, method, path, headers)
        is_sealed(told)
        assert told.status == (200 if method in ("GET", "OPTIONS") else 405)
        assert "access-control-allow-origin" not in told.headers
        assert (b"updown_" in told.body) is (method == "GET")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:9102", 200),
        ("evil.example.net:9102", 421),
        ("127.0.0.1.evil.net", 421),
    ],
)
def test_figures_on_loopback_are_told_to_this_machines_names(
    metrics_port: int, host: str, status: int
) -> None:
    """A page of the internet that lets its name mean 127.0.0.1 could read profit and positions."""
    told = asked(metrics_port, "GET", "/metrics", {"Host": host})
    is_sealed(told)
    assert told.status == status
    assert (b"updown_" in told.body) is (status == 200)


@pytest.fixture
def silent_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(metric_server._Quiet, "timeout", 0.3)
    port = free_port()
    with Metrics(KillSwitch(tmp_path), tmp_path).served("127.0.0.1", port):
        yield port


def test_who_connects_and_says_nothing_holds_few_threads_and_not_for_long(
    silent_ports: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each held one for ever, without bound, in the engine's process. Their end is no event."""
    before = threading.active_count()
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", silent_ports), timeout=10))
            for _ in range(3 * metric_server.CONNECTIONS_MOST)
        ]
        assert all(one.recv(1) == b"" for one in silent), "the server ends them"
        assert threading.active_count() <= before + metric_server.CONNECTIONS_MOST
        until(lambda: threading.active_count() == before)
    assert asked(silent_ports, "GET", "/metrics", {}).status == 200
    assert capfd.readouterr().err == ""


def test_who_speaks_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A letter now and then is never silent for long."""
    monkeypatch.setattr(metric_server, "LONGEST_S", 0.2)
    port = free_port()
    with (
        Metrics(KillSwitch(tmp_path), tmp_path).served("127.0.0.1", port),
        socket.create_connection(("127.0.0.1", port), timeout=3) as slow,
    ):
        slow.sendall(b"GET /metr")
        assert slow.recv(1) == b""
