"""The search for an order whose fate nobody knows: what proves that the venue never had it, and what not."""

from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from engine.clock import ManualClock
from engine.core.trading import OrderIntent
from engine.events import AnyEvent, OrderFilled, OrderKilled, Trade
from engine.venue import duties
from engine.venue.door import Door
from engine.venue.duties import (
    ABSENT_FOR_S,
    PAID_OUT_S,
    PAYING_FROM_S,
    Doubt,
    Questions,
    Search,
    Tools,
    _Trace,
)
from engine.venue.exchange import Account, Exchange, Matched
from engine.venue.restrictions import Restrictions

END_S = 1_790_000_400
INTENT = OrderIntent(
    order_id="btc-updown-5m-1790000100#1",
    slug="btc-updown-5m-1790000100",
    outcome="UP",
    token="1001",
    limit_e4=9_500,
    usd_e6=20_000_000,
    deadline_ms=END_S * 1000,
    decided_seq=1,
    end_s=END_S,
)
BOUGHT_E6 = 21_000_000
LONG_S = PAID_OUT_S + 3 * ABSENT_FOR_S


class ForgetfulAccount:
    """Lists no trade and no open order until told to, and holds as many shares as it is told to."""

    def __init__(self, shares_e6: int) -> None:
        self.shares_e6 = shares_e6
        self.matched: Matched | None = None

    async def find(self, intent: OrderIntent, venue_order_id: str) -> Matched | None:
        return self.matched

    async def is_open(self, venue_order_id: str) -> bool:
        return False

    async def shares(self, token: str) -> int:
        return self.shares_e6


class Looking:
    """An order that is looked for from twelve seconds before its window's end on, and the time that passes.

    The ledger holds nothing of it, and ``booked_e6`` shares of an earlier order.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shares_e6: int, booked_e6: int = 0) -> None:
        self.account = ForgetfulAccount(shares_e6)
        self.clock = ManualClock((END_S - 12) * 1000)
        self.wall_s = 1_000.0
        monkeypatch.setattr(duties, "time", SimpleNamespace(monotonic=lambda: self.wall_s))

        async def durable() -> None:
            return None

        door = Door(lambda _: None, durable, pytest.fail)
        questions = Questions(tuple, lambda _slug, _outcome: booked_e6, tuple, tuple, tuple)
        exchange, restrictions = cast("Exchange", None), cast("Restrictions", None)  # it uses neither here
        account = cast("Account", self.account)
        self.search = Search(Tools(exchange, account, self.clock, door, restrictions, questions))
        self.trace = _Trace()
        self.intent = INTENT

    async def for_seconds(self, count: float) -> AnyEvent | None:
        """Ask once a second, until there is an answer or so many seconds are over."""
        for _ in range(round(count)):
            self.wall_s += 1.0
            self.clock.advance(1.0)
            found = await self.search._asked(Doubt(self.intent, "0xab"), self.trace)
            if found is not None:
                return found
        return None


async def test_an_order_that_the_venue_never_knew_is_let_go_after_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No order, no trade, and the shares that the ledger has without it: that is what it takes."""
    looking = Looking(monkeypatch, shares_e6=0)
    assert await looking.for_seconds(ABSENT_FOR_S) is None
    assert isinstance(await looking.for_seconds(1), OrderKilled)


async def test_an_order_whose_shares_were_seen_is_never_called_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After the pay-out the venue holds nothing, and the list of trades may be what is broken."""
    looking = Looking(monkeypatch, shares_e6=BOUGHT_E6)
    assert await looking.for_seconds(LONG_S) is None, "after the pay-out shares are not asked for any more"
    looking.account.shares_e6 = 0
    assert await looking.for_seconds(LONG_S) is None


async def test_shares_that_differ_for_a_moment_while_the_window_runs_are_no_proof(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another order's trade shows in them before we are told of it; afterwards the time begins anew."""
    looking = Looking(monkeypatch, shares_e6=BOUGHT_E6)
    assert await looking.for_seconds(2) is None
    looking.account.shares_e6 = 0
    assert await looking.for_seconds(ABSENT_FOR_S) is None
    assert isinstance(await looking.for_seconds(1), OrderKilled)


async def test_a_pay_out_is_not_taken_for_what_an_order_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier order bought is gone once it is paid out: that says nothing of the one looked for."""
    looking = Looking(monkeypatch, shares_e6=BOUGHT_E6, booked_e6=BOUGHT_E6)
    looking.clock.advance(12 + PAYING_FROM_S + 1)
    looking.account.shares_e6 = 0
    assert await looking.for_seconds(ABSENT_FOR_S) is None
    assert isinstance(await looking.for_seconds(1), OrderKilled)


async def test_a_sale_is_not_called_absent_because_shares_may_be_paid_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a sale leaves and what a pay-out leaves look alike: a person decides, by the venue's page."""
    looking = Looking(monkeypatch, shares_e6=BOUGHT_E6, booked_e6=BOUGHT_E6)
    looking.intent = msgspec.structs.replace(INTENT, side="SELL")
    looking.clock.advance(12 + PAYING_FROM_S + 1)
    looking.account.shares_e6 = 0
    assert await looking.for_seconds(LONG_S) is None


async def test_fewer_shares_before_any_pay_out_are_what_an_order_sold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until winners are paid out, only orders take shares away; later that cannot be told apart."""
    looking = Looking(monkeypatch, shares_e6=0, booked_e6=BOUGHT_E6)
    assert await looking.for_seconds(LONG_S) is None


async def test_more_shares_than_are_booked_count_until_everything_is_paid_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pay-out takes shares away; it brings none."""
    looking = Looking(monkeypatch, shares_e6=BOUGHT_E6)
    looking.clock.advance(12 + PAYING_FROM_S + 1)
    assert await looking.for_seconds(LONG_S) is None


async def test_shares_that_were_seen_once_are_remembered_when_they_are_paid_out_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A winner is redeemed within two minutes: from then on nothing held agrees with nothing booked."""
    looking = Looking(monkeypatch, shares_e6=BOUGHT_E6)
    assert await looking.for_seconds(60) is None
    looking.account.shares_e6 = 0
    assert await looking.for_seconds(LONG_S) is None
    trade = Trade("t1", BOUGHT_E6, 19_000_000, 63_000, ((9_000, BOUGHT_E6),))
    looking.account.matched = Matched(trade.fills, trade.fee_e6, (trade,))
    found = await looking.for_seconds(2)
    assert isinstance(found, OrderFilled), "a trade ends the search, however late it is listed"
    assert found.trades == (trade,)
