"""The handover: everything that happened since is in it, on the page and in the Markdown."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine import events as e
from engine.config import Settings, load_settings
from engine.journal import Journal
from engine.run import handover_report as handover
from engine.run.books_paths import journal_of, ledger_of
from engine.run.handover_report import Report
from engine.run.ledger.file import LedgerFile
from engine.snapshot import SettlementView, Snapshot
from engine.trail import Trail
from tests.books import keep_journal
from tests.core.builders import Core, past_fill
from tests.run.pictures import NOW_MS, WALL_MS, picture

LEFT_MS = NOW_MS - 3_600_000
"""An hour ago somebody looked last."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(tmp_path / "no.env", data_dir=tmp_path / "data")


def at(minute: int) -> int:
    return LEFT_MS + minute * 60_000


EVERYTHING: tuple[e.AnyEvent, ...] = (
    e.KillSwitchChanged(ts_recv_ms=at(1), latched=True, who="ann", why="odd prices"),
    e.KillSwitchChanged(ts_recv_ms=at(2), latched=False, who="bob", why="looked at them"),
    e.TradingPaused(ts_recv_ms=at(3), paused=True, who="bob", why="lunch"),
    e.TradingPaused(ts_recv_ms=at(4), paused=False, who="bob", why="back"),
    e.VenueRestricted(ts_recv_ms=at(5), restriction="rate-limited", why="429 of the venue"),
    e.VenueRestricted(ts_recv_ms=at(6), restriction="rate-limited", why="asked again", lifted=True),
    e.FeedClosed(ts_recv_ms=at(7), feed="rtds", epoch=1, reason="1006"),
    e.FeedClosed(ts_recv_ms=at(8), feed="rtds", epoch=2, reason="1011"),
    e.FramesLost(ts_recv_ms=at(9), feed="polybolt", topic="prices", count=7),
    e.FramesLost(ts_recv_ms=at(10), feed="polybolt", topic="prices", count=5),
    e.ParamsChanged(
        ts_recv_ms=at(11), params=Core().state.params._asdict(), version=2, text="hammer_s 15 -> 12",
        who="ann", why="too early",
    ),
    e.LimitsTightened(ts_recv_ms=at(12), limits={"max_exposure_usd": 50.0}, who="ann", why="a fast day"),
    e.ArmChanged(ts_recv_ms=at(13), armed=False, who="clock", why="the hour is over"),
    e.AlarmRaised(ts_recv_ms=at(14), name="order of unknown fate", why="o-7 was never answered"),
    e.AlarmRaised(ts_recv_ms=at(15), name="order of unknown fate", why=""),
    e.BacklogChanged(ts_recv_ms=at(16), why="the recorder is 2.4 s behind"),
    e.EngineHalted(ts_recv_ms=at(17), why="settlement drift"),
)  # fmt: skip


def keep_session(settings: Settings, *events: e.AnyEvent, opened_ms: int = LEFT_MS - 1_000) -> None:
    """Write the session ``test``; it was opened before somebody looked last, unless told otherwise."""
    path = journal_of(settings, "test")
    path.parent.mkdir(parents=True, exist_ok=True)
    keep_journal(path, [structs.replace(Core().records[0].event, ts_recv_ms=opened_ms), *events])


def keep_trades(settings: Settings) -> None:
    """One trade and its settlement before somebody left, one of each since, one that only matched.

    Since: 20 shares at 90 cents with 0.10 of fee that paid: +1.90.
    """
    path = ledger_of(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = LedgerFile(path, "test")
    changes: list[Any] = [
        past_fill("old", "UP", ((9_000, 10_000_000),), 0, LEFT_MS - 60_000, end_s=1),
        e.PastSettlement("old", "UP", LEFT_MS - 1),
        past_fill("won", "UP", ((9_000, 20_000_000),), 100_000, at(20), end_s=2),
        e.PastSettlement("won", "UP", at(25)),
        past_fill("held", "DOWN", ((9_500, 10_000_000),), 0, at(50), trade_id="t", end_s=3, is_final=False),
    ]
    file.write(1, changes, {}, 0)
    file.close()


def settled(slug: str, end_ms: int, verdict: str = "agrees", pnl: float | None = None) -> SettlementView:
    facts: dict[str, Any] = dict.fromkeys(SettlementView.__struct_fields__)
    named = {"slug": slug, "name": "5m", "end_s": end_ms // 1000, "outcome": "UP", "outcome_source": "served"}
    return SettlementView(**(facts | named | {"verdict": verdict, "traded": pnl is not None, "pnl": pnl}))


def rows(told: Report, name: str) -> tuple[dict[str, Any], ...]:
    return next(section.rows for section in told.sections if section.name == name)


def report(settings: Settings, snapshot: Snapshot | None = None, since_ms: int = LEFT_MS) -> Report:
    return handover.report(snapshot or picture(), settings, since_ms)


# --- everything is in it ------------------------------------------------------------------------------------


def test_all_that_happened_is_in_its_section_newest_first(settings: Settings) -> None:
    """A kill, a clear, a pause, a restriction, gaps, changes: in the words that were given."""
    keep_session(settings, *EVERYTHING)
    told = report(settings)
    assert [(row["what"], row["why"]) for row in rows(told, "Halts, kills and pauses")] == [
        ("halted", "settlement drift"),
        ("resumed by bob", "back"),
        ("paused by bob", "lunch"),
        ("kill switch cleared by bob", "looked at them"),
        ("kill switch tripped by ann", "odd prices"),
    ]
    assert [(row["what"], row["why"]) for row in rows(told, "Restrictions and alarms")] == [
        ("behind its feeds", "the recorder is 2.4 s behind"),
        ("alarm over: order of unknown fate", ""),
        ("alarm: order of unknown fate", "o-7 was never answered"),
        ("restriction lifted: rate-limited", "asked again"),
        ("restriction: rate-limited", "429 of the venue"),
    ]
    assert [(row["what"], row["why"]) for row in rows(told, "Parameters, limits and arming")] == [
        ("disarmed by clock", "the hour is over"),
        ("limits tightened by ann", "max_exposure_usd 50: a fast day"),
        ("parameters, version 2, by ann", "hammer_s 15 -> 12: too early"),
    ]


def test_gaps_are_counted_by_feed_and_kind(settings: Settings) -> None:
    """7 and 5 frames are 12; two losses of a connection are two; the last words stand."""
    keep_session(settings, *EVERYTHING)
    assert rows(report(settings), "Gaps and connections") == (
        {"feed": "polybolt", "what": "frames lost", "count": 12, "last_ms": at(10), "why": "prices"},
        {"feed": "rtds", "what": "connection lost", "count": 2, "last_ms": at(8), "why": "1011"},
    )


def test_trades_profit_and_windows_of_the_time_alone(settings: Settings) -> None:
    """What was there before somebody left is not told again; the equity goes on from it: 1.00 and 1.90."""
    keep_session(settings)
    keep_trades(settings)
    windows = [settled("before", LEFT_MS - 1_000), settled("since", at(30), pnl=1.9)]
    told = report(settings, picture(settlements=windows))
    assert [(row["window"], row["what"], row["status"]) for row in rows(told, "Trades")] == [
        ("held", "buy Down", "MATCHED"), ("won", "buy Up", "CONFIRMED"),
    ]  # fmt: skip
    (profit,) = rows(told, "Profit of the contracts that settled")
    assert (profit["window"], profit["profit"], profit["equity"]) == (
        "won", pytest.approx(1.9), pytest.approx(2.9),
    )  # fmt: skip
    assert [row["window"] for row in rows(told, "Windows that ended")] == ["since"]
    assert told.headline == (
        "1 window ended, 2 trades, 1 contract of ours settled for +1.90 dollars, 0 stops and starts. "
        "The mode is PRACTICE."
    )
    assert "Trades that the venue has matched and not confirmed: 1." in told.questions


def test_what_a_sale_brought_is_no_cost(settings: Settings) -> None:
    """ "Sell Up ... cost 25.71" reads as money spent."""
    keep_session(settings)
    path = ledger_of(settings)
    file = LedgerFile(path, "test")
    sale = past_fill("w", "UP", ((9_000, 20_000_000),), 0, at(21), side="SELL")
    file.write(1, [past_fill("w", "UP", ((8_000, 20_000_000),), 0, at(20)), sale], {}, 0)
    file.close()
    told = [(row["what"], row["cost"], row["proceeds"]) for row in rows(report(settings), "Trades")]
    assert told == [("sell Up", None, 18.0), ("buy Up", 16.0, None)]


def test_a_trade_that_waits_for_its_confirmation_is_open_however_old(settings: Settings) -> None:
    """It was matched before somebody left, and may still fail."""
    keep_session(settings)
    keep_trades(settings)
    told = report(settings, since_ms=at(55))
    assert rows(told, "Trades") == ()
    assert told.questions == ("Trades that the venue has matched and not confirmed: 1.",)


def test_the_trail_says_who_did_what_since(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wall time, also where the engine's clock runs faster."""
    keep_session(settings)
    times = iter([LEFT_MS - 1, at(5)])
    monkeypatch.setattr("engine.trail.time.time_ns", lambda: next(times) * 1_000_000)
    trail = Trail(settings.data_dir)
    trail.add("tripped", "old", "before")
    trail.add("cleared", "ann", "after")
    assert rows(report(settings), "Who did what (audit trail)") == (
        {"wall_ms": at(5), "who": "ann", "what": "cleared", "why": "after"},
    )


def test_everything_is_in_the_markdown_too(settings: Settings) -> None:
    """The next shift reads the file: every section, every row, every question."""
    keep_session(settings, *EVERYTHING)
    keep_trades(settings)
    account = structs.replace(picture().account, unknown=1, alarms={"ghost fill": "t-3 failed"})
    told = report(settings, picture(account=account, settlements=[settled("w", at(30), "waiting")]))
    written = handover.to_markdown(told)
    for section in told.sections:
        assert f"## {section.name}\n" in written
    for words in (
        "kill switch tripped by ann", "odd prices", "kill switch cleared by bob", "429 of the venue",
        "hammer\\_s 15 -\\> 12: too early", "o-7 was never answered", "buy Up", "18.00", "1.90",
        "Orders of unknown fate: 1.", "ghost fill: t-3 failed", "Windows that wait for the venue's word: 1.",
    ):  # fmt: skip
        assert words in written, words
    assert "waiting for final price" in written, "its outcome is served already"
    assert written.count("\n| ") == sum(len(section.rows) + 2 for section in told.sections if section.rows)
    assert written.startswith(f"# Handover, {handover.moment(LEFT_MS)} to {handover.moment(WALL_MS)}\n")


def test_a_breaker_s_halt_is_among_the_stops(settings: Settings) -> None:
    """No event of the journal tells of it; the night's halt was missing from the morning's report."""
    keep_session(settings, *EVERYTHING)
    why = {"loss streak": "6 losing windows in a row", "drawdown": "$60.00 below", "edge": "earlier"}
    since = {"loss streak": at(18), "drawdown": LEFT_MS - 1}
    mode = structs.replace(picture().mode, breakers=why, breakers_since=since)
    told = report(settings, picture(mode=mode))
    first, second, *_ = rows(told, "Halts, kills and pauses")
    assert first == {
        "wall_ms": at(18), "what": "halted by breaker loss streak", "why": "6 losing windows in a row",
    }  # fmt: skip
    assert second["what"] == "halted"
    assert "drawdown" not in str(rows(told, "Halts, kills and pauses"))


def test_who_cleared_the_kill_switch_is_told_from_the_trail(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine sees a file that is gone and no name; a row that ends in "by" and nothing was the result."""
    cleared = [e.KillSwitchChanged(ts_recv_ms=at(one), latched=False, who="", why="") for one in (2, 30)]
    keep_session(settings, *cleared)
    times = iter([at(2) - 300, at(2) - 200])
    monkeypatch.setattr("engine.trail.time.time_ns", lambda: next(times) * 1_000_000)
    trail = Trail(settings.data_dir)
    trail.add("cleared", "bob", "looked at them (was tripped by ann: odd)")
    trail.add("cleared", "eve", "breakers drawdown: another matter")
    by_hand, by_bob = rows(report(settings), "Halts, kills and pauses")
    assert (by_hand["what"], by_hand["why"]) == (
        "kill switch cleared",
        "the audit trail does not say by whom",
    )
    assert by_bob == {
        "wall_ms": at(2) - 300, "what": "kill switch cleared by bob",
        "why": "looked at them (was tripped by ann: odd)",
    }  # fmt: skip


# --- nothing happened, or it cannot be read -----------------------------------------------------------------


def test_a_quiet_time_says_nothing_happened(settings: Settings) -> None:
    """Each section in its own words; no open question."""
    keep_session(settings)
    told = report(settings)
    assert all(section.rows == () for section in told.sections)
    assert told.questions == ()
    written = handover.to_markdown(told)
    assert "## Open questions\n\nNone." in written
    for section in told.sections:
        assert f"## {section.name}\n\n{section.empty}" in written


def test_since_this_moment_holds_nothing_of_before(settings: Settings) -> None:
    """All of the session lies before it."""
    keep_session(settings, *EVERYTHING)
    told = report(settings, since_ms=WALL_MS)
    assert all(section.rows == () for section in told.sections)
    assert not any(question.startswith("This session began") for question in told.questions)


def test_an_event_of_the_very_moment_is_in_it(settings: Settings) -> None:
    """Nothing falls between two reports: the next begins where the last ended."""
    keep_session(settings, e.EngineHalted(ts_recv_ms=at(1), why="drift"))
    assert len(rows(report(settings, since_ms=at(1)), "Halts, kills and pauses")) == 1
    assert rows(report(settings, since_ms=at(1) + 1), "Halts, kills and pauses") == ()


def test_a_session_that_is_younger_than_the_question_says_so(settings: Settings) -> None:
    """Its opening is in the report, what earlier sessions went through is not."""
    keep_session(settings, opened_ms=at(10))
    told = report(settings)
    assert [row["what"] for row in rows(told, "Halts, kills and pauses")] == ["session opened"]
    (question,) = told.questions
    assert question.startswith(
        f"This session began at {handover.moment(at(10))}, after that moment: of earlier"
    )
    empty = {section.name: section.empty for section in told.sections}
    assert empty["Windows that ended"] == "None ended since this session began."
    assert empty["Gaps and connections"] == "None since this session began."


def test_books_that_cannot_be_read_are_open_questions(settings: Settings) -> None:
    """Silence would read as a quiet night."""
    path = ledger_of(settings)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all" * 400)
    Trail(settings.data_dir).path.write_bytes(b'{"torn\n')
    asked = " ".join(report(settings).questions)
    assert "The journal could not be read: no journal of this session" in asked
    assert "The ledger could not be read" in asked
    assert "1 line of the audit trail could not be read." in asked


def test_a_journal_longer_than_one_look_says_from_where_it_tells(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is not known to be quiet."""
    keep_session(settings, *EVERYTHING)
    monkeypatch.setattr("engine.run.journal_pages.EVENTS_SCANNED", 3)
    told = report(settings)
    assert any(question.startswith("The journal is longer than one look: events before") for question in
               told.questions)  # fmt: skip
    assert len(rows(told, "Halts, kills and pauses")) == 1


def test_what_is_wrong_now_is_an_open_question(settings: Settings) -> None:
    """Whenever it began."""
    keep_session(settings)
    plain = picture()
    mode = structs.replace(
        plain.mode, kill_latched=True, kill_who="ann", kill_why="odd prices", halted_why="settlement drift",
        behind_why="the recorder is late", reduced_trading_confidence=True,
    )  # fmt: skip
    account = structs.replace(
        plain.account, paused_why="bob: lunch", restriction="banned", restriction_why="403", unknown=2
    )
    windows = [settled("w1", at(10), "drift"), settled("w2", at(20), "outside error")]
    asked = report(settings, picture(mode=mode, account=account, settlements=windows)).questions
    assert set(asked) == {
        "The kill switch is latched by ann: odd prices.",
        "The engine is halted: settlement drift.",
        "Trading is paused by bob: lunch.",
        "The venue does not take orders (banned): 403.",
        "Orders of unknown fate: 2.",
        "w1 came out as drift.",
        "w2 came out as outside error.",
        "The settlement feed is stale: the engine lives on spot.",
        "The engine is behind its feeds: the recorder is late.",
    }


# --- moments ------------------------------------------------------------------------------------------------


@given(st.integers(-(10**20), 10**20))
def test_whatever_moment_is_asked_for_lies_within_reach(asked_ms: int) -> None:
    """An address may hold any number; the report can always be written down."""
    since = handover.within_reach(asked_ms, WALL_MS)
    assert WALL_MS - handover.FURTHEST_MS <= since <= WALL_MS
    assert since == asked_ms or not WALL_MS - handover.FURTHEST_MS <= asked_ms <= WALL_MS
    assert handover.moment(since).endswith(" UTC")


def test_without_a_moment_it_is_a_shift() -> None:
    """Eight hours."""
    assert handover.default_since(WALL_MS) == WALL_MS - 8 * 3_600_000


def test_a_faster_clock_goes_further_back(settings: Settings) -> None:
    """A minute of the wall is five of the engine's in a venue that runs five times as fast."""
    plain = picture()
    fast = picture(mode=structs.replace(plain.mode, clock_rate=5.0))
    assert handover.on_engines_clock(fast, WALL_MS - 60_000) == NOW_MS - 300_000
    assert handover.on_engines_clock(plain, WALL_MS - 60_000) == NOW_MS - 60_000
    keep_session(settings, e.EngineHalted(ts_recv_ms=NOW_MS - 299_000, why="drift"))
    assert len(rows(report(settings, fast, WALL_MS - 60_000), "Halts, kills and pauses")) == 1
    assert rows(report(settings, plain, WALL_MS - 60_000), "Halts, kills and pauses") == ()


def test_all_rows_are_by_the_wall_as_the_range_is(settings: Settings) -> None:
    """Practice's clock is hours ahead after a while: rows on it would lie outside of the range above them."""
    plain = picture()
    fast = structs.replace(
        plain, wall_ms=WALL_MS - 9_000_000, mode=structs.replace(plain.mode, clock_rate=5.0)
    )
    fast = structs.replace(fast, settlements=[settled("w", NOW_MS - 100_000)])
    pressed_ms = fast.wall_ms - 7_777
    keep_session(
        settings,
        e.FeedClosed(ts_recv_ms=NOW_MS - 100_000, feed="rtds", epoch=1, reason="1006"),
        e.KillSwitchChanged(ts_recv_ms=NOW_MS - 38_000, latched=True, who="a", why="b", since_ms=pressed_ms),
        e.EngineHalted(ts_recv_ms=NOW_MS - 25_000, why="drift"),
    )
    told = report(settings, fast, fast.wall_ms - 60_000)
    assert [row["wall_ms"] for row in rows(told, "Halts, kills and pauses")] == [
        fast.wall_ms - 5_000, pressed_ms,
    ]  # fmt: skip
    assert [row["last_ms"] for row in rows(told, "Gaps and connections")] == [fast.wall_ms - 20_000]
    (window,) = rows(told, "Windows that ended")
    assert (window["wall_ms"], window["ended_ms"]) == (fast.wall_ms - 20_000, NOW_MS - 100_000)
    assert "runs 5 times as fast" in told.clocks
    assert told.clocks in handover.to_markdown(told)
    assert report(settings).clocks == ""


def test_trades_of_the_session_before_are_placed_by_its_own_clock(settings: Settings) -> None:
    """Practice begins a new clock at every start: the old one may be ahead of the new one by hours."""
    began = datetime(2026, 9, 21, 10, 0, tzinfo=UTC)
    began_ms = round(began.timestamp() * 1000)
    opening = structs.replace(Core().records[0].event, ts_recv_ms=began_ms - 33_000, clock_rate=5.0)
    path = journal_of(settings, "before")
    path.parent.mkdir(parents=True)
    journal = Journal(path, {"session": "before", "started": began.isoformat()})
    journal.record(e.Record(1, opening))
    journal.close()
    kept = LedgerFile(ledger_of(settings), "before")
    traded_ms = began_ms - 33_000 + 5 * 3_600_000  # an hour of the wall after its beginning
    kept.write(1, [past_fill("w", "UP", ((9_000, 10_000_000),), 0, traded_ms, end_s=1)], {}, 0)
    kept.close()
    plain = picture()
    now = structs.replace(
        plain, wall_ms=began_ms + 2 * 3_600_000, now_ms=began_ms + 2 * 3_600_000 - 33_000,
        mode=structs.replace(plain.mode, clock_rate=5.0),
    )  # fmt: skip
    keep_session(settings, opened_ms=now.now_ms)
    (row,) = rows(report(settings, now, began_ms), "Trades")
    assert (row["wall_ms"], row["at_ms"]) == (began_ms + 3_600_000, traded_ms)
    assert rows(report(settings, now, began_ms + 3_600_001), "Trades") == ()
    path.unlink()
    told = report(settings, now, began_ms)
    assert rows(told, "Trades") == ()
    assert any("1 trade of a session whose journal is gone" in question for question in told.questions)


# --- Markdown -----------------------------------------------------------------------------------------------


@given(st.text(max_size=60), st.text(max_size=60))
def test_nobody_s_words_break_out_of_their_cell(who: str, why: str) -> None:
    """Reasons are others' words: no row more, no column more, no heading, no link, no picture."""
    row = {"at_ms": NOW_MS, "what": who, "why": why}
    section = handover.Section("Halts", "None.", (row,))
    written = handover.to_markdown(Report(LEFT_MS, WALL_MS, who, (section,), (why,)))
    lines = written.splitlines()
    assert len([line for line in lines if line.startswith("| ")]) == 3
    for line in lines:
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 4
    assert [line for line in lines if line.startswith("#")] == [
        lines[0], "## Open questions", "## Halts",
    ]  # fmt: skip
    bare = re.sub(r"\\.", "", written)
    assert not re.search(r"[\[\]<>`*_]", bare)


def test_unknown_is_a_dash_and_dollars_have_cents() -> None:
    """Zero would be a figure."""
    row = {"ended_ms": NOW_MS, "profit": None, "cost": 1234.5, "count": 3}
    written = handover.to_markdown(
        Report(LEFT_MS, WALL_MS, "Quiet.", (handover.Section("W", "None.", (row,)),), ())
    )
    assert f"| {handover.moment(NOW_MS)} | – | 1,234.50 | 3 |" in written
    assert "| ended | profit | cost | count |" in written
