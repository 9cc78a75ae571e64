"""Intervals hold the truth as often as they say, above all where losses are rare."""

import math
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.run.intervals import chance_of_so_many, exact_share, of_bets, of_values, wilson

CHANCES = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=9)


@pytest.mark.parametrize("chance", [0.5, 0.9, 0.97, 0.99])
@pytest.mark.parametrize("count", [5, 20, 100])
def test_an_exact_share_misses_the_truth_at_most_as_often_as_it_says(chance: float, count: int) -> None:
    """Summed over all that may come out, not drawn: what a resampled interval missed in 77 % of cases."""
    missed = 0.0
    for came in range(count + 1):
        low, high = exact_share(came, count)
        law = math.comb(count, came) * chance**came * (1 - chance) ** (count - came)
        missed += law * (not low <= chance <= high)
    assert missed <= 0.05


@pytest.mark.parametrize(("price", "count"), [(0.95, 20), (0.97, 40), (0.99, 100)])
def test_wins_alone_at_a_high_price_show_no_edge(price: float, count: int) -> None:
    """So many favourites in a row are no surprise at their price."""
    told = of_bets([(1.0, price)] * count)
    assert told.mean == pytest.approx(1 - price)
    assert told.low is not None
    assert told.low < 0 < (told.high or 0)
    assert chance_of_so_many(count, [price] * count) > 0.05


def test_with_enough_of_them_they_do() -> None:
    """The interval narrows to what is there."""
    told = of_bets([(1.0, 0.9)] * 200)
    assert told.low is not None
    assert told.low > 0
    assert chance_of_so_many(200, [0.9] * 200) < 1e-6


@given(CHANCES)
def test_the_chance_of_so_many_is_the_sum_over_all_that_may_happen(chances: list[float]) -> None:
    """Against counting every case."""
    for won in range(len(chances) + 2):
        cases = 0.0
        for case in product((0, 1), repeat=len(chances)):
            if sum(case) >= won:
                cases += math.prod(p if hit else 1 - p for p, hit in zip(chances, case, strict=True))
        assert chance_of_so_many(won, chances) == pytest.approx(cases, abs=1e-12)


@pytest.mark.parametrize("price", [0.9, 0.95, 0.97, 0.99])
@pytest.mark.parametrize("count", [20, 60, 200])
def test_a_fair_price_is_called_an_edge_in_at_most_one_of_twenty_samples(price: float, count: int) -> None:
    """Over all that may come out."""
    law = [math.comb(count, won) * price**won * (1 - price) ** (count - won) for won in range(count + 1)]
    fooled = sum(p for won, p in enumerate(law) if chance_of_so_many(won, [price] * count) < 0.05)
    assert fooled < 0.05


def test_windows_that_won_in_part_count_in_part() -> None:
    """Both sides of a window, bought: half of it won."""
    told = of_bets([(0.5, 0.5), (0.5, 0.5), (0.5, 0.5)])
    assert told.mean == 0
    assert told.low == pytest.approx(-(told.high or 0))


def test_students_interval_holds_the_mean_of_a_small_sample() -> None:
    """Two values with a normal's 1.96 would miss in 30 % of cases."""
    rng = np.random.default_rng(5)
    missed = 0
    for _ in range(2_000):
        told = of_values(list(rng.normal(1.0, 3.0, 2)))
        assert told.low is not None
        assert told.high is not None
        missed += not told.low <= 1.0 <= told.high
    assert 60 < missed < 140


def test_too_little_has_no_bounds() -> None:
    """Nor have values that are all the same: they say nothing about those that come."""
    assert math.isnan(of_values([]).mean)
    assert of_values([3.0]) == (3.0, None, None)
    assert of_values([2.0] * 50) == (2.0, None, None)
    assert of_bets([])[1:] == (None, None)


@given(st.integers(1, 500), st.data())
def test_wilson_lies_within_nought_and_one_around_the_share(count: int, data: st.DataObject) -> None:
    came = data.draw(st.integers(0, count))
    low, high = wilson(came, count)
    assert 0 <= low <= came / count + 1e-12
    assert came / count - 1e-12 <= high <= 1


def test_a_page_with_an_interval_loads_little_of_scipy() -> None:
    """All of scipy.stats is 40 MB and a second of a core, beside an engine that trades; this is 10 MB."""
    look = "import sys, pages.widgets.params as _; print('scipy.stats' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split() == ["False"]
