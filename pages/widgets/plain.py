"""Numbers and times as text, for pages made of Streamlit's own elements; unknown is None, never 0."""

import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from engine.run import table_text
from engine.snapshot import ContractView, ModeView

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


def signed_dollars(amount: float) -> str:
    """Write dollars with their sign first, ``+$1,234.50``; nought has none."""
    text = f"{abs(amount):,.2f}"
    sign = "" if text == "0.00" else "+" if amount > 0 else "-"
    return f"{sign}${text}"


def utc(at_ms: int | None) -> str:
    """Write Unix milliseconds as a time in UTC; unknown is a dash."""
    moment = table_text.time_of(at_ms)
    return "–" if moment is None else f"{moment:%d %b %H:%M:%S} UTC"


def time_now() -> str:
    """Write this moment as a time of day in UTC."""
    return f"{datetime.now(UTC):%H:%M:%S} UTC"


def wall(at_ms: int | None, rate: float) -> str:
    """Write a wall time; where the engine's clock runs faster, it is said which clock this is."""
    return utc(at_ms) if at_ms is None or rate == 1 else f"{utc(at_ms)} (wall time)"


def since(at_ms: int | None, rate: float) -> str:
    """Write since when something stands, to be put behind a word; nothing where nobody knows."""
    return "" if at_ms is None else f" since {wall(at_ms, rate)}"


def way_out(mode: ModeView) -> str:
    """Say what ends a halt, in one sentence; nothing without one. ``wayOut`` in the browser says the same."""
    if mode.halted_why is None:
        return ""
    if not (mode.breakers and mode.halted_why.startswith("breaker ")):
        return "It will not trade again before a restart."
    if mode.venue == "practice":
        return "A restart of practice ends it: practice begins anew."
    return "It outlives a restart: stop the engine, then the command clear-breakers ends it."


def engine_is(state: str, why: str | None) -> str:
    """Say how an engine is that is not well, and why, without a full stop."""
    if state == "elsewhere":
        words = marked_down(why or "trades elsewhere")
        return f"The engine {words}. This console only looks on, and KILL stops that one from here too"
    verb = "has" if state in ("failed", "stopped") else "is"
    return f"The engine {verb} {state}{f': {marked_down(why)}' if why else ''}"


def local(at_ms: int | None) -> str:
    """Write the same moment in the reader's own zone, for a hover."""
    moment = table_text.time_of(at_ms)
    return "" if moment is None else f"{moment.astimezone(_here()):%d %b %H:%M:%S} on your clock"


def noon_here() -> str:
    """Say how the reader's clock differs from UTC, by today's noon."""
    noon = datetime.now(UTC).replace(hour=12, minute=0)
    return f"12:00 UTC is {noon.astimezone(_here()):%H:%M} on your clock ({st.context.timezone or 'UTC'})"


def _here() -> tzinfo:
    """Return the reader's zone as his browser names it; UTC where that is unknown."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
