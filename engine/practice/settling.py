"""What trades and resolutions do to money and shares: at the match, on chain, and when a market pays.

A match takes what its owner gives at once and keeps it under way. MINED gives him what he gets; FAILED gives
back what he gave. So nothing that may still fail can be spent, and undoing is exact.
"""

from typing import Final

from engine.practice.bank import CLEARING, FEES, MAKER, MINT, USD, Bank
from engine.practice.trades import Trade
from engine.units import UsdE6

PRACTICE_MONEY_E6: Final = 10_000_000_000
"""What the practice account begins with: ten thousand dollars."""


class Settling:
    """The bank, and which tokens pay already."""

    def __init__(self, practice_address: str) -> None:
        self.bank = Bank()
        self.bank.move(MINT, practice_address.lower(), USD, PRACTICE_MONEY_E6)
        self._pays: dict[str, bool] = {}

    def match(self, trade: Trade) -> None:
        """Take what the owner gives: dollars and fee, or shares."""
        if trade.side == "BUY":
            given = trade.usd_e6 + trade.fee_e6
            self.bank.move(trade.entry.address, CLEARING, USD, given)
        else:
            self.bank.move(trade.entry.address, CLEARING, trade.entry.order.token, trade.size_e6)

    def mine(self, trade: Trade) -> None:
        """Give the owner what he gets, the maker the rest, and the venue its fee."""
        bank, owner, token = self.bank, trade.entry.address, trade.entry.order.token
        size, fee = trade.size_e6, trade.fee_e6
        if trade.side == "BUY":
            bank.move(CLEARING, MAKER, USD, trade.usd_e6)
            bank.move(CLEARING, FEES, USD, fee)
            bank.move(MAKER, owner, token, size)
        else:
            bank.move(CLEARING, MAKER, token, size)
            bank.move(MAKER, FEES, USD, fee)
            bank.move(MAKER, owner, USD, trade.usd_e6 - fee)
        self._redeem(owner, token)

    def fail(self, trade: Trade) -> None:
        """Give back what the owner gave."""
        owner, token = trade.entry.address, trade.entry.order.token
        if trade.side == "BUY":
            self.bank.move(CLEARING, owner, USD, trade.usd_e6 + trade.fee_e6)
        else:
            self.bank.move(CLEARING, owner, token, trade.size_e6)

    def pay(self, token: str, won: bool) -> UsdE6:
        """Redeem every share of a token that has resolved: a dollar for each that won.

        Returns:
            Millionths of a dollar paid.
        """
        self._pays[token] = won
        own = (MAKER, CLEARING)
        return sum(self._redeem(holder, token) for holder in self.bank.holders(token) if holder not in own)

    def _redeem(self, holder: str, token: str) -> UsdE6:
        """Turn a holder's shares into dollars, if the token pays already; also shares that came late."""
        if token not in self._pays:
            return 0
        shares = self.bank.balance(holder, token)
        self.bank.move(holder, MAKER, token, shares)
        paid = shares if self._pays[token] else 0
        self.bank.move(MAKER, holder, USD, paid)
        return paid
