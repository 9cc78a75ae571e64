"""The whole console, trading on practice at ten times the clock: random faults, tabs that come and go.

It trades live and armed, by the practice account's key (``soak_trading.py``): order thread, official client,
the account's own channel and every duty run in it. Five sessions of a real Chromium open and close on all
pages while the venue breaks something again and again; not orders, for that may halt an engine rightly.
Every two seconds the server's process is asked what it holds (``soak_console.py``); a few times every tab is
closed, and what is held then is compared: flat or not (``soak_sums.py``).
``python -m benchmarks soak --minutes 20``.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.paint import ROOT
from benchmarks.soak_sums import judged, rests_at
from benchmarks.soak_tabs import Visitors, visitors
from benchmarks.soak_trading import SETTINGS, arm, most_seen, traded, whats_not_done
from engine.nouns import counted

SPEED: Final = 10
SAMPLE_S: Final = 2.0
TABS: Final = 5
REST_S: Final = 12.0
SETTLES_S: Final = 6.0
REST_SAMPLE_S: Final = 0.5
"""A rest, from the closing of all tabs: its first six seconds are the server's, to end their scripts and
sockets; what is seen after that, and after garbage was put away, is what counts."""
PLAN: Final = {"seed": 7, "every": 60, "longest": 120}
"""Of the random faults: a minute of the venue between two on average, each for two at most."""
FIRST_S: Final = 90.0
"""Wall seconds within which everything has to be well before the first fault, and again after the last. As
long the first order is waited for, and then that all tabs are served: on a busy machine an order, good
for a tenth of a second at this speed, leaves before browsers start or not at all."""


def measure(seconds: float = 360.0, tabs: int = TABS) -> dict[str, Any]:
    """Return what the run came to.

    Args:
        seconds: Wall seconds of faults and tabs; 360 are an hour of the venue.
        tabs: Browser sessions at once; 0 needs no browser.
    Returns:
        ``verdict`` (``broken`` where the engine halted, pages failed, no order was sent, fewer tabs than
        asked were open together or no replay had its player, whatever is flat) and ``figures`` (first, last,
        most, slope an hour, flat), ``venue_minutes``, ``faults``, ``orders``, ``fills``, ``ends`` of orders,
        ``tabs_opened``, ``tabs_together`` (the most at one moment, in the browser), ``tabs_served`` (the same
        by the server's word), ``players`` (likewise, of replays), ``pages`` (how many of all),
        ``tab_errors``, ``healed_s``, ``halted``, ``error``, ``armed``, ``restriction`` and ``alarms`` at the
        end, ``reconnects``, ``refused``, ``bad_prices``, ``verdicts`` of settlements, and whether the
        session's proof holds.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder) / "data"
        arm(data)
        venue = stack.enter_context(_venue(Path(folder)))
        console = stack.enter_context(_console(venue, data))
        _until(lambda: _asked(console).get("well") is True, FIRST_S)
        _within(lambda: _status(venue)["orders"] > 0, FIRST_S)
        with visitors(tabs, console) as looking:
            run = Run(console, seconds, looking)
            run.gather(tabs)
            with _broken(venue):
                run.play()
        status = _status(venue)
        healed = _until(lambda: _asked(console).get("well") is True, FIRST_S)
        last = _asked(console)
        stack.close()
        proof, orders = _proof(data), traded(data, status)
    told = judged(run.samples, run.rests)
    not_done = whats_not_done(orders["orders"], looking.together, run.seen, tabs)
    if broken := whats_broken(last, proof) or whats_not_seen(looking, tabs) or not_done:
        told["verdict"] = f"broken: {broken}"
    return told | {
        "seconds": round(run.samples[-1]["at_s"], 1),
        "venue_minutes": round(SPEED * run.samples[-1]["at_s"] / 60, 1),
        # The venue keeps the last ones only; they are numbered from 1, the plan itself among them.
        "faults": max((one["id"] for one in (*status["faults"], *status["faults_ended"])), default=1) - 1,
        **orders,
        "tabs_opened": looking.opened,
        "tabs_together": looking.together,
        "tabs_served": run.seen["tabs"],
        "players": run.seen["players"],
        "pages": len(looking.pages),
        "tab_errors": looking.errors[:5],
        "healed_s": round(healed, 2),
        "proof": proof,
        **{name: last.get(name) for name in ("state", "error", "halted", "reconnects", "refused")},
        **{name: last.get(name) for name in ("armed", "restriction", "alarms")},
        **{name: last.get(name) for name in ("bad_prices", "verdicts", "seq")},
    }


def whats_broken(last: dict[str, Any], proof: str) -> str:
    """Say why a run is none, or nothing: an engine that has stopped is flat too.

    Args:
        last: What the server told at the end.
        proof: What the proof by replay of its session came to.
    """
    if last.get("state") != "running":
        return f"the engine is {last.get('state')}: {last.get('error')}"
    if last.get("halted") is not None:
        return f"the engine halted: {last['halted']}"
    return "" if proof.startswith("identical") else f"the session's proof: {proof}"


def whats_not_seen(looking: Visitors, tabs: int) -> str:
    """Say why nobody looked as was meant, or nothing: a console whose pages fail holds little, and is flat.

    Args:
        looking: Who came and went.
        tabs: How many were to be there at once.
    """
    if looking.errors:
        return f"{counted(len(looking.errors), 'error')} in pages, the first: {looking.errors[0]}"
    return "" if looking.opened >= tabs else f"{looking.opened} of {counted(tabs, 'tab')} opened"


class Run:
    """The run itself: the venue is broken at random, tabs come and go, and the server is asked what it holds.

    ``samples`` are of the whole run; ``rests`` of the moments at which every tab was closed, for a while;
    ``seen`` is the most that the server had at one moment, from the first tab on.
    """

    def __init__(self, console: str, seconds: float, looking: Visitors) -> None:
        self.samples: list[dict[str, Any]] = []
        self.rests: list[list[dict[str, Any]]] = []
        self.seen: Counter[str] = Counter()
        self._console, self._seconds, self._looking = console, seconds, looking
        self._began = time.monotonic()

    def gather(self, tabs: int) -> None:
        """Let so many come, and wait until the server has them all; the run has not begun yet."""

        def are_there() -> bool:
            self._looking.turn(0.0, 0)
            self.seen |= most_seen([_asked(self._console)])
            return self.seen["tabs"] >= tabs and (not tabs or self.seen["players"] > 0)

        _within(are_there, FIRST_S)

    def play(self) -> None:
        """Go on until the time is over; the last thing is a rest."""
        self._began = time.monotonic()
        next_s = 0.0
        for rest_s in rests_at(self._seconds):
            while self._now_s() < rest_s - REST_S:
                served = 0
                if self._now_s() >= next_s:
                    next_s += SAMPLE_S
                    served = self._sample().get("tabs", 0)
                self._looking.turn(self._now_s(), served)
                time.sleep(0.1)
            self.rests.append(self._rest())
            next_s = self._now_s()

    def _rest(self) -> list[dict[str, Any]]:
        """Close every tab, let the server put away what they held, and look at what is left."""
        self._looking.close()
        until_s = self._now_s() + REST_S
        time.sleep(SETTLES_S)
        seen = [self._sample("?collect")]
        while self._now_s() < until_s:
            time.sleep(REST_SAMPLE_S)
            seen.append(self._sample())
        return seen

    def _sample(self, how: str = "") -> dict[str, Any]:
        told = _asked(self._console, how) | {"at_s": self._now_s()}
        self.samples.append(told)
        self.seen |= most_seen([told])
        return told

    def _now_s(self) -> float:
        return time.monotonic() - self._began


@contextmanager
def _broken(venue: dict[str, str]) -> Iterator[None]:
    """Break the venue at random meanwhile."""
    control = f"{venue['CLOB_HOST']}/control/fault"
    httpx.post(control, json={"name": "random", "args": PLAN}, timeout=10).raise_for_status()
    try:
        yield
    finally:
        httpx.delete(control, timeout=10).raise_for_status()


def _proof(data: Path) -> str:
    """Prove what the run recorded."""
    from engine.journal_read import session_files  # noqa: PLC0415 (beside its one use)
    from engine.run.verify.proof import verify  # noqa: PLC0415

    return "; ".join(verify(path).words for path in session_files(data / "sessions")) or "no session"


def _asked(console: str, how: str = "") -> dict[str, Any]:
    """Ask the server what it holds; nothing where it does not answer in time."""
    try:
        with urllib.request.urlopen(f"{console}/soak{how}", timeout=20) as answer:
            told: dict[str, Any] = json.loads(answer.read())
            return told
    except (OSError, urllib.error.URLError):
        return {}


def _until(what: Callable[[], bool], patience_s: float) -> float:
    began = time.monotonic()
    if not _within(what, patience_s):
        raise SystemExit(f"the console was not well within {patience_s:g} s")
    return time.monotonic() - began


def _within(what: Callable[[], bool], patience_s: float) -> bool:
    """Wait for something that may not come; say whether it did."""
    until_s = time.monotonic() + patience_s
    while not what():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.2)
    return True


def _status(venue: dict[str, str]) -> dict[str, Any]:
    """Return what the venue tells of itself."""
    told: dict[str, Any] = httpx.get(f"{venue['CLOB_HOST']}/status", timeout=10).json()
    return told


@contextmanager
def _venue(folder: Path) -> Iterator[dict[str, str]]:
    """Start the practice venue as a process; its URLs by the settings' names."""
    command = [sys.executable, "-m", "engine", "practice", "--port", "0", "--with-parent"]
    command += ["--seed", "11", "--speed", str(SPEED)]
    with subprocess.Popen(
        command, cwd=folder, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            urls: dict[str, str] = json.loads(process.stdout.readline())
            yield urls
        finally:
            process.stdin.close()


@contextmanager
def _console(urls: dict[str, str], data: Path) -> Iterator[str]:
    """Start the console as a process; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "benchmarks/soak_console.py"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    # Then the allocator can tell to the byte what is in use: Python asks it, in place of pools of its own.
    own = SETTINGS | urls | {"DATA_DIR": str(data), "METRICS_PORT": "0", "PYTHONMALLOC": "malloc"}
    with subprocess.Popen(
        command, cwd=ROOT, env=_environment() | own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            _until(lambda: process.poll() is not None or bool(_asked(address)), FIRST_S)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _environment() -> dict[str, str]:
    """Return the variables of a process of ours: no addresses, no settings of anybody's."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    return kept | {"PYTHONPATH": str(ROOT), "ENV_FILE": os.devnull, "SECRETS_FILE": os.devnull}
