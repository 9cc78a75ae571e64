"""Stopping and looking from outside, at real processes: signals, commands beside an engine, the doctor."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.events import KillSwitchChanged
from engine.journal_read import read_kinds
from engine.kill import KillSwitch
from engine.trail import Trail
from tests.test_nginx import free_port
from tests.whole.processes import environment, last_json, run_command

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def started(*command: str, cwd: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process of ours; end it, however the test ends."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=cwd,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # as a terminal does, so that Ctrl-C can be sent to all of a command
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def until(holds: Any, patience_s: float = 40.0, every_s: float = 0.02) -> None:
    """Wait for something that has to come; the time is for a busy machine."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(every_s)


def has_session(folder: Path) -> bool:
    return any((folder / "sessions").glob("*.sqlite")) if folder.exists() else False


def tripped_in_journal(folder: Path) -> list[str]:
    """Return who tripped the switch, as the core was told."""
    (journal,) = (path for path in (folder / "sessions").glob("*.sqlite") if ".raw-" not in path.name)
    return [
        record.event.who
        for record in read_kinds(journal, ("kill_switch_changed",))
        if isinstance(record.event, KillSwitchChanged) and record.event.latched
    ]


@pytest.mark.parametrize("command", ["run", "record"])
def test_sigusr1_trips_a_headless_engine_and_it_goes_on(tmp_path: Path, command: str) -> None:
    """Stopped is not ended: the display goes on, and the core knows why nothing is bought."""
    data = tmp_path / "data"
    with started("-m", "engine", command, "--seconds", "60", cwd=tmp_path) as engine:
        until(lambda: has_session(data))
        asked = time.monotonic()
        engine.send_signal(signal.SIGUSR1)
        until(lambda: KillSwitch(data).is_tripped())
        assert time.monotonic() - asked < 5.0
        until(lambda: "SIGUSR1" in tripped_in_journal(data))
        assert engine.poll() is None
        engine.send_signal(signal.SIGUSR1)
        engine.send_signal(signal.SIGTERM)
        stdout, stderr = engine.communicate(timeout=30)
    assert engine.returncode == 0, stderr
    assert json.loads(stdout.splitlines()[-1])["halted"] is None
    assert {deed.what for deed in Trail(data).read()[0]} == {"tripped"}


STUCK = """
import asyncio, sys, time
from pathlib import Path
from engine.run.kill_signal import tripped_by_signal

async def stick():
    print("stuck", flush=True)
    time.sleep(20)

with tripped_by_signal(Path(sys.argv[1])):
    asyncio.run(stick())
"""


def test_the_signal_works_although_the_loop_is_stuck(tmp_path: Path) -> None:
    """A handler of the loop would wait for the loop, which is what has to be stopped."""
    with started("-c", STUCK, str(tmp_path), cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
        process.send_signal(signal.SIGUSR1)
        until(lambda: KillSwitch(tmp_path).is_tripped(), patience_s=10.0)
        assert process.poll() is None, "the loop is still stuck, and the switch is tripped"


def test_sigusr1_and_the_token_reach_the_console(tmp_path: Path) -> None:
    """The server that people really start: its signal, its token, no route without it, and Ctrl-C.

    A terminal sends Ctrl-C to the children as well. They must wait for the server's word: an engine that
    sees its venue go first halts, and wakes somebody for a console that was stopped on purpose.
    """
    data, port = tmp_path / "data", free_port()
    command = ("-m", "streamlit", "run", "dashboard.py", "--server.port", str(port))
    with started(*command, "--server.address", "127.0.0.1", cwd=ROOT, DATA_DIR=str(data)) as console:
        until(lambda: (data / "kill-token").exists() and has_session(data))
        url = f"http://127.0.0.1:{port}/kill"
        assert httpx.post(url, trust_env=False).status_code == 401
        assert not KillSwitch(data).is_tripped()
        console.send_signal(signal.SIGUSR1)
        until(lambda: KillSwitch(data).is_tripped())
        latch = KillSwitch(data).read()
        assert latch is not None
        assert latch.who == "SIGUSR1"
        token = (data / "kill-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.post(url, headers=headers, content="again", trust_env=False)
        assert answer.json()["who"] == "SIGUSR1", "the first reason stays"
        assert console.poll() is None
        os.killpg(console.pid, signal.SIGINT)
        _, stderr = console.communicate(timeout=30)
    assert token not in stderr
    assert '"alarm":"halt"' not in stderr
    assert "Traceback" not in stderr
    assert [deed.who.split(" at ")[0] for deed in Trail(data).read()[0]] == ["SIGUSR1", "kill route"]


@pytest.mark.campaign
def test_commands_work_beside_a_running_engine(tmp_path: Path) -> None:
    """The lock on the data folder is for engines, not for whoever looks or stops."""
    with started("-m", "engine", "run", "--seconds", "90", cwd=tmp_path) as engine:
        until(lambda: has_session(tmp_path / "data"))
        ran = run_command("doctor", "--json", cwd=tmp_path)
        assert ran.returncode == 0, ran.stdout
        lines = {line["check"]: line for line in last_json(ran.stdout)["lines"]}
        assert lines["engine"]["what"].startswith(f"runs: process {engine.pid}, since ")
        assert lines["last session"]["what"].endswith("runs")
        assert last_json(run_command("kill", "--reason", "drill", "--json", cwd=tmp_path).stdout)["latched"]
        until(lambda: any(who.startswith("command line") for who in tripped_in_journal(tmp_path / "data")))
        cleared = run_command("clear-kill", "--phrase", "CLEAR", "--reason", "drill over", cwd=tmp_path)
        assert cleared.returncode == 0, cleared.stderr
        assert engine.poll() is None


def test_a_wrong_setting_does_not_keep_the_kill_switch_away(tmp_path: Path) -> None:
    """Stopping needs the data folder and nothing else."""
    settings = {"HAMMER_SECS": "soon", "DATA_DIR": "elsewhere"}
    assert run_command("kill", "--reason", "now", cwd=tmp_path, **settings).returncode == 0
    assert KillSwitch(tmp_path / "elsewhere").is_tripped()
    wrong = run_command("doctor", "--json", cwd=tmp_path, **settings)
    assert wrong.returncode == 1
    (line,) = (line for line in last_json(wrong.stdout)["lines"] if line["state"] == "fail")
    assert line["what"].startswith("HAMMER_SECS (from the environment)")


def test_clearing_without_a_terminal_takes_phrase_and_reason(tmp_path: Path) -> None:
    """A script that says neither clears nothing; the trail keeps what was refused."""
    assert last_json(run_command("clear-kill", "--json", cwd=tmp_path).stdout)["was_latched"] is False
    run_command("kill", "--why", "looked wrong", cwd=tmp_path)
    switch = KillSwitch(tmp_path / "data")
    for arguments, status in (
        ((), 2),
        (("--phrase", "CLEAR"), 2),
        (("--phrase", "clear", "--reason", "checked"), 1),
        (("--phrase", "CLEAR", "--reason", " "), 1),
    ):
        assert run_command("clear-kill", *arguments, cwd=tmp_path).returncode == status
        assert switch.is_tripped()
    command = ("clear-kill", "--phrase", "CLEAR", "--reason", "checked", "--json")
    assert last_json(run_command(*command, cwd=tmp_path).stdout) == {
        "latched": False,
        "was_latched": True,
        "refused": None,
    }
    assert not switch.is_tripped()
    history = last_json(run_command("kill", "--history", "--json", cwd=tmp_path).stdout)
    assert [deed["what"] for deed in history["deeds"]] == ["tripped", "refused", "refused", "cleared"]
    assert all(deed["who"].startswith("command line") for deed in history["deeds"])
    assert not switch.is_tripped(), "looking at the history trips nothing"


def test_on_a_terminal_clearing_asks(tmp_path: Path) -> None:
    """The operator types the phrase and the reason, and sees what he is asked for."""
    run_command("kill", "--reason", "drill", cwd=tmp_path)
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "engine", "clear-kill", "--json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.close(theirs)
    os.write(ours, b"CLEAR\nchecked everything\n")
    stdout, stderr = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["latched"] is False
    assert b"Type CLEAR" in stderr
    assert "checked everything" in Trail(tmp_path / "data").read()[0][-1].why


@pytest.mark.campaign
def test_the_doctor_finds_an_external_venue_that_is_not_there(tmp_path: Path) -> None:
    """Each line says what is wrong with what, and what to do; the exit status says that something is."""
    port = free_port()
    urls = {
        "RTDS_WS_URL": f"ws://127.0.0.1:{port}",
        "CLOB_WS_URL": f"ws://127.0.0.1:{port}",
        "GAMMA_API_URL": f"http://127.0.0.1:{port}",
        "CLOB_HOST": f"http://127.0.0.1:{port}",
        "SITE_PRICE_URL": f"http://127.0.0.1:{port}",
    }
    ran = run_command("doctor", "--json", cwd=tmp_path, **urls)
    assert ran.returncode == 1
    told = last_json(ran.stdout)
    lines = {line["check"]: line for line in told["lines"]}
    assert told["green"] is False
    for check in ("clock", "market 5m", "market 15m", "socket rtds", "socket clob"):
        assert lines[check]["state"] == "fail", check
        assert lines[check]["todo"], check
    assert lines["geoblock"]["state"] == "warn", "a site that cannot be asked forbids no paper"
    assert not (tmp_path / "data").exists(), "looking makes nothing"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_embedded_venue_ends_quietly_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C reaches a whole process group: the child ends as asked, without an interpreter's last words."""
    with subprocess.Popen(
        [sys.executable, "-m", "engine", "practice", "--seed", "1", "--port", "0", "--with-parent"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as venue:
        assert venue.stdout is not None
        assert "RTDS_WS_URL" in venue.stdout.readline()
        venue.send_signal(number)
        assert venue.wait(20) == 0
        assert venue.stderr is not None
        assert "Fatal" not in venue.stderr.read()
