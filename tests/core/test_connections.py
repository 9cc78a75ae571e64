"""What a frame that was not understood does to books: what may have been a change of theirs voids them."""

import pytest

from engine import events as e
from engine.errors import WireError
from engine.wire import clob_market
from tests.core.builders import DOWN, MARKET, UP, Core
from tests.core.test_book_events import AT_MS, books, opened
from tests.wire import samples

LIVE, VOID = "live", "awaiting snapshot"


def hear(core: Core, frame: str) -> None:
    """Let the core hear a frame as the session does."""
    try:
        events = clob_market.parse(frame, AT_MS + 1)
    except WireError as error:
        events = [e.FrameRefused(ts_recv_ms=AT_MS + 1, feed="clob", reason=error.reason, excerpt=frame)]
    for event in events:
        core.feed(event)


def states(core: Core) -> list[str]:
    return [book.state for book in books(core).values()]


def ours(frame: str) -> str:
    """Write one of the wire's samples as a frame of the core's own market."""
    return frame.replace(samples.MARKET, MARKET).replace(samples.UP, UP).replace(samples.DOWN, DOWN)


RESOLVED = samples.RESOLVED.replace('"winning_asset_id":"' + samples.DOWN, '"winning_asset_id":"')
OF_OTHERS = {
    "a listing without a slug": samples.NEW_MARKET.replace('"btc-updown-5m-1790086500"', "null"),
    "a listing without a market": samples.NEW_MARKET.replace(f'"market":"{samples.MARKET}"', '"market":7'),
    "a listing without a time": samples.NEW_MARKET.replace('"timestamp":"1790000104000",', ""),
    "a resolution without a winner": RESOLVED,
    "a resolution whose winner is null": RESOLVED.replace('"winning_asset_id":""', '"winning_asset_id":null'),
    "a resolution without a time": samples.RESOLVED.replace('"1790000405000"', '"soon"'),
    "a trade without a side": samples.TRADE.replace('"BUY"', "null"),
    "a trade at no price": samples.TRADE.replace('"0.456"', '"1.5"'),
}


@pytest.mark.parametrize("frame", OF_OTHERS.values(), ids=OF_OTHERS)
def test_what_holds_no_level_and_is_of_others_voids_no_book(frame: str) -> None:
    """Listings are sent to everyone: one with a null in it took every book from us, whenever it came."""
    core = opened()
    for text in (frame, f"[{frame},{samples.RESOLVED}]"):
        hear(core, text)
        assert states(core) == [LIVE, LIVE]
        assert core.state.feeds["clob"].refused == 0
    heard = core.state.feeds["clob"].other_frames
    hear(core, frame)
    assert core.state.feeds["clob"].other_frames == heard + 1, "it was heard all the same"


@pytest.mark.parametrize("name", [name for name in OF_OTHERS if "resolution" in name])
@pytest.mark.parametrize("change", [str, str.upper])
def test_a_resolution_of_our_market_that_cannot_be_read_stays_a_refusal(name: str, change: object) -> None:
    """By its market or by its tokens, in whatever case."""
    by_market = OF_OTHERS[name].replace(samples.MARKET, MARKET.upper() if change is str.upper else MARKET)
    by_token = OF_OTHERS[name].replace(samples.UP, UP)
    by_nobody = OF_OTHERS[name].replace(samples.UP, "").replace(samples.DOWN, "").replace(samples.MARKET, "")
    for frame in (by_market, by_token, by_nobody):
        core = opened()
        hear(core, frame)
        assert states(core) == [VOID, VOID]
        assert core.state.feeds["clob"].refused == 1


def test_a_trade_of_ours_that_cannot_be_read_is_counted_and_voids_nothing() -> None:
    """It holds no level."""
    core = opened()
    hear(core, ours(OF_OTHERS["a trade at no price"]))
    assert states(core) == [LIVE, LIVE]
    assert core.state.feeds["clob"].refused == 1


def test_an_item_that_may_be_a_change_of_a_book_voids_every_book_as_a_frame_does() -> None:
    """Whatever stands beside it in the array; and what comes after it counts."""
    bad = ours(samples.PRICE_CHANGE.replace('"BUY"', '"HOLD"'))
    for frame in (bad, f"[{bad}]", f"[{ours(samples.BOOK)},{bad}]", '{"event_type":7}', "[null]"):
        core = opened()
        hear(core, frame)
        assert states(core) == [VOID, VOID]
        assert core.state.feeds["clob"].refused == 1
    core = opened()
    hear(core, f"[{bad},{ours(samples.BOOK)}]")
    assert states(core) == [LIVE, VOID]


def test_a_refusal_of_an_older_session_means_what_it_meant() -> None:
    """Its reason does not say whose the frame was; a replay has to decide as it was decided."""
    core = opened()
    reason = "new_market: Expected `str`, got `null` - at `$.slug`"
    core.feed(e.FrameRefused(ts_recv_ms=AT_MS + 1, feed="clob", reason=reason, excerpt=""))
    assert states(core) == [VOID, VOID]
