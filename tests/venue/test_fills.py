"""Trades as the venue tells them, booked: numbers that are none end in the documented error."""

from typing import Any

import msgspec
import pytest

from engine.venue.fills import Fees, Unreadable, matched
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
