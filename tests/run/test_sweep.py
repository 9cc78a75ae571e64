"""The sweep's command: grids, figures, honesty, interruption; the same result on every path."""

import csv
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sweep import made
from engine.config import Settings, bounds_of
from engine.params import Params
from engine.run.markets_table import read_markets
from engine.run.row_records import records_of_rows
from engine.run.sweep import honesty
from engine.run.sweep import report as sweep_report
from engine.run.sweep.grid import KEYS, SweepError, configuration, grid_of, model_of
from engine.run.sweep.metrics import FIGURES, column, drawdown, figures
from engine.run.sweep.options import EXAMPLES
from engine.run.sweep.play import (
    WORTH_COMPILING,
    Configuration,
    best_path,
    loaded,
    numba_is_there,
    play,
)
from engine.run.sweep.run import Plan, Watch, chunks_of, play_chunk, play_one, run
from engine.run.sweep.spread import here, over_dask
from engine.run.sweep.trace import Window, trace_of
from engine.run.sweep.words import SHAPES, render, still_words
from engine.run.wide_csv import read_rows
from tests.run.sweep_files import EAGER_GRID, SEED_GRID, files_in, swept
from tests.run.sweep_workers import DEADLY, AllDie, Dies, buried
from tests.run.test_sweep_parity import DATA

NAMES = ("hammer_secs", "d_min", "watch_return_threshold")
VALUES = [(h, d, w) for h in (15.0, 60.0) for d in (0.5, 5.0) for w in (0.0001, 0.0005, 0.001)]


@pytest.fixture(scope="module")
def trace():
    """A small random market."""
    return made(40, 120)


@pytest.fixture
def files(tmp_path):
    """A CSV of two windows with their markets table."""
    return files_in(tmp_path)


def plan(path="plain"):
    return Plan(NAMES, Configuration(Params()), path)


def watch(folder, tell=lambda _: None):
    return Watch(folder, "one", len(VALUES), tell)


# --- grids --------------------------------------------------------------------------------------------------


def test_the_seeds_own_grid_is_understood():
    """Its README's example has to work as it stands."""
    grid = grid_of(SEED_GRID)
    assert grid.size == 48
    tried = configuration(grid.names, next(grid.combinations()), Configuration(Params()))
    assert (tried.params.hammer_s, tried.params.d_min_usd, tried.fee_bps) == (10.0, 3.0, 8.0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{}", "empty"),
        ("[]", "empty"),
        ("{", "not JSON"),
        ('{"hammer_sec": [1]}', "unknown in the grid: hammer_sec"),
        ('{"hammer_secs": []}', "hammer_secs has no value"),
        ('{"hammer_secs": [10, "x"]}', "'x' is not a number"),
        ('{"hammer_secs": [true]}', "not a number"),
        ('{"max_entry_price": [0.995]}', "at most 0.99"),
        ('{"d_min": [0]}', "not above 0"),
        ('{"d_min": [3, 3.0]}', "twice"),
        ('{"d_min": 3, "hammer_secs": 5, "d_min": 4}', "twice in the grid: d_min"),
        ('{"sigma_short_s": [25, 60]}', "25 is not at least 30"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused_by_name(text, why):
    """A typing error must not become a sweep over nothing."""
    with pytest.raises(SweepError, match=why):
        grid_of(text)


def test_a_grid_is_a_word_however_deep_its_brackets_are():
    """It is read twice, for names that are there twice; the readers give up at different depths."""
    for depth in range(900, 1_010, 5):
        with pytest.raises(SweepError):
            grid_of('{"hammer_secs": ' + "[" * depth + "1" + "]" * depth + "}")


def test_every_key_sets_something():
    """A name that changes nothing would be swept in vain."""
    base = Configuration(Params())
    for name, key in KEYS.items():
        changed = configuration([name], (0.4 if key.low < 0.4 <= key.high else key.high - 1.0,), base)
        assert changed != base, name
        assert (model_of(changed) != model_of(base)) == key.is_model, name


def test_a_grid_allows_what_the_settings_do():
    """What is found by a sweep has to be something that can be set."""
    of = {key.field: key for key in KEYS.values()}
    checked = 0
    names = {"HAMMER_SECS": "hammer_s", "D_MIN": "d_min_usd", "PRICE_MEMORY": "memory"}
    names |= {"PRICE_STALENESS_THRESHOLD": "price_stale_s", "VENUE_HOLD_MS": "hold_ms"}
    for setting in Settings.model_fields:
        key, bounds = of.get(names.get(setting.upper(), setting)), bounds_of(setting)
        if key is None or setting == "fee_bps":
            continue
        checked += 1
        if bounds.least is not None:
            assert key.low > bounds.least or (
                key.low == bounds.least and not (bounds.above and key.low_itself)
            ), setting
        if bounds.most is not None:
            assert key.high < bounds.most or (key.high == bounds.most and not bounds.below), setting
    assert checked >= 13


# --- figures ------------------------------------------------------------------------------------------------


def test_figures_are_those_of_an_independent_computation(trace):
    """The same metrics from a table of trades with pandas, written from docs/sweep.md alone."""
    tried = configuration(NAMES, (60.0, 0.5, 0.0001), Configuration(Params()))
    out = play(loaded(trace, "plain"), tried, 1)
    up = np.array([bool(window.up) for window in trace.windows])
    told = figures(out, up)
    names = "orders filled side probability claimed_ev usd shares fee profit".split()
    table = pd.DataFrame({name: column(out, name) for name in names})
    table["up"] = up
    trades = table[table.filled == 1].copy()
    assert len(trades) > 10
    trades["won"] = (trades.side == 1) == trades.up
    said = trades.probability.where(trades.won, 1 - trades.probability)
    payout = trades.shares.where(trades.won, 0.0)
    assert np.allclose(trades.profit, payout - trades.usd - trades.fee)
    expected = {
        "windows": len(table),
        "orders": table.orders.sum(),
        "trades": len(trades),
        "trade_frequency": len(trades) / len(table),
        "fill_rate": len(trades) / table.orders.sum(),
        "win_rate": trades.won.mean(),
        "ev_error": (trades.claimed_ev - trades.profit / trades.shares).mean(),
        "total_pnl": table.profit.sum(),
        "drawdown": (table.profit.cumsum().cummax().clip(lower=0) - table.profit.cumsum()).max(),
        "fees": trades.fee.sum(),
        "turnover": trades.usd.sum(),
        "brier": ((trades.probability - trades.won) ** 2).mean(),
        "log_loss": -np.log(said.clip(1e-6, 1 - 1e-6)).mean(),
        "sharpe": table.profit.mean() / table.profit.std(),
    }  # fmt: skip
    assert set(expected) == set(FIGURES)
    assert {name: pytest.approx(value) for name, value in expected.items()} == told


def test_figures_of_no_trade_are_unknown(trace):
    """Zero dollars and a zero error would read as a result."""
    tried = configuration(NAMES, (15.0, 9_999.0, 0.9), Configuration(Params()))
    told = figures(play(loaded(trace, "plain"), tried, 1), np.ones(40, bool))
    assert told["trades"] == 0
    assert {
        told[name] for name in FIGURES if name not in ("windows", "orders", "trades", "trade_frequency")
    } == {None}


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30))
def test_a_drawdown_is_the_worst_stretch(profits):
    """It equals the worst sum of any run of windows, turned round."""
    worst = min(
        0.0, *(sum(profits[a:b]) for a in range(len(profits)) for b in range(a + 1, len(profits) + 1))
    )
    assert drawdown(np.array(profits)) == pytest.approx(-worst, abs=1e-6)


def test_a_worse_assumption_never_costs_less_luck(trace):
    """Touch fills every order; a miss of every order fills none."""
    ready = loaded(trace, "plain")
    tried = configuration(NAMES, (60.0, 0.5, 0.0001), Configuration(Params()))
    touched = play(ready, tried, 0)
    assert column(touched, "filled").sum() == column(touched, "orders").sum() > 0
    missed = play(ready, tried._replace(miss_probability=1.0), 1)
    assert column(missed, "filled").sum() == 0
    assert column(missed, "missed").sum() == column(missed, "orders").sum() > 0


def test_a_fee_in_the_grid_replaces_the_schedule_and_says_so(trace):
    """Seed: ``fee_bps`` is swept; the market's schedule must not be paid on top of it."""
    ready = loaded(trace, "plain")
    tried = configuration((*NAMES, "fee_bps"), (60.0, 0.5, 0.0001, 50.0), Configuration(Params()))
    out = play(ready, tried, 1)
    kept = out[column(out, "filled") > 0]
    assert column(kept, "fee") == pytest.approx(column(kept, "usd") * 0.005, abs=1e-6)
    assert "instead of each market's schedule" in sweep_report.fee_words(("fee_bps",), (50.0,))


# --- honesty ------------------------------------------------------------------------------------------------


def test_held_out_windows_are_the_last_ones_and_folds_follow_each_other():
    """Nothing may be chosen on what came later."""
    windows = [
        Window(f"w{n}", n * 300, (n + 1) * 300, 0, 0, 0.07, 1.0, 0.0, None, fee_known=True)
        for n in range(100)
    ]
    parts = honesty.split_in_time(windows)
    assert (list(parts.chosen_on), list(parts.held_out)) == (list(range(70)), list(range(70, 100)))
    assert not parts.dropped
    assert [one for fold in parts.folds for one in fold] == list(range(100))


def test_the_best_of_many_without_an_edge_is_deflated():
    """200 configurations of pure luck: the best one's plain score looks sure, the deflated one does not."""
    rng = np.random.default_rng(5)
    profits = rng.normal(0.0, 1.0, (200, 250))
    sharpes = [float(p.mean() / p.std(ddof=1)) for p in profits]
    best = int(np.argmax(sharpes))
    alone = honesty.deflated([sharpes[best]], profits[best], 1)["probability"]
    among = honesty.deflated(sharpes, profits[best], 200)["probability"]
    assert alone > 0.99
    assert among < 0.8
    edge = profits[0] + 0.5
    assert honesty.deflated(sharpes, edge, 200)["probability"] > 0.95


def test_the_expected_luck_is_that_of_a_simulation():
    """Bailey and Lopez de Prado's formula against the mean best of 50 standard normals: 2.249."""
    assert honesty.expected_of_luck(1.0, 50) == pytest.approx(2.249, abs=0.03)
    assert honesty.expected_of_luck(1.0, 1) == 0.0


def test_intervals_verdicts_and_plateaus_in_words():
    """Each word stands for one case."""
    assert honesty.interval(np.full(50, 2.0), range(50), 1) == (2.0, 2.0)
    low, high = honesty.interval(np.random.default_rng(1).normal(0, 1, 400), range(400), 1)
    assert low < 0 < high
    sure, expected = honesty.Wins(50, 49, 40.0, 0.049), honesty.Wins(50, 50, 49.0, 0.31)
    assert honesty.verdict(0, None, None, sure).endswith(honesty.NO_DIFFERENCE)
    assert honesty.verdict(5, (1.0, 2.0), 0.99, sure).startswith("too few to say")
    assert honesty.verdict(50, (1.0, 2.0), 0.99, sure).startswith("better")
    assert honesty.verdict(50, (1.0, 2.0), 0.5, sure).endswith("no more than the luck of so many tries")
    assert honesty.verdict(50, (1.0, 2.0), 0.99, expected).endswith("at these prices: chance 0.31")
    assert honesty.verdict(50, (1.0, 2.0), None, expected).count(";") == 1, "both doubts are said"
    assert honesty.verdict(50, (-2.0, -1.0), 0.99, sure).startswith("worse")
    assert honesty.verdict(50, (-2.0, 1.0), 0.99, sure) == honesty.NO_DIFFERENCE
    grid = grid_of('{"hammer_secs": [5, 10, 15]}')
    profits = {(5.0,): 8.0, (10.0,): 10.0, (15.0,): 9.0}
    assert honesty.plateau(grid, (10.0,), profits)["shape"] == "plateau"
    assert honesty.plateau(grid, (10.0,), profits | {(5.0,): -5.0})["shape"] == "peak"


@pytest.mark.parametrize("around", [-3.0, None])
@pytest.mark.parametrize("own", [-1.0, 0.0])
def test_a_best_one_that_lost_money_is_no_peak(own, around):
    """Its neighbours lost more, or did not trade at all: that they did much worse is not its virtue."""
    grid = grid_of('{"hammer_secs": [5, 10, 15]}')
    told = honesty.plateau(grid, (10.0,), {(5.0,): around, (10.0,): own, (15.0,): around})
    assert (told["shape"], told["neighbours"], told["neighbours_mean"]) == ("loss", 2, around or 0.0)
    assert "lost money on the windows to choose on" in SHAPES[told["shape"]]
    alone = honesty.plateau(grid_of('{"hammer_secs": 10}'), (10.0,), {(10.0,): own})
    assert (alone["shape"], alone["neighbours_mean"]) == ("loss", None)


def test_robust_ranges_of_nothing_are_undefined():
    """No range is better than one made of nothing."""
    assert honesty.ranges(grid_of(SEED_GRID), []) == dict.fromkeys(grid_of(SEED_GRID).names, "undefined")
    assert honesty.best([None, None]) is None
    assert honesty.top([1.0, None, 3.0, 2.0, 0.0, -1.0]) == [2]


def test_walking_forward_chooses_by_the_past_alone():
    """The configuration that is best later is not chosen before."""
    told = honesty.walk_forward([(5, 5, -1, -1), (-5, -5, 30, 9)], [(1, 1, 1, 1), (1, 1, 1, 1)])
    assert [(one["run"], one["total_pnl"]) for one in told] == [(0, 5), (0, -1), (1, 9)]


# --- where it is played -------------------------------------------------------------------------------------


def csv_of(rows):
    return sweep_report.csv_text(NAMES, rows)


@pytest.mark.campaign
def test_dask_gives_the_same_bytes(trace, tmp_path):
    """Two workers in processes of their own."""
    pytest.importorskip("distributed")
    runs = list(enumerate(VALUES))
    alone = csv_of(run(trace, plan(), runs, here, watch(tmp_path / "a")))
    assert csv_of(run(trace, plan(), runs, over_dask("local", 2), watch(tmp_path / "b"))) == alone


def test_a_cluster_that_nobody_answers_for_is_said(trace, tmp_path, monkeypatch):
    """A wrong address is a clear word, not a trace of calls."""
    pytest.importorskip("distributed")
    monkeypatch.setattr("engine.run.sweep.spread.CONNECT_S", 0.5)
    with pytest.raises(SweepError, match=r"Dask at tcp://127\.0\.0\.1:9"):
        run(trace, plan(), list(enumerate(VALUES)), over_dask("tcp://127.0.0.1:9", 1), watch(tmp_path))


def test_an_interrupted_sweep_is_taken_up(trace, tmp_path):
    """What was done is not done again, and the whole is the same as without the interruption."""
    runs = list(enumerate(VALUES))
    whole = csv_of(run(trace, plan(), runs, here, watch(tmp_path / "whole")))

    def torn(ready, told, all_runs):
        yield next(here(ready, told, all_runs))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(trace, plan(), runs, torn, watch(tmp_path / "torn"))
    left = watch(tmp_path / "torn")
    assert [row.run for row in left.rows()] == [0, 1]
    assert left.kept((0, (9.0, 9.0, 9.0))) is None, "these were not its values"
    played = []

    def rest(ready, told, some):
        played.extend(number for number, _ in some)
        # Cut otherwise than what it takes up, as by a machine with more cores.
        yield from (play_chunk(ready, told, chunk) for chunk in chunks_of(some, 3))

    assert csv_of(run(trace, plan(), runs, rest, left)) == whole
    assert played == [*range(2, 12)]
    other = Watch(tmp_path / "torn", "another sweep", len(VALUES), lambda _: None)
    assert other.kept(runs[0]) is None, "another sweep's results are not taken up"
    left.clear()
    assert not (tmp_path / "torn").exists()


@pytest.mark.parametrize(
    ("count", "workers", "size"),
    [(1, 2, 1), (24, 2, 2), (48, 2, 3), (240, 2, 15), (100_000, 4, 24), (8, 1, 1)],
)
def test_work_is_cut_so_that_little_of_it_can_be_lost(count, workers, size):
    """24 configurations in one piece were all lost by Ctrl-C; 48 told three times how far they were."""
    chunks = chunks_of([(number, (1.0,)) for number in range(count)], workers)
    assert {len(chunk.runs) for chunk in chunks[:-1]} <= {size}
    assert [number for chunk in chunks for number, _ in chunk.runs] == [*range(count)]


def test_progress_names_the_time_left(trace, tmp_path):
    """An operator wants to know whether to wait."""
    told = []
    run(trace, plan(), list(enumerate(VALUES)), here, watch(tmp_path, tell=told.append))
    assert (told[0].done, told[0].left_s) == (0, None)
    assert (told[-1].done, told[-1].left_s) == (len(VALUES), 0.0)


# --- the command --------------------------------------------------------------------------------------------


def test_the_command_writes_csv_json_and_its_plan_first(files, tmp_path):
    """Fingerprint and hypothesis are on disk before anything is played."""
    status, report = swept(files, tmp_path, "--hypothesis", "late and far pays")
    told = json.loads((tmp_path / "out" / "latest.plan.json").read_text())
    assert status == 0
    assert told["hypothesis"] == report["plan"]["hypothesis"] == "late and far pays"
    assert len(told["fingerprint"]) == 64
    rows = list(csv.DictReader((tmp_path / "out" / "latest.csv").read_text().splitlines()))
    assert len(rows) == report["tried"] == len(report["runs"]) == 8
    assert {"win_rate", "ev_error", "drawdown", "trade_frequency", "total_pnl"} <= set(rows[0])
    assert report["data"]["windows_overlapping"] == 1
    assert report["verdict"].startswith(("too few", "no trade"))
    assert not (tmp_path / "out" / "latest.parts").exists()


def test_the_same_sweep_has_the_same_fingerprint_and_other_data_another(files, tmp_path):
    """Two results can be compared only if one knows that they are of the same thing."""
    first = swept(files, tmp_path)[1]["plan"]["fingerprint"]
    assert swept(files, tmp_path)[1]["plan"]["fingerprint"] == first
    path = Path(files[1])
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    assert swept(files, tmp_path)[1]["plan"]["fingerprint"] != first


def test_windows_without_an_outcome_are_counted_and_left_out(files, tmp_path):
    """They can be played but not judged."""
    path = Path(files[3])
    table = json.loads(path.read_text())
    table[0]["outcome"] = None
    path.write_text(json.dumps(table))
    report = swept(files, tmp_path)[1]
    assert (report["data"]["windows"], report["data"]["windows_without_outcome"]) == (1, 1)
    table[1]["outcome"] = None
    path.write_text(json.dumps(table))
    assert swept(files, tmp_path)[0] == 2


def test_rows_that_are_not_numbers_are_counted(files, tmp_path):
    """NaN in a price is a fault with a line number, and the rest is used."""
    path = Path(files[1])
    lines = path.read_text().splitlines()
    cells = lines[40].split(",")
    cells[2] = "NaN"
    lines[40] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")
    report = swept(files, tmp_path)[1]
    assert report["data"]["rows_refused"] == 1
    assert "line 41" in report["data"]["faults"][0]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--grid-json", "{}"], "empty"),
        (["--search", "tpe", "--trials", "0"], "at least 1"),
        (["--sessions", "/nowhere/*.csv"], "no session matches"),
        (["--search", "tpe", "--dask", "local"], "it does not go with --dask"),
        (["--search", "tpe", "--workers", "2"], "more than one of --workers"),
        (["--miss-probability", "1.5"], "not from 0 to 1"),
        (["--miss-probability", "0.1", "--grid-json", '{"miss_probability": [0, 0.5]}'], "in the grid"),
        (["--grid-json", '{"sigma_short_s": 900, "sigma_long_s": 60}'], "longer than sigma_long_s 60"),
    ],
)
def test_wrong_use_is_status_2_and_a_word(files, tmp_path, capsys, more, why):
    """As every command of the product."""
    assert swept(files, tmp_path, *more)[0] == 2
    assert why in capsys.readouterr().err


def test_ten_million_configurations_ask_twice(files, tmp_path, capsys):
    """A grid is written faster than it is waited for."""
    many = json.dumps({name: list(range(1, 220)) for name in ("hammer_secs", "d_min", "latency_ms")})
    assert swept(files, tmp_path, grid=many)[0] == 2
    assert "--yes" in capsys.readouterr().err


def test_a_cancelled_sweep_keeps_and_marks_what_was_done(files, tmp_path, monkeypatch):
    """Cancelled half-way: partial results, marked so; the same command finishes them."""
    monkeypatch.setattr(
        "engine.run.sweep.spread.play_chunk", _cancel_after(tmp_path / "cancel", 3, monkeypatch)
    )
    status, report = swept(files, tmp_path, "--cancel-file", str(tmp_path / "cancel"))
    assert (status, report["partial"], report["tried"]) == (1, True, 4)
    progress = json.loads((tmp_path / "out" / "latest.progress.json").read_text())
    assert (progress["state"], progress["done"], progress["total"]) == ("partial", 4, 8)
    (tmp_path / "cancel").unlink()
    monkeypatch.undo()
    status, report = swept(files, tmp_path)
    assert (status, report["partial"], report["tried"]) == (0, False, 8)


def test_a_cancel_that_comes_with_the_last_result_changes_nothing(files, tmp_path, monkeypatch):
    """It was labelled partial with 24 of 24 done. This is about the look between two results."""
    monkeypatch.setattr(
        "engine.run.sweep.spread.play_chunk", _cancel_after(tmp_path / "cancel", 7, monkeypatch)
    )
    status, report = swept(files, tmp_path, "--cancel-file", str(tmp_path / "cancel"))
    assert (status, report["partial"], report["why_partial"], report["tried"]) == (0, False, "", 8)
    assert json.loads((tmp_path / "out" / "latest.progress.json").read_text())["state"] == "done"


def test_a_cancel_is_noticed_while_one_configuration_plays(files, tmp_path, monkeypatch):
    """A piece of work may take a minute: nobody waits for its end."""
    began = []

    def endless(ready, told, chunk):
        if chunk.number < 2:
            return play_chunk(ready, told, chunk)
        (tmp_path / "cancel").touch()
        began.append(time.monotonic())
        time.sleep(60)
        raise AssertionError("nobody cancelled")

    monkeypatch.setattr("engine.run.sweep.spread.play_chunk", endless)
    status, report = swept(files, tmp_path, "--cancel-file", str(tmp_path / "cancel"))
    assert time.monotonic() - began[0] < 10
    assert (status, report["partial"], report["why_partial"], report["tried"]) == (1, True, "cancelled", 2)


MODELS = json.dumps(
    {"sigma_multiplier": [0.5, 3.0], "hammer_secs": [30, 60], "watch_return_threshold": 0.00002, "d_min": 0.5}
)


def test_a_cancel_among_several_models_ends_in_a_report(files, tmp_path, monkeypatch):
    """The chosen one's data is read once more for it, and the file that cancelled lies there still."""
    monkeypatch.setattr(
        "engine.run.sweep.spread.play_chunk", _cancel_after(tmp_path / "cancel", 2, monkeypatch)
    )
    status, report = swept(files, tmp_path, "--cancel-file", str(tmp_path / "cancel"), grid=MODELS)
    assert (status, report["partial"], report["tried"]) == (1, True, 3)
    read_last, chosen = 3.0, report["chosen"]["parameters"]["sigma_multiplier"]
    assert chosen != read_last, "else nothing was read again"


def test_a_second_cancel_ends_the_report_too_with_a_word(files, tmp_path, monkeypatch, capsys):
    """A trace of calls is no answer to somebody who does not want to wait."""
    monkeypatch.setattr(
        "engine.run.sweep.spread.play_chunk", _cancel_after(tmp_path / "cancel", 2, monkeypatch)
    )

    def impatient(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep_report, "analysed", impatient)
    assert swept(files, tmp_path, "--cancel-file", str(tmp_path / "cancel")) == (1, None)
    assert "cancelled while the report was made" in capsys.readouterr().err
    assert len((tmp_path / "out" / "latest.csv").read_text().splitlines()) == 4
    (tmp_path / "cancel").unlink()
    monkeypatch.undo()
    status, report = swept(files, tmp_path)
    assert (status, report["tried"]) == (0, 8)


def test_a_cancel_before_anything_was_read_is_a_word(files, tmp_path, capsys):
    """And not a report of nothing."""
    (tmp_path / "cancel").touch()
    assert swept(files, tmp_path, "--cancel-file", str(tmp_path / "cancel")) == (1, None)
    assert "cancelled before anything was done" in capsys.readouterr().err


def test_a_fresh_sweep_takes_up_nothing_of_another_and_can_itself_be_taken_up(files, tmp_path, monkeypatch):
    """Else another grid's figures would be reported as its own: a row is known by its number."""
    monkeypatch.setattr(
        "engine.run.sweep.spread.play_chunk", _cancel_after(tmp_path / "cancel", 3, monkeypatch)
    )
    asked = ("--fresh", "--cancel-file", str(tmp_path / "cancel"))
    report = swept(files, tmp_path, *asked)[1]
    assert (report["partial"], report["tried"]) == (True, 4)
    chunks = list((tmp_path / "out" / "latest.parts").glob("chunk-*.json"))
    assert {json.loads(path.read_text())["fingerprint"] for path in chunks} == {report["plan"]["fingerprint"]}
    (tmp_path / "cancel").unlink()
    monkeypatch.undo()
    other = EAGER_GRID.replace("0.0001", "0.0002")
    report = swept(files, tmp_path, "--fresh", grid=other)[1]
    watched = {run["parameters"]["watch_return_threshold"] for run in report["runs"]}
    assert (report["tried"], watched) == (8, {0.0002, 0.0005})


def _cancel_after(path, number, monkeypatch):
    """Cancel at a piece of work; the look between two results sees it, however slow the machine is."""
    monkeypatch.setattr("engine.run.sweep.said.LOOKED_EVERY_S", 60.0)

    def one(ready, told, chunk):
        if chunk.number >= number:
            path.touch()
        return play_chunk(ready, told, chunk)

    return one


@pytest.mark.parametrize("deaths", [1, 99])
def test_a_worker_that_dies_costs_one_try_or_its_own_configuration(files, tmp_path, monkeypatch, deaths):
    """Killed once, it is played by another; killed each time, the rest is kept and the sweep says partial."""
    pytest.importorskip("joblib")
    monkeypatch.setattr("engine.run.sweep.spread.play_chunk", Dies(tmp_path, deaths))
    status, report = swept(files, tmp_path, "--workers", "2")
    played = {run["run"] for run in report["runs"]}
    if deaths == 1:
        assert (status, report["partial"], played) == (0, False, set(range(8)))
        return
    assert (status, report["partial"]) == (1, True)
    assert played == set(range(8)) - {DEADLY}
    assert report["why_partial"] == "workers died 3 times: 1 configuration was not played"
    assert json.loads((tmp_path / "out" / "latest.progress.json").read_text())["state"] == "partial"
    monkeypatch.undo()
    status, report = swept(files, tmp_path)
    assert (status, report["partial"], report["tried"]) == (0, False, 8)


def test_a_machine_that_kills_every_worker_ends_it_soon(files, tmp_path, monkeypatch):
    """Not after a try for each of a hundred thousand configurations."""
    pytest.importorskip("joblib")
    monkeypatch.setattr("engine.run.sweep.spread.DEATHS_MOST", 2)
    monkeypatch.setattr("engine.run.sweep.spread.play_chunk", Dies(tmp_path, 99))
    status, report = swept(files, tmp_path, "--workers", "2")
    assert (status, report["partial"]) == (1, True)
    assert report["why_partial"].startswith("workers died 2 times: ")


@pytest.mark.campaign
def test_a_cluster_whose_workers_die_gives_them_the_data_anew(files, tmp_path, monkeypatch):
    """Both of its workers are killed, twice: the data that was with them is gone, and is sent again."""
    pytest.importorskip("distributed")
    monkeypatch.setattr("engine.run.sweep.spread.play_chunk", AllDie(tmp_path, 2))
    status, report = swept(files, tmp_path, "--workers", "2", "--dask", "local")
    assert (status, report["partial"], report["tried"]) == (0, False, 8)
    assert buried(tmp_path) == 2


def test_a_search_tries_what_it_was_told_to(files, tmp_path):
    """TPE beside the grid: the same rows, the same report; only neighbours are not defined."""
    pytest.importorskip("optuna")
    status, report = swept(files, tmp_path, "--search", "tpe", "--trials", "12")
    assert (status, report["tried"]) == (0, 12)
    again = swept(files, tmp_path, "--search", "tpe", "--trials", "12")[1]
    assert again["runs"] == report["runs"], "the same seed, the same trials"


def test_an_interrupted_search_goes_on_as_it_would_have(files, tmp_path, monkeypatch):
    """The study is told what the trials before came to; none of them is played again, and none is another."""
    pytest.importorskip("optuna")
    played = []

    def one(ready, told, run, up):
        played.append(run[0])
        if played == [0, 1, 2, 3, 4, 5, 6]:
            raise KeyboardInterrupt
        return play_one(ready, told, run, up)

    asked = ("--search", "tpe", "--trials", "14")
    whole = swept(files, tmp_path, *asked)[1]
    monkeypatch.setattr("engine.run.sweep.search.play_one", one)
    status, torn = swept(files, tmp_path, *asked)
    assert (status, torn["partial"], torn["tried"]) == (1, True, 6)
    played.clear()
    status, rest = swept(files, tmp_path, *asked)
    assert (status, rest["partial"]) == (0, False)
    assert played == [*range(6, 14)]
    assert rest["runs"] == whole["runs"]


def test_a_model_of_its_own_is_played_anew(files, tmp_path):
    """A larger deviation makes the engine less sure: the data is seen with other eyes."""
    grid = (
        '{"sigma_multiplier": [0.5, 3.0], "hammer_secs": 60, "watch_return_threshold": 0.00002, "d_min": 0.5}'
    )
    report = swept(files, tmp_path, grid=grid)[1]
    assert report["tried"] == 2
    figures_of = [run["figures"]["touch"]["all"] for run in report["runs"]]
    assert figures_of[0] != figures_of[1]


def test_the_seeds_own_grid_runs(files, tmp_path):
    """All its names, on two windows; each row says by what it paid its fees."""
    status, report = swept(files, tmp_path, grid=SEED_GRID)
    assert (status, report["tried"]) == (0, 48)
    assert {run["fee"] for run in report["runs"]} == {
        f"{bps} bps of the dollars instead of each market's schedule" for bps in (8, 10)
    }


def test_a_watch_rule_that_no_move_reaches_is_named(files, tmp_path):
    """The seed's grid begins at 0.3 % a minute: who sees nothing traded has to see why."""
    _, report = swept(files, tmp_path, grid='{"watch_return_threshold":[0.05,0.09]}')
    (said,) = still_words(report)
    assert said in render(report)
    assert "watch_return_threshold begins at 0.05 (5.000%)" in said
    assert 0.0 < report["data"]["largest_move"] < 0.05
    _, moved = swept(files, tmp_path / "moved", grid='{"watch_return_threshold":[0.00001,0.09]}')
    assert still_words(moved) == []


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_the_seeds_command_runs_on_the_bundled_sample(tmp_path):
    """As its README gives it, but for the module's name; nothing trades at 0.3 %, and that is said."""
    done = subprocess.run(
        [sys.executable, "-m", "engine.parameter_eval",
         "--replay-csv", "data/replay.csv", "--markets-json", "data/markets.json",
         "--grid-json", SEED_GRID, "--output-prefix", str(tmp_path / "latest"), "--json"],
        cwd=DATA.parent, capture_output=True, text=True, timeout=800, check=True,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["data"]["windows"] == 200
    assert (report["tried"], report["traded"]) == (48, 0)
    assert set(report["robust"]["ranges"].values()) == {"undefined"}
    assert "not distinguishable from not trading" in report["verdict"]
    rows = list(csv.DictReader((tmp_path / "latest.csv").read_text().splitlines()))
    assert len(rows) == 48
    assert {row["total_pnl"] for row in rows} == {""}


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_the_example_of_the_help_trades_on_the_bundled_sample(tmp_path):
    """Whoever tries the sweep by its own example is to see what a trade looks like."""
    example = EXAMPLES.replace("\\\n", " ").splitlines()[1]
    words = [*shlex.split(example)[1:], "--output-prefix", str(tmp_path / "latest"), "--json"]
    done = subprocess.run(
        [sys.executable, *words], cwd=DATA.parent, capture_output=True, text=True, timeout=800, check=True
    )
    assert json.loads(done.stdout)["traded"] > 0


def test_numba_is_used_where_it_is_there():
    """And worth its compiling; the plain path is what is left without it."""
    assert best_path(WORTH_COMPILING) == ("numba" if numba_is_there() else "plain")
    assert best_path(WORTH_COMPILING - 1) == "plain"


# --- the verdict --------------------------------------------------------------------------------------------


def judged(trace, tmp_path, names=NAMES, values=VALUES):
    """Sweep a trace and return the report's findings."""
    grid = grid_of(
        json.dumps({name: sorted({one[place] for one in values}) for place, name in enumerate(names)})
    )
    rows = run(
        trace,
        Plan(names, Configuration(Params()), "plain"),
        list(enumerate(values)),
        here,
        watch(tmp_path),
    )
    found = sweep_report.Found(grid, rows, False, 1, True)
    one = sweep_report.chosen_of(rows)
    if one is None:
        return sweep_report.analysed(found, None)
    tried, ready = configuration(names, one.values, Configuration(Params())), loaded(trace, "plain")
    out = {name: play(ready, tried, place) for place, name in enumerate(("touch", "arrival", "conservative"))}
    return sweep_report.analysed(found, sweep_report.Chosen(out, trace.windows, trace.columns.ts_ms))


def market(edge_e4, wider=1.0):
    """Return a market whose settlement follows the model's odds, and whose asks are so far below fair.

    ``wider`` widens what is still to come: at 10 there is doubt in most windows, at 1 in few.
    """
    trace, rng = made(200, 60), np.random.default_rng(3)
    columns = trace.columns._replace(deviation=trace.columns.deviation * wider)
    place = np.array([window.last - 10 for window in trace.windows])
    z = (columns.expected[place] - columns.strike[place]) / columns.deviation[place]
    p_up = 0.5 + (z / (1.0 + z * z) + np.arctan(z)) / np.pi
    up = rng.random(len(place)) < p_up
    windows = tuple(w._replace(up=bool(u)) for w, u in zip(trace.windows, up, strict=True))
    z = (columns.expected - columns.strike) / columns.deviation
    p = 0.5 + (z / (1.0 + z * z) + np.arctan(z)) / np.pi
    sides = {}
    for side, fair in (("up", p), ("down", 1.0 - p)):
        best = np.clip(np.rint(fair * 100.0).astype(np.int64) * 100 - edge_e4, 100, 9_900)
        prices = best[:, None] + 100 * np.arange(columns.depth)
        sides[f"price_{side}"] = np.where(prices < 10_000, prices, 0).reshape(-1)
        sides[f"size_{side}"] = np.full(len(p) * columns.depth, 100_000_000)
    late = columns.seconds_left == 10.0
    blocks = np.where(late, 0, 1 << 10)  # decided at the moment that the settlement is drawn of
    return trace._replace(columns=columns._replace(blocks=blocks, **sides), windows=windows)


def test_a_planted_edge_is_found_out_of_sample(tmp_path):
    """Asks twelve cents below fair, 200 windows: the verdict says so, and is sure of it."""
    report = judged(market(1_200), tmp_path)
    assert report["verdict"] == "better than not trading, out of sample"
    assert report["chosen"]["held_out_interval"]["arrival"][0] > 0
    assert report["robust"]["held_out"]["above_zero"] == 1.0
    assert report["walk_forward"]["total_pnl"] > 0


def test_no_edge_is_not_taken_for_one(tmp_path):
    """Asks a cent above fair and a fee on top, bought all the same: what earned before is nothing after."""
    bought = [(*values, -0.03) for values in VALUES]
    report = judged(market(-100, wider=10.0), tmp_path, (*NAMES, "min_ev"), bought)
    figures_ = report["chosen"]["figures"]["arrival"]
    assert figures_["chosen_on"]["total_pnl"] > 100.0, "luck: the best of twelve looks like an edge"
    assert figures_["held_out"]["trades"] >= honesty.LEAST_TRADES
    assert report["verdict"] in (honesty.NO_DIFFERENCE, "worse than not trading, out of sample")


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_the_verdict_on_200_practice_windows(tmp_path):
    """The practice market as it is, and with every favourite 30 cents cheaper (15 are not told from luck)."""
    table = read_markets(DATA / "markets.json")
    fair = trace_of(records_of_rows(read_rows(DATA / "replay.csv"), table), Params())
    assert len(fair.windows) == 200
    values = [(left, least, 0.000001) for left in (20.0, 40.0, 60.0) for least in (0.5, 3.0, 8.0)]
    assert not judged(fair, tmp_path / "fair", NAMES, values)["verdict"].startswith("better")
    # Favourites alone: a long shot made cheap wins so rarely and so much that 60 windows show nothing.
    cheap = {
        name: np.where(prices >= 5_000, prices - 3_000, 0)
        for name in ("price_up", "price_down")
        for prices in (getattr(fair.columns, name),)
    }
    planted = judged(fair._replace(columns=fair.columns._replace(**cheap)), tmp_path / "cheap", NAMES, values)
    assert planted["verdict"] == "better than not trading, out of sample"
