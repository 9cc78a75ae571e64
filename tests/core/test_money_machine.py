"""Everything that can happen to money, in any order, against a plain second opinion (``money_model``).

``make test`` plays a few dozen stories; the campaign of 10,000 is ``MONEY_RUNS=10000 pytest
tests/core/test_money_machine.py`` (``make campaign``).
"""

import os
import sqlite3
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from engine import events as e
from engine.contract import Contract, Outcome, outcome_of
from engine.core import risk
from engine.core.ledger import Holding, Ledger, cost_of
from engine.core.orders import change_of
from engine.core.project import Outside, project
from engine.core.state import State
from engine.core.step import step
from engine.core.trading import OrderIntent
from engine.params import Limits, Params
from engine.run.ledger import rows as ledger_rows
from engine.run.ledger.schema import prepare
from tests.core.builders import contract
from tests.core.money_model import DAY_MS, HOUR_MS, STATUSES, Plain

RUNS = int(os.environ.get("MONEY_RUNS", "60"))
STEPS = 50

pytestmark = pytest.mark.timeout(7_200)  # a campaign takes as long as it takes

BEGIN_MS = 20_780 * DAY_MS - 2 * HOUR_MS  # two hours before a UTC midnight
CASH_E6 = 200_000_000
QUOTE_USD = 20.0
PARAMS = Params(watch_return_threshold=1e-9, d_min_usd=0.01, quote_size_usd=QUOTE_USD)
STRIKE = Decimal(70_000)

WIDE = Limits(
    max_daily_loss_usd=1_000.0,
    max_trades_per_hour=50.0,
    max_exposure_usd=500.0,
    max_correlated_usd=500.0,
    max_loss_streak=99.0,
    max_drawdown_usd=1_000.0,
    edge_trades=1_000.0,
    max_surprise=1_000.0,
    max_order_errors=11.0,
)
"""Nothing but the money itself stops it: long stories."""

SETS = (
    WIDE,
    Limits(),
    WIDE._replace(max_daily_loss_usd=50.0),
    WIDE._replace(max_exposure_usd=45.0),
    WIDE._replace(max_correlated_usd=25.0),
    WIDE._replace(max_trades_per_hour=2.0),
    WIDE._replace(max_order_errors=2.0, max_loss_streak=2.0),
)

OUTCOMES: tuple[Outcome, ...] = ("UP", "DOWN")
GAPS = st.sampled_from([0, 0, 0, 0, 1, 11, 22])
CENTS = st.sampled_from([20, 50, 80, 90, 96])
SIZES = st.sampled_from([500, 40, 3])
MOMENTS = st.sampled_from([0, 1, 40, 400, 1_200])


class MoneyMachine(RuleBasedStateMachine):
    """The real core on one side, the plain model on the other."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = BEGIN_MS
        self.seq = 0
        self.session = 0
        self.names = 0
        self.described: dict[str, Contract] = {}
        self.reports: dict[int, Decimal] = {}
        self.above: dict[str, bool] = {}
        self.changes: list[object] = []
        self.cleared_ms = 0
        self.file = sqlite3.connect(":memory:", isolation_level=None)
        prepare(self.file)
        self.file.execute("PRAGMA synchronous = OFF")

    def teardown(self) -> None:
        if self.session:
            self.the_file_says_the_same()
        self.file.close()

    # --- the two sides -------------------------------------------------------------------------------------

    @initialize(is_live=st.booleans(), limits=st.sampled_from(SETS))
    def begin(self, is_live: bool, limits: Limits) -> None:
        self.limits = limits
        self.plain = Plain(QUOTE_USD, limits, is_live, CASH_E6)
        self.open_session(None)

    def open_session(self, restored: e.LedgerRestored | None) -> None:
        self.session += 1
        self.seq = 0
        self.state = State()
        self.shadow = Ledger()
        live = self.plain.is_live
        self.feed(
            e.SessionOpened(
                ts_recv_ms=self.now_ms,
                session=f"s{self.session}",
                venue="practice",
                dry_run=not live,
                profile="live" if live else "paper",
                params=PARAMS._asdict(),
                limits=self.limits._asdict(),
                killed=self.plain.killed,
                cash_e6=None if live else CASH_E6,
            )
        )
        if restored is not None:
            self.feed(restored)
            for fill in restored.fills:
                self.shadow.book(fill)
            self.shadow.holdings = {
                paid.slug: Holding() for paid in restored.settlements
            } | self.shadow.holdings
            for is_old in (True, False):
                for paid in restored.settlements:
                    if (paid.at_ms <= restored.cleared_ms) == is_old:
                        self.shadow.settle(paid.slug, paid.outcome, paid.at_ms)
                if is_old and restored.cleared_ms:
                    self.shadow.judge_anew()
                    assert not self.shadow.results, "a cleared result is judged again"
        if live:
            self.arm(True)
            self.tell_balance(CASH_E6, 0, False)

    def feed(self, event: e.AnyEvent) -> list[OrderIntent]:
        """Take one event in; hold what came out against what may come out."""
        self.seq += 1
        halted = self.state.halted_why
        breakers = dict(self.state.breakers)
        intents = [one for one in step(self.state, e.Record(self.seq, event)) if isinstance(one, OrderIntent)]
        self.heed_estimates()
        assert breakers.items() <= self.state.breakers.items(), "a breaker went back by itself"
        assert halted is None or self.state.halted_why == halted, "a halt went away"
        for intent in intents:
            assert intent.order_id not in self.plain.orders, "an order's name was used twice"
            if intent.side == "BUY":
                self.check_buy(intent)
            self.names += 1
            self.plain.intended(intent, f"0x{self.names}")
        self.follow()
        return intents

    def heed_estimates(self) -> None:
        """Take our own word on a final price from the core.

        Whether an estimate is good enough to settle on is ``test_settlement``'s question; what it does to the
        money is asked here.
        """
        for market in (*self.state.markets.values(), *self.state.past):
            known, source = self.plain.outcomes.get(market.contract.slug, (None, "own"))
            if market.outcome_source == "own" and source == "own" and market.outcome != known:
                self.plain.settled(market.contract.slug, market.outcome, "own", self.state.now_ms)

    def check_buy(self, intent: OrderIntent) -> None:
        now_ms = self.state.now_ms
        refusals = self.plain.refusals(intent.slug, intent.end_s, now_ms)
        assert refusals == [], f"an intent against: {refusals}"
        assert self.state.halted_why is None, "an intent under a halt"
        assert not self.state.breakers, "an intent under a tripped breaker"
        assert 0 < intent.usd_e6 <= self.plain.quote_usd * 1_000_000
        assert intent.limit_e4 <= PARAMS.max_entry_price * 10_000
        assert now_ms < intent.deadline_ms <= intent.end_s * 1000

    def follow(self) -> None:
        """Let the file and a fresh ledger follow, change by change."""
        for change in self.state.ledger.take_changes():
            ledger_rows.put(self.file, f"s{self.session}", self.seq, change)
            if isinstance(change, e.PastFill):
                self.shadow.book(change)
            elif isinstance(change, e.PastSettlement):
                self.shadow.settle(change.slug, change.outcome, change.at_ms)
            elif isinstance(change, e.PastFillStatus):
                slug = self.plain_slug(change)
                what = self.shadow.confirm if change.status == "CONFIRMED" else self.shadow.undo
                what(slug, change)

    def plain_slug(self, change: e.PastFillStatus) -> str:
        return next(
            slug
            for slug, holding in self.shadow.holdings.items()
            if (change.order_id, change.trade_id) in holding.fills
        )

    def pass_ms(self, milliseconds: int) -> int:
        self.now_ms += milliseconds
        return self.now_ms

    # --- windows and prices --------------------------------------------------------------------------------

    def running(self) -> list[Contract]:
        return [one for one in self.described.values() if self.now_ms < one.end_s * 1000]

    @precondition(lambda self: self.session and not self.running())
    @rule(
        gap=GAPS,
        both=st.booleans(),
        above=st.booleans(),
        quoted=st.tuples(CENTS, SIZES),
        is_asked=st.sampled_from([True, True, True, False]),
    )
    def open_window(self, gap: int, both: bool, above: bool, quoted: tuple[int, int], is_asked: bool) -> None:
        """Go to the last seconds of a window, or of a 5m and a 15m that end together; hours may pass."""
        length, grid = (900, 900) if both else (300, 300)
        end_s = (self.now_ms // 1000 + 310 + length + gap * 300 + grid - 1) // grid * grid
        self.now_ms = end_s * 1000 - 14_500
        if self.plain.is_live and is_asked:  # the last word on the balance is too old by now
            self.tell_balance(CASH_E6, 0, False)
        for seconds in (300, 900) if both else (300,):
            start_s = end_s - seconds
            one = contract(
                start_s=start_s,
                slug=f"btc-updown-{seconds // 60}m-{start_s}",
                condition_id=f"0x{start_s}{seconds}",
                end_s=end_s,
                token_up=f"{start_s}{seconds}1",
                token_down=f"{start_s}{seconds}2",
            )
            self.described[one.slug] = one
            self.above[one.slug] = above
            self.warm(one)
            self.show_books(one, *quoted)
        self.feed(e.SecondPassed(ts_recv_ms=self.now_ms))

    def warm(self, one: Contract) -> None:
        """Tell what a session hears as it comes to a window: its rule, its strike, the last prices."""
        strike = self.reports.setdefault(one.start_s, STRIKE)
        self.plain.windows.add(one.slug)
        self.feed(e.MarketDescribed(ts_recv_ms=self.now_ms, contract=one))
        self.feed(
            e.PriceHistoryServed(
                ts_recv_ms=self.now_ms,
                source="twap",
                points=((one.start_s * 1000, strike),),
                lookback_s=60,
            )
        )
        away = 20 if self.above[one.slug] else -20
        newest = self.now_ms // 1000 - 3
        points = tuple((s * 1000, strike + away + s % 7) for s in range(newest - 75, newest))
        self.feed(e.PriceHistoryServed(ts_recv_ms=self.now_ms, source="chainlink", points=points))
        self.print_price(newest, strike + away)

    def print_price(self, second: int, value: Decimal) -> None:
        self.feed(
            e.PricePrinted(
                ts_recv_ms=self.now_ms,
                source="chainlink",
                value=value + second % 7,
                ts_venue_ms=second * 1000,
                ts_sent_ms=None,
            )
        )

    @precondition(lambda self: self.session and self.running())
    @rule(data=st.data(), cents=CENTS, shares=SIZES, wait=MOMENTS)
    def quote(self, data: st.DataObject, cents: int, shares: int, wait: int) -> None:
        """Show a book: where the cheap side is worth it, and nothing forbids it, an order follows."""
        one = data.draw(st.sampled_from(self.running()), label="window")
        if self.pass_ms(wait) < one.end_s * 1000:
            self.show_books(one, cents, shares)

    def show_books(self, one: Contract, cents: int, shares: int) -> None:
        away = 20 if self.above[one.slug] else -20
        self.print_price(self.now_ms // 1000 - 2, self.reports[one.start_s] + away)
        up = cents if self.above[one.slug] else 102 - cents
        for token, ask in ((one.token_down, 102 - up), (one.token_up, up)):
            self.feed(
                e.BookReplaced(
                    ts_recv_ms=self.now_ms,
                    market=one.condition_id,
                    token=token,
                    bids=((ask * 100 - 200, shares * 1_000_000),) if ask > 2 else (),
                    asks=((min(ask, 99) * 100, shares * 1_000_000),),
                    ts_venue_ms=self.now_ms,
                    tick_e4=100,
                )
            )

    @rule(seconds=st.sampled_from([1, 3, 9, 20, 950, 4_000]))
    def wait(self, seconds: int) -> None:
        """Let time pass; answers to orders that nobody sent change nothing."""
        self.feed(e.SecondPassed(ts_recv_ms=self.pass_ms(seconds * 1000)))
        for event in (
            e.OrderFilled(ts_recv_ms=self.now_ms, order_id="x#1", fills=((5_000, 1_000_000),), fee_e6=7),
            e.OrderKilled(ts_recv_ms=self.now_ms, order_id="x#1", reason="gone"),
            e.OrderUnknown(ts_recv_ms=self.now_ms, order_id="x#1", reason="gone"),
        ):
            assert self.feed(event) == []

    # --- what becomes of orders ----------------------------------------------------------------------------

    def some_order(self, data: st.DataObject) -> str:
        """Mostly one under way; sometimes one that ended long ago."""
        under_way = list(self.plain.open_orders())
        everything = list(self.plain.orders)
        names = under_way if under_way and data.draw(st.integers(0, 4), label="any") else everything
        return data.draw(st.sampled_from(names), label="order")

    @precondition(lambda self: self.session and self.plain.orders)
    @rule(data=st.data(), wait=MOMENTS)
    def send(self, data: st.DataObject, wait: int) -> None:
        """Sign an order, and perhaps send it."""
        order_id, at_ms = self.some_order(data), self.pass_ms(wait)
        self.sign(order_id)
        if data.draw(st.booleans(), label="sent"):
            self.feed(e.OrderSubmitted(ts_recv_ms=at_ms, order_id=order_id))

    def sign(self, order_id: str) -> None:
        order = self.plain.orders[order_id]
        self.plain.signed(order_id)
        self.feed(
            e.OrderSigned(
                ts_recv_ms=self.now_ms,
                order_id=order_id,
                venue_order_id=order.venue_id,
                maker_e6=order.intent.usd_e6,
                taker_e6=1,
            )
        )

    @precondition(lambda self: self.session and self.plain.orders)
    @rule(
        data=st.data(), wait=MOMENTS, parts=st.integers(1, 3), share=st.sampled_from([1.0, 1.0, 0.37, 0.05])
    )
    def fill(self, data: st.DataObject, wait: int, parts: int, share: float) -> None:
        """Fill an order, whole or in part, in one trade or in more; perhaps a second time, otherwise."""
        order_id = self.some_order(data)
        order = self.plain.orders[order_id]
        self.sign(order_id)  # nothing fills that was not signed
        intent = order.intent
        price = max(100, intent.limit_e4 - 100 * data.draw(st.integers(0, 3), label="better"))
        wanted = intent.usd_e6 * 10_000 // price if intent.side == "BUY" else intent.shares_e6
        size = max(parts, int(wanted * share)) // parts
        fee = data.draw(st.integers(0, 300_000), label="fee")
        levels = ((price, size),) * parts
        if self.plain.is_live and (word := data.draw(st.sampled_from(["", "", *STATUSES]), label="early")):
            self.tell(order.venue_id, f"{order.venue_id}-0", word)
        trades: tuple[e.Trade, ...] = ()
        if self.plain.is_live:
            cost = cost_of(levels[:1])
            trades = tuple(
                e.Trade(f"{order.venue_id}-{number}", size, cost, fee // parts, levels[:1])
                for number in range(parts)
            )
        event = e.OrderFilled(
            ts_recv_ms=self.pass_ms(wait),
            order_id=order_id,
            fills=levels,
            fee_e6=fee,
            trades=trades,
            is_final=not trades,
        )
        self.plain.filled(event, int((Decimal(price * size * parts) / 10_000).to_integral(ROUND_HALF_EVEN)))
        self.feed(event)

    @precondition(lambda self: self.session and self.plain.orders)
    @rule(
        data=st.data(), wait=MOMENTS, how=st.sampled_from(["killed", "killed", "denied", "rejected", "lost"])
    )
    def end(self, data: st.DataObject, wait: int, how: str) -> None:
        """End an order without a fill, or lose sight of it; perhaps one that has ended already."""
        order_id, at_ms = self.some_order(data), self.pass_ms(wait)
        if how != "denied":
            self.sign(order_id)
        event: e.AnyEvent
        if how == "killed":
            event = e.OrderKilled(ts_recv_ms=at_ms, order_id=order_id, reason="no match")
        elif how == "denied":
            event = e.OrderDenied(ts_recv_ms=at_ms, order_id=order_id, reason="deadline passed")
        elif how == "rejected":
            event = e.OrderRejected(ts_recv_ms=at_ms, order_id=order_id, reason="no", code="balance")
        else:
            event = e.OrderUnknown(ts_recv_ms=at_ms, order_id=order_id, reason="timed out")
        if how == "lost":
            self.plain.lost(order_id)
        else:
            self.plain.ended(order_id, is_error=how in ("denied", "rejected"))
        self.feed(event)

    @precondition(lambda self: self.session and self.plain.is_live and self.plain.orders)
    @rule(data=st.data(), number=st.integers(0, 2), status=st.sampled_from([*STATUSES, "FAILED", "LOUD"]))
    def tell_trade(self, data: st.DataObject, number: int, status: str) -> None:
        """Tell how far a trade is: before its order's answer or after, again, backwards, or of nobody's."""
        order_id = data.draw(st.sampled_from(list(self.plain.orders)), label="order")
        order = self.plain.orders[order_id]
        self.sign(order_id)
        trade_id = f"{order.venue_id}-{number}"
        if data.draw(st.integers(0, 9), label="nobody's") == 0:
            trade_id = "nobody's"
        if data.draw(st.booleans(), label="asked"):
            self.tell(order.venue_id, trade_id, status)
        else:
            self.plain.told(order.venue_id, trade_id, status)
            self.feed(
                e.AccountTradeTold(
                    ts_recv_ms=self.now_ms,
                    trade_id=trade_id,
                    venue_order_id=order.venue_id,
                    market="0xc0",
                    token=order.intent.token,
                    side="BUY",
                    price_e4=1,
                    size_e6=1,
                    status=status,
                    ts_venue_ms=self.now_ms,
                )
            )

    def tell(self, venue_id: str, trade_id: str, status: str) -> None:
        self.plain.told(venue_id, trade_id, status)
        self.feed(
            e.TradeStatusTold(
                ts_recv_ms=self.now_ms, trade_id=trade_id, venue_order_id=venue_id, status=status
            )
        )

    # --- settlement ----------------------------------------------------------------------------------------

    @precondition(lambda self: self.session and self.described)
    @rule(data=st.data(), up=st.booleans())
    def report_final(self, data: st.DataObject, up: bool) -> None:
        """Report the price at a window's end: own outcome, of every window that ends then."""
        one = data.draw(st.sampled_from(list(self.described.values())[-3:]), label="window")
        self.now_ms = max(self.now_ms, one.end_s * 1000 + 1_650)
        value = self.reports.setdefault(one.end_s, self.reports[one.start_s] + (1 if up else -1))
        event = e.PricePrinted(
            ts_recv_ms=self.now_ms,
            source="twap",
            value=value,
            ts_venue_ms=one.end_s * 1000,
            ts_sent_ms=None,
            lookback_s=60,
        )
        for other in self.described.values():
            if other.end_s == one.end_s and other.slug in self.state.markets:
                outcome = outcome_of(self.reports[other.start_s], value)
                self.plain.settled(other.slug, outcome, "own", self.now_ms)
        self.feed(event)

    @precondition(lambda self: self.session and self.described)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(OUTCOMES),
        agrees=st.booleans(),
        hours=st.sampled_from([0, 0, 1, 3]),
    )
    def serve_outcome(self, data: st.DataObject, outcome: Outcome, agrees: bool, hours: int) -> None:
        """Serve an outcome: with the prices that prove it, or another one than before."""
        one = data.draw(st.sampled_from(list(self.described.values())[-4:]), label="window")
        self.now_ms = max(self.now_ms, one.end_s * 1000 + 1_000) + hours * HOUR_MS
        strike = final = None
        if agrees and one.end_s in self.reports:
            strike, final = self.reports[one.start_s], self.reports[one.end_s]
            outcome = outcome_of(strike, final)
        if one.slug not in self.state.markets:
            self.plain.windows.discard(one.slug)  # put away: what is told now is heeded if something is held
        self.plain.settled(one.slug, outcome, "served", self.now_ms)
        self.feed(
            e.OutcomeServed(
                ts_recv_ms=self.now_ms, slug=one.slug, outcome=outcome, strike=strike, final=final
            )
        )

    # --- operators and the venue ---------------------------------------------------------------------------

    @rule(
        what=st.sampled_from(
            ["go", "go", "go", "kill", "clear", "pause", "resume", "disarm", "wait", "closed-only", "open"]
        )
    )
    def stop_or_go(self, what: str) -> None:
        """Close a gate, or open one, or all."""
        if what in ("kill", "clear", "go"):
            self.latch(what == "kill")
        if what in ("pause", "resume", "go"):
            self.pause(what == "pause")
        if what in ("disarm", "go") and self.plain.is_live:
            self.arm(what == "go")
        if what in ("wait", "closed-only", "open", "go"):
            self.restrict(what)

    def latch(self, latched: bool) -> None:
        self.plain.killed = latched
        self.feed(e.KillSwitchChanged(ts_recv_ms=self.now_ms, latched=latched, who="w", why="y"))

    def pause(self, paused: bool) -> None:
        self.plain.paused = paused
        self.feed(e.TradingPaused(ts_recv_ms=self.now_ms, paused=paused, who="w", why="y"))

    def arm(self, is_armed: bool) -> None:
        self.plain.armed = is_armed
        self.feed(e.ArmChanged(ts_recv_ms=self.now_ms, armed=is_armed, who="w", why="y"))

    def restrict(self, what: str) -> None:
        """For a second and a half, or until the venue says otherwise; what is lifted ends no other."""
        held = self.plain.restricted_until
        if what in ("open", "go"):
            for kind in ("closed-only", "restarting") if what == "go" else ("closed-only",):
                held.pop(kind, None)
                self.feed(e.VenueRestricted(ts_recv_ms=self.now_ms, restriction=kind, why="", lifted=True))
            return
        kind = "restarting" if what == "wait" else what
        until = self.now_ms + 1_500 if what == "wait" else None
        held[kind] = float("inf") if until is None else until
        self.feed(e.VenueRestricted(ts_recv_ms=self.now_ms, restriction=kind, why="y", until_ms=until))

    @precondition(lambda self: self.session and self.plain.is_live)
    @rule(
        balance=st.sampled_from([900_000_000, 200_000_000, 45_000_000, 10_000_000]),
        ago=st.sampled_from([0, 300, 5_000, 55_000, 70_000]),
        is_allowed=st.booleans(),
    )
    def tell_balance(self, balance: int, ago: int, is_allowed: bool) -> None:
        event = e.BalanceTold(
            ts_recv_ms=self.now_ms,
            balance_e6=balance,
            allowance_e6=balance // 2 if is_allowed else None,
            asked_ms=self.now_ms - ago,
        )
        self.plain.balance = event
        self.feed(event)

    @rule(name=st.sampled_from(Limits._fields), factor=st.sampled_from([0.9, 0.5, 1.0, 2.0, 0.0, -1.0]))
    def tighten(self, name: str, factor: float) -> None:
        """Ask for a limit to be stricter, or looser, or for nonsense."""
        wanted = {name: getattr(self.plain.limits, name) * factor}
        self.plain.tightened(wanted)
        self.feed(e.LimitsTightened(ts_recv_ms=self.now_ms, limits=wanted, who="w", why="y"))

    @precondition(lambda self: self.session and self.held_in_open_windows())
    @rule(data=st.data(), outcome=st.sampled_from([*OUTCOMES, "HELD", "HELD"]))
    def get_out(self, data: st.DataObject, outcome: str) -> None:
        """An exit goes out if, and only if, there is something to sell and nothing under way.

        A BUY that nobody can find is not under way: it must not lock us in.
        """
        one = self.described[data.draw(st.sampled_from(self.held_in_open_windows()), label="window")]
        if outcome == "HELD":
            outcome = max(OUTCOMES, key=lambda token: self.plain.shares(one.slug, token))
        shares = self.plain.shares(one.slug, outcome) // 10_000 * 10_000
        busy = any(
            order.intent.slug == one.slug and (order.intent.side == "SELL" or not order.is_unknown)
            for order in self.plain.open_orders().values()
        )
        known = one.slug in self.state.markets
        possible = known and self.now_ms < one.end_s * 1000 and shares > 0 and not busy
        intents = self.feed(
            e.ExitAsked(
                ts_recv_ms=self.now_ms, slug=one.slug, outcome=outcome, least_e4=100, who="w", why="y"
            )
        )
        assert [(one.side, one.shares_e6) for one in intents] == ([("SELL", shares)] if possible else [])

    def held_in_open_windows(self) -> list[str]:
        held = {fill.slug for fill in self.plain.fills.values()}
        return sorted(held & {one.slug for one in self.running()})

    # --- the end of a session ------------------------------------------------------------------------------

    @precondition(lambda self: self.session and self.plain.orders)
    @rule(is_warm=st.sampled_from([True, True, False]), is_cleared=st.sampled_from([False, False, True]))
    def restart(self, is_warm: bool, is_cleared: bool) -> None:
        """Crash, read the file, go on; orders without an end are what recovery makes of them."""
        self.the_file_says_the_same()
        session = f"s{self.session}"
        for order in self.state.trading.in_flight.values():
            told = change_of(order)
            if self.plain.is_live and order.state == "intended":
                told = structs.replace(told, state="denied", ended_ms=told.at_ms)
            else:
                told = structs.replace(told, state="unknown", ended_ms=None)
            ledger_rows.put(self.file, session, self.seq, told)
        orders = ledger_rows.past_orders(self.file, f"s{self.session + 1}")
        left = set(self.plain.open_orders())
        self.plain.restarted(self.limits, QUOTE_USD)
        if is_cleared:
            (self.cleared_ms,) = self.file.execute(
                "SELECT coalesce(max(at_ms), 0) FROM settlement"
            ).fetchone()
        left = set(self.plain.open_orders()) if self.plain.is_live else left
        assert {order.order_id for order in orders} == left, "forgotten, or revived"
        self.open_session(
            e.LedgerRestored(
                ts_recv_ms=self.pass_ms(1_000),
                fills=ledger_rows.past_fills(self.file, 0),
                settlements=ledger_rows.past_settlements(self.file, 0),
                breakers=() if is_cleared else tuple(self.state.breakers.items()),
                unresolved=tuple(order.slug for order in orders),
                orders=orders,
                cleared_ms=self.cleared_ms,
            )
        )
        for one in self.running() if is_warm else []:
            self.warm(one)
            self.show_books(one, 80, 500)

    def the_file_says_the_same(self) -> None:
        """Dollars and profit by day out of the file's own views."""
        (dollars,) = self.file.execute("SELECT coalesce(sum(dollars_e6), 0) FROM cash").fetchone()
        assert dollars == self.plain.cash()
        for day, profit in self.file.execute(
            "SELECT CAST(strftime('%s', day_utc) AS INTEGER) / 86400, realised_e6 FROM pnl_by_day"
        ):
            assert profit == self.plain.realised(day)

    # --- what always holds ---------------------------------------------------------------------------------

    @invariant()
    def every_millionth_is_where_it_belongs(self) -> None:
        if not self.session:
            return
        ledger, plain = self.state.ledger, self.plain
        assert ledger.cash_e6 == plain.cash()
        assert ledger.fees_e6 == plain.fees()
        assert ledger.realised_e6 == plain.realised()
        assert ledger.open_cost_e6() == plain.open_cost()
        for day in range(BEGIN_MS // DAY_MS, self.now_ms // DAY_MS + 1):
            assert ledger.realised_on(day) == plain.realised(day), f"day {day}"
        for slug, holding in ledger.holdings.items():
            for outcome in ("UP", "DOWN"):
                assert holding.shares_e6[outcome] == plain.shares(slug, outcome), slug
        assert ledger.trades_since(self.now_ms - HOUR_MS) == plain.orders_since(self.now_ms - HOUR_MS)

    @invariant()
    def orders_are_what_was_told_of_them(self) -> None:
        if not self.session:
            return
        trading, plain = self.state.trading, self.plain
        assert set(trading.in_flight) == set(plain.open_orders())
        assert trading.intents == plain.intents
        assert trading.ghost_fills == plain.ghosts
        assert not plain.has_to_halt or self.state.halted_why is not None
        unknown = {name for name, order in plain.open_orders().items() if order.is_unknown}
        assert {name for name, order in trading.in_flight.items() if order.state == "unknown"} == unknown
        assert ("order of unknown fate" in trading.alarms) == bool(unknown)
        assert self.state.limits == plain.limits
        for slug in {fill.slug for fill in plain.fills.values()} | {
            order.intent.slug for order in plain.open_orders().values()
        }:
            filled = {name for (name, _), fill in plain.fills.items() if fill.slug == slug and fill.sign > 0}
            filled -= {name for name, order in plain.orders.items() if order.came_back}
            under_way = {
                name
                for name, order in plain.open_orders().items()
                if order.intent.slug == slug and order.intent.side == "BUY" and not order.came_back
            }
            assert len(filled | under_way) <= 1, "two BUYs of one window"

    @invariant()
    def a_fresh_ledger_that_is_told_the_changes_agrees(self) -> None:
        if not self.session:
            return
        ledger, shadow = self.state.ledger, self.shadow
        for name in ("cash_e6", "fees_e6", "realised_e6", "peak_e6", "trades", "results"):
            assert getattr(ledger, name) == getattr(shadow, name), name
        assert ledger.open_cost_e6() == shadow.open_cost_e6()
        assert ledger.unsettled() == shadow.unsettled()

    @invariant()
    def gates_that_are_kept_are_those_worked_out_anew(self) -> None:
        """Whatever was told, and whatever was intended since: an order by a gate's past is a wrong order."""
        for market in self.state.markets.values():
            assert risk.kept_blocks(self.state, market) == risk.blocks(self.state, market)

    @invariant()
    def it_can_be_shown(self) -> None:
        if self.session:
            shown = project(self.state, Outside(1, self.now_ms, self.now_ms, 0.0, 1.0, 0, 0.0, "", None, []))
            free = self.plain.free(self.state.now_ms)
            assert shown.account.free_usd == (None if free is None else pytest.approx(free / 1e6))


MoneyMachine.TestCase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    report_multiple_bugs=False,
)
TestMoneyIsConservedWhateverHappens = MoneyMachine.TestCase
