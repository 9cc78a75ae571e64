"""The exchange without sockets: what it refuses, and that no micro-dollar is made or lost."""

import asyncio
import json
import re
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.clock import ManualClock
from engine.practice.bank import CLEARING, FEES, USD
from engine.practice.chain import Chain, Timings
from engine.practice.clob_socket import ClobFeed
from engine.practice.exchange import Exchange
from engine.practice.frames import size_text
from engine.practice.keys import Keys
from engine.practice.market import Markets
from engine.practice.matching import Fill, with_fees
from engine.practice.order_errors import CATALOGUE, Refused, refused
from engine.practice.order_reading import read_order, read_orders
from engine.practice.settling import PRACTICE_MONEY_E6
from engine.practice.tape import BookMoment, TickSizeMoment, Truth
from engine.practice.trades import OPPOSITE
from engine.practice.user_socket import UserFeed
from engine.venue.fills import Fees, matched
from engine.venue.rows import TradeRow
from tests.practice.hand_made import DOWN, FEE, FINAL, SLUG, STRIKE, UP, HandMadeTape, at, books
from tests.practice.signing import OWNER, STRANGER_KEY, body
from tests.shared_data import needs_recordings, recording
from tests.venue.test_duties import INTENT

GENEROUS = Timings(mined_ms=2_000, confirmed_ms=1_000, failed_ms=3_000, redeemed_ms=5_000)


class Floor:
    """An exchange whose time and books the test moves."""

    def __init__(self, bid=6000, ask=6100, size=100_000_000):
        tape = HandMadeTape([])
        self.clock = ManualClock(at(1))
        self.markets = Markets(tape)
        self.market = self.markets.named(SLUG)
        self.chain = Chain(self.clock, UserFeed(Keys()), GENEROUS)
        self.exchange = Exchange(self.markets, ClobFeed(self.markets, self.clock), self.chain)
        self.show(bid, ask, size)

    def show(self, bid, ask, size=100_000_000):
        for moment in books(1, bid, ask, size):
            self.market.replace_book(moment)
        self.exchange.book_changed(self.market)

    async def pass_time(self, seconds):
        """Let time pass in steps, and everybody who waits for it act."""
        for _ in range(max(1, round(seconds / 0.5))):
            self.clock.advance(min(seconds, 0.5))
            for _ in range(6):
                await asyncio.sleep(0)

    async def post(self, posted):
        """Post an order and let its hold pass."""
        task = asyncio.create_task(self.exchange.post(OWNER, read_order(posted)))
        await self.pass_time(0)
        await self.pass_time(0.2)
        return await asyncio.wait_for(task, 1)

    @property
    def cash(self):
        return self.chain.settling.bank.balance(OWNER.address, USD)


def worded(text):
    return re.escape(text).replace(r"\{id\}", "0x[0-9a-f]{64}")


REFUSED = {
    "tick: between two steps": (
        body(UP, "BUY", 6_105_000, 10_000_000, kind="GTC"),
        "order {id} is invalid. Price (0.6105) breaks minimum tick size rule: 0.01",
    ),
    "tick: a FOK's too": (
        body(UP, "BUY", 10_000_000, 16_380_000),
        "order {id} is invalid. Price (0.610501) breaks minimum tick size rule: 0.01",
    ),
    "tick: a dollar": (
        body(UP, "BUY", 10_000_000, 10_000_000, kind="GTC"),
        "order {id} is invalid. Price (1) breaks minimum tick size rule: 0.01",
    ),
    "minimum: resting": (
        body(UP, "BUY", 750_000, 1_500_000, kind="GTC"),
        "order {id} is invalid. Size (1.5) lower than the minimum: 5",
    ),
    "minimum: marketable": (
        body(UP, "BUY", 840_000, 1_377_000),
        "invalid amount for a marketable BUY order ($0.84), min size: $1",
    ),
    "accuracy: dollars": (
        body(UP, "BUY", 10_001_000, 16_395_000),
        "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "
        "taker amount a max of 4 decimals",
    ),
    "accuracy: shares": (
        body(UP, "BUY", 10_000_000, 16_393_440),
        "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "
        "taker amount a max of 4 decimals",
    ),
    "accuracy: lots": (
        body(UP, "BUY", 3_000_150, 6_000_300, kind="GTC"),
        "Size 6.0003 has 4 decimal places. Maximum lot size is 2",
    ),
    "balance": (
        body(UP, "BUY", 10_000_010_000, 20_000_020_000, kind="GTC"),
        "not enough balance / allowance: the balance is not enough -> "
        "balance: 10000000000, order amount: 10000010000",
    ),
    "owner": (
        body(UP, "BUY", 10_000_000, 16_393_400, owner="me"),
        "the order owner has to be the owner of the API KEY",
    ),
    "signer": (
        body(UP, "BUY", 10_000_000, 16_393_400, signer="0x" + "1" * 40),
        "the order signer address has to be the address of the API KEY",
    ),
    "signature": (body(UP, "BUY", 10_000_000, 16_393_400, key=STRANGER_KEY), "invalid signature"),
    "changed afterwards": (
        body(UP, "BUY", 10_000_000, 16_393_400, makerAmount="9000000"),
        "invalid signature",
    ),
    "post-only": (
        body(UP, "BUY", 6_100_000, 10_000_000, kind="GTC", postOnly=True),
        "invalid post-only order: order crosses book",
    ),
    "expiration": (
        body(UP, "BUY", 5_000_000, 10_000_000, kind="GTD", expiration=str(at(30) // 1000)),
        "invalid expiration",
    ),
    "book": (body("7" * 70, "BUY", 10_000_000, 16_393_400), "No orderbook exists for the requested token id"),
    "shares that are not there": (
        body(UP, "SELL", 10_000_000, 6_000_000),
        "not enough balance / allowance: the balance is not enough -> balance: 0, order amount: 10000000",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_each_refusal_has_the_exchanges_words(name):
    """And leaves neither an order nor a reservation behind."""
    posted, text = REFUSED[name]
    floor = Floor()
    with pytest.raises(Refused) as refusal:
        await floor.post(posted)
    assert re.fullmatch(worded(text), str(refusal.value))
    assert refusal.value.status == (404 if name == "book" else 400)
    assert floor.exchange.figures() == {"orders": 0, "open": 0, "trades": 0}
    assert floor.chain.settling.bank.available(OWNER.address, USD) == PRACTICE_MONEY_E6


async def test_an_order_is_taken_once():
    """Even if it was killed: its hash is its name."""
    floor = Floor()
    for posted in (body(UP, "BUY", 10_000_000, 16_393_400), body(UP, "BUY", 10_000_000, 20_000_000)):
        try:
            await floor.post(posted)
        except Refused as killed:
            assert "fully filled or killed" in str(killed)  # noqa: PT017 (one of the two is)
        with pytest.raises(Refused, match=r"is invalid\. Duplicated\."):
            await floor.post(posted)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        body(UP, "BUY", 0, 1),
        body(UP, "BUY", 1_000_000, 2_000_000, makerAmount="-5"),
        body(UP, "BUY", 1_000_000, 2_000_000, makerAmount="1e6"),
        body(UP, "BUY", 1_000_000, 2_000_000, tokenId=str(1 << 256)),
        body(UP, "BUY", 1_000_000, 2_000_000, salt="7"),
        body(UP, "BUY", 1_000_000, 2_000_000, maker="nobody"),
        body(UP, "BUY", 1_000_000, 2_000_000, builder="0x12"),
        body(UP, "BUY", 1_000_000, 2_000_000, orderType="IOC"),
        body(UP, "BUY", 1_000_000, 2_000_000, signatureType=4),
    ],
)
def test_what_is_no_order_is_an_invalid_payload(junk):
    """Whatever it is; one bad order among several spoils only itself."""
    with pytest.raises(Refused, match="Invalid order payload"):
        read_order(junk)
    good = body(UP, "BUY", 1_000_000, 2_000_000)
    if junk.startswith(b"{"):
        first, second = read_orders(b"[" + good + b"," + junk + b"]")
        assert first.id.startswith("0x")
        assert str(second) == "Invalid order payload"


async def test_on_a_finer_grid_prices_are_finer_and_shares_are_not():
    """The official client's five decimals are refused for a market BUY, as it was seen in July 2026."""
    floor = Floor(9700, 9780)
    floor.market.change_tick(TickSizeMoment(at(1), SLUG, 10))
    floor.show(9700, 9780)
    with pytest.raises(Refused, match="taker amount a max of 4 decimals"):
        await floor.post(body(UP, "BUY", 5_000_000, 5_107_250))
    done = await floor.post(body(UP, "BUY", 5_000_000, 5_107_200))
    assert (done["makingAmount"], done["status"]) == ("5", "matched")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["BUY", "SELL"]), st.lists(st.integers(10_000, 9_000_000), min_size=3, max_size=3))
def test_what_takes_several_levels_is_one_trade_with_a_maker_for_each(side, sizes):
    """One transaction settles it. Some makers sold this token, some bought the other one at what is left of a
    dollar; by their prices the engine books the very dollars that moved, which the average does not say."""
    asyncio.run(one_trade_with_its_makers(side, [size // 10_000 * 10_000 for size in sizes]))


async def one_trade_with_its_makers(side, sizes):
    floor = Floor(6000, 6100, 100_000_000)
    if side == "SELL":
        await floor.post(body(UP, "BUY", 40_000_000, 62_500_000))
        await floor.pass_time(4)
    bids = tuple((6000 - 100 * rank, size) for rank, size in enumerate(sizes))
    asks = tuple((6100 + 100 * rank, size) for rank, size in enumerate(sizes))
    floor.market.replace_book(BookMoment(at(1), SLUG, "UP", bids, asks))
    before = set(floor.chain.trades)
    given = 40_000_000 if side == "BUY" else sum(sizes) + 1_000_000
    done = await floor.post(
        body(UP, side, given, 62_500_000 if side == "BUY" else given * 58 // 100, kind="FAK")
    )
    (trade,) = [trade for name, trade in floor.chain.trades.items() if name not in before]
    assert done["tradeIDs"] == [trade.id]
    told = trade.described()
    assert [maker["matched_amount"] for maker in told["maker_orders"]] == [size_text(size) for size in sizes]
    tokens = {UP: OPPOSITE[side], DOWN: side}
    assert all(maker["side"] == tokens[maker["asset_id"]] for maker in told["maker_orders"])
    assert all(
        maker["outcome"] == {UP: "Up", DOWN: "Down"}[maker["asset_id"]] for maker in told["maker_orders"]
    )
    wanted = msgspec.structs.replace(INTENT, side=side, usd_e6=given, shares_e6=given, fee=FEE)
    row = msgspec.convert(told, TradeRow, strict=False)
    booked = matched([row], trade.entry.order.id, wanted, Fees(lambda: 0.0)).trades
    assert [(one.shares_e6, one.cost_e6, one.fee_e6) for one in booked] == [
        (trade.size_e6, trade.usd_e6, trade.fee_e6)
    ]


async def test_makers_of_both_tokens_are_met():
    """Else one of the two ways to read them would never be walked."""
    floor, met = Floor(), set()
    for _ in range(20):
        floor.show(6000, 6100)
        await floor.post(body(UP, "BUY", 5_000_000, 8_196_700))
    for trade in floor.chain.trades.values():
        met |= {maker["asset_id"] for maker in trade.described()["maker_orders"]}
    assert met == {UP, DOWN}


async def test_a_failed_trade_gives_everything_back():
    """Dollars and fee of a BUY; before that no share of it is there."""
    floor = Floor()
    floor.chain.fates.append(lambda: True)
    await floor.post(body(UP, "BUY", 10_000_000, 16_393_400))
    assert floor.cash == PRACTICE_MONEY_E6 - 10_273_000
    await floor.pass_time(3.5)
    assert [trade.status for trade in floor.chain.trades.values()] == ["FAILED"]
    assert floor.cash == PRACTICE_MONEY_E6
    assert floor.chain.settling.bank.holders(UP) == {}


async def test_a_failed_sale_gives_the_shares_back():
    """They are gone while it is under way, and its dollars were never there."""
    floor = Floor()
    await floor.post(body(UP, "BUY", 10_000_000, 16_393_400))
    await floor.pass_time(4)
    floor.chain.fates.append(lambda: True)
    before, bank = floor.cash, floor.chain.settling.bank
    await floor.post(body(UP, "SELL", 10_000_000, 6_000_000))
    assert (floor.cash, bank.balance(OWNER.address, UP)) == (before, 6_393_442)
    await floor.pass_time(3.5)
    assert (floor.cash, bank.balance(OWNER.address, UP)) == (before, 16_393_442)


async def test_a_dated_order_ends_a_minute_early():
    """And is told as expired."""
    floor = Floor()
    expires = str(at(70) // 1000)
    answer = await floor.post(body(UP, "BUY", 5_000_000, 10_000_000, kind="GTD", expiration=expires))
    await floor.pass_time(10)
    assert floor.exchange.orders[answer["orderID"]].status == "CANCELED_EXPIRED_ORDER"


@pytest.mark.parametrize(
    ("price", "shares", "fee"),
    [(5000, "100", "1.75"), (9700, "5", "0.01018"), (4300, "7.33", "0.12576"), (1, "0.1", "0")],
)
def test_fees_are_the_published_ones(price, shares, fee):
    """To five decimals; the direction of rounding is not documented, half to even is what practice does."""
    fills = with_fees(FEE, [Fill(price, int(Decimal(shares) * 1_000_000), 0)])
    assert fills[0].fee_e6 == Decimal(fee) * 1_000_000
    assert with_fees(None, [Fill(price, 1, 0)])[0].fee_e6 == 0


@needs_recordings
def test_the_catalogue_has_every_text_that_was_observed():
    """Word for word, so that any of them can be practised."""
    observed = json.loads(recording("frames/current-2026-09/post_order_errors_observed.json").read_text())
    texts = {refused(name, "XXX").body["error"] for name in CATALOGUE}
    elsewhere = ("Invalid Heartbeat ID", "Size (2.49)", "Request exception!")
    for row in observed["observed"]:
        text = row.get("text") or row["body"]["error"]
        if not text.startswith(elsewhere):
            assert any(known.startswith(text) for known in texts), text
    known = [text for text in observed["official_sdk"] if not text.startswith("<")]
    assert set(known) <= texts


ACTIONS = st.one_of(
    st.tuples(
        st.just("buy"), st.sampled_from((UP, DOWN)), st.integers(100, 60_000), st.sampled_from(("FOK", "FAK"))
    ),
    st.tuples(
        st.just("sell"), st.sampled_from((UP, DOWN)), st.integers(1, 20_000), st.sampled_from(("FOK", "FAK"))
    ),
    st.tuples(st.just("rest"), st.sampled_from((UP, DOWN)), st.integers(500, 20_000), st.integers(1, 99)),
    st.tuples(st.just("offer"), st.sampled_from((UP, DOWN)), st.integers(500, 20_000), st.integers(1, 99)),
    st.tuples(st.just("book"), st.integers(2, 97), st.integers(1, 90_000_000)),
    st.tuples(st.just("wait"), st.sampled_from((0.5, 2.0, 4.0))),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("fate"), st.booleans()),
)


async def play(floor, action):
    """Do one thing; what the exchange refuses is nothing."""
    what, *how = action
    if what == "book":
        floor.show(how[0] * 100, how[0] * 100 + 100, how[1])
    elif what == "wait":
        await floor.pass_time(how[0])
    elif what == "cancel":
        floor.exchange.cancel([entry.order.id for entry in floor.exchange.open_of(OWNER.address)], OWNER)
    elif what == "fate":
        floor.chain.fates[:] = [lambda: True] if how[0] else []
    else:
        try:
            await floor.post(written(what, *how))
        except Refused:
            return


def written(what, token, amount, more):
    """Write an order: a market order at any price, or a limit order at ``more`` cents."""
    if what == "buy":
        return body(token, "BUY", amount * 10_000, amount * 10_000 * 100 // 99 // 100 * 100, kind=more)
    if what == "sell":
        return body(token, "SELL", amount * 10_000, amount * 100, kind=more)
    dollars, shares = amount * more * 100, amount * 10_000
    sides = ("BUY", dollars, shares) if what == "rest" else ("SELL", shares, dollars)
    return body(token, *sides, kind="GTC")


def expected(floor, won=None):
    """Add up cash and shares from trades alone: what was paid, got, charged, and is not failed."""
    cash, shares, fees = PRACTICE_MONEY_E6, {UP: 0, DOWN: 0}, 0
    for trade in floor.chain.trades.values():
        token, is_done = trade.entry.order.token, trade.status in ("MINED", "CONFIRMED")
        if trade.status == "FAILED":
            continue
        fees += trade.fee_e6 if is_done else 0
        if trade.side == "BUY":
            cash -= trade.usd_e6 + trade.fee_e6
            shares[token] += trade.size_e6 if is_done else 0
        else:
            cash += trade.usd_e6 - trade.fee_e6 if is_done else 0
            shares[token] -= trade.size_e6
    if won is not None:
        cash += shares[won]
        shares = {UP: 0, DOWN: 0}
    return cash, shares, fees


def check(floor, won=None):
    bank = floor.chain.settling.bank
    cash, shares, fees = expected(floor, won)
    assert bank.balance(OWNER.address, USD) == cash
    assert {token: bank.balance(OWNER.address, token) for token in (UP, DOWN)} == shares
    assert bank.balance(FEES, USD) == fees
    assert cash >= 0
    assert min(shares.values()) >= 0
    assert not any(bank.sums().values())
    for asset in (USD, UP, DOWN):
        assert bank.available(OWNER.address, asset) >= 0


@settings(max_examples=400, deadline=None)
@given(st.lists(ACTIONS, min_size=1, max_size=25), st.booleans())
def test_no_micro_dollar_is_made_or_lost(actions, up_wins):
    """Cash, positions and fees follow from the trades after every step, and from the outcome at the end."""

    async def run():
        floor = Floor()
        try:
            # A position in both tokens, so that sales are more than refusals.
            for first in (("buy", UP, 6_000, "FAK"), ("buy", DOWN, 6_000, "FAK"), ("wait", 4.0)):
                await play(floor, first)
            floor.show(6000, 6100)
            for action in actions:
                await play(floor, action)
                check(floor)
            await floor.pass_time(4)
            outcome, token = ("UP", UP) if up_wins else ("DOWN", DOWN)
            floor.exchange.resolve(floor.market, Truth(STRIKE, FINAL, outcome))
            await floor.pass_time(6)
            check(floor, won=token)
            bank = floor.chain.settling.bank
            assert bank.balance(CLEARING, USD) == 0
            assert bank.available(OWNER.address, USD) == bank.balance(OWNER.address, USD)
            assert floor.exchange.figures()["open"] == 0
        finally:
            floor.chain.close()

    asyncio.run(run())
