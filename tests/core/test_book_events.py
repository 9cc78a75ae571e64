"""What the CLOB's channels tell is believed only as far as its stamps can be true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events as e
from engine.core.book import Book
from engine.core.state import RESYNC_AFTER_MS
from tests.core.builders import DOWN, MARKET, START_S, UP, Core, contract

AT_MS = (START_S + 1) * 1000
LIMIT_MS = 3_000
"""``max_clock_skew_ms``, as it comes."""
REFUSED = "clob: from the future"


def opened() -> Core:
    """Bring a core to live books of both tokens."""
    core = Core()
    core.describe()
    core.book(UP, [(50, 500)], [(51, 500)], AT_MS)
    core.book(DOWN, [(49, 500)], [(50, 500)], AT_MS)
    return core


def books(core: Core) -> dict[str, Book]:
    market = core.state.markets[contract().slug]
    return {UP: market.up, DOWN: market.down}


def whole(core: Core, token: str, ahead_ms: int, at_ms: int = AT_MS) -> None:
    core.feed(
        e.BookReplaced(
            ts_recv_ms=at_ms,
            market=MARKET,
            token=token,
            bids=((5_000, 10**9),),
            asks=((5_100, 10**9),),
            ts_venue_ms=at_ms + ahead_ms,
            tick_e4=100,
        )
    )


def levels(core: Core, tokens: list[str], ahead_ms: int, at_ms: int = AT_MS) -> None:
    changes = tuple(e.LevelChange(token, "BUY", 4_000, 10**8) for token in tokens)
    core.feed(e.LevelsChanged(ts_recv_ms=at_ms, market=MARKET, ts_venue_ms=at_ms + ahead_ms, changes=changes))


def states(core: Core) -> list[str]:
    return [book.state for book in books(core).values()]


def test_a_whole_book_of_the_future_is_refused_and_asked_for_again() -> None:
    """Believed, it would outlive every later change for an hour, and call itself live."""
    core = opened()
    whole(core, UP, 3_600_000, AT_MS + 100)
    assert states(core) == ["awaiting snapshot", "live"]
    assert core.state.bad_prices == {REFUSED: 1}
    for second in range(2, 5):
        core.second(START_S + second)
    assert core.state.now_ms - AT_MS > RESYNC_AFTER_MS
    assert core.state.books_to_resync == {UP}
    core.book(UP, [(90, 500)], [(91, 500)], AT_MS + 4_000)
    assert states(core) == ["live", "live"]
    assert (books(core)[UP].bid, books(core)[UP].ask) == (9_000, 9_100)
    core.second(START_S + 6)
    assert core.state.books_to_resync == frozenset()


def test_levels_of_the_future_void_the_books_that_they_name_and_no_other() -> None:
    """A level stamped an hour ahead could not be taken back for an hour."""
    core = opened()
    levels(core, [DOWN], 3_600_000)
    assert states(core) == ["live", "awaiting snapshot"]
    levels(core, [UP, DOWN, "9009"], 3_600_000)
    assert states(core) == ["awaiting snapshot", "awaiting snapshot"]
    assert core.state.bad_prices == {REFUSED: 2}, "frames are counted, not levels"
    assert core.state.unknown_tokens == 1


def test_what_is_refused_does_not_keep_a_book_fresh() -> None:
    """The age of a book is that of the last frame that was believed."""
    core = opened()
    whole(core, UP, 3_600_000, AT_MS + 500)
    levels(core, [UP, DOWN], 3_600_000, AT_MS + 600)
    assert core.state.markets[contract().slug].book_arrived_ms == AT_MS


def test_a_touch_of_the_future_is_not_compared() -> None:
    """Its doubt could end with nothing stamped before it: no whole book would bring the trust back."""
    core = opened()
    core.feed(
        e.TouchQuoted(
            ts_recv_ms=AT_MS,
            market=MARKET,
            token=UP,
            best_bid_e4=9_000,
            best_ask_e4=9_100,
            ts_venue_ms=AT_MS + 3_600_000,
        )
    )
    assert states(core) == ["live", "live"]
    assert core.state.bad_prices == {REFUSED: 1}


@pytest.mark.parametrize(("ahead_ms", "refused"), [(LIMIT_MS, False), (LIMIT_MS + 1, True)])
@pytest.mark.parametrize("tell", ["whole", "levels"])
def test_the_limit_is_the_skew_that_clocks_may_have(tell: str, ahead_ms: int, refused: bool) -> None:
    """A clock that is off by less gates nothing, so its stamps are taken."""
    core = opened()
    if tell == "whole":
        whole(core, UP, ahead_ms)
    else:
        levels(core, [UP], ahead_ms)
    assert (states(core)[0] == "awaiting snapshot") is refused
    assert core.state.bad_prices == ({REFUSED: 1} if refused else {})


@given(st.lists(st.tuples(st.booleans(), st.integers(LIMIT_MS + 1, 10**8)), max_size=6))
def test_after_any_frames_of_the_future_the_next_whole_books_are_what_is_held(
    frames: list[tuple[bool, int]],
) -> None:
    """Nothing of a stamp that cannot be true stays behind."""
    core = opened()
    for place, (is_whole, ahead_ms) in enumerate(frames):
        (whole if is_whole else lambda c, t, a, m: levels(c, [t], a, m))(core, UP, ahead_ms, AT_MS + place)
    core.book(UP, [(90, 500)], [(91, 500)], AT_MS + 50)
    book = books(core)[UP]
    assert book.depth("BUY", 9) == ((9_000, 500_000_000),)
    assert book.depth("SELL", 9) == ((9_100, 500_000_000),)
    assert book.state == "live"
