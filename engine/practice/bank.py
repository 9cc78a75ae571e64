"""The venue's money and shares, by double entry: whatever one holder gets, another one gave.

Holders are accounts (addresses in lower case) and the venue's own: its market maker, its fees, what is under
way, and the mint that practice money comes from. Amounts are whole millionths; the sum over all holders is
nought for each asset at every moment.
"""

from collections import defaultdict
from typing import Final, TypeAlias

Asset: TypeAlias = str

USD: Final = "USD"
MINT: Final = "mint"
MAKER: Final = "maker"
FEES: Final = "fees"
CLEARING: Final = "clearing"
"""Holds what a matched trade moves until it is mined."""


class Bank:
    """Who has how much of what, and how much of that is reserved by open orders."""

    def __init__(self) -> None:
        self._held: defaultdict[tuple[str, Asset], int] = defaultdict(int)
        self._reserved: defaultdict[tuple[str, Asset], int] = defaultdict(int)

    def move(self, source: str, target: str, asset: Asset, amount_e6: int) -> None:
        """Move something from one holder to another."""
        assert amount_e6 >= 0, "what moves has a direction already"
        self._held[source, asset] -= amount_e6
        self._held[target, asset] += amount_e6

    def balance(self, holder: str, asset: Asset) -> int:
        """Return what a holder has, what is reserved included."""
        return self._held[holder, asset]

    def available(self, holder: str, asset: Asset) -> int:
        """Return what a holder has and no open order reserves."""
        return self._held[holder, asset] - self._reserved[holder, asset]

    def reserve(self, holder: str, asset: Asset, amount_e6: int) -> None:
        """Set something aside for an open order, or let go of it (negative)."""
        self._reserved[holder, asset] += amount_e6
        assert self._reserved[holder, asset] >= 0, "nothing is let go twice"

    def holders(self, asset: Asset) -> dict[str, int]:
        """Return every holder of an asset, the venue's own included."""
        return {holder: amount for (holder, of), amount in self._held.items() if of == asset and amount}

    def sums(self) -> dict[Asset, int]:
        """Return the sum over all holders by asset: nought, or something was made or lost."""
        totals: defaultdict[Asset, int] = defaultdict(int)
        for (_, asset), amount in self._held.items():
            totals[asset] += amount
        return dict(totals)
