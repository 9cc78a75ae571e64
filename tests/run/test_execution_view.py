"""How orders fared: every figure by hand, and what is unknown stays unknown."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine import events as e
from engine.core.trading import OrderIntent
from engine.run import execution_view as view
from engine.snapshot import OrderView
from tests.books import keep_journal, traded
from tests.core.order_story import bought

AT_MS = 1_790_000_400_000
HOUR_MS = 3_600_000
finite = st.floats(-1e6, 1e6)


def order(**changes: Any) -> OrderView:
    """Make a filled BUY: 20 shares at 90 cents."""
    plain = OrderView("o-1", "w", "UP", 0.95, 20.0, "filled", "", AT_MS, 20.0, 0.9, 0.1)
    return structs.replace(plain, **changes)


# --- latencies ----------------------------------------------------------------------------------------------


def test_each_step_is_its_own_difference() -> None:
    """Signed after 3, first byte after 10, answered 200 later: 3, 7, 200, and 210 in all."""
    steps = {row["step"]: row for row in view.waterfall([order(sign_ms=3.0, send_ms=10.0, answer_ms=200.0)])}
    assert list(steps) == ["sign", "record and send", "answer", "whole"]
    assert [row["p50"] for row in steps.values()] == [3.0, 7.0, 200.0, 210.0]
    assert {row["orders"] for row in steps.values()} == {1}


def test_a_missing_time_leaves_its_steps_out_and_no_others() -> None:
    """A denied order was signed and never sent; one of unknown fate was never answered."""
    orders = [
        order(sign_ms=2.0),
        order(sign_ms=4.0, send_ms=5.0),
        order(send_ms=9.0, answer_ms=100.0),
        order(),
    ]
    counts = {row["step"]: (row["orders"], row["max"]) for row in view.waterfall(orders)}
    assert counts == {
        "sign": (2, 4.0),
        "record and send": (1, 1.0),
        "answer": (1, 100.0),
        "whole": (1, 109.0),
    }


def test_a_first_byte_before_the_signature_is_no_measurement() -> None:
    """A negative bar would be drawn to the left of the chart."""
    rows = view.waterfall([order(sign_ms=3.2, send_ms=0.8, answer_ms=226.0)])
    assert [row["orders"] for row in rows] == [1, 0, 1, 1]
    assert rows[1]["p50"] is None


def test_without_orders_every_figure_is_unknown() -> None:
    """Four steps of no order, none of them zero milliseconds."""
    rows = view.waterfall([])
    assert [(row["orders"], row["p50"], row["p95"], row["max"]) for row in rows] == [
        (0, None, None, None)
    ] * 4
    assert view.cascade(rows) == ()


def test_the_cascade_lays_the_medians_end_to_end() -> None:
    """3 from 0, 7 from 3, 200 from 10; the whole is no step of its own."""
    rows = view.waterfall([order(sign_ms=3.0, send_ms=10.0, answer_ms=200.0)])
    assert [(row["begins"], row["takes"]) for row in view.cascade(rows)] == [(0, 3), (3, 7), (10, 200)]
    gap = view.cascade(view.waterfall([order(sign_ms=3.0, answer_ms=50.0)]))
    assert [(row["step"], row["begins"]) for row in gap] == [("sign", 0.0), ("answer", 3.0)]


def test_quantiles_by_hand() -> None:
    """The smallest value that so large a share lies at or below."""
    values = [float(number) for number in range(20, 0, -1)]
    assert [view.quantile(values, share) for share in (0.05, 0.5, 0.95, 0.96, 1.0)] == [1, 10, 19, 20, 20]
    assert view.quantile([7.0], 0.01) == 7.0
    assert view.quantile([], 0.5) is None


@given(st.lists(finite, min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_quantile_is_one_of_the_values_and_holds_its_share(values: list[float], share: float) -> None:
    """Nothing is interpolated: a latency that is shown was measured."""
    found = view.quantile(values, share)
    assert found in values
    at_or_below = sum(value <= found for value in values)
    assert at_or_below >= share * len(values) - 1e-9
    below = sum(value < found for value in values)
    assert below <= math.ceil(share * len(values)) - 1


# --- outcomes -----------------------------------------------------------------------------------------------


def test_outcomes_are_counted_by_hour_the_oldest_first() -> None:
    """An hour without an order has no row; every state is counted exactly once."""
    hour = AT_MS // HOUR_MS * HOUR_MS
    orders = [
        order(at_ms=hour + 2 * HOUR_MS, state="unknown"),
        *(order(at_ms=hour, state=state) for state in ("intended", "signed", "sent", "filled", "killed")),
        order(at_ms=hour + HOUR_MS - 1, state="filled"),
    ]
    first, last = view.outcomes(orders)
    assert (first["hour_ms"], first["under way"], first["filled"], first["killed"]) == (hour, 3, 2, 1)
    assert (last["hour_ms"], last["unknown"], last["filled"]) == (hour + 2 * HOUR_MS, 1, 0)
    assert sum(row[name] for row in (first, last) for name in view.OUTCOMES) == len(orders)
    assert view.outcomes([]) == ()


def test_every_state_an_order_can_have_is_one_of_the_outcomes() -> None:
    """A state that were none would vanish from the chart."""
    states = OrderView.__annotations__["state"].__args__
    assert {view.outcome_of(state) for state in states} == set(view.OUTCOMES)


def refusal(code: str, reason: str, at_ms: int) -> e.OrderRejected:
    return e.OrderRejected(ts_recv_ms=at_ms, order_id=f"o{at_ms}", reason=reason, code=code)


def test_rejections_are_counted_by_code_with_the_last_words(tmp_path: Path) -> None:
    """The most frequent first; what the venue said last is what counts now."""
    events = [
        refusal("tick", "price breaks the tick", AT_MS),
        refusal("balance", "not enough balance", AT_MS + 1),
        refusal("tick", "breaks minimum tick size", AT_MS + 2),
    ]
    keep_journal(tmp_path / "s.sqlite", [traded().records[0].event, *events])
    told = view.rejections(tmp_path / "s.sqlite")
    assert told.problem == ""
    assert told.rows == (
        {"code": "tick", "count": 2, "last_ms": AT_MS + 2, "words": "breaks minimum tick size"},
        {"code": "balance", "count": 1, "last_ms": AT_MS + 1, "words": "not enough balance"},
    )


def test_without_a_journal_there_is_a_reason_and_no_rows(tmp_path: Path) -> None:
    """*No order was rejected* would be a claim."""
    for told in (view.rejections(tmp_path / "no.sqlite"), view.against_quotes([], tmp_path / "no.sqlite")):
        assert told.rows == ()
        assert "no journal" in told.problem


# --- markouts -----------------------------------------------------------------------------------------------


def test_markouts_have_holes_where_no_mid_was_known() -> None:
    """Mean of +2 and -4 cents is -1; their deviation 4.2426; one alone has no spread; 30 s has none."""
    orders = [
        order(markouts={1: 0.02, 5: 0.01}),
        order(markouts={1: -0.04}),
        order(markouts={1: 0.5}, filled_shares=0.0),
        order(markouts={1: 0.5}, average_price=None),
    ]
    rows = {row["after"]: row for row in view.markouts(orders)}
    assert list(rows) == ["1 s", "5 s", "30 s", "settlement"]
    one, five = rows["1 s"], rows["5 s"]
    assert (one["orders"], one["least"], one["most"]) == (2, -0.04, 0.02)
    assert one["mean"] == pytest.approx(-0.01)
    assert one["spread"] == pytest.approx(0.06 / math.sqrt(2))
    assert (five["orders"], five["mean"], five["spread"]) == (1, 0.01, None)
    hole = {"orders": 0, "mean": None, "spread": None, "least": None, "most": None}
    assert rows["30 s"] == {"after": "30 s"} | hole
    assert rows["settlement"] == {"after": "settlement"} | hole


@pytest.mark.parametrize(
    ("side", "value", "gained"),
    [("BUY", 1.0, 0.1), ("BUY", 0.0, -0.9), ("SELL", 1.0, -0.1), ("SELL", 0.0, 0.9)],
)
def test_at_settlement_a_share_is_worth_a_dollar_or_nothing(side: str, value: float, gained: float) -> None:
    """Bought at 90 cents; sold at 90 cents it is the other way round."""
    row = view.markouts([order(side=side, settled_value=value)])[-1]
    assert (row["orders"], row["mean"]) == (1, pytest.approx(gained))


@given(st.lists(st.one_of(st.none(), st.floats(-1.0, 1.0)), max_size=30))
def test_a_mean_lies_between_least_and_most(values: list[float | None]) -> None:
    """Holes count for nothing, wherever they are."""
    orders = [order(markouts={} if value is None else {1: value}) for value in values]
    row = view.markouts(orders)[0]
    known = [value for value in values if value is not None]
    assert row["orders"] == len(known)
    if known:
        assert min(known) - 1e-12 <= row["mean"] <= max(known) + 1e-12
        assert (row["spread"] is None) is (len(known) < 2)


# --- fills against displayed quotes -------------------------------------------------------------------------


def intent(usd: float, *seen: tuple[int, int]) -> OrderIntent:
    """Make a BUY of so many dollars that saw these asks, as (cents, whole shares)."""
    levels = tuple((cents * 100, shares * 1_000_000) for cents, shares in seen)
    return OrderIntent("o-1", "w", "UP", "1", 9_500, round(usd * 1e6), AT_MS, 1, seen=levels)


@pytest.mark.parametrize(
    ("wanted", "usd", "shares"),
    [
        (intent(20, (90, 10), (92, 10)), 18.2, 20.0),
        (intent(20, (90, 500)), 20.0, 20 / 0.9),
        (intent(9, (90, 10), (92, 10)), 9.0, 10.0),
        (intent(20), 0.0, 0.0),
    ],
)
def test_what_the_asks_seen_could_fill(wanted: OrderIntent, usd: float, shares: float) -> None:
    """Whole levels, a part of the last, and no more than the order's dollars."""
    assert view.displayed(wanted) == (pytest.approx(usd), pytest.approx(shares))


@given(st.floats(0.01, 100.0), st.dictionaries(st.integers(1, 99), st.integers(1, 1_000), max_size=8))
def test_nothing_displayed_is_more_than_was_wanted_or_there(usd: float, seen: dict[int, int]) -> None:
    """Dollars never above the order's, shares never above the levels' together."""
    spent, shares = view.displayed(intent(usd, *sorted(seen.items())))
    assert 0.0 <= spent <= usd + 1e-6
    assert 0.0 <= shares <= sum(seen.values()) + 1e-6


def test_a_fill_is_compared_with_the_asks_it_was_decided_on(tmp_path: Path) -> None:
    """500 shares at 90 cents were on display for 20 dollars; 10 came at 92: 9.20 of 20, two worse."""
    core, made = bought()
    path = tmp_path / "s.sqlite"
    keep_journal(path, [record.event for record in core.records])
    mine = order(order_id=made.intent.order_id, state="partial", filled_shares=10.0, average_price=0.92)
    (row,) = view.against_quotes([mine, order(order_id="stranger")], path).rows
    assert (row["wanted"], row["displayed"], row["filled"]) == (20.0, pytest.approx(20), pytest.approx(9.2))
    assert (row["rate"], row["worse"]) == (pytest.approx(0.46), pytest.approx(0.02))
    assert view.fill_words([row]) == "Of 20.00 dollars displayed to 1 order, 9.20 were filled: 46%."


def test_a_killed_order_met_nothing_of_what_was_displayed(tmp_path: Path) -> None:
    """Rate zero, and no price to be worse by."""
    core, made = bought()
    path = tmp_path / "s.sqlite"
    keep_journal(path, [record.event for record in core.records])
    mine = order(order_id=made.intent.order_id, state="killed", filled_shares=0.0, average_price=None)
    (row,) = view.against_quotes([mine], path).rows
    assert (row["filled"], row["rate"], row["worse"]) == (0.0, 0.0, None)
    assert view.fill_words([row, row]).endswith("displayed to 2 orders, 0.00 were filled: 0%.")


@pytest.mark.parametrize("state", ["intended", "sent", "rejected", "denied", "unknown"])
def test_an_order_that_never_met_the_book_says_nothing_of_it(tmp_path: Path, state: str) -> None:
    """A rejection is not the quotes' fault."""
    core, made = bought()
    path = tmp_path / "s.sqlite"
    keep_journal(path, [record.event for record in core.records])
    assert view.against_quotes([order(order_id=made.intent.order_id, state=state)], path).rows == ()
    assert view.fill_words([]) == "No order of this session has met the venue's book yet."
