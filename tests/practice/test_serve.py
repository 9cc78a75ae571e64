"""The venue as a process: its first line, its log, its end."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from engine.practice.recorded import open_recorded
from engine.practice.serve import serve_forever, serving, urls_of
from tests.practice.session_files import SLUG, event_stream, write

PLAY = """
import sys
from pathlib import Path
from engine import telemetry
from engine.errors import EngineError
from engine.practice.recorded import open_recorded
from engine.practice.serve import serve_forever
telemetry.log_to_stderr("info")
try:
    serve_forever(open_recorded(Path(sys.argv[1])), port=int(sys.argv[2]), speed=5.0, all_updates=False)
except EngineError as error:
    sys.stderr.write(f"{error}\\n")
    raise SystemExit(1)
"""


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return write(tmp_path / f"{SLUG}.json.gz", event_stream())


def start(session: Path, port: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PLAY, str(session), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_first_line_names_the_urls_under_the_settings_names(session):
    """Any client can be pointed at the venue with it; each address answers."""
    process = start(session)
    assert process.stdout is not None
    try:
        urls = json.loads(process.stdout.readline())
        assert list(urls) == [
            "RTDS_WS_URL",
            "CLOB_WS_URL",
            "GAMMA_API_URL",
            "CLOB_HOST",
            "CLOCK_URL",
            "SPOT_URL",
            "SITE_PRICE_URL",
            "POLYBOLT_WS_URL",
            "CLOB_USER_WS_URL",
        ]
        assert httpx.get(urls["CLOCK_URL"]).json()["rate"] == 5
        assert httpx.get(f"{urls['GAMMA_API_URL']}/markets/slug/{SLUG}").json()["slug"] == SLUG
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_a_second_with_status_0(session, number):
    """Also while clients of every sort are connected; and the log is JSON to its last line."""
    process = start(session)
    assert process.stdout is not None
    urls = json.loads(process.stdout.readline())
    with httpx.Client() as client, connect(urls["RTDS_WS_URL"]) as quiet, connect(urls["SPOT_URL"]):
        client.get(urls["CLOCK_URL"])
        assert quiet.recv() == ""
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        took_s = time.monotonic() - began
    assert process.returncode == 0
    assert took_s < 1.5  # half a second of it for a busy machine
    assert out == ""
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert events[0] == "= serving"
    assert "= ending" in events
    assert events.count("x client left") == 2


def test_a_port_in_use_is_one_line_and_status_1(session):
    """Nothing is printed that a parent could take for URLs."""
    first = start(session)
    assert first.stdout is not None
    port = int(json.loads(first.stdout.readline())["CLOB_HOST"].rsplit(":", 1)[1])
    try:
        second = start(session, port)
        out, err = second.communicate(timeout=20)
    finally:
        first.terminate()
        first.communicate(timeout=10)
    assert (second.returncode, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert str(port) in err


def test_another_thread_can_end_it(session, capsys):
    """A child process ends with its parent: the thread that notices sets an event."""
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    serve_forever(open_recorded(session), port=0, speed=1.0, all_updates=False, stop=stop)
    assert set(json.loads(capsys.readouterr().out)) == set(urls_of(1))


def test_a_tape_that_fails_ends_the_process(session):
    """Sockets without a venue behind them would look alive."""
    tape = open_recorded(session)
    tape.contract = lambda slug: None
    with pytest.raises(LookupError):
        serve_forever(tape, port=0, speed=1000.0, all_updates=False)


async def test_nothing_is_left_running(session):
    """A served tape leaves no task behind it."""
    before = len(asyncio.all_tasks())
    tape = open_recorded(session)
    async with serving(tape, port=0, speed=1, all_updates=False) as (urls, _), httpx.AsyncClient() as client:
        await client.get(urls["CLOCK_URL"])
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before
