"""What buying sweeps of a book: the numbers on the card are the decision's own."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine import events as e
from engine.contract import FeeSchedule
from engine.core import sweep
from engine.core.assess import numbers_of, order_cost
from engine.core.decide import expected_value
from engine.core.state import Market, State
from engine.params import Params
from engine.snapshot import SweepView
from tests.core.builders import CRYPTO_FEE, MARKET, UP, contract

THREE = [(90, 10), (92, 10), (99, 1_000)]
"""Ten shares at 90 cents, ten at 92; what is above the cap of 97 is on display and never bought."""

asks_on_display = st.dictionaries(st.integers(1, 99), st.integers(1, 500), min_size=1, max_size=12)


def opened(
    asks: list[tuple[int, int]], fee: FeeSchedule | None = CRYPTO_FEE, **params: float
) -> tuple[State, Market]:
    """Return a state and a market whose Up book has these asks, as (cents, whole shares)."""
    state, market = State(), Market(contract(fee=fee), 0)
    state.params = Params(**params)
    levels = tuple((cents * 100, shares * 1_000_000) for cents, shares in asks)
    market.up.replace(
        e.BookReplaced(
            ts_recv_ms=1, market=MARKET, token=UP, bids=(), asks=levels, ts_venue_ms=1, tick_e4=100
        )
    )
    return state, market


def test_each_level_tells_what_buying_up_to_it_comes_to() -> None:
    """By hand: the fee is 7 % of p(1 - p); 20 dollars take both levels below the cap, nothing above it."""
    state, market = opened(THREE)
    assert sweep.by_level(state, market, market.up, 0.97) == [
        SweepView(10.0, 9.0, 0.9, 0.0637, 10.0),
        SweepView(20.0, 18.2, 0.91, 0.044848, 10.0),
        SweepView(1020.0, 1008.2, 0.988431, -0.020693, 0.0),
    ]


def test_our_order_takes_a_part_of_the_last_level_where_its_dollars_end() -> None:
    """20 dollars at 90 cents are 22.2222 shares of the 500."""
    state, market = opened([(90, 500)])
    (level,) = sweep.by_level(state, market, market.up, None)
    assert level.taken == pytest.approx(20 / 0.9, abs=1e-6)
    assert (level.shares, level.usd, level.ev) == (500.0, 450.0, None)


def test_our_own_sweep_by_hand() -> None:
    """20 shares for 18.20 are 91 cents each; 7 % of 0.91 x 0.09 is 0.005733 a share."""
    state, market = opened(THREE)
    own = sweep.own(state, market, market.up, 0.97)
    assert own is not None
    assert (own.wanted_usd, own.usd, own.shares, own.levels) == (20.0, 18.2, 20.0, 2)
    assert own.average == pytest.approx(0.91)
    assert own.fee == pytest.approx(0.11466)
    assert own.ev == pytest.approx(0.97 - 0.91 - 0.005733)


@given(st.integers(1, 99), st.integers(100, 40_000))
def test_asks_at_the_cap_itself_are_not_above_it(cents: int, usd_cents: int) -> None:
    """47.50 dollars at 97 cents are 48.969072 shares; rounded, they averaged 0.970000003 and were refused."""
    state, market = opened([(cents, 100_000)], max_entry_price=cents / 100, quote_size_usd=usd_cents / 100)
    cost, depth = order_cost(market.up, state)
    assert cost <= state.params.max_entry_price
    assert depth == pytest.approx(usd_cents / 100, abs=0.01)


@pytest.mark.parametrize("asks", [[], [(98, 100)], [(98, 1), (99, 1)]])
def test_nothing_below_the_cap_is_no_sweep(asks: list[tuple[int, int]]) -> None:
    """None, not an order of no shares at no price."""
    state, market = opened(asks)
    assert sweep.own(state, market, market.up, 0.99) is None
    assert [level.taken for level in sweep.by_level(state, market, market.up, 0.99)] == [0.0] * len(asks)


def test_an_unknown_probability_has_no_ev() -> None:
    """A zero would read as break-even."""
    state, market = opened(THREE)
    own = sweep.own(state, market, market.up, None)
    assert own is not None
    assert own.ev is None
    assert {level.ev for level in sweep.by_level(state, market, market.up, None)} == {None}


def test_the_fee_curve_is_the_schedule_s_at_every_five_cents() -> None:
    """Nothing at both ends, most in the middle: 7 % of a quarter."""
    state, market = opened(THREE)
    curve = sweep.fee_curve(state, market)
    assert len(curve) == 21
    assert (curve[0], curve[2], curve[10], curve[20]) == (0.0, 0.0063, 0.0175, 0.0)
    assert curve == curve[::-1]
    assert sweep.break_even(state, market, 0.5) == pytest.approx(0.5175)


def test_without_a_schedule_the_fallback_s_share_of_the_price_is_the_fee() -> None:
    """What the decision reckons with where a market publishes none: a tenth of a percent."""
    state, market = opened(THREE, fee=None)
    curve = sweep.fee_curve(state, market)
    assert (curve[0], curve[10], curve[20]) == (0.0, 0.0005, 0.001)
    assert sweep.break_even(state, market, 0.9) == pytest.approx(0.9009)
    own = sweep.own(state, market, market.up, 0.97)
    assert own is not None
    assert own.fee == pytest.approx(20 * 0.91 * 0.001)


@example({95: 3}, 2, 95, False, 0.0)  # shares are cut: what was paid for them is a hair above the cap
@given(asks_on_display, st.integers(1, 50), st.integers(1, 99), st.booleans(), st.floats(0.0, 1.0))
def test_the_card_s_cost_fee_and_ev_are_the_decision_s(
    asks: dict[int, int], usd: int, cap: int, has_fee: bool, probability: float
) -> None:
    """An operator who sees one price and an engine that decides on another cannot both be right."""
    fee = CRYPTO_FEE if has_fee else None
    state, market = opened([*asks.items()], fee, quote_size_usd=float(usd), max_entry_price=cap / 100)
    own = sweep.own(state, market, market.up, probability)
    cost, depth = order_cost(market.up, state)
    if own is None:
        assert depth == 0.0
        return
    numbers = numbers_of(state, market)
    assert own.average == pytest.approx(cost, rel=1e-12)
    assert own.usd == pytest.approx(depth, abs=0.01)
    assert own.ev == pytest.approx(expected_value(probability, cost, numbers), abs=1e-12)
    assert probability - own.average - own.fee / own.shares == pytest.approx(own.ev, abs=1e-12)


@given(asks_on_display, st.integers(1, 50), st.integers(1, 99))
def test_an_order_never_sweeps_more_than_it_may(asks: dict[int, int], usd: int, cap: int) -> None:
    """Not more dollars than the order has, not more shares than a level, nothing above the cap."""
    state, market = opened([*asks.items()], quote_size_usd=float(usd), max_entry_price=cap / 100)
    levels = sweep.by_level(state, market, market.up, 0.5)
    shown = sorted(asks.items())[: sweep.LEVELS_SWEPT]
    assert len(levels) == len(shown)
    spent = 0.0
    for (cents, shares), level in zip(shown, levels, strict=True):
        assert 0.0 <= level.taken <= shares
        assert cents <= cap or level.taken == 0.0
        spent += level.taken * cents / 100
    assert spent <= usd + 1e-9
    own = sweep.own(state, market, market.up, 0.5)
    assert own is None or spent - 1e-6 <= own.usd <= own.wanted_usd == usd
    if own is not None and len(asks) <= sweep.LEVELS_SWEPT:
        assert sum(level.taken for level in levels) == pytest.approx(own.shares, abs=1e-6)


@given(asks_on_display, st.booleans())
def test_deeper_levels_hold_more_and_pay_less(asks: dict[int, int], has_fee: bool) -> None:
    """Sums grow, the average price rises with them, and the dearer level earns less."""
    state, market = opened([*asks.items()], CRYPTO_FEE if has_fee else None)
    levels = sweep.by_level(state, market, market.up, 0.5)
    for better, worse in itertools.pairwise(levels):
        assert worse.shares > better.shares
        assert worse.usd >= better.usd
        assert worse.average >= better.average
        assert better.ev is not None
        assert worse.ev is not None
        assert worse.ev < better.ev


def test_looking_at_a_book_does_not_change_it() -> None:
    """The same question twice has the same answer: display is no trade."""
    state, market = opened(THREE)
    before = market.up.depth("SELL", 10)
    first = sweep.own(state, market, market.up, 0.97)
    assert sweep.own(state, market, market.up, 0.97) == first
    assert market.up.depth("SELL", 10) == before
