"""A session dies between the record of an outcome and the ledger's file: the next one knows it still."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import structs

from engine import events as e
from engine.core.ledger import Change
from engine.core.state import State
from engine.core.step import step
from engine.core.trading import OrderIntent
from engine.errors import JournalError
from engine.journal import Journal
from engine.run.ledger.file import LedgerFile
from engine.run.ledger.outcomes import last_words
from tests.core.builders import END_S, MARKET, UP, Core
from tests.core.order_story import NOW_MS, SLUG, bought, fill, lose
from tests.journal_edits import chain_again, run_sql

END_MS = END_S * 1000


Items = list[e.Record | tuple[int, int, OrderIntent]]


def recorded(path: Path, *groups: Items) -> Path:
    """Write the journal of a session on paper at the real venue, which crashed; a block or more a group."""
    journal = Journal(path, {"session": path.stem})
    for group in groups:
        for item in group:
            if not isinstance(item, e.Record):
                journal.record_output(*item)
            elif isinstance(item.event, e.SessionOpened):
                journal.record(e.Record(item.seq, structs.replace(item.event, venue="external")))
            else:
                journal.record(item)
        asyncio.run(journal.wait_durable())
    journal.close("running")
    return path


class Death:
    """A session that wrote the ledger's file up to one record, and its journal up to another.

    By default it recorded everything, and its last record's changes are not in the file.
    """

    def __init__(
        self, folder: Path, records: list[e.Record], written: int | None = None, lost: int = 0
    ) -> None:
        self.folder = folder
        self.state = State()
        self.items: Items = []
        file = LedgerFile(folder / "ledger.sqlite", "s1")
        for record in records:
            effects = step(self.state, record)
            intents = [effect for effect in effects if isinstance(effect, OrderIntent)]
            if record.seq <= len(records) - lost:
                self.items += [record, *((record.seq, place, intent) for place, intent in enumerate(intents))]
            changes: list[Change] = self.state.ledger.take_changes()
            if record.seq <= (len(records) - 1 if written is None else written):
                file.write(record.seq, changes, {}, self.state.now_ms)
        file.close()
        self.path = recorded(folder / "sessions" / "s1.sqlite", self.items)

    def restored(self, session: str = "s2") -> e.LedgerRestored:
        """Return what the next session is told."""
        file = LedgerFile(self.folder / "ledger.sqlite", session)
        told = file.restore(self.folder / "sessions", self.state.now_ms + 1_000)
        file.close()
        return told

    def outcome(self) -> object:
        """Return the outcome that the session knew when it died."""
        holding = self.state.ledger.holdings.get(SLUG)
        return None if holding is None else holding.outcome


def final(core: Core, dollars: str, late_ms: int = 1_900) -> None:
    """Report the average of the window's end."""
    core.price(END_S, dollars, "twap", lag_ms=late_ms)


def served(core: Core, outcome: str, after_s: int) -> None:
    core.feed(
        e.OutcomeServed(
            ts_recv_ms=END_MS + after_s * 1000,
            slug=SLUG,
            outcome=outcome,  # type: ignore[arg-type]
            strike=Decimal(70_000),
            final=Decimal(70_023 if outcome == "UP" else 69_990),
        )
    )


def held() -> Core:
    """Buy Up, ten shares, and go on to the window's end."""
    core, order = bought()
    fill(core, order)
    for second in range(END_S - 13, END_S + 2):
        core.price(second, 70_020.0 + second % 7)
    core.second(END_S + 1)
    return core


def reported() -> Core:
    """The average arrives."""
    core = held()
    final(core, "70023")
    return core


def estimated() -> Core:
    """It never arrives: after some seconds the raw ones do."""
    core = held()
    core.second(END_S + 10)
    return core


def corrected_by_a_late_report() -> Core:
    """An estimate said Up; the report, a minute late, says Down."""
    core = estimated()
    final(core, "69999.5", late_ms=60_000)
    return core


def told_by_the_venue() -> Core:
    core = held()
    served(core, "UP", 70)
    return core


def corrected_by_the_venue() -> Core:
    """Our own price said Up, the venue says Down."""
    core = reported()
    served(core, "DOWN", 70)
    return core


def confirmed_by_the_venue() -> Core:
    """It says what our own price did."""
    core = reported()
    served(core, "UP", 70)
    return core


def announced() -> Core:
    core = held()
    core.feed(
        e.MarketResolved(ts_recv_ms=END_MS + 30_000, market=MARKET, winning_token=UP, ts_venue_ms=END_MS)
    )
    return core


def found_late() -> Core:
    """The window has settled when the fill of an order that was lost is found."""
    core, order = bought()
    lose(core, order)
    for second in range(END_S - 13, END_S + 2):
        core.price(second, 70_020.0 + second % 7)
    core.second(END_S + 1)
    served(core, "UP", 70)
    fill(core, order, at_ms=END_MS + 80_000)
    return core


STORIES = [
    reported,
    estimated,
    corrected_by_a_late_report,
    told_by_the_venue,
    corrected_by_the_venue,
    confirmed_by_the_venue,
    announced,
    found_late,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_an_outcome_that_only_the_journal_has_is_recovered(tmp_path: Path, story: Callable[[], Core]) -> None:
    """Served, announced or our own: what the session knew when it died, the next one begins with."""
    death = Death(tmp_path, story().records)
    assert death.outcome() is not None
    told = death.restored()
    assert told.settlements[-1].outcome == death.outcome()
    at_ms = death.state.ledger.holdings[SLUG].settled_ms
    assert told.settlements[-1].at_ms == at_ms, "the day it counts for, which may end in between"
    core = Core()
    core.feed(told)
    for name in ("cash_e6", "realised_e6", "fees_e6", "results", "peak_e6"):
        assert getattr(core.state.ledger, name) == getattr(death.state.ledger, name), name
    was, now = death.state.ledger, core.state.ledger
    assert now.holdings[SLUG].outcome_source == was.holdings[SLUG].outcome_source
    assert death.restored("s3").settlements == told.settlements, "and once"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_what_the_file_has_beyond_the_journal_stays(tmp_path: Path, story: Callable[[], Core]) -> None:
    """The journal is committed in groups, the file at once: the file's last word may be the later one."""
    records = story().records
    death = Death(tmp_path, records, written=len(records), lost=1)
    assert death.restored().settlements[-1].outcome == death.outcome()


def test_an_older_word_does_not_replace_that_of_a_later_session(tmp_path: Path) -> None:
    """A crashed session may be asked after others have gone on: it could not be read before."""
    death = Death(tmp_path, told_by_the_venue().records)
    later = LedgerFile(tmp_path / "ledger.sqlite", "s1b")
    later.write(9, [e.PastSettlement(SLUG, "DOWN", END_MS + 90_000)], {}, END_MS + 90_000)
    later.close()
    assert [paid.outcome for paid in death.restored().settlements] == ["DOWN"]


def test_a_window_in_which_nothing_was_bought_has_no_outcome_in_the_ledger(tmp_path: Path) -> None:
    """The ledger is about money."""
    core, order = bought()
    core.feed(e.OrderKilled(ts_recv_ms=NOW_MS + 200, order_id=order.intent.order_id, reason="no match"))
    final(core, "70023")
    served(core, "UP", 70)
    assert Death(tmp_path, core.records).restored().settlements == ()


def test_a_window_that_is_too_close_to_call_waits_for_the_venue(tmp_path: Path) -> None:
    """The core has no outcome of its own then, and recovery must not make one."""
    core, order = bought()
    fill(core, order)
    for second in range(END_S - 62, END_S + 2):
        core.price(second, 70_000.0 if second >= END_S - 13 else 70_020.0)
    core.second(END_S + 1)
    death = Death(tmp_path, core.records)
    assert death.outcome() is None
    assert death.restored().settlements == ()


def numbered(records: list[e.Record], first: int) -> Items:
    return [e.Record(seq, record.event) for seq, record in enumerate(records, first)]


def test_only_what_lies_about_the_window_is_read_again(tmp_path: Path) -> None:
    """A session may have run for weeks: what it was told first says nothing of a window of today."""
    opening, *late = reported().records
    early = [
        e.Record(0, e.SecondPassed(ts_recv_ms=(END_S - 80_000 + second) * 1000)) for second in range(100)
    ]
    first, rest = numbered(early, 2), numbered(late, 102)
    path = recorded(tmp_path / "long.sqlite", [opening], first, rest)
    damaged = "UPDATE block SET body = zeroblob(9) WHERE first_seq > 1 AND last_seq < 102"
    run_sql(path, damaged)
    assert last_words(path, {SLUG: END_S}, (), ())[SLUG].outcome == "UP"


def test_a_session_of_another_version_is_worked_out_too(tmp_path: Path) -> None:
    """Its parameters and limits may have other names: an update after a crash stopped the start."""
    opening, *rest = reported().records
    assert isinstance(opening.event, e.SessionOpened)
    other = {"horizon_of_old": 5.0}
    event = structs.replace(
        opening.event, params=opening.event.params | other, limits=opening.event.limits | other
    )
    path = recorded(tmp_path / "old.sqlite", [e.Record(1, event)], numbered(rest, 2))
    assert last_words(path, {SLUG: END_S}, (), ())[SLUG].outcome == "UP"


def test_a_rule_that_nobody_proved_pays_nothing_out_after_a_death_either(tmp_path: Path) -> None:
    """Which rule is trusted was told when the session began, weeks before what is read again."""
    told = next(one.event for one in reported().records if isinstance(one.event, e.MarketDescribed)).contract
    assert told.rule is not None
    for lookback_s, outcomes in ((told.rule.lookback_s, ["UP"]), (30, [])):
        death = Death(tmp_path / str(lookback_s), reported().records)
        rule = structs.replace(told.rule, lookback_s=lookback_s)
        file = LedgerFile(death.folder / "ledger.sqlite", "s0")
        trusted = e.PastRule(told.name, rule, told.rule_text, told.version, told.fee)
        file.write(1, [trusted], {}, death.state.now_ms)
        file.close()
        assert [paid.outcome for paid in death.restored().settlements] == outcomes


def cut_off_last(death: Death, kept: int) -> None:
    """Write the session again, in two groups."""
    death.path.unlink()
    recorded(death.path, death.items[:-kept], death.items[-kept:])
    run_sql(death.path, "UPDATE block SET body = zeroblob(9) WHERE last_seq = ?", death.state.seq)


@pytest.mark.parametrize("kept", [1, 4])
def test_outcomes_that_cannot_be_read_do_not_stop_the_start(tmp_path: Path, kept: int) -> None:
    """Whole, and of a version whose events this one cannot take: an outcome is the venue's to tell again."""
    death = Death(tmp_path, reported().records)
    cut_off_last(death, kept)
    chain_again(death.path)
    told = death.restored()
    assert len(told.fills) == 1
    assert told.settlements == ()


def test_f45_a_damaged_block_stops_the_start_whatever_it_is_said_to_hold(tmp_path: Path) -> None:
    """That no order is in it says a column of the damaged row itself."""
    death = Death(tmp_path, reported().records)
    cut_off_last(death, 1)
    with pytest.raises(JournalError, match=r"s1\.sqlite is damaged: record .* was altered"):
        death.restored()
