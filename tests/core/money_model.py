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
HOW_FAR = {"MATCHED": 0, "MINED": 1, "RETRYING": 1, "CONFIRMED": 2, "FAILED": 2}
BALANCE_HOLDS_MS = 60_000


@dataclass
class PlainOrder:
    """One order: what was asked for, and whether it is open, filled or ended without a fill."""

    intent: OrderIntent
    venue_id: str
    state: str = OPEN
    is_unknown: bool = False
    is_error: bool = False
    was_signed: bool = False
    is_known: bool = False
    """The venue's id of it is known to this session."""
    trades: dict[str, str] = field(default_factory=dict)
    """The trades that its answers told, and the last word on each, as this session knows them."""
    came_back: bool = False
    """It lived on after it was told as ended: nobody can have known, and another may have been sent since."""


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
    session of windows that it knows; ``words`` how far each trade is by what this session knows of it.
    """

    quote_usd: float
    limits: Limits
    is_live: bool
    cash_to_begin: int
    orders: dict[str, PlainOrder] = field(default_factory=dict)
    fills: dict[tuple[str, str], PlainFill] = field(default_factory=dict)
    payouts: dict[str, tuple[Outcome, int]] = field(default_factory=dict)
    outcomes: dict[str, tuple[Outcome, str]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    fill_times: dict[str, int] = field(default_factory=dict)
    windows: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    balance: e.BalanceTold | None = None
    killed: bool = False
    paused: bool = False
    armed: bool = False
    restricted_until: dict[str, float] = field(default_factory=dict)
    has_to_halt: bool = False
    ghosts: int = 0
    intents: int = 0

    # --- what happened -------------------------------------------------------------------------------------

    def intended(self, intent: OrderIntent, venue_id: str) -> None:
        self.intents += 1
        self.orders[intent.order_id] = PlainOrder(intent, venue_id if self.is_live else "")

    def signed(self, order_id: str) -> None:
        order = self.orders[order_id]
        if order.state == OPEN:
            order.was_signed = order.is_known = True

    def ended(self, order_id: str, *, is_error: bool) -> None:
        order = self.orders[order_id]
        if order.state == OPEN:
            order.state = FILLED if order.trades else ENDED  # what had matched before stays so
            order.is_error, order.is_unknown = is_error, False

    def lost(self, order_id: str) -> None:
        order = self.orders[order_id]
        if order.state == OPEN:
            order.is_unknown = True

    def filled(self, event: e.OrderFilled, cost: int) -> None:
        order = self.orders[event.order_id]
        if order.state == FILLED:
            return
        order.came_back = order.came_back or order.state == ENDED
        order.state, order.is_error, order.is_unknown = FILLED, False, False
        paper = e.Trade("", sum(size for _, size in event.fills), cost, event.fee_e6)
        intent = order.intent
        new = [
            trade
            for trade in event.trades or (paper,)
            if (event.order_id, trade.trade_id) not in self.fills
            and order.trades.get(trade.trade_id) != "FAILED"
        ]
        for trade in new:
            self.fill_times.setdefault(event.order_id, event.ts_recv_ms)
            self.held.add(intent.slug)
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
        if intent.slug in self.held and intent.slug in self.outcomes and intent.slug not in self.payouts:
            self.payouts[intent.slug] = (self.outcomes[intent.slug][0], event.ts_recv_ms // DAY_MS)
        for trade in event.trades:
            if trade.trade_id not in order.trades:
                order.trades[trade.trade_id] = "MATCHED"
                self._heed(event.order_id, trade.trade_id, self.words.get(trade.trade_id))

    def told(self, venue_id: str, trade_id: str, status: str) -> None:
        before = self.words.get(trade_id)
        if status not in HOW_FAR or (before is not None and HOW_FAR[status] <= HOW_FAR[before]):
            if before in LAST_WORDS and status in LAST_WORDS and before != status:
                self.has_to_halt = True
            return
        self.words[trade_id] = status
        owner = next((o for o in self.orders.values() if o.is_known and o.venue_id == venue_id), None)
        if owner is not None and owner.state != OPEN and trade_id not in owner.trades:
            if status != "FAILED":  # it did more than was told, so nobody knows what it did
                owner.state, owner.is_unknown, owner.came_back = OPEN, True, True
            return
        for order_id, known in list(self.fills):
            if known == trade_id:
                self._heed(order_id, trade_id, status)

    def _heed(self, order_id: str, trade_id: str, word: str | None) -> None:
        fill = self.fills[order_id, trade_id]
        if word == "CONFIRMED":
            fill.is_final = True
        elif word == "FAILED" and not fill.is_final:
            self.orders[order_id].trades[trade_id] = word
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
        self.quote_usd = min(self.quote_usd, self.limits.max_usd_per_trade)

    def restarted(self, limits: Limits, quote_usd: float) -> None:
        """What a file keeps: fills that count, payouts, open orders; not what was only heard.

        What nobody signed never left, and paper orders end with their session: nobody else knows of them.
        """
        for order_id, order in list(self.orders.items()):
            never_left = order.state == OPEN and not (self.is_live and order.was_signed)
            has_fills = any(known == order_id for known, _ in self.fills)
            if (order.state != OPEN or never_left) and not has_fills:
                del self.orders[order_id]
            order.is_unknown = order.is_known = order.state == OPEN
            order.state = OPEN if order.state == OPEN else FILLED
            order.is_error = False
            mine = {trade_id: fill for (name, trade_id), fill in self.fills.items() if name == order_id}
            is_followed = not all(fill.is_final for fill in mine.values())
            order.trades = dict.fromkeys(mine, "MATCHED") if is_followed else {}
        self.fill_times = {}
        for (order_id, _), fill in self.fills.items():
            self.fill_times[order_id] = min(fill.at_ms, self.fill_times.get(order_id, fill.at_ms))
        self.held = {fill.slug for fill in self.fills.values()} | set(self.payouts)
        self.outcomes, self.windows = {}, set()
        self.words = {
            trade_id: "CONFIRMED" if fill.is_final else "MATCHED"
            for (_, trade_id), fill in self.fills.items()
            if trade_id
        }
        self.balance, self.paused, self.armed, self.restricted_until = None, False, False, {}
        self.has_to_halt, self.ghosts = False, 0
        self.intents = len(self.open_orders())
        self.limits, self.quote_usd = limits, quote_usd

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
            max(0, self.spent(slug) + self.owed(slug))
            for slug, ends_s in ends.items()
            if end_s is None or end_s == ends_s
        )

    def owed(self, slug: str) -> int:
        """Shares that were sold and never bought cost at most a dollar each, and only one side wins."""
        return max(0, *(-self.shares(slug, outcome) for outcome in ("UP", "DOWN")))

    def orders_since(self, since_ms: int) -> int:
        return sum(at_ms >= since_ms for at_ms in self.fill_times.values())

    def at_stake(self, end_s: int | None = None) -> float:
        """Holdings, orders under way and one order more, all lost whole."""
        return self.open_cost(end_s) + self.reserved(end_s) + self.one_order()

    def one_order(self) -> float:
        return self.quote_usd * 1.07 * 1_000_000

    def buys_under_way(self, end_s: int | None = None) -> int:
        return sum(
            order.intent.side == "BUY" and (end_s is None or order.intent.end_s == end_s)
            for order in self.open_orders().values()
        )

    def reserved(self, end_s: int | None = None) -> float:
        """Each BUY under way by its own dollars, with the most that its fee can be."""
        return 1.07 * sum(
            order.intent.usd_e6
            for order in self.open_orders().values()
            if order.intent.side == "BUY" and end_s in (None, order.intent.end_s)
        )

    def free(self, now_ms: int) -> float | None:
        reserved, told = self.reserved(), self.balance
        if told is None:
            return None if self.is_live else self.cash_to_begin + self.cash() - reserved
        if now_ms - told.asked_ms > BALANCE_HOLDS_MS:
            return None
        since = sum(
            fill.sign * fill.cost + fill.fee
            for fill in self.fills.values()
            if fill.at_ms >= told.asked_ms or (fill.sign > 0 and not fill.is_final)
        )
        have = told.balance_e6 - max(0, since)
        return (have if told.allowance_e6 is None else min(have, told.allowance_e6)) - reserved

    def refusals(self, slug: str, end_s: int, now_ms: int) -> list[str]:
        """Say what forbids a BUY now; empty when nothing does that this model knows of."""
        limits, mine = self.limits, [o for o in self.orders.values() if o.intent.slug == slug]
        bought = any(fill.sign > 0 for fill in self.of(slug))
        free = self.free(now_ms)
        lost = -self.realised(now_ms // DAY_MS)
        found = {
            "killed": self.killed,
            "halted": self.has_to_halt,
            "paused": self.paused,
            "not armed": self.is_live and not self.armed,
            "restricted": any(now_ms < until for until in self.restricted_until.values()),
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
