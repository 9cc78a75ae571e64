"""A layer is fitted on the seconds in which the engine decides, and shown with its own two tables."""

import math
from argparse import Namespace

import msgspec
import numpy as np
import pytest

from benchmarks.sweep import made
from engine.config import load_settings
from engine.params import Params
from engine.run.calibration import layer as layering
from engine.run.calibration.command import html_of, layered, render
from engine.run.calibration.moments import TAUS, Moment, hammer_taus
from engine.run.calibration.report import report_of
from engine.run.calibration.words import layer_words

HAMMER_S = 15.0


def moment(slug, p_up, up, tau):
    """Return a moment of a window without a book."""
    return Moment(slug, 1_000_000, "5m", tau, float(tau), 1.0, p_up, None, None, None, None, 0.0, 0.0, up)


def late_right_early_too_sure(count, seed=3):
    """Return windows whose forecasts are right from 15 s before the end, and twice too sure before that."""
    rng, told = np.random.default_rng(seed), []
    for number in range(count):
        odds = rng.normal(0.0, 1.5)
        up = bool(rng.random() < 1 / (1 + math.exp(-odds)))
        for tau in TAUS:
            said = odds if tau <= HAMMER_S else 2 * odds
            told.append(moment(f"w{number}", 1 / (1 + math.exp(-said)), up, tau))
    return told


def test_a_layer_is_fitted_on_the_seconds_in_which_the_engine_decides():
    """Fitted on all times it would make a right forecast half as sure where it decides."""
    moments = late_right_early_too_sure(4_000)
    layer = layering.fit(moments, "temperature", 1, HAMMER_S)
    assert layer.temperature == pytest.approx(1.0, abs=0.06)
    assert (layer.windows, layer.moments) == (4_000, 12_000)
    assert (layer.taus, layer.hammer_s) == ((5, 10, 15), HAMMER_S)
    assert layering.fit(moments, "temperature", 1, 120.0).temperature > 1.4, "of all times it is another"
    corrected = layering.fit(moments, "isotonic", 2, HAMMER_S)
    assert corrected.apply(0.8) == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
def test_windows_are_counted_and_not_their_moments(kind):
    """Three looks at one window are one window: for the least, and for their weight."""
    few = late_right_early_too_sure(34)
    assert len(few) > layering.LEAST, "once enough, counted by moments"
    with pytest.raises(layering.LayerError, match="34 windows with a forecast in hammer time are too few"):
        layering.fit(few, kind, 1, HAMMER_S)
    once = [one for one in late_right_early_too_sure(400) if one.tau in {15, 30}]
    half = {f"w{number}" for number in range(200)}
    once = [one._replace(tau=15) for one in once if (one.tau == 30) == (one.slug in half)]
    thrice = once + [one._replace(tau=tau) for one in once if one.slug in half for tau in (5, 10)]
    first, second = (layering.fit(told, kind, 1, HAMMER_S) for told in (once, thrice))
    for p in (0.1, 0.5, 0.9, 0.99):
        assert second.apply(p) == pytest.approx(first.apply(p), abs=1e-3)


@pytest.mark.parametrize(
    ("hammer_s", "taus"), [(15.0, (5, 10, 15)), (14.9, (5, 10)), (300.0, TAUS), (3.5, (3,)), (0.5, (1,))]
)
def test_an_engine_that_decides_later_than_any_look_is_looked_at_then(hammer_s, taus):
    """A hammer of three seconds has moments of its own."""
    assert hammer_taus(hammer_s) == taus


def test_a_layer_of_before_says_no_times_and_is_read_as_ever(tmp_path):
    """A kept file is never changed, so every file must stay readable."""
    old = {"version": 1, "kind": "temperature", "fitted_until_ms": 5, "moments": 900, "windows": 150,
           "temperature": 1.5, "points": []}  # fmt: skip
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "layer-1.json").write_bytes(msgspec.json.encode(old))
    layering.keep(layering.fit(late_right_early_too_sure(300), "temperature", 2, HAMMER_S), tmp_path)
    first, second = layering.layers(tmp_path)
    assert (first.taus, first.hammer_s) == ((), None)
    assert first.words == "calibration layer 1 (temperature 1.500, fitted on 150 windows)"
    assert second.words.endswith("fitted on 300 windows, 5, 10, 15 s before their end)")


# --- what is shown of it ------------------------------------------------------------------------------------


@pytest.fixture
def layered_report(tmp_path, monkeypatch):
    """Return a report with a layer fitted on its earlier windows, and the settings it was made with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("CALIBRATION_LAYER", raising=False)
    trace = made(400, 20)

    def told(**options):
        settings = load_settings()
        report = {"data": {"windows_without_outcome": 0, "rows_refused": 0}, "html": "report.html"}
        report |= report_of(trace, Params())
        deciding = settings.layer()
        report["decides_with"] = None if deciding is None else deciding.words
        return report | layered(Namespace(**({"fit": None, "layer": None} | options)), settings, trace)

    return told


def test_a_layers_two_tables_are_in_the_terminal_and_in_the_file(layered_report):
    """Scores with and without that are in the JSON alone are shown to nobody."""
    report = layered_report(fit="temperature")
    layer = report["layer"]
    assert not report["layer_problem"]
    assert {row["tau"] for row in layer["raw"]} == {5, 10, 15}, "the times that it was fitted for"
    assert [row["n"] for row in layer["raw"]] == [row["n"] for row in layer["layered"]]
    figures = [f"{row['log_loss']:.4f}" for row in (*layer["raw"], *layer["layered"])]
    assert len(set(figures)) == 6
    for text in (render(report), html_of(report)):
        assert all(figure in text for figure in figures)
        assert "Later windows without the layer" in text
        assert "The same windows with the layer" in text
        assert "is shown beside the raw forecast, and trades nothing" in text


def test_a_layer_that_decides_is_not_said_to_trade_nothing(layered_report, monkeypatch):
    """By the file that the setting names, and not by its number alone."""
    layered_report(fit="temperature")
    layered_report(fit="isotonic")
    monkeypatch.setenv("CALIBRATION_LAYER", "1")
    report = layered_report(layer=1)
    assert report["layer"]["decides"] is True
    assert "is shown beside the raw forecast, and the engine decides with it" in render(report)
    assert "trades nothing" not in html_of(report)
    assert layered_report(layer=2)["layer"]["decides"] is False


def test_a_hammer_longer_than_the_fit_is_said():
    """Seconds that a layer never saw are corrected by a guess."""
    told = {"words": "calibration layer 1", "decides": True, "hammer_s": 15.0, "hammer_s_now": 30.0}
    assert layer_words(told).endswith("it was fitted for 15 s, HAMMER_SECS is 30")
    assert layer_words(told | {"hammer_s_now": 10.0}).endswith("decides with it")
    assert layer_words(told | {"hammer_s": None}).endswith("decides with it")
