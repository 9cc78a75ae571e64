"""What must hold after every event, whatever happened: seen from outside the core, by sums of its own.

The witness knows what the engine cannot: the venue's own orders, trades and bank, and the true prices. It
computes limits from the fills and the orders under way, not by the gate's code. Orders have checks of their
own (``engine.sim.order_checks``), money and prices too (``engine.sim.money_checks``). What each invariant
means: docs/reliability.md.
"""

import hashlib
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, get_args

from engine.core import breakers
from engine.core.orders import UNKNOWN
from engine.core.state import State
from engine.core.step import step
from engine.core.trading import Order
from engine.events import (
    AnyEvent,
    BookReplaced,
    EngineHalted,
    LedgerRestored,
    LevelsChanged,
    MarketDescribed,
    MarketResolved,
    OrderDenied,
    OrderFilled,
    OrderKilled,
    OrderRejected,
    OrderSigned,
    OrderSubmitted,
    OutcomeServed,
    PricePrinted,
    Record,
    SecondPassed,
    TouchQuoted,
    TradePrinted,
)
from engine.kill import KillSwitch
from engine.sim import replayed, sums, truth
from engine.sim.breaker_checks import BreakerChecks
from engine.sim.memory_journal import Item
from engine.sim.money_checks import MoneyChecks
from engine.sim.order_checks import OrderChecks
from engine.sim.result import Result
from engine.sim.served import Served
from engine.sim.stand_ins import SimulatedLedger, SimulatedSession

if TYPE_CHECKING:
    from engine.sim.world import World

WITHOUT_END_S: Final = 40.0
"""Wall seconds within which an order has ended or is known as unknown: its time-outs, and a slow disk."""

MARKET_DATA: Final = frozenset((PricePrinted, LevelsChanged, BookReplaced, TouchQuoted, TradePrinted))

SERVED: Final = frozenset((MarketDescribed, OutcomeServed, MarketResolved, LedgerRestored))

CALM_S: Final = 55.0
"""Wall seconds without a fault, and of its own age, after which no order is of unknown fate any more: a
time-out, the search, and some questions that the network lost, which is no fault and never ends."""

REPLAYED_MOST: Final = 1_500
REPLAYED_ONE_IN: Final = 5
"""Longer sessions (of some minutes) are replayed on one seed in so many: it is a third of the work."""

MODULUS: Final = 2**61 - 1
MARKS: Final = {kind: zlib.crc32(str(kind.__struct_config__.tag).encode()) for kind in get_args(AnyEvent)}
"""A number for each kind of event, the same in every process, for the digest of what was heard."""

FAILED: Final = " failed: "
"""In the words of a halt: a part of the engine ended by an error that nobody expected."""

NAMES: Final = (
    "durable before it leaves",
    "no order under kill",
    "no order under halt or pause",
    "no order unarmed",
    "no order after its deadline",
    "no order on stale data",
    "no order on a worthless price",
    "no order on a strike that is not proven",
    "no order under an unknown rule",
    "no order after a drift",
    "no order beyond a limit",
    "one order a market",
    "fill is the venue's",
    "money is conserved",
    "account agrees at the end",
    "order ends known or halts",
    "strike exact or marked",
    "profit is the settlement's",
    "replay is identical",
    "recovery loses nothing",
    "engine failed",
)


class Witness:
    """Looks on, and notes the first things that do not hold."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.violations: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.digest = hashlib.sha256()
        self.expected = ""
        """What the next session has to begin with; empty for whatever it has."""
        self.served = Served(self)
        self.paid = MoneyChecks(self)
        self.breakers = BreakerChecks(self)
        self.orders = OrderChecks(self)
        self._heard: dict[type[AnyEvent], int] = {}
        self._heard_sum = 0
        self._ends_lost: frozenset[str] = frozenset()
        """Orders whose end no journal has; the ledger's file has it, while there is power."""
        self.may_return: frozenset[str] = frozenset()
        """Those of them that the next session may take for orders of unknown fate."""
        self.may_lack: frozenset[str] = frozenset()
        """Kinds of window whose rule the ledger's file may not have: its disk failed, or death came first."""
        self._is_restored = False
        """Whether the present session was told what earlier ones left."""

    # --- where it looks -------------------------------------------------------------------------------------

    def hook(self) -> None:
        """Look on at every event, every effect, every request, and every point of a possible death."""
        SimulatedSession.heard = staticmethod(self.heard)
        SimulatedSession.watch = staticmethod(self.saw)
        SimulatedSession.effect = staticmethod(self.orders.effect)
        self.world.network.on_request = self.orders.at_the_wire
        self.world.network.on_answer = self._answered

    def _answered(self, path: str, status: int, body: bytes) -> None:
        self.served.answered(path, status, body)
        self.orders.answered(path, status)

    def broke(self, invariant: str, what: str) -> None:
        """Note that something does not hold."""
        assert invariant in NAMES, invariant
        if len(self.violations) < 3:
            self.violations.append({"invariant": invariant, "what": what, "at_s": round(self.world.now_s, 3)})

    # --- lives ----------------------------------------------------------------------------------------------

    def begin_life(self) -> None:
        """Forget what only a session knows."""
        self.orders.begin_life(killed=KillSwitch(self.world.settings.data_dir).is_tripped())
        self.served.begin_life()
        self.paid.begin_life()
        self.breakers.begin_life()
        self._is_restored = False

    def died(self, left: int, point: str, *, has_power: bool = True) -> None:
        """Work out what the files hold after a death, and so what the next session has to know.

        Args:
            left: Items of the recorder that a kill left.
            point: Where it died.
            has_power: Whether the machine went on: else the ledger's file may be older than the engine knew.
        """
        world = self.world
        session, items = world.session, world.journal.items
        state = session.state
        last = items[-1] if items else None
        if point == "recorded" and isinstance(last, Record) and left == len(items):
            self._take_in(state, last)
        never_left = frozenset(
            item.event.venue_order_id
            for item in items[left:]
            if isinstance(item, Record) and isinstance(item.event, OrderSigned)
        )
        self._ends_lost |= _ends(session.state, items[left:])
        self.may_lack |= self.served.untaken() | SimulatedLedger.unwritten
        if not has_power:
            self.may_return |= self._ends_lost
        if point == "ledger" and not replayed.has_record(items[:left], state.seq):
            state = replayed.state_before(items, state.seq)  # neither file has what was being written
        self._settle_by_words(state, items[:left])
        if self._is_restored:  # else it died before it knew anything, and the files are as they were
            self.expected = sums.told(state, never_left)
        self.orders.end_life(items[:left])
        self._replay(left, has_died=True)

    def _settle_by_words(self, state: State, left: Sequence[Any]) -> None:
        """Settle what recovery settles: windows of which the venue's word came before their fill was known.

        An engine that never had the window described keeps no word of it while it holds nothing there, and
        asks again once it does. The journal has the word at once.

        Args:
            state: The engine's own at its death; what recovery finds is put into it.
            left: What its journal has.
        """
        events = (item.event for item in left if isinstance(item, Record))
        words = {
            event.slug: (event.outcome, event.ts_recv_ms)
            for event in events
            if isinstance(event, OutcomeServed) and event.outcome is not None
        }
        for slug, (outcome, told_ms) in words.items():
            holding = state.ledger.holdings.get(slug)
            if holding is None or not holding.fills or holding.outcome is not None:
                continue
            known_ms = max(told_ms, *(fill.at_ms for fill in holding.fills.values()))
            state.ledger.settle(slug, outcome, known_ms)
            breakers.look(state)
            self.counts["words before their fill"] += 1

    def cleared(self) -> None:
        """Note that an operator cleared every breaker: the next session knows of none."""
        self.counts["breakers cleared"] += 1
        self.expected = sums.but_breakers(self.expected)
        if SimulatedSession.made:
            self.breakers.cleared(self.world.session.state)

    def _take_in(self, state: State, last: Record) -> None:
        """Take in what was recorded and not taken in: recovery finds it in the journal, but for rules."""
        rules = dict(state.rules)
        step(state, last)
        self.may_lack |= {name for name, rule in state.rules.items() if rules.get(name) != rule}

    def end_life(self, left: int) -> None:
        """Check a session that ended by itself; what a failed ledger lacks is in the journal.

        Args:
            left: Items of the recorder that are in its file.
        """
        self.orders.end_life(self.world.journal.items[:left])
        self.may_lack |= SimulatedLedger.unwritten
        if self.world.journal.error is None:
            if self._is_restored:
                self.expected = sums.told(self.world.session.state)
            self._replay(left, has_died=False)
        else:
            self.expected = ""  # what a failed journal lost is asked for by the venue's own books at the end

    # --- every event ----------------------------------------------------------------------------------------

    def heard(self, event: AnyEvent) -> None:
        """Note what an event says before the core decides on it."""
        kind = type(event)
        self._heard[kind] = self._heard.get(kind, 0) + 1
        self._heard_sum = (self._heard_sum * 31 + event.ts_recv_ms * MARKS[kind]) % MODULUS
        self.orders.heard(event)
        if kind in SERVED:
            self.served.heard(event)

    def saw(self, session: SimulatedSession, event: AnyEvent) -> None:
        """Look at the state after one event."""
        kind = type(event)
        if kind in MARKET_DATA:
            return
        if kind in SERVED:
            self.served.taken_in()
        if kind is SecondPassed:
            self._each_second(session.state)
        elif isinstance(event, LedgerRestored):
            self._recovered(session.state)
        elif isinstance(event, OrderSubmitted):
            self.orders.left_on_paper(session, event.order_id)
        elif isinstance(event, EngineHalted):
            self.counts["halted"] += 1
            if FAILED in event.why:
                self.broke("engine failed", event.why)
        if str(event.__struct_config__.tag).startswith("order_"):
            self._order_event(session, event)

    def _order_event(self, session: SimulatedSession, event: AnyEvent) -> None:
        tag = str(event.__struct_config__.tag)
        self.counts[tag] += 1
        self.digest.update(f"{event.ts_recv_ms} {tag} {getattr(event, 'order_id', '')}\n".encode())
        if isinstance(event, OrderFilled):
            self.orders.filled(session, event)
        elif isinstance(event, OrderSigned):
            self.world.may_die_after("signed")
        self.paid.add_up(session.state)
        self.breakers.look(session.state)

    def _recovered(self, state: State) -> None:
        expected, self.expected, self._is_restored = self.expected, "", True
        expected = sums.but_rules(expected, self.may_lack)
        told = sums.told(state, self.may_return - sums.lost_of(expected)) if expected else ""
        told = sums.but_rules(told, self.may_lack)
        if told != expected:
            self.broke("recovery loses nothing", sums.difference(expected, told))
        self.counts["ends asked for again"] += len(self.may_return & sums.lost_of(sums.told(state)))
        self._ends_lost = self.may_return = self.may_lack = frozenset()
        self.counts["recoveries"] += bool(expected)

    # --- each second ----------------------------------------------------------------------------------------

    def _each_second(self, state: State) -> None:
        rate = self.world.script.terms.rate
        for order in state.trading.in_flight.values():
            if order.state == "unknown":
                if UNKNOWN not in state.trading.alarms:
                    self.broke("order ends known or halts", f"{order.intent.order_id}: no alarm")
            elif state.now_ms - order.at_ms > WITHOUT_END_S * 1000 * rate and state.halted_why is None:
                self.broke("order ends known or halts", f"{order.intent.order_id} is {order.state}")
        self.breakers.look(state)
        self.paid.look_at_strikes(state)
        if state.now_ms // 1000 % 30 == 0:
            self.paid.settlements(state)

    def _replay(self, left: int, *, has_died: bool) -> None:
        if left > REPLAYED_MOST and self.world.script.seed % REPLAYED_ONE_IN:
            return
        journal = self.world.journal
        wrong, count = replayed.compare(journal.path, journal.items[:left], has_died=has_died)
        self.counts["replayed"] += count
        if wrong:
            self.broke("replay is identical", wrong)

    # --- the end --------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Look at the end of the run: what is known has to be what the venue has."""
        if self.violations or not self._is_restored:  # one that has only begun knows nothing yet
            return
        state, rate = self.world.session.state, self.world.script.terms.rate
        self.paid.settlements(state)
        if state.halted_why is not None or state.killed:
            return
        self.paid.unsettled(state)
        calm_s = self.world.calm_for_s() / rate
        late = [
            name
            for name, one in state.trading.in_flight.items()
            if state.now_ms - one.at_ms > CALM_S * 1000 * rate and not _is_a_persons(one, state.now_ms)
        ]
        if late and calm_s > CALM_S:
            self.broke(
                "order ends known or halts",
                f"{calm_s:.0f} wall seconds after the last fault and start: {late}",
            )
        if not state.dry_run:
            wrong = truth.account_differs(self.world.venue, state.ledger, self.world.money_e6)
            self.counts["accounts compared"] += wrong is not None
            if wrong:
                self.broke("account agrees at the end", wrong)

    def result(self) -> Result:
        """Return what became of the run."""
        world = self.world
        if SimulatedSession.made:
            # Without whose word an outcome is, so that digests of before can be compared.
            self.digest.update(sums.but_words(sums.told(world.session.state)).encode())
        for name, value in (("frames", world.network.frames), ("requests", world.network.requests)):
            self.counts[name] = value
            self.digest.update(f"{name} {value}\n".encode())
        self.counts["events"] = sum(self._heard.values())
        self.digest.update(f"{self.counts['events']} {self._heard_sum}".encode())
        faults = sum(fault.kind.name != "" for fault in world.board._ended) + len(world.board._active)
        counts = {**self.counts, **world.counts, "faults": faults, "lives": world.life}
        return Result(
            world.script.seed,
            world.now_s,
            self.digest.hexdigest()[:16],
            self.violations,
            dict(sorted(counts.items())),
        )


def _is_a_persons(order: Order, now_ms: int) -> bool:
    """Say whether an order of unknown fate waits for a person: a sale whose window is over, as what
    it leaves and what a pay-out leaves look alike (docs/orders.md)."""
    is_over = now_ms > order.intent.end_s * 1000
    return order.state == "unknown" and order.intent.side == "SELL" and is_over


def _ends(state: State, items: list[Item]) -> frozenset[str]:
    """Return the venue's ids of the orders whose end is among items."""
    ended = (
        state.trading.orders.get(item.event.order_id)
        for item in items
        if isinstance(item, Record)
        and isinstance(item.event, (OrderFilled, OrderKilled, OrderDenied, OrderRejected))
    )
    return frozenset(order.venue_order_id for order in ended if order is not None and order.venue_order_id)
