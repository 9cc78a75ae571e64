"""What the venue itself says of our account: its trades and its bank, to be compared with our books."""

from typing import Final

from engine.core.ledger import Ledger
from engine.practice.bank import USD
from engine.practice.keys import PRACTICE_ADDRESS
from engine.practice.settling import PRACTICE_MONEY_E6
from engine.practice.venue import Venue

OWNER: Final = PRACTICE_ADDRESS.lower()


def account_differs(venue: Venue, ledger: Ledger) -> str | None:
    """Compare trades, and cash with what is still to be paid out.

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
        trade.id: (trade.fill.size_e6, trade.fill.usd_e6, trade.fill.fee_e6)
        for trade in trades
        if trade.status == "CONFIRMED"
    }
    if ours != theirs:
        odd = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        return f"{len(odd)} trades differ, such as {odd[0]}: {ours.get(odd[0])}, not {theirs.get(odd[0])}"
    spent = PRACTICE_MONEY_E6 - chain.settling.bank.balance(OWNER, USD)
    unpaid = _unpaid_e6(venue, ledger)
    return (
        "" if unpaid - ledger.cash_e6 == spent else f"cash {ledger.cash_e6}, unpaid {unpaid}, venue {-spent}"
    )


def _unpaid_e6(venue: Venue, ledger: Ledger) -> int:
    """Return what the ledger counts as paid out and the venue has not paid yet."""
    bank, total = venue.exchange.chain.settling.bank, 0
    for slug, holding in ledger.holdings.items():
        market = venue.markets.named(slug)
        if market is not None and holding.outcome is not None:
            total += bank.balance(OWNER, market.token(holding.outcome))
    return total
