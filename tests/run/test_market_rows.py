"""Rows of one window: sampled at each change, thinned without losing a report."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import PricePrinted
from engine.run.market_rows import MarketRow, WindowTerms, changes, thinned
from engine.run.row_records import records_of_rows
from engine.run.session_rows import SessionRows
from tests.core.builders import TWAP_60
from tests.run.row_sessions import staged

SLUG = "btc-updown-5m-1789999800"
END_S = 1_790_000_100


def window(stamps: list[tuple[int, int]]) -> list[MarketRow]:
    begin = END_S * 1000 - 300_000
    return [
        MarketRow(
            begin + number * 100, begin + number * 100, SLUG, Decimal(60_000 + c), None, begin + c * 1000,
            Decimal(60_000 + t), begin + t * 1000, up_asks=((100 + number % 50, 1_000_000),),
        )
        for number, (c, t) in enumerate(stamps)
    ]  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=400),
    st.integers(1, 400),
)
def test_thinning_keeps_order_and_the_number_asked_for(steps: list[tuple[int, int]], most: int) -> None:
    """A window that is too long is shortened, never shuffled or made up."""
    c = t = 0
    stamps = []
    for more_c, more_t in steps:
        c, t = c + more_c, t + more_t
        stamps.append((c, t))
    rows = window(stamps)
    kept, left_out = thinned(rows, END_S, most)
    assert len(kept) + left_out == len(rows)
    assert len(kept) == min(most, len(rows))
    assert kept == [row for row in rows if row in set(kept)]


@given(st.integers(1, 60), st.integers(1, 9))
def test_thinning_loses_no_report_of_a_settlement_feed(seconds: int, each: int) -> None:
    """Strike, settlement and volatility hang on single reports: books give way first."""
    rows = window(
        [(second, second + half) for second in range(seconds) for half in (0, 1) for _ in range(each)]
    )
    kept, _ = thinned(rows, END_S, 2 * seconds + 2)
    for name in ("canonical_ts_ms", "twap_ts_ms"):
        assert {getattr(row, name) for row in kept} == {getattr(row, name) for row in rows}


def test_every_row_of_a_session_differs_from_the_one_before_it() -> None:
    """A row for each change, and for nothing else: 98 % of the venue's updates change no touch."""
    rows: dict[str, list[MarketRow]] = {}
    for one in SessionRows().rows(staged()):
        rows.setdefault(one.row.slug, []).append(one.row)
    assert len(rows) >= 3
    for of_window in rows.values():
        assert changes(of_window) == of_window
        assert [row.ts_recv_ms for row in of_window] == sorted(row.ts_recv_ms for row in of_window)


def test_rows_hold_no_book_after_the_end_and_go_on_for_the_final_price() -> None:
    """A stale book must not leak behind a window's end; the final price arrives after it."""
    rows = [one.row for one in SessionRows().rows(staged()) if one.row.slug == SLUG]
    after = [row for row in rows if row.ts_recv_ms >= END_S * 1000]
    assert all(not any(row.touch) for row in after)
    assert END_S * 1000 in {row.twap_ts_ms for row in after}


@pytest.mark.parametrize(("first", "known"), [(400, True), (1, False), (3, False)])
def test_a_strike_of_the_table_stands_for_a_missing_column_and_never_for_an_outage(
    first: int, known: bool
) -> None:
    """Where a recorder has averages and they were silent at the boundary, nobody knew the strike: what the
    venue served a minute after the end is the future."""
    start_s = END_S - 300
    rows = []
    for second in range(30):
        at_ms = (start_s + second) * 1000
        average = (Decimal(70_001), at_ms) if second >= first else (None, None)
        price = Decimal(70_000 + second % 3)
        asks = ((9_000, 1_000_000),)
        rows.append(MarketRow(at_ms + 500, at_ms, SLUG, price, None, at_ms, *average, up_asks=asks))
    terms = WindowTerms(SLUG, start_s, END_S, TWAP_60, strike=Decimal(70_000))
    told = [
        record.event
        for record in records_of_rows(rows, {SLUG: terms})
        if isinstance(record.event, PricePrinted)
        and record.event.source == "twap"
        and record.event.ts_venue_ms == start_s * 1000
    ]
    assert [event.value for event in told] == ([Decimal(70_000)] if known else [])
