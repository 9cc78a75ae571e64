"""What the terminal says as the server starts, and that Ctrl-C is a clean end."""

import signal
from types import SimpleNamespace
from typing import Any

import pytest

from engine.run.lock import Holder
from pages import server_start


class Uvicorn:
    """A server as uvicorn's, as far as Ctrl-C is concerned."""

    def __init__(self) -> None:
        self.should_exit = self.force_exit = False

    def handle_exit(self, _number: int, _frame: Any) -> None:
        self.should_exit = True


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"server.port": 8501, "server.address": "127.0.0.1"}, "http://localhost:8501/ops"),
        ({"server.port": 9000}, "http://localhost:9000/ops"),
        ({"server.port": 9000, "server.address": "0.0.0.0"}, "http://localhost:9000/ops"),
        (
            {"server.port": 443, "server.address": "fd00::1", "server.sslCertFile": "c"},
            "https://[fd00::1]:443/ops",
        ),
    ],
)
def test_the_address_is_one_that_a_browser_here_can_open(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], url: str
) -> None:
    """Nobody can open 0.0.0.0 or a bare IPv6 address."""
    monkeypatch.setattr(server_start, "st", SimpleNamespace(get_option=options.get))
    assert server_start.console_url("/ops") == url


def test_a_console_without_an_engine_says_so_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Else a second console looks like the first until somebody reads its pages."""
    server_start.greet("http://localhost:8501", None)
    server_start.greet("http://localhost:8601", Holder("42", 8501, 0))
    first, second = capsys.readouterr().out.splitlines()
    assert first == "The console is at http://localhost:8501 (Ctrl-C ends it)."
    assert "http://localhost:8601 trades nothing, for another engine has its data" in second
    assert "process 42, console at port 8501" in second


def test_every_failed_start_is_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The console was said to be there as if all were well, above a line of JSON."""
    server_start.greet("http://localhost:8501", None, "DATA_DIR x cannot be written: set another")
    (line,) = capsys.readouterr().out.splitlines()
    assert (
        line
        == "The console at http://localhost:8501 trades nothing: DATA_DIR x cannot be written: set another."
    )


def test_ctrl_c_ends_the_server_in_order_and_a_second_one_at_once() -> None:
    """uvicorn would raise the signal again: Streamlit calls that aborted, and make an error."""
    server, before = Uvicorn(), signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, server.handle_exit)
    try:
        taken = server_start.take_ctrl_c()
        assert taken is not None
        signal.raise_signal(signal.SIGINT)
        assert (server.should_exit, server.force_exit, taken.came) == (True, False, True)
        signal.raise_signal(signal.SIGINT)
        assert server.force_exit
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_stays_what_it_was_where_another_server_runs_the_app() -> None:
    """A handler of somebody else's is not taken away."""
    before = signal.getsignal(signal.SIGINT)
    assert server_start.take_ctrl_c() is None
    assert signal.getsignal(signal.SIGINT) is before
