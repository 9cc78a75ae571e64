"""The calibration layer that decides: read once, shown, and nothing but a number among the parameters."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import load_settings
from engine.core import decide as d
from engine.errors import SettingsError
from engine.layer import kept_layer, layer_path
from engine.params import Params
from engine.run.calibration import layer as layering
from engine.run.params_of import changed, values_of
from scripts.smoke_runtime import settings_for

LAYER = layering.Layer(3, "temperature", 1_788_000_000_000, 900, 150, temperature=1.5)
GOOD = d.Numbers(0, 10.0, 70_000.0, 70_020.0, 10.0, 0.90, 0.12, 20.0, 20.0, 0.07, 1.0, 0.0)
chances = st.sampled_from([0.0, 1.0]) | st.floats(1e-12, 1.0 - 1e-12)
temperatures = st.floats(0.05, 20.0)


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No .env of the working directory, and data of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("CALIBRATION_LAYER", raising=False)


def test_without_a_layer_every_bit_is_the_models() -> None:
    """Sessions that were recorded before layers were must replay bit for bit."""
    settings = load_settings()
    assert settings.layer() is None
    assert settings.params().layer_temperature == 1.0
    old = {name: value for name, value in Params()._asdict().items() if name != "layer_temperature"}
    assert Params(**old) == Params()
    p = d.probability_up(GOOD.strike, GOOD.expected, GOOD.deviation)
    assert d.judge(GOOD, Params()).p_up == p


@given(chances, temperatures)
def test_certainty_stays_and_neither_side_is_favoured(p: float, temperature: float) -> None:
    """A second that is known is known; what Up loses Down gains; even odds stay even."""
    made = d.tempered(p, temperature)
    assert 0.0 <= made <= 1.0
    assert made + d.tempered(1.0 - p, temperature) == pytest.approx(1.0, abs=1e-9)
    assert [d.tempered(one, temperature) for one in (0.0, 0.5, 1.0)] == [0.0, 0.5, 1.0]


@given(st.floats(allow_nan=True), st.floats(allow_nan=True))
def test_no_temperature_makes_the_decision_raise(expected: float, temperature: float) -> None:
    """A journal may hold any number: a bad one refuses, and is no exception."""
    d.judge(GOOD._replace(expected=expected), Params(layer_temperature=temperature))


def test_the_decision_follows_the_corrected_number() -> None:
    """z = 2 is .9798; log-odds of 3.88 by 1.5 are .9300, and an ask of 93 cents is no longer cheap."""
    raw, layered = (
        d.judge(GOOD._replace(cost_up=0.93), Params(layer_temperature=temperature))
        for temperature in (1.0, 1.5)
    )
    assert layered.p_up == pytest.approx(0.9300, abs=1e-4)
    assert layered.p_up == LAYER.apply(raw.p_up), "the report and the decision correct alike"
    assert (raw.action, layered.action, layered.gates) == (d.BUY_UP, d.NO_TRADE, d.EV)
    assert layered.z == raw.z


@pytest.mark.parametrize("named", ["layer-3", "3", "layer-3.json", "{path}"])
def test_a_kept_layer_is_taken_up_by_name_or_path(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command keeps is what the setting reads."""
    path = layering.keep(LAYER, tmp_path / "data")
    monkeypatch.setenv("CALIBRATION_LAYER", named.format(path=path))
    settings = load_settings()
    layer = settings.layer()
    assert layer is not None
    assert (layer.version, settings.params().layer_temperature) == (3, 1.5)
    assert "layer 3 (temperature 1.500" in layer.words


def test_what_a_file_says_of_its_fit_changes_no_decision(tmp_path: Path) -> None:
    """A file of before the times of its fit were told is the same layer to the engine, word for word."""
    told = msgspec.structs.replace(LAYER, taus=(5, 10, 15), hammer_s=15.0)
    new = layering.keep(told, tmp_path / "new")
    old = layering.keep(LAYER, tmp_path / "old")
    facts = msgspec.json.decode(old.read_bytes())
    old.write_bytes(
        msgspec.json.encode({name: facts[name] for name in facts if name not in {"taus", "hammer_s"}})
    )
    assert kept_layer(new) == kept_layer(old)
    assert kept_layer(new).words == "calibration layer 3 (temperature 1.500, 150 windows)"


def test_the_smoke_decides_with_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes to a folder of its own, and the layer is one of the data folder's."""
    layering.keep(LAYER, tmp_path / "data")
    monkeypatch.setenv("CALIBRATION_LAYER", "layer-3")
    (tmp_path / "smoke").mkdir()
    settings = settings_for("practice", tmp_path / "smoke")
    assert (settings.data_dir, settings.params().layer_temperature) == (tmp_path / "smoke", 1.5)


def test_a_layer_that_cannot_decide_stops_the_start_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that silently decided without it would not be the one that was asked for."""
    folder = tmp_path / "data"
    layering.keep(layering.Layer(1, "isotonic", 1, 900, 150, points=((0.0, 0.1), (1.0, 0.9))), folder)
    layering.keep(msgspec.structs.replace(LAYER, version=2, temperature=1e9), folder)
    (folder / "calibration" / "layer-4.json").write_text("no layer")
    for named, why in (("1", "isotonic"), ("2", "no fit ends"), ("4", "no calibration layer"), ("5", "read")):
        monkeypatch.setenv("CALIBRATION_LAYER", named)
        with pytest.raises(SettingsError, match=why):
            load_settings()


def test_a_file_that_changes_while_the_engine_runs_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing another parameter builds the settings anew; the layer must stay the one of the start."""
    path = layering.keep(LAYER, tmp_path / "data")
    monkeypatch.setenv("CALIBRATION_LAYER", "3")
    settings = load_settings()
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(LAYER, temperature=9.0)))
    again = changed(settings, values_of(settings) | {"D_MIN": 6.0}, None)
    assert not isinstance(again, str)
    assert again.params() == settings.params()._replace(d_min_usd=6.0)
    path.unlink()
    assert kept_layer(layer_path("3", tmp_path / "data").absolute()).temperature == 1.5
