"""The paper exchange: latency and hold in time, the book of the order's arrival, the venue's own words."""

import asyncio
import statistics
from decimal import Decimal

import pytest

from engine.clock import ManualClock
from engine.contract import FeeSchedule
from engine.core.book import Book
from engine.core.fees import taker_fee_e6
from engine.core.ledger import cost_of
from engine.core.trading import OrderIntent
from engine.events import AnyEvent
from engine.venue.door import Door
from engine.venue.exchange import Answer, HeldBack, Matched, Nothing
from engine.venue.paper import Delays, Market, PaperExchange, latency_ms
from engine.venue.paper_fills import UNSPENT_E6
from tests.venue_doubles import book_with

CRYPTO = FeeSchedule(Decimal("0.07"), Decimal(1))
NOW_MS = 1_790_000_000_000
LONG_S = 10.0
"""Longer than any latency that is drawn here."""


def intent(**changes: object) -> OrderIntent:
    facts = {
        "order_id": "slug#1",
        "slug": "slug",
        "outcome": "UP",
        "token": "1001",
        "limit_e4": 9_500,
        "usd_e6": 20_000_000,
        "deadline_ms": NOW_MS + 1_000,
        "decided_seq": 7,
        "fee": CRYPTO,
    }
    return OrderIntent(**(facts | changes))  # type: ignore[arg-type]


class Desk:
    """A paper exchange over one book that the test may change while an order is under way."""

    def __init__(self, book: Book | None) -> None:
        async def durable() -> None:
            pass

        self.clock = ManualClock(NOW_MS)
        self.book = book
        self.events: list[AnyEvent] = []
        self.broken: list[str] = []
        market = Market(lambda _: self.book, lambda: 0.001)
        door = Door(self.events.append, durable, self.broken.append)
        self.exchange = PaperExchange(self.clock, Delays(80.0, 150.0), market, door)
        self.left = 0

    async def at_the_wire(self) -> None:
        self.left += 1

    async def begin(self, order: OrderIntent) -> "asyncio.Task[Answer]":
        signed = await self.exchange.sign(order)
        task = asyncio.create_task(self.exchange.send(order, signed, self.at_the_wire))
        while not self.clock.sleepers and not task.done():  # noqa: ASYNC110 (the clock tells nobody)
            await asyncio.sleep(0)
        return task

    async def carry(self, order: OrderIntent) -> Answer:
        task = await self.begin(order)
        self.clock.advance(LONG_S)
        return await task


async def test_an_order_is_filled_by_walking_the_depth_with_the_market_s_own_fee() -> None:
    """$20: ten shares at .90, the rest at .92; fee 0.07 p (1 - p) a share on top."""
    desk = Desk(book_with([(9_200, 500_000_000), (9_000, 10_000_000)]))
    filled = await desk.carry(intent())
    assert isinstance(filled, Matched)
    assert [price for price, _ in filled.fills] == [9_000, 9_200]
    assert filled.fills[0][1] == 10_000_000
    assert 0 <= 20_000_000 - cost_of(filled.fills) < UNSPENT_E6
    assert filled.fee_e6 == taker_fee_e6(CRYPTO, filled.fills)
    assert filled.trades == (), "a paper fill is final"


async def test_nothing_is_known_before_latency_and_hold_have_passed() -> None:
    """The drawn time on the way and 150 ms held by the venue: no answer a millisecond before."""
    desk = Desk(book_with([(9_000, 500_000_000)]))
    task = await desk.begin(intent())
    due_s = round(latency_ms(intent(), 80.0) + 150.0) / 1000
    desk.clock.advance(due_s - 0.001)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    desk.clock.advance(0.001)
    assert isinstance(await task, Matched)


def test_the_latency_is_drawn_about_the_setting_and_never_the_same_for_all() -> None:
    """Its median is the setting; one in six takes 1.4 times as long; the same order draws the same."""
    drawn = [latency_ms(intent(order_id=f"slug#{n}"), 80.0) for n in range(2_000)]
    assert drawn[3] == latency_ms(intent(order_id="slug#3"), 80.0)
    assert abs(statistics.median(drawn) - 80.0) < 4.0
    assert 0.10 < sum(ms > 80.0 * 1.42 for ms in drawn) / len(drawn) < 0.22
    assert latency_ms(intent(), 0.0) == 0.0


async def test_makers_that_pull_meanwhile_kill_the_order() -> None:
    """Displayed quotes are not fills: the order meets the book of its arrival. Touch says what a naive
    simulation would have booked."""
    desk = Desk(book_with([(9_000, 500_000_000)]))
    task = await desk.begin(intent(seen=((9_000, 500_000_000),)))
    desk.book = book_with([(9_600, 500_000_000)])
    desk.clock.advance(LONG_S)
    killed = await task
    assert isinstance(killed, Nothing)
    assert "FOK orders are fully filled or killed" in killed.reason
    assert [(told.name, told.shares_e6 > 0) for told in killed.assumed] == [
        ("touch", True),
        ("arrival", False),
        ("conservative", False),
    ]


async def test_a_fak_order_takes_what_there_is() -> None:
    """Ten of twenty dollars: a part, and the rest is gone."""
    desk = Desk(book_with([(9_000, 11_111_100)]))
    filled = await desk.carry(intent(kind="FAK"))
    assert isinstance(filled, Matched)
    assert cost_of(filled.fills) == 9_999_990
    assert isinstance(await Desk(book_with([(9_000, 11_111_100)])).carry(intent()), Nothing)
    assert isinstance(await Desk(book_with([(9_700, 11_111_100)])).carry(intent(kind="FAK")), Nothing)


async def test_a_sell_meets_the_bids_and_brings_their_price() -> None:
    """Thirty shares at .80 or better: twenty at .85, ten at .80."""
    desk = Desk(book_with([], bids=[(8_000, 50_000_000), (8_500, 20_000_000)]))
    order = intent(side="SELL", kind="FAK", usd_e6=0, shares_e6=30_000_000, limit_e4=8_000)
    filled = await desk.carry(order)
    assert isinstance(filled, Matched)
    assert filled.fills == ((8_500, 20_000_000), (8_000, 10_000_000))


@pytest.mark.parametrize("gone", [None, Book("1001")])
async def test_a_book_that_is_gone_kills_the_order(gone: Book | None) -> None:
    """The window ended, or the connection broke, while the order was held."""
    desk = Desk(book_with([(9_000, 500_000_000)]))
    task = await desk.begin(intent())
    desk.book = gone
    desk.clock.advance(LONG_S)
    assert isinstance(await task, Nothing)


async def test_what_the_last_gate_refuses_does_not_begin() -> None:
    """The gate is asked where a live order would write its first byte."""
    desk = Desk(book_with([(9_000, 500_000_000)]))

    async def refuse() -> None:
        raise HeldBack("kill switch")

    with pytest.raises(HeldBack):
        await desk.exchange.send(intent(), await desk.exchange.sign(intent()), refuse)


@pytest.mark.parametrize(
    ("shares", "price", "fee"),
    [(100, "0.01", "0.0693"), (100, "0.5", "1.75"), (100, "0.95", "0.3325"), (100, "0.99", "0.0693"),
     (5, "0.5", "0.0875"), (10, "0.52", "0.17472"), (1, "0.5", "0.0175")],
)  # fmt: skip
def test_fees_are_those_the_venue_publishes(shares: int, price: str, fee: str) -> None:
    """Test vectors of the protocol sheet, section 6.3."""
    fills = ((int(Decimal(price) * 10_000), shares * 1_000_000),)
    assert taker_fee_e6(CRYPTO, fills) == int(Decimal(fee) * 1_000_000)


@pytest.mark.parametrize("before_ms", [0, 100, 60_000])
async def test_nothing_is_matched_after_the_end_of_its_window(before_ms: int) -> None:
    """The way to the venue and its hold take time: who arrives after the end arrives at a closed market."""
    desk = Desk(book_with([(9_200, 500_000_000)]))
    order = intent(end_s=NOW_MS // 1000 + 60, deadline_ms=NOW_MS + 60_000)
    desk.clock.advance(60.0 - before_ms / 1000)
    answer = await desk.carry(order)
    assert isinstance(answer, Matched if before_ms == 60_000 else Nothing)
