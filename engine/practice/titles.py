"""Names, numbers and times of a market, as the venue makes them from its window."""

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from engine.contract import Contract

CREATED_BEFORE_S: Final = 86_571
"""Row creation, about a day before the window. Source: the open market captured on 2026-09-18."""

STARTED_BEFORE_S: Final = 86_477
"""``startDate`` before the window: creation, not the window's start. Same source."""

ORDERS_BEFORE_S: Final = 86_525
"""``acceptingOrdersTimestamp`` before the window. Same source."""


def market_id(contract: Contract) -> str:
    """Make a market's number, of the captures' length, from its window."""
    return str(4_000_000 + contract.start_s // 300 % 1_000_000 + (0 if contract.name == "5m" else 1_000_000))


def question(contract: Contract) -> str:
    """Write the market's title, in New York time as the venue does."""
    start, end = _eastern(contract.start_s), _eastern(contract.end_s)
    return f"Bitcoin Up or Down - {start:%B} {start.day}, {_clock(start)}-{_clock(end)} ET"


def event_id(contract: Contract) -> str:
    """Make the number of a market's event."""
    return str(int(market_id(contract)) - 3_000_000)


def question_id(contract: Contract) -> str:
    """Make the hash of a market's question."""
    return "0x" + hashlib.sha256(f"{contract.condition_id} question".encode()).hexdigest()


def number(amount: Decimal) -> int | float:
    """Write whole numbers without a point, as the venue's JSON does."""
    return int(amount) if amount == int(amount) else float(amount)


def moment(at_s: int) -> datetime:
    """Return a Unix second in UTC."""
    return datetime.fromtimestamp(at_s, UTC)


def iso(at_s: int) -> str:
    """Write a time to the second, as windows' times are."""
    return f"{moment(at_s):%Y-%m-%dT%H:%M:%SZ}"


def iso_fine(at_s: int) -> str:
    """Write a time with microseconds, as creation times have them."""
    return f"{moment(at_s):%Y-%m-%dT%H:%M:%S}.000000Z"


def _clock(at: datetime) -> str:
    return f"{at.hour % 12 or 12}:{at:%M}{'AM' if at.hour < 12 else 'PM'}"


def _eastern(at_s: int) -> datetime:
    """Return New York time by the United States' rule of 2007, so that no time zone database is needed."""
    at = moment(at_s)
    summer_starts = _sunday(at.year, 3, nth=2) + timedelta(hours=7)  # 2 a.m. standard time
    summer_ends = _sunday(at.year, 11, nth=1) + timedelta(hours=6)  # 2 a.m. summer time
    return at - timedelta(hours=4 if summer_starts <= at < summer_ends else 5)


def _sunday(year: int, month: int, nth: int) -> datetime:
    first = datetime(year, month, 1, tzinfo=UTC)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (nth - 1))
