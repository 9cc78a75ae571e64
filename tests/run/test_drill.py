"""A drill sees what changed because of the fault, and nothing that was so before."""

from pathlib import Path

import msgspec
import pytest

from engine.config import load_settings
from engine.run.drill import (
    OF_ORDERS,
    OF_POLYBOLT,
    Drill,
    DrillError,
    PracticeControl,
    control_of,
    counts,
    hold,
    kinds,
    risen,
    troubles,
    verdict_of,
)
from engine.snapshot import Snapshot
from tests.browser.fake_engine import SCRIPTS, Market


def picture(tmp_path: Path, script: str) -> Snapshot:
    from engine.kill import KillSwitch

    market = Market(load_settings(tmp_path / "no.env", data_dir=tmp_path), SCRIPTS[script])
    for _ in range(SCRIPTS[script].lead_s):
        market.advance()
    return market.snapshot(0.0, KillSwitch(tmp_path))


class ScriptedControl(PracticeControl):
    """A venue whose fault lasts for so many looks."""

    def __init__(self, looks: int) -> None:
        self.looks, self.ended = looks, 0

    def start(self, drill: Drill) -> int:
        return 7

    def find(self, number: int) -> tuple[bool, dict[str, int]]:
        self.looks -= 1
        return self.looks > 0, {"silenced": 3}

    def end(self, number: int) -> None:
        self.ended += 1


def test_the_faults_that_cannot_be_tried_here_are_faults_of_the_registry() -> None:
    """A renamed fault must not be offered where it can do nothing."""
    assert {kind.name for kind in kinds()} >= OF_ORDERS | OF_POLYBOLT
    assert {kind.name for kind in kinds() if kind.not_here} == OF_ORDERS | OF_POLYBOLT
    assert all(kind.required for kind in kinds())


def test_what_is_wrong_is_named_and_what_is_well_is_not(tmp_path: Path) -> None:
    """A stale feed, a frozen topic, doubted books: each in words that stay the same while it lasts."""
    assert troubles(picture(tmp_path, "live")) == set()
    assert {"twap 60 s frozen", "living on spot"} <= troubles(picture(tmp_path, "fallback"))
    assert {"engine behind its feeds", "chainlink stale"} <= troubles(picture(tmp_path, "stale"))


def test_only_what_rose_counts() -> None:
    """A counter that begins anew after a reconnect is no news."""
    assert risen({"a": 3, "b": 1}, {"a": 2, "b": 2, "c": 0, "d": 1}) == {"b", "d"}


@pytest.mark.parametrize(
    ("noticed", "recovered", "halted", "verdict"),
    [
        (True, True, False, "coped"),
        (False, True, False, "not noticed"),
        (True, False, False, "not recovered"),
        (True, False, True, "stopped"),
    ],
)
def test_the_verdicts(noticed: bool, recovered: bool, halted: bool, verdict: str) -> None:
    """Not to notice is no success, and to halt is no failure."""
    assert verdict_of(noticed, recovered, halted) == verdict


@pytest.mark.parametrize("recovers", [True, False])
def test_a_drill_times_the_notice_and_the_recovery(tmp_path: Path, recovers: bool) -> None:
    """In venue seconds, from the fault's begin and from its end."""
    well, ill = picture(tmp_path, "live"), picture(tmp_path, "stale")
    control = ScriptedControl(looks=6)
    looks = 0

    def latest() -> Snapshot:
        nonlocal looks
        looks += 1
        is_ill = looks > 22 and (control.looks > 0 or not recovers)
        return msgspec.structs.replace(ill if is_ill else well, now_ms=well.now_ms + looks * 500)

    said: list[str] = []
    kind = next(kind for kind in kinds() if kind.name == "stall")
    score = hold(Drill(kind, {"feed": "rtds"}, 30.0), control, latest, said.append, patience_s=2.5)
    assert score.verdict == ("coped" if recovers else "not recovered")
    assert score.noticed_s is not None
    assert (score.recovered_s is not None) is recovers
    assert "chainlink stale" in score.signs
    assert bool(score.left) is not recovers
    assert score.did == {"silenced": 3}
    assert any("begins" in step for step in said)


def test_counts_hold_what_the_engine_counts(tmp_path: Path) -> None:
    """A duplicate changes nothing and is seen by its count alone."""
    assert counts(picture(tmp_path, "stale"))["prices: duplicate"] == 14


def test_without_a_session_there_is_no_venue_to_break(tmp_path: Path) -> None:
    """An external venue is never asked: it has no such call."""
    with pytest.raises(DrillError, match="does not say"):
        control_of(tmp_path, "20260101T000000Z-abcdef")
