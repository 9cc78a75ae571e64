"""The whole core on small stories: capture, watch, hammer, buy, settle, and every way not to."""

from decimal import Decimal

import msgspec
import pytest

from engine import events as e
from engine.contract import SettlementRule
from engine.core.decide import Decision
from engine.core.state import HALT, State
from engine.core.step import step
from engine.core.trading import OrderIntent
from engine.params import Limits, Params
from tests.core.builders import DOWN, END_S, MARKET, START_S, UP, Core, contract, past_fill

CALM = 70_000.0


def story(
    core: Core, until: int, *, strike: str = "70000", jump: float = 400.0, at: int = START_S + 100
) -> None:
    """Tell prices second by second: calm, then a jump that is kept, with the strike reported exactly."""
    core.describe()
    for second in range(START_S - 400, until):
        value = CALM + (jump if second >= at else 0.0) + (1.0 if second % 2 else 0.0)
        core.price(second, value)
        if second == START_S:
            core.price(second, strike, "twap", lag_ms=1_900)
        core.second(second + 2)


def quote(core: Core, at_s: int, up_ask: int = 90, down_ask: int = 12) -> list[object]:
    core.book(DOWN, [(100 - up_ask, 500)], [(down_ask, 500)], at_s * 1000)
    return list(core.book(UP, [(100 - down_ask, 500)], [(up_ask, 500)], at_s * 1000 + 1))


def intents(core: Core) -> list[OrderIntent]:
    return [effect for effect in core.effects if isinstance(effect, OrderIntent)]


def test_a_window_goes_from_watch_to_hammer_to_an_intent() -> None:
    """The whole happy path; the intent is the cheap side's, within every bound."""
    core = Core(Params(max_entry_price=0.97))
    story(core, END_S - 15)
    market = core.state.markets[contract().slug]
    assert market.strike is not None
    assert (market.strike.value, market.strike.source) == (Decimal(70_000), "exact")
    assert market.watched_at_ms is not None
    assert intents(core) == []
    quote(core, END_S - 12)
    (intent,) = intents(core)
    assert intent.outcome == "UP"
    assert intent.token == UP
    assert intent.limit_e4 <= 9_700
    assert intent.usd_e6 == 20_000_000
    assert intent.deadline_ms <= END_S * 1000


def test_one_market_has_one_order_at_a_time() -> None:
    """However often the book moves while the first is under way."""
    core = Core()
    story(core, END_S - 15)
    quote(core, END_S - 12)
    quote(core, END_S - 11, 89, 13)
    assert len(intents(core)) == 1


def test_a_fill_is_booked_once_and_settles_on_the_reported_average() -> None:
    """Cost and fee out, a dollar a winning share in; a repeated fill changes nothing."""
    core = Core()
    story(core, END_S - 15)
    quote(core, END_S - 12)
    order_id = intents(core)[0].order_id
    fill = e.OrderFilled(
        ts_recv_ms=(END_S - 11) * 1000, order_id=order_id, fills=((9_000, 22_220_000),), fee_e6=139_990
    )
    core.feed(fill)
    core.feed(fill)
    core.price(END_S, "70400", "twap")
    holding = core.state.ledger.holdings[contract().slug]
    assert holding.outcome == "UP"
    assert holding.realised_e6 == 22_220_000 - 19_998_000 - 139_990
    assert core.state.ledger.realised_e6 == holding.realised_e6


def test_the_venue_overrules_our_own_outcome() -> None:
    """P&L equals settlement, and settlement is the venue's word."""
    core = Core()
    story(core, END_S - 15)
    quote(core, END_S - 12)
    fill = e.OrderFilled(
        ts_recv_ms=(END_S - 11) * 1000,
        order_id=intents(core)[0].order_id,
        fills=((9_000, 10_000_000),),
        fee_e6=0,
    )
    core.feed(fill)
    core.price(END_S, "70400", "twap")
    core.feed(
        e.OutcomeServed(
            ts_recv_ms=(END_S + 60) * 1000,
            slug=contract().slug,
            outcome="DOWN",
            strike=Decimal("70000"),
            final=Decimal("69999"),
        )
    )
    assert core.state.ledger.realised_e6 == -9_000_000
    assert core.state.markets[contract().slug].outcome_source == "served"


def test_a_killed_order_pauses_then_may_try_again_but_not_for_ever() -> None:
    """A clean no-fill is no error; three of them are enough."""
    core = Core()
    story(core, END_S - 15)
    for attempt, at_s in enumerate(range(END_S - 14, END_S - 4, 2), start=1):
        quote(core, at_s, 90 - attempt % 2)
        found = intents(core)
        assert len(found) == min(attempt, 3)
        if attempt <= 3:
            core.feed(e.OrderKilled(ts_recv_ms=at_s * 1000 + 200, order_id=found[-1].order_id, reason="gone"))
            quote(core, at_s, 88)
            assert len(intents(core)) == attempt, "still within the pause"


def test_the_first_price_seen_is_never_the_strike() -> None:
    """Started in mid-window: the strike is unknown and nothing is traded."""
    core = Core()
    core.describe()
    for second in range(START_S + 20, END_S - 10):
        core.price(second, CALM + (500 if second > START_S + 100 else 0))
        core.price(second, CALM, "twap")
    quote(core, END_S - 8)
    market = core.state.markets[contract().slug]
    assert market.strike is None
    assert market.decision is not None
    assert market.decision.reason == "strike"
    assert intents(core) == []


def test_a_lost_boundary_report_is_estimated_marked_and_not_traded_on() -> None:
    """Six in a hundred reports never come."""
    core = Core()
    core.describe()
    for second in range(START_S - 400, END_S - 11):
        core.price(second, CALM + (400.0 if second > START_S + 100 else 0.0) + (second % 2))
        core.second(second + 2)
    quote(core, END_S - 8)
    market = core.state.markets[contract().slug]
    assert market.strike is not None
    assert market.strike.source == "estimate"
    assert intents(core) == []
    late = e.PricePrinted(
        ts_recv_ms=(END_S - 7) * 1000,
        source="twap",
        value=Decimal("70000.5"),
        ts_venue_ms=START_S * 1000,
        ts_sent_ms=None,
        lookback_s=60,
    )
    core.feed(late)
    assert market.strike.source == "exact"
    assert len(intents(core)) == 1


def test_an_average_over_another_time_is_not_the_strike() -> None:
    """A 30 s report stamped at the boundary says nothing about a 60 s market."""
    core = Core()
    core.describe()
    event = e.PricePrinted(
        ts_recv_ms=START_S * 1000 + 1900,
        source="twap",
        value=Decimal(1),
        ts_venue_ms=START_S * 1000,
        ts_sent_ms=None,
        lookback_s=30,
    )
    core.feed(event)
    assert core.state.markets[contract().slug].strike is None


@pytest.mark.parametrize(
    ("gate", "change"),
    [
        ("settlement rule", {"rule": None}),
        ("market closed", {"accepting": False}),
    ],
)
def test_a_market_that_is_not_understood_or_not_open_is_only_watched(
    gate: str, change: dict[str, object]
) -> None:
    """Unknown rule, closed book: observe, say so, do not trade."""
    core = Core()
    story(core, END_S - 15)
    core.feed(e.MarketDescribed(ts_recv_ms=(END_S - 15) * 1000, contract=contract(**change)))  # type: ignore[arg-type]
    quote(core, END_S - 12)
    market = core.state.markets[contract().slug]
    assert market.decision is not None
    assert market.decision.reason == gate
    assert intents(core) == []


def test_the_kill_switch_refuses_first() -> None:
    """Whatever else is wrong or right."""
    core = Core()
    story(core, END_S - 15)
    core.feed(e.KillSwitchChanged(ts_recv_ms=(END_S - 13) * 1000, latched=True, who="me", why="test"))
    quote(core, END_S - 12)
    decision = core.state.markets[contract().slug].decision
    assert decision is not None
    assert decision.reason == "kill switch"
    assert intents(core) == []


def test_a_session_that_opens_killed_stays_killed() -> None:
    """The latch outlives the process."""
    core = Core(killed=True)
    story(core, END_S - 15)
    quote(core, END_S - 12)
    assert intents(core) == []


def test_a_stale_feed_and_a_stale_book_refuse() -> None:
    """Silence of the settlement feed for longer than its threshold, of the book for longer than its own."""
    core = Core()
    story(core, END_S - 30)
    quote(core, END_S - 12)
    decision = core.state.markets[contract().slug].decision
    assert decision is not None
    assert decision.reason == "stale price"
    core = Core(Params(book_stale_s=5.0))
    story(core, END_S - 25)
    quote(core, END_S - 24)
    for second in range(END_S - 25, END_S - 12):
        core.price(second, CALM + 400)
    decision = core.state.markets[contract().slug].decision
    assert decision is not None
    assert decision.reason == "book"


def test_limits_count_the_worst_case() -> None:
    """An order that could lose more than is left of the day is not sent; nor one beyond the hourly number."""
    core = Core(limits=Limits(max_daily_loss_usd=19.99))
    story(core, END_S - 15)
    quote(core, END_S - 12)
    assert intents(core) == []
    core = Core(limits=Limits(max_trades_per_hour=0.0))
    story(core, END_S - 15)
    quote(core, END_S - 12)
    assert intents(core) == []


def test_unknown_tokens_make_no_book() -> None:
    """Frames of expired or foreign tokens are counted and ignored."""
    core = Core()
    core.describe()
    core.book("9009", [(40, 1)], [(60, 1)], START_S * 1000)
    change = e.LevelChange("9009", "BUY", 5_000, 1)
    core.feed(e.LevelsChanged(ts_recv_ms=START_S * 1000, market=MARKET, changes=(change,), ts_venue_ms=1))
    assert core.state.unknown_tokens == 2


def test_a_new_connection_voids_every_book() -> None:
    """Nothing of an old connection is trusted."""
    core = Core()
    core.describe()
    quote(core, START_S + 1)
    market = core.state.markets[contract().slug]
    assert market.up.state == "live"
    core.feed(e.FeedOpened(ts_recv_ms=(START_S + 2) * 1000, feed="clob", epoch=2))
    assert market.up.state == "awaiting snapshot"


def test_a_finished_window_gives_up_its_tokens_and_is_put_away_once_served() -> None:
    """Stale levels cannot leak into the next window; memory does not grow."""
    core = Core()
    story(core, END_S - 15)
    quote(core, END_S - 12)
    core.price(END_S, "70400", "twap")
    core.second(END_S + 6)
    assert core.state.tokens == {}
    served = e.OutcomeServed(
        ts_recv_ms=(END_S + 70) * 1000,
        slug=contract().slug,
        outcome="UP",
        strike=Decimal(1),
        final=Decimal(2),
    )
    core.feed(served)
    core.second(END_S + 71)
    assert core.state.markets == {}
    assert [market.contract.slug for market in core.state.past] == [contract().slug]


def test_an_estimated_final_too_close_to_call_waits_for_the_venue() -> None:
    """An estimate whose error could turn the outcome decides nothing."""
    core = Core()
    core.describe()
    for second in range(START_S - 400, END_S + 12):
        core.price(second, CALM + (second % 7))
        if second == START_S:
            core.price(second, 70_002.99, "twap")
        core.second(second + 2)
    market = core.state.markets[contract().slug]
    assert market.final is not None
    assert market.final.source == "estimate"
    assert market.outcome is None


def test_a_spot_market_is_captured_from_spot() -> None:
    """The rule is data of the market."""
    core = Core()
    core.describe(rule=SettlementRule("spot"))
    core.price(START_S, "70123.45")
    core.price(START_S, "1", "twap")
    strike = core.state.markets[contract().slug].strike
    assert strike is not None
    assert strike.value == Decimal("70123.45")


def test_replaying_the_records_gives_every_effect_again() -> None:
    """The core is a function of its records: the same bytes come out, in the same order."""
    core = Core()
    story(core, END_S - 15)
    quote(core, END_S - 12)
    core.price(END_S, "70400", "twap")
    again = State()
    replayed = [effect for record in core.records for effect in step(again, record)]
    encode = msgspec.msgpack.encode
    assert [encode(effect) for effect in replayed] == [encode(effect) for effect in core.effects]
    assert sum(isinstance(effect, Decision) for effect in replayed) > 100


# --- found by review ---


def test_a_rule_that_changes_takes_its_strike_with_it() -> None:
    """A strike captured as spot is not the strike of an average, however exact it was."""
    core = Core()
    core.describe(rule=SettlementRule("spot"))
    core.price(START_S, 69_900)
    market = core.state.markets[contract().slug]
    assert market.strike is not None
    core.feed(e.MarketDescribed(ts_recv_ms=(START_S + 10) * 1000, contract=contract()))
    assert market.strike is None
    core.price(START_S, "70000.25", "twap", lag_ms=11_000)
    assert market.strike is not None
    assert market.strike.value == Decimal("70000.25")


def test_a_repeated_report_is_no_sign_of_life() -> None:
    """A feed that is stuck says something every second and nothing new."""
    core = Core()
    story(core, END_S - 40)
    for second in range(END_S - 40, END_S - 12):
        core.price(END_S - 41, CALM, lag_ms=(second - END_S + 41) * 1000 + 1650)
    quote(core, END_S - 12)
    decision = core.state.markets[contract().slug].decision
    assert decision is not None
    assert decision.reason == "stale price"
    assert intents(core) == []


def test_old_values_that_arrive_now_are_not_fresh() -> None:
    """The snapshot of a subscription is a minute of the past."""
    core = Core()
    story(core, END_S - 40)
    points = tuple((second * 1000, Decimal(70_400)) for second in range(END_S - 60, END_S - 35))
    core.feed(e.PriceHistoryServed(ts_recv_ms=(END_S - 12) * 1000, source="chainlink", points=points))
    quote(core, END_S - 12)
    decision = core.state.markets[contract().slug].decision
    assert decision is not None
    assert decision.reason == "stale price"


def test_a_stamp_from_the_future_is_counted_and_has_no_effect() -> None:
    """One wrong stamp must not outdate every right one after it."""
    core = Core()
    core.price(START_S + 86_400, 71_000, lag_ms=-86_400_000)
    assert core.state.track("chainlink").newest_s is None
    assert core.state.bad_prices["chainlink: from the future"] == 1
    core.price(START_S, 70_000)
    assert core.state.track("chainlink").newest_s == START_S


def test_a_closed_book_feed_leaves_no_book_to_trade_on() -> None:
    """The books died with their connection, not with the next one."""
    core = Core()
    story(core, END_S - 15)
    core.book(UP, [(80, 500)], [(98, 500)], (END_S - 14) * 1000)
    core.feed(e.FeedClosed(ts_recv_ms=(END_S - 13) * 1000, feed="clob", epoch=1, reason="reset"))
    core.price(END_S - 14, CALM + 400, lag_ms=2_000)
    decision = core.state.markets[contract().slug].decision
    assert decision is not None
    assert decision.reason == "book"


def test_a_fill_told_after_the_settlement_is_settled_too() -> None:
    """Its money must not stay open for ever, and telling it again changes nothing."""
    core = Core()
    story(core, END_S - 15)
    quote(core, END_S - 12)
    order_id = intents(core)[0].order_id
    core.price(END_S, "70400", "twap")
    late = e.OrderFilled(
        ts_recv_ms=(END_S + 5) * 1000, order_id=order_id, fills=((9_000, 10_000_000),), fee_e6=0
    )
    core.feed(late)
    assert core.state.ledger.realised_e6 == 1_000_000
    assert core.state.ledger.open_cost_e6() == 0
    core.feed(e.OrderSubmitted(ts_recv_ms=(END_S + 6) * 1000, order_id=order_id))
    core.feed(late)
    assert core.state.ledger.trades == 1


def test_an_order_can_be_filled_by_the_book_it_was_decided_on() -> None:
    """Its limit reaches the worst level that its price was made of."""
    core = Core()
    story(core, END_S - 15)
    core.book(UP, [(40, 500)], [(50, 10), (95, 500)], (END_S - 12) * 1000)
    (intent,) = intents(core)
    book = core.state.markets[contract().slug].up
    fills = book.walk(intent.usd_e6, intent.limit_e4)
    assert sum(price * size for price, size in fills) // 10_000 >= intent.usd_e6 - 10_000


def test_looking_changes_nothing() -> None:
    """What a snapshot counts is not forgotten by counting it."""
    core = Core()
    for at_ms in (1, 2, 3):
        core.state.ledger.book(past_fill("a", "UP", ((5_000, 2),), 0, at_ms))
    core.state.ledger.trades_since(10**13)
    assert core.state.ledger.trades_since(0) == 3


@pytest.mark.parametrize(("back_s", "rate", "halts"), [(60, 1.0, False), (61, 1.0, True), (600, 10.0, False)])
def test_a_clock_that_was_set_back_halts_with_what_to_do(back_s: int, rate: float, halts: bool) -> None:
    """Time does not go back here: until it is where it was, no window is taken up and nothing is ever stale.

    A venue whose time is scaled is followed in its own seconds; a minute is one of the wall.
    """
    core = Core()
    core.state.clock_rate = rate
    core.describe()
    core.second(START_S + 3_600)
    core.second(START_S + 3_600 - back_s)
    why = core.state.halted_why
    if not halts:
        assert why is None
        return
    assert why == f"this machine's clock was set back by {back_s} s: start the engine again"
    assert core.state.stops_ms[HALT] == (START_S + 3_600) * 1000
    core.second(START_S + 3_600 - back_s + 1)
    assert core.state.halted_why == why, "the first word stands"
    again = State()
    for record in core.records:
        step(again, record)
    assert again.halted_why == why, "a replay says the same"
