"""What happened since somebody looked last: as data for a page, and as Markdown to keep.

Read from the newest snapshot, the ledger, the running session's journal and the audit trail. What cannot be
read is one of the open questions; nothing is left out in silence. Everything is chosen, and said, by the
wall; where the market's clock is another, its times stand beside. What it does not know: who asks.
"""

from typing import Final, NamedTuple

from engine import events as e
from engine.config import Settings
from engine.nouns import counted
from engine.run.books_paths import journal_of, ledger_of
from engine.run.handover_rows import (
    Asked,
    Line,
    acts,
    breakers,
    changes,
    gaps,
    newest,
    settings_changed,
    stops,
    told_events,
    trades,
    warnings,
    windows,
    with_clearers,
)
from engine.run.handover_times import Times, moment
from engine.snapshot import Snapshot
from engine.units import Milliseconds

HOUR_MS: Final = 3_600_000
DEFAULT_MS: Final = 8 * HOUR_MS
"""How far back a report goes where nobody said: a night, or a shift."""
FURTHEST_MS: Final = 31 * 24 * HOUR_MS
"""As far back as the engine itself remembers fills (``engine.run.ledger.file``)."""


class Section(NamedTuple):
    """A table of the report. ``empty`` is what to say where it has no rows."""

    name: str
    empty: str
    rows: tuple[Line, ...]


class Report(NamedTuple):
    """A handover. ``since_ms`` and ``until_ms`` are wall time; ``headline`` is one sentence.

    ``clocks`` says which times are which, where the market's clock is another than the wall's.
    """

    since_ms: Milliseconds
    until_ms: Milliseconds
    headline: str
    sections: tuple[Section, ...]
    questions: tuple[str, ...]
    clocks: str = ""


def default_since(now_ms: Milliseconds) -> Milliseconds:
    """Return where a report begins that nobody gave a beginning."""
    return now_ms - DEFAULT_MS


def within_reach(asked_ms: Milliseconds, now_ms: Milliseconds) -> Milliseconds:
    """Return a beginning that is neither in the future nor further back than the engine remembers."""
    return max(now_ms - FURTHEST_MS, min(asked_ms, now_ms))


def on_engines_clock(snapshot: Snapshot, wall_ms: Milliseconds) -> Milliseconds:
    """Return what the engine's clock showed at a wall time; practice's may run faster."""
    return snapshot.now_ms - round((snapshot.wall_ms - wall_ms) * snapshot.mode.clock_rate)


def report(snapshot: Snapshot, settings: Settings, since_ms: Milliseconds) -> Report:
    """Make a report of everything from a wall time on.

    Args:
        snapshot: The newest.
        settings: For the data folder.
        since_ms: Wall time, Unix milliseconds.
    Returns:
        The report; what cannot be read is among its questions.
    """
    questions: list[str] = []
    asked = Asked(since_ms, Times(snapshot, settings), questions)
    told = told_events(journal_of(settings, snapshot.session), on_engines_clock(snapshot, since_ms), asked)
    stopped = changes(with_clearers(told, settings, asked), asked, stops)
    fills, profit = trades(ledger_of(settings), asked)
    ended = windows(snapshot, asked)
    # Of earlier sessions the journal of this one knows nothing: no row is no proof of a quiet time.
    yet = " since this session began" if any(isinstance(one, e.SessionOpened) for one in told) else ""
    sections = (
        Section("Windows that ended", f"None ended{yet}.", ended),
        Section("Trades", "None.", fills),
        Section("Profit of the contracts that settled", "None of ours settled.", profit),
        Section("Halts, kills and pauses", f"None{yet}.", newest((*breakers(snapshot, asked), *stopped))),
        Section("Gaps and connections", f"None{yet}.", gaps(told, asked)),
        Section("Restrictions and alarms", f"None{yet}.", changes(told, asked, warnings)),
        Section(
            "Parameters, limits and arming",
            f"Nothing changed{yet}.",
            changes(told, asked, settings_changed),
        ),
        Section("Who did what (audit trail)", "Nobody did anything.", acts(settings, since_ms, questions)),
    )
    questions += _open(snapshot, ended)
    headline, clocks = _headline(snapshot, sections), _clocks(asked.times)
    return Report(since_ms, snapshot.wall_ms, headline, sections, tuple(questions), clocks)


def _clocks(times: Times) -> str:
    """Say which times are which; nothing where there is but one clock."""
    if not times.differ:
        return ""
    fast = f"runs {times.rate:g} times as fast as the wall" if times.rate != 1 else "is not the wall's"
    return (
        f"The market's clock {fast}. The report goes by the wall; windows, trades and profit have the "
        "market's own time beside it."
    )


# --- what is open -------------------------------------------------------------------------------------------


def _open(snapshot: Snapshot, windows: tuple[Line, ...]) -> list[str]:
    mode, account = snapshot.mode, snapshot.account
    found = [f"{name}: {why}" for name, why in account.alarms.items()]
    if mode.kill_latched:
        found.append(f"The kill switch is latched by {mode.kill_who}: {mode.kill_why}.")
    if mode.halted_why is not None:
        found.append(f"The engine is halted: {mode.halted_why}.")
    if account.paused_why:
        found.append(f"Trading is paused by {account.paused_why}.")
    if account.restriction != "none":
        found.append(f"The venue does not take orders ({account.restriction}): {account.restriction_why}.")
    if account.unknown:
        found.append(f"Orders of unknown fate: {account.unknown}.")
    found += [
        f"{row['window']} came out as {row['verdict']}."
        for row in windows
        if row["verdict"] in ("drift", "outside error")
    ]
    waiting = sum(row["verdict"].startswith("waiting") for row in windows)
    if waiting:
        found.append(f"Windows that wait for the venue's word: {waiting}.")
    if mode.reduced_trading_confidence:
        found.append("The settlement feed is stale: the engine lives on spot.")
    if mode.behind_why:
        found.append(f"The engine is behind its feeds: {mode.behind_why}.")
    return found


def _headline(snapshot: Snapshot, sections: tuple[Section, ...]) -> str:
    windows, trades, profit, stops = (sections[place].rows for place in range(4))
    earned = sum(row["profit"] for row in profit)
    return (
        f"{counted(len(windows), 'window')} ended, {counted(len(trades), 'trade')}, "
        f"{counted(len(profit), 'contract')} of ours settled for {earned:+,.2f} dollars, "
        f"{counted(len(stops), 'stop or start', 'stops and starts')}. The mode is {snapshot.word}."
    )


# --- Markdown -----------------------------------------------------------------------------------------------


def to_markdown(told: Report) -> str:
    """Write a report as a Markdown document; what others wrote cannot break out of its cell."""
    parts = [
        f"# Handover, {moment(told.since_ms)} to {moment(told.until_ms)}",
        _safe(told.headline),
        *([told.clocks] if told.clocks else []),
        "## Open questions",
        "\n".join(f"- {_safe(one)}" for one in told.questions) or "None.",
    ]
    for section in told.sections:
        parts += [f"## {section.name}", _table(section.rows) if section.rows else section.empty]
    return "\n\n".join(parts) + "\n"


def _table(rows: tuple[Line, ...]) -> str:
    names = list(rows[0])
    lines = [[name.removesuffix("_ms") for name in names], ["---"] * len(names)]
    lines += [[_cell(name, row[name]) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(name: str, value: object) -> str:
    if value is None:
        return "–"
    if name.endswith("_ms"):
        assert isinstance(value, int)
        return moment(value)
    return f"{value:,.2f}" if isinstance(value, float) else _safe(str(value))


def _safe(text: str) -> str:
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
