"""What a decision is made of: an order's cost is kept while nothing changes it, and never a moment longer."""

from hypothesis import given
from hypothesis import strategies as st

from engine.core.assess import numbers_of, order_cost
from engine.core.book import Book
from engine.core.state import State
from engine.events import BookReplaced, Level, LevelChange
from engine.params import Params
from tests.core.builders import CRYPTO_FEE, END_S, Core, contract
from tests.core.test_step import story

PRICES = st.integers(40, 60).map(lambda cents: cents * 100)
SIZES = st.sampled_from([0, 7_000_000, 30_000_000, 400_000_000])
changes = st.tuples(
    st.just("change"), st.sampled_from(["BUY", "SELL"]), PRICES, SIZES, st.integers(900, 1_100), st.booleans()
)
snapshots = st.tuples(
    st.just("replace"), st.lists(st.tuples(PRICES, SIZES), max_size=5), st.integers(900, 1_100)
)
others = st.sampled_from([("void",), ("params", 5.0), ("params", 50.0)])


def replaced(asks: list[Level], at: int) -> BookReplaced:
    return BookReplaced(
        ts_recv_ms=0, market="0xm", token="T", bids=((3_000, 10_000_000),), asks=tuple(asks), ts_venue_ms=at
    )


def fresh(book: Book, state: State) -> tuple[float, float]:
    """Reckon the cost with nothing kept."""
    kept, book.priced = book.priced, None
    cost = order_cost(book, state)
    book.priced = kept
    return cost


@given(st.lists(changes | snapshots | others, max_size=30))
def test_a_kept_cost_is_what_the_book_says_now(told: list[tuple]) -> None:  # type: ignore[type-arg]
    """Late, doubted, voided or replaced: an order priced by a book of before would be a wrong order."""
    state, book = State(), Book("T")
    book.replace(replaced([(5_500, 9_000_000), (5_700, 400_000_000)], 1_000))
    for word, *what in told:
        if word == "change":
            side, price, size, stamp, stated = what
            book.change(LevelChange("T", side, price, size, stated, 4_500, 5_500), stamp)
        elif word == "replace":
            book.replace(replaced(*what))
        elif word == "void":
            book.void()
        else:
            state.params = Params(quote_size_usd=what[0])
        assert order_cost(book, state) == fresh(book, state)


def test_a_strike_and_a_fee_that_change_are_seen_by_the_next_decision() -> None:
    """Both are kept as floats between decisions; they come from the venue, which may correct itself."""
    core = Core()
    story(core, END_S - 15)
    (market,) = core.state.markets.values()
    before = numbers_of(core.state, market)
    assert market.strike is not None
    market.strike = market.strike._replace(value=market.strike.value + 1)
    assert numbers_of(core.state, market).strike == before.strike + 1.0
    assert (before.fee_rate, before.fee_of_price) == (float(CRYPTO_FEE.rate), 0.0)
    market.contract = contract(fee=None)
    core.state.params = core.state.params._replace(fallback_fee_rate=0.002)
    after = numbers_of(core.state, market)
    assert (after.fee_rate, after.fee_of_price) == (0.0, 0.002)
    core.state.params = core.state.params._replace(fallback_fee_rate=0.003)
    assert numbers_of(core.state, market).fee_of_price == 0.003
