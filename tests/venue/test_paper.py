"""Paper fills: the book of the order's arrival, whole or not at all, never under a kill switch."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clock import ManualClock
from engine.contract import FeeSchedule
from engine.core.book import Book
from engine.core.fees import taker_fee_e6
from engine.core.ledger import cost_of
from engine.core.state import OrderIntent
from engine.errors import JournalError
from engine.events import AnyEvent, EngineHalted, OrderDenied, OrderFilled, OrderKilled, OrderSubmitted
from engine.kill import KillSwitch
from engine.venue.paper import LOT_E6, UNSPENT_E6, Delays, Market, PaperBroker, fill_or_kill
from tests.venue_doubles import book_with

CRYPTO = FeeSchedule(Decimal("0.07"), Decimal(1))
NOW_MS = 1_790_000_000_000


def intent(deadline_ms: int = NOW_MS + 1_000) -> OrderIntent:
    return OrderIntent("slug#1", "slug", "UP", "1001", 9_500, 20_000_000, deadline_ms, 7)


class Desk:
    """A broker over one book that the test may change while an order is under way."""

    def __init__(self, folder: Path, book: Book) -> None:
        self.clock = ManualClock(NOW_MS)
        self.kill = KillSwitch(folder)
        self.book: Book | None = book
        self.events: list[AnyEvent] = []
        market = Market(lambda _: self.book, lambda _: CRYPTO, 0.001)
        self.broker = PaperBroker(self.clock, self.kill, Delays(80.0, 150.0), market)
        self.broker.accept = self.events.append

    async def carry(self, order: OrderIntent, seconds: float = 0.3) -> list[AnyEvent]:
        self.broker.submit(order)
        await _settle()
        self.clock.advance(seconds)
        await self.broker.drain()
        return self.events


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_order_is_filled_by_walking_the_depth_with_the_market_s_own_fee(tmp_path: Path) -> None:
    """$20: ten shares at .90, the rest at .92; fee 0.07 p (1 - p) a share on top."""
    desk = Desk(tmp_path, book_with([(9_200, 500_000_000), (9_000, 10_000_000)]))
    submitted, filled = await desk.carry(intent())
    assert isinstance(submitted, OrderSubmitted)
    assert isinstance(filled, OrderFilled)
    assert [price for price, _ in filled.fills] == [9_000, 9_200]
    assert filled.fills[0][1] == 10_000_000
    assert 0 <= 20_000_000 - cost_of(filled.fills) < UNSPENT_E6
    assert filled.fee_e6 == taker_fee_e6(CRYPTO, filled.fills)


async def test_nothing_is_known_before_latency_and_hold_have_passed(tmp_path: Path) -> None:
    """80 ms on the way and 150 ms held by the venue: no fill at 229 ms."""
    desk = Desk(tmp_path, book_with([(9_000, 500_000_000)]))
    desk.broker.submit(intent())
    await _settle()
    desk.clock.advance(0.229)
    await _settle()
    assert [type(event) for event in desk.events] == [OrderSubmitted]
    desk.clock.advance(0.001)
    await desk.broker.drain()
    assert [type(event) for event in desk.events] == [OrderSubmitted, OrderFilled]


async def test_makers_that_pull_meanwhile_kill_the_order(tmp_path: Path) -> None:
    """Displayed quotes are not fills: the order meets the book of its arrival."""
    desk = Desk(tmp_path, book_with([(9_000, 500_000_000)]))
    desk.broker.submit(intent())
    await _settle()
    desk.book = book_with([(9_600, 500_000_000)])
    desk.clock.advance(0.3)
    await desk.broker.drain()
    assert isinstance(desk.events[-1], OrderKilled)


async def test_a_book_that_is_gone_kills_the_order(tmp_path: Path) -> None:
    """The window ended while the order was held."""
    desk = Desk(tmp_path, book_with([(9_000, 500_000_000)]))
    desk.broker.submit(intent())
    await _settle()
    desk.book = None
    desk.clock.advance(0.3)
    await desk.broker.drain()
    assert isinstance(desk.events[-1], OrderKilled)


async def test_the_kill_switch_is_looked_at_last(tmp_path: Path) -> None:
    """Tripped after the decision and before the send: nothing leaves."""
    desk = Desk(tmp_path, book_with([(9_000, 500_000_000)]))

    async def slow_disk() -> None:
        desk.kill.trip("test", "while the record was being written")

    desk.broker.until_durable = slow_disk
    (denied,) = await desk.carry(intent())
    assert isinstance(denied, OrderDenied)
    assert denied.reason == "kill switch"


async def test_a_stale_intent_does_not_leave(tmp_path: Path) -> None:
    """The deadline is checked at the send, not at the decision."""
    desk = Desk(tmp_path, book_with([(9_000, 500_000_000)]))
    (denied,) = await desk.carry(intent(deadline_ms=NOW_MS - 1))
    assert isinstance(denied, OrderDenied)
    assert "deadline" in denied.reason


async def test_no_record_no_trade(tmp_path: Path) -> None:
    """An intent that cannot be made durable is not sent."""
    desk = Desk(tmp_path, book_with([(9_000, 500_000_000)]))

    async def full_disk() -> None:
        raise JournalError("database or disk is full")

    desk.broker.until_durable = full_disk
    (denied,) = await desk.carry(intent())
    assert isinstance(denied, OrderDenied)
    assert "disk is full" in denied.reason


levels = st.lists(
    st.tuples(st.integers(1, 99).map(lambda cents: cents * 100), st.integers(1, 400_000_000)), max_size=12
)


@given(levels, st.integers(1_000_000, 500_000_000), st.integers(1, 99))
def test_a_fill_is_whole_within_the_limit_and_in_lots(
    asks: list[tuple[int, int]], usd: int, cents: int
) -> None:
    """Never above the limit, never more than the dollars, at most a cent less; sizes that were displayed."""
    shown = dict(asks)
    fills = fill_or_kill(book_with(list(shown.items())), usd, cents * 100)
    if fills is None:
        worth = sum(price * size for price, size in shown.items() if price <= cents * 100) / 10_000
        assert worth < usd, "there was enough to fill it"
        return
    assert all(price <= cents * 100 and 0 < size <= shown[price] for price, size in fills)
    assert cost_of(fills) <= usd
    assert usd - cost_of(fills) < UNSPENT_E6 + 100
    assert sum(size for _, size in fills) % LOT_E6 == 0


@pytest.mark.parametrize(
    ("shares", "price", "fee"),
    [(100, "0.01", "0.0693"), (100, "0.5", "1.75"), (100, "0.95", "0.3325"), (100, "0.99", "0.0693"),
     (5, "0.5", "0.0875"), (10, "0.52", "0.17472"), (1, "0.5", "0.0175")],
)  # fmt: skip
def test_fees_are_those_the_venue_publishes(shares: int, price: str, fee: str) -> None:
    """Test vectors of the protocol sheet, section 6.3."""
    fills = ((int(Decimal(price) * 10_000), shares * 1_000_000),)
    assert taker_fee_e6(CRYPTO, fills) == int(Decimal(fee) * 1_000_000)


async def test_an_order_that_ends_by_an_error_halts_the_engine(tmp_path: Path) -> None:
    """Nobody knows its fate; silence until the session ends would let the next one go the same way."""
    desk = Desk(tmp_path, book_with([(9_000, 500_000_000)]))
    desk.broker.until_durable = None

    def broken(_: str) -> Book | None:
        raise ZeroDivisionError("planted")

    desk.broker._market = desk.broker._market._replace(book=broken)
    submitted, halted = await desk.carry(intent())
    assert isinstance(submitted, OrderSubmitted)
    assert isinstance(halted, EngineHalted)
    assert halted.why == "order slug#1 failed: ZeroDivisionError: planted"
