"""What the money has to be, from the events alone, in the plainest way: everything is summed anew each time.

An independent second opinion on the core: it shares no code with it beyond the events' own types.
"""

from dataclasses import dataclass, field

from engine import events as e
from engine.contract import Outcome
from engine.core.trading import OrderIntent
from engine.params import Limits

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
OPEN, FILLED, ENDED = "open", "filled", "ended"
LAST_WORDS = ("CONFIRMED", "FAILED")
STATUSES = ("MATCHED", "MINED", "RETRYING", *LAST_WORDS)


@dataclass
class PlainOrder:
    """One order: what was asked for, and whether it is open, filled or ended without a fill."""

    intent: OrderIntent
    venue_id: str
    state: str = OPEN
    is_unknown: bool = False
    is_error: bool = False
    was_signed: bool = False
    came_back: bool = False
    """It filled after it was told as ended: nobody can have known, and another may have been sent since."""


@dataclass
class PlainFill:
    """One trade that counts."""

    slug: str
    end_s: int
    outcome: Outcome
    sign: int
    shares: int
    cost: int
    fee: int
    at_ms: int
    is_final: bool


@dataclass
class Plain:
    """The account's money and orders.

    ``payouts`` holds outcome and day by window, as first or last told; ``outcomes`` what was told in this
    session of windows that it knows; ``words`` the last words of trades told in this session.
    """

    quote_usd: float
    limits: Limits
    is_live: bool
    cash_to_begin: int
    orders: dict[str, PlainOrder] = field(default_factory=dict)
    fills: dict[tuple[str, str], PlainFill] = field(default_factory=dict)
    payouts: dict[str, tuple[Outcome, int]] = field(default_factory=dict)
    outcomes: dict[str, tuple[Outcome, str]] = field(default_factory=dict)
    words: dict[tuple[str, str], str] = field(default_factory=dict)
    fill_times: dict[str, int] = field(default_factory=dict)
    windows: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    balance: e.BalanceTold | None = None
    killed: bool = False
    paused: bool = False
    armed: bool = False
    restricted_until: float = 0.0
    has_to_halt: bool = False
    ghosts: int = 0
    intents: int = 0

    # --- what happened -------------------------------------------------------------------------------------

    def intended(self, intent: OrderIntent, venue_id: str) -> None:
        self.intents += 1
        self.orders[intent.order_id] = PlainOrder(intent, venue_id if self.is_live else "")

    def signed(self, order_id: str) -> None:
        self.orders[order_id].was_signed = True

    def ended(self, order_id: str, *, is_error: bool) -> None:
        order = self.orders[order_id]
        if order.state == OPEN:
            order.state, order.is_error, order.is_unknown = ENDED, is_error, False

    def lost(self, order_id: str) -> None:
        order = self.orders[order_id]
        if order.state == OPEN:
            order.is_unknown = True

    def filled(self, event: e.OrderFilled, cost: int) -> None:
        order = self.orders[event.order_id]
        if order.state == FILLED:
            return
        order.came_back = order.state == ENDED
        order.state, order.is_error, order.is_unknown = FILLED, False, False
        paper = e.Trade("", sum(size for _, size in event.fills), cost, event.fee_e6)
        intent = order.intent
        self.fill_times.setdefault(event.order_id, event.ts_recv_ms)
        self.held.add(intent.slug)
        for trade in event.trades or (paper,):
            self.fills[event.order_id, trade.trade_id] = PlainFill(
                intent.slug,
                intent.end_s,
                intent.outcome,
                1 if intent.side == "BUY" else -1,
                trade.shares_e6,
                trade.cost_e6,
                trade.fee_e6,
                event.ts_recv_ms,
                event.is_final,
            )
        if intent.slug in self.outcomes and intent.slug not in self.payouts:
            self.payouts[intent.slug] = (self.outcomes[intent.slug][0], event.ts_recv_ms // DAY_MS)
        for trade in event.trades:
            self._heed(event.order_id, trade.trade_id, self.words.get((order.venue_id, trade.trade_id)))

    def told(self, venue_id: str, trade_id: str, status: str) -> None:
        if status not in LAST_WORDS:
            return
        before = self.words.setdefault((venue_id, trade_id), status)
        if before != status:
            self.has_to_halt = True
            return
        for order_id, known in list(self.fills):
            if known == trade_id:
                self._heed(order_id, trade_id, status)

    def _heed(self, order_id: str, trade_id: str, word: str | None) -> None:
        fill = self.fills[order_id, trade_id]
        if word == "CONFIRMED":
            fill.is_final = True
        elif word == "FAILED" and not fill.is_final:
            del self.fills[order_id, trade_id]
            self.ghosts += 1
            if not any(known == order_id for known, _ in self.fills):
                self.orders[order_id].is_error = True

    def settled(self, slug: str, outcome: Outcome, source: str, at_ms: int) -> None:
        """Own prices say something until the venue has spoken; the venue may change its word."""
        if slug in self.windows:
            if source == "own" and self.outcomes.get(slug, ("", ""))[1] == "served":
                return
            self.outcomes[slug] = (outcome, source)
        if slug in self.held and self.payouts.get(slug, ("", 0))[0] != outcome:
            self.payouts[slug] = (outcome, at_ms // DAY_MS)

    def tightened(self, wanted: dict[str, float]) -> None:
        now = self.limits._asdict()
        for name, value in wanted.items():
            if name == "least_roi":
                now[name] = max(now[name], value)
            elif name != "edge_trades" and value > 0:
                now[name] = min(now[name], value)
        self.limits = Limits(**now)

    def restarted(self, limits: Limits) -> None:
        """What a file keeps: fills that count, payouts, open orders; not what was only heard.

        What nobody signed never left, and paper orders end with their session: nobody else knows of them.
        """
        for order_id, order in list(self.orders.items()):
            never_left = order.state == OPEN and not (self.is_live and order.was_signed)
            has_fills = any(known == order_id for known, _ in self.fills)
            if (order.state != OPEN or never_left) and not has_fills:
                del self.orders[order_id]
            order.is_unknown = order.state == OPEN
            order.is_error = False
        known = {order_id for order_id, _ in self.fills}
        self.fill_times = {name: at_ms for name, at_ms in self.fill_times.items() if name in known}
        self.held = {fill.slug for fill in self.fills.values()}
        self.payouts = {slug: paid for slug, paid in self.payouts.items() if slug in self.held}
        self.outcomes, self.words, self.windows = {}, {}, set()
        self.balance, self.paused, self.armed, self.restricted_until = None, False, False, 0.0
        self.has_to_halt, self.ghosts = False, 0
        self.intents = len(self.open_orders())
        self.limits = limits

    # --- what it comes to ----------------------------------------------------------------------------------

    def open_orders(self) -> dict[str, PlainOrder]:
        return {name: order for name, order in self.orders.items() if order.state == OPEN}

    def of(self, slug: str) -> list[PlainFill]:
        return [fill for fill in self.fills.values() if fill.slug == slug]

    def shares(self, slug: str, outcome: Outcome) -> int:
        return sum(fill.sign * fill.shares for fill in self.of(slug) if fill.outcome == outcome)

    def spent(self, slug: str) -> int:
        return sum(fill.sign * fill.cost + fill.fee for fill in self.of(slug))

    def fees(self) -> int:
        return sum(fill.fee for fill in self.fills.values())

    def realised(self, day: int | None = None) -> int:
        return sum(
            self.shares(slug, outcome) - self.spent(slug)
            for slug, (outcome, paid_on) in self.payouts.items()
            if day is None or day == paid_on
        )

    def cash(self) -> int:
        paid = sum(self.shares(slug, outcome) for slug, (outcome, _) in self.payouts.items())
        costs = sum(fill.sign * fill.cost for fill in self.fills.values())
        return paid - costs - self.fees()

    def open_cost(self, end_s: int | None = None) -> int:
        ends = {fill.slug: fill.end_s for fill in self.fills.values() if fill.slug not in self.payouts}
        return sum(
            max(0, self.spent(slug)) for slug, ends_s in ends.items() if end_s is None or end_s == ends_s
        )

    def orders_since(self, since_ms: int) -> int:
        return sum(at_ms >= since_ms for at_ms in self.fill_times.values())

    def at_stake(self, end_s: int | None = None) -> float:
        """Holdings, orders under way and one order more, all lost whole."""
        return self.open_cost(end_s) + (self.buys_under_way(end_s) + 1) * self.one_order()

    def one_order(self) -> float:
        return self.quote_usd * 1.07 * 1_000_000

    def buys_under_way(self, end_s: int | None = None) -> int:
        return sum(
            order.intent.side == "BUY" and (end_s is None or order.intent.end_s == end_s)
            for order in self.open_orders().values()
        )

    def free(self) -> float | None:
        reserved = self.buys_under_way() * self.one_order()
        told = self.balance
        if told is None:
            return None if self.is_live else self.cash_to_begin + self.cash() - reserved
        since = sum(
            fill.sign * fill.cost + fill.fee
            for fill in self.fills.values()
            if fill.at_ms >= told.asked_ms and fill.slug not in self.payouts
        )
        have = told.balance_e6 - max(0, since)
        return (have if told.allowance_e6 is None else min(have, told.allowance_e6)) - reserved

    def refusals(self, slug: str, end_s: int, now_ms: int) -> list[str]:
        """Say what forbids a BUY now; empty when nothing does that this model knows of."""
        limits, mine = self.limits, [o for o in self.orders.values() if o.intent.slug == slug]
        bought = any(fill.sign > 0 for fill in self.of(slug))
        free = self.free()
        lost = -self.realised(now_ms // DAY_MS)
        found = {
            "killed": self.killed,
            "halted": self.has_to_halt,
            "paused": self.paused,
            "not armed": self.is_live and not self.armed,
            "restricted": now_ms < self.restricted_until,
            "window over": now_ms >= end_s * 1000,
            "an order under way": any(order.state == OPEN for order in mine),
            "bought already": bought,
            "hourly": self.orders_since(now_ms - HOUR_MS) + self.buys_under_way()
            >= limits.max_trades_per_hour,
            "daily loss": lost + self.at_stake() > limits.max_daily_loss_usd * 1_000_000,
            "exposure": self.at_stake() > limits.max_exposure_usd * 1_000_000,
            "correlated": self.at_stake(end_s) > limits.max_correlated_usd * 1_000_000,
            "balance": free is None or free < self.one_order(),
        }
        return [name for name, holds in found.items() if holds]
