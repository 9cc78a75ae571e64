"""Own against served: what agrees, what drifts, and what a drift or a changed rule stops."""

from decimal import Decimal

import pytest

from engine import events as e
from engine.contract import Outcome, SettlementRule
from engine.core import decide as gate
from engine.core.project import Outside, project
from engine.core.state import Market
from engine.core.truth import verdict_of
from engine.snapshot import SettlementView, Snapshot
from tests.core.builders import END_S, MARKET, START_S, TWAP_60, Core, contract, past_fill

SLUG = contract().slug


def window(core: Core, strike: str | None, final: str | None, rule: SettlementRule = TWAP_60) -> Market:
    """Play one calm window with the reports given; None is a report that never arrived."""
    core.describe(rule=rule)
    market = core.state.markets[SLUG]
    for second in range(START_S - 70, END_S + 6):
        core.price(second, 70_000.0 + second % 2)
        if second == START_S and strike is not None:
            core.price(second, strike, "twap", lag_ms=1_900)
        if second == END_S and final is not None:
            core.price(second, final, "twap", lag_ms=1_900)
    core.second(END_S + 9)
    return market


def serve(core: Core, outcome: Outcome | None, strike: str | None, final: str | None) -> None:
    core.feed(
        e.OutcomeServed(
            ts_recv_ms=(END_S + 54) * 1000,
            slug=SLUG,
            outcome=outcome,
            strike=None if strike is None else Decimal(strike),
            final=None if final is None else Decimal(final),
        )
    )


def picture(core: Core) -> Snapshot:
    now_ms = core.state.now_ms
    return project(core.state, Outside(1, now_ms, now_ms, 0.0, 1.0, 0, 0.0, "", None, []))


def row(core: Core) -> SettlementView:
    return next(view for view in picture(core).settlements if view.slug == SLUG)


def test_prices_that_were_reported_agree_with_those_served() -> None:
    """The calm case: nothing stops, the truth table says so with both prices and their difference."""
    core = Core()
    window(core, "70000.25", "70000.75")
    assert row(core).verdict == "waiting"
    serve(core, "UP", "70000.25", "70000.75")
    seen = row(core)
    assert (seen.verdict, seen.outcome, seen.outcome_own, seen.outcome_source) == (
        "agrees",
        "UP",
        "UP",
        "served",
    )
    assert (seen.strike_rung, seen.strike_difference, seen.final_difference) == ("RTDS TWAP", 0.0, 0.0)
    assert core.state.halted_why is None


@pytest.mark.parametrize(
    ("outcome", "strike", "final", "words"),
    [
        ("UP", "70000.27", "70000.75", "strike own 70000.2500"),
        ("UP", "70000.25", "70000.70", "final own 70000.7500"),
        ("DOWN", "70000.25", "70000.75", "was served strike 70000.25, final 70000.75, outcome DOWN"),
    ],
)
def test_a_drift_of_what_was_called_exact_stops_trading(
    outcome: Outcome, strike: str, final: str, words: str
) -> None:
    """We sold a price as proven and the venue settled on another: nothing we know can be trusted then."""
    core = Core()
    window(core, "70000.25", "70000.75")
    serve(core, outcome, strike, final)
    assert row(core).verdict == "drift"
    assert core.state.halted_why is not None
    assert core.state.halted_why.startswith("settlement drift")
    assert words in core.state.halted_why
    assert picture(core).mode.mode == "HALTED"
    core.describe(start_s=END_S, slug=f"btc-updown-5m-{END_S}", condition_id="0xc1")
    core.second(END_S + 60)
    follower = core.state.markets[f"btc-updown-5m-{END_S}"]
    assert follower.view is not None
    assert follower.view.numbers.blocks & gate.HALTED


def test_a_cent_of_rounding_is_no_drift() -> None:
    """The venue shows some prices with fewer digits."""
    core = Core()
    window(core, "70000.256", "70000.751")
    serve(core, "UP", "70000.25", "70000.75")
    assert row(core).verdict == "agrees"
    assert core.state.halted_why is None


def test_an_estimate_that_is_a_little_off_is_judged_by_its_own_error_and_stops_nothing() -> None:
    """It said that it was an estimate: off by more than it claimed is shown, and is no drift."""
    core = Core()
    market = window(core, "70000.25", None)
    assert market.final is not None
    assert market.final.source == "estimate"
    assert verdict_of(market) == "waiting"
    inside = market.final.value + Decimal("0.01")
    serve(core, "UP", "70000.25", str(inside))
    assert row(core).verdict == "within error"
    core = Core()
    window(core, "70000.25", None)
    serve(core, "UP", "70000.25", "70009")
    assert row(core).verdict == "outside error"
    assert core.state.halted_why is None


@pytest.mark.parametrize(("final", "stops"), [("70024", False), ("69970", True), ("70040", True)])
def test_an_estimate_that_nothing_explains_stops_trading(final: str, stops: bool) -> None:
    """Without the feeds of the averages nothing else would tell that the rule is another one since today."""
    core = Core()
    window(core, "70000.25", None)
    serve(core, None, "70000.25", final)
    assert (core.state.halted_why is not None) is stops
    assert row(core).verdict == ("drift" if stops else "outside error")


def test_an_outcome_against_an_estimate_far_from_the_strike_stops_trading() -> None:
    """No price is served with it: own final and strike lie further apart than an estimate ever was off."""
    core = Core()
    core.describe()
    for second in range(START_S - 70, END_S + 6):
        core.price(second, 70_000.0 + (100.0 if second > START_S + 60 else 0.0))
    core.price(START_S, "70000", "twap", lag_ms=(END_S + 7 - START_S) * 1000)
    core.second(END_S + 9)
    assert core.state.markets[SLUG].outcome_own == "UP"
    serve(core, "DOWN", None, None)
    assert core.state.halted_why is not None
    assert "outcome own UP, served DOWN" in core.state.halted_why


def test_two_words_of_the_venue_stop_trading() -> None:
    """The exchange announced one winner and Gamma serves the other, and our own final is an estimate."""
    core = Core()
    market = window(core, "70000.25", None)
    core.feed(
        e.MarketResolved(
            ts_recv_ms=(END_S + 20) * 1000,
            market=MARKET,
            winning_token=market.contract.token_up,
            ts_venue_ms=0,
        )
    )
    assert core.state.halted_why is None
    serve(core, "DOWN", None, None)
    assert core.state.halted_why is not None
    assert "told as UP, then as DOWN" in core.state.halted_why


def test_a_window_waits_for_its_outcome_where_only_its_price_was_served() -> None:
    """Put away, it would not be compared with the outcome any more."""
    core = Core()
    window(core, "70000.25", "70000.75")
    serve(core, None, None, "70000.75")
    core.second(END_S + 60)
    assert SLUG in core.state.markets
    serve(core, "UP", None, "70000.75")
    core.second(END_S + 61)
    assert SLUG not in core.state.markets


def test_a_late_outcome_that_denies_what_was_paid_out_stops_trading() -> None:
    """A window of an earlier session, or one that was put away: nobody compares it but its own pay-out."""
    for outcome in ("UP", "DOWN"):
        core = Core()
        fill = past_fill(SLUG, "UP", ((8_000, 25_000_000),), 300_000, END_S * 1000 - 5_000)
        paid = e.PastSettlement(SLUG, "UP", END_S * 1000 + 3_000)
        core.feed(
            e.LedgerRestored(
                ts_recv_ms=END_S * 1000 + 9_000,
                fills=(fill,),
                settlements=(paid,),
                breakers=(),
                unresolved=(),
                orders=(),
            )
        )
        serve(core, outcome, None, None)
        assert (core.state.halted_why is None) is (outcome == "UP")


def test_the_final_price_served_is_the_strike_of_the_next_window() -> None:
    """A lost boundary report need not cost the window: the venue's own word comes a minute later."""
    core = Core()
    window(core, "70000.25", None)
    following = f"btc-updown-5m-{END_S}"
    core.describe(start_s=END_S, slug=following, condition_id="0xc1", token_up="3", token_down="4")
    core.second(END_S + 20)
    estimate = core.state.markets[following].strike
    assert estimate is not None
    assert not estimate.is_proven
    serve(core, "UP", "70000.25", "70000.5")
    strike = core.state.markets[following].strike
    assert strike is not None
    assert (strike.value, strike.source, strike.rung) == (
        Decimal("70000.5"),
        "served",
        "final of the window before",
    )
    core.second(END_S + 61)
    view = core.state.markets[following].view
    assert view is not None
    assert not view.numbers.blocks & gate.STRIKE


def test_a_served_strike_that_turns_out_another_stops_trading() -> None:
    """The chain of finals and strikes is what a served strike rests on; a break is a rule unknown."""
    core = Core()
    window(core, "70000.25", None)
    serve(core, "UP", "70000.25", "70000.75")
    following = f"btc-updown-5m-{END_S}"
    core.describe(start_s=END_S, slug=following, condition_id="0xc1", token_up="3", token_down="4")
    serve(core, "UP", "70000.25", "70000.75")
    core.feed(
        e.OutcomeServed(
            ts_recv_ms=(END_S + 360) * 1000,
            slug=following,
            outcome="UP",
            strike=Decimal("70001.5"),
            final=Decimal(70_002),
        )
    )
    assert core.state.halted_why is not None
    assert "70000.7500 (final of the window before), served 70001.5000" in core.state.halted_why


def test_two_feeds_that_report_the_boundary_differently_stop_trading() -> None:
    """One of them is wrong, and nothing says which."""
    core = Core()
    for source, value in (("twap", "70000.25"), ("polybolt", "70000.75")):
        core.feed(
            e.PricePrinted(
                ts_recv_ms=START_S * 1000 + 2_000,
                source=source,  # type: ignore[arg-type]  # both are sources
                value=Decimal(value),
                ts_venue_ms=START_S * 1000,
                ts_sent_ms=None,
                lookback_s=60,
            )
        )
    core.describe()
    assert core.state.halted_why is not None
    assert "0.50 apart" in core.state.halted_why


SECOND_SLUG = f"btc-updown-5m-{END_S}"


def test_a_changed_rule_is_only_watched_until_a_window_proved_it() -> None:
    """The rule changed twice in August 2026, silently: what it means is believed once it has settled so."""
    core = Core()
    core.feed(
        e.MarketDescribed(
            ts_recv_ms=(START_S - 360) * 1000,
            contract=contract(SettlementRule("twap", 30), START_S - 300, rule_text="30 s of the venue"),
        )
    )
    market = window(core, "70000.25", "70000.75")
    assert market.rule_before is not None
    assert market.view is not None
    assert market.view.numbers.blocks & gate.RULE
    card = picture(core).contracts
    shown = next(view for view in card if view.slug == SLUG)
    assert (shown.rule_before, shown.rule_words) == ("TWAP over 30 s: 30 s of the venue", "as the venue says")
    assert any(mark.kind == "rule" for mark in core.state.marks)
    core.describe(start_s=END_S, slug=SECOND_SLUG, condition_id="0xc1", token_up="3", token_down="4")
    assert core.state.markets[SECOND_SLUG].rule_before is not None
    serve(core, "UP", "70000.25", "70000.75")
    assert core.state.markets[SECOND_SLUG].rule_before is None


def test_a_rule_that_nobody_proved_pays_nothing_out() -> None:
    """Gamma called it spot for half a minute after the end: the payout turned round, and so it stayed where
    the engine died meanwhile (seed 171459 of the drill). The venue's word alone settles such a window."""
    core = Core()
    market = window(core, "70000.75", "70000.25")
    assert (market.outcome, market.outcome_source) == ("DOWN", "own")
    spot = SettlementRule("spot", 0)
    core.price(END_S, 70_003.0, "chainlink")
    core.describe(rule=spot)
    assert market.rule_before is not None
    assert market.outcome_own == "UP", "by that rule; for comparison alone"
    assert (market.outcome, market.outcome_source) == ("DOWN", "own")
    core.describe(rule=TWAP_60)
    assert (market.outcome, market.outcome_own) == ("DOWN", "DOWN")
    core = Core()
    core.describe(rule=TWAP_60)
    market = window(core, "70000.75", "70000.25", rule=SettlementRule("twap", 30))
    assert market.outcome is None
    serve(core, "DOWN", "70000.75", "70000.25")
    assert (market.outcome, market.outcome_source) == ("DOWN", "served")


def test_a_card_says_why_a_window_is_only_watched() -> None:
    """Both texts of a changed rule, an unknown rule, an estimated strike: each in its own words."""
    core = Core()
    core.describe(rule=None)
    core.second(START_S + 1)
    assert picture(core).contracts[0].observe_only == "the venue's settlement rule is missing or new"
    core = Core()
    core.feed(
        e.MarketDescribed(
            ts_recv_ms=(START_S - 60) * 1000, contract=contract(SettlementRule("twap", 30), START_S - 300)
        )
    )
    core.describe()
    core.second(START_S + 1)
    words = next(view for view in picture(core).contracts if view.slug == SLUG).observe_only
    assert words == "the rule changed from TWAP over 30 s to TWAP over 60 s; one window has to prove it"


def test_what_the_site_shows_is_compared_and_never_used() -> None:
    """The site's price to beat may be provisional or of another rule: it moves no strike."""
    core = Core()
    market = window(core, None, "70000.75")
    strike = market.strike
    core.feed(
        e.SitePriceServed(
            ts_recv_ms=(END_S + 20) * 1000,
            slug=SLUG,
            open_price=Decimal("70000.9"),
            close_price=None,
            completed=False,
        )
    )
    assert market.strike == strike
    assert strike is not None
    seen = row(core)
    assert seen.site_strike == 70_000.9
    assert seen.site_difference == pytest.approx(float(strike.value) - 70_000.9)


def test_the_best_fresh_rung_is_the_price_on_screen() -> None:
    """PolyBolt, RTDS, own mean: the best that is fresh, with its coverage and its error; ages of all."""
    core = Core()
    core.describe()
    for second in range(START_S - 80, START_S + 1):
        core.price(second, 70_000.0)
    (view,) = picture(core).canonical
    assert (view.rung, view.coverage) == ("own mean", 1.0)
    assert view.value == pytest.approx(70_000.0)
    assert view.error_usd >= 0.05
    core.price(START_S, "70000.5", "twap", lag_ms=1_700)
    (view,) = picture(core).canonical
    assert (view.rung, view.value, view.error_usd) == ("RTDS TWAP", 70_000.5, 0.0)
    assert [name for name, _ in view.rungs] == ["PolyBolt TWAP", "RTDS TWAP", "own mean"]
    assert view.rungs[0][1] is None
    for second in range(START_S + 1, START_S + 12):
        core.price(second, 70_000.0)
    (view,) = picture(core).canonical
    assert view.rung == "own mean", "the report is stale, the raw seconds are not"


def test_prices_without_an_outcome_agree_with_nothing_yet() -> None:
    """Nor do they prove a changed rule: how a window came out is the venue's word."""
    core = Core()
    window(core, "70000.25", "70000.75")
    serve(core, None, "70000.25", "70000.75")
    assert row(core).verdict == "waiting"
    serve(core, "UP", "70000.25", "70000.75")
    assert row(core).verdict == "agrees"


@pytest.mark.parametrize(("again", "stops"), [("70000.75", True), ("70000.26", False), ("70999", False)])
def test_a_boundary_told_again_and_otherwise_stops_trading(again: str, stops: bool) -> None:
    """By the same feed: nothing says which of the two settles. A cent is rounding, and what the raw seconds
    deny is a faulty frame."""
    core = Core()
    market = window(core, "70000.25", None)
    core.price(START_S, again, "twap", lag_ms=5_000)
    assert market.strike is not None
    assert market.strike.value == Decimal("70000.25"), "the first is kept"
    assert (core.state.halted_why is not None) is stops
    if stops:
        told = f"second {START_S} was told as 70000.25 and 70000.75 (RTDS TWAP)"
        assert core.state.halted_why == f"settlement drift: {told}"


def test_a_second_within_a_window_may_be_told_again() -> None:
    """Nothing settles on it."""
    core = Core()
    window(core, "70000.25", None)
    for value in ("70000.5", "70003.5"):
        core.price(START_S + 100, value, "twap")
    assert core.state.halted_why is None
