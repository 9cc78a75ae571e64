"""The doctor about what stands round the engine: each line says how it is and what to do."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from engine.config import Settings, load_settings
from engine.kill import KillSwitch
from engine.metrics import Metrics
from engine.run.checks import Line
from engine.run.doctor import service as doctor_service
from engine.run.lock import FolderLock
from tests.proxy import free_port
from tests.run.test_watchers import LONG


def lines_of(folder: Path, env_file: Path | None = None, **changes: object) -> dict[str, Line]:
    settings: Settings = load_settings(
        folder / "no.env", data_dir=folder / "data", **{"metrics_port": 0} | changes
    )
    return {line.check: line for line in doctor_service.service_lines(settings, env_file)}


def test_a_misspelt_setting_is_named_with_what_was_meant(tmp_path: Path) -> None:
    """It sets nothing, and a limit that was meant to be low is not."""
    file = tmp_path / "typo.env"
    file.write_text("MAX_DAILY_LOS=10\n")
    line = lines_of(tmp_path, file)["spelling"]
    assert (line.state, "did you mean MAX_DAILY_LOSS?" in line.what, bool(line.todo)) == ("warn", True, True)
    file.write_text("MAX_DAILY_LOSS=10\n")
    assert lines_of(tmp_path, file)["spelling"].state == "pass"


def test_a_port_that_is_taken_is_known_before_the_start(tmp_path: Path) -> None:
    """Unless it is our own engine that has it; 0 asks for none."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = lines_of(tmp_path, metrics_port=port)["metrics"]
        assert (line.state, str(port) in line.what) == ("warn", True)
        assert "METRICS_PORT" in line.todo
    assert lines_of(tmp_path, metrics_port=port)["metrics"].what == f"127.0.0.1:{port} is free"
    assert "none" in lines_of(tmp_path)["metrics"].what


@pytest.mark.parametrize(("body", "state"), [("# HELP\nupdown_up 1\n", "pass"), ("node_load1 1\n", "warn")])
def test_a_port_that_another_program_has_is_not_taken_for_the_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, state: str
) -> None:
    """The engine found it taken, said so once in its log, and serves nothing: a stranger is scraped."""
    monkeypatch.setattr(doctor_service, "METRICS_S", 0.5)
    with serving(body) as port, FolderLock(tmp_path / "data"):
        line = lines_of(tmp_path, metrics_port=port)["metrics"]
    assert line.state == state
    assert str(port) in line.what


@pytest.mark.parametrize(("later_s", "state"), [(0.0, "pass"), (1.0, "pass"), (0.4, "warn"), (90.0, "warn")])
def test_figures_of_another_engine_are_not_taken_for_this_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later_s: float, state: str
) -> None:
    """A second console on the machine has the port: this engine serves none, and its alerts look at that."""
    monkeypatch.setattr(doctor_service, "METRICS_S", 2.0)
    told = Metrics(KillSwitch(tmp_path), tmp_path).exposition().decode()
    own = re.search(r"^process_start_time_seconds (.*)$", told, re.MULTILINE)
    assert own is not None
    body = told.replace(own[1], str(float(own[1]) + later_s))
    with serving(body) as port, FolderLock(tmp_path / "data"):
        line = lines_of(tmp_path, metrics_port=port)["metrics"]
    assert (line.state, "another engine's figures" in line.what) == (state, state == "warn")


@pytest.mark.parametrize(
    ("url", "state", "said"),
    [
        (None, "pass", "not set"),
        ("http://127.0.0.1:9/x", "pass", "is known"),
        ("https://nohost.invalid/key-of-mine", "warn", "cannot be looked up"),
    ],
)
def test_a_webhook_whose_host_nobody_knows_is_said_and_its_address_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str | None, state: str, said: str
) -> None:
    """It was taken without a word; the address is a key."""
    monkeypatch.setattr(doctor_service, "getproxies", dict)
    line = lines_of(tmp_path, alarm_url=url)["alarms"]
    assert (line.state, said in line.what) == (state, True)
    assert "nohost" not in line.what + line.todo
    assert "key-of-mine" not in line.what + line.todo


def test_a_resolver_that_hangs_does_not_hold_the_doctor_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network a look-up may take half a minute."""
    ended = Event()
    monkeypatch.setattr(doctor_service, "LOOK_UP_S", 0.05)
    monkeypatch.setattr(doctor_service, "getproxies", dict)
    monkeypatch.setattr(doctor_service.socket, "getaddrinfo", lambda *_: ended.wait(5))
    line = lines_of(tmp_path, alarm_url="https://hooks.example.com/x")["alarms"]
    ended.set()
    assert (line.state, "no answer" in line.what) == ("warn", True)


def test_a_port_where_nobody_answers_serves_no_figures(tmp_path: Path) -> None:
    """As after an engine could not have it, and whoever had it has ended."""
    with FolderLock(tmp_path / "data"):
        line = lines_of(tmp_path, metrics_port=free_port())["metrics"]
    assert (line.state, "restart" in line.todo) == ("warn", True)


@contextmanager
def serving(body: str) -> Iterator[int]:
    """Answer every GET with a text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("host", "state"), [("192.0.2.1", "warn"), ("no.such.host.invalid", "warn")])
def test_an_address_that_is_not_ours_is_said(tmp_path: Path, host: str, state: str) -> None:
    """A name that nobody knows is no crash of the doctor."""
    assert lines_of(tmp_path, metrics_host=host, metrics_port=9_102)["metrics"].state == state


@pytest.mark.parametrize(
    ("before_s", "state"), [(8 * 86_400, "pass"), (6 * 86_400, "warn"), (0, "fail"), (-60, "fail")]
)
def test_a_certificate_is_spoken_of_a_week_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before_s: int, state: str
) -> None:
    """Expired, nobody reaches the kill button without a warning of his browser."""
    ends = datetime(2126, 11, 5, 8, 33, 2, tzinfo=UTC).timestamp()
    monkeypatch.setattr(doctor_service.time, "time", lambda: ends - before_s)
    path = tmp_path / "tls.pem"
    path.write_text(LONG)
    line = lines_of(tmp_path, tls_cert_file=path)["certificate"]
    assert (line.state, "2126-11-05" in line.what, bool(line.todo)) == (state, True, state != "pass")


def test_a_certificate_that_cannot_be_read_is_a_warning_and_none_is_no_line(tmp_path: Path) -> None:
    """Not knowing is no reason to keep somebody from going live; nor is serving without a proxy."""
    line = lines_of(tmp_path, tls_cert_file=tmp_path / "gone.pem")["certificate"]
    assert (line.state, "No such file" in line.what, "PEM" in line.todo) == ("warn", True, True)
    assert "certificate" not in lines_of(tmp_path)


def test_a_host_of_metrics_that_is_none_is_named(tmp_path: Path) -> None:
    """The doctor ended with a traceback, or sent the reader to another port."""
    for host in ("a..b", "[::1]", "0.0.0.0:9102"):
        line = lines_of(tmp_path, metrics_host=host, metrics_port=free_port())["metrics"]
        assert (line.state, line.what.partition(" is no address")[0]) == ("warn", f"METRICS_HOST {host}")
