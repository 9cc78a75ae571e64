"""Breakers and the caps on what is at stake: when they trip, and that they stay tripped."""

from hypothesis import given
from hypothesis import strategies as st

from engine.core import breakers, risk
from engine.core import decide as gate
from engine.core.breakers import surprise_of
from engine.core.ledger import Result
from engine.core.project import Outside, project
from engine.events import EngineHalted, PastFillStatus
from engine.params import Limits, Params
from tests.core.builders import END_S, START_S, Core, contract, past_fill

SLUG = contract().slug


def played(core: Core, *won: bool, probability: float = 0.9) -> Core:
    """Book windows at 90 cents, each settled as told."""
    ledger = core.state.ledger
    for number, outcome in enumerate(won):
        at_ms = 300_000 * number
        fill = past_fill(f"w{number}", "UP", ((9_000, 10_000_000),), 0, at_ms, probability=probability)
        ledger.book(fill)
        ledger.settle(f"w{number}", "UP" if outcome else "DOWN", at_ms + 1)
        breakers.look(core.state)
    return core


def test_losses_in_a_row_trip_and_a_win_between_does_not() -> None:
    """Six in a row; what came before a win does not count."""
    quiet = Limits(max_drawdown_usd=1e9, max_surprise=1e9, edge_trades=1e6)
    assert "loss streak" not in played(Core(limits=quiet), *[False] * 5, True, *[False] * 5).state.breakers
    assert "loss streak" in played(Core(limits=quiet), *[False] * 6).state.breakers


def test_a_trade_that_fails_late_ends_no_row_of_losses() -> None:
    """It was of a winner before them: five in a row are five still, and the sixth trips."""
    core = Core(limits=Limits(max_drawdown_usd=1e9, max_surprise=1e9, edge_trades=1e6, max_loss_streak=6))
    ledger = core.state.ledger
    for name in ("t1", "t2"):
        ledger.book(past_fill("old", "UP", ((9_000, 10_000_000),), 0, 0, order_id="old#1", trade_id=name))
    ledger.settle("old", "UP", 0)
    played(core, *[False] * 5)
    ledger.undo("old", PastFillStatus("old#1", "t2", "FAILED", 2_000_000))
    ledger.book(past_fill("w6", "UP", ((9_000, 10_000_000),), 0, 2_100_000))
    ledger.settle("w6", "DOWN", 2_100_001)
    breakers.look(core.state)
    assert core.state.breakers["loss streak"] == "6 losing windows in a row"


def test_a_drawdown_is_measured_from_the_best_result() -> None:
    """Two wins of a dollar and then losses of nine: 18 below the peak is two losses."""
    limits = Limits(max_drawdown_usd=18.0, max_loss_streak=99, max_surprise=1e9, edge_trades=1e6)
    assert "drawdown" not in played(Core(limits=limits), True, True, False).state.breakers
    assert "drawdown" in played(Core(limits=limits), True, True, False, False).state.breakers


def test_a_poor_return_needs_enough_windows() -> None:
    """Thirty windows with nine wins in ten cost as much as they bring; with eight in ten they lose 11 %."""
    limits = Limits(
        max_loss_streak=99, max_drawdown_usd=1e9, max_surprise=1e9, edge_trades=30, least_roi=-0.1
    )
    fair = [place % 10 != 0 for place in range(30)]
    poor = [place % 5 != 0 for place in range(30)]
    assert "return" not in played(Core(limits=limits), *fair).state.breakers
    assert "return" not in played(Core(limits=limits), *poor[:29]).state.breakers
    assert "return" in played(Core(limits=limits), *poor).state.breakers


def test_wins_that_fall_short_of_their_claims_trip() -> None:
    """Claimed at 90 %, every third lost: CUSUM sees it; as claimed, it does not."""
    limits = Limits(max_loss_streak=99, max_drawdown_usd=1e9, edge_trades=1e6, max_surprise=4.0)
    assert "edge" in played(Core(limits=limits), *[place % 3 != 0 for place in range(15)]).state.breakers
    honest = [place % 10 != 9 for place in range(60)]
    assert "edge" not in played(Core(limits=limits), *honest).state.breakers


results = st.lists(
    st.builds(
        Result,
        slug=st.just("a"),
        cost_e6=st.just(1),
        realised_e6=st.just(1),
        shares_e6=st.just(1),
        claimed=st.floats(0.0, 1.0),
        won=st.booleans(),
    ),
    max_size=50,
)


@given(results)
def test_the_surprise_is_never_negative_and_a_win_never_adds(found: list[Result]) -> None:
    """Winning says nothing against a claim."""
    total = surprise_of(found)
    assert total >= 0.0
    assert surprise_of([*found, Result("b", 1, 1, 1, 0.9, won=True)]) <= total + 1e-12


def test_a_tripped_breaker_stays_tripped() -> None:
    """Ten wins later it still refuses: an operator has to look."""
    limits = Limits(max_loss_streak=2, max_drawdown_usd=1e9, max_surprise=1e9, edge_trades=1e6)
    core = played(Core(limits=limits), False, False)
    played(core, *[True] * 10)
    core.describe()
    core.second(START_S + 1)
    assert risk.blocks(core.state, core.state.markets[SLUG]) & gate.BREAKER
    assert [mark.kind for mark in core.state.marks].count("breaker") == 1


def test_the_banner_says_that_a_breaker_stopped_the_engine() -> None:
    """HALTED, with what tripped: an engine that buys nothing must not look as if it could."""
    limits = Limits(max_loss_streak=2, max_drawdown_usd=1e9, max_surprise=1e9, edge_trades=1e6)
    core = played(Core(limits=limits), False, False)
    mode = project(core.state, Outside(1, 0, 0, 0.0, 1.0, 0, 0.0, "", None, [])).mode
    assert (mode.mode, mode.halted_why) == ("HALTED", "breaker loss streak: 2 losing windows in a row")
    assert mode.breakers == {"loss streak": "2 losing windows in a row"}


def test_what_ends_together_has_a_cap_of_its_own() -> None:
    """5m and 15m that end at one moment are one bet on BTC; a window that ends elsewhere is another."""
    core = Core(Params(quote_size_usd=20.0), Limits(max_correlated_usd=35.0, max_exposure_usd=1_000.0))
    core.describe()
    core.second(START_S + 1)
    market = core.state.markets[SLUG]
    core.state.ledger.book(past_fill("elsewhere", "UP", ((9_000, 100_000_000),), 0, 1, end_s=END_S + 300))
    assert not risk.blocks(core.state, market) & gate.CORRELATED
    core.state.ledger.book(past_fill("together", "UP", ((9_000, 20_000_000),), 0, 2, end_s=END_S))
    assert risk.blocks(core.state, market) & gate.CORRELATED


def test_everything_at_stake_has_a_cap() -> None:
    """Open windows and this order together."""
    core = Core(Params(quote_size_usd=20.0), Limits(max_exposure_usd=100.0))
    core.describe()
    core.second(START_S + 1)
    market = core.state.markets[SLUG]
    core.state.ledger.book(past_fill("a", "UP", ((9_000, 87_000_000),), 0, 1, end_s=1))
    assert not risk.blocks(core.state, market) & gate.EXPOSURE
    core.state.ledger.book(past_fill("b", "UP", ((9_000, 2_000_000),), 0, 2, end_s=2))
    assert risk.blocks(core.state, market) & gate.EXPOSURE


def test_the_banner_says_since_when_it_stands_still() -> None:
    """By the event that stopped it; a breaker of an earlier session has no time here."""
    limits = Limits(max_loss_streak=2, max_drawdown_usd=1e9, max_surprise=1e9, edge_trades=1e6)
    core = played(Core(limits=limits), False, False)
    tripped_ms = core.state.now_ms
    core.second(START_S + 500)
    mode = project(core.state, Outside(1, 0, 0, 0.0, 1.0, 0, 0.0, "", None, [])).mode
    assert (mode.halted_since_ms, mode.breakers_since) == (tripped_ms, {"loss streak": tripped_ms})

    core.state.breakers["drawdown"] = "told by the ledger's file"
    mode = project(core.state, Outside(1, 0, 0, 0.0, 1.0, 0, 0.0, "", None, [])).mode
    assert (mode.halted_since_ms, mode.breakers_since) == (None, {"loss streak": tripped_ms})


def test_a_halt_keeps_the_moment_it_began() -> None:
    """A second reason to halt, or a breaker before it, is no later or earlier begin of the halt."""
    core = Core()
    core.second(START_S)
    core.feed(EngineHalted(ts_recv_ms=START_S * 1000 + 10, why="the disk is full"))
    core.feed(EngineHalted(ts_recv_ms=START_S * 1000 + 900, why="and the order thread failed"))
    core.second(START_S + 2)
    mode = project(core.state, Outside(1, 0, 0, 0.0, 1.0, 0, 0.0, "", None, [])).mode
    assert (mode.halted_why, mode.halted_since_ms) == ("the disk is full", START_S * 1000 + 10)
