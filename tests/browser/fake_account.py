"""What the scripted engine says of our leave to trade: on paper, with money, nothing restricted."""

from engine.params import Limits, Params
from engine.snapshot import AccountView, HonestyView, LimitView
from tests.browser.fake_scripts import BOUNDARY_S, Moment

CASH_USD = 1_000.0
ORDER_USD = 21.4
"""One order with the most its fee can be."""


def account(moment: Moment) -> AccountView:
    """Return the account; what orders under way may take is not free."""
    under_way = [order for order in moment.orders if order.state in ("intended", "sent")]
    script = moment.script
    return AccountView(
        live=script.live,
        armed=script.armed if script.live else None,
        armed_why="first day" if script.armed else "" if not script.live else "nobody armed it",
        armed_until_ms=BOUNDARY_S * 1000 + 1_800_000 if script.armed else None,
        paused_why=script.paused_why,
        restriction=script.restriction,
        restriction_why="the venue answered 429" if script.restriction != "none" else "",
        restriction_until_ms=(BOUNDARY_S + 600) * 1000 if script.restriction != "none" else None,
        free_usd=CASH_USD - sum(order.usd for order in under_way),
        balance_told_ms=None,
        in_flight=len(under_way),
        unknown=1 if "order of unknown fate" in script.alarms else 0,
        ghost_fills=0,
        alarms=dict(script.alarms),
        honesty=HonestyView(orders=0, profit={}, filled={}),
        limits=Limits()._asdict(),
        params=Params()._asdict(),
        used=limits_used(moment),
        armed_who="anna" if script.armed else "",
        armed_since_ms=BOUNDARY_S * 1000 if script.live else None,
        paused_since_ms=(BOUNDARY_S + 240) * 1000 if script.paused_why else None,
        paused_who=script.paused_why.partition(":")[0],
    )


def limits_used(moment: Moment) -> list[LimitView]:
    """Return the limits with one order filled in each window that had its hammer."""
    trades = float(sum(order.state == "filled" for order in moment.orders))
    cost = trades * 20.1
    return [
        LimitView("daily loss", "$", 12.5, 12.5 + cost + ORDER_USD, 250.0, False),
        LimitView("trades an hour", "trades", trades, trades + 1, 4.0, trades >= 4),
        LimitView("exposure", "$", cost, cost + ORDER_USD, 100.0, cost + ORDER_USD > 100.0),
        LimitView("correlated loss", "$", cost, cost + ORDER_USD, 30.0, cost + ORDER_USD > 30.0),
        LimitView("balance", "$", 0.0, ORDER_USD, CASH_USD, False),
    ]
