"""Commands beside a running engine, real processes: each has its effect, its event, its line of the trail."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from engine.__main__ import app
from engine.core.trading import OrderIntent
from engine.events import (
    AnyEvent,
    ExitAsked,
    KillSwitchChanged,
    LimitsTightened,
    OrderFilled,
    OrderKilled,
    OrderSubmitted,
    TradingPaused,
)
from engine.journal import RecordedOrder, read_orders
from engine.journal_read import read_blocks, read_kinds, records_in
from engine.kill import KillSwitch
from engine.run import commands
from engine.trail import Trail
from tests.whole.processes import last_json, run_command
from tests.whole.test_operation import has_session, started, until

pytestmark = pytest.mark.whole

SLUG = "btc-updown-5m-1790000100"
EAGER = {
    "PRACTICE_SPEED": "15",
    "WATCH_RETURN_THRESHOLD": "0.00001",
    "HAMMER_SECS": "250",
    "D_MIN": "0.5",
    "MAX_TRADES_PER_HOUR": "1000",
    "MAX_LOSS_STREAK": "200",
    "MAX_DRAWDOWN_USD": "100000",
    "MAX_DAILY_LOSS": "100000",
    "LEAST_ROI": "-1",
    "MAX_SURPRISE": "1000",
    "RECORD_RAW": "false",
    "PRICE_STALENESS_THRESHOLD": "60",
    "MAX_CLOCK_SKEW_MS": "60000",
}
"""Settings with which practice buys in every window it can, several times a wall minute.

A busy machine that is 0.2 s late is 3 s late at this speed; what is stale or skewed is not asked here.
"""


def journal_of(folder: Path) -> Path:
    (journal,) = (path for path in (folder / "sessions").glob("*.sqlite") if ".raw-" not in path.name)
    return journal


def events_of(folder: Path, kind: type[Any]) -> list[tuple[int, AnyEvent]]:
    """Return the journal's events of a kind, with their numbers."""
    tag = str(kind.__struct_config__.tag)
    return [(record.seq, record.event) for record in read_kinds(journal_of(folder), (tag,))]


def clock_of(folder: Path) -> int | None:
    """Return the engine's own time when it wrote its last block, ms; None before the first."""
    return clock_in(journal_of(folder))


def clock_in(path: Path) -> int | None:
    for block in read_blocks(path, "number = (SELECT max(number) FROM block WHERE events > 0)"):
        return records_in(path, block)[-1].event.ts_recv_ms
    return None


def is_up(folder: Path) -> bool:
    """Say whether an engine takes commands: its clock ticks, its folder is there."""
    return has_session(folder) and (folder / commands.FOLDER_NAME).is_dir() and clock_of(folder) is not None


NOT_HELD = {"state": "refused", "why": "nothing of it is held"}


@pytest.mark.campaign
def test_every_command_works_beside_a_running_engine(tmp_path: Path) -> None:
    """The engine goes on through all of them, and the trail names who did what, in order."""
    data = tmp_path / "data"

    def ran(*arguments: str) -> dict[str, Any]:
        done = run_command(*arguments, "--json", cwd=tmp_path)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return last_json(done.stdout)

    def refused(*arguments: str) -> dict[str, Any]:
        done = run_command(*arguments, "--json", cwd=tmp_path)
        assert done.returncode == 1, (arguments, done.stdout, done.stderr)
        return last_json(done.stdout)

    with started("-m", "engine", "run", "--seconds", "150", cwd=tmp_path) as engine:
        until(lambda: is_up(data), every_s=0.2)
        for arguments in (
            ("pause", "--reason", "lunch"),
            ("tighten", "MAX_DAILY_LOSS=100", "--reason", "odd day"),
            ("resume", "--reason", "lunch is over"),
        ):
            assert ran(*arguments) == {"state": "taken", "why": ""}, arguments
        assert refused("exit", SLUG, "up", "--least", "0.95", "--reason", "out") == NOT_HELD
        assert ran("disarm")["was_armed"] is False
        assert ran("doctor")["green"] is True
        assert refused("arm", "--minutes", "5", "--phrase", "TRADE LIVE", "--reason", "why")["armed"] is False
        assert ran("kill", "--reason", "drill")["latched"] is True
        until(lambda: len(events_of(data, KillSwitchChanged)) == 1, every_s=0.2)
        assert refused("exit", SLUG, "down", "--least", "0.01", "--reason", "out under kill") == NOT_HELD
        assert ran("clear-kill", "--phrase", "CLEAR", "--reason", "drill over")["latched"] is False
        until(lambda: len(events_of(data, KillSwitchChanged)) == 2)
        assert engine.poll() is None
        engine.send_signal(signal.SIGTERM)
        stdout, stderr = engine.communicate(timeout=40)
    assert engine.returncode == 0, stderr
    assert last_json(stdout)["halted"] is None
    assert [event.paused for _, event in events_of(data, TradingPaused)] == [True, False]  # type: ignore[union-attr]
    ((_, tightened),) = events_of(data, LimitsTightened)
    assert tightened.limits == {"max_daily_loss_usd": 100.0}  # type: ignore[union-attr]
    assert events_of(data, ExitAsked) == []
    deeds = Trail(data).read()[0]
    assert [deed.what for deed in deeds] == [
        "paused", "tightened", "resumed", "refused", "refused", "tripped", "refused", "cleared"
    ]  # fmt: skip
    assert all(deed.who.startswith("command line") for deed in deeds)
    assert list((data / commands.FOLDER_NAME).iterdir()) == []


WRONG_USE = (
    ("tighten", "MAX_DAILY_LOSS", "--json"),
    ("tighten", "MAX_DAILY_LOSS=nan"),
    ("tighten", "MAX_DAILY_LOSS=-1"),
    ("tighten", "HAMMER_SECS=1"),
    ("tighten",),
    ("exit", SLUG, "sideways", "--least", "0.9"),
    ("exit", SLUG, "up", "--least", "1.5"),
    ("exit", SLUG, "up", "--least", "nan"),
    ("exit", SLUG, "up", "--least", "0"),
    ("exit", SLUG, "up"),
    ("exit", "all", "up", "--least", "0.9"),
    ("resume",),
)


def test_wrong_use_and_no_engine_have_their_exit_statuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2 for what cannot be meant, 1 for what was not done; and nothing is made. One of each as a process."""
    monkeypatch.chdir(tmp_path)
    for arguments in WRONG_USE:
        assert CliRunner().invoke(app, arguments).exit_code == 2, arguments
    assert run_command(*WRONG_USE[0], cwd=tmp_path).returncode == 2
    refused = {"state": "refused", "why": "no engine runs here"}
    for arguments in (
        ("pause",),
        ("resume", "--reason", "why"),
        ("tighten", "MAX_DAILY_LOSS=1"),
        ("exit", SLUG, "UP", "--least", "0.9"),
    ):
        told = CliRunner().invoke(app, [*arguments, "--json"])
        assert (told.exit_code, last_json(told.stdout)) == (1, refused), arguments
    ran = run_command("pause", "--json", cwd=tmp_path)
    assert (ran.returncode, last_json(ran.stdout)) == (1, refused)
    assert list(tmp_path.iterdir()) == []


# --- one eager engine for what follows, in this order -------------------------------------------------------


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Eager"]:
    folder = tmp_path_factory.mktemp("eager")
    with started("-m", "engine", "run", "--seconds", "400", cwd=folder, **EAGER) as engine:
        until(lambda: is_up(folder / "data"), patience_s=90.0, every_s=0.3)
        yield Eager(engine, folder)
        assert engine.poll() is None, "it went on through everything"


class Eager(NamedTuple):
    """An engine that buys whenever it can, and its folder."""

    engine: subprocess.Popen[str]
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def deeds(self) -> list[str]:
        return [deed.what for deed in Trail(self.data).read()[0]]


@pytest.mark.campaign
def test_an_exit_sells_what_is_held_also_under_the_kill_switch(eager: Eager) -> None:
    """Getting out must work when everything else is stopped; what was bought afterwards is nothing."""
    data = eager.data
    until(lambda: bool(held_for(data, 90)), patience_s=120.0, every_s=0.2)
    KillSwitch(data).trip("test", "everything stops")
    bought = held_for(data, 60)[-1]
    command = ("exit", bought.slug, bought.outcome.lower(), "--least", "0.01", "--reason", "out")
    ran = run_command(*command, "--json", cwd=eager.folder)
    assert last_json(ran.stdout)["state"] == "taken", ran.stderr
    until(lambda: bool(sales(data)) and bool(sales(data)[0].ends), every_s=0.2)
    (sale,) = sales(data)
    assert sale.intent is not None
    assert (sale.intent.slug, sale.intent.outcome) == (bought.slug, bought.outcome)
    assert sale.was_submitted
    assert isinstance(sale.ends[0][1], OrderFilled | OrderKilled), "sent, whatever the book then held"
    assert eager.deeds() == ["tripped", "exit"]
    clear = ("clear-kill", "--phrase", "CLEAR", "--reason", "sold")
    assert run_command(*clear, cwd=eager.folder).returncode == 0
    until(lambda: len(events_of(data, KillSwitchChanged)) == 2, every_s=0.2)


@pytest.mark.campaign
def test_a_pause_stops_buying_and_a_resume_lets_it_go_on(eager: Eager) -> None:
    """Not in the trail alone: no order is decided between the two, and one is after."""
    data = eager.data
    assert run_command("pause", "--reason", "drill", cwd=eager.folder).returncode == 0
    ((paused, _),) = events_of(data, TradingPaused)
    pass_seconds(data, 400)
    assert run_command("resume", "--reason", "drill over", cwd=eager.folder).returncode == 0
    resumed = events_of(data, TradingPaused)[1][0]
    until(lambda: intents(data)[-1] > resumed, patience_s=90.0, every_s=0.3)
    assert [seq for seq in intents(data) if paused < seq < resumed] == []
    assert eager.deeds()[-2:] == ["paused", "resumed"]


@pytest.mark.campaign
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux whether a process is stopped")
def test_a_kill_while_the_engine_stands_still_holds_when_it_goes_on(eager: Eager) -> None:
    """The latch is there at once; nothing is sent after, although a window since invites to."""
    data = eager.data
    before = len(events_of(data, KillSwitchChanged)), len(events_of(data, TradingPaused))

    def trip() -> None:
        assert run_command("kill", "--reason", "it hangs", cwd=eager.folder).returncode == 0
        assert KillSwitch(data).is_tripped()
        asked = time.monotonic()
        ran = run_command("pause", "--json", cwd=eager.folder)
        assert ran.returncode == 1
        assert "did not take it within 3 s" in last_json(ran.stdout)["why"]
        assert time.monotonic() - asked < 60

    assert events_of(data, OrderSubmitted), "it did send while it might"
    stop_and_kill(eager.engine, trip)
    until(lambda: len(events_of(data, KillSwitchChanged)) == before[0] + 1, every_s=0.2)
    killed = events_of(data, KillSwitchChanged)[-1][0]
    pass_seconds(data, 400)
    assert [seq for seq, _ in events_of(data, OrderSubmitted) if seq > killed] == []
    assert len(events_of(data, TradingPaused)) == before[1], "a command that was withdrawn is not taken later"
    assert eager.deeds()[-1] == "tripped"


def held(folder: Path) -> list[OrderIntent]:
    """Return the orders that bought something."""
    orders = read_orders(journal_of(folder)).values()
    return [
        order.intent
        for order in orders
        if order.intent is not None and any(isinstance(end, OrderFilled) for _, end in order.ends)
    ]


def held_for(folder: Path, least_s: int) -> list[OrderIntent]:
    """Return those whose window goes on for so long; a command takes a second or two of the wall."""
    now_ms = clock_of(folder) or 0
    return [
        order
        for order in held(folder)
        if (int(order.slug.rsplit("-", 1)[1]) + (900 if "-15m-" in order.slug else 300) - least_s) * 1000
        > now_ms
    ]


def sales(folder: Path) -> list[RecordedOrder]:
    orders = read_orders(journal_of(folder)).values()
    return [order for order in orders if order.intent is not None and order.intent.side == "SELL"]


def intents(folder: Path) -> list[int]:
    """Return the numbers of the events that led to an order."""
    return [order.seq for order in read_orders(journal_of(folder)).values() if order.intent is not None]


def pass_seconds(folder: Path, seconds: int) -> None:
    """Wait until the engine's own clock has gone on by so much; 400 hold the invitation of a whole window."""
    first = clock_of(folder) or 0
    until(
        lambda: (clock_of(folder) or 0) >= first + seconds * 1000,
        patience_s=90.0,
        every_s=0.3,
    )


def stop_and_kill(engine: subprocess.Popen[str], trip: Callable[[], None]) -> None:
    """Trip the switch while the engine's process stands still."""
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        while "T" not in Path(f"/proc/{engine.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]:
            time.sleep(0.01)
        trip()
    finally:
        os.kill(engine.pid, signal.SIGCONT)
