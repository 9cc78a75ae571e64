"""Every invariant fires where it is broken: a check that cannot fail proves nothing."""

import ast
import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import httpx
import msgspec
import pytest
from msgspec import structs

from engine import events as e
from engine.contract import Contract, SettlementRule
from engine.core import decide
from engine.core.decide import Decision
from engine.core.settlement import PriceAt
from engine.core.state import Market, TrustedRule
from engine.core.trading import Order, OrderIntent
from engine.errors import JournalError
from engine.kill import KillSwitch, Latch
from engine.practice.gamma import gamma_market
from engine.practice.market import Market as VenueMarket
from engine.practice.order_reading import read_order
from engine.practice.simulated.market import E10, FEE, RULE
from engine.run.pause_file import PauseFile
from engine.sim import order_checks, replayed, served, sums, truth
from engine.sim.clock import VirtualLoop
from engine.sim.invariants import NAMES, Witness
from engine.sim.memory_journal import MemoryJournal
from engine.sim.script import script_of
from engine.sim.served import Served
from engine.sim.stand_ins import SimulatedLedger, SimulatedSession
from engine.sim.world import World
from tests.practice.signing import body as signed_body


def wide(*, is_live: bool) -> int:
    """Return a seed whose limits are far away, so that a test brings near the one that it is of."""
    scripts = (script_of(seed, 0.1).terms for seed in range(100))
    return next(
        seed for seed, terms in enumerate(scripts) if (terms.limits, terms.is_live) == ("wide", is_live)
    )


LIVE = wide(is_live=True)
PAPER = wide(is_live=False)


class Bench:
    """A world that stands still just before the end of a window, with a session that knows it."""

    def __init__(self, folder: Path, seed: int) -> None:
        MemoryJournal.made, SimulatedSession.made = [], []
        self.world = World(script_of(seed, 0.1).only(()), folder, VirtualLoop())
        self.world.settings.data_dir.mkdir()
        self.witness = self.world.witness
        self.checks = self.witness.orders
        self.journal = MemoryJournal(folder / "s.sqlite", {})
        self.session = SimulatedSession(self.world.venue.clock, self.journal, lambda _: None)  # type: ignore[arg-type]
        self.state = self.session.state
        self.play_to_a_boundary()
        self.state.dry_run = not self.world.script.terms.is_live
        self.state.limits = self.world.settings.limits()
        self.state.params = self.world.settings.params()
        self.state.now_ms = self.world.venue.clock.now_ms()
        self.contract = self.running()
        self.market = self.state.markets[self.contract.slug] = Market(self.contract, self.state.now_ms)
        value = self.world.tape.price_at(self.contract.start_s, RULE)
        assert value is not None
        self.market.strike = PriceAt(value, "exact", 0.0, "test", 0, 0)
        self.checks.heard(self.price())
        self.checks.heard(self.book())
        self.describe()
        self.witness._is_restored = True

    def describe(self, contract: Contract | None = None, **changes: Any) -> None:
        """Let Gamma describe a window, as it is or in other words, and the engine hear of it."""
        contract = contract or self.contract
        told = gamma_market(VenueMarket(contract), None, self.state.now_ms) | changes
        told["events"] = [event | changes for event in told["events"]]
        body = msgspec.json.encode(told)
        self.witness.served.answered(f"/gamma/markets/slug/{contract.slug}", 200, body)
        self.witness.served.heard(e.MarketDescribed(ts_recv_ms=self.state.now_ms, contract=contract))

    def came_out(self, strike: Decimal | None, final: Decimal | None, outcome: Any = None) -> None:
        told = e.OutcomeServed(
            ts_recv_ms=self.state.now_ms,
            slug=self.contract.slug,
            outcome=outcome,
            strike=strike,
            final=final,
        )
        self.witness.served.heard(told)

    def play_to_a_boundary(self) -> None:
        """Let the tape's path know a window's start, and stand a minute after it."""
        boundary_s = self.world.start_ms // 1000 // 300 * 300 + 300
        for moment in self.world.tape.moments():
            if moment.due_ms > (boundary_s + 60) * 1000:
                break
        self.world.venue.clock.anchor((boundary_s + 60) * 1000, 1e-9, self.world.loop.time())

    def running(self) -> Contract:
        now_s = self.world.venue.clock.now_ms() // 1000
        contract = self.world.tape.contract(f"btc-updown-5m-{now_s // 300 * 300}")
        assert contract is not None
        return contract

    def price(self) -> e.PricePrinted:
        now_ms = self.state.now_ms
        return e.PricePrinted(
            ts_recv_ms=now_ms,
            source="chainlink",
            value=RULE_VALUE,
            ts_venue_ms=now_ms - 2_000,
            ts_sent_ms=None,
        )

    def book(self) -> e.BookReplaced:
        return e.BookReplaced(
            ts_recv_ms=self.state.now_ms,
            market=self.contract.condition_id,
            token=self.contract.token_up,
            bids=(),
            asks=(),
            ts_venue_ms=self.state.now_ms,
        )

    def intent(self, name: str = "x#1", **changes: Any) -> OrderIntent:
        return structs.replace(
            OrderIntent(
                order_id=name,
                slug=self.contract.slug,
                outcome="UP",
                token=self.contract.token_up,
                limit_e4=5_000,
                usd_e6=10_000_000,
                deadline_ms=self.state.now_ms + 1_000,
                decided_seq=1,
                end_s=self.contract.end_s,
                fee=FEE,
            ),
            **changes,
        )

    def filled(self, **changes: Any) -> e.OrderFilled:
        event = e.OrderFilled(
            ts_recv_ms=self.state.now_ms, order_id="x#1", fills=((5_000, 20_000_000),), fee_e6=350_000
        )
        return structs.replace(event, **changes)

    def intend(self, **changes: Any) -> None:
        self.checks.effect(self.session, 1, self.intent(**changes))

    @property
    def broken(self) -> set[str]:
        return {violation["invariant"] for violation in self.witness.violations}


RULE_VALUE = Decimal(100_000)
SPOT_WORDS = {"cryptoMarketConfig": None, "resolutionSource": served.STREAM}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[[int], Bench]]:
    loops: list[VirtualLoop] = []

    def make(seed: int) -> Bench:
        made = Bench(tmp_path, seed)
        loops.append(made.world.loop)
        return made

    yield make
    for loop in loops:
        loop.close()
    asyncio.set_event_loop(None)


def past(bench: Bench, **changes: Any) -> e.PastFill:
    fill = e.PastFill(
        order_id="x#1",
        slug=bench.contract.slug,
        end_s=bench.contract.end_s,
        outcome="UP",
        shares_e6=20_000_000,
        cost_e6=10_000_000,
        fee_e6=350_000,
        at_ms=bench.state.now_ms,
        probability=0.9,
        trade_id="t",
    )
    return structs.replace(fill, **changes)


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


@pytest.mark.parametrize("is_told", [True, False])
def test_a_word_that_came_before_its_fill_is_expected_of_recovery(
    bench: Callable[[int], Bench], is_told: bool
) -> None:
    """Seed 455433: told twice how a window came out that it held nothing in, the engine found a fill there,
    and died. Recovery reads the word in its journal; and dates the payout by the fill, which came later."""
    one = bench(LIVE)
    now_ms, market, witness = one.state.now_ms, one.contract, one.witness
    for ts_recv_ms in (now_ms, now_ms + 1_000) if is_told else ():
        told = e.OutcomeServed(
            ts_recv_ms=ts_recv_ms, slug=market.slug, outcome="DOWN", strike=None, final=None
        )
        witness.heard(told)
    one.state.ledger.book(past(one, at_ms=now_ms + 5_000))
    witness._settle_by_words(one.state)
    holding = one.state.ledger.holdings[market.slug]
    assert (holding.outcome, holding.settled_ms) == (("DOWN", now_ms + 5_000) if is_told else (None, 0))
    assert one.state.ledger.realised_e6 == (-10_350_000 if is_told else 0)
    witness.begin_life()
    assert not witness._words, "another session knows nothing of it"


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


LONG_MS = 10**7
"""Longer than any order is looked for, on the fastest of the drill's clocks."""


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


TOLD_NOTHING = e.LedgerRestored(ts_recv_ms=0, fills=(), settlements=(), breakers=(), unresolved=())


def trust(one: Bench, *names: str) -> None:
    """Let a session that trusts a rule for each kind of window end, and the next one begin with it."""
    one.state.rules.update({name: TrustedRule(RULE, "words") for name in names})
    one.witness.expected = sums.told(one.state)


def anew(one: Bench) -> Served:
    """Begin a life whose ledger lost its rules with its disk: the first that is told is trusted."""
    served = one.witness.served
    served.begin_life()
    one.witness.may_lack = frozenset({"5m"})
    served.heard(TOLD_NOTHING)
    return served


def killed(one: Bench) -> None:
    event = e.KillSwitchChanged(ts_recv_ms=0, latched=True, who="x", why="y")
    one.checks.heard(event)
    one.intend()


def killed_at_the_wire(one: Bench) -> None:
    """Armed as ever, and the latch has stood for a while: nobody looked before the first byte."""
    (one.world.settings.data_dir / "ARMED").touch()
    killed_at_the_wire_on_paper(one)


def killed_at_the_wire_on_paper(one: Bench) -> None:
    folder = one.world.settings.data_dir
    latch = Latch("x", "y", int(one.world.wall_ms()) - 5)
    KillSwitch(folder).path.write_bytes(msgspec.json.encode(latch))
    one.checks._check_leaving(one.intent())


def opened_unaware_of_the_kill(one: Bench) -> None:
    """The latch stands, and the session says that nothing is tripped."""
    KillSwitch(one.world.settings.data_dir).path.touch()
    one.checks.heard(OPENED)


def opened_with_a_kill_that_is_none(one: Bench) -> None:
    one.checks.heard(structs.replace(OPENED, killed=True))


def halted(one: Bench) -> None:
    one.state.halted_why = "drift"
    one.intend()


def paused(one: Bench) -> None:
    one.checks.heard(e.TradingPaused(ts_recv_ms=0, paused=True, who="x", why="y"))
    one.intend()


def pause_lost(one: Bench) -> None:
    """The engine that said it is gone, and its file with it."""
    one.checks.heard(e.TradingPaused(ts_recv_ms=0, paused=True, who="x", why="y"))
    one.checks.begin_life(killed=False)
    one.checks.heard(OPENED)


def pause_not_read(one: Bench) -> None:
    """It is in its file, and the next session says nothing of it."""
    PauseFile(one.world.settings.data_dir).keep(e.TradingPaused(ts_recv_ms=0, paused=True, who="x", why="y"))
    one.checks.begin_life(killed=False)
    one.checks.heard(OPENED)
    assert one.witness.violations == []
    for event in (one.price(), one.book()):
        one.checks.heard(event)
    one.intend()


def breaker(one: Bench) -> None:
    one.state.breakers["edge"] = "gone"
    one.intend()


def unarmed(one: Bench) -> None:
    one.checks._check_leaving(one.intent())


def late(one: Bench) -> None:
    one.checks._check_leaving(one.intent(deadline_ms=one.state.now_ms - 10, side="SELL"))


def old_price(one: Bench) -> None:
    one.checks._newest_price_ms -= order_checks.NEWEST_PRICE_MS
    one.intend()


def old_book(one: Bench) -> None:
    one.checks._books_ms[one.contract.condition_id] -= order_checks.BOOK_HEARD_MS + 1
    one.intend()


def silent_price(one: Bench) -> None:
    one.checks._price_heard_ms -= order_checks.PRICE_HEARD_MS + 1
    one.intend()


def price_of_the_future(one: Bench) -> None:
    """It hides no silence."""
    one.checks._newest_price_ms = one.checks._price_heard_ms = 1
    one.checks._newest_by_feed.clear()
    far = structs.replace(one.price(), ts_venue_ms=one.state.now_ms + 10**6)
    one.checks.heard(far)
    one.intend()


def unknown_rule(one: Bench) -> None:
    one.describe(resolutionSource="https://example.org/btc")
    one.intend()


def other_rule(one: Bench) -> None:
    one.describe(**SPOT_WORDS)
    one.intend()


def rule_of_the_window_before(one: Bench) -> None:
    """Followers of a window with a new rule are not bought either, if they were told of with it first."""
    anew(one)
    before = one.world.tape.contract(f"btc-updown-5m-{one.contract.end_s}")
    assert before is not None
    one.describe(before, **SPOT_WORDS)
    one.describe()
    one.intend()


def drifted_strike(one: Bench) -> None:
    assert one.market.strike is not None
    one.came_out(one.market.strike.value + Decimal("0.0101"), None)
    one.intend()


def drifted_final(one: Bench) -> None:
    assert one.market.strike is not None
    one.market.final = one.market.strike._replace(value=one.market.strike.value + 5)
    one.came_out(None, one.market.strike.value)
    one.intend()


def drifted_outcome(one: Bench) -> None:
    one.market.final = one.market.strike
    one.market.outcome_own = "UP"
    winner = e.MarketResolved(
        ts_recv_ms=1,
        market=one.contract.condition_id,
        winning_token=one.contract.token_down,
        ts_venue_ms=1,
    )
    one.witness.served.heard(winner)
    one.intend()


def venue_contradicts_itself(one: Bench) -> None:
    assert one.market.strike is not None
    one.came_out(one.market.strike.value, one.market.strike.value + 1, "DOWN")
    one.intend()


def next_strike_drifted(one: Bench) -> None:
    assert one.market.strike is not None
    before = structs.replace(one.contract, slug=f"btc-updown-5m-{one.contract.start_s - 300}")
    one.state.markets[before.slug] = Market(before, one.state.now_ms)
    told = e.OutcomeServed(
        ts_recv_ms=1, slug=before.slug, outcome=None, strike=None, final=one.market.strike.value - 1
    )
    one.witness.served.heard(told)
    one.intend()


def worthless_price(one: Bench) -> None:
    """Ten times the true one, of the newest second."""
    told(one, "chainlink", 10)
    one.intend()


def spot_apart(one: Bench) -> None:
    """By 60 basis points, three times in a row."""
    told(one, "chainlink", 1)
    for _ in range(3):
        one.checks.heard(told(one, "spot", Decimal("1.006")))
    one.intend()


def told(one: Bench, source: Any, times: Decimal | int) -> e.PricePrinted:
    """Let the engine believe a price of this moment, so many times the true one."""
    second = one.state.now_ms // 1000 - 2
    value = times * Decimal(one.world.tape._path.chainlink_e10(second)) / E10
    one.state.track(source).add(second * 1000, value, one.state.now_ms)
    return structs.replace(one.price(), source=source, value=value, ts_venue_ms=second * 1000)


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


def old_fee(one: Bench) -> None:
    """A description without a fee is none; the one before is good for ten minutes."""
    one.witness.served._fee_ms[one.contract.slug] -= served.FEE_TOLD_MS + 1
    one.describe(feeSchedule=None)
    one.intend()


def another_window(one: Bench) -> None:
    """An answer about another window says nothing of this one: the spot rule before stays the last word."""
    one.describe(**SPOT_WORDS)
    one.describe(slug=f"btc-updown-5m-{one.contract.start_s + 3_600}")
    one.intend()


def beat_refused(one: Bench) -> None:
    one.checks.answered(order_checks.BEATS, 400)
    one.world.wall_ms = lambda: 10**15  # type: ignore[method-assign]
    one.checks._check_leaving(one.intent())


def left_after_recording_failed(one: Bench) -> None:
    """What is decided by the event at which recording failed may not leave."""
    one.session.failed.set()
    one.intend()
    posted(one, signed_body(one.contract.token_up, "BUY", 10_000_000, 20_000_000))


def paper_after_recording_failed(one: Bench) -> None:
    one.session.failed.set()
    one.intend()
    one.checks.left_on_paper(one.session, "x#1")


def posted(one: Bench, body: bytes) -> None:
    """Let an order's request leave whose intent and signing are durable."""
    signed = e.OrderSigned(
        ts_recv_ms=0, order_id="x#1", venue_order_id=read_order(body).id, maker_e6=1, taker_e6=0
    )
    one.journal.items = [(1, 0, one.intent()), e.Record(2, signed)]
    one.journal.synced = 2
    one.checks.at_the_wire(httpx.Request("POST", "http://127.0.0.1:1/order"), body)


def lost_twice(one: Bench) -> None:
    one.state.limits = one.state.limits._replace(max_loss_streak=2)
    lose_windows(one, 2)
    one.intend()


def far_below_the_best(one: Bench) -> None:
    one.state.limits = one.state.limits._replace(max_drawdown_usd=15.0)
    lose_windows(one, 2)
    one.intend()


def lose_windows(one: Bench, count: int) -> None:
    """Let as many windows be lost one after the other, long ago: no other limit looks so far back."""
    for number in range(1, count + 1):
        slug, end_s = f"btc-updown-5m-{300 * number}", 300 * (number + 1)
        one.state.ledger.book(past(one, slug=slug, end_s=end_s, at_ms=end_s * 1000))
        one.state.ledger.settle(slug, "DOWN", end_s * 1000)


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


def no_window(one: Bench) -> None:
    one.market.contract = structs.replace(one.contract, end_s=one.state.now_ms // 1000 - 1)
    one.intend()


def guessed_strike(one: Bench) -> None:
    assert one.market.strike is not None
    one.market.strike = one.market.strike._replace(source="estimate")
    one.intend()


def wrong_strike(one: Bench) -> None:
    assert one.market.strike is not None
    wrong = one.market.strike._replace(value=one.market.strike.value + Decimal("1e-18"))
    one.witness.paid.check_strike(one.contract.start_s, RULE, wrong, "x")


def too_large(one: Bench) -> None:
    one.intend(usd_e6=10_000_001)


def too_dear(one: Bench) -> None:
    one.intend(limit_e4=round(one.state.params.max_entry_price * 10_000) + 1)


def too_much_at_stake(one: Bench) -> None:
    """Two windows of different ends, within every limit but the one of all together."""
    one.state.limits = one.state.limits._replace(max_exposure_usd=21.0)
    one.state.ledger.book(past(one, slug="another", end_s=one.contract.end_s + 300))
    one.intend()


def too_much_on_one_end(one: Bench) -> None:
    """Two windows that the same price settles."""
    one.state.limits = one.state.limits._replace(max_correlated_usd=21.0)
    one.state.ledger.book(past(one, slug="another"))
    one.intend()


def too_many(one: Bench) -> None:
    one.state.limits = one.state.limits._replace(max_trades_per_hour=1.0)
    one.state.ledger.book(past(one, slug="another", trade_id="t"))
    one.intend()


def too_much_lost(one: Bench) -> None:
    one.state.limits = one.state.limits._replace(max_daily_loss_usd=20.0)
    one.state.ledger.book(past(one, slug="another"))
    one.state.ledger.settle("another", "DOWN", one.state.now_ms)
    one.intend()


def twice(one: Bench) -> None:
    one.intend()
    one.intend(name="x#2")


def bought_already(one: Bench) -> None:
    one.state.ledger.book(past(one))
    one.intend(name="x#2")


def named_twice(one: Bench) -> None:
    one.checks.effect(one.session, 1, one.intent())
    one.checks.end_life([(1, 0, one.intent())])
    one.checks.begin_life(killed=False)
    one.checks.heard(one.price())
    one.checks.heard(one.book())
    one.intend()


def beside_one_that_lives(one: Bench) -> None:
    beside_another(one, "LIVE", ())


def beside_one_that_filled(one: Bench) -> None:
    beside_another(one, "MATCHED", ("CONFIRMED",))


def beside_another(one: Bench, status: str, trades: Sequence[str], side: Any = "BUY") -> None:
    """Let an order leave whose market the venue has another order of: our own books know of none."""
    (one.world.settings.data_dir / "ARMED").touch()
    market = one.world.venue.markets.named(one.contract.slug)
    other = SimpleNamespace(id="0xother", side=side)
    told = [SimpleNamespace(status=status) for status in trades]
    entry = SimpleNamespace(order=other, market=market, status=status, trades=told)
    one.world.venue.exchange.orders["0xother"] = entry  # type: ignore[assignment]
    one.intend()
    posted(one, signed_body(one.contract.token_up, "BUY", 10_000_000, 20_000_000))


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


def not_durable_on_paper(one: Bench) -> None:
    one.intend()
    one.checks.left_on_paper(one.session, "x#1")


def not_durable_live(one: Bench) -> None:
    body = signed_body(one.contract.token_up, "BUY", 10_000_000, 20_000_000)
    one.checks.at_the_wire(httpx.Request("POST", "http://127.0.0.1:1/order"), body)


def unreadable_order(one: Bench) -> None:
    """Nobody could say whether it is recorded."""
    one.checks.at_the_wire(httpx.Request("POST", "http://127.0.0.1:1/order"), b"{}")


def over_the_limit(one: Bench) -> None:
    one.intend()
    one.checks.filled(one.session, one.filled(fills=((5_100, 19_000_000),), fee_e6=332_400))


def wrong_fee(one: Bench) -> None:
    one.intend()
    one.checks.filled(one.session, one.filled(fee_e6=350_010))


def trade_of_nobody(one: Bench) -> None:
    trade = e.Trade("t", 20_000_000, 10_000_000, 350_000)
    one.checks.filled(one.session, one.filled(trades=(trade,)))


def cent_gone(one: Bench) -> None:
    one.state.ledger.book(past(one))
    one.state.ledger.cash_e6 += 1
    one.witness.paid.add_up(one.state)


def bank_makes_money(one: Bench) -> None:
    """A million of a dollar that nobody gave."""
    one.world.venue.exchange.chain.settling.bank._held[truth.OWNER, "USD"] += 1
    one.witness.paid.add_up(one.state)


def no_end(one: Bench) -> None:
    order = Order(one.intent(), one.state.now_ms - 10**8)
    order.state = "sent"
    one.state.trading.in_flight["x#1"] = order
    one.witness._each_second(one.state)


def lost_today(one: Bench) -> None:
    """So little is left of the day's loss that one order more is too much."""
    lose(one, one.state.now_ms)
    one.intend()


def lose(one: Bench, settled_ms: int) -> None:
    one.state.limits = one.state.limits._replace(max_daily_loss_usd=12.0)
    one.state.ledger.book(past(one, slug="btc-updown-5m-300", end_s=600))
    one.state.ledger.settle("btc-updown-5m-300", "DOWN", settled_ms)


def too_poor_on_paper(one: Bench) -> None:
    one.world.money_e6 = 10_600_000
    one.intend()


def too_poor_at_the_venue(one: Bench) -> None:
    truth.give(one.world.venue, 10_600_000)
    one.intend()


def too_poor_beside_an_earlier_order(one: Bench) -> None:
    """A restart's order of unknown fate may have taken the same dollars."""
    truth.give(one.world.venue, 21_300_000)
    one.checks.heard(restored_order(one))
    one.intend()


def restored_order(one: Bench) -> e.LedgerRestored:
    order = e.PastOrder(
        order_id="y#1",
        slug="btc-updown-5m-300",
        end_s=600,
        outcome="UP",
        token="t",
        side="BUY",
        limit_e4=5_000,
        usd_e6=10_000_000,
        shares_e6=0,
        probability=0.9,
        venue_order_id="0x1",
        at_ms=0,
    )
    return e.LedgerRestored(
        ts_recv_ms=0, fills=(), settlements=(), breakers=(), unresolved=(), orders=(order,)
    )


def unknown_without_alarm(one: Bench) -> None:
    order = Order(one.intent(), one.state.now_ms)
    order.state = "unknown"
    one.state.trading.in_flight["x#1"] = order
    one.witness._each_second(one.state)


def unknown_at_the_end(one: Bench) -> None:
    """Nothing is wrong any more, for longer than an order is looked for."""
    order = Order(one.intent(), one.state.now_ms - LONG_MS)
    order.state = "unknown"
    one.state.trading.in_flight["x#1"] = order
    one.world.calm_for_s = lambda: 1e9  # type: ignore[method-assign]
    one.witness.finish()


def paid_wrongly(one: Bench) -> None:
    slug, true = next(iter(one.world.tape._truths.items()))
    one.state.ledger.book(past(one, slug=slug, end_s=0))
    one.state.ledger.settle(slug, "DOWN" if true.outcome == "UP" else "UP", one.state.now_ms)
    one.witness.paid.settlements(one.state)


def never_paid(one: Bench) -> None:
    one.state.ledger.book(past(one, end_s=0))
    one.world.life_began_s = -1e9
    one.world.quiet_for_s = lambda: 1e9  # type: ignore[method-assign]
    one.witness.paid.unsettled(one.state)


def forgotten(one: Bench) -> None:
    one.state.ledger.book(past(one))
    one.witness.expected = sums.told(one.state)
    one.state.ledger.undo(one.contract.slug, e.PastFillStatus("x#1", "t", "FAILED", 0))
    one.witness._recovered(one.state)


def restored_otherwise(one: Bench, **changes: Any) -> None:
    """Let a restart come up with the same fill, but for something of it."""
    one.state.ledger.book(past(one))
    one.witness.expected = sums.told(one.state)
    (holding,) = one.state.ledger.holdings.values()
    holding.fills = {key: structs.replace(fill, **changes) for key, fill in holding.fills.items()}
    one.witness._recovered(one.state)


def fill_time_lost(one: Bench) -> None:
    restored_otherwise(one, at_ms=0)


def fill_of_the_other_outcome(one: Bench) -> None:
    restored_otherwise(one, outcome="DOWN")


def fill_of_the_other_side(one: Bench) -> None:
    restored_otherwise(one, side="SELL")


def settled_on_another_day(one: Bench) -> None:
    one.state.ledger.book(past(one))
    one.state.ledger.settle(one.contract.slug, "UP", one.state.now_ms)
    one.witness.expected = sums.told(one.state)
    one.state.ledger.holdings[one.contract.slug].settled_ms -= sums.DAY_MS
    one.witness._recovered(one.state)


def own_word_called_the_venue_s(one: Bench) -> None:
    """Nobody would ask whether it is true any more."""
    one.state.ledger.book(past(one))
    one.state.ledger.settle(one.contract.slug, "UP", one.state.now_ms, "own")
    one.witness.expected = sums.told(one.state)
    one.state.ledger.settle(one.contract.slug, "UP", one.state.now_ms, "served")
    one.witness._recovered(one.state)


def unknown_order_of_another_size(one: Bench) -> None:
    """It counts in every limit by what it may take."""
    order = Order(one.intent(), one.state.now_ms)
    order.venue_order_id = "0x1"
    one.state.trading.in_flight["x#1"] = order
    one.witness.expected = sums.told(one.state)
    order.intent = one.intent(usd_e6=1_000_000)
    one.witness._recovered(one.state)


def failed_part(one: Bench) -> None:
    """An error that nobody expected halts the engine, and is none of the halts that are meant to be."""
    halts = [structs.replace(HALTED, why=why) for why in ("a disk is full", "seconds failed: KeyError: 1")]
    one.witness.saw(one.session, halts[0])
    assert one.witness.violations == []
    one.witness.saw(one.session, halts[1])


def engine_that_raises(one: Bench) -> None:
    """An error that is none of the engine's own ends it."""

    async def broken(*_: Any) -> None:
        raise KeyError(1)

    with patch("engine.sim.world.Engine.run", broken):
        one.world.loop.run_until_complete(one.world._live())


def rules_forgotten(one: Bench) -> None:
    """At every restart the first rule told would be trusted."""
    trust(one, "5m")
    one.state.rules.clear()
    one.witness._recovered(one.state)


def rule_turned(one: Bench) -> None:
    trust(one, "5m")
    one.state.rules["5m"] = TrustedRule(SettlementRule("spot"), "words")
    one.witness._recovered(one.state)


def other_account(one: Bench) -> None:
    """Ours knows a trade that the venue does not."""
    one.state.ledger.book(past(one))
    one.witness.finish()


OPENED = e.SessionOpened(
    ts_recv_ms=1,
    session="s",
    venue="external",
    dry_run=True,
    profile="",
    params={},
    limits={},
    killed=False,
)
SECOND = e.SecondPassed(ts_recv_ms=2)
HALTED = e.EngineHalted(ts_recv_ms=2, why="a disk is full")
DENIED = e.OrderDenied(ts_recv_ms=2, order_id="x#1", reason="no")
MADE = Decision("nobody", 2, 2, 0, 0, None, None, None, None)


def replay(one: Bench, items: list[Any], *, has_died: bool) -> str:
    """Write a session's file, and say what its replay finds wrong."""
    one.journal.items = items
    one.journal.pour(len(items), "running" if has_died else "ended")
    wrong, _ = replayed.compare(one.journal.path, items, has_died=has_died)
    return wrong


def deciding(_: Any, record: e.Record) -> list[Decision]:
    """A core that decides by one event alone."""
    return [MADE] if record.seq == 2 else []


def other_replay(one: Bench) -> None:
    """An output that no event leads to."""
    one.journal.items = [e.Record(1, OPENED), e.Record(2, SECOND), (2, 0, MADE)]
    one.journal.pour(3, "ended")
    one.witness._replay(3, has_died=False)


def outputs_left_out(one: Bench) -> None:
    """A journal without a single output has not said the same."""
    one.journal.items = [e.Record(seq, event) for seq, event in enumerate((OPENED, SECOND, SECOND), 1)]
    one.journal.pour(3, "running")
    with patch.object(replayed, "step", deciding):
        one.witness._replay(3, has_died=True)


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


PLANTED: list[tuple[str, Callable[[Bench], None], int, str]] = [
    ("no order under kill", killed, PAPER, "is intended"),
    ("no order under kill", killed_at_the_wire, LIVE, "ms after"),
    ("no order under kill", killed_at_the_wire_on_paper, PAPER, "ms after"),
    ("no order under kill", opened_unaware_of_the_kill, PAPER, "opened with killed False"),
    ("no order under kill", opened_with_a_kill_that_is_none, PAPER, "opened with killed True"),
    ("no order under halt or pause", halted, PAPER, "drift"),
    ("no order under halt or pause", paused, PAPER, "x#1: None"),
    ("no order under halt or pause", pause_lost, PAPER, "a pause was lost"),
    ("no order under halt or pause", pause_not_read, PAPER, "x#1: None"),
    ("no order under halt or pause", breaker, PAPER, "x#1: None"),
    ("no order unarmed", unarmed, LIVE, "x#1"),
    ("no order after its deadline", late, LIVE, "10 ms"),
    ("no order on stale data", old_price, PAPER, "price of"),
    ("no order on stale data", silent_price, PAPER, "price of"),
    ("no order on stale data", price_of_the_future, PAPER, "price of 1,"),
    ("no order on stale data", old_book, PAPER, "book of"),
    ("no order under an unknown rule", unknown_rule, PAPER, "has no known rule"),
    ("no order under an unknown rule", other_rule, PAPER, "settle by spot"),
    ("no order under an unknown rule", rule_of_the_window_before, PAPER, "settle by TWAP"),
    ("no order after a drift", drifted_strike, PAPER, "strike"),
    ("no order after a drift", drifted_final, PAPER, "final price"),
    ("no order after a drift", drifted_outcome, PAPER, "UP was served as DOWN"),
    ("no order after a drift", venue_contradicts_itself, PAPER, "prices that say UP"),
    ("no order after a drift", next_strike_drifted, PAPER, "the final price before"),
    ("no order on a worthless price", worthless_price, PAPER, "is believed of"),
    ("no order on a worthless price", spot_apart, PAPER, "spot is apart"),
    ("no order under an unknown rule", old_fee, PAPER, "the fee of"),
    ("no order under an unknown rule", another_window, PAPER, "settle by spot"),
    ("no order under halt or pause", beat_refused, LIVE, "a refused heartbeat"),
    ("no order under halt or pause", left_after_recording_failed, LIVE, "after the recorder failed"),
    ("no order under halt or pause", paper_after_recording_failed, PAPER, "after the recorder failed"),
    ("no order under halt or pause", lost_twice, PAPER, "loss streak"),
    ("no order under halt or pause", far_below_the_best, PAPER, "drawdown"),
    ("engine failed", failed_part, PAPER, "KeyError"),
    ("engine failed", engine_that_raises, PAPER, "KeyError"),
    ("no order on stale data", no_window, PAPER, "its window is not open"),
    ("no order on a strike that is not proven", guessed_strike, PAPER, "x#1"),
    ("strike exact or marked", wrong_strike, PAPER, "not 6"),
    ("no order beyond a limit", too_large, PAPER, "size"),
    ("no order beyond a limit", too_many, PAPER, "hour"),
    ("no order beyond a limit", too_much_lost, PAPER, "day"),
    ("no order beyond a limit", lost_today, PAPER, "day"),
    ("no order beyond a limit", too_poor_on_paper, PAPER, "cash"),
    ("no order beyond a limit", too_poor_at_the_venue, LIVE, "cash"),
    ("no order beyond a limit", too_poor_beside_an_earlier_order, LIVE, "cash"),
    ("no order beyond a limit", too_dear, PAPER, "price"),
    ("no order beyond a limit", too_much_at_stake, PAPER, "exposure"),
    ("no order beyond a limit", too_much_on_one_end, PAPER, "correlated"),
    ("one order a market", twice, PAPER, "beside ['x#1']"),
    ("one order a market", bought_already, PAPER, "a holding"),
    ("one order a market", named_twice, PAPER, "is used twice"),
    ("one order a market", beside_one_that_lives, LIVE, "(LIVE)"),
    ("one order a market", beside_one_that_filled, LIVE, "(MATCHED)"),
    ("durable before it leaves", not_durable_on_paper, PAPER, "x#1 left"),
    ("durable before it leaves", not_durable_live, LIVE, "0x"),
    ("durable before it leaves", unreadable_order, LIVE, "cannot read an order"),
    ("fill is the venue's", over_the_limit, PAPER, "beyond the limit"),
    ("fill is the venue's", wrong_fee, PAPER, "fee 350010"),
    ("fill is the venue's", trade_of_nobody, LIVE, "not None"),
    ("money is conserved", cent_gone, PAPER, "cash"),
    ("money is conserved", bank_makes_money, LIVE, "the venue's own bank"),
    ("order ends known or halts", no_end, LIVE, "is sent"),
    ("order ends known or halts", unknown_without_alarm, LIVE, "no alarm"),
    ("order ends known or halts", unknown_at_the_end, LIVE, "after the last fault"),
    ("profit is the settlement's", paid_wrongly, PAPER, ", not "),
    ("profit is the settlement's", never_paid, PAPER, "never settled"),
    ("recovery loses nothing", forgotten, LIVE, "holdings"),
    ("recovery loses nothing", fill_time_lost, PAPER, "holdings"),
    ("recovery loses nothing", fill_of_the_other_outcome, PAPER, "holdings"),
    ("recovery loses nothing", fill_of_the_other_side, PAPER, "holdings"),
    ("recovery loses nothing", settled_on_another_day, PAPER, "holdings"),
    ("recovery loses nothing", own_word_called_the_venue_s, PAPER, "words: "),
    ("recovery loses nothing", unknown_order_of_another_size, LIVE, "unknown orders: "),
    ("recovery loses nothing", rules_forgotten, PAPER, "is None"),
    ("recovery loses nothing", rule_turned, PAPER, "is ['spot'"),
    ("account agrees at the end", other_account, LIVE, "1 trades differ"),
    ("replay is identical", other_replay, PAPER, "come of nothing"),
    ("replay is identical", outputs_left_out, PAPER, "is not in the file"),
]
"""An invariant, what breaks it, in whose world, and a word of the one check that has to see it."""


@pytest.mark.parametrize(("name", "plant", "seed", "word"), PLANTED, ids=[one[1].__name__ for one in PLANTED])
def test_an_invariant_fires_where_it_is_broken(
    bench: Callable[[int], Bench], name: str, plant: Callable[[Bench], None], seed: int, word: str
) -> None:
    """One planted violation each, seen by the check that is meant to: one name covers many."""
    one = bench(seed)
    plant(one)
    told = [broken["what"] for broken in one.witness.violations if broken["invariant"] == name]
    assert any(word in what for what in told), one.witness.violations


def test_every_invariant_has_a_planted_violation() -> None:
    """A new one must not come without."""
    assert {name for name, _, _, _ in PLANTED} == set(NAMES)


def test_every_limit_that_is_summed_anew_has_a_planted_violation() -> None:
    """They share one place and one name."""
    (found,) = (
        node.value
        for node in ast.walk(ast.parse(Path(sums.__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "found"
        and "bounds.exposure" in ast.unparse(node)
    )
    assert isinstance(found, ast.Dict)
    names = {ast.literal_eval(key) for key in found.keys if key is not None}
    assert names == {word for name, _, _, word in PLANTED if name == "no order beyond a limit"}


def test_every_place_where_something_is_noted_has_a_planted_violation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One name covers many checks: each line that can note a violation is reached by a plant."""
    reached: set[tuple[str, int]] = set()
    noted = Witness.broke

    def broke(witness: Witness, invariant: str, what: str) -> None:
        frame = sys._getframe(1)
        reached.add((frame.f_code.co_filename, frame.f_lineno))
        noted(witness, invariant, what)

    monkeypatch.setattr(Witness, "broke", broke)
    for number, (_, plant, seed, _) in enumerate(PLANTED):
        folder = tmp_path / str(number)
        folder.mkdir()
        one = Bench(folder, seed)
        try:
            plant(one)
        finally:
            one.world.loop.close()
            asyncio.set_event_loop(None)
    places = [place for file in sorted(Path(sums.__file__).parent.glob("*.py")) for place in notes_in(file)]
    assert len(places) > 35
    missed = [
        f"{Path(file).name}:{first}"
        for file, first, last in places
        if not any(at == file and first <= line <= last for at, line in reached)
    ]
    assert missed == []


def notes_in(file: Path) -> list[tuple[str, int, int]]:
    """Return each call of ``broke`` in a file: the file, its first and its last line."""
    return [
        (str(file), node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "broke"
    ]
