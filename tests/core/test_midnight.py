"""Midnight UTC: which day's loss the gate counts at a send, and that a new day begins once, at 00:00:00Z.

Windows of the venue end on midnight or begin with it; one that lies across it is made here, so that the day
of a send and the day of the payout differ for one and the same window whatever windows are listed one day.
"""

import pytest

from engine import events as e
from engine.core import decide as gate
from engine.core import risk
from engine.core.ledger import DAY_MS
from engine.params import Limits
from tests.core.builders import DOWN, START_S, UP, Core, contract
from tests.core.order_story import PARAMS, past_trade, restored

LAST_DAY = 20_718
MIDNIGHT_MS = LAST_DAY * DAY_MS
MIDNIGHT_S = MIDNIGHT_MS // 1000
assert START_S // 86_400 + 1 == LAST_DAY, "the session of these tests opens on the day before"

LIMIT = Limits(max_daily_loss_usd=60.0)
"""One order takes 21.40 with its fee: after a loss of 45.32 it is too much, and without one it is not."""

ENDS_AT_MIDNIGHT = MIDNIGHT_S - 300
LIES_ACROSS = MIDNIGHT_S - 288
"""It ends 12 s after midnight, so that its last seconds, in which it is bought, hold midnight."""


def lost(*at_ms: int, each: int = 45_000_000) -> Core:
    """Open a session at two in the afternoon before, with a window lost at each of these moments."""
    core = Core(PARAMS, LIMIT)
    fills = [
        past_trade(
            "",
            is_final=True,
            slug=f"w{place}",
            order_id=f"w{place}#1",
            cost=each,
            shares_e6=50_000_000,
            fee_e6=320_000,
            at_ms=at_ms[place] - 100_000,
        )
        for place in range(len(at_ms))
    ]
    paid = tuple(e.PastSettlement(f"w{place}", "DOWN", moment) for place, moment in enumerate(at_ms))
    core.feed(restored(*fills, settlements=paid))
    return core


def in_window(core: Core, start_s: int, until_ms: int) -> str:
    """Bring a core to a moment late in a window that it would buy; return the window's slug."""
    described = contract(start_s=start_s)
    core.feed(e.MarketDescribed(ts_recv_ms=(start_s - 60) * 1000, contract=described))
    core.price(start_s, "70000", "twap", lag_ms=1_900)
    for second in range(start_s + 200, (until_ms - 1_650) // 1000 + 1):
        core.price(second, 70_020.0 + second % 7)
    return described.slug


def quote_at(core: Core, at_ms: int) -> int:
    """Show books that are worth buying; return how many orders follow."""
    before = len(core.state.trading.orders)
    core.book(DOWN, [(10, 500)], [(12, 500)], at_ms)
    core.book(UP, [(88, 500)], [(90, 500)], at_ms)
    return len(core.state.trading.orders) - before


def refuses(core: Core, slug: str) -> bool:
    """Say whether the day's limit refuses, worked out anew and as it is kept."""
    market = core.state.markets[slug]
    anew, kept = risk.blocks(core.state, market), risk.kept_blocks(core.state, market)
    assert anew == kept, "what is kept for a day is what that day says"
    return bool(anew & gate.DAILY_LOSS)


@pytest.mark.parametrize("lost_at_ms", [MIDNIGHT_MS - DAY_MS, MIDNIGHT_MS - 60_000, MIDNIGHT_MS - 20_000])
def test_a_loss_counts_to_the_last_tenth_of_its_day_and_not_to_the_first_of_the_next(lost_at_ms: int) -> None:
    """One window, one session: refused at 23:59:59.9 and bought at 00:00:00.1, by a book's change alone."""
    core = lost(lost_at_ms)
    slug = in_window(core, LIES_ACROSS, MIDNIGHT_MS)
    assert quote_at(core, MIDNIGHT_MS - 100) == 0
    assert refuses(core, slug)
    assert quote_at(core, MIDNIGHT_MS + 100) == 1


def test_the_new_day_begins_with_its_first_millisecond() -> None:
    """00:00:00.000Z is of the new day, the millisecond before is not."""
    core = lost(MIDNIGHT_MS - 60_000)
    slug = in_window(core, LIES_ACROSS, MIDNIGHT_MS)
    quote_at(core, MIDNIGHT_MS - 1)
    assert refuses(core, slug)
    quote_at(core, MIDNIGHT_MS)
    assert not refuses(core, slug)


def test_what_a_window_lost_counts_on_the_day_that_paid_it_out() -> None:
    """Bought before midnight and paid out after it: at the send it was at stake, now it is a loss of today;
    what was lost before midnight is yesterday's, though the session opened then."""
    core = lost(MIDNIGHT_MS - 3_600_000, each=20_000_000)
    slug = in_window(core, ENDS_AT_MIDNIGHT, MIDNIGHT_MS - 100)
    assert quote_at(core, MIDNIGHT_MS - 100) == 1, "20.32 lost and 21.40 at stake are within 60"
    (order,) = core.state.trading.in_flight.values()
    filled = e.OrderFilled(
        ts_recv_ms=MIDNIGHT_MS - 50,
        order_id=order.intent.order_id,
        fills=((9_000, 44_000_000),),
        fee_e6=277_200,
        took_ms=20.0,
    )
    core.feed(filled)
    next_slug = in_window(core, MIDNIGHT_S, MIDNIGHT_MS + 250_000)
    core.state.ledger.settle(slug, "DOWN", MIDNIGHT_MS + 65_000)
    assert core.state.ledger.realised_on(LAST_DAY - 1) == -20_320_000
    assert core.state.ledger.realised_on(LAST_DAY) == -39_877_200
    core.second(MIDNIGHT_S + 260)
    assert refuses(core, next_slug), "39.88 lost today and 21.40 at stake are more than 60"


@pytest.mark.parametrize("hours", [4, 5, 12, 23.9])
def test_no_other_hour_begins_a_day(hours: float) -> None:
    """What is lost after midnight counts until the next one: not until New York's, not for half a day."""
    core = lost(MIDNIGHT_MS + 1)
    start_s = MIDNIGHT_S + round(hours * 12) * 300
    slug = in_window(core, start_s, (start_s + 250) * 1000)
    core.second(start_s + 251)
    assert refuses(core, slug)


def test_a_day_that_began_does_not_end_again() -> None:
    """A clock that NTP takes two tenths back over midnight brings yesterday's loss not back."""
    core = lost(MIDNIGHT_MS - 60_000)
    slug = in_window(core, LIES_ACROSS, MIDNIGHT_MS)
    for at_ms in (100, -100, 300):
        quote_at(core, MIDNIGHT_MS + at_ms)
        assert core.state.now_ms // DAY_MS == LAST_DAY
        assert not refuses(core, slug)
