"""What happened since somebody looked last: as data for a page, and as Markdown to keep.

Read from the newest snapshot, the ledger, the running session's journal and the audit trail. What cannot be
read is one of the open questions; nothing is left out in silence. What it does not know: who asks.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine import events as e
from engine.config import Settings
from engine.errors import JournalError
from engine.run import journal_pages
from engine.run.books_paths import journal_of, ledger_of
from engine.run.ledger import read as ledger_read
from engine.run.ledger.read import ROWS_MOST, Part
from engine.snapshot import Snapshot
from engine.trail import Trail
from engine.units import ONE_E6, Milliseconds

HOUR_MS: Final = 3_600_000
DEFAULT_MS: Final = 8 * HOUR_MS
"""How far back a report goes where nobody said: a night, or a shift."""
FURTHEST_MS: Final = 31 * 24 * HOUR_MS
"""As far back as the engine itself remembers fills (``engine.run.ledger.file``)."""

CHANGES: Final = (
    "session_opened", "engine_halted", "kill_switch_changed", "venue_restricted", "alarm_raised",
    "trading_paused", "limits_tightened", "params_changed", "arm_changed", "backlog_changed",
    "frames_lost", "feed_closed",
)  # fmt: skip
"""Kinds of events that a handover tells of."""

Line = dict[str, Any]


class Section(NamedTuple):
    """A table of the report. ``empty`` is what to say where it has no rows."""

    name: str
    empty: str
    rows: tuple[Line, ...]


class Report(NamedTuple):
    """A handover. ``since_ms`` and ``until_ms`` are wall time; ``headline`` is one sentence."""

    since_ms: Milliseconds
    until_ms: Milliseconds
    headline: str
    sections: tuple[Section, ...]
    questions: tuple[str, ...]


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
    since = on_engines_clock(snapshot, since_ms)
    questions: list[str] = []
    ledger = ledger_of(settings)
    told = _told(journal_of(settings, snapshot.session), since, questions)
    fills, profit = _fills(ledger, since, questions), _settled(ledger, since, questions)
    windows = _windows(snapshot, since)
    sections = (
        Section("Windows that ended", "None ended.", windows),
        Section("Trades", "None.", fills),
        Section("Profit of the contracts that settled", "None of ours settled.", profit),
        Section("Halts, kills and pauses", "None.", _changes(told, _stops)),
        Section("Gaps and connections", "None.", _gaps(told)),
        Section("Restrictions and alarms", "None.", _changes(told, _warnings)),
        Section("Parameters, limits and arming", "Nothing changed.", _changes(told, _settings_changed)),
        Section("Who did what (audit trail)", "Nobody did anything.", _trail(settings, since_ms, questions)),
    )
    questions += _open(snapshot, windows)
    return Report(since_ms, snapshot.wall_ms, _headline(snapshot, sections), sections, tuple(questions))


def _told(journal: Path, since: Milliseconds, questions: list[str]) -> list[e.AnyEvent]:
    """Return the events a handover tells of, oldest first; what one look does not reach is a question."""
    try:
        after = journal_pages.seq_at(journal, since - 1)
        found = journal_pages.events_of(journal, CHANGES, after)
    except JournalError as error:
        questions.append(f"The journal could not be read: {error}.")
        return []
    if found.first_seq > after + 1:
        questions.append(
            f"The journal is longer than one look: events before number {found.first_seq:,} are not in this "
            "report."
        )
    if after == 0:
        questions.append("This session began after that moment: of earlier ones only the ledger tells.")
    return [record.event for record in found.records]


def _windows(snapshot: Snapshot, since: Milliseconds) -> tuple[Line, ...]:
    ended = [one for one in snapshot.settlements if one.end_s * 1000 >= since]
    return tuple(
        {
            "ended_ms": one.end_s * 1000,
            "window": one.slug,
            "outcome": one.outcome,
            "known_by": one.outcome_source,
            "verdict": one.verdict,
            "traded": "yes" if one.traded else "no",
            "profit": one.pnl,
        }
        for one in sorted(ended, key=lambda row: (row.end_s, row.slug), reverse=True)
    )


def _fills(ledger: Path, since: Milliseconds, questions: list[str]) -> tuple[Line, ...]:
    page = ledger_read.fills(ledger, Part(ROWS_MOST))
    if page.problem:
        questions.append(f"The ledger could not be read: {page.problem}.")
    provisional = sum(one.status == "MATCHED" for one in page.rows)
    if provisional:
        # Whenever they came: a match of before ``since`` may still fail.
        questions.append(f"Trades that the venue has matched and not confirmed: {provisional}.")
    rows = [one for one in page.rows if one.at_ms >= since]
    if len(rows) == ROWS_MOST:
        questions.append(f"There are more than {ROWS_MOST:,} trades: the ledger page has the rest.")
    return tuple(
        {
            "at_ms": one.at_ms,
            "window": one.slug,
            "what": f"{one.side.lower()} {one.outcome.title()}",
            "shares": one.shares_e6 / ONE_E6,
            "cost": one.cost_e6 / ONE_E6,
            "fees": one.fee_e6 / ONE_E6,
            "status": one.status,
        }
        for one in rows
    )


def _settled(ledger: Path, since: Milliseconds, questions: list[str]) -> tuple[Line, ...]:
    page = ledger_read.equity(ledger, Part(ROWS_MOST))
    rows = [one for one in page.rows if one.settled_ms >= since]
    if len(rows) == ROWS_MOST:
        questions.append(f"More than {ROWS_MOST:,} contracts settled: the ledger page has the rest.")
    return tuple(
        {
            "settled_ms": one.settled_ms,
            "window": one.slug,
            "profit": one.realised_e6 / ONE_E6,
            "equity": one.equity_e6 / ONE_E6,
        }
        for one in rows
    )


# --- what was told ------------------------------------------------------------------------------------------


def _changes(
    told: Iterable[e.AnyEvent], words_of: Callable[[e.AnyEvent], tuple[str, str] | None]
) -> tuple[Line, ...]:
    rows = ((event.ts_recv_ms, words_of(event)) for event in told)
    found = [{"at_ms": at_ms, "what": said[0], "why": said[1]} for at_ms, said in rows if said is not None]
    return tuple(reversed(found))


def _stops(event: e.AnyEvent) -> tuple[str, str] | None:
    match event:
        case e.EngineHalted():
            return "halted", event.why
        case e.KillSwitchChanged():
            return f"kill switch {'tripped' if event.latched else 'cleared'} by {event.who}", event.why
        case e.TradingPaused():
            return f"{'paused' if event.paused else 'resumed'} by {event.who}", event.why
        case e.SessionOpened():
            return "session opened", f"{event.session}, profile {event.profile}"
    return None


def _warnings(event: e.AnyEvent) -> tuple[str, str] | None:
    match event:
        case e.VenueRestricted():
            lifted = "restriction lifted: " if event.lifted else "restriction: "
            return f"{lifted}{event.restriction}", event.why
        case e.AlarmRaised():
            return (f"alarm: {event.name}" if event.why else f"alarm over: {event.name}"), event.why
        case e.BacklogChanged():
            return ("behind its feeds" if event.why else "caught up with its feeds"), event.why
    return None


def _settings_changed(event: e.AnyEvent) -> tuple[str, str] | None:
    match event:
        case e.ParamsChanged():
            return f"parameters, version {event.version}, by {event.who}", f"{event.text}: {event.why}"
        case e.LimitsTightened():
            now = ", ".join(f"{name} {value:g}" for name, value in event.limits.items())
            return f"limits tightened by {event.who}", f"{now}: {event.why}"
        case e.ArmChanged():
            return f"{'armed' if event.armed else 'disarmed'} by {event.who}", event.why
    return None


def _gaps(told: Iterable[e.AnyEvent]) -> tuple[Line, ...]:
    """Return a row for each feed and kind of gap: how often, when last, why last."""
    rows: dict[tuple[str, str], Line] = {}
    for event in told:
        match event:
            case e.FeedClosed():
                key, count, why = (event.feed, "connection lost"), 1, event.reason
            case e.FramesLost():
                key, count, why = (event.feed, "frames lost"), event.count, event.topic
            case _:
                continue
        before = rows.get(key, {"count": 0})["count"]
        rows[key] = {
            "feed": key[0], "what": key[1], "count": before + count, "last_ms": event.ts_recv_ms, "why": why,
        }  # fmt: skip
    return tuple(sorted(rows.values(), key=lambda row: int(row["last_ms"]), reverse=True))


def _trail(settings: Settings, since_ms: Milliseconds, questions: list[str]) -> tuple[Line, ...]:
    try:
        deeds, unread = Trail(settings.data_dir).read()
    except OSError as error:
        questions.append(f"The audit trail could not be read: {error.strerror}.")
        return ()
    if unread:
        questions.append(f"{unread} lines of the audit trail could not be read.")
    recent = [deed for deed in deeds if deed.at_ms >= since_ms]
    return tuple(
        {"wall_ms": deed.at_ms, "who": deed.who, "what": deed.what, "why": deed.why}
        for deed in reversed(recent[-ROWS_MOST:])
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
    waiting = sum(row["verdict"] == "waiting" for row in windows)
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
        f"{_count(len(windows), 'window')} ended, {_count(len(trades), 'trade')}, "
        f"{_count(len(profit), 'contract')} of ours settled for {earned:+,.2f} dollars, "
        f"{_count(len(stops), 'stop or start', 'stops and starts')}. The mode is {snapshot.mode.mode}."
    )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


# --- Markdown -----------------------------------------------------------------------------------------------


def to_markdown(told: Report) -> str:
    """Write a report as a Markdown document; what others wrote cannot break out of its cell."""
    parts = [
        f"# Handover, {moment(told.since_ms)} to {moment(told.until_ms)}",
        _safe(told.headline),
        "## Open questions",
        "\n".join(f"- {_safe(one)}" for one in told.questions) or "None.",
    ]
    for section in told.sections:
        parts += [f"## {section.name}", _table(section.rows) if section.rows else section.empty]
    return "\n\n".join(parts) + "\n"


def moment(at_ms: Milliseconds) -> str:
    """Write a time in UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


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
