"""The order book of one token: levels, touch, trust in it, and what a buyer would get."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.book import Book
from engine.events import BookReplaced, Level, LevelChange, Side

PRICES = st.integers(4_000, 6_000).map(lambda price: price // 100 * 100)
SIZES = st.sampled_from([0, 1, 5_000_000, 123_456_789])
SIDES: st.SearchStrategy[Side] = st.sampled_from(["BUY", "SELL"])


class Step(NamedTuple):
    """One change of a level, before it has a stamp."""

    side: Side
    price: int
    size: int


steps = st.lists(st.builds(Step, SIDES, PRICES, SIZES), max_size=40)
levels = st.lists(st.tuples(PRICES, SIZES), max_size=12)


def snapshot(
    bids: list[Level] | None = None, asks: list[Level] | None = None, at: int = 1_000, tick: int | None = None
) -> BookReplaced:
    return BookReplaced(
        ts_recv_ms=0,
        market="0xm",
        token="T",
        bids=tuple(bids or ()),
        asks=tuple(asks or ()),
        ts_venue_ms=at,
        tick_e4=tick,
    )


def book(bids: list[Level] | None = None, asks: list[Level] | None = None, at: int = 1_000) -> Book:
    made = Book("T")
    made.replace(snapshot(bids, asks, at))
    return made


def level(step: Step, touch: tuple[int | None, int | None] | None = None) -> LevelChange:
    if touch is None:
        return LevelChange("T", step.side, step.price, step.size)
    return LevelChange("T", step.side, step.price, step.size, True, *touch)


class Ledger:
    """The naive model: two dictionaries, best prices searched for each time."""

    def __init__(self, bids: list[Level], asks: list[Level]) -> None:
        self.sides: dict[Side, dict[int, int]] = {"BUY": dict(bids), "SELL": dict(asks)}
        for side in self.sides.values():
            for price in [price for price, size in side.items() if not size]:
                del side[price]

    def apply(self, step: Step) -> None:
        if step.size:
            self.sides[step.side][step.price] = step.size
        else:
            self.sides[step.side].pop(step.price, None)

    @property
    def touch(self) -> tuple[int | None, int | None]:
        return max(self.sides["BUY"], default=None), min(self.sides["SELL"], default=None)

    def contents(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        bids = sorted(self.sides["BUY"].items(), reverse=True)
        return tuple(bids), tuple(sorted(self.sides["SELL"].items()))


def contents(of: Book) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    return of.depth("BUY", 999), of.depth("SELL", 999)


@given(bids=levels, asks=levels, changes=steps)
def test_the_book_is_what_a_naive_model_says_after_every_change(bids, asks, changes):
    """The touch is kept incrementally; the model searches for it each time."""
    kept, model = book(bids, asks), Ledger(bids, asks)
    assert contents(kept) == model.contents()
    for number, step in enumerate(changes):
        before = (kept.bid, kept.ask)
        moved = kept.change(level(step), 1_001 + number)
        model.apply(step)
        assert contents(kept) == model.contents()
        assert (kept.bid, kept.ask) == model.touch
        assert moved is (model.touch != before)


@given(bids=levels, asks=levels, changes=steps, shuffled=st.randoms())
def test_the_order_of_arrival_does_not_matter(bids, asks, changes, shuffled):
    """Stamps decide, not arrival: 536 of 2,772 captured frames came after one with a later stamp."""
    stamped = [(1_001 + number, step) for number, step in enumerate(changes)]
    straight, mixed = book(bids, asks), book(bids, asks)
    for stamp, step in stamped:
        straight.change(level(step), stamp)
    shuffled.shuffle(stamped)
    for stamp, step in stamped:
        mixed.change(level(step), stamp)
    assert contents(mixed) == contents(straight)
    assert (mixed.bid, mixed.ask) == (straight.bid, straight.ask)


@given(bids=levels, changes=steps, later=st.integers(0, 40), data=st.data())
def test_a_snapshot_may_arrive_anywhere_among_the_changes(bids, changes, later, data):
    """It says everything about its own stamp and nothing about later ones."""
    model = Ledger(bids, [])
    for step in changes[:later]:
        model.apply(step)
    full = snapshot(*map(list, model.contents()), at=1_000 + min(later, len(changes)))
    for step in changes[later:]:
        model.apply(step)
    kept = book(bids)
    arrivals = data.draw(st.permutations([(1_001 + number, step) for number, step in enumerate(changes)]))
    place = data.draw(st.integers(0, len(arrivals)))
    for number, (stamp, step) in enumerate(arrivals):
        if number == place:
            kept.replace(full)
        kept.change(level(step), stamp)
    if place == len(arrivals):
        kept.replace(full)
    assert contents(kept) == model.contents()
    assert (kept.bid, kept.ask) == model.touch


@given(bids=levels, asks=levels, changes=steps)
def test_repeating_every_frame_changes_nothing(bids, asks, changes):
    """Sizes are absolute: a second copy of a frame, at once or at the end, is no news."""
    once, twice = book(bids, asks), book(bids, asks)
    for number, step in enumerate(changes):
        once.change(level(step), 1_001 + number)
        twice.change(level(step), 1_001 + number)
        assert twice.change(level(step), 1_001 + number) is False
    for number, step in enumerate(changes):
        assert twice.change(level(step), 1_001 + number) is False
    assert contents(once) == contents(twice)


def test_a_late_frame_does_not_bring_a_removed_level_back():
    """A phantom ask below the market would look like the best trade of the day."""
    kept = book([(4_000, 5)], [(6_000, 5)])
    kept.change(level(Step("SELL", 4_500, 0)), 1_020)
    kept.change(level(Step("SELL", 4_500, 7)), 1_010)
    assert kept.ask == 6_000


def test_of_equal_stamps_the_later_arrival_holds():
    """A match sends its changes and the snapshot after it in one millisecond, in order."""
    kept = book([(4_000, 5)])
    kept.change(level(Step("BUY", 4_100, 7)), 2_000)
    kept.replace(snapshot([(4_000, 5), (4_100, 6)], at=2_000))
    assert kept.depth("BUY", 1) == ((4_100, 6),)
    kept.change(level(Step("BUY", 4_100, 8)), 2_000)
    kept.change(level(Step("BUY", 4_100, 9)), 2_000)
    assert kept.depth("BUY", 1) == ((4_100, 9),)


def test_an_older_snapshot_is_not_news():
    """A REST answer out of a cache must not undo what the socket said."""
    kept = book([(4_000, 5)], [(6_000, 5)], at=2_000)
    kept.replace(snapshot([(4_400, 5)], [(4_500, 5)], at=1_999))
    assert (kept.bid, kept.ask) == (4_000, 6_000)


# --- states ---


def test_a_book_without_snapshot_takes_no_change():
    """A change for an unknown token must never create a book."""
    fresh = Book("T")
    assert fresh.change(level(Step("BUY", 5_000, 1), (5_000, None)), 1) is False
    assert (fresh.state, fresh.bid, fresh.checked) == ("awaiting snapshot", None, 0)


@pytest.mark.parametrize(
    ("bids", "asks", "state"),
    [
        ([], [], "empty"),
        ([(4_000, 1)], [], "live"),
        ([], [(6_000, 1)], "live"),
        ([(4_000, 1)], [(6_000, 1)], "live"),
        ([(5_000, 1)], [(5_000, 1)], "crossed"),
        ([(5_100, 1)], [(5_000, 1)], "crossed"),
        ([(4_000, 0)], [(6_000, 0)], "empty"),
    ],
)
def test_the_state_says_what_may_be_traded_on(bids, asks, state):
    """Locked counts as crossed: it is a moment between two frames of one match."""
    assert book(bids, asks).state == state


def test_a_new_tick_voids_the_book_until_the_next_snapshot():
    """The old grid's levels are no longer orders; changes make no book meanwhile."""
    kept = book([(4_000, 5)], [(6_000, 5)])
    kept.change_tick(10)
    assert (kept.state, kept.bid, kept.ask, kept.tick_e4) == ("awaiting snapshot", None, None, 10)
    assert kept.change(level(Step("BUY", 9_610, 5)), 5_000) is False
    assert (kept.state, kept.bid) == ("awaiting snapshot", None)
    kept.replace(snapshot([(9_610, 5)], at=900))
    assert (kept.state, kept.bid, kept.tick_e4) == ("live", 9_610, 10)


def test_a_change_that_overtakes_its_snapshot_is_not_lost():
    """536 of 2,648 recorded changes came out of order: an ask that is gone must not come back."""
    kept = Book("1")
    assert kept.change(level(Step("SELL", 5_000, 0)), 2_000) is False
    assert kept.change(level(Step("BUY", 4_900, 7)), 2_000) is False
    kept.replace(snapshot([(4_800, 5)], [(5_000, 5), (5_100, 5)], at=1_000))
    assert (kept.state, kept.bid, kept.ask) == ("live", 4_900, 5_100)


def test_a_void_book_forgets_stamps_too():
    """After a reconnect the first snapshot counts, whatever was stamped on the old connection."""
    kept = book([(4_000, 5)], at=9_000)
    kept.void()
    kept.replace(snapshot([(4_100, 5)], at=1_000))
    assert kept.bid == 4_100


def test_a_snapshot_may_tell_the_tick():
    """Only some snapshots carry it; the others leave it alone."""
    kept = Book("T")
    kept.replace(snapshot(tick=100))
    kept.replace(snapshot(at=2_000))
    assert kept.tick_e4 == 100


# --- the venue's own statements ---


@given(bids=levels, asks=levels, changes=steps)
def test_true_statements_are_never_in_doubt(bids, asks, changes):
    """Whatever the orders do, a complete stream agrees with itself."""
    kept, model = book(bids, asks), Ledger(bids, asks)
    for number, step in enumerate(changes):
        model.apply(step)
        kept.change(level(step, model.touch), 1_001 + number)
        assert kept.state != "awaiting snapshot"
    kept.settle()
    assert (kept.checked, kept.disagree) == (len(changes), 0)


@given(bids=levels, asks=levels, changes=steps.filter(len), data=st.data())
def test_a_lost_frame_is_seen_by_the_next_statement_or_has_not_moved_the_touch(bids, asks, changes, data):
    """Frames have no numbers: the stated touch is all that betrays a loss."""
    lost = data.draw(st.integers(0, len(changes) - 1))
    kept, model = book(bids, asks), Ledger(bids, asks)
    for number, step in enumerate(changes):
        model.apply(step)
        if number != lost:
            kept.change(level(step, model.touch), 1_001 + number)
            if kept.state == "live":
                assert (kept.bid, kept.ask) == model.touch


def test_one_match_in_two_frames_is_no_disagreement():
    """As captured: both frames of one stamp state the touch after the whole match."""
    kept = book([(8_600, 9), (8_500, 9)], [(8_700, 5), (8_800, 9)])
    after = (8_700, 8_800)
    assert kept.change(level(Step("BUY", 8_700, 2), after), 1_010) is True
    assert kept.state == "awaiting snapshot"
    assert kept.change(level(Step("SELL", 8_700, 0), after), 1_010) is True
    assert (kept.state, kept.bid, kept.ask) == ("live", *after)
    kept.change(level(Step("BUY", 8_500, 8), after), 1_020)
    assert (kept.checked, kept.disagree) == (3, 0)


def test_a_statement_that_still_does_not_hold_when_the_stamp_moves_on_disagrees():
    """The frame that removed 0.87 was lost: from then on the book is not traded on."""
    kept = book([(8_600, 9)], [(8_700, 5), (8_800, 9)])
    assert kept.change(level(Step("BUY", 8_500, 9), (8_600, 8_800)), 1_010) is True
    assert (kept.state, kept.disagree) == ("awaiting snapshot", 0)
    kept.change(level(Step("BUY", 8_500, 8)), 1_020)
    assert (kept.state, kept.disagree) == ("awaiting snapshot", 1)
    kept.replace(snapshot([(8_600, 9)], [(8_800, 9)], at=1_030))
    assert (kept.state, kept.ask) == ("live", 8_800)


def test_a_snapshot_of_the_same_stamp_settles_a_doubt():
    """It is the end of the same match: what it shows is what was stated."""
    kept = book([(8_600, 9)], [(8_700, 5), (8_800, 9)])
    kept.change(level(Step("BUY", 8_500, 9), (8_600, 8_800)), 1_010)
    kept.replace(snapshot([(8_600, 9)], [(8_800, 9)], at=1_010))
    assert (kept.state, kept.checked, kept.disagree) == ("live", 1, 0)


def test_a_later_snapshot_mends_the_book_but_not_the_count():
    """The loss did happen; an audit that forgot it would prove nothing."""
    kept = book([(8_600, 9)], [(8_700, 5), (8_800, 9)])
    kept.change(level(Step("BUY", 8_500, 9), (8_600, 8_800)), 1_010)
    kept.replace(snapshot([(8_600, 9)], [(8_800, 9)], at=1_030))
    assert (kept.state, kept.checked, kept.disagree) == ("live", 1, 1)


def test_a_late_statement_does_not_settle_a_newer_doubt():
    """It agrees with the old touch, which is just what is in question."""
    kept = book([(8_600, 9)], [(8_700, 5), (8_800, 9)])
    kept.check(8_600, 8_800, 1_013)
    kept.change(level(Step("BUY", 8_500, 9), (8_600, 8_700)), 1_005)
    assert kept.state == "awaiting snapshot"
    kept.change(level(Step("BUY", 8_500, 8)), 1_020)
    assert kept.disagree == 1


def test_a_book_that_agrees_again_is_trusted_again():
    """Somebody may take the phantom level's place; waiting for a snapshot could take minutes."""
    kept = book([(8_600, 9)], [(8_700, 5), (8_800, 9)])
    kept.change(level(Step("BUY", 8_500, 9), (8_600, 8_800)), 1_010)
    assert kept.change(level(Step("SELL", 8_700, 0), (8_600, 8_800)), 1_020) is True
    assert (kept.state, kept.checked, kept.disagree) == ("live", 2, 1)


def test_a_quoted_touch_may_come_before_the_frames_it_follows_from():
    """best_bid_ask is stamped a few milliseconds later than the change, and arrives earlier."""
    kept = book([(8_600, 9)], [(8_700, 5), (8_800, 9)])
    kept.check(8_600, 8_800, 1_013)
    kept.change(level(Step("SELL", 8_700, 0), (8_600, 8_800)), 1_010)
    kept.change(level(Step("BUY", 8_500, 8), (8_600, 8_800)), 1_020)
    assert (kept.checked, kept.disagree, kept.state) == (3, 0, "live")


def test_a_statement_about_the_past_is_not_compared():
    """A late frame tells a touch that was true once."""
    kept = book([(8_600, 9)], [(8_700, 5), (8_800, 9)])
    kept.change(level(Step("SELL", 8_700, 0), (8_600, 8_800)), 1_020)
    kept.change(level(Step("BUY", 8_500, 8), (8_600, 8_700)), 1_010)
    assert (kept.checked, kept.disagree, kept.state) == (1, 0, "live")
    assert kept.depth("BUY", 2)[1] == (8_500, 8)
    kept.replace(snapshot([(8_600, 9)], [(8_900, 9)], at=1_040))
    kept.change(level(Step("BUY", 8_400, 8), (8_600, 8_800)), 1_030)
    assert (kept.checked, kept.disagree, kept.state) == (1, 0, "live")


def test_doubts_that_are_open_at_the_end_of_a_recording_are_disagreements():
    """Nothing comes any more that could settle them."""
    kept = book([(8_600, 9)], [(8_700, 5)])
    kept.check(8_600, None, 1_010)
    kept.settle()
    assert (kept.checked, kept.disagree) == (1, 1)


# --- buying ---


def test_depth_is_best_first_on_both_sides():
    """The console shows it, the core reads it: the first entry is the touch."""
    kept = book([(4_000, 1), (4_200, 2), (4_100, 3)], [(6_000, 4), (5_800, 5)])
    assert kept.depth("BUY", 2) == ((4_200, 2), (4_100, 3))
    assert kept.depth("SELL", 9) == ((5_800, 5), (6_000, 4))
    assert kept.depth("SELL", 0) == ()


def test_a_walk_takes_the_asks_from_the_best_up():
    """20 dollars: 10 shares at 0.50 are 5 dollars, 25 at 0.60 are the other 15."""
    kept = book([], [(6_000, 40_000_000), (5_000, 10_000_000), (7_000, 1)])
    assert kept.walk(20_000_000, 9_700) == ((5_000, 10_000_000), (6_000, 25_000_000))
    assert kept.walk(20_000_000, 5_999) == ((5_000, 10_000_000),)
    assert kept.walk(20_000_000, 4_999) == ()
    assert kept.walk(0, 9_700) == ()


@given(
    asks=st.lists(st.tuples(st.integers(1, 9_999), st.integers(0, 10**9)), max_size=12),
    usd=st.integers(0, 10**9),
    limit=st.integers(1, 9_999),
)
def test_a_walk_spends_exactly_and_leaves_nothing_that_could_be_bought(asks, usd, limit):
    """Integers throughout: never a dollar too much, never a millionth of a share too few."""
    kept = book([], asks)
    fills = kept.walk(usd, limit)
    offered = dict(contents(kept)[1])
    left = usd * 10_000 - sum(price * size for price, size in fills)
    assert left >= 0
    assert list(fills) == sorted(fills)
    for price, size in fills:
        assert price <= limit
        assert 0 < size <= offered[price]
        offered[price] -= size
    dearest = fills[-1][0] if fills else 0
    cheapest_left = min((price for price, size in offered.items() if size), default=None)
    if cheapest_left is not None and cheapest_left <= limit:
        assert left < cheapest_left
        assert cheapest_left >= dearest
