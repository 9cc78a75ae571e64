"""SIGKILL the engine at moments that nobody chose: each session is proved up to what was durable."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.journal import read_events
from engine.journal_read import session_files
from engine.run.sessions.folder import list_sessions, running_session
from tests.sessions import verify_all
from tests.whole.crash_loop import PayingVenue, crash_loop, ended_by_itself, events_in, tail
from tests.whole.processes import PATIENCE_S, environment, last_json, run_command

pytestmark = pytest.mark.whole

SPEED = "50"

LEAST_DEATHS = 12
"""A loop of few deaths may come to no trade: then another follows, up to so many."""

MANY_DEATHS = 60
"""From so many on, chance finds orders under way and trades; fewer are helped: answers are held back."""

HELD_MS = 400
DIES_AFTER_S = (0.1, 0.35)
"""Seconds from an intent seen to the kill where answers are held: executed by then, and not answered yet."""


def killed(folder: Path, live_s: float) -> tuple[Path, int]:
    """Start the engine, kill it so long after its first event; return its session and how much was read."""
    sessions = folder / "data" / "sessions"
    known = set(session_files(sessions))
    said = folder / "engine.stderr"
    with (
        said.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "engine", "run"],
            cwd=folder,
            env=environment(PRACTICE_SPEED=SPEED, LOG_LEVEL="error"),
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not any(events_in(path) for path in set(session_files(sessions)) - known):
                assert process.poll() is None, ended_by_itself(process, said)
                assert time.monotonic() < deadline, f"no event came; the engine said: {tail(said)}"
                time.sleep(0.02)
            time.sleep(live_s)
            (path,) = set(session_files(sessions)) - known
            seen = events_in(path)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(20)
    return path, seen


def check(folder: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    seen = dict(killed(folder, chance.uniform(0.05, 2.0)) for _ in range(kills))
    for path, least in seen.items():
        records = [record.seq for record in read_events(path)]
        assert records == list(range(1, len(records) + 1)), "a hole"
        assert len(records) >= least, "what another process had read is gone"
    verdicts = verify_all(folder / "data")
    assert len(verdicts) == kills
    assert sum(verdict.decisions for verdict in verdicts) > 0
    rows = list_sessions(folder / "data", running_session(folder / "data"))
    assert {row.status for row in rows} == {"crashed"}


@pytest.mark.campaign
def test_an_engine_that_ends_by_itself_says_why(tmp_path: Path) -> None:
    """A campaign of an hour that fails has to tell more than that it failed; the folder keeps it all."""
    (tmp_path / ".env").write_text("HAMMER_SECS=soon\n")
    with pytest.raises(AssertionError, match=r"(?s)ended by itself with 2: .*HAMMER_SECS"):
        killed(tmp_path, 0.0)
    assert b"HAMMER_SECS" in (tmp_path / "engine.stderr").read_bytes()


@pytest.mark.campaign
def test_three_kills_leave_three_sessions_that_are_proved(tmp_path: Path) -> None:
    """And the command says the same of the last."""
    check(tmp_path, 3, seed=7)
    ran = run_command("verify", "--last", "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    told = last_json(ran.stdout)
    assert (told["identical"], told["status"], told["chain"]) == (True, "crashed", "whole")
    assert told["raw"].startswith("agrees")


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_twenty_kills_leave_twenty_sessions_that_are_proved(tmp_path: Path) -> None:
    """The figure that was asked for; minutes, so not in ``make test``."""
    check(tmp_path, 20, seed=int(time.time()))


class SlowVenue(PayingVenue):
    """Orders are executed at once, and the answers come when the engine is dead."""

    def mend(self) -> None:
        super().mend()
        self.play("slow-order", ms=HELD_MS, what="answer", of="order")


@pytest.mark.campaign
@pytest.mark.timeout(10_800)
def test_no_kill_in_the_midst_of_trading_parts_ledger_and_venue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live orders at the practice venue, ``KILLS`` (200) deaths: after each the next engine knows every trade
    or looks for it, and at the end dollars agree to the millionth. ``.ci/run`` has three."""
    kills = max(1, int(os.environ.get("KILLS", "200")))
    if kills < MANY_DEATHS:
        monkeypatch.setattr("tests.whole.crash_loop.PayingVenue", SlowVenue)
        monkeypatch.setattr("tests.whole.crash_loop.AFTER_INTENT_S", DIES_AFTER_S)
    deaths = trades = in_flight = 0
    while not deaths or (deaths < LEAST_DEATHS and not (trades and in_flight)):
        folder = tmp_path / f"after-{deaths}"
        folder.mkdir()
        figures = crash_loop(folder, kills, seed=int(time.time()))
        with capsys.disabled():
            print(f"\n{figures}")
        deaths, trades, in_flight = deaths + kills, trades + figures.trades, in_flight + figures.in_flight
    assert trades > 0
    assert in_flight > 0, "no engine died with an order under way"
