"""A window ready to be bought, and orders in every state: the beginning of most tests of the order path."""

from engine import events as e
from engine.core.trading import Order, OrderIntent
from engine.params import Limits, Params
from tests.core.builders import DOWN, END_S, START_S, UP, Core, contract

SLUG = contract().slug
NOW_S = END_S - 12
NOW_MS = NOW_S * 1000
VENUE_ID = "0xabc"
PARAMS = Params(watch_return_threshold=1e-9, d_min_usd=0.01)


def ready(core: Core | None = None, limits: Limits | None = None) -> Core:
    """Bring a core to the last seconds of a window whose Up side is nearly certain; nothing is quoted yet."""
    core = core or Core(PARAMS, limits)
    core.describe()
    core.price(START_S, "70000", "twap", lag_ms=1_900)
    for second in range(END_S - 100, END_S - 13):
        core.price(second, 70_020.0 + second % 7)
    core.second(NOW_S)
    return core


def quote(core: Core, at_ms: int = NOW_MS, up_ask: int = 90) -> list[OrderIntent]:
    """Show books; return the intents that follow."""
    effects = core.book(DOWN, [(100 - up_ask, 500)], [(102 - up_ask, 500)], at_ms)
    effects += core.book(UP, [(up_ask - 2, 500)], [(up_ask, 500)], at_ms + 1)
    return [effect for effect in effects if isinstance(effect, OrderIntent)]


def bought(core: Core | None = None, at_ms: int = NOW_MS) -> tuple[Core, Order]:
    """Bring a core to its first order; return both."""
    core = ready(core)
    (intent,) = quote(core, at_ms)
    return core, core.state.trading.orders[intent.order_id]


def sign(core: Core, order: Order, venue_id: str = VENUE_ID) -> None:
    core.feed(
        e.OrderSigned(
            ts_recv_ms=NOW_MS + 5,
            order_id=order.intent.order_id,
            venue_order_id=venue_id,
            maker_e6=20_000_000,
            taker_e6=22_000_000,
            took_ms=1.5,
        )
    )


def trade(name: str, shares: int = 10_000_000, cost: int = 9_000_000, fee: int = 63_000) -> e.Trade:
    return e.Trade(name, shares, cost, fee, ((9_000, shares),))


def fill(core: Core, order: Order, *trades: e.Trade, at_ms: int = NOW_MS + 300) -> None:
    """Fill an order: by trades that are provisional, or, without any, finally, 10 shares at 90 cents."""
    core.feed(
        e.OrderFilled(
            ts_recv_ms=at_ms,
            order_id=order.intent.order_id,
            fills=() if trades else ((9_000, 10_000_000),),
            fee_e6=sum(one.fee_e6 for one in trades) or 63_000,
            trades=trades,
            is_final=not trades,
            took_ms=150.0,
        )
    )


def kill(core: Core, order: Order, at_ms: int = NOW_MS + 300) -> None:
    core.feed(e.OrderKilled(ts_recv_ms=at_ms, order_id=order.intent.order_id, reason="no match"))


def lose(core: Core, order: Order, at_ms: int = NOW_MS + 300) -> None:
    core.feed(e.OrderUnknown(ts_recv_ms=at_ms, order_id=order.intent.order_id, reason="timed out"))


def tell(core: Core, name: str, status: str, venue_id: str = VENUE_ID) -> None:
    core.feed(
        e.TradeStatusTold(ts_recv_ms=NOW_MS + 900, trade_id=name, venue_order_id=venue_id, status=status)
    )


def past_order(order_id: str = f"{SLUG}#1", venue_id: str = VENUE_ID) -> e.PastOrder:
    """Make an order of an earlier session whose end nobody knows."""
    return e.PastOrder(
        order_id=order_id,
        slug=SLUG,
        end_s=END_S,
        outcome="UP",
        token=UP,
        side="BUY",
        limit_e4=9_500,
        usd_e6=20_000_000,
        shares_e6=0,
        probability=0.97,
        venue_order_id=venue_id,
        at_ms=NOW_MS - 5_000,
    )


def past_trade(name: str, *, is_final: bool = False, cost: int = 9_000_000, **changes: object) -> e.PastFill:
    """Make a fill of an earlier session, 10 shares of Up at 90 cents."""
    facts: dict[str, object] = {
        "order_id": f"{SLUG}#1",
        "slug": SLUG,
        "end_s": END_S,
        "outcome": "UP",
        "shares_e6": 10_000_000,
        "cost_e6": cost,
        "fee_e6": 63_000,
        "at_ms": NOW_MS - 5_000,
        "probability": 0.97,
        "trade_id": name,
        "is_final": is_final,
    }
    return e.PastFill(**(facts | changes))  # type: ignore[arg-type]


def restored(*fills: e.PastFill, orders: tuple[e.PastOrder, ...] = (), **changes: object) -> e.LedgerRestored:
    facts: dict[str, object] = {
        "ts_recv_ms": (START_S - 400) * 1000,
        "fills": fills,
        "settlements": (),
        "breakers": (),
        "unresolved": tuple(order.slug for order in orders),
        "orders": orders,
    }
    return e.LedgerRestored(**(facts | changes))  # type: ignore[arg-type]
