"""The ledger over restarts: money, limits and breakers go on where they were, whatever ended the session."""

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine import events as e
from engine.__main__ import app
from engine.core import decide as gate
from engine.core import risk
from engine.core.ledger import Ledger
from engine.core.state import OrderIntent
from engine.errors import JournalError, StartError
from engine.journal import Journal
from engine.kill import CLEAR_PHRASE
from engine.params import Limits
from engine.run.ledger_file import FILE_NAME, LedgerFile
from engine.run.lock import FolderLock
from engine.trail import Trail
from tests.core.builders import END_S, START_S, Core, contract, past_fill

NOW_MS = START_S * 1000
SLUG = contract().slug


def opened(folder: Path, session: str = "s2") -> LedgerFile:
    return LedgerFile(folder / "ledger.sqlite", session)


def restored(folder: Path, session: str = "s2", now_ms: int = NOW_MS) -> e.LedgerRestored:
    return opened(folder, session).restore(folder / "sessions", now_ms)


def a_session(folder: Path, name: str, events: list[e.AnyEvent], status: str | None) -> OrderIntent:
    """Write a session with one intent and these events; status None is a crash."""
    intent = OrderIntent("a#1", "a", "UP", "1", 9_000, 20_000_000, NOW_MS, 1, 300, 0.95)
    journal = Journal(folder / "sessions" / f"{name}.sqlite", {"session": name})
    journal.record(e.Record(1, e.SecondPassed(ts_recv_ms=NOW_MS - 10_000)))
    journal.record_output(1, 0, intent)
    for seq, event in enumerate(events, 2):
        journal.record(e.Record(seq, event))
    journal.close("running" if status is None else status)
    return intent


FILLED = e.OrderFilled(
    ts_recv_ms=NOW_MS - 5_000, order_id="a#1", fills=((9_000, 22_222_200),), fee_e6=139_999
)


def test_what_one_session_booked_the_next_one_knows(tmp_path: Path) -> None:
    """Fills, settlements and corrections, in order; sums come out the same to the millionth."""
    ledger, file = Ledger(), opened(tmp_path, "s1")
    file.restore(tmp_path / "sessions", NOW_MS)
    fills = [past_fill(slug, "UP", ((9_000, 10_000_000),), 63_000, NOW_MS - 60_000) for slug in ("a", "b")]
    for seq, act in enumerate(
        [
            lambda: ledger.book(fills[0]),
            lambda: ledger.book(fills[1]),
            lambda: ledger.settle("a", "UP", NOW_MS - 2_000),
            lambda: ledger.settle("a", "DOWN", NOW_MS - 1_000),
        ],
        1,
    ):
        act()
        file.write(seq, ledger.take_changes(), {}, NOW_MS)
    file.close()
    core = Core()
    core.feed(restored(tmp_path))
    again = core.state.ledger
    assert (again.realised_e6, again.open_cost_e6(), again.trades, again.fees_e6) == (
        ledger.realised_e6,
        ledger.open_cost_e6(),
        ledger.trades,
        ledger.fees_e6,
    )
    assert again.realised_e6 == -9_063_000
    assert again.unsettled() == {"b": 300}
    assert not again.has_changes, "what comes from the file is not written to it again"


def test_limits_fire_across_restarts(tmp_path: Path) -> None:
    """Four trades in the hour before the restart leave none after it; the day's loss counts on."""
    file = opened(tmp_path, "s1")
    file.restore(tmp_path / "sessions", NOW_MS)
    for number in range(4):
        at_ms = NOW_MS - 60_000 + number
        file.write(number, [past_fill(f"w{number}", "UP", ((9_000, 10_000_000),), 0, at_ms)], {}, NOW_MS)
        settled = e.PastSettlement(f"w{number}", "DOWN", at_ms + 1)
        file.write(number, [settled], {}, NOW_MS)
    file.close()
    core = Core(limits=Limits(max_daily_loss_usd=50.0))
    core.describe()
    core.second(START_S + 1)
    market = core.state.markets[SLUG]
    assert not risk.blocks(core.state, market) & (gate.HOURLY | gate.DAILY_LOSS)
    core.feed(restored(tmp_path, now_ms=(START_S + 1) * 1000))
    assert risk.blocks(core.state, market) & gate.HOURLY
    assert risk.blocks(core.state, market) & gate.DAILY_LOSS, "36 lost and 20 more at stake exceed 50"


def test_a_window_that_was_traded_is_not_traded_again(tmp_path: Path) -> None:
    """One order a market holds over a restart."""
    file = opened(tmp_path, "s1")
    file.restore(tmp_path / "sessions", NOW_MS)
    file.write(1, [past_fill(SLUG, "UP", ((9_000, 10_000_000),), 0, NOW_MS, end_s=END_S)], {}, NOW_MS)
    file.close()
    core = Core()
    core.feed(restored(tmp_path))
    core.describe()
    core.second(START_S + 1)
    assert risk.blocks(core.state, core.state.markets[SLUG]) & gate.ONE_ORDER


def test_a_fill_that_only_the_journal_knows_is_recovered_once(tmp_path: Path) -> None:
    """Killed between the journal's commit and the ledger's: the journal is asked, and only once."""
    a_session(tmp_path, "s1", [FILLED], status=None)
    for session in ("s2", "s3"):
        told = restored(tmp_path, session)
        assert [(fill.order_id, fill.cost_e6, fill.fee_e6) for fill in told.fills] == [
            ("a#1", 19_999_980, 139_999)
        ]
        assert told.unresolved == ()


def test_an_order_whose_end_nobody_knows_blocks_its_window(tmp_path: Path) -> None:
    """An intent without an end in a crashed session: never sent again."""
    a_session(tmp_path, "s1", [], status=None)
    told = restored(tmp_path)
    assert told.unresolved == ("a",)
    core = Core()
    core.feed(told)
    assert "a" in core.state.traded_before


def test_a_session_that_ended_is_not_asked(tmp_path: Path) -> None:
    """Its changes are in the file; an order it left open was denied or killed before it ended."""
    a_session(tmp_path, "s1", [FILLED], status="ended")
    assert restored(tmp_path).fills == ()


def test_breakers_stay_tripped_until_they_are_cleared(tmp_path: Path) -> None:
    """A restart is not an answer to six losses in a row."""
    file = opened(tmp_path, "s1")
    file.restore(tmp_path / "sessions", NOW_MS)
    file.write(1, [], {"loss streak": "6 losing windows in a row"}, NOW_MS)
    file.close()
    told = restored(tmp_path)
    core = Core()
    core.describe()
    core.feed(told)
    core.second(START_S + 1)
    assert risk.blocks(core.state, core.state.markets[SLUG]) & gate.BREAKER
    file = opened(tmp_path)
    file.clear_breakers()
    assert file.tripped() == []
    assert restored(tmp_path).breakers == ()


def test_an_operator_clears_breakers_with_a_phrase_and_a_reason(tmp_path: Path) -> None:
    """The only way out of a tripped breaker; it is written down, and not possible beside a running engine."""
    file = LedgerFile(tmp_path / FILE_NAME, "s1")
    file.write(1, [], {"drawdown": "$160.00 below the best result"}, NOW_MS)
    file.close()
    command = ["clear-breakers", "--json", "--reason", "looked at every loss", "--phrase"]
    environment = {"DATA_DIR": str(tmp_path)}
    wrong = CliRunner().invoke(app, [*command, "clear"], env=environment)
    assert wrong.exit_code == 1
    assert json.loads(wrong.stdout)["cleared"] == []
    with FolderLock(tmp_path):
        beside = CliRunner().invoke(app, [*command, CLEAR_PHRASE], env=environment)
    assert isinstance(beside.exception, StartError)
    cleared = CliRunner().invoke(app, [*command, CLEAR_PHRASE], env=environment)
    assert cleared.exit_code == 0, cleared.output
    assert json.loads(cleared.stdout) == {"cleared": ["drawdown"], "refused": None}
    (deed,) = Trail(tmp_path).read()[0]
    assert (deed.what, deed.why) == ("cleared", "breakers drawdown: looked at every loss")
    again = CliRunner().invoke(app, [*command, CLEAR_PHRASE], env=environment)
    assert json.loads(again.stdout) == {"cleared": [], "refused": None}


def test_a_file_that_is_no_ledger_stops_the_start(tmp_path: Path) -> None:
    """Nothing is traded on limits that nobody can read."""
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database, but long enough to look like one" * 40)
    with pytest.raises(JournalError, match="cannot keep the ledger"):
        opened(tmp_path)


def test_a_change_is_whole_or_not_there(tmp_path: Path) -> None:
    """One transaction: a fault in the second change takes the first back."""
    file = opened(tmp_path, "s1")
    file.restore(tmp_path / "sessions", NOW_MS)
    other = sqlite3.connect(tmp_path / "ledger.sqlite")
    other.execute("CREATE TRIGGER no BEFORE INSERT ON settlement BEGIN SELECT RAISE(ABORT, 'full'); END")
    other.close()
    changes = [past_fill("a", "UP", ((9_000, 10_000_000),), 0, NOW_MS), e.PastSettlement("a", "UP", NOW_MS)]
    with pytest.raises(JournalError, match="full"):
        file.write(1, changes, {}, NOW_MS)
    file.close()
    assert restored(tmp_path).fills == ()
