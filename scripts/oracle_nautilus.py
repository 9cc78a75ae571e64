"""The rule as a NautilusTrader strategy: rows in, trades and profit out. It runs in ``.venv-oracle``.

NautilusTrader keeps time, books, orders, matching (FOK against the book of the moment), commissions, holdings
and profit. Ours, written anew here and in ``oracle_rule.py``: the decision, the order's size, its way to the
venue (a timer of NautilusTrader's clock; how many milliseconds is given, the same as the sweep's), and the
dollars of a BUY turned into shares on NautilusTrader's own book when the timer rings, because its orders are
in shares and the venue's are in dollars. It imports nothing of the engine.
"""

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import nautilus_trader
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import FeeModel
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.currencies import USDC
from nautilus_trader.model.data import (
    DataType,
)
from nautilus_trader.model.enums import (
    AccountType,
    BookType,
    OmsType,
    OrderSide,
    TimeInForce,
)
from nautilus_trader.model.identifiers import ClientId, InstrumentId, TraderId
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy
from oracle_rows import GRIDS, MS, PLACES, SIDES, VENUE, Market, Rows, Told, instrument, read_markets
from oracle_rule import SHARE, Fee, Level, Order, Prices, Rule, chance_up, move, outlook, spend, wanted

ROWS: Final = ClientId("ROWS")
ATTEMPTS: Final = 3
PAUSE_MS: Final = 1_000
LEFT_OVER: Final = Decimal("0.01")
CASH_USD: Final = 1_000_000
"""More than all orders together; far beyond it NautilusTrader's own floats contradict each other."""


class Window:
    """What the strategy remembers of a market."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.book_ms = 0
        self.watched = False
        self.orders = self.killed = 0
        self.free_ms = 0
        self.done = self.waiting = False
        self.decided_ms: int | None = None
        self.side = ""


class Schedule(FeeModel):
    """Polymarket's taker fee, by each market's own schedule."""

    def __init__(self, fees: dict[InstrumentId, Fee], fallback: float) -> None:
        self.fees, self.fallback = fees, Decimal(str(fallback))

    def get_commission(self, order: Any, fill_qty: Any, fill_px: Any, instrument: Any) -> Money:
        """Return dollars of fee of a fill."""
        del order
        fee, price, shares = self.fees[instrument.id], fill_px.as_decimal(), fill_qty.as_decimal()
        if fee.rate is None:
            closes = price in (0, 1)
            return Money(Decimal(0) if closes else shares * price * self.fallback, USDC)
        return Money(shares * fee.rate * (price * (1 - price)) ** fee.exponent, USDC)


class Hammer(Strategy):
    """Watch, hammer, one order a market."""

    def __init__(self, markets: list[Market], rule: Rule, ticks: dict[tuple[str, int], Decimal]) -> None:
        super().__init__(StrategyConfig(order_id_tag="001"))
        self.rule, self.ticks = rule, ticks
        self.prices = Prices()
        self.windows = {market.slug: Window(market) for market in markets}
        self.of_token = {market.token(side): market.slug for market in markets for side in SIDES}
        self.grids: dict[InstrumentId, Decimal] = {}
        self.running: list[Window] = []

    def on_start(self) -> None:
        """Ask for everything."""
        self.subscribe_data(DataType(Told), client_id=ROWS)
        for token in self.of_token:
            self.subscribe_order_book_deltas(token, book_type=BookType.L2_MBP)

    # --- what is told ------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Return the time, milliseconds."""
        return int(self.clock.timestamp_ns() // MS)

    def on_data(self, data: Any) -> None:
        """Take a second or a price in; every open window is decided on."""
        now_ms = self.now_ms()
        self.running = [
            window
            for window in self.windows.values()
            if window.market.start_s * 1000 <= now_ms < window.market.end_s * 1000
        ]
        if data.spot is not None:
            self.prices.spot[now_ms // 1000] = data.spot
        if data.second is not None and data.price is not None:
            self.prices.add(data.second, data.price, now_ms)
            back = move(self.prices, self.rule)
            for window in self.running:
                if back is not None and abs(back) >= self.rule.watch_return_threshold:
                    window.watched = True
        for window in self.running:
            self.decide(window)

    def on_order_book_deltas(self, deltas: Any) -> None:
        """Take a book in, and decide on its window."""
        window = self.windows[self.of_token[deltas.instrument_id]]
        now_ms = self.now_ms()
        if now_ms >= window.market.end_s * 1000:
            self.settle(deltas.instrument_id)
            return
        window.book_ms = now_ms
        self.grids[deltas.instrument_id] = self.ticks[(window.market.slug, now_ms)]
        self.decide(window)

    def settle(self, token: InstrumentId) -> None:
        """Give back what is held: after the end the book's only bid is what the token pays."""
        for position in self.cache.positions_open(instrument_id=token):
            self.close_position(position)

    # --- the rule ------------------------------------------------------------------------------

    def may(self, window: Window, now_ms: int) -> bool:
        """Ask the gates that no price opens."""
        left_s = window.market.end_s - now_ms / 1000
        return (
            0.0 < left_s <= self.rule.hammer_s
            and window.watched
            and not (window.done or window.waiting)
            and window.orders < ATTEMPTS
            and now_ms >= window.free_ms
            and self.prices.is_fresh(now_ms, self.rule.price_stale_s)
            and self.prices.agrees(self.rule.max_divergence_bp)
            and now_ms - window.book_ms <= self.rule.book_stale_s * 1000
        )

    def decide(self, window: Window) -> None:
        """Buy where every gate holds."""
        now_ms, market = self.now_ms(), window.market
        if not self.may(window, now_ms):
            return
        seen = outlook(self.prices, market.end_s, market.lookback_s, self.rule)
        if seen is None or abs(seen.mean - market.strike) < self.rule.d_min_usd:
            return
        up = chance_up(seen, market.strike, self.rule.layer_temperature)
        asks = {side: self.asks(market.token(side)) for side in SIDES}
        grids = {side: self.grids.get(market.token(side), GRIDS[0]) for side in SIDES}
        order = wanted({"UP": up, "DOWN": 1.0 - up}, asks, market.fee, grids, self.rule)
        if order is not None:
            self.send(window, order, now_ms)

    def asks(self, token: InstrumentId) -> list[Level]:
        """Read the asks of NautilusTrader's book."""
        book: OrderBook | None = self.cache.order_book(token)
        if book is None:
            return []
        return [(level.price.as_decimal(), Decimal(str(round(level.size(), 6)))) for level in book.asks()]

    def send(self, window: Window, order: Order, now_ms: int) -> None:
        """Let an order take its time."""
        took = window.market.latencies_ms[window.orders]
        window.orders += 1
        window.waiting, window.decided_ms, window.side = True, now_ms, order.side
        window.free_ms = now_ms + took + PAUSE_MS
        # Half a millisecond late: what arrives in the same one comes first, as in the sweep.
        at_ns = (now_ms + took) * MS + MS // 2
        name = f"{window.market.slug}#{window.orders}"
        self.clock.set_time_alert_ns(name, at_ns, lambda _: self.arrive(window, order))

    def arrive(self, window: Window, order: Order) -> None:
        """Hand the order to NautilusTrader's matching, as a FOK limit order in shares."""
        window.waiting = False
        if self.now_ms() >= window.market.end_s * 1000:
            window.killed += 1
            return
        token = window.market.token(order.side)
        shares, cost = spend(self.asks(token), order.usd, order.limit)
        if order.usd - cost >= LEFT_OVER:
            # The book does not hold it all: more shares than there are, so that the matching itself kills it.
            shares += ((order.usd - cost) / order.limit).quantize(SHARE)
        self.submit_order(
            self.order_factory.limit(
                instrument_id=token,
                order_side=OrderSide.BUY,
                quantity=Quantity(shares, 6),
                price=Price(order.limit, PLACES),
                time_in_force=TimeInForce.FOK,
            )
        )

    def on_order_canceled(self, event: Any) -> None:
        """Count a FOK order that NautilusTrader killed."""
        self.windows[self.of_token[event.instrument_id]].killed += 1

    def on_order_rejected(self, event: Any) -> None:
        """Count an order that NautilusTrader found no market for."""
        self.windows[self.of_token[event.instrument_id]].killed += 1

    def on_order_filled(self, event: Any) -> None:
        """Leave a market alone after a fill."""
        if event.order_side == OrderSide.BUY:
            self.windows[self.of_token[event.instrument_id]].done = True


# --- one run ------------------------------------------------------------------------------------------------


def play(asked: dict[str, Any], values: dict[str, float], latencies: dict[str, list[int]]) -> dict[str, Any]:
    """Play one set of parameters over every window; return trades by window, and the account's profit."""
    markets = read_markets(asked | {"latencies_ms": latencies})
    rule = Rule(**values)
    rows = Rows(markets)
    data = list(rows.data(Path(asked["replay_csv"])))
    config = BacktestEngineConfig(
        trader_id=TraderId("ORACLE-001"), logging=LoggingConfig(bypass_logging=True)
    )
    engine = BacktestEngine(config)
    cash = Money(CASH_USD, USDC)
    fees = {market.token(side): market.fee for market in markets for side in SIDES}
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        starting_balances=[cash],
        base_currency=USDC,
        fee_model=Schedule(fees, rule.fallback_fee_rate),
        book_type=BookType.L2_MBP,
        use_message_queue=False,
    )
    for market in markets:
        for side in SIDES:
            engine.add_instrument(instrument(market.token(side), market))
    strategy = Hammer(markets, rule, rows.ticks)
    engine.add_strategy(strategy)
    engine.add_data(data, client_id=ROWS, validate=False)
    engine.run()
    trades = {slug: trade_of(engine, window) for slug, window in strategy.windows.items()}
    account = engine.cache.account_for_venue(VENUE).balance_total(USDC)
    profit = float(account.as_decimal() - cash.as_decimal())
    engine.dispose()
    return {"trades": trades, "account_profit": profit}


def trade_of(engine: BacktestEngine, window: Window) -> dict[str, Any]:
    """Return what NautilusTrader booked for a window."""
    told: dict[str, Any] = {"orders": window.orders, "killed": window.killed, "filled": 0}
    if not window.done:
        return told
    token = window.market.token(window.side)
    (position,) = engine.cache.positions(instrument_id=token)
    buys = [event for event in position.events if event.order_side == OrderSide.BUY]
    shares = sum(event.last_qty.as_decimal() for event in buys)
    cost = sum(event.last_qty.as_decimal() * event.last_px.as_decimal() for event in buys)
    fee = sum(event.commission.as_decimal() for event in buys)
    return told | {
        "filled": 1,
        "decided_ms": window.decided_ms,
        "side": window.side,
        "shares": float(shares),
        "price": float(cost / shares),
        "fee": float(fee),
        "profit": float(position.realized_pnl.as_decimal()),
        "closed": bool(position.is_closed),
    }


def main() -> int:
    """Read what is asked for from standard input, write what came of it to standard output, both JSON."""
    asked = json.load(sys.stdin)
    runs = [play(asked, run["rule"], run["latencies_ms"]) for run in asked["runs"]]
    json.dump({"nautilus_trader": nautilus_trader.__version__, "runs": runs}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
