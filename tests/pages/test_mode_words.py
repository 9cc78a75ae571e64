"""The browser's words for how the engine stands, run as they are shipped, beside Python's own."""

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import playwright
import pytest
from msgspec import structs

from engine import events as e
from engine.snapshot import Snapshot, title_word
from pages.widgets import plain
from tests.browser.fake_truth import past_windows
from tests.core.builders import START_S, Core
from tests.run.pictures import picture

NODE = Path(playwright.__file__).parent / "driver" / "node"
ASSETS = Path(__file__).resolve().parents[2] / "pages/component/assets"
NOW_MS = START_S * 1000
KILL_MS, HALT_MS = 1_750_000_000_000, 1_750_000_060_000
"""15:06:40 and 15:07:40 UTC on 2025-06-15: never today."""
LIVE: dict[str, Any] = {"live": True, "armed": True}


def called(*calls: tuple[str, list[Any]], more: str = "") -> list[Any]:
    """Return what functions of ``mode.js`` give for their arguments; ``more`` is run before them."""
    script = "".join((ASSETS / name).read_text() for name in ("format.js", "mode.js", "money.js"))
    told = ",".join(f"{name}(...{json.dumps(arguments)})" for name, arguments in calls)
    done = subprocess.run(
        [NODE], input=f"{script};{more};console.log(JSON.stringify([{told}]))",
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    answers: list[Any] = json.loads(done.stdout)
    return answers


def standing(killed: bool, halted: str, **account: Any) -> Snapshot:
    """Return a picture of an engine that was stopped in these ways: ``halt``, ``breaker`` or neither."""
    core = Core()
    if killed:
        core.feed(e.KillSwitchChanged(ts_recv_ms=NOW_MS, latched=True, who="ann", why="odd"))
    if halted == "halt":
        core.feed(e.EngineHalted(ts_recv_ms=NOW_MS, why="disk"))
    elif halted == "breaker":
        core.state.breakers["drawdown"] = "down by 60"
    core.state.venue = "external" if "live" in account else "practice"
    core.state.dry_run = "live" not in account
    shown = picture(core)
    return structs.replace(shown, account=structs.replace(shown.account, **account))


def every_standing() -> list[tuple[Snapshot, bool]]:
    """Every way in which an engine can stand, with and without a latch in the file."""
    pictures = []
    accounts: list[dict[str, Any]] = [{}, {"live": True, "armed": True}, {"live": True, "armed": False}]
    for killed, halted, account, paused, reduced, latched in itertools.product(
        (False, True), ("", "halt", "breaker"), accounts, ("", "bob: lunch"), (False, True), (False, True)
    ):
        shown = standing(killed, halted, paused_why=paused, **account)
        mode = structs.replace(shown.mode, reduced_trading_confidence=reduced)
        pictures.append((structs.replace(shown, mode=mode), latched))
    return pictures


def asdict(part: Any) -> dict[str, Any]:
    names = ("mode", "reduced_trading_confidence", "paused_why", "armed")
    return {name: getattr(part, name) for name in names if hasattr(part, name)}


def test_browser_and_server_say_the_same_word_however_the_engine_stands() -> None:
    """The chip, the title and the pages' head are read as one: two words for one state are two states."""
    stands = every_standing()
    calls: list[tuple[str, list[Any]]] = []
    for shown, latched in stands:
        parts = [asdict(shown.mode), asdict(shown.account)]
        calls += [("modeWord", parts), ("titleWord", [*parts, latched])]
    calls += [("titleWord", [None, None, latched]) for latched in (False, True)]
    said = called(*calls)
    for number, (shown, latched) in enumerate(stands):
        assert said[2 * number][0] == shown.word
        assert said[2 * number + 1] == title_word(shown, latched)
    assert said[-2:] == [title_word(None, False), title_word(None, True)] == ["STARTING", "LATCHED"]


def test_browser_and_server_say_the_same_of_what_ends_a_halt() -> None:
    """A restart, or not: said of practice, it was untrue there."""
    stands = [
        standing(True, halted, **account).mode for halted in ("halt", "breaker") for account in ({}, LIVE)
    ]
    names = ("venue", "breakers", "halted_why")
    said = called(*(("wayOut", [{name: getattr(one, name) for name in names}]) for one in stands))
    assert said == [plain.way_out(one) for one in stands]
    assert ["clear-breakers" in one for one in said] == [False, False, False, True]
    assert "A restart of practice ends it" in said[2]
    assert plain.way_out(standing(True, "").mode) == ""


def test_browser_and_server_say_the_same_of_a_window_that_waits() -> None:
    """ "Waiting" beside "served" left open what for."""
    rows = [
        structs.replace(row, outcome_source=by) for row in past_windows(START_S) for by in ("own", "served")
    ]
    said = called(*(("verdictWords", [structs.asdict(row)]) for row in rows))
    assert said == [row.verdict_words for row in rows]
    assert {"waiting for outcome", "waiting for final price"} < set(said)


@pytest.mark.parametrize(
    ("killed", "halted", "word"),
    [
        (True, "", "KILLED"),
        (True, "halt", "KILLED"),
        (True, "breaker", "KILLED"),
        (False, "halt", "HALTED"),
        (False, "breaker", "HALTED"),
        (False, "", "PAUSED"),
    ],
)
def test_what_must_be_known_first_is_the_word(killed: bool, halted: str, word: str) -> None:
    """Killed: somebody stopped it, and somebody has to clear it. Halted: the engine did. Then a pause."""
    assert standing(killed, halted, paused_why="bob: lunch").word == word


def test_the_red_line_says_all_that_stops_it_the_kill_first() -> None:
    """Whoever clears the kill of a halted engine must know that it will still not trade."""
    mode = {
        "mode": "KILLED", "kill_latched": True, "kill_who": "ann", "kill_why": "odd",
        "kill_since_ms": KILL_MS,
        "halted_why": "disk", "halted_since_ms": HALT_MS, "clock_rate": 5,
    }  # fmt: skip
    alive = {"alive": True}
    both, kill, halt, none = called(
        ("alarmWords", [alive, mode, True]),
        ("alarmWords", [alive, mode | {"halted_why": None}, True]),
        ("alarmWords", [alive, mode | {"kill_latched": False, "clock_rate": 1}, True]),
        ("alarmWords", [alive, mode | {"kill_latched": False, "halted_why": None}, True]),
    )
    assert kill == (
        "Killed since 2025-06-15 15:06:40 UTC (wall time) by ann: odd. No order leaves. An operator "
        'clears it: "Clear it…" in the sidebar.'
    )
    assert halt == (
        "Halted by the engine since 2025-06-15 15:07:40 UTC: disk. It will not trade again before a restart."
    )
    assert both == f"{kill} And besides: {halt.replace('UTC', 'UTC (wall time)')}"
    assert none == ""


def test_a_console_without_an_engine_says_that_it_trades_nothing() -> None:
    """Prices on the screen look as alive as ever: the line has to say what they are, and why."""
    said = called(
        ("alarmWords", [{"alive": False, "error": "disk full"}, None, True]),
        ("alarmWords", [{"alive": False, "error": ""}, None, False]),
        ("alarmWords", [{"alive": False, "error": None}, {"kill_latched": True}, False]),
    )
    stopped = "The engine does not run: it was stopped. This console trades nothing."
    assert said == [
        "The engine does not run: disk full. This console trades nothing. What you see below is its last "
        "word.",
        stopped,
        stopped,
    ]


def test_a_console_beside_the_one_that_trades_names_that_one() -> None:
    """It has not failed, and nothing is down: another process trades, and KILL here stops it."""
    engine = {
        "alive": False,
        "state": "elsewhere",
        "error": "trades elsewhere: process 7, console at port 8501, since noon",
    }
    desk = f"Object.assign(killDesk, {{ engine: {json.dumps(engine)}, heardAt: 0 }});"
    kill = (ASSETS / "kill.js").read_text() + desk
    said = called(
        ("alarmWords", [engine, None, False]),
        ("((at) => killDesk.say(at))", [1]),
        ("((at) => { killDesk.engine.killed = true; return killDesk.say(at); })", [1]),
        more=kill,
    )
    line, ready, killed = said
    assert line == (
        "The engine trades elsewhere: process 7, console at port 8501, since noon. This console only looks "
        "on, and KILL stops that one from here too."
    )
    assert (ready["word"], ready["label"]) == ("NOT TRIPPED", "KILL")
    assert (
        "The engine trades elsewhere: process 7, console at port 8501. One click here stops it"
        in ready["detail"]
    )
    assert (killed["word"], killed["latched"]) == ("KILLED", True)
    assert "tripped; the process that trades stops: process 7, console at port 8501." in killed["detail"]


def test_the_time_of_a_pause_is_the_walls_and_says_so_where_the_engines_runs_faster() -> None:
    """Practice's clock is hours ahead after a while: a pause of just now would seem to be of tomorrow."""
    account = {"paused_why": "bob: lunch", "paused_since_ms": KILL_MS}
    fast, plain = called(
        ("modeReason", [{"mode": "PRACTICE", "clock_rate": 5}, account]),
        ("modeReason", [{"mode": "PAPER", "clock_rate": 1}, account]),
    )
    assert fast.startswith("paused since 2025-06-15 15:06:40 UTC (wall time) by bob: lunch")
    assert plain.startswith("paused since 2025-06-15 15:06:40 UTC by bob: lunch")
