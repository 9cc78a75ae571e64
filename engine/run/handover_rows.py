"""The rows of a handover: what happened since somebody looked last, by the wall.

Read from the newest snapshot, the ledger, the running session's journal and the audit trail. What cannot be
read is one of the report's open questions. What it does not know: how a report is written.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import structs

from engine import events as e
from engine.config import Settings
from engine.errors import JournalError
from engine.nouns import counted
from engine.run import journal_pages
from engine.run.handover_times import Times, moment
from engine.run.ledger import read as ledger_read
from engine.run.ledger.read import ROWS_MOST, FillRow, Part
from engine.snapshot import Snapshot
from engine.trail import Deed, Trail
from engine.units import ONE_E6, Milliseconds

CHANGES: Final = (
    "session_opened", "engine_halted", "kill_switch_changed", "venue_restricted", "alarm_raised",
    "trading_paused", "limits_tightened", "params_changed", "arm_changed", "backlog_changed",
    "frames_lost", "feed_closed",
)  # fmt: skip
"""Kinds of events that a handover tells of."""

SEEN_WITHIN_MS: Final = 10_000
"""The engine looks at the latch several times a second; a fast clock's wall time is a reckoning."""

Line = dict[str, Any]


class Asked(NamedTuple):
    """What is asked: from which wall time on; what cannot be read is added to ``questions``."""

    since_ms: Milliseconds
    times: Times
    questions: list[str]

    def holds(self, wall_ms: Milliseconds | None) -> bool:
        """Say whether a moment is in the report; what cannot be placed is not."""
        return wall_ms is not None and wall_ms >= self.since_ms

    def when(self, name: str, at_ms: Milliseconds, wall_ms: Milliseconds | None) -> Line:
        """Begin a row of the market's doings: by the wall and, where that is another, by its own clock."""
        return {"wall_ms": wall_ms, name: at_ms} if self.times.differ else {name: at_ms}


def told_events(journal: Path, since: Milliseconds, asked: Asked) -> list[e.AnyEvent]:
    """Return the events a handover tells of, oldest first; what one look does not reach is a question."""
    questions = asked.questions
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
        opened_ms = asked.times.wall(found.records[0].event.ts_recv_ms) if found.records else None
        began = "" if opened_ms is None else f" at {moment(opened_ms)}"
        questions.append(
            f"This session began{began}, after that moment: of earlier ones there are trades, profit and who "
            "did what, and no windows, halts, gaps or alarms. The page Sessions has them."
        )
    return [record.event for record in found.records]


def windows(snapshot: Snapshot, asked: Asked) -> tuple[Line, ...]:
    placed = [(asked.times.wall(one.end_s * 1000), one) for one in snapshot.settlements]
    ended = [(wall_ms, one) for wall_ms, one in placed if asked.holds(wall_ms)]
    return tuple(
        asked.when("ended_ms", one.end_s * 1000, wall_ms)
        | {
            "window": one.slug,
            "outcome": one.outcome,
            "known_by": one.outcome_source,
            "verdict": one.verdict_words,
            "traded": "yes" if one.traded else "no",
            "profit": one.pnl,
        }
        for wall_ms, one in sorted(ended, key=lambda row: (row[1].end_s, row[1].slug), reverse=True)
    )


def trades(ledger: Path, asked: Asked) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Return trades, and what the contracts came to that settled; newest first by the wall."""
    page = ledger_read.fills(ledger, Part(ROWS_MOST))
    questions, sessions = asked.questions, {one.slug: one.session for one in reversed(page.rows)}
    if page.problem:
        questions.append(f"The ledger could not be read: {page.problem}.")
    provisional = sum(one.status == "MATCHED" for one in page.rows)
    if provisional:
        # Whenever they came: a match of before ``since`` may still fail.
        questions.append(f"Trades that the venue has matched and not confirmed: {provisional}.")
    placed = [(asked.times.wall(one.at_ms, one.session), one) for one in page.rows]
    lost = sum(wall_ms is None for wall_ms, _ in placed)
    if lost:
        words = counted(lost, "trade of a session whose journal is", "trades of sessions whose journals are")
        questions.append(
            f"{words} gone cannot be placed in time and stand in no row here: the ledger page has all."
        )
    rows = [(wall_ms, one) for wall_ms, one in placed if asked.holds(wall_ms)]
    if len(rows) == ROWS_MOST:
        questions.append(f"There are more than {ROWS_MOST:,} trades: the ledger page has the rest.")
    return newest(_fill(one, wall_ms, asked) for wall_ms, one in rows), _settled(ledger, sessions, asked)


def newest(rows: Iterable[Line]) -> tuple[Line, ...]:
    """Sort rows by the wall, newest first; without it they are sorted already."""
    return tuple(sorted(rows, key=lambda row: int(row.get("wall_ms") or 0), reverse=True))


def _fill(one: FillRow, wall_ms: Milliseconds | None, asked: Asked) -> Line:
    return asked.when("at_ms", one.at_ms, wall_ms) | {
        "window": one.slug,
        "what": f"{one.side.lower()} {one.outcome.title()}",
        "shares": one.shares_e6 / ONE_E6,
        "cost": one.cost_e6 / ONE_E6 if one.side == "BUY" else None,
        "proceeds": one.cost_e6 / ONE_E6 if one.side == "SELL" else None,
        "fees": one.fee_e6 / ONE_E6,
        "status": one.status,
    }


def _settled(ledger: Path, sessions: dict[str, str], asked: Asked) -> tuple[Line, ...]:
    """Return what contracts came to; on the clock of the session that traded one last, which as a rule saw it
    settle."""
    page = ledger_read.equity(ledger, Part(ROWS_MOST))
    placed = [(asked.times.wall(one.settled_ms, sessions.get(one.slug)), one) for one in page.rows]
    rows = [(wall_ms, one) for wall_ms, one in placed if asked.holds(wall_ms)]
    if len(rows) == ROWS_MOST:
        asked.questions.append(f"More than {ROWS_MOST:,} contracts settled: the ledger page has the rest.")
    return newest(
        asked.when("settled_ms", one.settled_ms, wall_ms)
        | {
            "window": one.slug,
            "profit": one.realised_e6 / ONE_E6,
            "equity": one.equity_e6 / ONE_E6,
        }
        for wall_ms, one in rows
    )


# --- what was told ------------------------------------------------------------------------------------------


def changes(
    told: Iterable[e.AnyEvent], asked: Asked, words_of: Callable[[e.AnyEvent], tuple[str, str] | None]
) -> tuple[Line, ...]:
    rows = ((_wall_of(event, asked), words_of(event)) for event in told)
    found = [{"wall_ms": at_ms, "what": said[0], "why": said[1]} for at_ms, said in rows if said is not None]
    return tuple(reversed(found))


def _wall_of(event: e.AnyEvent, asked: Asked) -> Milliseconds | None:
    """Return the wall time of an event: an operator's act has its own, unless that is of before."""
    wall_ms = asked.times.wall(event.ts_recv_ms)
    acted_ms = event.since_ms if isinstance(event, e.KillSwitchChanged | e.TradingPaused) else None
    return acted_ms if acted_ms is not None and acted_ms >= asked.since_ms else wall_ms


def with_clearers(told: Iterable[e.AnyEvent], settings: Settings, asked: Asked) -> list[e.AnyEvent]:
    """Return the events with who cleared the kill switch, when and why: only the audit trail knows."""
    try:
        deeds = Trail(settings.data_dir).read()[0]
    except OSError:
        deeds = []  # a question already (``acts``)
    clearings = [deed for deed in deeds if deed.what == "cleared" and not deed.why.startswith("breakers ")]
    return [
        _with_clearer(event, clearings, asked)
        if isinstance(event, e.KillSwitchChanged) and not event.latched and not event.who
        else event
        for event in told
    ]


def _with_clearer(event: e.KillSwitchChanged, clearings: list[Deed], asked: Asked) -> e.KillSwitchChanged:
    seen_ms = asked.times.wall(event.ts_recv_ms)
    near = [one for one in clearings if seen_ms is not None and abs(one.at_ms - seen_ms) <= SEEN_WITHIN_MS]
    if seen_ms is None or not near:
        return event
    deed = min(near, key=lambda one: abs(one.at_ms - seen_ms))
    return structs.replace(event, who=deed.who, why=deed.why, since_ms=deed.at_ms)


def breakers(snapshot: Snapshot, asked: Asked) -> tuple[Line, ...]:
    """Return a row for each breaker that tripped since: no event tells of it, and none is cleared while the
    engine runs."""
    mode = snapshot.mode
    since = ((mode.breakers_since.get(name), name, why) for name, why in mode.breakers.items())
    return tuple(
        {"wall_ms": wall_ms, "what": f"halted by breaker {name}", "why": why}
        for wall_ms, name, why in since
        if asked.holds(wall_ms)
    )


def stops(event: e.AnyEvent) -> tuple[str, str] | None:
    match event:
        case e.EngineHalted():
            return "halted", event.why
        case e.KillSwitchChanged() if not event.who:
            return "kill switch cleared", "the audit trail does not say by whom"
        case e.KillSwitchChanged():
            return f"kill switch {'tripped' if event.latched else 'cleared'} by {event.who}", event.why
        case e.TradingPaused():
            return f"{'paused' if event.paused else 'resumed'} by {event.who}", event.why
        case e.SessionOpened():
            return "session opened", f"{event.session}, profile {event.profile}"
    return None


def warnings(event: e.AnyEvent) -> tuple[str, str] | None:
    match event:
        case e.VenueRestricted():
            lifted = "restriction lifted: " if event.lifted else "restriction: "
            return f"{lifted}{event.restriction}", event.why
        case e.AlarmRaised():
            return (f"alarm: {event.name}" if event.why else f"alarm over: {event.name}"), event.why
        case e.BacklogChanged():
            return ("behind its feeds" if event.why else "caught up with its feeds"), event.why
    return None


def settings_changed(event: e.AnyEvent) -> tuple[str, str] | None:
    match event:
        case e.ParamsChanged():
            return f"parameters, version {event.version}, by {event.who}", f"{event.text}: {event.why}"
        case e.LimitsTightened():
            now = ", ".join(f"{name} {value:g}" for name, value in event.limits.items())
            return f"limits tightened by {event.who}", f"{now}: {event.why}"
        case e.ArmChanged():
            return f"{'armed' if event.armed else 'disarmed'} by {event.who}", event.why
    return None


def gaps(told: Iterable[e.AnyEvent], asked: Asked) -> tuple[Line, ...]:
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
        last_ms = asked.times.wall(event.ts_recv_ms)
        rows[key] = {
            "feed": key[0], "what": key[1], "count": before + count, "last_ms": last_ms, "why": why,
        }  # fmt: skip
    return tuple(sorted(rows.values(), key=lambda row: int(row["last_ms"]), reverse=True))


def acts(settings: Settings, since_ms: Milliseconds, questions: list[str]) -> tuple[Line, ...]:
    try:
        deeds, unread = Trail(settings.data_dir).read()
    except OSError as error:
        questions.append(f"The audit trail could not be read: {error.strerror}.")
        return ()
    if unread:
        questions.append(f"{counted(unread, 'line')} of the audit trail could not be read.")
    recent = [deed for deed in deeds if deed.at_ms >= since_ms]
    return tuple(
        {"wall_ms": deed.at_ms, "who": deed.who, "what": deed.what, "why": deed.why}
        for deed in reversed(recent[-ROWS_MOST:])
    )
