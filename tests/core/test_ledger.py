"""Money: kept sums equal taken ones, nothing appears and nothing is lost, the venue's word replaces ours."""

from hypothesis import given
from hypothesis import strategies as st

from engine.core.ledger import DAY_MS, HOUR_MS, Ledger, cost_of
from tests.core.builders import past_fill

SLUGS = st.sampled_from(["a", "b", "c"])
OUTCOMES = st.sampled_from(["UP", "DOWN"])
FILLS = st.lists(st.tuples(st.integers(1, 9_999), st.integers(1, 10**9)), min_size=1, max_size=4).map(tuple)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), SLUGS, OUTCOMES, FILLS, st.integers(0, 10**6)),
        st.tuples(st.just("settle"), SLUGS, OUTCOMES),
    ),
    max_size=40,
)


@given(ACTS)
def test_the_kept_sums_are_the_taken_ones(acts: list[tuple]) -> None:
    """Whatever the order of fills, settlements and corrections."""
    ledger = Ledger()
    for number, act in enumerate(acts):
        at_ms = number * HOUR_MS
        if act[0] == "fill":
            ledger.book(past_fill(*act[1:], at_ms))
        else:
            ledger.settle(*act[1:], at_ms)
    holdings = ledger.holdings.values()
    settled = [h for h in holdings if h.realised_e6 is not None]
    assert ledger.realised_e6 == sum(h.realised_e6 for h in settled)
    assert ledger.open_cost_e6() == sum(h.cost_e6 + h.fee_e6 for h in holdings if h.realised_e6 is None)
    assert ledger.fees_e6 == sum(h.fee_e6 for h in holdings)
    assert sum(ledger.realised_on(day) for day in range(3)) == ledger.realised_e6
    for holding in settled:
        assert holding.outcome is not None
        assert holding.realised_e6 == holding.shares_e6[holding.outcome] - holding.cost_e6 - holding.fee_e6


def test_a_day_is_the_utc_day_of_the_settlement() -> None:
    """A window that ends at midnight belongs to the day on which it settled."""
    ledger = Ledger()
    ledger.book(past_fill("a", "UP", ((5_000, 2_000_000),), 0, DAY_MS - 1))
    ledger.settle("a", "UP", DAY_MS)
    assert (ledger.realised_on(0), ledger.realised_on(1)) == (0, 1_000_000)


def test_a_correction_moves_the_profit_and_does_not_add_to_it() -> None:
    """Settled Up by us and Down by the venue: one loss, no gain."""
    ledger = Ledger()
    ledger.book(past_fill("a", "UP", ((9_000, 10_000_000),), 100_000, 0))
    ledger.settle("a", "UP", 1)
    ledger.settle("a", "DOWN", 2)
    assert ledger.realised_e6 == -9_100_000
    assert ledger.open_cost_e6() == 0


def test_the_hourly_count_forgets_what_is_older() -> None:
    """Trades of the last hour, at its edges."""
    ledger = Ledger()
    for at_ms in (0, 1_000, HOUR_MS):
        ledger.book(past_fill("a", "UP", ((1, 1),), 0, at_ms))
    assert ledger.trades_since(0) == 3
    assert ledger.trades_since(1_000) == 2
    assert ledger.trades_since(1_001) == 1
    assert ledger.trades == 3


@given(FILLS)
def test_cost_is_rounded_once_half_to_even(fills: tuple[tuple[int, int], ...]) -> None:
    """Never off by more than half a millionth of a dollar in total."""
    exact = sum(price * size for price, size in fills)
    assert abs(cost_of(fills) * 10_000 - exact) <= 5_000
    assert cost_of(((5_000, 1),)) == 0
    assert cost_of(((5_000, 3),)) == 2
