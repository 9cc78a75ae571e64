"""An exchange's own ticker, Coinbase's or Binance's."""

import json
from decimal import Decimal

import pytest

from engine import events as e
from engine.errors import WireError
from engine.wire import spot
from tests.wire import samples


def single(text: str) -> e.AnyEvent:
    (event,) = spot.parse(text, 7)
    return event


def test_the_subscription_is_coinbases():
    """Binance's streams are chosen by the address."""
    assert spot.subscribe() == '{"type":"subscribe","product_ids":["BTC-USD"],"channels":["ticker"]}'


def test_a_coinbase_ticker_is_a_spot_price():
    """Its time has microseconds; milliseconds are kept."""
    assert single(samples.TICKER) == e.PricePrinted(
        ts_recv_ms=7,
        source="spot",
        value=Decimal("76209.85"),
        ts_venue_ms=1_790_000_100_659,
        ts_sent_ms=None,
    )


def test_a_binance_trade_is_a_spot_price_combined_or_alone():
    """A combined stream wraps the same object."""
    combined = single(samples.BINANCE_TRADE)
    assert isinstance(combined, e.PricePrinted)
    assert (combined.value, combined.ts_venue_ms) == (Decimal(76_210), 1_790_000_100_481)
    assert combined.ts_sent_ms == 1_790_000_100_482
    assert single(json.dumps(json.loads(samples.BINANCE_TRADE)["data"])) == combined


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", spot.KEEP_ALIVE),
        (samples.TICKER.replace("BTC-USD", "ETH-USD"), spot.OTHER_PRODUCT),
        (samples.BINANCE_TRADE.replace("BTCUSDT", "SOLUSDT"), spot.OTHER_PRODUCT),
        (samples.BINANCE_TRADE.replace('"trade"', '"kline"'), spot.OTHER_KIND),
        ('{"type":"subscriptions","channels":[]}', spot.ACKNOWLEDGED),
        ('{"result":null,"id":1}', spot.ACKNOWLEDGED),
        ('{"type":"error","message":"Failed to subscribe"}', spot.SERVER_NOTE),
        ('{"type":"heartbeat","product_id":"BTC-USD"}', spot.OTHER_KIND),
    ],
)
def test_what_is_of_no_use_is_ignored_by_name(text, expected):
    """Other products come over the same socket when somebody asks for them."""
    event = single(text)
    assert isinstance(event, e.FrameIgnored)
    assert (event.feed, event.reason) == ("spot", expected)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "1",
        "nonsense",
        samples.TICKER.replace('"76209.85"', '"-1"'),
        samples.TICKER.replace('"76209.85"', "76209.85"),
        samples.TICKER.replace('"76209.85"', '"NaN"'),
        samples.TICKER.replace("2026-09-21T14:15:00.659049Z", "2026-09-21"),
        samples.TICKER.replace("2026-09-21T14:15:00.659049Z", "1960-01-01T00:00:00Z"),
        samples.TICKER.replace('"time"', '"when"'),
        samples.BINANCE_TRADE.replace('"T":1790000100481', '"T":"x"'),
        samples.BINANCE_TRADE.replace('"p"', '"q2"'),
    ],
)
def test_what_is_not_understood_raises_a_wire_error(text):
    """A price in another form is no price."""
    with pytest.raises(WireError):
        spot.parse(text, 0)
