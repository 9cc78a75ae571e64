"""One Up/Down window and the rules that settle it.

What it does not know: prices, books, time. A rule is data of each market (it changed twice in August 2026),
never a constant of the program.
"""

from decimal import Decimal
from typing import Final, Literal, TypeAlias

import msgspec

from engine.units import PriceE4, SizeE6

Outcome: TypeAlias = Literal["UP", "DOWN"]

DURATIONS_S: Final = {"5m": 300, "15m": 900}


LEAST_SHARES_E6: Final = 5_000_000
"""A BTC window's smallest order, millionths of a share, where nothing says another (protocol sheet, 7.3)."""


class SettlementRule(msgspec.Struct, frozen=True):
    """How a market settles: spot, or the mean of the ``lookback_s`` seconds before the stamp."""

    basis: Literal["spot", "twap"]
    lookback_s: int = 0

    def __str__(self) -> str:
        return f"TWAP over {self.lookback_s} s" if self.basis == "twap" else "spot"


class FeeSchedule(msgspec.Struct, frozen=True):
    """The taker's fee per share: ``rate * (p * (1 - p)) ** exponent``. Source: protocol sheet, section 6."""

    rate: Decimal
    exponent: Decimal


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """One window of "BTC Up or Down" as the venue describes it.

    ``rule`` and ``fee`` are None where the venue's words were missing or not understood; ``rule_text`` holds
    those words, so that the operator can read what the engine could not.
    """

    slug: str
    condition_id: str
    start_s: int
    end_s: int
    token_up: str
    token_down: str
    rule: SettlementRule | None
    rule_text: str
    fee: FeeSchedule | None
    tick_e4: PriceE4
    min_size_e6: SizeE6
    accepting: bool
    version: str

    @property
    def duration_s(self) -> int:
        return self.end_s - self.start_s

    @property
    def name(self) -> str:
        """The window's length as people say it: ``5m`` or ``15m``."""
        return f"{self.duration_s // 60}m"


def slug_of(name: str, start_s: int) -> str:
    """Write the slug of a window. Source: protocol sheet, section 4.2.

    Args:
        name: ``5m`` or ``15m``.
        start_s: Unix second at which the window starts.
    """
    return f"btc-updown-{name}-{start_s}"


def window_start(name: str, now_s: int) -> int:
    """Return the Unix second at which the window that holds ``now_s`` started."""
    return now_s - now_s % DURATIONS_S[name]


def outcome_of(strike: Decimal, final: Decimal) -> Outcome:
    """Settle: a tie is Up. Source: settlement-and-strategy, section 1 (2,680 of 2,680 windows)."""
    return "UP" if final >= strike else "DOWN"
