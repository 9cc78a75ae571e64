"""Windows that paid out by our own word: it is kept, and the venue is asked until it has spoken."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine import events as e
from engine.clock import ManualClock
from engine.core.ledger import Change, Ledger, Source
from engine.core.unsettled import VERIFIED_WITHIN_S
from engine.run import engine
from engine.run.ledger.file import LedgerFile
from tests.core.builders import START_S, Core, past_fill
from tests.core.order_story import SLUG
from tests.run.test_ledger_outcomes import estimated, reported

NOW_MS = START_S * 1000
END_S = START_S - 60


def written(folder: Path, *changes: Change, session: str = "s1") -> LedgerFile:
    file = LedgerFile(folder / "ledger.sqlite", session)
    for seq, change in enumerate(changes, 1):
        file.write(seq, [change], {}, NOW_MS)
    file.close()
    return file


def restored(folder: Path) -> Core:
    file = LedgerFile(folder / "ledger.sqlite", "s9")
    core = Core()
    core.feed(file.restore(folder / "sessions", NOW_MS))
    file.close()
    return core


def bought(slug: str, end_s: int = END_S) -> e.PastFill:
    return past_fill(slug, "UP", ((9_000, 10_000_000),), 0, NOW_MS - 90_000, end_s=end_s)


def rows(folder: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as database:
        return database.execute("SELECT slug, outcome, at_ms, source FROM settlement ORDER BY id").fetchall()


@pytest.mark.parametrize("source", ["own", "served"])
def test_whose_word_an_outcome_is_goes_on_over_a_restart(tmp_path: Path, source: Source) -> None:
    """What we settled on ourselves is to be asked for, what the venue told is not."""
    written(tmp_path, bought("a"), e.PastSettlement("a", "UP", NOW_MS - 58_000, source))
    ledger = restored(tmp_path).state.ledger
    assert ledger.holdings["a"].outcome_source == source
    assert ledger.unverified(0) == ({"a": END_S} if source == "own" else {})
    assert ledger.unsettled() == {}


def test_the_venue_s_word_on_an_own_outcome_moves_no_money_no_day_and_no_place(tmp_path: Path) -> None:
    """One row, of the first settlement's time: the clearing of breakers and the day's loss go by it."""
    ledger = Ledger()
    for slug in ("a", "b"):
        ledger.book(bought(slug))
        ledger.settle(slug, "UP", NOW_MS - 58_000, "own")
    money = (ledger.cash_e6, ledger.realised_e6, ledger.peak_e6, list(ledger.results))
    ledger.settle("a", "UP", NOW_MS + 86_400_000, "served")
    ledger.settle("a", "UP", NOW_MS + 86_400_000, "own")
    assert money == (ledger.cash_e6, ledger.realised_e6, ledger.peak_e6, list(ledger.results))
    assert ledger.unverified(0) == {"b": END_S}
    written(tmp_path, *ledger.take_changes())
    assert rows(tmp_path) == [("a", "UP", NOW_MS - 58_000, "served"), ("b", "UP", NOW_MS - 58_000, "own")]
    again = restored(tmp_path).state.ledger
    assert again.unverified(0) == {"b": END_S}
    assert (again.realised_e6, list(again.results)) == money[1::2]


@pytest.mark.parametrize("outcome", ["UP", "DOWN"])
def test_what_the_venue_serves_after_a_restart_verifies_or_corrects_it(tmp_path: Path, outcome: str) -> None:
    """Either way nobody asks again, and the next start knows it."""
    written(tmp_path, bought("a"), e.PastSettlement("a", "UP", NOW_MS - 58_000, "own"))
    core = restored(tmp_path)
    core.feed(
        e.OutcomeServed(ts_recv_ms=NOW_MS, slug="a", outcome=outcome, strike=None, final=None)  # type: ignore[arg-type]
    )
    ledger = core.state.ledger
    assert (ledger.holdings["a"].outcome, ledger.holdings["a"].outcome_source) == (outcome, "served")
    assert ledger.unverified(0) == {}
    written(tmp_path, *ledger.take_changes(), session="s2")
    assert restored(tmp_path).state.ledger.unverified(0) == {}


def test_an_own_outcome_that_our_own_prices_correct_is_still_our_own(tmp_path: Path) -> None:
    """An estimate, and then the report."""
    paid = (e.PastSettlement("a", way, NOW_MS - 50_000, "own") for way in ("UP", "DOWN"))  # type: ignore[arg-type]
    written(tmp_path, bought("a"), *paid)
    ledger = restored(tmp_path).state.ledger
    assert (ledger.holdings["a"].outcome, ledger.unverified(0)) == ("DOWN", {"a": END_S})


def test_a_file_of_the_third_format_takes_its_outcomes_for_the_venue_s(tmp_path: Path) -> None:
    """Nothing of it is lost; what is written from then on has its source."""
    written(tmp_path, bought("a"), e.PastSettlement("a", "UP", NOW_MS - 58_000, "own"))
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database, database:
        database.execute("ALTER TABLE settlement DROP COLUMN source")
        database.execute("PRAGMA user_version = 3")
    ledger = restored(tmp_path).state.ledger
    assert (ledger.realised_e6, ledger.unverified(0)) == (1_000_000, {})
    written(tmp_path, bought("b"), e.PastSettlement("b", "UP", NOW_MS, "own"), session="s2")
    assert restored(tmp_path).state.ledger.unverified(0) == {"b": END_S}


@pytest.mark.parametrize("story", [reported, estimated])
def test_what_our_own_prices_settle_is_unverified_until_the_venue_speaks(story: Callable[[], Core]) -> None:
    """By the report or by an estimate: the ledger knows that the venue has not spoken."""
    ledger = story().state.ledger
    assert ledger.holdings[SLUG].outcome_source == "own"
    assert list(ledger.unverified(0)) == [SLUG]


async def test_own_outcomes_of_the_last_days_are_asked_for_until_the_venue_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what has not settled at all, after a restart as before it."""
    monkeypatch.setattr(engine, "ADOPT_EVERY_S", 0.0)
    long_ago_s = END_S - VERIFIED_WITHIN_S
    fills = [bought("own"), bought("served"), bought("old", long_ago_s), bought("open")]
    paid = [e.PastSettlement(slug, "UP", NOW_MS - 58_000, "own") for slug in ("own", "old")]
    written(tmp_path, *fills, *paid, e.PastSettlement("served", "UP", NOW_MS - 58_000))
    core, adopted = restored(tmp_path), list[Mapping[str, int]]()
    session = SimpleNamespace(state=core.state, clock=ManualClock(NOW_MS))
    task = asyncio.create_task(
        engine._adopt_unsettled(session, SimpleNamespace(adopt=adopted.append))  # type: ignore[arg-type]
    )
    await asyncio.sleep(0)
    assert adopted[-1] == {"own": END_S, "open": END_S}
    core.feed(e.OutcomeServed(ts_recv_ms=NOW_MS, slug="own", outcome="UP", strike=None, final=None))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert adopted[-1] == {"open": END_S}
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
