"""The market channel where the venue departs from its documents: numbers that are no texts, and odd items."""

import json

import pytest

from engine import events as e
from engine.errors import WireError
from engine.feeds.listening import BOOKS, NOTHING, Listener, clob_topic
from engine.wire import clob_market, clob_rest
from engine.wire.clob_messages import EXCERPT_CHARACTERS
from tests.wire import samples

NOW = 1_790_000_100_700


def numbered(text: str, *fields: str) -> str:
    """Write some fields of a frame as numbers, digit for digit, wherever they stand."""
    for field in fields:
        before, _, _ = text.partition(f'"{field}":"')
        assert before != text
        parts = text.split(f'"{field}":"')
        text = f'"{field}":'.join([parts[0], *(part.replace('"', "", 1) for part in parts[1:])])
    json.loads(text)
    return text


PRICES = {
    "book": (samples.BOOK.replace('".48"', '"0.48"'), ("price", "size", "tick_size")),
    "changes": (samples.PRICE_CHANGE, ("price", "size", "best_bid", "best_ask")),
    "old changes": (samples.OLD_PRICE_CHANGE, ("price", "size")),
    "tick size": (samples.TICK_SIZE, ("old_tick_size", "new_tick_size")),
    "trade": (samples.TRADE, ("price", "size")),
    "touch": (samples.BEST_BID_ASK, ("best_bid", "best_ask")),
}


@pytest.mark.parametrize(("frame", "fields"), PRICES.values(), ids=PRICES)
def test_a_price_may_be_a_number(frame, fields):
    """As the official client takes it: the same event as from a text, alone and in an array."""
    wanted = clob_market.parse(frame, NOW)
    assert clob_market.parse(numbered(frame, *fields), NOW) == wanted
    assert clob_market.parse(f"[{numbered(frame, *fields)},{frame}]", NOW) == [*wanted, *wanted]


def test_a_book_over_rest_may_have_numbers_too():
    """One reader for both."""
    frame, fields = PRICES["book"]
    rest = frame.replace(',"event_type":"book"', "")
    assert clob_rest.parse_book(numbered(rest, *fields), NOW) == clob_rest.parse_book(rest, NOW)


@pytest.mark.parametrize("number", ["0.12345", "1e-999999", "1e999999", "-0.5", "true", "null", "5e-5", "1"])
def test_a_number_off_the_grid_is_refused_as_its_text_is(number):
    """Read through a float, one between two steps would become a step."""
    with pytest.raises(WireError):
        clob_market.parse(samples.BOOK.replace('".48"', number), NOW)


def test_a_number_with_an_exponent_is_the_number_it_says():
    """Digit by digit."""
    (book,) = clob_market.parse(samples.BOOK.replace('".48"', "4.8e-1"), NOW)
    assert isinstance(book, e.BookReplaced)
    assert book.bids[1][0] == 4_800


@pytest.mark.parametrize("number", ["7", "7.5", "1790000100000.5"])
def test_no_name_and_no_time_may_be_a_number_for_that(number):
    """Only prices and sizes: a token that is a number is another token."""
    for value in (f'"{samples.UP}"', f'"{samples.MARKET}"'):
        with pytest.raises(WireError):
            clob_market.parse(samples.BOOK.replace(value, number), NOW)
    if "." in number:
        with pytest.raises(WireError):
            clob_market.parse(samples.BOOK.replace('"1790000100000"', number), NOW)


UNREAD = {
    "new_market": samples.NEW_MARKET.replace('"btc-updown-5m-1790086500"', "null"),
    "market_resolved": samples.RESOLVED.replace('"1790000405000"', '"soon"'),
    "last_trade_price": samples.TRADE.replace('"0.456"', '"1.5"'),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_what_holds_no_level_is_told_with_whose_it_is(kind):
    """No error that voids books and counts towards a new connection: the core knows which market is ours."""
    (event,) = clob_market.parse(UNREAD[kind], NOW)
    assert isinstance(event, e.FrameRefused)
    assert event.feed == "clob"
    assert event.reason.startswith(f"{kind} of {samples.MARKET}")
    assert event.reason.partition(": ")[2]
    assert json.loads(event.excerpt)["market"] == samples.MARKET


def test_a_bad_item_of_an_array_does_not_drop_the_good_ones():
    """In the array's order: a book after it is the newer truth, one before it is not."""
    bad = samples.PRICE_CHANGE.replace('"BUY"', '"HOLD"')
    for item in (bad, UNREAD["new_market"], "7", samples.BOOK.replace('".48"', '"1"')):
        events = clob_market.parse(f"[{samples.BOOK},{item},{samples.TRADE}]", NOW)
        assert [type(event) for event in events] == [e.BookReplaced, e.FrameRefused, e.TradePrinted]
    for item in (bad, "7"):
        with pytest.raises(WireError):
            clob_market.parse(f"[{item},{UNREAD['new_market']}]", NOW)


def test_an_excerpt_is_cut():
    """Nobody knows how long a foreign listing is."""
    long = UNREAD["new_market"].replace("BTC?", "B" * 9_000)
    (event,) = clob_market.parse(long, NOW)
    assert isinstance(event, e.FrameRefused)
    assert len(event.excerpt) == EXCERPT_CHARACTERS


@pytest.mark.parametrize("kind", UNREAD)
def test_what_holds_no_level_is_no_reason_for_a_new_connection(kind):
    """Twenty foreign listings a minute did that: the books were gone, and no new socket reads them better."""
    listener = Listener(
        "clob", lambda _, frame, parse: bool(parse(frame, NOW)), clob_market.parse, clob_topic
    )
    assert listener(UNREAD[kind]) == NOTHING
    assert listener(f"[{UNREAD[kind]},{samples.BOOK}]").topics == {BOOKS}
