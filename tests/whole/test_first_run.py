"""What a newcomer gets without any setting: the embedded practice venue and its whole cycle, headless."""

import re
from pathlib import Path
from typing import Any

import pytest

from engine.core.state import State
from engine.core.step import step
from engine.journal import encode_output, read_events, read_meta, read_outputs
from tests.whole.processes import last_json, run_command

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[2]


def test_twenty_seconds_already_yield_decisions(tmp_path: Path) -> None:
    """Everything under one folder, nothing halted, and in the last line what the document says."""
    ran = run_command("run", "--seconds", "20", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    result = last_json(ran.stdout)
    assert sum(result["decisions"].values()) > 50
    assert result["halted"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert read_meta(tmp_path / result["session"])["status"] == "ended"
    check_fields(result)


@pytest.mark.campaign
def test_the_opening_keeps_its_promise_and_the_journal_replays(tmp_path: Path) -> None:
    """A trade that settles, a refusal, a gap, exact boundaries; then the same decisions again, bit for bit.

    Three times as fast as the default, so that the test takes a third; latency and hold scale with it, and so
    does what a busy machine is late by.
    """
    settings = {"PRACTICE_SPEED": "15", "MAX_CLOCK_SKEW_MS": "60000"}
    ran = run_command("run", "--seconds", "45", cwd=tmp_path, **settings)
    assert ran.returncode == 0, ran.stderr
    result = last_json(ran.stdout)
    assert result["fills"] >= 1
    assert result["decisions"]["trade"] >= 1
    assert result["decisions"]["strike"] >= 1, "the 15m window that was running is refused"
    assert result["decisions"]["stale price"] >= 1, "the gap refuses too"
    windows = {window["slug"]: window for window in result["windows"]}
    first, second = sorted(slug for slug in windows if "-5m-" in slug)[1:3]
    assert (windows[first]["strike_source"], windows[first]["final_source"]) == ("exact", "exact")
    assert windows[first]["outcome"] is not None
    assert windows[second]["strike"] == windows[first]["final"]
    assert result["pnl"] != 0.0
    journal = tmp_path / result["session"]
    again = State()
    decided = [
        (record.seq, place, encode_output(effect))
        for record in read_events(journal)
        for place, effect in enumerate(step(again, record))
    ]
    assert decided == [(seq, place, body) for seq, place, _, body in read_outputs(journal)]


def check_fields(result: dict[str, Any]) -> None:
    """Compare the last line with its document: an interface, so nothing may be missing there."""
    document = (ROOT / "docs" / "commands.md").read_text()
    section = document.split("## `python -m engine run")[1].split("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)(?:\[\]|\{[a-z]+\})?`", section))
    assert set(result) <= named
    assert {field for window in result["windows"] for field in window} <= named
