"""What the drill's invariants forbid, planted: each function breaks one, in one way."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import httpx
import msgspec
from msgspec import structs

from engine import events as e
from engine.contract import SettlementRule
from engine.core.state import Market, TrustedRule
from engine.core.trading import Order
from engine.kill import KillSwitch, Latch
from engine.practice.simulated.market import RULE
from engine.run.pause_file import PauseFile
from engine.sim import order_checks, replayed, served, sums, truth
from tests.practice.signing import body as signed_body
from tests.sim.bench import (
    HALTED,
    LIVE,
    LONG_MS,
    MADE,
    OPENED,
    PAPER,
    SECOND,
    SPOT_WORDS,
    Bench,
    anew,
    beside_another,
    deciding,
    lose,
    lose_windows,
    past,
    posted,
    told,
    trust,
)


def killed(one: Bench) -> None:
    event = e.KillSwitchChanged(ts_recv_ms=0, latched=True, who="x", why="y")
    one.checks.heard(event)
    one.intend()


def killed_at_the_wire(one: Bench) -> None:
    """Armed as ever, and the latch has stood for a while: nobody looked before the first byte."""
    (one.world.settings.data_dir / "ARMED").touch()
    killed_at_the_wire_on_paper(one)


def killed_at_the_wire_on_paper(one: Bench) -> None:
    folder = one.world.settings.data_dir
    latch = Latch("x", "y", int(one.world.wall_ms()) - 5)
    KillSwitch(folder).path.write_bytes(msgspec.json.encode(latch))
    one.checks._check_leaving(one.intent())


def opened_unaware_of_the_kill(one: Bench) -> None:
    """The latch stands, and the session says that nothing is tripped."""
    KillSwitch(one.world.settings.data_dir).path.touch()
    one.checks.heard(OPENED)


def opened_with_a_kill_that_is_none(one: Bench) -> None:
    one.checks.heard(structs.replace(OPENED, killed=True))


def halted(one: Bench) -> None:
    one.state.halted_why = "drift"
    one.intend()


def paused(one: Bench) -> None:
    one.checks.heard(e.TradingPaused(ts_recv_ms=0, paused=True, who="x", why="y"))
    one.intend()


def pause_lost(one: Bench) -> None:
    """The engine that said it is gone, and its file with it."""
    one.checks.heard(e.TradingPaused(ts_recv_ms=0, paused=True, who="x", why="y"))
    one.checks.begin_life(killed=False)
    one.checks.heard(OPENED)


def pause_not_read(one: Bench) -> None:
    """It is in its file, and the next session says nothing of it."""
    PauseFile(one.world.settings.data_dir).keep(e.TradingPaused(ts_recv_ms=0, paused=True, who="x", why="y"))
    one.checks.begin_life(killed=False)
    one.checks.heard(OPENED)
    assert one.witness.violations == []
    for event in (one.price(), one.book()):
        one.checks.heard(event)
    one.intend()


def breaker(one: Bench) -> None:
    one.state.breakers["edge"] = "gone"
    one.intend()


def unarmed(one: Bench) -> None:
    one.checks._check_leaving(one.intent())


def late(one: Bench) -> None:
    one.checks._check_leaving(one.intent(deadline_ms=one.state.now_ms - 10, side="SELL"))


def old_price(one: Bench) -> None:
    one.checks._newest_price_ms -= order_checks.NEWEST_PRICE_MS
    one.intend()


def old_book(one: Bench) -> None:
    one.checks._books_ms[one.contract.condition_id] -= order_checks.BOOK_HEARD_MS + 1
    one.intend()


def silent_price(one: Bench) -> None:
    one.checks._price_heard_ms -= order_checks.PRICE_HEARD_MS + 1
    one.intend()


def price_of_the_future(one: Bench) -> None:
    """It hides no silence."""
    one.checks._newest_price_ms = one.checks._price_heard_ms = 1
    one.checks._newest_by_feed.clear()
    far = structs.replace(one.price(), ts_venue_ms=one.state.now_ms + 10**6)
    one.checks.heard(far)
    one.intend()


def unknown_rule(one: Bench) -> None:
    one.describe(resolutionSource="https://example.org/btc")
    one.intend()


def other_rule(one: Bench) -> None:
    one.describe(**SPOT_WORDS)
    one.intend()


def rule_of_the_window_before(one: Bench) -> None:
    """Followers of a window with a new rule are not bought either, if they were told of with it first."""
    anew(one)
    before = one.world.tape.contract(f"btc-updown-5m-{one.contract.end_s}")
    assert before is not None
    one.describe(before, **SPOT_WORDS)
    one.describe()
    one.intend()


def drifted_strike(one: Bench) -> None:
    assert one.market.strike is not None
    one.came_out(one.market.strike.value + Decimal("0.0101"), None)
    one.intend()


def drifted_final(one: Bench) -> None:
    assert one.market.strike is not None
    one.market.final = one.market.strike._replace(value=one.market.strike.value + 5)
    one.came_out(None, one.market.strike.value)
    one.intend()


def drifted_outcome(one: Bench) -> None:
    one.market.final = one.market.strike
    one.market.outcome_own = "UP"
    winner = e.MarketResolved(
        ts_recv_ms=1,
        market=one.contract.condition_id,
        winning_token=one.contract.token_down,
        ts_venue_ms=1,
    )
    one.witness.served.heard(winner)
    one.intend()


def venue_contradicts_itself(one: Bench) -> None:
    assert one.market.strike is not None
    one.came_out(one.market.strike.value, one.market.strike.value + 1, "DOWN")
    one.intend()


def next_strike_drifted(one: Bench) -> None:
    assert one.market.strike is not None
    before = structs.replace(one.contract, slug=f"btc-updown-5m-{one.contract.start_s - 300}")
    one.state.markets[before.slug] = Market(before, one.state.now_ms)
    told = e.OutcomeServed(
        ts_recv_ms=1, slug=before.slug, outcome=None, strike=None, final=one.market.strike.value - 1
    )
    one.witness.served.heard(told)
    one.intend()


def worthless_price(one: Bench) -> None:
    """Ten times the true one, of the newest second."""
    told(one, "chainlink", 10)
    one.intend()


def spot_apart(one: Bench) -> None:
    """By 60 basis points, three times in a row."""
    told(one, "chainlink", 1)
    for _ in range(3):
        one.checks.heard(told(one, "spot", Decimal("1.006")))
    one.intend()


def old_fee(one: Bench) -> None:
    """A description without a fee is none; the one before is good for ten minutes."""
    one.witness.served._fee_ms[one.contract.slug] -= served.FEE_TOLD_MS + 1
    one.describe(feeSchedule=None)
    one.intend()


def another_window(one: Bench) -> None:
    """An answer about another window says nothing of this one: the spot rule before stays the last word."""
    one.describe(**SPOT_WORDS)
    one.describe(slug=f"btc-updown-5m-{one.contract.start_s + 3_600}")
    one.intend()


def beat_refused(one: Bench) -> None:
    one.checks.answered(order_checks.BEATS, 400)
    one.world.wall_ms = lambda: 10**15  # type: ignore[method-assign]
    one.checks._check_leaving(one.intent())


def left_after_recording_failed(one: Bench) -> None:
    """What is decided by the event at which recording failed may not leave."""
    one.session.failed.set()
    one.intend()
    posted(one, signed_body(one.contract.token_up, "BUY", 10_000_000, 20_000_000))


def paper_after_recording_failed(one: Bench) -> None:
    one.session.failed.set()
    one.intend()
    one.checks.left_on_paper(one.session, "x#1")


def lost_twice(one: Bench) -> None:
    one.state.limits = one.state.limits._replace(max_loss_streak=2)
    lose_windows(one, 2)
    one.intend()


def far_below_the_best(one: Bench) -> None:
    one.state.limits = one.state.limits._replace(max_drawdown_usd=15.0)
    lose_windows(one, 2)
    one.intend()


def no_window(one: Bench) -> None:
    one.market.contract = structs.replace(one.contract, end_s=one.state.now_ms // 1000 - 1)
    one.intend()


def guessed_strike(one: Bench) -> None:
    assert one.market.strike is not None
    one.market.strike = one.market.strike._replace(source="estimate")
    one.intend()


def wrong_strike(one: Bench) -> None:
    assert one.market.strike is not None
    wrong = one.market.strike._replace(value=one.market.strike.value + Decimal("1e-18"))
    one.witness.paid.check_strike(one.contract.start_s, RULE, wrong, "x")


def too_large(one: Bench) -> None:
    one.intend(usd_e6=10_000_001)


def too_dear(one: Bench) -> None:
    one.intend(limit_e4=round(one.state.params.max_entry_price * 10_000) + 1)


def too_much_at_stake(one: Bench) -> None:
    """Two windows of different ends, within every limit but the one of all together."""
    one.state.limits = one.state.limits._replace(max_exposure_usd=21.0)
    one.state.ledger.book(past(one, slug="another", end_s=one.contract.end_s + 300))
    one.intend()


def too_much_on_one_end(one: Bench) -> None:
    """Two windows that the same price settles."""
    one.state.limits = one.state.limits._replace(max_correlated_usd=21.0)
    one.state.ledger.book(past(one, slug="another"))
    one.intend()


def too_many(one: Bench) -> None:
    one.state.limits = one.state.limits._replace(max_trades_per_hour=1.0)
    one.state.ledger.book(past(one, slug="another", trade_id="t"))
    one.intend()


def too_much_lost(one: Bench) -> None:
    one.state.limits = one.state.limits._replace(max_daily_loss_usd=20.0)
    one.state.ledger.book(past(one, slug="another"))
    one.state.ledger.settle("another", "DOWN", one.state.now_ms)
    one.intend()


def twice(one: Bench) -> None:
    one.intend()
    one.intend(name="x#2")


def bought_already(one: Bench) -> None:
    one.state.ledger.book(past(one))
    one.intend(name="x#2")


def named_twice(one: Bench) -> None:
    one.checks.effect(one.session, 1, one.intent())
    one.checks.end_life([(1, 0, one.intent())])
    one.checks.begin_life(killed=False)
    one.checks.heard(one.price())
    one.checks.heard(one.book())
    one.intend()


def beside_one_that_lives(one: Bench) -> None:
    beside_another(one, "LIVE", ())


def beside_one_that_filled(one: Bench) -> None:
    beside_another(one, "MATCHED", ("CONFIRMED",))


def not_durable_on_paper(one: Bench) -> None:
    one.intend()
    one.checks.left_on_paper(one.session, "x#1")


def not_durable_live(one: Bench) -> None:
    body = signed_body(one.contract.token_up, "BUY", 10_000_000, 20_000_000)
    one.checks.at_the_wire(httpx.Request("POST", "http://127.0.0.1:1/order"), body)


def unreadable_order(one: Bench) -> None:
    """Nobody could say whether it is recorded."""
    one.checks.at_the_wire(httpx.Request("POST", "http://127.0.0.1:1/order"), b"{}")


def over_the_limit(one: Bench) -> None:
    one.intend()
    one.checks.filled(one.session, one.filled(fills=((5_100, 19_000_000),), fee_e6=332_400))


def wrong_fee(one: Bench) -> None:
    one.intend()
    one.checks.filled(one.session, one.filled(fee_e6=350_010))


def trade_of_nobody(one: Bench) -> None:
    trade = e.Trade("t", 20_000_000, 10_000_000, 350_000)
    one.checks.filled(one.session, one.filled(trades=(trade,)))


def cent_gone(one: Bench) -> None:
    one.state.ledger.book(past(one))
    one.state.ledger.cash_e6 += 1
    one.witness.paid.add_up(one.state)


def bank_makes_money(one: Bench) -> None:
    """A million of a dollar that nobody gave."""
    one.world.venue.exchange.chain.settling.bank._held[truth.OWNER, "USD"] += 1
    one.witness.paid.add_up(one.state)


def no_end(one: Bench) -> None:
    order = Order(one.intent(), one.state.now_ms - 10**8)
    order.state = "sent"
    one.state.trading.in_flight["x#1"] = order
    one.witness._each_second(one.state)


def lost_today(one: Bench) -> None:
    """So little is left of the day's loss that one order more is too much."""
    lose(one, one.state.now_ms)
    one.intend()


def too_poor_on_paper(one: Bench) -> None:
    one.world.money_e6 = 10_600_000
    one.intend()


def too_poor_at_the_venue(one: Bench) -> None:
    truth.give(one.world.venue, 10_600_000)
    one.intend()


def too_poor_beside_an_earlier_order(one: Bench) -> None:
    """A restart's order of unknown fate may have taken the same dollars."""
    truth.give(one.world.venue, 21_300_000)
    one.checks.heard(restored_order(one))
    one.intend()


def restored_order(one: Bench) -> e.LedgerRestored:
    order = e.PastOrder(
        order_id="y#1",
        slug="btc-updown-5m-300",
        end_s=600,
        outcome="UP",
        token="t",
        side="BUY",
        limit_e4=5_000,
        usd_e6=10_000_000,
        shares_e6=0,
        probability=0.9,
        venue_order_id="0x1",
        at_ms=0,
    )
    return e.LedgerRestored(
        ts_recv_ms=0, fills=(), settlements=(), breakers=(), unresolved=(), orders=(order,)
    )


def unknown_without_alarm(one: Bench) -> None:
    order = Order(one.intent(), one.state.now_ms)
    order.state = "unknown"
    one.state.trading.in_flight["x#1"] = order
    one.witness._each_second(one.state)


def unknown_at_the_end(one: Bench) -> None:
    """Nothing is wrong any more, for longer than an order is looked for."""
    order = Order(one.intent(), one.state.now_ms - LONG_MS)
    order.state = "unknown"
    one.state.trading.in_flight["x#1"] = order
    one.world.calm_for_s = lambda: 1e9  # type: ignore[method-assign]
    one.witness.finish()


def paid_wrongly(one: Bench) -> None:
    slug, true = next(iter(one.world.tape._truths.items()))
    one.state.ledger.book(past(one, slug=slug, end_s=0))
    one.state.ledger.settle(slug, "DOWN" if true.outcome == "UP" else "UP", one.state.now_ms)
    one.witness.paid.settlements(one.state)


def never_paid(one: Bench) -> None:
    one.state.ledger.book(past(one, end_s=0))
    one.world.life_began_s = -1e9
    one.world.quiet_for_s = lambda: 1e9  # type: ignore[method-assign]
    one.witness.paid.unsettled(one.state)


def forgotten(one: Bench) -> None:
    one.state.ledger.book(past(one))
    one.witness.expected = sums.told(one.state)
    one.state.ledger.undo(one.contract.slug, e.PastFillStatus("x#1", "t", "FAILED", 0))
    one.witness._recovered(one.state)


def restored_otherwise(one: Bench, **changes: Any) -> None:
    """Let a restart come up with the same fill, but for something of it."""
    one.state.ledger.book(past(one))
    one.witness.expected = sums.told(one.state)
    (holding,) = one.state.ledger.holdings.values()
    holding.fills = {key: structs.replace(fill, **changes) for key, fill in holding.fills.items()}
    one.witness._recovered(one.state)


def fill_time_lost(one: Bench) -> None:
    restored_otherwise(one, at_ms=0)


def fill_of_the_other_outcome(one: Bench) -> None:
    restored_otherwise(one, outcome="DOWN")


def fill_of_the_other_side(one: Bench) -> None:
    restored_otherwise(one, side="SELL")


def settled_on_another_day(one: Bench) -> None:
    one.state.ledger.book(past(one))
    one.state.ledger.settle(one.contract.slug, "UP", one.state.now_ms)
    one.witness.expected = sums.told(one.state)
    one.state.ledger.holdings[one.contract.slug].settled_ms -= sums.DAY_MS
    one.witness._recovered(one.state)


def own_word_called_the_venue_s(one: Bench) -> None:
    """Nobody would ask whether it is true any more."""
    one.state.ledger.book(past(one))
    one.state.ledger.settle(one.contract.slug, "UP", one.state.now_ms, "own")
    one.witness.expected = sums.told(one.state)
    one.state.ledger.settle(one.contract.slug, "UP", one.state.now_ms, "served")
    one.witness._recovered(one.state)


def unknown_order_of_another_size(one: Bench) -> None:
    """It counts in every limit by what it may take."""
    order = Order(one.intent(), one.state.now_ms)
    order.venue_order_id = "0x1"
    one.state.trading.in_flight["x#1"] = order
    one.witness.expected = sums.told(one.state)
    order.intent = one.intent(usd_e6=1_000_000)
    one.witness._recovered(one.state)


def failed_part(one: Bench) -> None:
    """An error that nobody expected halts the engine, and is none of the halts that are meant to be."""
    halts = [structs.replace(HALTED, why=why) for why in ("a disk is full", "seconds failed: KeyError: 1")]
    one.witness.saw(one.session, halts[0])
    assert one.witness.violations == []
    one.witness.saw(one.session, halts[1])


def engine_that_raises(one: Bench) -> None:
    """An error that is none of the engine's own ends it."""

    async def broken(*_: Any) -> None:
        raise KeyError(1)

    with patch("engine.sim.world.Engine.run", broken):
        one.world.loop.run_until_complete(one.world._live())


def rules_forgotten(one: Bench) -> None:
    """At every restart the first rule told would be trusted."""
    trust(one, "5m")
    one.state.rules.clear()
    one.witness._recovered(one.state)


def rule_turned(one: Bench) -> None:
    trust(one, "5m")
    one.state.rules["5m"] = TrustedRule(SettlementRule("spot"), "words")
    one.witness._recovered(one.state)


def other_account(one: Bench) -> None:
    """Ours knows a trade that the venue does not."""
    one.state.ledger.book(past(one))
    one.witness.finish()


def other_replay(one: Bench) -> None:
    """An output that no event leads to."""
    one.journal.items = [e.Record(1, OPENED), e.Record(2, SECOND), (2, 0, MADE)]
    one.journal.pour(3, "ended")
    one.witness._replay(3, has_died=False)


def outputs_left_out(one: Bench) -> None:
    """A journal without a single output has not said the same."""
    one.journal.items = [e.Record(seq, event) for seq, event in enumerate((OPENED, SECOND, SECOND), 1)]
    one.journal.pour(3, "running")
    with patch.object(replayed, "step", deciding):
        one.witness._replay(3, has_died=True)


PLANTED: list[tuple[str, Callable[[Bench], None], int, str]] = [
    ("no order under kill", killed, PAPER, "is intended"),
    ("no order under kill", killed_at_the_wire, LIVE, "ms after"),
    ("no order under kill", killed_at_the_wire_on_paper, PAPER, "ms after"),
    ("no order under kill", opened_unaware_of_the_kill, PAPER, "opened with killed False"),
    ("no order under kill", opened_with_a_kill_that_is_none, PAPER, "opened with killed True"),
    ("no order under halt or pause", halted, PAPER, "drift"),
    ("no order under halt or pause", paused, PAPER, "x#1: None"),
    ("no order under halt or pause", pause_lost, PAPER, "a pause was lost"),
    ("no order under halt or pause", pause_not_read, PAPER, "x#1: None"),
    ("no order under halt or pause", breaker, PAPER, "x#1: None"),
    ("no order unarmed", unarmed, LIVE, "x#1"),
    ("no order after its deadline", late, LIVE, "10 ms"),
    ("no order on stale data", old_price, PAPER, "price of"),
    ("no order on stale data", silent_price, PAPER, "price of"),
    ("no order on stale data", price_of_the_future, PAPER, "price of 1,"),
    ("no order on stale data", old_book, PAPER, "book of"),
    ("no order under an unknown rule", unknown_rule, PAPER, "has no known rule"),
    ("no order under an unknown rule", other_rule, PAPER, "settle by spot"),
    ("no order under an unknown rule", rule_of_the_window_before, PAPER, "settle by TWAP"),
    ("no order after a drift", drifted_strike, PAPER, "strike"),
    ("no order after a drift", drifted_final, PAPER, "final price"),
    ("no order after a drift", drifted_outcome, PAPER, "UP was served as DOWN"),
    ("no order after a drift", venue_contradicts_itself, PAPER, "prices that say UP"),
    ("no order after a drift", next_strike_drifted, PAPER, "the final price before"),
    ("no order on a worthless price", worthless_price, PAPER, "is believed of"),
    ("no order on a worthless price", spot_apart, PAPER, "spot is apart"),
    ("no order under an unknown rule", old_fee, PAPER, "the fee of"),
    ("no order under an unknown rule", another_window, PAPER, "settle by spot"),
    ("no order under halt or pause", beat_refused, LIVE, "a refused heartbeat"),
    ("no order under halt or pause", left_after_recording_failed, LIVE, "after the recorder failed"),
    ("no order under halt or pause", paper_after_recording_failed, PAPER, "after the recorder failed"),
    ("no order under halt or pause", lost_twice, PAPER, "loss streak"),
    ("no order under halt or pause", far_below_the_best, PAPER, "drawdown"),
    ("engine failed", failed_part, PAPER, "KeyError"),
    ("engine failed", engine_that_raises, PAPER, "KeyError"),
    ("no order on stale data", no_window, PAPER, "its window is not open"),
    ("no order on a strike that is not proven", guessed_strike, PAPER, "x#1"),
    ("strike exact or marked", wrong_strike, PAPER, "not 6"),
    ("no order beyond a limit", too_large, PAPER, "size"),
    ("no order beyond a limit", too_many, PAPER, "hour"),
    ("no order beyond a limit", too_much_lost, PAPER, "day"),
    ("no order beyond a limit", lost_today, PAPER, "day"),
    ("no order beyond a limit", too_poor_on_paper, PAPER, "cash"),
    ("no order beyond a limit", too_poor_at_the_venue, LIVE, "cash"),
    ("no order beyond a limit", too_poor_beside_an_earlier_order, LIVE, "cash"),
    ("no order beyond a limit", too_dear, PAPER, "price"),
    ("no order beyond a limit", too_much_at_stake, PAPER, "exposure"),
    ("no order beyond a limit", too_much_on_one_end, PAPER, "correlated"),
    ("one order a market", twice, PAPER, "beside ['x#1']"),
    ("one order a market", bought_already, PAPER, "a holding"),
    ("one order a market", named_twice, PAPER, "is used twice"),
    ("one order a market", beside_one_that_lives, LIVE, "(LIVE)"),
    ("one order a market", beside_one_that_filled, LIVE, "(MATCHED)"),
    ("durable before it leaves", not_durable_on_paper, PAPER, "x#1 left"),
    ("durable before it leaves", not_durable_live, LIVE, "0x"),
    ("durable before it leaves", unreadable_order, LIVE, "cannot read an order"),
    ("fill is the venue's", over_the_limit, PAPER, "beyond the limit"),
    ("fill is the venue's", wrong_fee, PAPER, "fee 350010"),
    ("fill is the venue's", trade_of_nobody, LIVE, "not None"),
    ("money is conserved", cent_gone, PAPER, "cash"),
    ("money is conserved", bank_makes_money, LIVE, "the venue's own bank"),
    ("order ends known or halts", no_end, LIVE, "is sent"),
    ("order ends known or halts", unknown_without_alarm, LIVE, "no alarm"),
    ("order ends known or halts", unknown_at_the_end, LIVE, "after the last fault"),
    ("profit is the settlement's", paid_wrongly, PAPER, ", not "),
    ("profit is the settlement's", never_paid, PAPER, "never settled"),
    ("recovery loses nothing", forgotten, LIVE, "holdings"),
    ("recovery loses nothing", fill_time_lost, PAPER, "holdings"),
    ("recovery loses nothing", fill_of_the_other_outcome, PAPER, "holdings"),
    ("recovery loses nothing", fill_of_the_other_side, PAPER, "holdings"),
    ("recovery loses nothing", settled_on_another_day, PAPER, "holdings"),
    ("recovery loses nothing", own_word_called_the_venue_s, PAPER, "words: "),
    ("recovery loses nothing", unknown_order_of_another_size, LIVE, "unknown orders: "),
    ("recovery loses nothing", rules_forgotten, PAPER, "is None"),
    ("recovery loses nothing", rule_turned, PAPER, "is ['spot'"),
    ("account agrees at the end", other_account, LIVE, "1 trades differ"),
    ("replay is identical", other_replay, PAPER, "come of nothing"),
    ("replay is identical", outputs_left_out, PAPER, "is not in the file"),
]
"""An invariant, what breaks it, in whose world, and a word of the one check that has to see it."""
