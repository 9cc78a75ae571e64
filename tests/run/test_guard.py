"""The guard as its own process, asked over a real socket."""

import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from engine import kill_token, passes
from engine.kill import KillSwitch
from engine.run.access import COOKIE, Rules
from engine.run.guard import Guard

PAGE = {"origin": "http://127.0.0.1:8501"}


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    made = Guard(Rules(str(tmp_path), local=True), 0)
    made.start()
    yield made
    made.stop()


def address(guard: Guard) -> str:
    return f"http://127.0.0.1:{guard.port}/kill"


def test_a_page_of_this_console_trips_the_switch_and_may_read_the_answer(
    guard: Guard, tmp_path: Path
) -> None:
    """The browser hides the answer of another port unless it is allowed to show it."""
    answer = httpx.post(address(guard), content="the spread looks wrong", headers=PAGE)
    latch = KillSwitch(tmp_path).read()
    assert latch is not None
    assert answer.json() == {"latched": True, "who": latch.who, "why": latch.why, "since_ms": latch.since_ms}
    assert latch.who == "console at this machine"
    assert latch.why == "the spread looks wrong (guard)"
    assert answer.headers["access-control-allow-origin"] == PAGE["origin"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"origin": "https://evil.example.net"}, 403), ({"origin": "null"}, 403)],
)
def test_others_are_turned_away_as_by_the_server(
    guard: Guard, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    """The second way in must not be the wider one."""
    answer = httpx.post(address(guard), headers=headers)
    assert answer.status_code == status
    assert status == 401 or "access-control-allow-origin" not in answer.headers
    assert not KillSwitch(tmp_path).is_tripped()


@pytest.mark.parametrize("path", ["/ops/kill", "/ops/kill-guard", "/a/b/kill?x=1", "/kill-guard"])
def test_a_base_path_does_not_shut_the_second_way(guard: Guard, tmp_path: Path, path: str) -> None:
    """The page asks under ``server.baseUrlPath``, and a proxy hands the path on as it came."""
    assert httpx.post(address(guard)[:-5] + path, headers=PAGE).status_code == 200
    assert KillSwitch(tmp_path).is_tripped()


@pytest.mark.parametrize("path", ["/ops", "/kill/other", "/ops/unkill", "/ops/x?y=/kill", "/", "*"])
def test_what_does_not_end_like_the_kill_is_none(guard: Guard, tmp_path: Path, path: str) -> None:
    """Nothing else is here, under no base."""
    assert guard.port is not None
    asked = http.client.HTTPConnection("127.0.0.1", guard.port, timeout=3)
    asked.request("POST", path, headers={"Origin": PAGE["origin"]})
    assert asked.getresponse().status == 404
    asked.close()
    assert not KillSwitch(tmp_path).is_tripped()


def test_a_script_with_the_token_may(guard: Guard, tmp_path: Path) -> None:
    """Same token, same rule; the answer does not tell it."""
    token = kill_token.open_token(tmp_path)
    answer = httpx.post(address(guard), headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert token not in answer.text


@pytest.mark.parametrize(
    ("kill_by", "role", "mark", "status"),
    [
        ("viewer", 1, "v", 200),
        ("viewer", 2, "o", 200),
        ("viewer", 2, "old", 401),
        ("operator", 1, "v", 403),
        ("operator", 2, "o", 200),
        ("anyone", 0, "", 200),
    ],
)
def test_the_guard_asks_who_it_is_as_the_server_does(
    tmp_path: Path, kill_by: str, role: int, mark: str, status: int
) -> None:
    """A browser sends the cookie along, whatever the port; the second way in is no wider than the first."""
    made = Guard(Rules(str(tmp_path), True, kill_by, viewer_mark="v", operator_mark="o"), 0)
    made.start()
    cookie = {"cookie": f"{COOKIE}={passes.issue(tmp_path, role, 'alice', mark, 60)}"}
    answer = httpx.post(address(made), headers=PAGE | cookie)
    made.stop()
    assert answer.status_code == status
    assert KillSwitch(tmp_path).is_tripped() is (status == 200)
    assert status == 403 or answer.headers["access-control-allow-credentials"] == "true"
    assert ("alice" in answer.text) is (status == 200 and role > 0)


def test_a_length_that_is_no_number_does_not_stop_the_kill_for_others(guard: Guard) -> None:
    """Whoever talks to the port may talk anything; the next one still gets through."""
    import socket

    assert guard.port is not None
    with socket.create_connection(("127.0.0.1", guard.port), timeout=3) as odd:
        odd.sendall(
            b"POST /kill HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nContent-Length: x\r\n\r\n"
        )
        odd.recv(100)
    assert httpx.post(address(guard), headers=PAGE).json()["latched"] is True


def test_a_look_trips_nothing(guard: Guard, tmp_path: Path) -> None:
    """Prefetches use GET, and other paths are not the kill."""
    assert httpx.get(address(guard), headers=PAGE).status_code == 501
    assert httpx.post(address(guard)[:-4] + "other", headers=PAGE).status_code == 404
    assert not KillSwitch(tmp_path).is_tripped()


def test_a_latch_that_cannot_be_written_is_an_error_not_a_promise(tmp_path: Path) -> None:
    """The operator must hear that nothing was stopped: no folder can be made there, or it is a file."""
    file = tmp_path / "a file"
    file.write_text("")
    for folder in ("/proc/no-such-place", str(file)):
        made = Guard(Rules(folder, local=True), 0)
        made.start()
        answer = httpx.post(address(made), headers=PAGE)
        made.stop()
        assert answer.status_code == 500, folder
        assert answer.json()["latched"] is None, folder
        assert "could not be written" in answer.json()["error"], folder


def test_it_ends_with_its_pipe_and_starts_on_the_same_port_again(guard: Guard) -> None:
    """Pages know the port; a guard that came back elsewhere would be out of their reach."""
    port, first = guard.port, guard.pid
    guard.stop()
    assert not guard.alive
    deadline = time.monotonic() + 5
    guard.start()
    while not guard.alive:
        assert time.monotonic() < deadline
    assert guard.port == port
    assert guard.pid != first


def test_a_port_that_is_taken_is_replaced(guard: Guard, tmp_path: Path) -> None:
    """Another program may have it: a kill on another port is better than none."""
    assert guard.port is not None
    other = Guard(Rules(str(tmp_path), local=True), guard.port)
    other.start()
    assert other.port not in (None, guard.port)
    other.stop()


KILL = b"POST /kill HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n"


def test_a_kill_does_not_wait_for_its_reason(guard: Guard, tmp_path: Path) -> None:
    """A line that is stuck, or a length that no number holds, ended in no kill at all."""
    import socket

    assert guard.port is not None
    switch = KillSwitch(tmp_path)
    for rest, why in (
        (b"Content-Length: 500\r\n\r\nthe line is ", "the line is"),
        (b"Content-Length: 500\r\n\r\n", "kill route"),
        (b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\nso many", "so many"),
        (b"Transfer-Encoding: chunked\r\n\r\n", "kill route"),
    ):
        switch.path.unlink(missing_ok=True)
        with socket.create_connection(("127.0.0.1", guard.port), timeout=10) as stuck:
            stuck.sendall(KILL + rest)
            assert b" 200 " in stuck.recv(4_096)
        latch = switch.read()
        assert latch is not None
        assert latch.why == f"{why} (guard)"


def test_connections_that_break_off_write_nothing_on_the_servers_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is the server's own: each was a traceback of many lines among the lines of the log."""
    import socket
    import struct

    made = Guard(Rules(str(tmp_path), local=True), 0)
    made.start()
    assert made.port is not None
    for start in (b"POST /ki", KILL + b"Content-Length: 500\r\n\r\nx"):
        odd = socket.create_connection(("127.0.0.1", made.port), timeout=3)
        odd.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
        odd.sendall(start)
        time.sleep(0.05)
        odd.close()
    assert httpx.post(address(made), headers=PAGE).status_code == 200
    time.sleep(0.1)
    made.stop()
    assert capfd.readouterr().err == ""


def test_the_guard_takes_nobody_behind_a_proxy_for_the_operator(tmp_path: Path) -> None:
    """The same rule as the server's."""
    made = Guard(Rules(str(tmp_path), local=True, kill_by="operator"), 0)
    made.start()
    try:
        for name in ("X_Forwarded_For", "Client-IP", "X-Original-Forwarded-For"):
            assert httpx.post(address(made), headers=PAGE | {name: "203.0.113.9"}).status_code == 403
        assert httpx.post(address(made), headers=PAGE).status_code == 200
    finally:
        made.stop()
