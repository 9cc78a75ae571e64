"""``python -m engine what-if`` and ``why-no-trade``: find the data, do the work, say it."""

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.config import Settings
from engine.core.ledger import DAY_MS
from engine.nouns import counted
from engine.run.export import Progress, nothing
from engine.run.funnel_report import why_no_trade
from engine.run.market_rows import Faults, MarketRowError
from engine.run.sessions.folder import find
from engine.run.table_text import typed
from engine.run.what_if.answer import WhatIfError, changeable, compare, variant_of, with_values
from engine.run.what_if.change import SAME_WINDOWS
from engine.run.what_if.sources import between, sessions_since, windows_of, write_progress
from engine.units import Milliseconds

BASES: Final = ("recorded", "current")
"""What is compared with: what the session was opened with, or what the settings say now."""


def values_of_words(words: Sequence[str]) -> dict[str, float]:
    """Read ``NAME=VALUE`` words.

    Raises:
        WhatIfError: One is none, or its setting cannot be changed.
    """
    values: dict[str, float] = {}
    for word in words:
        name, _, number = word.partition("=")
        name = name.strip().upper()
        if name not in changeable():
            near = difflib.get_close_matches(name, changeable(), n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise WhatIfError(f"{name[:80]!r} cannot be changed: {meant}{', '.join(changeable())} can")
        try:
            values[name] = float(number)
        except ValueError:
            raise WhatIfError(f"{word[:80]!r}: write NAME=VALUE, such as HAMMER_SECS=20") from None
    return values


class Wish(NamedTuple):
    """What is asked.

    ``sources`` are sessions, folders of windows, CSVs; ``values`` is what is changed, by setting.
    ``current``: compare with the settings in force, these values of them changed; None: with what the first
    source's session was opened with. Only windows that end after ``from_ms`` count.
    """

    sources: tuple[str, ...]
    values: Mapping[str, float]
    current: Mapping[str, float] | None = None
    from_ms: Milliseconds | None = None


def what_if(settings: Settings, wish: Wish, progress: Path | None = None) -> dict[str, Any]:
    """Decide again.

    Args:
        settings: Those in force.
        wish: What is asked.
        progress: A file that is told how far it is.
    Raises:
        EngineError: The wish or the data makes no sense.
    """
    faults = Faults()
    reading: Progress = write_progress(progress, "reading events") if progress else nothing
    found = windows_of(settings, wish.sources, faults, reading)
    windows = between(found, wish.from_ms, None)
    if not windows.windows:
        raise MarketRowError("no window of these sessions ends in that time")
    if wish.current is None:
        base = variant_of(settings, windows.params(), windows.limits())
    else:
        base = variant_of(settings)
        if wish.current:
            base = with_values(settings, base, wish.current)
    other = with_values(settings, base, wish.values)
    deciding = write_progress(progress, "deciding over rows") if progress else lambda *_: True
    report = compare(windows.windows, base, other, windows.sessions, deciding)
    return report | {"sessions": list(wish.sources), "problems": faults.told}


def day_span(day: datetime) -> tuple[Milliseconds, Milliseconds]:
    """Return begin and end of a UTC day."""
    begin = int(day.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC).timestamp() * 1000)
    return begin, begin + DAY_MS


def why(
    settings: Settings, session: str | None, day: datetime | None, progress: Path | None = None
) -> dict[str, Any]:
    """Say why a session, or the windows of a day, were not traded.

    Args:
        settings: Where sessions lie.
        session: A session, or the path of a recording; None: of a day.
        day: All windows that end on it, UTC.
        progress: A file that is told how far it is.
    Raises:
        EngineError: There is no such session, or it cannot be read.
    """
    playing: Progress = write_progress(progress, "playing events") if progress else nothing
    if session is not None:
        path = Path(session)
        found = path if path.exists() else find(settings.data_dir, session)
        return why_no_trade([found], progress=playing)
    assert day is not None
    begin, end = day_span(day)
    paths = [settings.data_dir / "sessions" / f"{name}.sqlite" for name in sessions_since(settings, begin)]
    return why_no_trade(paths, begin, end, playing)


def render(report: Mapping[str, Any]) -> str:
    """Write a what-if for a terminal."""
    lines = [f"{counted(report['windows'], 'window')}, {counted(report['rows'], 'row')}: {report['said']}"]
    lines += [f"  {row['name']} {row['base']:g} -> {row['changed']:g}" for row in report["parameters"]]
    for name in ("base", "changed"):
        told = report[name]
        rate = "-" if told["fill_rate"] is None else f"{told['fill_rate']:.0%}"
        others = ", ".join(
            f"{assumption} {figures['profit_usd']:+,.2f}"
            for assumption, figures in told["assumptions"].items()
        )
        lines.append(
            f"  {name:<8} {counted(told['orders'], 'order')}, {told['filled']} filled ({rate}), "
            f"profit {told['profit_usd']:+,.2f} USD after {told['fees_usd']:.2f} of fees ({others})"
        )
        if told["halted"]:
            lines.append(f"    halted: {told['halted']}")
    for row in report["differences"]:
        because = f" ({row['why']})" if row["why"] else ""
        change = f"{row['what']}{because}: {row['was']} -> {row['would_be']}"
        lines.append(f"  {row['slug']:<26} {typed(row['t_ms'])}  {change}")
    lines.append(f"  {SAME_WINDOWS}")
    lines += [f"!! {problem}" for problem in report["problems"]]
    return "\n".join(lines)
