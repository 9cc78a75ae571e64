"""The rule's second writing: independent of the engine, and alike wherever both say something."""

import ast
import random
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import SettlementRule
from engine.core import decide as d
from engine.core.fair import expect_settlement
from engine.core.prices import PriceTrack
from engine.core.signal import watch_return
from engine.core.volatility import sigma_usd
from engine.params import Params
from engine.run.sweep.asks import walk

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import oracle  # noqa: E402 (it lies in scripts, no package)
import oracle_rule as theirs  # noqa: E402

END_S = 1_788_221_100
RULE = theirs.Rule(**oracle.rule_of(Params()))


def told(seed: int, seconds_left: int, missing: float) -> tuple[PriceTrack, theirs.Prices]:
    """Tell both the same walk of a price, some seconds of it missing."""
    rng = random.Random(seed)
    track, prices, value, step = PriceTrack(), theirs.Prices(), 65_000.0, 0.0
    hole = rng.randint(0, 400)
    for second in range(END_S - 900, END_S - seconds_left + 1):
        step = 0.3 * step + rng.gauss(0.0, 2.0)
        value = round(value + step, 4)
        in_hole = hole < END_S - second < hole + 240 * missing
        if second < END_S - seconds_left and (in_hole or rng.random() < missing):
            continue
        track.add(second * 1000, Decimal(str(value)), second * 1000 + 2_000)
        prices.add(second, value, second * 1000 + 2_000)
    return track, prices


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(1, 120), st.sampled_from([0.0, 0.1, 0.6]), st.sampled_from([0, 30, 60])
)
def test_both_expect_the_same_settlement(seed: int, left: int, missing: float, lookback: int) -> None:
    """Two writings of docs/model.md: closed forms here, plain sums there; a text that is not enough shows."""
    track, prices = told(seed, left, missing)
    params = Params()
    sigma = sigma_usd(track, params)
    assert theirs.volatility(prices, RULE) == (None if sigma is None else pytest.approx(sigma, rel=1e-9))
    back = watch_return(track, params)
    assert theirs.move(prices, RULE) == (None if back is None else pytest.approx(back, rel=1e-12))
    if sigma is None:
        return
    rule = SettlementRule("twap", lookback) if lookback else SettlementRule("spot", 0)
    ours, other = (
        expect_settlement(rule, END_S, track, sigma, params.memory),
        theirs.outlook(prices, END_S, lookback, RULE),
    )
    assert (ours is None) == (other is None)
    if ours is not None and other is not None:
        assert other.mean == pytest.approx(ours.mean_usd, rel=1e-12)
        assert other.deviation == pytest.approx(ours.deviation_usd, rel=1e-9, abs=1e-12)


@given(st.floats(-60.0, 60.0), st.just(0.0) | st.floats(1e-3, 30.0), st.sampled_from([0.5, 1.0, 1.3]))
def test_both_give_up_the_same_chance(distance: float, deviation: float, temperature: float) -> None:
    """With a layer and without."""
    numbers = d.Numbers(0, 1.0, 65_000.0, 65_000.0 + distance, deviation, *[0.0] * 7)
    ours = d.believed_up(numbers, Params(layer_temperature=temperature))
    seen = theirs.Outlook(65_000.0 + distance, deviation)
    assert theirs.chance_up(seen, 65_000.0, temperature) == pytest.approx(ours, abs=1e-9)


asks = st.lists(
    st.tuples(st.integers(1, 99), st.integers(1, 60_000_000)), max_size=5, unique_by=lambda level: level[0]
)


@given(asks, st.integers(1, 99), st.integers(100, 10_000))
def test_both_walk_a_book_alike(levels: list[tuple[int, int]], limit: int, cents: int) -> None:
    """Decimals there, whole numbers here: to the millionth of a share."""
    levels.sort()
    prices = [price * 100 for price, _ in levels] + [0]
    sizes = [size for _, size in levels] + [0]
    shares, cost = walk(prices, sizes, 0, len(prices), (cents * 10_000, limit * 100))
    book = [(Decimal(price) / 100, Decimal(size) / 10**6) for price, size in levels]
    other = theirs.spend(book, Decimal(cents) / 100, Decimal(limit) / 100)
    assert (other[0] * 10**6, round(other[1] * 10**6)) == (shares, cost)


@pytest.mark.parametrize("name", ["oracle_rule.py", "oracle_rows.py", "oracle_nautilus.py"])
def test_the_second_opinion_borrows_nothing_from_the_first(name: str) -> None:
    """One import of the engine, and it would agree with itself."""
    tree = ast.parse((SCRIPTS / name).read_text())
    found = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    found += [one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names]
    assert found
    assert not [
        module for module in found if module.split(".")[0] in ("engine", "pages", "benchmarks", "tests")
    ]
