"""What ``docker stop`` is told at the end: the console's exit status, as process 1 and below another."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from engine.run.sessions.folder import list_sessions
from tests.proxy import free_port
from tests.whole.processes import environment

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(os.name != "posix", reason="signals and process 1 are of POSIX"),
]

ROOT = Path(__file__).resolve().parents[2]
ALONE = ["unshare", "-pf", "--kill-child", "--mount-proc"]


def may_be_process_1() -> bool:
    """Say whether this user of this machine may have a process 1 of his own."""
    try:
        return subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def console(before: list[str], data: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the Dockerfile's command, on a free port; yield it once its engine has a session."""
    words = ["-m", "streamlit", "run", "dashboard.py", "--server.address=127.0.0.1"]
    started = subprocess.Popen(
        [*before, sys.executable, *words, f"--server.port={free_port()}"],
        cwd=ROOT, env=environment(DATA_DIR=str(data)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not (data / "kill-token").exists() or not list((data / "sessions").glob("*.sqlite")):
            assert started.poll() is None, "it ended"
            assert time.monotonic() < deadline, "no session came"
            time.sleep(0.05)
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.communicate(timeout=20)


def ended(started: subprocess.Popen[str], server: int, data: Path) -> int:
    """Send SIGTERM to the server as ``docker stop`` does; return the status that its parent is told."""
    os.kill(server, signal.SIGTERM)
    _, said = started.communicate(timeout=30)
    assert "Traceback" not in said
    assert [row.status for row in list_sessions(data, None)] == ["ended"], "in order, not by a kill"
    return started.returncode


def test_the_exit_status_of_process_1_is_0(tmp_path: Path) -> None:
    """As docs/deploy/docker.md says of a container without ``--init``.

    The server ends in order and then sends itself the signal again, which tells a parent what ended it. The
    kernel gives process 1 no signal that it has no handler for: it goes on to its last line, and to status 0.
    Where nobody may have a process 1 of his own (``unshare`` needs root, or is not there) this cannot be
    tried: then the same command is asserted to end by the signal, which is the other half of that sentence.
    """
    data = tmp_path / "data"
    alone = may_be_process_1()
    with console(ALONE if alone else [], data) as started:
        server = psutil.Process(started.pid).children()[0].pid if alone else started.pid
        assert ended(started, server, data) == (0 if alone else -signal.SIGTERM)


def test_the_exit_status_below_another_process_is_143(tmp_path: Path) -> None:
    """With ``--init``, or as a service of systemd: ended by SIGTERM, which a shell and Docker call 143."""
    data = tmp_path / "data"
    with console([], data) as started:
        assert ended(started, started.pid, data) == -signal.SIGTERM


def test_the_guide_says_the_same() -> None:
    """Somebody's script looks for it."""
    guide = (ROOT / "docs/deploy/docker.md").read_text()
    assert "The exit status is 0; with `docker run --init` 143." in guide
