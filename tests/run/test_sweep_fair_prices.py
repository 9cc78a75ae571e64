"""A sweep over fair prices finds no edge, however seldom a favourite loses; a real edge is still found."""

import numpy as np
import pytest

from engine.run.sweep import honesty
from engine.run.sweep import report as sweep_report
from engine.run.sweep.grid import grid_of
from engine.run.sweep.kernel import ASSUMPTIONS, OUT, WIDTH
from engine.run.sweep.metrics import figures
from engine.run.sweep.plans import NOBODY, Before
from engine.run.sweep.run import Row
from engine.run.sweep.trace import Window
from engine.run.sweep.words import luck_words, tries_of, wins_words

BETTER = "better than not trading, out of sample"
WINDOWS, EACH_S = 200, 300
FEE_RATE = 0.07


def windows_of(up, each_s=EACH_S):
    """Return windows behind each other with these outcomes."""
    return tuple(
        Window(f"w{n}", n * each_s, (n + 1) * each_s, n, n + 1, FEE_RATE, 1.0, 0.0, bool(one), True)
        for n, one in enumerate(up)
    )


def bought(traded, up, price, usd=10.0):
    """Return what windows came to in which Up was bought at a price, with the venue's fee."""
    out = np.zeros((len(up), WIDTH))
    shares = usd / price
    fee = round(FEE_RATE * price * (1.0 - price) * shares, 5)
    told = {"orders": 1, "filled": 1, "side": 1, "probability": price, "usd": usd, "shares": shares}
    told["fee"] = fee
    for name, value in told.items():
        out[traded, OUT.index(name)] = value
    out[traded, OUT.index("profit")] = np.where(up[traded], shares, 0.0) - usd - fee
    return out


def reported(outs, windows, before=NOBODY):
    """Judge configurations by what their windows came to, as the sweep's command does."""
    up = np.array([window.up for window in windows])
    parts = honesty.split_in_time(windows)
    grid = grid_of(f'{{"hammer_secs": {list(range(1, len(outs) + 1))}}}')
    rows = []
    for number, out in enumerate(outs):
        told = {
            name: figures(out[places], up[places])
            for name, places in (
                ("all", range(len(up))), ("chosen_on", parts.chosen_on), ("held_out", parts.held_out),
            )
        }  # fmt: skip
        profit, filled = (out[:, OUT.index(name)] for name in ("profit", "filled"))
        rows.append(
            Row(
                number,
                (float(number + 1),),
                dict.fromkeys(ASSUMPTIONS, told),
                tuple(float(profit[fold].sum()) for fold in parts.folds),
                tuple(int(filled[fold].sum()) for fold in parts.folds),
            )
        )
    found = sweep_report.Found(grid, rows, False, 1, True, before)
    one = sweep_report.chosen_of(rows)
    assert one is not None
    out = dict.fromkeys(ASSUMPTIONS, outs[one.run])
    return sweep_report.analysed(found, sweep_report.Chosen(out, windows, np.arange(len(up))))


def called_better_before(report):
    """Say whether the interval and the deflated score alone would call it better."""
    one = report["chosen"]
    low = (one["held_out_interval"]["arrival"] or [0.0])[0]
    enough = one["figures"]["arrival"]["held_out"]["trades"] >= honesty.LEAST_TRADES
    return enough and low > 0.0 and (one["deflated_sharpe"]["probability"] or 0.0) >= honesty.SURE


@pytest.mark.parametrize(("price", "configurations"), [(0.97, 24), (0.99, 1)])
def test_a_fair_price_is_not_called_an_edge(price, configurations, monkeypatch):
    """True probability equal to the price, so that every bet loses its fee: at most one run of twenty may say
    better. The interval of resampled windows, with the deflated score, said so in a quarter of them: a sample
    without a loss knows none."""
    monkeypatch.setattr(honesty, "RESAMPLES", 100)
    rng, runs = np.random.default_rng(7), 100
    fooled, fooled_before = 0, 0
    for _ in range(runs):
        up = rng.random(WINDOWS) < price
        outs = [bought(rng.random(WINDOWS) < 0.5, up, price) for _ in range(configurations)]
        report = reported(outs, windows_of(up))
        fooled += report["verdict"] == BETTER
        fooled_before += called_better_before(report)
    assert fooled <= 0.05 * runs
    assert fooled_before >= 0.2 * runs


def test_a_real_edge_of_favourites_is_still_called_better():
    """Nine in ten win that are bought at 80 cents: no luck, and the report says how little."""
    up = np.random.default_rng(2).random(400) < 0.9
    report = reported([bought(np.ones(400, bool), up, 0.8)], windows_of(up))
    assert report["verdict"] == BETTER
    won = report["chosen"]["held_out_wins"]["arrival"]
    assert (won["bets"], won["chance"] < 0.05) == (120, True)
    assert won["won"] == up[280:].sum() > won["expected"] > 0.8 * 120


def test_the_doubt_names_the_chance():
    """Sixty favourites at 97 cents that all won: their price said so, with a chance that is told in words."""
    up = np.ones(WINDOWS, bool)
    up[[3, 50]] = False
    report = reported([bought(np.ones(WINDOWS, bool), up, 0.97)], windows_of(up))
    won = report["chosen"]["held_out_wins"]["arrival"]
    break_even = 0.97 + FEE_RATE * 0.97 * 0.03
    assert won == {
        "bets": 60, "won": 60, "expected": pytest.approx(60 * break_even, abs=1e-4),
        "chance": pytest.approx(break_even**60, abs=1e-4),
    }  # fmt: skip
    assert report["chosen"]["held_out_interval"]["arrival"][0] > 0
    assert f"so many wins are no surprise at these prices: chance {won['chance']:.2f}" in report["verdict"]
    assert report["verdict"].startswith(honesty.NO_DIFFERENCE)
    said = wins_words(report["chosen"])
    assert "60 of 60 bets won, one counted a moment of settlement" in said
    assert f"without an edge {won['expected']:.1f} would" in said
    assert wins_words({}) == "", "a report of a version before has no such figures"


def test_of_windows_that_end_together_one_bet_counts():
    """A window of 5 minutes and one of 15 that end together share the final price: they win together."""
    up = np.array([True, True, False, True])
    windows = [one._replace(end_s=end) for one, end in zip(windows_of(up), (300, 300, 600, 900), strict=True)]
    told = honesty.wins(bought(np.array([True, True, True, False]), up, 0.5), windows)
    assert (told.bets, told.won) == (2, 1)
    assert told.expected == pytest.approx(2 * (0.5 + FEE_RATE * 0.25))
    assert honesty.wins(np.zeros((4, WIDTH)), windows) == honesty.Wins(0, 0, 0.0, None)


def test_windows_that_end_together_are_drawn_together():
    """Three copies of each window tell no more than one of them: the interval must not be narrower."""
    profit = np.random.default_rng(4).normal(0.2, 1.0, 40)
    ends = [n * 300 for n in range(40)]
    alone = honesty.interval(profit, ends, 1)
    assert honesty.interval(np.repeat(profit, 3), np.repeat(ends, 3), 1) == pytest.approx(alone)
    assert honesty.interval(profit, [300] * 40, 1) is None, "one price settled them all"


def test_earlier_sweeps_count_as_tries():
    """Ten grids over one hold-out are ten times as many tries as one: luck has that many."""
    rng = np.random.default_rng(8)
    up = rng.random(WINDOWS) < 0.6
    outs = [bought(rng.random(WINDOWS) < 0.9, up, price) for price in (0.5, 0.52, 0.55)]
    first, later = (reported(outs, windows_of(up), before) for before in (NOBODY, Before(9, 900)))
    assert first["chosen"]["run"] == later["chosen"]["run"]
    luck, more = (one["chosen"]["deflated_sharpe"] for one in (first, later))
    assert luck["expected_of_luck"] < more["expected_of_luck"]
    assert luck["probability"] > more["probability"]
    assert (later["tried"], later["tried_in_all"], tries_of(later)) == (3, 903, 903)
    assert later["looked_at_before"] == {"sweeps": 9, "configurations": 900}
    assert "best of 903 tries" in luck_words(more["probability"], tries_of(later))


# --- splits -------------------------------------------------------------------------------------------------


def both_lengths(hours):
    """Return windows of 5 and of 15 minutes in order of their end."""
    made = [
        Window(f"{length}-{end}", end - length, end, 0, 0, FEE_RATE, 1.0, 0.0, True, True)
        for length in (300, 900)
        for end in range(length, hours * 3600 + 1, length)
    ]
    return sorted(made, key=lambda one: (one.end_s, one.slug))


@pytest.mark.parametrize("hours", [1, 2, 3, 5, 7])
def test_nothing_held_out_shares_prices_with_what_is_chosen_on(hours):
    """A window of 15 minutes that began before the cut saw what was chosen on; two that end together settle
    by one price. Whatever is in neither part is counted."""
    windows = both_lengths(hours)
    parts = honesty.split_in_time(windows)
    last_s = max(windows[place].end_s for place in parts.chosen_on)
    assert all(windows[place].start_s >= last_s for place in parts.held_out)
    assert all(windows[place].start_s < last_s < windows[place].end_s for place in parts.dropped)
    assert sorted([*parts.chosen_on, *parts.held_out, *parts.dropped]) == list(range(len(windows)))
    assert len(parts.held_out) > 0.2 * len(windows)
    assert [place for fold in parts.folds for place in fold] == list(range(len(windows)))
    ends = [{windows[place].end_s for place in fold} for fold in parts.folds]
    assert sum(map(len, ends)) == len(set().union(*ends)), "no stretch cuts windows that end together"


def test_windows_are_dropped_where_the_cut_goes_through_them():
    """Else the test above had nothing to see."""
    assert any(honesty.split_in_time(both_lengths(hours)).dropped for hours in (1, 2, 3, 5, 7))


@pytest.mark.parametrize(
    ("ends", "cut", "moved"),
    [
        ((1, 2, 3, 4), 2, 2), ((1, 2, 2, 4), 2, 1), ((1, 1, 2, 3), 1, 2), ((1, 1, 1, 1), 2, 4),
        ((1, 2), 0, 0), ((1, 2), 2, 2), ((), 0, 0),
    ],
)  # fmt: skip
def test_a_cut_goes_between_two_end_times(ends, cut, moved):
    """To the earlier one, to the first where there is none, behind all where all end together."""
    assert honesty.between_ends(ends, cut) == moved
