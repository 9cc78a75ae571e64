"""The CLOB's market channel: what is sent, and what each kind of frame becomes."""

import json

import pytest

from engine import events as e
from engine.core.book import Book
from engine.errors import WireError
from engine.wire import clob_market
from tests.wire import samples
from tests.wire.samples import DOWN, MARKET, UP


def single(text: str | bytes) -> e.AnyEvent:
    (event,) = clob_market.parse(text, 1_790_000_100_700)
    return event


def reason(text: str | bytes) -> str:
    event = single(text)
    assert isinstance(event, e.FrameIgnored)
    assert event.feed == "clob"
    return event.reason


def changed(text: str, **fields: object) -> str:
    """Rewrite fields of a frame; None takes a field out."""
    return json.dumps({k: v for k, v in (json.loads(text) | fields).items() if v is not None})


def test_the_first_frame_of_a_connection_is_the_documented_one():
    """``assets_ids`` is the venue's spelling; without the custom features no market_resolved comes."""
    assert clob_market.subscribe(["1", "2"]) == (
        '{"assets_ids":["1","2"],"type":"market","initial_dump":true,"level":2,"custom_feature_enabled":true}'
    )


def test_tokens_come_and_go_without_a_new_connection():
    """Dynamic frames have an operation and no type."""
    assert clob_market.add(["3"]) == (
        '{"operation":"subscribe","assets_ids":["3"],"custom_feature_enabled":true}'
    )
    assert clob_market.remove(["3"]) == '{"operation":"unsubscribe","assets_ids":["3"]}'


def test_a_book_is_read_with_its_tick():
    """Prices may come without the leading zero, ``last_trade_price`` empty."""
    assert single(samples.BOOK) == e.BookReplaced(
        ts_recv_ms=1_790_000_100_700,
        market=MARKET,
        token=UP,
        bids=((100, 900_000_000), (4_800, 30_500_000)),
        asks=((9_900, 700_000_000), (5_200, 25_000_000)),
        ts_venue_ms=1_790_000_100_000,
        tick_e4=100,
    )


def test_a_book_without_event_type_is_a_book():
    """REST answers were recorded into the socket's captures."""
    assert single(samples.REST_BOOK) == single(samples.BOOK)
    assert clob_market.parse(f"[{samples.REST_BOOK},{samples.TRADE}]", 1)[0].ts_recv_ms == 1


def test_trap_23_price_changes_carry_both_tokens_and_absolute_sizes():
    """A size read as a delta makes liquidity out of nothing."""
    event = single(samples.PRICE_CHANGE)
    assert isinstance(event, e.LevelsChanged)
    assert event.changes == (
        e.LevelChange(UP, "BUY", 5_000, 200_000_000, True, 5_000, None),
        e.LevelChange(DOWN, "SELL", 5_000, 200_000_000, True, None, 5_000),
    )
    book = Book(UP)
    book.replace(e.BookReplaced(ts_recv_ms=0, market=MARKET, token=UP, bids=(), asks=(), ts_venue_ms=0))
    for _ in range(2):
        book.change(event.changes[0], event.ts_venue_ms)
    assert book.depth("BUY", 5) == ((5_000, 200_000_000),)


def test_the_format_of_before_september_2025_states_no_touch():
    """Old recordings still replay; their books are simply not checked."""
    event = single(samples.OLD_PRICE_CHANGE)
    assert isinstance(event, e.LevelsChanged)
    assert event.changes == (e.LevelChange(UP, "SELL", 4_000, 3_300_000_000, False, None, None),)


def test_trap_24_the_best_price_is_not_the_first_entry():
    """The venue lists the worst level first."""
    event = single(samples.BOOK)
    assert isinstance(event, e.BookReplaced)
    book = Book(UP)
    book.replace(event)
    assert (book.bid, book.ask) == (4_800, 5_200)
    assert event.bids[0][0] != book.bid
    assert event.asks[0][0] != book.ask


def test_trap_25_a_frame_may_be_an_array():
    """The initial dump is one array with a book for each token; unknown tokens get an empty one."""
    other = samples.BOOK.replace(UP, DOWN)
    events = clob_market.parse(f"[{samples.BOOK},{other}]", 5)
    assert [event.token for event in events if isinstance(event, e.BookReplaced)] == [UP, DOWN]
    assert reason("[]") == clob_market.NO_BOOKS


def test_trap_26_an_empty_text_is_unknown_not_a_number():
    """In a change it states nothing, in a touch or a trade it leaves nothing to say."""
    event = single(samples.PRICE_CHANGE.replace('"best_bid":"0.5"', '"best_bid":""'))
    assert isinstance(event, e.LevelsChanged)
    assert event.changes[0].stated is False
    assert event.changes[1].stated is True
    assert reason(samples.BEST_BID_ASK.replace('"0.73"', '""')) == clob_market.NOT_STATED
    assert reason(changed(samples.BEST_BID_ASK, best_ask=None)) == clob_market.NOT_STATED
    assert reason(samples.TRADE.replace('"0.456"', '""')) == clob_market.NO_PRICE
    tick = single(samples.TICK_SIZE.replace('"old_tick_size":"0.01"', '"old_tick_size":""'))
    assert isinstance(tick, e.TickSizeChanged)
    assert tick.old_tick_e4 is None


def test_zero_and_one_are_how_an_empty_side_is_written():
    """Read as prices, 0 and 1 would be the best bargain on the board."""
    event = single(samples.BEST_BID_ASK.replace('"0.73"', '"0"').replace('"0.77"', '"1"'))
    assert isinstance(event, e.TouchQuoted)
    assert (event.best_bid_e4, event.best_ask_e4) == (None, None)


def test_trap_27_both_tokens_changes_are_one_and_the_same_order():
    """A bid for Up at p is an ask for Down at 1 - p of the same size: never two liquidities."""
    event = single(samples.PRICE_CHANGE)
    assert isinstance(event, e.LevelsChanged)
    up, down = event.changes
    assert up.side != down.side
    assert up.price_e4 + down.price_e4 == 10_000
    assert up.size_e6 == down.size_e6


def test_trap_28_a_new_window_starts_with_empty_books():
    """Books are one for each token, and a void one takes no change before its snapshot."""
    event = single(samples.PRICE_CHANGE)
    assert isinstance(event, e.LevelsChanged)
    book = Book(UP)
    assert book.change(event.changes[0], event.ts_venue_ms) is False
    assert (book.state, book.bid) == ("awaiting snapshot", None)


def test_trap_30_a_new_tick_size_is_an_event():
    """It comes at 0.96 and 0.04: exactly the last-seconds zone."""
    assert single(samples.TICK_SIZE) == e.TickSizeChanged(
        ts_recv_ms=1_790_000_100_700,
        market=MARKET,
        token=UP,
        old_tick_e4=100,
        new_tick_e4=10,
        ts_venue_ms=1_790_000_101_000,
    )


def test_trades_touches_listings_and_resolutions_are_read():
    """The rest of the channel."""
    trade, touch = single(samples.TRADE), single(samples.BEST_BID_ASK)
    assert isinstance(trade, e.TradePrinted)
    assert (trade.price_e4, trade.size_e6, trade.side) == (4_560, 219_217_767, "BUY")
    assert isinstance(touch, e.TouchQuoted)
    assert (touch.best_bid_e4, touch.best_ask_e4) == (7_300, 7_700)
    listed, resolved = single(samples.NEW_MARKET), single(samples.RESOLVED)
    assert isinstance(listed, e.MarketListed)
    assert listed.slug == "btc-updown-5m-1790086500"
    assert isinstance(resolved, e.MarketResolved)
    assert resolved.winning_token == DOWN


@pytest.mark.parametrize("text", ["", "PONG", b"PONG", "\n"])
def test_keep_alives_are_ignored(text):
    """The CLOB answers PING with the text PONG."""
    assert reason(text) == clob_market.KEEP_ALIVE


def test_a_kind_that_is_new_is_ignored_by_name():
    """A venue that adds a message must not look like a broken one; not even inside an array."""
    assert reason('{"event_type":"comment","text":"hi"}') == clob_market.OTHER_KIND
    kinds = [type(event) for event in clob_market.parse(f'[{{"event_type":"x"}},{samples.BOOK}]', 0)]
    assert kinds == [e.FrameIgnored, e.BookReplaced]


def test_a_change_of_nothing_is_ignored_by_name():
    """An event without changes would only wake the core."""
    assert reason(changed(samples.PRICE_CHANGE, price_changes=[])) == clob_market.EMPTY_PRICE_CHANGE


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "null",
        "7",
        '"PONG"',
        "INVALID OPERATION",
        "[[]]",
        "[null]",
        "{",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        "\ud800\ud800\ud800\ud800\ud800\ud800\ud800\ud800\ud800",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"event_type":"book"}',
        changed(samples.BOOK, timestamp=None),
        changed(samples.BOOK, timestamp="soon"),
        changed(samples.BOOK, event_type=None, bids=None),
        changed(samples.PRICE_CHANGE, price_changes=None),
        samples.BOOK.replace('"30.5"', '"-1"'),
        samples.BOOK.replace('"30.5"', '"nan"'),
        samples.BOOK.replace('"30.5"', '"1e300"'),
        samples.BOOK.replace('".48"', '"0"'),
        samples.BOOK.replace('".48"', '"1"'),
        samples.BOOK.replace('".48"', '"0.12345"'),
        samples.BOOK.replace('".48"', '"nan"'),
        samples.BOOK.replace('".48"', '""'),
        samples.PRICE_CHANGE.replace('"best_bid":"0.5"', '"best_bid":"half"'),
        samples.PRICE_CHANGE.replace('"BUY"', '"HOLD"'),
    ],
)
def test_what_is_not_understood_raises_a_wire_error(text):
    """Nothing else may be raised: a frame is counted and journaled, never fatal."""
    with pytest.raises(WireError):
        clob_market.parse(text, 0)
