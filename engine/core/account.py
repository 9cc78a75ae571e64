"""What is known of our leave to trade: the venue's restrictions, the balance, the arming, an operator's word.

What it does not know: whether a trade would be good. Each restriction has its own behaviour
(docs/feeds.md, "Restrictions"): some pass by themselves, some need an operator.
"""

from typing import Final

from engine import events as e
from engine.core import orders
from engine.core.state import Market, State
from engine.core.trading import OrderIntent
from engine.params import Limits, Params
from engine.snapshot import Mark
from engine.units import ONE_E6

LOOSER_IS_LESS: Final = ("edge_trades", "least_roi")
"""Limits that are stricter the greater they are."""

NEVER_TIGHTENED: Final = ("edge_trades",)
"""No number of windows is stricter than another."""

SHARES_DIFFER: Final = "shares differ"
STUCK_REDEEM: Final = "stuck redeem"
CANCEL_ALL: Final = "cancel-all"

DUST_E6: Final = ONE_E6 // 100
"""Shares that fills may fall short by: integer division at the exchange (protocol sheet, section 7.3)."""


def restricted(state: State, event: e.VenueRestricted) -> list[Market]:
    """The venue takes no orders of ours, or takes them again."""
    state.trading.restriction = None if event.restriction == "none" else event
    text = "takes orders again" if event.restriction == "none" else f"{event.restriction}: {event.why}"
    state.marks.append(Mark(state.now_ms, "restriction", "", text))
    return list(state.markets.values())


def balance_told(state: State, event: e.BalanceTold) -> list[Market]:
    """The venue told the account's dollars."""
    state.trading.balance = event
    return list(state.markets.values())


def armed(state: State, event: e.ArmChanged) -> list[Market]:
    """Live orders may leave, or may not any more."""
    state.trading.armed = event
    text = f"armed by {event.who}: {event.why}" if event.armed else f"not armed: {event.why}"
    state.marks.append(Mark(state.now_ms, "mode", "", text))
    return list(state.markets.values())


def alarm_raised(state: State, event: e.AlarmRaised) -> None:
    """Something needs an operator, or does not any more."""
    if event.why:
        state.trading.alarms[event.name] = event.why
        state.marks.append(Mark(state.now_ms, "alarm", "", f"{event.name}: {event.why}"))
    else:
        state.trading.alarms.pop(event.name, None)


def cancelled(state: State, event: e.OrdersCancelled) -> None:
    """Every open order of the account is gone."""
    state.trading.alarms.pop(CANCEL_ALL, None)
    state.marks.append(Mark(state.now_ms, "mode", "", f"{event.count} open orders cancelled: {event.why}"))


def shares_told(state: State, event: e.SharesTold) -> None:
    """Compare what the venue says we hold with the ledger; after settlement, see whether it was paid out."""
    holding = state.ledger.holdings.get(event.slug)
    ours = 0 if holding is None else holding.shares_e6[event.outcome]
    if holding is not None and holding.outcome is not None:
        _redeemed(state, event, won=holding.outcome == event.outcome)
        return
    if holding is not None and any(fill.at_ms >= event.asked_ms for fill in holding.fills.values()):
        return  # asked before our own fill was known: the next answer will tell
    if abs(event.shares_e6 - ours) <= DUST_E6:
        return
    what = (
        f"{event.slug} {event.outcome.title()}: venue {event.shares_e6 / ONE_E6:g}, ledger {ours / ONE_E6:g}"
    )
    state.trading.alarms[SHARES_DIFFER] = what
    state.trading.traded_before.add(event.slug)
    if event.shares_e6 < ours and state.halted_why is None:
        # Less than we think is money that is gone; more is somebody else's order: that market is left alone.
        state.halted_why = f"shares differ: {what}"


def _redeemed(state: State, event: e.SharesTold, *, won: bool) -> None:
    name = f"{STUCK_REDEEM} {event.slug}"
    if won and event.shares_e6 > DUST_E6:
        shares = event.shares_e6 / ONE_E6
        state.trading.alarms[name] = (
            f"{shares:g} winning shares are not paid out yet: redeem them at the venue"
        )
    else:
        state.trading.alarms.pop(name, None)


def paused(state: State, event: e.TradingPaused) -> list[Market]:
    """An operator stops new orders for a while, or lets them go on."""
    state.trading.paused = event if event.paused else None
    text = f"{'paused' if event.paused else 'resumed'} by {event.who}: {event.why}"
    state.marks.append(Mark(state.now_ms, "mode", "", text))
    return list(state.markets.values())


def limits_tightened(state: State, event: e.LimitsTightened) -> list[Market]:
    """Take stricter limits; what would loosen one is left as it is."""
    now = state.limits._asdict()
    stricter = {
        name: value
        for name, value in event.limits.items()
        if name in now and name not in NEVER_TIGHTENED and _is_stricter(name, value, now[name])
    }
    state.limits = Limits(**(now | stricter))
    state.params = _within(state.params, state.limits)
    text = ", ".join(f"{name} {now[name]:g} -> {value:g}" for name, value in stricter.items()) or "nothing"
    state.marks.append(Mark(state.now_ms, "mode", "", f"limits tightened by {event.who}: {text}"))
    return list(state.markets.values())


def params_changed(state: State, event: e.ParamsChanged) -> list[Market]:
    """Trade by other parameters from here on; never by an order larger than the limit."""
    state.params = _within(Params(**event.params), state.limits)
    state.trading.params_version = event.version
    text = f"parameters, version {event.version}, by {event.who}: {event.text}"
    state.marks.append(Mark(state.now_ms, "mode", "", text))
    return list(state.markets.values())


def _within(params: Params, limits: Limits) -> Params:
    """Return parameters whose order is no larger than a trade may be."""
    return params._replace(quote_size_usd=min(params.quote_size_usd, limits.max_usd_per_trade))


def _is_stricter(name: str, value: float, now: float) -> bool:
    return value > now if name in LOOSER_IS_LESS else 0 < value < now


def exit_asked(state: State, event: e.ExitAsked) -> OrderIntent | None:
    """An operator wants a holding sold."""
    return orders.leave(state, event)
