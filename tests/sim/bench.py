"""A world that stands still just before the end of a window: what the drill's invariants are tried on."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
from msgspec import structs

from engine import events as e
from engine.contract import Contract
from engine.core.decide import Decision
from engine.core.settlement import PriceAt
from engine.core.state import Market, TrustedRule
from engine.core.trading import OrderIntent
from engine.practice.gamma import gamma_market
from engine.practice.market import Market as VenueMarket
from engine.practice.order_reading import read_order
from engine.practice.simulated.market import E10, FEE, RULE
from engine.sim import served, sums
from engine.sim.clock import VirtualLoop
from engine.sim.memory_journal import MemoryJournal
from engine.sim.script import USUAL_USD, script_of
from engine.sim.served import Served
from engine.sim.stand_ins import SimulatedSession
from engine.sim.world import World
from tests.practice.signing import body as signed_body


def wide(*, is_live: bool) -> int:
    """Return a seed of usual orders and far limits, so that a test brings near the one that it is of."""
    scripts = (script_of(seed, 0.1).terms for seed in range(100))
    wanted = ("wide", is_live, USUAL_USD)
    return next(
        seed for seed, terms in enumerate(scripts) if (terms.limits, terms.is_live, terms.order_usd) == wanted
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


LONG_MS = 10**7
"""Longer than any order is looked for, on the fastest of the drill's clocks."""

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


def told(one: Bench, source: Any, times: Decimal | int) -> e.PricePrinted:
    """Let the engine believe a price of this moment, so many times the true one."""
    second = one.state.now_ms // 1000 - 2
    value = times * Decimal(one.world.tape._path.chainlink_e10(second)) / E10
    one.state.track(source).add(second * 1000, value, one.state.now_ms)
    return structs.replace(one.price(), source=source, value=value, ts_venue_ms=second * 1000)


def posted(one: Bench, body: bytes) -> None:
    """Let an order's request leave whose intent and signing are durable."""
    signed = e.OrderSigned(
        ts_recv_ms=0, order_id="x#1", venue_order_id=read_order(body).id, maker_e6=1, taker_e6=0
    )
    one.journal.items = [(1, 0, one.intent()), e.Record(2, signed)]
    one.journal.synced = 2
    one.checks.at_the_wire(httpx.Request("POST", "http://127.0.0.1:1/order"), body)


def lose_windows(one: Bench, count: int) -> None:
    """Let as many windows be lost one after the other, long ago: no other limit looks so far back."""
    for number in range(1, count + 1):
        slug, end_s = f"btc-updown-5m-{300 * number}", 300 * (number + 1)
        one.state.ledger.book(past(one, slug=slug, end_s=end_s, at_ms=end_s * 1000))
        one.state.ledger.settle(slug, "DOWN", end_s * 1000)


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


def lose(one: Bench, settled_ms: int) -> None:
    one.state.limits = one.state.limits._replace(max_daily_loss_usd=12.0)
    one.state.ledger.book(past(one, slug="btc-updown-5m-300", end_s=600))
    one.state.ledger.settle("btc-updown-5m-300", "DOWN", settled_ms)


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
MADE = Decision("nobody", 2, 2, 0, 0, None, None, None, None)


def deciding(_: Any, record: e.Record) -> list[Decision]:
    """A core that decides by one event alone."""
    return [MADE] if record.seq == 2 else []
