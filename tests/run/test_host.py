"""The engine's thread: what it could not begin with is known when it has been started."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine import events as e
from engine.config import load_settings
from engine.kill import KillSwitch
from engine.run import engine as engine_module
from engine.run.host import EngineHost
from engine.trail import Trail


@pytest.mark.parametrize(
    ("changes", "why"), [({}, "set another DATA_DIR"), ({"dry_run": False}, "DRY_RUN=false")]
)
def test_a_start_that_failed_is_known_when_the_terminal_is_told(
    tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    """Else the console is said to be there as if all were well."""
    (tmp_path / "data").touch()  # no folder: nobody can write there, whoever he is
    settings = load_settings(tmp_path / "no.env", data_dir=tmp_path / "data", metrics_port=0, **changes)
    host = EngineHost(settings, lambda _: None)
    host.start()
    assert why in (host.error or "")
    host.stop(5)


async def test_a_switch_that_is_made_by_hand_is_in_the_trail_when_the_engine_saw_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks up when it was killed finds nothing else."""
    monkeypatch.setattr(engine_module, "KILL_LOOK_EVERY_S", 0.001)
    switch, state = KillSwitch(tmp_path), SimpleNamespace(killed=False, kill_who="")
    heard, told = asyncio.Event(), list[e.KillSwitchChanged]()

    def accept(event: e.KillSwitchChanged) -> None:
        heard.set()
        told.append(event)
        state.killed, state.kill_who = event.latched, event.who

    session: Any = SimpleNamespace(state=state, accept=accept, clock=SimpleNamespace(now_ms=lambda: 1))
    switch.path.touch()
    watching = asyncio.create_task(engine_module._watch_kill(session, switch))
    async with asyncio.timeout(5):
        await heard.wait()
    await asyncio.sleep(0.05)  # many more looks
    watching.cancel()
    (deed,) = Trail(tmp_path).read()[0]
    assert (deed.what, deed.who, deed.why) == ("tripped", "somebody", "the file KILL was made by hand")
    assert [(event.latched, event.why) for event in told] == [(True, deed.why)]
