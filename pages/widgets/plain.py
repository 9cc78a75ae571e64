"""Numbers and times as text, for pages made of Streamlit's own elements; unknown is None, never 0."""

import re
from datetime import UTC, datetime

from engine.snapshot import ContractView

RUNNING = ("idle", "watch", "hammer")
"""Phases of a window that has begun and not ended."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+.!$|<>~:-])")


def instant(seconds: int) -> datetime:
    """Return a Unix second as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def window(contract: ContractView) -> str:
    """Name a window by length, start and end."""
    return f"{contract.name} {instant(contract.start_s):%H:%M}–{instant(contract.end_s):%H:%M}"


def running(contracts: list[ContractView]) -> list[ContractView]:
    """Return the windows that run now."""
    return [contract for contract in contracts if contract.phase in RUNNING]


def price_known_by(source: str | None, rung: str | None, error: float | None) -> str | None:
    """Say how a price is known: its source, its error if it has one, its rung."""
    if source is None:
        return None
    parts = [f"{source} ± ${error:.4f}" if error else source, rung]
    return ", ".join(part for part in parts if part)


def chance(probability: float | None) -> str | None:
    """Write a probability; rounding does not turn nearly sure into sure."""
    if probability is None:
        return None
    if 0.9999 < probability < 1:
        return "> 99.99%"
    return "< 0.01%" if 0 < probability < 0.0001 else f"{probability:.2%}"


def marked_down(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", text)
