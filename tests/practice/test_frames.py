"""Numbers and hashes as the venue writes them."""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from engine.practice import frames
from engine.practice.market import Market
from engine.practice.titles import question
from engine.units import price_e4, size_e6
from tests.practice.hand_made import contract, trade


@given(st.integers(0, 10_000))
def test_prices_survive_the_writing(price):
    """And carry no needless zero: the venue writes 0.5, not 0.50."""
    text = frames.price_text(price)
    assert price_e4(float(text)) == price
    assert "." not in text or not text.endswith("0")


@given(st.integers(0, 10**14))
def test_sizes_survive_the_writing(size):
    """To the token's own six decimals."""
    assert Decimal(frames.size_text(size)) == Decimal(size) / 10**6
    assert size_e6(float(frames.size_text(size))) == size


@given(st.decimals(min_value=1, max_value=200_000, places=15))
def test_e18_is_exact(value):
    """The number beside it is for display; this one settles."""
    assert Decimal(frames.e18_text(value)) / 10**18 == value


def test_the_hash_of_a_book_is_the_venues():
    """The vector of the protocol sheet, section 3.5."""
    summary = {
        "market": "0xabc",
        "asset_id": "123",
        "timestamp": "1700000000000",
        "hash": "",
        "bids": [{"price": "0.48", "size": "30"}],
        "asks": [{"price": "0.52", "size": "25"}],
        "min_order_size": "5",
        "tick_size": "0.01",
        "neg_risk": False,
        "last_trade_price": "0.5",
    }
    assert frames.summary_hash(summary) == "70914d249cc3458e810c6aea3b1bb2a378cbbace"


def test_a_market_that_never_traded_has_no_last_price():
    """An empty text, as captured in April 2026; then three decimals."""
    market = Market(contract())
    assert frames.last_trade_text(market) == ""
    market.trade(trade(0, price_e4=1300))
    assert frames.last_trade_text(market) == "0.130"


def test_titles_read_as_the_captured_one():
    """The open market captured on 2026-09-18."""
    assert (
        question(contract("btc-updown-5m-1789768200"))
        == "Bitcoin Up or Down - September 18, 5:50PM-5:55PM ET"
    )


@given(st.integers(1_780_000_000 // 900, 1_990_000_000 // 900))
def test_titles_are_in_new_york_time_summer_and_winter(quarter_hour):
    """Against the time zone database, which the venue itself can do without."""
    start = datetime.fromtimestamp(quarter_hour * 900, ZoneInfo("America/New_York"))
    title = question(contract(f"btc-updown-15m-{quarter_hour * 900}"))
    assert title.startswith(
        f"Bitcoin Up or Down - {start:%B} {start.day}, {start:%I:%M%p}-".replace(" 0", " ")
    )
