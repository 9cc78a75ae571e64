"""The ledger in dollars, what paper fills are worth, and the match with the venue: counted by hand."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engine import events as e
from engine.contract import Outcome
from engine.core.ledger import OrderChange
from engine.run.ledger import view
from engine.run.ledger.file import LedgerFile
from engine.run.ledger.read import ROWS_MOST, Part
from engine.snapshot import AssumedView, HonestyView, OrderView, Snapshot
from tests.books import FIRST_MS, FIVE_MINUTES_MS, keep_journal, keep_ledger
from tests.core.builders import past_fill
from tests.run.pictures import picture

AT_MS = 1_790_000_000_000
HOUR_MS = 3_600_000


def kept(path: Path, *changes: Any) -> Path:
    """Write a ledger of these changes."""
    file = LedgerFile(path, "s1")
    file.write(1, list(changes), {}, 0)
    file.close()
    return path


def two_hours(path: Path) -> Path:
    """Two windows settled (one won, one lost, in different hours), and one open holding of two trades.

    Won: 20 shares at 90 cents, 0.10 fee: 20 - 18 - 0.10 = +1.90. Lost: 10 at 95 cents, 0.05 fee: -9.55.
    Held: 10 shares for 9.00 confirmed and 5 for 4.60 matched, fees 0.06 and 0.03: 13.69 at stake.
    """
    return kept(
        path,
        past_fill("won", "UP", ((9_000, 20_000_000),), 100_000, AT_MS, end_s=100),
        e.PastSettlement("won", "UP", AT_MS + 1_000),
        past_fill("lost", "DOWN", ((9_500, 10_000_000),), 50_000, AT_MS + HOUR_MS, end_s=200),
        e.PastSettlement("lost", "UP", AT_MS + HOUR_MS + 1_000),
        past_fill(
            "held", "UP", ((9_000, 10_000_000),), 60_000, AT_MS + 2 * HOUR_MS, trade_id="t1", end_s=300
        ),
        past_fill(
            "held", "UP", ((9_200, 5_000_000),), 30_000, AT_MS + 2 * HOUR_MS + 1, trade_id="t2", end_s=300,
            is_final=False,
        ),
        OrderChange(
            "held#1", "held", 300, "UP", "1", "BUY", "FOK", 9_500, 20_000_000, 0, 0.9, "filled", "", "0xabc",
            AT_MS + 2 * HOUR_MS, None,
        ),
        OrderChange(
            "held#2", "held", 300, "UP", "1", "SELL", "FAK", 100, 0, 5_000_000, 0.0, "killed", "no bids", "",
            AT_MS + 2 * HOUR_MS + 5, AT_MS + 2 * HOUR_MS + 9,
        ),
    )  # fmt: skip


# --- books --------------------------------------------------------------------------------------------------


def test_totals_by_hand(tmp_path: Path) -> None:
    """+1.90 and -9.55 realised; 13.60 and 0.09 of fees at stake."""
    told = view.totals(two_hours(tmp_path / "l.sqlite"))
    assert told == {
        "realised": pytest.approx(-7.65), "settled": 2, "held": 1, "at_cost": pytest.approx(13.69),
    }  # fmt: skip


def test_totals_of_nothing_are_zero_and_of_what_cannot_be_read_unknown(tmp_path: Path) -> None:
    """A ledger that is not there yet holds no money; a damaged one may hold any."""
    none = {"realised": 0.0, "settled": 0, "held": 0, "at_cost": 0.0}
    assert view.totals(tmp_path / "none.sqlite") == none
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"no database at all" * 400)
    assert view.totals(damaged) == dict.fromkeys(none)


def test_each_book_shows_dollars_and_shares_newest_first(tmp_path: Path) -> None:
    """One ledger, every book of it, by hand."""
    path = two_hours(tmp_path / "l.sqlite")
    contracts = view.by_contract(path, Part()).rows
    assert [(row["contract"], row["payout"], row["profit"]) for row in contracts] == [
        ("held", None, None),
        ("lost", 0.0, pytest.approx(-9.55)),
        ("won", 20.0, pytest.approx(1.9)),
    ]
    assert [row["ends_ms"] for row in contracts] == [300_000, 200_000, 100_000]
    hours = view.by_hour(path, Part()).rows
    assert [(row["profit"], row["fills"]) for row in hours] == [
        (pytest.approx(-9.55), 1), (pytest.approx(1.9), 1),
    ]  # fmt: skip
    (day,) = view.by_day(path, Part()).rows
    assert (day["profit"], day["fees"], day["contracts"]) == (pytest.approx(-7.65), pytest.approx(0.15), 2)
    assert [row["equity"] for row in view.equity(path, Part()).rows] == [
        pytest.approx(-7.65), pytest.approx(1.9),
    ]  # fmt: skip


def test_what_was_bought_and_what_was_sold_stand_apart(tmp_path: Path) -> None:
    """A sale at a profit was told as a cost of -5.71: 20 bought for 18.00, 19 of them sold for 18.05."""
    path = kept(
        tmp_path / "l.sqlite",
        past_fill("sold", "UP", ((9_000, 20_000_000),), 100_000, AT_MS),
        past_fill("sold", "UP", ((9_500, 19_000_000),), 50_000, AT_MS + 1, side="SELL"),
        past_fill("kept", "UP", ((9_000, 10_000_000),), 0, AT_MS + 2),
    )
    found = {row["contract"]: (row["cost"], row["proceeds"]) for row in view.by_contract(path, Part()).rows}
    assert found == {"sold": (18.0, pytest.approx(18.05)), "kept": (9.0, 0.0)}
    booked = [(row["side"], row["cost"], row["proceeds"]) for row in view.fills(path, Part(), "sold").rows]
    assert booked == [("SELL", None, pytest.approx(18.05)), ("BUY", 18.0, None)]
    held = next(row for row in view.positions(path, Part()).rows if row["contract"] == "sold")
    assert held["cost"] == pytest.approx(-0.05), "the net of both, and headed so"


def test_a_position_averages_its_trades_and_counts_the_provisional(tmp_path: Path) -> None:
    """13.60 for 15 shares; one of two trades is not confirmed."""
    (held,) = view.positions(two_hours(tmp_path / "l.sqlite"), Part()).rows
    assert (held["shares"], held["cost"], held["fees"]) == (15.0, 13.6, pytest.approx(0.09))
    assert held["average"] == pytest.approx(13.6 / 15)
    assert (held["fills"], held["provisional"]) == (2, 1)


def test_fills_and_orders_of_one_contract(tmp_path: Path) -> None:
    """What a BUY spends is dollars, what a SELL gives is shares; the other is unknown, not nothing."""
    path = two_hours(tmp_path / "l.sqlite")
    assert [(row["status"], row["average"]) for row in view.fills(path, Part(), "held").rows] == [
        ("MATCHED", pytest.approx(0.92)), ("CONFIRMED", pytest.approx(0.9)),
    ]  # fmt: skip
    sell, buy = view.orders(path, Part(), "held").rows
    assert (sell["usd"], sell["shares"], sell["reason"]) == (None, 5.0, "no bids")
    assert (buy["usd"], buy["shares"], buy["limit"], buy["ended_ms"]) == (20.0, None, 0.95, None)
    assert view.fills(path, Part()).total == 4
    assert view.orders(path, Part(), "another").rows == ()


def test_every_book_says_why_it_cannot_be_read(tmp_path: Path) -> None:
    """A reason, no exception and no empty book that looks whole."""
    path = tmp_path / "damaged.sqlite"
    path.write_bytes(b"no database at all" * 400)
    for read in (
        view.by_contract, view.by_hour, view.by_day, view.equity, view.positions, view.fills, view.orders,
    ):  # fmt: skip
        assert "cannot be read now" in read(path, Part()).problem


def test_an_export_holds_every_row_once(tmp_path: Path) -> None:
    """More than one read's worth, newest first, nothing lost or doubled at the seams."""
    rows = 2 * ROWS_MOST + 3
    keep_ledger(tmp_path / "l.sqlite", rows)
    times = [row["at_ms"] for row in view.every(view.fills, tmp_path / "l.sqlite")]
    assert times == [FIRST_MS + number * FIVE_MINUTES_MS for number in reversed(range(rows))]


@pytest.mark.parametrize("rows", [0, ROWS_MOST - 1, ROWS_MOST])
def test_an_export_ends_where_the_book_does(tmp_path: Path, rows: int) -> None:
    """At no row, just below one read and at exactly one."""
    keep_ledger(tmp_path / "l.sqlite", rows)
    assert len(list(view.every(view.orders, tmp_path / "l.sqlite"))) == rows


def test_an_export_is_cut_at_its_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser is no place for a million rows; the file itself holds them."""
    keep_ledger(tmp_path / "l.sqlite", ROWS_MOST + 5)
    monkeypatch.setattr(view, "EXPORT_MOST", ROWS_MOST)
    assert len(list(view.every(view.fills, tmp_path / "l.sqlite"))) == ROWS_MOST


def test_pages_hold_all_rows() -> None:
    """An empty book has one page; 200 rows fill one, 201 two; page 0 is page 1."""
    assert [view.pages_of(total) for total in (0, 1, 200, 201, 400)] == [1, 1, 1, 2, 2]
    assert view.page_part(3) == Part(200, 400)
    assert view.page_part(0) == view.page_part(-7) == view.page_part(1) == Part(200, 0)


# --- paper honesty ------------------------------------------------------------------------------------------


def assumed(touch: float, arrival: float, conservative: float, orders: int = 2) -> Snapshot:
    """Draw a session whose settled paper orders made so much under each assumption."""
    profit = {"touch": touch, "arrival": arrival, "conservative": conservative}
    filled = {"touch": 2, "arrival": 1, "conservative": 0}
    told = picture()
    return picture(account=structs.replace(told.account, honesty=HonestyView(orders, profit, filled)))


def test_the_assumptions_stand_side_by_side() -> None:
    """Beside what is booked: the touch 1.50 more, others first 1.20 less."""
    lines = view.honesty(assumed(3.0, 1.5, 0.3))
    assert [(row["assumption"], row["filled"], row["profit"]) for row in lines.rows] == [
        ("touch", 2, 3.0), ("arrival", 1, 1.5), ("conservative", 0, 0.3),
    ]  # fmt: skip
    assert [row["against_booked"] for row in lines.rows] == [1.5, 0.0, pytest.approx(-1.2)]
    assert {row["shares"] for row in lines.rows} == {None}


def test_shares_and_cost_are_of_the_orders_on_show() -> None:
    """20 at 90 cents with 0.13 and 10 at 80 with 0.11: 30 shares for 26.24; an order of none is none."""
    shown = [
        an_order([AssumedView("touch", 20.0, 0.9, 0.13), AssumedView("arrival", 0.0, None, 0.0)]),
        an_order([AssumedView("touch", 10.0, 0.8, 0.11)]),
    ]
    touch, arrival, conservative = view.honesty(picture(orders=shown)).rows
    assert (touch["shares"], touch["cost"]) == (30.0, pytest.approx(26.24))
    assert (arrival["shares"], conservative["cost"], touch["profit"], touch["filled"]) == (
        None, None, None, None,
    )  # fmt: skip


def an_order(told: list[AssumedView]) -> OrderView:
    return OrderView("o", "w", "UP", 0.95, 20.0, "filled", "", 1, 20.0, 0.9, 0.1, assumed=told)


def test_before_the_first_order_there_is_nothing_to_compare() -> None:
    """No table of dashes; a sentence."""
    assert view.honesty(picture()) == view.Lines()
    assert "No paper order has settled" in view.honesty_words(picture())


@pytest.mark.parametrize(
    ("profits", "words"),
    [
        ((3.0, 1.5, -0.4), "do not believe it"),
        ((3.0, 1.5, 0.0), "do not believe it"),
        ((3.0, 1.5, 0.3), "stays a profit"),
        ((0.4, -1.5, -2.0), "first -2.00."),
    ],
)
def test_the_sentence_says_whether_the_profit_can_be_believed(
    profits: tuple[float, float, float], words: str
) -> None:
    """A profit that only comes if nobody else is quicker is none."""
    said = view.honesty_words(assumed(*profits))
    assert said.endswith(words) or words in said
    assert f"{profits[1]:+.2f} dollars" in said
    assert said.startswith("Over 2 settled orders")
    one = view.honesty_words(assumed(*profits, orders=1))
    assert one.startswith("Over 1 settled order the")


# --- three-way match ----------------------------------------------------------------------------------------


def live(free: float | None = 100.0, **alarms: str) -> Snapshot:
    """Draw a live session."""
    told = picture().account
    named = {name.replace("_", " "): why for name, why in alarms.items()}
    return picture(account=structs.replace(told, live=True, free_usd=free, alarms=named))


def shares(
    slug: str, count: float, outcome: Outcome = "UP", asked_ms: int = AT_MS + 3 * HOUR_MS
) -> e.SharesTold:
    return e.SharesTold(
        ts_recv_ms=asked_ms, slug=slug, outcome=outcome, shares_e6=round(count * 1e6), asked_ms=asked_ms
    )


def dollars(balance: float) -> e.BalanceTold:
    return e.BalanceTold(ts_recv_ms=AT_MS, balance_e6=round(balance * 1e6), allowance_e6=None, asked_ms=AT_MS)


def status(trade: str, word: str) -> e.AccountTradeTold:
    return e.AccountTradeTold(
        ts_recv_ms=AT_MS, trade_id=trade, venue_order_id="0xabc", market="0xc0", token="1", side="BUY",
        price_e4=9_000, size_e6=10_000_000, status=word, ts_venue_ms=AT_MS,
    )  # fmt: skip


def match(tmp_path: Path, snapshot: Snapshot, *told: e.AnyEvent) -> view.Match:
    """Match the ledger of ``two_hours`` with what the venue told."""
    ledger, journal = two_hours(tmp_path / "l.sqlite"), tmp_path / "j.sqlite"
    keep_journal(journal, list(told))
    return view.three_way(snapshot, ledger, journal)


def test_on_paper_there_is_nothing_to_match(tmp_path: Path) -> None:
    """Said before any file is looked at."""
    told = view.three_way(picture(), tmp_path / "none", tmp_path / "none")
    assert (told.state, told.rows) == ("nothing", ())


def test_books_that_agree_say_so_with_the_trades_beside(tmp_path: Path) -> None:
    """15 shares in both, both trades told, and the free dollars lie within the balance."""
    told = match(
        tmp_path, live(), shares("held", 15), status("t1", "CONFIRMED"), status("t2", "MINED"), dollars(100)
    )
    assert told.state == "agrees"
    held, money = told.rows
    assert held == {
        "what": "held Up, shares", "ledger": 15.0, "venue": 15.0, "difference": 0.0, "trades_own": 2,
        "trades_venue": 2, "verdict": "matches",
    }  # fmt: skip
    assert (money["ledger"], money["venue"], money["verdict"]) == (100.0, 100.0, "matches")


@pytest.mark.parametrize(
    ("count", "state"), [(15.01, "agrees"), (14.99, "agrees"), (15.02, "differs"), (14.9, "differs")]
)
def test_a_hundredth_of_a_share_is_rounding_and_more_is_not(tmp_path: Path, count: float, state: str) -> None:
    """The venue's own grid."""
    assert match(tmp_path, live(), shares("held", count), dollars(100)).state == state


def test_shares_that_only_the_venue_knows_of_differ(tmp_path: Path) -> None:
    """Somebody else's order, or one of ours that we lost: nothing of it is in the ledger."""
    told = match(tmp_path, live(), shares("held", 15), shares("stranger", 7, "DOWN"), dollars(100))
    row = next(row for row in told.rows if row["what"] == "stranger Down, shares")
    assert (told.state, row["ledger"], row["venue"], row["difference"]) == ("differs", 0.0, 7.0, -7.0)
    assert told.words == "stranger Down, shares: ours 0.00, the venue's 7.00."


def test_the_last_word_of_the_venue_counts(tmp_path: Path) -> None:
    """It was asked before the fill arrived, and after it."""
    assert match(tmp_path, live(), shares("held", 0), shares("held", 15), dollars(100)).state == "agrees"


@pytest.mark.parametrize(("slug", "outcome", "count"), [("lost", "DOWN", 10), ("won", "UP", 20)])
def test_shares_of_a_window_that_settled_are_no_difference(
    tmp_path: Path, slug: str, outcome: Outcome, count: float
) -> None:
    """Losing shares stay in the account for ever and are worth nothing; winning ones wait to be redeemed, and
    the engine's own alarm says when that takes too long."""
    told = match(tmp_path, live(), shares("held", 15), shares(slug, count, outcome), dollars(100))
    assert told.state == "agrees"
    assert [row["what"] for row in told.rows] == ["held Up, shares", "dollars free to trade, of the balance"]


def test_an_empty_side_is_no_holding(tmp_path: Path) -> None:
    """The venue is asked about both sides of every running window; zeros are no row."""
    told = match(
        tmp_path, live(), shares("held", 15), shares("held", 0, "DOWN"), shares("other", 0), dollars(100)
    )
    assert (told.state, len(told.rows)) == ("agrees", 2)


def test_what_was_asked_before_the_last_fill_cannot_hold_it(tmp_path: Path) -> None:
    """The venue said 10 before the second trade came: that is no difference, it is an old answer."""
    told = match(tmp_path, live(), shares("held", 10, asked_ms=AT_MS + 2 * HOUR_MS), dollars(100))
    assert (told.state, told.rows[0]["venue"], told.rows[0]["verdict"]) == ("waiting", None, view.WAITING)


def test_a_trade_that_failed_at_the_venue_and_not_here_differs(tmp_path: Path) -> None:
    """The shares still match: both were asked before the failure was known."""
    told = match(tmp_path, live(), shares("held", 15), status("t2", "FAILED"), dollars(100))
    assert (told.state, told.rows[0]["verdict"]) == ("differs", "differs")
    assert told.words == "held Up, shares: a trade failed on one side only."


def test_what_the_venue_has_not_told_is_waited_for(tmp_path: Path) -> None:
    """Neither a match nor a difference."""
    told = match(tmp_path, live(free=None))
    assert told.state == "waiting"
    assert [row["venue"] for row in told.rows] == [None, None]
    assert told.words.startswith("2 wait")


def test_more_free_dollars_than_the_balance_differ_and_fewer_do_not(tmp_path: Path) -> None:
    """Orders under way explain less, nothing explains more."""
    assert match(tmp_path, live(free=100.0), shares("held", 15), dollars(90)).state == "differs"


def test_fewer_free_dollars_than_the_balance_are_orders_under_way(tmp_path: Path) -> None:
    """21.40 of 100 are reserved."""
    assert match(tmp_path, live(free=78.6), shares("held", 15), dollars(100)).state == "agrees"


@pytest.mark.parametrize("name", ["shares_differ_w_Up", "stuck_redeem_w"])
def test_an_alarm_of_the_engine_is_a_difference_whatever_the_rows_say(tmp_path: Path, name: str) -> None:
    """The engine compared at another moment, and an operator must not read *agrees* beside its alarm."""
    told = match(tmp_path, live(**{name: "venue 3, ledger 4"}), shares("held", 15), dollars(100))
    assert told.state == "differs"
    assert "venue 3, ledger 4" in told.words


def test_another_alarm_is_no_difference_of_books(tmp_path: Path) -> None:
    """It stands elsewhere on the page."""
    told = match(tmp_path, live(ghost_fill="t-3 failed"), shares("held", 15), dollars(100))
    assert told.state == "agrees"


def test_a_match_waits_for_books_that_cannot_be_read(tmp_path: Path) -> None:
    """A journal that is not there; a ledger that is damaged."""
    ledger = two_hours(tmp_path / "l.sqlite")
    assert view.three_way(live(), ledger, tmp_path / "none.sqlite").state == "waiting"
    journal, damaged = tmp_path / "j.sqlite", tmp_path / "d.sqlite"
    keep_journal(journal, [dollars(1)])
    damaged.write_bytes(b"no database at all" * 400)
    told = view.three_way(live(), damaged, journal)
    assert told.state == "waiting"
    assert "cannot be read" in told.words
