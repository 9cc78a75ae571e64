"""Rows of the fault catalogue (docs/faults.md) that no other test has."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine import events as e
from engine.contract import DURATIONS_S, slug_of, window_start
from engine.core.state import State
from engine.core.step import step
from engine.core.trading import OrderIntent
from engine.errors import WireError
from engine.params import Params
from engine.run.markets_table import window_times
from engine.wire.grammar import unix_ms
from tests.core.builders import END_S, START_S, Core
from tests.core.test_step import intents, quote, story

NEW_YORK = ZoneInfo("America/New_York")


def traded() -> Core:
    core = Core(Params(max_entry_price=0.97))
    story(core, END_S - 15)
    quote(core, END_S - 12)
    return core


@pytest.mark.parametrize("times", [1, 3, 7])
def test_f6_events_of_prices_and_books_told_twice_lead_to_the_same_orders(times: int) -> None:
    """A subscription that is renewed brings again what is known; an order must not hang on it."""
    core = traded()
    state, told, seq = State(), list[OrderIntent](), 0
    for place, record in enumerate(core.records):
        again = isinstance(record.event, e.PricePrinted | e.BookReplaced) and place % 7 < times
        for _ in range(2 if again else 1):
            seq += 1
            effects = step(state, e.Record(seq, record.event))
            told += [one for one in effects if isinstance(one, OrderIntent)]
    (wanted,) = intents(core)
    (got,) = told
    fields = ("slug", "outcome", "token", "limit_e4", "usd_e6", "order_id")
    assert [getattr(got, name) for name in fields] == [getattr(wanted, name) for name in fields]


@pytest.mark.parametrize("day", ["2026-11-01", "2027-03-14"])
@pytest.mark.parametrize("name", DURATIONS_S)
def test_f50_windows_follow_each_other_on_the_days_that_clocks_change(day: str, name: str) -> None:
    """Titles are in New York's time, where an hour is missing or comes twice; slugs are not."""
    length = DURATIONS_S[name]
    first = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp())
    hours = {datetime.fromtimestamp(at, NEW_YORK).utcoffset() for at in range(first, first + 86_400, 3_600)}
    assert len(hours) == 2, "clocks change on this day"
    slots = 86_400 // length
    starts = [window_start(name, first + slot * length + length // 2) for slot in range(slots)]
    assert starts == [first + slot * length for slot in range(slots)]
    slugs = [slug_of(name, start) for start in starts]
    assert len(set(slugs)) == slots
    assert [window_times(slug) for slug in slugs] == [(start, start + length) for start in starts]


def test_f51_a_second_that_comes_twice_changes_nothing() -> None:
    """The clock says 23:59:59 twice, and a feed may give that second two values: the first one stays."""
    core = traded()
    known = core.state.track("chainlink").newest()
    assert known is not None
    before = len(intents(core))
    second = END_S - 16
    core.second(second + 4)
    core.second(second + 4)
    core.price(second, "12345.6")
    core.price(second, "70400")
    assert core.state.track("chainlink").newest() == known
    assert core.state.bad_prices["chainlink: restated"] >= 1
    assert len(intents(core)) == before
    assert second > START_S


def test_f51_a_leap_second_in_words_is_no_time() -> None:
    """``:60`` exists in no Unix time; a venue that writes it is not understood, and the frame is counted."""
    with pytest.raises(WireError):
        unix_ms("2026-12-31T23:59:60Z")
    last = unix_ms("2026-12-31T23:59:59Z")
    following = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC) + timedelta(seconds=1)
    assert last + 1_000 == int(following.timestamp() * 1000)
