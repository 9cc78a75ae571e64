"""Our leave to trade: restrictions, arming, pause, balance, limits; and exits, which need none of it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine import events as e
from engine.contract import Outcome
from engine.core import account, risk
from engine.core import decide as gate
from engine.core.explain import gate_rows
from engine.core.trading import OrderIntent
from engine.params import Limits
from engine.snapshot import GateView
from tests.core.builders import DOWN, END_S, UP, Core
from tests.core.order_story import (
    NOW_MS,
    PARAMS,
    SLUG,
    bought,
    fill,
    kill,
    lose,
    quote,
    ready,
    sign,
    tell,
    trade,
)

LATER = NOW_MS + 5_000


def live() -> Core:
    """Bring a core that trades for real to the window."""
    core = ready()
    core.state.dry_run = False
    core.state.trading.cash_e6 = None
    return core


def arm(core: Core, armed: bool = True) -> None:
    core.feed(e.ArmChanged(ts_recv_ms=NOW_MS, armed=armed, who="ann", why="a quiet day"))


def balance(core: Core, dollars: float, allowance: float | None = None, asked_ms: int = NOW_MS) -> None:
    core.feed(
        e.BalanceTold(
            ts_recv_ms=NOW_MS,
            balance_e6=round(dollars * 1e6),
            allowance_e6=None if allowance is None else round(allowance * 1e6),
            asked_ms=asked_ms,
        )
    )


def restrict(core: Core, kind: e.RestrictionKind, until_ms: int | None = None) -> None:
    core.feed(e.VenueRestricted(ts_recv_ms=NOW_MS, restriction=kind, why="said so", until_ms=until_ms))


def lift(core: Core, kind: e.RestrictionKind) -> None:
    core.feed(e.VenueRestricted(ts_recv_ms=NOW_MS, restriction=kind, why="", lifted=True))


def row(core: Core, bit: int) -> GateView:
    market = core.state.markets[SLUG]
    return next(one for one in gate_rows(core.state, market) if one.name == gate.GATE_NAMES[bit])


def went_out(core: Core) -> int:
    return sum(isinstance(one, OrderIntent) for one in core.effects)


# --- gates that somebody has closed -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["restarting", "rate-limited", "post-only"])
def test_a_restriction_with_an_end_passes_by_itself(kind: e.RestrictionKind) -> None:
    """Nobody has to tell that it is over."""
    core = ready()
    restrict(core, kind, NOW_MS + 3_000)
    assert quote(core) == []
    told = row(core, gate.VENUE)
    assert (told.value, told.requirement, told.change) == (f"{kind}: said so", "takes orders", "wait 3 s")
    assert quote(core, NOW_MS + 2_998) == []
    (intent,) = quote(core, NOW_MS + 3_000)
    assert intent.side == "BUY"
    assert row(core, gate.VENUE).value == "takes orders"


@pytest.mark.parametrize("kind", ["closed-only", "region", "disabled", "unauthorised", "banned"])
def test_a_restriction_without_an_end_needs_somebody(kind: e.RestrictionKind) -> None:
    """It stays until the venue takes it back."""
    core = ready()
    restrict(core, kind)
    assert quote(core, NOW_MS + 4_000) == []
    assert row(core, gate.VENUE).change == "an operator has to look into it"
    lift(core, kind)
    assert went_out(core) == 1, "at once: the word itself is looked at"


def test_several_restrictions_hold_at_once_and_each_ends_by_itself() -> None:
    """A key that is read again says nothing of an account that may only reduce; the longest one is shown."""
    core = ready()
    restrict(core, "closed-only")
    restrict(core, "unauthorised")
    restrict(core, "restarting", NOW_MS + 1_000)
    lift(core, "unauthorised")
    assert quote(core, NOW_MS + 2_000) == []
    assert row(core, gate.VENUE).value == "closed-only: said so"
    lift(core, "heartbeat")
    assert quote(core, NOW_MS + 2_500) == []
    lift(core, "closed-only")
    assert went_out(core) == 1


def test_a_pause_stops_buying_and_names_who_paused() -> None:
    """Until somebody resumes."""
    core = ready()
    core.feed(e.TradingPaused(ts_recv_ms=NOW_MS, paused=True, who="ann", why="lunch"))
    assert quote(core) == []
    told = row(core, gate.PAUSED)
    assert (told.value, told.change) == ("paused by ann: lunch", "an operator has to resume")
    core.feed(e.TradingPaused(ts_recv_ms=NOW_MS, paused=False, who="ann", why="back"))
    assert went_out(core) == 1, "at once: the word itself is looked at"
    assert row(core, gate.PAUSED).value == "runs"


def test_live_orders_need_an_arm_and_paper_needs_none() -> None:
    """Never armed, armed, disarmed: each is its own sentence."""
    core = live()
    balance(core, 500)
    assert quote(core) == []
    assert row(core, gate.ARMED).value == "not armed"
    arm(core, False)
    assert quote(core, NOW_MS + 10) == []
    assert row(core, gate.ARMED).value == "not armed: a quiet day"
    arm(core)
    assert went_out(core) == 1, "at once: the word itself is looked at"
    assert row(core, gate.ARMED).value == "armed by ann"
    paper = ready()
    quote(paper)
    assert row(paper, gate.ARMED).value == "paper: needs none"


# --- balance ------------------------------------------------------------------------------------------------


def test_live_nothing_is_bought_before_the_balance_is_told() -> None:
    """Unknown is a gate that refuses."""
    core = live()
    arm(core)
    assert quote(core) == []
    told = row(core, gate.BALANCE)
    assert (told.value, told.requirement, told.passed) == ("not told, or too long ago", ">= $21.40", False)
    balance(core, 21.39)
    assert quote(core, NOW_MS + 10) == []
    assert row(core, gate.BALANCE).value == "$21.39 free"
    balance(core, 21.41)
    assert went_out(core) == 1, "at once: the word itself is looked at"


def test_what_the_venue_s_contracts_may_take_counts_as_well() -> None:
    """Dollars without an allowance cannot be spent."""
    core = live()
    balance(core, 500, allowance=10)
    assert risk.available_e6(core.state) == 10_000_000


def test_an_order_under_way_is_reserved_with_its_fee_until_its_answer() -> None:
    """20 dollars and at most 7 % of fee; a kill gives them back."""
    core = live()
    arm(core)
    balance(core, 100)
    quote(core)
    assert risk.available_e6(core.state) == pytest.approx(78_600_000)
    kill(core, next(iter(core.state.trading.orders.values())))
    assert risk.available_e6(core.state) == 100_000_000


def test_a_balance_asked_for_before_a_fill_does_not_hold_it_yet() -> None:
    """The answer crossed the fill on its way; one that was asked for afterwards has it."""
    core, order = bought()
    sign(core, order)
    fill(core, order, at_ms=NOW_MS + 300)
    balance(core, 100, asked_ms=NOW_MS + 300)
    assert risk.available_e6(core.state) == 100_000_000 - 9_063_000
    balance(core, 100, asked_ms=NOW_MS + 301)
    assert risk.available_e6(core.state) == 100_000_000


@pytest.mark.parametrize("asked_ms", [NOW_MS + 299, NOW_MS + 300, NOW_MS + 301, NOW_MS + 5_000])
def test_a_match_is_held_back_once_until_its_trade_is_mined(asked_ms: int) -> None:
    """Dollars leave the account when the trade is mined: before, no answer holds them, whenever it came."""
    core, order = bought()
    sign(core, order)
    fill(core, order, trade("t1"), at_ms=NOW_MS + 300)
    balance(core, 100, asked_ms=asked_ms)
    assert risk.available_e6(core.state) == 100_000_000 - 9_063_000
    tell(core, "t1", "CONFIRMED")
    held = 9_063_000 if asked_ms <= NOW_MS + 300 else 0
    assert risk.available_e6(core.state) == 100_000_000 - held


def test_a_match_that_failed_is_not_held_back_any_more() -> None:
    """It never was, so it takes nothing out of an answer that was asked for before it."""
    core, order = bought()
    sign(core, order)
    balance(core, 100, asked_ms=NOW_MS + 100)
    fill(core, order, trade("t1"), at_ms=NOW_MS + 300)
    tell(core, "t1", "FAILED")
    assert risk.available_e6(core.state) == 100_000_000


def test_a_fill_of_a_window_that_settled_counts_against_an_old_answer() -> None:
    """The answer was given before the dollars left; that the window is over puts none of them back."""
    core, order = bought()
    balance(core, 100, asked_ms=NOW_MS)
    fill(core, order)
    core.state.ledger.settle(SLUG, "DOWN", NOW_MS + 400)
    assert risk.available_e6(core.state) == 100_000_000 - 9_063_000


@pytest.mark.parametrize("rate", [1.0, 10.0])
def test_a_balance_holds_for_a_minute_of_the_wall(rate: float) -> None:
    """The venue may be silent while money moves: what was told longer ago is a gate that refuses."""
    core = ready()
    core.state.clock_rate = rate
    last_ms = NOW_MS - int(60_000 * rate)
    balance(core, 100, asked_ms=last_ms)
    assert risk.available_e6(core.state) == 100_000_000
    balance(core, 100, asked_ms=last_ms - 1)
    assert risk.available_e6(core.state) is None
    assert quote(core) == []
    assert row(core, gate.BALANCE).value == "not told, or too long ago"


def test_the_rate_of_the_clock_is_told_at_the_opening() -> None:
    """A simulated venue runs faster than the wall."""
    core = Core()
    assert core.state.clock_rate == 1.0
    core.feed(structs.replace(core.records[0].event, clock_rate=20.0))
    assert core.state.clock_rate == 20.0


def test_an_order_is_reserved_by_its_own_dollars() -> None:
    """A third of what is wanted was on display: a third is reserved, whatever the size is set to since."""
    core = ready()
    core.book(DOWN, [(10, 500)], [(12, 500)], NOW_MS)
    core.book(UP, [(88, 500)], [(90, 8)], NOW_MS + 1)
    (order,) = core.state.trading.orders.values()
    assert order.intent.usd_e6 == 7_200_000
    assert risk.reserved_e6(core.state) == pytest.approx(7_200_000 * 1.07)
    assert risk.reserved_e6(core.state, END_S) == pytest.approx(7_200_000 * 1.07)
    assert risk.reserved_e6(core.state, END_S + 300) == 0
    assert risk.at_stake_e6(core.state) == pytest.approx((7_200_000 + 20_000_000) * 1.07)


def test_a_fee_that_may_be_higher_than_the_venue_s_is_reserved_whole() -> None:
    """Where a market publishes no schedule, the fallback is what it pays."""
    core, _ = bought(Core(PARAMS._replace(fallback_fee_rate=0.2)))
    assert risk.one_order_e6(core.state) == pytest.approx(24_000_000)
    assert risk.reserved_e6(core.state) == pytest.approx(24_000_000)


def test_paper_spends_its_own_cash() -> None:
    """What it began with, what fills took, what payouts brought, what is under way."""
    core, order = bought()
    assert risk.available_e6(core.state) == pytest.approx(1_000_000_000 - 21_400_000)
    fill(core, order)
    assert risk.available_e6(core.state) == 1_000_000_000 - 9_063_000
    core.state.ledger.settle(SLUG, "UP", NOW_MS)
    assert risk.available_e6(core.state) == 1_000_000_000 - 9_063_000 + 10_000_000


# --- limits -------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.sampled_from([*Limits._fields, "no_such_limit"]),
        st.floats(-1e6, 1e6) | st.sampled_from([0.0, float("nan"), float("inf"), float("-inf")]),
    )
)
def test_limits_can_be_tightened_and_never_loosened(wanted: dict[str, float]) -> None:
    """Whatever is asked for, and however often; a limit that is no number is none."""
    core = Core()
    before = core.state.limits
    for _ in range(2):
        core.feed(e.LimitsTightened(ts_recv_ms=NOW_MS, limits=wanted, who="w", why="y"))
        after = core.state.limits
        assert after.edge_trades == before.edge_trades
        assert after.least_roi >= before.least_roi
        for name in set(Limits._fields) - {"edge_trades", "least_roi"}:
            assert 0 < getattr(after, name) <= getattr(before, name), name


def test_a_tightened_limit_holds_at_once() -> None:
    """The next decision obeys it, and the tape says what became stricter."""
    core = ready()
    wanted = {"max_exposure_usd": 21.0, "max_daily_loss_usd": 9_999.0}
    core.feed(e.LimitsTightened(ts_recv_ms=NOW_MS, limits=wanted, who="ann", why="careful"))
    assert quote(core) == []
    assert core.state.limits.max_daily_loss_usd == 250.0
    assert core.state.marks[-1].text == "limits tightened by ann: max_exposure_usd 100 -> 21"


def test_a_smaller_trade_cuts_the_order_and_no_parameters_get_past_it() -> None:
    """An order decided on the old size would be larger than the limit allows."""
    core = ready()
    core.feed(e.LimitsTightened(ts_recv_ms=NOW_MS, limits={"max_usd_per_trade": 5.0}, who="w", why="y"))
    assert core.state.params.quote_size_usd == 5.0
    wider = PARAMS._replace(quote_size_usd=40.0, max_entry_price=0.97)._asdict()
    core.feed(e.ParamsChanged(ts_recv_ms=NOW_MS, params=wider, version=2, who="w", why="y", text="t"))
    assert (core.state.params.quote_size_usd, core.state.params.max_entry_price) == (5.0, 0.97)
    (intent,) = quote(core)
    assert intent.usd_e6 == 5_000_000
    smaller = PARAMS._replace(quote_size_usd=2.0)._asdict()
    core.feed(e.ParamsChanged(ts_recv_ms=NOW_MS, params=smaller, version=3, who="w", why="y", text="t"))
    assert core.state.params.quote_size_usd == 2.0


# --- exits --------------------------------------------------------------------------------------------------


def get_out(
    core: Core, outcome: Outcome = "UP", at_ms: int = LATER, least_e4: int = 8_500
) -> list[OrderIntent]:
    event = e.ExitAsked(ts_recv_ms=at_ms, slug=SLUG, outcome=outcome, least_e4=least_e4, who="ann", why="y")
    return [one for one in core.feed(event) if isinstance(one, OrderIntent)]


def holding(shares_e6: int = 10_123_456, cost_e6: int = 9_000_000) -> Core:
    core, order = bought()
    sign(core, order)
    fill(core, order, trade("t1", shares_e6, cost_e6))
    return core


def test_an_exit_sells_all_that_is_held_in_hundredths_of_a_share() -> None:
    """A SELL has two decimals of shares: what is finer stays. It takes what there is and kills the rest."""
    (intent,) = get_out(holding())
    assert (intent.side, intent.kind, intent.token, intent.limit_e4) == ("SELL", "FAK", UP, 8_500)
    assert (intent.shares_e6, intent.usd_e6) == (10_120_000, 0)
    assert intent.deadline_ms == min(LATER + 5_000, END_S * 1000)


@pytest.mark.parametrize(("tick_e4", "limit_e4"), [(None, 8_600), (100, 8_600), (10, 8_560)])
def test_an_exit_keeps_to_the_price_grid_and_to_the_wish(tick_e4: int | None, limit_e4: int) -> None:
    """The venue refuses a price beside its grid; whoever has to get out has no time to find that out."""
    core = holding()
    core.state.markets[SLUG].book_of("UP").tick_e4 = tick_e4
    (intent,) = get_out(core, least_e4=8_555)
    assert intent.limit_e4 == limit_e4
    assert core.state.marks[-1].text.startswith(f"sell Up >= {limit_e4 / 10_000:g} ")


def test_an_exit_above_the_highest_price_is_refused() -> None:
    """A dollar is no price: nothing is sold below the wish instead."""
    core = holding()
    assert get_out(core, least_e4=9_950) == []
    assert core.state.marks[-1].text == "no exit: the market has no price so high"


def test_no_exit_where_nothing_is_held() -> None:
    """The other side, dust, a window that is over, one that is not known; each says why."""
    core = holding()
    assert get_out(core, "DOWN") == []
    assert core.state.marks[-1].text == "no exit: nothing of it is held"
    assert get_out(holding(9_999, 9_000)) == []
    assert get_out(core, at_ms=END_S * 1000) == []
    assert core.state.marks[-1].text == "no exit: the window is not open"
    assert get_out(Core()) == []


def test_no_second_exit_while_the_first_is_under_way() -> None:
    """Sold twice would be sold short."""
    core = holding()
    assert len(get_out(core)) == 1
    assert get_out(core) == []
    assert core.state.marks[-1].text == "no exit: an order of this window is under way"


def test_a_buy_that_nobody_can_find_does_not_lock_us_in() -> None:
    """What is held can be sold while it is looked for; a SELL of unknown fate may have sold it already."""
    core = holding()
    held = core.state.trading.orders[f"{SLUG}#1"]
    tell(core, "t2", "MATCHED")
    assert held.state == "unknown"
    (exit_,) = get_out(core)
    assert exit_.shares_e6 == 10_120_000
    lose(core, core.state.trading.orders[exit_.order_id])
    assert get_out(core) == []


def test_a_buy_whose_answer_is_awaited_holds_up_an_exit() -> None:
    """In a moment it is known how much there is to sell."""
    core = holding()
    held = core.state.trading.orders[f"{SLUG}#1"]
    held.state, core.state.trading.in_flight[f"{SLUG}#1"] = "sent", held
    assert get_out(core) == []


def test_an_exit_sells_no_more_than_the_venue_has_of_it() -> None:
    """Fills may bring a hundredth of a share less than was matched; an order for it would be refused."""
    for told, sold_e6 in ((10.115, 10_110_000), (10.12, 10_120_000), (11.0, 10_120_000)):
        core = holding()
        tell(core, "t1", "CONFIRMED")
        shares(core, told)
        assert [one.shares_e6 for one in get_out(core)] == [sold_e6], told


def test_each_fill_may_have_brought_a_hundredth_less() -> None:
    """An order that takes several levels is several trades, each cut by itself: no share is gone."""
    for told, sold_e6 in ((10.105, 10_100_000), (10.10, 10_120_000)):
        core, order = bought()
        sign(core, order)
        fill(core, order, trade("t1", 5_123_456, 4_500_000), trade("t2", 5_000_000, 4_500_000))
        for name in ("t1", "t2"):
            tell(core, name, "CONFIRMED")
        for _ in range(3):
            shares(core, told)
        assert (core.state.halted_why is None) is (sold_e6 < 10_120_000), told
        assert [one.shares_e6 for one in get_out(core)] == [sold_e6], told


def test_an_exit_works_under_every_closed_gate() -> None:
    """Killed, halted, paused, disarmed, restricted, tripped: getting out is never refused."""
    core = holding()
    core.feed(e.KillSwitchChanged(ts_recv_ms=NOW_MS, latched=True, who="w", why="y"))
    core.feed(e.EngineHalted(ts_recv_ms=NOW_MS, why="y"))
    core.feed(e.TradingPaused(ts_recv_ms=NOW_MS, paused=True, who="w", why="y"))
    restrict(core, "closed-only")
    arm(core, False)
    core.state.breakers["drawdown"] = "y"
    assert len(get_out(core)) == 1


def sold(core: Core, shares_e6: int, proceeds_e6: int, fee_e6: int) -> None:
    (intent,) = get_out(core)
    core.feed(
        e.OrderFilled(
            ts_recv_ms=LATER + 300,
            order_id=intent.order_id,
            fills=(),
            fee_e6=fee_e6,
            trades=(e.Trade("s1", shares_e6, proceeds_e6, fee_e6),),
            is_final=False,
        )
    )


def test_a_sell_books_its_proceeds_and_leaves_the_right_position_and_worst_case() -> None:
    """Bought 10 at 9.063 all in; 6 sold for 5.7 less 2 cents: 4 are held, and 3.383 can still be lost."""
    core = holding(10_000_000)
    sold(core, 6_000_000, 5_700_000, 20_000)
    ledger = core.state.ledger
    assert ledger.holdings[SLUG].shares_e6 == {"UP": 4_000_000, "DOWN": 0}
    assert ledger.cash_e6 == -9_063_000 + 5_700_000 - 20_000
    assert ledger.open_cost_e6() == 3_383_000
    assert ledger.trades == 2
    ledger.settle(SLUG, "UP", LATER + 9_000)
    assert ledger.realised_e6 == 4_000_000 - 3_383_000 == ledger.cash_e6


def test_a_position_sold_at_a_profit_has_nothing_to_lose() -> None:
    """The worst case is never less than nothing, so it makes no room for others."""
    core = holding(10_000_000)
    sold(core, 10_000_000, 9_900_000, 0)
    assert core.state.ledger.open_cost_e6() == 0
    core.state.ledger.settle(SLUG, "DOWN", LATER + 9_000)
    assert core.state.ledger.realised_e6 == 9_900_000 - 9_063_000


def test_a_sell_that_fails_gives_the_shares_back() -> None:
    """And takes the dollars away again."""
    core = holding(10_000_000)
    sold(core, 10_000_000, 9_900_000, 0)
    order = core.state.trading.orders[f"{SLUG}#2"]
    tell(core, "s1", "FAILED", order.venue_order_id)
    assert core.state.ledger.holdings[SLUG].shares_e6["UP"] == 10_000_000
    assert core.state.ledger.cash_e6 == -9_063_000


def test_shares_that_were_sold_and_never_bought_are_owed() -> None:
    """The SELL went through and the BUY failed at the chain: each share may cost a dollar."""
    core = holding(10_000_000)
    sold(core, 10_000_000, 9_900_000, 0)
    tell(core, "t1", "FAILED")
    assert core.state.ledger.holdings[SLUG].shares_e6["UP"] == -10_000_000
    assert core.state.ledger.open_cost_e6() == 100_000


def test_a_sell_under_way_reserves_no_dollars() -> None:
    """It brings some."""
    core = holding(10_000_000)
    before = risk.available_e6(core.state)
    get_out(core)
    assert risk.available_e6(core.state) == before
    assert risk.in_flight(core.state) == 0


# --- what the venue says we hold ----------------------------------------------------------------------------


def shares(core: Core, number: float, asked_ms: int = LATER, outcome: Outcome = "UP") -> None:
    core.feed(
        e.SharesTold(
            ts_recv_ms=max(LATER, asked_ms),
            slug=SLUG,
            outcome=outcome,
            shares_e6=round(number * 1e6),
            asked_ms=asked_ms,
        )
    )


def test_fewer_shares_than_the_ledger_has_halt() -> None:
    """Money that we think we have is not there."""
    core = settled_down()
    shares(core, 9.995)
    shares(core, 9.995)
    assert core.state.halted_why is None, "dust: the exchange divides whole numbers"
    shares(core, 9.9)
    assert core.state.halted_why is None, "once is no proof"
    assert core.state.trading.alarms == {DIFFER: "venue 9.9, ledger 10"}
    shares(core, 9.9)
    assert core.state.halted_why == f"{DIFFER}: venue 9.9, ledger 10"


DIFFER = f"{account.SHARES_DIFFER} {SLUG} Up"


def settled_down() -> Core:
    """Bring a core to ten shares whose trade is confirmed, so that nothing is on its way any more."""
    core = holding(10_000_000)
    tell(core, "t1", "CONFIRMED")
    return core


def test_shares_that_agree_between_two_differences_start_the_count_again() -> None:
    """One late answer, twice, hours apart, is no proof; and the alarm goes when they agree."""
    core = settled_down()
    for _ in range(3):
        shares(core, 9.0)
        assert DIFFER in core.state.trading.alarms
        shares(core, 10.0)
        assert core.state.trading.alarms == {}
    assert core.state.halted_why is None


def test_each_window_and_side_has_an_alarm_and_a_count_of_its_own() -> None:
    """Up and Down each once are not one of them twice."""
    core = settled_down()
    shares(core, 9.0)
    shares(core, 3.0, outcome="DOWN")
    assert set(core.state.trading.alarms) == {DIFFER, DIFFER.replace("Up", "Down")}
    assert core.state.halted_why is None


def test_nothing_is_concluded_while_shares_may_be_on_their_way() -> None:
    """A provisional trade, an order under way, and an end that is younger than the question."""
    provisional = holding(10_000_000)
    under_way = settled_down()
    get_out(under_way)
    younger = settled_down()
    for core, asked_ms in ((provisional, LATER), (under_way, LATER + 500), (younger, NOW_MS + 900)):
        for _ in range(3):
            shares(core, 0.0, asked_ms)
        assert core.state.halted_why is None
        assert core.state.trading.alarms == {}
    for _ in range(2):
        shares(younger, 0.0, NOW_MS + 901)
    assert younger.state.halted_why is not None


def test_more_shares_than_the_ledger_has_leave_the_market_alone() -> None:
    """Somebody else trades this account: an alarm, no halt."""
    core = ready()
    for _ in range(3):
        shares(core, 3.0)
    assert core.state.halted_why is None
    assert core.state.trading.alarms == {DIFFER: "venue 3, ledger 0"}
    assert quote(core, LATER) == []


def test_shares_asked_for_before_the_fill_was_known_say_nothing() -> None:
    """The answer crossed the fill on its way."""
    core = holding(10_000_000)
    shares(core, 0.0, asked_ms=NOW_MS + 300)
    assert core.state.halted_why is None
    assert core.state.trading.alarms == {}


def test_shares_that_differed_are_no_alarm_any_more_once_their_window_is_put_away() -> None:
    """Nobody asks after its end, so no answer could ever end the alarm."""
    core = ready()
    shares(core, 3.0)
    shares(core, 2.0, outcome="DOWN")
    other = DIFFER.replace(SLUG, "btc-updown-5m-1")
    core.state.trading.alarms[other] = "of a window that goes on"
    assert len(core.state.trading.alarms) == 3
    core.second(END_S + 30)
    assert len(core.state.trading.alarms) == 3, "its outcome is awaited"
    core.feed(
        e.OutcomeServed(
            ts_recv_ms=(END_S + 60) * 1000,
            slug=SLUG,
            outcome="UP",
            strike=Decimal(70_000),
            final=Decimal(70_001),
        )
    )
    core.second(END_S + 61)
    assert core.state.markets == {}
    assert core.state.trading.alarms == {other: "of a window that goes on"}
    assert core.state.trading.shares_off == {}


def test_winning_shares_that_are_still_there_are_a_stuck_redeem_until_they_are_gone() -> None:
    """Paid out by the ledger, not by the venue; losing shares are worth nothing and may stay."""
    core = holding(10_000_000)
    core.state.ledger.settle(SLUG, "UP", LATER)
    shares(core, 10.0)
    name = f"{account.STUCK_REDEEM} {SLUG}"
    assert core.state.trading.alarms[name].startswith("10 winning shares are not paid out yet")
    shares(core, 10.0, outcome="DOWN")
    shares(core, 0.0)
    assert name not in core.state.trading.alarms
    assert core.state.halted_why is None


def test_alarms_come_and_go_by_their_name() -> None:
    """An empty reason takes one back; a cancel-all that came through ends its alarm."""
    core = ready()
    for name in ("heartbeat", account.CANCEL_ALL):
        core.feed(e.AlarmRaised(ts_recv_ms=NOW_MS, name=name, why="lost"))
    core.feed(e.AlarmRaised(ts_recv_ms=NOW_MS, name="heartbeat", why=""))
    assert core.state.trading.alarms == {account.CANCEL_ALL: "lost"}
    core.feed(e.OrdersCancelled(ts_recv_ms=NOW_MS, count=2, why="kill switch"))
    assert core.state.trading.alarms == {}
