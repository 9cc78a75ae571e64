"""What looks like proof and is none: each of these once led to a trade, or could have."""

from decimal import Decimal

import pytest

from engine import events as e
from engine.contract import FeeSchedule
from engine.core import decide as gate
from engine.core import health, risk
from engine.core.state import Market
from engine.core.trading import OrderIntent
from engine.params import Params
from engine.wire import polybolt
from tests.core.builders import DOWN, END_S, MARKET, START_S, UP, Core, contract

SLUG = contract().slug


def told(core: Core, until: int = START_S + 5) -> Market:
    """Describe the window and tell calm seconds up to a moment."""
    core.describe()
    for second in range(START_S - 90, until):
        core.price(second, 70_000.0 + second % 3)
    return core.state.markets[SLUG]


def report(core: Core, source: e.Source, value: str, stamp_ms: int, recv_ms: int | None = None) -> None:
    core.feed(
        e.PricePrinted(
            ts_recv_ms=stamp_ms + 1_800 if recv_ms is None else recv_ms,
            source=source,
            value=Decimal(value),
            ts_venue_ms=stamp_ms,
            ts_sent_ms=None,
            lookback_s=60 if source in ("twap", "polybolt") else 0,
        )
    )


def test_a_second_feed_that_contradicts_a_captured_strike_stops_trading() -> None:
    """The order of arrival does not matter: a strike that was captured is still compared."""
    core = Core()
    market = told(core)
    report(core, "twap", "70000.25", START_S * 1000)
    assert market.strike is not None
    report(core, "polybolt", "70000.75", START_S * 1000, START_S * 1000 + 3_000)
    assert core.state.halted_why is not None
    assert "0.50 apart" in core.state.halted_why


def test_the_better_rung_replaces_the_other() -> None:
    """PolyBolt stands above RTDS also when it speaks second."""
    core = Core()
    market = told(core)
    report(core, "twap", "70000.25", START_S * 1000)
    report(core, "polybolt", "70000.25", START_S * 1000, START_S * 1000 + 3_000)
    assert market.strike is not None
    assert market.strike.rung == "PolyBolt TWAP"
    assert core.state.halted_why is None


def test_a_stamp_within_the_second_is_not_the_boundarys_report() -> None:
    """Boundary plus 999 ms is another moment; the true report that follows is the strike."""
    core = Core()
    market = told(core)
    report(core, "twap", "70001.5", START_S * 1000 + 999)
    assert market.strike is None or market.strike.source != "exact"
    report(core, "twap", "70000.25", START_S * 1000, START_S * 1000 + 3_000)
    assert market.strike is not None
    assert (market.strike.value, market.strike.source) == (Decimal("70000.25"), "exact")


def test_a_carried_forward_point_of_a_snapshot_is_no_report() -> None:
    """After a reconnect PolyBolt tells the past; what it only repeated there proves nothing."""
    frame = (
        '{"v":1,"channel":"price.crypto.twap","seq":1,"ts":1790000105000,"snapshot":true,"payload":{"symbol":'
        '"btcusd","window_seconds":60,"source":"chainlink","data":[{"timestamp":1790000099000,"value":70000,'
        '"full_accuracy_value":"70000.1"},{"timestamp":1790000100000,"value":70000,'
        '"full_accuracy_value":"70000.1","is_carried_forward":true}]}}'
    )
    (history,) = polybolt.Reader().parse(frame, 1_790_000_105_000)
    assert isinstance(history, e.PriceHistoryServed)
    assert [stamp for stamp, _ in history.points] == [1_790_000_099_000]


def test_a_report_far_from_the_raw_seconds_is_not_believed() -> None:
    """3 % off passes for a price and cannot be the mean of the seconds that everybody saw."""
    core = Core()
    market = told(core, START_S + 20)
    report(core, "twap", "72100", START_S * 1000, (START_S + 22) * 1000)
    assert market.strike is not None
    assert market.strike.source == "estimate"
    assert risk.blocks(core.state, market) & gate.STRIKE
    for second in range(START_S + 23, START_S + 26):
        core.second(second)
    assert core.state.bad_prices["RTDS TWAP: far from the raw seconds"] == 1, "counted once, not at each look"


def test_another_market_under_the_same_slug_is_not_traded() -> None:
    """Other tokens in a refreshed description: the book in hand is not of what would be bought."""
    core = Core()
    market = told(core)
    core.describe(token_up=DOWN, token_down=UP)
    assert core.state.halted_why is not None
    assert "another market" in core.state.halted_why
    assert market.contract.token_up == UP
    assert risk.blocks(core.state, market) & gate.ACCEPTING


def test_a_window_whose_winner_was_announced_is_not_bought() -> None:
    """The CLOB may tell the winner early; what is decided has no odds any more."""
    core = Core()
    market = told(core)
    core.feed(
        e.MarketResolved(ts_recv_ms=(START_S + 20) * 1000, market=MARKET, winning_token=DOWN, ts_venue_ms=0)
    )
    assert risk.blocks(core.state, market) & gate.ACCEPTING


def test_an_announced_winner_that_proven_prices_deny_stops_trading() -> None:
    """Before Gamma serves anything, the CLOB's word is already evidence."""
    core = Core()
    told(core, END_S + 5)
    report(core, "twap", "70000", START_S * 1000, (END_S + 6) * 1000)
    report(core, "twap", "70001", END_S * 1000, (END_S + 6) * 1000)
    core.feed(
        e.MarketResolved(ts_recv_ms=(END_S + 9) * 1000, market=MARKET, winning_token=DOWN, ts_venue_ms=0)
    )
    assert core.state.halted_why is not None
    assert "announced DOWN" in core.state.halted_why


def test_a_venue_that_contradicts_itself_stops_trading() -> None:
    """Its own prices say Up and it pays Down: whatever the rule is, it is not the one we know."""
    core = Core()
    told(core)
    core.feed(
        e.OutcomeServed(
            ts_recv_ms=(END_S + 60) * 1000,
            slug=SLUG,
            outcome="DOWN",
            strike=Decimal(70_000),
            final=Decimal(70_001),
        )
    )
    assert core.state.halted_why is not None


@pytest.mark.parametrize(
    "changes", [{"version": "v2"}, {"fee": None}, {"fee": FeeSchedule(Decimal("0.1"), Decimal(1))}]
)
def test_a_changed_version_or_fee_is_only_watched_too(changes: dict[str, object]) -> None:
    """Tokens, payouts and costs hang on them as on the rule."""
    core = Core()
    market = told(core)
    core.describe(**changes)
    assert risk.blocks(core.state, market) & gate.RULE


def spot(core: Core, second: int, value: float, source: e.Source = "spot") -> None:
    core.price(second, value, source, lag_ms=300)


def test_fallback_lives_on_the_source_that_is_alive() -> None:
    """The ticker died, Binance moved 500: the expectation moves, or nothing is known; never zero."""
    core = Core(Params(use_fallback=1.0, orders_in_fallback=1.0))
    market = told(core, START_S + 60)
    for second in range(START_S, START_S + 61):
        spot(core, second, 70_010.0)
        spot(core, second, 70_005.0, "binance")
    core.second(START_S + 62)
    before = market.fair
    for second in range(START_S + 61, START_S + 80):
        spot(core, second, 70_505.0, "binance")
        core.second(second + 1)
    assert core.state.fallback_since_ms is not None
    assert before is not None
    assert market.fair is not None
    assert market.fair.mean_usd - before.mean_usd == pytest.approx(500.0, abs=3.0)


def test_a_divergence_that_nobody_can_see_refuses() -> None:
    """Spot fell silent: an agreement of two minutes ago says nothing of the newest tick."""
    core = Core()
    market = told(core, START_S + 5)
    for second in range(START_S - 10, START_S + 5):
        spot(core, second, 70_010.0)
    core.second(START_S + 6)
    assert not risk.blocks(core.state, market) & gate.DIVERGENCE
    for second in range(START_S + 5, START_S + 60):
        core.price(second, 70_000.0 + second % 3)
    assert health.divergence(core.state) is None
    assert risk.blocks(core.state, market) & gate.DIVERGENCE


def test_a_price_of_the_near_future_moves_nothing() -> None:
    """True ticks arrive 0.9 s after their second or later; one from 4.9 s ahead outdated all others."""
    core = Core()
    told(core, START_S + 5)
    track = core.state.track("chainlink")
    newest = track.newest_s
    report(core, "chainlink", "70300", (START_S + 12) * 1000, (START_S + 7) * 1000 + 100)
    assert track.newest_s == newest
    assert core.state.bad_prices == {"chainlink: from the future": 1}


def test_the_same_bad_report_three_times_confirms_nothing() -> None:
    """Duplicates are a fault of the feed, not three witnesses."""
    core = Core()
    told(core, START_S + 5)
    track = core.state.track("chainlink")
    for _ in range(5):
        report(core, "chainlink", "77000", (START_S + 5) * 1000)
    assert track.newest_s == START_S + 4
    assert len(track.between(START_S - 90, START_S + 5)) == 95


def test_only_levels_that_are_worth_their_price_are_bought() -> None:
    """Cheap first levels do not pay for dear last ones."""
    core = Core(Params(watch_return_threshold=1e-6, max_entry_price=0.97, d_min_usd=0.01))
    core.describe()
    for second in range(START_S - 400, END_S - 16):
        core.price(second, 70_000.0 + (2.0 if second > END_S - 100 else 0.0) + (8.0 if second % 2 else 0.0))
        if second == START_S:
            core.price(second, "70003", "twap")
        core.second(second + 2)
    core.book(UP, [(20, 500)], [(30, 30), (95, 500)], (END_S - 12) * 1000)
    (intent,) = [one for one in core.effects if isinstance(one, OrderIntent)]
    assert intent.limit_e4 < 9_500
    assert intent.usd_e6 == 9_000_000
    assert intent.token == UP


def test_names_of_faults_are_few_however_many_texts_there_are() -> None:
    """A text with values in it would be a new name each time, and memory without end."""
    core = Core()
    for number in range(50):
        reason = f"full_accuracy_value {number} is not value 70000"
        core.feed(e.FrameRefused(ts_recv_ms=1, feed="rtds", reason=reason, excerpt=""))
    assert core.state.bad_prices == {"rtds: not understood": 50}


def test_polybolts_raw_seconds_stand_in_for_rtds_and_never_mix_with_them() -> None:
    """Frozen at two different values, two sockets in one stream would look as if it moved."""
    core = Core()
    told(core, START_S + 5)

    def other(second: int, value: float) -> None:
        core.feed(
            e.PricePrinted(
                ts_recv_ms=second * 1000 + 1_200,
                source="chainlink",
                value=Decimal(str(value)),
                ts_venue_ms=second * 1000,
                ts_sent_ms=None,
                feed="polybolt",
            )
        )

    for second in range(START_S + 5, START_S + 30):
        other(second, 70_100.0)
        core.price(second, 70_001.0)
    track = core.state.track("chainlink")
    assert {value for _, value in track.between(START_S + 5, START_S + 30)} == {70_001.0}
    for second in range(START_S + 30, START_S + 40):
        other(second, 70_002.0)
    assert track.newest_s == START_S + 39, "RTDS fell silent: PolyBolt carries on"
    assert core.state.bad_prices == {}


def test_a_history_is_heard_on_the_socket_it_came_over() -> None:
    """PolyBolt's past must not make a silent RTDS look alive, nor mix with what RTDS tells."""
    core = Core()
    told(core, START_S + 5)
    core.feed(
        e.PriceHistoryServed(
            ts_recv_ms=(START_S + 6) * 1000,
            source="chainlink",
            points=(((START_S - 120) * 1000, Decimal(70_100)),),
            feed="polybolt",
        )
    )
    assert core.state.feeds["polybolt"].arrived_ms == (START_S + 6) * 1000
    assert core.state.feeds["rtds"].arrived_ms != (START_S + 6) * 1000
    assert core.state.track("chainlink").at(START_S - 120) is None


def test_a_report_is_held_against_raw_seconds_that_come_after_it() -> None:
    """After a reconnect the averages may be there first: which of the two came first changes nothing."""
    core = Core()
    core.describe()
    market = core.state.markets[SLUG]
    report(core, "twap", "70400", START_S * 1000, (START_S + 3) * 1000)
    assert market.strike is not None
    assert market.strike.source == "exact", "there is nothing to hold it against"
    for second in range(START_S - 90, START_S + 4):
        core.price(second, 70_000.0 + second % 3, lag_ms=(START_S + 5 - second) * 1000)
    assert market.strike.source == "estimate"
    assert risk.blocks(core.state, market) & gate.STRIKE
    assert core.state.bad_prices["RTDS TWAP: far from the raw seconds"] == 1


@pytest.mark.parametrize(
    ("heard_s", "report_usd", "is_believed"),
    [
        (25, "70420", False),
        (25, "70300", False),
        (25, "70180", True),
        (3, "70420", False),
        (3, "70320", True),
        (0, "70420", True),
    ],
)
def test_a_report_is_held_against_the_few_raw_seconds_that_there_are(
    heard_s: int, report_usd: str, is_believed: bool
) -> None:
    """Seed 410040: restarted in the minute before a boundary, when both feeds' averages were 0.6 % off."""
    core = Core()
    core.describe()
    market = core.state.markets[SLUG]
    for second in range(START_S - 2 - heard_s, START_S - 2):
        core.price(second, 70_000.0)
    report(core, "twap", report_usd, START_S * 1000, (START_S + 2) * 1000)
    for later_s in (3, 30, 150):
        core.second(START_S + later_s)
        assert market.strike is not None
        assert market.strike.is_proven == is_believed
    assert core.state.bad_prices["RTDS TWAP: far from the raw seconds"] == (not is_believed)


def test_a_few_raw_seconds_deny_a_report_and_pay_nothing_out() -> None:
    """One second said Up and the report Down: nobody knows until the venue says it."""
    core = Core()
    core.describe()
    market = core.state.markets[SLUG]
    report(core, "twap", "70000", START_S * 1000, (START_S + 3) * 1000)
    core.price(END_S - 5, 70_420.0)
    report(core, "twap", "69990", END_S * 1000, (END_S + 2) * 1000)
    core.second(END_S + 30)
    assert market.final is not None
    assert (market.final.is_proven, market.outcome_own) == (False, None)


def test_all_raw_seconds_deny_a_report_and_pay_nothing_out() -> None:
    """Seed 440500: one feed's raw seconds were 0.6 % off for 39 s, and the report they denied was true."""
    core = Core()
    market = told(core, END_S - 42)
    report(core, "twap", "70000.25", START_S * 1000, (END_S - 42) * 1000)
    for second in range(END_S - 42, END_S + 3):
        core.price(second, 69_580.0 + second % 3)
    report(core, "twap", "70010", END_S * 1000, (END_S + 3) * 1000)
    core.second(END_S + 30)
    assert market.strike is not None
    assert market.strike.is_proven
    assert market.final is not None
    assert (market.final.is_proven, market.outcome_own, market.outcome) == (False, None, None)
    core.feed(
        e.OutcomeServed(
            ts_recv_ms=(END_S + 60) * 1000,
            slug=SLUG,
            outcome="UP",
            strike=Decimal("70000.25"),
            final=Decimal("70010"),
        )
    )
    assert (market.outcome, core.state.halted_why) == ("UP", None)


def test_a_denied_report_is_not_believed_because_its_seconds_are_forgotten() -> None:
    """Eighteen minutes later nothing denies it any more, and nothing bears it out."""
    core = Core()
    core.describe()
    market = core.state.markets[SLUG]
    for second in range(START_S - 27, START_S - 2):
        core.price(second, 70_000.0)
    report(core, "twap", "70420", START_S * 1000, (START_S + 2) * 1000)
    for second in range(START_S - 2, START_S + 1_100):
        core.price(second, 70_000.0)
    assert core.state.track("chainlink").at(START_S - 3) is None
    assert market.strike is not None
    assert not market.strike.is_proven


def test_a_second_word_that_few_raw_seconds_deny_is_only_counted() -> None:
    """As where all of them are there."""
    core = Core()
    core.describe()
    for second in range(START_S - 27, START_S - 2):
        core.price(second, 70_000.0)
    for dollars in ("70000", "70420"):
        report(core, "twap", dollars, START_S * 1000, (START_S + 2) * 1000)
    assert core.state.halted_why is None
    report(core, "twap", "70001", START_S * 1000, (START_S + 2) * 1000)
    assert core.state.halted_why is not None, "one that may be true is a drift"


def test_a_report_that_few_raw_seconds_denied_is_believed_once_all_bear_it_out() -> None:
    """A history brought the rest of the minute: BTC had moved as it hardly does."""
    core = Core()
    core.describe()
    market = core.state.markets[SLUG]
    for second in range(START_S - 12, START_S + 4):
        core.price(second, 70_000.0)
    report(core, "twap", "70420", START_S * 1000, (START_S + 5) * 1000)
    assert market.strike is not None
    assert not market.strike.is_proven
    for second in range(START_S - 90, START_S - 12):
        core.price(second, 70_504.0, lag_ms=(START_S + 6 - second) * 1000)
    assert market.strike.is_proven
    assert str(market.strike.value) == "70420"


def test_our_outcome_follows_a_strike_that_got_better_after_the_end() -> None:
    """An estimate said Up; the strike's own report, late, says Down, and so does the venue: no drift."""
    core = Core()
    market = told(core, END_S + 10)
    assert market.strike is not None
    assert market.strike.source == "estimate"
    estimate = market.strike.value
    report(core, "twap", str(estimate + 5), END_S * 1000, (END_S + 11) * 1000)
    assert market.outcome_own == "UP"
    report(core, "twap", str(estimate + 6), START_S * 1000, (END_S + 12) * 1000)
    assert market.strike.source == "exact"
    assert market.outcome_own == "DOWN"
    assert core.state.halted_why is None
