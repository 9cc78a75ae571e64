"""Times and whole tables as text, for pages and downloads; and times that somebody typed."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from engine.units import Milliseconds

DAYS_LEAST_MS: Final = 0
DAYS_MOST_MS: Final = 4_102_444_800_000
"""2100-01-01: beyond it somebody typed something else."""

_TYPED: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?) ?(?:Z|UTC)?", re.ASCII | re.IGNORECASE
)

_SIGNED: Final = re.compile(
    r"[+-](?:[0-9. ]|inf|$)(?:[^=|!()@\"\t\r\n+*^&<>/-]|[+*^&<>/-](?![A-Za-z])|(?<=\$)/(?=[A-Za-z]))*+"
)
"""A sign, alone or before a number, and behind it words: no call, no pipe, no cell of this or another sheet.
Of its choices only one fits at each character, and ``*+`` never goes back: by an expression that tries many
ways, whoever may type a name could hold the interpreter."""


def time_of(at_ms: Milliseconds | None) -> datetime | None:
    """Return Unix milliseconds as a time in UTC; None where they are unknown or no time at all."""
    if at_ms is None or not DAYS_LEAST_MS <= at_ms <= DAYS_MOST_MS:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def moment_of(text: str) -> Milliseconds | None:
    """Read a time that somebody typed: ``2026-08-20 14:30``, seconds and ``Z`` as they like; always UTC.

    Returns:
        Unix milliseconds; None where it is no time.
    """
    found = _TYPED.fullmatch(text.strip())
    if found is None:
        return None
    try:
        told = datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00")
    except ValueError:
        return None
    at_ms = round(told.timestamp() * 1000)
    return at_ms if DAYS_LEAST_MS <= at_ms <= DAYS_MOST_MS else None


def typed(at_ms: Milliseconds) -> str:
    """Write a time as ``moment_of`` reads it, to the second."""
    told = time_of(at_ms)
    return "" if told is None else f"{told:%Y-%m-%d %H:%M:%S}"


def lasted(seconds: float | None) -> str | None:
    """Write how long something lasts, in the two units that a reader needs."""
    if seconds is None:
        return None
    whole = int(seconds)
    (minutes, second), (hours, minute) = divmod(whole, 60), divmod(whole // 60, 60)
    if hours >= 24:
        return f"{hours // 24:,} d {hours % 24} h"
    return f"{hours} h {minute} min" if hours else f"{minutes} min {second} s" if minutes else f"{whole} s"


def megabytes(size: float | None) -> str | None:
    """Write a size that is told in MB, in GB from a thousand of them on."""
    if size is None:
        return None
    return f"{size / 1000:,.1f} GB" if size >= 1000 else f"{size:,.1f} MB"


def replay_address(base: str, session: str, at_ms: Milliseconds | None) -> str:
    """Write where a session's moment is replayed; ``moment_of`` reads it back to the millisecond.

    Args:
        base: What the console's paths begin with, if anything: ``/ops``.
        session: Its id, or the name of a file of market data.
        at_ms: The moment; None opens the session at its beginning.
    """
    return f"{base}/replay?{urlencode(replay_words(session, at_ms), quote_via=quote, safe='/:')}"


def sign_in_link(base: str, page: str, asked: dict[str, str]) -> str:
    """Return where one signs in, and comes back from to the page and its query.

    Args:
        base: The console's base path, without a slash at its end.
        page: The page's name; empty for the first one.
        asked: The query's words.
    """
    query = urlencode(asked)
    to = quote(f"{page}{f'?{query}' if query else ''}", safe="")
    return f"{base}/sign-in{f'?to={to}' if to else ''}"


def replay_words(session: str, at_ms: Milliseconds | None) -> dict[str, str]:
    """Return what the address of a session's moment says, by name."""
    told = time_of(at_ms)
    if told is None:
        return {"session": session}
    return {"session": session, "t": f"{told:%Y-%m-%dT%H:%M:%S}.{told.microsecond // 1000:03d}Z"}


def timed(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with their ``_ms`` columns as times."""
    return [
        {name: time_of(value) if name.endswith("_ms") else value for name, value in row.items()}
        for row in rows
    ]


def to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows as CSV with a line of names; times as ISO 8601 in UTC, unknown as nothing.

    A text that a spreadsheet would run as a formula gets an apostrophe before it: reasons are others' words.
    """
    written = io.StringIO()
    writer: Any = None
    for row in rows:
        if writer is None:
            writer = csv.writer(written, lineterminator="\n")
            writer.writerow([name.replace("_ms", "_utc") if name.endswith("_ms") else name for name in row])
        writer.writerow([_plain(name, value) for name, value in row.items()])
    return written.getvalue()


def _plain(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name.endswith("_ms"):
        told = time_of(value)
        return "" if told is None else told.isoformat(timespec="milliseconds")
    if isinstance(value, tuple | list):
        value = "; ".join(str(one) for one in value)
    return cell(value) if isinstance(value, str) else str(value)


def shown(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows as a page's table may have them: times, and texts that no spreadsheet runs.

    A browser's own button on a table writes it as CSV as it is, and its cells can be copied. Numbers with a
    sign and a unit stay as they are: they are no formula.
    """
    return [{name: _harmless(value) for name, value in row.items()} for row in timed(rows)]


def _harmless(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_harmless(one) for one in value]
    return cell(value) if isinstance(value, str) and not _SIGNED.fullmatch(value) else value


def cell(text: str) -> str:
    """Write a text as one cell that no spreadsheet takes for a formula or for two lines."""
    text = text.replace("\r", " ").replace("\n", " ")
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
