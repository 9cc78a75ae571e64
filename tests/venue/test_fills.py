"""Trades as the venue tells them, booked: numbers that are none end in the documented error."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec import structs

from engine.venue.fills import Fees, Unreadable, dollars_told, matched
from engine.venue.rows import TradeRow
from tests.venue.test_duties import INTENT


def trade(**changes: Any) -> TradeRow:
    """Return a trade of ours as it is read."""
    told = {
        "id": "t1",
        "taker_order_id": "0xab",
        "asset_id": "1001",
        "size": "10",
        "price": "0.9",
        "status": "CONFIRMED",
        "maker_orders": [],
        "trader_side": "TAKER",
    }
    return msgspec.convert(told | changes, TradeRow)


def test_a_trade_is_booked() -> None:
    """Ten shares at ninety cents."""
    found = matched([trade()], "0xab", INTENT, Fees(lambda: 0.0))
    assert found.fills == ((9_000, 10_000_000),)


@pytest.mark.parametrize("changes", [{"price": "1e1000000"}, {"size": "1e1000000"}, {"size": "1e40"}])
@pytest.mark.parametrize("beside", [0, 1])
def test_a_number_that_no_amount_is_is_refused_before_any_arithmetic(
    changes: dict[str, str], beside: int
) -> None:
    """An Overflow would leave the search, halt the engine, and come again with each start."""
    with pytest.raises(Unreadable, match="is no amount"):
        matched([*[trade()] * beside, trade(**changes)], "0xab", INTENT, Fees(lambda: 0.0))


LARGE = structs.replace(INTENT, usd_e6=300_000_000)


@pytest.mark.parametrize(("size", "price"), [("625.43", "0.48"), ("625", "0.4802")])
def test_shares_at_a_rounded_average_are_not_taken_for_millionths(size: str, price: str) -> None:
    """The trade's own price is an average: at 600 shares its last digit is cents, and more than was signed.
    Booked as millionths, $300 would be none; so nobody knows, and it is looked for."""
    with pytest.raises(Unreadable, match="for an order of 300000000 millionths"):
        matched([trade(size=size, price=price)], "0xab", LARGE, Fees(lambda: 0.0))


def test_a_trade_without_our_part_is_refused() -> None:
    """It is called ours as a maker's, and no maker of it is."""
    with pytest.raises(Unreadable):
        matched([trade(taker_order_id="0xcd")], "0xab", INTENT, Fees(lambda: 0.0))


def test_millionths_are_read_too() -> None:
    """The venue's documents promise them; what it writes are decimals."""
    (fill,) = matched([trade(size="10000", price="0.9")], "0xab", INTENT, Fees(lambda: 0.0)).fills
    assert fill == (9_000, 10_000)


@pytest.mark.parametrize(
    ("made", "taken", "told_e6"),
    [("9", "10", 9_000_000), ("9000000", "10000000", 9_000_000), ("300.02", "625", 0), ("301", "625", 0)],
)
def test_an_answer_that_says_more_dollars_than_were_signed_says_nothing(
    made: str, taken: str, told_e6: int
) -> None:
    """Not three hundred millionths of a dollar: the trades say what was paid."""
    answer = SimpleNamespace(making_amount=Decimal(made), taking_amount=Decimal(taken))
    signed = SimpleNamespace(maker_e6=300_000_000)
    assert dollars_told(answer, signed, LARGE) == told_e6  # type: ignore[arg-type]
