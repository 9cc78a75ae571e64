"""Stale, frozen, diverging feeds, a wrong clock, a backlog: what each stops, and what shows it."""

from decimal import Decimal

import pytest

from engine import events as e
from engine.core import decide as gate
from engine.core import health
from engine.core.project import Outside, project
from engine.core.state import Market
from engine.core.trading import OrderIntent
from engine.params import Limits, Params
from engine.snapshot import Snapshot
from tests.core.builders import END_S, MARKET, START_S, UP, Core, contract

NOW_S = START_S + 120


def running(params: Params | None = None) -> Core:
    """A core in the middle of a window: both feeds alive, the strike known, books live."""
    core = Core(params)
    core.describe()
    for second in range(START_S - 320, NOW_S + 1):
        tick(core, second)
        if second == START_S:
            core.price(second, "70000.25", "twap")
        core.second(second + 2)
    core.book("1001", [(48, 500)], [(50, 500)], (NOW_S + 2) * 1000)
    core.book("2002", [(50, 500)], [(52, 500)], (NOW_S + 2) * 1000)
    return core


def tick(core: Core, second: int, chainlink: float | None = None, spot: float | None = None) -> None:
    """Print both feeds' value of a second; spot runs a few basis points above."""
    value = 70_000.0 + second % 5 if chainlink is None else chainlink
    if chainlink != 0.0:
        core.price(second, value)
    core.price(second, 70_020.0 + second % 5 if spot is None else spot, "spot", lag_ms=300)


def the_market(core: Core) -> Market:
    return core.state.markets[contract().slug]


def blocks(core: Core) -> int:
    view = the_market(core).view
    assert view is not None
    return view.numbers.blocks


def picture(core: Core) -> Snapshot:
    now_ms = core.state.now_ms
    return project(core.state, Outside(1, now_ms, now_ms, 0.0, 1.0, 0, 0.0, "", None, []))


FEEDS = (
    gate.PRICE
    | gate.FALLBACK
    | gate.FROZEN
    | gate.DIVERGENCE
    | gate.CLOCK
    | gate.BEHIND
    | gate.BOOK
    | gate.STRIKE
)


def test_with_every_feed_well_none_of_these_gates_refuses() -> None:
    """The baseline that the other tests depart from."""
    core = running()
    assert not blocks(core) & FEEDS
    shown = {topic.name: topic for topic in picture(core).topics}
    assert shown["chainlink"].state == shown["spot"].state == "fresh"
    assert shown["chainlink"].lag_p50_s == pytest.approx(1.65)
    assert (shown["chainlink"].missing, shown["binance"].state) == (0, "waiting")


def silence(core: Core, seconds: int, spot_move: float = 0.0) -> None:
    """Let only spot speak for so many seconds."""
    for second in range(NOW_S + 1, NOW_S + 1 + seconds):
        core.price(second, 70_020.0 + second % 5 + spot_move, "spot", lag_ms=300)
        core.second(second + 1)


def test_a_stale_settlement_feed_gates_and_with_fallback_says_reduced_confidence() -> None:
    """The seed's runbook: stale after the threshold; spot keeps the engine alive; orders stay gated."""
    core = running()
    silence(core, 15)
    assert blocks(core) & gate.PRICE
    assert core.state.fallback_since_ms is None, "USE_FALLBACK_FEED is off by default"
    core = running(Params(use_fallback=1.0))
    silence(core, 15)
    assert core.state.fallback_since_ms is not None
    assert blocks(core) & gate.FALLBACK
    mode = picture(core).mode
    assert mode.reduced_trading_confidence
    assert mode.fallback_since_ms == core.state.fallback_since_ms
    assert any("reduced_trading_confidence=true" in mark.text for mark in core.state.marks)


def test_orders_are_allowed_in_fallback_only_where_the_operator_said_so() -> None:
    """ALLOW_ORDERS_WHILE_FALLBACK_ACTIVE lifts both gates, and nothing else."""
    core = running(Params(use_fallback=1.0, orders_in_fallback=1.0))
    silence(core, 15)
    assert core.state.fallback_since_ms is not None
    assert not blocks(core) & (gate.PRICE | gate.FALLBACK)


def test_in_fallback_the_expectation_follows_spot_and_grows_unsure() -> None:
    """What spot did since the last report moves what is not fixed; the silence makes it less sure."""
    calm, moved = (running(Params(use_fallback=1.0)) for _ in range(2))
    silence(calm, 20)
    silence(moved, 20, spot_move=30.0)
    before, after = the_market(calm).fair, the_market(moved).fair
    assert before is not None
    assert after is not None
    assert after.mean_usd - before.mean_usd == pytest.approx(30.0)
    sure = the_market(running()).fair
    assert sure is not None
    assert after.deviation_usd == pytest.approx(sure.deviation_usd), "as unsure as at the last report"


@pytest.mark.parametrize(("use_fallback", "watches"), [(0.0, False), (1.0, True)])
def test_in_fallback_a_window_is_watched_by_what_spot_does(use_fallback: float, watches: bool) -> None:
    """Else orders that were allowed meanwhile could only be of windows that were watched before."""
    core = running(Params(use_fallback=use_fallback, watch_return_threshold=0.004))
    assert the_market(core).watched_at_ms is None
    silence(core, 20, spot_move=300.0)
    assert (the_market(core).watched_at_ms is not None) is watches


def test_fallback_ends_by_itself_when_the_feed_returns() -> None:
    """Recovery needs no hand."""
    core = running(Params(use_fallback=1.0))
    silence(core, 15)
    for second in range(NOW_S + 14, NOW_S + 18):
        tick(core, second)
        core.second(second + 2)
    assert core.state.fallback_since_ms is None
    assert not picture(core).mode.reduced_trading_confidence
    assert not blocks(core) & (gate.PRICE | gate.FALLBACK)


def test_without_spot_there_is_nothing_to_fall_back_on() -> None:
    """Both feeds silent: stale, not fallback."""
    core = running(Params(use_fallback=1.0))
    for second in range(NOW_S + 1, NOW_S + 30):
        core.second(second)
    assert core.state.fallback_since_ms is None
    assert blocks(core) & gate.PRICE


def test_a_value_that_stands_still_while_spot_moves_is_frozen() -> None:
    """Alive is not enough: on the recorded day no value stood for more than 4 s."""
    core = running()
    for second in range(NOW_S + 1, NOW_S + 12):
        tick(core, second, chainlink=70_000.0)
        core.second(second + 2)
    assert blocks(core) & gate.FROZEN
    shown = {topic.name: topic.state for topic in picture(core).topics}
    assert (shown["chainlink"], shown["spot"]) == ("frozen", "fresh")
    assert "f" in picture(core).contracts[0].coverage
    tick(core, NOW_S + 12, chainlink=70_003.0)
    core.second(NOW_S + 14)
    assert not blocks(core) & gate.FROZEN
    texts = [mark.text for mark in core.state.marks if mark.kind == "frozen"]
    assert texts == ["chainlink stands still", "chainlink moves again"]


def test_a_frozen_stream_that_then_falls_silent_is_stale_and_blocks_no_more() -> None:
    """What is silent cannot move again: called frozen, it would keep all from trading until a restart."""
    core = running()

    def state_of_twap() -> str:
        (topic,) = (one for one in picture(core).topics if one.name.startswith("twap"))
        return topic.state

    def seconds(first_s: int, count: int, twap: str | None) -> None:
        for second in range(first_s, first_s + count):
            tick(core, second)
            if twap is not None:
                core.price(second, twap, "twap")
            core.second(second + 2)

    seconds(NOW_S + 1, 15, "70000.25")
    assert blocks(core) & gate.FROZEN
    assert state_of_twap() == "frozen"
    seconds(NOW_S + 16, 4, None)
    assert blocks(core) & gate.FROZEN, "PRICE_STALENESS_THRESHOLD is five seconds"
    seconds(NOW_S + 20, 3, None)
    assert not blocks(core) & FEEDS & ~gate.BOOK
    assert state_of_twap() == "stale"
    seconds(NOW_S + 23, 1, "70000.25")
    assert blocks(core) & gate.FROZEN, "it is alive, and still stands"
    texts = [mark.text for mark in core.state.marks if mark.kind == "frozen"]
    name = "twap 60 s"
    assert texts == [f"{name} stands still", f"{name} is silent, no longer frozen", f"{name} stands still"]


def test_a_flat_market_is_not_frozen() -> None:
    """Where spot stands still too, standing still says nothing, for three times as long."""
    core = running()
    for second in range(NOW_S + 1, NOW_S + 25):
        tick(core, second, chainlink=70_000.0, spot=70_020.0)
        core.second(second + 2)
    assert not blocks(core) & gate.FROZEN
    for second in range(NOW_S + 25, NOW_S + 34):
        tick(core, second, chainlink=70_000.0, spot=70_020.0)
        core.second(second + 2)
    assert blocks(core) & gate.FROZEN


def test_a_carried_forward_value_is_no_report_of_its_second() -> None:
    """PolyBolt says so itself when it repeats a value for want of a new one: no strike may come of it."""
    core = running()
    for second in range(NOW_S + 1, NOW_S + 14):
        core.feed(
            e.PricePrinted(
                ts_recv_ms=second * 1000 + 1_700,
                source="polybolt",
                value=Decimal(70_000 + second % 3),
                ts_venue_ms=second * 1000,
                ts_sent_ms=None,
                lookback_s=60,
                feed="polybolt",
                is_carried_forward=True,
            )
        )
        tick(core, second)
        core.second(second + 2)
    assert core.state.track("polybolt", 60).newest_s is None
    assert core.state.bad_prices == {"polybolt: carried forward": 13}


def test_feeds_that_are_too_far_apart_gate() -> None:
    """One of both is wrong; 25 basis points are more than any recorded basis."""
    core = running()
    tick(core, NOW_S + 1, spot=70_000.0 * 1.003)
    core.second(NOW_S + 3)
    assert health.divergence(core.state) is not None
    assert blocks(core) & gate.DIVERGENCE
    tick(core, NOW_S + 2)
    core.second(NOW_S + 4)
    assert not blocks(core) & gate.DIVERGENCE


@pytest.mark.parametrize(
    ("skew_ms", "ok"), [(0.0, True), (2_900.0, True), (3_100.0, False), (-10_000.0, False)]
)
def test_a_wrong_clock_gates(skew_ms: float, ok: bool) -> None:
    """Staleness, stamps and the hammer time all rest on it (fault catalogue, F8)."""
    core = running()
    assert picture(core).clock.ok is None
    core.feed(
        e.ClockMeasured(ts_recv_ms=(NOW_S + 2) * 1000, skew_ms=skew_ms, round_trip_ms=40.0, source="time")
    )
    assert bool(blocks(core) & gate.CLOCK) is not ok
    assert picture(core).clock.ok is ok


def test_a_stamp_of_the_future_is_held_against_the_clock_for_a_while() -> None:
    """Nothing can arrive before it was sent: one such stamp outweighs a calm measurement for ten seconds."""
    core = running()
    core.book(UP, [(48, 500)], [(50, 500)], (NOW_S + 2) * 1000)
    ahead = e.BookReplaced(
        ts_recv_ms=(NOW_S + 2) * 1000,
        market=MARKET,
        token=UP,
        bids=((4_800, 1_000_000),),
        asks=((5_000, 1_000_000),),
        ts_venue_ms=(NOW_S + 7) * 1000,
    )
    core.feed(ahead)
    assert blocks(core) & gate.CLOCK
    for second in range(NOW_S + 3, NOW_S + 11):
        core.second(second)
        assert blocks(core) & gate.CLOCK
    for second in range(NOW_S + 11, NOW_S + 14):
        core.second(second)
    assert not blocks(core) & gate.CLOCK


def test_an_engine_that_fell_behind_does_not_trade() -> None:
    """Back-pressure closes the gate to trading first; no frame is dropped."""
    core = running()
    core.feed(e.BacklogChanged(ts_recv_ms=(NOW_S + 2) * 1000, why="loop 400 ms late"))
    assert blocks(core) & gate.BEHIND
    assert picture(core).mode.behind_why == "loop 400 ms late"
    core.feed(e.BacklogChanged(ts_recv_ms=(NOW_S + 2) * 1000, why=""))
    assert not blocks(core) & gate.BEHIND


def test_coverage_tells_what_became_of_each_second() -> None:
    """A letter a second: present, late, missing, may still come."""
    core = Core()
    core.describe()
    for second in range(START_S - 30, START_S + 40):
        if second not in (START_S + 5, START_S + 6, START_S + 20):
            core.price(second, 70_000.0 + second % 3)
    core.price(START_S + 5, 70_000.0, lag_ms=35_000)
    core.second(START_S + 43)
    letters = picture(core).contracts[0].coverage
    assert len(letters) == 44
    assert letters[4:8] == "plmp"
    assert letters[20] == "m"
    assert letters[-4:] == "wwww"


def test_books_that_contradict_each_other_are_not_traded_on() -> None:
    """Up's bid and Down's ask are the same orders; for a moment they may differ, not for six seconds."""
    core = running()
    core.book("2002", [(40, 500)], [(60, 500)], (NOW_S + 3) * 1000)
    core.second(NOW_S + 4)
    assert picture(core).contracts[0].up.mirror == "differs"
    assert not blocks(core) & gate.BOOK
    for second in range(NOW_S + 5, NOW_S + 11):
        tick(core, second)
        core.second(second)
    assert blocks(core) & gate.BOOK


def queried(core: Core, bid: int | None, ask: int | None, second: int) -> None:
    core.feed(
        e.BookQueried(
            ts_recv_ms=second * 1000,
            market=MARKET,
            token=UP,
            best_bid_e4=bid,
            best_ask_e4=ask,
            ts_venue_ms=second * 1000,
        )
    )


def test_a_book_that_rest_denies_twice_is_asked_for_again() -> None:
    """One difference may be a frame under way; two mean that something was lost on the way."""
    core = running()
    core.second(NOW_S + 3)
    queried(core, 4_800, 5_000, NOW_S + 3)
    assert picture(core).contracts[0].up.rest == "agrees"
    queried(core, 4_700, 5_000, NOW_S + 4)
    assert picture(core).contracts[0].up.rest == "differs"
    assert the_market(core).up.state == "live"
    queried(core, 4_700, 5_000, NOW_S + 5)
    assert the_market(core).up.state == "awaiting snapshot"
    for second in range(NOW_S + 6, NOW_S + 9):
        core.second(second)
    assert core.state.books_to_resync == {UP}
    core.book(UP, [(47, 500)], [(50, 500)], (NOW_S + 9) * 1000)
    core.second(NOW_S + 10)
    assert core.state.books_to_resync == frozenset()
    assert picture(core).contracts[0].up.resyncs == 1


def test_waiting_for_the_first_snapshot_is_no_resync() -> None:
    """A window's book that comes late was never doubted: the count is of books that were right before."""
    core = Core()
    core.describe()
    for second in range(START_S - 60, START_S - 50):
        core.second(second)
    assert core.state.books_to_resync == {"1001", "2002"}, "it is asked for again all the same"
    core.book(UP, [(47, 500)], [(50, 500)], (START_S - 50) * 1000)
    core.second(START_S - 49)
    assert the_market(core).watches["UP"].resyncs == 0


def test_the_empty_shell_that_rest_serves_says_nothing() -> None:
    """0.01 / 0.99 is what an old market looks like there; it must not void a good book."""
    core = running()
    for second in range(NOW_S + 3, NOW_S + 7):
        queried(core, 100, 9_900, second)
    assert the_market(core).up.state == "live"


def test_of_all_candidates_the_best_is_taken_and_the_limit_counts_it() -> None:
    """5m and 15m end together: with one trade left in the hour, the higher EV gets it."""
    start = END_S - 900
    core = Core(Params(watch_return_threshold=1e-6), Limits(max_trades_per_hour=1.0))
    long = contract(
        slug=f"btc-updown-15m-{start}",
        start_s=start,
        end_s=END_S,
        condition_id="0xc15",
        token_up="15",
        token_down="16",
    )
    core.feed(e.MarketDescribed(ts_recv_ms=(start - 60) * 1000, contract=long))
    core.feed(e.MarketDescribed(ts_recv_ms=(start - 60) * 1000, contract=contract()))
    for second in range(start - 70, END_S - 18):
        core.price(second, 70_000.0 + (40.0 if second > END_S - 200 else 0.0) + second % 2)
        if second in (start, START_S):
            core.price(second, "70000", "twap")
    for described in (long, contract()):
        core.feed(e.MarketDescribed(ts_recv_ms=(END_S - 20) * 1000, contract=described))
    for token, ask in ((UP, 60), ("15", 50)):
        core.book(token, [(ask - 2, 500)], [(ask, 500)], (END_S - 16) * 1000)
    assert not [one for one in core.effects if isinstance(one, OrderIntent)]
    core.second(END_S - 14)
    intents = [one for one in core.effects if isinstance(one, OrderIntent)]
    assert [one.slug for one in intents] == [long.slug]
