"""Go on where earlier sessions ended: their money, their orders, their breakers, the rules they trusted."""

from collections.abc import Iterable

from engine import events as e
from engine.core import breakers
from engine.core.ledger import Holding
from engine.core.orders import UNKNOWN, change_of, take_up
from engine.core.state import Market, State, TrustedRule
from engine.core.trading import Order, OrderIntent
from engine.events import PastRule


def restored(state: State, event: e.LedgerRestored) -> list[Market]:
    """Go on where earlier sessions ended: their money, breakers and orders, and the windows they are in."""
    trading = state.trading
    _restore_money(state, event)
    on_paper = [past for past in event.orders if not past.venue_order_id]
    for past in event.orders:
        trading.traded_before.add(past.slug)
        if past.venue_order_id:
            _take_up_again(state, past)
    for fill in event.fills:
        if fill.trade_id:
            trading.told_trades[fill.trade_id] = "CONFIRMED" if fill.is_final else "MATCHED"
    # An order that is looked for again keeps what it is known to have bought, final or not.
    followed = {fill.order_id for fill in event.fills if fill.trade_id and not fill.is_final}
    followed |= {past.order_id for past in event.orders if past.venue_order_id}
    for fill in event.fills:
        order = _order_of(state, fill) if fill.trade_id and fill.order_id in followed else None
        if order is not None and not fill.is_final:
            trading.trades_to_follow[fill.trade_id] = order
    state.ledger.take_changes()  # they come from the file
    state.ledger.begin_session()
    for past in on_paper:
        _let_go(state, past)
    state.breakers |= dict(event.breakers)
    trading.traded_before |= set(event.unresolved)
    trading.named |= dict(event.named)
    state.rules |= trusted(event.rules)
    breakers.look(state)
    return list(state.markets.values())


def trusted(rules: Iterable[PastRule]) -> dict[str, TrustedRule]:
    """Return the rules that the ledger's file trusts, by the windows' kind."""
    return {past.name: TrustedRule(past.rule, past.words, past.version, past.fee) for past in rules}


def _restore_money(state: State, event: e.LedgerRestored) -> None:
    """Book what is told; results from before an operator cleared the breakers are not judged again."""
    trading = state.trading
    for fill in event.fills:
        state.ledger.book(fill)
        trading.traded_before.add(fill.slug)
    state.ledger.go_on_from(event.before_e6 - event.judged_e6)
    # In the order in which they were told, whatever the clock did meanwhile: a correction comes last.
    old = [place for place, paid in enumerate(event.settlements, 1) if paid.at_ms <= event.cleared_ms]
    count = max(old, default=0)
    for settlement in event.settlements:  # of a window whose only match was undone: more may be found of it
        state.ledger.holdings.setdefault(settlement.slug, Holding())
    for paid in event.settlements[:count]:
        state.ledger.settle(paid.slug, paid.outcome, paid.at_ms, paid.source)
    if event.cleared_ms:
        state.ledger.judge_anew()
    state.ledger.go_on_from(event.judged_e6, event.best_e6, event.results)
    for paid in event.settlements[count:]:
        state.ledger.settle(paid.slug, paid.outcome, paid.at_ms, paid.source)


def _take_up_again(state: State, past: e.PastOrder) -> None:
    """Look for an order of an earlier session whose end nobody knows."""
    order = Order(_intent_of(past), past.at_ms)
    order.state, order.reason = "unknown", "the engine ended before its answer came"
    order.venue_order_id = past.venue_order_id
    if past.venue_order_id:
        state.trading.by_venue_id[past.venue_order_id] = order
    take_up(state, order)
    state.trading.alarms[UNKNOWN] = f"{past.order_id}: of an earlier session"


def _let_go(state: State, past: e.PastOrder) -> None:
    """End a paper order that the engine did not outlive: nobody else knows of it, so it bought nothing."""
    order = Order(_intent_of(past), past.at_ms)
    order.state, order.reason = "killed", "on paper, and the engine ended before it was matched"
    order.ended_at_ms = state.now_ms
    state.ledger.note(change_of(order))


def _intent_of(past: e.PastOrder) -> OrderIntent:
    return OrderIntent(
        order_id=past.order_id,
        slug=past.slug,
        outcome=past.outcome,
        token=past.token,
        limit_e4=past.limit_e4,
        usd_e6=past.usd_e6,
        deadline_ms=past.at_ms,
        decided_seq=0,
        end_s=past.end_s,
        probability=past.probability,
        side=past.side,
        kind=past.kind,
        shares_e6=past.shares_e6,
        fee=past.fee,
    )


def _order_of(state: State, fill: e.PastFill) -> Order:
    """Return the order of a provisional fill of an earlier session, made anew for its following."""
    known = state.trading.orders.get(fill.order_id)
    if known is None:
        past = e.PastOrder(
            order_id=fill.order_id,
            slug=fill.slug,
            end_s=fill.end_s,
            outcome=fill.outcome,
            token="",
            side=fill.side,
            limit_e4=0,
            usd_e6=fill.cost_e6,
            shares_e6=fill.shares_e6,
            probability=fill.probability,
            venue_order_id="",
            at_ms=fill.at_ms,
        )
        known = Order(_intent_of(past), fill.at_ms)
        known.state = "filled"
        state.trading.orders[fill.order_id] = known
    known.trades[fill.trade_id] = "CONFIRMED" if fill.is_final else "MATCHED"
    known.shares_e6 += fill.shares_e6
    known.cost_e6 += fill.cost_e6
    known.fee_e6 += fill.fee_e6
    return known
