"""Engines with a bug, played for some minutes: what a restart forgets, and a breaker that never trips."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.core import breakers
from engine.events import TradingPaused
from engine.run.ledger import rows
from engine.run.pause_file import PauseFile
from engine.sim.campaign import run_all
from engine.sim.script import Action, Script, script_of
from engine.sim.stand_ins import SimulatedSession

pytestmark = pytest.mark.whole


def scripted(*actions: Action, seed: int = 2, until_s: float = 320.0) -> Script:
    """Return a script with these actions alone."""
    script = script_of(seed, 0.4).only(())
    return script._replace(length_s=until_s, actions=actions, kept=tuple(range(len(actions))))


def broken(script: Script) -> tuple[set[str], dict[str, int]]:
    """Play a script in a process of its own, which is forked with what is planted here."""
    ((_, result, _),) = run_all([script], 1)
    return {one["invariant"] for one in result.violations}, result.counts


RESTART = Action(240.0, "restart", {"down_s": 1.0})
PAUSE = Action(200.0, "pause", {"for_s": 100.0})


def rules_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rows, "trusted_rules", lambda _: ())


def pause_not_kept(patch: pytest.MonkeyPatch) -> None:
    def keep(_: PauseFile, event: TradingPaused) -> None:
        del event

    patch.setattr(PauseFile, "keep", keep)


@pytest.mark.parametrize(
    ("plant", "invariant"),
    [
        (rules_forgotten, "recovery loses nothing"),
        (pause_not_kept, "no order under halt or pause"),
    ],
)
def test_what_a_restart_forgets_is_seen(
    monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None], invariant: str
) -> None:
    """The same minutes without the bug break nothing, and have a pause that outlives its engine."""
    script = scripted(PAUSE, RESTART)
    found, counts = broken(script)
    assert found == set()
    assert counts["pauses over a restart"] > 0
    assert counts["recoveries"] > 0
    plant(monkeypatch)
    assert broken(script)[0] == {invariant}


def test_breakers_that_never_trip_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 17 loses two windows in a row."""
    monkeypatch.setattr(breakers, "_streak", lambda *_: "")
    monkeypatch.setattr(breakers, "_drawdown", lambda *_: "")
    assert broken(script_of(17, 0.4))[0] == {"no order under halt or pause"}


def test_an_error_that_nobody_expected_is_no_halt_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """It halts the engine, which is started again two minutes later: for hours nothing would be tested."""

    def fail(_: Any) -> None:
        raise AttributeError("planted")

    monkeypatch.setattr(SimulatedSession, "publish", fail)
    assert broken(scripted())[0] == {"engine failed"}
