"""What is known of our leave to trade: the venue's restrictions, the balance, the arming, an operator's word.

What it does not know: whether a trade would be good. Each restriction has its own behaviour
(docs/orders.md, "Restrictions"): some pass by themselves, some need an operator.
"""

from typing import Final

from engine import events as e
from engine.contract import Outcome
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

PROOF: Final = 2
"""Answers in a row that say the same before they are believed."""

DUST_E6: Final = ONE_E6 // 100
"""Shares that fills may fall short by: integer division at the exchange (protocol sheet, section 7.3)."""


def restricted(state: State, event: e.VenueRestricted) -> list[Market]:
    """The venue takes no orders of ours for one reason more, or less."""
    if event.lifted:
        state.trading.restrictions.pop(event.restriction, None)
    else:
        state.trading.restrictions[event.restriction] = event
    text = f"{event.restriction}: {'over' if event.lifted else event.why}"
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
    """Compare what the venue says we hold with the ledger; after settlement, see whether it was paid out.

    Shares reach the account some seconds after a match. So what is asked while an order or a trade of the
    window is under way, or before it was known to be over, says nothing; and once is no proof.
    """
    trading, key = state.trading, (event.slug, event.outcome)
    holding = state.ledger.holdings.get(event.slug)
    if holding is not None and holding.outcome is not None:
        _redeemed(state, event, won=holding.outcome == event.outcome)
        return
    if _is_moving(state, event):
        return
    trading.shares_told[key] = event.shares_e6
    ours = 0 if holding is None else holding.shares_e6[event.outcome]
    name = _name_of_difference(event.slug, event.outcome)
    if -orders.short_e6(holding, event.outcome) <= event.shares_e6 - ours <= DUST_E6:
        trading.shares_off.pop(key, None)
        trading.alarms.pop(name, None)
        return
    trading.shares_off[key] = trading.shares_off.get(key, 0) + 1
    what = f"venue {event.shares_e6 / ONE_E6:g}, ledger {ours / ONE_E6:g}"
    trading.alarms[name] = what
    trading.traded_before.add(event.slug)
    if event.shares_e6 < ours and trading.shares_off[key] >= PROOF and state.halted_why is None:
        # Less than we think is money that is gone; more is somebody else's order: that market is left alone.
        state.halted_why = f"{name}: {what}"


def forget_differences(state: State, slug: str) -> None:
    """End the alarms about shares of a window that is put away: from its end on nobody asks for them."""
    outcomes: tuple[Outcome, Outcome] = ("UP", "DOWN")
    for outcome in outcomes:
        state.trading.alarms.pop(_name_of_difference(slug, outcome), None)
        state.trading.shares_off.pop((slug, outcome), None)


def _name_of_difference(slug: str, outcome: Outcome) -> str:
    return f"{SHARES_DIFFER} {slug} {outcome.title()}"


def _is_moving(state: State, event: e.SharesTold) -> bool:
    """Say whether shares of a window may have been on their way when the venue was asked."""
    trading = state.trading
    if any(order.intent.slug == event.slug for order in trading.in_flight.values()):
        return True
    if any(order.intent.slug == event.slug for order in trading.trades_to_follow.values()):
        return True
    return any(
        order.intent.slug == event.slug and order.changed_ms >= event.asked_ms
        for order in trading.orders.values()
    )


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
