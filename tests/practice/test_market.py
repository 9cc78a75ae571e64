"""How the venue walks from one book to the next, and what it remembers."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.practice.market import BookSides, Market, Markets
from engine.practice.tape import BookMoment, Truth
from tests.practice.hand_made import DOWN, SLUG, START_S, UP, HandMadeTape, at, contract, trade

sizes = st.integers(1, 10**12)


@st.composite
def uncrossed(draw):
    """A book of any levels whose best bid is below its best ask; either side may be empty."""
    middle = draw(st.integers(1, 99)) * 100
    bids = draw(st.dictionaries(st.integers(1, middle // 100).map(lambda tick: tick * 100), sizes))
    asks = draw(st.dictionaries(st.integers(middle // 100 + 1, 100).map(lambda tick: tick * 100), sizes))
    asks.pop(10_000, None)
    return tuple(sorted(bids.items(), reverse=True)), tuple(sorted(asks.items()))


def moment(book):
    return BookMoment(at(0), SLUG, "UP", *book)


@given(uncrossed(), uncrossed())
def test_the_changes_of_a_book_lead_from_the_old_to_the_new(old, new):
    """A client that applies absolute sizes in order holds the new book, and every touch stated on the way."""
    market = Market(contract())
    market.replace_book(moment(old))
    sides = {"BUY": dict(old[0]), "SELL": dict(old[1])}
    for change in market.replace_book(moment(new)):
        if change.size_e6:
            sides[change.side][change.price_e4] = change.size_e6
        else:
            del sides[change.side][change.price_e4]
        assert change.best_bid == max(sides["BUY"], default=0)
        assert change.best_ask == min(sides["SELL"], default=10_000)
        assert change.best_bid < change.best_ask
    assert sides == {"BUY": dict(new[0]), "SELL": dict(new[1])}


@given(uncrossed())
def test_the_same_book_again_changes_nothing(book):
    """Nothing is sent for it."""
    market = Market(contract())
    market.replace_book(moment(book))
    assert market.replace_book(moment(book)) == []


def test_the_last_trade_is_in_terms_of_up_for_both_tokens():
    """242 of 242 recorded pairs of books carry one last price."""
    market = Market(contract())
    market.trade(trade(0)._replace(outcome="DOWN", price_e4=1300))
    assert market.last_trade == (8700, "BUY")


def test_an_empty_book_is_worth_a_half():
    """Its sides are read as 0 and 1 dollar, as the venue states them."""
    assert Market(contract()).outcome_prices(None) == (Decimal("0.5"), Decimal("0.5"))
    assert BookSides().best_bid == 0
    assert BookSides().best_ask == 10_000


def test_a_settled_market_is_worth_one_and_nothing():
    """What Gamma's ``outcomePrices`` say after the resolution."""
    truth = Truth(Decimal(2), Decimal(1), "DOWN")
    assert Market(contract()).outcome_prices(truth) == (0, 1)


def test_listed_windows_are_known_by_token_before_anybody_asks():
    """A client that restarts knows its tokens already and may not ask Gamma first."""
    markets = Markets(HandMadeTape([]))
    assert markets.of_token(UP) is None
    markets.enter_listed(at(10))
    found = markets.of_token(UP)
    assert found is not None
    assert (found[0].contract.slug, found[1]) == (SLUG, "UP")


def test_old_markets_are_let_go():
    """A venue that plays for days must not grow; Gamma can still describe what it forgot."""
    markets = Markets(HandMadeTape([]))
    markets.enter_listed(at(10))
    markets.forget_old(at(300 + 3599))
    assert markets.of_token(DOWN) is not None
    markets.forget_old(at(300 + 3601))
    assert markets.of_token(DOWN) is None
    assert markets.named(SLUG) is not None


def test_a_market_resolves_54_seconds_after_its_end():
    """Not a millisecond earlier, whatever the tape knows."""
    markets = Markets(HandMadeTape([]))
    market = markets.named(SLUG)
    assert market is not None
    end_ms = (START_S + 300) * 1000
    assert markets.truth(market, end_ms + 53_999) is None
    assert markets.truth(market, end_ms + 54_000) is not None
