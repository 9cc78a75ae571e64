"""What the venue itself says of our account: its trades and its bank, to be compared with our books."""

from typing import Final

from engine.core.ledger import Ledger
from engine.practice.bank import MINT, USD
from engine.practice.keys import PRACTICE_ADDRESS
from engine.practice.venue import Venue

OWNER: Final = PRACTICE_ADDRESS.lower()


def give(venue: Venue, money_e6: int) -> None:
    """Let our account begin with so much, in millionths of a dollar."""
    bank = venue.exchange.chain.settling.bank
    bank.move(OWNER, MINT, USD, bank.balance(OWNER, USD) - money_e6)


def cash_e6(venue: Venue) -> int:
    """Return what our account has at this moment, in millionths of a dollar: what matched is taken from it at
    once, and comes back where it fails."""
    return venue.exchange.chain.settling.bank.balance(OWNER, USD)


def has_matched(venue: Venue, venue_order_id: str) -> bool:
    """Say whether an order of ours is among the venue's, and has trades."""
    entry = venue.exchange.orders.get(venue_order_id)
    return entry is not None and bool(entry.trades)


def account_differs(venue: Venue, ledger: Ledger, money_e6: int) -> str | None:
    """Compare trades, and cash with what is still to be paid out.

    Args:
        venue: Theirs.
        ledger: Ours.
        money_e6: What the account began with.

    Returns:
        What differs, empty where nothing does; None while trades are under way.
    """
    chain = venue.exchange.chain
    trades = [trade for trade in chain.trades.values() if trade.entry.address == OWNER]
    if any(trade.status not in ("CONFIRMED", "FAILED") for trade in trades):
        return None
    ours = {
        trade_id: (fill.shares_e6, fill.cost_e6, fill.fee_e6)
        for holding in ledger.holdings.values()
        for (_, trade_id), fill in holding.fills.items()
    }
    theirs = {
        trade.id: (trade.size_e6, trade.usd_e6, trade.fee_e6)
        for trade in trades
        if trade.status == "CONFIRMED"
    }
    if ours != theirs:
        odd = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        return f"{len(odd)} trades differ, such as {odd[0]}: {ours.get(odd[0])}, not {theirs.get(odd[0])}"
    spent = money_e6 - chain.settling.bank.balance(OWNER, USD)
    unpaid, untold = _unpaid_e6(venue, ledger), _untold_e6(venue, ledger)
    if ledger.cash_e6 - unpaid + untold == -spent:
        return ""
    return f"cash {ledger.cash_e6}, unpaid {unpaid}, untold {untold}, venue {-spent}"


def _untold_e6(venue: Venue, ledger: Ledger) -> int:
    """Return what the venue has paid out of windows whose outcome the ledger does not know yet: there is a
    time for that, which is held to elsewhere."""
    total, pays = 0, venue.exchange.chain.settling._pays
    for slug, holding in ledger.holdings.items():
        market = venue.markets.named(slug)
        if market is not None and holding.outcome is None:
            total += sum(
                shares for outcome, shares in holding.shares_e6.items() if pays.get(market.token(outcome))
            )
    return total


def _unpaid_e6(venue: Venue, ledger: Ledger) -> int:
    """Return what the ledger counts as paid out and the venue has not paid yet."""
    bank, total = venue.exchange.chain.settling.bank, 0
    for slug, holding in ledger.holdings.items():
        market = venue.markets.named(slug)
        if market is not None and holding.outcome is not None:
            total += bank.balance(OWNER, market.token(holding.outcome))
    return total
