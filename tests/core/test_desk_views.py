"""What people see of orders, of our leave to trade and of the limits: what the gates themselves count."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events as e
from engine.core import decide as gate
from engine.core import risk
from engine.core.desk_views import account_view, limits_used, order_view
from engine.core.ledger import Ledger
from engine.params import Limits
from engine.snapshot import AssumedView, LimitView
from tests.core.builders import END_S, Core, past_fill
from tests.core.order_story import NOW_MS, PARAMS, SLUG, bought, fill, kill, lose, ready, sign, tell, trade

GATES = {
    "daily loss": gate.DAILY_LOSS,
    "trades an hour": gate.HOURLY,
    "exposure": gate.EXPOSURE,
    "correlated loss": gate.CORRELATED,
    "balance": gate.BALANCE,
}
ORDER = 21.4
"""20 dollars and at most 7 % of fee."""


def limits(core: Core) -> dict[str, LimitView]:
    return {view.name: view for view in limits_used(core.state)}


def refused(core: Core) -> dict[str, bool]:
    """Ask the gates themselves."""
    blocks = risk.blocks(core.state, core.state.markets[SLUG])
    return {name: bool(blocks & bit) for name, bit in GATES.items()}


def hold(core: Core, cost_e6: int, slug: str = "held", end_s: int = END_S, at_ms: int = NOW_MS) -> None:
    core.state.ledger.book(
        past_fill(slug, "UP", ((10_000, cost_e6),), at_ms=at_ms, cost_e6=cost_e6, end_s=end_s)
    )


def submit(core: Core, order_id: str) -> None:
    core.feed(e.OrderSubmitted(ts_recv_ms=NOW_MS + 10, order_id=order_id, took_ms=4.0))


@cache
def at_the_hammer() -> Core:
    """Bring one core to the window for all examples of a property: that takes a hundred times as long."""
    return ready()


# --- limits -------------------------------------------------------------------------------------------------


def test_with_nothing_traded_one_order_is_all_there_would_be() -> None:
    """Used nothing, after one order 21.40: 20 dollars with the most its fee can be."""
    core = ready()
    assert list(limits(core)) == list(GATES)
    for name, view in limits(core).items():
        assert view.used == 0.0
        assert view.after == (1.0 if name == "trades an hour" else pytest.approx(ORDER))
        assert not view.over
    assert [view.limit for view in limits(core).values()] == [250.0, 4.0, 100.0, 60.0, 1_000.0]


def test_holdings_count_whole_and_only_those_that_end_together_are_correlated() -> None:
    """30 dollars that end with this window, 25 later: 55 at stake, 30 of them together."""
    core = ready()
    hold(core, 30_000_000)
    hold(core, 25_000_000, "later", END_S + 600)
    told = limits(core)
    assert told["exposure"].used == pytest.approx(55.0)
    assert told["exposure"].after == pytest.approx(55.0 + ORDER)
    assert told["correlated loss"].used == pytest.approx(30.0)
    assert told["trades an hour"].used == 2.0
    assert told["daily loss"].after == pytest.approx(55.0 + ORDER)
    assert told["balance"].limit == pytest.approx(945.0)


def test_an_order_under_way_is_used_already_with_its_fee() -> None:
    """It may fill at any moment: 21.40 used, as much again after the next, and one trade."""
    core, _ = bought()
    told = limits(core)
    assert told["exposure"].used == pytest.approx(ORDER)
    assert told["exposure"].after == pytest.approx(2 * ORDER)
    assert told["trades an hour"].used == 1.0
    assert told["balance"].limit == pytest.approx(1_000.0 - ORDER)


def test_a_loss_of_today_is_used_and_a_profit_is_not_less_than_nothing() -> None:
    """A good morning does not show as a negative bar, though the gate lets the profit be lost again."""
    core = ready()
    hold(core, 40_000_000)
    core.state.ledger.settle("held", "DOWN", NOW_MS)
    assert limits(core)["daily loss"].used == pytest.approx(40.0)
    assert limits(core)["daily loss"].after == pytest.approx(40.0 + ORDER)
    hold(core, 10_000_000, "won")
    core.state.ledger.book(past_fill("won", "UP", ((100, 90_000_000),), at_ms=NOW_MS + 1, end_s=END_S))
    core.state.ledger.settle("won", "UP", NOW_MS)
    # 100 shares paid 100 dollars and cost 10.90: 89.10 won, 40 lost before.
    assert limits(core)["daily loss"].used == 0.0
    assert limits(core)["daily loss"].after == 0.0


def test_a_balance_nobody_told_refuses_and_has_no_limit() -> None:
    """Unknown is None on the screen and a gate that refuses."""
    core = ready()
    core.state.trading.cash_e6 = None
    told = limits(core)["balance"]
    assert (told.limit, told.over) == (None, True)


def test_between_windows_the_correlated_limit_counts_one_order() -> None:
    """With no window running there is nothing that an order could end together with."""
    told = limits(Core(PARAMS))["correlated loss"]
    assert (told.used, told.after, told.over) == (0.0, pytest.approx(ORDER), False)


@given(
    cost_e6=st.integers(0, 100) | st.integers(0, 60_000_000),
    lost_e6=st.integers(0, 40_000_000),
    room_e6=st.sampled_from([-10_000, -1, 0, 1, 10_000]),
    trades=st.integers(1, 6),
    order=st.sampled_from([(20.0, 21_400_000), (50.0, 53_500_000)]),
)
def test_what_the_screen_calls_over_is_what_the_gates_refuse(
    cost_e6: int, lost_e6: int, room_e6: int, trades: int, order: tuple[float, int]
) -> None:
    """To the millionth, just below, at and just above each limit: no bar is red for a trade that goes out."""
    core, order_e6 = at_the_hammer(), order[1]
    core.state.params = PARAMS._replace(quote_size_usd=order[0])
    core.state.ledger = Ledger()
    if cost_e6:
        hold(core, cost_e6)
    if lost_e6:
        hold(core, lost_e6, "lost", END_S - 300)
        core.state.ledger.settle("lost", "DOWN", NOW_MS)
    stake = (cost_e6 + order_e6 + room_e6) / 1e6
    core.state.limits = Limits(
        max_exposure_usd=stake,
        max_correlated_usd=stake,
        max_daily_loss_usd=(lost_e6 + cost_e6 + order_e6 + room_e6) / 1e6,
        max_trades_per_hour=float(trades),
    )
    core.state.trading.cash_e6 = cost_e6 + lost_e6 + order_e6 + room_e6
    assert {name: view.over for name, view in limits(core).items()} == refused(core)


# --- orders -------------------------------------------------------------------------------------------------


def test_an_order_shows_each_step_of_its_life_only_once_it_was_taken() -> None:
    """Zero milliseconds would be a measurement; a step to come is None."""
    core, order = bought()
    told = order_view(order)
    assert (told.state, told.side, told.kind) == ("intended", "BUY", "FOK")
    assert (told.sign_ms, told.send_ms, told.answer_ms, told.ended_ms) == (None, None, None, None)
    assert (told.usd, told.filled_shares, told.average_price, told.fee) == (20.0, 0.0, None, 0.0)
    sign(core, order)
    assert (order_view(order).sign_ms, order_view(order).send_ms) == (1.5, None)
    submit(core, order.intent.order_id)
    assert (order_view(order).send_ms, order_view(order).answer_ms) == (4.0, None)
    fill(core, order)
    told = order_view(order)
    assert (told.state, told.answer_ms, told.ended_ms) == ("partial", 150.0, NOW_MS + 300)
    assert (told.filled_shares, told.average_price, told.fee) == (10.0, 0.9, pytest.approx(0.063))
    assert told.settlement == "", "on paper a fill is final"


def test_an_order_s_settlement_is_its_slowest_trade_s() -> None:
    """Half confirmed is not confirmed."""
    core, order = bought()
    sign(core, order)
    fill(core, order, trade("t1"), trade("t2"))
    assert order_view(order).settlement == "MATCHED"
    tell(core, "t1", "CONFIRMED")
    assert order_view(order).settlement == "MATCHED"
    tell(core, "t2", "MINED")
    assert order_view(order).settlement == "MINED"
    tell(core, "t2", "CONFIRMED")
    assert order_view(order).settlement == "CONFIRMED"


@pytest.mark.parametrize("statuses", [("CONFIRMED", "FAILED"), ("FAILED", "CONFIRMED")])
def test_an_order_one_of_whose_trades_failed_says_so(statuses: tuple[str, str]) -> None:
    """Whichever of them was told first: half a ghost fill must not read as confirmed."""
    core, order = bought()
    sign(core, order)
    fill(core, order, trade("t1"), trade("t2"))
    for name, word in zip(("t1", "t2"), statuses, strict=True):
        tell(core, name, word)
    assert order_view(order).settlement == "FAILED"


def test_an_order_shows_what_each_paper_assumption_comes_to() -> None:
    """Nothing bought has no price; 18.20 for 20 shares is 91 cents."""
    core, order = bought()
    core.feed(
        e.OrderKilled(
            ts_recv_ms=NOW_MS + 300,
            order_id=order.intent.order_id,
            reason="no match",
            assumed=(
                e.Assumed("touch", 20_000_000, 18_200_000, 114_660),
                e.Assumed("conservative", 0, 0, 0),
            ),
        )
    )
    told = order_view(order)
    assert (told.state, told.reason, told.average_price) == ("killed", "no match", None)
    assert told.assumed == [
        AssumedView("touch", 20.0, pytest.approx(0.91), pytest.approx(0.11466)),
        AssumedView("conservative", 0.0, None, 0.0),
    ]


# --- the account --------------------------------------------------------------------------------------------


def test_on_paper_nothing_is_armed_and_cash_is_what_is_left() -> None:
    """``armed`` is None there: it is neither yes nor no."""
    core, order = bought()
    told = account_view(core.state)
    assert (told.live, told.armed, told.restriction, told.paused_why) == (False, None, "none", "")
    assert (told.in_flight, told.unknown, told.free_usd) == (1, 0, pytest.approx(1_000.0 - ORDER))
    kill(core, order)
    told = account_view(core.state)
    assert (told.in_flight, told.free_usd) == (0, 1_000.0)
    assert told.used == limits_used(core.state)
    assert told.limits == core.state.limits._asdict()


def test_an_order_nobody_knows_of_is_in_flight_and_unknown() -> None:
    """It may still fill: its dollars are not free."""
    core, order = bought()
    lose(core, order)
    told = account_view(core.state)
    assert (told.in_flight, told.unknown, told.free_usd) == (1, 1, pytest.approx(1_000.0 - ORDER))


def test_a_live_account_names_who_armed_and_who_paused_it_and_what_restricts_it() -> None:
    """Somebody else has to be able to ask them."""
    core = ready()
    core.state.dry_run = False
    assert account_view(core.state).armed is False
    core.feed(e.ArmChanged(ts_recv_ms=NOW_MS, armed=True, who="ann", why="first day", until_ms=NOW_MS + 60))
    core.feed(e.TradingPaused(ts_recv_ms=NOW_MS, paused=True, who="bob", why="lunch"))
    core.feed(
        e.VenueRestricted(ts_recv_ms=NOW_MS, restriction="rate-limited", why="429", until_ms=NOW_MS + 5_000)
    )
    told = account_view(core.state)
    assert (told.armed, told.armed_who, told.armed_why, told.armed_until_ms) == (
        True, "ann", "first day", NOW_MS + 60,
    )  # fmt: skip
    assert (told.paused_who, told.paused_why) == ("bob", "bob: lunch")
    assert (told.restriction, told.restriction_why, told.restriction_until_ms) == (
        "rate-limited", "429", NOW_MS + 5_000,
    )  # fmt: skip
    core.feed(e.TradingPaused(ts_recv_ms=NOW_MS, paused=False, who="bob", why="back"))
    core.second(END_S - 6)
    told = account_view(core.state)
    assert (told.paused_who, told.restriction) == ("", "none"), (
        "a restriction that passes is over at its time"
    )


def test_a_told_balance_is_shown_with_when_it_was_asked_for() -> None:
    """An old word is worth less; what the contracts may take caps it."""
    core = ready()
    core.feed(
        e.BalanceTold(ts_recv_ms=NOW_MS, balance_e6=75_000_000, allowance_e6=50_000_000, asked_ms=NOW_MS - 40)
    )
    told = account_view(core.state)
    assert (told.free_usd, told.balance_told_ms) == (50.0, NOW_MS - 40)
