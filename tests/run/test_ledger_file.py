"""The ledger over restarts: money, limits and breakers go on where they were, whatever ended the session."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from engine import events as e
from engine.__main__ import app
from engine.clock import ManualClock
from engine.config import Settings
from engine.contract import FeeSchedule, SettlementRule
from engine.core import decide as gate
from engine.core import risk
from engine.core.ledger import Ledger, OrderChange
from engine.core.orders import change_of
from engine.core.trading import OrderIntent
from engine.errors import JournalError, StartError
from engine.journal import Journal, read_events
from engine.kill import CLEAR_PHRASE
from engine.params import RESULTS_KEPT, Limits
from engine.run.ledger import read
from engine.run.ledger.file import (
    FILE_NAME,
    REMEMBERED_MS,
    LedgerFile,
    clear_tripped,
    ledger_name,
    open_ledger,
)
from engine.run.ledger.schema import VERSION
from engine.run.lock import FolderLock
from engine.run.session import Session
from engine.trail import Trail
from tests.core.builders import CRYPTO_FEE, END_S, START_S, TWAP_60, Core, contract, past_fill

NOW_MS = START_S * 1000
SLUG = contract().slug


def opened(folder: Path, session: str = "s2") -> LedgerFile:
    return LedgerFile(folder / "ledger.sqlite", session)


def restored(folder: Path, session: str = "s2", now_ms: int = NOW_MS) -> e.LedgerRestored:
    return opened(folder, session).restore(folder / "sessions", now_ms)


def a_session(
    folder: Path, name: str, events: list[e.AnyEvent], status: str | None, fee: FeeSchedule | None = None
) -> OrderIntent:
    """Write a session with one intent and these events; status None is a crash."""
    intent = OrderIntent("a#1", "a", "UP", "1", 9_000, 20_000_000, NOW_MS, 1, 300, 0.95, fee=fee)
    journal = Journal(folder / "sessions" / f"{name}.sqlite", {"session": name})
    opening = [event for event in events if isinstance(event, e.SessionOpened)]
    rest = [event for event in events if not isinstance(event, e.SessionOpened)]
    opening.append(e.SecondPassed(ts_recv_ms=NOW_MS - 10_000))  # type: ignore[arg-type]
    for seq, event in enumerate(opening, 1):
        journal.record(e.Record(seq, event))
    journal.record_output(len(opening), 0, intent)
    for seq, event in enumerate(rest, len(opening) + 1):
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
        assert (told.orders, told.unresolved) == ((), ())


def test_an_order_whose_end_nobody_knows_blocks_its_window(tmp_path: Path) -> None:
    """An intent without an end in a crashed session: never sent again."""
    a_session(tmp_path, "s1", [], status=None)
    told = restored(tmp_path)
    assert told.unresolved == ("a",)
    core = Core()
    core.feed(told)
    assert "a" in core.state.trading.traded_before


LIVE = e.SessionOpened(
    ts_recv_ms=NOW_MS - 20_000,
    session="s1",
    venue="external",
    dry_run=False,
    profile="live",
    params={},
    limits={},
    killed=False,
)
SIGNED = e.OrderSigned(
    ts_recv_ms=NOW_MS - 9_000,
    order_id="a#1",
    venue_order_id="0xabc",
    maker_e6=20_000_000,
    taker_e6=22_222_200,
)
TRADES = (e.Trade("t1", 10_000_000, 9_000_000, 63_000), e.Trade("t2", 12_222_200, 10_999_980, 76_999))
MATCHED = e.OrderFilled(
    ts_recv_ms=NOW_MS - 5_000,
    order_id="a#1",
    fills=(),
    fee_e6=139_999,
    trades=TRADES,
    is_final=False,
)


def an_order(**changes: object) -> OrderChange:
    """An order as its session last told it: unknown, sent as 0xabc."""
    facts: dict[str, object] = {
        "order_id": "a#1",
        "slug": "a",
        "end_s": 300,
        "outcome": "UP",
        "token": "1",
        "side": "BUY",
        "kind": "FOK",
        "limit_e4": 9_000,
        "usd_e6": 20_000_000,
        "shares_e6": 0,
        "probability": 0.95,
        "state": "unknown",
        "reason": "no answer",
        "venue_order_id": "0xabc",
        "at_ms": NOW_MS - 10_000,
        "ended_ms": None,
    }
    return OrderChange(**(facts | changes))  # type: ignore[arg-type]


def live(folder: Path, session: str = "s2") -> LedgerFile:
    return LedgerFile(folder / "ledger-live.sqlite", session, "live")


def asked(folder: Path, session: str = "s2") -> e.LedgerRestored:
    """What a live session is told at its start."""
    file = live(folder, session)
    told = file.restore(folder / "sessions", NOW_MS)
    file.close()
    return told


def query(path: Path, text: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(text).fetchall()


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


# --- crashes of live sessions -------------------------------------------------------------------------------


def test_a_live_order_that_was_never_signed_was_never_sent(tmp_path: Path) -> None:
    """A signature is durable before the first byte: without one there is nothing to look for."""
    a_session(tmp_path, "s1", [LIVE], status=None)
    told = asked(tmp_path)
    assert (told.orders, told.unresolved) == ((), ())
    assert query(tmp_path / "ledger-live.sqlite", "SELECT state, reason FROM orders") == [
        ("denied", "the engine ended before it was signed")
    ]


@pytest.mark.parametrize(
    "after",
    [
        [],
        [e.OrderSubmitted(ts_recv_ms=NOW_MS - 8_900, order_id="a#1")],
        [e.OrderUnknown(ts_recv_ms=NOW_MS - 8_000, order_id="a#1", reason="timed out")],
    ],
)
def test_a_live_order_without_an_end_is_told_until_it_has_one(
    tmp_path: Path, after: list[e.AnyEvent]
) -> None:
    """Signed, sent or unknown: the next session looks for it, and the one after that, until it is known."""
    a_session(tmp_path, "s1", [LIVE, SIGNED, *after], status=None)
    for session in ("s2", "s3"):
        told = asked(tmp_path, session)
        assert told.unresolved == ("a",)
        (order,) = told.orders
        assert (order.order_id, order.venue_order_id, order.token) == ("a#1", "0xabc", "1")
        assert (order.usd_e6, order.limit_e4, order.end_s) == (20_000_000, 9_000, 300)
    file = live(tmp_path, "s4")
    file.restore(tmp_path / "sessions", NOW_MS)
    file.write(7, [an_order(state="killed", reason="no trace", ended_ms=NOW_MS)], {}, NOW_MS)
    file.close()
    told = asked(tmp_path, "s5")
    assert (told.orders, told.unresolved) == ((), ())
    (row,) = read.orders(tmp_path / "ledger-live.sqlite").rows
    assert (row.session, row.state, row.reason) == ("s4", "killed", "no trace")


def test_an_order_that_is_taken_over_is_written_anew_as_what_it_was(tmp_path: Path) -> None:
    """A sale that may fill in part was kept as one that fills whole or not at all."""
    file = live(tmp_path, "s1")
    file.write(1, [an_order(kind="FAK", side="SELL", usd_e6=0, shares_e6=5_000_000)], {}, NOW_MS)
    file.close()
    told = asked(tmp_path)
    core = Core()
    core.feed(told)
    (order,) = core.state.trading.in_flight.values()
    assert (order.intent.kind, order.intent.side, order.intent.shares_e6) == ("FAK", "SELL", 5_000_000)
    assert change_of(order).kind == "FAK"


def test_an_order_that_is_still_unknown_in_a_second_session_stays_known(tmp_path: Path) -> None:
    """The second session takes the order over; it crashes as well, and the third one is told once."""
    a_session(tmp_path, "s1", [LIVE, SIGNED], status=None)
    file = live(tmp_path, "s2")
    file.restore(tmp_path / "sessions", NOW_MS)
    file.write(3, [an_order()], {}, NOW_MS)
    file.close()
    told = asked(tmp_path, "s3")
    assert [order.order_id for order in told.orders] == ["a#1"]
    assert told.unresolved == ("a",)


def test_a_new_order_that_shares_only_the_name_does_not_close_an_unknown_one(tmp_path: Path) -> None:
    """Names are counted by session; the venue's id tells which order is meant."""
    a_session(tmp_path, "s1", [LIVE, SIGNED], status=None)
    file = live(tmp_path)
    file.restore(tmp_path / "sessions", NOW_MS)
    other = an_order(venue_order_id="0xother", state="filled", ended_ms=NOW_MS, at_ms=NOW_MS)
    fill = past_fill("a", "UP", ((9_000, 10_000_000),), 0, NOW_MS, order_id="a#1", trade_id="t9")
    file.write(4, [fill, other], {}, NOW_MS)
    file.close()
    told = asked(tmp_path, "s3")
    assert [order.venue_order_id for order in told.orders] == ["0xabc"]
    assert told.unresolved == ("a",)


def test_a_fill_resolves_the_order_of_an_earlier_session(tmp_path: Path) -> None:
    """It did fill: its money is in the ledger, and nobody looks for it any more."""
    a_session(tmp_path, "s1", [LIVE, SIGNED], status=None)
    file = live(tmp_path)
    file.restore(tmp_path / "sessions", NOW_MS)
    fill = past_fill("a", "UP", ((9_000, 10_000_000),), 0, NOW_MS, order_id="a#1", trade_id="t1")
    file.write(4, [fill], {}, NOW_MS)
    file.close()
    told = asked(tmp_path, "s3")
    assert (told.orders, told.unresolved) == ((), ())
    assert [fill.order_id for fill in told.fills] == ["a#1"]


def test_an_order_of_an_earlier_session_that_ends_in_a_session_that_crashes_is_recovered(
    tmp_path: Path,
) -> None:
    """The second session's journal tells the end of an order that it never intended itself."""
    a_session(tmp_path, "s1", [LIVE, SIGNED], status=None)
    asked(tmp_path, "s2")
    journal = Journal(tmp_path / "sessions" / "s2.sqlite", {"session": "s2"})
    journal.record(e.Record(1, LIVE))
    journal.record(e.Record(2, MATCHED))
    journal.close("running")
    told = asked(tmp_path, "s3")
    assert (told.orders, told.unresolved) == ((), ())
    assert [(fill.trade_id, fill.cost_e6, fill.is_final) for fill in told.fills] == [
        ("t1", 9_000_000, False),
        ("t2", 10_999_980, False),
    ]


def test_each_trade_of_a_match_is_recovered_and_followed_until_its_last_word(tmp_path: Path) -> None:
    """One failed, one is still provisional: one fill comes back, not final."""
    failed = e.AccountTradeTold(
        ts_recv_ms=NOW_MS - 4_000,
        trade_id="t1",
        venue_order_id="0xabc",
        market="m",
        token="1",
        side="BUY",
        price_e4=9_000,
        size_e6=10_000_000,
        status="FAILED",
        ts_venue_ms=NOW_MS - 4_000,
    )
    mined = e.TradeStatusTold(
        ts_recv_ms=NOW_MS - 3_000, trade_id="t2", venue_order_id="0xabc", status="MINED"
    )
    a_session(tmp_path, "s1", [LIVE, SIGNED, MATCHED, failed, mined, MATCHED], status=None)
    told = asked(tmp_path)
    (fill,) = told.fills
    assert (fill.trade_id, fill.shares_e6, fill.fee_e6, fill.is_final) == ("t2", 12_222_200, 76_999, False)
    file = live(tmp_path, "s3")
    file.write(1, [e.PastFillStatus("a#1", "t2", "CONFIRMED", NOW_MS)], {}, NOW_MS)
    file.close()
    assert [fill.is_final for fill in asked(tmp_path, "s4").fills] == [True]


def test_a_trade_that_is_told_again_by_a_later_session_counts_once(tmp_path: Path) -> None:
    """Found again by a search, or repeated by the venue: one name of a trade, one sum of money."""
    for session in ("s1", "s1", "s2"):
        file = live(tmp_path, session)
        fill = past_fill("a", "UP", ((9_000, 1_000_000),), 7, NOW_MS, order_id="a#1", trade_id="t1")
        file.write(1, [fill, fill, e.PastSettlement("a", "DOWN", NOW_MS)], {}, NOW_MS)
        file.close()
    path = tmp_path / "ledger-live.sqlite"
    assert query(path, "SELECT session, cost_e6 FROM fill") == [("s1", 900_000)]
    assert query(path, "SELECT fills, realised_e6 FROM pnl_by_contract") == [(1, -900_007)]
    assert query(path, "SELECT count(*) FROM settlement") == [(1,)]


def test_a_status_that_only_the_journal_knows_is_recovered(tmp_path: Path) -> None:
    """The fill is in the file, its failure came right before the kill."""
    file = live(tmp_path, "s1")
    for trade in TRADES:
        fill = past_fill("a", "UP", ((9_000, 1_000_000),), 0, NOW_MS, order_id="a#1", trade_id=trade.trade_id)
        file.write(3, [msgspec.structs.replace(fill, is_final=False)], {}, NOW_MS)
    file.close()
    told = [
        e.TradeStatusTold(ts_recv_ms=NOW_MS, trade_id=trade, venue_order_id="0xabc", status=status)
        for trade, status in (("t1", "FAILED"), ("t2", "CONFIRMED"))
    ]
    a_session(tmp_path, "s1", [LIVE, SIGNED, MATCHED, *told], status=None)
    assert [(fill.trade_id, fill.is_final) for fill in asked(tmp_path).fills] == [("t2", True)]


def test_a_file_that_is_ahead_of_the_journal_is_believed(tmp_path: Path) -> None:
    """The file is synced at once, the journal in groups: a kill between them leaves the end only here."""
    file = live(tmp_path, "s1")
    fill = past_fill("a", "UP", ((9_000, 10_000_000),), 0, NOW_MS, order_id="a#1", trade_id="t1")
    file.write(9, [fill, an_order(state="filled", reason="", ended_ms=NOW_MS)], {}, NOW_MS)
    file.close()
    a_session(tmp_path, "s1", [LIVE, SIGNED], status=None)
    told = asked(tmp_path)
    assert (told.orders, told.unresolved, len(told.fills)) == ((), (), 1)


@pytest.mark.parametrize(
    ("end", "row"),
    [
        (
            e.OrderRejected(ts_recv_ms=NOW_MS, order_id="a#1", reason="not enough", code="balance"),
            ("rejected", "balance: not enough", NOW_MS),
        ),
        (e.OrderKilled(ts_recv_ms=NOW_MS, order_id="a#1", reason="FOK"), ("killed", "FOK", NOW_MS)),
        (e.OrderDenied(ts_recv_ms=NOW_MS, order_id="a#1", reason="kill"), ("denied", "kill", NOW_MS)),
        (msgspec.structs.replace(MATCHED, trades=TRADES[:1]), ("partial", "", NOW_MS - 5_000)),
        (MATCHED, ("filled", "", NOW_MS - 5_000)),
    ],
)
def test_every_end_that_a_crashed_session_was_told_is_an_end(
    tmp_path: Path, end: e.AnyEvent, row: tuple[object, ...]
) -> None:
    """None of them is looked for again."""
    a_session(tmp_path, "s1", [LIVE, SIGNED, end], status=None)
    told = asked(tmp_path)
    assert (told.orders, told.unresolved) == ((), ())
    assert query(tmp_path / "ledger-live.sqlite", "SELECT state, reason, ended_ms FROM orders") == [row]


def test_a_session_belongs_to_one_world(tmp_path: Path) -> None:
    """A crashed live session says nothing to the paper ledger, and practice says nothing to either."""
    practice = msgspec.structs.replace(LIVE, venue="practice", dry_run=True)
    paper = msgspec.structs.replace(LIVE, dry_run=True)
    for name, opening in (("live", LIVE), ("paper", paper), ("practice", practice)):
        a_session(tmp_path, name, [opening, SIGNED], status=None)
    for world, session in (("live", "live"), ("paper", "paper")):
        path = tmp_path / f"ledger-{world}.sqlite"
        file = LedgerFile(path, "s9", world)  # type: ignore[arg-type]
        assert file.restore(tmp_path / "sessions", NOW_MS).unresolved == ("a",)
        file.close()
        assert query(path, "SELECT session FROM orders") == [(session,)]
    new_world = LedgerFile(tmp_path / "ledger-practice.sqlite", "s9", "practice")
    assert new_world.restore(tmp_path / "sessions", NOW_MS).unresolved == ()
    new_world.close()


def test_the_settings_say_which_file(tmp_path: Path) -> None:
    """Three worlds, three files; practice is a new world at each run."""
    external = {"clob_ws_url": "wss://venue.example/ws", "rtds_ws_url": "wss://venue.example/rtds"}

    def settings_of(**more: object) -> Settings:
        return Settings.model_construct(data_dir=tmp_path, **more)

    assert ledger_name(settings_of()) == "ledger-practice.sqlite"
    assert ledger_name(settings_of(**external)) == "ledger-paper.sqlite"
    assert ledger_name(settings_of(**external, dry_run=False)) == "ledger-live.sqlite"
    for more, left in (({}, 0), (external, 1)):
        for session in ("s1", "s2"):
            file = open_ledger(settings_of(**more), session)
            told = file.restore(tmp_path / "sessions", NOW_MS)
            if session == "s2":
                assert len(told.fills) == left
            else:
                file.write(1, [past_fill("a", "UP", ((9_000, 1_000_000),), 0, NOW_MS)], {}, NOW_MS)
            file.close()


# --- the file itself ----------------------------------------------------------------------------------------


def test_profit_in_sql_is_the_cores(tmp_path_factory: pytest.TempPathFactory) -> None:
    """To the micro-dollar, whatever is bought, sold, undone, settled twice or told again."""
    number = 0

    @given(ACTS)
    @settings(max_examples=80, deadline=None)
    def check(acts: list[tuple]) -> None:
        nonlocal number
        number += 1
        folder = tmp_path_factory.mktemp(f"sql{number}")
        ledger, file = Ledger(), opened(folder, "s1")
        for seq, act in enumerate(acts, 1):
            _do(ledger, act, seq * HOUR_MS)
            file.write(seq, ledger.take_changes(), {}, seq * HOUR_MS)
        file.close()
        path = folder / "ledger.sqlite"
        realised = {slug: holding.realised_e6 for slug, holding in ledger.holdings.items() if holding.fills}
        assert dict(query(path, "SELECT slug, realised_e6 FROM pnl_by_contract")) == realised
        assert query(path, "SELECT total(realised_e6), total(fee_e6) FROM pnl_by_contract") == [
            (ledger.realised_e6, ledger.fees_e6)
        ]
        assert query(path, "SELECT total(dollars_e6) FROM cash") == [(ledger.cash_e6,)]
        held = {
            (slug, outcome): shares
            for slug, holding in ledger.holdings.items()
            for outcome, shares in holding.shares_e6.items()
            if shares
        }
        found = query(path, "SELECT slug, outcome, shares_e6 FROM position WHERE shares_e6 <> 0")
        assert {(slug, outcome): shares for slug, outcome, shares in found} == held
        core = Core()
        core.feed(restored(folder, now_ms=len(acts) * HOUR_MS))
        again = core.state.ledger
        assert (again.realised_e6, again.fees_e6, again.cash_e6) == (
            ledger.realised_e6,
            ledger.fees_e6,
            ledger.cash_e6,
        )
        days = dict(query(path, "SELECT day_utc, realised_e6 FROM pnl_by_day"))
        assert {day: again.realised_on(day) for day in range(4)} == {
            day: days.get(f"1970-01-0{day + 1}", 0) for day in range(4)
        }
        last = query(path, "SELECT equity_e6 FROM equity ORDER BY settled_ms DESC, slug DESC LIMIT 1")
        assert (last[0][0] if last else 0) == ledger.realised_e6

    check()


HOUR_MS = 3_600_000
SLUGS = st.sampled_from(["a", "b", "c"])
OUTCOMES = st.sampled_from(["UP", "DOWN"])
ACTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("fill"),
            SLUGS,
            OUTCOMES,
            st.sampled_from(["BUY", "SELL"]),
            st.integers(1, 9_999),
            st.integers(1, 10**9),
            st.integers(0, 10**6),
            st.integers(1, 6),
        ),
        st.tuples(st.just("status"), SLUGS, st.integers(1, 6), st.sampled_from(["CONFIRMED", "FAILED"])),
        st.tuples(st.just("settle"), SLUGS, OUTCOMES),
    ),
    max_size=40,
)


def _do(ledger: Ledger, act: tuple, at_ms: int) -> None:
    """Let something happen to a ledger; names of trades repeat, so that some are told twice."""
    if act[0] == "fill":
        _, slug, outcome, side, price, size, fee, trade = act
        fill = past_fill(slug, outcome, ((price, size),), fee, at_ms)
        named = {"order_id": f"{slug}#{trade % 3}", "trade_id": f"{slug}{trade}", "side": side}
        ledger.book(msgspec.structs.replace(fill, **named, is_final=False))
    elif act[0] == "status":
        _, slug, trade, status = act
        told = e.PastFillStatus(f"{slug}#{trade % 3}", f"{slug}{trade}", status, at_ms)
        if status == "FAILED":
            ledger.undo(slug, told)
        else:
            ledger.confirm(slug, told)
    else:
        ledger.settle(act[1], act[2], at_ms)


def an_old_file(path: Path) -> None:
    """Write a file as the first format was: bodies as msgpack."""
    encode = msgspec.msgpack.encode
    old_fill = {
        "order_id": "a#1",
        "slug": "a",
        "end_s": 300,
        "outcome": "UP",
        "shares_e6": 22_222_200,
        "cost_e6": 19_999_980,
        "fee_e6": 139_999,
        "at_ms": NOW_MS,
        "probability": 0.95,
    }
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE fill (session TEXT NOT NULL, order_id TEXT NOT NULL, seq INTEGER NOT NULL,
              at_ms INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (session, order_id)) WITHOUT ROWID;
            CREATE TABLE settlement (id INTEGER PRIMARY KEY, session TEXT NOT NULL, seq INTEGER NOT NULL,
              at_ms INTEGER NOT NULL, body BLOB NOT NULL);
            CREATE TABLE breaker (name TEXT PRIMARY KEY, why TEXT NOT NULL, at_ms INTEGER NOT NULL)
              WITHOUT ROWID;
            CREATE TABLE recovered (session TEXT PRIMARY KEY) WITHOUT ROWID;
            CREATE TABLE unresolved (session TEXT, order_id TEXT, slug TEXT, PRIMARY KEY (session, order_id))
              WITHOUT ROWID;
            INSERT INTO breaker VALUES ('drawdown', 'lost too much', 1);
            INSERT INTO recovered VALUES ('s0');
            INSERT INTO unresolved VALUES ('s0', 'b#1', 'b');
            """
        )
        database.execute("INSERT INTO fill VALUES ('s0', 'a#1', 5, ?, ?)", (NOW_MS, encode(old_fill)))
        for seq, outcome in enumerate(("DOWN", "UP"), 6):
            body = encode({"slug": "a", "outcome": outcome, "at_ms": NOW_MS + seq})
            database.execute(
                "INSERT INTO settlement (session, seq, at_ms, body) VALUES ('s0', ?, ?, ?)",
                (seq, NOW_MS + seq, body),
            )


def test_a_file_of_the_first_format_is_converted_at_its_opening(tmp_path: Path) -> None:
    """Nothing of it is lost, and a second opening finds nothing to do."""
    path = tmp_path / "ledger.sqlite"
    an_old_file(path)
    assert "converts it" in read.fills(path).problem
    for session in ("s1", "s2"):
        told = restored(tmp_path, session)
        (fill,) = told.fills
        assert (fill.cost_e6, fill.fee_e6, fill.side, fill.is_final) == (19_999_980, 139_999, "BUY", True)
        assert [paid.outcome for paid in told.settlements] == ["DOWN", "UP"]
        assert told.breakers == (("drawdown", "lost too much"),)
        assert told.unresolved == ("b",)
    assert query(path, "PRAGMA user_version") == [(VERSION,)]
    assert query(path, "SELECT realised_e6 FROM pnl_by_contract") == [(22_222_200 - 19_999_980 - 139_999,)]


def test_a_conversion_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """One transaction: half a conversion would be no ledger at all."""
    path = tmp_path / "ledger.sqlite"
    an_old_file(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE settlement SET body = x'c1'")
    with pytest.raises(JournalError, match="damaged: move it"):
        opened(tmp_path)
    assert query(path, "SELECT count(*) FROM fill WHERE body IS NOT NULL") == [(1,)]
    assert query(path, "PRAGMA user_version") == [(0,)]


def test_a_file_of_a_later_format_is_left_alone(tmp_path: Path) -> None:
    """An older engine does not guess what a newer one wrote."""
    opened(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(JournalError, match="update the engine"):
        opened(tmp_path)


def test_a_torn_file_stops_the_start_and_says_what_to_do(tmp_path: Path) -> None:
    """In one line: nothing is traded on half a ledger."""
    file = opened(tmp_path)
    for number in range(400):
        file.write(number, [past_fill(f"w{number}", "UP", ((9_000, 1_000_000),), 0, NOW_MS)], {}, NOW_MS)
    file.close()
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(JournalError) as refused:
        opened(tmp_path)
    assert "move it with its -wal and -shm aside" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_written_says_so_and_can_be_written_again(tmp_path: Path) -> None:
    """A write that failed leaves no transaction open behind it."""
    file = opened(tmp_path, "s1")
    other = sqlite3.connect(tmp_path / "ledger.sqlite")
    other.execute("CREATE TRIGGER no BEFORE INSERT ON fill BEGIN SELECT RAISE(ABORT, 'full'); END")
    fill = past_fill("a", "UP", ((9_000, 10_000_000),), 0, NOW_MS)
    with pytest.raises(JournalError, match="full"):
        file.write(1, [fill], {}, NOW_MS)
    other.execute("DROP TRIGGER no")
    other.close()
    file.write(2, [fill], {}, NOW_MS)
    file.close()
    assert len(restored(tmp_path).fills) == 1


def test_breakers_of_both_ledgers_are_cleared(tmp_path: Path) -> None:
    """An operator means the machine, not a file; the trail says which was whose."""
    for world in ("paper", "live"):
        file = LedgerFile(tmp_path / f"ledger-{world}.sqlite", "s1", world)  # type: ignore[arg-type]
        file.write(1, [], {"drawdown": "too much"}, NOW_MS)
        file.close()
    names, problem = clear_tripped(tmp_path, CLEAR_PHRASE, "me", "looked at it")
    assert (names, problem) == (["drawdown", "drawdown (live)"], None)
    assert [deed.why for deed in Trail(tmp_path).read()[0]] == [
        "breakers drawdown: looked at it",
        "breakers drawdown (live): looked at it",
    ]
    assert clear_tripped(tmp_path, CLEAR_PHRASE, "me", "again") == ([], None)


def test_a_breaker_of_practice_is_cleared_too_and_a_running_practice_refuses(tmp_path: Path) -> None:
    """It was said that no breaker was tripped, beside a console that showed one."""
    file = LedgerFile(tmp_path / "ledger-practice.sqlite", "s1", "practice")
    file.write(1, [], {"loss streak": "6 losing windows in a row"}, NOW_MS)
    file.close()
    with FolderLock(tmp_path), pytest.raises(StartError, match="another engine"):
        clear_tripped(tmp_path, CLEAR_PHRASE, "me", "looked at it")
    assert clear_tripped(tmp_path, CLEAR_PHRASE, "me", "t") == (["loss streak (practice)"], None)
    assert clear_tripped(tmp_path, CLEAR_PHRASE, "me", "t") == ([], None)


def test_an_engine_that_runs_refuses_before_anything_is_tripped(tmp_path: Path) -> None:
    """What it knows and has not written yet would be missed, and "none was tripped" would be believed."""
    with FolderLock(tmp_path), pytest.raises(StartError, match="another engine"):
        clear_tripped(tmp_path, CLEAR_PHRASE, "me", "t")
    assert clear_tripped(tmp_path / "nowhere", CLEAR_PHRASE, "me", "t") == ([], None)
    assert not (tmp_path / "nowhere").exists()


# --- what the next start is told ----------------------------------------------------------------------------


def test_a_window_whose_match_failed_is_left_alone_for_a_day(tmp_path: Path) -> None:
    """Undone, it leaves no fill to be told: without its name the next session would buy in it again."""
    file = live(tmp_path, "s1")
    fill = past_fill("a", "UP", ((9_000, 1_000_000),), 0, NOW_MS, order_id="a#1", trade_id="t1")
    file.write(1, [msgspec.structs.replace(fill, is_final=False)], {}, NOW_MS)
    file.write(2, [e.PastFillStatus("a#1", "t1", "FAILED", NOW_MS + 5)], {}, NOW_MS)
    for later_ms, slugs in ((0, ("a",)), (86_400_000, ("a",)), (86_400_001, ())):
        told = file.restore(tmp_path / "sessions", NOW_MS + later_ms)
        assert (told.fills, told.unresolved) == ((), slugs)
    file.close()


def test_an_order_of_which_every_trade_failed_is_failed_in_its_row_and_no_other(tmp_path: Path) -> None:
    """By the status alone: an order of an earlier session has no change of its own."""
    path = tmp_path / "ledger-live.sqlite"
    file = live(tmp_path, "s1")
    fills = [
        past_fill("a", "UP", ((9_000, 1_000_000),), 0, NOW_MS, order_id="a#1", trade_id=name, is_final=False)
        for name in ("t1", "t2")
    ]
    file.write(1, [*fills, an_order(state="partial", reason="", ended_ms=NOW_MS)], {}, NOW_MS)
    file.close()
    file = live(tmp_path, "s2")
    for name, state in (("t1", "partial"), ("t2", "failed")):
        file.write(2, [e.PastFillStatus("a#1", name, "FAILED", NOW_MS)], {}, NOW_MS)
        assert query(path, "SELECT state FROM orders") == [(state,)]
    file.close()


def test_fees_and_tokens_are_kept_to_the_last_digit(tmp_path: Path) -> None:
    """Decimals, and nothing where the market publishes none: an order is found and redeemed without Gamma."""
    file = live(tmp_path, "s1")
    fill = past_fill("c", "UP", ((9_000, 1_000_000),), 0, NOW_MS, order_id="c#1", trade_id="t1", token="71")
    with_fee = an_order(fee_rate="0.0700", fee_exponent="1.5")
    without = an_order(order_id="b#1", slug="b", venue_order_id="0xb", at_ms=NOW_MS)
    file.write(1, [with_fee, without, fill], {}, NOW_MS)
    file.close()
    told = asked(tmp_path)
    assert [order.fee for order in told.orders] == [FeeSchedule(Decimal("0.0700"), Decimal("1.5")), None]
    assert [fill.token for fill in told.fills] == ["71"]


def test_the_fee_and_the_token_of_a_crashed_session_s_order_are_recovered(tmp_path: Path) -> None:
    """Out of the intent in its journal."""
    a_session(tmp_path, "s1", [LIVE, SIGNED, MATCHED], status=None, fee=CRYPTO_FEE)
    assert [fill.token for fill in asked(tmp_path).fills] == ["1", "1"]
    a_session(tmp_path, "s4", [LIVE, SIGNED], status=None, fee=CRYPTO_FEE)
    assert [order.fee for order in asked(tmp_path, "s5").orders] == [CRYPTO_FEE]


def test_what_was_cleared_is_told_to_every_later_start_by_its_settlement(tmp_path: Path) -> None:
    """By the settlements' own time, which may be a scaled venue's; and never by a time of the wall."""
    file = opened(tmp_path, "s1")
    assert file.restore(tmp_path / "sessions", NOW_MS).cleared_ms == 0
    file.clear_breakers()
    assert file.restore(tmp_path / "sessions", NOW_MS).cleared_ms == 0, "nothing had settled"
    for number in range(3):
        fill = past_fill(f"w{number}", "UP", ((9_000, 1_000_000),), 0, NOW_MS - 9_000)
        file.write(
            number, [fill, e.PastSettlement(f"w{number}", "DOWN", NOW_MS - 3_000 + number)], {}, NOW_MS
        )
        if number == 1:
            file.clear_breakers()
    file.close()
    for session in ("s2", "s3"):
        told = restored(tmp_path, session)
        assert told.cleared_ms == NOW_MS - 2_999
        core = Core()
        core.feed(told)
        assert [result.slug for result in core.state.ledger.results] == ["w2"]
        assert core.state.ledger.realised_e6 == -2_700_000


def test_windows_older_than_a_month_are_told_as_one_sum(tmp_path: Path) -> None:
    """Money does not jump when a fill grows too old; what is not settled, or not old, is not in it."""
    file = opened(tmp_path, "s1")
    old_ms = NOW_MS - REMEMBERED_MS - 6
    for slug, at_ms, outcome in (
        ("a", old_ms, "UP"),
        ("b", old_ms, "DOWN"),
        ("c", old_ms, ""),
        ("d", NOW_MS, "UP"),
    ):
        file.write(1, [past_fill(slug, "UP", ((9_000, 1_000_000),), 1_000, at_ms)], {}, NOW_MS)
        if outcome:
            file.write(2, [e.PastSettlement(slug, outcome, at_ms + 5)], {}, NOW_MS)  # type: ignore[arg-type]
    file.close()
    told = restored(tmp_path)
    assert told.before_e6 == 99_000 - 901_000
    core = Core()
    core.feed(told)
    assert core.state.ledger.realised_e6 == 2 * 99_000 - 901_000


OLD_MS = NOW_MS - REMEMBERED_MS - 9 * 86_400_000


def test_a_holding_that_never_settled_is_told_however_old_it_is(tmp_path: Path) -> None:
    """Its cost is spent until its window pays out: a month later it must not come back as cash."""
    file = opened(tmp_path, "s1")
    fill = past_fill("a", "UP", ((8_000, 25_000_000),), 300_000, OLD_MS)
    undone = past_fill("b", "UP", ((9_000, 1_000_000),), 1_000, OLD_MS, trade_id="t1", is_final=False)
    file.write(1, [fill, undone, e.PastFillStatus(undone.order_id, "t1", "FAILED", OLD_MS)], {}, NOW_MS)
    file.close()
    core = Core()
    core.feed(restored(tmp_path))
    ledger = core.state.ledger
    assert (ledger.cash_e6, ledger.open_cost_e6(), ledger.realised_e6) == (-20_300_000, 20_300_000, 0)
    assert ledger.unsettled() == {"a": 300}
    served = e.OutcomeServed(ts_recv_ms=NOW_MS, slug="a", outcome="UP", strike=None, final=None)
    core.feed(served)
    assert (ledger.cash_e6, ledger.open_cost_e6(), ledger.realised_e6) == (4_700_000, 0, 4_700_000)


def test_a_window_that_is_partly_old_is_told_whole(tmp_path: Path) -> None:
    """Fills on either side of the month's edge count once each; the clock may have been set back between
    the fills and the settlement."""
    file = opened(tmp_path, "s1")
    for at_ms in (NOW_MS, OLD_MS):
        file.write(1, [past_fill("a", "UP", ((8_000, 10_000_000),), 0, at_ms)], {}, NOW_MS)
    file.write(2, [e.PastSettlement("a", "DOWN", OLD_MS)], {}, NOW_MS)
    file.close()
    core = Core()
    core.feed(restored(tmp_path))
    ledger = core.state.ledger
    assert (ledger.cash_e6, ledger.realised_e6, ledger.open_cost_e6()) == (-16_000_000, -16_000_000, 0)


def test_an_old_window_that_settled_late_counts_on_the_day_of_its_settlement(tmp_path: Path) -> None:
    """The day's loss limit goes by that day, after a restart too."""
    file = opened(tmp_path, "s1")
    file.write(1, [past_fill("a", "UP", ((8_000, 10_000_000),), 0, OLD_MS)], {}, NOW_MS)
    file.write(2, [e.PastSettlement("a", "DOWN", NOW_MS)], {}, NOW_MS)
    file.close()
    core = Core()
    core.feed(restored(tmp_path))
    ledger = core.state.ledger
    assert (ledger.cash_e6, ledger.realised_e6) == (-8_000_000, -8_000_000)
    assert ledger.realised_on(NOW_MS // 86_400_000) == -8_000_000


DAY_MS = 86_400_000


def lived(folder: Path, days: list[int], cleared_after: int = 0) -> Ledger:
    """Let an engine settle a window a day, up to now: a gain or a loss in dimes; and an operator clear the
    breakers after so many of them. Return what the engine knows that never restarted."""
    ledger, file = Ledger(), opened(folder, "s1")
    for number, dimes in enumerate(days):
        at_ms = NOW_MS - (len(days) - number) * DAY_MS
        slug, cost, outcome = f"w{number}", -dimes, "DOWN"
        if dimes > 0:
            cost, outcome = 10_000 - dimes, "UP"
        ledger.book(past_fill(slug, "UP", ((cost, 1_000_000_000),), 7_000, at_ms, end_s=at_ms // 1_000))
        ledger.settle(slug, outcome, at_ms + 5, "own")  # type: ignore[arg-type]
        ledger.settle(slug, outcome, at_ms + 60_000)  # type: ignore[arg-type]
        file.write(number + 1, ledger.take_changes(), {}, NOW_MS)
        if number + 1 == cleared_after:
            file.clear_breakers()
            ledger.judge_anew()
    file.close()
    return ledger


def same_as_restarted(folder: Path, ledger: Ledger) -> Ledger:
    """Compare what breakers judge by with what the next start knows."""
    core = Core()
    core.feed(restored(folder))
    again = core.state.ledger
    for name in ("results", "peak_e6", "realised_e6", "cash_e6"):
        assert getattr(again, name) == getattr(ledger, name), name
    return again


def test_a_drawdown_goes_on_over_a_restart_however_old_the_best_is(tmp_path: Path) -> None:
    """Won $200 long ago and lost $3.40 a day since: a start that forgot the best would stop weeks later."""
    again = same_as_restarted(tmp_path, lived(tmp_path, [2_000] + [-34] * 44))
    assert again.peak_e6 - again.realised_e6 == 44 * 3_407_000


def test_results_go_on_over_a_restart_however_rarely_it_trades(tmp_path: Path) -> None:
    """Five losses in two months: the sixth trips, whether the engine ran on or not."""
    folder = tmp_path
    ledger, file = Ledger(), opened(folder, "s1")
    for number in range(5):
        at_ms = NOW_MS - (60 - 10 * number) * DAY_MS
        ledger.book(past_fill(f"w{number}", "UP", ((9_000, 10_000_000),), 0, at_ms, probability=0.95))
        ledger.settle(f"w{number}", "DOWN", at_ms + 5)
    file.write(1, ledger.take_changes(), {}, NOW_MS)
    file.close()
    again = same_as_restarted(folder, ledger)
    assert [result.slug for result in again.results] == [f"w{number}" for number in range(5)]


def test_a_restart_keeps_two_hundred_results_and_no_more(tmp_path: Path) -> None:
    """Some of them are told one by one, the others are of before."""
    ledger = lived(tmp_path, [10, -34, 70] * 80)
    assert len(same_as_restarted(tmp_path, ledger).results) == RESULTS_KEPT
    told = restored(tmp_path, "s3")
    assert (len(told.settlements), len(told.results)) == (31, RESULTS_KEPT)


@pytest.mark.parametrize("cleared_after", [1, 20, 44, 50, 60])
def test_what_was_cleared_long_ago_is_not_judged_after_a_restart(tmp_path: Path, cleared_after: int) -> None:
    """The best is counted from there, and so are the results, on either side of the memory's edge."""
    ledger = lived(tmp_path, [2_000, *[-34, -34, 90] * 20], cleared_after)
    again = same_as_restarted(tmp_path, ledger)
    assert again.results[0].slug == f"w{cleared_after}"


@settings(max_examples=20, deadline=None)
@given(
    days=st.lists(st.integers(-9_000, 9_000).filter(bool), min_size=1, max_size=60),
    cleared=st.integers(0, 60),
)
def test_breakers_judge_the_same_over_a_restart(
    tmp_path_factory: pytest.TempPathFactory, days: list[int], cleared: int
) -> None:
    """Whatever was won and lost, and whenever somebody cleared them."""
    folder = tmp_path_factory.mktemp("lived")
    same_as_restarted(folder, lived(folder, days, cleared))


# --- a file that cannot be written, and the session above it ------------------------------------------------


def running(folder: Path, ledger: LedgerFile) -> Session:
    """Open a session that holds one window, with its ledger behind it."""
    journal = Journal(folder / "sessions" / "s1.sqlite", {"session": "s1"})
    session = Session(ManualClock(NOW_MS), journal, lambda _: None)
    session.ledger_file = ledger
    session.accept(e.SecondPassed(ts_recv_ms=NOW_MS))
    return session


def test_what_a_full_disk_kept_out_is_written_once_there_is_room(tmp_path: Path) -> None:
    """The change is not lost with the write: the next one takes it along; but the session is not whole."""
    file = opened(tmp_path, "s1")
    session = running(tmp_path, file)
    other = sqlite3.connect(tmp_path / "ledger.sqlite")
    other.execute("CREATE TRIGGER no BEFORE INSERT ON fill BEGIN SELECT RAISE(ABORT, 'full'); END")
    session.state.ledger.book(past_fill("a", "UP", ((9_000, 1_000_000),), 0, NOW_MS))
    session.accept(e.SecondPassed(ts_recv_ms=NOW_MS + 1_000))
    assert "full" in (session.state.halted_why or "")
    assert session.failed.is_set()
    assert not session.is_whole, "the next start asks the journal"
    other.execute("DROP TRIGGER no")
    other.close()
    session.state.ledger.settle("a", "UP", NOW_MS + 1_500)
    session.accept(e.SecondPassed(ts_recv_ms=NOW_MS + 2_000))
    file.close()
    told = restored(tmp_path)
    assert ([fill.slug for fill in told.fills], [paid.slug for paid in told.settlements]) == (["a"], ["a"])
    assert not session.is_whole


def test_a_halt_is_in_the_journal_and_ends_the_engine_whatever_halted_before(tmp_path: Path) -> None:
    """A replay halts at the same event; a recorder that fails in a halted engine still ends it."""
    session = running(tmp_path, opened(tmp_path, "s1"))
    told: list[str] = []
    session.on_halt = told.append
    session.broke("Tick could not be taken in: ValueError: x")
    assert (session.failed.is_set(), session.is_whole) == (True, False)
    session.failed.clear()
    session.broke("again")
    assert session.failed.is_set()
    assert told == ["Tick could not be taken in: ValueError: x"]
    session._journal.close()
    halts = [
        record.event.why
        for record in read_events(tmp_path / "sessions" / "s1.sqlite")
        if isinstance(record.event, e.EngineHalted)
    ]
    assert halts == told


# --- an order that lived on after its end -------------------------------------------------------------------

KILLED = e.OrderKilled(ts_recv_ms=NOW_MS - 6_000, order_id="a#1", reason="FOK")
LIVES = e.TradeStatusTold(ts_recv_ms=NOW_MS - 5_500, trade_id="t2", venue_order_id="0xabc", status="MATCHED")
FIRST = msgspec.structs.replace(MATCHED, trades=TRADES[:1])


@pytest.mark.parametrize("is_in_file", [True, False])
@pytest.mark.parametrize("end", [KILLED, FIRST])
def test_an_order_that_was_lost_again_is_still_looked_for_after_a_crash(
    tmp_path: Path, end: e.AnyEvent, is_in_file: bool
) -> None:
    """Ended by its answer, alive by a trade: the core counts it as spent, and so has the next session to."""
    if is_in_file:
        file = live(tmp_path, "s1")
        file.write(9, [an_order()], {}, NOW_MS)
        file.close()
    a_session(tmp_path, "s1", [LIVE, SIGNED, end, LIVES], status=None)
    assert [order.venue_order_id for order in asked(tmp_path).orders] == ["0xabc"]


def test_what_a_second_answer_found_is_recovered(tmp_path: Path) -> None:
    """One trade by the answer, two by the search: both are money."""
    a_session(tmp_path, "s1", [LIVE, SIGNED, FIRST, LIVES, MATCHED], status=None)
    assert [fill.trade_id for fill in asked(tmp_path).fills] == ["t1", "t2"]


def test_a_rule_that_was_trusted_is_trusted_after_a_restart_and_another_is_not(tmp_path: Path) -> None:
    """The rule may change while nothing runs: the first window seen then has to prove it, as any other."""
    file, core = opened(tmp_path, "s1"), Core()
    core.describe(rule_text="the venue's own words")
    file.write(1, core.state.ledger.take_changes(), {}, NOW_MS)
    file.close()
    told = restored(tmp_path)
    (rule,) = told.rules
    assert (rule.name, rule.rule, rule.words) == ("5m", TWAP_60, "the venue's own words")
    for again, before in ((TWAP_60, None), (SettlementRule("twap", 30), TWAP_60)):
        later = Core()
        later.feed(told)
        later.describe(rule=again)
        trusted = later.state.markets[contract().slug].rule_before
        assert (trusted and trusted.rule) == before
        assert later.state.ledger.take_changes() == [], "nothing new is trusted"


def test_a_file_of_the_second_format_gets_a_place_for_rules(tmp_path: Path) -> None:
    """What it holds stays as it is."""
    file = opened(tmp_path, "s1")
    file.write(1, [e.PastSettlement("w", "UP", NOW_MS)], {}, NOW_MS)
    path = file.path
    file.close()
    database = sqlite3.connect(path)
    database.execute("DROP TABLE rule")
    database.execute("ALTER TABLE settlement DROP COLUMN source")
    database.execute("PRAGMA user_version = 2")
    database.commit()
    database.close()
    assert restored(tmp_path).rules == ()
    assert query(path, "PRAGMA user_version") == [(VERSION,)]
    assert query(path, "SELECT slug FROM settlement") == [("w",)]


@pytest.mark.parametrize("told", ["", "{", '{"name":"5m"}', "[1]", "\\x00", "null"])
def test_a_damaged_rule_stops_the_start_and_says_what_to_do(tmp_path: Path, told: str) -> None:
    """What nobody can read is not taken for no rule at all."""
    file = opened(tmp_path, "s1")
    core = Core()
    core.describe()
    file.write(1, core.state.ledger.take_changes(), {}, NOW_MS)
    file.close()
    with closing(sqlite3.connect(file.path)) as database, database:
        database.execute("UPDATE rule SET told = ?", (told,))
    with pytest.raises(JournalError, match="it is damaged: move it"):
        restored(tmp_path)
