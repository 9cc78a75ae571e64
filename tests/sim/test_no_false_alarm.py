"""No invariant fires where all is right, or where the engine could not know better."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from msgspec import structs

from engine import events as e
from engine.core import decide
from engine.core.decide import Decision
from engine.core.settlement import PriceAt
from engine.core.trading import Order
from engine.errors import JournalError
from engine.practice.simulated.market import RULE
from engine.sim import replayed, sums, truth
from engine.sim.stand_ins import SimulatedLedger
from tests.sim.bench import (
    HALTED,
    LIVE,
    LONG_MS,
    MADE,
    OPENED,
    PAPER,
    RULE_VALUE,
    SECOND,
    SPOT_WORDS,
    TOLD_NOTHING,
    Bench,
    anew,
    beside_another,
    deciding,
    lose,
    lose_windows,
    past,
    told,
    trust,
)


def test_an_order_that_is_right_breaks_nothing(bench: Callable[[int], Bench]) -> None:
    """What always fires says nothing either."""
    paper = bench(PAPER)
    paper.intend()
    paper.journal.items = [
        (1, 0, paper.intent()),
        e.Record(2, e.OrderSigned(ts_recv_ms=0, order_id="x#1", venue_order_id="", maker_e6=1, taker_e6=0)),
    ]
    paper.journal.synced = 2
    paper.checks.left_on_paper(paper.session, "x#1")
    paper.checks.filled(paper.session, paper.filled())
    assert paper.witness.violations == []


def test_what_a_limit_leaves_room_for_breaks_nothing(bench: Callable[[int], Bench]) -> None:
    """Yesterday's loss is yesterday's; cash for one order with its fee is enough for it; of an order that the
    bank has taken the dollars of nothing more is under way."""
    live = bench(LIVE)
    truth.give(live.world.venue, 10_700_000)
    lose(live, live.state.now_ms - sums.DAY_MS)
    live.intend()
    assert live.witness.violations == []
    limits, under_way = live.checks._limits, live.checks.open
    assert limits._cash_e6(live.state) == 10_700_000
    exchange = live.world.venue.exchange
    exchange.orders["0x1"] = SimpleNamespace(trades=["t"])  # type: ignore[assignment]
    signed = e.OrderSigned(ts_recv_ms=0, order_id="x#1", venue_order_id="0x1", maker_e6=1, taker_e6=0)
    live.checks.heard(signed)
    assert limits._cash_e6(live.state) == 10_700_000 + sums.worst_e6(under_way["x#1"])


@pytest.mark.parametrize(("left", "outcome"), [(3, "DOWN"), (2, "DOWN"), (1, None)])
def test_a_word_that_came_before_its_fill_is_expected_of_recovery(
    bench: Callable[[int], Bench], left: int, outcome: str | None
) -> None:
    """Seed 455433: told twice how a window came out that it held nothing in, the engine found a fill there,
    and died. Recovery reads the word in its journal; and dates the payout by the fill, which came later.
    Seed 456666: a power cut took the word from the journal, and nobody can know it."""
    one = bench(LIVE)
    now_ms, market, witness = one.state.now_ms, one.contract, one.witness
    words = [
        e.OutcomeServed(ts_recv_ms=at_ms, slug=market.slug, outcome="DOWN", strike=None, final=None)
        for at_ms in (now_ms, now_ms + 1_000)
    ]
    items = [e.Record(seq, event) for seq, event in enumerate((SECOND, *words), 1)]
    one.state.ledger.book(past(one, at_ms=now_ms + 5_000))
    witness._settle_by_words(one.state, items[:left])
    holding = one.state.ledger.holdings[market.slug]
    assert (holding.outcome, holding.settled_ms) == (outcome, now_ms + 5_000 if outcome else 0)
    assert one.state.ledger.realised_e6 == (-10_350_000 if outcome else 0)


def test_what_the_venue_has_paid_and_nobody_was_told_of_is_no_difference(
    bench: Callable[[int], Bench],
) -> None:
    """Seed 52 of 0.4 hours: the outcome of a window that a restart found is asked for every five seconds, and
    the venue pays by itself. A cent that nothing explains is one."""
    live = bench(LIVE)
    chain, ledger, market = live.world.venue.exchange.chain, live.state.ledger, live.contract
    ledger.book(past(live))
    told = {"size_e6": 20_000_000, "usd_e6": 10_000_000, "fee_e6": 350_000}
    entry = SimpleNamespace(address=truth.OWNER)
    chain.trades["t"] = SimpleNamespace(id="t", entry=entry, status="CONFIRMED", **told)  # type: ignore[assignment]
    bank = chain.settling.bank
    bank.move(truth.OWNER, "maker", "USD", 10_350_000)
    bank.move("maker", truth.OWNER, market.token_up, 20_000_000)

    def differs() -> str | None:
        return truth.account_differs(live.world.venue, ledger, live.world.money_e6)

    assert differs() == ""
    chain.settling.pay(market.token_up, won=True)
    assert differs() == ""
    ledger.settle(market.slug, "UP", live.state.now_ms)
    assert differs() == ""
    bank.move(truth.OWNER, "maker", "USD", 1)
    assert "venue 9649999" in (differs() or "")


@pytest.mark.parametrize(
    ("side", "state", "after_end_ms", "is_fine"),
    [
        ("SELL", "unknown", 1, True),
        ("SELL", "unknown", -1, False),
        ("SELL", "submitted", 1, False),
        ("BUY", "unknown", 1, False),
    ],
)
def test_only_a_sale_whose_window_is_over_waits_for_a_person(
    bench: Callable[[int], Bench], side: Any, state: Any, after_end_ms: int, is_fine: bool
) -> None:
    """Seed 50017, cut down to 3,4: killed 2.5 ms after a sale was signed, and paid out before it was looked
    for long enough. What a sale leaves and what a pay-out leaves look alike."""
    live = bench(LIVE)
    live.state.now_ms = live.contract.end_s * 1000 + after_end_ms
    order = Order(live.intent(side=side), live.state.now_ms - LONG_MS)
    order.state = state
    live.state.trading.in_flight["x#1"] = order
    live.world.calm_for_s = lambda: 1e9  # type: ignore[method-assign]
    live.witness.finish()
    assert ("order ends known or halts" not in live.broken) == is_fine


@pytest.mark.parametrize(("wall_s", "is_fine"), [(54, True), (56, False)])
def test_an_order_has_the_time_that_looking_for_it_takes(
    bench: Callable[[int], Bench], wall_s: int, is_fine: bool
) -> None:
    """Seed 183067: no fault for a minute, but an order was lost 29 wall seconds before the hour was over, and
    so were three questions after it."""
    live = bench(LIVE)
    order = Order(live.intent(), live.state.now_ms - wall_s * live.world.script.terms.rate * 1000)
    order.state = "unknown"
    live.state.trading.in_flight["x#1"] = order
    live.world.calm_for_s = lambda: 1e9  # type: ignore[method-assign]
    live.witness.finish()
    assert ("order ends known or halts" not in live.broken) == is_fine


@pytest.mark.parametrize(("wall_s", "is_fine"), [(54, True), (56, False)])
def test_each_engine_has_that_time_and_the_run_waits_for_it(
    bench: Callable[[int], Bench], wall_s: int, is_fine: bool
) -> None:
    """Seed 452595: breakers were cleared again and again, for which the engine is stopped: none of three
    lived for the 21 s that it takes to believe that the venue never had an order."""
    live = bench(LIVE)
    world, rate = live.world, live.world.script.terms.rate
    order = Order(live.intent(), live.state.now_ms - 600 * rate * 1000)
    order.state = "unknown"
    live.state.trading.in_flight["x#1"] = order
    world.quiet_for_s = lambda: 299.0 * rate  # type: ignore[method-assign]
    world.life_began_s = world.now_s - wall_s * rate
    assert world._must_go_on()
    live.witness.finish()
    assert ("order ends known or halts" not in live.broken) == is_fine


def test_no_run_waits_for_an_engine_that_halts_each_time(bench: Callable[[int], Bench]) -> None:
    """Nor for one that has had its time."""
    live = bench(LIVE)
    world, rate = live.world, live.world.script.terms.rate
    live.state.trading.in_flight["x#1"] = Order(live.intent(), live.state.now_ms)
    world.life_began_s = world.now_s
    for quiet_s, waits in ((299.0, True), (301.0, False)):
        world.quiet_for_s = lambda quiet_s=quiet_s: quiet_s * rate  # type: ignore[method-assign]
        assert world._must_go_on() == waits
    world.life_began_s = world.now_s - 61 * rate
    world.quiet_for_s = lambda: 62.0 * rate  # type: ignore[method-assign]
    assert not world._must_go_on()


def test_a_session_that_was_told_nothing_yet_is_not_compared(bench: Callable[[int], Bench]) -> None:
    """Seed 410075: the engine died as it was told what earlier ones had bought, and the next one had only
    begun when the hour was over."""
    live = bench(LIVE)
    for is_told in (False, True):
        live.witness._is_restored = is_told
        with patch.object(truth, "account_differs", lambda *_: "2 trades differ"):
            live.witness.finish()
        assert ("account agrees at the end" in live.broken) == is_told


@pytest.mark.parametrize(("heard", "is_fine"), [(0, True), (1, False)])
def test_a_false_average_is_denied_by_each_raw_second_of_it(
    bench: Callable[[int], Bench], heard: int, is_fine: bool
) -> None:
    """Seed 410040: every feed told averages that were 0.6 % off, and true seconds."""
    one = bench(PAPER)
    at_s = one.contract.start_s
    lie = {"name": "price-apart", "args": {"feed": "all", "topic": "twap"}, "for_s": 20.0}
    one.witness.paid.fault(lie)
    one.witness.paid._averages_lied[0] = (0.0, 1e9)
    for second in range(at_s - 3, at_s - 3 - heard, -1):
        true = one.world.tape.second(second)
        assert true is not None
        one.state.track("chainlink").add(second * 1000, true, second * 1000 + 2_000)
    one.market.strike = PriceAt(RULE_VALUE, "exact", 0.0, "test", 0, 0)
    one.witness.paid.look_at_strikes(one.state)
    assert ("strike exact or marked" not in one.broken) == is_fine


@pytest.mark.parametrize(("trues", "is_fine"), [(0, True), (1, False)])
def test_a_false_average_is_not_denied_by_raw_seconds_of_the_same_lie(
    bench: Callable[[int], Bench], trues: int, is_fine: bool
) -> None:
    """Seed 454163: an engine that had just started was told 40 raw seconds and an average, all 0.8 % off."""
    one = bench(PAPER)
    at_s, track = one.contract.start_s, one.state.track("chainlink")
    one.witness.paid.fault({"name": "price-apart", "args": {"feed": "all"}, "for_s": 20.0})
    one.witness.paid._lied, one.witness.paid._averages_lied = [], [(0.0, 1e9)]
    for number, second in enumerate(range(at_s - 3, at_s - 43, -1)):
        true = one.world.tape.second(second)
        assert true is not None
        track.add(second * 1000, true if number < trues else true * Decimal("1.008"), second * 1000 + 2_000)
    one.market.strike = PriceAt(RULE_VALUE, "exact", 0.0, "test", 0, 0)
    one.witness.paid.look_at_strikes(one.state)
    assert ("strike exact or marked" not in one.broken) == is_fine


@pytest.mark.parametrize(("before_s", "is_excused"), [(84.0, True), (130.0, False)])
@pytest.mark.parametrize("topic", ["twap", "all"])
def test_a_lie_makes_histories_of_a_while_before_it_false_too(
    bench: Callable[[int], Bench], topic: str, before_s: float, is_excused: bool
) -> None:
    """Seed 450404: one that was told during a lie, of a boundary before it; no raw second of it was known."""
    one = bench(PAPER)
    one.witness.paid.fault({"name": "price-apart", "args": {"feed": "all", "topic": topic}, "for_s": 20.0})
    at_s = int(one.world.start_ms / 1000 + one.world.now_s - before_s)
    assert one.witness.paid._is_deniable(at_s) is not is_excused
    assert not one.witness.paid.was_lied_to(at_s), "what is known of it still denies"


@pytest.mark.parametrize(
    ("gates", "counted"),
    [
        (decide.DAILY_LOSS, {"refused day": 1, "refused day alone": 1}),
        (decide.DAILY_LOSS | decide.BALANCE | decide.PRICE, {"refused day": 1, "refused cash": 1}),
        (decide.PRICE | decide.ONE_ORDER, {}),
        (
            decide.HOURLY | decide.EXPOSURE | decide.CORRELATED,
            {"refused hour": 1, "refused exposure": 1, "refused correlated": 1},
        ),
    ],
)
def test_what_a_limit_refused_is_counted(
    bench: Callable[[int], Bench], gates: int, counted: dict[str, int]
) -> None:
    """A drill in which no limit was near has not tested it, and has to say so."""
    one = bench(PAPER)
    one.checks.effect(one.session, 1, Decision("s", 1, 1, 0, gates, None, None, None, None))
    assert {name: count for name, count in one.witness.counts.items() if count} == counted


def test_what_was_served_within_a_cent_forbids_nothing(bench: Callable[[int], Bench]) -> None:
    """It is the display's rounding; and a restart is how a person clears a drift."""
    paper = bench(PAPER)
    assert paper.market.strike is not None
    paper.came_out(paper.market.strike.value + Decimal("0.01"), None)
    assert paper.witness.served.drifted == ""
    paper.came_out(paper.market.strike.value + Decimal("0.02"), None)
    assert "was served as" in paper.witness.served.drifted
    paper.witness.served.begin_life()
    assert paper.witness.served.drifted == ""


def test_a_rule_by_which_a_whole_window_came_out_is_trusted(bench: Callable[[int], Bench]) -> None:
    """An engine that began under another rule goes on to the true one once it is proven."""
    paper = bench(PAPER)
    gone = anew(paper)
    contract = paper.world.tape.contract(f"btc-updown-5m-{paper.contract.end_s}")
    assert contract is not None
    paper.describe(contract, **SPOT_WORDS)
    paper.describe()
    assert "not proven" in gone.objection(paper.contract.slug)
    true = paper.world.tape.price_at(paper.contract.start_s, RULE)
    paper.world.tape._boundaries[paper.contract.end_s] = paper.world.tape._boundaries[paper.contract.start_s]
    paper.came_out(true, true)
    assert gone.objection(paper.contract.slug) == ""


def test_trust_in_a_rule_goes_on_over_a_restart_unless_the_ledger_lost_it(
    bench: Callable[[int], Bench],
) -> None:
    """An engine that forgot would take the first rule it sees."""
    paper = bench(PAPER)
    served = paper.witness.served
    served.begin_life()
    paper.describe(**SPOT_WORDS)
    assert "not proven" in served.objection(paper.contract.slug)
    anew(paper)
    paper.describe(**SPOT_WORDS)
    assert served.objection(paper.contract.slug) == ""


def test_an_engine_that_forgets_every_rule_at_a_restart_is_not_followed(
    bench: Callable[[int], Bench],
) -> None:
    """The ledger tells none, and nothing explains it: what was trusted stays so."""
    paper = bench(PAPER)
    served = paper.witness.served
    served.taken_in()
    served.begin_life()
    served.heard(TOLD_NOTHING)
    paper.describe(**SPOT_WORDS)
    assert "not proven" in served.objection(paper.contract.slug)


def test_a_rule_that_a_dying_session_heard_and_did_not_take_in_is_not_expected_of_the_next(
    bench: Callable[[int], Bench],
) -> None:
    """Bench's own description is such a one; what was taken in is expected."""
    paper = bench(PAPER)
    assert paper.witness.served.untaken() == {"5m"}
    paper.describe(**SPOT_WORDS)
    assert paper.witness.served.objection(paper.contract.slug) == ""
    paper.witness.served.taken_in()
    assert paper.witness.served.untaken() == frozenset()


def test_a_rule_that_could_not_be_written_may_be_lost(bench: Callable[[int], Bench]) -> None:
    """A failed disk is no fault of recovery's; the rules of other windows are still compared."""
    one = bench(PAPER)
    trust(one, "5m", "15m")
    one.witness.may_lack = frozenset({"5m"})
    del one.state.rules["5m"]
    one.witness._recovered(one.state)
    assert one.witness.violations == []
    trust(one, "5m", "15m")
    one.witness.may_lack = frozenset({"5m"})
    del one.state.rules["15m"]
    one.witness._recovered(one.state)
    assert one.broken == {"recovery loses nothing"}


def test_the_ledger_s_file_says_which_rules_are_not_written(tmp_path: Path) -> None:
    """By what was tried, and not by what the engine makes of it."""
    ledger = SimulatedLedger(tmp_path / "l.sqlite", "s", "paper")
    rule = e.PastRule("5m", RULE, "words", "v", None)
    ledger.fails = True  # type: ignore[misc]
    with pytest.raises(JournalError):
        ledger.write(1, [rule], {}, 1)
    assert SimulatedLedger.unwritten == {"5m"}
    ledger.fails = False  # type: ignore[misc]
    ledger.write(1, [rule], {}, 1)
    assert SimulatedLedger.unwritten == set()
    ledger.close()


@pytest.mark.parametrize(
    ("times", "is_fine"), [("1", True), ("1.003", True), ("1.006", False), ("10", True), ("NaN", True)]
)
def test_spot_is_apart_where_it_can_be_believed(
    bench: Callable[[int], Bench], times: str, is_fine: bool
) -> None:
    """Ten times the price, or no number, is not believed in the first place: the ticker before is used."""
    one = bench(PAPER)
    told(one, "chainlink", 1)
    spot = told(one, "spot", 1)
    for _ in range(3):
        one.checks.heard(structs.replace(spot, value=spot.value * Decimal(times)))
    assert (one.checks._prices.objection(one.state) == "") == is_fine


def test_where_the_venue_lies_throughout_no_price_is_held_against_the_engine(
    bench: Callable[[int], Bench],
) -> None:
    """Nobody could know better."""
    one = bench(PAPER)
    told(one, "chainlink", 10)
    one.witness.paid.fault({"name": "bad-value", "args": {"as": "tenfold", "topic": "twap"}, "for_s": 20.0})
    assert "is believed" in one.checks._prices.objection(one.state)
    one.witness.paid.fault({"name": "bad-value", "args": {"as": "tenfold"}, "for_s": 20.0})
    assert one.checks._prices.objection(one.state) == ""


def test_breakers_that_an_operator_cleared_judge_what_comes_after(bench: Callable[[int], Bench]) -> None:
    """Else nothing would ever be bought again; and what trips stays tripped in its session."""
    one = bench(PAPER)
    one.state.limits = one.state.limits._replace(max_loss_streak=2, max_drawdown_usd=15.0)
    lose_windows(one, 2)
    one.state.breakers["drawdown"] = "$20"
    found = one.witness.breakers
    assert (
        found.objection(one.state) == "loss streak: 2 windows lost in a row, drawdown: $20.70 below the best"
    )
    one.state.limits = one.state.limits._replace(max_loss_streak=3, max_drawdown_usd=100.0)
    assert "2 windows" in found.objection(one.state)
    one.state.limits = one.state.limits._replace(max_loss_streak=2, max_drawdown_usd=15.0)
    one.witness.expected = sums.told(one.state)
    one.state.breakers.clear()
    one.witness.cleared()
    one.witness._recovered(one.state)
    assert found.objection(one.state) == ""
    assert one.witness.violations == []
    assert one.witness.counts["tripped drawdown"] == one.witness.counts["breakers cleared"] == 1


@pytest.mark.parametrize(
    ("profits", "lost", "down"),
    [([], 0, 0), ([5], 0, 0), ([5, -3], 1, 3), ([-3, -4], 2, 7), ([-3, 5, -4, 1, -6], 1, 9), ([2, 0], 1, 0)],
)
def test_streak_and_drawdown_are_those_of_the_profits(profits: list[int], lost: int, down: int) -> None:
    """A window that came to nothing is not won."""
    assert (sums._lost_in_a_row(profits), sums._below_best_e6(profits)) == (lost, down)


@pytest.mark.parametrize(
    ("status", "trades", "side"),
    [("CANCELED", (), "BUY"), ("MATCHED", ("FAILED",), "BUY"), ("MATCHED", ("CONFIRMED",), "SELL")],
)
def test_beside_what_neither_lives_nor_bought_an_order_may_leave(
    bench: Callable[[int], Bench], status: str, trades: tuple[str, ...], side: str
) -> None:
    """Killed, undone, or a sale that is done."""
    one = bench(LIVE)
    beside_another(one, status, trades, side)
    assert one.witness.violations == []


DENIED = e.OrderDenied(ts_recv_ms=2, order_id="x#1", reason="no")


def replay(one: Bench, items: list[Any], *, has_died: bool) -> str:
    """Write a session's file, and say what its replay finds wrong."""
    one.journal.items = items
    one.journal.pour(len(items), "running" if has_died else "ended")
    wrong, _ = replayed.compare(one.journal.path, items, has_died=has_died)
    return wrong


@pytest.mark.parametrize(
    ("later", "has_output", "has_died", "is_fine"),
    [
        ((), True, False, True),
        ((), False, False, False),
        ((), False, True, True),
        ((HALTED,), False, True, True),
        ((DENIED, HALTED), False, True, True),
        ((HALTED,), False, False, False),
        ((SECOND,), False, True, False),
        ((HALTED, SECOND), False, True, False),
        ((HALTED, SECOND), True, True, True),
    ],
)
def test_only_what_a_death_cut_off_may_be_missing_of_the_outputs(
    bench: Callable[[int], Bench], later: tuple[Any, ...], has_output: bool, has_died: bool, is_fine: bool
) -> None:
    """Those of the last record, and of one within which the engine halted or its last gate refused."""
    records = [e.Record(seq, event) for seq, event in enumerate((OPENED, SECOND, *later), 1)]
    items = [*records, (2, 0, MADE)] if has_output else records
    with patch.object(replayed, "step", deciding):
        wrong = replay(bench(PAPER), items, has_died=has_died)
    assert (wrong == "") == is_fine, wrong
