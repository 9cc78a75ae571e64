"""A run that decides with a calibration layer: it says so, journals it, and replays with it."""

from pathlib import Path

import pytest

from engine.journal_read import read_opening
from engine.run.calibration import layer as layering
from tests.whole.processes import last_json, run_command

pytestmark = pytest.mark.whole


@pytest.mark.campaign
def test_a_layer_is_named_journaled_and_replayed(tmp_path: Path) -> None:
    """Never silently: the log names it, the session's first record holds its number, the proof holds."""
    layering.keep(layering.Layer(1, "temperature", 1, 900, 150, temperature=1.25), tmp_path / "data")
    ran = run_command("run", "--seconds", "6", cwd=tmp_path, CALIBRATION_LAYER="layer-1", PRACTICE_SPEED="30")
    assert ran.returncode == 0, ran.stderr
    assert "calibration layer 1 (temperature 1.250" in ran.stderr
    opening = read_opening(tmp_path / last_json(ran.stdout)["session"])
    assert opening is not None
    assert opening.params["layer_temperature"] == 1.25
    proof = run_command("verify", "--last", cwd=tmp_path)
    assert proof.returncode == 0, proof.stdout + proof.stderr
