"""What must hold of orders: when they are intended, when they leave, when they fill.

None of the gates' code is used. Limits have a module of their own (``engine.sim.limit_checks``).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import httpx

from engine.core.state import State
from engine.core.step import Effect
from engine.core.trading import OrderIntent
from engine.events import (
    AnyEvent,
    BookReplaced,
    KillSwitchChanged,
    LedgerRestored,
    LevelsChanged,
    OrderDenied,
    OrderFilled,
    OrderKilled,
    OrderRejected,
    OrderSigned,
    PriceHistoryServed,
    PricePrinted,
    Record,
    SessionOpened,
    TradingPaused,
)
from engine.kill import KillSwitch
from engine.practice.order_errors import Refused
from engine.practice.order_reading import read_order
from engine.run.pause_file import FILE_NAME as PAUSE_NAME
from engine.sim import limit_checks, sums
from engine.sim.limit_checks import LimitChecks
from engine.sim.memory_journal import Item
from engine.sim.price_checks import PriceChecks
from engine.sim.stand_ins import SimulatedSession

if TYPE_CHECKING:
    from engine.sim.invariants import Witness

NEWEST_PRICE_MS: Final = 9_000
"""Age of the newest true Chainlink second beyond which an intent rests on the past: the threshold of 5 s, and
4 s that a value may take to arrive (99.9 % of the recorded ones took under 3)."""

PRICE_HEARD_MS: Final = 5_000
"""From a second of Chainlink that is newer than all before of its feed to the event that an intent is decided
on: ``PRICE_STALENESS_THRESHOLD``, by the stamps of both, so that there is nothing to allow for. By feed, as a
slower one may be the one that the engine follows."""

BOOK_HEARD_MS: Final = 15_000
"""Since either book of the market was heard: ``BOOK_STALE_SECONDS``."""

BEATS: Final = "/v1/heartbeats"
BEAT_AGAIN_MS: Final = 2_000
"""Wall milliseconds within which a refused heartbeat is sent once more, with the id that was asked for."""

FUTURE_MS: Final = 500
"""A value stamped so far ahead of its arrival is of no second (``engine.core.reports``)."""


class OrderChecks:
    """What was told so far, as far as an order may rest on it; and every order."""

    def __init__(self, witness: "Witness") -> None:
        self._witness = witness
        self._world = witness.world
        self.orders: dict[str, OrderIntent] = {}
        self._paused = False
        """Whether a pause is in force: it goes on over restarts, until somebody ends it."""
        self._named: set[str] = set()
        """Names of orders, of all lives: of those that died, the ones that were recorded."""
        self.begin_life(killed=False)

    def begin_life(self, *, killed: bool) -> None:
        """Forget what only a session knows."""
        self.open: dict[str, OrderIntent] = {}
        self._named_now: set[str] = set()
        self._limits = LimitChecks(self._witness, self.open)
        self._prices = PriceChecks(self._witness)
        self._beat_refused_ms: int | None = None
        self._unsent: set[str] = set()
        self._killed = killed
        self._newest_price_ms = self._price_heard_ms = self._event_ms = 0
        self._newest_by_feed: dict[str, int] = {}
        self._books_ms: dict[str, int] = {}

    def end_life(self, recorded: Sequence[Item]) -> None:
        """Keep the names that a session left in its journal: the next one must not use them again."""
        self._named |= {
            effect.order_id
            for item in recorded
            if not isinstance(item, Record) and isinstance(effect := item[2], OrderIntent)
        }

    def heard(self, event: AnyEvent) -> None:
        """Note what an event says before the core decides on it."""
        self._event_ms = event.ts_recv_ms
        match event:
            case PricePrinted():
                self._prices.heard(event)
                if event.source == "chainlink" and not event.is_carried_forward:
                    self._priced(event.feed, event.ts_venue_ms, event.ts_recv_ms)
            case PriceHistoryServed():
                if event.source == "chainlink" and event.points:
                    self._priced(event.feed, event.points[-1][0], event.ts_recv_ms)
            case LevelsChanged() | BookReplaced():
                self._books_ms[event.market] = event.ts_recv_ms
            case SessionOpened():
                self._opened(event)
            case KillSwitchChanged():
                self._killed = event.latched
            case TradingPaused():
                self._paused = event.paused
            case OrderFilled() | OrderKilled() | OrderDenied() | OrderRejected():
                self.open.pop(event.order_id, None)
            case OrderSigned() | LedgerRestored():
                self._limits.heard(event)
            case _:
                pass

    def _opened(self, event: SessionOpened) -> None:
        """Read kill switch and pause from their files as they are now: they may have been changed between the
        process's start and this, and what the engine makes of them is what is looked at."""
        folder = self._world.settings.data_dir
        self._killed = KillSwitch(folder).is_tripped()
        if event.killed != self._killed:
            self._witness.broke("no order under kill", f"opened with killed {event.killed}")
        is_paused = (folder / PAUSE_NAME).exists()
        if self._paused and not is_paused:
            self._witness.broke("no order under halt or pause", "a pause was lost over a restart")
        self._witness.counts["pauses over a restart"] += is_paused
        self._paused = is_paused

    def _priced(self, feed: str, second_ms: int, now_ms: int) -> None:
        """Note a second of Chainlink, if it is a newer one than all before of its feed and can be true."""
        if self._newest_by_feed.get(feed, 0) < second_ms <= now_ms + FUTURE_MS:
            self._newest_by_feed[feed], self._price_heard_ms = second_ms, now_ms
            self._newest_price_ms = max(self._newest_price_ms, second_ms)

    # --- intents --------------------------------------------------------------------------------------------

    def effect(self, session: SimulatedSession, seq: int, effect: Effect) -> None:
        """Look at an intent before anybody carries it out."""
        if not isinstance(effect, OrderIntent):
            if effect.gates & limit_checks.GATES:
                self._limits.refused(effect)
            return
        if session.failed.is_set():
            # Decided by the event at which recording failed: it must not leave (`_check_unsent`).
            self._unsent.add(effect.order_id)
            return
        self._witness.counts["orders"] += 1
        self._witness.counts[f"orders {effect.side.lower()}"] += 1
        state = session.state
        self._witness.digest.update(
            f"{state.now_ms} {effect.order_id} {effect.limit_e4} {effect.usd_e6}\n".encode()
        )
        if effect.order_id in self._named or effect.order_id in self._named_now:
            self._witness.broke("one order a market", f"the name {effect.order_id} is used twice")
        if effect.side == "BUY":
            self._check_leave(session, effect)
            self._check_data(state, effect)
            self._check_served(effect)
            self._limits.check(state, effect)
        self._named_now.add(effect.order_id)
        self.orders[effect.order_id] = self.open[effect.order_id] = effect
        self._world.may_die_after("intended")
        del seq

    def _check_leave(self, session: SimulatedSession, intent: OrderIntent) -> None:
        state = session.state
        if self._killed:
            self._witness.broke("no order under kill", f"{intent.order_id} is intended")
        if state.halted_why is not None or self._paused or state.breakers:
            self._witness.broke("no order under halt or pause", f"{intent.order_id}: {state.halted_why}")
        tripped = self._witness.breakers.objection(state)
        if tripped:
            self._witness.broke("no order under halt or pause", f"{intent.order_id}: {tripped}")
        busy = [name for name, other in self.open.items() if other.slug == intent.slug]
        holding = state.ledger.holdings.get(intent.slug)
        if busy or (holding is not None and any(f.side == "BUY" for f in holding.fills.values())):
            self._witness.broke("one order a market", f"{intent.order_id} beside {busy or 'a holding'}")

    def _check_data(self, state: State, intent: OrderIntent) -> None:
        market = state.markets[intent.slug]
        now_ms = self._world.session.clock.now_ms()
        if (
            now_ms - self._newest_price_ms > NEWEST_PRICE_MS
            or self._event_ms - self._price_heard_ms > PRICE_HEARD_MS
        ):
            told = f"price of {self._newest_price_ms}, heard at {self._price_heard_ms}"
            self._witness.broke("no order on stale data", f"{intent.order_id}: {told}")
        heard_ms = self._books_ms.get(market.contract.condition_id, 0)
        if now_ms - heard_ms > BOOK_HEARD_MS:
            self._witness.broke("no order on stale data", f"{intent.order_id}: book of {heard_ms}")
        if not market.contract.start_s * 1000 <= now_ms < market.contract.end_s * 1000:
            self._witness.broke("no order on stale data", f"{intent.order_id}: its window is not open")
        strike = market.strike
        if strike is None or strike.source == "estimate":
            self._witness.broke("no order on a strike that is not proven", intent.order_id)
        else:
            start_s, rule = market.contract.start_s, market.contract.rule
            self._witness.paid.check_strike(start_s, rule, strike, intent.order_id)

        worthless = self._prices.objection(state)
        if worthless:
            self._witness.broke("no order on a worthless price", f"{intent.order_id}: {worthless}")

    def _check_served(self, intent: OrderIntent) -> None:
        served = self._witness.served
        objection = served.objection(intent.slug)
        if objection:
            self._witness.broke("no order under an unknown rule", f"{intent.order_id}: {objection}")
        if served.drifted:
            self._witness.broke("no order after a drift", f"{intent.order_id}: {served.drifted}")

    def answered(self, path: str, status: int) -> None:
        """Note whether the venue takes heartbeats, as its answer reaches the engine."""
        if path == BEATS:
            self._beat_refused_ms = None if status == 200 else self._world.wall_ms()
            self._witness.counts["heartbeats refused"] += status != 200

    # --- the wire -------------------------------------------------------------------------------------------

    def at_the_wire(self, request: httpx.Request, body: bytes) -> None:
        """Look at a request whose first byte leaves now."""
        if request.method != "POST" or request.url.path not in ("/order", "/orders"):
            return
        self._witness.counts["posted"] += 1
        try:
            order = read_order(body)
        except Refused as refusal:
            self._witness.broke("durable before it leaves", f"the venue cannot read an order: {refusal}")
            return
        self._witness.digest.update(f"{order.id}\n".encode())
        name = self._recorded(order.id, is_venues=True)
        if name is None:
            self._witness.broke("durable before it leaves", f"{order.id} left without a durable record")
            return
        if self._check_unsent(name):
            return
        intent = self.orders[name]
        self._check_leaving(intent)
        self._check_alone(order.id, order.token)

    def left_on_paper(self, session: SimulatedSession, order_id: str) -> None:
        if not session.state.dry_run:
            return
        if self._check_unsent(order_id):
            return
        if self._recorded(order_id, is_venues=False) is None:
            self._witness.broke("durable before it leaves", f"{order_id} left without a durable record")
        else:
            self._check_leaving(self.orders[order_id])

    def _check_unsent(self, name: str) -> bool:
        """Say whether an order left that was decided once recording had failed."""
        if name not in self._unsent:
            return False
        self._witness.broke("no order under halt or pause", f"{name} after the recorder failed")
        return True

    def _recorded(self, order_id: str, *, is_venues: bool) -> str | None:
        """Return the name of an order whose signing and intent are durable at this moment."""
        journal = self._world.journal
        signed: str | None = None
        for item in reversed(journal.items[: journal.synced]):
            if signed is None and isinstance(item, Record) and isinstance(item.event, OrderSigned):
                told = item.event.venue_order_id if is_venues else item.event.order_id
                signed = item.event.order_id if told == order_id else None
            elif signed is not None and not isinstance(item, Record):
                effect = item[2]
                if isinstance(effect, OrderIntent) and effect.order_id == signed:
                    return signed
        return None

    def _check_leaving(self, intent: OrderIntent) -> None:
        now_ms = self._world.session.clock.now_ms()
        if now_ms > intent.deadline_ms + 1:
            self._witness.broke(
                "no order after its deadline", f"{intent.order_id}: {now_ms - intent.deadline_ms} ms"
            )
        if intent.side == "SELL":
            return
        refused_ms = self._beat_refused_ms
        if refused_ms is not None and self._world.wall_ms() - refused_ms > BEAT_AGAIN_MS:
            self._witness.broke(
                "no order under halt or pause", f"{intent.order_id} after a refused heartbeat"
            )
        folder = self._world.settings.data_dir
        tripped = KillSwitch(folder).read()
        wall_ms = self._world.wall_ms()
        if tripped is not None and wall_ms - tripped.since_ms > 1:
            self._witness.broke(
                "no order under kill", f"{intent.order_id} left {wall_ms - tripped.since_ms} ms after"
            )
        if self._world.script.terms.is_live and not (folder / "ARMED").is_file() and tripped is None:
            self._witness.broke("no order unarmed", intent.order_id)

    def _check_alone(self, order_id: str, token: str) -> None:
        """See whether the venue holds another BUY of this market that lives or filled."""
        exchange = self._world.venue.exchange
        found = self._world.venue.markets.of_token(token)
        for entry in exchange.orders.values():
            if found is None or entry.order.id == order_id or entry.market is not found[0]:
                continue
            lives = entry.status in ("DELAYED", "LIVE")
            filled = any(trade.status != "FAILED" for trade in entry.trades)
            is_buy = entry.order.side == "BUY" and self._side_of(order_id) == "BUY"
            if lives or (filled and is_buy):
                self._witness.broke(
                    "one order a market", f"{order_id} beside {entry.order.id} ({entry.status})"
                )

    def _side_of(self, venue_order_id: str) -> str:
        name = self._recorded(venue_order_id, is_venues=True)
        return "" if name is None else self.orders[name].side

    # --- fills ---------------------------------------------------------------------------------------------

    def filled(self, session: SimulatedSession, event: OrderFilled) -> None:
        self._witness.counts["fills"] += bool(event.fills)
        if session.state.dry_run:
            self._witness.counts["fills of several levels"] += len(event.fills) > 1
            wrong = sums.paper_fill_is_wrong(self.orders.get(event.order_id), event)
            if wrong:
                self._witness.broke("fill is the venue's", f"{event.order_id}: {wrong}")
            return
        trades = self._world.venue.exchange.chain.trades
        for told in event.trades:
            trade = trades.get(told.trade_id)
            self._witness.counts["fills of several levels"] += trade is not None and len(trade.fills) > 1
            ours = (told.shares_e6, told.cost_e6, told.fee_e6)
            theirs = None if trade is None else (trade.size_e6, trade.usd_e6, trade.fee_e6)
            if ours != theirs:
                self._witness.broke(
                    "fill is the venue's", f"{event.order_id} {told.trade_id}: {ours}, not {theirs}"
                )
