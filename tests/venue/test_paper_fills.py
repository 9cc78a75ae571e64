"""Three assumptions about a paper fill: at the touch, on arrival, and with others before us."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract import FeeSchedule
from engine.core.fees import taker_fee_e6
from engine.core.ledger import cost_of
from engine.core.trading import OrderIntent, OrderKind
from engine.events import Level, Side
from engine.venue.paper_fills import UNSPENT_E6, assumed, conservative, fee_e6, taken, touch

CRYPTO = FeeSchedule(Decimal("0.07"), Decimal(1))
DOLLARS, LIMIT = 20_000_000, 9_500
SHARE = 1_000_000


def order(
    side: Side = "BUY",
    kind: OrderKind = "FAK",
    seen: tuple[Level, ...] = (),
    amount: int = DOLLARS,
    limit_e4: int = LIMIT,
) -> OrderIntent:
    """Make an order for dollars (BUY) or shares (SELL)."""
    usd, shares = (amount, 0) if side == "BUY" else (0, amount)
    return OrderIntent("s#1", "s", "UP", "1", limit_e4, usd, 1, 1, 300, 0.97, side, kind, shares, seen)


def total(fills: tuple[Level, ...] | None) -> int:
    return sum(size for _, size in fills or ())


def levels_of(side: Side) -> st.SearchStrategy[tuple[Level, ...]]:
    """Draw levels as a book gives them: each price once, the best first."""
    return st.dictionaries(
        st.integers(1, 99).map(lambda c: c * 100), st.integers(1, 400 * SHARE), max_size=8
    ).map(lambda book: tuple(sorted(book.items(), reverse=side == "SELL")))


SIDES = st.sampled_from(["BUY", "SELL"])
KINDS = st.sampled_from(["FOK", "FAK"])
AMOUNTS = st.integers(10_000, 500 * SHARE)


# --- what the exchange does --------------------------------------------------------------------------------


def test_a_buy_walks_the_asks_up_to_its_limit() -> None:
    """Ten shares at 90 cents, then what 11 dollars buy at 92."""
    fills = taken(order(), ((9_000, 10 * SHARE), (9_200, 500 * SHARE), (9_600, SHARE)))
    assert fills == ((9_000, 10 * SHARE), (9_200, 11_956_521))
    assert 0 <= DOLLARS - cost_of(fills) < 100


def test_a_sell_walks_the_bids_down_to_its_limit() -> None:
    """Twelve shares: ten at 97 cents, two at 95, none at 94."""
    bids = ((9_700, 10 * SHARE), (9_500, 5 * SHARE), (9_400, 99 * SHARE))
    assert taken(order("SELL", "FOK", amount=12 * SHARE), bids) == ((9_700, 10 * SHARE), (9_500, 2 * SHARE))
    assert taken(order("SELL", "FOK", amount=16 * SHARE), bids) is None
    assert total(taken(order("SELL", "FAK", amount=16 * SHARE), bids)) == 15 * SHARE


def test_fok_is_whole_or_nothing_and_fak_takes_what_there_is() -> None:
    """18 of 20 dollars on display."""
    asks = ((9_000, 20 * SHARE),)
    assert taken(order(kind="FOK"), asks) is None
    assert taken(order(kind="FAK"), asks) == asks


@pytest.mark.parametrize("kind", ["FOK", "FAK"])
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_nothing_worth_taking_is_no_fill(side: Side, kind: OrderKind) -> None:
    """An empty side, and one that is all beyond the limit."""
    beyond = ((9_600, 99 * SHARE),) if side == "BUY" else ((9_400, 99 * SHARE),)
    assert taken(order(side, kind), ()) is None
    assert taken(order(side, kind), beyond) is None


@given(SIDES, KINDS, AMOUNTS, st.integers(1, 99), st.data())
def test_a_fill_is_within_the_limit_the_amount_and_the_display(
    side: Side, kind: OrderKind, amount: int, cents: int, data: st.DataObject
) -> None:
    """Never more than was wanted or shown; and a refusal is one only where there was not enough."""
    shown = data.draw(levels_of(side))
    fills = taken(order(side, kind, (), amount, cents * 100), shown)
    good = [(p, s) for p, s in shown if (p <= cents * 100 if side == "BUY" else p >= cents * 100)]
    there = sum(p * s for p, s in good) / 10_000 if side == "BUY" else total(tuple(good))
    if fills is None:
        assert not good or (kind == "FOK" and there <= amount - UNSPENT_E6 + 100) or there == 0
        return
    assert all((price, size) and size <= dict(good)[price] for price, size in fills)
    got = cost_of(fills) if side == "BUY" else total(fills)
    assert total(fills) > 0
    assert got <= amount
    if kind == "FOK":
        assert amount - got <= UNSPENT_E6


# --- the three assumptions --------------------------------------------------------------------------------


def test_touch_fills_whole_at_the_best_price_seen_whatever_its_size() -> None:
    """One share was shown at 80 cents: 25 of it, as most backtests do."""
    assert touch(order(seen=((8_000, SHARE), (9_000, 500 * SHARE)))) == ((8_000, 25 * SHARE),)
    assert touch(order("SELL", seen=((9_700, SHARE),), amount=5 * SHARE)) == ((9_700, 5 * SHARE),)
    assert touch(order(seen=())) is None


def test_conservative_takes_half_of_what_was_there_and_still_is() -> None:
    """Ten of thirty shares were there at the decision: others take five; the new level is all theirs."""
    before, now = ((9_000, 10 * SHARE),), ((8_900, 50 * SHARE), (9_000, 30 * SHARE))
    assert conservative(order(seen=before), now) == ((9_000, 5 * SHARE),)
    assert conservative(order(kind="FOK", seen=before), now) is None


def test_conservative_counts_what_is_left_of_a_level_that_shrank() -> None:
    """Thirty were seen, four are there: others take two."""
    assert conservative(order(seen=((9_000, 30 * SHARE),)), ((9_000, 4 * SHARE),)) == ((9_000, 2 * SHARE),)


@given(SIDES, KINDS, AMOUNTS, st.data())
def test_on_a_book_that_stood_still_each_assumption_is_harder_than_the_one_before(
    side: Side, kind: OrderKind, amount: int, data: st.DataObject
) -> None:
    """Touch buys at least what arrival does, arrival at least what the conservative one does."""
    shown = data.draw(levels_of(side))
    limit_e4 = 9_900 if side == "BUY" else 100
    intent = order(side, kind, shown, amount, limit_e4)
    at_touch, arrival, hard = (
        total(touch(intent)),
        total(taken(intent, shown)),
        total(conservative(intent, shown)),
    )
    assert at_touch >= arrival >= hard


@given(SIDES, KINDS, AMOUNTS, st.data())
def test_whatever_the_book_did_the_conservative_fill_is_within_the_one_on_arrival(
    side: Side, kind: OrderKind, amount: int, data: st.DataObject
) -> None:
    """In dollars of a BUY and shares of a SELL; each level at most what was there before and still is.

    Shares of a BUY are not compared: pushed down the book it gets fewer for its dollars.
    """
    before, now = data.draw(levels_of(side)), data.draw(levels_of(side))
    intent = order(side, kind, before, amount, 9_900 if side == "BUY" else 100)
    hard, arrival = conservative(intent, now), taken(intent, now)
    for price, size in hard or ():
        assert size <= min(dict(now)[price], dict(before)[price])
    if hard is not None:
        assert arrival is not None
        assert (
            cost_of(hard) <= cost_of(arrival) + UNSPENT_E6 if side == "BUY" else total(hard) <= total(arrival)
        )


def test_an_assumption_is_priced_with_its_fee() -> None:
    """By the schedule; by the share of the dollars where there is none; nothing for nothing."""
    fills = ((9_000, 10 * SHARE), (9_200, 5 * SHARE))
    told = assumed("arrival", fills, CRYPTO, 0.001)
    assert (told.name, told.shares_e6, told.cost_e6) == ("arrival", 15 * SHARE, 13_600_000)
    assert told.fee_e6 == taker_fee_e6(CRYPTO, fills) == 88_760
    assert fee_e6(fills, None, 0.001) == 13_600
    none = assumed("touch", None, CRYPTO, 0.001)
    assert (none.shares_e6, none.cost_e6, none.fee_e6) == (0, 0, 0)
