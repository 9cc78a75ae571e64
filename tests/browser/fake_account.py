"""What the scripted engine says of our leave to trade: on paper, with money, nothing restricted."""

from engine.params import Limits
from engine.snapshot import AccountView, HonestyView
from tests.browser.fake_scripts import Moment

CASH_USD = 1_000.0


def account(moment: Moment) -> AccountView:
    """Return the account; what orders under way may take is not free."""
    under_way = [order for order in moment.orders if order.state in ("intended", "sent")]
    return AccountView(
        live=False,
        armed=None,
        armed_why="",
        armed_until_ms=None,
        paused_why="",
        restriction="none",
        restriction_why="",
        restriction_until_ms=None,
        free_usd=CASH_USD - sum(order.usd for order in under_way),
        balance_told_ms=None,
        in_flight=len(under_way),
        unknown=0,
        ghost_fills=0,
        alarms={},
        honesty=HonestyView(orders=0, profit={}, filled={}),
        limits=Limits()._asdict(),
    )
