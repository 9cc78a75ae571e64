"""What if: the same core, the same orders where nothing is changed, and nothing lost by what is left out."""

from pathlib import Path
from typing import Any

import pytest

from engine.config import Settings, load_settings
from engine.core.state import State
from engine.params import Limits, Params
from engine.run.export import export_parquet
from engine.run.market_rows import Faults, MarketRowError
from engine.run.row_records import records_of_rows
from engine.run.what_if.answer import (
    WhatIfError,
    _what_differs,
    compare,
    trades_of,
    variant_of,
    with_values,
)
from engine.run.what_if.change import SAME_WINDOWS
from engine.run.what_if.command import Wish, render, values_of_words, what_if
from engine.run.what_if.feed import feed_of
from engine.run.what_if.play import Cancelled, Variant, play
from engine.run.what_if.sources import windows_of
from engine.run.window_files import WindowRows, read_windows
from tests.run.row_sessions import acts, played, simulated, staged
from tests.shared_data import needs_recordings, recording

OPEN_HANDED = Limits(
    max_trades_per_hour=1_000, max_exposure_usd=1e6, max_correlated_usd=1e6, max_daily_loss_usd=1e6,
    max_loss_streak=1e6, max_drawdown_usd=1e6, least_roi=-1.0, max_surprise=1e9,
)  # fmt: skip
EAGER = Params(
    watch_return_threshold=0.0001, hammer_s=40.0, d_min_usd=0.1, min_ev=-0.05, sigma_multiplier=0.5
)
"""Trades in nearly every window, so that there is something to compare."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("what-if") / "staged.windows"
    export_parquet(staged(), made)
    return made


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> list[WindowRows]:
    made = tmp_path_factory.mktemp("what-if") / "plain.windows"
    export_parquet(simulated(), made)
    return list(read_windows(made))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(tmp_path / "no.env", data_dir=tmp_path / "data")


def test_unchanged_parameters_give_the_orders_of_the_session(folder: Path) -> None:
    """What does not find again what was done cannot say what would have been done."""
    orders, _ = played(staged())
    again = play(feed_of(list(read_windows(folder)), 15.0), Variant(Params(), Limits()))
    assert acts(orders), "nothing was traded: this test would prove nothing"
    assert acts(again.orders) == acts(orders)


@pytest.mark.parametrize(
    "change",
    [
        {"hammer_s": 60.0, "d_min_usd": 8.0},
        {"watch_return_threshold": 0.0006, "max_entry_price": 0.6},
        pytest.param({}, marks=pytest.mark.campaign),
        pytest.param({"quote_size_usd": 50.0, "min_ev": -0.2}, marks=pytest.mark.campaign),
    ],
)
def test_what_is_left_out_changes_no_order(eager: list[WindowRows], change: dict[str, float]) -> None:
    """Most rows are never given to the core; playing every one must come to the same orders and money."""
    variant = Variant(EAGER._replace(**change), OPEN_HANDED)
    rows = sorted((row for one in eager for row in one.rows()), key=lambda row: row.ts_recv_ms)
    markets = {one.terms.slug: one.terms for one in eager}
    every, state = played(
        records_of_rows(rows, markets, params=variant.params, limits=variant.limits), variant
    )
    some = play(feed_of(eager, 40.0), variant)
    assert acts(some.orders) == acts(every)
    if not change:
        assert len(every) >= 2
    assert some.state.ledger.fees_e6 == state.ledger.fees_e6


@needs_recordings
@pytest.mark.campaign
@pytest.mark.parametrize("start", ["1787236800", "1787258400"])
def test_the_same_on_recorded_windows(tmp_path: Path, start: str) -> None:
    """Real books flicker as no simulation does."""
    from engine.run.recordings import records_of_file

    records = list(records_of_file(recording(f"sessions/btc-updown-5m-{start}.json.gz")))
    export_parquet(records, tmp_path)
    windows = list(read_windows(tmp_path))
    variant = Variant(EAGER._replace(hammer_s=60.0), OPEN_HANDED)
    rows = [row for one in windows for row in one.rows()]
    markets = {one.terms.slug: one.terms for one in windows}
    every, _ = played(records_of_rows(rows, markets, params=variant.params, limits=OPEN_HANDED), variant)
    assert every
    assert acts(play(feed_of(windows, 60.0), variant).orders) == acts(every)


def test_a_skipped_trade_is_told_with_its_second_and_its_gate(folder: Path, settings: Settings) -> None:
    """The operator clicks on it and sees the very second."""
    windows = list(read_windows(folder))
    base = variant_of(settings)
    report = compare(windows, base, with_values(settings, base, {"HAMMER_SECS": 5.0}), {})
    (row,) = report["differences"]
    orders, _ = played(staged())
    assert (row["slug"], row["t_ms"]) == (orders[0].intent.slug, orders[0].at_ms)
    assert (row["what"], row["why"], row["would_be"]) == ("skipped", "hammer time", "no order")
    assert report["said"].startswith("1 of 1 trade skipped; profit ")
    assert "over 1 window that differs (too few to say, 20 are asked for)" in report["said"]
    assert SAME_WINDOWS in render(report | {"problems": []})
    assert report["base"]["filled"] == 1
    assert report["changed"]["orders"] == 0
    assert report["changed"]["fill_rate"] is None
    assert report["parameters"] == [{"name": "HAMMER_SECS", "base": 15.0, "changed": 5.0}]


def test_profit_is_payout_less_cost_less_fee_under_each_assumption(folder: Path, settings: Settings) -> None:
    """Reckoned here by hand from the trade alone."""
    base = variant_of(settings)
    told = compare(list(read_windows(folder)), base, base)["base"]
    (trade,) = told["trades"]
    window = next(one for one in read_windows(folder) if one.terms.slug == trade["slug"])
    paid = trade["shares"] if window.terms.outcome == trade["outcome"] else 0.0
    assert told["profit_usd"] == pytest.approx(paid - trade["cost_usd"] - trade["fee_usd"], abs=1e-9)
    assert told["assumptions"]["arrival"]["profit_usd"] == pytest.approx(told["profit_usd"], abs=1e-9)
    assert set(told["assumptions"]) == {"touch", "arrival", "conservative"}


def test_what_the_windows_differ_by_is_what_the_ledgers_do(eager: list[WindowRows]) -> None:
    """The sum by window and the two totals are one; an order that was killed is no trade of a window."""
    report = compare(eager, Variant(EAGER, OPEN_HANDED), Variant(EAGER, OPEN_HANDED, 20_000.0, 0.0))
    totals = report["changed"]["profit_usd"] - report["base"]["profit_usd"]
    assert report["differences"]
    assert report["change"]["open"] == 0
    assert report["change"]["usd"] == pytest.approx(totals, abs=1e-9)
    assert (
        report["said"]
        .split(";")[0]
        .startswith(
            f"{report['base']['windows_traded'] - _kept(report)} of {report['base']['windows_traded']} trade"
        )
    )


def _kept(report: dict[str, Any]) -> int:
    """Count the windows that trade by both sets of numbers."""
    both = [
        {trade["slug"] for trade in report[name]["trades"] if trade["state"] in ("filled", "partial")}
        for name in ("base", "changed")
    ]
    return len(both[0] & both[1])


def test_another_fee_is_a_difference(folder: Path, settings: Settings) -> None:
    """The same order for the same money, and less left of it: that window differs."""
    (trade,) = trades_of(play(feed_of(list(read_windows(folder)), 15.0), variant_of(settings)))
    assert _what_differs(trade, trade) == ""
    assert _what_differs(trade, trade._replace(fee_usd=trade.fee_usd + 0.01)) == "other fee"


def test_a_slow_way_to_the_venue_meets_another_book(eager: list[WindowRows]) -> None:
    """Latency is half of what decides whether a displayed price is a fill."""
    feed = feed_of(eager, 40.0)
    quick = play(feed, Variant(EAGER, OPEN_HANDED, 0.0, 0.0))
    slow = play(feed, Variant(EAGER, OPEN_HANDED, 20_000.0, 0.0))
    assert [one.at_ms for one in quick.orders][:1] == [one.at_ms for one in slow.orders][:1]
    assert acts(quick.orders) != acts(slow.orders)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["HAMMER=3"], "'HAMMER' cannot be changed"), (["D_MIN=much"], "write NAME=VALUE"),
        (["HAMMER_SECS=-1"], "HAMMER_SECS"), (["PAPER_LATENCY_MS=1e9"], "between 0 and"),
        (["QUOTE_SIZE_USD=5000"], "MAX_USD_PER_TRADE"), ([], "nothing is changed"), (["D_MIN=nan"], "D_MIN"),
    ],
)  # fmt: skip
def test_a_wish_that_makes_no_sense_is_refused_in_words(
    settings: Settings, words: list[str], said: str
) -> None:
    """Bounds are those of a start: what no start would take is not asked "what if" of."""
    with pytest.raises(WhatIfError, match=said):
        with_values(settings, variant_of(settings), values_of_words(words))


def test_the_seeds_formula_can_be_asked_for_and_is_told_as_such(
    eager: list[WindowRows], settings: Settings
) -> None:
    """Beside the engine's model, over the same windows; every order carries the formula's own odds."""
    base = Variant(EAGER, OPEN_HANDED)
    other = with_values(settings, base, {"SEED_MODEL": 1.0})
    report = compare(eager, base, other)
    assert report["parameters"] == [{"name": "SEED_MODEL", "base": 0.0, "changed": 1.0}]
    rows = sorted((row for one in eager for row in one.rows()), key=lambda row: row.ts_recv_ms)
    markets = {one.terms.slug: one.terms for one in eager}
    records = records_of_rows(rows, markets, params=other.params, limits=other.limits)
    every, _ = played(records, other)
    some = play(feed_of(eager, 40.0), other).orders
    assert acts(some) == acts(every)
    assert [one.intent.probability for one in some] == [one.intent.probability for one in every]
    assert acts(some) != acts(play(feed_of(eager, 40.0), base).orders)
    with pytest.raises(WhatIfError, match="SEED_MODEL is 1"):
        with_values(settings, base, {"SEED_MODEL": 0.5})


def test_somebody_may_not_want_the_answer_any_more(eager: list[WindowRows]) -> None:
    """A long what-if can be ended."""
    with pytest.raises(Cancelled):
        play(feed_of(eager, 40.0), Variant(EAGER, OPEN_HANDED), told=lambda *_: False)


def test_sources_are_folders_and_csvs_and_a_window_counts_once(folder: Path, settings: Settings) -> None:
    """Two recordings of one window would double its trades."""
    sample = Path(__file__).resolve().parents[2] / "data" / "replay_sessions" / "practice-sample.csv"
    faults = Faults()
    found = windows_of(settings, [str(folder), str(sample)], faults)
    slugs = [one.terms.slug for one in found.windows]
    assert len(slugs) == len(set(slugs))
    assert any("the first is used" in text for text in faults.told)


def test_a_wish_without_a_window_says_so(folder: Path, settings: Settings) -> None:
    """An empty answer would read as "nothing would have changed"."""
    wish = Wish((str(folder),), {"HAMMER_SECS": 5.0}, None, from_ms=4_000_000_000_000)
    with pytest.raises(MarketRowError, match="no window"):
        what_if(settings, wish)


def test_nothing_of_a_what_if_reaches_the_engine(folder: Path, settings: Settings) -> None:
    """Never applied by accident: no parameter, no file in the data folder."""
    before = settings.model_dump()
    what_if(settings, Wish((str(folder),), {"HAMMER_SECS": 5.0}))
    assert settings.model_dump() == before
    assert not settings.data_dir.exists()
    assert State().params == Params()
