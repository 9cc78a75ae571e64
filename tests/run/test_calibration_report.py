"""Calibration reports: the figures, the words, the file, and the layer that is never applied unasked."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from benchmarks.sweep import made
from engine.core.decide import DISTANCE, WATCH
from engine.params import Params
from engine.run.calibration import layer as layering
from engine.run.calibration.command import html_of, main, words
from engine.run.calibration.figures import cell_words, edge_figure, figures_of, gates_figure, heat_figure
from engine.run.calibration.moments import TAUS, Candidate, Moment, candidates_of, moments_of
from engine.run.calibration.report import (
    CELL_MOMENTS,
    asks,
    by_gate,
    edge_decay,
    heat,
    reliability,
    report_of,
    scores,
    verdict,
)
from engine.run.calibration.words import asks_words, edge_rows, gate_rows
from engine.run.intervals import exact_share, wilson
from engine.run.sweep import inputs as sweep_input
from tests.run.test_sweep_parity import random_rows
from tests.shared_data import SHARED, needs_recordings


def moment(slug="a", p_up=0.9, ask_up=0.85, *, up=True, tau=15, z=1.5):
    """Return a moment of a window, without a spread; nobody claims an EV of Down."""
    fee, down = 0.07 * ask_up * (1 - ask_up), 1.0 - ask_up
    return Moment(
        slug, 1_000_000, "5m", tau, float(tau), z, p_up, ask_up, down, p_up - ask_up - fee, None, fee, 0.0, up
    )


def windows(count, **facts):
    """Return moments of so many windows, each Up in nine of ten."""
    return [moment(f"w{n}", up=n % 10 != 0, **facts) for n in range(count)]


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_band_is_scipys(case):
    """The band is what the diagram's whole claim rests on."""
    came, n = case
    expected = binomtest(came, n).proportion_ci(method="wilson")
    assert wilson(came, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_both_forecasters_are_scored_on_the_same_moments():
    """An ask that is missing where it would have been wrong must not make the market look better."""
    moments = [
        moment("a", 0.9, 0.85)._replace(ask_down=0.25),
        moment("b", 0.4, 0.3, up=False),
        moment("c", 0.2)._replace(ask_up=None),
        moment("d", 0.2)._replace(ask_down=None),
    ]
    row = scores(moments)[0]
    assert (row["n"], row["n_both_asks"]) == (4, 2)
    assert row["brier"] == pytest.approx((0.1**2 + 0.4**2) / 2)
    assert row["brier_middle"] == pytest.approx((0.2**2 + 0.3**2) / 2), "(.85 + 1 - .25) / 2 is .8"
    assert row["log_loss_middle"] == pytest.approx(-(math.log(0.8) + math.log(0.7)) / 2)
    assert {one["n"] for one in reliability(moments) if one["forecast"] == "middle"} == {1}


def test_moments_without_both_asks_are_counted_by_what_is_missing():
    """The sure favourites that nobody sells are the ones that leave, and a reader has to know how many."""
    sure, other = moment("a", 0.999, 0.99)._replace(ask_up=None), moment("b", 0.4)._replace(ask_up=None)
    down = moment("c", 0.01)._replace(ask_down=None)
    none = moment("d")._replace(ask_up=None, ask_down=None)
    told = asks([sure, other, down, none, moment("e")])
    assert told == {"both": 1, "one": 3, "favourite_unsold": 2, "none": 1}
    assert "Left out: 3 moments with one ask alone (in 2 of them nobody sold" in asks_words(told)


def test_reliability_counts_every_moment_once():
    """Bins, times and forecasters share nothing out twice."""
    moments = windows(50) + windows(20, tau=5, p_up=0.3, ask_up=0.31)
    rows = [row for row in reliability(moments) if row["forecast"] == "p_hat"]
    assert sum(row["n"] for row in rows) == 70
    one = next(row for row in rows if row["tau"] == 15)
    assert (one["said"], one["came"]) == (pytest.approx(0.9), 0.9)
    assert one["low"] < 0.9 < one["high"]


def test_edge_decay_is_of_windows_and_after_fee():
    """Realised edge is payout less ask less fee, whatever was claimed."""
    row = edge_decay(windows(100))[0]
    fee = 0.07 * 0.85 * 0.15
    assert row["claimed"] == pytest.approx(0.05 - fee)
    assert row["realised"] == pytest.approx(0.9 - 0.85 - fee)
    assert row["low"] < row["realised"] < row["high"]
    assert edge_decay(windows(1))[0]["low"] is None, "one window has no interval"
    doubled = edge_decay(windows(100) + windows(100, tau=5))[0]
    assert doubled["windows"] == 100
    assert doubled["high"] == pytest.approx(row["high"]), (
        "twice the moments of the same windows is no more news"
    )


def test_a_run_of_wins_does_not_make_an_edge_certain():
    """Five favourites at 95 cents that all won say next to nothing; an interval of width 0 says all."""
    won = [moment(f"w{n}", 0.97, 0.95) for n in range(5)]
    (row,) = edge_decay(won)
    cost = 0.95 + 0.07 * 0.95 * 0.05
    low, high = exact_share(5, 5)
    assert row["realised"] == pytest.approx(1.0 - cost)
    assert (row["low"], row["high"]) == (pytest.approx(low - cost), pytest.approx(high - cost))
    assert row["low"] < -0.4
    (gate,) = by_gate([Candidate(f"w{n}", 1, WATCH, 0.2 + n / 100, True, cost) for n in range(5)])
    assert (gate["mean"], gate["low"]) == (pytest.approx(1.0 - cost), pytest.approx(low - cost))


def test_an_interval_that_there_is_too_little_for_is_said_to_be():
    """On the page, in the file and in the terminal: an empty cell looks like a narrow one."""
    report = {"edge_decay": edge_decay(windows(1)), "gates": by_gate([Candidate("a", 1, 0, 1.0, True, 0.9)])}
    assert [row["95 % interval"] for row in (*edge_rows(report), *gate_rows(report))] == ["too few"] * 2
    assert "too few" in edge_figure(report)["data"][1]["customdata"][0]
    assert "too few" in gates_figure(report)["data"][0]["customdata"][0]
    report["edge_decay"] = edge_decay(windows(100))
    (row,) = report["edge_decay"]
    assert edge_rows(report)[0]["claimed edge"] == "0.02 to 0.05"
    assert edge_rows(report)[0]["95 % interval"] == f"{row['low']:+.4f} to {row['high']:+.4f}"
    error = edge_figure(report)["data"][1]["error_y"]
    assert error["array"] == [row["high"] - row["realised"]]
    assert error["arrayminus"] == [row["realised"] - row["low"]], "an exact interval is not symmetric"


def test_claimed_and_realised_edge_are_means_of_the_same():
    """A window with many moments in a bucket must not pull what was claimed and leave what came: else an edge
    decays that never did."""
    dear = [moment("a", 0.9, 0.8, tau=tau) for tau in (5, 10, 15, 30)]
    cheap = [moment("b", 0.9, 0.83, up=False)]
    (row,) = [row for row in edge_decay(dear + cheap) if row["from"] == 0.05]
    by_window = [dear[0].edge, cheap[0].edge]
    assert (row["n"], row["windows"]) == (5, 2)
    assert row["claimed"] == pytest.approx(sum(claimed for claimed, _ in by_window) / 2)
    assert row["realised"] == pytest.approx(sum(realised for _, realised in by_window) / 2)


@pytest.mark.parametrize("up", [True, False])
def test_the_better_side_is_taken_before_the_result_is_known(up):
    """Of two sides with the same EV the same one is meant, whichever wins."""
    one = moment("a", 0.5, 0.4, up=up)._replace(ask_down=0.4, ev_down=moment("a", 0.5, 0.4).ev_up)
    assert one.edge[1] == pytest.approx((1.0 if up else 0.0) - 0.4 - one.fee_up)


def test_a_cell_that_is_cut_says_of_how_many():
    """A list that ends at a round number looks whole."""
    (cell,) = heat(windows(CELL_MOMENTS + 1))
    assert len(cell["moments"]) == CELL_MOMENTS
    assert cell_words(cell).endswith(f"the first {CELL_MOMENTS} of {CELL_MOMENTS + 1} moments")
    (whole,) = heat(windows(3, z=9.0))
    assert cell_words(whole) == "15 s before the end, |z| over 5: 3 moments"


def test_the_heat_maps_columns_are_the_times_that_are_looked_at():
    """A column "0-2 s" that can hold nothing looks like seconds without an edge."""
    told = [moment(f"w{tau}", tau=tau)._replace(seconds_left=tau + 2.9) for tau in TAUS]
    assert [cell["tau"] for cell in heat(told)] == list(TAUS)
    figure = heat_figure({"heat": heat(told)}, "claimed")
    assert figure["data"][0]["x"] == ["120 s", "60 s", "30 s", "15 s", "10 s", "5 s"]
    assert None not in figure["data"][0]["z"][0]


def test_a_cell_of_the_heat_map_names_its_moments():
    """The page opens them."""
    cells = heat([moment("a", z=-2.5), moment("b", z=2.2), moment("c", z=math.inf)])
    assert [(c["z_from"], c["n"]) for c in cells] == [(2.0, 2), (5.0, 1)]
    assert cells[0]["moments"] == [["a", 1_000_000], ["b", 1_000_000]]


def test_profit_by_gate_counts_a_candidate_for_each_gate_that_refused_it():
    """And says how many it alone kept out."""
    rows = by_gate(
        [
            Candidate("a", 1, WATCH | DISTANCE, -3.0, False, 0.9),
            Candidate("b", 1, WATCH, 1.0, True, 0.8),
            Candidate("c", 1, 0, 2.0, True, 0.7),
        ]
    )
    told = {row["gate"]: (row["n"], row["alone"], row["total"]) for row in rows}
    assert told == {"watch": (2, 1, -2.0), "distance": (1, 0, -3.0), "trade": (1, 1, 2.0)}


def test_the_verdict_has_a_word_for_each_case():
    """Few windows say nothing, however good they look."""
    assert verdict(windows(10)).startswith("too few to say")
    assert (
        verdict([moment(f"w{n}", 0.99, 0.6) for n in range(100)])
        == "p_hat beats the middle of the market's asks"
    )
    lost = [moment(f"w{n}", 0.6, 0.99) for n in range(100)]
    assert verdict(lost) == "the middle of the market's asks beats p_hat"
    same = verdict(windows(100, ask_up=0.9))
    assert same == "p_hat and the middle of the market's asks cannot be told apart"


def test_a_window_is_looked_at_once_for_each_time():
    """The last moment at or before that time, from the live core's own numbers."""
    trace = made(20, 120)
    moments = moments_of(trace, Params(), (5, 30))
    seen = [(one.slug, one.tau) for one in moments]
    assert len(seen) == len(set(seen)) > 30
    assert {one.seconds_left for one in moments if one.tau == 30} == {30.0}
    assert all(0.0 <= one.p_up <= 1.0 for one in moments)
    assert {type(value) for one in moments for value in (one.p_up, one.z, one.ev_up)} <= {float, type(None)}


def test_candidates_say_which_gates_refused():
    """With every window watched, far enough and cheap enough, candidates trade."""
    trace = made(60, 120)
    strict = Params(watch_return_threshold=0.5, hammer_s=60.0, d_min_usd=1.0)
    assert all(one.gates & WATCH for one in candidates_of(trace, strict))
    loose = strict._replace(watch_return_threshold=1e-9, d_min_usd=1e-9, max_entry_price=0.99)
    gates = [one.gates for one in candidates_of(trace, loose)]
    assert gates
    assert 0 in gates
    for one in candidates_of(trace, loose):
        assert (one.profit > 0) == (one.won - one.cost > 0), "a share and its order end alike"


def test_the_html_file_needs_nothing_else():
    """One file: no script, style or font from another machine."""
    trace = made(40, 120)
    report = {"data": {"windows_without_outcome": 0, "rows_refused": 0}, "layer": None} | report_of(
        trace, Params()
    )
    page = html_of(report)
    assert page.count("Plotly.newPlot(") >= len(figures_of(report)) > 5
    assert page.count("<details>") == len(report["heat"]) > 1
    assert all(cell["moments"][0][0] in page for cell in report["heat"])
    assert "<script src" not in page
    assert "<link" not in page
    assert any("verdict" in line for line in words(report))


# --- the layer ----------------------------------------------------------------------------------------------


def overconfident(count, seed=1):
    """Return moments of a forecaster whose log-odds are twice too large."""
    rng = np.random.default_rng(seed)
    made_ = []
    for n in range(count):
        odds = rng.normal(0.0, 1.0)
        up = bool(rng.random() < 1 / (1 + math.exp(-odds)))
        made_.append(moment(f"w{n}", p_up=1 / (1 + math.exp(-2 * odds)), up=up)._replace(at_ms=n * 1_000))
    return made_


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
def test_a_layer_mends_an_overconfident_forecast_on_later_windows(kind):
    """Fitted on the past, judged on what came after."""
    moments = overconfident(4_000)
    layer = layering.fit(moments[:2_000], kind, 1, 15.0)
    later = [one for one in moments if one.at_ms > layer.fitted_until_ms]
    raw, mended = scores(later)[0], scores(layering.applied(moments, layer))[0]
    assert mended["n"] == raw["n"] < 2_001
    assert mended["log_loss"] < raw["log_loss"]
    if kind == "temperature":
        assert layer.temperature == pytest.approx(2.0, rel=0.1)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_layer_keeps_the_order_of_forecasts(low, high):
    """A correction that turned two forecasts round would say that less is more."""
    first, second = sorted((low, high))
    for layer in LAYERS:
        assert layer.apply(first) <= layer.apply(second) + 1e-12


LAYERS = [layering.fit(overconfident(300), kind, 1, 15.0) for kind in ("temperature", "isotonic")]


def test_a_layer_is_kept_under_its_number_and_never_changed(tmp_path):
    """Two reports that name layer 1 mean the same layer."""
    layering.keep(LAYERS[0], tmp_path)
    assert layering.layers(tmp_path) == [LAYERS[0]]
    with pytest.raises(layering.LayerError, match="there already"):
        layering.keep(LAYERS[1], tmp_path)
    assert "layer 1 (temperature" in LAYERS[0].words


def test_a_layer_is_not_judged_on_what_it_was_fitted_on():
    """In-sample a layer always looks better."""
    moments = overconfident(300)
    with pytest.raises(layering.LayerError, match="later ones only"):
        layering.applied(moments, LAYERS[0])
    with pytest.raises(layering.LayerError, match="too few"):
        layering.fit(moments[:50], "isotonic", 1, 15.0)


# --- the command --------------------------------------------------------------------------------------------


def test_the_command_writes_json_and_html(tmp_path, monkeypatch, capsys):
    """Over two windows there is little to say, and it says so."""
    from engine.run.markets_table import write_markets
    from engine.run.wide_csv import write_rows

    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    rows, table = random_rows(3)
    write_rows(tmp_path / "rows.csv", rows)
    write_markets(tmp_path / "markets.json", table.values())
    files = ["--replay-csv", str(tmp_path / "rows.csv"), "--markets-json", str(tmp_path / "markets.json")]
    files += ["--output-prefix", str(tmp_path / "out" / "report")]
    assert main(files) == 0
    assert "too few to say" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["windows"] == 2
    assert report["layer"] is None
    assert (tmp_path / "out" / "report.html").stat().st_size > 1_000_000
    assert main([*files, "--layer", "7"]) == 2
    (tmp_path / "out" / "report.json").unlink()
    (tmp_path / "out" / "report.html").unlink()
    capsys.readouterr()
    assert main([*files, "--fit", "isotonic"]) == 1, "too few moments for a layer, and enough for a report"
    told = capsys.readouterr()
    assert "too few to say" in told.out
    assert told.err.count("\n") == 1
    assert "no layer was fitted" in told.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["layer"] is None
    assert report["layer_problem"].startswith("no layer was fitted")
    assert "no layer was fitted" in (tmp_path / "out" / "report.html").read_text()


def test_what_cannot_be_done_is_said_before_the_work(tmp_path, monkeypatch, capsys):
    """Half a minute of reading for a report that has no place is half a minute lost."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(sweep_input, "read", lambda *_: pytest.fail("the work began"))
    files = ["--replay-csv", str(tmp_path / "rows.csv"), "--markets-json", str(tmp_path / "markets.json")]
    (tmp_path / "file").touch()
    assert main([*files, "--output-prefix", str(tmp_path / "file" / "report")]) == 2
    assert main([*files, "--output-prefix", str(tmp_path / "x"), "--fit", "isotonic", "--layer", "1"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "--output-prefix" in first
    assert "cannot be written" in first
    assert "--fit" in second
    assert "--layer" in second
    assert not list(tmp_path.glob(".x*")), "the try leaves nothing behind"


@needs_recordings
@pytest.mark.whole
def test_recorded_windows_with_price_and_book_are_too_few_to_say(tmp_path):
    """A recorded window shows the market's price beside p_hat, and no verdict."""
    done = subprocess.run(
        [sys.executable, "-m", "engine", "calibration", "--sessions", f"{SHARED}/sessions/*1hz*",
         "--output-prefix", str(tmp_path / "report"), "--json"],
        capture_output=True, text=True, timeout=170, check=True,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["verdict"].startswith("too few to say")
    assert any(row["n_both_asks"] for row in report["scores"])
